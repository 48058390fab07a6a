package lives

import (
	"math/rand"
	"reflect"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kubernetes/pkg/kubelet/util/queue"
)

// watchedQueue is the pod workers' queue: it records when a pod is to be looked at again.
type watchedQueue struct {
	queue.WorkQueue
	k *instance
}

func (q *watchedQueue) Enqueue(uid types.UID, delay time.Duration) {
	q.k.record(string(uid), Entry{Kind: kindQueue, Op: "again", AfterMs: ptr(millis(delay))})
	q.WorkQueue.Enqueue(uid, delay)
	reseed()
}

// reseed makes the next jitter the same each time: the kubelet draws it from the generator of the process, from which
// others draw, too. So it is called wherever the oracle sees a pod worker pass by.
// (It needs the setting randseednop=0, which main has.)
func reseed() {
	rand.Seed(1) //nolint:staticcheck // there is no other way to seed the generator that the kubelet uses
}

func (k *instance) watchQueue() {
	f := field(k.kubelet, "workQueue")
	q := &watchedQueue{WorkQueue: f.Interface().(queue.WorkQueue), k: k}
	f.Set(reflect.ValueOf(q))
	field(field(k.kubelet, "podWorkers").Interface(), "workQueue").Set(reflect.ValueOf(q))
	reseed()
}

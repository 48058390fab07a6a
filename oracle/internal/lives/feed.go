package lives

import (
	"reflect"

	v1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	kubetypes "k8s.io/kubernetes/pkg/kubelet/types"
)

// change is a pod that is new, different or gone.
type change struct {
	pod    *v1.Pod
	gone   bool
	static bool
}

func (c change) source() string {
	if c.static {
		return kubetypes.FileSource
	}
	return kubetypes.ApiserverSource
}

// push queues a change for the kubelet, as its watch would.
func (k *instance) push(c change) {
	k.mu.Lock()
	k.queue = append(k.queue, c)
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

func (k *instance) queued() []change {
	k.mu.Lock()
	defer k.mu.Unlock()
	l := k.queue
	k.queue = nil
	return l
}

// send hands pods to the kubelet; it says false if the kubelet is dead.
func (k *instance) send(op kubetypes.PodOperation, source string, pods ...*v1.Pod) bool {
	l := make([]*v1.Pod, len(pods))
	for i, p := range pods {
		l[i] = p.DeepCopy()
		if l[i].Annotations == nil {
			l[i].Annotations = map[string]string{}
		}
		l[i].Annotations[kubetypes.ConfigSourceAnnotationKey] = source
	}
	select {
	case k.updates <- kubetypes.PodUpdate{Op: op, Pods: l, Source: source}:
		return true
	case <-k.dead:
		return false
	}
}

// feed turns changes into the updates that the kubelet's pod sources make of them: PodConfig compares all pods
// with all pods at each change, which is slow; what comes of it is the same.
func (k *instance) feed() {
	defer close(k.updates)
	known := map[types.UID]*v1.Pod{}
	// What is there at first comes at once, source by source: then the sources are ready.
	var file, api []*v1.Pod
	for _, c := range k.queued() {
		known[c.pod.UID] = c.pod
		if c.static {
			file = append(file, c.pod)
		} else {
			api = append(api, c.pod)
		}
	}
	if !k.send(kubetypes.ADD, kubetypes.FileSource, file...) || !k.send(kubetypes.ADD, kubetypes.ApiserverSource, api...) {
		return
	}
	for {
		for _, c := range k.queued() {
			op, ok := operation(known[c.pod.UID], c)
			if !ok {
				continue
			}
			if c.gone {
				delete(known, c.pod.UID)
			} else {
				known[c.pod.UID] = c.pod
			}
			if !k.send(op, c.source(), c.pod) {
				return
			}
		}
		select {
		case <-k.wake:
		case <-k.dead:
			return
		}
	}
}

// operation is what PodConfig makes of a change.
func operation(old *v1.Pod, c change) (kubetypes.PodOperation, bool) {
	same := apiequality.Semantic.DeepEqual
	p := c.pod
	switch {
	case c.gone:
		return kubetypes.REMOVE, old != nil
	case old == nil:
		return kubetypes.ADD, true
	case !same(old.Spec, p.Spec) || !same(old.Labels, p.Labels) || !same(old.Annotations, p.Annotations) ||
		!same(old.DeletionTimestamp, p.DeletionTimestamp) || !same(old.DeletionGracePeriodSeconds, p.DeletionGracePeriodSeconds):
		if p.DeletionTimestamp != nil {
			return kubetypes.DELETE, true
		}
		return kubetypes.UPDATE, true
	case !same(old.Status, p.Status):
		return kubetypes.RECONCILE, true
	}
	return 0, false
}

// announce tells a PodConfig of a source, which has no pods: sources aren't ready before the kubelet's first update
// of each source that PodConfig knows.
func announce(channel any, source string) {
	ch := reflect.ValueOf(channel)
	var v reflect.Value
	// The type of the channel's elements has no name outside its package, or is any.
	if e := ch.Type().Elem(); e.Kind() == reflect.Interface {
		v = reflect.ValueOf(kubetypes.PodUpdate{Op: kubetypes.PodOperation(0) /* SET, where there is one */, Source: source})
	} else {
		v = reflect.New(e).Elem()
	}
	ch.Send(v)
}

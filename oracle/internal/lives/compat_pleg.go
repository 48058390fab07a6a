//go:build !k134 && !k135 && !k137

package lives

import (
	"reflect"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kubernetes/pkg/kubelet"
	"k8s.io/kubernetes/pkg/kubelet/pleg"
)

// latePLEG puts off the relist that SyncPod asks for at its end (PLEGOnDemandRelist). In the bubble it would come in
// the very instant in which the sync ended, but the pod workers want one that is later (GetNewerThan). Outside the
// bubble it is later by itself; here by 1 ms.
type latePLEG struct {
	pleg.PodLifecycleEventGenerator
}

func (p latePLEG) RequestRelist(uid types.UID) {
	time.AfterFunc(time.Millisecond, func() { p.PodLifecycleEventGenerator.RequestRelist(uid) })
}
func (p latePLEG) Stop() { p.PodLifecycleEventGenerator.(interface{ Stop() }).Stop() }

func setLatePLEG(kl *kubelet.Kubelet) {
	f := field(kl, "pleg")
	f.Set(reflect.ValueOf(latePLEG{f.Interface().(pleg.PodLifecycleEventGenerator)}))
}

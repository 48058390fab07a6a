//go:build k134

package functions

import (
	v1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"
	"k8s.io/kubernetes/pkg/kubelet/cm"

	"podinit.dev/oracle/internal/protocol"
)

func resourceConfigForPod(pod *v1.Pod, cpuPeriodUs uint64) *cm.ResourceConfig {
	return cm.ResourceConfigForPod(pod, true, cpuPeriodUs, false)
}

// newerOptions gives an error for the options that not every version has.
func newerOptions(from podResourcesOptions, _ *resource.PodResourcesOptions) error {
	for _, o := range []struct {
		name string
		set  bool
	}{{"inPlacePodLevelResources", from.InPlacePodLevelResources}, {"useDRA", from.UseDRA}} {
		if o.set {
			return protocol.Errorf(protocol.Invalid, "options.%s: this version of Kubernetes has no such option", o.name)
		}
	}
	return nil
}

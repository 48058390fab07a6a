//go:build k135

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

// newerOptions sets the options that not every version has.
func newerOptions(from podResourcesOptions, into *resource.PodResourcesOptions) error {
	into.InPlacePodLevelResourcesVerticalScalingEnabled = from.InPlacePodLevelResources
	if from.UseDRA {
		return protocol.Errorf(protocol.Invalid, "options.useDRA: this version of Kubernetes has no such option")
	}
	return nil
}

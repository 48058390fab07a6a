//go:build !k134 && !k135

package functions

import (
	v1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	"k8s.io/kubernetes/pkg/kubelet/cm"
)

func resourceConfigForPod(pod *v1.Pod, cpuPeriodUs uint64) *cm.ResourceConfig {
	return cm.ResourceConfigForPod(pod, true, cpuPeriodUs, false, kubeletconfig.NoneMemoryReservationPolicy)
}

// newerOptions sets the options that not every version has.
func newerOptions(from podResourcesOptions, into *resource.PodResourcesOptions) error {
	into.InPlacePodLevelResourcesVerticalScalingEnabled = from.InPlacePodLevelResources
	into.UseDRANodeAllocatableResourceClaimStatus = from.UseDRA
	return nil
}

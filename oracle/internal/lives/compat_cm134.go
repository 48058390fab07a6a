//go:build k134

package lives

import (
	v1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/kubelet/cm"
)

func (p podCgroups) EnsureExists(pod *v1.Pod) error {
	p.ensure(pod)
	return nil
}

func (p podCgroups) SetPodCgroupConfig(pod *v1.Pod, c *cm.ResourceConfig) error { return p.set(pod, c) }

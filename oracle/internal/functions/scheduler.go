//go:build !k134

package functions

import (
	v1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/noderesources"
)

type (
	plugin      = fwk.Plugin
	scorePlugin = fwk.ScorePlugin
)

// handle is a scheduler of which the plugins need nothing.
type handle struct{ fwk.Handle }

func (handle) SharedDRAManager() fwk.SharedDRAManager { return nil }

func fits(pod *v1.Pod, node *framework.NodeInfo, options noderesources.ResourceRequestsOptions) []noderesources.InsufficientResource {
	return noderesources.Fits(pod, node, nil, options)
}

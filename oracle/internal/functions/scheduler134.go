//go:build k134

package functions

import (
	v1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/noderesources"
)

type (
	plugin      = framework.Plugin
	scorePlugin = framework.ScorePlugin
)

// handle is a scheduler of which the plugins need nothing.
type handle struct{ framework.Handle }

func (handle) SharedDRAManager() framework.SharedDRAManager { return nil }

func fits(pod *v1.Pod, node *framework.NodeInfo, options noderesources.ResourceRequestsOptions) []noderesources.InsufficientResource {
	return noderesources.Fits(pod, node, options)
}

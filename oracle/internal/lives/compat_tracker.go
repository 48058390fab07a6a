//go:build !k137

package lives

import kubeletutil "k8s.io/kubernetes/pkg/kubelet/util"

func nodeTracker() kubeletutil.NodeStartupLatencyTracker {
	return kubeletutil.NewNodeStartupLatencyTracker()
}

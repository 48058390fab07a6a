//go:build k134 || k135

package lives

import (
	"context"

	"k8s.io/client-go/tools/record"
	"k8s.io/kubernetes/pkg/kubelet"
	"k8s.io/kubernetes/pkg/kubelet/config"
	kubetypes "k8s.io/kubernetes/pkg/kubelet/types"
	kubeletutil "k8s.io/kubernetes/pkg/kubelet/util"
)

func newPodConfig(r record.EventRecorderLogger, t kubeletutil.PodStartupLatencyTracker) *config.PodConfig {
	return config.NewPodConfig(config.PodConfigNotificationIncremental, r, t)
}

func (c *criImages) Close() error { return nil }
func (c *cri) Close() error       { return nil }

func startGC(_ context.Context, kl *kubelet.Kubelet) { kl.StartGarbageCollection() }

func runKubelet(_ context.Context, kl *kubelet.Kubelet, u <-chan kubetypes.PodUpdate) {
	kl.Run(u)
}

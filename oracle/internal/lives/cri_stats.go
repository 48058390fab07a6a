package lives

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func stats(x *container) *runtimeapi.ContainerStats {
	now, zero := time.Now().UnixNano(), &runtimeapi.UInt64Value{}
	m := &runtimeapi.UInt64Value{Value: uint64(x.script.memory())}
	return &runtimeapi.ContainerStats{
		Attributes: &runtimeapi.ContainerAttributes{Id: x.id, Metadata: x.config.Metadata, Labels: x.config.Labels, Annotations: x.config.Annotations},
		Cpu:        &runtimeapi.CpuUsage{Timestamp: now, UsageCoreNanoSeconds: zero, UsageNanoCores: zero},
		Memory:     &runtimeapi.MemoryUsage{Timestamp: now, WorkingSetBytes: m, UsageBytes: m},
	}
}

func sandboxStats(s *sandbox) *runtimeapi.PodSandboxStats {
	now, zero, sum := time.Now().UnixNano(), &runtimeapi.UInt64Value{}, &runtimeapi.UInt64Value{}
	l := &runtimeapi.LinuxPodSandboxStats{}
	for _, x := range s.containers {
		if x.running() {
			sum.Value += uint64(x.script.memory())
			l.Containers = append(l.Containers, stats(x))
		}
	}
	l.Cpu = &runtimeapi.CpuUsage{Timestamp: now, UsageCoreNanoSeconds: zero, UsageNanoCores: zero}
	l.Memory = &runtimeapi.MemoryUsage{Timestamp: now, WorkingSetBytes: sum, UsageBytes: sum}
	return &runtimeapi.PodSandboxStats{Linux: l,
		Attributes: &runtimeapi.PodSandboxAttributes{Id: s.id, Metadata: s.config.Metadata, Labels: s.config.Labels, Annotations: s.config.Annotations}}
}

func (c *cri) ContainerStats(_ context.Context, id string) (*runtimeapi.ContainerStats, error) {
	x, err := c.find(id)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return stats(x), nil
}

func (c *cri) ListContainerStats(_ context.Context, f *runtimeapi.ContainerStatsFilter) (out []*runtimeapi.ContainerStats, err error) {
	if err := c.alive(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.each(f.GetLabelSelector(), func(s *sandbox) {
		if f.GetPodSandboxId() != "" && f.GetPodSandboxId() != s.id {
			return
		}
		for _, x := range s.containers {
			if x.running() {
				out = append(out, stats(x))
			}
		}
	})
	return out, nil
}

func (c *cri) PodSandboxStats(_ context.Context, id string) (*runtimeapi.PodSandboxStats, error) {
	s, err := c.sandbox(id)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, status.Error(codes.NotFound, "sandbox not found")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return sandboxStats(s), nil
}

func (c *cri) ListPodSandboxStats(_ context.Context, f *runtimeapi.PodSandboxStatsFilter) (out []*runtimeapi.PodSandboxStats, err error) {
	if err := c.alive(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.each(f.GetLabelSelector(), func(s *sandbox) {
		if s.ready {
			out = append(out, sandboxStats(s))
		}
	})
	return out, nil
}

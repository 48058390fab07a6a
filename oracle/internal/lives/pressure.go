package lives

import (
	"context"
	"reflect"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	statsapi "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
	"k8s.io/kubernetes/pkg/kubelet"
)

// summary is what the eviction manager sees of the node: what memory is available the scenario says, what the
// containers use their scripts.
type summary struct{ node *node }

func setSummary(n *node, kl *kubelet.Kubelet) {
	field(field(kl, "evictionManager").Interface(), "summaryProvider").Set(reflect.ValueOf(summary{n}))
}

func (s summary) Get(context.Context, bool) (*statsapi.Summary, error) {
	now := metav1.NewTime(time.Now())
	pods, used := s.pods(now)
	n := s.node
	n.mu.Lock()
	left, capacity := n.available, uint64(n.memory)
	n.mu.Unlock()
	if left < 0 {
		left = n.memory - used
	}
	available := uint64(max(left, 0))
	of := func(used uint64) *statsapi.MemoryStats {
		m := memoryStats(now, used)
		m.AvailableBytes = ptr(available)
		return m
	}
	fs := fsStats(now)
	return &statsapi.Summary{Pods: pods, Node: statsapi.NodeStats{NodeName: nodeName, StartTime: now,
		CPU:    &statsapi.CPUStats{Time: now, UsageNanoCores: ptr(uint64(0)), UsageCoreNanoSeconds: ptr(uint64(0))},
		Memory: of(capacity - available), Fs: fs, Runtime: &statsapi.RuntimeStats{ImageFs: fs, ContainerFs: fs},
		SystemContainers: []statsapi.ContainerStats{{Name: statsapi.SystemContainerPods, StartTime: now, Memory: of(capacity - available)}}}}, nil
}

// pods are the stats of all pods, and what they use in all.
func (s summary) pods(now metav1.Time) (out []statsapi.PodStats, all int64) {
	fs := fsStats(now)
	r := s.node.runtime
	r.mu.Lock()
	defer r.mu.Unlock()
	r.each(nil, func(sb *sandbox) {
		used := int64(0)
		var l []statsapi.ContainerStats
		for _, c := range sb.containers {
			if c.running() {
				used += c.script.memory()
				l = append(l, statsapi.ContainerStats{Name: c.name(), StartTime: now, Memory: memoryStats(now, uint64(c.script.memory())), Rootfs: fs, Logs: fs})
			}
		}
		all += used
		if sb.ready {
			m := sb.config.Metadata
			out = append(out, statsapi.PodStats{PodRef: statsapi.PodReference{Name: m.Name, Namespace: m.Namespace, UID: sb.uid}, StartTime: now,
				Containers: l, Memory: memoryStats(now, uint64(used)), EphemeralStorage: fs})
		}
	})
	return out, all
}

func memoryStats(now metav1.Time, used uint64) *statsapi.MemoryStats {
	return &statsapi.MemoryStats{Time: now, UsageBytes: ptr(used), WorkingSetBytes: ptr(used), RSSBytes: ptr(used), PageFaults: ptr(uint64(0)), MajorPageFaults: ptr(uint64(0))}
}

func fsStats(now metav1.Time) *statsapi.FsStats {
	return &statsapi.FsStats{Time: now, AvailableBytes: ptr(uint64(1 << 40)), CapacityBytes: ptr(uint64(1 << 40)), UsedBytes: ptr(uint64(0)),
		InodesFree: ptr(uint64(1 << 30)), Inodes: ptr(uint64(1 << 30)), InodesUsed: ptr(uint64(0))}
}

func (s summary) GetCPUAndMemoryStats(ctx context.Context) (*statsapi.Summary, error) {
	return s.Get(ctx, false)
}

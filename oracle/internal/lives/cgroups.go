package lives

import (
	"fmt"
	"reflect"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/kubelet/cm"
)

// containerManager is the kubelet's stub, with the cgroups of pods in memory.
type containerManager struct {
	cm.ContainerManager
	node *node
}

// NewPodContainerManager is called by each sync of a pod, which draws its jitter at its end.
func (m containerManager) NewPodContainerManager() cm.PodContainerManager {
	reseed()
	return podCgroups{m.ContainerManager.NewPodContainerManager(), m.node}
}

// GetNodeConfig: with the static managers, resizes of guaranteed pods are infeasible.
func (m containerManager) GetNodeConfig() cm.NodeConfig {
	c := m.ContainerManager.GetNodeConfig()
	c.CPUManagerPolicy, c.MemoryManagerPolicy = m.node.spec.CPUManagerPolicy, m.node.spec.MemoryManagerPolicy
	return c
}

// GetNodeAllocatableAbsolute is what 1.34 and 1.35 judge by whether a resize is feasible.
func (m containerManager) GetNodeAllocatableAbsolute() v1.ResourceList { return m.node.capacity() }

// podCgroups are the cgroups of pods. What isn't here is the stub's.
type podCgroups struct {
	cm.PodContainerManager
	node *node
}

func (p podCgroups) Exists(pod *v1.Pod) bool {
	r := p.node.runtime
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cgroups[string(pod.UID)] != nil
}

const cpuPeriod = 100_000 // microseconds, the kubelet's default

// ensure makes a pod's cgroup with the values that the kubelet's own manager would give it; no limit reads as -1.
func (p podCgroups) ensure(pod *v1.Pod) {
	r := p.node.runtime
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cgroups[string(pod.UID)] != nil {
		return
	}
	f := reflect.ValueOf(cm.ResourceConfigForPod) // it has one parameter more since 1.36
	in := []reflect.Value{reflect.ValueOf(pod), reflect.ValueOf(true), reflect.ValueOf(uint64(cpuPeriod)), reflect.ValueOf(false)}
	for len(in) < f.Type().NumIn() {
		in = append(in, reflect.Zero(f.Type().In(len(in))))
	}
	have := &cm.ResourceConfig{Memory: ptr(int64(-1)), CPUQuota: ptr(int64(-1)), CPUPeriod: ptr(uint64(cpuPeriod)), CPUShares: ptr(uint64(2))}
	merge(have, f.Call(in)[0].Interface().(*cm.ResourceConfig))
	r.cgroups[string(pod.UID)] = have
}

// merge takes over what is said.
func merge(have, want *cm.ResourceConfig) {
	take(&have.Memory, want.Memory)
	take(&have.CPUShares, want.CPUShares)
	take(&have.CPUQuota, want.CPUQuota)
	take(&have.CPUPeriod, want.CPUPeriod)
}

func take[T any](have **T, want *T) {
	if want != nil {
		*have = ptr(*want)
	}
}

func (p podCgroups) GetPodCgroupConfig(pod *v1.Pod, resource v1.ResourceName) (*cm.ResourceConfig, error) {
	r := p.node.runtime
	r.mu.Lock()
	defer r.mu.Unlock()
	have := r.cgroups[string(pod.UID)]
	if have == nil {
		return nil, fmt.Errorf("no cgroup of pod %s", pod.UID)
	}
	out := &cm.ResourceConfig{}
	switch resource {
	case v1.ResourceCPU:
		merge(out, &cm.ResourceConfig{CPUShares: have.CPUShares, CPUQuota: have.CPUQuota, CPUPeriod: have.CPUPeriod})
		if !p.node.spec.ExactCPUShares {
			*out.CPUShares = throughWeight(*out.CPUShares)
		}
	case v1.ResourceMemory:
		merge(out, &cm.ResourceConfig{Memory: have.Memory})
	}
	return out, nil
}

// throughWeight is what is left of CPU shares (2 to 262144) that cgroup v2 keeps as a weight (1 to 10000).
func throughWeight(shares uint64) uint64 {
	const minShares, maxShares, weights = 2, 262144, 9999
	if shares < minShares || shares >= maxShares {
		return shares
	}
	weight := (shares - minShares) * weights / (maxShares - minShares)
	return minShares + weight*(maxShares-minShares)/weights
}

func (p podCgroups) set(pod *v1.Pod, c *cm.ResourceConfig) error {
	r := p.node.runtime
	r.mu.Lock()
	defer r.mu.Unlock()
	have := r.cgroups[string(pod.UID)]
	if have == nil {
		return fmt.Errorf("no cgroup of pod %s", pod.UID)
	}
	merge(have, c)
	var said []string
	if c.CPUShares != nil {
		said = append(said, fmt.Sprintf("shares=%d", *c.CPUShares))
	}
	if c.CPUQuota != nil {
		said = append(said, fmt.Sprintf("quota=%d", *c.CPUQuota))
	}
	if c.Memory != nil {
		said = append(said, fmt.Sprintf("memory=%d", *c.Memory))
	}
	p.node.record(string(pod.UID), Entry{Kind: kindCgroup, Op: "set", Message: strings.Join(said, " ")})
	return nil
}

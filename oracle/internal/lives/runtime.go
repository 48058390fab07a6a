package lives

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/kubernetes/pkg/kubelet/cm"
)

const (
	labelUID           = "io.kubernetes.pod.uid"
	labelContainer     = "io.kubernetes.container.name"
	annoTerminationLog = "io.kubernetes.container.terminationMessagePath"
	// annoPod tells for which pod an image is asked: image calls say nothing but the pod's annotations.
	annoPod = "oracle.podinit.dev/pod"
)

// What containerd says of containers that it finds dead after a reboot.
const (
	lostExitCode = 255
	lostReason   = "Unknown"
	killed       = 137
	terminated   = 143
)

// sandbox is a pod sandbox.
type sandbox struct {
	id         string
	uid        string
	config     *runtimeapi.PodSandboxConfig
	handler    string
	ready      bool
	created    int64
	ip         string
	containers []*container
}

func (s *sandbox) state() runtimeapi.PodSandboxState {
	if s.ready {
		return runtimeapi.PodSandboxState_SANDBOX_READY
	}
	return runtimeapi.PodSandboxState_SANDBOX_NOTREADY
}

// container is one instance of a container.
type container struct {
	id        string
	sandbox   *sandbox
	config    *runtimeapi.ContainerConfig
	mounts    []*runtimeapi.Mount
	script    ContainerInstance
	state     runtimeapi.ContainerState
	created   int64
	started   int64
	finished  int64
	exitCode  int32
	reason    string
	message   string
	resources *runtimeapi.LinuxContainerResources
	done      chan struct{}
	timer     *time.Timer
}

func (c *container) name() string     { return c.config.Metadata.Name }
func (c *container) attempt() *uint32 { return ptr(c.config.Metadata.Attempt) }

func (c *container) running() bool {
	return c.state == runtimeapi.ContainerState_CONTAINER_RUNNING
}

// age is how long ago the container was started.
func (c *container) age() time.Duration { return time.Duration(time.Now().UnixNano() - c.started) }

// answer is what the script says to a command or a probe.
func (c *container) answer(line string, age time.Duration) Answer {
	for _, a := range c.script.Answers {
		if len(a.Command) <= len(line) && line[:len(a.Command)] == a.Command && within(age, a.From, a.Until) {
			return a
		}
	}
	return Answer{}
}

// criRuntime is the container runtime of one node, modelled on containerd. It survives kubelets.
type criRuntime struct {
	node *node

	mu        sync.Mutex
	sequence  map[string]int
	sandboxes map[string][]*sandbox // by the pod's UID, oldest first
	byID      map[string]*sandbox
	container map[string]*container // by id
	// how often was tried so far, by the pod's UID and by what
	created map[[2]string]int
	tried   map[string]int
	pulled  map[[2]string]int
	present map[[2]string]bool
	cgroups map[string]*cm.ResourceConfig
}

func newRuntime(n *node) *criRuntime {
	return &criRuntime{node: n, sequence: map[string]int{}, sandboxes: map[string][]*sandbox{}, byID: map[string]*sandbox{},
		container: map[string]*container{}, created: map[[2]string]int{}, tried: map[string]int{}, pulled: map[[2]string]int{},
		present: map[[2]string]bool{}, cgroups: map[string]*cm.ResourceConfig{}}
}

// counted says how often something was done before.
func counted[K comparable](r *criRuntime, m map[K]int, k K) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := m[k]
	m[k]++
	return n
}

// after plans what the world does by itself. It comes a nanosecond late: what falls on a tick of the kubelet or on
// the end of a call then comes after it each time, and not as the scheduler likes.
func after(d time.Duration, f func()) *time.Timer { return time.AfterFunc(lasting(d, 1), f) }

func (r *criRuntime) newID(of string) string {
	r.sequence[of]++
	h := sha256.Sum256(fmt.Appendf(nil, "%s/%d", of, r.sequence[of]))
	return hex.EncodeToString(h[:])
}

// newest is a pod's newest sandbox. r.mu is held.
func (r *criRuntime) newest(uid string) *sandbox {
	l := r.sandboxes[uid]
	if len(l) == 0 {
		return nil
	}
	return l[len(l)-1]
}

// addSandbox makes a sandbox. r.mu is held.
func (r *criRuntime) addSandbox(uid, handler string, config *runtimeapi.PodSandboxConfig, script Sandbox, ip string) *sandbox {
	s := &sandbox{id: r.newID(uid), uid: uid, config: config, handler: handler, ready: true, created: time.Now().UnixNano(), ip: ip}
	if script.IP != "" {
		s.ip = script.IP
	}
	r.byID[s.id] = s
	r.sandboxes[uid] = append(r.sandboxes[uid], s)
	if script.DiesAfter != nil {
		after(time.Duration(*script.DiesAfter), func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			if s.ready {
				r.node.record(uid, Entry{Kind: kindWorld, Op: "sandboxDied", Attempt: ptr(config.Metadata.Attempt)})
				r.stopSandbox(s, script.KeepsContainers)
			}
		})
	}
	return s
}

// stopSandbox ends a sandbox, and its containers with it. r.mu is held.
func (r *criRuntime) stopSandbox(s *sandbox, keepsContainers bool) {
	if !s.ready {
		return
	}
	s.ready = false
	if keepsContainers {
		return
	}
	for _, c := range s.containers {
		r.finish(c, killed, "")
	}
}

// removeSandbox removes a sandbox with its containers. r.mu is held.
func (r *criRuntime) removeSandbox(s *sandbox) {
	r.stopSandbox(s, false)
	for _, c := range slices.Clone(s.containers) {
		r.remove(c)
	}
	delete(r.byID, s.id)
	l := slices.DeleteFunc(slices.Clone(r.sandboxes[s.uid]), func(o *sandbox) bool { return o == s })
	if r.sandboxes[s.uid] = l; len(l) == 0 {
		delete(r.sandboxes, s.uid)
	}
}

// add makes a container. r.mu is held.
func (r *criRuntime) add(s *sandbox, config *runtimeapi.ContainerConfig, script ContainerInstance) *container {
	c := &container{id: r.newID(s.uid + "/" + config.Metadata.Name), sandbox: s, config: config, mounts: config.Mounts, script: script,
		state: runtimeapi.ContainerState_CONTAINER_CREATED, created: time.Now().UnixNano(), done: make(chan struct{})}
	if l := config.GetLinux().GetResources(); l != nil {
		c.resources = copyResources(l)
	}
	// The kubelet draws the name of the file for the termination message. The same seed gives each instance the
	// same name, and a new instance would empty the message of an old one: so each has a file of its own.
	if at := config.Annotations[annoTerminationLog]; at != "" {
		c.mounts = slices.Clone(config.Mounts)
		for i, m := range c.mounts {
			if m.ContainerPath == at {
				c.mounts[i] = &runtimeapi.Mount{ContainerPath: at, HostPath: m.HostPath + "-" + c.id[:16]}
			}
		}
	}
	r.container[c.id] = c
	s.containers = append(s.containers, c)
	return c
}

// run starts a container. r.mu is held.
func (r *criRuntime) run(c *container) {
	c.state, c.started = runtimeapi.ContainerState_CONTAINER_RUNNING, time.Now().UnixNano()
	if c.script.RunFor != nil {
		c.timer = after(time.Duration(*c.script.RunFor), func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.finish(c, c.script.exitCode(), c.script.Reason)
		})
	}
}

// finish ends a container that runs. r.mu is held.
func (r *criRuntime) finish(c *container, exitCode int32, reason string) {
	if !c.running() {
		return
	}
	if reason == "" {
		if reason = "Error"; exitCode == 0 {
			reason = "Completed"
		}
	}
	c.state, c.finished, c.exitCode, c.reason = runtimeapi.ContainerState_CONTAINER_EXITED, time.Now().UnixNano(), exitCode, reason
	if c.script.Message != "" {
		for _, m := range c.mounts {
			if m.ContainerPath == c.config.Annotations[annoTerminationLog] {
				if err := os.WriteFile(m.HostPath, []byte(c.script.Message), 0o644); err != nil {
					c.message = err.Error()
				}
			}
		}
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	close(c.done)
	r.node.record(c.sandbox.uid, Entry{Kind: kindWorld, Op: "exited", Container: c.name(), Attempt: c.attempt(), ExitCode: &exitCode, Reason: reason})
}

// remove removes a container. r.mu is held.
func (r *criRuntime) remove(c *container) {
	r.finish(c, killed, "")
	delete(r.container, c.id)
	s := c.sandbox
	s.containers = slices.DeleteFunc(slices.Clone(s.containers), func(o *container) bool { return o == c })
}

// reboot ends all that runs; the runtime finds it dead when it is back.
func (r *criRuntime) reboot(back time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.cgroups)
	r.each(nil, func(s *sandbox) {
		for _, c := range s.containers {
			if c.running() {
				r.finish(c, lostExitCode, lostReason)
				c.finished = back.UnixNano()
			}
		}
		s.ready = false
	})
}

// each visits the sandboxes that a selector can mean, in the order of the pods' arrival. r.mu is held.
func (r *criRuntime) each(selector map[string]string, f func(*sandbox)) {
	if uid, ok := selector[labelUID]; ok {
		for _, s := range r.sandboxes[uid] {
			f(s)
		}
		return
	}
	for _, p := range r.node.order() {
		for _, s := range r.sandboxes[p.uid] {
			f(s)
		}
	}
}

func matches(selector, labels map[string]string) bool {
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return true
}

// last is the newest container of a name in a sandbox. r.mu is held.
func (s *sandbox) last(name string) *container {
	for _, c := range slices.Backward(s.containers) {
		if c.name() == name {
			return c
		}
	}
	return nil
}

// stray starts a container of a pod that the kubelet didn't make. r.mu is held.
func (r *criRuntime) stray(s *sandbox, name string, script ContainerInstance) error {
	if len(s.containers) == 0 {
		return fmt.Errorf("the sandbox has no container whose labels a stray one could have")
	}
	like := s.containers[len(s.containers)-1].config
	labels := maps.Clone(like.Labels)
	labels[labelContainer] = name
	r.run(r.add(s, &runtimeapi.ContainerConfig{Metadata: &runtimeapi.ContainerMetadata{Name: name}, Image: like.Image, Labels: labels,
		Annotations: like.Annotations}, script))
	return nil
}

package lives

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
	kubetypes "k8s.io/kubernetes/pkg/kubelet/types"

	"podinit.dev/oracle/internal/protocol"
)

// act does what an action says. What can't be done is told in the trace.
func (n *node) act(p *pod, a *Action) {
	switch {
	case a.Delete != nil:
		n.requested(p, a, n.api.delete(p.key(), metav1.DeleteOptions{GracePeriodSeconds: a.Delete.GracePeriodSeconds}))
	case a.Patch != nil:
		n.change(p, a, a.Patch.Subresource, func(o *v1.Pod) (*v1.Pod, error) { return merged(o, a.Patch.Patch) })
	case a.Resize != nil:
		n.change(p, a, "resize", func(o *v1.Pod) (*v1.Pod, error) { return merged(o, a.Resize.Patch) })
	case a.AddEphemeralContainer != nil:
		n.change(p, a, "ephemeralcontainers", func(o *v1.Pod) (*v1.Pod, error) { return withEphemeral(o, a.AddEphemeralContainer.Container) })
	case a.SetImage != nil:
		n.change(p, a, "", func(o *v1.Pod) (*v1.Pod, error) { return withImage(o, a.SetImage.Container, a.SetImage.Image) })
	case a.RestartKubelet != nil:
		n.restart(p, time.Duration(a.RestartKubelet.DownFor), false)
	case a.RebootNode != nil:
		n.restart(p, time.Duration(a.RebootNode.DownFor), true)
	case a.NodeShutdown != nil, a.CancelNodeShutdown != nil, a.Evict != nil, a.Preempt != nil:
		k := n.current()
		if k == nil {
			n.done(p, a, "", errors.New("the kubelet is down"))
			return
		}
		n.done(p, a, "", nil)
		switch {
		case a.Evict != nil:
			n.failed(p, a, evict(k, p, a.Evict))
		case a.Preempt != nil:
			n.failed(p, a, n.preempt())
		default:
			n.logind.announce(a.NodeShutdown != nil, k)
		}
	case a.SetAvailableMemory != nil:
		available := int64(-1)
		if !a.SetAvailableMemory.Auto {
			available = a.SetAvailableMemory.Available.Value()
		}
		n.mu.Lock()
		n.available = available
		n.mu.Unlock()
		n.done(p, a, "", nil)
	case a.RemoveStaticPod != nil:
		n.done(p, a, "", nil)
		n.removeManifest(p)
	default:
		n.behind(p, a)
	}
}

// requested tells what the API said of a request.
func (n *node) requested(p *pod, a *Action, err error) {
	if err != nil {
		n.record(p.uid, Entry{Kind: kindAPI, Op: "refused", Message: a.verb(), Error: err.Error()})
	}
}

// change changes the pod through the API.
func (n *node) change(p *pod, a *Action, subresource string, f func(*v1.Pod) (*v1.Pod, error)) {
	n.requested(p, a, n.api.update(p.key(), subresource, Entry{Kind: kindAPI, Op: "patched", Message: a.verb()}, f))
}

// done tells of an action in the world.
func (n *node) done(p *pod, a *Action, container string, err error) {
	e := Entry{Kind: kindWorld, Op: a.verb(), Container: container}
	if err != nil {
		e.Outcome, e.Error = "failed", err.Error()
	}
	n.record(p.uid, e)
}

// failed tells that an action that had begun failed.
func (n *node) failed(p *pod, a *Action, err error) {
	if err != nil {
		n.done(p, a, "", err)
	}
}

// restart ends the kubelet, and the node with it at a reboot, and starts it again.
func (n *node) restart(p *pod, down time.Duration, reboot bool) {
	back := time.Now().Add(down)
	n.mu.Lock()
	k, isDown := n.kubelet, time.Now().Before(n.downUntil)
	if back.After(n.downUntil) {
		n.downUntil = back
	}
	back = n.downUntil
	n.mu.Unlock()
	if reboot {
		n.record(p.uid, Entry{Kind: kindWorld, Op: "nodeRebooted"})
	}
	if !isDown {
		n.record(p.uid, Entry{Kind: kindWorld, Op: "kubeletKilled"})
		k.kill()
	}
	if reboot {
		n.runtime.reboot(back)
	}
	if isDown {
		return // who ended it starts it, when all that keeps it down is over
	}
	for {
		n.mu.Lock()
		back = n.downUntil
		n.mu.Unlock()
		if d := time.Until(back); d > 0 {
			time.Sleep(d)
			continue
		}
		break
	}
	n.record(p.uid, Entry{Kind: kindWorld, Op: "kubeletStarted", Kubelet: k.number + 1})
	if err := n.start(); err != nil {
		n.record(p.uid, Entry{Kind: kindWorld, Op: "kubeletFailed", Error: err.Error()})
	}
}

// evict kills a pod as the kubelet's eviction manager does.
func evict(k *instance, p *pod, e *Evict) error {
	manager := k.kubelet
	pods := field(manager, "podManager").Interface().(interface {
		GetPodByUID(types.UID) (*v1.Pod, bool)
	})
	pod, ok := pods.GetPodByUID(types.UID(p.uid))
	if !ok {
		return errors.New("the kubelet does not know the pod")
	}
	if kubetypes.IsCriticalPod(pod) {
		return errors.New("critical pods are not evicted")
	}
	reason, message := e.Reason, e.Message
	if reason == "" {
		reason = "Evicted"
	}
	if message == "" {
		message = "The node was low on resource: memory. "
	}
	grace := e.GracePeriodSeconds
	if grace == nil {
		grace = ptr(int64(1)) // that of a hard eviction
	}
	recorder{k}.Event(pod, v1.EventTypeWarning, reason, message)
	kill := field(field(manager, "evictionManager").Interface(), "killPodFunc")
	status := func(s *v1.PodStatus) {
		s.Phase, s.Reason, s.Message = v1.PodFailed, reason, message
		podutil.UpdatePodCondition(s, &v1.PodCondition{Type: v1.DisruptionTarget, Status: v1.ConditionTrue,
			Reason: v1.PodReasonTerminationByKubelet, Message: message,
			ObservedGeneration: podutil.CalculatePodConditionObservedGeneration(s, pod.Generation, v1.DisruptionTarget)})
	}
	// It returns when the pod is dead, or takes too long.
	go kill.Call([]reflect.Value{reflect.ValueOf(pod), reflect.ValueOf(true), reflect.ValueOf(grace), reflect.ValueOf(status)})
	return nil
}

// preempt lets a critical pod arrive on a node that has room for one pod only.
func (n *node) preempt() error {
	object, err := judge([]byte(`{"metadata":{"namespace":"kube-system"},"spec":{"priorityClassName":"system-node-critical","containers":[{"name":"critical","image":"critical:1"}]}}`), "critical")
	if err != nil {
		return err
	}
	index := len(n.order()) + 1
	p := prepare(object, index, false, &Scenario{})
	p.hidden = true
	n.arrive(p)
	return nil
}

// removeManifest takes away the manifest of a static pod.
func (n *node) removeManifest(p *pod) {
	n.api.mu.Lock()
	defer n.api.mu.Unlock()
	n.mu.Lock()
	l := n.static
	n.static = nil
	for _, q := range l {
		if q != p {
			n.static = append(n.static, q)
		}
	}
	n.mu.Unlock()
	n.api.notify(change{pod: p.object, static: true, gone: true})
}

// behind does something to a pod's containers without the kubelet.
func (n *node) behind(p *pod, a *Action) {
	r := n.runtime
	r.mu.Lock()
	defer r.mu.Unlock()
	name := ""
	switch {
	case a.KillContainer != nil:
		name = a.KillContainer.Container
	case a.RemoveContainer != nil:
		name = a.RemoveContainer.Container
	case a.StartContainer != nil:
		name = a.StartContainer.Container
	}
	s := r.newest(p.uid)
	if s == nil {
		n.done(p, a, name, errors.New("the pod has no sandbox"))
		return
	}
	var c *container
	if a.KillContainer != nil || a.RemoveContainer != nil {
		if c = s.last(name); c == nil {
			n.done(p, a, name, fmt.Errorf("the sandbox has no container %q", name))
			return
		}
	}
	n.done(p, a, name, nil)
	switch {
	case a.KillContainer != nil:
		code := int32(killed)
		if a.KillContainer.ExitCode != nil {
			code = *a.KillContainer.ExitCode
		}
		r.finish(c, code, a.KillContainer.Reason)
	case a.RemoveContainer != nil:
		r.remove(c)
	case a.StartContainer != nil:
		n.failed(p, a, r.stray(s, name, nth(p.scenario.Containers[name].Instances, 0)))
	case a.StopSandbox != nil:
		r.stopSandbox(s, a.StopSandbox.KeepsContainers)
	case a.RemoveSandbox != nil:
		r.removeSandbox(s)
	case a.SetSandboxIP != nil:
		s.ip = a.SetSandboxIP.IP
	default:
		panic(protocol.Errorf(protocol.Invalid, "the action %s is not carried out", a.verb()))
	}
}

package lives

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"sort"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	v1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/kubelet/eviction"

	"podinit.dev/oracle/internal/protocol"
)

const (
	defaultUntil = 10 * time.Minute
	maxUntil     = 720 * time.Hour
)

// nodeWide are the calls that are of all pods of a node.
var nodeWide = []string{"ListContainers", "ListPodSandbox", "Status"}

// faulty are the calls that a scenario can make fail.
var faulty = append([]string{"RunPodSandbox", "StopPodSandbox", "RemovePodSandbox", "PodSandboxStatus", "CreateContainer", "StartContainer",
	"StopContainer", "RemoveContainer", "ContainerStatus", "ExecSync", "UpdateContainerResources", "UpdatePodSandboxResources", "ImageStatus",
	"PullImage"}, nodeWide...)

func invalid(format string, a ...any) error {
	return protocol.Errorf(protocol.Invalid, format, a...)
}

// check finds what is wrong with a scenario, for a pod that the API takes.
func (s *Scenario) check(pod *v1.Pod, static bool) error {
	if until := s.until(); until > maxUntil {
		return protocol.Errorf(protocol.Endless, "scenario.until: %s is longer than %s, the longest life", until, maxUntil)
	}
	names, err := s.names(pod)
	if err != nil {
		return err
	}
	known := func(path, name string) error {
		if !names[name] {
			return invalid("%s: the pod has no container %q; it has %s", path, name, strings.Join(sorted(names), ", "))
		}
		return nil
	}
	for name, c := range s.Containers {
		path := "scenario.containers." + name
		if err := known(path, name); err != nil {
			return err
		}
		for i := range c.Instances {
			if err := c.Instances[i].check(fmt.Sprintf("%s.instances[%d]", path, i)); err != nil {
				return err
			}
		}
	}
	for i, sb := range s.Sandboxes {
		if err := checkIP(fmt.Sprintf("scenario.sandboxes[%d].ip", i), sb.IP, true); err != nil {
			return err
		}
	}
	for i := range s.Calls {
		f, path := &s.Calls[i], fmt.Sprintf("scenario.calls[%d]", i)
		if f.Container != "" {
			if err := known(path+".container", f.Container); err != nil {
				return err
			}
		}
		if err := f.check(path); err != nil {
			return err
		}
	}
	if s.Node != nil {
		if err := s.Node.check(); err != nil {
			return err
		}
	}
	for i := range s.Actions {
		if err := s.Actions[i].check(fmt.Sprintf("scenario.actions[%d]", i), s, static, known); err != nil {
			return err
		}
	}
	return nil
}

// check lets the kubelet read the thresholds, one by one first: its errors name no field.
func (n *Node) check() error {
	for k, v := range n.EvictionHard {
		if _, err := eviction.ParseThresholdConfig(nil, map[string]string{k: v}, nil, nil, nil); err != nil {
			return invalid("scenario.node.evictionHard: %s: %q: %s", k, v, err)
		}
	}
	for k, v := range n.EvictionSoft {
		if _, err := eviction.ParseThresholdConfig(nil, nil, map[string]string{k: v}, map[string]string{k: "1s"}, nil); err != nil {
			return invalid("scenario.node.evictionSoft: %s: %q: %s", k, v, err)
		}
	}
	if _, err := eviction.ParseThresholdConfig(nil, n.EvictionHard, n.EvictionSoft, n.EvictionSoftGracePeriod, nil); err != nil {
		return invalid("scenario.node.evictionSoftGracePeriod: %v: %s", n.EvictionSoftGracePeriod, err)
	}
	if c, all := n.ShutdownGracePeriodCriticalPods, n.ShutdownGracePeriod; c > all {
		return invalid("scenario.node.shutdownGracePeriodCriticalPods: %s is more than shutdownGracePeriod, %s", time.Duration(c), time.Duration(all))
	}
	return nil
}

func (s *Scenario) until() time.Duration { return s.Until.or(defaultUntil) }

// names are the containers that the pod has, or gets by an action.
func (s *Scenario) names(pod *v1.Pod) (map[string]bool, error) {
	names := map[string]bool{}
	for _, c := range pod.Spec.InitContainers {
		names[c.Name] = true
	}
	for _, c := range pod.Spec.Containers {
		names[c.Name] = true
	}
	for _, c := range pod.Spec.EphemeralContainers {
		names[c.Name] = true
	}
	for i, a := range s.Actions {
		switch {
		case a.AddEphemeralContainer != nil:
			var c struct {
				Name string `json:"name"`
			}
			if err := json.Unmarshal(a.AddEphemeralContainer.Container, &c); err != nil || c.Name == "" {
				return nil, invalid("scenario.actions[%d].addEphemeralContainer.container: a container with a name is expected", i)
			}
			names[c.Name] = true
		case a.StartContainer != nil:
			if a.StartContainer.Container == "" {
				return nil, invalid("scenario.actions[%d].startContainer.container: a name is expected", i)
			}
			names[a.StartContainer.Container] = true
		}
	}
	return names, nil
}

func sorted(m map[string]bool) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

func (c *ContainerInstance) check(path string) error {
	if c.ExitCode != nil && c.Signal != nil {
		return invalid("%s: exitCode and signal exclude one another", path)
	}
	if err := checkExit(path+".exitCode", c.ExitCode); err != nil {
		return err
	}
	if c.Signal != nil && (*c.Signal < 1 || *c.Signal > 64) {
		return invalid("%s.signal: %d is no signal (1 to 64)", path, *c.Signal)
	}
	if c.Stop != nil {
		if err := checkExit(path+".stop.exitCode", c.Stop.ExitCode); err != nil {
			return err
		}
	}
	for i := range c.Answers {
		a, path := &c.Answers[i], fmt.Sprintf("%s.answers[%d]", path, i)
		if err := checkExit(path+".exitCode", &a.ExitCode); err != nil {
			return err
		}
		if a.HTTPStatus != 0 && (a.HTTPStatus < 100 || a.HTTPStatus > 999) {
			return invalid("%s.httpStatus: %d is no status (100 to 999)", path, a.HTTPStatus)
		}
	}
	return nil
}

func checkExit(path string, code *int32) error {
	if code != nil && (*code < 0 || *code > 255) {
		return invalid("%s: %d is no exit code (0 to 255)", path, *code)
	}
	return nil
}

func checkIP(path, ip string, optional bool) error {
	if ip == "" && optional || net.ParseIP(ip) != nil {
		return nil
	}
	return invalid("%s: %q is no IP address", path, ip)
}

func (f *Fault) check(path string) error {
	if !slices.Contains(faulty, f.Call) {
		return invalid("%s.call: %q is none of %s", path, f.Call, strings.Join(faulty, ", "))
	}
	if f.Times != nil && *f.Times < 1 {
		return invalid("%s.times: %d is less than 1", path, *f.Times)
	}
	if f.Error == "" && f.Takes == nil {
		return invalid("%s: error or takes is expected", path)
	}
	if f.Code != "" {
		if f.Error == "" {
			return invalid("%s.code: it takes an error", path)
		}
		if _, err := grpcCode(f.Code); err != nil {
			return invalid("%s.code: %s", path, err)
		}
	}
	return nil
}

// grpcCode reads the name of a gRPC code, as Go or as the wire format spells it.
func grpcCode(name string) (codes.Code, error) {
	for c := codes.OK + 1; c <= codes.Unauthenticated; c++ {
		if strings.EqualFold(c.String(), strings.ReplaceAll(name, "_", "")) {
			return c, nil
		}
	}
	return codes.Unknown, fmt.Errorf("%q is no gRPC code of an error", name)
}

func (a *Action) check(path string, s *Scenario, static bool, known func(path, name string) error) error {
	verbs := a.verbs()
	if len(verbs) != 1 {
		return invalid("%s: exactly one verb is expected, not %d %v", path, len(verbs), verbs)
	}
	path += "." + verbs[0]
	object := func(field string, raw json.RawMessage) error {
		if raw = bytes.TrimSpace(raw); len(raw) == 0 || raw[0] != '{' {
			return invalid("%s.%s: an object is expected", path, field)
		}
		return nil
	}
	switch {
	case a.Evict != nil && a.Evict.GracePeriodSeconds != nil && *a.Evict.GracePeriodSeconds < 0:
		return invalid("%s.gracePeriodSeconds: %d is negative", path, *a.Evict.GracePeriodSeconds)
	case a.NodeShutdown != nil, a.CancelNodeShutdown != nil:
		if s.Node == nil || s.Node.ShutdownGracePeriod == 0 {
			return invalid("%s: scenario.node.shutdownGracePeriod is 0, so that the kubelet does not watch for shutdowns", path)
		}
	case a.Patch != nil:
		if a.Patch.Subresource != "" && a.Patch.Subresource != "status" {
			return invalid("%s.subresource: %q is neither empty nor status", path, a.Patch.Subresource)
		}
		return object("patch", a.Patch.Patch)
	case a.Resize != nil:
		return object("patch", a.Resize.Patch)
	case a.SetImage != nil:
		if a.SetImage.Image == "" {
			return invalid("%s.image: an image is expected", path)
		}
		return known(path+".container", a.SetImage.Container)
	case a.KillContainer != nil:
		if err := checkExit(path+".exitCode", a.KillContainer.ExitCode); err != nil {
			return err
		}
		return known(path+".container", a.KillContainer.Container)
	case a.RemoveContainer != nil:
		return known(path+".container", a.RemoveContainer.Container)
	case a.SetSandboxIP != nil:
		return checkIP(path+".ip", a.SetSandboxIP.IP, false)
	case a.SetAvailableMemory != nil:
		if (a.SetAvailableMemory.Available != nil) == a.SetAvailableMemory.Auto {
			return invalid("%s: either available or auto is expected", path)
		}
	case a.RemoveStaticPod != nil && !static:
		return invalid("%s: the pod is not static", path)
	}
	return nil
}

// lone says whether a life needs a node of its own: something in it is of the whole node.
func (s *Scenario) lone() bool {
	if s.Node != nil {
		return true
	}
	for _, f := range s.Calls {
		if slices.Contains(nodeWide, f.Call) {
			return true
		}
	}
	for _, a := range s.Actions {
		if a.RestartKubelet != nil || a.RebootNode != nil || a.Preempt != nil || a.NodeShutdown != nil || a.CancelNodeShutdown != nil || a.SetAvailableMemory != nil {
			return true
		}
	}
	return false
}

package lives

import (
	"context"
	"hash/fnv"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	internalapi "k8s.io/cri-api/pkg/apis"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// latency is what calls take that change something, if the scenario does not say: a call that takes no time at all
// races with the kubelet's other goroutines.
var latency = map[string]time.Duration{
	"RunPodSandbox": 41 * time.Millisecond, "StopPodSandbox": 11 * time.Millisecond, "RemovePodSandbox": 5 * time.Millisecond,
	"CreateContainer": 13 * time.Millisecond, "StartContainer": 7 * time.Millisecond, "StopContainer": 3 * time.Millisecond,
	"RemoveContainer": 2 * time.Millisecond, "ExecSync": 5 * time.Millisecond, "PullImage": 17 * time.Millisecond,
	"UpdateContainerResources": 6 * time.Millisecond, "UpdatePodSandboxResources": 3 * time.Millisecond,
	"Probe": 2 * time.Millisecond,
}

// reading are the calls that change nothing: traces don't have them.
var reading = []string{"PodSandboxStatus", "ListPodSandbox", "ListContainers", "ContainerStatus", "ImageStatus", "Status"}

// cri is the connection of one kubelet to the runtime.
type cri struct {
	internalapi.RuntimeService
	*criRuntime
	k *instance
}

// criImages is the connection of one kubelet to the image service.
type criImages struct {
	internalapi.ImageManagerService
	*cri
}

var errDead = status.Error(codes.Unavailable, "the kubelet is dead")

func (c *cri) alive() error {
	if c.k.isDead() {
		return errDead
	}
	return nil
}

// pause lets a call take its time, unless it is given up.
func (c *cri) pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return c.alive()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	case <-c.k.dead:
		return errDead
	}
}

// target is what a call is about.
type target struct {
	uid  string // none: all pods
	call string
	// one or none of the two
	container, image string
	entry            Entry
}

func (c *cri) target(uid, call string) target {
	return target{uid: uid, call: call, entry: Entry{Kind: kindCall, Op: call}}
}

// of is a call about a container.
func (c *cri) of(x *container, call string) target {
	t := c.target(x.sandbox.uid, call)
	t.container = x.name()
	t.entry.Container, t.entry.Attempt = x.name(), x.attempt()
	return t
}

// failed records that a call failed, if it is one that changes something, and gives its error.
func (c *cri) failed(t target, code codes.Code, message string) error {
	reseed()
	if !slices.Contains(reading, t.call) {
		e := t.entry
		e.Outcome, e.Error = "failed", message
		c.k.record(t.uid, e)
	}
	return status.Error(code, message)
}

// begin records a call, does to it what the scenario's faults say, and lets it take its time.
func (c *cri) begin(ctx context.Context, t target, takes *Duration) error {
	c.k.record(t.uid, t.entry)
	if err := c.fault(ctx, t); err != nil {
		return err
	}
	return c.pause(ctx, lasting(takes.or(latency[t.call]), skew(t.call, t.container)))
}

// skew is some nanoseconds that a call takes longer, each call of each container its own: else the calls of several
// containers that begin on the same tick would end in the same instant, and what comes of it would depend on the
// scheduler.
func skew(call, container string) time.Duration {
	h := fnv.New32a()
	h.Write([]byte(call + "/" + container))
	return time.Duration(h.Sum32()%997 + 2)
}

// lasting is how long to wait from now so that something takes d and ends so many nanoseconds after a full
// microsecond: in a chain of calls they don't add up.
func lasting(d, nanoseconds time.Duration) time.Duration {
	now := time.Now()
	return max(now.Add(d).Truncate(time.Microsecond).Add(nanoseconds).Sub(now), 1)
}

// fault is what the scenarios say of a call.
func (c *cri) fault(ctx context.Context, t target) error {
	if t.uid == "" {
		for _, p := range c.node.order() {
			if len(p.scenario.Calls) > 0 {
				t.uid = p.uid
				if err := c.fault(ctx, t); err != nil {
					return err
				}
			}
		}
		return nil
	}
	p := c.node.byUID(t.uid)
	if p == nil {
		return nil
	}
	for i := range p.scenario.Calls {
		f := &p.scenario.Calls[i]
		if f.Call != t.call || f.Container != "" && f.Container != t.container || f.Image != "" && !sameImage(f.Image, t.image) ||
			!within(time.Since(p.arrived), f.From, f.Until) {
			continue
		}
		c.node.mu.Lock()
		p.faults[i]++
		n := p.faults[i]
		c.node.mu.Unlock()
		if f.Times != nil && n > *f.Times {
			continue
		}
		if err := c.pause(ctx, f.Takes.or(0)); err != nil {
			return err
		}
		if f.Error != "" {
			code := codes.Unknown
			if f.Code != "" {
				code, _ = grpcCode(f.Code) // checked before
			}
			return c.failed(t, code, f.Error)
		}
	}
	return nil
}

func (c *cri) Version(context.Context, string) (*runtimeapi.VersionResponse, error) {
	return &runtimeapi.VersionResponse{Version: "0.1.0", RuntimeName: "oracle", RuntimeVersion: "2.0.0", RuntimeApiVersion: "v1"}, c.alive()
}

func (c *cri) Status(ctx context.Context, _ bool) (*runtimeapi.StatusResponse, error) {
	if err := c.fault(ctx, c.target("", "Status")); err != nil {
		return nil, err
	}
	return &runtimeapi.StatusResponse{Status: &runtimeapi.RuntimeStatus{Conditions: []*runtimeapi.RuntimeCondition{
		{Type: runtimeapi.RuntimeReady, Status: true}, {Type: runtimeapi.NetworkReady, Status: true}}},
		Features: &runtimeapi.RuntimeFeatures{}}, c.alive()
}

func (c *cri) RuntimeConfig(context.Context) (*runtimeapi.RuntimeConfigResponse, error) {
	return &runtimeapi.RuntimeConfigResponse{}, c.alive()
}

func (c *cri) UpdateRuntimeConfig(context.Context, *runtimeapi.RuntimeConfig) error { return c.alive() }

func (c *cri) ReopenContainerLog(context.Context, string) error { return c.alive() }

func (c *cri) GetContainerEvents(context.Context, chan *runtimeapi.ContainerEventResponse, func(runtimeapi.RuntimeService_GetContainerEventsClient)) error {
	return status.Error(codes.Unimplemented, "unimplemented")
}

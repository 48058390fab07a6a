package lives

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	remote "k8s.io/cri-client/pkg"
	utilexec "k8s.io/utils/exec"
)

func (c *cri) find(id string) (*container, error) {
	if err := c.alive(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	x := c.container[id]
	if x == nil {
		return nil, status.Errorf(codes.NotFound, "an error occurred when try to find container %q: not found", id)
	}
	return x, nil
}

func (c *cri) CreateContainer(ctx context.Context, sandboxID string, config *runtimeapi.ContainerConfig, _ *runtimeapi.PodSandboxConfig) (string, error) {
	s, err := c.sandbox(sandboxID)
	if err != nil {
		return "", err
	}
	if s == nil {
		return "", status.Errorf(codes.NotFound, "failed to find sandbox id %q: not found", sandboxID)
	}
	p := c.node.byUID(s.uid)
	if p == nil {
		return "", status.Errorf(codes.Internal, "there is no pod %s", s.uid)
	}
	name := config.Metadata.Name
	script := nth(p.scenario.Containers[name].Instances, counted(c.criRuntime, c.created, [2]string{s.uid, name}))
	t := c.target(s.uid, "CreateContainer")
	t.container = name
	t.entry.Container, t.entry.Attempt = name, ptr(config.Metadata.Attempt)
	if err := c.begin(ctx, t, script.Create.Takes); err != nil {
		return "", err
	}
	if script.Create.Error != "" {
		return "", c.failed(t, codes.Unknown, script.Create.Error)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.add(s, config, script).id, nil
}

func (c *cri) StartContainer(ctx context.Context, id string) error {
	x, err := c.find(id)
	if err != nil {
		return err
	}
	t := c.of(x, "StartContainer")
	if err := c.begin(ctx, t, x.script.Start.Takes); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.container[id] == nil || x.state != runtimeapi.ContainerState_CONTAINER_CREATED {
		return c.failed(t, codes.NotFound, fmt.Sprintf("container %q is not created any more", id))
	}
	message := x.script.Start.Error
	if message == "" && !x.sandbox.ready {
		message = "sandbox container is not running"
	}
	if message != "" {
		// containerd leaves a container that could not be started as one that has exited.
		now := time.Now().UnixNano()
		x.state, x.started, x.finished, x.exitCode, x.reason, x.message = runtimeapi.ContainerState_CONTAINER_EXITED, now, now, 128, "StartError", message
		close(x.done)
		return c.failed(t, codes.Unknown, message)
	}
	c.run(x)
	return nil
}

// StopContainer sends SIGTERM, waits for the grace, and sends SIGKILL. One that is given up, since the kubelet
// dies, has sent its SIGTERM all the same.
func (c *cri) StopContainer(ctx context.Context, id string, grace int64) error {
	x, err := c.find(id)
	if err != nil {
		if status.Code(err) == codes.NotFound {
			return nil
		}
		return err
	}
	t := c.of(x, "StopContainer")
	t.entry.GracePeriodSeconds = &grace
	c.k.record(t.uid, t.entry)
	if err := c.fault(ctx, t); err != nil {
		return err
	}
	kill := func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.finish(x, killed, "")
	}
	c.mu.Lock()
	running := x.running()
	c.mu.Unlock()
	switch {
	case !running:
		return nil
	case grace <= 0:
		kill()
		return nil
	}
	stop := Stop{}
	if x.script.Stop != nil {
		stop = *x.script.Stop
	}
	if !stop.Ignore {
		after(stop.After.or(latency["StopContainer"]), func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			code := int32(terminated)
			if stop.ExitCode != nil {
				code = *stop.ExitCode
			}
			c.finish(x, code, "")
		})
	}
	timer := time.NewTimer(time.Duration(grace) * time.Second)
	defer timer.Stop()
	select {
	case <-x.done:
		return nil
	case <-timer.C:
		kill()
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	case <-c.k.dead:
		return errDead
	}
}

func (c *cri) RemoveContainer(ctx context.Context, id string) error {
	x, err := c.find(id)
	if err != nil {
		if status.Code(err) == codes.NotFound {
			return nil
		}
		return err
	}
	if err := c.begin(ctx, c.of(x, "RemoveContainer"), nil); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(x)
	return nil
}

func (c *cri) ListContainers(ctx context.Context, f *runtimeapi.ContainerFilter) (out []*runtimeapi.Container, err error) {
	if err := c.alive(); err != nil {
		return nil, err
	}
	if err := c.fault(ctx, c.target(f.GetLabelSelector()[labelUID], "ListContainers")); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.each(f.GetLabelSelector(), func(s *sandbox) {
		if f.GetPodSandboxId() != "" && f.GetPodSandboxId() != s.id {
			return
		}
		for _, x := range s.containers {
			if f.GetId() != "" && f.GetId() != x.id || f.GetState() != nil && f.GetState().State != x.state || !matches(f.GetLabelSelector(), x.config.Labels) {
				continue
			}
			image := x.config.Image.GetImage()
			out = append(out, &runtimeapi.Container{Id: x.id, PodSandboxId: s.id, Metadata: x.config.Metadata, Image: x.config.Image,
				ImageRef: image, ImageId: image, State: x.state, CreatedAt: x.created, Labels: x.config.Labels, Annotations: x.config.Annotations})
		}
	})
	return out, nil
}

func (c *cri) ContainerStatus(ctx context.Context, id string, _ bool) (*runtimeapi.ContainerStatusResponse, error) {
	x, err := c.find(id)
	if err != nil {
		return nil, err
	}
	if err := c.fault(ctx, c.of(x, "ContainerStatus")); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	image := x.config.Image.GetImage()
	st := &runtimeapi.ContainerStatus{Id: x.id, Metadata: x.config.Metadata, State: x.state, CreatedAt: x.created, StartedAt: x.started,
		FinishedAt: x.finished, ExitCode: x.exitCode, Image: x.config.Image, ImageRef: image, ImageId: image, Reason: x.reason, Message: x.message,
		Labels: x.config.Labels, Annotations: x.config.Annotations, Mounts: x.mounts, LogPath: x.config.LogPath}
	if x.resources != nil {
		st.Resources = &runtimeapi.ContainerResources{Linux: copyResources(x.resources)}
	}
	return &runtimeapi.ContainerStatusResponse{Status: st}, nil
}

func (c *cri) ExecSync(ctx context.Context, id string, cmd []string, timeout time.Duration) ([]byte, []byte, error) {
	x, err := c.find(id)
	if err != nil {
		return nil, nil, err
	}
	line := strings.Join(cmd, " ")
	t := c.of(x, "ExecSync")
	t.entry.Message = line
	c.mu.Lock()
	running, age := x.running(), x.age()
	c.mu.Unlock()
	if !running {
		c.k.record(t.uid, t.entry)
		return nil, nil, c.failed(t, codes.Unknown, fmt.Sprintf("failed to exec in container: container is in %s state", x.state))
	}
	a := x.answer(line, age)
	t.entry.ExitCode = &a.ExitCode
	c.k.record(t.uid, t.entry)
	if err := c.fault(ctx, t); err != nil {
		return nil, nil, err
	}
	takes := a.Takes.or(latency["ExecSync"])
	limit := timeout.Truncate(time.Second) // the CRI's timeout is in seconds
	over := timeout > 0 && takes > limit
	if over {
		takes = limit
	}
	exited := func(code int32) error {
		return utilexec.CodeExitError{Err: fmt.Errorf("command '%s' exited with %d: %s", line, code, ""), Code: int(code)}
	}
	timer := time.NewTimer(lasting(takes, skew(line, x.name())))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-x.done:
		return nil, nil, exited(killed)
	case <-ctx.Done():
		return nil, nil, status.FromContextError(ctx.Err()).Err()
	case <-c.k.dead:
		return nil, nil, errDead
	}
	switch {
	case over:
		return nil, nil, fmt.Errorf("%w: %q timed out after %s", remote.ErrCommandTimedOut, line, timeout)
	case a.Error != "":
		return nil, nil, status.Error(codes.Unknown, a.Error)
	case a.ExitCode != 0:
		return []byte(a.Output), nil, exited(a.ExitCode)
	}
	return []byte(a.Output), nil, nil
}

// UpdateContainerResources changes limits; fields that are 0 stay as they are, as with containerd.
func (c *cri) UpdateContainerResources(ctx context.Context, id string, r *runtimeapi.ContainerResources) error {
	x, err := c.find(id)
	if err != nil {
		return err
	}
	l := r.GetLinux()
	t := c.of(x, "UpdateContainerResources")
	t.entry.Message = resourceText(l.GetCpuShares(), l.GetCpuQuota(), ptr(l.GetCpuPeriod()), l.GetMemoryLimitInBytes())
	if err := c.begin(ctx, t, nil); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !x.running() && x.state != runtimeapi.ContainerState_CONTAINER_CREATED {
		return c.failed(t, codes.Unknown, fmt.Sprintf("container %q is in %s state", id, x.state))
	}
	if x.resources == nil {
		x.resources = &runtimeapi.LinuxContainerResources{}
	}
	if v := l.GetCpuPeriod(); v != 0 {
		x.resources.CpuPeriod = v
	}
	if v := l.GetCpuQuota(); v != 0 {
		x.resources.CpuQuota = v
	}
	if v := l.GetCpuShares(); v != 0 {
		x.resources.CpuShares = v
	}
	if v := l.GetMemoryLimitInBytes(); v != 0 {
		x.resources.MemoryLimitInBytes = v
	}
	return nil
}

// resourceText is how traces say what an update asks for.
func resourceText(shares, quota int64, period *int64, memory int64) string {
	s := fmt.Sprintf("shares=%d quota=%d", shares, quota)
	if period != nil {
		s += fmt.Sprintf(" period=%d", *period)
	}
	return s + fmt.Sprintf(" memory=%d", memory)
}

func copyResources(l *runtimeapi.LinuxContainerResources) *runtimeapi.LinuxContainerResources {
	return &runtimeapi.LinuxContainerResources{CpuPeriod: l.CpuPeriod, CpuQuota: l.CpuQuota, CpuShares: l.CpuShares, MemoryLimitInBytes: l.MemoryLimitInBytes,
		OomScoreAdj: l.OomScoreAdj, CpusetCpus: l.CpusetCpus, CpusetMems: l.CpusetMems, HugepageLimits: l.HugepageLimits, Unified: l.Unified,
		MemorySwapLimitInBytes: l.MemorySwapLimitInBytes}
}

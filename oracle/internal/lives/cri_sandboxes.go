package lives

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// plegPhase puts the relists of PLEG, which begin with the kubelet, off the ticks of its sync loop, which do, too.
const plegPhase = 230 * time.Millisecond

func (c *cri) sandbox(id string) (*sandbox, error) {
	if err := c.alive(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byID[id], nil
}

// ofSandbox is a call about a sandbox.
func (c *cri) ofSandbox(s *sandbox, call string) target {
	t := c.target(s.uid, call)
	t.entry.Attempt = ptr(s.config.Metadata.Attempt)
	return t
}

func (c *cri) RunPodSandbox(ctx context.Context, config *runtimeapi.PodSandboxConfig, handler string) (string, error) {
	if err := c.alive(); err != nil {
		return "", err
	}
	uid := config.Metadata.Uid
	p := c.node.byUID(uid)
	if p == nil {
		return "", status.Errorf(codes.Internal, "there is no pod %s", uid)
	}
	script := nth(p.scenario.Sandboxes, counted(c.criRuntime, c.tried, uid))
	t := c.target(uid, "RunPodSandbox")
	t.entry.Attempt = ptr(config.Metadata.Attempt)
	if err := c.begin(ctx, t, script.Takes); err != nil {
		return "", err
	}
	if script.Error != "" {
		return "", c.failed(t, codes.Unknown, script.Error)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.addSandbox(uid, handler, config, script, p.ip()).id, nil
}

func (c *cri) StopPodSandbox(ctx context.Context, id string) error {
	s, err := c.sandbox(id)
	if err != nil || s == nil {
		return err
	}
	if err := c.begin(ctx, c.ofSandbox(s, "StopPodSandbox"), nil); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopSandbox(s, false)
	return nil
}

func (c *cri) RemovePodSandbox(ctx context.Context, id string) error {
	s, err := c.sandbox(id)
	if err != nil || s == nil {
		return err
	}
	if err := c.begin(ctx, c.ofSandbox(s, "RemovePodSandbox"), nil); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID[id] != nil {
		c.removeSandbox(s)
	}
	return nil
}

func (c *cri) PodSandboxStatus(ctx context.Context, id string, _ bool) (*runtimeapi.PodSandboxStatusResponse, error) {
	s, err := c.sandbox(id)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, status.Error(codes.NotFound, "an error occurred when try to find sandbox: not found")
	}
	if err := c.fault(ctx, c.ofSandbox(s, "PodSandboxStatus")); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	st := &runtimeapi.PodSandboxStatus{Id: s.id, Metadata: s.config.Metadata, State: s.state(), CreatedAt: s.created,
		Labels: s.config.Labels, Annotations: s.config.Annotations, RuntimeHandler: s.handler}
	if s.ready {
		st.Network = &runtimeapi.PodSandboxNetworkStatus{Ip: s.ip}
	}
	if sc := s.config.GetLinux().GetSecurityContext(); sc != nil {
		st.Linux = &runtimeapi.LinuxPodSandboxStatus{Namespaces: &runtimeapi.Namespace{Options: sc.NamespaceOptions}}
	}
	return &runtimeapi.PodSandboxStatusResponse{Status: st}, nil
}

func (c *cri) ListPodSandbox(ctx context.Context, f *runtimeapi.PodSandboxFilter) (out []*runtimeapi.PodSandbox, err error) {
	if err := c.alive(); err != nil {
		return nil, err
	}
	if time.Since(c.k.started) < time.Millisecond {
		time.Sleep(plegPhase)
	}
	if err := c.fault(ctx, c.target(f.GetLabelSelector()[labelUID], "ListPodSandbox")); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.each(f.GetLabelSelector(), func(s *sandbox) {
		if f.GetId() != "" && f.GetId() != s.id || f.GetState() != nil && f.GetState().State != s.state() || !matches(f.GetLabelSelector(), s.config.Labels) {
			return
		}
		out = append(out, &runtimeapi.PodSandbox{Id: s.id, Metadata: s.config.Metadata, State: s.state(), CreatedAt: s.created,
			Labels: s.config.Labels, Annotations: s.config.Annotations, RuntimeHandler: s.handler})
	})
	return out, nil
}

// UpdatePodSandboxResources tells the runtime of a pod's new resources; nothing here depends on them.
func (c *cri) UpdatePodSandboxResources(ctx context.Context, r *runtimeapi.UpdatePodSandboxResourcesRequest) (*runtimeapi.UpdatePodSandboxResourcesResponse, error) {
	s, err := c.sandbox(r.GetPodSandboxId())
	if err != nil {
		return nil, err
	}
	if s != nil {
		l := r.GetResources()
		t := c.ofSandbox(s, "UpdatePodSandboxResources")
		t.entry.Message = resourceText(l.GetCpuShares(), l.GetCpuQuota(), nil, l.GetMemoryLimitInBytes())
		if err := c.begin(ctx, t, nil); err != nil {
			return nil, err
		}
	}
	return &runtimeapi.UpdatePodSandboxResourcesResponse{}, nil
}

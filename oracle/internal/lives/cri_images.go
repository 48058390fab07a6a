package lives

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// sameImage compares names of images; the kubelet adds the tag latest.
func sameImage(a, b string) bool {
	return a == b || strings.TrimSuffix(a, ":latest") == strings.TrimSuffix(b, ":latest")
}

// image is the scenario's script of an image.
func (p *pod) image(name string) (Image, bool) {
	if i, ok := p.scenario.Images[name]; ok {
		return i, true
	}
	for k, i := range p.scenario.Images {
		if sameImage(k, name) {
			return i, true
		}
	}
	return Image{}, false
}

// ofImage is a call about an image of a pod.
func (c *criImages) ofImage(s *runtimeapi.ImageSpec, call string) (target, *pod) {
	p := c.node.byUID(s.GetAnnotations()[annoPod])
	if p == nil {
		return target{}, nil
	}
	t := c.target(p.uid, call)
	t.image = s.GetImage()
	t.entry.Message = strings.TrimSuffix(s.GetImage(), ":latest")
	return t, p
}

func (c *criImages) ListImages(context.Context, *runtimeapi.ImageFilter) ([]*runtimeapi.Image, error) {
	return nil, c.alive()
}

// ImageStatus answers by pod: pods that share a node for speed must not share their images.
func (c *criImages) ImageStatus(ctx context.Context, s *runtimeapi.ImageSpec, _ bool) (*runtimeapi.ImageStatusResponse, error) {
	t, p := c.ofImage(s, "ImageStatus")
	if err := c.alive(); err != nil || p == nil {
		return &runtimeapi.ImageStatusResponse{}, err
	}
	if err := c.fault(ctx, t); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if i, ok := p.image(t.image); ok && !i.Present && !c.present[[2]string{p.uid, t.image}] {
		return &runtimeapi.ImageStatusResponse{}, nil
	}
	return &runtimeapi.ImageStatusResponse{Image: &runtimeapi.Image{Id: s.Image, RepoTags: []string{s.Image}, Size: 1000, Spec: s}}, nil
}

func (c *criImages) PullImage(ctx context.Context, s *runtimeapi.ImageSpec, _ *runtimeapi.AuthConfig, _ *runtimeapi.PodSandboxConfig) (string, error) {
	if err := c.alive(); err != nil {
		return "", err
	}
	t, p := c.ofImage(s, "PullImage")
	if p == nil {
		return "", status.Errorf(codes.Internal, "there is no pod that wants the image %q", s.GetImage())
	}
	key := [2]string{p.uid, t.image}
	n := counted(c.criRuntime, c.pulled, key)
	image, _ := p.image(t.image)
	pull := nth(image.Pulls, n)
	t.entry.Attempt = ptr(uint32(n))
	if err := c.begin(ctx, t, pull.Takes); err != nil {
		return "", err
	}
	if pull.Error != "" {
		return "", c.failed(t, codes.Unknown, pull.Error)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.present[key] = true
	t.entry.Outcome = "done"
	c.k.record(p.uid, t.entry)
	return s.Image, nil
}

func (c *criImages) RemoveImage(context.Context, *runtimeapi.ImageSpec) error { return c.alive() }

func (c *criImages) ImageFsInfo(context.Context) (*runtimeapi.ImageFsInfoResponse, error) {
	fs := []*runtimeapi.FilesystemUsage{{Timestamp: time.Now().UnixNano(), FsId: &runtimeapi.FilesystemIdentifier{Mountpoint: "/tmp"},
		UsedBytes: &runtimeapi.UInt64Value{}, InodesUsed: &runtimeapi.UInt64Value{}}}
	return &runtimeapi.ImageFsInfoResponse{ImageFilesystems: fs, ContainerFilesystems: fs}, c.alive()
}

package functions

import (
	"encoding/json"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kubernetes/pkg/registry/core/pod"

	"podinit.dev/oracle/internal/protocol"
)

type updateRequest struct {
	// Old is the stored object, New the body of a PUT request.
	Old         json.RawMessage `json:"old"`
	New         json.RawMessage `json:"new"`
	Subresource string          `json:"subresource"`
}

// podSubresources are those of a pod that can be updated.
var podSubresources = map[string]strategy{
	"":                    pod.Strategy,
	"status":              pod.StatusStrategy,
	"resize":              pod.ResizeStrategy,
	"ephemeralcontainers": pod.EphemeralContainersStrategy,
}

// read gives both objects and the strategy of a request.
func (request updateRequest) read() (old, updated runtime.Object, kind schema.GroupVersionKind, s strategy, err error) {
	old, kind, err = readWorkload(request.Old, "old")
	if err != nil {
		return
	}
	updated, newKind, err := readWorkload(request.New, "new")
	if err != nil {
		return
	}
	if newKind != kind {
		err = protocol.Errorf(protocol.Invalid, "new: its kind is %s of %s, and that of old is %s of %s", newKind.Kind, newKind.GroupVersion(), kind.Kind, kind.GroupVersion())
		return
	}
	s = workloads[kind].strategy
	if request.Subresource == "" {
		return
	}
	ok := false
	if s, ok = podSubresources[request.Subresource]; !ok || kind.Kind != "Pod" {
		err = protocol.Errorf(protocol.Invalid, "subresource: %q of a %s can't be updated; a Pod has status, resize and ephemeralcontainers",
			request.Subresource, kind.Kind)
	}
	return
}

func update(request updateRequest) (any, error) {
	old, updated, kind, s, err := request.read()
	if err != nil {
		return nil, err
	}
	return replace(old, updated, kind, s, request.Subresource)
}

// replace does to an object what the apiserver does between reading and storing it, but for admission plug-ins.
func replace(old, updated runtime.Object, kind schema.GroupVersionKind, s strategy, subresource string) (verdict, error) {
	oldMeta, err := meta.Accessor(old)
	if err != nil {
		return verdict{}, err
	}
	m, err := meta.Accessor(updated)
	if err != nil {
		return verdict{}, err
	}
	// What is stored has a namespace and a version; an update without them means the one that is stored.
	if oldMeta.GetNamespace() == "" {
		oldMeta.SetNamespace(metav1.NamespaceDefault)
	}
	if oldMeta.GetResourceVersion() == "" {
		oldMeta.SetResourceVersion("1")
	}
	if m.GetNamespace() == "" {
		m.SetNamespace(oldMeta.GetNamespace())
	}
	if m.GetResourceVersion() == "" {
		m.SetResourceVersion(oldMeta.GetResourceVersion())
	}
	w := &warnings{}
	ctx := requestContext(kind, "update", subresource, m, w)
	err = rest.BeforeUpdate(s, ctx, updated, old)
	errors := fieldErrors(err, func() field.ErrorList { return updateErrors(ctx, updated, old, s) })
	return verdict{Errors: errors, Warnings: w.sorted()}, nil
}

func prepareUpdate(request updateRequest) ([]protocol.Benchmark, error) {
	old, updated, kind, s, err := request.read()
	if err != nil {
		return nil, err
	}
	return []protocol.Benchmark{{
		Function: "rest.BeforeUpdate" + strings.TrimSuffix(" ("+request.Subresource+")", " ()"),
		Given:    "both decoded objects, of which copies are made each time",
		Run: func() {
			_, _ = replace(old.DeepCopyObject(), updated.DeepCopyObject(), kind, s, request.Subresource)
		},
	}}, nil
}

package functions

import (
	"encoding/json"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kubernetes/pkg/api/legacyscheme"

	"podinit.dev/oracle/internal/protocol"
)

type createdRequest struct {
	// Object is a new pod, or a workload.
	Object json.RawMessage `json:"object"`
}

// createdAnswer is the object as it would be stored, if nothing of it were refused.
type createdAnswer struct {
	Object runtime.Object `json:"object"`
}

func asCreated(request createdRequest) (any, error) {
	object, kind, err := readWorkload(request.Object, "object")
	if err != nil {
		return nil, err
	}
	if err := prepareForCreate(object, kind); err != nil {
		return nil, err
	}
	stored, err := legacyscheme.Scheme.ConvertToVersion(object, kind.GroupVersion())
	if err != nil {
		return nil, err
	}
	return createdAnswer{Object: stored}, nil
}

// prepareForCreate is the part of a creation that changes the object, but for what the system fills in.
func prepareForCreate(object runtime.Object, kind schema.GroupVersionKind) error {
	m, err := meta.Accessor(object)
	if err != nil {
		return err
	}
	if m.GetNamespace() == "" {
		m.SetNamespace(metav1.NamespaceDefault)
	}
	workloads[kind].PrepareForCreate(requestContext(kind, "create", "", m, &warnings{}), object)
	return nil
}

func prepareCreated(request createdRequest) ([]protocol.Benchmark, error) {
	object, kind, err := readWorkload(request.Object, "object")
	if err != nil {
		return nil, err
	}
	return []protocol.Benchmark{{
		Function: "Strategy.PrepareForCreate",
		Given:    "the decoded object with its defaults, of which a copy is made each time",
		Run:      func() { _ = prepareForCreate(object.DeepCopyObject(), kind) },
	}}, nil
}

package functions

import (
	"encoding/json"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/kubernetes/pkg/api/legacyscheme"

	"podinit.dev/oracle/internal/protocol"
)

type defaultsRequest struct {
	// Object is a pod, or has a template of pods.
	Object json.RawMessage `json:"object"`
}

type defaultsAnswer struct {
	Object runtime.Object `json:"object"`
}

// readVersioned reads the object of a request as it is, into the published type.
func (request defaultsRequest) readVersioned() (runtime.Object, error) {
	if !given(request.Object) {
		return nil, missing("object")
	}
	kind, err := workloadKind(request.Object, "object")
	if err != nil {
		return nil, err
	}
	object, err := legacyscheme.Scheme.New(kind)
	if err != nil {
		return nil, err
	}
	if _, _, err := strictJSON.Decode(request.Object, &kind, object); err != nil {
		return nil, protocol.Errorf(protocol.Refused, "object: %s", err)
	}
	object.GetObjectKind().SetGroupVersionKind(kind)
	return object, nil
}

func defaults(request defaultsRequest) (any, error) {
	object, err := request.readVersioned()
	if err != nil {
		return nil, err
	}
	legacyscheme.Scheme.Default(object)
	return defaultsAnswer{Object: object}, nil
}

func prepareDefaults(request defaultsRequest) ([]protocol.Benchmark, error) {
	object, err := request.readVersioned()
	if err != nil {
		return nil, err
	}
	return []protocol.Benchmark{{
		Function: "Scheme.Default",
		Given:    "the decoded object, of which a copy is made each time",
		Run:      func() { legacyscheme.Scheme.Default(object.DeepCopyObject()) },
	}}, nil
}

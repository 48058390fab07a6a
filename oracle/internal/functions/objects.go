package functions

import (
	"encoding/json"
	"fmt"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	_ "k8s.io/kubernetes/pkg/apis/batch/install"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	"k8s.io/kubernetes/pkg/registry/apps/daemonset"
	"k8s.io/kubernetes/pkg/registry/apps/deployment"
	"k8s.io/kubernetes/pkg/registry/apps/replicaset"
	"k8s.io/kubernetes/pkg/registry/apps/statefulset"
	"k8s.io/kubernetes/pkg/registry/batch/cronjob"
	"k8s.io/kubernetes/pkg/registry/batch/job"
	"k8s.io/kubernetes/pkg/registry/core/pod"
	"k8s.io/kubernetes/pkg/registry/core/podtemplate"
	"k8s.io/kubernetes/pkg/registry/core/replicationcontroller"

	"podinit.dev/oracle/internal/protocol"
)

// strategy is what the apiserver does to objects of a kind before it stores them.
type strategy interface {
	rest.RESTCreateStrategy
	rest.RESTUpdateStrategy
}

// workload is a kind that this package can have created and updated.
type workload struct {
	resource string
	strategy
}

// workloads are pods and the kinds that hold a template of pods, in the versions that are served.
var workloads = map[schema.GroupVersionKind]workload{
	{Version: "v1", Kind: "Pod"}:                        {"pods", pod.Strategy},
	{Version: "v1", Kind: "PodTemplate"}:                {"podtemplates", podtemplate.Strategy},
	{Version: "v1", Kind: "ReplicationController"}:      {"replicationcontrollers", replicationcontroller.Strategy},
	{Group: "apps", Version: "v1", Kind: "DaemonSet"}:   {"daemonsets", daemonset.Strategy},
	{Group: "apps", Version: "v1", Kind: "Deployment"}:  {"deployments", deployment.Strategy},
	{Group: "apps", Version: "v1", Kind: "ReplicaSet"}:  {"replicasets", replicaset.Strategy},
	{Group: "apps", Version: "v1", Kind: "StatefulSet"}: {"statefulsets", statefulset.Strategy},
	{Group: "batch", Version: "v1", Kind: "CronJob"}:    {"cronjobs", cronjob.Strategy},
	{Group: "batch", Version: "v1", Kind: "Job"}:        {"jobs", job.Strategy},
}

// strictJSON reads JSON into the types of the published API, unknown and duplicate fields being errors, as the
// apiserver does for a request that asks for strict field validation.
var strictJSON = func() runtime.Serializer {
	info, ok := runtime.SerializerInfoForMediaType(legacyscheme.Codecs.SupportedMediaTypes(), runtime.ContentTypeJSON)
	if !ok {
		panic("functions: Kubernetes reads no JSON")
	}
	return info.StrictSerializer
}()

// internal reads JSON as the apiserver reads a request's body: strictly, with defaults, into the type that its
// strategies work on.
func internal(raw []byte, kind schema.GroupVersionKind) (runtime.Object, error) {
	hub := schema.GroupVersion{Group: kind.Group, Version: runtime.APIVersionInternal}
	into, err := legacyscheme.Scheme.New(hub.WithKind(kind.Kind))
	if err != nil {
		return nil, err
	}
	object, _, err := legacyscheme.Codecs.DecoderToVersion(strictJSON, hub).Decode(raw, &kind, into)
	if err != nil {
		return nil, err
	}
	return object, nil
}

// readWorkload reads an object of a request that is of one of the workload kinds. An object without a kind is a pod.
func readWorkload(raw json.RawMessage, field string) (runtime.Object, schema.GroupVersionKind, error) {
	if !given(raw) {
		return nil, schema.GroupVersionKind{}, missing(field)
	}
	kind, err := workloadKind(raw, field)
	if err != nil {
		return nil, kind, err
	}
	object, err := internal(raw, kind)
	if err != nil {
		return nil, kind, protocol.Errorf(protocol.Refused, "%s: %s", field, err)
	}
	return object, kind, nil
}

// workloadKind is the kind of an object of a request.
func workloadKind(raw json.RawMessage, field string) (schema.GroupVersionKind, error) {
	var meta runtime.TypeMeta
	if err := json.Unmarshal(raw, &meta); err != nil {
		return schema.GroupVersionKind{}, protocol.Errorf(protocol.Invalid, "%s: an object is expected: %s", field, err)
	}
	if meta.APIVersion == "" && meta.Kind == "" {
		return v1.SchemeGroupVersion.WithKind("Pod"), nil
	}
	kind := schema.FromAPIVersionAndKind(meta.APIVersion, meta.Kind)
	if _, ok := workloads[kind]; !ok {
		return kind, protocol.Errorf(protocol.Invalid, "%s: kind %q of apiVersion %q is no pod and has no template of pods", field, meta.Kind, meta.APIVersion)
	}
	return kind, nil
}

// readPod reads a pod of a request as it is, without defaults.
func readPod(raw json.RawMessage, field string) (*v1.Pod, error) {
	var p v1.Pod
	if err := readStrictly(raw, field, "Pod", &p); err != nil {
		return nil, err
	}
	return &p, nil
}

// readStrictly reads an object of the published API as it is. The object may say its kind, or leave it out.
func readStrictly(raw json.RawMessage, field, kind string, into runtime.Object) error {
	if !given(raw) {
		return missing(field)
	}
	expected := v1.SchemeGroupVersion.WithKind(kind)
	_, actual, err := strictJSON.Decode(raw, &expected, into)
	if err == nil && *actual != expected {
		err = fmt.Errorf("its kind is %s of %s, not %s of v1", actual.Kind, actual.GroupVersion(), kind)
	}
	if err != nil {
		return protocol.Errorf(protocol.Refused, "%s: %s", field, err)
	}
	return nil
}

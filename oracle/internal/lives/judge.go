package lives

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install" // the versions and defaults of pods
	schedulingv1 "k8s.io/kubernetes/pkg/apis/scheduling/v1"
	podregistry "k8s.io/kubernetes/pkg/registry/core/pod"
	kjson "sigs.k8s.io/json"

	"podinit.dev/oracle/internal/protocol"
)

func refused(err error) error {
	return protocol.Errorf(protocol.Refused, "%s", err)
}

// request is the context of a request to the API; since 1.37 validation asks it for the subresource.
func request(verb, ns, subresource string) context.Context {
	ctx := genericapirequest.WithNamespace(genericapirequest.NewContext(), ns)
	return genericapirequest.WithRequestInfo(ctx, &genericapirequest.RequestInfo{IsResourceRequest: true, Verb: verb, APIPrefix: "api",
		APIVersion: "v1", Namespace: ns, Resource: "pods", Subresource: subresource})
}

// strict reads an object as the API reads it with strict field validation.
func strict(raw json.RawMessage, v any) error {
	unknown, err := kjson.UnmarshalStrict(raw, v)
	if err != nil {
		return err
	}
	if len(unknown) > 0 {
		l := make([]string, len(unknown))
		for i, e := range unknown {
			l[i] = e.Error()
		}
		return errors.New("strict decoding error: " + strings.Join(l, ", "))
	}
	return nil
}

// judge reads a pod and does to it what the API server does at its creation: defaults, generated fields and
// validation. A pod without a name gets the one that is given.
func judge(raw json.RawMessage, name string) (*v1.Pod, error) {
	pod := &v1.Pod{}
	if err := strict(raw, pod); err != nil {
		return nil, refused(err)
	}
	if pod.Kind != "" && pod.Kind != "Pod" || pod.APIVersion != "" && pod.APIVersion != "v1" {
		return nil, refused(fmt.Errorf("%s %s is no v1 Pod", pod.APIVersion, pod.Kind))
	}
	if pod.Name == "" && pod.GenerateName == "" {
		pod.Name = name
	}
	if pod.Namespace == "" {
		pod.Namespace = metav1.NamespaceDefault
	}
	if pod.Spec.ServiceAccountName == "" && pod.Spec.DeprecatedServiceAccount == "" {
		pod.Spec.ServiceAccountName = "default" // by admission
	}
	if pod.Spec.Priority == nil {
		for _, c := range schedulingv1.SystemPriorityClasses() {
			if c.Name == pod.Spec.PriorityClassName {
				pod.Spec.Priority = ptr(c.Value) // by admission
			}
		}
	}
	legacyscheme.Scheme.Default(pod)
	internal, err := toInternal(pod)
	if err != nil {
		return nil, refused(err)
	}
	rest.FillObjectMetaSystemFields(internal)
	if err := rest.BeforeCreate(podregistry.Strategy, request("create", pod.Namespace, ""), internal); err != nil {
		return nil, refused(err)
	}
	if len(internal.Spec.SchedulingGates) > 0 {
		return nil, invalid("pod.spec.schedulingGates: a pod that has gates is not scheduled, and no kubelet sees it")
	}
	return toV1(internal)
}

func toInternal(pod *v1.Pod) (*core.Pod, error) {
	out := &core.Pod{}
	return out, legacyscheme.Scheme.Convert(pod, out, nil)
}

func toV1(pod *core.Pod) (*v1.Pod, error) {
	out := &v1.Pod{}
	return out, legacyscheme.Scheme.Convert(pod, out, nil)
}

// merged applies a strategic merge patch as the API server does: the result is read strictly and gets defaults.
func merged(old *v1.Pod, patch json.RawMessage) (*v1.Pod, error) {
	was, err := json.Marshal(old)
	if err != nil {
		return nil, err
	}
	is, err := strategicpatch.StrategicMergePatch(was, patch, v1.Pod{})
	if err != nil {
		return nil, err
	}
	pod := &v1.Pod{}
	if err := strict(is, pod); err != nil {
		return nil, err
	}
	legacyscheme.Scheme.Default(pod)
	return pod, nil
}

// update does what the API server does at an update of a subresource.
func update(subresource string, old, pod *v1.Pod) (*v1.Pod, error) {
	was, err := toInternal(old)
	if err != nil {
		return nil, err
	}
	is, err := toInternal(pod)
	if err != nil {
		return nil, err
	}
	if err := rest.BeforeUpdate(strategyOf(subresource), request("update", old.Namespace, subresource), is, was); err != nil {
		return nil, err
	}
	return toV1(is)
}

// strategyOf is the strategy of a subresource.
func strategyOf(subresource string) rest.RESTUpdateStrategy {
	switch subresource {
	case "status":
		return podregistry.StatusStrategy
	case "resize":
		return podregistry.ResizeStrategy
	case "ephemeralcontainers":
		return podregistry.EphemeralContainersStrategy
	}
	return podregistry.Strategy
}

// withEphemeral adds an ephemeral container.
func withEphemeral(old *v1.Pod, raw json.RawMessage) (*v1.Pod, error) {
	c := v1.EphemeralContainer{}
	if err := strict(raw, &c); err != nil {
		return nil, err
	}
	pod := old.DeepCopy()
	pod.Spec.EphemeralContainers = append(pod.Spec.EphemeralContainers, c)
	legacyscheme.Scheme.Default(pod)
	return pod, nil
}

// withImage changes the image of a container.
func withImage(old *v1.Pod, name, image string) (*v1.Pod, error) {
	pod := old.DeepCopy()
	for _, l := range [][]v1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		if i := slices.IndexFunc(l, func(c v1.Container) bool { return c.Name == name }); i >= 0 {
			l[i].Image = image
			return pod, nil
		}
	}
	return nil, apierrors.NewBadRequest(fmt.Sprintf("the spec has no container %q whose image could be changed", name))
}

// uidOf is the UID of the n-th pod of a node.
func uidOf(n int) types.UID { return types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012x", n)) }

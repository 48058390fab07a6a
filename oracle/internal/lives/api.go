package lives

import (
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/apiserver/pkg/registry/rest"
	kubetypes "k8s.io/kubernetes/pkg/kubelet/types"
	podregistry "k8s.io/kubernetes/pkg/registry/core/pod"
)

var podResource = schema.GroupResource{Resource: "pods"}

// podKey is how pods are found.
type podKey struct{ namespace, name string }

func keyOf(p *v1.Pod) podKey { return podKey{p.Namespace, p.Name} }

// api is what the API server holds of the pods.
type api struct {
	node *node

	mu      sync.Mutex
	version int
	pods    map[podKey]*v1.Pod
	// mirrors are all mirror pods that there ever were.
	mirrors []*v1.Pod
	watcher *instance
}

func (a *api) notify(c change) {
	if a.watcher != nil {
		a.watcher.push(c)
	}
}

// store takes a new version of a pod. a.mu is held.
func (a *api) store(p *v1.Pod) {
	a.version++
	p.ResourceVersion = strconv.Itoa(a.version)
	a.pods[keyOf(p)] = p
	a.notify(change{pod: p})
}

// create takes a pod that was judged.
func (a *api) create(p *v1.Pod) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.node.record(string(p.UID), Entry{Kind: kindAPI, Op: "created"})
	a.store(p)
}

// remove takes a pod out of the store. a.mu is held.
func (a *api) remove(p *v1.Pod) {
	delete(a.pods, keyOf(p))
	a.node.record(string(p.UID), Entry{Kind: kindAPI, Op: "removed"})
	a.notify(change{pod: p, gone: true})
}

func (a *api) find(k podKey) (*v1.Pod, error) {
	if p := a.pods[k]; p != nil {
		return p, nil
	}
	return nil, apierrors.NewNotFound(podResource, k.name)
}

// update is an update by others than the kubelet: f makes the new pod of the old one. If it goes through, the trace
// gets the entry.
func (a *api) update(k podKey, subresource string, e Entry, f func(*v1.Pod) (*v1.Pod, error)) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	old, err := a.find(k)
	if err != nil {
		return err
	}
	pod, err := f(old)
	if err != nil {
		return err
	}
	pod, err = update(subresource, old, pod)
	if err != nil {
		return err
	}
	a.node.record(string(old.UID), e)
	if apiequality.Semantic.DeepEqual(old, pod) {
		return nil
	}
	if pod.DeletionTimestamp != nil && *pod.DeletionGracePeriodSeconds == 0 && len(pod.Finalizers) == 0 {
		a.remove(pod) // the last finalizer went away
		return nil
	}
	a.store(pod)
	return nil
}

// delete is a DELETE.
func (a *api) delete(k podKey, o metav1.DeleteOptions) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	old, err := a.find(k)
	if err != nil {
		return err
	}
	return a.deleteLocked(old, o)
}

func (a *api) deleteLocked(old *v1.Pod, o metav1.DeleteOptions) error {
	internal, err := toInternal(old)
	if err != nil {
		return err
	}
	graceful, pending, err := rest.BeforeDelete(podregistry.Strategy, request("delete", old.Namespace, ""), internal, &o)
	if err != nil || pending {
		return err
	}
	pod, err := toV1(internal)
	if err != nil {
		return err
	}
	if !graceful && pod.DeletionTimestamp == nil {
		pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = ptr(metav1.Now()), new(int64)
	}
	if pod.DeletionGracePeriodSeconds != nil && *pod.DeletionGracePeriodSeconds > 0 {
		a.node.record(string(pod.UID), Entry{Kind: kindAPI, Op: "deleted", GracePeriodSeconds: pod.DeletionGracePeriodSeconds})
		a.store(truncated(pod))
		return nil
	}
	if len(pod.Finalizers) > 0 {
		a.store(truncated(pod))
		return nil
	}
	a.remove(old)
	return nil
}

// truncated gives a pod the precision that times have in the API.
func truncated(p *v1.Pod) *v1.Pod {
	if p.DeletionTimestamp != nil {
		p.DeletionTimestamp = ptr(metav1.NewTime(p.DeletionTimestamp.Truncate(time.Second)))
	}
	return p
}

// patchStatus is the kubelet's patch of a status. It is not validated, for speed; the kubelet's own are valid.
func (a *api) patchStatus(k podKey, patch []byte) (*v1.Pod, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	old, err := a.find(k)
	if err != nil {
		return nil, err
	}
	// Only what a status patch can name is merged: the rest of the pod is large.
	was, err := json.Marshal(v1.Pod{ObjectMeta: metav1.ObjectMeta{UID: old.UID}, Status: old.Status})
	if err != nil {
		return nil, err
	}
	is, err := strategicpatch.StrategicMergePatch(was, patch, v1.Pod{})
	if err != nil {
		return nil, err
	}
	var q v1.Pod
	if err := json.Unmarshal(is, &q); err != nil {
		return nil, err
	}
	if q.UID != old.UID {
		return nil, apierrors.NewConflict(podResource, k.name, fmt.Errorf("the UID in the precondition (%s) does not match the UID in record (%s)", q.UID, old.UID))
	}
	p := *old // what is stored is never changed in place
	p.Status = q.Status
	a.store(&p)
	return &p, nil
}

// createMirror is the kubelet's creation of a mirror pod.
func (a *api) createMirror(ns string, pod *v1.Pod) (*v1.Pod, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pods[podKey{ns, pod.Name}] != nil {
		// The kubelet reads the annotations even so: a client gives an empty pod, not nil.
		return &v1.Pod{}, apierrors.NewAlreadyExists(podResource, pod.Name)
	}
	hash := pod.Annotations[kubetypes.ConfigHashAnnotationKey]
	q := pod.DeepCopy()
	q.UID = types.UID(fmt.Sprintf("mirror-%d-of-%s", len(a.mirrors)+1, hash))
	q.CreationTimestamp, q.Generation = metav1.NewTime(time.Now().Truncate(time.Second)), 1
	q.Status = v1.PodStatus{Phase: v1.PodPending, QOSClass: pod.Status.QOSClass}
	a.mirrors = append(a.mirrors, q)
	a.node.alias(string(q.UID), hash)
	a.node.record(string(q.UID), Entry{Kind: kindAPI, Op: "mirrorCreated"})
	a.store(q)
	return q.DeepCopy(), nil
}

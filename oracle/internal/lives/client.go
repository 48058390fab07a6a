package lives

import (
	"context"
	"encoding/json"
	"fmt"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
)

// client is one kubelet's connection to the API. Pods are ours, the rest is client-go's fake. (That it embeds the
// fake says to the informers that it can't watch lists, for which they would wait.)
type client struct {
	*fake.Clientset
	k *instance
}

func (c *client) CoreV1() corev1client.CoreV1Interface {
	return &coreV1{c.Clientset.CoreV1(), c.k}
}

type coreV1 struct {
	corev1client.CoreV1Interface
	k *instance
}

func (c *coreV1) Pods(ns string) corev1client.PodInterface {
	return &podClient{c.CoreV1Interface.Pods(ns), c.k, ns}
}

type podClient struct {
	corev1client.PodInterface
	k  *instance
	ns string
}

func (c *podClient) Get(_ context.Context, name string, _ metav1.GetOptions) (*v1.Pod, error) {
	if c.k.isDead() {
		return nil, errDead
	}
	a := c.k.node.api
	a.mu.Lock()
	defer a.mu.Unlock()
	p, err := a.find(podKey{c.ns, name})
	if err != nil {
		return nil, err
	}
	return p.DeepCopy(), nil
}

func (c *podClient) Patch(_ context.Context, name string, pt types.PatchType, data []byte, _ metav1.PatchOptions, sub ...string) (*v1.Pod, error) {
	if c.k.isDead() {
		return nil, errDead
	}
	if pt != types.StrategicMergePatchType || len(sub) != 1 || sub[0] != "status" {
		return nil, fmt.Errorf("the oracle knows no patch of type %s of the subresource %v", pt, sub)
	}
	p, err := c.k.node.api.patchStatus(podKey{c.ns, name}, data)
	if err != nil {
		return nil, err
	}
	s, err := json.Marshal(p.Status)
	if err != nil {
		return nil, err
	}
	c.k.record(string(p.UID), Entry{Kind: kindStatus, Status: s})
	return p.DeepCopy(), nil
}

// Create: kubelets create mirror pods.
func (c *podClient) Create(_ context.Context, pod *v1.Pod, _ metav1.CreateOptions) (*v1.Pod, error) {
	if c.k.isDead() {
		return nil, errDead
	}
	return c.k.node.api.createMirror(c.ns, pod)
}

func (c *podClient) Delete(_ context.Context, name string, o metav1.DeleteOptions) error {
	if c.k.isDead() {
		return errDead
	}
	a := c.k.node.api
	a.mu.Lock()
	defer a.mu.Unlock()
	p, err := a.find(podKey{c.ns, name})
	if err != nil {
		return err
	}
	c.k.record(string(p.UID), Entry{Kind: kindAPI, Op: "kubeletDelete", GracePeriodSeconds: o.GracePeriodSeconds})
	return a.deleteLocked(p, o)
}

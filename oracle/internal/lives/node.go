package lives

import (
	"fmt"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	kubetypes "k8s.io/kubernetes/pkg/kubelet/types"
)

const nodeName = "node"

const (
	// More than pods ask for, if the scenario does not say what there is.
	plentyCPU    = 100_000
	plentyMemory = 1 << 50
)

// pod is one pod of a node.
type pod struct {
	uid      string
	index    int
	static   bool
	scenario *Scenario
	// object is the pod as it arrives.
	object *v1.Pod
	// hidden pods are the oracle's own.
	hidden bool

	arrived time.Time
	// with the node's mu held
	trace   []Entry
	endless bool
	faults  map[int]int
}

func (p *pod) key() podKey { return keyOf(p.object) }

// ip is the address of the pod's sandboxes.
func (p *pod) ip() string {
	return fmt.Sprintf("10.%d.%d.%d", p.index/65536%256, p.index/256%256, p.index%256)
}

// node is one node with its pods, in one bubble.
type node struct {
	root    string
	spec    Node
	maxPods int
	// shared: several lives are on it.
	shared  bool
	api     *api
	runtime *criRuntime
	cluster *fake.Clientset
	logind  *logind
	// overflow is closed when a trace is too long.
	overflow chan struct{}

	mu       sync.Mutex
	pods     map[string]*pod // by UID
	list     []*pod
	static   []*pod
	kubelet  *instance
	kubelets int
	// downUntil is when the kubelet comes back.
	downUntil time.Time
	// memory is the capacity; available is what is left of it, or less than 0: what the containers leave.
	memory, available int64
	full              bool
}

func newNode(root string, maxPods int, spec *Node) *node {
	n := &node{root: root, maxPods: maxPods, pods: map[string]*pod{}, overflow: make(chan struct{}), memory: plentyMemory}
	if spec != nil {
		n.spec = *spec
	}
	if n.spec.Memory != nil {
		n.memory = n.spec.Memory.Value()
	}
	n.available = n.memory
	n.logind = &logind{node: n, events: make(chan bool)}
	systemDbus = func() (inhibiter, error) { return n.logind, nil }
	n.api = &api{node: n, pods: map[podKey]*v1.Pod{}}
	n.runtime = newRuntime(n)
	all := n.capacity()
	// The node is there and ready before the kubelet is: a kubelet that registers itself sleeps with a mutex held
	// for which another of its goroutines waits, and time would stand still.
	// (The simple fake has no field managers, which nothing here needs and which take long to make.)
	n.cluster = fake.NewSimpleClientset(&v1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName, UID: "node-uid", Labels: map[string]string{
		v1.LabelHostname: nodeName, v1.LabelOSStable: "linux", v1.LabelArchStable: "amd64"}},
		Status: v1.NodeStatus{Capacity: all, Allocatable: all, Conditions: []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionTrue, Reason: "KubeletReady"}}}})
	return n
}

func (n *node) cpu() resource.Quantity {
	if n.spec.CPU != nil {
		return n.spec.CPU.Quantity
	}
	return *resource.NewQuantity(plentyCPU, resource.DecimalSI)
}

func (n *node) capacity() v1.ResourceList {
	return v1.ResourceList{v1.ResourceCPU: n.cpu(), v1.ResourceMemory: *resource.NewQuantity(n.memory, resource.BinarySI),
		v1.ResourcePods: *resource.NewQuantity(int64(n.maxPods), resource.DecimalSI)}
}

func (n *node) byUID(uid string) *pod {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.pods[uid]
}

// alias makes a mirror pod's UID mean the static pod.
func (n *node) alias(uid, of string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p := n.pods[of]; p != nil {
		n.pods[uid] = p
	}
}

// order are the pods in the order of their arrival.
func (n *node) order() []*pod {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.list
}

// current is the kubelet that runs, or nil.
func (n *node) current() *instance {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.kubelet == nil || n.kubelet.isDead() {
		return nil
	}
	return n.kubelet
}

// overflowed: n.mu is held.
func (n *node) overflowed() {
	if !n.full {
		n.full = true
		close(n.overflow)
	}
}

// add makes a pod known. n.mu is not held.
func (n *node) add(p *pod) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p.arrived, p.faults = time.Now(), map[int]int{}
	n.pods[p.uid] = p
	n.list = append(n.list[:len(n.list):len(n.list)], p)
}

// arrive binds a pod to the node, as the scheduler does, and plans what is done to it.
func (n *node) arrive(p *pod) {
	n.add(p)
	now := metav1.NewTime(time.Now().Truncate(time.Second))
	p.object.CreationTimestamp = now
	p.object.Spec.NodeName = nodeName
	if p.static {
		n.manifest(p, now)
	} else {
		p.object.Status.Conditions = []v1.PodCondition{{Type: v1.PodScheduled, Status: v1.ConditionTrue, LastTransitionTime: now}}
		n.api.create(p.object)
	}
	for i := range p.scenario.Actions {
		a := &p.scenario.Actions[i]
		time.AfterFunc(time.Duration(a.At)+time.Duration(i+1)*time.Nanosecond, func() { n.act(p, a) }) // as after, in their order
	}
}

// manifest makes a pod what the kubelet's file source makes of it, and hands it over.
func (n *node) manifest(p *pod, now metav1.Time) {
	o := p.object
	o.Annotations[kubetypes.ConfigHashAnnotationKey] = p.uid
	o.Annotations[kubetypes.ConfigFirstSeenAnnotationKey] = now.Format(time.RFC3339)
	o.Spec.Tolerations = append(o.Spec.Tolerations, v1.Toleration{Operator: v1.TolerationOpExists, Effect: v1.TaintEffectNoExecute})
	o.Generation = 0
	o.Status = v1.PodStatus{Phase: v1.PodPending}
	n.api.mu.Lock()
	defer n.api.mu.Unlock()
	n.mu.Lock()
	n.static = append(n.static, p)
	n.mu.Unlock()
	n.api.notify(change{pod: o, static: true})
}

// prepare names a pod that was judged.
func prepare(object *v1.Pod, index int, static bool, s *Scenario) *pod {
	object.Name, object.GenerateName = fmt.Sprintf("p%d", index), ""
	object.UID = uidOf(index)
	if static {
		object.Name += "-" + nodeName
		object.UID = types.UID(fmt.Sprintf("%032x", index)) // a hash of the manifest, really
	}
	if object.Annotations == nil {
		object.Annotations = map[string]string{}
	}
	object.Annotations[annoPod] = string(object.UID)
	return &pod{uid: string(object.UID), index: index, static: static, scenario: s, object: object}
}

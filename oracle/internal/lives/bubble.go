package lives

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/component-base/featuregate"

	"podinit.dev/oracle/internal/protocol"
)

// A pod arrives so long after the kubelet's start: off the kubelet's own ticks, which are at full seconds, so that
// nothing happens in the same instant by chance.
const arrival = 10*time.Second + 370*time.Millisecond

// spare is how many more pods a node takes than it has.
const spare = 10

// seconds counts the virtual seconds of all bubbles: if it stands still, time does.
var seconds atomic.Int64

// life is one request under way.
type life struct {
	request Request
	result  protocol.Result
}

func (l *life) fail(err error) {
	var e *protocol.Error
	if !errors.As(err, &e) {
		e = protocol.Errorf(protocol.Crash, "%s", err)
	}
	l.result = protocol.Result{Error: e}
}

// failed says whether the life has an error already.
func (l *life) failed() bool { return l.result.Error != nil }

// runBatch runs lives, those together that may be.
func runBatch(t *testing.T, raw []json.RawMessage) []protocol.Result {
	lives := make([]*life, len(raw))
	var shared []*life
	for i := range raw {
		l := &life{}
		lives[i] = l
		if err := protocol.Decode(raw[i], &l.request); err != nil {
			l.fail(err)
			continue
		}
		if l.request.Scenario.lone() {
			runTogether(t, []*life{l})
			continue
		}
		shared = append(shared, l)
	}
	if len(shared) > 0 {
		runTogether(t, shared)
	}
	out := make([]protocol.Result, len(lives))
	for i, l := range lives {
		out[i] = l.result
	}
	return out
}

// runTogether runs lives on one node.
func runTogether(t *testing.T, lives []*life) {
	spec := lives[0].request.Scenario.Node
	restore, err := setGates(spec)
	if err != nil {
		lives[0].fail(err)
		return
	}
	defer restore()
	var running []*life
	var pods []*pod
	room := 0
	for _, l := range lives {
		p, err := l.pod(len(pods) + 1)
		if err != nil {
			l.fail(err)
			continue
		}
		running, pods = append(running, l), append(pods, p)
		room = max(room, l.request.Scenario.room())
	}
	if len(pods) == 0 {
		return
	}
	if room == 0 {
		room = len(pods) + spare
	}
	if err := bubble(t, room, spec, pods); err != nil {
		for _, l := range running {
			l.fail(err)
		}
		return
	}
	for i, p := range pods {
		running[i].finish(p)
	}
}

// room is how many pods the node takes, if the scenario needs it to be so.
func (s *Scenario) room() int {
	for _, a := range s.Actions {
		if a.Preempt != nil {
			return 1
		}
	}
	return 0
}

// pod is the pod of a life, or what is wrong with it.
func (l *life) pod(index int) (p *pod, err error) {
	defer func() {
		if e := recover(); e != nil {
			err = protocol.Errorf(protocol.Crash, "%v\n%s", e, protocol.Top(debug.Stack()))
		}
	}()
	r := &l.request
	if len(r.Pod) == 0 {
		return nil, invalid("pod: a pod is expected")
	}
	object, err := judge(r.Pod, fmt.Sprintf("p%d", index))
	if err != nil {
		return nil, err
	}
	if err := r.Scenario.check(object, r.Static); err != nil {
		return nil, err
	}
	return prepare(object, index, r.Static, &r.Scenario), nil
}

// finish makes the answer of what the pod's trace says.
func (l *life) finish(p *pod) {
	if p.endless {
		l.fail(protocol.Errorf(protocol.Endless, "the trace has more than %d entries, the last at %v ms", maxEntries, p.trace[len(p.trace)-1].T))
		return
	}
	trace := p.trace
	if trace == nil {
		trace = []Entry{}
	}
	raw, err := protocol.Marshal(Life{PodName: p.object.Name, UID: p.uid, Trace: trace})
	if err != nil {
		l.fail(err)
		return
	}
	l.result = protocol.Result{Answer: raw}
}

// bubble runs pods on a node of their own, in virtual time.
func bubble(t *testing.T, room int, spec *Node, pods []*pod) (err error) {
	root, err := os.MkdirTemp(os.Getenv(directoryVariable), "node-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	defer func() {
		// The kubelet has goroutines that never end. Their bubble is left to itself.
		if e := recover(); e != nil && !strings.Contains(fmt.Sprint(e), "main bubble goroutine has exited") {
			err = protocol.Errorf(protocol.Crash, "%v\n%s", e, protocol.Top(debug.Stack()))
		}
	}()
	synctest.Test(t, func(*testing.T) { err = inBubble(filepath.Join(root, "node"), room, spec, pods) })
	return err
}

func inBubble(root string, room int, spec *Node, pods []*pod) error {
	n := newNode(root, room, spec)
	n.shared = len(pods) > 1
	if err := n.start(); err != nil {
		return invalid("scenario.node: the kubelet does not start: %s", err)
	}
	over := make(chan struct{})
	go func() {
		for {
			select {
			case <-over:
				return
			case <-time.After(time.Second):
				seconds.Add(1)
			}
		}
	}()
	time.Sleep(arrival)
	longest := time.Duration(0)
	for _, p := range pods {
		longest = max(longest, p.scenario.until())
		n.arrive(p)
	}
	end := time.NewTimer(longest)
	if len(pods) == 1 {
		select {
		case <-end.C:
		case <-n.overflow:
		}
	} else {
		<-end.C
	}
	close(over)
	if k := n.current(); k != nil {
		k.kill()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range pods {
		canonical(p.trace)
		collected(p.trace)
		mask(p.trace, root)
	}
	return nil
}

// gates are the feature gates of the process.
func gates() featuregate.MutableVersionedFeatureGate { return utilfeature.DefaultMutableFeatureGate }

// backOffGate lets the kubelet read CrashLoopBackOff.MaxContainerRestartPeriod.
const backOffGate = "KubeletCrashLoopBackOffMax"

// setGates sets the feature gates that a node says, and gives what sets them back.
func setGates(spec *Node) (restore func(), err error) {
	if spec == nil {
		return func() {}, nil
	}
	want := map[string]bool{}
	for k, v := range spec.FeatureGates {
		if k == "AllAlpha" || k == "AllBeta" {
			return nil, invalid("scenario.node.featureGates.%s: gates are set one by one", k)
		}
		want[k] = v
	}
	if spec.MaxContainerRestartPeriod != nil {
		if _, said := want[backOffGate]; !said {
			want[backOffGate] = true
		}
	}
	before := map[string]bool{}
	known := gates().GetAll()
	for k := range want {
		if _, ok := known[featuregate.Feature(k)]; !ok {
			return nil, invalid("scenario.node.featureGates.%s: this version of Kubernetes has no such gate", k)
		}
		before[k] = gates().Enabled(featuregate.Feature(k))
	}
	if len(want) == 0 {
		return func() {}, nil
	}
	// A setting that is refused is kept all the same, so it is tried on a copy.
	if err := gates().DeepCopy().SetFromMap(want); err != nil {
		return nil, invalid("scenario.node.featureGates: %s", err)
	}
	if err := gates().SetFromMap(want); err != nil {
		return nil, err
	}
	return func() {
		if err := gates().SetFromMap(before); err != nil {
			panic(err)
		}
	}, nil
}

package lives

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"

	"podinit.dev/oracle/internal/protocol"
)

// calls are the calls of a life, without reads, failures and images.
func (l *Life) calls() string {
	var out []string
	for _, e := range l.Trace {
		if e.Kind == kindCall && e.Outcome == "" && e.Op != "ExecSync" && e.Op != "PullImage" {
			s := strings.TrimSuffix(e.Op, "Container")
			if e.Container != "" {
				s += " " + e.Container
			}
			out = append(out, s)
		}
	}
	return strings.Join(out, ", ")
}

func (l *Life) has(t *testing.T, what string, match func(*Entry) bool) *Entry {
	t.Helper()
	i := slices.IndexFunc(l.Trace, func(e Entry) bool { return match(&e) })
	if i < 0 {
		t.Errorf("the trace has no %s", what)
		return &Entry{}
	}
	return &l.Trace[i]
}

func (l *Life) event(t *testing.T, reason string) *Entry {
	t.Helper()
	return l.has(t, "event "+reason, func(e *Entry) bool { return e.Kind == kindEvent && e.Reason == reason })
}

func (l *Life) world(t *testing.T, op string) *Entry {
	t.Helper()
	return l.has(t, op, func(e *Entry) bool { return e.Kind == kindWorld && e.Op == op })
}

func (l *Life) statuses(t *testing.T) (out []v1.PodStatus) {
	t.Helper()
	for _, e := range l.Trace {
		if e.Kind == kindStatus {
			s := v1.PodStatus{}
			if err := json.Unmarshal(e.Status, &s); err != nil {
				t.Fatal(err)
			}
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		t.Fatal("the trace has no status")
	}
	return out
}

func (l *Life) last(t *testing.T) v1.PodStatus {
	t.Helper()
	s := l.statuses(t)
	return s[len(s)-1]
}

// live runs samples, each on its own.
func live(t *testing.T, ids ...string) []Life {
	t.Helper()
	p := poolOf(t, WorkerCommand)
	out := make([]Life, len(ids))
	for i, id := range ids {
		o := ask(t, p, sample(t, id))[0]
		if o.error != nil {
			t.Fatalf("%s: %v", id, o.error)
		}
		out[i] = o.life
	}
	return out
}

func TestCallsComeInTheKubeletsOrder(t *testing.T) {
	want := map[string]string{
		"3init":           "RunPodSandbox, Create i1, Start i1, Create i2, Start i2, Create i3, Start i3, Create app, Start app",
		"sidecar-startup": "RunPodSandbox, Create i1, Start i1, Create side, Start side, Create i2, Start i2, Create app, Start app",
		"deadline":        "RunPodSandbox, Create i1, Start i1, Stop i1, StopPodSandbox",
		"create-error":    "RunPodSandbox, Create i1, Create i1, Start i1, Create i1, Start i1, Remove i1, Remove i1, Create app, Start app",
		"delete-prestop":  "RunPodSandbox, Create side, Start side, Create app, Start app, Stop app, Stop side, StopPodSandbox, Remove app, Remove side, StopPodSandbox, RemovePodSandbox",
	}
	ids := slices.Sorted(func(yield func(string) bool) {
		for id := range want {
			if !yield(id) {
				return
			}
		}
	})
	for i, l := range live(t, ids...) {
		if got := l.calls(); got != want[ids[i]] {
			t.Errorf("%s: the calls are\n%s, not\n%s", ids[i], got, want[ids[i]])
		}
	}
}

func TestPodsEndAsTheKubeletSays(t *testing.T) {
	type end struct {
		phase  v1.PodPhase
		reason string
	}
	want := map[string]end{
		"init-never":        {v1.PodFailed, ""},
		"job":               {v1.PodSucceeded, ""},
		"deadline":          {v1.PodFailed, "DeadlineExceeded"},
		"3init":             {v1.PodRunning, ""},
		"preempt-victim":    {v1.PodSucceeded, ""}, // its container exits with 0
		"shutdown-init":     {v1.PodFailed, "Terminated"},
		"evict-hard":        {v1.PodFailed, "Evicted"},
		"evict-soft":        {v1.PodSucceeded, ""},
		"sidecar-exits":     {v1.PodSucceeded, ""},
		"killed-behind":     {v1.PodRunning, ""},
		"sandbox-fails":     {v1.PodRunning, ""},
		"shutdown-critical": {v1.PodSucceeded, ""},
	}
	ids := []string{"init-never", "job", "deadline", "3init", "preempt-victim", "shutdown-init", "evict-hard", "evict-soft", "sidecar-exits",
		"killed-behind", "sandbox-fails", "shutdown-critical"}
	for i, l := range live(t, ids...) {
		s, w := l.last(t), want[ids[i]]
		if s.Phase != w.phase || s.Reason != w.reason {
			t.Errorf("%s ends as %s %q, not %s %q", ids[i], s.Phase, s.Reason, w.phase, w.reason)
		}
	}
}

func TestAnEvictedPodHasTheConditionOfADisruption(t *testing.T) {
	l := live(t, "evicted")[0]
	if e := l.event(t, "Evicted"); e.Type != v1.EventTypeWarning {
		t.Errorf("the event is of type %q", e.Type)
	}
	i := slices.IndexFunc(l.last(t).Conditions, func(c v1.PodCondition) bool { return c.Type == v1.DisruptionTarget })
	if i < 0 {
		t.Fatal("the status has no condition DisruptionTarget")
	}
	if c := l.last(t).Conditions[i]; c.Status != v1.ConditionTrue || c.Reason != v1.PodReasonTerminationByKubelet {
		t.Errorf("the condition is %v", c)
	}
}

func TestAKubeletThatIsRestartedGoesOnWithThePod(t *testing.T) {
	l := live(t, "restart-init-ends-meanwhile")[0]
	killed, started := l.world(t, "kubeletKilled"), l.world(t, "kubeletStarted")
	if d := started.T - killed.T; d != 20_000 {
		t.Errorf("the kubelet was down for %v ms, not 20000", d)
	}
	if s := l.last(t); s.Phase != v1.PodFailed {
		t.Errorf("the pod whose init container failed meanwhile is %s", s.Phase)
	}
	l.has(t, "status of the second kubelet", func(e *Entry) bool { return e.Kind == kindStatus && e.Kubelet == 2 })
}

func TestAfterARebootAllContainersAreLost(t *testing.T) {
	l := live(t, "reboot")[0]
	if e := l.world(t, "exited"); e.Container != "i1" {
		t.Errorf("%s exited first", e.Container)
	}
	e := l.has(t, "container that is lost", func(e *Entry) bool { return e.Op == "exited" && e.Container == "app" })
	if e.ExitCode == nil || *e.ExitCode != lostExitCode || e.Reason != lostReason {
		t.Errorf("the container that was lost: %+v", e)
	}
	if want := "RunPodSandbox, Create i1, Start i1, Create app, Start app, StopPodSandbox, Remove i1, RunPodSandbox, Create i1, Start i1, Create app, Start app"; l.calls() != want {
		t.Errorf("the calls are\n%s, not\n%s", l.calls(), want)
	}
}

func TestAPodWithAFinalizerStaysInTheAPI(t *testing.T) {
	l := live(t, "finalizer")[0]
	if e := l.has(t, "removal", func(e *Entry) bool { return e.Kind == kindAPI && e.Op == "removed" }); e.T != 30_000 {
		t.Errorf("the pod was removed at %v ms, not when its finalizer went away", e.T)
	}
}

func TestWhatTheAPIRefusesIsToldInTheTrace(t *testing.T) {
	o := ask(t, poolOf(t, WorkerCommand), "{"+plainPod+`,"scenario":{"until":"20s","actions":[{"at":"5s","patch":{"patch":{"spec":{"nodeName":"other"}}}}]}}`)[0]
	if o.error != nil {
		t.Fatal(o.error)
	}
	e := o.life.has(t, "refusal", func(e *Entry) bool { return e.Kind == kindAPI && e.Op == "refused" })
	if e.T != 5000 || e.Message != "patch" || !strings.Contains(e.Error, "pod updates may not change fields") {
		t.Errorf("the refusal is %+v", e)
	}
}

func TestTheBackOffEndsAtThePeriodThatTheNodeSays(t *testing.T) {
	l := live(t, "restart-period")[0]
	starts := 0
	for _, e := range l.Trace {
		if e.Op == "StartContainer" {
			starts++
		}
	}
	if starts < 12 {
		t.Errorf("there are %d starts in two minutes, with 4 s between them at most", starts)
	}
	if e := l.world(t, "exited"); *e.ExitCode != 137 || e.Reason != "OOMKilled" {
		t.Errorf("signal 9 ended the container with %d, %s", *e.ExitCode, e.Reason)
	}
}

func TestFeatureGatesAreOfOneLife(t *testing.T) {
	side := sample(t, "gates")
	with := strings.Replace(side, `"PLEGOnDemandRelist":false`, `"PLEGOnDemandRelist":true`, 1)
	if with == side {
		t.Fatal("the sample does not set the gate")
	}
	p := poolOf(t, WorkerCommand)
	created := func(life string) float64 {
		o := ask(t, p, life)[0]
		if o.error != nil {
			t.Fatal(o.error)
		}
		return o.life.has(t, "creation of the app", func(e *Entry) bool { return e.Op == "CreateContainer" && e.Container == "app" }).T
	}
	before, without, after := created(with), created(side), created(with)
	if without <= before {
		t.Errorf("without a relist on demand the app is created at %v ms, with it at %v", without, before)
	}
	if after != before {
		t.Errorf("after a life without the gate the app is created at %v ms, not at %v", after, before)
	}
}

func TestMessagesOfOldInstancesAreKept(t *testing.T) {
	l := live(t, "app-crash")[0]
	seen := 0
	for _, s := range l.statuses(t) {
		for _, c := range s.ContainerStatuses {
			if c.LastTerminationState.Terminated != nil {
				seen++
				if m := c.LastTerminationState.Terminated.Message; m != "boom" {
					t.Fatalf("the message of the last instance is %q", m)
				}
			}
		}
	}
	if seen == 0 {
		t.Error("no status has a last instance")
	}
}

func TestTheSameLifeGivesTheSameBytes(t *testing.T) {
	for _, id := range []string{"sidecar-startup", "delete-prestop", "pull-fails", "restart-all"} {
		first, second := ask(t, poolOf(t, WorkerCommand), sample(t, id))[0], ask(t, poolOf(t, WorkerCommand), sample(t, id))[0]
		if first.error != nil || first.raw != second.raw {
			t.Errorf("%s is different in two runs (%v)", id, first.error)
		}
	}
}

func TestLivesThatShareAKubeletAreAsOnTheirOwn(t *testing.T) {
	ids := []string{"3init", "pull-fails", "sandbox-lost", "job", "restart-running"}
	var batch []string
	for _, id := range ids {
		batch = append(batch, sample(t, id))
	}
	p := poolOf(t, WorkerCommand)
	for i, o := range ask(t, p, batch...) {
		alone := ask(t, p, batch[i])[0]
		if o.error != nil || alone.error != nil {
			t.Fatalf("%s: %v, %v", ids[i], o.error, alone.error)
		}
		if got, want := o.life.calls(), alone.life.calls(); got != want {
			t.Errorf("%s: in a batch the calls are\n%s, alone\n%s", ids[i], got, want)
		}
	}
}

func TestLivesThatShareAKubeletDoNotShareTheirImages(t *testing.T) {
	life := func(images string) string {
		return `{"pod":{"spec":{"containers":[{"name":"app","image":"same:1"}]}},"scenario":{"until":"1m","images":` + images +
			`,"containers":{"app":{"instances":[{"runFor":"4s","exitCode":1}]}}}}`
	}
	got := ask(t, poolOf(t, WorkerCommand), life(`{"same:1":{"pulls":[{"takes":"9s","error":"no"},{"takes":"1s"}]}}`), life(`{}`))
	for i, want := range []int{2, 0} {
		pulls := 0
		for _, e := range got[i].life.Trace {
			if e.Op == "PullImage" && e.Outcome == "" {
				pulls++
			}
		}
		if got[i].error != nil || pulls != want {
			t.Errorf("life %d pulls its image %d times, not %d (%v)", i, pulls, want, got[i].error)
		}
	}
}

func TestALoopOfCallsWithoutEndIsReported(t *testing.T) {
	// A container that is done and still has a readiness probe, in a sandbox that is dead, beside one that can't be
	// created: the kubelet stops the sandbox as fast as the runtime answers.
	o := ask(t, poolOf(t, WorkerCommand), `{"pod":{"spec":{"restartPolicy":"Never","containers":[
		{"name":"a0","image":"img:1","readinessProbe":{"exec":{"command":["ready"]},"periodSeconds":3}},{"name":"a1","image":"slow:1"}]}},
		"scenario":{"until":"700h","containers":{"a0":{"instances":[{"runFor":"10s"}]}},"images":{"slow:1":{"pulls":[{"takes":"2s","error":"no"}]}},
		"sandboxes":[{"diesAfter":"11s"}],"calls":[{"call":"StopPodSandbox","takes":"1ms"}]}}`)[0]
	if o.error == nil || o.error.Kind != protocol.Endless {
		t.Errorf("endless is expected, not %v", o.error)
	}
}

func TestTimeThatStandsStillIsNoticed(t *testing.T) {
	stop, told := make(chan struct{}), make(chan string, 1)
	defer close(stop)
	go watch(stop, 20*time.Millisecond, func(who string) { told <- who })
	if who := <-told; !strings.Contains(who, "20ms") {
		t.Errorf("the watchdog says %q", who)
	}
}

func TestWhoKeepsTimeFromGoingOnIsNamed(t *testing.T) {
	var mu sync.Mutex
	mu.Lock()
	over := make(chan struct{})
	go func() {
		defer close(over)
		synctest.Test(t, func(*testing.T) {
			go waitsFor(&mu)
			time.Sleep(time.Second)
		})
	}()
	who := ""
	for range 1000 {
		if who = waiting(); strings.Contains(who, "waitsFor") {
			break
		}
		time.Sleep(time.Millisecond)
	}
	mu.Unlock()
	<-over
	if !strings.Contains(who, "waitsFor") || !strings.Contains(who, "Mutex") {
		t.Errorf("who waits: %q", who)
	}
	if strings.Contains(who, "time.Sleep") {
		t.Errorf("one that sleeps is named: %q", who)
	}
}

func waitsFor(mu *sync.Mutex) {
	mu.Lock()
	defer mu.Unlock()
}

func TestAllSamplesAreTaken(t *testing.T) {
	n := 0
	for _, name := range []string{"lives.jsonl", "more.jsonl"} {
		b, err := os.ReadFile("../../testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
			var r struct {
				ID string `json:"id"`
				Request
			}
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatal(err)
			}
			object, err := judge(r.Pod, "p1")
			if err == nil {
				err = r.Scenario.check(object, r.Static)
			}
			if err != nil {
				t.Errorf("%s: %v", r.ID, err)
			}
			n++
		}
	}
	if n < 79 {
		t.Errorf("testdata has %d lives", n)
	}
}

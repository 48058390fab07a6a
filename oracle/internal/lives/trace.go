package lives

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// maxEntries is how long a trace may be.
const maxEntries = 200_000

// Life is what a life gives.
type Life struct {
	PodName string  `json:"podName"`
	UID     string  `json:"uid"`
	Trace   []Entry `json:"trace"`
}

// Entry is one line of a trace.
type Entry struct {
	// T is in milliseconds since the pod's arrival.
	T                  float64         `json:"t"`
	Kind               string          `json:"kind"`
	Op                 string          `json:"op,omitempty"`
	Container          string          `json:"container,omitempty"`
	Attempt            *uint32         `json:"attempt,omitempty"`
	GracePeriodSeconds *int64          `json:"gracePeriodSeconds,omitempty"`
	ExitCode           *int32          `json:"exitCode,omitempty"`
	Type               string          `json:"type,omitempty"`
	Reason             string          `json:"reason,omitempty"`
	Message            string          `json:"message,omitempty"`
	FieldPath          string          `json:"fieldPath,omitempty"`
	Outcome            string          `json:"outcome,omitempty"`
	Error              string          `json:"error,omitempty"`
	AfterMs            *float64        `json:"afterMs,omitempty"`
	Kubelet            int             `json:"kubelet,omitempty"`
	Status             json.RawMessage `json:"status,omitempty"`

	by uintptr // the goroutine that recorded it
}

// The kinds of entries.
const (
	kindWorld  = "world"
	kindAPI    = "api"
	kindProbe  = "probe"
	kindCgroup = "cgroup"
	kindCall   = "call"
	kindEvent  = "event"
	kindQueue  = "queue"
	kindStatus = "status"
)

// rank puts different goroutines' entries of one instant in order: what happens to the pod comes before what the
// kubelet does about it, and that before what it tells the API.
func rank(e *Entry) int {
	switch e.Kind {
	case kindWorld:
		return 0
	case kindAPI:
		return 1
	case kindProbe:
		return 2
	case kindCall:
		if e.Op == "ExecSync" {
			return 2
		}
	case kindQueue:
		return 4
	case kindStatus:
		return 5
	}
	return 3
}

// millis is a time as traces say it.
func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// record puts an entry into a pod's trace. Entries of pods that nobody asked about are dropped.
func (n *node) record(uid string, e Entry) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.pods[uid]
	if p == nil || p.hidden || p.endless {
		return
	}
	since := time.Since(p.arrived)
	if since >= p.scenario.until() {
		return
	}
	if len(p.trace) >= maxEntries {
		p.endless = true
		n.overflowed()
		return
	}
	e.T, e.by = millis(since), goroutine()
	p.trace = append(p.trace, e)
}

// recordAll puts an entry of the whole node into all traces.
func (n *node) recordAll(e Entry) {
	for _, p := range n.order() {
		n.record(p.uid, e)
	}
}

// canonical orders what happens within one microsecond, where the order between goroutines is in part the
// scheduler's. A goroutine's entries stay in their order.
func canonical(trace []Entry) {
	for i := 0; i < len(trace); {
		j := i + 1
		for j < len(trace) && trace[j].T == trace[i].T {
			j++
		}
		if j-i > 1 {
			tied(trace[i:j])
		}
		i = j
	}
}

func tied(l []Entry) {
	var groups [][]Entry
	of := map[uintptr]int{}
	for _, e := range l {
		g, ok := of[e.by]
		if !ok {
			g = len(groups)
			of[e.by] = g
			groups = append(groups, nil)
		}
		groups[g] = append(groups[g], e)
	}
	if len(groups) == 1 {
		return
	}
	slices.SortStableFunc(groups, func(a, b []Entry) int { return compare(&a[0], &b[0]) })
	l = l[:0]
	for _, g := range groups {
		l = append(l, g...)
	}
}

func compare(a, b *Entry) int {
	attempt := func(e *Entry) int {
		if e.Attempt == nil {
			return -1
		}
		return int(*e.Attempt)
	}
	return cmp.Or(rank(a)-rank(b), strings.Compare(a.about(), b.about()), cmp.Compare(attempt(a), attempt(b)), strings.Compare(a.Op, b.Op),
		strings.Compare(a.Reason, b.Reason), strings.Compare(a.Message, b.Message))
}

// about is the name of the container that an entry is about; what is about the whole pod comes first.
func (e *Entry) about() string {
	if _, name, ok := strings.Cut(e.FieldPath, "{"); ok {
		return strings.TrimSuffix(name, "}")
	}
	return e.Container
}

// collected orders containers that the kubelet's garbage collection removed one after the other: it takes them out
// of a map, in any order.
func collected(trace []Entry) {
	for i := 0; i < len(trace); i++ {
		run := removals(trace[i:])
		if len(run) < 2 {
			continue
		}
		what := make([]Entry, len(run))
		for k, e := range run {
			what[k] = *e
		}
		slices.SortStableFunc(what, func(a, b Entry) int { return compare(&a, &b) })
		for k, e := range run {
			e.Container, e.Attempt = what[k].Container, what[k].Attempt
		}
	}
}

// removals are the removals of containers at the beginning of a trace that follow each other without a pause.
func removals(trace []Entry) (run []*Entry) {
	for i := range trace {
		e := &trace[i]
		if len(run) > 0 && e.T-run[len(run)-1].T > millis(latency["RemoveContainer"])+.001 {
			break
		}
		if e.Kind == kindCall && e.Op == "RemoveContainer" && (len(run) == 0 || e.by == run[0].by) {
			if e.Outcome != "" {
				return nil // not all of them take the same time
			}
			run = append(run, e)
		} else if len(run) == 0 {
			break
		}
	}
	return run
}

// mask hides the directory in which the kubelet works, whose name is different in each process.
func mask(trace []Entry, root string) {
	const shown = "/var/lib/oracle"
	for i := range trace {
		e := &trace[i]
		e.Message, e.Error = strings.ReplaceAll(e.Message, root, shown), strings.ReplaceAll(e.Error, root, shown)
		if bytes.Contains(e.Status, []byte(root)) {
			e.Status = bytes.ReplaceAll(e.Status, []byte(root), []byte(shown))
		}
	}
}

func ptr[T any](v T) *T { return &v }

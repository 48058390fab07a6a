package functions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"podinit.dev/oracle/internal/protocol"
)

// TestMain makes the tests' program answer as the oracle does where a request is given to another process.
func TestMain(m *testing.M) {
	if os.Getenv(inside) == "" {
		os.Exit(m.Run())
	}
	s := protocol.Server{Family: os.Args[1]}
	if err := s.Serve(context.Background(), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

// ask asks a family as a line of the protocol does.
func ask(t *testing.T, family, request string) (json.RawMessage, error) {
	t.Helper()
	f, ok := protocol.Lookup(family)
	if !ok {
		t.Fatalf("there is no family %q", family)
	}
	answer, err := f.Answer(context.Background(), json.RawMessage(request))
	if err != nil {
		return nil, err
	}
	raw, err := protocol.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	return raw, nil
}

// answer asks a family that must answer, and reads the answer.
func answer[A any](t *testing.T, family, request string) A {
	t.Helper()
	raw, err := ask(t, family, request)
	if err != nil {
		t.Fatalf("%s %s: %v", family, request, err)
	}
	var a A
	if err := json.Unmarshal(raw, &a); err != nil {
		t.Fatalf("%s %s: %s: %v", family, request, raw, err)
	}
	return a
}

func TestBadRequestsAreErrorsOfTheirKind(t *testing.T) {
	pod := `{"spec":{"containers":[{"name":"a"}]}}`
	for _, c := range []struct {
		family, request string
		kind            protocol.Kind
		message         string
	}{
		{"quantity", `{}`, protocol.Invalid, "input: the field is missing"},
		{"quantity", `{"inputt":"1"}`, protocol.UnknownField, `did you mean "input"?`},
		{"quantity", `{"input":1}`, protocol.Invalid, "a string is expected"},
		{"quantity", `{"input":"1","other":"x"}`, protocol.Invalid, `other: "x": quantities must match`},
		{"resources", `{}`, protocol.Invalid, "pod: the field is missing"},
		{"resources", `{"pod":null}`, protocol.Invalid, "pod: the field is missing"},
		{"resources", `{"pod":{"spec":{"contaners":[]}}}`, protocol.Refused, `unknown field "spec.contaners"`},
		{"resources", `{"pod":{"spec":{"nodeName":"a","nodeName":"b"}}}`, protocol.Refused, `duplicate field "spec.nodeName"`},
		{"resources", `{"pod":{"apiVersion":"apps/v1","kind":"Deployment"}}`, protocol.Refused, "its kind is Deployment of apps/v1, not Pod of v1"},
		{"podrequests", `{"function":"PodSum","pod":{}}`, protocol.Invalid, `there is no "PodSum"`},
		{"podrequests", `{"function":"PodLimits","pod":{},"options":{"useStatus":true}}`, protocol.UnknownField, "options.useStatus"},
		{"podrequests", `{"function":"PodRequests","pod":{},"options":{"nonMissingContainerRequests":{"cpu":"x"}}}`, protocol.Invalid, "nonMissingContainerRequests"},
		{"accounting", `{"pod":{}}`, protocol.Invalid, "node: the field is missing"},
		{"accounting", `{"node":{"allocatable":{"cpu":"x"}},"pod":{}}`, protocol.Invalid, "node.allocatable.cpu: quantities must match"},
		{"accounting", `{"node":{"allocatable":{}},"pods":[{},{"x":1}],"pod":{}}`, protocol.Refused, `pods[1]: strict decoding error: unknown field "x"`},
		{"get", `{"pod":` + pod + `}`, protocol.Invalid, "now: the field is missing"},
		{"get", `{"pod":` + pod + `,"now":"noon"}`, protocol.Invalid, `now: "noon" is no time`},
		{"describe", `{"pod":` + pod + `,"now":"2026-01-01T00:00:00Z","events":[{"kind":"Pod","apiVersion":"v1"}]}`, protocol.Refused, "events[0]: its kind is Pod of v1, not Event of v1"},
		{"events", `{"now":"2026-01-01T00:00:00Z","events":[{"count":"x"}]}`, protocol.Refused, "events[0]: json: cannot unmarshal string"},
		{"durations", `{"milliseconds":1.5}`, protocol.Invalid, "a whole number of 64 bits"},
		{"durations", `{"milliseconds":9223372036854775807}`, protocol.Invalid, "milliseconds: 9223372036854775807 is not between"},
		{"backoff", `{"initialMs":1,"maxMs":-1}`, protocol.Invalid, "maxMs: -1 is not between"},
		{"backoff", `{"initialMs":1,"maxMs":1,"steps":[{"nowMs":9223372036854775807}]}`, protocol.Invalid, "steps[0].nowMs"},
		{"defaults", `{"object":{"apiVersion":"v1","kind":"Service"}}`, protocol.Invalid, `kind "Service"`},
		{"defaults", `{"object":"pod"}`, protocol.Invalid, "an object is expected"},
		{"read", `{}`, protocol.Invalid, "text: the field is missing"},
		{"update", `{"old":{}}`, protocol.Invalid, "new: the field is missing"},
		{"update", `{"old":{},"new":{"apiVersion":"batch/v1","kind":"Job"}}`, protocol.Invalid, "new: its kind is Job of batch/v1"},
		{"update", `{"old":{},"new":{},"subresource":"scale"}`, protocol.Invalid, `subresource: "scale" of a Pod`},
		{"fields", `{"kind":"Pot","apiVersion":"v1"}`, protocol.Invalid, `there is no "Pot" in apiVersion "v1"`},
		{"fields", `{"kind":"Pod","apiVersion":"__internal"}`, protocol.Invalid, `there is no "Pod"`},
	} {
		_, err := ask(t, c.family, c.request)
		var e *protocol.Error
		if !errors.As(err, &e) || e.Kind != c.kind || !strings.Contains(e.Message, c.message) {
			t.Errorf("%s %s: got %v, want %s with %q", c.family, c.request, err, c.kind, c.message)
		}
	}
}

func TestAPanicIsACrashOfItsRequest(t *testing.T) {
	panics := func() (any, error) { panic("index out of range") }
	inBubble := func() (any, error) {
		return nil, clock("2026-01-01T00:00:00Z").at(func() error { panic("index out of range") })
	}
	for name, run := range map[string]func() (any, error){"plain": panics, "in a bubble": inBubble} {
		_, err := guarded(run)
		var e *protocol.Error
		if !errors.As(err, &e) || e.Kind != protocol.Crash || !strings.HasPrefix(e.Message, "index out of range\n") {
			t.Errorf("%s: got %v, want a crash with the panic", name, err)
		}
		if e != nil && !strings.Contains(e.Message, "functions_test.go") {
			t.Errorf("%s: the message does not say where: %s", name, e.Message)
		}
	}
}

func TestWhatDoesNotComeBackIsAHang(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	_, err := guardedFor(time.Millisecond, func() (any, error) {
		<-release
		return nil, nil
	})
	var e *protocol.Error
	if !errors.As(err, &e) || e.Kind != protocol.Hang {
		t.Errorf("got %v, want a hang", err)
	}
}

func TestAnExponentThatIsWrittenOutForHoursIsAHang(t *testing.T) {
	_, err := isolated(context.Background(), "quantity", json.RawMessage(`{"input":"2E6024865272343"}`), 2*time.Second)
	var e *protocol.Error
	if !errors.As(err, &e) || e.Kind != protocol.Hang {
		t.Errorf("got %v, want a hang", err)
	}
}

func TestARequestInAProcessOfItsOwnHasItsAnswerOrError(t *testing.T) {
	got := answer[quantityAnswer](t, "quantity", `{"input":"1e4294967297"}`)
	if got.Value != "10" {
		t.Errorf("got %+v, want 10: the exponent is cut to 32 bits", got)
	}
	_, err := ask(t, "quantity", `{"input":"1","others":"1e4294967297"}`)
	var e *protocol.Error
	if !errors.As(err, &e) || e.Kind != protocol.UnknownField {
		t.Errorf("got %v, want an unknown field", err)
	}
}

func TestTheClockIsExactlyTheOneThatIsAskedFor(t *testing.T) {
	for _, now := range []string{"2000-01-01T00:00:00Z", "2026-11-26T08:30:00.123456789Z", "2038-01-19T05:14:08+02:00", "2262-04-11T23:47:16Z"} {
		want, err := time.Parse(time.RFC3339Nano, now)
		if err != nil {
			t.Fatal(err)
		}
		var got time.Time
		if err := clock(now).at(func() error { got = time.Now(); return nil }); err != nil || !got.Equal(want) {
			t.Errorf("%s: got %s, %v", now, got, err)
		}
	}
	for _, now := range []string{"1999-12-31T23:59:59Z", "2262-04-11T23:47:17Z", "9999-12-31T23:59:59Z"} {
		if err := clock(now).at(func() error { return nil }); err == nil {
			t.Errorf("%s: got no error", now)
		}
	}
}

// The families are asked twice for what Kubernetes keeps in maps.
func TestTheSameRequestHasTheSameAnswer(t *testing.T) {
	pod := `{"metadata":{"name":"p","labels":{"a":"-","b":"-","c":"-","d":"-"},"annotations":{"A A":"1","B B":"2","C C":"3"}},` +
		`"spec":{"nodeSelector":{"x":"-","y":"-","z":"-"},"containers":[{"name":"a","image":"i","resources":` +
		`{"limits":{"memory":"1500m","cpu":"-1","q":"1","r":"1","x.y/a":"1","x.y/b":"1","x.y/c":"1"},"requests":{"memory":"2500m","s":"1","t":"1"}}}]}}`
	text, err := json.Marshal(strings.Replace(pod, "{", `{"apiVersion":"v1","kind":"Pod",`, 1))
	if err != nil {
		t.Fatal(err)
	}
	for family, request := range map[string]string{
		"read":       `{"text":` + string(text) + `}`,
		"update":     `{"old":` + pod + `,"new":` + pod + `}`,
		"resources":  `{"pod":` + pod + `}`,
		"accounting": `{"node":{"allocatable":{"cpu":"1"}},"pod":` + pod + `}`,
		"describe":   `{"pod":` + pod + `,"now":"2026-01-01T00:00:00Z"}`,
	} {
		first, err := ask(t, family, request)
		if err != nil {
			t.Fatalf("%s: %v", family, err)
		}
		for range 30 {
			if again, err := ask(t, family, request); err != nil || string(again) != string(first) {
				t.Fatalf("%s: %s\nthen: %s %v", family, first, again, err)
			}
		}
	}
}

func TestEveryMeasuredFamilyNamesWhatItMeasures(t *testing.T) {
	pod := `{"spec":{"containers":[{"name":"a","image":"i"}]}}`
	for family, request := range map[string]string{
		"accounting":  `{"node":{"allocatable":{"cpu":"1"}},"pods":[` + pod + `],"pod":` + pod + `}`,
		"backoff":     `{"initialMs":10,"maxMs":100,"steps":[{"nowMs":1}]}`,
		"created":     `{"object":` + pod + `}`,
		"defaults":    `{"object":` + pod + `}`,
		"describe":    `{"pod":` + pod + `}`,
		"durations":   `{"milliseconds":1}`,
		"events":      `{"events":[{}]}`,
		"get":         `{"pod":` + pod + `}`,
		"podrequests": `{"function":"PodLimits","pod":` + pod + `}`,
		"quantity":    `{"input":"1.5Gi"}`,
		"read":        `{"text":"apiVersion: v1\nkind: Pod\n"}`,
		"resources":   `{"pod":` + pod + `}`,
		"update":      `{"old":` + pod + `,"new":` + pod + `}`,
	} {
		f, _ := protocol.Lookup(family)
		benchmarks, err := f.Prepare(json.RawMessage(request))
		if err != nil || len(benchmarks) == 0 {
			t.Errorf("%s: got %d benchmarks, %v", family, len(benchmarks), err)
		}
		for _, b := range benchmarks {
			if b.Function == "" || b.Given == "" {
				t.Errorf("%s: a benchmark without a name: %+v", family, b)
			}
			b.Run()
		}
	}
}

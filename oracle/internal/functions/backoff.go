package functions

import (
	"math"
	"time"

	"k8s.io/client-go/util/flowcontrol"
	clocktesting "k8s.io/utils/clock/testing"

	"podinit.dev/oracle/internal/protocol"
)

// The kubelet forgets a container's back-off when it has been quiet for this long.
const defaultExpiryMs = 600_000

type backoffRequest struct {
	InitialMs      *int64        `json:"initialMs"`
	MaxMs          *int64        `json:"maxMs"`
	ExpiresAfterMs *int64        `json:"expiresAfterMs"`
	Steps          []backoffStep `json:"steps"`
}

// backoffStep is one look at the back-off of a container, at a time since 1970.
type backoffStep struct {
	NowMs        int64 `json:"nowMs"`
	FinishedAtMs int64 `json:"finishedAtMs"`
	// GCAfter drops what has expired, after the step.
	GCAfter bool `json:"gcAfter,omitempty"`
}

type backoffStepAnswer struct {
	backoffStep
	InBackOff bool `json:"inBackOff"`
	// DelayMs is in force now, NextDelayMs after this step.
	DelayMs     *int64 `json:"delayMs,omitempty"`
	NextDelayMs *int64 `json:"nextDelayMs,omitempty"`
}

type backoffAnswer struct {
	Steps []backoffStepAnswer `json:"steps"`
}

// backoffKey is the key under which the back-off is kept.
const backoffKey = "container"

// check gives an error for a number that no time or duration can have.
func (request backoffRequest) check() error {
	// Two of them can be added.
	const most = math.MaxInt64 / int64(time.Millisecond) / 2
	within := func(name string, value, least int64) error {
		if value < least || value > most {
			return protocol.Errorf(protocol.Invalid, "%s: %d is not between %d and %d", name, value, least, most)
		}
		return nil
	}
	for _, f := range []struct {
		name  string
		value *int64
	}{{"initialMs", request.InitialMs}, {"maxMs", request.MaxMs}, {"expiresAfterMs", request.ExpiresAfterMs}} {
		switch {
		case f.value != nil:
			if err := within(f.name, *f.value, 0); err != nil {
				return err
			}
		case f.name != "expiresAfterMs":
			return missing(f.name)
		}
	}
	for i, step := range request.Steps {
		if err := within(index("steps", i)+".nowMs", step.NowMs, -most); err != nil {
			return err
		}
		if err := within(index("steps", i)+".finishedAtMs", step.FinishedAtMs, -most); err != nil {
			return err
		}
	}
	return nil
}

// make makes the back-off as the kubelet makes the one for its containers.
func (request backoffRequest) make() (*flowcontrol.Backoff, *clocktesting.FakeClock) {
	ms := func(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }
	expiry := int64(defaultExpiryMs)
	if request.ExpiresAfterMs != nil {
		expiry = *request.ExpiresAfterMs
	}
	clock := clocktesting.NewFakeClock(time.UnixMilli(0))
	b := flowcontrol.NewFakeBackOff(ms(*request.InitialMs), ms(*request.MaxMs), clock)
	b.HasExpiredFunc = func(eventTime, lastUpdate time.Time, _ time.Duration) bool {
		return eventTime.Sub(lastUpdate) > ms(expiry)
	}
	return b, clock
}

func backoff(request backoffRequest) (any, error) {
	if err := request.check(); err != nil {
		return nil, err
	}
	b, clock := request.make()
	answer := backoffAnswer{Steps: make([]backoffStepAnswer, 0, len(request.Steps))}
	for _, step := range request.Steps {
		answer.Steps = append(answer.Steps, take(step, b, clock))
	}
	return answer, nil
}

// take asks the back-off as the kubelet does before it starts a container again.
func take(step backoffStep, b *flowcontrol.Backoff, clock *clocktesting.FakeClock) backoffStepAnswer {
	clock.SetTime(time.UnixMilli(step.NowMs))
	finishedAt := time.UnixMilli(step.FinishedAtMs)
	answer := backoffStepAnswer{backoffStep: step, InBackOff: b.IsInBackOffSince(backoffKey, finishedAt)}
	if !answer.InBackOff {
		b.Next(backoffKey, finishedAt)
	}
	delay := b.Get(backoffKey).Milliseconds()
	if answer.InBackOff {
		answer.DelayMs = &delay
	} else {
		answer.NextDelayMs = &delay
	}
	if step.GCAfter {
		b.GC()
	}
	return answer
}

func prepareBackoff(request backoffRequest) ([]protocol.Benchmark, error) {
	if err := request.check(); err != nil {
		return nil, err
	}
	b, clock := request.make()
	return []protocol.Benchmark{{
		Function: "Backoff.IsInBackOffSince, Backoff.Next and Backoff.Get",
		Given:    "the back-off; all steps of the request are taken",
		Run: func() {
			for _, step := range request.Steps {
				take(step, b, clock)
			}
		},
	}}, nil
}

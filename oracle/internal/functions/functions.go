// Package functions answers questions about single functions of Kubernetes: each family of requests calls what
// kubectl, the apiserver, the kubelet and the scheduler call, and gives what they return.
package functions

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"k8s.io/klog/v2"

	"podinit.dev/oracle/internal/protocol"
)

// patience is how long Kubernetes may take over one request.
const patience = 10 * time.Second

// The families register themselves. Times are written in UTC, whatever the machine says: kubectl writes them in
// local time, and an answer must not depend on where it is asked for. Kubernetes logs nothing: all that there is to
// say stands in the answers.
func init() {
	time.Local = time.UTC
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	for _, f := range []protocol.Family{
		family("accounting", accounting, prepareAccounting),
		family("backoff", backoff, prepareBackoff),
		family("created", asCreated, prepareCreated),
		family("defaults", defaults, prepareDefaults),
		family("describe", describePod, prepareDescribe),
		family("durations", durations, prepareDurations),
		family("events", listEvents, prepareEvents),
		family("fields", fields, nil),
		family("get", get, prepareGet),
		family("podrequests", podRequests, preparePodRequests),
		family("quantity", quantity, prepareQuantity),
		family("read", read, prepareRead),
		family("resources", resources, prepareResources),
		family("update", update, prepareUpdate),
	} {
		protocol.Register(f)
	}
}

// family makes a family of typed requests. prepare gives the functions to measure, or is nil.
func family[Request any](
	name string,
	answer func(Request) (any, error),
	prepare func(Request) ([]protocol.Benchmark, error),
) protocol.Family {
	f := protocol.Family{
		Name: name,
		Answer: func(ctx context.Context, fields json.RawMessage) (any, error) {
			if os.Getenv(inside) == "" && endless.Match(fields) {
				return isolated(ctx, name, fields, patience)
			}
			return guarded(func() (any, error) {
				var request Request
				if err := protocol.Decode(fields, &request); err != nil {
					return nil, err
				}
				return answer(request)
			})
		},
	}
	if prepare != nil {
		f.Prepare = func(fields json.RawMessage) ([]protocol.Benchmark, error) {
			var request Request
			if err := protocol.Decode(fields, &request); err != nil {
				return nil, err
			}
			return prepare(request)
		}
	}
	return f
}

// guarded runs a function that may panic or not come back.
func guarded(run func() (any, error)) (any, error) {
	return guardedFor(patience, run)
}

func guardedFor(patience time.Duration, run func() (any, error)) (any, error) {
	type result struct {
		answer any
		err    error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			if p := recover(); p != nil {
				r.err = crash(p, debug.Stack())
			}
			done <- r
		}()
		r.answer, r.err = run()
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case r := <-done:
		return r.answer, r.err
	case <-timer.C:
		return nil, protocol.Errorf(protocol.Hang, "there is no answer after %s; the computation goes on until the oracle ends", patience)
	}
}

// crash tells of a panic, or passes on one that has been told of already.
func crash(p any, stack []byte) *protocol.Error {
	if e, ok := p.(*protocol.Error); ok {
		return e
	}
	return protocol.Errorf(protocol.Crash, "%v\n%s", p, protocol.Top(stack))
}

// missing says that a request lacks a field that it needs.
func missing(field string) *protocol.Error {
	return protocol.Errorf(protocol.Invalid, "%s: the field is missing", field)
}

// given says whether a request has a field.
func given(raw json.RawMessage) bool {
	return len(raw) > 0 && !bytes.Equal(bytes.TrimSpace(raw), []byte("null"))
}

// index names an item of a list of the request.
func index(field string, i int) string {
	return fmt.Sprintf("%s[%d]", field, i)
}

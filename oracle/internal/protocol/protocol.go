// Package protocol is the oracle's line protocol: one JSON object a line in, one reply a line out, in the order
// of the requests.
//
// A family of requests registers itself with [Register]; [Server] reads the lines, asks the families and writes
// the replies.
package protocol

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
)

// Version is the version of the protocol itself.
const Version = 1

// Kind says what kind of thing is wrong with a line.
type Kind string

// The kinds of errors.
const (
	// NotJSON: the line is no JSON object.
	NotJSON Kind = "not-json"
	// UnknownFamily: no family has the name that the line gives.
	UnknownFamily Kind = "unknown-family"
	// UnknownField: the request has a field that the family does not know.
	UnknownField Kind = "unknown-field"
	// Invalid: a value is missing, of the wrong type or out of range.
	Invalid Kind = "invalid"
	// Refused: the API would refuse the object; the message has its words.
	Refused Kind = "refused"
	// Endless: the answer would be longer than the oracle gives.
	Endless Kind = "endless"
	// Crash: Kubernetes' code panicked; the message has the panic and the top of the stack.
	Crash Kind = "crash"
	// Hang: Kubernetes' code waits for something that never comes.
	Hang Kind = "hang"
)

// Error is what is wrong with one line.
type Error struct {
	Kind    Kind   `json:"kind"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return string(e.Kind) + ": " + e.Message }

// Errorf makes an [Error] of a kind.
func Errorf(kind Kind, format string, a ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, a...)}
}

// asError gives any error a kind: one that has none is about the request's values.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Kind: Invalid, Message: err.Error()}
}

// Result is the answer to one request, or what is wrong with it.
type Result struct {
	Answer json.RawMessage `json:"answer,omitempty"`
	Error  *Error          `json:"error,omitempty"`
}

// Runner answers requests in batches, in processes of its own.
type Runner interface {
	// Submit hands over a batch. The channel gives all results at once, in the batch's order, and is closed.
	Submit(batch []json.RawMessage) <-chan []Result
	// Close ends the processes.
	Close()
}

// Options are what the command line says to a [Runner].
type Options struct {
	// Batch is how many requests may share what they run on.
	Batch int
	// Jobs is how many batches are answered at the same time.
	Jobs int
}

// Family is one kind of question. It has either Answer or Start.
type Family struct {
	// Name is what requests call it.
	Name string
	// Answer answers one request. fields is the request without `id` and `family`; use [Decode] to read it.
	// An error that is no *[Error] counts as [Invalid]; a panic is reported as [Crash].
	Answer func(ctx context.Context, fields json.RawMessage) (any, error)
	// Prepare reads a request and gives what `oracle bench` measures: Kubernetes' own functions, without the
	// reading and writing around them. Families without it can't be measured.
	Prepare func(fields json.RawMessage) ([]Benchmark, error)
	// Start starts what answers this family's requests in batches.
	Start func(Options) (Runner, error)
}

var families = map[string]Family{}

// Register adds a family. It panics if the name is taken: that is a mistake in the program.
func Register(f Family) {
	if _, ok := families[f.Name]; ok {
		panic("protocol: family " + f.Name + " is registered twice")
	}
	families[f.Name] = f
}

// Lookup finds a family by its name.
func Lookup(name string) (Family, bool) {
	f, ok := families[name]
	return f, ok
}

// Names are the names of all families, sorted.
func Names() []string {
	out := make([]string, 0, len(families))
	for n := range families {
		out = append(out, n)
	}
	sort.Strings(out)
	return out
}

// unknownFamily names the family that is meant, if one is close.
func unknownFamily(name string) *Error {
	return Errorf(UnknownFamily, "there is no family %q%s", name, suggestion(name, Names()))
}

package protocol

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// batches is a runner that answers with the size of the batch.
type batches struct{ closed *bool }

func (batches) Submit(batch []json.RawMessage) <-chan []Result {
	c := make(chan []Result, 1)
	size, _ := json.Marshal(len(batch))
	var out []Result
	for range batch {
		out = append(out, Result{Answer: size})
	}
	c <- out
	return c
}

func (b batches) Close() { *b.closed = true }

var runnerClosed bool

func init() {
	Register(Family{Name: "test-echo", Answer: func(_ context.Context, fields json.RawMessage) (any, error) {
		var v struct {
			Say   string `json:"say"`
			Panic bool   `json:"panic"`
			Fail  bool   `json:"fail"`
		}
		if err := Decode(fields, &v); err != nil {
			return nil, err
		}
		if v.Panic {
			panic("a mistake")
		}
		if v.Fail {
			return nil, errors.New("it fails")
		}
		return map[string]string{"said": v.Say}, nil
	}})
	Register(Family{Name: "test-batches", Start: func(Options) (Runner, error) { return batches{&runnerClosed}, nil }})
}

func serve(t *testing.T, s *Server, lines ...string) []string {
	t.Helper()
	var out bytes.Buffer
	if err := s.Serve(context.Background(), strings.NewReader(strings.Join(lines, "\n")), &out); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(out.String()), "\n")
}

func TestEachLineIsAnsweredInItsOrder(t *testing.T) {
	got := serve(t, &Server{Family: "test-echo"},
		`{"id":1,"say":"<a>"}`, `no json`, `[1]`, `{"id":"x","family":"test-ecko"}`, `{"id":[2],"sey":"b"}`, `{"id":3,"panic":true}`,
		`{"id":4,"fail":true}`, `{"id":5,"family":7}`, `{"say":"c"}`)
	want := []string{
		`{"id":1,"answer":{"said":"<a>"}}`,
		`{"line":2,"error":{"kind":"not-json"`,
		`{"line":3,"error":{"kind":"not-json"`,
		`{"id":"x","line":4,"error":{"kind":"unknown-family","message":"there is no family \"test-ecko\": did you mean \"test-echo\"?"}}`,
		`{"id":[2],"line":5,"error":{"kind":"unknown-field","message":"unknown field \"sey\": did you mean \"say\"?"}}`,
		`{"id":3,"line":6,"error":{"kind":"crash","message":"a mistake`,
		`{"id":4,"line":7,"error":{"kind":"invalid","message":"it fails"}}`,
		`{"id":5,"line":8,"error":{"kind":"invalid","message":"family`,
		`{"answer":{"said":"c"}}`,
	}
	if len(got) != len(want) {
		t.Fatalf("%d lines have %d answers", len(want), len(got))
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("line %d is answered by %s, not by %s", i+1, got[i], want[i])
		}
	}
}

func TestALineWithoutAFamilyIsToldWhichThereAre(t *testing.T) {
	if got := serve(t, &Server{}, `{"id":1}`)[0]; !strings.Contains(got, `"unknown-family"`) || !strings.Contains(got, "test-echo") {
		t.Errorf("the answer is %s", got)
	}
}

func TestABatchEndsWhenItIsFullAtABlankLineAndAtAnotherFamily(t *testing.T) {
	runnerClosed = false
	got := serve(t, &Server{Family: "test-batches", Options: Options{Batch: 2}},
		`{"id":1}`, `{"id":2}`, `{"id":3}`, ``, `{"id":4}`, `{"id":5,"family":"test-echo"}`, `{"id":6}`)
	want := []string{`{"id":1,"answer":2}`, `{"id":2,"answer":2}`, `{"id":3,"answer":1}`, `{"id":4,"answer":1}`, `{"id":5,"answer":{"said":""}}`, `{"id":6,"answer":1}`}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the answers are\n%s, not\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !runnerClosed {
		t.Error("the runner was not closed")
	}
}

func TestDecodeNamesThePath(t *testing.T) {
	type inner struct {
		Count int32 `json:"count"`
	}
	type outer struct {
		Items map[string][]inner `json:"items"`
		Raw   json.RawMessage    `json:"raw"`
	}
	cases := map[string]Error{
		`{"items":{"a":[{"count":"3"}]}}`:     {Invalid, `items.a[0].count: a whole number of 32 bits is expected, not "3"`},
		`{"items":{"a":[{"cout":3}]}}`:        {UnknownField, `unknown field "items.a[0].cout" in items.a[0]: did you mean "count"?`},
		`{"items":{"a":{}}}`:                  {Invalid, `items.a: a list is expected, not {}`},
		`{"items":[]}`:                        {Invalid, `items: an object is expected, not []`},
		`{"items":{"a":[],"a":[]}}`:           {Invalid, `items.a: the field is given twice`},
		`{"Items":{}}`:                        {UnknownField, `unknown field "Items": did you mean "items"?`},
		`{"items":{"a":[{"count":1.5}]}}`:     {Invalid, `items.a[0].count: a whole number of 32 bits is expected, not 1.5`},
		`{"items":{"a":[{"count":1e20}]}}`:    {Invalid, `items.a[0].count: a whole number of 32 bits is expected, not 1e20`},
		`{"nothing like any of the names":1}`: {UnknownField, `unknown field "nothing like any of the names"`},
	}
	for in, want := range cases {
		var v outer
		err := Decode(json.RawMessage(in), &v)
		var e *Error
		if !errors.As(err, &e) || *e != want {
			t.Errorf("%s gives %v, not %v", in, err, &want)
		}
	}
	var v outer
	if err := Decode(json.RawMessage(`{"items":{"a":[{"count":3}]},"raw":{"any":["thing"]}}`), &v); err != nil || v.Items["a"][0].Count != 3 || string(v.Raw) != `{"any":["thing"]}` {
		t.Errorf("%+v, %v", v, err)
	}
}

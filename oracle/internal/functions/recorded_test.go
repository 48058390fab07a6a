//go:build !k134 && !k135 && !k137

package functions

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// recorded are answers of v1.36.2. Only each so many-th line of a file is asked, so that the test is quick.
func recorded(t *testing.T, name string, each int) []map[string]json.RawMessage {
	t.Helper()
	file, err := os.Open("../../../tests/conformance/data/" + name + ".jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var cases []map[string]json.RawMessage
	lines := bufio.NewScanner(unzipped)
	lines.Buffer(nil, 1<<24)
	for n := 0; lines.Scan(); n++ {
		if n%each != 0 {
			continue
		}
		var c map[string]json.RawMessage
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatalf("%s, line %d: %v", name, n+1, err)
		}
		cases = append(cases, c)
	}
	if err := lines.Err(); err != nil || len(cases) == 0 {
		t.Fatalf("%s: %d lines, %v", name, len(cases), err)
	}
	return cases
}

// of is the part of a case that has these fields.
func of(t *testing.T, c map[string]json.RawMessage, fields ...string) string {
	t.Helper()
	part := map[string]json.RawMessage{}
	for _, f := range fields {
		if v, ok := c[f]; ok {
			part[f] = v
		}
	}
	raw, err := json.Marshal(part)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// same says whether two texts are the same JSON.
func same(t *testing.T, a, b json.RawMessage) bool {
	t.Helper()
	var x, y any
	if err := json.Unmarshal(a, &x); err != nil {
		t.Fatalf("%s: %v", a, err)
	}
	if len(b) == 0 {
		return false
	}
	if err := json.Unmarshal(b, &y); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	return reflect.DeepEqual(x, y)
}

func TestQuantitiesAreAsRecorded(t *testing.T) {
	for _, c := range recorded(t, "quantity", 2) {
		got := answer[map[string]json.RawMessage](t, "quantity", of(t, c, "input", "other"))
		got["error"] = got["parseError"]
		for name, want := range c {
			if name != "input" && name != "other" && !same(t, want, got[name]) {
				t.Errorf("%s: %s: got %s, want %s", c["input"], name, got[name], want)
			}
		}
	}
}

func TestResourcesAreAsRecorded(t *testing.T) {
	for _, c := range recorded(t, "resources", 7) {
		got := answer[map[string]json.RawMessage](t, "resources", of(t, c, "pod"))
		for name, want := range c {
			has := got[name]
			if name == "podCgroup" {
				has = withoutHugePages(t, has)
			}
			if name != "pod" && !same(t, want, has) {
				t.Errorf("%s: %s: got %s, want %s", c["pod"], name, has, want)
			}
		}
	}
}

// withoutHugePages drops what was not recorded.
func withoutHugePages(t *testing.T, cgroup json.RawMessage) json.RawMessage {
	t.Helper()
	var c podCgroup
	if err := json.Unmarshal(cgroup, &c); err != nil {
		t.Fatal(err)
	}
	c.HugePageLimits = nil
	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestPodRequestsAreAsRecorded(t *testing.T) {
	for _, c := range recorded(t, "podrequests", 3) {
		got := answer[map[string]json.RawMessage](t, "podrequests", of(t, c, "function", "pod", "options"))
		if !same(t, c["result"], got["result"]) {
			t.Errorf("%s: got %s, want %s", of(t, c, "function", "pod", "options"), got["result"], c["result"])
		}
	}
}

func TestBackoffsAreAsRecorded(t *testing.T) {
	for _, c := range recorded(t, "backoff", 1) {
		var steps []backoffStep
		if err := json.Unmarshal(c["steps"], &steps); err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(steps)
		if err != nil {
			t.Fatal(err)
		}
		want := c["steps"]
		c["steps"] = raw
		request := of(t, c, "initialMs", "maxMs", "steps")
		if got := answer[map[string]json.RawMessage](t, "backoff", request); !same(t, want, got["steps"]) {
			t.Errorf("%s: got %s, want %s", request, got["steps"], want)
		}
	}
}

func TestColumnsAreAsRecorded(t *testing.T) {
	for _, c := range recorded(t, "print", 5) {
		got := answer[getAnswer](t, "get", of(t, c, "pod", "now"))
		for i, name := range []string{"kubectlReady", "kubectlStatus", "kubectlRestarts"} {
			var want string
			if err := json.Unmarshal(c[name], &want); err != nil {
				t.Fatal(err)
			}
			if got.Cells[i+1] != want {
				t.Errorf("%s: %s: got %q, want %q", c["pod"], name, got.Cells[i+1], want)
			}
		}
	}
}

func TestUpdatesAreAsRecorded(t *testing.T) {
	for _, c := range recorded(t, "update", 2) {
		got := answer[verdict](t, "update", of(t, c, "old", "new"))
		for i := range got.Errors {
			// What was not recorded.
			got.Errors[i].Message = ""
			if len(got.Errors[i].Detail) >= 300 {
				got.Errors[i].Detail = ""
			}
		}
		compareErrors(t, c["new"], c["errors"], got.Errors)
	}
}

func TestValidationIsAsRecorded(t *testing.T) {
	for _, c := range recorded(t, "validation", 5) {
		text, err := json.Marshal(string(c["pod"]))
		if err != nil {
			t.Fatal(err)
		}
		got := answer[readAnswer](t, "read", `{"text":`+string(text)+`}`)
		if len(got.Documents) != 1 || got.Documents[0].ReadError != "" {
			t.Fatalf("%s: got %+v", c["pod"], got)
		}
		compareErrors(t, c["pod"], c["errors"], got.Documents[0].Errors)
	}
}

// compareErrors compares lists of errors, of which the recorded ones are sorted.
func compareErrors(t *testing.T, of, recorded json.RawMessage, got []fieldError) {
	t.Helper()
	var want []fieldError
	if err := json.Unmarshal(recorded, &want); err != nil {
		t.Fatal(err)
	}
	order := func(a, b fieldError) int {
		return strings.Compare(a.Field+a.Type+a.Detail+a.Message, b.Field+b.Type+b.Detail+b.Message)
	}
	slices.SortFunc(want, order)
	slices.SortFunc(got, order)
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %+v, want %+v", bytes.TrimSpace(of), got, want)
	}
}

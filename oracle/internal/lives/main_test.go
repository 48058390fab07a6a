//go:debug randseednop=0

package lives

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"podinit.dev/oracle/internal/protocol"
)

// badWorker is the command of a worker that dies or hangs where a life says so.
const badWorker = "bad-worker"

// failingWorker is the command of a worker that ends before it is asked anything.
const failingWorker = "failing-worker"

// TestMain is a worker's main function, too: the tests start workers of their own binary.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 {
		switch os.Args[1] {
		case WorkerCommand:
			os.Exit(Work())
		case badWorker:
			workBadly()
		case failingWorker:
			os.Exit(3)
		}
	}
	os.Exit(m.Run())
}

func workBadly() {
	in, out := bufio.NewReader(os.NewFile(requestsFD, "requests")), json.NewEncoder(os.NewFile(answersFD, "answers"))
	d := json.NewDecoder(in)
	for {
		var j job
		if d.Decode(&j) != nil {
			os.Exit(0)
		}
		r := report{}
		for _, l := range j.Lives {
			switch s := string(l); {
			case strings.Contains(s, "panics"):
				panic("a mistake in the kubelet")
			case strings.Contains(s, "hangs"):
				r.Hang = "virtual time has stood still"
			case strings.Contains(s, "tires"):
				r.Tired = true
			}
			r.Results = append(r.Results, protocol.Result{Answer: json.RawMessage(fmt.Sprintf(`%d`, os.Getpid()))})
		}
		if err := out.Encode(r); err != nil || r.Hang != "" {
			os.Exit(1)
		}
	}
}

// poolOf is a pool of one worker.
func poolOf(t *testing.T, command string) *pool {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := newPool(1, func() *exec.Cmd { return exec.Command(program, command) })
	t.Cleanup(p.Close)
	return p
}

// outcome is a reply, taken apart.
type outcome struct {
	raw   string
	life  Life
	error *protocol.Error
}

// ask runs lives in one batch.
func ask(t *testing.T, p *pool, lives ...string) []outcome {
	t.Helper()
	raw := make([]json.RawMessage, len(lives))
	for i, l := range lives {
		raw[i] = json.RawMessage(l)
	}
	results := <-p.Submit(raw)
	if len(results) != len(lives) {
		t.Fatalf("%d lives have %d results", len(lives), len(results))
	}
	out := make([]outcome, len(results))
	for i, r := range results {
		out[i] = outcome{raw: string(r.Answer), error: r.Error}
		if r.Error == nil {
			if err := json.Unmarshal(r.Answer, &out[i].life); err != nil && strings.HasPrefix(string(r.Answer), "{") {
				t.Fatal(err)
			}
		}
	}
	return out
}

// sample reads a life of testdata by its id.
func sample(t *testing.T, id string) string {
	t.Helper()
	for _, name := range []string{"lives.jsonl", "more.jsonl"} {
		b, err := os.ReadFile("../../testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(b), "\n") {
			var l map[string]json.RawMessage
			if line == "" {
				continue
			}
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if string(l["id"]) == fmt.Sprintf("%q", id) {
				delete(l, "id")
				raw, err := json.Marshal(l)
				if err != nil {
					t.Fatal(err)
				}
				return string(raw)
			}
		}
	}
	t.Fatalf("testdata has no life %q", id)
	return ""
}

package lives

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"

	"podinit.dev/oracle/internal/protocol"
)

func init() {
	protocol.Register(protocol.Family{Name: "lives", Start: func(o protocol.Options) (protocol.Runner, error) {
		program, err := os.Executable()
		if err != nil {
			return nil, err
		}
		return newPool(o.Jobs, func() *exec.Cmd { return exec.Command(program, WorkerCommand) }), nil
	}})
}

// pool runs lives in child processes.
type pool struct {
	tasks chan task
	wait  sync.WaitGroup
}

type task struct {
	lives []json.RawMessage
	done  chan []protocol.Result
}

func newPool(jobs int, command func() *exec.Cmd) *pool {
	p := &pool{tasks: make(chan task)}
	for range max(jobs, 1) {
		p.wait.Go(func() {
			s := &slot{command: command}
			defer s.end()
			for t := range p.tasks {
				t.done <- s.results(t.lives)
				close(t.done)
			}
		})
	}
	return p
}

// Submit hands over a batch; it waits until a child is free.
func (p *pool) Submit(batch []json.RawMessage) <-chan []protocol.Result {
	t := task{batch, make(chan []protocol.Result, 1)}
	p.tasks <- t
	return t.done
}

// Close ends the children.
func (p *pool) Close() {
	close(p.tasks)
	p.wait.Wait()
}

// slot is the place of one child.
type slot struct {
	command func() *exec.Cmd
	child   *child
}

// results runs a batch. If the child dies of it, its lives are run one by one, to find the one that is to blame.
func (s *slot) results(lives []json.RawMessage) []protocol.Result {
	out, broken := s.ask(lives)
	if broken == nil {
		return out
	}
	if len(lives) == 1 {
		return []protocol.Result{{Error: broken}}
	}
	out = nil
	for i := range lives {
		out = append(out, s.results(lives[i:i+1])...)
	}
	return out
}

// ask asks the child. What it gives besides results is why there are none.
func (s *slot) ask(lives []json.RawMessage) ([]protocol.Result, *protocol.Error) {
	if s.child == nil {
		c, err := startChild(s.command())
		if err != nil {
			return nil, protocol.Errorf(protocol.Crash, "the worker does not start: %s", err)
		}
		s.child = c
	}
	r, err := s.child.ask(job{Lives: lives})
	switch {
	case err != nil:
		why := s.child.epitaph()
		s.child = nil
		return nil, protocol.Errorf(protocol.Crash, "%s", why)
	case r.Hang != "":
		s.end()
		return nil, protocol.Errorf(protocol.Hang, "%s", r.Hang)
	case len(r.Results) != len(lives):
		s.end()
		return nil, protocol.Errorf(protocol.Crash, "the worker gave %d results of %d lives", len(r.Results), len(lives))
	}
	if r.Tired {
		s.end()
	}
	return r.Results, nil
}

func (s *slot) end() {
	if s.child != nil {
		s.child.end()
		s.child = nil
	}
}

// directoryVariable tells a worker where its kubelets keep their files. The parent removes them, however the worker
// ends.
const directoryVariable = "ORACLE_LIVES_DIRECTORY"

// makeDirectory makes a directory for a worker: in memory, if there is such a place.
func makeDirectory() (string, error) {
	if d, err := os.MkdirTemp("/dev/shm", "oracle-"); err == nil {
		return d, nil
	}
	return os.MkdirTemp("", "oracle-")
}

// child is one worker process.
type child struct {
	directory string
	cmd       *exec.Cmd
	requests  *os.File
	answers   *os.File
	decoder   *json.Decoder
	stderr    *head
}

func startChild(cmd *exec.Cmd) (c *child, err error) {
	directory, err := makeDirectory()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(directory)
		}
	}()
	theirs, requests, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	answers, back, err := os.Pipe()
	if err != nil {
		requests.Close()
		return nil, err
	}
	defer back.Close()
	c = &child{directory: directory, cmd: cmd, requests: requests, answers: answers, stderr: &head{}}
	cmd.ExtraFiles = []*os.File{theirs, back} // requestsFD and answersFD
	cmd.Stderr = c.stderr
	cmd.Env = append(cmd.Environ(), "GOTRACEBACK=single", directoryVariable+"="+directory)
	if err := cmd.Start(); err != nil {
		requests.Close()
		answers.Close()
		return nil, err
	}
	c.decoder = json.NewDecoder(bufio.NewReaderSize(answers, 1<<20))
	return c, nil
}

func (c *child) ask(j job) (r report, err error) {
	c.stderr.reset()
	raw, err := protocol.Marshal(j)
	if err != nil {
		return r, err
	}
	if _, err := c.requests.Write(append(raw, '\n')); err != nil {
		return r, err
	}
	return r, c.decoder.Decode(&r)
}

// end lets the child end by itself: there is nothing more to ask.
func (c *child) end() {
	c.requests.Close()
	c.answers.Close()
	_ = c.cmd.Wait() // however it ended, it is not needed any more
	os.RemoveAll(c.directory)
}

// epitaph waits for the end of a child that died, and says of what.
func (c *child) epitaph() string {
	c.requests.Close()
	c.answers.Close()
	err := c.cmd.Wait()
	os.RemoveAll(c.directory)
	said := c.stderr.String()
	for _, mark := range []string{"panic: ", "fatal error: "} {
		if i := strings.Index(said, mark); i >= 0 {
			return first(said[i:])
		}
	}
	if err == nil {
		return "the worker ended by itself"
	}
	return strings.TrimSpace(fmt.Sprintf("the worker ended: %s\n%s", err, first(said)))
}

// first are the first lines of a panic.
func first(s string) string {
	l := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(l[:min(len(l), 24)], "\n")
}

// head keeps the beginning of what is written.
type head struct {
	mu  sync.Mutex
	buf []byte
}

const headSize = 64 << 10

func (h *head) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.buf = append(h.buf, p[:min(len(p), headSize-len(h.buf))]...)
	return len(p), nil
}

func (h *head) reset() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.buf = h.buf[:0]
}

func (h *head) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return string(h.buf)
}

package protocol

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"runtime/debug"
	"strings"
)

// reply is one line of the output.
type reply struct {
	ID   json.RawMessage `json:"id,omitempty"`
	Line int             `json:"line,omitempty"`
	Result
}

// pending is a reply that may be still under way.
type pending struct {
	reply
	done <-chan Result
}

// Server answers lines.
type Server struct {
	Options
	// Family answers the lines that name none.
	Family string

	runners map[string]Runner
	out     chan pending
	// the batch that is being filled
	family string
	batch  []json.RawMessage
	open   []chan Result
}

// Serve answers the lines of in until its end. The error is about reading or writing: what is wrong with a line is
// a reply.
func (s *Server) Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	s.runners = map[string]Runner{}
	defer func() {
		for _, r := range s.runners {
			r.Close()
		}
	}()
	s.out = make(chan pending, 4*max(s.Batch, 1)*max(s.Jobs, 1)+64)
	read := make(chan error, 1)
	go func() {
		read <- s.read(ctx, in)
		close(s.out)
	}()
	w := bufio.NewWriter(out)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for p := range s.out {
		if p.done != nil {
			p.Result = <-p.done
		}
		if p.Error == nil {
			p.Line = 0
		}
		if err := enc.Encode(p.reply); err != nil {
			return err
		}
		if len(s.out) == 0 {
			if err := w.Flush(); err != nil {
				return err
			}
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return <-read
}

func (s *Server) read(ctx context.Context, in io.Reader) error {
	defer s.flush()
	r := bufio.NewReaderSize(in, 1<<20)
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return err
		}
		if len(bytes.TrimSpace(line)) > 0 {
			s.line(ctx, n, line)
		} else {
			s.flush()
		}
		if err == io.EOF {
			return nil
		}
	}
}

// line answers one line, or puts it into a batch.
func (s *Server) line(ctx context.Context, n int, line []byte) {
	id, family, fields, err := s.envelope(line)
	p := pending{reply: reply{ID: id, Line: n}}
	if err != nil {
		p.Error = err
		s.put(p)
		return
	}
	f, ok := Lookup(family)
	switch {
	case !ok:
		p.Error = unknownFamily(family)
		s.put(p)
	case f.Start == nil:
		p.Result = answer(ctx, f, fields)
		s.put(p)
	default:
		if s.family != family {
			s.flush()
		}
		s.family = family
		c := make(chan Result, 1)
		p.done = c
		s.batch, s.open = append(s.batch, fields), append(s.open, c)
		if len(s.batch) >= s.Batch {
			s.flush()
		}
		s.out <- p
	}
}

// put answers a line that is in no batch: a batch before it is not filled further, since its replies come first.
func (s *Server) put(p pending) {
	s.flush()
	s.out <- p
}

// flush hands over the batch.
func (s *Server) flush() {
	if len(s.batch) == 0 {
		return
	}
	batch, open := s.batch, s.open
	s.batch, s.open = nil, nil
	r := s.runners[s.family]
	if r == nil {
		f, _ := Lookup(s.family)
		var err error
		if r, err = f.Start(s.Options); err != nil {
			for _, c := range open {
				c <- Result{Error: asError(err)}
			}
			return
		}
		s.runners[s.family] = r
	}
	results := r.Submit(batch)
	go func() {
		l := <-results
		for i, c := range open {
			if i < len(l) {
				c <- l[i]
			} else {
				c <- Result{Error: Errorf(Crash, "the worker gave %d answers to %d requests", len(l), len(open))}
			}
		}
	}()
}

// envelope takes a line apart.
func (s *Server) envelope(line []byte) (id json.RawMessage, family string, fields json.RawMessage, e *Error) {
	if !json.Valid(line) {
		var v any
		err := json.Unmarshal(line, &v)
		return nil, "", nil, Errorf(NotJSON, "%s: %s", err, short(bytes.TrimSpace(line)))
	}
	keys, values, err := object(bytes.TrimSpace(line), "")
	if err != nil {
		e = asError(err)
		if e.Kind == Invalid && bytes.TrimSpace(line)[0] != '{' {
			e.Kind = NotJSON
		}
		return nil, "", nil, e
	}
	family = s.Family
	var rest bytes.Buffer
	rest.WriteByte('{')
	for i, k := range keys {
		switch k {
		case "id":
			id = values[i]
		case "family":
			if err := json.Unmarshal(values[i], &family); err != nil {
				e = Errorf(Invalid, "family: a string is expected, not %s", short(values[i]))
			}
		default:
			if rest.Len() > 1 {
				rest.WriteByte(',')
			}
			key, _ := json.Marshal(k)
			rest.Write(key)
			rest.WriteByte(':')
			rest.Write(values[i])
		}
	}
	rest.WriteByte('}')
	if e == nil && family == "" {
		e = Errorf(UnknownFamily, "the line has no family; there are %s", strings.Join(Names(), ", "))
	}
	return id, family, rest.Bytes(), e
}

// answer asks a family.
func answer(ctx context.Context, f Family, fields json.RawMessage) (r Result) {
	defer func() {
		if e := recover(); e != nil {
			r = Result{Error: Errorf(Crash, "%v\n%s", e, Top(debug.Stack()))}
		}
	}()
	a, err := f.Answer(ctx, fields)
	if err != nil {
		return Result{Error: asError(err)}
	}
	raw, err := Marshal(a)
	if err != nil {
		return Result{Error: Errorf(Crash, "the answer can't be written: %s", err)}
	}
	return Result{Answer: raw}
}

// Marshal writes JSON without escaping HTML.
func Marshal(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// Top is the top of a stack: what went wrong first.
func Top(stack []byte) string {
	l := strings.Split(string(stack), "\n")
	for i := range l {
		if strings.HasPrefix(l[i], "panic(") && i+2 < len(l) {
			l = l[i+2:]
			break
		}
	}
	l = l[:min(len(l), 16)]
	for i := range l {
		if strings.HasPrefix(l[i], "created by ") {
			l = l[:i] // it has the number of a goroutine
			break
		}
		l[i] = arguments.ReplaceAllString(l[i], "(...)")
	}
	return strings.TrimSpace(strings.Join(l, "\n"))
}

// arguments are those that a stack shows for a function: addresses, which differ from run to run.
var arguments = regexp.MustCompile(`\((\{|0x|\.\.\.).*\)$`)

// Bench measures a family's functions over the requests of in, and writes one line of figures.
func Bench(name string, in io.Reader, out io.Writer) error {
	f, ok := Lookup(name)
	if !ok {
		return unknownFamily(name)
	}
	if f.Prepare == nil {
		return fmt.Errorf("%s can't be measured", name)
	}
	s := Server{Family: name}
	var requests [][]Benchmark
	r := bufio.NewReaderSize(in, 1<<20)
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return err
		}
		if len(bytes.TrimSpace(line)) > 0 {
			_, family, fields, e := s.envelope(line)
			if e != nil {
				return fmt.Errorf("line %d: %w", n, e)
			}
			if family != name {
				return fmt.Errorf("line %d: it is of the family %q, not %q", n, family, name)
			}
			benchmarks, err := f.Prepare(fields)
			if err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
			requests = append(requests, benchmarks)
		}
		if err == io.EOF {
			break
		}
	}
	if len(requests) == 0 {
		return fmt.Errorf("there is no request to measure")
	}
	raw, err := Marshal(measure(name, requests))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", raw)
	return err
}

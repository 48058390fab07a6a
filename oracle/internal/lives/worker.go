package lives

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/klog/v2"

	"podinit.dev/oracle/internal/protocol"
)

// WorkerCommand is the hidden command with which the oracle starts itself as a worker.
const WorkerCommand = "lives-worker"

// The descriptors on which a worker is asked and answers; its standard output is the testing package's.
const (
	requestsFD = 3
	answersFD  = 4
)

// memoryLimit is what a worker's garbage collector aims at. Below it there is no collection, which costs an eighth of the time.
const memoryLimit = 700 << 20

// job is what a worker is asked.
type job struct {
	Lives []json.RawMessage `json:"lives"`
}

// report is what a worker answers.
type report struct {
	Results []protocol.Result `json:"results,omitempty"`
	// Hang: virtual time stood still. The worker has ended itself.
	Hang string `json:"hang,omitempty"`
	// Tired: the worker should be replaced. What a bubble leaves behind stays in memory.
	Tired bool `json:"tired,omitempty"`
}

// WatchdogVariable is the environment variable that says how long virtual time may stand still.
const WatchdogVariable = "ORACLE_WATCHDOG"

const defaultWatchdog = 60 * time.Second

// Work answers jobs until there are no more.
func Work() int {
	watchdog := defaultWatchdog
	if s := os.Getenv(WatchdogVariable); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil || d <= 0 {
			fmt.Fprintf(os.Stderr, "oracle: %s: %q is no duration above 0\n", WatchdogVariable, s)
			return 2
		}
		watchdog = d
	}
	if err := setup(); err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		return 1
	}
	requests, answers := os.NewFile(requestsFD, "requests"), os.NewFile(answersFD, "answers")
	// synctest wants to be in a test.
	os.Args = os.Args[:1]
	m := testing.MainStart(noTools{}, []testing.InternalTest{{Name: "lives", F: func(t *testing.T) { serve(t, requests, answers, watchdog) }}}, nil, nil, nil)
	for k, v := range map[string]string{"test.timeout": "0", "test.paniconexit0": "false"} {
		if err := flag.Set(k, v); err != nil {
			fmt.Fprintln(os.Stderr, "oracle:", err)
			return 1
		}
	}
	defer os.RemoveAll(os.Getenv(directoryVariable)) // the parent may have been killed, so that it can't
	return m.Run()
}

// setup makes of a process one in which kubelets can run on virtual time.
func setup() error {
	runtime.GOMAXPROCS(1) // else the order of things within an instant is different each time
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(memoryLimit)
	fs := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(fs)
	for k, v := range map[string]string{"logtostderr": "false", "stderrthreshold": "FATAL"} {
		if err := fs.Set(k, v); err != nil {
			return err
		}
	}
	klog.SetOutput(io.Discard)
	// The other handlers sleep until the process has begun, and a bubble lives in the year 2000.
	utilruntime.ErrorHandlers = utilruntime.ErrorHandlers[:1]
	return withoutKmsg()
}

func serve(t *testing.T, requests io.Reader, answers io.Writer, watchdog time.Duration) {
	r := bufio.NewReaderSize(requests, 1<<20)
	d := json.NewDecoder(r)
	write := func(v report) {
		raw, err := protocol.Marshal(v)
		if err == nil {
			_, err = answers.Write(append(raw, '\n'))
		}
		if err != nil {
			os.RemoveAll(os.Getenv(directoryVariable)) // first: to write to a parent that is dead ends the process
			fmt.Fprintln(os.Stderr, "oracle: the answer can't be written:", err)
			os.Exit(1)
		}
	}
	for {
		var j job
		if err := d.Decode(&j); err == io.EOF {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		stop := make(chan struct{})
		go watch(stop, watchdog, func(who string) {
			write(report{Hang: who})
			os.Exit(0)
		})
		results := runBatch(t, j.Lives)
		close(stop)
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		write(report{Results: results, Tired: m.HeapAlloc > memoryLimit*8/10 && tired()})
	}
}

// tired says whether half of the memory stays in use even after a collection.
func tired() bool {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc > memoryLimit/2
}

// watch calls hang if virtual time stands still. It is outside of any bubble: its time is real.
func watch(stop <-chan struct{}, limit time.Duration, hang func(who string)) {
	last, since := seconds.Load(), time.Now()
	tick := time.NewTicker(max(limit/20, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		if now := seconds.Load(); now != last {
			last, since = now, time.Now()
		} else if time.Since(since) >= limit {
			hang(fmt.Sprintf("virtual time has stood still for %s\n%s", limit, waiting()))
			return
		}
	}
}

// waiting are the goroutines that keep a bubble's time from going on: those that run, and those that wait for
// something that isn't in the bubble.
func waiting() string {
	buf := make([]byte, 16<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var out []string
	for i, g := range strings.Split(string(buf), "\n\n") {
		head, _, _ := strings.Cut(g, "\n")
		if i == 0 || !strings.Contains(head, "synctest") || strings.Contains(head, "durable") {
			continue
		}
		if l := strings.Split(g, "\n"); len(l) > 12 {
			g = strings.Join(l[:12], "\n")
		}
		if out = append(out, g); len(out) == 4 {
			break
		}
	}
	return strings.Join(out, "\n\n")
}

// noTools are what a test binary needs of its tools: nothing, here.
type noTools struct{}

// corpusEntry is the testing package's unexported type.
type corpusEntry = struct {
	Parent     string
	Path       string
	Data       []byte
	Values     []any
	Generation int
	IsSeed     bool
}

func (noTools) ImportPath() string                                       { return "" }
func (noTools) ModulePath() string                                       { return "" }
func (noTools) MatchString(pat, str string) (bool, error)                { return true, nil }
func (noTools) SetPanicOnExit0(bool)                                     {}
func (noTools) StartCPUProfile(io.Writer) error                          { return nil }
func (noTools) StopCPUProfile()                                          {}
func (noTools) StartTestLog(io.Writer)                                   {}
func (noTools) StopTestLog() error                                       { return nil }
func (noTools) WriteProfileTo(string, io.Writer, int) error              { return nil }
func (noTools) RunFuzzWorker(func(corpusEntry) error) error              { return nil }
func (noTools) CheckCorpus([]any, []reflect.Type) error                  { return nil }
func (noTools) ResetCoverage()                                           {}
func (noTools) SnapshotCoverage()                                        {}
func (noTools) ReadCorpus(string, []reflect.Type) ([]corpusEntry, error) { return nil, nil }
func (noTools) CoordinateFuzzing(time.Duration, int64, time.Duration, int64, int, []corpusEntry, []reflect.Type, string, string) error {
	return nil
}
func (noTools) InitRuntimeCoverage() (string, func(string, string) (string, error), func() float64) {
	return "", nil, nil
}

package protocol

import (
	"runtime"
	"time"
)

// Benchmark is a function of Kubernetes that is measured on one request.
type Benchmark struct {
	// Function is its name in Go.
	Function string
	// Given is what was read or made beforehand and is not measured.
	Given string
	// Run calls it once.
	Run func()
}

// Figures are what [Bench] measures.
type Figures struct {
	Family string `json:"family"`
	// Inputs is how many requests were given.
	Inputs    int               `json:"inputs"`
	Functions []FunctionFigures `json:"functions"`
}

// FunctionFigures are the means of one function over all runs of all requests that it is measured on.
type FunctionFigures struct {
	Function string `json:"function"`
	Given    string `json:"given"`
	// Inputs is on how many requests it was run, Runs how often on each.
	Inputs int     `json:"inputs"`
	Runs   int     `json:"runs"`
	NS     float64 `json:"nsPerInput"`
	Allocs float64 `json:"allocsPerInput"`
	Bytes  float64 `json:"bytesPerInput"`
}

// enough is how long a function is measured at least.
const enough = time.Second

// measure gives the figures of each function.
func measure(family string, requests [][]Benchmark) Figures {
	functions, runs := byFunction(requests)
	for i := range functions {
		functions[i].measure(runs[i])
	}
	return Figures{Family: family, Inputs: len(requests), Functions: functions}
}

// byFunction collects the runs of each function, in the order in which the requests name them first.
func byFunction(requests [][]Benchmark) (functions []FunctionFigures, runs [][]func()) {
	at := map[string]int{}
	for _, benchmarks := range requests {
		for _, b := range benchmarks {
			i, ok := at[b.Function]
			if !ok {
				i = len(functions)
				at[b.Function] = i
				functions = append(functions, FunctionFigures{Function: b.Function, Given: b.Given})
				runs = append(runs, nil)
			}
			runs[i] = append(runs[i], b.Run)
		}
	}
	return functions, runs
}

func (f *FunctionFigures) measure(runs []func()) {
	all := func() {
		for _, r := range runs {
			r()
		}
	}
	all() // what is made once is not counted
	f.Inputs = len(runs)
	var before, after runtime.MemStats
	for f.Runs = 1; ; f.Runs *= 4 {
		runtime.GC()
		runtime.ReadMemStats(&before)
		start := time.Now()
		for range f.Runs {
			all()
		}
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		if took < enough && f.Runs < 1<<24 {
			continue
		}
		of := float64(f.Runs) * float64(len(runs))
		f.NS = float64(took.Nanoseconds()) / of
		f.Allocs = float64(after.Mallocs-before.Mallocs) / of
		f.Bytes = float64(after.TotalAlloc-before.TotalAlloc) / of
		return
	}
}

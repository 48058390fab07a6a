package protocol

import "testing"

func TestFiguresAreByFunctionOverAllRequestsThatHaveIt(t *testing.T) {
	ran := map[string]int{}
	of := func(name string) Benchmark {
		return Benchmark{Function: name, Given: "given to " + name, Run: func() { ran[name]++ }}
	}
	functions, runs := byFunction([][]Benchmark{{of("parse"), of("print")}, {of("parse")}})
	if len(functions) != 2 || functions[0].Function != "parse" || functions[1].Given != "given to print" {
		t.Fatalf("got %+v", functions)
	}
	for _, l := range runs {
		for _, run := range l {
			run()
		}
	}
	if len(runs[0]) != 2 || len(runs[1]) != 1 || ran["parse"] != 2 || ran["print"] != 1 {
		t.Errorf("got %d and %d runs, which ran %v", len(runs[0]), len(runs[1]), ran)
	}
}

func TestTheTopOfAStackIsTheSameInEachRun(t *testing.T) {
	stack := "goroutine 75 [running]:\nruntime/debug.Stack()\n\tstack.go:26 +0x5e\npanic({0x1, 0x2})\n\tpanic.go:792 +0x132\n" +
		"a.(*T).f(0xc000, {0x57924a0, 0x3ce})\n\ta.go:37 +0x432\na.g(...)\n\ta.go:9\na.h({...}, 0x1)\n\ta.go:5 +0x9\n" +
		"created by a.i in goroutine 74\n\ta.go:3 +0xaf\n"
	want := "a.(*T).f(...)\n\ta.go:37 +0x432\na.g(...)\n\ta.go:9\na.h(...)\n\ta.go:5 +0x9"
	if got := Top([]byte(stack)); got != want {
		t.Errorf("got %q", got)
	}
}

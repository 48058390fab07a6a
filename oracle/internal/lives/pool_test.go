package lives

import (
	"strings"
	"testing"

	"podinit.dev/oracle/internal/protocol"
)

func TestTheLifeThatCausedACrashIsFoundAndTheOthersAreAnswered(t *testing.T) {
	got := ask(t, poolOf(t, badWorker), `"fine"`, `"panics"`, `"fine, too"`)
	if got[0].error != nil || got[2].error != nil {
		t.Errorf("the lives beside the crash: %v, %v", got[0].error, got[2].error)
	}
	e := got[1].error
	if e == nil || e.Kind != protocol.Crash {
		t.Fatalf("a crash is expected, not %v", e)
	}
	if !strings.HasPrefix(e.Message, "panic: a mistake in the kubelet") || !strings.Contains(e.Message, "workBadly") {
		t.Errorf("the message has not the panic and the top of the stack: %q", e.Message)
	}
}

func TestTheLifeThatHangsIsFoundAndTheOthersAreAnswered(t *testing.T) {
	got := ask(t, poolOf(t, badWorker), `"fine"`, `"hangs"`)
	if got[0].error != nil {
		t.Errorf("the life beside the one that hangs: %v", got[0].error)
	}
	if e := got[1].error; e == nil || e.Kind != protocol.Hang {
		t.Errorf("a hang is expected, not %v", e)
	}
}

func TestATiredWorkerIsReplaced(t *testing.T) {
	p := poolOf(t, badWorker)
	first, second, third := ask(t, p, `"fine"`)[0].raw, ask(t, p, `"tires"`)[0].raw, ask(t, p, `"fine"`)[0].raw
	if first != second {
		t.Errorf("worker %s was replaced by %s before it was tired", first, second)
	}
	if second == third {
		t.Errorf("worker %s goes on though it is tired", third)
	}
}

func TestAWorkerThatEndsAtOnceIsReported(t *testing.T) {
	got := ask(t, poolOf(t, failingWorker), `"fine"`)
	if e := got[0].error; e == nil || e.Kind != protocol.Crash {
		t.Errorf("a crash is expected, not %v", e)
	}
}

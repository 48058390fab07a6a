package lives

import (
	"strings"
	"testing"
)

func ops(trace []Entry) string {
	var out []string
	for _, e := range trace {
		out = append(out, e.Kind+":"+e.Op+e.Reason+"/"+e.Container)
	}
	return strings.Join(out, " ")
}

func TestOneGoroutinesEntriesOfAnInstantStayInTheirOrder(t *testing.T) {
	trace := []Entry{
		{T: 5, Kind: kindStatus, by: 9},
		{T: 5, Kind: kindEvent, Reason: "Started", FieldPath: "spec.containers{b}", by: 1},
		{T: 5, Kind: kindCall, Op: "CreateContainer", Container: "a", by: 1},
		{T: 5, Kind: kindWorld, Op: "exited", Container: "b", by: 2},
	}
	canonical(trace)
	if got, want := ops(trace), "world:exited/b event:Started/ call:CreateContainer/a status:/"; got != want {
		t.Errorf("the order is %s, not %s", got, want)
	}
}

func TestEntriesOfDifferentInstantsAreNotMoved(t *testing.T) {
	trace := []Entry{{T: 1, Kind: kindStatus, by: 1}, {T: 2, Kind: kindWorld, by: 2}}
	canonical(trace)
	if trace[0].Kind != kindStatus {
		t.Error("an entry was moved to another instant")
	}
}

func TestContainersCollectedInARowAreOrderedByName(t *testing.T) {
	trace := []Entry{
		{T: 10, Kind: kindCall, Op: "RemoveContainer", Container: "b", by: 1},
		{T: 12, Kind: kindCall, Op: "RemoveContainer", Container: "a", by: 1},
		{T: 30, Kind: kindCall, Op: "RemoveContainer", Container: "0", by: 1},
	}
	collected(trace)
	if got, want := ops(trace), "call:RemoveContainer/a call:RemoveContainer/b call:RemoveContainer/0"; got != want {
		t.Errorf("the order is %s, not %s", got, want)
	}
	if trace[0].T != 10 || trace[1].T != 12 {
		t.Error("the times moved with the containers")
	}
}

func TestARemovalThatFailsKeepsItsPlace(t *testing.T) {
	trace := []Entry{
		{T: 10, Kind: kindCall, Op: "RemoveContainer", Container: "b", by: 1},
		{T: 10, Kind: kindCall, Op: "RemoveContainer", Container: "b", Outcome: "failed", by: 1},
		{T: 10, Kind: kindCall, Op: "RemoveContainer", Container: "a", by: 1},
	}
	collected(trace)
	if trace[0].Container != "b" || trace[2].Container != "a" {
		t.Errorf("the order is %s", ops(trace))
	}
}

func TestSharesThroughAWeightAreRoundedAsCgroupV2Does(t *testing.T) {
	for shares, want := range map[uint64]uint64{512: 500, 2: 2, 262144: 262144, 1024: 998} {
		if got := throughWeight(shares); got != want {
			t.Errorf("%d shares are read as %d, not %d", shares, got, want)
		}
	}
}

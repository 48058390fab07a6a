package lives

import (
	"strings"
	"testing"

	"podinit.dev/oracle/internal/protocol"
)

const plainPod = `"pod":{"spec":{"containers":[{"name":"app","image":"img:1"}]}}`

func TestWhatIsWrongWithARequestIsNamed(t *testing.T) {
	scenario := func(s string) string { return "{" + plainPod + `,"scenario":{` + s + "}}" }
	cases := []struct {
		request string
		kind    protocol.Kind
		words   []string
	}{
		{`{}`, protocol.Invalid, []string{"pod: a pod is expected"}},
		{`{"pod":[]}`, protocol.Refused, []string{"cannot unmarshal array"}},
		{"{" + plainPod + `,"extra":1}`, protocol.UnknownField, []string{`"extra"`}},
		{scenario(`"contaners":{}`), protocol.UnknownField, []string{`"scenario.contaners"`, `did you mean "containers"?`}},
		{scenario(`"containers":{"app":{"instances":[{"runfor":"5s"}]}}`), protocol.UnknownField,
			[]string{`"scenario.containers.app.instances[0].runfor"`, `"runFor"`}},
		{scenario(`"containers":{"other":{}}`), protocol.Invalid, []string{"scenario.containers.other", "it has app"}},
		{scenario(`"containers":{"app":{"instances":[{"exitCode":1,"signal":9}]}}`), protocol.Invalid, []string{"instances[0]", "exclude"}},
		{scenario(`"containers":{"app":{"instances":[{"exitCode":256}]}}`), protocol.Invalid, []string{"exitCode", "256"}},
		{scenario(`"containers":{"app":{"instances":[{"signal":0}]}}`), protocol.Invalid, []string{"signal", "0"}},
		{scenario(`"containers":{"app":{"instances":[{"memory":"much"}]}}`), protocol.Invalid, []string{"instances[0].memory", "much"}},
		{scenario(`"containers":{"app":{"instances":[{"stop":{"after":"-3s"}}]}}`), protocol.Invalid, []string{"stop.after", "negative"}},
		{scenario(`"containers":{"app":{"instances":[{"answers":[{"httpStatus":7}]}]}}`), protocol.Invalid, []string{"answers[0].httpStatus", "7"}},
		{scenario(`"until":"5"`), protocol.Invalid, []string{"scenario.until", `"5"`}},
		{scenario(`"until":5`), protocol.Invalid, []string{"scenario.until", "5"}},
		{scenario(`"until":"721h"`), protocol.Endless, []string{"721h0m0s", "720h0m0s"}},
		{scenario(`"sandboxes":[{"ip":"here"}]`), protocol.Invalid, []string{"sandboxes[0].ip", `"here"`}},
		{scenario(`"calls":[{"call":"Stop","error":"x"}]`), protocol.Invalid, []string{"calls[0].call", `"Stop"`, "StopContainer"}},
		{scenario(`"calls":[{"call":"StopContainer"}]`), protocol.Invalid, []string{"calls[0]", "error or takes"}},
		{scenario(`"calls":[{"call":"StopContainer","error":"x","code":"Bad"}]`), protocol.Invalid, []string{"calls[0].code", `"Bad"`}},
		{scenario(`"calls":[{"call":"StopContainer","error":"x","times":0}]`), protocol.Invalid, []string{"calls[0].times", "0"}},
		{scenario(`"actions":[{"at":"5s"}]`), protocol.Invalid, []string{"actions[0]", "exactly one verb"}},
		{scenario(`"actions":[{"at":"5s","delete":{},"evict":{}}]`), protocol.Invalid, []string{"actions[0]", "[delete evict]"}},
		{scenario(`"actions":[{"delet":{}}]`), protocol.UnknownField, []string{"actions[0].delet", `"delete"`}},
		{scenario(`"actions":[{"nodeShutdown":{}}]`), protocol.Invalid, []string{"nodeShutdown", "shutdownGracePeriod"}},
		{scenario(`"actions":[{"removeStaticPod":{}}]`), protocol.Invalid, []string{"removeStaticPod", "not static"}},
		{scenario(`"actions":[{"patch":{"subresource":"scale","patch":{}}}]`), protocol.Invalid, []string{"patch.subresource", `"scale"`}},
		{scenario(`"actions":[{"patch":{}}]`), protocol.Invalid, []string{"patch.patch", "object"}},
		{scenario(`"actions":[{"setAvailableMemory":{}}]`), protocol.Invalid, []string{"available or auto"}},
		{scenario(`"actions":[{"killContainer":{"container":"other"}}]`), protocol.Invalid, []string{"killContainer.container", `"other"`}},
		{scenario(`"actions":[{"addEphemeralContainer":{"container":{}}}]`), protocol.Invalid, []string{"addEphemeralContainer.container", "name"}},
		{scenario(`"node":{"featureGates":{"Nope":true}}`), protocol.Invalid, []string{"featureGates.Nope"}},
		{scenario(`"node":{"featureGates":{"SidecarContainers":false}}`), protocol.Invalid, []string{"SidecarContainers", "locked"}},
		{scenario(`"node":{"evictionHard":{"memory.available":"lots"}}`), protocol.Invalid, []string{"evictionHard", "memory.available", `"lots"`}},
		{scenario(`"node":{"evictionSoft":{"memory.available":"1Gi"}}`), protocol.Invalid, []string{"evictionSoftGracePeriod", "memory.available"}},
		{scenario(`"node":{"shutdownGracePeriod":"5s","shutdownGracePeriodCriticalPods":"9s"}`), protocol.Invalid, []string{"9s", "5s"}},
		{`{"pod":{"spec":{"containers":[{"name":"app","image":"img:1","foo":1}]}}}`, protocol.Refused, []string{`unknown field "spec.containers[0].foo"`}},
		{`{"pod":{"spec":{"containers":[{"name":"App","image":"img:1"}]}}}`, protocol.Refused, []string{`spec.containers[0].name: Invalid value: "App"`}},
		{`{"pod":{"kind":"Job","spec":{}}}`, protocol.Refused, []string{"Job"}},
		{`{"pod":{"spec":{"schedulingGates":[{"name":"wait"}],"containers":[{"name":"app","image":"img:1"}]}}}`, protocol.Invalid, []string{"schedulingGates"}},
	}
	requests := make([]string, len(cases))
	for i := range cases {
		requests[i] = cases[i].request
	}
	for i, got := range ask(t, poolOf(t, WorkerCommand), requests...) {
		c := cases[i]
		if got.error == nil || got.error.Kind != c.kind {
			t.Errorf("%s: the kind %s is expected, not %v", c.request, c.kind, got.error)
			continue
		}
		for _, w := range c.words {
			if !strings.Contains(got.error.Message, w) {
				t.Errorf("%s: %q is not in %q", c.request, w, got.error.Message)
			}
		}
	}
}

func TestGRPCCodesAreReadAsGoAndAsTheWireSpellsThem(t *testing.T) {
	for name, want := range map[string]string{"Unavailable": "Unavailable", "RESOURCE_EXHAUSTED": "ResourceExhausted", "deadlineExceeded": "DeadlineExceeded"} {
		if got, err := grpcCode(name); err != nil || got.String() != want {
			t.Errorf("%s is read as %v, %v", name, got, err)
		}
	}
	if _, err := grpcCode("OK"); err == nil {
		t.Error("OK is read as the code of an error")
	}
}

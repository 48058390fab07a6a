package functions

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestAQuantityThatIsWrittenOddlyIsPrintedAnew(t *testing.T) {
	for input, want := range map[string]string{"+4.": "4", "0.5Gi": "512Mi", "1e3": "1e3", "1000m": "1", "2000E": "2"} {
		got := answer[map[string]any](t, "quantity", fmt.Sprintf(`{"input":%q}`, input))
		if got["canonical"] != want {
			t.Errorf("%s: got %v, want %s", input, got["canonical"], want)
		}
	}
}

func TestDurationsAreAsPeopleReadThem(t *testing.T) {
	for ms, want := range map[int64]durationsAnswer{
		0:               {"0s", "0s"},
		119_000:         {"119s", "1m"},
		90_061_000:      {"25h", "1d"},
		-1:              {"0s", "0s"},
		-5_000:          {"<invalid>", "<invalid>"},
		400 * 86400_000: {"400d", "1y"},
	} {
		got := answer[durationsAnswer](t, "durations", fmt.Sprintf(`{"milliseconds":%d}`, ms))
		if got != want {
			t.Errorf("%d: got %+v, want %+v", ms, got, want)
		}
	}
}

func TestWhatDoesNotFitIsNamedInAFixedOrder(t *testing.T) {
	got := answer[accountingAnswer](t, "accounting", `{"node":{"allocatable":{"cpu":"4","memory":"8Gi","pods":"1"}},
		"pods":[{"spec":{"containers":[{"name":"a","resources":{"requests":{"cpu":"2"}}}]}}],
		"pod":{"spec":{"containers":[{"name":"a","resources":{"requests":{"cpu":"3","x.y/b":"1","x.y/a":"1"}}}]}}}`)
	want := []insufficient{
		{"pods", "Too many pods", 1, 1, 1, false},
		{"cpu", "Insufficient cpu", 3000, 2000, 4000, false},
		{"x.y/a", "Insufficient x.y/a", 1, 0, 0, true},
		{"x.y/b", "Insufficient x.y/b", 1, 0, 0, true},
	}
	if !reflect.DeepEqual(got.Fits, want) {
		t.Errorf("got %+v", got.Fits)
	}
	if got.PodCount != 1 || got.Requested.MilliCPU != 2000 || got.NonZeroRequested.Memory != 200<<20 {
		t.Errorf("got %+v", got)
	}
}

// The scorer of NodeResourcesFit counts containers only, though the scheduler counts the pod's own resources.
func TestScoresAreThoseOfThePlugins(t *testing.T) {
	got := answer[accountingAnswer](t, "accounting", `{"node":{"allocatable":{"cpu":"4","memory":"8Gi","pods":"110"}},
		"pod":{"spec":{"resources":{"requests":{"cpu":"3","memory":"4Gi"}},"containers":[{"name":"a"}]}}}`)
	if want := map[string]int64{"leastAllocated": 97, "mostAllocated": 2, "balancedAllocation": 68}; !reflect.DeepEqual(got.Scores, want) {
		t.Errorf("got %v", got.Scores)
	}
}

const web = `{"metadata":{"name":"web","namespace":"default","creationTimestamp":"2026-11-26T05:00:00Z"},
	"spec":{"nodeName":"n","containers":[{"name":"app","image":"nginx"}]},
	"status":{"phase":"Running","podIP":"10.1.2.3","containerStatuses":[{"name":"app","ready":true,"restartCount":2,
	"state":{"running":{"startedAt":"2026-11-26T05:59:00Z"}},
	"lastState":{"terminated":{"exitCode":1,"reason":"Error","finishedAt":"2026-11-26T05:58:30Z"}}}]}}`

const pulled = `{"metadata":{"name":"web.1"},"involvedObject":{"kind":"Pod","name":"web","fieldPath":"spec.containers{app}"},
	"type":"Normal","reason":"Pulled","message":"there already","source":{"component":"kubelet"},
	"firstTimestamp":"2026-11-26T05:59:00Z","lastTimestamp":"2026-11-26T05:59:30Z","count":3}`

const created = `{"metadata":{"name":"web.2"},"involvedObject":{"kind":"Pod","name":"web"},
	"type":"Normal","reason":"Created","message":"Container created","firstTimestamp":"2026-11-26T05:58:00Z","lastTimestamp":"2026-11-26T05:58:00Z"}`

func TestTheTableOfPodsIsThatOfKubectl(t *testing.T) {
	got := answer[getAnswer](t, "get", `{"now":"2026-11-26T06:00:00Z","pod":`+web+`}`)
	want := getAnswer{
		Columns: []string{"Name", "Ready", "Status", "Restarts", "Age", "IP", "Node", "Nominated Node", "Readiness Gates"},
		Cells:   []string{"web", "1/1", "Running", "2 (90s ago)", "60m"},
		Wide:    []string{"web", "1/1", "Running", "2 (90s ago)", "60m", "10.1.2.3", "n", "<none>", "<none>"},
		Text:    "NAME   READY   STATUS    RESTARTS      AGE\nweb    1/1     Running   2 (90s ago)   60m\n",
		WideText: "NAME   READY   STATUS    RESTARTS      AGE   IP         NODE   NOMINATED NODE   READINESS GATES\n" +
			"web    1/1     Running   2 (90s ago)   60m   10.1.2.3   n      <none>           <none>\n",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestEventsAreSortedByKubectlEventsOnly(t *testing.T) {
	got := answer[eventsAnswer](t, "events", `{"now":"2026-11-26T06:00:00Z","events":[`+pulled+`,`+created+`]}`)
	want := eventsAnswer{
		Text: "LAST SEEN           TYPE     REASON    OBJECT    MESSAGE\n" +
			"2m                  Normal   Created   Pod/web   Container created\n" +
			"30s (x3 over 60s)   Normal   Pulled    Pod/web   there already\n",
		GetText: "LAST SEEN   TYPE     REASON    OBJECT    MESSAGE\n" +
			"30s         Normal   Pulled    pod/web   there already\n" +
			"2m          Normal   Created   pod/web   Container created\n",
	}
	if got != want {
		t.Errorf("got %q\n%q", got.Text, got.GetText)
	}
}

func TestDescribeHasTheEventsOfThePodAndTimesInUTC(t *testing.T) {
	got := answer[textAnswer](t, "describe", `{"now":"2026-11-26T06:00:00Z","pod":`+web+`,"events":[`+pulled+`,`+created+`]}`)
	for _, want := range []string{
		"Name:         web\n",
		"      Started:      Thu, 26 Nov 2026 05:59:00 +0000\n",
		"  Normal  Created  2m                          Container created\n" +
			"  Normal  Pulled   30s (x3 over 60s)  kubelet  spec.containers{app}: there already\n",
	} {
		if !strings.Contains(got.Text, want) {
			t.Errorf("%q is not in:\n%s", want, got.Text)
		}
	}
	if none := answer[textAnswer](t, "describe", `{"now":"2026-11-26T06:00:00Z","pod":`+web+`}`); !strings.HasSuffix(strings.ReplaceAll(none.Text, " ", ""), "\nEvents:<none>\n") {
		t.Errorf("got %s", none.Text)
	}
}

func TestDefaultsAreFilledInPodsAndTemplates(t *testing.T) {
	for _, object := range []string{
		`{"spec":{"containers":[{"name":"a","image":"nginx"}]}}`,
		`{"apiVersion":"apps/v1","kind":"Deployment","spec":{"selector":{},"template":{"spec":{"containers":[{"name":"a","image":"nginx"}]}}}}`,
	} {
		raw, err := ask(t, "defaults", `{"object":`+object+`}`)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`"imagePullPolicy":"Always"`, `"terminationGracePeriodSeconds":30`, `"kind":`} {
			if !strings.Contains(string(raw), want) {
				t.Errorf("%s is not in %s", want, raw)
			}
		}
	}
}

// manifest asks for a file.
func manifest(t *testing.T, text string) []document {
	t.Helper()
	raw, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return answer[readAnswer](t, "read", `{"text":`+string(raw)+`}`).Documents
}

const good = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: a, image: nginx}]}\n"

func TestAFileIsReadDocumentByDocument(t *testing.T) {
	got := manifest(t, "\ufeff"+good+"---\n# nothing\n---\napiVersion: v1\nkind: List\nitems:\n"+
		"- {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}\n"+
		"- {apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: r}, spec: {replicas: -1}}\n---\na: [\n")
	if len(got) != 4 {
		t.Fatalf("got %+v", got)
	}
	if d := got[0]; d.Name != "web" || d.ReadError != "" || d.Unchecked != "" || len(d.Errors)+len(d.Warnings) > 0 {
		t.Errorf("got %+v", d)
	}
	if d := got[1]; d.Kind != "ConfigMap" || !strings.Contains(d.Unchecked, "no template of pods") {
		t.Errorf("got %+v", d)
	}
	if d := got[2]; d.Kind != "ReplicaSet" || len(d.Errors) == 0 || d.Errors[0].Field != "spec.replicas" {
		t.Errorf("got %+v", d)
	}
	if d := got[3]; !strings.HasPrefix(d.ReadError, "error parsing STDIN: error converting YAML to JSON: yaml:") {
		t.Errorf("got %+v", d)
	}
}

func TestReadingIsAsStrictAsKubectlAndTheAPIServer(t *testing.T) {
	for _, c := range []struct{ name, text, readError string }{
		{"an unknown field", strings.Replace(good, "image", "imag", 1), `strict decoding error: unknown field "spec.containers[0].imag"`},
		{"a word of YAML 1.1 in a text", strings.Replace(good, "nginx", "yes", 1), "json: cannot unmarshal bool into Go struct field Container.spec.containers.image of type string"},
		{"a label that is a number", strings.Replace(good, "web", "web, labels: {a: 1}", 1), `unable to decode "STDIN": json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string`},
		{"no kind", strings.Replace(good, "kind: Pod\n", "", 1), `Object 'Kind' is missing`},
		{"a kind in lower case", strings.Replace(good, "Pod", "pod", 1), `no matches for kind "pod" in version "v1"`},
		{"a kind that is not Kubernetes' own, without a version", "kind: Lamp\n", `no matches for kind "Lamp" in version ""`},
		{"a version that is served no more", "apiVersion: extensions/v1beta1\nkind: Deployment\nmetadata: {name: d}\n", `no matches for kind "Deployment" in version "extensions/v1beta1"`},
		{"a list of nothing", "apiVersion: v1\nkind: List\n", `no matches for kind "List" in version "v1"`},
		{"a key given twice", strings.Replace(good, "nginx", "nginx, image: other", 1), ""},
		{"a whole float", strings.Replace(good, "spec: {", "spec: {terminationGracePeriodSeconds: 3e1, ", 1), ""},
	} {
		got := manifest(t, c.text)
		if len(got) != 1 || !strings.Contains(got[0].ReadError, c.readError) || c.readError == "" && got[0].ReadError != "" {
			t.Errorf("%s: got %+v", c.name, got)
		}
	}
}

func TestWarningsComeWithWhatIsAccepted(t *testing.T) {
	got := manifest(t, strings.Replace(good, "nginx", "nginx, resources: {limits: {memory: 512m}}", 1))
	want := []string{
		`spec.containers[0].resources.limits[memory]: fractional byte value "512m" is invalid, must be an integer`,
		`spec.containers[0].resources.requests[memory]: fractional byte value "512m" is invalid, must be an integer`,
	}
	if len(got) != 1 || len(got[0].Errors) > 0 || !reflect.DeepEqual(got[0].Warnings, want) {
		t.Errorf("got %+v", got)
	}
}

func TestAGeneratedNameIsMadeBeforeTheObjectIsJudged(t *testing.T) {
	got := manifest(t, strings.Replace(good, "name: web", "generateName: web-", 1))
	if len(got) != 1 || got[0].ReadError != "" || len(got[0].Errors) > 0 {
		t.Errorf("got %+v", got)
	}
}

// All workloads have the same faulty template.
func TestEachWorkloadHasItsTemplateChecked(t *testing.T) {
	template := "template: {metadata: {labels: {a: b}}, spec: {restartPolicy: RESTART, containers: [{name: A_B, image: nginx}]}}"
	spec := func(restart, rest string) string {
		return "spec: {" + strings.Replace(template, "RESTART", restart, 1) + rest + "}"
	}
	selector := ", selector: {matchLabels: {a: b}}"
	for _, c := range []struct{ apiVersion, kind, spec, field string }{
		{"v1", "PodTemplate", strings.TrimSuffix(strings.TrimPrefix(spec("Always", ""), "spec: {"), "}"), "template.spec.containers[0].name"},
		{"v1", "ReplicationController", spec("Always", ", selector: {a: b}"), "spec.template.spec.containers[0].name"},
		{"apps/v1", "DaemonSet", spec("Always", selector), "spec.template.spec.containers[0].name"},
		{"apps/v1", "Deployment", spec("Always", selector), "spec.template.spec.containers[0].name"},
		{"apps/v1", "ReplicaSet", spec("Always", selector), "spec.template.spec.containers[0].name"},
		{"apps/v1", "StatefulSet", spec("Always", selector+", serviceName: s"), "spec.template.spec.containers[0].name"},
		{"batch/v1", "Job", spec("Never", ""), "spec.template.spec.containers[0].name"},
		{"batch/v1", "CronJob", "spec: {schedule: '* * * * *', jobTemplate: {" + spec("Never", "") + "}}", "spec.jobTemplate.spec.template.spec.containers[0].name"},
	} {
		got := manifest(t, fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: x}\n%s\n", c.apiVersion, c.kind, c.spec))
		if len(got) != 1 || len(got[0].Errors) != 1 || got[0].Errors[0].Field != c.field || got[0].Errors[0].Detail == "" {
			t.Errorf("%s: got %+v, want one error at %s", c.kind, got, c.field)
		}
	}
}

func TestAnUpdateIsJudgedByItsSubresource(t *testing.T) {
	old := `{"metadata":{"name":"p"},"spec":{"containers":[{"name":"a","image":"i:1","resources":{"requests":{"cpu":"1"}}}]}}`
	image := strings.Replace(old, "i:1", "i:2", 1)
	cpu := strings.Replace(old, `"cpu":"1"`, `"cpu":"2"`, 1)
	ephemeral := strings.Replace(old, `"containers"`, `"ephemeralContainers":[{"name":"d","image":"i"}],"containers"`, 1)
	for _, c := range []struct {
		what, subresource, updated string
		refused                    bool
	}{
		{"another image", "", image, false},
		{"more CPU", "", cpu, true},
		{"more CPU", "resize", cpu, false},
		{"an ephemeral container", "", ephemeral, true},
		{"an ephemeral container", "ephemeralcontainers", ephemeral, false},
		{"another image, which is dropped", "status", image, false},
	} {
		got := answer[verdict](t, "update", fmt.Sprintf(`{"old":%s,"new":%s,"subresource":%q}`, old, c.updated, c.subresource))
		if (len(got.Errors) > 0) != c.refused {
			t.Errorf("%s by %q: got %+v", c.what, c.subresource, got)
		}
	}
}

func TestTheFieldsAreThoseOfThePublishedType(t *testing.T) {
	got := answer[fieldsAnswer](t, "fields", `{"kind":"Pod","apiVersion":"v1"}`).Fields
	for path, want := range map[string]string{
		"spec.containers[].name":                               "string",
		"spec.containers[].resources.limits{}":                 "quantity",
		"spec.containers[].ports[].containerPort":              "integer",
		"spec.containers[].livenessProbe.httpGet.port":         "integer or string",
		"spec.containers[].env[].valueFrom.fieldRef.fieldPath": "string",
		"spec.hostNetwork":                                     "boolean",
		"spec.volumes[].emptyDir.sizeLimit":                    "quantity",
		"status.startTime":                                     "time",
		"metadata.labels{}":                                    "string",
		"metadata.managedFields[].fieldsV1":                    "any",
		"kind":                                                 "string",
	} {
		if got[path] != want {
			t.Errorf("%s: got %q, want %q", path, got[path], want)
		}
	}
}

// The kinds of the three groups are all walked through: none has a type that is not understood.
func TestTheFieldsOfEveryWorkloadAreKnown(t *testing.T) {
	for kind := range workloads {
		apiVersion, name := kind.ToAPIVersionAndKind()
		got := answer[fieldsAnswer](t, "fields", fmt.Sprintf(`{"kind":%q,"apiVersion":%q}`, name, apiVersion)).Fields
		if len(got) < 100 {
			t.Errorf("%s: got %d fields", kind, len(got))
		}
	}
}

package lives

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
)

// Request is one life that is asked for.
type Request struct {
	// Pod is a v1.Pod in JSON.
	Pod json.RawMessage `json:"pod"`
	// Static: the pod comes from a manifest file of the node.
	Static bool `json:"static"`
	// Scenario is what happens to the pod.
	Scenario Scenario `json:"scenario"`
}

// Scenario is what the world does to a pod. All of it is optional.
type Scenario struct {
	// Until is for how long the pod is watched, since its arrival.
	Until *Duration `json:"until"`
	// Containers are scripts by container name.
	Containers map[string]Container `json:"containers"`
	// Images are by name; those without an entry are present.
	Images map[string]Image `json:"images"`
	// Sandboxes are the attempts to run one; the last one repeats.
	Sandboxes []Sandbox `json:"sandboxes"`
	// Calls are faults of CRI calls.
	Calls []Fault `json:"calls"`
	// Actions are what is done from outside.
	Actions []Action `json:"actions"`
	// Node is what is special about the node.
	Node *Node `json:"node"`
}

// Container scripts the instances of a container.
type Container struct {
	// Instances are in the order of their creation; the last one repeats.
	Instances []ContainerInstance `json:"instances"`
}

// ContainerInstance is the life of one instance.
type ContainerInstance struct {
	Create Step `json:"create"`
	Start  Step `json:"start"`
	// RunFor is how long it runs by itself; absent: until it is stopped.
	RunFor *Duration `json:"runFor"`
	// ExitCode or Signal is how it ends by itself.
	ExitCode *int32 `json:"exitCode"`
	Signal   *int32 `json:"signal"`
	// Reason is the runtime's; by default Completed or Error.
	Reason string `json:"reason"`
	// Message is what it writes to its termination log.
	Message string `json:"message"`
	// Stop is what it makes of SIGTERM.
	Stop *Stop `json:"stop"`
	// Answers are to commands, hooks and probes; the first that matches counts.
	Answers []Answer `json:"answers"`
	// Memory is in use, as the stats say.
	Memory *Quantity `json:"memory"`
}

// exitCode is the code with which the instance ends by itself.
func (c *ContainerInstance) exitCode() int32 {
	switch {
	case c.Signal != nil:
		return 128 + *c.Signal
	case c.ExitCode != nil:
		return *c.ExitCode
	}
	return 0
}

func (c *ContainerInstance) memory() int64 {
	if c.Memory == nil {
		return 0
	}
	return c.Memory.Value()
}

// Step is a call that takes time and may fail.
type Step struct {
	// Takes is how long the call takes; absent: the default of the call.
	Takes *Duration `json:"takes"`
	Error string    `json:"error"`
}

// Stop is the reaction to SIGTERM.
type Stop struct {
	// After is how long the container goes on; absent: 3 ms.
	After *Duration `json:"after"`
	// ExitCode is 143 by default.
	ExitCode *int32 `json:"exitCode"`
	// Ignore: it goes on until it is killed.
	Ignore bool `json:"ignore"`
}

// Answer is to what a container is asked within [From, Until) of its start.
type Answer struct {
	// Command is a prefix of the joined command, or of "http :8080/path", "tcp :8080", "grpc :8080 service".
	Command string    `json:"command"`
	From    Duration  `json:"from"`
	Until   *Duration `json:"until"`
	// ExitCode of the command. Over the network anything but 0 is a refused connection, or NOT_SERVING.
	ExitCode   int32     `json:"exitCode"`
	HTTPStatus int       `json:"httpStatus"`
	Takes      *Duration `json:"takes"`
	Output     string    `json:"output"`
	Error      string    `json:"error"`
}

// Image scripts an image.
type Image struct {
	// Present: it need not be pulled.
	Present bool `json:"present"`
	// Pulls are in their order; the last one repeats.
	Pulls []Step `json:"pulls"`
}

// Sandbox is one attempt to run a sandbox.
type Sandbox struct {
	Takes *Duration `json:"takes"`
	Error string    `json:"error"`
	// DiesAfter is how long after it was made it stops being ready.
	DiesAfter *Duration `json:"diesAfter"`
	// KeepsContainers: they survive its death.
	KeepsContainers bool   `json:"keepsContainers"`
	IP              string `json:"ip"`
}

// Fault makes CRI calls fail or take time, within [From, Until) of the arrival.
type Fault struct {
	// Call is the CRI's name of it.
	Call      string    `json:"call"`
	Container string    `json:"container"`
	Image     string    `json:"image"`
	From      Duration  `json:"from"`
	Until     *Duration `json:"until"`
	// Times is how often, absent: always.
	Times *int      `json:"times"`
	Takes *Duration `json:"takes"`
	// Error is its text; absent: it only takes time.
	Error string `json:"error"`
	// Code is the name of a gRPC code, Unknown by default.
	Code string `json:"code"`
}

// Action is something done from outside: exactly one of the verbs.
type Action struct {
	// At is since the pod's arrival.
	At Duration `json:"at"`

	Delete                *Delete                `json:"delete"`
	Evict                 *Evict                 `json:"evict"`
	Preempt               *Nothing               `json:"preempt"`
	NodeShutdown          *Nothing               `json:"nodeShutdown"`
	CancelNodeShutdown    *Nothing               `json:"cancelNodeShutdown"`
	RestartKubelet        *Down                  `json:"restartKubelet"`
	RebootNode            *Down                  `json:"rebootNode"`
	Patch                 *Patch                 `json:"patch"`
	Resize                *Resize                `json:"resize"`
	AddEphemeralContainer *AddEphemeralContainer `json:"addEphemeralContainer"`
	SetImage              *SetImage              `json:"setImage"`
	KillContainer         *KillContainer         `json:"killContainer"`
	RemoveContainer       *OfContainer           `json:"removeContainer"`
	StartContainer        *OfContainer           `json:"startContainer"`
	StopSandbox           *StopSandbox           `json:"stopSandbox"`
	RemoveSandbox         *Nothing               `json:"removeSandbox"`
	SetSandboxIP          *SetSandboxIP          `json:"setSandboxIP"`
	SetAvailableMemory    *SetAvailableMemory    `json:"setAvailableMemory"`
	RemoveStaticPod       *Nothing               `json:"removeStaticPod"`
}

// verbs are the names of the verbs that an action has.
func (a *Action) verbs() (out []string) {
	v := reflect.ValueOf(a).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Pointer && !f.IsNil() {
			out = append(out, v.Type().Field(i).Tag.Get("json"))
		}
	}
	return out
}

// verb is the name of the action's verb.
func (a *Action) verb() string { return strings.Join(a.verbs(), ",") }

// Nothing is a verb without parameters.
type Nothing struct{}

// Delete is a DELETE by a user; without a grace it is the pod's own, 0 is a forced deletion.
type Delete struct {
	GracePeriodSeconds *int64 `json:"gracePeriodSeconds"`
}

// Evict is a call of the kubelet's function to kill a pod, as its eviction manager makes it.
type Evict struct {
	GracePeriodSeconds *int64 `json:"gracePeriodSeconds"`
	Reason             string `json:"reason"`
	Message            string `json:"message"`
}

// Down is how long a kubelet or a node is away.
type Down struct {
	DownFor Duration `json:"downFor"`
}

// Patch is a strategic merge patch by others than the kubelet.
type Patch struct {
	// Subresource is "" or status.
	Subresource string          `json:"subresource"`
	Patch       json.RawMessage `json:"patch"`
}

// Resize is a strategic merge patch of the subresource resize.
type Resize struct {
	Patch json.RawMessage `json:"patch"`
}

// AddEphemeralContainer adds one through the subresource ephemeralcontainers.
type AddEphemeralContainer struct {
	Container json.RawMessage `json:"container"`
}

// SetImage changes the image of a container in the spec.
type SetImage struct {
	Container string `json:"container"`
	Image     string `json:"image"`
}

// KillContainer ends a container behind the kubelet's back.
type KillContainer struct {
	Container string `json:"container"`
	// ExitCode is 137 by default.
	ExitCode *int32 `json:"exitCode"`
	Reason   string `json:"reason"`
}

// OfContainer names a container.
type OfContainer struct {
	Container string `json:"container"`
}

// StopSandbox makes the newest sandbox stop being ready.
type StopSandbox struct {
	KeepsContainers bool `json:"keepsContainers"`
}

// SetSandboxIP changes the address of the newest sandbox.
type SetSandboxIP struct {
	IP string `json:"ip"`
}

// SetAvailableMemory says what memory is available on the node, for the eviction manager.
type SetAvailableMemory struct {
	Available *Quantity `json:"available"`
	// Auto: what the containers leave.
	Auto bool `json:"auto"`
}

// Node is what is special about a node. A life that says something about it has a node of its own.
type Node struct {
	// CPU and Memory are the capacity; absent: more than pods ask for.
	CPU    *Quantity `json:"cpu"`
	Memory *Quantity `json:"memory"`

	MaxContainerRestartPeriod       *Duration         `json:"maxContainerRestartPeriod"`
	FeatureGates                    map[string]bool   `json:"featureGates"`
	ShutdownGracePeriod             Duration          `json:"shutdownGracePeriod"`
	ShutdownGracePeriodCriticalPods Duration          `json:"shutdownGracePeriodCriticalPods"`
	EvictionHard                    map[string]string `json:"evictionHard"`
	EvictionSoft                    map[string]string `json:"evictionSoft"`
	EvictionSoftGracePeriod         map[string]string `json:"evictionSoftGracePeriod"`
	EvictionMaxPodGracePeriod       int32             `json:"evictionMaxPodGracePeriod"`
	// CPUManagerPolicy and MemoryManagerPolicy are only what resizes are judged by: no CPU or memory is assigned.
	CPUManagerPolicy    string `json:"cpuManagerPolicy"`
	MemoryManagerPolicy string `json:"memoryManagerPolicy"`
	// ExactCPUShares: the pod's cgroup keeps CPU shares as they are; cgroup v2 rounds them.
	ExactCPUShares bool `json:"exactCPUShares"`
}

// Duration is a duration that is not negative, in Go's syntax.
type Duration time.Duration

// UnmarshalJSON reads "1m30s".
func (d *Duration) UnmarshalJSON(raw []byte) error {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return fmt.Errorf("a duration in Go's syntax (\"1m30s\") is expected, not %s", raw)
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%q is no duration in Go's syntax (\"1m30s\")", s)
	}
	if v < 0 {
		return fmt.Errorf("the duration %q is negative", s)
	}
	*d = Duration(v)
	return nil
}

// or is the duration, or another one if it is absent.
func (d *Duration) or(other time.Duration) time.Duration {
	if d == nil {
		return other
	}
	return time.Duration(*d)
}

// within says whether a time lies in [from, until).
func within(since time.Duration, from Duration, until *Duration) bool {
	return since >= time.Duration(from) && (until == nil || since < time.Duration(*until))
}

// Quantity is a quantity that is not negative.
type Quantity struct{ resource.Quantity }

// UnmarshalJSON reads "100Mi" or a number.
func (q *Quantity) UnmarshalJSON(raw []byte) error {
	s := strings.Trim(string(raw), `"`)
	v, err := resource.ParseQuantity(s)
	if err != nil {
		return fmt.Errorf("%s is no quantity: %w", raw, err)
	}
	if v.Sign() < 0 {
		return fmt.Errorf("the quantity %s is negative", raw)
	}
	q.Quantity = v
	return nil
}

// nth is the n-th of a list whose last one repeats; the zero value if it is empty.
func nth[T any](l []T, n int) (v T) {
	if len(l) > 0 {
		v = l[min(n, len(l)-1)]
	}
	return v
}

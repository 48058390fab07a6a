package functions

import (
	"encoding/json"

	v1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"

	"podinit.dev/oracle/internal/protocol"
)

type podRequestsRequest struct {
	Function string              `json:"function"`
	Pod      json.RawMessage     `json:"pod"`
	Options  podResourcesOptions `json:"options"`
}

// podResourcesOptions are those of resource.PodResourcesOptions.
type podResourcesOptions struct {
	ExcludeOverhead             bool            `json:"excludeOverhead"`
	InPlacePodLevelResources    bool            `json:"inPlacePodLevelResources"`
	NonMissingContainerRequests json.RawMessage `json:"nonMissingContainerRequests"`
	SkipContainerLevelResources bool            `json:"skipContainerLevelResources"`
	SkipPodLevelResources       bool            `json:"skipPodLevelResources"`
	UseDRA                      bool            `json:"useDRA"`
	UseStatusResources          bool            `json:"useStatusResources"`
}

type podRequestsAnswer struct {
	Result v1.ResourceList `json:"result"`
}

// podRequestsFunctions are those that may be asked for, by their names in Go.
var podRequestsFunctions = map[string]func(*v1.Pod, resource.PodResourcesOptions) v1.ResourceList{
	"PodRequests":                resource.PodRequests,
	"PodLimits":                  resource.PodLimits,
	"AggregateContainerRequests": resource.AggregateContainerRequests,
	"AggregateContainerLimits":   resource.AggregateContainerLimits,
}

// read gives the function, the pod and the options of a request.
func (request podRequestsRequest) read() (func(*v1.Pod, resource.PodResourcesOptions) v1.ResourceList, *v1.Pod, resource.PodResourcesOptions, error) {
	var options resource.PodResourcesOptions
	function, ok := podRequestsFunctions[request.Function]
	if !ok {
		return nil, nil, options, protocol.Errorf(protocol.Invalid, "function: there is no %q; "+
			"there are PodRequests, PodLimits, AggregateContainerRequests and AggregateContainerLimits", request.Function)
	}
	pod, err := readPod(request.Pod, "pod")
	if err != nil {
		return nil, nil, options, err
	}
	options, err = request.Options.read()
	return function, pod, options, err
}

func (o podResourcesOptions) read() (resource.PodResourcesOptions, error) {
	options := resource.PodResourcesOptions{
		ExcludeOverhead:             o.ExcludeOverhead,
		SkipContainerLevelResources: o.SkipContainerLevelResources,
		SkipPodLevelResources:       o.SkipPodLevelResources,
		UseStatusResources:          o.UseStatusResources,
	}
	if given(o.NonMissingContainerRequests) {
		if err := json.Unmarshal(o.NonMissingContainerRequests, &options.NonMissingContainerRequests); err != nil {
			return options, protocol.Errorf(protocol.Invalid, "options.nonMissingContainerRequests: %s", err)
		}
	}
	return options, newerOptions(o, &options)
}

func podRequests(request podRequestsRequest) (any, error) {
	function, pod, options, err := request.read()
	if err != nil {
		return nil, err
	}
	return podRequestsAnswer{Result: function(pod, options)}, nil
}

func preparePodRequests(request podRequestsRequest) ([]protocol.Benchmark, error) {
	function, pod, options, err := request.read()
	if err != nil {
		return nil, err
	}
	return []protocol.Benchmark{{
		Function: "resource." + request.Function,
		Given:    "the decoded pod and the options",
		Run:      func() { _ = function(pod, options) },
	}}, nil
}

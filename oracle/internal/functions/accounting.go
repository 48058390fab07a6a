package functions

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/feature"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/noderesources"

	"podinit.dev/oracle/internal/protocol"
)

type accountingRequest struct {
	Node *struct {
		Allocatable v1.ResourceList `json:"allocatable"`
	} `json:"node"`
	// Pods are on the node already.
	Pods []json.RawMessage `json:"pods"`
	// Pod is to be placed.
	Pod json.RawMessage `json:"pod"`
	// Scoring is how the plug-ins that score are configured; by default, CPU and memory have a weight of 1.
	Scoring scoring `json:"scoring"`
}

// scoring is the configuration of the plug-ins that score.
type scoring struct {
	Resources []struct {
		Name   string `json:"name"`
		Weight int64  `json:"weight"`
	} `json:"resources"`
	// Shape asks for RequestedToCapacityRatio as well.
	Shape []struct {
		Utilization int32 `json:"utilization"`
		Score       int32 `json:"score"`
	} `json:"shape"`
}

type accountingAnswer struct {
	Requested        requested        `json:"requested"`
	NonZeroRequested requested        `json:"nonZeroRequested"`
	PodCount         int              `json:"podCount"`
	Fits             []insufficient   `json:"fits"`
	Scores           map[string]int64 `json:"scores"`
}

// requested is what the pods of a node ask for: CPU in thousandths, all else in whole units.
type requested struct {
	MilliCPU         int64                     `json:"milliCPU"`
	Memory           int64                     `json:"memory"`
	EphemeralStorage int64                     `json:"ephemeralStorage"`
	ScalarResources  map[v1.ResourceName]int64 `json:"scalarResources,omitempty"`
}

// insufficient is what a node has too little of for the pod.
type insufficient struct {
	Resource     v1.ResourceName `json:"resource"`
	Reason       string          `json:"reason"`
	Requested    int64           `json:"requested"`
	Used         int64           `json:"used"`
	Capacity     int64           `json:"capacity"`
	Unresolvable bool            `json:"unresolvable"`
}

// account puts the pods of a request on its node.
func (request accountingRequest) account() (*framework.NodeInfo, *v1.Pod, error) {
	if request.Node == nil {
		return nil, nil, missing("node")
	}
	pod, err := readPod(request.Pod, "pod")
	if err != nil {
		return nil, nil, err
	}
	node := framework.NewNodeInfo()
	node.SetNode(&v1.Node{Status: v1.NodeStatus{
		Allocatable: request.Node.Allocatable,
		Capacity:    request.Node.Allocatable,
	}})
	for i := range request.Pods {
		p, err := readPod(request.Pods[i], index("pods", i))
		if err != nil {
			return nil, nil, err
		}
		node.AddPod(p)
	}
	return node, pod, nil
}

func accounting(request accountingRequest) (any, error) {
	node, pod, err := request.account()
	if err != nil {
		return nil, err
	}
	answer := accountingAnswer{
		Requested:        requestedOf(node.Requested),
		NonZeroRequested: requestedOf(node.NonZeroRequested),
		PodCount:         len(node.Pods),
		Fits:             []insufficient{},
		Scores:           map[string]int64{},
	}
	for _, r := range fits(pod.DeepCopy(), node, fitOptions()) {
		answer.Fits = append(answer.Fits, insufficient{
			Resource: r.ResourceName, Reason: r.Reason, Requested: r.Requested, Used: r.Used, Capacity: r.Capacity,
			Unresolvable: r.Unresolvable,
		})
	}
	sortFits(answer.Fits)
	plugins, err := request.Scoring.scorers()
	if err != nil {
		return nil, err
	}
	for name, p := range plugins {
		score, status := p.Score(context.Background(), framework.NewCycleState(), pod.DeepCopy(), node)
		if !status.IsSuccess() {
			return nil, protocol.Errorf(protocol.Refused, "%s: %s", name, status.Message())
		}
		answer.Scores[name] = score
	}
	return answer, nil
}

func requestedOf(r *framework.Resource) requested {
	return requested{
		MilliCPU: r.MilliCPU, Memory: r.Memory, EphemeralStorage: r.EphemeralStorage, ScalarResources: r.ScalarResources,
	}
}

// sortFits puts what Kubernetes takes from a map behind the rest, by name.
func sortFits(fits []insufficient) {
	first := []v1.ResourceName{v1.ResourcePods, v1.ResourceCPU, v1.ResourceMemory, v1.ResourceEphemeralStorage}
	rank := func(name v1.ResourceName) int {
		if i := slices.Index(first, name); i >= 0 {
			return i
		}
		return len(first)
	}
	slices.SortStableFunc(fits, func(a, b insufficient) int {
		return cmp.Or(cmp.Compare(rank(a.Resource), rank(b.Resource)), cmp.Compare(a.Resource, b.Resource))
	})
}

// schedulerFeatures are the gates as they are, but for devices that a resource of a node stands for: these need a
// cluster's device classes.
func schedulerFeatures() feature.Features {
	features := feature.NewSchedulerFeaturesFromGates(utilfeature.DefaultFeatureGate)
	features.EnableDRAExtendedResource = false
	return features
}

func fitOptions() noderesources.ResourceRequestsOptions {
	return noderesources.ResourceRequestsOptions{EnablePodLevelResources: schedulerFeatures().EnablePodLevelResources}
}

// scorers are the plugins that judge the resources of a node. BalancedAllocation knows no weights but 1.
func (s scoring) scorers() (map[string]scorePlugin, error) {
	weights := []config.ResourceSpec{{Name: "cpu", Weight: 1}, {Name: "memory", Weight: 1}}
	balancedWeights := weights
	if len(s.Resources) > 0 {
		weights, balancedWeights = nil, nil
		for _, r := range s.Resources {
			weights = append(weights, config.ResourceSpec{Name: r.Name, Weight: r.Weight})
			balancedWeights = append(balancedWeights, config.ResourceSpec{Name: r.Name, Weight: 1})
		}
	}
	fit := func(strategy config.ScoringStrategy) func() (plugin, error) {
		return func() (plugin, error) {
			strategy.Resources = weights
			args := &config.NodeResourcesFitArgs{ScoringStrategy: &strategy}
			return noderesources.NewFit(context.Background(), args, handle{}, schedulerFeatures())
		}
	}
	balanced := func() (plugin, error) {
		var args runtime.Object = &config.NodeResourcesBalancedAllocationArgs{Resources: balancedWeights}
		return noderesources.NewBalancedAllocation(context.Background(), args, handle{}, schedulerFeatures())
	}
	makers := map[string]func() (plugin, error){
		"leastAllocated":     fit(config.ScoringStrategy{Type: config.LeastAllocated}),
		"mostAllocated":      fit(config.ScoringStrategy{Type: config.MostAllocated}),
		"balancedAllocation": balanced,
	}
	if len(s.Shape) > 0 {
		ratio := &config.RequestedToCapacityRatioParam{}
		for _, p := range s.Shape {
			ratio.Shape = append(ratio.Shape, config.UtilizationShapePoint{Utilization: p.Utilization, Score: p.Score})
		}
		makers["requestedToCapacityRatio"] = fit(config.ScoringStrategy{
			Type: config.RequestedToCapacityRatio, RequestedToCapacityRatio: ratio,
		})
	}
	plugins := map[string]scorePlugin{}
	for name, make := range makers {
		made, err := make()
		if err != nil {
			return nil, protocol.Errorf(protocol.Refused, "scoring: %s: %s", name, err)
		}
		scorer, ok := made.(scorePlugin)
		if !ok {
			return nil, fmt.Errorf("%s: %T gives no scores", name, made)
		}
		plugins[name] = scorer
	}
	return plugins, nil
}

func prepareAccounting(request accountingRequest) ([]protocol.Benchmark, error) {
	node, pod, err := request.account()
	if err != nil {
		return nil, err
	}
	pods := make([]*v1.Pod, 0, len(node.Pods))
	for _, p := range node.Pods {
		pods = append(pods, p.GetPod())
	}
	options := fitOptions()
	plugins, err := request.Scoring.scorers()
	if err != nil {
		return nil, err
	}
	return []protocol.Benchmark{
		{
			Function: "framework.NewNodeInfo",
			Given:    "the decoded pods of the node",
			Run:      func() { _ = framework.NewNodeInfo(pods...) },
		},
		{
			Function: "noderesources.Fits",
			Given:    "the NodeInfo with its pods, and the decoded pod",
			Run:      func() { _ = fits(pod, node, options) },
		},
		{
			Function: "Fit.Score (LeastAllocated)",
			Given:    "the plugin, the NodeInfo with its pods, and the decoded pod",
			Run: func() {
				_, _ = plugins["leastAllocated"].Score(context.Background(), framework.NewCycleState(), pod, node)
			},
		},
	}, nil
}

package functions

import (
	"encoding/json"

	v1 "k8s.io/api/core/v1"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/component-helpers/resource"
	v1qos "k8s.io/kubernetes/pkg/apis/core/v1/helper/qos"
	"k8s.io/kubernetes/pkg/kubelet/qos"

	"podinit.dev/oracle/internal/protocol"
)

type podRequest struct {
	Pod json.RawMessage `json:"pod"`
}

// resourcesAnswer has the requests and limits of a pod under eight settings, and what follows from them on a node.
type resourcesAnswer struct {
	AggregateContainerLimits   v1.ResourceList `json:"aggregateContainerLimits"`
	AggregateContainerRequests v1.ResourceList `json:"aggregateContainerRequests"`
	Limits                     v1.ResourceList `json:"limits"`
	LimitsSkipPodLevel         v1.ResourceList `json:"limitsSkipPodLevel"`
	LimitsUseStatus            v1.ResourceList `json:"limitsUseStatus"`
	// OOMScoreAdjust32GiNode is for each container on a node with 32 GiB of memory.
	OOMScoreAdjust32GiNode  map[string]int  `json:"oomScoreAdjust32GiNode"`
	PodCgroup               podCgroup       `json:"podCgroup"`
	QOSClass                v1.PodQOSClass  `json:"qosClass"`
	Requests                v1.ResourceList `json:"requests"`
	RequestsExcludeOverhead v1.ResourceList `json:"requestsExcludeOverhead"`
	RequestsNonMissing      v1.ResourceList `json:"requestsNonMissing"`
	RequestsSkipPodLevel    v1.ResourceList `json:"requestsSkipPodLevel"`
	RequestsUseStatus       v1.ResourceList `json:"requestsUseStatus"`
}

// podCgroup is in the terms of cgroup v1, with CFS quotas and without memory QoS.
type podCgroup struct {
	CPUShares        *uint64 `json:"cpuShares,omitempty"`
	CPUQuotaUs       *int64  `json:"cpuQuotaUs,omitempty"`
	CPUPeriodUs      *uint64 `json:"cpuPeriodUs,omitempty"`
	MemoryLimitBytes *int64  `json:"memoryLimitBytes,omitempty"`
	// HugePageLimits are in bytes, by the size of a page in bytes.
	HugePageLimits map[int64]int64 `json:"hugePageLimits,omitempty"`
}

const (
	cpuPeriodUs  = 100_000
	memoryOfNode = 32 << 30
)

// nonMissing is what the scheduler's scores take for a container that asks for nothing.
var nonMissing = v1.ResourceList{
	v1.ResourceCPU:    apiresource.MustParse("100m"),
	v1.ResourceMemory: apiresource.MustParse("200Mi"),
}

func resources(request podRequest) (any, error) {
	pod, err := readPod(request.Pod, "pod")
	if err != nil {
		return nil, err
	}
	// PodRequests may add the overhead to the pod itself, so each function is asked about a pod of its own.
	requests := func(options resource.PodResourcesOptions) v1.ResourceList {
		return resource.PodRequests(pod.DeepCopy(), options)
	}
	limits := func(options resource.PodResourcesOptions) v1.ResourceList {
		return resource.PodLimits(pod.DeepCopy(), options)
	}
	return resourcesAnswer{
		AggregateContainerLimits:   resource.AggregateContainerLimits(pod.DeepCopy(), resource.PodResourcesOptions{}),
		AggregateContainerRequests: resource.AggregateContainerRequests(pod.DeepCopy(), resource.PodResourcesOptions{}),
		Limits:                     limits(resource.PodResourcesOptions{}),
		LimitsSkipPodLevel:         limits(resource.PodResourcesOptions{SkipPodLevelResources: true}),
		LimitsUseStatus:            limits(resource.PodResourcesOptions{UseStatusResources: true}),
		OOMScoreAdjust32GiNode:     oomScores(pod),
		PodCgroup:                  cgroupOf(pod.DeepCopy()),
		QOSClass:                   v1qos.ComputePodQOS(pod.DeepCopy()),
		Requests:                   requests(resource.PodResourcesOptions{}),
		RequestsExcludeOverhead:    requests(resource.PodResourcesOptions{ExcludeOverhead: true}),
		RequestsNonMissing:         requests(resource.PodResourcesOptions{NonMissingContainerRequests: nonMissing.DeepCopy()}),
		RequestsSkipPodLevel:       requests(resource.PodResourcesOptions{SkipPodLevelResources: true}),
		RequestsUseStatus:          requests(resource.PodResourcesOptions{UseStatusResources: true}),
	}, nil
}

func cgroupOf(pod *v1.Pod) podCgroup {
	config := resourceConfigForPod(pod, cpuPeriodUs)
	return podCgroup{
		CPUShares:        config.CPUShares,
		CPUQuotaUs:       config.CPUQuota,
		CPUPeriodUs:      config.CPUPeriod,
		MemoryLimitBytes: config.Memory,
		HugePageLimits:   config.HugePageLimit,
	}
}

func oomScores(pod *v1.Pod) map[string]int {
	scores := map[string]int{}
	for _, containers := range [][]v1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range containers {
			ofPod := pod.DeepCopy()
			scores[containers[i].Name] = qos.GetContainerOOMScoreAdjust(ofPod, &containers[i], memoryOfNode)
		}
	}
	return scores
}

func prepareResources(request podRequest) ([]protocol.Benchmark, error) {
	pod, err := readPod(request.Pod, "pod")
	if err != nil {
		return nil, err
	}
	return []protocol.Benchmark{
		{
			Function: "resource.PodRequests",
			Given:    "the decoded pod",
			Run:      func() { _ = resource.PodRequests(pod, resource.PodResourcesOptions{}) },
		},
		{
			Function: "resource.PodLimits",
			Given:    "the decoded pod",
			Run:      func() { _ = resource.PodLimits(pod, resource.PodResourcesOptions{}) },
		},
		{
			Function: "qos.ComputePodQOS",
			Given:    "the decoded pod",
			Run:      func() { _ = v1qos.ComputePodQOS(pod) },
		},
		{
			Function: "cm.ResourceConfigForPod",
			Given:    "the decoded pod",
			Run:      func() { _ = resourceConfigForPod(pod, cpuPeriodUs) },
		},
	}, nil
}

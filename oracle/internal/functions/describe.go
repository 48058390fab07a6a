package functions

import (
	"encoding/json"

	v1 "k8s.io/api/core/v1"
	"k8s.io/kubectl/pkg/describe"

	"podinit.dev/oracle/internal/protocol"
)

type describeRequest struct {
	Pod json.RawMessage `json:"pod"`
	// Events are those of the pod.
	Events []json.RawMessage `json:"events"`
	Now    clock             `json:"now"`
}

type textAnswer struct {
	Text string `json:"text"`
}

// readEvents reads the events of a request.
func readEvents(raw []json.RawMessage) (*v1.EventList, error) {
	list := &v1.EventList{Items: make([]v1.Event, len(raw))}
	for i := range raw {
		if err := readStrictly(raw[i], index("events", i), "Event", &list.Items[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func describePod(request describeRequest) (any, error) {
	pod, err := readPod(request.Pod, "pod")
	if err != nil {
		return nil, err
	}
	list, err := readEvents(request.Events)
	if err != nil {
		return nil, err
	}
	var answer textAnswer
	err = request.Now.at(func() (err error) {
		answer.Text, err = describe.DefaultObjectDescriber.DescribeObject(pod, list)
		return err
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

func prepareDescribe(request describeRequest) ([]protocol.Benchmark, error) {
	pod, err := readPod(request.Pod, "pod")
	if err != nil {
		return nil, err
	}
	list, err := readEvents(request.Events)
	if err != nil {
		return nil, err
	}
	return []protocol.Benchmark{{
		Function: "describe.DefaultObjectDescriber.DescribeObject",
		Given:    "the decoded pod and events; ages are those of the real clock",
		Run:      func() { _, _ = describe.DefaultObjectDescriber.DescribeObject(pod, list) },
	}}, nil
}

package functions

import (
	"bytes"
	"encoding/json"
	"sort"

	v1 "k8s.io/api/core/v1"
	kubectlprinters "k8s.io/cli-runtime/pkg/printers"
	"k8s.io/kubectl/pkg/cmd/events"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	api "k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/printers"

	"podinit.dev/oracle/internal/protocol"
)

type eventsRequest struct {
	Events []json.RawMessage `json:"events"`
	Now    clock             `json:"now"`
}

type eventsAnswer struct {
	// Text is what `kubectl events` prints, which sorts by the time at which an event was last seen.
	Text string `json:"text"`
	// GetText is what `kubectl get events` prints, in the order of the request.
	GetText string `json:"getText"`
}

func listEvents(request eventsRequest) (any, error) {
	list, err := readEvents(request.Events)
	if err != nil {
		return nil, err
	}
	var answer eventsAnswer
	err = request.Now.at(func() (err error) {
		if answer.GetText, err = getEvents(list); err != nil {
			return err
		}
		answer.Text, err = kubectlEvents(list)
		return err
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

func kubectlEvents(list *v1.EventList) (string, error) {
	var text bytes.Buffer
	w := kubectlprinters.GetNewTabWriter(&text)
	sort.Sort(events.SortableEvents(list.Items))
	if err := events.NewEventPrinter(false, false).PrintObj(list, w); err != nil {
		return "", err
	}
	if err := w.Flush(); err != nil {
		return "", err
	}
	return text.String(), nil
}

func getEvents(list *v1.EventList) (string, error) {
	var internal api.EventList
	if err := legacyscheme.Scheme.Convert(list, &internal, nil); err != nil {
		return "", protocol.Errorf(protocol.Refused, "events: %s", err)
	}
	table, err := tables.GenerateTable(&internal, printers.GenerateOptions{})
	if err != nil {
		return "", err
	}
	return tableText(table, false)
}

func prepareEvents(request eventsRequest) ([]protocol.Benchmark, error) {
	list, err := readEvents(request.Events)
	if err != nil {
		return nil, err
	}
	return []protocol.Benchmark{{
		Function: "events.EventPrinter.PrintObj",
		Given:    "the decoded events; ages are those of the real clock; sorting and columns are measured, too",
		Run:      func() { _, _ = kubectlEvents(list) },
	}}, nil
}

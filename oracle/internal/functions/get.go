package functions

import (
	"bytes"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kubectlprinters "k8s.io/cli-runtime/pkg/printers"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	api "k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/printers"
	printersinternal "k8s.io/kubernetes/pkg/printers/internalversion"

	"podinit.dev/oracle/internal/protocol"
)

type getRequest struct {
	Pod json.RawMessage `json:"pod"`
	Now clock           `json:"now"`
}

type getAnswer struct {
	// Columns are the names of all columns, Cells the values of the first of them, as `kubectl get` shows them;
	// Wide are the values of all, as with `--output wide`.
	Columns []string `json:"columns"`
	Cells   []string `json:"cells"`
	Wide    []string `json:"wide"`
	// Text and WideText are what kubectl prints.
	Text     string `json:"text"`
	WideText string `json:"wideText"`
}

// tables makes the tables that the apiserver sends to `kubectl get`.
var tables = printers.NewTableGenerator().With(printersinternal.AddHandlers)

// printable reads a pod and makes it the internal one, which is what the apiserver prints. It is
// defaulted first, as the apiserver does with what it reads: 1.37 no longer makes podIPs of podIP in
// the conversion.
func printable(raw json.RawMessage) (*api.Pod, error) {
	versioned, err := readPod(raw, "pod")
	if err != nil {
		return nil, err
	}
	legacyscheme.Scheme.Default(versioned)
	var pod api.Pod
	if err := legacyscheme.Scheme.Convert(versioned, &pod, nil); err != nil {
		return nil, protocol.Errorf(protocol.Refused, "pod: %s", err)
	}
	return &pod, nil
}

func get(request getRequest) (any, error) {
	pod, err := printable(request.Pod)
	if err != nil {
		return nil, err
	}
	var answer getAnswer
	err = request.Now.at(func() error {
		narrow, err := tables.GenerateTable(pod, printers.GenerateOptions{})
		if err != nil {
			return err
		}
		wide, err := tables.GenerateTable(pod, printers.GenerateOptions{Wide: true})
		if err != nil {
			return err
		}
		for _, c := range wide.ColumnDefinitions {
			answer.Columns = append(answer.Columns, c.Name)
		}
		answer.Cells, answer.Wide = cells(narrow), cells(wide)
		if answer.Text, err = tableText(narrow, false); err != nil {
			return err
		}
		answer.WideText, err = tableText(wide, true)
		return err
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// cells are the values of a table's only row.
func cells(table *metav1.Table) []string {
	var out []string
	for _, row := range table.Rows {
		for _, c := range row.Cells {
			out = append(out, fmt.Sprint(c))
		}
	}
	return out
}

// tableText prints a table that the apiserver sent, as `kubectl get` does.
func tableText(table runtime.Object, wide bool) (string, error) {
	var text bytes.Buffer
	w := kubectlprinters.GetNewTabWriter(&text)
	if err := kubectlprinters.NewTablePrinter(kubectlprinters.PrintOptions{Wide: wide}).PrintObj(table, w); err != nil {
		return "", err
	}
	if err := w.Flush(); err != nil {
		return "", err
	}
	return text.String(), nil
}

func prepareGet(request getRequest) ([]protocol.Benchmark, error) {
	pod, err := printable(request.Pod)
	if err != nil {
		return nil, err
	}
	return []protocol.Benchmark{{
		Function: "HumanReadableGenerator.GenerateTable",
		Given:    "the internal pod; ages are those of the real clock",
		Run:      func() { _, _ = tables.GenerateTable(pod, printers.GenerateOptions{}) },
	}}, nil
}

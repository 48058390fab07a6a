package functions

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/kubernetes/pkg/api/legacyscheme"

	"podinit.dev/oracle/internal/protocol"
)

type readRequest struct {
	// Text is a whole file.
	Text *string `json:"text"`
}

type readAnswer struct {
	// Documents are the objects of the file in their order, items of lists being objects of their own.
	Documents []document `json:"documents"`
}

type document struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	Namespace  string `json:"namespace,omitempty"`
	// ReadError says why kubectl or the apiserver cannot read it. kubectl stops at the first that it cannot read
	// itself; here, what comes behind it is answered, too.
	ReadError string `json:"readError,omitempty"`
	// Unchecked says why nobody looked into it.
	Unchecked string `json:"unchecked,omitempty"`
	verdict
}

// source is what kubectl calls a file that it gets on its standard input.
const source = "STDIN"

func read(request readRequest) (any, error) {
	if request.Text == nil {
		return nil, missing("text")
	}
	answer := readAnswer{Documents: []document{}}
	objects, err := split(*request.Text)
	for _, raw := range objects {
		documents, err := readObject(raw)
		if err != nil {
			return nil, err
		}
		answer.Documents = append(answer.Documents, documents...)
	}
	if err != nil {
		answer.Documents = append(answer.Documents, unread(fmt.Sprintf("error parsing %s: %s", source, err)))
	}
	return answer, nil
}

func unread(why string) document {
	return document{ReadError: why, verdict: verdict{Errors: []fieldError{}, Warnings: []string{}}}
}

// split takes a file apart as kubectl does, into objects as JSON. They are good as far as they go, even if there is
// an error.
func split(text string) ([][]byte, error) {
	var objects [][]byte
	// kubectl drops the byte order mark of a file.
	text = strings.TrimPrefix(text, "\ufeff")
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		var object runtime.RawExtension
		if err := decoder.Decode(&object); err != nil {
			if errors.Is(err, io.EOF) {
				return objects, nil
			}
			return objects, err
		}
		raw := bytes.TrimSpace(object.Raw)
		if len(raw) > 0 && !bytes.Equal(raw, []byte("null")) {
			objects = append(objects, raw)
		}
	}
}

// readObject has kubectl and then the apiserver read one object of a file, or the items of a list.
func readObject(raw []byte) ([]document, error) {
	items, readErr := resource.NewLocalBuilder().Unstructured().Stream(bytes.NewReader(raw), source).Flatten().ContinueOnError().Do().Infos()
	documents := make([]document, 0, len(items))
	for _, item := range items {
		d, err := readItem(item.Object)
		if err != nil {
			return nil, err
		}
		documents = append(documents, d)
	}
	if readErr != nil {
		d := unread(readErr.Error())
		d.name(raw)
		documents = append(documents, d)
	}
	return documents, nil
}

// name finds what an object that kubectl cannot read calls itself.
func (d *document) name(raw []byte) {
	var object map[string]any
	if json.Unmarshal(raw, &object) != nil {
		return
	}
	d.APIVersion, _ = object["apiVersion"].(string)
	d.Kind, _ = object["kind"].(string)
	if metadata, ok := object["metadata"].(map[string]any); ok {
		d.Name, _ = metadata["name"].(string)
		d.Namespace, _ = metadata["namespace"].(string)
	}
}

func readItem(item runtime.Object) (document, error) {
	kind := item.GetObjectKind().GroupVersionKind()
	d := unread("")
	d.APIVersion, d.Kind = kind.ToAPIVersionAndKind()
	m, err := meta.Accessor(item)
	if err != nil {
		return d, err
	}
	d.Name, d.Namespace = m.GetName(), m.GetNamespace()
	if _, ok := workloads[kind]; !ok {
		d.ReadError, d.Unchecked = notChecked(kind, d)
		return d, nil
	}
	// This is the body that kubectl sends.
	body, err := runtime.Encode(unstructured.UnstructuredJSONScheme, item)
	if err != nil {
		return d, err
	}
	object, err := internal(body, kind)
	if err != nil {
		d.ReadError = err.Error()
		return d, nil
	}
	d.verdict, err = create(object, kind)
	return d, err
}

// notChecked says why an object is not looked into: the apiserver does not know it, or this program does not.
func notChecked(kind schema.GroupVersionKind, d document) (readError, unchecked string) {
	unserved := kind.Version == "" // Custom resources have a version, too.
	for known := range workloads {
		unserved = unserved || known.Group == kind.Group && known.Kind == kind.Kind || formerly[kind.Group] && known.Kind == kind.Kind
	}
	builtIn := legacyscheme.Scheme.IsVersionRegistered(kind.GroupVersion())
	if unserved || builtIn && !isResource(kind) {
		return fmt.Sprintf("resource mapping not found for name: %q namespace: %q from %q: %s\nensure CRDs are installed first",
			d.Name, d.Namespace, source, &meta.NoKindMatchError{GroupKind: kind.GroupKind(), SearchedVersions: []string{kind.Version}}), ""
	}
	return "", fmt.Sprintf("kind %q of apiVersion %q is no pod and has no template of pods", d.Kind, d.APIVersion)
}

// isResource says whether a kind of a group that Kubernetes itself serves can be created.
func isResource(kind schema.GroupVersionKind) bool {
	object, err := legacyscheme.Scheme.New(kind)
	return err == nil && !meta.IsListType(object)
}

// formerly are the groups that served workloads before they moved to apps and batch.
var formerly = map[string]bool{"extensions": true}

func prepareRead(request readRequest) ([]protocol.Benchmark, error) {
	if request.Text == nil {
		return nil, missing("text")
	}
	objects, err := split(*request.Text)
	if err != nil {
		return nil, protocol.Errorf(protocol.Invalid, "text: %s", err)
	}
	type body struct {
		raw  []byte
		kind schema.GroupVersionKind
	}
	bodies := make([]body, 0, len(objects))
	for _, raw := range objects {
		kind, err := workloadKind(raw, "text")
		if err != nil {
			return nil, err
		}
		if _, err := internal(raw, kind); err != nil {
			return nil, protocol.Errorf(protocol.Refused, "text: %s", err)
		}
		bodies = append(bodies, body{raw, kind})
	}
	return []protocol.Benchmark{
		{
			Function: "yaml.YAMLOrJSONDecoder.Decode",
			Given:    "the text",
			Run:      func() { _, _ = split(*request.Text) },
		},
		{
			Function: "Decoder.Decode (strict, with defaults)",
			Given:    "the objects of the text as JSON",
			Run: func() {
				for _, b := range bodies {
					_, _ = internal(b.raw, b.kind)
				}
			},
		},
		{
			Function: "Decoder.Decode (strict, with defaults) and rest.BeforeCreate",
			Given:    "the objects of the text as JSON",
			Run: func() {
				for _, b := range bodies {
					object, _ := internal(b.raw, b.kind)
					_, _ = create(object, b.kind)
				}
			},
		},
	}, nil
}

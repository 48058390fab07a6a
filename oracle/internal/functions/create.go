package functions

import (
	"context"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/warning"
)

// verdict is what the apiserver makes of an object before it stores it.
type verdict struct {
	Errors []fieldError `json:"errors"`
	// Warnings come with an object that is accepted.
	Warnings []string `json:"warnings"`
}

// warnings collects warnings, each once.
type warnings struct{ list []string }

func (w *warnings) AddWarning(_, text string) {
	if text == "" {
		return
	}
	for _, known := range w.list {
		if known == text {
			return
		}
	}
	w.list = append(w.list, text)
}

// sorted are the warnings in an order that does not depend on maps.
func (w *warnings) sorted() []string {
	list := append([]string{}, w.list...)
	sortMapEntries(list, func(text string) string {
		field, _, _ := strings.Cut(text, ": ")
		return field
	}, func(text string) string { return text })
	return list
}

// requestContext is that of a request to the apiserver.
func requestContext(kind schema.GroupVersionKind, verb, subresource string, object metav1.Object, w *warnings) context.Context {
	ctx := genericapirequest.WithNamespace(context.Background(), object.GetNamespace())
	ctx = genericapirequest.WithRequestInfo(ctx, &genericapirequest.RequestInfo{
		IsResourceRequest: true, Verb: verb, APIGroup: kind.Group, APIVersion: kind.Version,
		Resource: workloads[kind].resource, Subresource: subresource,
		Namespace: object.GetNamespace(), Name: object.GetName(),
	})
	return warning.WithWarningRecorder(ctx, w)
}

// uid is that of each object that is created: a Job shows it to its template, and so in messages.
const uid = "00000000-0000-4000-8000-000000000000"

// naming guards the generator of random names, which all of the process shares.
var naming sync.Mutex

// create does to an object what the apiserver does between reading and storing it, but for admission plug-ins.
func create(object runtime.Object, kind schema.GroupVersionKind) (verdict, error) {
	m, err := meta.Accessor(object)
	if err != nil {
		return verdict{}, err
	}
	rest.WipeObjectMetaSystemFields(m)
	rest.FillObjectMetaSystemFields(m)
	m.SetUID(uid)
	s := workloads[kind].strategy
	if m.GetNamespace() == "" {
		m.SetNamespace(metav1.NamespaceDefault)
	}
	if m.GetGenerateName() != "" && m.GetName() == "" {
		naming.Lock()
		rand.Seed(1)
		m.SetName(s.GenerateName(m.GetGenerateName()))
		naming.Unlock()
	}
	w := &warnings{}
	ctx := requestContext(kind, "create", "", m, w)
	err = rest.BeforeCreate(s, ctx, object)
	errors := fieldErrors(err, func() field.ErrorList { return createErrors(ctx, object, s) })
	return verdict{Errors: errors, Warnings: w.sorted()}, nil
}

package functions

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/kubernetes/pkg/api/legacyscheme"

	"podinit.dev/oracle/internal/protocol"
)

type fieldsRequest struct {
	Kind       string `json:"kind"`
	APIVersion string `json:"apiVersion"`
}

type fieldsAnswer struct {
	// Fields are by their path: `[]` stands for the items of a list, `{}` for the values of a map.
	Fields map[string]string `json:"fields"`
}

// written are the types that write themselves as JSON, and what they write.
var written = map[reflect.Type]string{
	reflect.TypeFor[metav1.Time]():          "time",
	reflect.TypeFor[metav1.MicroTime]():     "time",
	reflect.TypeFor[metav1.Duration]():      "duration",
	reflect.TypeFor[resource.Quantity]():    "quantity",
	reflect.TypeFor[intstr.IntOrString]():   "integer or string",
	reflect.TypeFor[metav1.FieldsV1]():      "any",
	reflect.TypeFor[runtime.RawExtension](): "any",
	reflect.TypeFor[json.RawMessage]():      "any",
}

func fields(request fieldsRequest) (any, error) {
	if request.Kind == "" {
		return nil, missing("kind")
	}
	if request.APIVersion == "" {
		return nil, missing("apiVersion")
	}
	kind := schema.FromAPIVersionAndKind(request.APIVersion, request.Kind)
	object, err := legacyscheme.Scheme.New(kind)
	if err != nil || kind.Version == runtime.APIVersionInternal {
		return nil, protocol.Errorf(protocol.Invalid, "kind: there is no %q in apiVersion %q", request.Kind, request.APIVersion)
	}
	answer := fieldsAnswer{Fields: map[string]string{}}
	if err := walk(reflect.TypeOf(object), "", answer.Fields, nil); err != nil {
		return nil, err
	}
	return answer, nil
}

// walk adds what a type holds. within are the structures around it: one that holds itself is not entered again.
func walk(t reflect.Type, path string, into map[string]string, within []reflect.Type) error {
	if what, ok := written[t]; ok {
		into[path] = what
		return nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return walk(t.Elem(), path, into, within)
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			into[path] = "bytes"
			return nil
		}
		return walk(t.Elem(), path+"[]", into, within)
	case reflect.Map:
		return walk(t.Elem(), path+"{}", into, within)
	case reflect.Struct:
		if slices.Contains(within, t) {
			into[path] = "the same again"
			return nil
		}
		return walkStruct(t, path, into, append(slices.Clone(within), t))
	case reflect.String:
		into[path] = "string"
	case reflect.Bool:
		into[path] = "boolean"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		into[path] = "integer"
	case reflect.Float32, reflect.Float64:
		into[path] = "number"
	case reflect.Interface:
		into[path] = "any"
	default:
		return protocol.Errorf(protocol.Crash, "%s: %s is no type of JSON", path, t)
	}
	return nil
}

func walkStruct(t reflect.Type, path string, into map[string]string, within []reflect.Type) error {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return protocol.Errorf(protocol.Crash, "%s: what %s writes as JSON is not known here", path, t)
	}
	if t.NumField() == 0 {
		into[path] = "object"
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		inner := path
		switch {
		case name == "-" || !f.IsExported():
			continue
		case name == "" && (f.Anonymous || strings.Contains(options, "inline")):
		case name == "":
			return protocol.Errorf(protocol.Crash, "%s: %s.%s has no name in JSON", path, t, f.Name)
		case path == "":
			inner = name
		default:
			inner = path + "." + name
		}
		if err := walk(f.Type, inner, into, within); err != nil {
			return err
		}
	}
	return nil
}

package functions

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// fieldError is an error of validation, as the apiserver puts it. One that is about the whole object has no field.
type fieldError struct {
	Type    string `json:"type"`
	Field   string `json:"field"`
	Detail  string `json:"detail"`
	Message string `json:"message"`
}

// fieldErrors takes apart what rest.BeforeCreate and rest.BeforeUpdate return. That has all of the errors that were
// found but their details, for which validate finds them once more.
func fieldErrors(err error, validate func() field.ErrorList) []fieldError {
	list := []fieldError{}
	if err == nil {
		return list
	}
	var status *apierrors.StatusError
	if !errors.As(err, &status) || status.ErrStatus.Details == nil || !apierrors.IsInvalid(err) {
		return append(list, fieldError{Type: string(apierrors.ReasonForError(err)), Detail: err.Error(), Message: err.Error()})
	}
	found := validate()
	for _, cause := range status.ErrStatus.Details.Causes {
		e := fieldError{Type: string(cause.Type), Field: cause.Field, Message: cause.Field + ": " + cause.Message}
		at := slices.IndexFunc(found, func(f *field.Error) bool {
			return f.Field == cause.Field && f.ErrorBody() == cause.Message
		})
		if at >= 0 {
			e.Detail = found[at].Detail
		}
		list = append(list, e)
	}
	sortMapEntries(list, func(e fieldError) string { return e.Field }, func(e fieldError) string { return e.Message })
	return list
}

// mapFields are the fields that hold a map: Kubernetes walks through these in any order.
var mapFields = map[string]bool{
	"annotations": true, "labels": true, "matchLabels": true, "nodeSelector": true, "overhead": true,
	"volumeAttributes": true, "options": true,
}

// sortMapEntries gives an order to neighbours that are about entries of one map; all else stays where Kubernetes
// puts it, so that one input has one answer.
func sortMapEntries[T any](list []T, path, text func(T) string) {
	for start := 0; start < len(list); {
		end := start + 1
		if parent := mapOf(path(list[start])); parent != "" {
			for end < len(list) && mapOf(path(list[end])) == parent {
				end++
			}
		}
		slices.SortStableFunc(list[start:end], func(a, b T) int {
			return cmp.Or(cmp.Compare(path(a), path(b)), cmp.Compare(text(a), text(b)))
		})
		start = end
	}
}

// mapOf is the path of the map in which a path ends, or nothing. Requests and limits count as one map: the walk
// through either has errors about both.
func mapOf(path string) string {
	if strings.HasSuffix(path, "]") {
		if i := strings.LastIndexByte(path, '['); i >= 0 {
			path = path[:i]
		}
	}
	at := strings.LastIndexByte(path, '.')
	switch name := path[at+1:]; {
	case at > 0 && (name == "requests" || name == "limits"):
		return path[:at]
	case mapFields[name]:
		return path
	}
	return ""
}

//go:build !k137

package functions

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	genericvalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/api/validation/path"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// createErrors are those that rest.BeforeCreate finds in an object.
func createErrors(ctx context.Context, object runtime.Object, s strategy) field.ErrorList {
	if errors := s.Validate(ctx, object); len(errors) > 0 {
		return errors
	}
	m, err := meta.Accessor(object)
	if err != nil {
		return nil
	}
	return genericvalidation.ValidateObjectMetaAccessor(m, s.NamespaceScoped(), path.ValidatePathSegmentName, field.NewPath("metadata"))
}

// updateErrors are those that rest.BeforeUpdate finds in an object.
func updateErrors(ctx context.Context, object, old runtime.Object, s strategy) field.ErrorList {
	errors := s.ValidateUpdate(ctx, object, old)
	m, err := meta.Accessor(object)
	oldMeta, oldErr := meta.Accessor(old)
	if err != nil || oldErr != nil {
		return errors
	}
	of := field.NewPath("metadata")
	errors = append(errors, genericvalidation.ValidateObjectMetaAccessor(m, s.NamespaceScoped(), path.ValidatePathSegmentName, of)...)
	return append(errors, genericvalidation.ValidateObjectMetaAccessorUpdate(m, oldMeta, of)...)
}

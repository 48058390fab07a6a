//go:build k137

package functions

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
)

// createErrors are those that rest.BeforeCreate finds in an object.
func createErrors(ctx context.Context, object runtime.Object, s strategy) field.ErrorList {
	return rest.ValidateCreate(ctx, object, s)
}

// updateErrors are those that rest.BeforeUpdate finds in an object.
func updateErrors(ctx context.Context, object, old runtime.Object, s strategy) field.ErrorList {
	return rest.ValidateUpdate(ctx, object, old, s)
}

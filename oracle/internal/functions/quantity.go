package functions

import (
	"strconv"

	"k8s.io/apimachinery/pkg/api/resource"

	"podinit.dev/oracle/internal/protocol"
)

type quantityRequest struct {
	Input *string `json:"input"`
	Other *string `json:"other"`
}

// quantityAnswer is what a quantity is, or why it is none. Whole numbers are texts: they fill 64 bits.
type quantityAnswer struct {
	ParseError string  `json:"parseError,omitempty"`
	Canonical  *string `json:"canonical,omitempty"`
	Value      string  `json:"value,omitempty"`
	MilliValue string  `json:"milliValue,omitempty"`
	Sign       *int    `json:"sign,omitempty"`
	Format     string  `json:"format,omitempty"`
	Cmp        *int    `json:"cmp,omitempty"`
	Sum        string  `json:"sum,omitempty"`
	Difference string  `json:"difference,omitempty"`
}

func quantity(request quantityRequest) (any, error) {
	if request.Input == nil {
		return nil, missing("input")
	}
	var other resource.Quantity
	if request.Other != nil {
		var err error
		if other, err = resource.ParseQuantity(*request.Other); err != nil {
			return nil, protocol.Errorf(protocol.Invalid, "other: %q: %s", *request.Other, err)
		}
	}
	q, err := resource.ParseQuantity(*request.Input)
	if err != nil {
		return quantityAnswer{ParseError: err.Error()}, nil
	}
	canonical, sign := canonicalOf(&q), q.Sign()
	answer := quantityAnswer{
		Canonical:  &canonical,
		Value:      strconv.FormatInt(q.Value(), 10),
		MilliValue: strconv.FormatInt(q.MilliValue(), 10),
		Sign:       &sign,
		Format:     string(q.Format),
	}
	if request.Other != nil {
		cmp := q.Cmp(other)
		sum, difference := q.DeepCopy(), q.DeepCopy()
		sum.Add(other)
		difference.Sub(other)
		answer.Cmp, answer.Sum, answer.Difference = &cmp, canonicalOf(&sum), canonicalOf(&difference)
	}
	return answer, nil
}

// canonicalOf writes a quantity anew: String gives a text that was read as it was written.
func canonicalOf(q *resource.Quantity) string {
	number, suffix := q.CanonicalizeBytes(nil)
	return string(number) + string(suffix)
}

func prepareQuantity(request quantityRequest) ([]protocol.Benchmark, error) {
	if request.Input == nil {
		return nil, missing("input")
	}
	text := *request.Input
	q, err := resource.ParseQuantity(text)
	benchmarks := []protocol.Benchmark{{
		Function: "resource.ParseQuantity",
		Given:    "the text",
		Run:      func() { _, _ = resource.ParseQuantity(text) },
	}}
	if err != nil {
		return benchmarks, nil
	}
	buffer := make([]byte, 0, 64)
	return append(benchmarks, protocol.Benchmark{
		Function: "Quantity.CanonicalizeBytes",
		Given:    "the parsed quantity and a buffer",
		// String keeps its answer: it is the printing itself that is measured.
		Run: func() { _, _ = q.CanonicalizeBytes(buffer) },
	}), nil
}

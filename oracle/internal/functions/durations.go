package functions

import (
	"math"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"podinit.dev/oracle/internal/protocol"
)

type durationsRequest struct {
	Milliseconds *int64 `json:"milliseconds"`
}

type durationsAnswer struct {
	Human string `json:"human"`
	Short string `json:"short"`
}

// length is the duration that is asked for.
func (request durationsRequest) length() (time.Duration, error) {
	if request.Milliseconds == nil {
		return 0, missing("milliseconds")
	}
	const most = math.MaxInt64 / int64(time.Millisecond)
	ms := *request.Milliseconds
	if ms < -most || ms > most {
		return 0, protocol.Errorf(protocol.Invalid, "milliseconds: %d is not between %d and %d", ms, -most, most)
	}
	return time.Duration(ms) * time.Millisecond, nil
}

func durations(request durationsRequest) (any, error) {
	length, err := request.length()
	if err != nil {
		return nil, err
	}
	return durationsAnswer{Human: duration.HumanDuration(length), Short: duration.ShortHumanDuration(length)}, nil
}

func prepareDurations(request durationsRequest) ([]protocol.Benchmark, error) {
	length, err := request.length()
	if err != nil {
		return nil, err
	}
	return []protocol.Benchmark{{
		Function: "duration.HumanDuration",
		Given:    "the duration",
		Run:      func() { _ = duration.HumanDuration(length) },
	}}, nil
}

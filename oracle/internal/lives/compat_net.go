//go:build !k137

package lives

import (
	"time"

	"k8s.io/kubernetes/pkg/probe"
)

func (n netGRPC) Probe(host, service string, port int, timeout time.Duration) (probe.Result, string, error) {
	return n.probe(host, service, port, timeout)
}

const statsFromCRI = "podAndContainerStatsFromCRI"

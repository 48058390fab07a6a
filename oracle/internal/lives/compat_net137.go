//go:build k137

package lives

import (
	"net/http"
	"time"

	"k8s.io/kubernetes/pkg/probe"
	grpcprobe "k8s.io/kubernetes/pkg/probe/grpc"
)

func (n netGRPC) Probe(host, service string, port int, timeout time.Duration, _ grpcprobe.ProbeOptions) (probe.Result, string, error) {
	return n.probe(host, service, port, timeout)
}

func (n netHTTP) ProbeH2C(req *http.Request, timeout time.Duration) (probe.Result, string, error) {
	return n.Probe(req, timeout)
}

const statsFromCRI = "useCRIPodSandboxStats"

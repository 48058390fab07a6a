package lives

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/kubernetes/pkg/kubelet"
	"k8s.io/kubernetes/pkg/probe"
	httpprobe "k8s.io/kubernetes/pkg/probe/http"
)

// network answers probes and hooks over the network. There are no sockets: a bubble's time would not go on while
// one waits for them.
type network struct{ k *instance }

// setNetwork puts it in the place of the prober's clients and of the hooks'.
func setNetwork(k *instance, kl *kubelet.Kubelet) {
	n := network{k}
	prober := field(field(kl, "probeManager").Interface(), "prober").Interface()
	field(prober, "http").Set(reflect.ValueOf(netHTTP{n}))
	field(prober, "tcp").Set(reflect.ValueOf(netTCP{n}))
	field(prober, "grpc").Set(reflect.ValueOf(netGRPC{n}))
	runner := field(field(kl, "containerRuntime").Interface(), "runner").Interface()
	field(runner, "httpDoer").Set(reflect.ValueOf(doer{n, 0}))
}

// portNumber finds the number of a port by its name.
func portNumber(c *v1.Container, p intstr.IntOrString) int {
	if p.Type == intstr.Int {
		return p.IntValue()
	}
	for _, q := range c.Ports {
		if q.Name == p.StrVal {
			return int(q.ContainerPort)
		}
	}
	return 0
}

// asked says whether a probe or hook of the container asks at that port, and at that path if there is one.
func asked(c *v1.Container, kind string, port int, path string) bool {
	at := func(h v1.ProbeHandler) bool {
		switch {
		case kind == "http" && h.HTTPGet != nil:
			return portNumber(c, h.HTTPGet.Port) == port && (path == "" || "/"+strings.TrimPrefix(h.HTTPGet.Path, "/") == path)
		case kind == "tcp" && h.TCPSocket != nil:
			return portNumber(c, h.TCPSocket.Port) == port
		case kind == "grpc" && h.GRPC != nil:
			return int(h.GRPC.Port) == port
		}
		return false
	}
	for _, p := range []*v1.Probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
		if p != nil && at(p.ProbeHandler) {
			return true
		}
	}
	if l := c.Lifecycle; l != nil {
		for _, h := range []*v1.LifecycleHandler{l.PostStart, l.PreStop} {
			if h != nil && at(v1.ProbeHandler{HTTPGet: h.HTTPGet, TCPSocket: h.TCPSocket}) {
				return true
			}
		}
	}
	return false
}

// listener is the name of the container that is asked: the first that has a probe or hook of that path, or else of
// that port.
func (p *pod) listener(kind string, port int, path string) string {
	for _, want := range []string{path, ""} {
		for _, l := range [][]v1.Container{p.object.Spec.InitContainers, p.object.Spec.Containers} {
			for i := range l {
				if asked(&l[i], kind, port, want) {
					return l[i].Name
				}
			}
		}
	}
	return ""
}

// heard is what comes back.
type heard struct {
	Answer
	refused, timeout, dead bool
}

// at finds the pod that has an address, and its sandbox. The runtime's mu is held.
func (n network) at(host string) (*pod, *sandbox) {
	for _, p := range n.k.node.order() {
		if s := n.k.node.runtime.newest(p.uid); s != nil && s.ready && s.ip == host {
			return p, s
		}
	}
	return nil, nil
}

// ask is one connection.
func (n network) ask(kind, host string, port int, path string, timeout time.Duration) heard {
	if n.k.isDead() {
		return heard{dead: true}
	}
	r := n.k.node.runtime
	r.mu.Lock()
	var x *container
	p, s := n.at(host)
	if s != nil {
		x = s.last(p.listener(kind, port, path))
	}
	running := x != nil && x.running()
	r.mu.Unlock()
	if x == nil {
		return heard{refused: true}
	}
	line := fmt.Sprintf("%s :%d", kind, port)
	switch kind {
	case "http":
		line += path
	case "grpc":
		line += " " + path
	}
	e := Entry{Kind: kindProbe, Op: kind, Container: x.name(), Attempt: x.attempt(), Message: line}
	if !running {
		e.Error = "connection refused"
		n.k.record(p.uid, e)
		return heard{refused: true}
	}
	a := x.answer(line, x.age())
	e.ExitCode = &a.ExitCode
	n.k.record(p.uid, e)
	takes := a.Takes.or(latency["Probe"])
	over := timeout > 0 && takes > timeout
	if over {
		takes = timeout
	}
	t := time.NewTimer(lasting(takes, skew(line, x.name())))
	defer t.Stop()
	select {
	case <-t.C:
	case <-x.done:
		return heard{refused: true}
	case <-n.k.dead:
		return heard{dead: true}
	}
	return heard{Answer: a, timeout: over, refused: a.ExitCode != 0 && a.HTTPStatus == 0 && a.Output == "" && kind != "grpc"}
}

// doer is an HTTP client.
type doer struct {
	network
	timeout time.Duration
}

func (d doer) Do(req *http.Request) (*http.Response, error) {
	host, p, err := net.SplitHostPort(req.URL.Host)
	if err != nil {
		host, p = req.URL.Host, "80"
	}
	fail := func(err error) error { return &url.Error{Op: "Get", URL: req.URL.String(), Err: err} }
	port, err := strconv.Atoi(p)
	if err != nil {
		return nil, fail(err)
	}
	a := d.ask("http", host, port, req.URL.RequestURI(), d.timeout)
	switch {
	case a.dead:
		return nil, fail(context.Canceled)
	case a.timeout:
		return nil, fail(errors.New("context deadline exceeded (Client.Timeout exceeded while awaiting headers)"))
	case a.Error != "":
		return nil, fail(errors.New(a.Error))
	case a.refused:
		return nil, fail(fmt.Errorf("dial tcp %s: connect: connection refused", req.URL.Host))
	}
	code := a.HTTPStatus
	if code == 0 {
		if code = http.StatusOK; a.ExitCode != 0 {
			code = http.StatusInternalServerError
		}
	}
	return &http.Response{StatusCode: code, Status: fmt.Sprintf("%d %s", code, http.StatusText(code)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: io.NopCloser(bytes.NewReader([]byte(a.Output))), ContentLength: int64(len(a.Output)), Request: req}, nil
}

// netHTTP lets the kubelet judge the answers.
type netHTTP struct{ network }

func (n netHTTP) Probe(req *http.Request, timeout time.Duration) (probe.Result, string, error) {
	return httpprobe.DoHTTPProbe(req, doer{n.network, timeout})
}

type netTCP struct{ network }

func (n netTCP) Probe(host string, port int, timeout time.Duration) (probe.Result, string, error) {
	address := net.JoinHostPort(host, strconv.Itoa(port))
	a := n.ask("tcp", host, port, "", timeout)
	switch {
	case a.timeout:
		return probe.Failure, "dial tcp " + address + ": i/o timeout", nil
	case a.Error != "":
		return probe.Failure, a.Error, nil
	case a.refused || a.ExitCode != 0:
		return probe.Failure, "dial tcp " + address + ": connect: connection refused", nil
	}
	return probe.Success, "", nil
}

type netGRPC struct{ network }

func (n netGRPC) probe(host, service string, port int, timeout time.Duration) (probe.Result, string, error) {
	address := net.JoinHostPort(host, strconv.Itoa(port))
	a := n.ask("grpc", host, port, service, timeout)
	switch {
	case a.timeout || a.refused:
		return probe.Failure, fmt.Sprintf("timeout: failed to connect service %q within %v: context deadline exceeded", address, timeout), nil
	case a.Error != "":
		return probe.Failure, a.Error, nil
	case a.ExitCode != 0:
		return probe.Failure, "service unhealthy (responded with \"NOT_SERVING\")", nil
	}
	return probe.Success, "service healthy", nil
}

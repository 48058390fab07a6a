package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

// plane is a control plane that runs.
type plane struct {
	*options
	// ctx ends all components.
	ctx context.Context
	// ended gets one value from each component that ends, an error if it should not have.
	ended   chan error
	running int
	// server is the apiserver's URL.
	server string
	client *http.Client
}

func (p *plane) path(name string) string { return filepath.Join(p.dir, name) }

// start runs a component until the context ends.
func (p *plane) start(name string, run func() error) {
	p.running++
	go func() {
		err := run()
		if p.ctx.Err() != nil {
			p.ended <- nil
		} else if err != nil {
			p.ended <- fmt.Errorf("%s ended: %w", name, err)
		} else {
			p.ended <- fmt.Errorf("%s ended", name)
		}
	}()
}

// serve runs the control plane, prints the path of the administrator's kubeconfig when it is ready,
// and returns when ctx is done or a component has ended.
func serve(ctx context.Context, o *options) (err error) {
	began := time.Now()
	tell := func(what string) {
		fmt.Fprintf(os.Stderr, "%s ready after %v\n", what, time.Since(began).Round(time.Millisecond))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := &plane{options: o, ctx: ctx, ended: make(chan error, 3)}
	closeLog, err := p.openLog()
	if err != nil {
		return err
	}
	defer closeLog()

	etcd, err := p.startEtcd()
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	defer etcd.Close()
	tell("etcd")

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	p.server = "https://" + listener.Addr().String()
	access, err := newAccess(o.dir)
	if err != nil {
		return err
	}
	if err := access.writeUsers(p.server, o.nodes); err != nil {
		return err
	}
	if err := p.startAPIServer(listener, "http://"+etcd.Clients[0].Addr().String()); err != nil {
		return fmt.Errorf("kube-apiserver: %w", err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", p.path("kubeconfig"))
	if err != nil {
		return err
	}
	if p.client, err = rest.HTTPClientFor(config); err != nil {
		return err
	}
	if err := p.await("/readyz"); err != nil {
		return p.untilStopped(err)
	}
	tell("kube-apiserver")

	if o.runs("controller-manager") {
		if err := p.startControllerManager(); err != nil {
			return fmt.Errorf("kube-controller-manager: %w", err)
		}
	}
	if o.runs("scheduler") {
		if err := p.startScheduler(); err != nil {
			return fmt.Errorf("kube-scheduler: %w", err)
		}
	}
	if o.runs("controller-manager") {
		// Before it exists no pod can be created.
		if err := p.await("/api/v1/namespaces/default/serviceaccounts/default"); err != nil {
			return p.untilStopped(err)
		}
	}
	tell("all")
	fmt.Println(p.path("kubeconfig"))
	select {
	case <-ctx.Done():
	case err = <-p.ended:
		p.running--
		cancel()
	}
	p.drain()
	return err
}

// untilStopped is the error, unless the program was told to end.
func (p *plane) untilStopped(err error) error {
	if p.ctx.Err() != nil {
		p.drain()
		return nil
	}
	return err
}

// drain waits until all components have ended, for some seconds.
func (p *plane) drain() {
	deadline := time.After(5 * time.Second)
	for ; p.running > 0; p.running-- {
		select {
		case <-p.ended:
		case <-deadline:
			fmt.Fprintf(os.Stderr, "%d component(s) have not ended in 5s\n", p.running)
			return
		}
	}
}

// await asks the apiserver until it answers with 200.
func (p *plane) await(path string) error {
	for {
		r, err := p.client.Get(p.server + path)
		if err == nil {
			io.Copy(io.Discard, r.Body)
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case err := <-p.ended:
			p.running--
			return err
		case <-p.ctx.Done():
			return p.ctx.Err()
		case <-time.After(30 * time.Millisecond):
		}
	}
}

// openLog sends what the components log to a file.
func (p *plane) openLog() (closeLog func(), err error) {
	file, err := os.Create(p.path("log"))
	if err != nil {
		return nil, err
	}
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	for _, f := range [][2]string{
		{"logtostderr", "false"}, {"alsologtostderr", "false"}, {"stderrthreshold", "FATAL"}, {"one_output", "true"},
	} {
		if err := flags.Set(f[0], f[1]); err != nil {
			return nil, err
		}
	}
	klog.SetOutput(file)
	return func() { klog.Flush(); file.Close() }, nil
}

func (p *plane) startEtcd() (*embed.Etcd, error) {
	c := embed.NewConfig()
	c.Name = "testcluster"
	c.Dir = p.path("etcd")
	loopback := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	c.ListenClientUrls, c.AdvertiseClientUrls = loopback, loopback
	c.ListenPeerUrls, c.AdvertisePeerUrls = loopback, loopback
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	// Nothing of a test outlives the machine; and 64 MiB of log are not wanted ahead.
	c.UnsafeNoFsync = true
	wal.SegmentSizeBytes = 4 << 20
	c.EnableGRPCGateway = false
	c.LogLevel = "error"
	c.LogOutputs = []string{p.path("etcd.log")}
	etcd, err := embed.StartEtcd(c)
	if err != nil {
		return nil, err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, nil
	case <-time.After(30 * time.Second):
		err = errors.New("not ready in 30s")
	case <-p.ctx.Done():
		err = p.ctx.Err()
	}
	etcd.Close()
	return nil, err
}

// parse parses flags by sets of a component's, ours first and then the user's, which so count more.
func parse(name string, sets map[string]*pflag.FlagSet, ours, users []string) error {
	flags := pflag.NewFlagSet(name, pflag.ContinueOnError)
	for _, set := range sets {
		flags.AddFlagSet(set)
	}
	return flags.Parse(append(ours, users...))
}

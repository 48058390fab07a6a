// Program podinit-testcluster is a Kubernetes control plane for tests: etcd, kube-apiserver,
// kube-controller-manager and kube-scheduler in one process, on loopback, out of one directory. It
// ends when its standard input closes. Called as kubectl, or with `kubectl` as its first argument,
// it is kubectl.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	kubectl "k8s.io/kubectl/pkg/cmd"
)

func main() {
	if filepath.Base(os.Args[0]) != "kubectl" {
		if len(os.Args) < 2 || os.Args[1] != "kubectl" {
			os.Exit(testcluster(os.Args[1:]))
		}
		os.Args = os.Args[1:]
	}
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// options are the flags of the program.
type options struct {
	dir               string
	nodes             []string
	components        []string
	ignoreInput       bool
	apiserver         []string
	controllerManager []string
}

func (o *options) runs(component string) bool {
	for _, c := range o.components {
		if c == component {
			return true
		}
	}
	return false
}

// testcluster runs a control plane until it is told to end, and gives the exit code.
func testcluster(args []string) int {
	o := options{
		nodes:      []string{"node-0"},
		components: []string{"controller-manager", "scheduler"},
	}
	fs := flag.NewFlagSet("podinit-testcluster", flag.ContinueOnError)
	fs.StringVar(&o.dir, "dir", "", "directory of data, certificates, kubeconfigs and logs (a new one that is removed at the end)")
	list := func(name, separator string, to *[]string, usage string) {
		fs.Func(name, usage, func(text string) error {
			*to = strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(separator, r) })
			return nil
		})
	}
	list("nodes", ",", &o.nodes, "names of nodes that get a kubeconfig with a kubelet's rights, between commas (node-0)")
	list("components", ",", &o.components, "what runs beside etcd and the apiserver (controller-manager,scheduler)")
	list("apiserver-flags", " ", &o.apiserver, "more flags of kube-apiserver, between blanks")
	list("controller-manager-flags", " ", &o.controllerManager, "more flags of kube-controller-manager, between blanks")
	fs.BoolVar(&o.ignoreInput, "ignore-stdin", false, "do not end when standard input closes, only on SIGTERM or SIGINT")
	if err := fs.Parse(args); err != nil {
		if err == flag.ErrHelp {
			return 0
		}
		return 2
	}
	err := inDirectory(&o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "podinit-testcluster:", err)
		return 1
	}
	return 0
}

func inDirectory(o *options) error {
	for _, c := range o.components {
		if c != "controller-manager" && c != "scheduler" {
			return fmt.Errorf("--components: there is no %q; it is controller-manager or scheduler", c)
		}
	}
	if o.dir == "" {
		d, err := os.MkdirTemp("", "podinit-testcluster-")
		if err != nil {
			return err
		}
		o.dir = d
		defer os.RemoveAll(d)
	}
	// Certificates and paths in kubeconfigs are good from anywhere.
	dir, err := filepath.Abs(o.dir)
	if err != nil {
		return err
	}
	o.dir = dir
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if !o.ignoreInput {
		// Whoever started this is gone once the other end of the pipe is closed.
		go func() {
			io.Copy(io.Discard, os.Stdin)
			stop()
		}()
	}
	return serve(ctx, o)
}

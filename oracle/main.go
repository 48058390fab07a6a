// The jitter of the kubelet is drawn from a generator that is seeded; Go ignores seeds without this.
//go:debug randseednop=0

// Oracle answers questions about Kubernetes by running Kubernetes' own code: JSON lines in, JSON lines out.
//
// See README.md beside this file for what can be asked.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"podinit.dev/oracle/internal/lives"
	"podinit.dev/oracle/internal/protocol"
)

const usage = `usage:
  oracle version                                   which Kubernetes this is
  oracle families                                  what can be asked, one name a line
  oracle serve [--batch N] [--jobs N] [FILE]       answer the lines of FILE (standard input if absent or -)
  oracle FAMILY [--batch N] [--jobs N] [FILE]      the same; lines that name no family are of FAMILY
  oracle bench FAMILY [FILE]                       measure Kubernetes' own functions over the requests of FILE
`

func main() {
	if len(os.Args) == 2 && os.Args[1] == lives.WorkerCommand {
		os.Exit(lives.Work())
	}
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "oracle:", err)
			os.Exit(2)
		}
		fmt.Fprint(os.Stderr, usage)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("a command is expected\n%s", usage)
	}
	switch args[0] {
	case "-h", "--help", "help":
		return flag.ErrHelp
	case "version":
		return version(out)
	case "families":
		for _, n := range protocol.Names() {
			if _, err := fmt.Fprintln(out, n); err != nil {
				return err
			}
		}
		return nil
	case "bench":
		if len(args) < 2 || len(args) > 3 {
			return fmt.Errorf("bench takes a family and a file\n%s", usage)
		}
		return open(args[2:], in, func(r io.Reader) error { return protocol.Bench(args[1], r, out) })
	}
	s := &protocol.Server{}
	if args[0] != "serve" {
		if _, ok := protocol.Lookup(args[0]); !ok {
			return fmt.Errorf("there is no command and no family %q; the families are %s", args[0], strings.Join(protocol.Names(), ", "))
		}
		s.Family = args[0]
	}
	fs := flag.NewFlagSet("oracle "+args[0], flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.IntVar(&s.Batch, "batch", 1, "how many lives share a kubelet")
	fs.IntVar(&s.Jobs, "jobs", 1, "how many processes run lives")
	if err := fs.Parse(args[1:]); err != nil {
		return err
	}
	if s.Batch < 1 || s.Jobs < 1 || fs.NArg() > 1 {
		return fmt.Errorf("--batch and --jobs are at least 1, and there is one file at most\n%s", usage)
	}
	return open(fs.Args(), in, func(r io.Reader) error { return s.Serve(context.Background(), r, out) })
}

// open opens the file that the arguments name, if they name one.
func open(args []string, in io.Reader, f func(io.Reader) error) error {
	if len(args) == 0 || args[0] == "-" {
		return f(in)
	}
	file, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer file.Close()
	return f(file)
}

func version(out io.Writer) error {
	raw, err := protocol.Marshal(map[string]any{"kubernetes": kubernetes(), "go": strings.TrimPrefix(runtime.Version(), "go"), "protocol": protocol.Version})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", raw)
	return err
}

// kubernetes is the version of the module that is linked in.
func kubernetes() string {
	if b, ok := debug.ReadBuildInfo(); ok {
		for _, m := range b.Deps {
			if m.Path == "k8s.io/kubernetes" {
				return m.Version
			}
		}
	}
	return "unknown"
}

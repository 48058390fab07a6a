package main

import (
	"errors"
	"net"

	"k8s.io/client-go/rest"
	basecompat "k8s.io/component-base/compatibility"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	apiserveroptions "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	kcm "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	kcmoptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	scheduleroptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
)

// The components' cobra commands are not used: each sets up signal handlers, which a process can do
// only once.

func (p *plane) startAPIServer(listener net.Listener, etcd string) error {
	s := apiserveroptions.NewServerRunOptions()
	s.SecureServing.Listener = listener
	s.SecureServing.BindPort = listener.Addr().(*net.TCPAddr).Port
	err := parse("kube-apiserver", s.Flags().FlagSets, []string{
		"--etcd-servers=" + etcd,
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none",
		"--tls-cert-file=" + p.path("apiserver.crt"),
		"--tls-private-key-file=" + p.path("apiserver.key"),
		"--client-ca-file=" + p.path("ca.crt"),
		"--token-auth-file=" + p.path("tokens.csv"),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--service-cluster-ip-range=10.96.0.0/16",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + p.path("sa.key"),
		"--service-account-signing-key-file=" + p.path("sa.key"),
		"--kubelet-preferred-address-types=InternalIP",
		"--allow-privileged=true",
		"--profiling=false",
	}, p.apiserver)
	if err != nil {
		return err
	}
	// Feature gates are those of the process: they are set once the flags are known, before the other
	// components make their options.
	registry := s.GenericServerRunOptions.ComponentGlobalsRegistry
	_ = registry.FeatureGateFor(basecompat.DefaultKubeComponent)
	if err := registry.Set(); err != nil {
		return err
	}
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	completed, err := s.Complete(p.ctx)
	if err != nil {
		return err
	}
	if errs := completed.Validate(); len(errs) != 0 {
		return errors.Join(errs...)
	}
	p.start("kube-apiserver", func() error { return apiserver.Run(p.ctx, completed) })
	return nil
}

func (p *plane) startControllerManager() error {
	s, err := kcmoptions.NewKubeControllerManagerOptions()
	if err != nil {
		return err
	}
	all, disabled, aliases := kcm.KnownControllers(), kcm.ControllersDisabledByDefault(), kcm.ControllerAliases()
	sets := s.Flags(all, disabled, aliases)
	s.ParsedFlags = &sets
	err = parse("kube-controller-manager", sets.FlagSets, []string{
		"--kubeconfig=" + p.path("kubeconfig"),
		"--secure-port=0",
		"--leader-elect=false",
		"--root-ca-file=" + p.path("ca.crt"),
		"--service-account-private-key-file=" + p.path("sa.key"),
		"--use-service-account-credentials=false",
		"--allocate-node-cidrs=true",
		"--cluster-cidr=10.244.0.0/16",
		"--kube-api-qps=500", "--kube-api-burst=1000",
		"--profiling=false",
	}, p.controllerManager)
	if err != nil {
		return err
	}
	c, err := s.Config(p.ctx, all, disabled, aliases)
	if err != nil {
		return err
	}
	p.start("kube-controller-manager", func() error { return kcm.Run(p.ctx, c.Complete()) })
	return nil
}

func (p *plane) startScheduler() error {
	s := scheduleroptions.NewOptions()
	err := parse("kube-scheduler", s.Flags.FlagSets, []string{
		"--kubeconfig=" + p.path("kubeconfig"),
		"--secure-port=0",
		"--leader-elect=false",
		"--kube-api-qps=500", "--kube-api-burst=1000",
		"--profiling=false",
	}, nil)
	if err != nil {
		return err
	}
	config, sched, err := scheduler.Setup(p.ctx, s)
	if err != nil {
		return err
	}
	p.start("kube-scheduler", func() error { return scheduler.Run(p.ctx, config, sched) })
	return nil
}

package lives

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/record"
	"k8s.io/component-base/metrics"
	"k8s.io/klog/v2"
	kubeletv1beta1 "k8s.io/kubelet/config/v1beta1"
	"k8s.io/kubernetes/pkg/capabilities"
	"k8s.io/kubernetes/pkg/kubelet"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	kubeletscheme "k8s.io/kubernetes/pkg/kubelet/apis/config/scheme"
	cadvisortest "k8s.io/kubernetes/pkg/kubelet/cadvisor/testing"
	"k8s.io/kubernetes/pkg/kubelet/cm"
	kubecontainer "k8s.io/kubernetes/pkg/kubelet/container"
	containertest "k8s.io/kubernetes/pkg/kubelet/container/testing"
	"k8s.io/kubernetes/pkg/kubelet/events"
	kubetypes "k8s.io/kubernetes/pkg/kubelet/types"
	kubeletutil "k8s.io/kubernetes/pkg/kubelet/util"
	"k8s.io/kubernetes/pkg/util/oom"
	"k8s.io/kubernetes/pkg/volume"
	"k8s.io/kubernetes/pkg/volume/configmap"
	"k8s.io/kubernetes/pkg/volume/downwardapi"
	"k8s.io/kubernetes/pkg/volume/emptydir"
	"k8s.io/kubernetes/pkg/volume/projected"
	"k8s.io/kubernetes/pkg/volume/secret"
	"k8s.io/kubernetes/pkg/volume/util/hostutil"
	"k8s.io/kubernetes/pkg/volume/util/subpath"
	"k8s.io/mount-utils"
)

// metricsRegistry holds metrics that each kubelet registers, which a process can do only once.
//
//go:linkname metricsRegistry k8s.io/component-base/metrics/legacyregistry.defaultRegistry
var metricsRegistry metrics.KubeRegistry

// instance is one life of the kubelet.
type instance struct {
	node      *node
	number    int
	started   time.Time
	kubelet   *kubelet.Kubelet
	ctx       context.Context
	cancel    context.CancelFunc
	neverStop chan struct{}
	dead      chan struct{}
	once      sync.Once
	updates   chan kubetypes.PodUpdate
	wake      chan struct{}

	mu    sync.Mutex
	queue []change
}

func (k *instance) isDead() bool {
	select {
	case <-k.dead:
		return true
	default:
		return false
	}
}

// kill ends the kubelet's process: its calls under way are given up, and its loops end.
func (k *instance) kill() {
	k.once.Do(func() {
		k.node.api.mu.Lock()
		if k.node.api.watcher == k {
			k.node.api.watcher = nil
		}
		k.node.api.mu.Unlock()
		close(k.dead)
		k.cancel()
		close(k.neverStop)
		if s, ok := field(k.kubelet, "pleg").Interface().(interface{ Stop() }); ok {
			s.Stop()
		}
	})
}

// record puts an entry into a pod's trace, with the number of a kubelet that is not the first.
func (k *instance) record(uid string, e Entry) {
	if k.number > 1 {
		e.Kubelet = k.number
	}
	k.node.record(uid, e)
}

// field gives an unexported field of a struct, to be read or set.
func field(obj any, name string) reflect.Value {
	f := reflect.ValueOf(obj).Elem().FieldByName(name)
	return reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
}

// recorder takes the kubelet's events.
type recorder struct{ k *instance }

func (r recorder) record(obj runtime.Object, typ, reason, message string) {
	if r.k.isDead() {
		return
	}
	if typ == v1.EventTypeWarning || reason == events.StartedContainer || reason == events.KillingContainer {
		reseed()
	}
	e := Entry{Kind: kindEvent, Type: typ, Reason: reason, Message: message}
	switch o := obj.(type) {
	case *v1.ObjectReference:
		if o.Kind != "Node" {
			e.FieldPath = o.FieldPath
			r.k.record(string(o.UID), e)
			return
		}
		// What is about the node stands in the traces of all its pods, if it explains what happens to them.
		if reason == "EvictionThresholdMet" || reason == "NodeShutdown" {
			e.FieldPath = "node"
			for _, p := range r.k.node.order() {
				r.k.record(p.uid, e)
			}
		}
	case *v1.Pod:
		r.k.record(string(o.UID), e)
	}
}

func (r recorder) Event(o runtime.Object, typ, reason, message string) {
	r.record(o, typ, reason, message)
}
func (r recorder) Eventf(o runtime.Object, typ, reason, format string, a ...any) {
	r.record(o, typ, reason, fmt.Sprintf(format, a...))
}
func (r recorder) AnnotatedEventf(o runtime.Object, _ map[string]string, typ, reason, format string, a ...any) {
	r.record(o, typ, reason, fmt.Sprintf(format, a...))
}
func (r recorder) WithLogger(klog.Logger) record.EventRecorderLogger { return r }

// defaults are the kubelet's own.
var defaults = sync.OnceValue(func() *kubeletconfig.KubeletConfiguration {
	scheme, _, err := kubeletscheme.NewSchemeAndCodecs()
	if err != nil {
		panic(err)
	}
	var external kubeletv1beta1.KubeletConfiguration
	scheme.Default(&external)
	c := &kubeletconfig.KubeletConfiguration{}
	if err := scheme.Convert(&external, c, nil); err != nil {
		panic(err)
	}
	return c
})

func (n *node) config() *kubeletconfig.KubeletConfiguration {
	duration := func(d Duration) metav1.Duration { return metav1.Duration{Duration: time.Duration(d)} }
	c := defaults().DeepCopy()
	c.MaxPods = int32(n.maxPods)
	c.PodsPerCore = 0
	c.CgroupsPerQOS = false
	c.EnforceNodeAllocatable = nil
	c.RegistryPullQPS = 0
	c.SerializeImagePulls = false // pods that share a kubelet must not wait for one another
	c.ContainerLogMaxSize = "-1"
	c.MakeIPTablesUtilChains = false
	c.ResolverConfig = ""
	c.ClusterDNS = []string{"10.96.0.10"}
	c.ClusterDomain = "cluster.local"
	c.ImageGCHighThresholdPercent = 100
	c.ImageMaximumGCAge = metav1.Duration{}
	c.VolumeStatsAggPeriod = metav1.Duration{Duration: -1}
	c.ConfigMapAndSecretChangeDetectionStrategy = kubeletconfig.GetChangeDetectionStrategy
	c.EnableControllerAttachDetach = false
	c.LocalStorageCapacityIsolation = false
	c.StaticPodPath = ""
	if n.shared {
		// The kubelet's records of pulls are by image: by default a pod whose image is there would pull it once more
		// because another life pulled it.
		c.ImagePullCredentialsVerificationPolicy = string(kubeletconfig.NeverVerify)
	}
	c.NodeLeaseDurationSeconds = 1 << 20 // nobody reads the lease
	s := &n.spec
	c.ShutdownGracePeriod, c.ShutdownGracePeriodCriticalPods = duration(s.ShutdownGracePeriod), duration(s.ShutdownGracePeriodCriticalPods)
	c.EvictionHard, c.EvictionSoft, c.EvictionSoftGracePeriod = s.EvictionHard, s.EvictionSoft, s.EvictionSoftGracePeriod
	c.EvictionMaxPodGracePeriod = s.EvictionMaxPodGracePeriod
	if s.MaxContainerRestartPeriod != nil {
		c.CrashLoopBackOff.MaxContainerRestartPeriod = ptr(duration(*s.MaxContainerRestartPeriod))
	}
	return c
}

// start starts a kubelet, as the kubelet's main function does, over what is ours.
func (n *node) start() error {
	n.mu.Lock()
	n.kubelets++
	k := &instance{node: n, number: n.kubelets, started: time.Now(), neverStop: make(chan struct{}), dead: make(chan struct{}),
		updates: make(chan kubetypes.PodUpdate), wake: make(chan struct{}, 1)}
	n.mu.Unlock()
	// What is made once for a process is made for each kubelet: a bubble can wait only for channels of its own.
	wait.NeverStop = k.neverStop
	ownChannels()
	metricsRegistry = metrics.NewKubeRegistry()
	registry := prometheus.NewRegistry()
	prometheus.DefaultRegisterer, prometheus.DefaultGatherer = registry, registry
	if err := os.MkdirAll(filepath.Join(n.root, "logs"), 0o755); err != nil {
		return err
	}

	k.ctx, k.cancel = context.WithCancel(context.Background())
	recorder := recorder{k}
	conn := &cri{criRuntime: n.runtime, k: k}
	cl := &client{n.cluster, k}
	var plugins []volume.VolumePlugin
	for _, probe := range []func() []volume.VolumePlugin{emptydir.ProbeVolumePlugins, configmap.ProbeVolumePlugins, secret.ProbeVolumePlugins,
		downwardapi.ProbeVolumePlugins, projected.ProbeVolumePlugins} {
		plugins = append(plugins, probe()...)
	}
	tracker := kubeletutil.NewPodStartupLatencyTracker()
	podConfig := newPodConfig(recorder, tracker)
	deps := &kubelet.Dependencies{
		CAdvisorInterface:         &cadvisortest.Fake{NodeName: nodeName},
		ContainerManager:          containerManager{cm.NewStubContainerManager(), n},
		HeartbeatClient:           cl,
		KubeClient:                cl,
		Mounter:                   mount.NewFakeMounter(nil),
		HostUtil:                  hostutil.NewFakeHostUtil(nil),
		OOMAdjuster:               oom.NewFakeOOMAdjuster(),
		OSInterface:               realDirs{&containertest.FakeOS{HostName: nodeName}, n.root},
		PodConfig:                 podConfig,
		Recorder:                  recorder,
		Subpather:                 &subpath.FakeSubpath{},
		TracerProvider:            noop.NewTracerProvider(),
		VolumePlugins:             plugins,
		RemoteRuntimeService:      conn,
		RemoteImageService:        &criImages{cri: conn},
		PodStartupLatencyTracker:  tracker,
		NodeStartupLatencyTracker: nodeTracker(),
	}
	kl, err := kubelet.NewMainKubelet(k.ctx, n.config(), deps, nil, nodeName, types.NodeName(nodeName), []net.IP{net.ParseIP("192.0.2.1")}, "", "",
		filepath.Join(n.root, "pki"), filepath.Join(n.root, "kubelet"), filepath.Join(n.root, "logs"), "", "", false, nil, nil, "", false, false,
		metav1.Duration{}, 1, -1, nil, 50, false)
	if err != nil {
		k.cancel()
		return err
	}
	k.kubelet = kl
	field(kl, "oomWatcher").SetZero()
	setLatePLEG(kl)
	setPluginManager(kl)
	k.watchQueue()
	cpu := n.cpu()
	machine := field(kl, "machineInfo").Elem()
	machine.FieldByName("NumCores").SetInt(cpu.Value())
	machine.FieldByName("MemoryCapacity").SetUint(uint64(n.memory))
	setNetwork(k, kl)
	setSummary(n, kl)
	setStats(kl)
	kl.BirthCry()
	startGC(k.ctx, kl)
	n.mu.Lock()
	n.kubelet = k
	n.mu.Unlock()
	k.watch()
	// Only to be known as sources: the updates come from feed.
	file, api := podConfig.Channel(k.ctx, kubetypes.FileSource), podConfig.Channel(k.ctx, kubetypes.ApiserverSource)
	go func() {
		announce(file, kubetypes.FileSource)
		announce(api, kubetypes.ApiserverSource)
		k.feed()
	}()
	go runKubelet(k.ctx, kl, k.updates)
	return nil
}

// watch hands over all pods that there are, and makes the kubelet hear of changes from now on.
func (k *instance) watch() {
	n := k.node
	pods, a := n.order(), n.api
	a.mu.Lock()
	defer a.mu.Unlock()
	n.mu.Lock()
	static := n.static
	n.mu.Unlock()
	for _, p := range static {
		k.push(change{pod: p.object, static: true})
	}
	for _, q := range a.mirrors {
		if q = a.pods[keyOf(q)]; q != nil {
			k.push(change{pod: q})
		}
	}
	for _, p := range pods {
		if q := a.pods[p.key()]; q != nil && !p.static {
			k.push(change{pod: q})
		}
	}
	a.watcher = k
}

// setStats: the stats of pods and containers come from the CRI, none from cAdvisor.
func setStats(kl *kubelet.Kubelet) {
	p := field(field(kl, "StatsProvider").Interface(), "containerStatsProvider").Interface()
	field(p, statsFromCRI).SetBool(true)
}

// realDirs is the fake OS with real files, below the oracle's own directory.
type realDirs struct {
	*containertest.FakeOS
	root string
}

func (d realDirs) MkdirAll(path string, perm os.FileMode) error {
	if !strings.HasPrefix(path, d.root) {
		return nil
	}
	return os.MkdirAll(path, perm)
}
func (d realDirs) Stat(path string) (os.FileInfo, error)      { return os.Stat(path) }
func (d realDirs) Create(path string) (*os.File, error)       { return os.Create(path) }
func (d realDirs) Chmod(path string, perm os.FileMode) error  { return os.Chmod(path, perm) }
func (d realDirs) RemoveAll(path string) error                { return os.RemoveAll(path) }
func (d realDirs) ReadDir(path string) ([]os.DirEntry, error) { return os.ReadDir(path) }

var _ kubecontainer.OSInterface = realDirs{}

func init() {
	capabilities.Initialize(capabilities.Capabilities{AllowPrivileged: true})
}

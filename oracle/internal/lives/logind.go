package lives

import (
	"time"
	_ "unsafe" // for linkname

	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/kubelet/nodeshutdown/systemd"
)

// inhibiter has the methods of the unexported interface with which the node shutdown manager speaks to logind:
// interfaces of the same methods have the same layout.
type inhibiter interface {
	CurrentInhibitDelay() (time.Duration, error)
	InhibitShutdown() (systemd.InhibitLock, error)
	ReleaseInhibitLock(lock systemd.InhibitLock) error
	ReloadLogindConf() error
	MonitorShutdown(klog.Logger) (<-chan bool, error)
	OverrideInhibitDelay(inhibitDelayMax time.Duration) error
	dbusClose
}

// systemDbus is how the node shutdown manager finds logind.
//
//go:linkname systemDbus k8s.io/kubernetes/pkg/kubelet/nodeshutdown.systemDbus
var systemDbus func() (inhibiter, error)

// logind is the login manager of a node.
type logind struct {
	node   *node
	events chan bool
}

func (l *logind) CurrentInhibitDelay() (time.Duration, error)      { return time.Hour, nil }
func (l *logind) InhibitShutdown() (systemd.InhibitLock, error)    { return 1, nil }
func (l *logind) ReloadLogindConf() error                          { return nil }
func (l *logind) MonitorShutdown(klog.Logger) (<-chan bool, error) { return l.events, nil }
func (l *logind) OverrideInhibitDelay(time.Duration) error         { return nil }
func (l *logind) Close() error                                     { return nil }

// ReleaseInhibitLock: the kubelet is done.
func (l *logind) ReleaseInhibitLock(systemd.InhibitLock) error {
	l.node.recordAll(Entry{Kind: kindWorld, Op: "shutdownLockReleased"})
	return nil
}

// announce tells the kubelet of a shutdown, or that it was cancelled.
func (l *logind) announce(shutdown bool, k *instance) {
	select {
	case l.events <- shutdown:
	case <-k.dead:
	}
}

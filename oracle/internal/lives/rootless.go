package lives

import (
	"os"
	_ "unsafe" // for linkname

	utilfeature "k8s.io/apiserver/pkg/util/feature"
)

//go:linkname inUserNS github.com/moby/sys/userns.inUserNS
var inUserNS func() bool

// withoutKmsg lets a kubelet start that can't read /dev/kmsg: one in a user namespace does without its OOM watcher.
// The gate does nothing else in what runs here.
func withoutKmsg() error {
	f, err := os.Open("/dev/kmsg")
	if err == nil {
		return f.Close()
	}
	inUserNS = func() bool { return true }
	return utilfeature.DefaultMutableFeatureGate.Set("KubeletInUserNamespace=true")
}

//go:build k134

package lives

import (
	"time"
	_ "unsafe" // for linkname
)

//go:linkname neverExitWatch k8s.io/client-go/tools/cache.neverExitWatch
var neverExitWatch <-chan time.Time

// ownChannels replaces channels made outside the bubble, which reflectors wait for: no wait for them is durable.
func ownChannels() { neverExitWatch = make(chan time.Time) }

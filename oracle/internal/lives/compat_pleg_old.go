//go:build k134 || k135

package lives

import "k8s.io/kubernetes/pkg/kubelet"

// setLatePLEG: there is no relist on demand before 1.36.
func setLatePLEG(*kubelet.Kubelet) {}

//go:build !k134

package lives

import (
	"context"
	"reflect"

	"k8s.io/kubernetes/pkg/kubelet"
	"k8s.io/kubernetes/pkg/kubelet/config"
	"k8s.io/kubernetes/pkg/kubelet/pluginmanager/cache"
)

type noPlugins struct{}

func (noPlugins) Run(context.Context, config.SourcesReady, <-chan struct{}) {}
func (noPlugins) AddHandler(string, cache.PluginHandler)                    {}

func setPluginManager(kl *kubelet.Kubelet) {
	field(kl, "pluginManager").Set(reflect.ValueOf(noPlugins{}))
}

//! What the node is like.

use alloc::collections::BTreeMap;

use smol_str::SmolStr;

use super::read::{object, words};
use crate::go_duration::GoDuration;
use crate::quantity::Quantity;

words! {
    /// How the kubelet gives out processors (`cpuManagerPolicy`).
    CpuManagerPolicy {
        /// All share all.
        None = "none",
        /// Guaranteed pods with whole processors have their own.
        Static = "static",
    }
}

words! {
    /// How the kubelet gives out memory (`memoryManagerPolicy`).
    MemoryManagerPolicy {
        /// All share all.
        None = "None",
        /// Guaranteed pods have their own.
        Static = "Static",
    }
}

/// What the node and its kubelet are like, where that is not as usual.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "a scenario is written out, field by field")]
pub struct NodeSettings {
    /// The processors of the node.
    pub cpu: Option<Quantity>,
    /// The memory of the node.
    pub memory: Option<Quantity>,
    /// `crashLoopBackOff.maxContainerRestartPeriod` of the kubelet. `None`: 300 s.
    pub max_container_restart_period: Option<GoDuration>,
    /// Feature gates that are not as the version has them, of the kubelet and the API server.
    pub feature_gates: BTreeMap<SmolStr, bool>,
    /// `shutdownGracePeriod` of the kubelet.
    pub shutdown_grace_period: Option<GoDuration>,
    /// `shutdownGracePeriodCriticalPods` of the kubelet.
    pub shutdown_grace_period_critical_pods: Option<GoDuration>,
    /// `evictionHard` of the kubelet: thresholds by signal.
    pub eviction_hard: BTreeMap<SmolStr, SmolStr>,
    /// `evictionSoft` of the kubelet: thresholds by signal.
    pub eviction_soft: BTreeMap<SmolStr, SmolStr>,
    /// `evictionSoftGracePeriod` of the kubelet, by signal.
    pub eviction_soft_grace_period: BTreeMap<SmolStr, GoDuration>,
    /// `evictionMaxPodGracePeriod` of the kubelet, in seconds.
    pub eviction_max_pod_grace_period: Option<i32>,
    /// `cpuManagerPolicy` of the kubelet.
    pub cpu_manager_policy: Option<CpuManagerPolicy>,
    /// `memoryManagerPolicy` of the kubelet.
    pub memory_manager_policy: Option<MemoryManagerPolicy>,
    /// The CPU shares of a pod read as they were written; cgroup v2 rounds them.
    pub exact_cpu_shares: bool,
}

object!(NodeSettings {
    cpu: "cpu",
    memory: "memory",
    max_container_restart_period: "maxContainerRestartPeriod",
    feature_gates: "featureGates",
    shutdown_grace_period: "shutdownGracePeriod",
    shutdown_grace_period_critical_pods: "shutdownGracePeriodCriticalPods",
    eviction_hard: "evictionHard",
    eviction_soft: "evictionSoft",
    eviction_soft_grace_period: "evictionSoftGracePeriod",
    eviction_max_pod_grace_period: "evictionMaxPodGracePeriod",
    cpu_manager_policy: "cpuManagerPolicy",
    memory_manager_policy: "memoryManagerPolicy",
    exact_cpu_shares: "exactCPUShares",
});

//! Is the pod's sandbox still good (`runtimeutil.PodSandboxChanged`)?

use serde::{Deserialize, Serialize};

use core::fmt;

use crate::observation::{Observation, Sandbox};
use crate::pod::PodSpec;

/// Why a pod needs a new sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SandboxChange {
    /// It has none yet.
    Missing,
    /// More than one is ready.
    SeveralReady,
    /// The newest one is not ready: it died, or the node restarted.
    NotReady,
    /// The newest one was made for the other `hostNetwork` setting.
    HostNetworkChanged,
    /// The newest one has no IP address.
    NoIp,
}

impl SandboxChange {
    /// The message of the condition `PodReadyToStartContainers` while the pod waits for a sandbox,
    /// from 1.37 (`PodSandboxNotReadyMsg…`, `pkg/kubelet/types/constants.go`).
    pub fn message(self) -> &'static str {
        match self {
            Self::Missing => "no pod sandbox exists",
            Self::SeveralReady => "multiple pod sandboxes are ready and need to be reconciled",
            Self::NotReady => "pod sandbox is not ready",
            Self::HostNetworkChanged => {
                "network namespace mode changed and sandbox needs to be recreated"
            }
            Self::NoIp => "pod sandbox has no IP address",
        }
    }
}

impl fmt::Display for SandboxChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "the pod has no sandbox",
            Self::SeveralReady => "more than one sandbox is ready",
            Self::NotReady => "the newest sandbox is not ready",
            Self::HostNetworkChanged => "the sandbox was made for another hostNetwork setting",
            Self::NoIp => "the sandbox has no IP address",
        })
    }
}

/// What becomes of the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SandboxDecision<'a> {
    /// Why a new one is needed; `None`: the newest one is kept.
    pub change: Option<SandboxChange>,
    /// The attempt of the sandbox that is kept or made.
    pub attempt: u32,
    /// The sandbox that is kept or replaced. `None` also after a change of the network mode.
    pub sandbox: Option<&'a Sandbox>,
}

/// Is a new sandbox needed, and which attempt is it?
///
/// Source: `runtimeutil.PodSandboxChanged`, `pkg/kubelet/kuberuntime/util/util.go`, v1.36.2.
pub fn pod_sandbox_changed<'a>(pod: &PodSpec, observation: &'a Observation) -> SandboxDecision<'a> {
    let sandboxes = observation.sandboxes();
    let Some(newest) = sandboxes.first() else {
        return SandboxDecision { change: Some(SandboxChange::Missing), attempt: 0, sandbox: None };
    };
    let ready = sandboxes.iter().filter(|sandbox| sandbox.ready).count();
    let change = if ready > 1 {
        Some(SandboxChange::SeveralReady)
    } else if !newest.ready {
        Some(SandboxChange::NotReady)
    } else if newest.host_network != pod.host_network() {
        Some(SandboxChange::HostNetworkChanged)
    } else if !pod.host_network() && !newest.has_ip {
        Some(SandboxChange::NoIp)
    } else {
        None
    };
    SandboxDecision {
        change,
        attempt: newest.attempt.saturating_add(u32::from(change.is_some())),
        sandbox: (change != Some(SandboxChange::HostNetworkChanged)).then_some(newest),
    }
}

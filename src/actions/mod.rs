//! What the kubelet does next: `computePodActions` and its parts.
//!
//! The decision is a total function of the declared pod, the observation and a few facts of the
//! pod's life. It reads nothing else, changes nothing, and allocates nothing once the buffers of
//! the [`PodActions`] are large enough.

mod cause;
mod init;
mod legacy;
mod pod;
mod restart;
mod sandbox;

use alloc::vec::Vec;

use smol_str::SmolStr;

pub use cause::{KillCause, KillMessage, KillPodCause, StartCause};
pub use pod::{compute_pod_actions, compute_pod_actions_into};
pub(crate) use restart::restarts_all_containers;
pub use restart::{
    RestartDecision, RestartVerdict, restart_verdict, should_container_be_restarted,
};
pub use sandbox::{SandboxChange, SandboxDecision, pod_sandbox_changed};

use crate::pod::ContainerIndex;
use serde::{Deserialize, Serialize};

/// Facts of the pod's life that the decision looks at beside the observation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ActionContext {
    /// `metadata.deletionTimestamp` is set.
    pub deletion_requested: bool,
    /// The pod is marked for a restart in place, see
    /// [`restarting_all_containers`](crate::status::restarting_all_containers).
    pub restart_all_containers: bool,
}

/// A container to start, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "written out where a result is compared")]
pub struct ContainerToStart {
    /// Which container.
    pub container: ContainerIndex,
    /// The rule that asks for it.
    pub cause: StartCause,
}

/// A container to kill, and why. It is the container's newest instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "written out where a result is compared")]
pub struct ContainerToKill {
    /// Which container.
    pub container: ContainerIndex,
    /// The rule that asks for it.
    pub cause: KillCause,
    /// It is started again in the same sync.
    pub restart: bool,
}

/// An instance that a restart in place removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "written out where a result is compared")]
pub struct ContainerToReset {
    /// Which container.
    pub container: ContainerIndex,
    /// Which of its instances: a position in [`Observation::instances`](crate::Observation::instances).
    pub instance: usize,
    /// It has not exited and is killed first.
    pub kill: bool,
    /// Its exit is one that a rule `RestartAllContainers` matched.
    pub source: bool,
}

/// What is to be done in one sync (`podActions` of `kuberuntime_manager.go`).
///
/// The fields have the names of the Go struct. Containers to start are in the order in which they
/// are started; kills have no order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[must_use = "a decision does nothing until it is carried out"]
#[non_exhaustive]
pub struct PodActions {
    /// Stop every container and the sandbox, for this reason.
    pub kill_pod: Option<KillPodCause>,
    /// Make a new sandbox (after the old one was stopped).
    pub create_sandbox: bool,
    /// The sandbox that is used, or that is replaced; empty if there is none.
    pub sandbox_id: SmolStr,
    /// The attempt of the sandbox that is used or made.
    pub attempt: u32,
    /// Init containers to start, in their order.
    pub init_containers_to_start: Vec<ContainerToStart>,
    /// The init container to start by the algorithm of 1.32 and before, for a pod without
    /// restartable init containers (`NextInitContainerToStart`). Never set beside
    /// [`init_containers_to_start`](Self::init_containers_to_start).
    pub next_init_container_to_start: Option<ContainerToStart>,
    /// App containers to start, in their order.
    pub containers_to_start: Vec<ContainerToStart>,
    /// Ephemeral containers to start, in their order.
    pub ephemeral_containers_to_start: Vec<ContainerToStart>,
    /// Containers to kill.
    pub containers_to_kill: Vec<ContainerToKill>,
    /// Instances to remove for a restart in place, in this order.
    pub containers_to_reset: Vec<ContainerToReset>,
}

impl PodActions {
    /// Is there nothing to do?
    pub fn is_empty(&self) -> bool {
        self.kill_pod.is_none()
            && !self.create_sandbox
            && self.init_starts().next().is_none()
            && self.containers_to_start.is_empty()
            && self.ephemeral_containers_to_start.is_empty()
            && self.containers_to_kill.is_empty()
            && self.containers_to_reset.is_empty()
    }

    /// The init containers to start, in their order, whichever algorithm chose them.
    pub fn init_starts(&self) -> impl Iterator<Item = ContainerToStart> {
        self.init_containers_to_start.iter().copied().chain(self.next_init_container_to_start)
    }

    pub(crate) fn clear(&mut self) {
        self.kill_pod = None;
        self.create_sandbox = false;
        self.sandbox_id = SmolStr::default();
        self.attempt = 0;
        self.init_containers_to_start.clear();
        self.next_init_container_to_start = None;
        self.containers_to_start.clear();
        self.ephemeral_containers_to_start.clear();
        self.containers_to_kill.clear();
        self.containers_to_reset.clear();
    }

    fn start_init(&mut self, container: ContainerIndex, cause: StartCause) {
        self.init_containers_to_start.push(ContainerToStart { container, cause });
    }

    fn start_next_init(&mut self, container: ContainerIndex, cause: StartCause) {
        self.next_init_container_to_start = Some(ContainerToStart { container, cause });
    }

    fn start_app(&mut self, container: ContainerIndex, cause: StartCause) {
        self.containers_to_start.push(ContainerToStart { container, cause });
    }

    fn kill(&mut self, container: ContainerIndex, cause: KillCause, restart: bool) {
        self.containers_to_kill.push(ContainerToKill { container, cause, restart });
    }
}

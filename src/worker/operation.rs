//! What a plan asks of the runtime, and what came of it.

use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::pod::ContainerIndex;
use crate::termination::TerminationPlan;

/// One thing that the runtime is asked to do, in the kubelet's order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Operation {
    /// Stop container instances side by side, in the order of the plan. Done when all of them have
    /// stopped.
    StopContainers(TerminationPlan),
    /// Stop a sandbox. Stopping one that is stopped already is no error.
    StopPodSandbox {
        /// The sandbox.
        sandbox_id: SmolStr,
    },
    /// Remove an instance that does not run. Removing one that is gone is no error.
    RemoveContainer {
        /// The container.
        container: ContainerIndex,
        /// The instance.
        id: SmolStr,
        /// Its log is kept.
        keep_log: bool,
    },
    /// Make and start a sandbox.
    RunPodSandbox {
        /// Which attempt it is.
        attempt: u32,
    },
    /// Is the container's image on the node?
    CheckImage {
        /// The container.
        container: ContainerIndex,
    },
    /// Pull the container's image.
    PullImage {
        /// The container.
        container: ContainerIndex,
    },
    /// Create an instance of the container in the sandbox.
    CreateContainer {
        /// The container.
        container: ContainerIndex,
        /// The sandbox.
        sandbox_id: SmolStr,
        /// Which restart it is. `None`: the runtime has no record of the container; one more than
        /// that of its newest log, or 0 if it has no log either.
        restart_count: Option<u32>,
    },
    /// Start the instance that was just created, its `postStart` hook included. If the hook fails,
    /// the instance is killed by
    /// [`TerminationPlan::for_container`](crate::termination::TerminationPlan::for_container), with
    /// the grace of its pod and its `preStop` hook.
    StartContainer {
        /// The container.
        container: ContainerIndex,
        /// The instance.
        id: SmolStr,
    },
}

/// Which kind of failure it was, where the kubelet tells several apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum FailureKind {
    /// The plain one of the operation: `ErrImagePull`, `CreateContainerError`, `RunContainerError`.
    #[default]
    Plain,
    /// The image's name cannot be read (`InvalidImageName`).
    InvalidImageName,
    /// The registry cannot be reached (`RegistryUnavailable`).
    RegistryUnavailable,
    /// The image's signature is not valid (`SignatureValidationFailed`).
    SignatureValidationFailed,
    /// The container's configuration cannot be made (`CreateContainerConfigError`).
    CreateContainerConfig,
    /// A hook before creation failed (`PreCreateHookError`).
    PreCreateHook,
    /// A hook before the start failed (`PreStartHookError`).
    PreStartHook,
    /// The `postStart` hook failed (`PostStartHookError`); the container was killed for it.
    PostStartHook,
}

/// An operation that failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Failure {
    /// Which kind.
    pub kind: FailureKind,
    /// The runtime's words.
    pub message: SmolStr,
}

impl Failure {
    /// A failure of the plain kind.
    pub fn new(message: impl Into<SmolStr>) -> Self {
        Self { kind: FailureKind::Plain, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What came of an [`Operation`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Outcome {
    /// It is done: of [`StopContainers`](Operation::StopContainers) (all have stopped),
    /// [`StopPodSandbox`](Operation::StopPodSandbox),
    /// [`RemoveContainer`](Operation::RemoveContainer) and
    /// [`StartContainer`](Operation::StartContainer).
    Done,
    /// What came of each stop of [`StopContainers`](Operation::StopContainers), in the order of
    /// [`TerminationPlan::stops`](crate::termination::TerminationPlan::stops): `None` if the
    /// container has stopped, else why it may still run.
    Stopped(Vec<Option<Failure>>),
    /// The sandbox that [`RunPodSandbox`](Operation::RunPodSandbox) made.
    Sandbox(SmolStr),
    /// What [`CheckImage`](Operation::CheckImage) found.
    ImagePresent(bool),
    /// [`PullImage`](Operation::PullImage) succeeded.
    Pulled {
        /// The image's size in bytes; 0 if it is not known.
        size: u64,
    },
    /// The instance that [`CreateContainer`](Operation::CreateContainer) made.
    Created(SmolStr),
    /// It failed. Of [`StopContainers`](Operation::StopContainers): every container of the plan may
    /// still run.
    Failed(Failure),
}

/// What the kubelet tells at once, while the operation is still under way, see
/// [`PodWorker::note`](crate::PodWorker::note).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Notice {
    /// The instance of [`StartContainer`](Operation::StartContainer) has started; its `postStart`
    /// hook is to be run.
    Started,
    /// The `postStart` hook has failed; the instance is killed for it.
    PostStartHookFailed,
    /// The `preStop` hook of a container of [`StopContainers`](Operation::StopContainers) has
    /// failed: the position of its stop in the plan. The container is stopped all the same. Of
    /// [`StartContainer`](Operation::StartContainer), where the instance is killed for its `postStart`
    /// hook: 0.
    PreStopHookFailed(usize),
}

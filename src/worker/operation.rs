//! What a plan asks of the runtime, and what came of it.

use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::pod::ContainerIndex;
use crate::termination::TerminationPlan;

/// One thing that the runtime is asked to do, in the kubelet's order.
///
/// Each kind makes its own [`Outcome`], so that an answer to another question does not compile:
///
/// ```
/// # use podinit::{Operation, Outcome};
/// fn answer(operation: &Operation) -> Outcome {
///     match operation {
///         Operation::CheckImage(check) => check.present(true),
///         Operation::CreateContainer(create) => create.created("containerd://4f1e"),
///         // A dry run: all else goes well.
///         other => other.succeeded("id"),
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Operation {
    /// Stop containers.
    StopContainers(StopContainers),
    /// Stop a sandbox.
    StopPodSandbox(StopPodSandbox),
    /// Remove an instance.
    RemoveContainer(RemoveContainer),
    /// Make and start a sandbox.
    RunPodSandbox(RunPodSandbox),
    /// Is an image on the node?
    CheckImage(CheckImage),
    /// Pull an image.
    PullImage(PullImage),
    /// Create an instance.
    CreateContainer(CreateContainer),
    /// Start an instance.
    StartContainer(StartContainer),
}

impl Operation {
    /// It failed. Of a stop of containers: every one of them may still run.
    pub fn failed(&self, failure: Failure) -> Outcome {
        Outcome(OutcomeKind::Failed(failure))
    }

    /// What comes of it where nothing goes wrong, the image is there, and what is made has this id: for
    /// dry runs and tests.
    pub fn succeeded(&self, id: impl Into<SmolStr>) -> Outcome {
        match self {
            Self::StopContainers(stop) => stop.stopped(),
            Self::StopPodSandbox(stop) => stop.stopped(),
            Self::RemoveContainer(remove) => remove.removed(),
            Self::RunPodSandbox(run) => run.running(id),
            Self::CheckImage(check) => check.present(true),
            Self::PullImage(pull) => pull.pulled(0),
            Self::CreateContainer(create) => create.created(id),
            Self::StartContainer(start) => start.started(),
        }
    }
}

/// Stop container instances side by side, in the order of the plan. Done when all of them have
/// stopped.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StopContainers {
    /// Which, in which order, and how long each may take.
    pub plan: TerminationPlan,
}

impl StopContainers {
    /// All have stopped.
    pub fn stopped(&self) -> Outcome {
        Outcome(OutcomeKind::Done)
    }

    /// What came of each stop, in the order of
    /// [`TerminationPlan::stops`](crate::termination::TerminationPlan::stops): `None` if the container
    /// has stopped, else why it may still run. [`PodWorker::record`](crate::PodWorker::record) refuses
    /// it if there are more or fewer than stops.
    pub fn stopped_each(&self, failures: Vec<Option<Failure>>) -> Outcome {
        Outcome(OutcomeKind::Stopped(failures))
    }
}

/// Stop a sandbox. Stopping one that is stopped already is no error.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StopPodSandbox {
    /// The sandbox.
    pub sandbox_id: SmolStr,
}

impl StopPodSandbox {
    /// It has stopped.
    pub fn stopped(&self) -> Outcome {
        Outcome(OutcomeKind::Done)
    }
}

/// Remove an instance that does not run. Removing one that is gone is no error.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RemoveContainer {
    /// The container.
    pub container: ContainerIndex,
    /// The instance.
    pub id: SmolStr,
    /// Its log is kept.
    pub keep_log: bool,
}

impl RemoveContainer {
    /// It is gone.
    pub fn removed(&self) -> Outcome {
        Outcome(OutcomeKind::Done)
    }
}

/// Make and start a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunPodSandbox {
    /// Which attempt it is.
    pub attempt: u32,
}

impl RunPodSandbox {
    /// It runs, and has this id.
    pub fn running(&self, sandbox_id: impl Into<SmolStr>) -> Outcome {
        Outcome(OutcomeKind::Sandbox(sandbox_id.into()))
    }
}

/// Is the container's image on the node?
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CheckImage {
    /// The container.
    pub container: ContainerIndex,
}

impl CheckImage {
    /// It is, or it is not.
    pub fn present(&self, present: bool) -> Outcome {
        Outcome(OutcomeKind::ImagePresent(present))
    }
}

/// Pull the container's image.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PullImage {
    /// The container.
    pub container: ContainerIndex,
}

impl PullImage {
    /// It is on the node. `size`: in bytes; 0 if it is not known.
    pub fn pulled(&self, size: u64) -> Outcome {
        Outcome(OutcomeKind::Pulled { size })
    }
}

/// Create an instance of the container in the sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CreateContainer {
    /// The container.
    pub container: ContainerIndex,
    /// The sandbox.
    pub sandbox_id: SmolStr,
    /// Which restart it is. `None`: the runtime has no record of the container; one more than
    /// that of its newest log, or 0 if it has no log either.
    pub restart_count: Option<u32>,
}

impl CreateContainer {
    /// It is created, and has this id.
    pub fn created(&self, id: impl Into<SmolStr>) -> Outcome {
        Outcome(OutcomeKind::Created(id.into()))
    }
}

/// Start the instance that was just created, its `postStart` hook included. If the hook fails, the
/// instance is killed by
/// [`TerminationPlan::for_container`](crate::termination::TerminationPlan::for_container), with the
/// grace of its pod and its `preStop` hook.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StartContainer {
    /// The container.
    pub container: ContainerIndex,
    /// The instance.
    pub id: SmolStr,
}

impl StartContainer {
    /// It runs, and its hook has succeeded if it has one.
    pub fn started(&self) -> Outcome {
        Outcome(OutcomeKind::Done)
    }
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
#[allow(clippy::exhaustive_structs, reason = "made by callers: a kind and a text")]
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

/// What came of an [`Operation`], which makes it: see its methods.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Outcome(pub(crate) OutcomeKind);

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum OutcomeKind {
    /// Stopped, removed, started.
    Done,
    /// For each stop of a plan, why its container may still run.
    Stopped(Vec<Option<Failure>>),
    Sandbox(SmolStr),
    ImagePresent(bool),
    Pulled {
        size: u64,
    },
    Created(SmolStr),
    Failed(Failure),
}

impl From<OutcomeKind> for Outcome {
    fn from(kind: OutcomeKind) -> Self {
        Self(kind)
    }
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

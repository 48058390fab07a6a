//! Why something is done: the rule, with the facts it used.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::restart::RestartVerdict;
use super::sandbox::SandboxChange;
use crate::pod::{ContainerIndex, ContainerKind, PodSpec};

/// Why a container is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum StartCause {
    /// The pod gets a new sandbox and starts from its beginning.
    NewSandbox(SandboxChange),
    /// No init container has a record: the first one starts.
    FirstInitContainer,
    /// The regular init container before it has succeeded.
    AfterSucceeded {
        /// The one before.
        previous: ContainerIndex,
    },
    /// The restartable init container before it has started.
    AfterStarted {
        /// The one before.
        previous: ContainerIndex,
    },
    /// Every init container has done its work.
    Initialized,
    /// It was created and never started.
    Created,
    /// A restartable init container whose record is gone, in a pod that is initialised.
    RecordMissing,
    /// It ended and is restarted.
    Exited {
        /// The exit code of the ended instance.
        exit_code: i32,
        /// What decided that it is restarted.
        verdict: RestartVerdict,
    },
    /// Its running instance is killed for this and replaced.
    Killed(KillCause),
    /// An ephemeral container that has no record yet.
    Ephemeral,
}

/// Why a container is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum KillCause {
    /// Its name or image in the spec is another than the one it was made from.
    DefinitionChanged,
    /// Its startup probe failed.
    StartupProbeFailed,
    /// Its liveness probe failed.
    LivenessProbeFailed,
    /// The runtime cannot tell its state.
    UnknownState,
}

impl KillCause {
    /// `containerKillReason`: the word by which the kubelet tells kills apart. A changed definition
    /// has none.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::DefinitionChanged => "",
            Self::StartupProbeFailed => "StartupProbe",
            Self::LivenessProbeFailed => "LivenessProbe",
            Self::UnknownState => "Unknown",
        }
    }
}

/// Why the whole pod is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum KillPodCause {
    /// Its sandbox is no longer good (or not there yet) and a new one is made.
    NewSandbox(SandboxChange),
    /// Its sandbox is no longer good, and under `restartPolicy: Never` a pod that has had
    /// containers gets no other.
    NoSandboxUnderNever(SandboxChange),
    /// Its sandbox is no longer good, and no app container is left to start in a new one.
    NothingToStart(SandboxChange),
    /// A regular init container failed and is not restarted.
    InitContainerFailed {
        /// Which one.
        container: ContainerIndex,
        /// Its exit code.
        exit_code: i32,
        /// What decided that it is not restarted.
        verdict: RestartVerdict,
    },
    /// A regular init container is in an unknown state and is not restarted.
    InitContainerUnknown {
        /// Which one.
        container: ContainerIndex,
    },
    /// No app container runs and none is to be started: the pod has done its work.
    NothingToKeep,
}

/// The text that the kubelet records when it kills a container; displays as it prints.
#[derive(Clone, Copy, Debug)]
pub struct KillMessage<'a> {
    pub(super) pod: &'a PodSpec,
    pub(super) container: ContainerIndex,
    pub(super) cause: KillCause,
    pub(super) restart: bool,
}

impl super::ContainerToKill {
    /// The text of the `Killing` event, word for word.
    pub fn message<'a>(&self, pod: &'a PodSpec) -> KillMessage<'a> {
        KillMessage { pod, container: self.container, cause: self.cause, restart: self.restart }
    }
}

impl fmt::Display for KillMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let container = self.pod.container(self.container);
        let init = matches!(container.kind(), ContainerKind::Init | ContainerKind::RestartableInit);
        let noun = if init { "Init container" } else { "Container" };
        let what = match self.cause {
            KillCause::DefinitionChanged => "definition changed",
            KillCause::StartupProbeFailed => "failed startup probe",
            KillCause::LivenessProbeFailed => "failed liveness probe",
            KillCause::UnknownState => {
                return write!(f, "{noun} is in \"unknown\" state, try killing it before restart");
            }
        };
        write!(f, "{noun} {} {what}", container.name())?;
        // Only app containers tell whether they come back.
        if self.restart && !init { f.write_str(", will be restarted") } else { Ok(()) }
    }
}

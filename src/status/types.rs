//! What the API says of a pod: phase, conditions, container statuses.
//!
//! The types mirror `v1.PodStatus` in what this crate computes. They are not the runtime's view of
//! a container ([`ContainerInstance`](crate::observation::ContainerInstance)): the kubelet decides actions from
//! that one and the phase from these.

use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::time::Timestamp;

/// `status.phase`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_enums, reason = "Kubernetes has these and no others")]
pub enum PodPhase {
    /// Accepted; not all containers have been started.
    #[default]
    Pending,
    /// Initialised, and at least one container runs or is to be restarted.
    Running,
    /// Every container has ended for good, with exit code 0.
    Succeeded,
    /// Every container has ended for good, at least one of them in failure.
    Failed,
    /// The node cannot be asked.
    Unknown,
}

impl PodPhase {
    /// Succeeded or Failed: the pod will not run again.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }

    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Unknown => "Unknown",
        }
    }
}

impl fmt::Display for PodPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// `status` of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_enums, reason = "Kubernetes has these and no others")]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Nobody knows.
    Unknown,
}

impl ConditionStatus {
    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for ConditionStatus {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// The condition types that the kubelet itself writes, as the API spells them.
pub mod condition_type {
    /// The pod's sandbox is there, with its network.
    pub const POD_READY_TO_START_CONTAINERS: &str = "PodReadyToStartContainers";
    /// Every init container has done its work.
    pub const INITIALIZED: &str = "Initialized";
    /// The pod can serve requests.
    pub const READY: &str = "Ready";
    /// All containers are ready.
    pub const CONTAINERS_READY: &str = "ContainersReady";
    /// The pod has a node.
    pub const POD_SCHEDULED: &str = "PodScheduled";
    /// The pod is being restarted in place.
    pub const ALL_CONTAINERS_RESTARTING: &str = "AllContainersRestarting";
    /// The pod is about to be terminated by a disruption.
    pub const DISRUPTION_TARGET: &str = "DisruptionTarget";
    /// A requested resize waits.
    pub const POD_RESIZE_PENDING: &str = "PodResizePending";
    /// A requested resize is under way.
    pub const POD_RESIZE_IN_PROGRESS: &str = "PodResizeInProgress";
}

/// `v1.PodCondition`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PodCondition {
    /// Which condition: one of [`condition_type`], or a foreign one.
    pub condition_type: SmolStr,
    /// Does it hold?
    pub status: ConditionStatus,
    /// Why, in one word; may be empty.
    pub reason: SmolStr,
    /// Why, in words; may be empty.
    pub message: SmolStr,
    /// When [`status`](Self::status) last changed.
    pub last_transition_time: Option<Timestamp>,
    /// When the condition was last probed; the kubelet never sets it.
    pub last_probe_time: Option<Timestamp>,
}

impl PodCondition {
    /// A condition without reason, message and times.
    pub fn new(condition_type: &'static str, status: impl Into<ConditionStatus>) -> Self {
        Self {
            condition_type: SmolStr::new_static(condition_type),
            status: status.into(),
            reason: SmolStr::default(),
            message: SmolStr::default(),
            last_transition_time: None,
            last_probe_time: None,
        }
    }

    /// The same with a reason and a message.
    #[must_use]
    pub fn because(mut self, reason: impl Into<SmolStr>, message: impl Into<SmolStr>) -> Self {
        self.reason = reason.into();
        self.message = message.into();
        self
    }
}

/// `v1.ContainerStateWaiting`. Empty texts are texts that are not set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ContainerStateWaiting {
    /// Why, in one word.
    pub reason: SmolStr,
    /// Why, in words.
    pub message: SmolStr,
}

/// `v1.ContainerStateRunning`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ContainerStateRunning {
    /// When it was started.
    pub started_at: Option<Timestamp>,
}

/// `v1.ContainerStateTerminated`. Empty texts are texts that are not set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ContainerStateTerminated {
    /// The exit code.
    pub exit_code: i32,
    /// The signal that ended it; 0 if none is known.
    pub signal: i32,
    /// Why, in one word, as the runtime says it: `Completed`, `Error`, `OOMKilled`.
    pub reason: SmolStr,
    /// Why, in words.
    pub message: SmolStr,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The id of the instance.
    pub container_id: SmolStr,
}

/// `v1.ContainerState`: at most one of the three is meant to be set, none means waiting.
///
/// Three options and not an enum, because the kubelet can leave two set in a `lastState` (an empty
/// `waiting` beside a `terminated`), and later rules look at each on its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ContainerState {
    /// Not started yet, or to be started again.
    pub waiting: Option<ContainerStateWaiting>,
    /// Running.
    pub running: Option<ContainerStateRunning>,
    /// Ended.
    pub terminated: Option<ContainerStateTerminated>,
}

impl ContainerState {
    /// Waiting for a reason.
    pub fn waiting(reason: impl Into<SmolStr>, message: impl Into<SmolStr>) -> Self {
        let waiting = ContainerStateWaiting { reason: reason.into(), message: message.into() };
        Self { waiting: Some(waiting), ..Self::default() }
    }

    /// Running since.
    pub fn running(started_at: Option<Timestamp>) -> Self {
        Self { running: Some(ContainerStateRunning { started_at }), ..Self::default() }
    }

    /// Ended.
    pub fn terminated(terminated: ContainerStateTerminated) -> Self {
        Self { terminated: Some(terminated), ..Self::default() }
    }

    /// Nothing is set.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_none() && self.running.is_none() && self.terminated.is_none()
    }
}

/// `v1.ContainerStatus`, in what this crate computes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ContainerStatus {
    /// The container's name.
    pub name: SmolStr,
    /// Its state now.
    pub state: ContainerState,
    /// Its last termination (`lastState`).
    pub last_termination_state: ContainerState,
    /// Passes its readiness probe, or has done its work as an init container.
    pub ready: bool,
    /// Has passed its startup probe. `None`: not set.
    pub started: Option<bool>,
    /// How often it was restarted.
    pub restart_count: i32,
    /// The image.
    pub image: SmolStr,
    /// The image's id.
    pub image_id: SmolStr,
    /// The id of the instance, `<type>://<id>`.
    pub container_id: SmolStr,
}

/// `v1.PodStatus`, in what this crate computes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PodStatus {
    /// The phase.
    pub phase: PodPhase,
    /// Why the pod is in this phase, in one word: `Evicted`, `DeadlineExceeded`; mostly empty.
    pub reason: SmolStr,
    /// The same in words.
    pub message: SmolStr,
    /// In the order of the API.
    pub conditions: Vec<PodCondition>,
    /// One for each init container, in the order of the spec.
    pub init_container_statuses: Vec<ContainerStatus>,
    /// One for each app container, sorted by name.
    pub container_statuses: Vec<ContainerStatus>,
    /// One for each ephemeral container, sorted by name.
    pub ephemeral_container_statuses: Vec<ContainerStatus>,
    /// When the kubelet accepted the pod; `activeDeadlineSeconds` counts from here.
    pub start_time: Option<Timestamp>,
}

impl PodStatus {
    /// The condition of this type.
    pub fn condition(&self, condition_type: &str) -> Option<&PodCondition> {
        self.conditions.iter().find(|condition| condition.condition_type == condition_type)
    }

    /// Is the condition of this type True?
    pub fn is_condition_true(&self, condition_type: &str) -> bool {
        self.condition(condition_type)
            .is_some_and(|condition| condition.status == ConditionStatus::True)
    }
}

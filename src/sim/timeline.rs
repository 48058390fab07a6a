//! What happened, step by step.

use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use super::runtime::RuntimeCall;
use crate::actions::PodActions;
use crate::event::{Event, EventLog};
use crate::kubectl::{Columns, columns};
use crate::pod::PodSpec;
use crate::status::PodStatus;
use crate::time::Timestamp;
use crate::worker::{Deletion, SyncKind, SyncResult};

/// A sync that called the runtime, or left another status than before with the kubelet or with the
/// API server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// When, counted from the beginning.
    pub at: Duration,
    /// The same as an instant.
    pub now: Timestamp,
    /// Which part of the pod's life it belongs to.
    pub kind: SyncKind,
    /// What was decided, with the causes.
    pub actions: PodActions,
    /// What was tried.
    pub results: Vec<SyncResult>,
    /// The calls of the runtime, in order.
    pub runtime_calls: Vec<RuntimeCall>,
    /// The events that were recorded, in order.
    pub events: Vec<Event>,
    /// The kubelet's own record of the status after the sync. It was made before the sync's
    /// actions: what they did shows at the next one.
    pub status: PodStatus,
    /// The API server's copy of it.
    pub api_status: PodStatus,
    /// The request to delete the pod, if there was one by then.
    pub deletion: Option<Deletion>,
}

impl Step {
    /// What `kubectl get pods` prints of the kubelet's own record at this step.
    pub fn columns(&self, pod: &PodSpec) -> Columns {
        columns(pod, &self.status, self.deletion.map(|deletion| deletion.timestamp), self.now)
    }

    /// What `kubectl get pods` prints of the API server's copy at this step.
    pub fn api_columns(&self, pod: &PodSpec) -> Columns {
        columns(pod, &self.api_status, self.deletion.map(|deletion| deletion.timestamp), self.now)
    }
}

/// Why a simulation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum End {
    /// The pod reached Succeeded or Failed and was stopped.
    Terminal,
    /// The pod was deleted and was stopped.
    Deleted,
    /// Nothing more will happen.
    Steady,
    /// A limit was reached.
    Truncated,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Terminal => "terminal",
            Self::Deleted => "deleted",
            Self::Steady => "steady",
            Self::Truncated => "truncated",
        })
    }
}

/// The whole life of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeline {
    /// What happened.
    pub steps: Vec<Step>,
    /// Every event that was recorded, equal ones counted; also those of syncs that are no step.
    pub events: EventLog,
    /// Why it ended.
    pub end: End,
}

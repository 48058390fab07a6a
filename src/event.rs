//! What the kubelet records as `v1.Event`s of a pod.
//!
//! A [`PodWorker`](crate::PodWorker) gives the [`Event`]s of its last sync; an [`EventLog`] keeps
//! those of a life and counts equal ones, as the API does.

use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, format_smolstr};

use crate::pod::{ContainerIndex, ContainerKind, PodSpec};
use crate::probe::ProbeKind;
use crate::time::Timestamp;

/// `type` of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_enums, reason = "Kubernetes has these and no others")]
pub enum EventKind {
    /// Nothing is wrong.
    Normal,
    /// Something went wrong.
    Warning,
}

impl EventKind {
    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Something that the kubelet tells about a pod, once.
///
/// The reasons are those of `pkg/kubelet/events/event.go`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "made by node agents, too")]
pub struct Event {
    /// Normal or Warning.
    pub kind: EventKind,
    /// Why, in one word: `Pulled`, `BackOff`, `FailedCreatePodSandBox`.
    pub reason: SmolStr,
    /// The same in words.
    pub message: SmolStr,
    /// The container that it is about; `None`: the pod as a whole.
    pub container: Option<ContainerIndex>,
}

impl Event {
    /// An event of type Normal about the pod as a whole.
    pub fn normal(reason: &'static str, message: impl Into<SmolStr>) -> Self {
        Self {
            kind: EventKind::Normal,
            reason: SmolStr::new_static(reason),
            message: message.into(),
            container: None,
        }
    }

    /// An event of type Warning about the pod as a whole.
    pub fn warning(reason: &'static str, message: impl Into<SmolStr>) -> Self {
        Self { kind: EventKind::Warning, ..Self::normal(reason, message) }
    }

    /// A probe has failed; `output`: what it said, or why it could not be run (`Unhealthy`). To be
    /// recorded at each failure, not only at those that count, about the container.
    ///
    /// Source: `pkg/kubelet/prober/prober.go`, v1.36.3.
    pub fn unhealthy(kind: ProbeKind, output: &str) -> Self {
        Self::warning("Unhealthy", format_smolstr!("{} probe failed: {output}", kind.as_str()))
    }

    /// A pod that was evicted has not stopped in time (`ExceededGracePeriod`), see
    /// [`Eviction::waits_for`](crate::worker::Eviction::waits_for).
    ///
    /// Source: `killPodNow`, `pkg/kubelet/pod_workers.go`, v1.36.3.
    pub fn exceeded_grace_period() -> Self {
        let message = "Container runtime did not kill the pod within specified grace period.";
        Self::warning("ExceededGracePeriod", message)
    }

    /// The pod cannot be synced because the runtime does not tell its state (`FailedSync`).
    ///
    /// Source: `podWorkerLoop`, `pkg/kubelet/pod_workers.go`, v1.36.3.
    pub fn failed_sync(error: &str) -> Self {
        Self::warning("FailedSync", format_smolstr!("error determining status: {error}"))
    }

    /// The same event, about one container.
    #[must_use]
    pub fn about(mut self, container: ContainerIndex) -> Self {
        self.container = Some(container);
        self
    }

    /// `involvedObject.fieldPath`, where the event is about one container: prints
    /// `spec.initContainers{name}` (`GenerateContainerRef`).
    pub fn field_path<'a>(&self, pod: &'a PodSpec) -> Option<FieldPath<'a>> {
        let container = pod.container(self.container?);
        Some(FieldPath {
            list: match container.kind() {
                ContainerKind::Init | ContainerKind::RestartableInit => "initContainers",
                ContainerKind::App => "containers",
                ContainerKind::Ephemeral => "ephemeralContainers",
            },
            name: container.name(),
        })
    }
}

/// The place of a container in its pod as events tell it, see [`Event::field_path`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FieldPath<'a> {
    pub(crate) list: &'static str,
    pub(crate) name: &'a str,
}

impl fmt::Display for FieldPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spec.{}{{{}}}", self.list, self.name)
    }
}

/// An event as the API keeps it: equal ones are counted, not repeated.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "made by node agents, too")]
pub struct EventRecord {
    /// What happened.
    pub event: Event,
    /// When it happened first, in whole seconds.
    pub first_timestamp: Timestamp,
    /// When it happened last, in whole seconds.
    pub last_timestamp: Timestamp,
    /// How often it happened.
    pub count: u32,
}

/// How many of the newest records are searched for an equal event, as in client-go's
/// `maxLruCacheEntries`.
const SEARCHED: usize = 4096;

/// The events of one pod, equal ones counted (`eventLogger.eventObserve` of client-go).
///
/// client-go also drops events of a pod that has many (25 at once, then one in five minutes) and
/// merges more than ten that differ in their message alone; neither is done here, so that a log
/// tells everything.
///
/// ```
/// use podinit::Timestamp;
/// use podinit::event::{Event, EventLog};
///
/// let mut log = EventLog::default();
/// let back_off = Event::warning("BackOff", "Back-off restarting failed container");
/// log.record(back_off.clone(), Timestamp::from_secs(10));
/// log.record(back_off, Timestamp::from_secs(30));
/// assert_eq!(log.records().len(), 1);
/// assert_eq!(log.records()[0].count, 2);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EventLog {
    records: Vec<EventRecord>,
}

impl EventLog {
    /// Adds an event that happened at `now`.
    pub fn record(&mut self, event: Event, now: Timestamp) {
        let now = now.truncate_to_second();
        match self.records.iter_mut().rev().take(SEARCHED).find(|record| record.event == event) {
            Some(record) => {
                record.count = record.count.saturating_add(1);
                record.last_timestamp = now;
            }
            None => self.records.push(EventRecord {
                event,
                first_timestamp: now,
                last_timestamp: now,
                count: 1,
            }),
        }
    }

    /// The records in the order in which each happened first.
    pub fn records(&self) -> &[EventRecord] {
        &self.records
    }
}

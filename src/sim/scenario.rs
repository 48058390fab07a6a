//! What happens: scripts of containers, events of the pod.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::observation::Exit;
use crate::time::Timestamp;
use crate::worker::{Eviction, WorkerSettings};

/// One run of a container, from its start to its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "a scenario is written out, field by field")]
pub struct Run {
    /// How long it runs; `None`: until it is stopped.
    pub lasts: Option<Duration>,
    /// The exit code with which it ends.
    pub exit_code: i32,
    /// The runtime's word for the end; `None`: `Completed` or `Error`, by the exit code.
    pub reason: Option<SmolStr>,
}

impl Run {
    /// Runs until it is stopped.
    pub const FOREVER: Self = Self { lasts: None, exit_code: 0, reason: None };

    /// Ends by itself.
    pub const fn ends(after: Duration, exit_code: i32) -> Self {
        Self { lasts: Some(after), exit_code, reason: None }
    }

    /// Its exit, unless it is stopped first.
    pub(super) fn exit(&self, at: Timestamp) -> Exit {
        let word = if self.exit_code == 0 { "Completed" } else { "Error" };
        Exit {
            exit_code: self.exit_code,
            reason: self.reason.clone().unwrap_or(SmolStr::new_static(word)),
            message: SmolStr::default(),
            finished_at: Some(at),
        }
    }
}

/// When a probe's result changes, counted from the start of each run. What is not set never
/// happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "a scenario is written out, field by field")]
pub struct ProbeScript {
    /// It succeeds from here on.
    pub succeeds_after: Option<Duration>,
    /// It has failed often enough to count from here on.
    pub fails_after: Option<Duration>,
}

/// What a container does.
///
/// Pulls and starts can take time, in which the kubelet does nothing else for the pod: what
/// happens meanwhile is seen when they are over.
///
/// Its first attempts can fail: pulls of its image, creations, starts, each as often as said. Its
/// `k`-th successful start begins the `k`-th run; the last run repeats.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "a scenario is written out, field by field")]
pub struct ContainerScript {
    /// How many pulls of its image fail first, with `image not found`.
    pub image_pull_failures: u32,
    /// How many creations fail first, with `no space left on device`.
    pub create_failures: u32,
    /// How many starts fail first, with `exec: not found`; the instance stays Created.
    pub start_failures: u32,
    /// How long an attempt to pull its image takes. An image that is there already takes no time,
    /// even if it is asked for again.
    #[serde(default)]
    pub image_pull_lasts: Duration,
    /// How long an attempt to start it takes.
    #[serde(default)]
    pub start_lasts: Duration,
    /// Its runs. None: it runs until it is stopped.
    pub runs: Vec<Run>,
    /// Its startup probe, if it has one. The result is Unknown at first.
    pub startup_probe: ProbeScript,
    /// Its readiness probe, if it has one. The result is Failure at first.
    pub readiness_probe: ProbeScript,
    /// Its liveness probe, if it has one. The result is Success at first.
    pub liveness_probe: ProbeScript,
}

impl ContainerScript {
    /// Runs until it is stopped.
    pub const FOREVER: Self = Self {
        image_pull_failures: 0,
        create_failures: 0,
        start_failures: 0,
        image_pull_lasts: Duration::ZERO,
        start_lasts: Duration::ZERO,
        runs: Vec::new(),
        startup_probe: ProbeScript { succeeds_after: None, fails_after: None },
        readiness_probe: ProbeScript { succeeds_after: None, fails_after: None },
        liveness_probe: ProbeScript { succeeds_after: None, fails_after: None },
    };

    /// Does these runs, the last one again and again.
    pub fn runs(runs: impl IntoIterator<Item = Run>) -> Self {
        Self { runs: runs.into_iter().collect(), ..Self::FOREVER }
    }

    /// The `k`-th run, from 0.
    pub(super) fn run(&self, k: usize) -> &Run {
        self.runs.get(k).or(self.runs.last()).unwrap_or(&Run::FOREVER)
    }
}

/// Something that happens to a pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum PodEvent {
    /// Every running container exits with 137 and the sandbox is no longer ready, as after a
    /// restart of the node.
    SandboxLost,
    /// Every init container that has exited is removed from the runtime, with its log.
    InitRecordsRemoved,
    /// The newest instance of a container vanishes from the runtime without a trace.
    InstanceVanished {
        /// The container's name.
        container: SmolStr,
    },
    /// The runtime cannot be asked for some time. Its containers go on.
    RuntimeUnavailable {
        /// How long.
        lasts: Duration,
    },
    /// The kubelet restarts: its memory of back-off, start failures and probe results is lost.
    KubeletRestarted,
    /// The pod is updated: a container gets another image.
    ImageChanged {
        /// The container's name.
        container: SmolStr,
        /// The new image.
        image: SmolStr,
    },
    /// The pod is deleted, with this grace period.
    PodDeleted {
        /// `deletionGracePeriodSeconds`.
        grace_period_seconds: i64,
    },
    /// The kubelet stops the pod: it is evicted, preempted, or the node shuts down.
    Evicted(Eviction),
}

/// An event and when it happens, counted from the beginning.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "a scenario is written out, field by field")]
pub struct ScheduledEvent {
    /// When.
    pub at: Duration,
    /// What.
    pub event: PodEvent,
}

/// Where a simulation ends at the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "a scenario is written out, field by field")]
pub struct Limits {
    /// After the first instant at whose end more than this many steps are recorded.
    pub steps: usize,
    /// Before the first instant that is later than this.
    pub time: Duration,
}

impl Default for Limits {
    /// 1,000 steps or a day.
    fn default() -> Self {
        Self { steps: 1_000, time: Duration::from_secs(24 * 3_600) }
    }
}

/// What each container does and what happens to the pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "a scenario is written out, field by field")]
pub struct Scenario {
    /// By container name. A container without a script runs until it is stopped.
    pub scripts: BTreeMap<SmolStr, ContainerScript>,
    /// What happens to the pod.
    pub events: Vec<ScheduledEvent>,
    /// When it begins: 2026-01-01T00:00:00Z by default.
    pub begins_at: Timestamp,
    /// What the node sets.
    pub settings: WorkerSettings,
    /// Where it ends at the latest.
    pub limits: Limits,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            scripts: BTreeMap::new(),
            events: Vec::new(),
            begins_at: Timestamp::from_secs(1_767_225_600),
            settings: WorkerSettings::default(),
            limits: Limits::default(),
        }
    }
}

impl Scenario {
    /// The same with a script for a container.
    #[must_use]
    pub fn script(mut self, container: impl Into<SmolStr>, script: ContainerScript) -> Self {
        self.scripts.insert(container.into(), script);
        self
    }

    /// The same with an event.
    #[must_use]
    pub fn event(mut self, at: Duration, event: PodEvent) -> Self {
        self.events.push(ScheduledEvent { at, event });
        self
    }
}

//! What was seen of one pod's life.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use k8s_openapi::api::core::v1;
use smol_str::SmolStr;

use crate::backoff::BackOffSettings;
use crate::pod::{ContainerIndex, PodSpec};
use crate::resources::{PodResourcesOptions, ResourceList, ResourcesError, pod_requests_of};
use crate::status::PodStatus;
use crate::time::Timestamp;

/// How far a request to stop a container reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "there are these two")]
pub enum StopScope {
    /// This container alone, while the pod goes on: a probe failed, its definition changed.
    Container,
    /// The whole pod is being stopped.
    Pod,
}

/// One thing that was seen to happen.
///
/// Facts are about what the runtime really did and what was written as the pod's status, not about
/// what somebody meant to do: any implementation of pod start-up has them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fact {
    /// A sandbox is ready from here on.
    SandboxStarted {
        /// The sandbox.
        id: SmolStr,
    },
    /// A sandbox is not ready any more: it was stopped, or it was lost.
    SandboxEnded {
        /// The sandbox.
        id: SmolStr,
    },
    /// An instance of a container was made, and does not run yet.
    ContainerCreated {
        /// The container.
        container: ContainerIndex,
        /// The instance.
        id: SmolStr,
    },
    /// An instance of a container runs from here on.
    ContainerStarted {
        /// The container.
        container: ContainerIndex,
        /// The instance.
        id: SmolStr,
        /// The sandbox that it runs in.
        sandbox_id: SmolStr,
        /// Which restart of the container it is.
        restart_count: u32,
    },
    /// The startup probe of a running instance succeeded. Instances of containers without such a
    /// probe have started as soon as they run, and need no such fact.
    StartupSucceeded {
        /// The container.
        container: ContainerIndex,
        /// The instance.
        id: SmolStr,
    },
    /// A running instance was asked to stop.
    StopRequested {
        /// The container.
        container: ContainerIndex,
        /// The instance.
        id: SmolStr,
        /// The container alone, or the whole pod.
        scope: StopScope,
    },
    /// A running instance has ended.
    ContainerExited {
        /// The container.
        container: ContainerIndex,
        /// The instance.
        id: SmolStr,
        /// Its exit code.
        exit_code: i32,
        /// The runtime's word for the end, such as `OOMKilled`.
        reason: SmolStr,
        /// When it ended, which may be before it was seen.
        finished_at: Timestamp,
    },
    /// An instance that does not run (or never ran) was removed, and nothing of it is left.
    ContainerRemoved {
        /// The container.
        container: ContainerIndex,
        /// The instance.
        id: SmolStr,
    },
    /// Somebody asked for the pod to be deleted.
    DeletionRequested,
    /// The node stops the pod: it is evicted, preempted, or the node shuts down.
    Evicted,
    /// Whoever looks after the pod was restarted, and has lost its memory: of back-off, and of an
    /// eviction that is not yet in the status.
    MemoryLost,
    /// This status was written to the API, where it differs from the one before.
    StatusWritten(Box<PodStatus>),
}

/// A fact and when it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceEntry {
    /// When.
    pub at: Timestamp,
    /// What.
    pub fact: Fact,
}

/// What was seen of one pod's life, in order.
///
/// A [`Recorder`](super::Recorder) around a runtime writes one by itself; it can also be written by
/// hand, from logs say. [`check`](super::check) tells whether Kubernetes' rules were kept.
///
/// ```
/// use podinit::testing::{Fact, Invariant, Trace, check};
/// use podinit::{FeatureGates, PodSpec, Timestamp};
///
/// let pod = serde_json::from_value(serde_json::json!({"spec": {
///     "initContainers": [{"name": "migrate", "image": "db-tools:1"}],
///     "containers": [{"name": "app", "image": "web:1"}],
/// }}))?;
/// let pod = PodSpec::compile_unchecked(&pod, FeatureGates::default())?;
/// let app = pod.find("app").unwrap();
///
/// let mut trace = Trace::new(pod);
/// let now = Timestamp::from_secs(1_800_000_000);
/// trace.push(now, Fact::SandboxStarted { id: "sandbox".into() });
/// trace.push(now, Fact::ContainerStarted {
///     container: app, id: "1".into(), sandbox_id: "sandbox".into(), restart_count: 0,
/// });
/// let violation = check(&trace).unwrap_err();
/// assert_eq!(violation.invariant, Invariant::AppsAfterInit);
/// assert_eq!(violation.to_string(), "apps-after-init: 2026-01-15T08:00:00Z, entry 1: \
///     app container app was started before init container migrate has succeeded in sandbox \
///     sandbox".replace("2026-01-15T08:00:00Z", &now.to_string()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    pod: PodSpec,
    back_off: BackOffSettings,
    reservation: Option<Reservation>,
    entries: Vec<TraceEntry>,
}

/// What is reserved for a pod, and what each of its containers asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reservation {
    pub(super) pod: ResourceList,
    /// By [`ContainerIndex`].
    pub(super) containers: Vec<ResourceList>,
}

impl Trace {
    /// An empty trace of a pod whose containers are held back by 10 s to 300 s.
    pub fn new(pod: PodSpec) -> Self {
        let back_off = BackOffSettings { ..BackOffSettings::IMAGE_PULL };
        Self { pod, back_off, reservation: None, entries: Vec::new() }
    }

    /// The same with another crash-loop back-off.
    #[must_use]
    pub fn with_back_off(mut self, back_off: BackOffSettings) -> Self {
        self.back_off = back_off;
        self
    }

    /// The same with what the containers request, so that
    /// [`Invariant::RequestsCoverUse`](super::Invariant::RequestsCoverUse) can be checked. `pod` is
    /// the pod that the trace is of.
    ///
    /// # Errors
    /// If the pod's resources cannot be read.
    pub fn with_requests_of(mut self, pod: &v1::Pod) -> Result<Self, ResourcesError> {
        let options = PodResourcesOptions::default();
        let reserved = pod_requests_of(pod, self.pod.gates(), &options)?;
        let spec = pod.spec.as_ref();
        let init = spec.and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
        let apps = spec.map(|spec| spec.containers.as_slice()).unwrap_or_default();
        let containers = init.iter().chain(apps).map(|container| {
            let requests = container.resources.as_ref().and_then(|all| all.requests.as_ref());
            // What cannot be read was refused above.
            requests.and_then(|requests| requests.try_into().ok()).unwrap_or_default()
        });
        self.reservation = Some(Reservation { pod: reserved, containers: containers.collect() });
        Ok(self)
    }

    /// Adds a fact; facts come in the order in which they happened.
    pub fn push(&mut self, at: Timestamp, fact: Fact) {
        self.entries.push(TraceEntry { at, fact });
    }

    /// The pod.
    pub fn pod(&self) -> &PodSpec {
        &self.pod
    }

    /// How the pod's containers are held back after they have ended.
    pub fn back_off(&self) -> BackOffSettings {
        self.back_off
    }

    /// What was seen, in order.
    pub fn entries(&self) -> &[TraceEntry] {
        &self.entries
    }

    pub(super) fn reservation(&self) -> Option<&Reservation> {
        self.reservation.as_ref()
    }

    /// The last status that was written.
    pub fn last_status(&self) -> Option<&PodStatus> {
        self.entries.iter().rev().find_map(|entry| match &entry.fact {
            Fact::StatusWritten(status) => Some(&**status),
            _ => None,
        })
    }
}

impl fmt::Display for Trace {
    /// One line a fact, with the time since the first one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begins_at = self.entries.first().map_or(Timestamp::UNIX_EPOCH, |entry| entry.at);
        for entry in &self.entries {
            let since = entry.at.saturating_duration_since(begins_at);
            write!(f, "{since:>8?}  ")?;
            let name = |container: &ContainerIndex| self.pod.container(*container).name();
            match &entry.fact {
                Fact::SandboxStarted { id } => write!(f, "sandbox {id} is ready"),
                Fact::SandboxEnded { id } => write!(f, "sandbox {id} has ended"),
                Fact::ContainerCreated { container, id } => {
                    write!(f, "{} is made as {id}", name(container))
                }
                Fact::ContainerStarted { container, id, restart_count, .. } => {
                    write!(f, "{} runs as {id}, restart {restart_count}", name(container))
                }
                Fact::StartupSucceeded { container, .. } => {
                    write!(f, "{} has started", name(container))
                }
                Fact::StopRequested { container, scope, .. } => {
                    write!(f, "{} is asked to stop ({scope:?})", name(container))
                }
                Fact::ContainerExited { container, exit_code, .. } => {
                    write!(f, "{} has exited with {exit_code}", name(container))
                }
                Fact::ContainerRemoved { container, id } => {
                    write!(f, "{} has no instance {id} any more", name(container))
                }
                Fact::DeletionRequested => f.write_str("the pod is to be deleted"),
                Fact::Evicted => f.write_str("the pod is evicted"),
                Fact::MemoryLost => f.write_str("back-off is forgotten"),
                Fact::StatusWritten(status) => write!(f, "phase {}", status.phase),
            }?;
            writeln!(f)?;
        }
        Ok(())
    }
}

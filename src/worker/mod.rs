//! The pod worker: what the kubelet keeps in memory for one pod, and what it does in one sync.
//!
//! A worker does no I/O. A round has four steps:
//!
//! 1. Observe the pod in the runtime, and hand the observation to [`PodWorker::sync`]. It writes
//!    the status and decides.
//! 2. Take [`PodWorker::next_operation`] until there is none, carry each out, and
//!    [`PodWorker::record`] what came of it.
//! 3. Look at [`PodWorker::results`] and [`PodWorker::events`] if you like.
//! 4. Sync again when [`PodWorker::next_sync`] says, and whenever something has changed.
//!
//! [`sync_pod`](crate::sync_pod) does steps 1 and 2 over a
//! [`ContainerRuntime`](crate::ContainerRuntime). A worker can be dropped and made anew at any
//! time, as when a kubelet restarts: what is lost is its memory of back-off and start failures.
//! Or it is serialised between two syncs and goes on as if nothing had happened.

#[cfg(feature = "fleet")]
mod abstraction;
mod eviction;
mod operation;
mod program;
mod record;
mod result;
mod start;
mod wake;

use alloc::vec::Vec;
use core::hash::Hasher;

use serde::{Deserialize, Serialize};

#[cfg(feature = "fleet")]
pub(crate) use abstraction::Renaming;
pub use eviction::Eviction;
pub use operation::{Failure, FailureKind, Operation, Outcome};
pub use record::IllegalTransition;
pub use result::{SyncAction, SyncError, SyncResult};
#[cfg(feature = "fleet")]
pub(crate) use wake::wake_after_errors;
pub use wake::{NextSync, NextSyncReason};

use crate::actions::{
    ActionContext, PodActions, compute_pod_actions_into, restarting_all_containers,
};
use crate::backoff::{BackOff, BackOffKey, BackOffSettings};
use crate::event::Event;
use crate::fnv::Fnv1a;
use crate::observation::Observation;
use crate::spec::{ContainerIndex, PodIdentity, PodSpec};
use crate::status::{
    PodFailure, PodPhase, PodStatus, StartFailures, StatusInputs, generate_pod_status,
    terminate_pod,
};
use crate::termination::{GracePeriod, GraceRequest, pod_grace_period};
use crate::time::Timestamp;
use program::Program;
use record::StatusRecord;
use start::ImagePulls;

/// What a node sets for its pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WorkerSettings {
    /// The crash-loop back-off, see [`CrashLoopBackOff::settings`](crate::CrashLoopBackOff::settings).
    pub crash_loop_back_off: BackOffSettings,
    /// The back-off of image pulls.
    pub image_pull_back_off: BackOffSettings,
    /// When the kubelet started. Containers that ran long before are trusted to be ready until
    /// they are probed again. `None`: the kubelet is older than every container.
    pub kubelet_started_at: Option<Timestamp>,
}

impl Default for WorkerSettings {
    /// 10 s to 300 s for both, forgotten after 600 s.
    fn default() -> Self {
        Self {
            crash_loop_back_off: BackOffSettings::CRASH_LOOP,
            image_pull_back_off: BackOffSettings::IMAGE_PULL,
            kubelet_started_at: None,
        }
    }
}

/// A request to delete the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Deletion {
    /// `metadata.deletionTimestamp`.
    pub timestamp: Timestamp,
    /// `metadata.deletionGracePeriodSeconds`.
    pub grace_period_seconds: i64,
}

/// Which part of a pod's life a sync belongs to (`pod_workers.go`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SyncKind {
    /// The pod lives: `SyncPod`.
    #[default]
    Pod,
    /// It is being stopped: `SyncTerminatingPod`.
    Terminating,
    /// It has stopped, and its last status is written: `SyncTerminatedPod`.
    Terminated,
    /// Nothing more will happen.
    Finished,
}

/// A worker was told something that does not fit what it asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// An outcome was recorded although no operation is under way.
    #[error("an outcome was recorded although no operation is under way: {0:?}")]
    NoOperation(Outcome),
    /// The outcome is not one that the operation under way can have.
    #[error("{outcome:?} is no outcome of {operation:?}")]
    UnexpectedOutcome {
        /// The operation under way.
        operation: Operation,
        /// What was recorded.
        outcome: Outcome,
    },
}

/// The memory of one pod, and the sync under way.
///
/// Every call takes the pod's spec, which is not part of the memory: many pods can share one. All
/// calls between two syncs must be given the same spec as the sync was.
///
/// ```
/// use k8s_openapi::api::core::v1::Pod;
/// use podinit::{FeatureGates, Observation, Operation, Outcome, PodSpec, PodWorker, Timestamp};
///
/// let pod: Pod = serde_json::from_value(serde_json::json!({
///     "metadata": {"name": "web"},
///     "spec": {"containers": [{"name": "app", "image": "web:1"}]},
/// }))?;
/// let pod = PodSpec::compile(&pod, FeatureGates::default())?;
/// let now = Timestamp::from_secs(1_800_000_000);
///
/// let mut worker = PodWorker::default();
/// worker.sync(&pod, &Observation::new(), now);
/// let mut asked = Vec::new();
/// while let Some(operation) = worker.next_operation(&pod, now) {
///     let outcome = match &operation {
///         Operation::RunPodSandbox { .. } => Outcome::Sandbox("sandbox".into()),
///         Operation::CheckImage { .. } => Outcome::ImagePresent(true),
///         Operation::CreateContainer { .. } => Outcome::Created("instance".into()),
///         _ => Outcome::Done,
///     };
///     worker.record(&pod, outcome, now)?;
///     asked.push(operation);
/// }
/// assert_eq!(asked.len(), 4); // sandbox, image, create, start
/// assert!(worker.results().iter().all(|result| result.error.is_none()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PodWorker {
    settings: WorkerSettings,
    kind: SyncKind,
    status: StatusRecord,
    crash_loop_back_off: BackOff<BackOffKey>,
    image_pulls: ImagePulls,
    start_failures: StartFailures,
    deletion: Option<Deletion>,
    eviction: Option<Eviction>,
    /// The grace in force since the pod began to be stopped.
    grace_period: Option<GracePeriod>,
    refused: bool,
    /// A termination has been carried out to its end.
    stopped: bool,
    #[serde(skip)]
    actions: PodActions,
    #[serde(skip)]
    program: Program,
    results: Vec<SyncResult>,
    events: Vec<Event>,
    next_sync: NextSync,
}

impl Default for PodWorker {
    fn default() -> Self {
        Self::new(WorkerSettings::default())
    }
}

impl PodWorker {
    /// A worker that knows nothing yet.
    pub fn new(settings: WorkerSettings) -> Self {
        Self {
            settings,
            kind: SyncKind::Pod,
            status: StatusRecord::default(),
            crash_loop_back_off: BackOff::new(settings.crash_loop_back_off),
            image_pulls: ImagePulls::new(settings.image_pull_back_off),
            start_failures: StartFailures::default(),
            deletion: None,
            eviction: None,
            grace_period: None,
            refused: false,
            stopped: false,
            actions: PodActions::default(),
            program: Program::default(),
            results: Vec::new(),
            events: Vec::new(),
            next_sync: NextSync::Now,
        }
    }

    /// A worker of a kubelet that has just restarted: it knows what the API server holds of the
    /// pod, and nothing else.
    pub fn resume(settings: WorkerSettings, api_status: PodStatus) -> Self {
        let mut worker = Self::new(settings);
        worker.status = StatusRecord::from_api(api_status);
        worker
    }

    /// The pod is to be deleted. A later request can only shorten the grace period.
    pub fn delete(&mut self, deletion: Deletion) {
        match &mut self.deletion {
            Some(earlier) => {
                earlier.grace_period_seconds =
                    earlier.grace_period_seconds.min(deletion.grace_period_seconds);
            }
            None => self.deletion = Some(deletion),
        }
    }

    /// The pod is to be stopped and fails: it is evicted, preempted, or its node shuts down.
    pub fn evict(&mut self, eviction: Eviction) {
        self.eviction.get_or_insert(eviction);
    }

    /// Was the pod asked to stop, by a deletion or an eviction?
    pub fn is_stopping(&self) -> bool {
        self.deletion.is_some() || self.eviction.is_some()
    }

    fn grace_request(&self) -> GraceRequest {
        GraceRequest {
            deletion_grace_period_seconds: self.deletion.map(|d| d.grace_period_seconds),
            override_seconds: self
                .eviction
                .as_ref()
                .and_then(|eviction| eviction.grace_period_override_seconds),
        }
    }

    /// The request to delete the pod, if there is one.
    pub fn deletion(&self) -> Option<Deletion> {
        self.deletion
    }

    /// Begins a sync: writes the status, then decides what is done.
    ///
    /// A sync that was under way is dropped, with the operation that it waits for; what was recorded
    /// of it counts. What became of that operation is in the observation. Syncing more often than
    /// needed is harmless.
    pub fn sync(&mut self, pod: &PodSpec, observation: &Observation, now: Timestamp) {
        self.results.clear();
        self.events.clear();
        self.program.clear();
        self.actions = PodActions::default();
        self.next_sync = NextSync::OnChange;
        if self.kind == SyncKind::Pod && self.is_stopping() {
            self.kind = SyncKind::Terminating;
        }
        match self.kind {
            SyncKind::Pod => self.sync_living(pod, observation, now),
            SyncKind::Terminating => self.sync_terminating(pod, observation, now),
            SyncKind::Terminated => self.sync_terminated(pod, observation, now),
            SyncKind::Finished => {}
        }
    }

    /// `SyncPod`.
    fn sync_living(&mut self, pod: &PodSpec, observation: &Observation, now: Timestamp) {
        let phase = self.write_status(pod, observation, false, now);
        if phase.is_terminal() {
            self.kind = SyncKind::Terminating;
            self.next_sync = NextSync::Now;
            return;
        }
        let context = ActionContext {
            deletion_requested: self.deletion.is_some(),
            restart_all_containers: restarting_all_containers(pod, observation, &self.status.own),
        };
        compute_pod_actions_into(pod, observation, context, &mut self.actions);
        self.announce_sandbox_change();
        self.program.load(pod, observation, &self.actions, self.grace_request());
        self.wake_at_deadline(pod);
    }

    /// `SyncTerminatingPod`: stops everything; once nothing runs, tells how it ended.
    fn sync_terminating(&mut self, pod: &PodSpec, observation: &Observation, now: Timestamp) {
        if self.stopped {
            self.write_status(pod, observation, true, now);
            self.kind = SyncKind::Terminated;
            self.next_sync = NextSync::Now;
        } else {
            self.write_status(pod, observation, false, now);
            let grace = pod_grace_period(pod, self.grace_request(), self.grace_period);
            self.grace_period = Some(grace);
            let request =
                GraceRequest { override_seconds: Some(grace.seconds), ..self.grace_request() };
            self.program.load_termination(pod, observation, request);
        }
    }

    /// `SyncTerminatedPod`: the last status.
    fn sync_terminated(&mut self, pod: &PodSpec, observation: &Observation, now: Timestamp) {
        let before = self.status.own.clone();
        self.write_status(pod, observation, true, now);
        let mut last = self.status.own.clone();
        terminate_pod(pod, &before, &mut last);
        self.refused |= self.status.write(pod, last, false, now).is_err();
        self.kind = SyncKind::Finished;
    }

    /// Writes the status of this moment; the phase is the one computed, also where the record
    /// refuses the status.
    fn write_status(
        &mut self,
        pod: &PodSpec,
        observation: &Observation,
        pod_is_terminal: bool,
        now: Timestamp,
    ) -> PodPhase {
        let inputs = StatusInputs {
            pod,
            observation,
            earlier: &self.status.own,
            api: &self.status.api,
            start_failures: &self.start_failures,
            deletion_requested: self.deletion.is_some(),
            pod_is_terminal,
            kubelet_started_at: self.settings.kubelet_started_at,
        };
        let deadline = self.deadline(pod).filter(|deadline| *deadline <= now);
        let failure = deadline.map(|_| PodFailure::DEADLINE_EXCEEDED);
        let mut status = generate_pod_status(&inputs, failure.as_ref());
        if self.kind == SyncKind::Terminating
            && !pod_is_terminal
            && let Some(eviction) = &self.eviction
        {
            eviction.apply(pod, &mut status);
        }
        let phase = status.phase;
        let could_have_running_containers = self.kind != SyncKind::Terminated;
        self.refused = self.status.write(pod, status, could_have_running_containers, now).is_err();
        phase
    }

    /// When the pod's `activeDeadlineSeconds` have passed since it was accepted.
    fn deadline(&self, pod: &PodSpec) -> Option<Timestamp> {
        Some(self.status.own.start_time? + pod.active_deadline()?)
    }

    /// The next thing that the sync under way asks of the runtime; `None` once it is over.
    ///
    /// `now` is the time at which the operation begins: back-off is decided by it. The same
    /// operation is given again until its outcome is recorded.
    pub fn next_operation(&mut self, pod: &PodSpec, now: Timestamp) -> Option<Operation> {
        self.advance(pod, now)
    }

    /// Tells what came of the operation under way, at the time at which it ended.
    ///
    /// # Errors
    /// If no operation is under way, or the outcome is not one of its. The worker is then as it
    /// was.
    pub fn record(
        &mut self,
        pod: &PodSpec,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<(), WorkerError> {
        self.take_outcome(pod, outcome, now)
    }

    /// What part of the pod's life the next sync belongs to.
    pub fn kind(&self) -> SyncKind {
        self.kind
    }

    /// What was decided in the last sync.
    pub fn actions(&self) -> &PodActions {
        &self.actions
    }

    /// What the last sync tried, so far.
    pub fn results(&self) -> &[SyncResult] {
        &self.results
    }

    /// The events that the last sync recorded, so far.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The kubelet's own record of the status.
    pub fn status(&self) -> &PodStatus {
        &self.status.own
    }

    /// The status as the API server holds it: the old phase while containers may still run.
    pub fn api_status(&self) -> &PodStatus {
        &self.status.api
    }

    /// The last sync's status was an illegal transition, and the earlier one stands.
    pub fn is_status_refused(&self) -> bool {
        self.refused
    }

    /// When to sync again, if nothing changes before. While a sync is under way: at once, for it is
    /// given up if another one begins.
    pub fn next_sync(&self) -> NextSync {
        if self.program.is_over() { self.next_sync } else { NextSync::Now }
    }

    fn event(&mut self, event: Event) {
        self.events.push(event);
    }

    /// The key of a container's crash-loop back-off.
    fn crash_loop_key(pod: &PodSpec, index: ContainerIndex) -> BackOffKey {
        let PodIdentity { name, namespace, uid } = pod.identity();
        let container = pod.container(index);
        let mut hash = Fnv1a::default();
        for text in [name, namespace, uid, container.name()] {
            hash.text(text);
        }
        hash.write_u64(container.back_off_hash());
        BackOffKey(hash.finish())
    }
}

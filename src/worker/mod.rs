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
//! Or it is serialised and goes on as if nothing had happened; one that was saved in the middle of a
//! sync asks to be synced at once. The serialised form names its version, and one that is not known is
//! refused.

#[cfg(feature = "fleet")]
mod abstraction;
mod eviction;
mod format;
mod operation;
mod program;
mod record;
mod result;
mod start;
mod stop;
mod summary;
mod wake;

use alloc::vec::Vec;
use core::hash::Hasher;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

#[cfg(feature = "fleet")]
pub(crate) use abstraction::Renaming;
pub use eviction::Eviction;
pub(crate) use operation::OutcomeKind;
pub use operation::{
    CheckImage, CreateContainer, Failure, FailureKind, Notice, Operation, Outcome, PullImage,
    RemoveContainer, RunPodSandbox, StartContainer, StopContainers, StopPodSandbox,
};
pub use record::IllegalTransition;
pub use result::{SyncAction, SyncError, SyncResult};
pub use summary::SyncSummary;
use wake::BACK_OFF_PERIOD;
#[cfg(feature = "fleet")]
pub(crate) use wake::wake_after_errors;
pub use wake::{NextSync, NextSyncReason};

use crate::actions::{ActionContext, PodActions, compute_pod_actions_into};
use crate::backoff::{BackOff, BackOffKey, BackOffSettings};
use crate::event::Event;
use crate::fnv::Fnv1a;
use crate::observation::Observation;
use crate::pod::{ContainerIndex, PodIdentity, PodSpec};
use crate::status::{
    PodFailure, PodPhase, PodStatus, StartFailures, StatusInputs, generate_pod_status,
    has_pod_initialized, restarting_all_containers, set_container_readiness, set_container_startup,
    terminate_pod,
};
use crate::termination::{GracePeriod, GraceRequest, pod_grace_period};
use crate::time::Timestamp;
use format::Format;
use program::Program;
use record::{Handover, StatusRecord};
use start::ImagePulls;

/// What a node sets for its pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WorkerSettings {
    /// The crash-loop back-off, see [`CrashLoopBackOff::settings`](crate::backoff::CrashLoopBackOff::settings).
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
#[allow(clippy::exhaustive_structs, reason = "the two fields of the API")]
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
    /// Something was noted that cannot come of the operation under way.
    #[error("{notice:?} does not come of {operation:?}")]
    UnexpectedNotice {
        /// The operation under way, if there is one.
        operation: Option<Operation>,
        /// What was noted.
        notice: Notice,
    },
}

/// The memory of one pod, and the sync under way.
///
/// Every call takes the pod's spec, which is not part of the memory: many pods can share one. All
/// calls between two syncs must be given the same spec as the sync was.
///
/// # Methods
///
/// They fall into three families.
///
/// - **Commands** tell the worker what happened outside of it: [`delete`](Self::delete),
///   [`evict`](Self::evict). They can come at any time, change nothing by themselves, and are
///   carried out by the next sync.
/// - **The sync**: [`sync`](Self::sync) takes an observation, writes the status and decides. Then
///   [`next_operation`](Self::next_operation) and [`record`](Self::record) take turns until there
///   is no operation left. A sync that is given up midway is simply followed by the next one.
/// - **Answers** never change anything. [`status`](Self::status), [`api_status`](Self::api_status),
///   [`kind`](Self::kind) and [`actions`](Self::actions) are those of the last `sync`;
///   [`results`](Self::results) and [`events`](Self::events) grow with each `record` and begin anew
///   with each `sync`; [`next_sync`](Self::next_sync) counts once the sync has no operation left,
///   and says when to come back.
///
/// # Examples
///
/// ```
/// use k8s_openapi::api::core::v1::Pod;
/// use podinit::{FeatureGates, Observation, Operation, PodSpec, PodWorker, Timestamp};
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
///         Operation::RunPodSandbox(run) => run.running("sandbox"),
///         Operation::CheckImage(check) => check.present(true),
///         Operation::CreateContainer(create) => create.created("instance"),
///         other => other.succeeded(""),
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
    format: Format,
    settings: WorkerSettings,
    kind: SyncKind,
    status: StatusRecord,
    crash_loop_back_off: BackOff<BackOffKey>,
    image_pulls: ImagePulls,
    start_failures: StartFailures,
    deletion: Option<Deletion>,
    eviction: Option<Eviction>,
    /// Requests to stop that no sync has seen yet, in the order in which they came.
    stop_requests: SmallVec<[GraceRequest; 1]>,
    /// The grace in force since somebody asked the pod to stop.
    grace_period: Option<GracePeriod>,
    refused: bool,
    /// The pod has been synced since the kubelet started: its probe workers are there.
    was_synced: bool,
    /// A termination has been carried out to its end.
    stopped: bool,
    /// By the API's status, the pod was past its init containers when it began to be stopped.
    was_initialized: bool,
    /// The deletion was known when the stop under way began.
    stop_knows_deletion: bool,
    actions: PodActions,
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
            format: Format,
            settings,
            kind: SyncKind::Pod,
            status: StatusRecord::default(),
            crash_loop_back_off: BackOff::new(settings.crash_loop_back_off),
            image_pulls: ImagePulls::new(settings.image_pull_back_off),
            start_failures: StartFailures::default(),
            deletion: None,
            eviction: None,
            stop_requests: SmallVec::new(),
            grace_period: None,
            refused: false,
            was_synced: false,
            stopped: false,
            was_initialized: false,
            stop_knows_deletion: false,
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
        self.request_stop(None);
    }

    /// The pod is to be stopped and fails: it is evicted, preempted, or its node shuts down.
    ///
    /// Of several evictions the status tells the last one, and the shortest grace counts. A stop
    /// that is under way goes on with the grace that it began with; a later request has an effect
    /// only if that stop fails and is tried again (`UpdatePod`, `acknowledgeTerminating`).
    pub fn evict(&mut self, eviction: Eviction) {
        let override_seconds = eviction.grace_period_override_seconds;
        self.eviction = Some(eviction);
        self.request_stop(override_seconds);
    }

    fn request_stop(&mut self, override_seconds: Option<i64>) {
        let deletion_grace_period_seconds = self.deletion.map(|d| d.grace_period_seconds);
        self.stop_requests.push(GraceRequest { deletion_grace_period_seconds, override_seconds });
    }

    /// Was the pod asked to stop, by a deletion or an eviction?
    pub fn is_stopping(&self) -> bool {
        self.deletion.is_some() || self.eviction.is_some()
    }

    /// The request to delete the pod, if there is one.
    pub fn deletion(&self) -> Option<Deletion> {
        self.deletion
    }

    /// Begins a sync: writes the status, then decides what is done.
    ///
    /// A sync that was under way is dropped, with the operation that it waits for; what was recorded
    /// of it counts. What became of that operation is in the observation. Only a stop that a living
    /// pod's sync has begun is not dropped: unless the pod is to go as a whole by now, this goes on
    /// with that stop and with what was to follow it, and writes no status. So syncing more often than
    /// needed is harmless.
    ///
    /// Instances of containers that the pod does not have ([`Observation::check`]) are not touched;
    /// while one of them runs, the pod does not finish.
    pub fn sync(&mut self, pod: &PodSpec, observation: &Observation, now: Timestamp) {
        if self.kind == SyncKind::Pod
            && !self.is_stopping()
            && self.goes_on_stopping(pod, observation)
        {
            return;
        }
        self.results.clear();
        self.events.clear();
        self.program.clear();
        self.actions.clear();
        self.next_sync = NextSync::OnChange;
        // In the kubelet every two seconds (`HandlePodCleanups`).
        self.crash_loop_back_off.collect_garbage(now);
        if self.kind == SyncKind::Pod {
            self.stop_if_due(pod, observation);
        }
        match self.kind {
            SyncKind::Pod => self.sync_living(pod, observation, now),
            SyncKind::Terminating => self.sync_terminating(pod, observation, now),
            SyncKind::Terminated => self.sync_terminated(pod, observation, now),
            SyncKind::Finished => {}
        }
    }

    /// A pod that somebody asked to stop, or that the API shows as ended, lives no more (`UpdatePod`
    /// of the pod workers). One that a kubelet meets for the first time and that has ended in the
    /// runtime too has been stopped before.
    fn stop_if_due(&mut self, pod: &PodSpec, observation: &Observation) {
        let has_ended = self.status.api.phase.is_terminal();
        if !has_ended && !self.is_stopping() {
            return;
        }
        self.was_initialized = has_pod_initialized(pod, &self.status.api);
        self.kind = if has_ended && !self.was_synced && observation.is_at_rest() {
            SyncKind::Terminated
        } else {
            SyncKind::Terminating
        };
        if !self.is_stopping() {
            self.request_stop(None);
        }
    }

    /// `SyncPod`.
    fn sync_living(&mut self, pod: &PodSpec, observation: &Observation, now: Timestamp) {
        let was_initialized = has_pod_initialized(pod, &self.status.api);
        let phase = self.write_status(pod, observation, false, now);
        if phase.is_terminal() {
            self.was_initialized = was_initialized;
            self.kind = SyncKind::Terminating;
            self.next_sync = NextSync::Now;
            return;
        }
        self.was_synced = true;
        let context = ActionContext {
            deletion_requested: self.deletion.is_some(),
            restart_all_containers: restarting_all_containers(pod, observation, &self.status.own),
        };
        compute_pod_actions_into(pod, observation, context, &mut self.actions);
        self.announce_sandbox_change();
        self.program.load(pod, observation, &self.actions, GraceRequest::default());
        self.wake_at_deadline(pod);
    }

    /// `SyncTerminatingPod`: stops everything; once nothing runs, tells how it ended. A pod of which
    /// something still runs is never told to have ended.
    fn sync_terminating(&mut self, pod: &PodSpec, observation: &Observation, now: Timestamp) {
        if self.stopped && observation.has_running_instance() {
            // The runtime said that everything had stopped. It is stopped again, a little later.
            self.stopped = false;
            self.next_sync = NextSync::At(now + BACK_OFF_PERIOD, NextSyncReason::Retry);
        } else if self.stopped {
            self.write_status(pod, observation, true, now);
            self.kind = SyncKind::Terminated;
            self.next_sync = NextSync::Now;
        } else {
            self.stop_knows_deletion = self.deletion.is_some();
            self.write_status(pod, observation, false, now);
            for request in core::mem::take(&mut self.stop_requests) {
                self.grace_period = Some(pod_grace_period(pod, request, self.grace_period));
            }
            // A pod that ends by itself has the grace of its spec, also if that is none.
            let request = GraceRequest {
                override_seconds: self.grace_period.map(|grace| grace.seconds),
                deletion_grace_period_seconds: None,
            };
            self.program.load_termination(pod, observation, request);
        }
    }

    /// `SyncTerminatedPod`: the last status.
    fn sync_terminated(&mut self, pod: &PodSpec, observation: &Observation, now: Timestamp) {
        self.write_status(pod, observation, true, now);
        let mut last = self.status.own.clone();
        terminate_pod(pod, self.was_initialized, &mut last);
        let handover = Handover { could_have_running_containers: false, forced: true };
        self.refused |= self.status.write(pod, last, handover, now).is_err();
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
        // The end of a stop is told by what was known of the pod when the stop began.
        let deletion_requested = if pod_is_terminal && self.kind == SyncKind::Terminating {
            self.stop_knows_deletion
        } else {
            self.deletion.is_some()
        };
        let inputs = StatusInputs {
            pod,
            observation,
            earlier: &self.status.own,
            api: &self.status.api,
            start_failures: &self.start_failures,
            deletion_requested,
            pod_is_terminal,
            probe_workers_made: self.was_synced,
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
        if let Some(failure) = failure {
            // `ShouldEvict` tells it each time that a status is made.
            self.event(Event::normal("DeadlineExceeded", failure.message));
        }
        let phase = status.phase;
        let handover = Handover {
            could_have_running_containers: !pod_is_terminal,
            forced: deletion_requested,
        };
        self.refused = self.status.write(pod, status, handover, now).is_err();
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

    /// The prober has another result for a container than before: `ready` and the conditions of
    /// readiness follow at once, also while a sync is under way, and the pod is to be synced
    /// (`SetContainerReadiness` of the status manager). An id that the status does not have, as of a
    /// container that was just started, changes nothing.
    pub fn set_container_readiness(
        &mut self,
        pod: &PodSpec,
        container_id: &str,
        ready: bool,
        now: Timestamp,
    ) {
        let set =
            |status: &mut PodStatus| set_container_readiness(pod, status, container_id, ready);
        self.update_status(pod, set, now);
    }

    /// A startup probe has another result than before: `started` follows at once, the conditions
    /// with the sync that is due now (`SetContainerStartup`).
    pub fn set_container_startup(
        &mut self,
        pod: &PodSpec,
        container_id: &str,
        started: bool,
        now: Timestamp,
    ) {
        let set = |status: &mut PodStatus| set_container_startup(status, container_id, started);
        self.update_status(pod, set, now);
    }

    fn update_status(
        &mut self,
        pod: &PodSpec,
        set: impl FnOnce(&mut PodStatus) -> bool,
        now: Timestamp,
    ) {
        let mut status = self.status.own.clone();
        if set(&mut status) {
            let could_have_running_containers =
                matches!(self.kind, SyncKind::Pod | SyncKind::Terminating);
            let handover = Handover { could_have_running_containers, forced: false };
            self.refused = self.status.write(pod, status, handover, now).is_err();
        }
    }

    /// The API server holds this status of the pod now. What others have written counts from the next
    /// sync on: conditions that are not the kubelet's (readiness gates among them), and a terminal
    /// phase, which ends the pod. What the kubelet has written itself and others have changed is
    /// written again.
    pub fn set_api_status(&mut self, api_status: PodStatus) {
        self.status.set_api(api_status);
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

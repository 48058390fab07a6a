//! What the API would show of a pod.
//!
//! [`generate_pod_status`] computes the whole [`PodStatus`], as the kubelet does at each sync,
//! before it acts. [`pod_phase`] can be asked alone.

mod between_syncs;
mod conditions;
mod containers;
mod interop;
mod phase;
mod restart_in_place;
mod terminate;
mod types;

pub(crate) use between_syncs::{set_container_readiness, set_container_startup};
pub use conditions::pod_conditions;
pub(crate) use conditions::{is_owned_by_kubelet, readiness_of_terminal_phase};
pub use containers::{
    StartFailure, StartFailures, container_statuses, ephemeral_container_statuses,
    init_container_statuses,
};
pub use interop::StatusError;
pub use phase::{PhaseContext, pod_has_initialized, pod_phase};
pub use restart_in_place::restarting_all_containers;
pub(crate) use terminate::{has_pod_initialized, terminate_pod};
pub use types::{
    ConditionStatus, ContainerState, ContainerStateRunning, ContainerStateTerminated,
    ContainerStateWaiting, ContainerStatus, PodCondition, PodPhase, PodStatus, condition_type,
};

use smol_str::SmolStr;

use crate::observation::Observation;
use crate::pod::PodSpec;
use crate::time::Timestamp;

/// What the status is computed from.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct StatusInputs<'a> {
    /// What is declared.
    pub pod: &'a PodSpec,
    /// What is observed.
    pub observation: &'a Observation,
    /// The kubelet's own record of the status, from the sync before.
    pub earlier: &'a PodStatus,
    /// What the API server holds; the same as `earlier` for most callers.
    pub api: &'a PodStatus,
    /// Why the last attempts to start containers failed.
    pub start_failures: &'a StartFailures,
    /// `metadata.deletionTimestamp` is set.
    pub deletion_requested: bool,
    /// The pod was stopped and will not run again.
    pub pod_is_terminal: bool,
    /// The kubelet has made the pod's probe workers, which it does at the end of the pod's first sync.
    /// Before, a container without a probe result counts as started and ready.
    pub probe_workers_made: bool,
    /// When the kubelet started. `None`: before every container.
    pub kubelet_started_at: Option<Timestamp>,
}

impl<'a> StatusInputs<'a> {
    /// What most callers have: the API server holds what the kubelet wrote last, nobody stops the pod,
    /// its probe workers are there, and the kubelet is older than every container.
    pub fn new(
        pod: &'a PodSpec,
        observation: &'a Observation,
        earlier: &'a PodStatus,
        start_failures: &'a StartFailures,
    ) -> Self {
        Self {
            pod,
            observation,
            earlier,
            api: earlier,
            start_failures,
            deletion_requested: false,
            pod_is_terminal: false,
            probe_workers_made: true,
            kubelet_started_at: None,
        }
    }
}

/// Why a pod fails, whatever its containers do: a deadline, an eviction.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "a reason and a message")]
pub struct PodFailure {
    /// In one word: `DeadlineExceeded`, `Evicted`.
    pub reason: SmolStr,
    /// In words.
    pub message: SmolStr,
}

impl PodFailure {
    /// The pod ran for longer than its `activeDeadlineSeconds` (`active_deadline.go`).
    pub const DEADLINE_EXCEEDED: Self = Self {
        reason: SmolStr::new_static("DeadlineExceeded"),
        message: SmolStr::new_static(
            "Pod was active on the node longer than the specified deadline",
        ),
    };
}

/// The status of a pod as the kubelet writes it at a sync, before that sync's actions.
///
/// Transition times are not set here: they depend on the record that the status goes into.
///
/// Source: `generateAPIPodStatus`, `pkg/kubelet/kubelet_pods.go`, v1.36.2.
pub fn generate_pod_status(inputs: &StatusInputs<'_>, failure: Option<&PodFailure>) -> PodStatus {
    let StatusInputs { pod, observation, earlier, api, .. } = *inputs;
    let mut status = PodStatus {
        init_container_statuses: init_container_statuses(inputs),
        container_statuses: container_statuses(inputs),
        ephemeral_container_statuses: ephemeral_container_statuses(inputs),
        start_time: earlier.start_time,
        ..PodStatus::default()
    };
    status.phase = pod_phase(
        pod,
        &status.init_container_statuses,
        &status.container_statuses,
        PhaseContext {
            pod_is_terminal: inputs.pod_is_terminal,
            pod_has_initialized: pod_has_initialized(pod, observation),
        },
    );
    // A pod does not come back from a terminal phase.
    if !status.phase.is_terminal() {
        let terminal = [earlier.phase, api.phase].into_iter().find(|phase| phase.is_terminal());
        status.phase = terminal.unwrap_or(status.phase);
    }
    if status.phase == earlier.phase {
        let first_set =
            |own: &SmolStr, api: &SmolStr| if own.is_empty() { api } else { own }.clone();
        status.reason = first_set(&earlier.reason, &api.reason);
        status.message = first_set(&earlier.message, &api.message);
    }
    if let Some(failure) = failure {
        status.phase = PodPhase::Failed;
        status.reason = failure.reason.clone();
        status.message = failure.message.clone();
    }
    // Nothing takes a pod out of a terminal phase that the API shows, a deadline neither.
    if api.phase.is_terminal() {
        status.phase = api.phase;
    }
    apply_probe_results(inputs, &mut status);
    status.conditions = pod_conditions(inputs, &status);
    status
}

fn apply_probe_results(inputs: &StatusInputs<'_>, status: &mut PodStatus) {
    for (index, status) in inputs.pod.init_containers().zip(&mut status.init_container_statuses) {
        containers::apply_probe_results(inputs, index, status);
    }
    let apps = inputs.pod.app_containers_by_name().iter();
    for (index, status) in apps.zip(&mut status.container_statuses) {
        containers::apply_probe_results(inputs, *index, status);
    }
}

impl PodStatus {
    /// Takes over from an earlier status when each condition last changed, and sets `now` for
    /// those that did change (`updateLastTransitionTime`).
    pub fn set_transition_times(&mut self, earlier: &Self, now: Timestamp) {
        for condition in &mut self.conditions {
            let before = earlier.condition(&condition.condition_type);
            condition.last_transition_time = match before {
                Some(before) if before.status == condition.status => before.last_transition_time,
                _ => Some(now.truncate_to_second()),
            };
        }
    }
}

/// Shows the state of some app container that it has been started (`HasAnyRegularContainerStarted`)?
fn any_app_container_started(pod: &PodSpec, apps: &[ContainerStatus]) -> bool {
    pod.app_containers_by_name().iter().enumerate().any(|(position, index)| {
        find(apps, pod.container(*index).name(), position).is_some_and(|status| {
            status.state.running.is_some() || status.state.terminated.is_some()
        })
    })
}

/// The status of this name, most likely at this position.
fn find<'a>(
    statuses: &'a [ContainerStatus],
    name: &str,
    position: usize,
) -> Option<&'a ContainerStatus> {
    statuses
        .get(position)
        .filter(|status| status.name == name)
        .or_else(|| statuses.iter().find(|status| status.name == name))
}

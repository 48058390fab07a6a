//! Pod conditions (`pkg/kubelet/status/generate.go`).

use alloc::vec::Vec;
use core::fmt::Write as _;

use smol_str::{SmolStr, SmolStrBuilder};

use super::restart_in_place::restarting_all_containers;
use super::types::{ContainerStatus, PodCondition, PodPhase, PodStatus, condition_type};
use super::{StatusInputs, any_app_container_started, find};
use crate::actions::pod_sandbox_changed;
use crate::pod::{ContainerIndex, PodSpec};
use crate::version::{Change, Feature};

/// The reason of `PodReadyToStartContainers` while the pod waits for a sandbox
/// (`PodSandboxNotReadyReason`).
const POD_SANDBOX_NOT_READY: &str = "PodSandboxNotReady";

const POD_COMPLETED: SmolStr = SmolStr::new_static("PodCompleted");
const POD_FAILED: SmolStr = SmolStr::new_static("PodFailed");
const CONTAINERS_NOT_INITIALIZED: SmolStr = SmolStr::new_static("ContainersNotInitialized");
const CONTAINERS_NOT_READY: SmolStr = SmolStr::new_static("ContainersNotReady");
const READINESS_GATES_NOT_READY: SmolStr = SmolStr::new_static("ReadinessGatesNotReady");
const RESTART_ALL_STARTED: SmolStr = SmolStr::new_static("RestartAllContainersStarted");

/// Condition types that the kubelet writes anew each time (`PodConditionByKubelet`).
const OWNED_BY_KUBELET: [&str; 8] = [
    condition_type::POD_SCHEDULED,
    condition_type::READY,
    condition_type::INITIALIZED,
    condition_type::CONTAINERS_READY,
    condition_type::POD_READY_TO_START_CONTAINERS,
    condition_type::POD_RESIZE_PENDING,
    condition_type::POD_RESIZE_IN_PROGRESS,
    condition_type::ALL_CONTAINERS_RESTARTING,
];

/// Does the kubelet write conditions of this type anew each time?
pub(crate) fn is_owned_by_kubelet(condition_type: &str) -> bool {
    OWNED_BY_KUBELET.contains(&condition_type)
}

/// The pod's conditions, in the order of the API: what the kubelet does not own, as it was; then
/// what it owns.
///
/// `status` has its phase and its container statuses already, probe results included.
///
/// Source: `generateAPIPodStatus`, `pkg/kubelet/kubelet_pods.go`, and
/// `pkg/kubelet/status/generate.go`, v1.36.2.
pub fn pod_conditions(inputs: &StatusInputs<'_>, status: &PodStatus) -> Vec<PodCondition> {
    let pod = inputs.pod;
    let mut conditions: Vec<PodCondition> = inputs
        .api
        .conditions
        .iter()
        .filter(|condition| !is_owned_by_kubelet(&condition.condition_type))
        .cloned()
        .collect();
    // Written by the kubelet when it evicts, and carried from its own record.
    if let Some(disruption) = inputs.earlier.condition(condition_type::DISRUPTION_TARGET) {
        match conditions.iter_mut().find(|c| c.condition_type == disruption.condition_type) {
            Some(condition) => *condition = disruption.clone(),
            None => conditions.push(disruption.clone()),
        }
    }
    if pod.enabled(Feature::PodReadyToStartContainersCondition) {
        let change = pod_sandbox_changed(pod, inputs.observation).change;
        let ready =
            PodCondition::new(condition_type::POD_READY_TO_START_CONTAINERS, change.is_none());
        conditions.push(match change {
            Some(change) if pod.gates().has(Change::SandboxNotReadyHasAReason) => {
                ready.because(POD_SANDBOX_NOT_READY, change.message())
            }
            _ => ready,
        });
    }
    conditions.push(initialized(inputs, status));
    let containers_ready = containers_ready(pod, status);
    conditions.push(ready(pod, &containers_ready, &conditions));
    conditions.push(containers_ready);
    conditions.push(PodCondition::new(condition_type::POD_SCHEDULED, true));
    if pod.can_restart_all_containers() {
        conditions.push(all_containers_restarting(inputs, status));
    }
    conditions
}

/// The names of containers in one of two unfortunate situations.
#[derive(Default)]
struct Names<'a> {
    unknown: Vec<&'a str>,
    not_yet: Vec<&'a str>,
}

impl<'a> Names<'a> {
    fn check(
        &mut self,
        pod: &'a PodSpec,
        index: ContainerIndex,
        status: Option<&ContainerStatus>,
        holds: impl FnOnce(&ContainerStatus) -> bool,
    ) {
        let name = pod.container(index).name().as_str();
        match status {
            None => self.unknown.push(name),
            Some(status) if !holds(status) => self.not_yet.push(name),
            Some(_) => {}
        }
    }

    /// `containers with unknown status: [a b], containers with unready status: [c]`
    fn message(&self, not_yet: &str) -> SmolStr {
        let mut text = SmolStrBuilder::new();
        for (situation, names) in [("unknown", &self.unknown), (not_yet, &self.not_yet)] {
            if names.is_empty() {
                continue;
            }
            if situation == not_yet && !self.unknown.is_empty() {
                text.push_str(", ");
            }
            let _ = write!(text, "containers with {situation} status: [");
            for (position, name) in names.iter().enumerate() {
                if position > 0 {
                    text.push(' ');
                }
                text.push_str(name);
            }
            text.push(']');
        }
        text.finish()
    }

    fn is_empty(&self) -> bool {
        self.unknown.is_empty() && self.not_yet.is_empty()
    }
}

/// `GeneratePodInitializedCondition`.
fn initialized(inputs: &StatusInputs<'_>, status: &PodStatus) -> PodCondition {
    let pod = inputs.pod;
    let holds = PodCondition::new(condition_type::INITIALIZED, true);
    let mut names = Names::default();
    for (position, index) in pod.init_containers().enumerate() {
        let container = pod.container(index);
        let container_status = find(&status.init_container_statuses, container.name(), position);
        names.check(pod, index, container_status, |status| {
            if container.is_restartable_init_container() {
                status.started == Some(true)
            } else {
                status.ready
            }
        });
    }
    if status.phase == PodPhase::Succeeded && names.unknown.is_empty() {
        return holds.because(POD_COMPLETED, "");
    }
    let latched = pod.enabled(Feature::RestartAllContainersOnContainerExits)
        && inputs.earlier.is_condition_true(condition_type::INITIALIZED);
    if names.is_empty() || latched || any_app_container_started(pod, &status.container_statuses) {
        return holds;
    }
    PodCondition::new(condition_type::INITIALIZED, false)
        .because(CONTAINERS_NOT_INITIALIZED, names.message("incomplete"))
}

/// `GenerateContainersReadyCondition`. Restartable init containers count like app containers.
pub(super) fn containers_ready(pod: &PodSpec, status: &PodStatus) -> PodCondition {
    let mut names = Names::default();
    for (position, index) in pod.init_containers().enumerate() {
        let container = pod.container(index);
        if container.is_restartable_init_container() {
            let container_status =
                find(&status.init_container_statuses, container.name(), position);
            names.check(pod, index, container_status, |status| status.ready);
        }
    }
    for index in pod.app_containers() {
        let position = pod.position_in_list(index);
        let container_status =
            find(&status.container_statuses, pod.container(index).name(), position);
        names.check(pod, index, container_status, |status| status.ready);
    }
    let not_ready = PodCondition::new(condition_type::CONTAINERS_READY, false);
    if status.phase == PodPhase::Succeeded && names.unknown.is_empty() {
        not_ready.because(POD_COMPLETED, "")
    } else if status.phase == PodPhase::Failed {
        not_ready.because(POD_FAILED, "")
    } else if names.is_empty() {
        PodCondition::new(condition_type::CONTAINERS_READY, true)
    } else {
        not_ready.because(CONTAINERS_NOT_READY, names.message("unready"))
    }
}

/// What `Ready` and `ContainersReady` say of a pod that has ended
/// (`generateContainersReadyConditionForTerminalPhase`).
pub(crate) fn readiness_of_terminal_phase(
    condition_type: &'static str,
    phase: PodPhase,
) -> PodCondition {
    let reason = if phase == PodPhase::Failed { POD_FAILED } else { POD_COMPLETED };
    PodCondition::new(condition_type, false).because(reason, "")
}

/// `GeneratePodReadyCondition`: as ContainersReady, and every readiness gate's condition True.
///
/// A gate sees only the conditions written so far: `Ready`, `ContainersReady` and `PodScheduled`
/// do not exist for it.
pub(super) fn ready(
    pod: &PodSpec,
    containers_ready: &PodCondition,
    so_far: &[PodCondition],
) -> PodCondition {
    let mut condition = containers_ready.clone();
    condition.condition_type = SmolStr::new_static(condition_type::READY);
    if condition.status != super::ConditionStatus::True {
        return condition;
    }
    let mut message = SmolStrBuilder::new();
    let mut closed = 0;
    for gate in pod.readiness_gates() {
        let found = so_far.iter().find(|condition| condition.condition_type == *gate);
        if found.is_some_and(|condition| condition.status == super::ConditionStatus::True) {
            continue;
        }
        if closed > 0 {
            message.push_str(", ");
        }
        closed += 1;
        let _ = match found {
            None => write!(
                message,
                "corresponding condition of pod readiness gate {gate:?} does not exist."
            ),
            Some(condition) => write!(
                message,
                "the status of pod readiness gate {gate:?} is not \"True\", but {}",
                condition.status.as_str()
            ),
        };
    }
    if closed == 0 {
        return condition;
    }
    PodCondition::new(condition_type::READY, false)
        .because(READINESS_GATES_NOT_READY, message.finish())
}

/// `GenerateAllContainersRestartingCondition`.
fn all_containers_restarting(inputs: &StatusInputs<'_>, status: &PodStatus) -> PodCondition {
    let pod = inputs.pod;
    let not = PodCondition::new(condition_type::ALL_CONTAINERS_RESTARTING, false);
    match status.phase {
        PodPhase::Succeeded => return not.because(POD_COMPLETED, ""),
        PodPhase::Failed => return not.because(POD_FAILED, ""),
        PodPhase::Pending | PodPhase::Running | PodPhase::Unknown => {}
    }
    let any_record = pod
        .init_containers()
        .chain(pod.app_containers())
        .any(|index| inputs.observation.newest(index).is_some());
    if !any_record || !restarting_all_containers(pod, inputs.observation, inputs.earlier) {
        return not;
    }
    PodCondition::new(condition_type::ALL_CONTAINERS_RESTARTING, true)
        .because(RESTART_ALL_STARTED, "container exited with restart policy rule")
}

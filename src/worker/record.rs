//! The kubelet's own record of the status, and the API server's copy (`status_manager.go`).

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::actions::restart_verdict;
use crate::spec::PodSpec;
use crate::status::{
    ConditionStatus, PodCondition, PodStatus, condition_type, is_owned_by_kubelet,
};
use crate::time::Timestamp;
use crate::version::KnownBug;

/// A container of a written status may not be shown as running again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("terminated container {container} attempted illegal transition to non-terminated state")]
pub struct IllegalTransition {
    /// The container.
    pub container: SmolStr,
}

/// The status in its two copies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct StatusRecord {
    /// The kubelet's own.
    pub(super) own: PodStatus,
    /// What the API server holds.
    pub(super) api: PodStatus,
    /// A status has been written.
    written: bool,
}

impl StatusRecord {
    /// What a kubelet that has just started knows.
    pub(super) fn from_api(api: PodStatus) -> Self {
        Self { own: api.clone(), api, written: true }
    }

    /// Writes a status: completes its times, and refuses an illegal transition, after which
    /// everything stays as it was.
    ///
    /// Source: `updateStatusInternal`, v1.36.2.
    pub(super) fn write(
        &mut self,
        pod: &PodSpec,
        mut status: PodStatus,
        could_have_running_containers: bool,
        now: Timestamp,
    ) -> Result<(), IllegalTransition> {
        if self.written && pod.gates().has_bug(KnownBug::StatusDroppedWhileInitRunsAgain) {
            check_container_state_transitions(pod, &self.own, &status)?;
        }
        status.start_time = self.own.start_time.or(Some(now.truncate_to_second()));
        status.set_transition_times(&self.own, now);
        normalize(pod, &mut status);
        self.api = merge_into_api(&self.api, &status, could_have_running_containers, now);
        self.own = status;
        self.written = true;
        Ok(())
    }

    /// Sets one condition between two syncs, as the kubelet does when a sandbox has become ready.
    pub(super) fn set_condition(&mut self, condition: PodCondition, now: Timestamp) {
        for status in [&mut self.own, &mut self.api] {
            let found = status
                .conditions
                .iter_mut()
                .find(|old| old.condition_type == condition.condition_type);
            let Some(old) = found else { continue };
            if old.status != condition.status {
                *old = PodCondition {
                    last_transition_time: Some(now.truncate_to_second()),
                    ..condition.clone()
                };
            }
        }
    }
}

/// A container that has terminated for good may not be shown otherwise.
///
/// Everything passes if the pod's policy is Always, even for a container that says Never, and if
/// some container can restart all. Restartable init containers are never checked.
///
/// Source: `checkContainerStateTransition`, v1.36.2.
fn check_container_state_transitions(
    pod: &PodSpec,
    old: &PodStatus,
    new: &PodStatus,
) -> Result<(), IllegalTransition> {
    use crate::spec::{ContainerKind, RestartPolicy};
    if pod.restart_policy() == RestartPolicy::Always || pod.can_restart_all_containers() {
        return Ok(());
    }
    let may_restart = |index, exit_code| {
        let container = pod.container(index);
        (pod.restart_policy() == RestartPolicy::OnFailure && exit_code != 0)
            || (pod.enabled(crate::Feature::ContainerRestartRules)
                && restart_verdict(pod, container, exit_code).0)
    };
    let lists = [
        (&old.init_container_statuses, &new.init_container_statuses),
        (&old.container_statuses, &new.container_statuses),
    ];
    for (old, new) in lists {
        for old in old {
            let Some(terminated) = &old.state.terminated else { continue };
            let Some(index) = pod.find(&old.name) else { continue };
            if pod.container(index).kind() == ContainerKind::RestartableInit {
                continue;
            }
            let still_terminated = new
                .iter()
                .find(|new| new.name == old.name)
                .is_none_or(|new| new.state.terminated.is_some());
            if !still_terminated && !may_restart(index, terminated.exit_code) {
                return Err(IllegalTransition { container: old.name.clone() });
            }
        }
    }
    Ok(())
}

/// The bytes that all termination messages of a pod's containers may have together.
const MAX_TERMINATION_MESSAGES: usize = 12_288;

/// Cuts times to whole seconds and termination messages to their share (`normalizeStatus`).
fn normalize(pod: &PodSpec, status: &mut PodStatus) {
    let limit = MAX_TERMINATION_MESSAGES / pod.containers().len().max(1);
    let lists = [
        &mut status.init_container_statuses,
        &mut status.container_statuses,
        &mut status.ephemeral_container_statuses,
    ];
    for status in lists.into_iter().flatten() {
        for state in [&mut status.state, &mut status.last_termination_state] {
            if let Some(running) = &mut state.running {
                truncate(&mut running.started_at);
            }
            if let Some(terminated) = &mut state.terminated {
                truncate(&mut terminated.started_at);
                truncate(&mut terminated.finished_at);
                if terminated.message.len() > limit {
                    terminated.message = SmolStr::new(cut(&terminated.message, limit));
                }
            }
        }
    }
}

/// The longest beginning of at most `limit` bytes that is still text.
fn cut(text: &str, limit: usize) -> &str {
    let end = (0..=limit).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

fn truncate(time: &mut Option<Timestamp>) {
    *time = time.map(Timestamp::truncate_to_second);
}

/// The API server's copy after a write: the old phase, reason and message stay while containers
/// may run, and foreign conditions come first.
///
/// Source: `mergePodStatus`, v1.36.2.
fn merge_into_api(
    api: &PodStatus,
    new: &PodStatus,
    could_have_running_containers: bool,
    now: Timestamp,
) -> PodStatus {
    let mut merged = new.clone();
    let becomes_terminal = !api.phase.is_terminal() && new.phase.is_terminal();
    if becomes_terminal && could_have_running_containers {
        merged.phase = api.phase;
        merged.reason = api.reason.clone();
        merged.message = api.message.clone();
    }
    let written_by_kubelet = |condition: &&PodCondition| {
        is_owned_by_kubelet(&condition.condition_type)
            || (condition.condition_type == condition_type::DISRUPTION_TARGET
                // Shown only together with the phase that it explains.
                && !(becomes_terminal && could_have_running_containers))
    };
    let mut conditions: Vec<PodCondition> = api
        .conditions
        .iter()
        .filter(|condition| !is_owned_by_kubelet(&condition.condition_type))
        .cloned()
        .collect();
    for condition in new.conditions.iter().filter(written_by_kubelet) {
        conditions.retain(|old| old.condition_type != condition.condition_type);
        conditions.push(condition.clone());
    }
    if merged.phase.is_terminal() {
        for condition in &mut conditions {
            let ready = condition.condition_type == condition_type::READY
                || condition.condition_type == condition_type::CONTAINERS_READY;
            if ready && condition.status == ConditionStatus::True {
                condition.status = ConditionStatus::False;
                condition.last_transition_time = Some(now.truncate_to_second());
            }
        }
    }
    merged.conditions = conditions;
    merged
}

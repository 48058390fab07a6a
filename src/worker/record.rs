//! The kubelet's own record of the status, and the API server's copy (`status_manager.go`).

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::actions::restart_verdict;
use crate::pod::PodSpec;
use crate::status::{
    ContainerState, PodCondition, PodStatus, condition_type, is_owned_by_kubelet,
    readiness_of_terminal_phase,
};
use crate::time::Timestamp;
use crate::version::{Feature, KnownBug};

/// A container of a written status may not be shown as running again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("terminated container {container} attempted illegal transition to non-terminated state")]
#[non_exhaustive]
pub struct IllegalTransition {
    /// The container.
    pub container: SmolStr,
}

/// How a status is handed to the status manager.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handover {
    /// Containers may still run by the time it is sent, so that the API keeps its phase
    /// (`PodCouldHaveRunningContainers`). At the end of a stop they do not: what that writes is
    /// sent when the pod counts as terminated already.
    pub(super) could_have_running_containers: bool,
    /// It is sent even if it does not differ from the record.
    pub(super) forced: bool,
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

    /// The API holds another status than was written here.
    pub(super) fn set_api(&mut self, api: PodStatus) {
        if self.written {
            self.api = api;
        } else {
            *self = Self::from_api(api);
        }
    }

    /// Writes a status: completes its times, and refuses an illegal transition, after which
    /// everything stays as it was.
    ///
    /// Source: `updateStatusInternal`, v1.36.2.
    pub(super) fn write(
        &mut self,
        pod: &PodSpec,
        mut status: PodStatus,
        handover: Handover,
        now: Timestamp,
    ) -> Result<(), IllegalTransition> {
        if self.written && pod.gates().has_bug(KnownBug::StatusDroppedWhileInitRunsAgain) {
            check_container_state_transitions(pod, &self.own, &status)?;
        }
        status.start_time = self.own.start_time.or(Some(now.truncate_to_second()));
        status.set_transition_times(&self.own, now);
        normalize(pod, &mut status);
        // A status that says nothing new is not sent. It matters only here: while containers may run,
        // what would be sent is what the API holds.
        if !handover.could_have_running_containers
            && !handover.forced
            && says_same(&self.own, &status)
        {
            return Ok(());
        }
        self.api = merge_into_api(&self.api, &status, handover.could_have_running_containers, now);
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
    use crate::pod::{ContainerKind, RestartPolicy};
    if pod.restart_policy() == RestartPolicy::Always || pod.can_restart_all_containers() {
        return Ok(());
    }
    let may_restart = |index, exit_code| {
        let container = pod.container(index);
        (pod.restart_policy() == RestartPolicy::OnFailure && exit_code != 0)
            || (pod.enabled(Feature::ContainerRestartRules)
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

/// Do two statuses of a pod that is being stopped say the same (`isPodStatusByKubeletEqual`)? Texts
/// and times need no look: they change only together with a state.
fn says_same(old: &PodStatus, new: &PodStatus) -> bool {
    fn pairs<'a, T>(old: &'a [T], new: &'a [T]) -> Option<impl Iterator<Item = (&'a T, &'a T)>> {
        (old.len() == new.len()).then(|| old.iter().zip(new))
    }
    let conditions = pairs(&old.conditions, &new.conditions);
    let containers = [
        pairs(&old.init_container_statuses, &new.init_container_statuses),
        pairs(&old.container_statuses, &new.container_statuses),
        pairs(&old.ephemeral_container_statuses, &new.ephemeral_container_statuses),
    ];
    (old.phase, &old.reason) == (new.phase, &new.reason)
        && conditions.is_some_and(|mut pairs| {
            pairs.all(|(old, new)| {
                (&old.condition_type, old.status, &old.reason)
                    == (&new.condition_type, new.status, &new.reason)
            })
        })
        && containers.into_iter().all(|pairs| {
            pairs.is_some_and(|mut pairs| {
                pairs.all(|(old, new)| {
                    (&old.container_id, old.restart_count, old.ready, old.started)
                        == (&new.container_id, new.restart_count, new.ready, new.started)
                        && same_state(&old.state, &new.state)
                        && same_state(&old.last_termination_state, &new.last_termination_state)
                })
            })
        })
}

fn same_state(old: &ContainerState, new: &ContainerState) -> bool {
    let waiting = |state: &ContainerState| state.waiting.as_ref().map(|of| of.reason.clone());
    let ended = |state: &ContainerState| {
        state.terminated.as_ref().map(|ended| (ended.exit_code, ended.reason.clone()))
    };
    (waiting(old), old.running.is_some(), ended(old))
        == (waiting(new), new.running.is_some(), ended(new))
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
    let mut conditions: Vec<PodCondition> = api
        .conditions
        .iter()
        .filter(|condition| !is_owned_by_kubelet(&condition.condition_type))
        .cloned()
        .collect();
    for condition in &new.conditions {
        if is_owned_by_kubelet(&condition.condition_type) {
            conditions.push(condition.clone());
        } else if condition.condition_type == condition_type::DISRUPTION_TARGET
            // Shown only together with the phase that it explains, and dated by that.
            && becomes_terminal
            && !could_have_running_containers
        {
            replace_or_append(&mut conditions, condition.clone(), now);
        }
    }
    merged.conditions = conditions;
    let is_ready = [condition_type::READY, condition_type::CONTAINERS_READY]
        .into_iter()
        .any(|condition_type| merged.is_condition_true(condition_type));
    if merged.phase.is_terminal() && is_ready {
        for condition_type in [condition_type::CONTAINERS_READY, condition_type::READY] {
            let not_ready = readiness_of_terminal_phase(condition_type, merged.phase);
            replace_or_append(&mut merged.conditions, not_ready, now);
        }
    }
    merged
}

/// Puts a condition where the list has one of its type, dated `now` or, if it has not changed, as
/// that one (`UpdatePodCondition`).
fn replace_or_append(
    conditions: &mut Vec<PodCondition>,
    mut condition: PodCondition,
    now: Timestamp,
) {
    condition.last_transition_time = Some(now.truncate_to_second());
    match conditions.iter_mut().find(|old| old.condition_type == condition.condition_type) {
        Some(old) => {
            if old.status == condition.status {
                condition.last_transition_time = old.last_transition_time;
            }
            *old = condition;
        }
        None => conditions.push(condition),
    }
}

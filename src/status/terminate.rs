//! The last status of a pod (`TerminatePod` of the status manager).

use smol_str::SmolStr;

use super::containers::{CONTAINER_STATUS_UNKNOWN, LOST_EXIT_CODE, NOT_LOCATED_WHEN_TERMINATED};
use super::types::{
    ContainerState, ContainerStateTerminated, ContainerStatus, PodPhase, PodStatus,
};
use crate::pod::PodSpec;

/// Makes `status` the last one of a pod that was stopped: nothing is left that looks as if it could
/// still run, and the phase is terminal.
///
/// `was_initialized`: [`has_pod_initialized`] by the status that the API had when the pod began to be
/// stopped. What the stop itself brought about does not count: `TerminatePod` looks at the pod as its
/// worker was last given it.
///
/// Source: `TerminatePod`, `pkg/kubelet/status/status_manager.go`, v1.36.2.
pub(crate) fn terminate_pod(pod: &PodSpec, was_initialized: bool, status: &mut PodStatus) {
    // Once a pod is initialised, an app container that is not known to have ended has failed.
    if was_initialized {
        status.container_statuses.iter_mut().for_each(mark_lost);
    }
    let started = status.init_container_statuses.iter().rposition(has_started);
    // The first one counts in any case.
    let marked = started.map_or(1, |last| last + 1);
    status.init_container_statuses.iter_mut().take(marked).for_each(mark_lost);
    if !pod.is_static() && !status.phase.is_terminal() {
        status.phase = PodPhase::Failed;
    }
}

fn mark_lost(status: &mut ContainerStatus) {
    if status.state.terminated.is_none() {
        status.state = ContainerState::terminated(ContainerStateTerminated {
            exit_code: LOST_EXIT_CODE,
            reason: SmolStr::new_static(CONTAINER_STATUS_UNKNOWN),
            message: SmolStr::new_static(NOT_LOCATED_WHEN_TERMINATED),
            ..ContainerStateTerminated::default()
        });
    }
}

/// Is there evidence that the container was ever started?
fn has_started(status: &ContainerStatus) -> bool {
    status.state.waiting.is_none() || status.last_termination_state.terminated.is_some()
}

/// Has the pod come past its init containers, by its status (`hasPodInitialized`)?
pub(crate) fn has_pod_initialized(pod: &PodSpec, status: &PodStatus) -> bool {
    if pod.init_containers().len() == 0 || status.container_statuses.iter().any(has_started) {
        return true;
    }
    let Some(last) = status.init_container_statuses.last() else { return false };
    let Some(index) = pod.find(&last.name) else { return false };
    if pod.container(index).is_restartable_init_container() {
        return last.state.running.is_some() && last.started == Some(true);
    }
    [&last.state, &last.last_termination_state].into_iter().any(|state| {
        state.terminated.as_ref().is_some_and(|ended| pod.is_init_success(ended.exit_code))
    })
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::FeatureGates;

    /// How an app container of which nothing is known is marked.
    fn marked(sidecar_started: Option<bool>) -> bool {
        let pod = serde_json::from_str(
            r#"{"spec": {"initContainers": [{"name": "s", "restartPolicy": "Always"}],
                "containers": [{"name": "a"}]}}"#,
        )
        .unwrap();
        let pod = PodSpec::compile_unchecked(&pod, FeatureGates::default()).unwrap();
        let status = |name: &str, state| ContainerStatus {
            name: name.into(),
            state,
            ..ContainerStatus::default()
        };
        let sidecar = ContainerStatus {
            started: sidecar_started,
            ..status("s", ContainerState::running(None))
        };
        let before = PodStatus {
            init_container_statuses: vec![sidecar],
            container_statuses: vec![status("a", ContainerState::waiting("PodInitializing", ""))],
            ..PodStatus::default()
        };
        let mut last = before.clone();
        terminate_pod(&pod, has_pod_initialized(&pod, &before), &mut last);
        last.container_statuses[0].state.terminated.is_some()
    }

    #[test]
    fn a_pod_whose_last_init_container_is_a_sidecar_is_initialised_once_that_has_started() {
        assert_eq!([None, Some(false), Some(true)].map(marked), [false, false, true]);
    }
}

//! A restart of the whole pod in place: the mark that the status keeps of it.

use super::types::{PodStatus, condition_type};
use crate::actions::restarts_all_containers;
use crate::observation::{ContainerInstance, Observation};
use crate::pod::PodSpec;

/// Is the pod being restarted in place?
///
/// It is while the earlier status says so (`AllContainersRestarting` True), or once the newest
/// record of an init or app container has exited and a rule `RestartAllContainers` matches that
/// exit, or the exit that the earlier status shows as the container's state.
///
/// Source: `ShouldAllContainersRestart`, v1.36.2.
pub fn restarting_all_containers(
    pod: &PodSpec,
    observation: &Observation,
    earlier: &PodStatus,
) -> bool {
    if !pod.can_restart_all_containers() {
        return false;
    }
    if earlier.is_condition_true(condition_type::ALL_CONTAINERS_RESTARTING) {
        return true;
    }
    let earlier_exit_code = |name: &str| {
        earlier
            .init_container_statuses
            .iter()
            .chain(&earlier.container_statuses)
            .find(|status| status.name == name)
            .and_then(|status| status.state.terminated.as_ref())
            .map(|terminated| terminated.exit_code)
    };
    pod.init_containers().chain(pod.app_containers()).any(|index| {
        let container = pod.container(index);
        let Some(exit) = observation.newest(index).and_then(ContainerInstance::exit) else {
            return false;
        };
        restarts_all_containers(pod, container, exit.exit_code)
            || earlier_exit_code(container.name())
                .is_some_and(|code| restarts_all_containers(pod, container, code))
    })
}

//! What the prober writes into a status between two syncs (`status_manager.go`).

use super::conditions::{containers_ready, ready};
use super::types::{ContainerStatus, PodStatus};
use crate::pod::PodSpec;

/// Sets `ready` of the container with this id, and the two conditions that follow from it. Has that
/// changed anything?
///
/// Source: `SetContainerReadiness`, `pkg/kubelet/status/status_manager.go`, v1.36.3.
pub(crate) fn set_container_readiness(
    pod: &PodSpec,
    status: &mut PodStatus,
    container_id: &str,
    is_ready: bool,
) -> bool {
    let found = find_by_id(status, container_id).filter(|status| status.ready != is_ready);
    let Some(container) = found else { return false };
    container.ready = is_ready;
    let containers_ready = containers_ready(pod, status);
    let ready = ready(pod, &containers_ready, &status.conditions);
    for condition in [ready, containers_ready] {
        let mut conditions = status.conditions.iter_mut();
        match conditions.find(|old| old.condition_type == condition.condition_type) {
            Some(old) => *old = condition,
            None => status.conditions.push(condition),
        }
    }
    true
}

/// Sets `started` of the container with this id; conditions follow with the next sync. Has that
/// changed anything?
///
/// Source: `SetContainerStartup`, `pkg/kubelet/status/status_manager.go`, v1.36.3.
pub(crate) fn set_container_startup(
    status: &mut PodStatus,
    container_id: &str,
    is_started: bool,
) -> bool {
    let found =
        find_by_id(status, container_id).filter(|status| status.started != Some(is_started));
    let Some(container) = found else { return false };
    container.started = Some(is_started);
    true
}

fn find_by_id<'a>(
    status: &'a mut PodStatus,
    container_id: &str,
) -> Option<&'a mut ContainerStatus> {
    let apps = status.container_statuses.iter_mut();
    apps.chain(&mut status.init_container_statuses)
        .find(|status| !status.container_id.is_empty() && status.container_id == container_id)
}

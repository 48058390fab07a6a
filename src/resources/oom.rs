//! Whom the kernel kills first when memory runs out.
//!
//! Source: `pkg/kubelet/qos/policy.go` (`GetContainerOOMScoreAdjust`).

use super::list::ResourceList;
use super::name::ResourceName;
use super::pod::PodResources;
use super::pod::Row;
use super::qos::{QosClass, qos_class};
use super::requests::{PodResourcesOptions, aggregate_container_requests};
use crate::container::{ContainerIndex, ContainerKind};
use crate::version::{Change, Feature};

/// Of node-critical and Guaranteed pods: killed last.
const GUARANTEED: i16 = -997;
/// Of BestEffort pods: killed first.
const BEST_EFFORT: i16 = 1000;

/// The `oom_score_adj` of a container: from -997, killed last, to 1000, killed first.
///
/// In a Burstable pod it falls with the memory that the container requests, against
/// `memory_capacity`, the node's memory in bytes; it is 3 to 999. A restartable init container is
/// never killed before the app container that requests the least memory (from 1.32). An index
/// behind the last container is taken for a container that requests nothing.
pub fn oom_score_adj(pod: &PodResources, container: ContainerIndex, memory_capacity: i64) -> i16 {
    if pod.node_critical {
        return GUARANTEED;
    }
    match qos_class(pod) {
        QosClass::Guaranteed => return GUARANTEED,
        QosClass::BestEffort => return BEST_EFFORT,
        QosClass::Burstable => {}
    }
    let remainder = remaining_request_per_container(pod);
    let score = |request: i64| {
        let request = i128::from(request) + i128::from(remainder);
        1000 - 1000 * request / i128::from(memory_capacity.max(1))
    };
    let mut adjust = score(memory_request(pod, container.slot()));
    if pod.gates().has(Change::SidecarOomScoreOfLeastApp)
        && pod.container_kind(container) == ContainerKind::RestartableInit
    {
        let apps = pod.init_containers()..pod.containers();
        if let Some(least) = apps.map(|app| memory_request(pod, app)).min() {
            adjust = adjust.min(score(least));
        }
    }
    // Above a Guaranteed pod that uses all its memory, and below BestEffort.
    let (lowest, highest) = (BEST_EFFORT + GUARANTEED, BEST_EFFORT - 1);
    if adjust == i128::from(BEST_EFFORT) {
        return highest;
    }
    i16::try_from(adjust.max(lowest.into())).unwrap_or(i16::MAX)
}

fn memory_request(pod: &PodResources, container: usize) -> i64 {
    if container >= pod.containers() {
        return 0;
    }
    pod.amount_of(Row::Requests(container), &ResourceName::MEMORY).value()
}

/// Each container's part of the pod-level memory request that no container asks for
/// (`remainingPodMemReqPerContainer`).
fn remaining_request_per_container(pod: &PodResources) -> i64 {
    let level = pod.amount_of(Row::PodRequests, &ResourceName::MEMORY);
    if !pod.gates().enabled(Feature::PodLevelResources) || level.is_zero() {
        return 0;
    }
    let mut requests = ResourceList::new();
    aggregate_container_requests(pod, &PodResourcesOptions::default(), &mut requests);
    let mut rest =
        i128::from(level.value()) - i128::from(requests.quantity(ResourceName::MEMORY).value());
    if pod.gates().has(Change::NothingLeftCountsAsZero) {
        rest = rest.max(0);
    }
    // Both fit 64 bits, so this does unless they have opposite signs, which no valid pod has.
    let share = rest / i128::try_from(pod.containers().max(1)).unwrap_or(i128::MAX);
    i64::try_from(share).unwrap_or(i64::MAX)
}

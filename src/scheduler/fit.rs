//! Does a pod fit on a node, and why not (`fitsRequest`).

use alloc::vec::Vec;
use core::fmt;

use super::resource::Resource;
use crate::resources::{PodResources, PodResourcesOptions, ResourceName};
use crate::version::Feature;

/// A resource of which a node has too little.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", reason(resource))]
#[non_exhaustive]
pub struct Insufficient {
    /// The resource; `pods` if there is no place for one more pod.
    pub resource: ResourceName,
    /// What the pod requests, in the scheduler's units (CPU in millicores).
    pub requested: i64,
    /// What pods on the node have already.
    pub used: i64,
    /// What the node has.
    pub capacity: i64,
    /// Would the pod not even fit if the node were empty? (From 1.34 the scheduler then does not
    /// try to make room.) Never for `pods`.
    pub unresolvable: bool,
}

/// The reason as the scheduler reports it.
fn reason(resource: &ResourceName) -> impl fmt::Display {
    struct Reason<'a>(&'a ResourceName);
    impl fmt::Display for Reason<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            if self.0.as_str() == "pods" {
                f.write_str("Too many pods")
            } else {
                write!(f, "Insufficient {}", self.0)
            }
        }
    }
    Reason(resource)
}

/// The pod can be placed on no node at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PreFilterError {
    /// Up to 1.32, with the gate `SidecarContainers` off.
    #[error("Pod has a restartable init container and the SidecarContainers feature is disabled")]
    SidecarContainersDisabled,
}

/// What the scheduler wants to have free for a pod (`computePodResourceRequest`): its requests by
/// the spec, overhead included.
///
/// # Errors
/// If the pod can be placed on no node.
pub fn pre_filter(pod: &PodResources) -> Result<Resource, PreFilterError> {
    if pod.has_disabled_sidecars() {
        return Err(PreFilterError::SidecarContainersDisabled);
    }
    let options = PodResourcesOptions {
        skip_pod_level_resources: !pod.gates().enabled(Feature::PodLevelResources),
        ..PodResourcesOptions::default()
    };
    Ok(Resource::from(&pod.requests(&options)))
}

/// Does a pod that requests `pod` fit on a node (`fitsRequest`)?
///
/// The node has `node_allocatable`, of which its `pods` pods have `requested`, and takes
/// `max_pods` of them.
///
/// # Errors
/// Everything that there is too little of: pods first, CPU, memory and ephemeral storage, then the
/// others by name. A resource of which nothing is requested is never among them, even on a node
/// that is overcommitted.
pub fn fits(
    node_allocatable: &Resource,
    requested: &Resource,
    pods: usize,
    max_pods: usize,
    pod: &Resource,
) -> Result<(), Vec<Insufficient>> {
    let mut insufficient = Vec::new();
    if pods >= max_pods {
        let count = |pods: usize| i64::try_from(pods).unwrap_or(i64::MAX);
        insufficient.push(Insufficient {
            resource: "pods".into(),
            requested: 1,
            used: count(pods),
            capacity: count(max_pods),
            // Even a node that takes no pods at all.
            unresolvable: false,
        });
    }
    let mut check = |resource: &ResourceName, wanted: i64, used: i64, capacity: i64| {
        if wanted > 0 && i128::from(wanted) > i128::from(capacity) - i128::from(used) {
            insufficient.push(Insufficient {
                resource: resource.clone(),
                requested: wanted,
                used,
                capacity,
                unresolvable: wanted > capacity,
            });
        }
    };
    let (node, used) = (node_allocatable, requested);
    check(&ResourceName::CPU, pod.milli_cpu, used.milli_cpu, node.milli_cpu);
    check(&ResourceName::MEMORY, pod.memory, used.memory, node.memory);
    check(
        &ResourceName::EPHEMERAL_STORAGE,
        pod.ephemeral_storage,
        used.ephemeral_storage,
        node.ephemeral_storage,
    );
    for (name, wanted) in &pod.scalar_resources {
        check(name, *wanted, used.scalar(name), node.scalar(name));
    }
    if insufficient.is_empty() { Ok(()) } else { Err(insufficient) }
}

/// Why a pod does not go to a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unschedulable {
    /// It goes to no node.
    #[error(transparent)]
    PreFilter(#[from] PreFilterError),
    /// The node has too little.
    #[error("{}", Reasons(.0))]
    Insufficient(Vec<Insufficient>),
}

/// Several reasons in a row.
struct Reasons<'a>(&'a [Insufficient]);

impl fmt::Display for Reasons<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, reason) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{reason}")?;
        }
        Ok(())
    }
}

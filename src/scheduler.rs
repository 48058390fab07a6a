//! Does a pod fit on a node? The counting of kube-scheduler's `NodeResourcesFit`, and its reasons
//! word for word.
//!
//! The scheduler counts whole millicores and bytes, each pod rounded up by itself, so that its
//! sums are not those of exact quantities. [`Resource`] holds amounts as it counts them.
//!
//! Source: `pkg/scheduler/framework/plugins/noderesources/fit.go`,
//! `pkg/scheduler/framework/types.go`.

use alloc::vec::Vec;
use core::fmt;

use smallvec::SmallVec;

use crate::Feature;
use crate::resources::{
    Format, PodResources, PodResourcesOptions, Quantity, ResourceList, ResourceName,
};

/// What a container counts for in scores if it requests no CPU, in millicores
/// (`DefaultMilliCPURequest`).
pub const DEFAULT_MILLI_CPU_REQUEST: i64 = 100;
/// What a container counts for in scores if it requests no memory, in bytes
/// (`DefaultMemoryRequest`).
pub const DEFAULT_MEMORY_REQUEST: i64 = 200 * 1024 * 1024;
/// The best score of a node (`MaxNodeScore`).
pub const MAX_NODE_SCORE: i64 = 100;

/// Amounts as the scheduler counts them (`framework.Resource`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resource {
    /// CPU in millicores.
    pub milli_cpu: i64,
    /// Memory in bytes.
    pub memory: i64,
    /// Ephemeral storage in bytes.
    pub ephemeral_storage: i64,
    /// Huge pages in bytes and extended resources in pieces, sorted by name.
    pub scalar_resources: SmallVec<[(ResourceName, i64); 2]>,
}

impl From<&ResourceList> for Resource {
    /// Rounds up each amount, and leaves out the names that the scheduler does not count.
    fn from(list: &ResourceList) -> Self {
        let mut resource = Self::default();
        for (name, quantity) in list {
            if *name == ResourceName::CPU {
                resource.milli_cpu = quantity.milli_value();
            } else if *name == ResourceName::MEMORY {
                resource.memory = quantity.value();
            } else if *name == ResourceName::EPHEMERAL_STORAGE {
                resource.ephemeral_storage = quantity.value();
            } else if name.is_scalar() {
                resource.scalar_resources.push((name.clone(), quantity.value()));
            }
        }
        resource
    }
}

impl Resource {
    /// The amount of a scalar resource, zero if it is not there.
    pub fn scalar(&self, name: &ResourceName) -> i64 {
        let entry = self.scalar_resources.iter().find(|(other, _)| other == name);
        entry.map_or(0, |(_, amount)| *amount)
    }

    /// Applies `op` to each amount and the one of `other`; None if one of them refuses.
    fn zip(&self, other: &Self, op: impl Fn(i64, i64) -> Option<i64>) -> Option<Self> {
        let mut result = Self {
            milli_cpu: op(self.milli_cpu, other.milli_cpu)?,
            memory: op(self.memory, other.memory)?,
            ephemeral_storage: op(self.ephemeral_storage, other.ephemeral_storage)?,
            scalar_resources: self.scalar_resources.clone(),
        };
        for (name, amount) in &other.scalar_resources {
            let place = result.scalar_resources.binary_search_by(|(other, _)| other.cmp(name));
            match place {
                Ok(index) => {
                    let entry = &mut result.scalar_resources[index].1;
                    *entry = op(*entry, *amount)?;
                }
                Err(index) => {
                    let entry = (name.clone(), op(0, *amount)?);
                    result.scalar_resources.insert(index, entry);
                }
            }
        }
        result.scalar_resources.retain(|(_, amount)| *amount != 0);
        Some(result)
    }
}

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
    /// try to make room.)
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
            unresolvable: max_pods == 0,
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

/// A node's accounts could not be changed; they are as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeUsageError {
    /// The sums would not fit 64 bits.
    #[error("the resources of the node's pods add up beyond 64 bits")]
    TooLarge,
    /// More would be taken away than was added.
    #[error("the pod was not counted on this node")]
    NotCounted,
}

/// What the pods on a node have of its resources (`framework.NodeInfo`).
///
/// ```
/// use podinit::FeatureGates;
/// use podinit::resources::PodResources;
/// use podinit::scheduler::NodeUsage;
///
/// let mut node = NodeUsage::new(&serde_json::from_str(r#"{"cpu": "1", "pods": "110"}"#)?);
/// let pod = serde_json::from_str(
///     r#"{"spec": {"containers": [{"name": "app", "resources": {"requests": {"cpu": "600m"}}}]}}"#,
/// )?;
/// let pod = PodResources::compile(&pod, FeatureGates::default())?;
/// assert_eq!(node.fits(&pod), Ok(()));
/// node.add(&pod)?;
/// let refused = node.fits(&pod).unwrap_err();
/// assert_eq!(refused.to_string(), "Insufficient cpu");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeUsage {
    allocatable: Resource,
    max_pods: usize,
    pods: usize,
    requested: Resource,
    non_zero_requested: Resource,
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

impl NodeUsage {
    /// An empty node with these allocatable resources; `pods` is how many pods it takes.
    pub fn new(allocatable: &ResourceList) -> Self {
        Self {
            allocatable: allocatable.into(),
            max_pods: usize::try_from(allocatable.quantity("pods").value()).unwrap_or(0),
            ..Self::default()
        }
    }

    /// What the node has.
    pub fn allocatable(&self) -> &Resource {
        &self.allocatable
    }

    /// How many pods the node takes.
    pub fn max_pods(&self) -> usize {
        self.max_pods
    }

    /// How many pods there are on the node.
    pub fn pods(&self) -> usize {
        self.pods
    }

    /// What the pods on the node request.
    pub fn requested(&self) -> &Resource {
        &self.requested
    }

    /// The same for scores: a container without a CPU or memory request counts for
    /// [`DEFAULT_MILLI_CPU_REQUEST`] and [`DEFAULT_MEMORY_REQUEST`]. Nothing else is counted.
    pub fn non_zero_requested(&self) -> &Resource {
        &self.non_zero_requested
    }

    /// Counts a pod that was placed on the node (`AddPod`), by its spec and, while it is resized in
    /// place, its status.
    ///
    /// # Errors
    /// If the sums would not fit 64 bits.
    pub fn add(&mut self, pod: &PodResources) -> Result<(), NodeUsageError> {
        let add = i64::checked_add;
        let requested = self.requested.zip(&counted(pod), add);
        let non_zero = self.non_zero_requested.zip(&non_zero(pod), add);
        let (requested, non_zero) = requested.zip(non_zero).ok_or(NodeUsageError::TooLarge)?;
        let pods = self.pods.checked_add(1).ok_or(NodeUsageError::TooLarge)?;
        (self.requested, self.non_zero_requested, self.pods) = (requested, non_zero, pods);
        Ok(())
    }

    /// Takes away a pod that was counted (`RemovePod`). It must be compiled as it was then.
    ///
    /// # Errors
    /// If not even that much was counted.
    pub fn remove(&mut self, pod: &PodResources) -> Result<(), NodeUsageError> {
        let pods = self.pods.checked_sub(1).ok_or(NodeUsageError::NotCounted)?;
        // Only a pod with a request below zero may leave less than nothing, and none is valid.
        let sub = |a: i64, b: i64| a.checked_sub(b).filter(|rest| *rest >= 0 || b < 0);
        let requested = self.requested.zip(&counted(pod), sub);
        let non_zero = self.non_zero_requested.zip(&non_zero(pod), sub);
        let (requested, non_zero) = requested.zip(non_zero).ok_or(NodeUsageError::NotCounted)?;
        (self.requested, self.non_zero_requested, self.pods) = (requested, non_zero, pods);
        Ok(())
    }

    /// Does a pod fit on the node beside those that are counted, see [`fits`]?
    ///
    /// # Errors
    /// The scheduler's reasons for a no.
    pub fn fits(&self, pod: &PodResources) -> Result<(), Unschedulable> {
        let request = pre_filter(pod)?;
        fits(&self.allocatable, &self.requested, self.pods, self.max_pods, &request)
            .map_err(Unschedulable::Insufficient)
    }

    /// The score of the node for a pod, 0 to [`MAX_NODE_SCORE`]: how much of its CPU and memory
    /// would stay free (`leastResourceScorer`, the scheduler's default).
    pub fn least_allocated_score(&self, pod: &PodResources) -> i64 {
        let wanted = non_zero(pod);
        let used = &self.non_zero_requested;
        let parts = [
            (self.allocatable.milli_cpu, used.milli_cpu, wanted.milli_cpu),
            (self.allocatable.memory, used.memory, wanted.memory),
        ];
        let scores = parts.into_iter().filter(|(capacity, ..)| *capacity > 0);
        let (sum, count) = scores.fold((0, 0), |(sum, count), (capacity, used, wanted)| {
            let free = (i128::from(capacity) - i128::from(used) - i128::from(wanted)).max(0);
            (sum + free * i128::from(MAX_NODE_SCORE) / i128::from(capacity), count + 1)
        });
        i64::try_from(sum / i128::from(count.max(1))).unwrap_or(MAX_NODE_SCORE)
    }
}

/// What a pod on a node counts for (`PodInfo.CalculateResource`).
fn counted(pod: &PodResources) -> Resource {
    Resource::from(&pod.requests(&PodResourcesOptions::for_gates(pod.gates())))
}

/// The CPU and memory that a pod counts for in scores.
fn non_zero(pod: &PodResources) -> Resource {
    let options = PodResourcesOptions::for_gates(pod.gates());
    let requests = pod.requests(&options);
    let pod_level = !options.skip_pod_level_resources && pod.is_pod_level_requests_set();
    let defaults = [
        (ResourceName::CPU, Quantity::from_milli(DEFAULT_MILLI_CPU_REQUEST, Format::DecimalSI)),
        (ResourceName::MEMORY, Quantity::new(DEFAULT_MEMORY_REQUEST.into(), Format::BinarySI)),
    ];
    // With pod-level requests, only for what is requested at neither level.
    let missing = |(name, _): &(ResourceName, Quantity)| !pod_level || requests.get(name).is_none();
    let non_missing = defaults.into_iter().filter(missing).collect();
    let options =
        PodResourcesOptions { non_missing_container_requests: Some(&non_missing), ..options };
    let requests = pod.requests(&options);
    Resource {
        milli_cpu: requests.quantity(ResourceName::CPU).milli_value(),
        memory: requests.quantity(ResourceName::MEMORY).value(),
        ..Resource::default()
    }
}

//! What the pods on a node have of it.

use k8s_openapi::api::core::v1::{Node, Pod};

use super::fit::{Unschedulable, fits, pre_filter};
use super::resource::Resource;
use super::score::Scorer;
use super::{DEFAULT_MEMORY_REQUEST, DEFAULT_MILLI_CPU_REQUEST};
use crate::quantity::{Format, Quantity};
use crate::resources::{
    PodResources, PodResourcesOptions, ResourceList, ResourceListError, ResourceName,
};

/// A node's accounts could not be changed; they are as they were.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeUsageError {
    /// The sums would not fit 64 bits.
    #[error("the resources of the node's pods add up beyond 64 bits")]
    TooLarge,
    /// More would be taken away than was added.
    #[error("the pod was not counted on this node")]
    NotCounted,
    /// The pod would give something to the node. The apiserver refuses such a pod.
    #[error("the pod requests {amount} of {resource}, which is less than nothing")]
    Negative {
        /// The resource.
        resource: ResourceName,
        /// The amount, in the scheduler's units (CPU in millicores).
        amount: i64,
    },
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

impl NodeUsage {
    /// An empty node with these allocatable resources; `pods` is how many pods it takes.
    pub fn new(allocatable: &ResourceList) -> Self {
        Self {
            allocatable: allocatable.into(),
            max_pods: usize::try_from(allocatable.quantity("pods").value()).unwrap_or(0),
            ..Self::default()
        }
    }

    /// An empty node as the API has it, by `status.allocatable`. A node that does not say counts as
    /// one that has nothing.
    ///
    /// # Errors
    /// If an amount is no quantity.
    pub fn of_node(node: &Node) -> Result<Self, ResourceListError> {
        let allocatable = node.status.as_ref().and_then(|status| status.allocatable.as_ref());
        Ok(Self::new(&allocatable.map(ResourceList::try_from).transpose()?.unwrap_or_default()))
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

    /// What is left: what the node has, less what its pods request. Below zero where the node is
    /// overcommitted.
    pub fn free(&self) -> Resource {
        let left = |has: i64, used: i64| Some(has.saturating_sub(used));
        self.allocatable.zip(&self.requested, left).unwrap_or_default()
    }

    /// Counts a pod that was placed on the node (`AddPod`), by its spec and, while it is resized in
    /// place, its status. [`is_assigned`] tells which pods the scheduler counts at all.
    ///
    /// # Errors
    /// If the pod requests less than nothing, or the sums would not fit 64 bits. The accounts are
    /// then as they were.
    pub fn add(&mut self, pod: &PodResources) -> Result<(), NodeUsageError> {
        let add = i64::checked_add;
        let requested = self.requested.zip(&counted(pod)?, add);
        let non_zero = self.non_zero_requested.zip(&non_zero(pod), add);
        let (requested, non_zero) = requested.zip(non_zero).ok_or(NodeUsageError::TooLarge)?;
        let pods = self.pods.checked_add(1).ok_or(NodeUsageError::TooLarge)?;
        (self.requested, self.non_zero_requested, self.pods) = (requested, non_zero, pods);
        Ok(())
    }

    /// Takes away a pod that was counted (`RemovePod`), and leaves the accounts as they were before
    /// [`add`](Self::add). The pod must be compiled as it was then.
    ///
    /// # Errors
    /// If not even that much was counted, or the pod requests less than nothing.
    pub fn remove(&mut self, pod: &PodResources) -> Result<(), NodeUsageError> {
        let pods = self.pods.checked_sub(1).ok_or(NodeUsageError::NotCounted)?;
        let sub = |a: i64, b: i64| a.checked_sub(b).filter(|rest| *rest >= 0);
        let requested = self.requested.zip(&counted(pod)?, sub);
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

    /// The score of the node for a pod as the scheduler is configured by default: how much of its
    /// CPU and memory would stay free, see [`Scorer::least_allocated`].
    pub fn least_allocated_score(&self, pod: &PodResources) -> i64 {
        Scorer::least_allocated().score(self, pod)
    }
}

/// Does the scheduler count the pod on the node of its `spec.nodeName`? It does if that is set, until
/// the phase of the pod is `Succeeded` or `Failed`: what waits to be deleted still counts.
///
/// Source: `scheduler.NewInformerFactory`, `assignedPod`.
pub fn is_assigned(pod: &Pod) -> bool {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    node.is_some_and(|node| !node.is_empty()) && !matches!(phase, Some("Succeeded" | "Failed"))
}

/// What a pod on a node counts for (`PodInfo.CalculateResource`).
fn counted(pod: &PodResources) -> Result<Resource, NodeUsageError> {
    let resource = Resource::from(&pod.requests(&PodResourcesOptions::for_gates(pod.gates())));
    match resource.negative() {
        Some((resource, amount)) => Err(NodeUsageError::Negative { resource, amount }),
        None => Ok(resource),
    }
}

/// What a container counts for in scores where it requests nothing.
pub(super) fn defaults() -> [(ResourceName, Quantity); 2] {
    [
        (ResourceName::CPU, Quantity::from_milli(DEFAULT_MILLI_CPU_REQUEST, Format::DecimalSI)),
        (ResourceName::MEMORY, Quantity::new(DEFAULT_MEMORY_REQUEST.into(), Format::BinarySI)),
    ]
}

/// The CPU and memory that a pod on a node counts for in scores.
fn non_zero(pod: &PodResources) -> Resource {
    let options = PodResourcesOptions::for_gates(pod.gates());
    let requests = pod.requests(&options);
    let pod_level = !options.skip_pod_level_resources && pod.is_pod_level_requests_set();
    // With pod-level requests, only for what is requested at neither level.
    let missing = |(name, _): &(ResourceName, Quantity)| !pod_level || requests.get(name).is_none();
    let all = with_defaults(pod, &options, &defaults().into_iter().filter(missing).collect());
    Resource { milli_cpu: all.milli_cpu, memory: all.memory, ..Resource::default() }
}

/// What a pod requests whose containers request this much where they request nothing.
pub(super) fn with_defaults(
    pod: &PodResources,
    options: &PodResourcesOptions<'_>,
    non_missing: &ResourceList,
) -> Resource {
    let options =
        PodResourcesOptions { non_missing_container_requests: Some(non_missing), ..*options };
    Resource::from(&pod.requests(&options))
}

//! The QoS class of a pod, and why it is not a better one.
//!
//! Source: `pkg/apis/core/v1/helper/qos/qos.go`.

use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use smol_str::SmolStr;

use super::name::ResourceName;
use super::pod::PodResources;
use super::pod::Row;
use super::requests::add;
use crate::quantity::Quantity;
use crate::version::{Change, Feature};

/// How well a pod is protected when its node runs out of resources (`v1.PodQOSClass`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum QosClass {
    /// Every container has CPU and memory limits, and requests what its limits are.
    Guaranteed,
    /// Something is requested or limited.
    Burstable,
    /// No CPU or memory is requested or limited anywhere.
    BestEffort,
}

impl QosClass {
    /// The name, as in `status.qosClass`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Guaranteed => "Guaranteed",
            Self::Burstable => "Burstable",
            Self::BestEffort => "BestEffort",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Guaranteed, Self::Burstable, Self::BestEffort];
        all.into_iter().find(|class| class.as_str() == name)
    }
}

impl fmt::Display for QosClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The resources that decide about the class (`isSupportedQoSComputeResource`).
const COMPUTE: [ResourceName; 2] = [ResourceName::CPU, ResourceName::MEMORY];

/// The class of a pod (`GetPodQOS`): the one that its status records, else the computed one.
///
/// The class is recorded when the pod is created and never changes.
pub fn qos_class(pod: &PodResources) -> QosClass {
    pod.recorded_qos_class.unwrap_or_else(|| compute_qos_class(pod))
}

/// The class that follows from the spec (`ComputePodQOS`).
///
/// Init containers count like all others: one without limits makes the pod Burstable. With
/// pod-level resources only these count: up to 1.36 be they empty, from 1.37 if they name a resource
/// that a pod can ask for.
pub fn compute_qos_class(pod: &PodResources) -> QosClass {
    let facts = Facts::of(pod);
    if facts.amounts.iter().all(|(requests, limits)| requests.is_none() && limits.is_none()) {
        QosClass::BestEffort
    } else if facts.limited && facts.amounts.iter().all(|(requests, limits)| requests == limits) {
        QosClass::Guaranteed
    } else {
        QosClass::Burstable
    }
}

/// The requests and limits of one container, or of the pod itself.
type Pair = (Row, Row);

/// Where to look: at the pod level if it has resources, else at each container.
fn holders(pod: &PodResources) -> SmallVec<[Pair; 8]> {
    if is_pod_level(pod) {
        return SmallVec::from_slice(&[(Row::PodRequests, Row::PodLimits)]);
    }
    (0..pod.containers()).map(|index| (Row::Requests(index), Row::Limits(index))).collect()
}

fn is_pod_level(pod: &PodResources) -> bool {
    let present = if pod.gates().has(Change::EmptyPodLevelResourcesSayNothing) {
        pod.is_pod_level_resources_set()
    } else {
        pod.has_pod_level_resources()
    };
    present && pod.gates().enabled(Feature::PodLevelResources)
}

/// The amount if there is any.
fn positive(pod: &PodResources, row: Row, name: Option<usize>) -> Option<Quantity> {
    pod.amount(row, name?).filter(|amount| amount.sign() > 0)
}

/// What the class follows from.
struct Facts {
    /// The sums of requests and limits, for each of [`COMPUTE`].
    amounts: [(Option<Quantity>, Option<Quantity>); 2],
    /// Does every container have a limit of each?
    limited: bool,
}

impl Facts {
    fn of(pod: &PodResources) -> Self {
        let mut facts = Self { amounts: [(None, None); 2], limited: true };
        let holders = holders(pod);
        for (resource, (requests, limits)) in COMPUTE.iter().zip(&mut facts.amounts) {
            let name = pod.name_index(resource);
            for holder in &holders {
                let limit = positive(pod, holder.1, name);
                facts.limited &= limit.is_some();
                add(requests, positive(pod, holder.0, name));
                add(limits, limit);
            }
        }
        facts
    }
}

/// Why a pod is not Guaranteed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QosReason {
    /// The status records a class, whatever the spec says by now.
    Recorded {
        /// The recorded class.
        class: QosClass,
    },
    /// There is no limit of a resource.
    NoLimit {
        /// The container, or none if only pod-level resources count.
        container: Option<SmolStr>,
        /// The resource, `cpu` or `memory`.
        resource: ResourceName,
    },
    /// The requests for a resource do not add up to its limits.
    RequestsDifferFromLimits {
        /// The resource, `cpu` or `memory`.
        resource: ResourceName,
        /// What is requested.
        requests: Quantity,
        /// What is the limit.
        limits: Quantity,
        /// The containers that request another amount than their limit; empty if only pod-level
        /// resources count.
        containers: Vec<SmolStr>,
    },
}

impl fmt::Display for QosReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recorded { class } => write!(f, "the status records {class}"),
            Self::NoLimit { container: Some(container), resource } => {
                write!(f, "container {container:?} has no {resource} limit")
            }
            Self::NoLimit { container: None, resource } => {
                write!(f, "the pod-level resources have no {resource} limit")
            }
            Self::RequestsDifferFromLimits { resource, requests, limits, containers } => {
                write!(f, "{resource} requests of {requests} differ from limits of {limits}")?;
                for (index, container) in containers.iter().enumerate() {
                    let before = if index == 0 { " (container " } else { ", " };
                    write!(f, "{before}{container:?}")?;
                }
                if containers.is_empty() { Ok(()) } else { f.write_str(")") }
            }
        }
    }
}

/// The class of a pod as [`qos_class`] gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QosExplanation {
    /// The class.
    pub class: QosClass,
    /// Everything that keeps it from being Guaranteed; empty if it is.
    pub reasons: Vec<QosReason>,
}

/// Explains the class of a pod: everything that would have to change for it to be Guaranteed.
///
/// ```
/// use podinit::FeatureGates;
/// use podinit::resources::{PodResources, QosClass, explain_qos};
///
/// let pod = serde_json::from_str(
///     r#"{"spec": {
///         "initContainers": [{"name": "migrate"}],
///         "containers": [{"name": "app", "resources": {
///             "requests": {"cpu": "1", "memory": "1Gi"},
///             "limits": {"cpu": "1", "memory": "1Gi"}}}]
///     }}"#,
/// )?;
/// let explanation = explain_qos(&PodResources::compile(&pod, FeatureGates::default())?);
/// assert_eq!(explanation.class, QosClass::Burstable);
/// assert_eq!(explanation.reasons[0].to_string(), r#"container "migrate" has no cpu limit"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn explain_qos(pod: &PodResources) -> QosExplanation {
    let class = qos_class(pod);
    let mut reasons = Vec::new();
    if class == QosClass::Guaranteed {
        return QosExplanation { class, reasons };
    }
    if let Some(recorded) = pod.recorded_qos_class
        && recorded != compute_qos_class(pod)
    {
        reasons.push(QosReason::Recorded { class: recorded });
        return QosExplanation { class, reasons };
    }
    for (_, limits) in holders(pod) {
        for resource in &COMPUTE {
            if positive(pod, limits, pod.name_index(resource)).is_none() {
                let (container, resource) = (pod.container_of(limits), resource.clone());
                reasons.push(QosReason::NoLimit { container, resource });
            }
        }
    }
    for (resource, (requests, limits)) in COMPUTE.iter().zip(Facts::of(pod).amounts) {
        if requests == limits {
            continue;
        }
        let name = pod.name_index(resource);
        let differ = |(requests, limits): &Pair| {
            positive(pod, *requests, name) != positive(pod, *limits, name)
        };
        let holders = holders(pod).into_iter().filter(differ);
        reasons.push(QosReason::RequestsDifferFromLimits {
            resource: resource.clone(),
            requests: requests.unwrap_or(Quantity::ZERO),
            limits: limits.unwrap_or(Quantity::ZERO),
            containers: holders.filter_map(|(requests, _)| pod.container_of(requests)).collect(),
        });
    }
    QosExplanation { class, reasons }
}

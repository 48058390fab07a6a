//! What the scheduler says of a pod that goes to no node.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use smol_str::SmolStr;

use super::fit::Unschedulable;
use super::node::{NodeUsage, NodeUsageError};
use crate::resources::PodResources;
use crate::version::Change;

/// Why a pod goes to none of the nodes, with each reason counted: the message of the event
/// `FailedScheduling` and of the condition `PodScheduled`.
///
/// ```
/// use podinit::resources::PodResources;
/// use podinit::scheduler::{FitError, NodeUsage};
/// use podinit::version::FeatureGates;
///
/// let pod = serde_json::from_str(
///     r#"{"spec": {"containers": [{"name": "app", "resources": {"requests": {"cpu": "2"}}}]}}"#,
/// )?;
/// let pod = PodResources::compile(&pod, FeatureGates::default())?;
/// let small = NodeUsage::new(&serde_json::from_str(r#"{"cpu": "1", "pods": "110"}"#)?);
/// let full = NodeUsage::new(&serde_json::from_str(r#"{"cpu": "8", "pods": "0"}"#)?);
///
/// let mut error = FitError::new(3);
/// error.reject_for("node(s) were unschedulable");
/// let mut preemption = FitError::new(3);
/// for node in [small, full] {
///     let refused = node.fits(&pod).unwrap_err();
///     error.reject(&refused);
///     if let Err(refusal) = node.preempt(&pod, &refused, []) {
///         preemption.reject_preemption(&refusal);
///     }
/// }
/// error.preemption(preemption);
/// assert_eq!(
///     error.to_string(),
///     "0/3 nodes are available: 1 Insufficient cpu, 1 Too many pods, 1 node(s) were unschedulable. \
///      preemption: 0/3 nodes are available: 1 No preemption victims found for incoming pod, \
///      2 Preemption is not helpful for scheduling.",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: `framework.FitError` (`pkg/scheduler/framework/types.go`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FitError {
    nodes: usize,
    /// How many nodes were told of, and how often each reason was given.
    told: usize,
    reasons: BTreeMap<SmolStr, usize>,
    /// Why the pod can go to no node whatever they have.
    pre_filter: Option<SmolStr>,
    preemption: Option<Preemption>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Preemption {
    /// What it found of the nodes.
    Nodes(Box<FitError>),
    /// The pod may not preempt at all.
    NotEligible,
}

/// What stands against making room on a node by preempting pods of lower priority.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PreemptionRefusal {
    /// The node would refuse the pod even if it were empty (`UnschedulableAndUnresolvable`).
    #[error("Preemption is not helpful for scheduling")]
    NotHelpful,
    /// No pod on the node has a lower priority.
    #[error("No preemption victims found for incoming pod")]
    NoVictims,
    /// Without all of them there is still too little.
    #[error(transparent)]
    StillUnschedulable(Unschedulable),
    /// A victim cannot be taken off the node.
    #[error("victim {index}: {source}")]
    Victim {
        /// Which of the victims.
        index: usize,
        /// Why not.
        source: NodeUsageError,
    },
}

impl FitError {
    /// No reasons yet, of this many nodes.
    pub fn new(nodes: usize) -> Self {
        Self { nodes, told: 0, reasons: BTreeMap::new(), pre_filter: None, preemption: None }
    }

    /// A node does not take the pod for lack of resources. What holds for all nodes alike is said
    /// once, and instead of the reasons of single nodes.
    pub fn reject(&mut self, refused: &Unschedulable) {
        self.told += 1;
        match refused {
            Unschedulable::PreFilter(error) => {
                self.pre_filter = Some(SmolStr::new(error.to_string()));
            }
            Unschedulable::Insufficient(reasons) => {
                for reason in reasons {
                    self.count(SmolStr::new(reason.to_string()), 1);
                }
            }
        }
    }

    /// A node does not take the pod for a reason of another plug-in, such as
    /// `node(s) had untolerated taint(s)`.
    pub fn reject_for(&mut self, reason: &str) {
        self.told += 1;
        self.count(reason.into(), 1);
    }

    /// Preemption would not make room on a node.
    pub fn reject_preemption(&mut self, refusal: &PreemptionRefusal) {
        match refusal {
            PreemptionRefusal::StillUnschedulable(refused) => self.reject(refused),
            // The same is said of nodes that nobody tells of.
            PreemptionRefusal::NotHelpful | PreemptionRefusal::Victim { .. } => {}
            PreemptionRefusal::NoVictims => self.reject_for(&refusal.to_string()),
        }
    }

    /// Adds what preemption found. Nodes of which it was not told count as those on which it is not
    /// helpful.
    pub fn preemption(&mut self, mut found: Self) {
        let rest = found.nodes.saturating_sub(found.told);
        if rest > 0 {
            found.count(SmolStr::new(PreemptionRefusal::NotHelpful.to_string()), rest);
        }
        self.preemption = Some(Preemption::Nodes(Box::new(found)));
    }

    /// Adds that the pod may not preempt others, by its `preemptionPolicy: Never`.
    pub fn may_not_preempt(&mut self) {
        self.preemption = Some(Preemption::NotEligible);
    }

    /// How often each reason was given, by the reason.
    pub fn reasons(&self) -> impl Iterator<Item = (&str, usize)> {
        self.reasons.iter().map(|(reason, count)| (reason.as_str(), *count))
    }

    fn count(&mut self, reason: SmolStr, nodes: usize) {
        *self.reasons.entry(reason).or_default() += nodes;
    }
}

impl fmt::Display for FitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0/{} nodes are available:", self.nodes)?;
        if let Some(reason) = &self.pre_filter {
            write!(f, " {reason}.")?;
        } else if !self.reasons.is_empty() {
            // Sorted as text: ten nodes come before two.
            let mut reasons: Vec<String> =
                self.reasons().map(|(reason, count)| alloc::format!("{count} {reason}")).collect();
            reasons.sort_unstable();
            write!(f, " {}.", reasons.join(", "))?;
        }
        match &self.preemption {
            Some(Preemption::Nodes(found)) => write!(f, " preemption: {found}"),
            Some(Preemption::NotEligible) => {
                f.write_str(" preemption: not eligible due to preemptionPolicy=Never.")
            }
            None => Ok(()),
        }
    }
}

impl core::error::Error for FitError {}

impl NodeUsage {
    /// Would there be room for a pod that was refused if `victims` left, the pods on the node that
    /// have a lower priority? Disruption budgets and the choice among victims are not modelled.
    ///
    /// # Errors
    /// What stands against it (`SelectVictimsOnNode`).
    pub fn preempt<'a>(
        &self,
        pod: &PodResources,
        refused: &Unschedulable,
        victims: impl IntoIterator<Item = &'a PodResources>,
    ) -> Result<(), PreemptionRefusal> {
        let is_final = match refused {
            Unschedulable::PreFilter(_) => true,
            Unschedulable::Insufficient(reasons) => {
                pod.gates().has(Change::TooSmallNodesAreUnresolvable)
                    && reasons.iter().any(|reason| reason.unresolvable)
            }
        };
        if is_final {
            return Err(PreemptionRefusal::NotHelpful);
        }
        let mut without = self.clone();
        let mut victims = victims.into_iter().peekable();
        if victims.peek().is_none() {
            return Err(PreemptionRefusal::NoVictims);
        }
        for (index, victim) in victims.enumerate() {
            without.remove(victim).map_err(|source| PreemptionRefusal::Victim { index, source })?;
        }
        without.fits(pod).map_err(PreemptionRefusal::StillUnschedulable)
    }
}

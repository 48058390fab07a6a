//! Does a pod fit on a node, how good is the node for it, and what is said if no node is? The
//! counting of kube-scheduler's `NodeResourcesFit` and `NodeResourcesBalancedAllocation`, and their
//! reasons word for word.
//!
//! The scheduler counts whole millicores and bytes, each pod rounded up by itself, so that its
//! sums are not those of exact quantities. [`Resource`] holds amounts as it counts them.
//!
//! - [`NodeUsage`] holds the accounts of one node: [`of_node`](NodeUsage::of_node) reads what it
//!   has, [`add`](NodeUsage::add) and [`remove`](NodeUsage::remove) count its pods,
//!   [`fits`](NodeUsage::fits) answers.
//! - A [`Scorer`] ranks the nodes on which a pod fits.
//! - A [`FitError`] is the message of the event `FailedScheduling`.
//!
//! Not modelled: all plug-ins but these two (taints, affinity, volumes, ports), and devices of
//! dynamic resource allocation.
//!
//! Source: `pkg/scheduler/framework/plugins/noderesources`, `pkg/scheduler/framework/types.go`,
//! `pkg/scheduler/framework/preemption/preemption.go`.

mod fit;
mod fit_error;
mod node;
mod resource;
mod score;

pub use fit::{Insufficient, PreFilterError, Unschedulable, fits, pre_filter};
pub use fit_error::{FitError, PreemptionRefusal};
pub use node::{NodeUsage, NodeUsageError, is_assigned};
pub use resource::Resource;
pub use score::{Scorer, ScorerError, UtilizationShapePoint};

/// What a container counts for in scores if it requests no CPU, in millicores
/// (`DefaultMilliCPURequest`).
pub const DEFAULT_MILLI_CPU_REQUEST: i64 = 100;
/// What a container counts for in scores if it requests no memory, in bytes
/// (`DefaultMemoryRequest`).
pub const DEFAULT_MEMORY_REQUEST: i64 = 200 * 1024 * 1024;
/// The best score of a node (`MaxNodeScore`).
pub const MAX_NODE_SCORE: i64 = 100;

//! Resources: exact quantities, and what a pod needs of them.
//!
//! [`PodResources`] is the resource side of a pod, compiled once. What is then asked of it cannot
//! fail:
//!
//! - [`pod_requests`], [`pod_limits`]: what has to be reserved for the pod, what it may use. The
//!   parts of the answer: [`aggregate_container_requests`], [`effective_init_requests`],
//!   [`effective_container_requests`] and their twins for limits.
//! - [`init_only_requests`]: how much of that is reserved only because of init containers.
//! - [`qos_class`], and why it is not a better one: [`explain_qos`].
//! - [`pod_cgroup`], [`oom_score_adj`]: what the kubelet makes of it.
//! - [`Profile`]: what the pod uses in each stage of its start-up, and what that costs.
//!
//! Claims of dynamic resource allocation are not modelled.

mod cgroup;
mod check;
mod compile;
mod defaults;
mod error;
mod list;
mod name;
mod oom;
mod pod;
mod profile;
mod qos;
mod requests;

pub use cgroup::{
    CgroupSettings, MAX_SHARES, MIN_SHARES, PodCgroup, QUOTA_PERIOD_US, memory_high,
    milli_cpu_to_quota, milli_cpu_to_shares, pod_cgroup, shares_to_milli_cpu, shares_to_weight,
    shares_to_weight_of_runtime,
};
pub use defaults::default_requests;
pub(crate) use defaults::{
    Texts, default_container_requests, default_pod_level, limits_of, requests_of,
};
pub use error::{ResourcesError, ResourcesProblem};
pub use list::{ResourceList, ResourceListError, ResourceListIter};
pub use name::ResourceName;
pub use oom::oom_score_adj;
pub use pod::PodResources;
pub use profile::{InitWaste, Profile, Stage};
pub use qos::{QosClass, QosExplanation, QosReason, compute_qos_class, explain_qos, qos_class};
pub use requests::{
    EffectiveInit, PodResourcesOptions, aggregate_container_limits, aggregate_container_requests,
    effective_container_limits, effective_container_requests, effective_init_limits,
    effective_init_requests, init_only_requests, pod_limits, pod_requests, pod_requests_of,
};

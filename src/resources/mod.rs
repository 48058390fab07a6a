//! Resources: exact quantities, and what a pod needs of them.
//!
//! [`PodResources`] is the resource side of a pod, compiled once. The functions of this module
//! answer what schedulers and the kubelet ask of it: [`pod_requests`] and [`pod_limits`], the
//! [`qos_class`].

mod cgroup;
mod check;
mod defaults;
mod error;
mod list;
mod name;
mod oom;
mod pod;
mod qos;
mod quantity;
mod requests;

pub use cgroup::{
    CgroupSettings, MAX_SHARES, MIN_SHARES, PodCgroup, QUOTA_PERIOD_US, memory_high,
    milli_cpu_to_quota, milli_cpu_to_shares, pod_cgroup, shares_to_milli_cpu, shares_to_weight,
    shares_to_weight_of_runtime,
};
pub use defaults::default_requests;
pub use error::{ResourcesError, ResourcesProblem};
pub use list::{Iter, ResourceList, ResourceListError};
pub use name::ResourceName;
pub use oom::oom_score_adj;
pub use pod::{ContainerKind, PodResources};
pub use qos::{QosClass, QosExplanation, QosReason, compute_qos_class, explain_qos, qos_class};
pub use quantity::{Format, Quantity, QuantityError, QuantityOverflow, Scale};
pub use requests::{
    EffectiveInit, PodResourcesOptions, aggregate_container_limits, aggregate_container_requests,
    effective_container_limits, effective_container_requests, effective_init_limits,
    effective_init_requests, pod_limits, pod_requests, pod_requests_of,
};

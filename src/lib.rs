//! The init-container lifecycle of Kubernetes, exactly, as an embeddable library.

#![no_std]

extern crate alloc;

#[cfg(any(feature = "std", test))]
extern crate std;

mod fnv;
pub mod interop;
mod observation;
pub mod resources;
mod spec;
mod status;
mod time;
pub mod validation;
mod version;

pub use observation::{
    ContainerInstance, Exit, InstanceState, Observation, ProbeResult, Sandbox, StrayInstance,
};
pub use spec::{
    Container, ContainerIndex, ContainerKind, ContainerRestartPolicy, ExitCodeOperator,
    ImagePullPolicy, LifecycleHandler, PodIdentity, PodSpec, Probe, RestartPolicy, RestartRule,
    RestartRuleAction, SpecError,
};
pub use status::{
    ConditionStatus, ContainerState, ContainerStateRunning, ContainerStateTerminated,
    ContainerStateWaiting, ContainerStatus, PodCondition, PodPhase, PodStatus, condition_type,
};
pub use time::{Timestamp, TimestampRangeError};
pub use version::{Feature, FeatureGateError, FeatureGates, KubernetesVersion, UnsupportedVersion};

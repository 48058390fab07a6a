//! What the API would show of a pod.

mod types;

pub use types::{
    ConditionStatus, ContainerState, ContainerStateRunning, ContainerStateTerminated,
    ContainerStateWaiting, ContainerStatus, PodCondition, PodPhase, PodStatus, condition_type,
};

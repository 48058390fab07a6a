//! The init-container lifecycle of Kubernetes, exactly, as an embeddable library.

#![no_std]

extern crate alloc;

#[cfg(any(feature = "std", test))]
extern crate std;

mod actions;
mod backoff;
mod event;
mod explain;
mod fnv;
mod go_duration;
pub mod interop;
pub mod kubectl;
mod observation;
mod probe;
pub mod resources;
mod runtime;
pub mod sim;
mod spec;
mod status;
pub mod termination;
mod time;
pub mod validation;
mod version;
mod worker;

pub use actions::{
    ActionContext, ContainerToKill, ContainerToReset, ContainerToStart, KillCause, KillMessage,
    KillPodCause, PodActions, RestartDecision, RestartVerdict, SandboxChange, SandboxDecision,
    StartCause, compute_pod_actions, compute_pod_actions_into, pod_sandbox_changed,
    restart_verdict, restarting_all_containers, should_container_be_restarted,
};
pub use backoff::{BackOff, BackOffKey, BackOffSettings, CrashLoopBackOff, CrashLoopBackOffError};
pub use event::{Event, EventKind, EventLog, EventRecord, FieldPath};
pub use explain::{Explanation, explain};
pub use observation::{
    ContainerInstance, Exit, InstanceState, Observation, ProbeResult, Sandbox, StrayInstance,
};
pub use probe::{ContainerProbes, ProbeKind};
pub use runtime::{
    AsyncContainerRuntime, ContainerRuntime, SyncPodError, sync_pod, sync_pod_async,
};
pub use spec::{
    Container, ContainerIndex, ContainerKind, ContainerRestartPolicy, ExitCodeOperator,
    ImagePullPolicy, LifecycleHandler, PodIdentity, PodSpec, Probe, RestartPolicy, RestartRule,
    RestartRuleAction, SpecError,
};
pub use status::{
    ConditionStatus, ContainerState, ContainerStateRunning, ContainerStateTerminated,
    ContainerStateWaiting, ContainerStatus, PhaseContext, PodCondition, PodFailure, PodPhase,
    PodStatus, StartFailure, StartFailures, StatusInputs, condition_type, generate_pod_status,
    pod_has_initialized, pod_phase,
};
pub use time::{Timestamp, TimestampRangeError};
pub use version::{Feature, FeatureGateError, FeatureGates, KubernetesVersion, UnsupportedVersion};
pub use worker::{
    Deletion, Eviction, Failure, FailureKind, IllegalTransition, NextSync, NextSyncReason,
    Operation, Outcome, PodWorker, SyncAction, SyncError, SyncKind, SyncResult, WorkerError,
    WorkerSettings,
};

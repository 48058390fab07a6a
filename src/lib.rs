//! The init-container lifecycle of Kubernetes, exactly, as an embeddable library.
//!
//! *Given this pod and what has been observed so far, what would the kubelet do next, and what
//! would the API, the scheduler and kubectl say about the pod?*
//!
//! # Scope
//!
//! The semantics are those of the kubelet, the apiserver, the scheduler and kubectl of Kubernetes
//! **v1.36.2**, as they execute: every rule is checked against answers that their own code gave.
//! Where documentation and code disagree, the code is right; quirks are semantics. Rules that
//! differ between versions are data: a [`KubernetesVersion`] from 1.28 to 1.37 gives
//! [`FeatureGates`], and single gates can be set. No Cargo feature changes an answer.
//!
//! Not modelled: admission by the node (beyond the effect of an eviction on a pod), dynamic
//! resource allocation, static and mirror pods (beyond their phase), Windows,
//! checkpoint and restore, ephemeral containers beyond their start, and the resize of a running
//! container in place (its effect on resources is). See [`docs::differences`] for where this crate
//! departs from Kubernetes on purpose.
//!
//! The crate does no I/O, reads no clock and draws no random number: `now` is an argument. It is
//! `no_std` with `alloc`, forbids `unsafe`, and panics on no input.
//!
//! # Which layer to use
//!
//! | you have | use |
//! |---|---|
//! | a question about one moment | pure functions: [`compute_pod_actions`], [`pod_phase`], [`generate_pod_status`], [`kubectl::columns`], [`resources::pod_requests`], [`validation::validate`] |
//! | a loop of your own | [`PodWorker`]: [`sync`](PodWorker::sync), [`next_operation`](PodWorker::next_operation), [`record`](PodWorker::record), [`next_sync`](PodWorker::next_sync) |
//! | a container runtime | [`ContainerRuntime`] and [`sync_pod`], or [`AsyncContainerRuntime`] and [`sync_pod_async`]; [how to implement one](docs::implement_a_runtime) |
//! | a what-if | [`sim::simulate`]: a whole life on a virtual clock |
//! | very many pods | `sim::fleet`, with the feature `fleet`: start-up times, STATUS and restarts of millions |
//! | a decision, and want to know why | [`explain()`] |
//!
//! # The rooms
//!
//! Each module begins with what it is for. What most callers need is also here in the root.
//!
//! | room | what is in it |
//! |---|---|
//! | [`version`], [`quantity`] | the ground: which rules hold, and exact amounts |
//! | [`manifest`], [`admission`], [`validation`], [`pod`], [`resources`], [`scheduler`] | what is declared: from text to a compiled pod, and what it needs |
//! | [`observation`], [`probe`], [`event`], [`backoff`] | what is observed, told and remembered |
//! | [`actions`], [`status`], [`termination`] | the kubelet's rules as pure functions |
//! | [`worker`], [`runtime`] | carrying the rules out |
//! | [`kubectl`], [`mod@explain`] | views |
//! | [`scenario`], [`sim`], `testing` | pods on a virtual clock, and a test kit |
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//! use podinit::sim::{ContainerScript, Run, Scenario, View, simulate};
//! use podinit::{FeatureGates, PodSpec};
//!
//! let pod = serde_json::from_value(serde_json::json!({
//!     "metadata": {"name": "web", "uid": "1"},
//!     "spec": {
//!         "initContainers": [{"name": "migrate", "image": "db-tools:1"}],
//!         "containers": [{"name": "app", "image": "web:1"}],
//!     },
//! }))?;
//! let pod = PodSpec::compile(&pod, FeatureGates::default())?;
//!
//! // The migration fails once after 2 s, then succeeds.
//! let runs = [1, 0].map(|exit_code| Run::ends(Duration::from_secs(2), exit_code));
//! let scenario = Scenario::default().script("migrate", ContainerScript::runs(runs));
//! let timeline = simulate(&pod, &scenario);
//!
//! let statuses: Vec<String> =
//!     timeline.rows(&pod, View::Api).into_iter().map(|row| row.status).collect();
//! assert!(statuses.contains(&"Init:Error".to_string()));
//! assert_eq!(statuses.last().map(String::as_str), Some("Running"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![no_std]
#![warn(unreachable_pub, unnameable_types, clippy::exhaustive_enums, clippy::exhaustive_structs)]

extern crate alloc;

#[cfg(any(feature = "std", test))]
extern crate std;

pub mod actions;
pub mod admission;
pub mod backoff;
mod container;
pub mod event;
pub mod explain;
mod fnv;
mod go_duration;
mod go_quoted;
pub mod kubectl;
pub mod manifest;
mod nearest;
pub mod observation;
pub mod pod;
pub mod probe;
pub mod quantity;
pub mod resources;
pub mod runtime;
pub mod scenario;
pub mod scheduler;
pub mod sim;
pub mod status;
pub mod termination;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
pub mod validation;
pub mod version;
pub mod worker;
mod workload;

pub use k8s_openapi;
pub use smol_str::SmolStr;

/// Long texts, kept beside the code.
pub mod docs {
    #[doc = include_str!("../docs/design.md")]
    pub mod design {}
    #[doc = include_str!("../docs/semantics.md")]
    pub mod semantics {}
    #[doc = include_str!("../docs/implement-a-runtime.md")]
    pub mod implement_a_runtime {}
    #[doc = include_str!("../docs/differences.md")]
    pub mod differences {}
    #[doc = include_str!("../docs/version-changes.md")]
    pub mod version_changes {}
    #[doc = include_str!("../docs/performance.md")]
    pub mod performance {}
}

// The paved paths: one moment, a loop of one's own, a runtime, a reason. All else is in its room.
pub use actions::{ActionContext, PodActions, compute_pod_actions};
pub use explain::explain;
pub use observation::Observation;
pub use pod::{ContainerIndex, PodSpec};
pub use runtime::{
    AsyncContainerRuntime, ContainerRuntime, SyncPodError, sync_pod, sync_pod_async,
};
pub use status::{PodPhase, PodStatus, StatusInputs, generate_pod_status, pod_phase};
pub use time::Timestamp;
pub use version::{Feature, FeatureGates, KubernetesVersion};
pub use worker::{NextSync, Operation, Outcome, PodWorker};

/// The examples of the README are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;

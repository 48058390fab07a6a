//! Nodes without containers under a real control plane.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod control;
mod controllers;
mod lives;
mod restart;
mod rights;
mod scale;
mod table;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

/// The pod has this phase.
fn has_phase(phase: &'static str) -> impl Fn(&Pod) -> bool {
    move |pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some(phase)
}

/// Is a condition of this type True?
fn is_true(pod: &Pod, condition: &str) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|of| of.type_ == condition && of.status == "True")
}

fn container(pod: &Pod) -> ContainerStatus {
    pod.status.as_ref().unwrap().container_statuses.as_ref().unwrap()[0].clone()
}

//! Random questions of each family.

mod manifests;
mod quantities;
mod rare;
mod resources;
mod statuses;
mod updates;

pub(super) use manifests::{defaulted, manifest, typed_kinds};
pub(super) use quantities::{back_off, duration, quantities};
pub(super) use resources::{accounted, created, pod_requests, resources};
pub(super) use statuses::{described, event_table, printed};
pub(super) use updates::updated;

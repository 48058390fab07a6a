//! What the apiserver, the scheduler and kubectl say: manifests, validation, resources, printing.

mod cgroup;
mod kubectl;
mod manifest;
mod manifest_fields;
mod quantity;
mod resources;
mod scheduler;
mod validation;

//! The integration tests, in one binary: replays of recorded vectors, scenarios, properties.
#![allow(
    missing_docs,
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests, and a harness shared with an example"
)]

mod async_driver;
#[path = "../conformance/mod.rs"]
mod conformance;
mod kubectl;
mod manifest;
mod manifest_fields;
mod quantity;
mod replay;
mod resources;
mod scheduler;
mod termination;
mod validation;

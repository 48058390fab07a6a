//! The integration tests, in one binary: replays of recorded vectors, scenarios, properties.
#![allow(
    missing_docs,
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests, and a harness shared with an example"
)]

#[path = "../conformance/mod.rs"]
mod conformance;
#[cfg(feature = "fleet")]
mod fleet;
mod kubectl;
mod manifest;
mod manifest_fields;
mod replay;
mod termination;
mod validation;

//! The integration tests, in one binary: replays of recorded vectors, scenarios, properties.
#![allow(
    missing_docs,
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests, and a harness shared with an example"
)]

mod api;
mod kit;
mod kubelet;
mod sim;
mod support;

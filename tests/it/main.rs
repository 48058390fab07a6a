//! The integration tests, in one binary: replays of recorded vectors, scenarios, properties.
#![allow(
    missing_docs,
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests, and a harness shared with an example"
)]

mod actions;
mod async_driver;
mod backoff;
mod cgroup;
mod cli;
#[cfg(feature = "proptest")]
mod contract;
mod endings;
#[cfg(feature = "fleet")]
mod fleet;
#[cfg(feature = "fleet")]
mod fleet_nodes;
mod fuzz;
#[cfg(feature = "proptest")]
mod invariants;
mod kubectl;
#[cfg(feature = "proptest")]
mod lives;
mod manifest;
mod manifest_fields;
mod modules;
#[cfg(feature = "proptest")]
mod plausible;
mod probe_workers;
mod quantity;
mod replay;
mod resources;
mod scenarios;
mod scheduler;
mod starts;
mod status;
mod stops;
mod support;
mod termination;
mod upsets;
mod validation;
mod versions;
mod waiting;
mod worked_cases;
mod worker;

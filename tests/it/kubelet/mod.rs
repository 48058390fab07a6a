//! The kubelet's rules: actions, statuses, stops, the worker, and how versions differ.

mod actions;
mod backoff;
mod endings;
mod probe_workers;
mod starts;
mod status;
mod stops;
mod termination;
mod versions;
mod worked_cases;
mod worker;

//! What the apiserver says to a pod that is created or changed, in its own words.
//!
//! [`validate`] checks a new pod, [`validate_update`] a change to one and tells what the change
//! does to containers that run. Both report all errors at once, each with its type, the path of
//! its field, the value that was refused and the rule. [`traps`] names what is accepted and regretted.
//!
//! Not looked at is what only Windows knows.
//!
//! Source: `ValidatePodCreate` and `ValidatePodUpdate` (`pkg/apis/core/validation/validation.go`).
//!
//! Differences:
//! - The API server refuses text that is no quantity when it decodes the pod; here that is an
//!   error of its field.
//! - Where `changes_between` lists no change, the wording is that of 1.36.

mod claims;
mod containers;
mod create;
mod env;
mod field;
mod habits;
mod job;
mod labels;
mod metadata;
mod mounts;
mod names;
mod network;
mod overlaps;
mod placement;
mod ports;
mod probes;
mod projected;
mod resize;
mod resources;
mod restart;
mod security;
mod spec;
mod status;
mod subresource;
mod traps;
mod update;
mod volumes;
mod warnings;
mod workload;

pub use create::validate;
pub use field::{BadValue, ErrorType, FieldError, ValidationErrors};
pub use subresource::{Subresource, validate_subresource_update};
pub use traps::{Trap, TrapKind, traps};
pub use update::{ImageEffect, UpdateEffect, validate_update};
pub use warnings::{Warning, status_warnings, warnings};
pub use workload::{validate_workload, workload_warnings};

//! What the apiserver says to a pod that is created or changed, in its own words.
//!
//! [`validate`] checks a new pod, [`validate_update`] a change to one and tells what the change
//! does to containers that run. Both report all errors at once, each with its type, the path of
//! its field, the value that was refused and the rule. [`traps`] names what is accepted and regretted.
//!
//! Checked is what concerns init containers and what this crate models: names, images, ports,
//! probes, hooks, restart policies and rules, resources of containers and of the pod, resize
//! policies, deadlines and gates. Volumes, environment variables, security contexts, affinity,
//! tolerations, DNS and Windows settings are not looked at.
//!
//! Source: `ValidatePodCreate` and `ValidatePodUpdate` (`pkg/apis/core/validation/validation.go`).
//!
//! Differences:
//! - The API server refuses text that is no quantity when it decodes the pod; here that is an
//!   error of its field.
//! - The wording is that of 1.36 for every version.

mod containers;
mod create;
mod field;
mod names;
mod ports;
mod probes;
mod resize;
mod resources;
mod restart;
mod traps;
mod update;

pub use create::validate;
pub use field::{BadValue, ErrorType, FieldError, ValidationErrors};
pub use traps::{Trap, TrapKind, traps};
pub use update::{ImageEffect, UpdateEffect, validate_update};

//! The init-container lifecycle of Kubernetes, exactly, as an embeddable library.

#![no_std]

extern crate alloc;

#[cfg(any(feature = "std", test))]
extern crate std;

pub mod resources;
pub mod scheduler;
mod time;
mod version;

pub use time::{Timestamp, TimestampRangeError};
pub use version::{Feature, FeatureGateError, FeatureGates, KubernetesVersion, UnsupportedVersion};

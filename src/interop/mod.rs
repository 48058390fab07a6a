//! The one way in and out for API types.

mod aggregate;
pub mod defaults;
pub mod manifest;
mod status;

pub(crate) use aggregate::aggregate;
pub use status::StatusError;

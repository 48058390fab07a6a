//! The one way in and out for API types.

mod aggregate;
pub mod defaults;
mod status;

pub(crate) use aggregate::aggregate;
pub use status::StatusError;

//! The one way in and out for API types.

pub mod defaults;
pub mod manifest;
mod status;

pub use status::StatusError;

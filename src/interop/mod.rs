//! The one way in and out for API types.

mod status;

pub use status::StatusError;

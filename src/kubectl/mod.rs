//! What `kubectl` shows of a pod: the columns of `get`, the sections of `describe`, tables of
//! events.
//!
//! The columns are made by the apiserver and follow its version; everything else is made by
//! `kubectl` itself and follows 1.36.

mod columns;
mod duration;

pub use columns::{Columns, Ready, Restarts, StatusColumn, columns};
pub use duration::HumanDuration;

//! What `kubectl` shows of a pod: the columns of `get`, the sections of `describe`, tables of
//! events.
//!
//! The columns are made by the apiserver and follow its version; everything else is made by
//! `kubectl` itself and follows 1.36.

mod columns;
mod describe;
mod duration;
mod events;
mod table;
mod wide;

pub use columns::{Columns, Ready, Restarts, StatusColumn, columns};
pub use describe::describe;
pub use duration::HumanDuration;
pub use events::events;
pub use table::{PodRow, pod_table};
pub use wide::{WideColumns, wide_columns};

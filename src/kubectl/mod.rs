//! What `kubectl` shows of a pod: the columns of `get`, the sections of `describe`, tables of
//! events.
//!
//! The columns and the table of `get events` are made by the apiserver and follow its version; everything
//! else is made by `kubectl` itself and follows 1.36, where no version is asked for.

mod columns;
mod describe;
mod duration;
mod events;
mod table;
mod wide;

pub use columns::{Columns, Ready, Restarts, StatusColumn, columns, columns_of};
pub use describe::{describe, describe_of};
pub use duration::HumanDuration;
pub use events::{events, events_of, get_events};
pub use table::{PodRow, age_of, labels_column, pod_table, wide_pod_table};
pub use wide::{WideColumns, wide_columns};

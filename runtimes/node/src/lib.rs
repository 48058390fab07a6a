//! Kubernetes nodes without containers. Pods on them live as on a kubelet, with
//! [`podinit`] deciding; what their containers would do is told by scenarios.
//!
//! [`Agent`] runs nodes, [`http`] lets others tell them what to do, [`testing`] is a whole cluster for
//! tests, and [`life`] is one pod without I/O.
//! The README says what can be expected of them.

#![forbid(unsafe_code)]

pub mod addresses;
mod admission;
mod agent;
mod clock;
mod control;
mod events;
pub mod http;
pub mod life;
mod nodes;
mod scenarios;
mod state;
mod status;
pub mod testing;
mod write;

pub use agent::{Agent, Options, StartError};
pub use clock::Pace;
pub use control::{Control, ControlError, Counts};
pub use nodes::NodeSettings;
pub use scenarios::{ANNOTATION, Scenarios, ScenariosError};
pub use state::StateError;

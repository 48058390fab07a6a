//! A pod's whole life on a virtual clock.
//!
//! A [`Scenario`] says what each container does when it is started and what happens to the pod;
//! [`simulate`] runs the pod through it with the same [`PodWorker`](crate::PodWorker) and the same
//! driver that real runtimes use, and gives a [`Timeline`]. Nothing takes time except what a script
//! says, so a timeline shows what Kubernetes itself makes of a pod: it answers *what happens, and in
//! which order*. [`Timeline::init_reserve`] adds up what the pod reserved meanwhile only because of its
//! init containers.
//!
//! [`node::play`] answers *when*: the kubelet's loops are around the worker, and calls take time. It
//! takes a [scenario](crate::scenario), which says more, and gives a [trace](node::Trace), which is
//! compared with that of the kubelet.

pub(crate) mod agenda;
pub(crate) mod engine;
#[cfg(feature = "fleet")]
pub mod fleet;
mod init_reserve;
pub mod node;
mod runtime;
mod scenario;
mod timeline;
mod timing;
mod view;

pub use engine::{simulate, simulate_with};
pub use init_reserve::InitReserve;
pub use runtime::{Changes, RuntimeCall, SimError, SimRuntime};
pub use scenario::{ContainerScript, Limits, PodEvent, ProbeScript, Run, Scenario, ScheduledEvent};
pub use timeline::{End, Step, Timeline};
pub use timing::{IdealTiming, KubeletTiming, SyncTiming};
pub use view::{Style, TimelineRow, TimelineTable, View};

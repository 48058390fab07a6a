//! How a pod or one of its containers is stopped: who is asked when, with what grace, and what
//! happens at the deadline.
//!
//! - [`pod_grace_period`] and [`container_grace_period`] say how long a stop may take.
//! - [`TerminationPlan`] is data: for each running container its grace, its `preStop` hook and whom
//!   it waits for.
//! - [`Termination`] carries a plan out without doing anything itself: told how much time has
//!   passed and what has ended, it says who gets a hook, SIGTERM or SIGKILL now and when to ask
//!   again. Any runtime, blocking or async, can drive it.
//! - [`simulate`] drives it on a virtual clock.
//!
//! What the kubelet does (`killContainer` and `killContainersWithSyncResult` of
//! `pkg/kubelet/kuberuntime/kuberuntime_container.go`, v1.36.2), for each container side by side:
//!
//! 1. Its `preStop` hook runs, if there is grace, for as long as that lasts. So do the hooks of
//!    restartable init containers: at once, while the app containers still run.
//! 2. It waits for its turn, if there is grace left, for as long as that lasts. Only restartable
//!    init containers wait, see [`Turn`].
//! 3. It gets SIGTERM and, after what is left of its grace but no less than two seconds, SIGKILL.
//!
//! What the first two steps took is taken from the grace in whole seconds, cut, so that a stop can
//! last up to three seconds longer than its grace.

mod grace;
mod plan;
mod progress;
mod simulate;

pub use grace::{
    GracePeriod, GraceRequest, GraceSource, MINIMUM_GRACE_PERIOD_SECONDS, container_grace_period,
    pod_grace_period,
};
pub use plan::{ContainerStop, TerminationPlan, Turn};
pub use progress::{NextStep, StopOrder, Termination, TerminationStep};
pub use simulate::{SimulatedStop, StopBehaviour, simulate};

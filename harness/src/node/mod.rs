//! What node agents share: a container's command, its probes and hooks, and what is shown of a pod.

mod command;
mod handler;
mod watch;

pub use command::Command;
pub use handler::Handler;
pub use watch::Watch;

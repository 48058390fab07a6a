//! What can be done to nodes from outside.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

/// Something that nodes are told.
#[derive(Debug)]
pub(crate) enum Command {
    Step {
        by: Duration,
        done: oneshot::Sender<Result<(), String>>,
    },
    Fail {
        namespace: String,
        pod: String,
        container: String,
        exit_code: i32,
        done: oneshot::Sender<Result<(), String>>,
    },
    Evict {
        namespace: String,
        pod: String,
        message: String,
        done: oneshot::Sender<Result<(), String>>,
    },
    Counts {
        done: oneshot::Sender<Counts>,
    },
}

/// What there is on nodes, and what was done since they are up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Nodes.
    pub nodes: usize,
    /// Pods, by phase.
    pub pods: BTreeMap<&'static str, usize>,
    /// Writes of statuses, and deletions.
    pub writes: u64,
    /// Those that failed and were tried again.
    pub failed_writes: u64,
}

/// For Prometheus.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# HELP podinit_nodes Nodes of this process.\n# TYPE podinit_nodes gauge")?;
        writeln!(f, "podinit_nodes {}", self.nodes)?;
        writeln!(f, "# HELP podinit_pods Pods on these nodes.\n# TYPE podinit_pods gauge")?;
        for (phase, pods) in &self.pods {
            writeln!(f, "podinit_pods{{phase=\"{phase}\"}} {pods}")?;
        }
        writeln!(f, "# HELP podinit_writes_total Writes of statuses, and deletions.")?;
        writeln!(f, "# TYPE podinit_writes_total counter\npodinit_writes_total {}", self.writes)?;
        writeln!(f, "# HELP podinit_failed_writes_total Writes that were tried again.")?;
        writeln!(f, "# TYPE podinit_failed_writes_total counter")?;
        writeln!(f, "podinit_failed_writes_total {}", self.failed_writes)
    }
}

/// The nodes did not do what they were told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// They are down.
    #[error("the nodes are down")]
    Down,
    /// It cannot be done.
    #[error("{0}")]
    Refused(String),
}

/// Tells nodes what to do. Clones speak to the same nodes.
#[derive(Clone, Debug)]
pub struct Control {
    commands: mpsc::Sender<Command>,
}

impl Control {
    pub(crate) fn new(commands: mpsc::Sender<Command>) -> Self {
        Self { commands }
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, ControlError> {
        let (done, answer) = oneshot::channel();
        self.commands.send(command(done)).await.map_err(|_| ControlError::Down)?;
        answer.await.map_err(|_| ControlError::Down)
    }

    /// Steps the clock on, and returns when everything that happens until then is written.
    ///
    /// # Errors
    /// If the clock is not stepped.
    pub async fn step(&self, by: Duration) -> Result<(), ControlError> {
        self.ask(|done| Command::Step { by, done }).await?.map_err(ControlError::Refused)
    }

    /// Ends the running instance of a container, as a crash would.
    ///
    /// # Errors
    /// If it does not run.
    pub async fn fail(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        exit_code: i32,
    ) -> Result<(), ControlError> {
        let (namespace, pod, container) =
            (namespace.to_owned(), pod.to_owned(), container.to_owned());
        let command = |done| Command::Fail { namespace, pod, container, exit_code, done };
        self.ask(command).await?.map_err(ControlError::Refused)
    }

    /// Evicts a pod, as a kubelet does whose node is low on something.
    ///
    /// # Errors
    /// If the nodes do not have it.
    pub async fn evict(
        &self,
        namespace: &str,
        pod: &str,
        message: &str,
    ) -> Result<(), ControlError> {
        let (namespace, pod) = (namespace.to_owned(), pod.to_owned());
        let message = message.to_owned();
        let command = |done| Command::Evict { namespace, pod, message, done };
        self.ask(command).await?.map_err(ControlError::Refused)
    }

    /// What there is, and what was done.
    ///
    /// # Errors
    /// If the nodes are down.
    pub async fn counts(&self) -> Result<Counts, ControlError> {
        self.ask(|done| Command::Counts { done }).await
    }

    /// How many pods the nodes have.
    ///
    /// # Errors
    /// If they are down.
    pub async fn pods(&self) -> Result<usize, ControlError> {
        Ok(self.counts().await?.pods.values().sum())
    }
}

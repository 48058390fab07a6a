//! What can be done to nodes from outside.

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
    Pods {
        done: oneshot::Sender<usize>,
    },
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

    /// How many pods the nodes have.
    ///
    /// # Errors
    /// If they are down.
    pub async fn pods(&self) -> Result<usize, ControlError> {
        self.ask(|done| Command::Pods { done }).await
    }
}

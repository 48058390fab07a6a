//! How the containers of a pod are told apart, by everything that looks at them.

use serde::{Deserialize, Serialize};

/// A container of one pod, as its position among all of the pod's containers: init containers
/// first, then app containers, then ephemeral ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContainerIndex(u16);

impl ContainerIndex {
    /// Compiling a pod bounds the number of its containers well below `u16::MAX`.
    pub(crate) const fn new(slot: usize) -> Self {
        Self(slot as u16)
    }

    /// The position among all containers of the pod.
    pub const fn slot(self) -> usize {
        self.0 as usize
    }
}

/// Which list a container stands in, and whether an init container is restartable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_enums, reason = "Kubernetes has these and no others")]
pub enum ContainerKind {
    /// An init container that runs to its end before the next one starts.
    Init,
    /// An init container with `restartPolicy: Always`, which keeps running beside the others.
    #[doc(alias = "sidecar")]
    RestartableInit,
    /// One of `spec.containers`.
    App,
    /// One of `spec.ephemeralContainers`.
    Ephemeral,
}

impl ContainerKind {
    /// Returns `true` if the container stays for the pod's whole life: an app container, or a
    /// restartable init container.
    pub const fn is_long_running(self) -> bool {
        matches!(self, Self::App | Self::RestartableInit)
    }
}

//! What a sync tried, as `SyncPod` reports it.

use core::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::time::Timestamp;

/// What was tried (`kubecontainer.SyncAction`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each variant is the action that it names")]
#[non_exhaustive]
pub enum SyncAction {
    StartContainer,
    KillContainer,
    RemoveContainer,
    CreatePodSandbox,
    KillPodSandbox,
}

impl SyncAction {
    /// The kubelet's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StartContainer => "StartContainer",
            Self::KillContainer => "KillContainer",
            Self::RemoveContainer => "RemoveContainer",
            Self::CreatePodSandbox => "CreatePodSandbox",
            Self::KillPodSandbox => "KillPodSandbox",
        }
    }
}

impl fmt::Display for SyncAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why something that was tried did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SyncError {
    /// In one word: `CrashLoopBackOff`, `ErrImagePull`, `RunContainerError`.
    pub reason: SmolStr,
    /// In words.
    pub message: SmolStr,
    /// When the back-off that held it back ends, for `CrashLoopBackOff`.
    pub back_off_expires: Option<Timestamp>,
}

impl SyncError {
    /// An error that says nothing of a back-off.
    pub(super) fn new(reason: &'static str, message: SmolStr) -> Self {
        Self { reason: SmolStr::new_static(reason), message, back_off_expires: None }
    }
}

/// One thing that was tried in a sync (`kubecontainer.SyncResult`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SyncResult {
    /// What was tried.
    pub action: SyncAction,
    /// With what: a container's name, the pod's uid, or its whole identity.
    pub target: SmolStr,
    /// Why it did not succeed, if it did not.
    pub error: Option<SyncError>,
}

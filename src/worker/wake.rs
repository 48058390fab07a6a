//! When the pod is synced again (`completeWork` of the pod workers).

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::PodWorker;
use crate::pod::PodSpec;
use crate::time::Timestamp;
use crate::version::KnownBug;

/// When to sync again, if nothing changes before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum NextSync {
    /// At once.
    Now,
    /// At this time, for this reason.
    At(Timestamp, NextSyncReason),
    /// Only when something changes: a container or a sandbox starts or ends, a probe's result or
    /// the pod itself changes.
    #[default]
    OnChange,
}

/// Why a sync is due at a certain time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum NextSyncReason {
    /// A crash-loop back-off ends (or a minute has passed, since 1.35).
    BackOffExpired,
    /// Something failed and is tried again.
    Retry,
    /// The pod's `activeDeadlineSeconds` have passed.
    ActiveDeadline,
}

/// How long the kubelet waits after an error that says nothing of its own (`backOffPeriod`).
pub(super) const BACK_OFF_PERIOD: Duration = Duration::from_secs(10);
/// The longest that it waits for a back-off to end (`syncFrequency`).
const SYNC_FREQUENCY: Duration = Duration::from_secs(60);

/// When a pod is synced again whose sync failed; `expiry`: when the first of the back-offs ends
/// that held a container back.
pub(crate) fn wake_after_errors(
    pod: &PodSpec,
    expiry: Option<Timestamp>,
    now: Timestamp,
) -> (Timestamp, NextSyncReason) {
    match expiry.filter(|_| !pod.gates().has_bug(KnownBug::BackOffExpiryIgnored)) {
        Some(expiry) => (expiry.max(now).min(now + SYNC_FREQUENCY), NextSyncReason::BackOffExpired),
        None => (now + BACK_OFF_PERIOD, NextSyncReason::Retry),
    }
}

impl PodWorker {
    /// The sync is over: asks for the next one if something failed. No delay is jittered.
    pub(super) fn wake_after(&mut self, pod: &PodSpec, now: Timestamp) {
        let mut errors = self.results.iter().filter_map(|result| result.error.as_ref()).peekable();
        if errors.peek().is_none() {
            return;
        }
        let expiry = errors.filter_map(|error| error.back_off_expires).min();
        let (at, reason) = wake_after_errors(pod, expiry, now);
        self.wake_no_later_than(at, reason);
    }

    pub(super) fn wake_at_deadline(&mut self, pod: &PodSpec) {
        if let Some(deadline) = self.deadline(pod) {
            self.wake_no_later_than(deadline, NextSyncReason::ActiveDeadline);
        }
    }

    fn wake_no_later_than(&mut self, at: Timestamp, reason: NextSyncReason) {
        let sooner = match self.next_sync {
            NextSync::Now => false,
            NextSync::At(already, _) => at < already,
            NextSync::OnChange => true,
        };
        if sooner {
            self.next_sync = NextSync::At(at, reason);
        }
    }
}

//! Back-off that doubles: `flowcontrol.Backoff` of client-go, as the kubelet sets it up.
//!
//! The kubelet keeps two: one for containers that end ([`CrashLoopBackOff`] says how it is set up)
//! and one for image pulls. Both are integers only, and both clocks are arguments: the time of the
//! event (a container's `finishedAt`) and `now`.

use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;
use crate::version::{Feature, FeatureGates};

/// How a back-off doubles and when it forgets.
///
/// ```
/// use std::time::Duration;
/// use podinit::backoff::BackOffSettings;
///
/// let images = BackOffSettings::IMAGE_PULL;
/// assert_eq!(images.initial, Duration::from_secs(10));
/// assert_eq!(images.max, Duration::from_secs(300));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "as client-go has it")]
pub struct BackOffSettings {
    /// The first delay.
    pub initial: Duration,
    /// The longest delay.
    pub max: Duration,
    /// An entry that was not advanced for longer than this is forgotten.
    pub expires_after: Duration,
}

impl BackOffSettings {
    /// Crash loops by the defaults of 1.36: 10 s doubling to 300 s, forgotten after 600 s. Other
    /// versions, gates and nodes: [`CrashLoopBackOff::settings`].
    pub const CRASH_LOOP: Self = Self {
        initial: Duration::from_secs(10),
        max: Duration::from_secs(300),
        expires_after: Duration::from_secs(600),
    };

    /// Image pulls: 10 s doubling to 300 s, forgotten after 600 s (`imageBackOffPeriod`,
    /// `MaxImageBackOff`, `kubelet.go`, v1.36.2).
    pub const IMAGE_PULL: Self = Self {
        initial: Duration::from_secs(10),
        max: Duration::from_secs(300),
        expires_after: Duration::from_secs(600),
    };
}

/// How the kubelet's crash-loop back-off is set up.
///
/// Source: `newCrashLoopBackOff` and the expiry of `NewMainKubelet`, `kubelet.go`, v1.36.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "the two settings that Kubernetes has")]
pub struct CrashLoopBackOff {
    /// `crashLoopBackOff.maxContainerRestartPeriod` of the kubelet's configuration, from 1 s to
    /// 300 s. Looked at only with the gate
    /// [`KubeletCrashLoopBackOffMax`](Feature::KubeletCrashLoopBackOffMax); 300 s where not set.
    pub max_container_restart_period: Option<Duration>,
}

/// The kubelet's configuration of the crash-loop back-off is not one that it starts with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CrashLoopBackOffError {
    /// The maximum is outside of 1 s to 300 s.
    #[error(
        "crashLoopBackOff.maxContainerRestartPeriod: Invalid value: {0:?}: must be between 1s and 300s"
    )]
    OutOfRange(Duration),
    /// The maximum is set although its gate is off.
    #[error(
        "crashLoopBackOff.maxContainerRestartPeriod: Invalid value: {0:?}: feature gate KubeletCrashLoopBackOffMax is off"
    )]
    GateOff(Duration),
}

impl CrashLoopBackOff {
    /// The settings under these gates: 10 s to 300 s, or 1 s to 60 s with
    /// [`ReduceDefaultCrashLoopBackOffDecay`](Feature::ReduceDefaultCrashLoopBackOffDecay), or up
    /// to the node's own maximum, which also caps the first delay. Forgotten after 600 s whatever
    /// the maximum.
    ///
    /// # Errors
    /// If the kubelet would refuse this configuration.
    pub fn settings(self, gates: FeatureGates) -> Result<BackOffSettings, CrashLoopBackOffError> {
        let reduced = gates.enabled(Feature::ReduceDefaultCrashLoopBackOffDecay);
        let own_max = gates.enabled(Feature::KubeletCrashLoopBackOffMax);
        if let Some(max) = self.max_container_restart_period {
            if !own_max {
                return Err(CrashLoopBackOffError::GateOff(max));
            }
            if max < Duration::from_secs(1) || max > Duration::from_secs(300) {
                return Err(CrashLoopBackOffError::OutOfRange(max));
            }
        }
        let (initial, max) = if reduced { (1, 60) } else { (10, 300) };
        let max = if own_max {
            self.max_container_restart_period.unwrap_or(Duration::from_secs(300))
        } else {
            Duration::from_secs(max)
        };
        let initial = Duration::from_secs(initial).min(max);
        Ok(BackOffSettings { initial, max, expires_after: Duration::from_secs(600) })
    }
}

/// What an entry of the crash-loop or image back-off belongs to.
///
/// Equal where the kubelet's keys are equal (`GetBackoffKey`: pod, container, image and, since
/// 1.34, resources); the numbers are this crate's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "a number, and no more")]
pub struct BackOffKey(pub u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Entry<K> {
    key: K,
    delay: Duration,
    last_update: Timestamp,
}

/// Delays by key (`flowcontrol.Backoff`), without jitter, as the kubelet uses it.
///
/// Reading it ([`in_back_off_since`](Self::in_back_off_since)) changes nothing. It changes only
/// where it is told to: [`advance`](Self::advance), [`collect_garbage`](Self::collect_garbage) and
/// [`forget`](Self::forget).
///
/// ```
/// use std::time::Duration;
/// use podinit::Timestamp;
/// use podinit::backoff::{BackOff, BackOffSettings};
///
/// let mut back_off = BackOff::new(BackOffSettings::IMAGE_PULL);
/// let finished = Timestamp::from_secs(1_000);
/// // The first restart is immediate: there is no entry yet.
/// assert_eq!(back_off.in_back_off_since(&"migrate", finished, finished), None);
/// assert_eq!(back_off.advance("migrate", finished, finished), Duration::from_secs(10));
/// // The second waits for 10 s from the container's end.
/// let again = Timestamp::from_secs(1_003);
/// assert_eq!(
///     back_off.in_back_off_since(&"migrate", again, again),
///     Some(Duration::from_secs(10))
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BackOff<K = BackOffKey> {
    settings: BackOffSettings,
    /// Few: one a container that has ended.
    entries: Vec<Entry<K>>,
}

impl<K: PartialEq> BackOff<K> {
    /// A back-off without entries.
    pub const fn new(settings: BackOffSettings) -> Self {
        Self { settings, entries: Vec::new() }
    }

    /// How it doubles and when it forgets.
    pub fn settings(&self) -> BackOffSettings {
        self.settings
    }

    fn expired(&self, event: Timestamp, entry: &Entry<K>) -> bool {
        event.saturating_duration_since(entry.last_update) > self.settings.expires_after
    }

    fn entry(&self, key: &K, event: Timestamp) -> Option<&Entry<K>> {
        self.entries.iter().find(|entry| entry.key == *key && !self.expired(event, entry))
    }

    /// The delay in force, if `now` is within it counted from `event` (`IsInBackOffSince`).
    pub fn in_back_off_since(&self, key: &K, event: Timestamp, now: Timestamp) -> Option<Duration> {
        let entry = self.entry(key, event)?;
        // An event in the future has not even begun to wait.
        (now < event || now.saturating_duration_since(event) < entry.delay).then_some(entry.delay)
    }

    /// The delay in force, if `event` is within it counted from the last advance
    /// (`IsInBackOffSinceUpdate`).
    pub fn in_back_off_since_update(&self, key: &K, event: Timestamp) -> Option<Duration> {
        let entry = self.entry(key, event)?;
        let waits = event < entry.last_update
            || event.saturating_duration_since(entry.last_update) < entry.delay;
        waits.then_some(entry.delay)
    }

    /// Doubles the delay, or begins with the first one if there is none or it has expired at
    /// `event`; gives the delay that holds from now on (`Next`, then `Get`).
    ///
    /// The entry's age counts from `now` and not from `event`.
    pub fn advance(&mut self, key: K, event: Timestamp, now: Timestamp) -> Duration {
        let BackOffSettings { initial, max, .. } = self.settings;
        let position = self.entries.iter().position(|entry| entry.key == key);
        let delay = match position.and_then(|position| self.entries.get(position)) {
            Some(entry) if !self.expired(event, entry) => entry.delay.saturating_mul(2).min(max),
            _ => initial,
        };
        let entry = Entry { key, delay, last_update: now };
        match position.and_then(|position| self.entries.get_mut(position)) {
            Some(old) => *old = entry,
            None => self.entries.push(entry),
        }
        delay
    }

    /// Drops what has expired at `now` (`GC`).
    pub fn collect_garbage(&mut self, now: Timestamp) {
        let expires_after = self.settings.expires_after;
        self.entries
            .retain(|entry| now.saturating_duration_since(entry.last_update) <= expires_after);
    }

    /// Drops one entry (`DeleteEntry`).
    pub fn forget(&mut self, key: &K) {
        self.entries.retain(|entry| entry.key != *key);
    }

    /// Drops all entries.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Are there no entries?
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::KubernetesVersion;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn settings(
        version: KubernetesVersion,
        gates: &[Feature],
        max: Option<u64>,
    ) -> Result<(Duration, Duration), CrashLoopBackOffError> {
        let mut feature_gates = version.feature_gates();
        for gate in gates {
            feature_gates.set(*gate, true).expect("a gate of this version");
        }
        let config = CrashLoopBackOff { max_container_restart_period: max.map(S) };
        config.settings(feature_gates).map(|settings| (settings.initial, settings.max))
    }

    #[test]
    fn gates_and_the_nodes_maximum_set_the_delays() {
        use Feature::{
            KubeletCrashLoopBackOffMax as Max, ReduceDefaultCrashLoopBackOffDecay as Reduce,
        };
        use KubernetesVersion::{V1_31, V1_34, V1_36};
        assert_eq!(settings(V1_31, &[], None), Ok((S(10), S(300))));
        assert_eq!(settings(V1_34, &[Reduce], None), Ok((S(1), S(60))));
        assert_eq!(settings(V1_34, &[Reduce, Max], None), Ok((S(1), S(300))));
        assert_eq!(settings(V1_36, &[], Some(30)), Ok((S(10), S(30))));
        assert_eq!(settings(V1_36, &[], Some(2)), Ok((S(2), S(2))));
        assert_eq!(settings(V1_36, &[Reduce], None), Ok((S(1), S(300))));
    }

    #[test]
    fn a_maximum_that_the_kubelet_refuses_is_an_error() {
        use KubernetesVersion::{V1_34, V1_36};
        let refused = settings(V1_34, &[], Some(30));
        assert_eq!(refused, Err(CrashLoopBackOffError::GateOff(S(30))));
        let refused = settings(V1_36, &[], Some(301));
        assert_eq!(refused, Err(CrashLoopBackOffError::OutOfRange(S(301))));
        assert!(settings(V1_36, &[], Some(0)).is_err());
    }

    #[test]
    fn an_entry_is_kept_at_its_expiry_and_forgotten_just_after() {
        let mut back_off = BackOff::new(BackOffSettings::IMAGE_PULL);
        back_off.advance(1, Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        let at = Timestamp::from_secs(600);
        let after = at + Duration::from_nanos(1);
        assert_eq!(back_off.in_back_off_since(&1, at, at), Some(S(10)));
        assert_eq!(back_off.in_back_off_since(&1, after, after), None);
        back_off.collect_garbage(at);
        assert!(!back_off.is_empty());
        back_off.collect_garbage(after);
        assert!(back_off.is_empty());
    }

    #[test]
    fn the_delay_doubles_up_to_its_maximum() {
        let mut back_off = BackOff::new(BackOffSettings::IMAGE_PULL);
        let now = Timestamp::UNIX_EPOCH;
        let delays: Vec<u64> = (0..7).map(|_| back_off.advance((), now, now).as_secs()).collect();
        assert_eq!(delays, [10, 20, 40, 80, 160, 300, 300]);
        back_off.forget(&());
        assert_eq!(back_off.advance((), now, now), S(10));
    }
}

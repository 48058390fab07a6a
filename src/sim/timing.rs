//! How soon the kubelet notices things.

use core::time::Duration;

use crate::pod::PodSpec;
use crate::time::Timestamp;
use crate::worker::{NextSync, NextSyncReason};

/// When the kubelet notices a change, and when it gets round to a sync that it asked for.
pub trait SyncTiming {
    /// When a container or sandbox that started or ended at `at` is noticed; not before `at`.
    fn noticed(&mut self, at: Timestamp) -> Timestamp;

    /// When a pod is synced whose last sync, at `now`, asked for `next`; `None`: when something
    /// changes, and not before.
    fn requeued(&mut self, pod: &PodSpec, next: NextSync, now: Timestamp) -> Option<Timestamp>;
}

/// The kubelet without its own delays: everything is noticed at once, nothing is jittered, and a
/// pod that lacks nothing is not synced again. The recorded lives were made so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "there is nothing in it")]
pub struct IdealTiming;

impl SyncTiming for IdealTiming {
    fn noticed(&mut self, at: Timestamp) -> Timestamp {
        at
    }

    fn requeued(&mut self, _pod: &PodSpec, next: NextSync, now: Timestamp) -> Option<Timestamp> {
        match next {
            NextSync::Now => Some(now),
            NextSync::At(at, _) => Some(at),
            NextSync::OnChange => None,
        }
    }
}

/// The kubelet's own delays, with random numbers of the caller.
///
/// Changes of containers are noticed when the runtime is listed, once a second. A sync that was
/// asked for comes after a jittered delay, up to half as long again, at the next tick of the sync
/// loop, once a second. A pod that lacks nothing is synced again after 60 s to 90 s.
///
/// Source: `relistPeriod`, `syncFrequency` and the ticker of `syncLoop` (`kubelet.go`),
/// `completeWork` (`pod_workers.go`), v1.36.2. The worker says from which version on a back-off's
/// end is waited for; the random part is the same in all.
///
/// ```
/// use podinit::sim::{KubeletTiming, Scenario, simulate_with};
/// use podinit::{FeatureGates, PodSpec};
///
/// let pod = serde_json::from_value(serde_json::json!({
///     "metadata": {"name": "web"}, "spec": {"containers": [{"name": "app"}]},
/// }))?;
/// let pod = PodSpec::compile_unchecked(&pod, FeatureGates::default())?;
/// let mut state = 1_u32; // a generator of your own
/// let random = || {
///     state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
///     state
/// };
/// let timeline = simulate_with(&pod, &Scenario::default(), &mut KubeletTiming::new(random));
/// // That the app runs is noticed only when the runtime is listed again.
/// assert!(timeline.steps.last().unwrap().at > std::time::Duration::ZERO);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct KubeletTiming<R> {
    random: R,
    relist_period: Duration,
    sync_frequency: Duration,
    tick: Duration,
    /// Where in a second this kubelet lists and ticks.
    phase: Option<(Duration, Duration)>,
}

impl<R: FnMut() -> u32> KubeletTiming<R> {
    /// `random` gives evenly distributed numbers over the whole range of `u32`.
    pub fn new(random: R) -> Self {
        Self {
            random,
            relist_period: Duration::from_secs(1),
            sync_frequency: Duration::from_secs(60),
            tick: Duration::from_secs(1),
            phase: None,
        }
    }

    /// A random part of a span.
    fn part_of(&mut self, span: Duration) -> Duration {
        let nanos = (span.as_nanos() * u128::from((self.random)())) >> 32;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The span and up to half of it more (`wait.Jitter` with a factor of 0.5).
    fn jitter(&mut self, span: Duration) -> Duration {
        span + self.part_of(span / 2)
    }

    fn phase(&mut self) -> (Duration, Duration) {
        if let Some(phase) = self.phase {
            return phase;
        }
        let phase = (self.part_of(self.relist_period), self.part_of(self.tick));
        self.phase = Some(phase);
        phase
    }
}

/// The first of the instants `phase`, `phase + period`, … that is later than `at`.
fn next_tick(at: Timestamp, period: Duration, phase: Duration) -> Timestamp {
    let period = i64::try_from(period.as_nanos()).unwrap_or(i64::MAX).max(1);
    let phase = i64::try_from(phase.as_nanos()).unwrap_or(0);
    let since = at.as_nanos().saturating_sub(phase).rem_euclid(period);
    at + Duration::from_nanos(period.abs_diff(since))
}

impl<R: FnMut() -> u32> SyncTiming for KubeletTiming<R> {
    fn noticed(&mut self, at: Timestamp) -> Timestamp {
        let (relist, _) = self.phase();
        next_tick(at, self.relist_period, relist)
    }

    fn requeued(&mut self, _pod: &PodSpec, next: NextSync, now: Timestamp) -> Option<Timestamp> {
        let (_, tick) = self.phase();
        let due = match next {
            NextSync::Now => return Some(now),
            // Looked for at each tick, so never late by more than one.
            NextSync::At(at, NextSyncReason::ActiveDeadline) => at,
            NextSync::At(at, _) => now + self.jitter(at.saturating_duration_since(now)),
            NextSync::OnChange => now + self.jitter(self.sync_frequency),
        };
        Some(next_tick(due, self.tick, tick))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_strictly_later_and_keep_their_phase() {
        let phase = Duration::from_millis(300);
        let second = Duration::from_secs(1);
        for (at, tick) in [(0, 300), (299, 300), (300, 1_300), (1_301, 2_300)] {
            let next = next_tick(Timestamp::from_millis(at), second, phase);
            assert_eq!(next, Timestamp::from_millis(tick), "{at}");
        }
    }

    #[test]
    fn a_delay_grows_by_half_of_itself_at_the_most() {
        for random in [0, u32::MAX / 2, u32::MAX] {
            let mut timing = KubeletTiming::new(move || random);
            let delay = timing.jitter(Duration::from_secs(10));
            assert!(delay >= Duration::from_secs(10) && delay < Duration::from_secs(15));
        }
    }
}

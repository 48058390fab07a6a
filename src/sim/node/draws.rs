//! What the kubelet leaves to chance.

use core::time::Duration;

use super::moment::Moment;

/// The random numbers of a kubelet, and the order of its goroutines where it shows.
///
/// Each has a usual answer, so that [`Usual`] gives the same life each time. Whoever compares a life
/// with one of a real kubelet answers with what was drawn there.
pub trait Draws {
    /// How long the work queue waits that is asked to wait for `delay`: up to half of it longer
    /// (`wait.Jitter`).
    fn jittered(&self, delay: Duration, now: Moment) -> Duration {
        let _ = now;
        // What the seed 1 of math/rand draws first: 0.6046602879796196 of the half.
        let micros = delay.as_micros().saturating_mul(302_330_144) / 1_000_000_000;
        delay.saturating_add(Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)))
    }

    /// The first turn of a probe worker that is made at `now` by a kubelet younger than the period of
    /// the probe: a moment of that period (`worker.run`). `None`: in its middle.
    ///
    /// `question` is what is asked, as scenarios name it; the first `kubelet` of a life is 1.
    fn first_turn(
        &self,
        container: &str,
        question: &str,
        kubelet: u32,
        now: Moment,
        period: Duration,
    ) -> Option<Moment> {
        let _ = (container, question, kubelet, now, period);
        None
    }

    /// Is this probe before everything else that is due at this moment?
    fn probes_first(&self, container: &str, attempt: u32, question: &str, now: Moment) -> bool {
        let _ = (container, attempt, question, now);
        false
    }

    /// Is the end of a pod noticed and acted upon in one moment? It can be where nothing takes time.
    fn stops_at_once(&self, now: Moment) -> bool {
        let _ = now;
        false
    }
}

/// The usual answers, always the same.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::exhaustive_structs, reason = "there is nothing in it")]
pub struct Usual;

impl Draws for Usual {}

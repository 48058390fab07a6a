//! Numbers that only depend on a seed, and what is drawn with them: integers only.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

/// Evenly distributed numbers that follow from a seed (SplitMix64).
///
/// ```
/// use podinit::sim::fleet::Random;
///
/// let draw = |seed, pod| Random::of_pod(seed, pod).next_u64();
/// assert_eq!(draw(1, 7), draw(1, 7));
/// assert_ne!(draw(1, 7), draw(1, 8));
/// assert_ne!(draw(1, 7), draw(2, 7));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Random(u64);

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

impl Random {
    /// The numbers of one pod: the same whenever and on whatever thread they are drawn.
    pub fn of_pod(seed: u64, pod: u64) -> Self {
        Self(mix(seed.wrapping_add(STEP)) ^ mix(pod.wrapping_mul(STEP)))
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// True this many times in a million.
    pub fn chance(&mut self, per_million: u32) -> bool {
        self.below(1_000_000) < u64::from(per_million)
    }
}

/// A distribution of durations, told by its quantiles.
///
/// ```
/// use std::time::Duration;
/// use podinit::sim::fleet::{Durations, Random};
///
/// // Half of all last 1 s to 2 s; the slowest take up to a minute.
/// let pulls = Durations::quantiles([0, 1, 2, 4, 60].map(Duration::from_secs));
/// let drawn = pulls.draw(&mut Random::of_pod(42, 0));
/// assert!(drawn <= Duration::from_secs(60));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Durations(Box<[u64]>);

impl Durations {
    /// Quantiles at equal distances, from the least to the greatest; between two of them all
    /// durations are equally likely. One: always this. None: always zero. Two: even between them.
    pub fn quantiles(quantiles: impl IntoIterator<Item = Duration>) -> Self {
        let mut nanos: Vec<u64> = quantiles
            .into_iter()
            .map(|quantile| u64::try_from(quantile.as_nanos()).unwrap_or(u64::MAX))
            .collect();
        nanos.sort_unstable();
        Self(nanos.into())
    }

    /// Always the same.
    pub fn always(duration: Duration) -> Self {
        Self::quantiles([duration])
    }

    /// Draws one.
    pub fn draw(&self, random: &mut Random) -> Duration {
        let (Some(first), Some(last)) = (self.0.first(), self.0.last()) else {
            return Duration::ZERO;
        };
        if self.0.len() == 1 {
            return Duration::from_nanos(*first);
        }
        let position = u128::from(random.next_u64()) * (self.0.len() as u128 - 1);
        let between = (position >> 64) as usize;
        let low = self.0.get(between).copied().unwrap_or(*first);
        let high = self.0.get(between + 1).copied().unwrap_or(*last);
        let part = (u128::from(high - low) * u128::from(position as u64)) >> 64;
        Duration::from_nanos(low + part as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_follow_the_quantiles() {
        let durations = Durations::quantiles([0, 10, 100].map(Duration::from_secs));
        let mut random = Random::of_pod(1, 2);
        let draws: Vec<Duration> = (0..4_000).map(|_| durations.draw(&mut random)).collect();
        let lower = draws.iter().filter(|draw| **draw < Duration::from_secs(10)).count();
        assert!((1_900..2_100).contains(&lower), "{lower}");
        assert!(draws.iter().all(|draw| *draw <= Duration::from_secs(100)));
        assert_eq!(Durations::quantiles([]).draw(&mut random), Duration::ZERO);
    }

    #[test]
    fn a_chance_comes_as_often_as_said() {
        let mut random = Random::of_pod(3, 4);
        let hits = (0..10_000).filter(|_| random.chance(250_000)).count();
        assert!((2_350..2_650).contains(&hits), "{hits}");
        assert!(!random.chance(0) && random.chance(1_000_000));
    }
}

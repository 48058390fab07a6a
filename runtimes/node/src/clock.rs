//! The clock of nodes: as fast as the cluster's, faster, or moved by hand.

use std::num::NonZeroU32;
use std::time::{Duration, Instant, SystemTime};

use podinit::Timestamp;

/// How time passes on nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// So many times as fast as in the cluster.
    Times(NonZeroU32),
    /// It stands, but for what a test steps it on.
    Stepped,
}

impl Default for Pace {
    fn default() -> Self {
        Self::Times(NonZeroU32::MIN)
    }
}

/// A clock that is set once, at its start, to that of the cluster. What is written into the API has
/// the time of the cluster's clock at which it happened, so that no age is odd.
#[derive(Debug)]
pub(crate) struct Clock {
    pace: Pace,
    began: Timestamp,
    began_instant: Instant,
    /// The moments to which a clock was stepped, and when that was in the cluster.
    steps: Vec<(Timestamp, Timestamp)>,
}

/// The time of the cluster, as far as this machine tells it.
pub(crate) fn cluster_time() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp::UNIX_EPOCH + since.unwrap_or_default()
}

impl Clock {
    pub(crate) fn new(pace: Pace) -> Self {
        let began = match pace {
            // So that nothing depends on when a test was begun.
            Pace::Stepped => cluster_time().truncate_to_second(),
            Pace::Times(_) => cluster_time(),
        };
        Self { pace, began, began_instant: Instant::now(), steps: vec![(began, began)] }
    }

    pub(crate) fn now(&self) -> Timestamp {
        match self.pace {
            Pace::Times(times) => {
                self.began + self.began_instant.elapsed().saturating_mul(times.get())
            }
            Pace::Stepped => self.last_step().0,
        }
    }

    fn last_step(&self) -> (Timestamp, Timestamp) {
        self.steps.last().copied().unwrap_or((self.began, self.began))
    }

    /// How long a moment is away in the cluster's time; `None`: it does not come by itself.
    pub(crate) fn wait_for(&self, moment: Timestamp) -> Option<Duration> {
        match self.pace {
            Pace::Times(times) => Some(moment.saturating_duration_since(self.now()) / times.get()),
            Pace::Stepped if moment <= self.now() => Some(Duration::ZERO),
            Pace::Stepped => None,
        }
    }

    /// Steps the clock on to a moment. One that is not stepped goes its own way.
    pub(crate) fn step_to(&mut self, moment: Timestamp) {
        if self.pace == Pace::Stepped && moment > self.now() {
            self.steps.push((moment, cluster_time()));
        }
    }

    pub(crate) fn is_stepped(&self) -> bool {
        self.pace == Pace::Stepped
    }

    /// When a moment was, by the cluster's clock.
    pub(crate) fn in_cluster(&self, moment: Timestamp) -> Timestamp {
        match self.pace {
            Pace::Times(times) if moment >= self.began => {
                self.began + moment.saturating_duration_since(self.began) / times.get()
            }
            Pace::Times(times) => {
                self.began - self.began.saturating_duration_since(moment) / times.get()
            }
            Pace::Stepped if moment <= self.began => moment,
            Pace::Stepped => {
                let after = self.steps.partition_point(|(step, _)| *step < moment);
                self.steps.get(after).copied().unwrap_or(self.last_step()).1
            }
        }
    }

    /// The moment of something that was by then by the cluster's clock, before this one was set.
    pub(crate) fn of_cluster(&self, time: Timestamp) -> Timestamp {
        match self.pace {
            Pace::Times(times) if time < self.began => {
                self.began - self.began.saturating_duration_since(time).saturating_mul(times.get())
            }
            _ => time,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stepped_clock_stands_and_tells_when_it_was_stepped() {
        let mut clock = Clock::new(Pace::Stepped);
        let began = clock.now();
        let hour = Duration::from_secs(3600);
        assert_eq!(clock.wait_for(began + hour), None);
        assert_eq!(clock.wait_for(began), Some(Duration::ZERO));
        clock.step_to(began + hour);
        assert_eq!(clock.now(), began + hour);
        clock.step_to(began);
        assert_eq!(clock.now(), began + hour, "it does not go back");
        let told = clock.in_cluster(began + hour / 2);
        assert!(told >= began && told <= cluster_time());
        assert_eq!(clock.in_cluster(began - hour), began - hour);
    }

    #[test]
    fn a_fast_clock_tells_times_of_the_cluster() {
        let clock = Clock::new(Pace::Times(NonZeroU32::new(60).unwrap()));
        let began = clock.began;
        let minute = Duration::from_secs(60);
        assert_eq!(clock.in_cluster(began + minute), began + Duration::from_secs(1));
        assert_eq!(clock.of_cluster(began - Duration::from_secs(1)), began - minute);
        assert_eq!(clock.in_cluster(began - minute), began - Duration::from_secs(1));
        assert!(clock.wait_for(began + minute).unwrap() <= Duration::from_secs(1));
    }
}

//! What came of a fleet: sums and distributions, of a size that does not grow with the fleet.

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::fmt;
use core::time::Duration;

use hdrhistogram::Histogram;

use super::usage::ResourceUsage;
use crate::go_duration::GoDuration;
use crate::kubectl::StatusColumn;
use crate::quantity::Quantity;
use crate::sim::timeline::End;

/// A distribution of durations in microseconds, exact to three digits.
#[derive(Clone, Debug, Default)]
pub struct Distribution(Option<Histogram<u64>>);

impl Distribution {
    pub(super) fn record(&mut self, duration: Duration) {
        if self.0.is_none() {
            // Three digits are within what a histogram can have.
            self.0 = Histogram::new(3).ok();
        }
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        if let Some(histogram) = &mut self.0
            && histogram.record(micros).is_err()
        {
            histogram.saturating_record(micros);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            // Both grow as they need to.
            (Some(own), Some(other)) => drop(own.add(other)),
            (None, Some(_)) => *self = other.clone(),
            (_, None) => {}
        }
    }

    /// The histogram, in microseconds; `None`: nothing was recorded.
    pub fn histogram(&self) -> Option<&Histogram<u64>> {
        self.0.as_ref()
    }

    /// How many durations there are.
    pub fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, Histogram::len)
    }

    /// The duration that `per_mille` of a thousand do not exceed; `None`: there is none.
    pub fn quantile(&self, per_mille: u32) -> Option<Duration> {
        let histogram = self.0.as_ref().filter(|histogram| !histogram.is_empty())?;
        let rank = (u128::from(histogram.len()) * u128::from(per_mille.min(1_000))).div_ceil(1_000);
        let mut seen = 0;
        let reached = histogram.iter_recorded().find(|value| {
            seen += u128::from(value.count_at_value());
            seen >= rank
        });
        Some(Duration::from_micros(reached.map_or(histogram.max(), |v| v.value_iterated_to())))
    }

    /// How many durations are in each of these spans: up to the first bound, up to the second, …,
    /// and above the last.
    pub fn counts(&self, bounds: &[Duration]) -> alloc::vec::Vec<u64> {
        let mut counts = alloc::vec![0; bounds.len() + 1];
        for value in self.0.iter().flat_map(Histogram::iter_recorded) {
            let duration = Duration::from_micros(value.value_iterated_to());
            let span = bounds.partition_point(|bound| *bound < duration);
            counts[span] += value.count_at_value();
        }
        counts
    }

    fn recorded(&self) -> impl Iterator<Item = (u64, u64)> {
        let values = self.0.iter().flat_map(Histogram::iter_recorded);
        values.map(|value| (value.value_iterated_to(), value.count_at_value()))
    }
}

impl PartialEq for Distribution {
    fn eq(&self, other: &Self) -> bool {
        self.recorded().eq(other.recorded())
    }
}

impl Eq for Distribution {}

/// How the pods of a fleet spent their time with one word in the STATUS column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct StatusTally {
    /// How often pods came to show the word, also for no time at all.
    pub entered: u64,
    /// How long pods showed it, in nanoseconds: a million pods in a day have more of them than 64
    /// bits can count.
    pub nanos: u128,
    /// How many pods showed it last.
    pub last: u64,
}

impl StatusTally {
    pub(super) fn merge(&mut self, other: Self) {
        self.entered += other.entered;
        self.nanos += other.nanos;
        self.last += other.last;
    }

    /// How long pods showed the word on the average, each time that they came to it.
    pub fn mean(&self) -> Duration {
        let mean = self.nanos / u128::from(self.entered.max(1));
        Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX))
    }
}

/// How many pods ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Ends {
    /// Succeeded or Failed, and was stopped.
    pub terminal: u64,
    /// Was deleted, and was stopped.
    pub deleted: u64,
    /// Nothing more would have happened.
    pub steady: u64,
    /// The time was up.
    pub truncated: u64,
}

impl Ends {
    pub(super) fn count(&mut self, end: End) {
        match end {
            End::Terminal => self.terminal += 1,
            End::Deleted => self.deleted += 1,
            End::Steady => self.steady += 1,
            End::Truncated => self.truncated += 1,
        }
    }
}

/// What came of the pods of a fleet, or of some of them.
///
/// Summaries can be [merged](Self::merge) in any order; how pods are divided among runs changes
/// nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FleetSummary {
    /// How many pods.
    pub pods: u64,
    /// How many of them the automaton does not cover, so that they were simulated plainly.
    pub simulated_plainly: u64,
    /// How they ended.
    pub ends: Ends,
    /// Start-up time: from the acceptance by the kubelet until the condition `Ready` was first
    /// True, of those pods that became ready.
    pub ready_after: Distribution,
    /// The same until the condition `Initialized` was first True.
    pub initialized_after: Distribution,
    /// By word of the STATUS column, as the API server's copy has it.
    pub statuses: BTreeMap<StatusColumn, StatusTally>,
    /// Restarts of containers.
    pub restarts: u64,
    /// How many pods had at least one.
    pub pods_restarted: u64,
    /// How long pulls of images waited for their turn, those that had not to wait included; empty
    /// where the [nodes](super::Nodes) have no limit.
    pub image_pull_waits: Distribution,
    /// The same of starts of containers.
    pub container_start_waits: Distribution,
    /// What was reserved and used over time, if it was [asked for](super::Fleet::resources).
    pub resources: ResourceUsage,
}

impl FleetSummary {
    /// Adds other pods.
    pub fn merge(&mut self, other: &Self) {
        self.pods += other.pods;
        self.simulated_plainly += other.simulated_plainly;
        self.ends.terminal += other.ends.terminal;
        self.ends.deleted += other.ends.deleted;
        self.ends.steady += other.ends.steady;
        self.ends.truncated += other.ends.truncated;
        self.ready_after.merge(&other.ready_after);
        self.initialized_after.merge(&other.initialized_after);
        for (word, tally) in &other.statuses {
            self.tally(word, *tally);
        }
        self.restarts += other.restarts;
        self.pods_restarted += other.pods_restarted;
        self.image_pull_waits.merge(&other.image_pull_waits);
        self.container_start_waits.merge(&other.container_start_waits);
        self.resources.merge(&other.resources);
    }

    pub(super) fn tally(&mut self, word: &StatusColumn, tally: StatusTally) {
        match self.statuses.get_mut(word) {
            Some(own) => own.merge(tally),
            None => drop(self.statuses.insert(word.clone(), tally)),
        }
    }
}

/// How many lines the histogram of a summary has at the most, and how wide its longest bar is.
const BARS: usize = 12;
const WIDTH: u64 = 50;

impl fmt::Display for FleetSummary {
    /// A table and a histogram.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pods, ends, restarts, pods_restarted, .. } = self;
        let Ends { terminal, deleted, steady, truncated } = ends;
        write!(f, "{pods} pods: {terminal} terminal, ")?;
        if *deleted > 0 {
            write!(f, "{deleted} deleted, ")?;
        }
        writeln!(f, "{steady} steady, {truncated} truncated")?;
        writeln!(f, "{restarts} restarts in {pods_restarted} pods")?;
        if self.simulated_plainly > 0 {
            writeln!(f, "{} pods simulated plainly", self.simulated_plainly)?;
        }
        writeln!(f, "\n{:<28}{:>12}{:>12}{:>14}", "STATUS", "ENTERED", "LAST", "MEAN TIME")?;
        for (word, tally) in &self.statuses {
            let StatusTally { entered, last, .. } = tally;
            let mean = GoDuration(Duration::from_millis(
                u64::try_from(tally.mean().as_millis()).unwrap_or(u64::MAX),
            ));
            let word = alloc::format!("{word}");
            writeln!(f, "{word:<28}{entered:>12}{last:>12}{:>14}", alloc::format!("{mean}"))?;
        }
        writeln!(f, "\nSTART-UP TIME, of {} pods that became ready", self.ready_after.count())?;
        for (name, per_mille) in
            [("min", 0), ("p50", 500), ("p90", 900), ("p99", 990), ("p99.9", 999), ("max", 1_000)]
        {
            if let Some(quantile) = self.ready_after.quantile(per_mille) {
                writeln!(f, "{name:<6} {}", GoDuration(quantile))?;
            }
        }
        self.bars(f)?;
        self.waits(f)?;
        self.usage(f)
    }
}

impl FleetSummary {
    /// How long pods waited for each other.
    fn waits(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waits = [("PULLS", &self.image_pull_waits), ("STARTS", &self.container_start_waits)];
        for (name, waits) in waits {
            let quantiles = [500, 990, 1_000].map(|per_mille| waits.quantile(per_mille));
            if let [Some(p50), Some(p99), Some(most)] = quantiles.map(|q| q.map(GoDuration)) {
                let count = waits.count();
                writeln!(f, "\n{name} WAITED, {count}: p50 {p50}, p99 {p99}, max {most}")?;
            }
        }
        Ok(())
    }

    /// What was reserved and used.
    fn usage(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usage = &self.resources;
        if !usage.names().is_empty() {
            let [peak, used, end] = ["PEAK RESERVED", "PEAK USED", "USED AT THE END"];
            writeln!(f, "\n{:<20}{peak:>24}{used:>24}{end:>20}", "RESOURCE")?;
        }
        for name in usage.names() {
            let (Some(reserved), Some(used), Some(end)) =
                (usage.peak_reserved(name), usage.peak_used(name), usage.at_end(name))
            else {
                continue;
            };
            let peak =
                |value: &Quantity, at: Duration| alloc::format!("{value} at {}", GoDuration(at));
            let reserved = peak(&reserved.reserved, reserved.at);
            let used = peak(&used.used, used.at);
            let end = alloc::format!("{}", end.used);
            writeln!(f, "{:<20}{reserved:>24}{used:>24}{end:>20}", name.as_str())?;
        }
        Ok(())
    }

    /// Start-up times as bars, each twice as long as the one before.
    fn bars(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(most) = self.ready_after.quantile(1_000) else { return Ok(()) };
        let mut bounds: alloc::vec::Vec<Duration> =
            (0..BARS as u32).map(|halvings| most / 2_u32.pow(halvings)).collect();
        bounds.reverse();
        let counts = self.ready_after.counts(&bounds);
        let longest = counts.iter().copied().max().unwrap_or(0).max(1);
        for (bound, count) in bounds.iter().zip(counts) {
            if count > 0 {
                let bar = u128::from(count) * u128::from(WIDTH) / u128::from(longest);
                let bar: String = core::iter::repeat_n('#', bar as usize).collect();
                let bound = Duration::from_millis(bound.as_millis() as u64);
                writeln!(
                    f,
                    "<= {:<12} {count:>10} {bar}",
                    alloc::format!("{}", GoDuration(bound))
                )?;
            }
        }
        Ok(())
    }
}

//! Runs pods one after the other, and keeps what was learned about their specs.

use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;

use super::automaton::{Automaton, Shown, StatusId, restarts};
use super::life::{Life, Observer};
use super::summary::{FleetSummary, StatusTally};
use super::workload::{PodScript, Workload};
use crate::kubectl::StatusColumn;
use crate::sim::{End, Scenario, simulate};
use crate::spec::PodSpec;
use crate::status::condition_type;
use crate::time::Timestamp;
use crate::worker::WorkerSettings;

/// What is known of one spec.
#[derive(Debug)]
struct Known<'a> {
    spec: &'a PodSpec,
    /// `None`: the spec's pods are simulated plainly.
    automaton: Option<Automaton<'a>>,
    /// By the automaton's words.
    tallies: Vec<StatusTally>,
}

#[derive(Debug)]
pub(super) struct Runner<'a> {
    known: Vec<Known<'a>>,
    settings: WorkerSettings,
    horizon: Duration,
    /// When the fleet begins.
    begins_at: Timestamp,
    life: Life,
    script: PodScript,
    record: Record,
}

impl<'a> Runner<'a> {
    pub(super) fn new(specs: &'a [PodSpec], settings: WorkerSettings, horizon: Duration) -> Self {
        let known = specs.iter().map(|spec| Known {
            spec,
            automaton: Automaton::new(spec, settings),
            tallies: Vec::new(),
        });
        Self {
            known: known.collect(),
            settings,
            horizon,
            begins_at: Scenario::default().begins_at,
            life: Life::new(settings),
            script: PodScript::default(),
            record: Record::default(),
        }
    }

    pub(super) fn states(&self) -> usize {
        self.known.iter().filter_map(|known| Some(known.automaton.as_ref()?.len())).sum()
    }

    /// Runs pods. The words of the STATUS column are counted only when they are
    /// [handed over](Self::hand_over).
    pub(super) fn run(
        &mut self,
        workload: &impl Workload,
        pods: Range<u64>,
        summary: &mut FleetSummary,
    ) {
        if self.known.is_empty() {
            return;
        }
        for pod in pods {
            self.script.clear();
            workload.script(pod, &mut self.script);
            self.run_pod(summary);
        }
    }

    /// Adds the words that were counted.
    pub(super) fn hand_over(&mut self, summary: &mut FleetSummary) {
        for Known { automaton, tallies, .. } in &mut self.known {
            let words = automaton.iter().flat_map(Automaton::statuses);
            for (word, tally) in words.zip(tallies.drain(..)) {
                if tally != StatusTally::default() {
                    summary.tally(word, tally);
                }
            }
        }
    }

    /// Runs the pod whose script has been written.
    fn run_pod(&mut self, summary: &mut FleetSummary) {
        let Self { life, script, record, .. } = self;
        let position = script.spec % self.known.len();
        let begins_at = self.begins_at + script.begins_after;
        let until = begins_at + self.horizon;
        let known = &mut self.known[position];
        record.begin(begins_at);
        if let Some(automaton) = &mut known.automaton {
            match life.run(known.spec, automaton, script, (begins_at, until), record) {
                Ok(end) => {
                    let restarts = life.restarts;
                    record.finish(end, until, restarts, summary);
                    record.count(&mut known.tallies);
                    return;
                }
                // What the pods before have counted stays with the words that they have.
                Err(_) => {
                    let words = automaton.statuses().iter();
                    for (word, tally) in words.zip(known.tallies.drain(..)) {
                        summary.tally(word, tally);
                    }
                    known.automaton = None;
                    record.begin(begins_at);
                }
            }
        }
        run_plainly(
            known.spec,
            &script.scenario(known.spec, self.settings, self.horizon),
            record,
            summary,
        );
    }
}

/// Runs a pod in the plain simulation.
fn run_plainly(
    spec: &PodSpec,
    scenario: &Scenario,
    record: &mut Record,
    summary: &mut FleetSummary,
) {
    let timeline = simulate(spec, scenario);
    let mut words: Vec<StatusColumn> = Vec::new();
    let mut now = scenario.begins_at;
    for step in &timeline.steps {
        let word = step.api_columns(spec).status;
        let known = words.iter().position(|known| *known == word);
        let id = known.unwrap_or_else(|| {
            words.push(word);
            words.len() - 1
        });
        now = step.now;
        record.shows_word(now, StatusId(id as u16));
        let holds = |condition| step.api_status.is_condition_true(condition);
        record.shows_conditions(
            now,
            holds(condition_type::INITIALIZED),
            holds(condition_type::READY),
        );
    }
    let restarts = timeline.steps.last().map_or(0, |last| restarts(&last.status));
    let until = scenario.begins_at + scenario.limits.time;
    record.finish((now, timeline.end), until, restarts.into(), summary);
    summary.simulated_plainly += 1;
    let mut tallies = Vec::new();
    record.count(&mut tallies);
    for (word, tally) in words.iter().zip(tallies) {
        summary.tally(word, tally);
    }
}

/// What is noted of one life.
#[derive(Debug, Default)]
struct Record {
    begins_at: Timestamp,
    initialized_at: Option<Timestamp>,
    ready_at: Option<Timestamp>,
    /// The words, and since when each was shown.
    words: Vec<(StatusId, Timestamp)>,
    /// Until when the last one was.
    until: Timestamp,
}

impl Record {
    fn begin(&mut self, now: Timestamp) {
        self.begins_at = now;
        self.initialized_at = None;
        self.ready_at = None;
        self.words.clear();
    }

    fn shows_word(&mut self, now: Timestamp, word: StatusId) {
        if self.words.last().is_none_or(|(last, _)| *last != word) {
            self.words.push((word, now));
        }
    }

    fn shows_conditions(&mut self, now: Timestamp, initialized: bool, ready: bool) {
        if initialized && self.initialized_at.is_none() {
            self.initialized_at = Some(now);
        }
        if ready && self.ready_at.is_none() {
            self.ready_at = Some(now);
        }
    }

    /// The life is over. One that is not at its end stays as it is for the rest of the time.
    fn finish(
        &mut self,
        (now, end): (Timestamp, End),
        until: Timestamp,
        restarts: i64,
        summary: &mut FleetSummary,
    ) {
        self.until = if matches!(end, End::Steady | End::Truncated) { until } else { now };
        summary.pods += 1;
        summary.ends.count(end);
        let after = |at: Timestamp| at.saturating_duration_since(self.begins_at);
        if let Some(at) = self.ready_at {
            summary.ready_after.record(after(at));
        }
        if let Some(at) = self.initialized_at {
            summary.initialized_after.record(after(at));
        }
        let restarts = u64::try_from(restarts).unwrap_or(0);
        summary.restarts += restarts;
        summary.pods_restarted += u64::from(restarts > 0);
    }

    /// Counts the words.
    fn count(&self, tallies: &mut Vec<StatusTally>) {
        for (position, (word, since)) in self.words.iter().enumerate() {
            let slot = usize::from(word.0);
            if tallies.len() <= slot {
                tallies.resize(slot + 1, StatusTally::default());
            }
            let next = self.words.get(position + 1);
            let until = next.map_or(self.until, |(_, next)| *next);
            tallies[slot].merge(StatusTally {
                entered: 1,
                nanos: until.saturating_duration_since(*since).as_nanos(),
                last: u64::from(next.is_none()),
            });
        }
    }
}

impl Observer for Record {
    fn shows(&mut self, now: Timestamp, shown: Shown) {
        self.shows_word(now, shown.status);
        self.shows_conditions(now, shown.is_initialized, shown.is_ready);
    }
}

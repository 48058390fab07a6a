//! Runs pods one after the other, and keeps what was learned about their specs.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::ops::Range;
use core::time::Duration;

use smol_str::SmolStr;

use super::automaton::{Automaton, Shown, StatusId, TooManyStates, is_covered, restarts};
use super::life::{Course, Life, Next, Observer};
use super::node::{Alone, Nodes, SharedNode};
use super::summary::{FleetSummary, StatusTally};
use super::usage::{Costs, ResourceUsage, Runs};
use super::workload::{PodScript, Workload};
use crate::kubectl::StatusColumn;
use crate::pod::PodSpec;
use crate::sim::engine::simulate;
use crate::sim::scenario::Scenario;
use crate::sim::timeline::{End, Timeline};
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

/// A pod among others on its node.
#[derive(Debug)]
struct Guest {
    life: Life,
    script: PodScript,
    record: Record,
}

/// What holds for all pods of a fleet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conditions<'a> {
    pub(super) settings: WorkerSettings,
    pub(super) horizon: Duration,
    pub(super) nodes: Option<Nodes>,
    pub(super) costs: &'a Costs,
}

#[derive(Debug)]
pub(super) struct Runner<'a> {
    known: Vec<Known<'a>>,
    /// When the fleet begins.
    begins_at: Timestamp,
    alone: Alone,
    /// On the node of the moment; without nodes, the one pod.
    guests: Vec<Guest>,
    queue: BinaryHeap<Reverse<(Timestamp, usize)>>,
}

/// Where pods are counted.
struct Count<'c> {
    conditions: Conditions<'c>,
    begins_at: Timestamp,
    summary: &'c mut FleetSummary,
}

impl<'a> Runner<'a> {
    pub(super) fn new(specs: &'a [PodSpec], settings: WorkerSettings) -> Self {
        let known = specs.iter().map(|spec| Known {
            spec,
            automaton: Automaton::new(spec, settings),
            tallies: Vec::new(),
        });
        Self {
            known: known.collect(),
            begins_at: Scenario::default().begins_at,
            alone: Alone::default(),
            guests: Vec::new(),
            queue: BinaryHeap::new(),
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
        conditions: Conditions<'_>,
        summary: &mut FleetSummary,
    ) {
        if self.known.is_empty() {
            return;
        }
        if summary.resources.names().is_empty() {
            summary.resources = ResourceUsage::for_costs(conditions.costs);
        }
        let mut count = Count { conditions, begins_at: self.begins_at, summary };
        match conditions.nodes {
            None => {
                for pod in pods {
                    self.invite(0, workload, pod, conditions);
                    self.run_alone(&mut count);
                }
            }
            Some(nodes) => {
                let mut node = SharedNode::new(nodes);
                let mut next = pods.start;
                while next < pods.end {
                    let size = nodes.pods_per_node;
                    let end = (next / size).saturating_add(1).saturating_mul(size.get());
                    let end = end.min(pods.end);
                    self.run_node(&mut node, workload, next..end, &mut count);
                    next = end;
                }
                let (pulls, starts) = node.take_waited();
                summary.image_pull_waits.merge(&pulls);
                summary.container_start_waits.merge(&starts);
            }
        }
    }

    /// Adds the words that were counted.
    pub(super) fn hand_over(&mut self, summary: &mut FleetSummary) {
        for known in &mut self.known {
            known.hand_over(summary);
        }
    }

    /// Prepares a pod.
    fn invite(
        &mut self,
        position: usize,
        workload: &impl Workload,
        pod: u64,
        conditions: Conditions<'_>,
    ) {
        if self.guests.len() <= position {
            self.guests.push(Guest {
                life: Life::new(conditions.settings),
                script: PodScript::default(),
                record: Record::default(),
            });
        }
        let Guest { life, script, record } = &mut self.guests[position];
        script.clear();
        workload.script(pod, script);
        script.events.sort_by_key(|event| event.at);
        script.spec %= self.known.len();
        let begins_at = self.begins_at + script.begins_after;
        record.begin(begins_at, conditions.costs.spec(script.spec).is_some());
        let known = &self.known[script.spec];
        if known.automaton.is_none() {
            return;
        }
        life.begin(known.spec, script, (begins_at, begins_at + conditions.horizon));
    }

    /// Runs the one pod that has been prepared.
    fn run_alone(&mut self, count: &mut Count<'_>) {
        let Self { known, alone, guests, .. } = self;
        let Some(Guest { life, script, record }) = guests.first_mut() else { return };
        let known = &mut known[script.spec];
        let pod = known.spec;
        if let Some(automaton) = known.automaton_for(script) {
            alone.begin(script.has_timed_pulls());
            let course = Course { pod, automaton, script, node: alone, observer: record };
            match life.run(course) {
                Ok(end) => {
                    count.finish(record, script, life.restarts, end);
                    record.count(&mut known.tallies);
                    return;
                }
                Err(TooManyStates) => known.give_up(count.summary),
            }
        }
        count.run_plainly(pod, script, record);
    }

    /// Runs pods that share a node.
    fn run_node(
        &mut self,
        node: &mut SharedNode,
        workload: &impl Workload,
        pods: Range<u64>,
        count: &mut Count<'_>,
    ) {
        node.begin();
        for (position, pod) in pods.enumerate() {
            self.invite(position, workload, pod, count.conditions);
            let begins_at = self.begins_at + self.guests[position].script.begins_after;
            self.queue.push(Reverse((begins_at, position)));
        }
        while let Some(Reverse((now, position))) = self.queue.pop() {
            let Self { known, guests, queue, .. } = self;
            let Guest { life, script, record } = &mut guests[position];
            let known = &mut known[script.spec];
            let pod = known.spec;
            let Some(automaton) = known.automaton_for(script) else {
                count.run_plainly(pod, script, record);
                continue;
            };
            let mut course = Course { pod, automaton, script, node, observer: record };
            match life.step(&mut course, now) {
                Ok(Next::At(next)) => queue.push(Reverse((next, position))),
                Ok(Next::Over(at, end)) => {
                    count.finish(record, script, life.restarts, (at, end));
                    record.count(&mut known.tallies);
                }
                Err(TooManyStates) => {
                    known.give_up(count.summary);
                    count.run_plainly(pod, script, record);
                }
            }
        }
    }
}

impl<'a> Known<'a> {
    /// The automaton, if it covers the script.
    fn automaton_for(&mut self, script: &PodScript) -> Option<&mut Automaton<'a>> {
        let covered = script.events.iter().all(|event| is_covered(&event.event));
        self.automaton.as_mut().filter(|_| covered)
    }

    fn hand_over(&mut self, summary: &mut FleetSummary) {
        let words = self.automaton.iter().flat_map(Automaton::statuses);
        for (word, tally) in words.zip(self.tallies.drain(..)) {
            if tally != StatusTally::default() {
                summary.tally(word, tally);
            }
        }
    }

    /// From now on the spec's pods are simulated plainly. What the pods before have counted stays
    /// with the words that they have.
    fn give_up(&mut self, summary: &mut FleetSummary) {
        self.hand_over(summary);
        self.automaton = None;
    }
}

impl Count<'_> {
    /// A life is over.
    fn finish(
        &mut self,
        record: &mut Record,
        script: &PodScript,
        restarts: i64,
        (now, end): (Timestamp, End),
    ) {
        let Conditions { horizon, costs, .. } = self.conditions;
        let stays = matches!(end, End::Steady | End::Truncated);
        record.finish((now, end), record.begins_at + horizon, restarts, self.summary);
        if let Some(cost) = costs.spec(script.spec) {
            let since = |at: Timestamp| at.saturating_duration_since(self.begins_at);
            let stay = (since(record.begins_at), (!stays).then(|| since(now)));
            self.summary.resources.count(cost, stay, record.runs.since(self.begins_at));
        }
    }

    /// Runs a pod in the plain simulation.
    fn run_plainly(&mut self, spec: &PodSpec, script: &PodScript, record: &mut Record) {
        let Conditions { settings, horizon, .. } = self.conditions;
        let scenario = script.scenario(spec, settings, horizon);
        record.begin(scenario.begins_at, record.is_metered);
        let timeline = simulate(spec, &scenario);
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
        if record.is_metered {
            note_runs(spec, &timeline, record);
        }
        let restarts = timeline.steps.last().map_or(0, |last| restarts(&last.status));
        self.finish(record, script, restarts.into(), (now, timeline.end));
        self.summary.simulated_plainly += 1;
        let mut tallies = Vec::new();
        record.count(&mut tallies);
        for (word, tally) in words.iter().zip(tallies) {
            self.summary.tally(word, tally);
        }
    }
}

/// Notes when containers have started and ended, as the statuses tell it: in whole seconds. Where
/// they do not tell of an end, because the record of the run was removed, it is the next start.
fn note_runs(spec: &PodSpec, timeline: &Timeline, record: &mut Record) {
    let mut ended: Vec<SmolStr> = Vec::new();
    let mut open: Vec<Option<SmolStr>> = alloc::vec![None; spec.containers().len()];
    for status in timeline.steps.iter().map(|step| &step.status) {
        let lists = [&status.init_container_statuses, &status.container_statuses];
        for status in lists.into_iter().flatten() {
            let Some(container) = spec.find(&status.name) else { continue };
            let slot = container.slot();
            for state in [&status.last_termination_state, &status.state] {
                let running =
                    state.running.as_ref().map(|r| (&status.container_id, r.started_at, None));
                let terminated = state.terminated.as_ref();
                let terminated = terminated.map(|t| (&t.container_id, t.started_at, t.finished_at));
                let Some((id, Some(start), end)) = running.or(terminated) else { continue };
                if ended.contains(id) {
                    continue;
                }
                if open[slot].as_ref() != Some(id) {
                    if let Some(earlier) = open[slot].replace(id.clone()) {
                        record.runs.note(start, slot, false);
                        ended.push(earlier);
                    }
                    record.runs.note(start, slot, true);
                }
                if let Some(end) = end {
                    record.runs.note(end, slot, false);
                    ended.push(id.clone());
                    open[slot] = None;
                }
            }
        }
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
    /// Is it noted when containers run?
    is_metered: bool,
    runs: Runs,
}

impl Record {
    fn begin(&mut self, now: Timestamp, is_metered: bool) {
        self.is_metered = is_metered;
        self.runs.clear();
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

    fn runs(&mut self, at: Timestamp, container: usize, starts: bool) {
        if self.is_metered {
            self.runs.note(at, container, starts);
        }
    }
}

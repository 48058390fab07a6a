//! One pod on its way through an automaton, with all that needs a clock.

use smallvec::SmallVec;

use super::super::runtime::{Probe, probe_changes};
use super::super::timeline::End;
use super::automaton::{
    Automaton, ContainerEvent, ExitId, Mask, Shown, StateId, SyncEffect, SyncInput, TooManyStates,
};
use super::workload::{MAX_STEPS, PodScript};
use crate::backoff::BackOff;
use crate::observation::ProbeResult;
use crate::sim::engine::MAX_SYNCS_AT_ONCE;
use crate::spec::{ContainerIndex, PodSpec};
use crate::time::Timestamp;
use crate::worker::{SyncKind, WorkerSettings, wake_after_errors};

/// Is told what the API shows of a pod whenever that changes.
pub(super) trait Observer {
    fn shows(&mut self, now: Timestamp, shown: Shown);
}

/// The attempts of a container that are still to fail.
#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    pull: u32,
    create: u32,
    start: u32,
}

#[derive(Clone, Debug)]
struct Slot {
    /// When its run ends by itself, and how.
    ends: Option<(Timestamp, ExitId)>,
    /// What its probes will say in this run.
    probes: SmallVec<[(Timestamp, Probe, ProbeResult); 2]>,
    /// When it last ended.
    ended: Option<Timestamp>,
    starts: usize,
    failures: Failures,
}

/// A pod's life under way.
#[derive(Clone, Debug)]
pub(super) struct Life {
    state: StateId,
    begins_at: Timestamp,
    asked_for: Option<Timestamp>,
    slots: SmallVec<[Slot; 4]>,
    /// By container.
    crash_loops: BackOff<u16>,
    /// By the first container that has the image.
    pulls: BackOff<u16>,
    /// Containers some of whose attempts are still to fail.
    failing: Mask,
    /// The sum of all restart counts.
    pub(super) restarts: i64,
    syncs: usize,
}

impl Life {
    pub(super) fn new(settings: WorkerSettings) -> Self {
        Self {
            state: StateId::FIRST,
            begins_at: Timestamp::UNIX_EPOCH,
            asked_for: None,
            slots: SmallVec::new(),
            crash_loops: BackOff::new(settings.crash_loop_back_off),
            pulls: BackOff::new(settings.image_pull_back_off),
            failing: 0,
            restarts: 0,
            syncs: 0,
        }
    }

    /// Begins anew.
    fn begin(&mut self, pod: &PodSpec, script: &PodScript, begins_at: Timestamp) {
        self.state = StateId::FIRST;
        self.begins_at = begins_at;
        self.asked_for = None;
        self.crash_loops.clear();
        self.pulls.clear();
        self.failing = 0;
        self.restarts = 0;
        self.syncs = 0;
        self.slots.clear();
        for slot in 0..pod.containers().len() {
            let script = script.get(slot);
            let failures = Failures {
                pull: script.image_pull_failures,
                create: script.create_failures,
                start: script.start_failures,
            };
            self.slots.push(Slot {
                ends: None,
                probes: SmallVec::new(),
                ended: None,
                starts: 0,
                failures,
            });
            self.note_failing(slot);
        }
    }

    /// Runs a pod from its beginning to its end, at the latest `until`.
    pub(super) fn run(
        &mut self,
        pod: &PodSpec,
        automaton: &mut Automaton<'_>,
        script: &PodScript,
        (begins_at, until): (Timestamp, Timestamp),
        observer: &mut impl Observer,
    ) -> Result<(Timestamp, End), TooManyStates> {
        self.begin(pod, script, begins_at);
        let mut now = begins_at;
        let mut due = true;
        loop {
            if due {
                self.sync_at(pod, automaton, script, now, observer)?;
            }
            if automaton.shown(self.state).kind == SyncKind::Finished {
                return Ok((now, End::Terminal));
            }
            let Some(next) = self.next_instant() else { return Ok((now, End::Steady)) };
            if next > until || self.syncs > MAX_STEPS {
                return Ok((now, End::Truncated));
            }
            now = next.max(now);
            due = self.advance_to(automaton, now)?;
        }
    }

    fn next_instant(&self) -> Option<Timestamp> {
        let changes = self.slots.iter().flat_map(|slot| {
            let end = slot.ends.map(|(at, _)| at);
            end.into_iter().chain(slot.probes.iter().map(|(at, ..)| *at))
        });
        changes.chain(self.asked_for).min()
    }

    /// Lets everything happen that is due; is there something to sync for?
    fn advance_to(
        &mut self,
        automaton: &mut Automaton<'_>,
        now: Timestamp,
    ) -> Result<bool, TooManyStates> {
        let mut due = self.asked_for.is_some_and(|at| at <= now);
        for (container, slot) in self.slots.iter_mut().enumerate() {
            let end = slot.ends.filter(|(at, _)| *at <= now);
            for (at, probe, result) in &slot.probes {
                // What was due when the run had ended does not happen.
                if *at <= now && end.is_none_or(|(end, _)| *at < end) {
                    let event = ContainerEvent::Probe(*probe, *result);
                    self.state = automaton.event(self.state, container, event)?;
                    due = true;
                }
            }
            if let Some((at, exit)) = end {
                let event = ContainerEvent::Exit(exit);
                self.state = automaton.event(self.state, container, event)?;
                slot.stop(at);
                due = true;
            } else {
                slot.probes.retain(|(at, ..)| *at > now);
            }
        }
        Ok(due)
    }

    /// Syncs; again as long as a sync makes something start or end, or asks for another one.
    fn sync_at(
        &mut self,
        pod: &PodSpec,
        automaton: &mut Automaton<'_>,
        script: &PodScript,
        now: Timestamp,
        observer: &mut impl Observer,
    ) -> Result<(), TooManyStates> {
        for _ in 0..MAX_SYNCS_AT_ONCE {
            let effect = automaton.sync(self.state, self.input(pod, now))?;
            self.syncs += 1;
            self.take(pod, automaton, script, effect, now);
            let shown = automaton.shown(self.state);
            observer.shows(now, shown);
            if shown.kind == SyncKind::Finished || !(effect.again || effect.changed) {
                return Ok(());
            }
        }
        self.asked_for = self.asked_for.filter(|at| *at > now);
        Ok(())
    }

    /// When the pod's `activeDeadlineSeconds` have passed; its start is told in whole seconds.
    fn deadline(&self, pod: &PodSpec) -> Option<Timestamp> {
        Some(self.begins_at.truncate_to_second() + pod.active_deadline()?)
    }

    fn input(&self, pod: &PodSpec, now: Timestamp) -> SyncInput {
        let mut input = SyncInput {
            past_deadline: self.deadline(pod).is_some_and(|deadline| deadline <= now),
            ..SyncInput::default()
        };
        if self.failing != 0 || !self.crash_loops.is_empty() || !self.pulls.is_empty() {
            for (container, slot) in self.slots.iter().enumerate() {
                let bit = |holds: bool| Mask::from(holds) << container;
                let key = container as u16;
                let held = slot.ended.is_some_and(|ended| {
                    self.crash_loops.in_back_off_since(&key, ended, now).is_some()
                });
                input.held |= bit(held);
                let pull = self.pulls.in_back_off_since_update(&image_key(pod, container), now);
                input.pull_held |= bit(pull.is_some());
                input.pull_fails |= bit(slot.failures.pull > 0);
                input.create_fails |= bit(slot.failures.create > 0);
                input.start_fails |= bit(slot.failures.start > 0);
            }
        }
        input
    }

    /// Takes in what a sync has done.
    fn take(
        &mut self,
        pod: &PodSpec,
        automaton: &mut Automaton<'_>,
        script: &PodScript,
        effect: SyncEffect,
        now: Timestamp,
    ) {
        self.state = effect.to;
        self.restarts += i64::from(effect.restarts);
        let touched = effect.stopped | effect.started | effect.advanced | effect.held;
        let failed = effect.pull_failed | effect.create_failed | effect.start_failed;
        let mut expiry: Option<Timestamp> = None;
        for container in bits(touched | failed) {
            let Some(slot) = self.slots.get_mut(container) else { continue };
            let has = |mask: Mask| mask >> container & 1 == 1;
            let key = container as u16;
            // What was decided counts from the end that was seen, also of one that was just killed.
            if let Some(ended) = slot.ended {
                if has(effect.held)
                    && let Some(delay) = self.crash_loops.in_back_off_since(&key, ended, now)
                {
                    let expires = ended + delay;
                    expiry = Some(expiry.map_or(expires, |earlier| earlier.min(expires)));
                }
                if has(effect.advanced) {
                    self.crash_loops.advance(key, ended, now);
                }
            }
            if has(effect.stopped) {
                slot.stop(now);
            }
            if has(effect.started) {
                let script = script.get(container);
                let run = script.run(slot.starts);
                slot.starts += 1;
                slot.ends = run.lasts.map(|lasts| (now + lasts, automaton.exit(container, run)));
                let declared = pod.container(ContainerIndex::new(container));
                slot.probes.clear();
                slot.probes.extend(probe_changes(declared, script, now));
            }
            if has(failed) {
                let failures = &mut slot.failures;
                failures.pull -= u32::from(has(effect.pull_failed));
                failures.create -= u32::from(has(effect.create_failed));
                failures.start -= u32::from(has(effect.start_failed));
                if has(effect.pull_failed) {
                    self.pulls.advance(image_key(pod, container), now, now);
                }
                self.note_failing(container);
            }
        }
        let living = automaton.shown(effect.to).kind == SyncKind::Pod;
        let deadline = self.deadline(pod).filter(|_| living);
        let retry = effect.failed.then(|| wake_after_errors(pod, expiry, now).0);
        self.asked_for =
            if effect.again { Some(now) } else { [deadline, retry].into_iter().flatten().min() };
    }

    fn note_failing(&mut self, container: usize) {
        let Failures { pull, create, start } = self.slots[container].failures;
        let bit = 1 << container;
        self.failing =
            if pull | create | start > 0 { self.failing | bit } else { self.failing & !bit };
    }
}

impl Slot {
    fn stop(&mut self, at: Timestamp) {
        self.ends = None;
        self.probes.clear();
        self.ended = Some(at);
    }
}

/// The containers of a mask.
fn bits(mut mask: Mask) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let lowest = (mask != 0).then(|| mask.trailing_zeros() as usize)?;
        mask &= mask - 1;
        Some(lowest)
    })
}

/// Containers with the same image share a back-off.
fn image_key(pod: &PodSpec, container: usize) -> u16 {
    let containers = pod.containers();
    let image = containers.get(container).map(|container| container.image());
    let first = containers.iter().position(|other| Some(other.image()) == image);
    first.unwrap_or(container) as u16
}

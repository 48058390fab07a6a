//! One pod on its way through an automaton, with all that needs a clock.

use core::time::Duration;

use smallvec::SmallVec;

use super::automaton::{
    Automaton, ContainerEvent, ExitId, Mask, Shown, StateId, SyncEffect, SyncInput, TooManyStates,
};
use super::workload::{MAX_STEPS, PodScript};
use crate::backoff::BackOff;
use crate::observation::ProbeResult;
use crate::pod::{Container, ContainerIndex, ContainerKind, PodSpec};
use crate::sim::agenda::{Agenda, Next as Due, Synced};
use crate::sim::runtime::{Probe, probe_changes};
use crate::sim::scenario::PodEvent;
use crate::sim::timeline::End;
use crate::time::Timestamp;
use crate::worker::{SyncKind, WorkerSettings, wake_after_errors};

/// Is told what becomes of a pod.
pub(super) trait Observer {
    /// What the API shows from `now` on.
    fn shows(&mut self, now: Timestamp, shown: Shown);

    /// A container starts or ends.
    fn runs(&mut self, at: Timestamp, container: usize, starts: bool);
}

/// What pods on a node wait for.
pub(super) trait Node {
    /// When the pull of a container's image that is asked for at `at` is over.
    fn pull(&mut self, container: &Container, at: Timestamp, pull: Pull) -> Timestamp;

    /// When the start of a container that is asked for at `at` is over.
    fn start(&mut self, at: Timestamp, lasts: Duration) -> Timestamp;
}

/// A pull of an image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pull {
    pub(super) lasts: Duration,
    pub(super) fails: bool,
}

/// What a life needs to advance.
pub(super) struct Course<'c, 'a, N, O> {
    pub(super) pod: &'a PodSpec,
    pub(super) automaton: &'c mut Automaton<'a>,
    pub(super) script: &'c PodScript,
    pub(super) node: &'c mut N,
    pub(super) observer: &'c mut O,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    At(Timestamp),
    Over(Timestamp, End),
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
    /// The same as the sync under way has seen it.
    seen_end: Option<Timestamp>,
    runs: bool,
    starts: usize,
    failures: Failures,
}

/// What is done for a container in its turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Work {
    #[default]
    Turn,
    /// Until its image is pulled, or that has failed.
    Pull,
    Pulled,
    /// Until it is started, or that has failed.
    Start,
}

/// A sync that is being carried out, one container after the other.
#[derive(Clone, Copy, Debug, Default)]
struct Sync {
    began: Timestamp,
    from: StateId,
    input: SyncInput,
    effect: SyncEffect,
    /// The container whose turn it is.
    container: usize,
    work: Work,
    /// When the first back-off ends that has held a container.
    expiry: Option<Timestamp>,
}

/// A pod's life under way.
#[derive(Clone, Debug)]
pub(super) struct Life {
    state: StateId,
    begins_at: Timestamp,
    agenda: Agenda,
    /// The last sync, and whether it is still being carried out.
    sync: Sync,
    under_way: bool,
    has_begun: bool,
    slots: SmallVec<[Slot; 4]>,
    /// By container.
    crash_loops: BackOff<u16>,
    /// By the first container that has the image.
    pulls: BackOff<u16>,
    /// Containers some of whose attempts are still to fail.
    failing: Mask,
    /// The sum of all restart counts.
    pub(super) restarts: i64,
}

impl Life {
    pub(super) fn new(settings: WorkerSettings) -> Self {
        Self {
            state: StateId::FIRST,
            begins_at: Timestamp::UNIX_EPOCH,
            agenda: Agenda::new(Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH, MAX_STEPS),
            sync: Sync::default(),
            under_way: false,
            has_begun: false,
            slots: SmallVec::new(),
            crash_loops: BackOff::new(settings.crash_loop_back_off),
            pulls: BackOff::new(settings.image_pull_back_off),
            failing: 0,
            restarts: 0,
        }
    }

    /// Begins anew; nothing happens after `until`.
    pub(super) fn begin(
        &mut self,
        pod: &PodSpec,
        script: &PodScript,
        (begins_at, until): (Timestamp, Timestamp),
    ) {
        self.state = StateId::FIRST;
        self.begins_at = begins_at;
        self.agenda = Agenda::new(begins_at, until, MAX_STEPS);
        self.under_way = false;
        self.has_begun = false;
        self.crash_loops.clear();
        self.pulls.clear();
        self.failing = 0;
        self.restarts = 0;
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
                seen_end: None,
                runs: false,
                starts: 0,
                failures,
            });
            self.note_failing(slot);
        }
    }

    /// Runs a pod that has begun to its end.
    pub(super) fn run(
        &mut self,
        mut course: Course<'_, '_, impl Node, impl Observer>,
    ) -> Result<(Timestamp, End), TooManyStates> {
        let mut now = self.begins_at;
        loop {
            match self.step(&mut course, now)? {
                Next::At(next) => now = next,
                Next::Over(at, end) => return Ok((at, end)),
            }
        }
    }

    /// Goes on at `now`: at the beginning, or when it was said that it would go on.
    #[inline]
    pub(super) fn step(
        &mut self,
        course: &mut Course<'_, '_, impl Node, impl Observer>,
        now: Timestamp,
    ) -> Result<Next, TooManyStates> {
        // The first sync comes before everything else.
        if !self.under_way && self.has_begun && !self.advance_to(course, now)? {
            return Ok(self.next(course, now));
        }
        self.has_begun = true;
        loop {
            if !self.under_way {
                self.begin_sync(course, now)?;
            }
            if let Some(at) = self.carry_out(course, now)? {
                return Ok(Next::At(at));
            }
            if !self.end_sync(course, now) {
                return Ok(self.next(course, now));
            }
        }
    }

    fn next<N, O>(&self, course: &Course<'_, '_, N, O>, now: Timestamp) -> Next {
        let shown = course.automaton.shown(self.state);
        if shown.kind == SyncKind::Finished {
            return Next::Over(now, if shown.is_deleted { End::Deleted } else { End::Terminal });
        }
        let change = self.slots.iter().flat_map(|slot| {
            let end = slot.ends.map(|(at, _)| at);
            end.into_iter().chain(slot.probes.iter().map(|(at, ..)| *at))
        });
        match self.agenda.next(&course.script.events, change.min(), now) {
            Due::At(next) => Next::At(next),
            Due::Nothing => Next::Over(now, End::Steady),
            Due::Truncated => Next::Over(now, End::Truncated),
        }
    }

    /// Lets everything happen that is due. Returns `true` if there is something to sync for.
    fn advance_to(
        &mut self,
        course: &mut Course<'_, '_, impl Node, impl Observer>,
        now: Timestamp,
    ) -> Result<bool, TooManyStates> {
        let mut due = self.agenda.take_due(now);
        for (container, slot) in self.slots.iter_mut().enumerate() {
            let end = slot.ends.filter(|(at, _)| *at <= now);
            for (at, probe, result) in &slot.probes {
                // What was due when the run had ended does not happen.
                if *at <= now && end.is_none_or(|(end, _)| *at < end) {
                    let event = ContainerEvent::Probe(*probe, *result);
                    self.state = course.automaton.event(self.state, container, event)?;
                    due = true;
                }
            }
            if let Some((at, exit)) = end {
                let event = ContainerEvent::Exit(exit);
                self.state = course.automaton.event(self.state, container, event)?;
                slot.stop(at);
                course.observer.runs(at, container, false);
                due = true;
            } else {
                slot.probes.retain(|(at, ..)| *at > now);
            }
        }
        let script = course.script;
        while let Some(event) = self.agenda.take_event(&script.events, now) {
            due = true;
            self.happen(course, event, now)?;
        }
        Ok(due)
    }

    /// Something happens to the pod.
    fn happen(
        &mut self,
        course: &mut Course<'_, '_, impl Node, impl Observer>,
        event: &PodEvent,
        now: Timestamp,
    ) -> Result<(), TooManyStates> {
        self.state = course.automaton.pod_event(self.state, event)?;
        let running = course.automaton.shown(self.state).running;
        for (container, slot) in self.slots.iter_mut().enumerate() {
            if slot.runs && running >> container & 1 == 0 {
                slot.stop(now);
                course.observer.runs(now, container, false);
            }
            let declared = course.pod.container(ContainerIndex::new(container));
            let removed = *event == PodEvent::InitRecordsRemoved && !slot.runs;
            if removed && declared.kind() != ContainerKind::App {
                slot.ended = None;
            }
        }
        Ok(())
    }

    /// Finds out what a sync does, and stops what it stops.
    fn begin_sync(
        &mut self,
        course: &mut Course<'_, '_, impl Node, impl Observer>,
        now: Timestamp,
    ) -> Result<(), TooManyStates> {
        self.crash_loops.collect_garbage(now);
        let input = self.input(course.pod, now);
        let from = self.state;
        let effect = course.automaton.sync(from, input)?;
        for container in bits(effect.stopped | effect.turns()) {
            let Some(slot) = self.slots.get_mut(container) else { continue };
            // What is decided counts from the end that was seen, also of one that is killed now.
            slot.seen_end = slot.ended;
            if effect.stopped >> container & 1 == 1 {
                slot.stop(now);
                course.observer.runs(now, container, false);
            }
        }
        let (container, work) = (0, Work::Turn);
        self.sync = Sync { began: now, from, input, effect, container, work, expiry: None };
        self.under_way = true;
        Ok(())
    }

    /// Carries a sync out as far as it takes no time; gives when it goes on.
    fn carry_out(
        &mut self,
        course: &mut Course<'_, '_, impl Node, impl Observer>,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, TooManyStates> {
        let pod = course.pod;
        loop {
            let rest = self.sync.effect.turns()
                & Mask::MAX.checked_shl(self.sync.container as u32).unwrap_or(0);
            let Some(container) = bits(rest).next().filter(|c| *c < self.slots.len()) else {
                return Ok(None);
            };
            if container != self.sync.container {
                (self.sync.container, self.sync.work) = (container, Work::Turn);
            }
            let declared = pod.container(ContainerIndex::new(container));
            let has = |mask: Mask| mask >> container & 1 == 1;
            let script = course.script.get(container);
            let slot = &mut self.slots[container];
            match self.sync.work {
                Work::Turn => {
                    let key = container as u16;
                    let delay = slot.seen_end.and_then(|ended| {
                        let delay = self.crash_loops.in_back_off_since(&key, ended, now)?;
                        Some(ended + delay)
                    });
                    if has(self.sync.effect.held) {
                        if delay.is_none() && now > self.sync.began {
                            // Its back-off has ended while others were pulled or started.
                            self.sync.input.held &= !(1 << container);
                            self.sync.effect =
                                course.automaton.sync(self.sync.from, self.sync.input)?;
                            continue;
                        }
                        self.sync.expiry = [self.sync.expiry, delay].into_iter().flatten().min();
                    }
                    if has(self.sync.effect.advanced)
                        && let Some(ended) = slot.seen_end
                    {
                        self.crash_loops.advance(key, ended, now);
                    }
                    self.sync.work = Work::Pulled;
                    if has(self.sync.effect.pulled) {
                        self.sync.work = Work::Pull;
                        let fails = has(self.sync.effect.pull_failed);
                        let pull = Pull { lasts: script.image_pull_lasts, fails };
                        let at = course.node.pull(declared, now, pull);
                        if at > now {
                            return Ok(Some(at));
                        }
                    }
                }
                Work::Pull if has(self.sync.effect.pull_failed) => {
                    slot.failures.pull -= 1;
                    self.pulls.advance(image_key(pod, container), now, now);
                    self.note_failing(container);
                    self.sync.next_turn();
                }
                Work::Pull => self.sync.work = Work::Pulled,
                Work::Pulled if has(self.sync.effect.create_failed) => {
                    slot.failures.create -= 1;
                    self.note_failing(container);
                    self.sync.next_turn();
                }
                Work::Pulled if has(self.sync.effect.started | self.sync.effect.start_failed) => {
                    self.sync.work = Work::Start;
                    let at = course.node.start(now, script.start_lasts);
                    if at > now {
                        return Ok(Some(at));
                    }
                }
                Work::Start if has(self.sync.effect.start_failed) => {
                    slot.failures.start -= 1;
                    self.note_failing(container);
                    self.sync.next_turn();
                }
                Work::Start => {
                    let run = script.run(slot.starts);
                    slot.starts += 1;
                    slot.runs = true;
                    slot.ends =
                        run.lasts.map(|lasts| (now + lasts, course.automaton.exit(container, run)));
                    slot.probes.clear();
                    slot.probes.extend(probe_changes(declared, script, now));
                    course.observer.runs(now, container, true);
                    self.sync.next_turn();
                }
                Work::Pulled => self.sync.next_turn(),
            }
        }
    }

    /// The sync is over. Returns `true` if another one is due at once.
    fn end_sync(
        &mut self,
        course: &mut Course<'_, '_, impl Node, impl Observer>,
        now: Timestamp,
    ) -> bool {
        let Sync { began, effect, expiry, .. } = self.sync;
        self.under_way = false;
        self.state = effect.to;
        self.restarts += i64::from(effect.restarts);
        if effect.is_step {
            self.agenda.count_step();
        }
        let shown = course.automaton.shown(self.state);
        course.observer.shows(began, shown);
        let deadline = self.deadline(course.pod).filter(|_| shown.kind == SyncKind::Pod);
        let retry = effect.failed.then(|| wake_after_errors(course.pod, expiry, now).0);
        let asked_for =
            if effect.again { Some(now) } else { [deadline, retry].into_iter().flatten().min() };
        let noticed = effect.changed.then_some(now);
        let synced = Synced { began, now, asked_for, noticed, again: effect.again };
        self.agenda.after_sync(synced) && shown.kind != SyncKind::Finished
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

    fn note_failing(&mut self, container: usize) {
        let Failures { pull, create, start } = self.slots[container].failures;
        let bit = 1 << container;
        self.failing =
            if pull | create | start > 0 { self.failing | bit } else { self.failing & !bit };
    }
}

impl Sync {
    fn next_turn(&mut self) {
        self.container += 1;
        self.work = Work::Turn;
    }
}

impl Slot {
    fn stop(&mut self, at: Timestamp) {
        self.runs = false;
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

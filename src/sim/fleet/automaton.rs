//! A pod's life as an automaton, whose table is filled in by the plain simulation as it is needed.
//!
//! What a sync does and what the API then shows depends on what state the pod's containers are in,
//! and not on when they got there, but for back-off and the pod's deadline. So a state of the
//! automaton is a [`PodWorker`] and a [`SimRuntime`] from which all times, texts, ids and numbers of
//! restarts were taken; and what a sync of it does is found out once, by doing it, for each answer
//! to the questions that need a clock ([`SyncInput`]). No rule of Kubernetes is written here.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

use smol_str::SmolStr;

use crate::fnv::Fnv1a;
use crate::kubectl::{StatusColumn, columns};
use crate::observation::{Exit, ProbeResult};
use crate::pod::{ContainerIndex, PodSpec};
use crate::runtime::{SyncPodError, sync_pod};
use crate::sim::engine::tell;
use crate::sim::runtime::abstraction::Attempts;
use crate::sim::runtime::{Probe, SimError, SimRuntime};
use crate::sim::scenario::{PodEvent, Run, Scenario};
use crate::status::{PodPhase, PodStatus, condition_type};
use crate::time::Timestamp;
use crate::worker::{NextSync, PodWorker, SyncKind, WorkerSettings};

/// The containers of a pod as bits.
pub(super) type Mask = u16;
/// A pod that has more containers is simulated plainly.
pub(super) const MAX_CONTAINERS: usize = 16;
/// A pod whose life needs more states is simulated plainly from the beginning.
const MAX_STATES: usize = 1 << 16;

/// The instant of every state.
const THEN: Timestamp = Timestamp::from_secs(1_767_225_600);

/// A state of an automaton.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StateId(u32);

impl StateId {
    pub(super) const FIRST: Self = Self(0);
}

/// A word of the STATUS column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StatusId(pub(super) u16);

/// A way in which a container ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ExitId(u32);

/// What a sync asks a clock or a script for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SyncInput {
    /// Held back by their crash-loop back-off.
    pub(super) held: Mask,
    /// Held back by the back-off of their image's pull.
    pub(super) pull_held: Mask,
    /// The next attempt fails.
    pub(super) pull_fails: Mask,
    pub(super) create_fails: Mask,
    pub(super) start_fails: Mask,
    /// The pod's `activeDeadlineSeconds` have passed.
    pub(super) past_deadline: bool,
}

/// What a sync did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SyncEffect {
    pub(super) to: StateId,
    /// Stopped.
    pub(super) stopped: Mask,
    /// Started; those that were stopped too are running again.
    pub(super) started: Mask,
    /// Their crash-loop series goes on.
    pub(super) advanced: Mask,
    /// Not started because of crash-loop back-off.
    pub(super) held: Mask,
    /// Tried to be pulled.
    pub(super) pulled: Mask,
    /// Attempts that failed.
    pub(super) pull_failed: Mask,
    pub(super) create_failed: Mask,
    pub(super) start_failed: Mask,
    /// Something failed.
    pub(super) failed: bool,
    /// Something has started or ended by it.
    pub(super) changed: bool,
    /// Another sync is due at once.
    pub(super) again: bool,
    /// It called the runtime or changed a status.
    pub(super) is_step: bool,
    /// By how much the sum of the containers' restart counts has grown.
    pub(super) restarts: i32,
}

/// What the API shows in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) kind: SyncKind,
    pub(super) phase: PodPhase,
    pub(super) status: StatusId,
    /// The containers that are ready.
    pub(super) ready: u16,
    /// The condition `Initialized`.
    pub(super) is_initialized: bool,
    /// The condition `Ready`.
    pub(super) is_ready: bool,
    /// The containers that run.
    pub(super) running: Mask,
    /// The pod was asked to go.
    pub(super) is_deleted: bool,
}

impl SyncEffect {
    /// The containers for which something is done but stopping them.
    pub(super) fn turns(&self) -> Mask {
        let failed = self.pull_failed | self.create_failed | self.start_failed;
        self.started | self.advanced | self.held | self.pulled | failed
    }
}

/// What happens to a container by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContainerEvent {
    Exit(ExitId),
    Probe(Probe, ProbeResult),
}

/// Does the automaton know of such events? Pods to which others happen are simulated plainly.
pub(super) fn is_covered(event: &PodEvent) -> bool {
    match event {
        PodEvent::SandboxLost
        | PodEvent::InitRecordsRemoved
        | PodEvent::PodDeleted { .. }
        | PodEvent::Evicted(_) => true,
        PodEvent::InstanceVanished { .. }
        | PodEvent::RuntimeUnavailable { .. }
        | PodEvent::KubeletRestarted
        | PodEvent::ImageChanged { .. } => false,
    }
}

/// The memory and the runtime of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Pod {
    worker: PodWorker,
    runtime: SimRuntime,
}

#[derive(Debug)]
struct State {
    pod: Box<Pod>,
    shown: Shown,
    syncs: Vec<(SyncInput, SyncEffect)>,
    events: Vec<(u16, ContainerEvent, StateId)>,
    pod_events: Vec<(PodEvent, StateId)>,
}

/// The table has become too large.
#[derive(Clone, Copy, Debug)]
pub(super) struct TooManyStates;

/// All that can become of the pods of one spec, as far as it was needed.
#[derive(Debug)]
pub(super) struct Automaton<'a> {
    pod: &'a PodSpec,
    settings: WorkerSettings,
    states: Vec<State>,
    by_hash: BTreeMap<u64, Vec<StateId>>,
    statuses: Vec<StatusColumn>,
    exits: Vec<Exit>,
    /// Which run of which container ends in which way.
    runs: Vec<(u16, i32, Option<SmolStr>, ExitId)>,
}

impl<'a> Automaton<'a> {
    /// An automaton that knows its first state alone; `None`: this pod is not one for it.
    pub(super) fn new(pod: &'a PodSpec, settings: WorkerSettings) -> Option<Self> {
        if pod.containers().len() > MAX_CONTAINERS || pod.ephemeral_containers().len() > 0 {
            return None;
        }
        let settings = WorkerSettings { kubelet_started_at: None, ..settings };
        let scenario = Scenario { begins_at: THEN, ..Scenario::default() };
        let first =
            Pod { worker: PodWorker::new(settings), runtime: SimRuntime::new(pod, &scenario) };
        let mut automaton = Self {
            pod,
            settings,
            states: Vec::new(),
            by_hash: BTreeMap::new(),
            statuses: Vec::new(),
            exits: Vec::new(),
            runs: Vec::new(),
        };
        automaton.state(first).ok()?;
        Some(automaton)
    }

    pub(super) fn shown(&self, state: StateId) -> Shown {
        self.states[state.0 as usize].shown
    }

    /// The words of the STATUS column, by [`StatusId`].
    pub(super) fn statuses(&self) -> &[StatusColumn] {
        &self.statuses
    }

    pub(super) fn len(&self) -> usize {
        self.states.len()
    }

    /// The way in which a run of a container ends. Exit codes that no rule tells apart are one way.
    pub(super) fn exit(&mut self, container: usize, run: &Run) -> ExitId {
        let slot = container as u16;
        let known = self.runs.iter().find(|(of, code, reason, _)| {
            (*of, *code) == (slot, run.exit_code) && *reason == run.reason
        });
        if let Some((.., id)) = known {
            return *id;
        }
        let mut exit = run.exit(THEN);
        if !exit.reason.is_empty() {
            exit.exit_code = self.alike(ContainerIndex::new(container), exit.exit_code);
        }
        let known = self.exits.iter().position(|known| *known == exit);
        let id = ExitId(known.unwrap_or_else(|| {
            self.exits.push(exit);
            self.exits.len() - 1
        }) as u32);
        self.runs.push((slot, run.exit_code, run.reason.clone(), id));
        id
    }

    /// An exit code that all rules take for the same: only 0 and those that a rule names differ.
    fn alike(&self, container: ContainerIndex, exit_code: i32) -> i32 {
        let rules = self.pod.container(container).restart_policy_rules();
        let is_named = |code: i32| rules.iter().any(|rule| rule.values.contains(&code));
        if exit_code == 0 || is_named(exit_code) {
            return exit_code;
        }
        (1..=i32::MAX).find(|code| !is_named(*code)).unwrap_or(exit_code)
    }

    /// The state after something has happened to a container.
    pub(super) fn event(
        &mut self,
        from: StateId,
        container: usize,
        event: ContainerEvent,
    ) -> Result<StateId, TooManyStates> {
        let slot = container as u16;
        let known = &self.states[from.0 as usize].events;
        if let Some((.., to)) = known.iter().find(|known| (known.0, known.1) == (slot, event)) {
            return Ok(*to);
        }
        let mut pod = (*self.states[from.0 as usize].pod).clone();
        let index = ContainerIndex::new(container);
        match event {
            ContainerEvent::Exit(id) => {
                pod.runtime.exit(index, self.exits[id.0 as usize].clone());
            }
            ContainerEvent::Probe(probe, result) => pod.runtime.set_probe(index, probe, result),
        }
        let to = self.state(pod)?;
        self.states[from.0 as usize].events.push((slot, event, to));
        Ok(to)
    }

    /// The state after something has happened to the pod that [is covered](is_covered).
    pub(super) fn pod_event(
        &mut self,
        from: StateId,
        event: &PodEvent,
    ) -> Result<StateId, TooManyStates> {
        let known = &self.states[from.0 as usize].pod_events;
        if let Some((_, to)) = known.iter().find(|(known, _)| known == event) {
            return Ok(*to);
        }
        let mut pod = (*self.states[from.0 as usize].pod).clone();
        pod.runtime.befall(self.pod, event);
        tell(&mut pod.worker, self.settings, event, THEN);
        let to = self.state(pod)?;
        self.states[from.0 as usize].pod_events.push((event.clone(), to));
        Ok(to)
    }

    /// What a sync does, and the state after it.
    pub(super) fn sync(
        &mut self,
        from: StateId,
        input: SyncInput,
    ) -> Result<SyncEffect, TooManyStates> {
        let known = &self.states[from.0 as usize].syncs;
        if let Some((_, effect)) = known.iter().find(|(known, _)| *known == input) {
            return Ok(*effect);
        }
        let effect = self.find_out(from, input)?;
        self.states[from.0 as usize].syncs.push((input, effect));
        Ok(effect)
    }

    /// Does the sync.
    fn find_out(&mut self, from: StateId, input: SyncInput) -> Result<SyncEffect, TooManyStates> {
        let spec = self.pod;
        let before = &self.states[from.0 as usize].pod;
        let mut pod = (**before).clone();
        let indices: Vec<ContainerIndex> =
            (0..spec.containers().len()).map(ContainerIndex::new).collect();
        for index in &indices {
            let has = |mask: Mask| mask >> index.slot() & 1 == 1;
            if has(input.held) {
                pod.worker.hold_back(spec, *index, THEN);
            }
            if has(input.pull_held) {
                pod.worker.hold_pull_back(spec, *index, THEN);
            }
            let (pull, create) = (has(input.pull_fails), has(input.create_fails));
            let start = has(input.start_fails);
            pod.runtime.set_failing(*index, Attempts { pull, create, start });
        }
        let deadline = spec.active_deadline().filter(|_| input.past_deadline);
        pod.runtime.set_now(deadline.map_or(THEN, |deadline| THEN + deadline));
        // A runtime that follows no script can be asked at all times.
        pod.sync(spec).unwrap_or_default();

        let mask = |holds: &dyn Fn(ContainerIndex) -> bool| -> Mask {
            indices.iter().filter(|index| holds(**index)).map(|index| 1 << index.slot()).sum()
        };
        let errors =
            || pod.worker.results().iter().filter_map(|r| Some((&r.target, r.error.as_ref()?)));
        let calls = pod.runtime.calls();
        let effect = SyncEffect {
            to: StateId::FIRST,
            stopped: mask(&|index| {
                let runs = pod.runtime.running(index);
                before.runtime.running(index).iter().any(|id| !runs.contains(id))
            }),
            started: mask(&|index| pod.runtime.has_started(index)),
            advanced: mask(&|index| {
                input.held >> index.slot() & 1 == 0 && pod.worker.is_held_back(spec, index, THEN)
            }),
            held: mask(&|index| {
                let name = spec.container(index).name();
                errors().any(|(target, e)| target == name && e.back_off_expires.is_some())
            }),
            pulled: mask(&|index| {
                let name = Some(spec.container(index).name());
                calls.iter().any(|call| call.name == "PullImage" && call.container.as_ref() == name)
            }),
            pull_failed: input.pull_fails & !mask(&|index| pod.runtime.failing(index).pull),
            create_failed: input.create_fails & !mask(&|index| pod.runtime.failing(index).create),
            start_failed: input.start_fails & !mask(&|index| pod.runtime.failing(index).start),
            failed: errors().next().is_some(),
            changed: pod.runtime.changes() != 0,
            again: pod.worker.next_sync() == NextSync::Now,
            is_step: !calls.is_empty(),
            restarts: restarts(pod.worker.status()) - restarts(before.worker.status()),
        };
        let to = self.state(pod)?;
        let [before, after] = [from, to].map(|state| &self.states[state.0 as usize].pod.worker);
        let changed =
            (before.status(), before.api_status()) != (after.status(), after.api_status());
        Ok(SyncEffect { to, is_step: effect.is_step || changed, ..effect })
    }

    /// The state of a pod, known or new.
    fn state(&mut self, mut pod: Pod) -> Result<StateId, TooManyStates> {
        let renaming = pod.runtime.abstract_from(self.pod, THEN);
        pod.worker.abstract_from(self.pod, &renaming, THEN);
        let mut hash = Fnv1a::default();
        pod.hash(&mut hash);
        let hash = hash.finish();
        let alike = self.by_hash.get(&hash).into_iter().flatten();
        for id in alike {
            if *self.states[id.0 as usize].pod == pod {
                return Ok(*id);
            }
        }
        if self.states.len() == MAX_STATES {
            return Err(TooManyStates);
        }
        let id = StateId(self.states.len() as u32);
        let shown = self.show(&pod);
        self.by_hash.entry(hash).or_default().push(id);
        self.states.push(State {
            pod: Box::new(pod),
            shown,
            syncs: Vec::new(),
            events: Vec::new(),
            pod_events: Vec::new(),
        });
        Ok(id)
    }

    fn show(&mut self, pod: &Pod) -> Shown {
        let status = pod.worker.api_status();
        let deletion = pod.worker.deletion();
        let columns = columns(self.pod, status, deletion.map(|deletion| deletion.timestamp), THEN);
        let known = self.statuses.iter().position(|known| *known == columns.status);
        let id = known.unwrap_or_else(|| {
            self.statuses.push(columns.status);
            self.statuses.len() - 1
        });
        let runs = |slot: &usize| !pod.runtime.running(ContainerIndex::new(*slot)).is_empty();
        Shown {
            kind: pod.worker.kind(),
            phase: status.phase,
            status: StatusId(id as u16),
            ready: columns.ready.ready as u16,
            is_initialized: status.is_condition_true(condition_type::INITIALIZED),
            is_ready: status.is_condition_true(condition_type::READY),
            running: (0..self.pod.containers().len()).filter(runs).map(|slot| 1 << slot).sum(),
            is_deleted: deletion.is_some(),
        }
    }
}

impl Pod {
    /// As the plain simulation does it: stopping a pod and looking at what is left of it are one.
    fn sync(&mut self, pod: &PodSpec) -> Result<(), SyncPodError<SimError>> {
        let kind = self.worker.kind();
        sync_pod(&mut self.worker, pod, &mut self.runtime)?;
        let terminating =
            kind == SyncKind::Terminating || kind == SyncKind::Pod && self.worker.is_stopping();
        if terminating && self.worker.kind() == SyncKind::Terminating {
            sync_pod(&mut self.worker, pod, &mut self.runtime)?;
        }
        Ok(())
    }
}

/// The sum of the restart counts of all containers.
pub(super) fn restarts(status: &PodStatus) -> i32 {
    let all = status.init_container_statuses.iter().chain(&status.container_statuses);
    all.map(|status| status.restart_count).sum()
}

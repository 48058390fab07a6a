//! The kubelet's loops around the pod worker.
//!
//! Sources: `kubelet.go`, `pod_workers.go`, `pod_container_deletor.go`, `prober_manager.go`.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use crate::observation::{
    ContainerInstance, Exit, InstanceState, MissingProbeWorkers, Observation, ProbeResult, Sandbox,
};
use crate::pod::PodSpec;
use crate::probe::ProbeKind;
use crate::scenario::Call;
use crate::status::{PodPhase, PodStatus};
use crate::version::Feature;
use crate::worker::{
    Deletion, Eviction, NextSync, NextSyncReason, PodWorker, SyncKind, WorkerSettings,
};

use super::collector::{Chore, Collector, Goroutine, Step};
use super::moment::Moment;
use super::operations::Task;
use super::pleg::{Pleg, RELIST_PHASE};
use super::prober::{Prober, Surroundings};
use super::runtime::{Container, Snapshot, State, latency};
use super::trace::{Entry, Kind, Status};
use super::work_queue::WorkQueue;
use super::{KUBELET_AGE, Node, PlayError};

/// How often the sync loop ticks.
const TICK: Duration = Duration::from_secs(1);
/// How often the status manager looks at all pods (`syncPeriod`).
const STATUS_SYNC: Duration = Duration::from_secs(10);
/// How long nothing is asked of a pod whose sync went well (`resyncInterval`).
const RESYNC: Duration = Duration::from_secs(60);
/// A kubelet syncs no pod before it has seen that its runtime is well: 100 ms, then 200 ms.
const FIRST_SYNC: Duration = Duration::from_millis(300);

/// One kubelet, from its start to its end.
#[derive(Debug)]
pub(super) struct Kubelet {
    /// The first of a life is 1.
    pub(super) number: u32,
    pub(super) started: Moment,
    pub(super) settings: WorkerSettings,
    pub(super) worker: PodWorker,
    pub(super) pleg: Pleg,
    pub(super) queue: WorkQueue,
    pub(super) prober: Prober,
    pub(super) collector: Collector,
    pub(super) next_tick: Moment,
    /// When the status manager compares what it has with what the API has.
    pub(super) next_status_sync: Moment,
    /// When a kubelet that has just started begins to sync.
    pub(super) first_sync: Option<Moment>,
    /// A sync was asked for.
    pub(super) pending: bool,
    /// And one more after that.
    pub(super) again: bool,
    /// What the worker is told with the next update that it takes.
    pub(super) news: Vec<News>,
    /// The pod of the next sync, if it is another one than the last.
    pub(super) new_pod: Option<Box<PodSpec>>,
    pub(super) last_sync: Option<Moment>,
    /// What the pod worker is doing.
    pub(super) task: Option<Task>,
    /// What part of the life the sync under way began in.
    pub(super) began_as: SyncKind,
    pub(super) events_told: usize,
    pub(super) evicted: bool,
    /// Until when whoever had the pod killed waits for it (`killPodNow`).
    pub(super) kills: Vec<Moment>,
    /// Nothing more will be done for the pod.
    pub(super) finished: bool,
    /// It has no worker any more.
    pub(super) forgotten: bool,
}

/// What an update says beside that the pod is to be synced.
#[derive(Debug)]
pub(super) enum News {
    Deletion(Deletion),
    Eviction(Eviction),
    /// The pod has changed.
    Pod(Box<PodSpec>),
}

impl Kubelet {
    /// The one that is there when the pod arrives.
    pub(super) fn running(settings: WorkerSettings, status: PodStatus) -> Self {
        let age = i64::try_from(KUBELET_AGE.as_micros()).unwrap_or(0);
        let started = Moment::from_micros(-age);
        Self {
            pleg: Pleg::running_since(started),
            collector: Collector::running_since(started),
            next_tick: Moment::ARRIVAL.next(TICK, started),
            next_status_sync: Moment::ARRIVAL.next(STATUS_SYNC, started),
            pending: true,
            first_sync: None,
            ..Self::start(1, settings, status, started)
        }
    }

    /// One that starts now.
    pub(super) fn start(
        number: u32,
        settings: WorkerSettings,
        status: PodStatus,
        now: Moment,
    ) -> Self {
        Self {
            number,
            started: now,
            settings,
            worker: PodWorker::resume(settings, status),
            pleg: Pleg::new(now),
            queue: WorkQueue::default(),
            prober: Prober::new(now, number),
            collector: Collector::new(now),
            next_tick: now + TICK,
            next_status_sync: now + STATUS_SYNC,
            first_sync: Some(now + FIRST_SYNC),
            pending: false,
            again: false,
            news: Vec::new(),
            new_pod: None,
            last_sync: None,
            task: None,
            began_as: SyncKind::Pod,
            events_told: 0,
            evicted: false,
            kills: Vec::new(),
            finished: false,
            forgotten: false,
        }
    }
}

impl Kubelet {
    /// The pod worker is asked for a sync (`UpdatePod`). One that already waits for the cache has
    /// taken what it was asked for: it is asked for one more.
    pub(super) fn update(&mut self) {
        if self.finished || self.first_sync.is_some() {
            return;
        }
        let waits = self.pending && self.task.is_none();
        self.again |= waits;
        self.pending = true;
        if !waits {
            self.tell_news();
        }
    }

    /// The pod worker is asked for a sync, and told why.
    pub(super) fn update_with(&mut self, news: News, now: Moment) {
        if !matches!(news, News::Pod(_)) {
            self.prober.cancel(now);
        }
        self.news.push(news);
        self.update();
    }

    fn tell_news(&mut self) {
        for news in self.news.drain(..) {
            match news {
                News::Deletion(deletion) => self.worker.delete(deletion),
                News::Eviction(eviction) => self.worker.evict(eviction),
                News::Pod(pod) => self.new_pod = Some(pod),
            }
        }
    }
}

impl Node<'_> {
    /// Whether the pod worker begins a sync now: one is asked for, and the cache is newer than the
    /// last one (`GetNewerThan`).
    pub(super) fn may_sync(&self) -> bool {
        let kubelet = &self.kubelet;
        if !kubelet.pending || kubelet.finished || kubelet.task.is_some() {
            return false;
        }
        let Some(relisted) = kubelet.pleg.relisted else { return false };
        let Some(last) = kubelet.last_sync else { return true };
        // In a world without delays the end of a pod can be noticed and acted upon in one moment;
        // whether it is, is the order of two goroutines.
        let at_once = relisted == last
            && last == self.now
            && kubelet.began_as == SyncKind::Pod
            && kubelet.worker.kind() == SyncKind::Terminating
            && self.draws.stops_at_once(self.now);
        relisted > last || at_once
    }

    pub(super) fn begin_sync(&mut self) -> Result<(), PlayError> {
        if let Some(pod) = self.kubelet.new_pod.take() {
            self.pod = *pod;
        }
        let kubelet = &mut self.kubelet;
        kubelet.pending = core::mem::take(&mut kubelet.again);
        kubelet.began_as = kubelet.worker.kind();
        let before = kubelet.began_as;
        self.observe_and_sync(false);
        let kubelet = &mut self.kubelet;
        // What came while the worker waited for the cache did not change what it does now.
        kubelet.tell_news();
        kubelet.prober.trigger_readiness(&self.pod, kubelet.worker.status());
        match kubelet.worker.kind() {
            SyncKind::Pod => {
                kubelet.prober.add_pod(&self.pod, &self.api.object, self.draws, self.now);
            }
            SyncKind::Terminating if before != SyncKind::Pod || kubelet.worker.is_stopping() => {
                kubelet.prober.stop_liveness_and_startup(&self.pod, self.now);
            }
            _ => {}
        }
        self.next_operation()
    }

    /// One call of the worker's `sync`, with what the cache knows or what the runtime says now.
    fn observe_and_sync(&mut self, fresh: bool) {
        let seen = if fresh { &self.runtime.now } else { &self.kubelet.pleg.cache };
        let observation = self.observe(seen);
        self.kubelet.worker.sync(&self.pod, &observation, self.now.timestamp());
        self.kubelet.events_told = 0;
        self.tell_events();
        self.tell_status();
    }

    /// The sync has no more operations.
    pub(super) fn end_sync(&mut self) {
        let kubelet = &self.kubelet;
        let before = kubelet.began_as;
        let stopped_now = kubelet.worker.kind() == SyncKind::Terminating
            && kubelet.worker.next_sync() == NextSync::Now
            && (before == SyncKind::Terminating || kubelet.worker.is_stopping());
        if stopped_now && before != SyncKind::Terminated {
            // The second half of SyncTerminatingPod, which looks at the runtime once more.
            self.kubelet.prober.remove_pod();
            self.observe_and_sync(true);
            // Whoever waits for the pod to be killed is told.
            self.kubelet.kills.clear();
        }
        let now = self.now;
        let kubelet = &mut self.kubelet;
        kubelet.last_sync = Some(now);
        let living = before == SyncKind::Pod && kubelet.worker.kind() == SyncKind::Pod;
        let results = kubelet.worker.results();
        let went_well = !results.is_empty() && results.iter().all(|result| result.error.is_none());
        if living && went_well && self.gates.enabled(Feature::PLEGOnDemandRelist) {
            kubelet.pleg.ask(now);
        }
        kubelet.queue.clear();
        if kubelet.worker.kind() == SyncKind::Finished {
            kubelet.finished = true;
            self.api.removed |= self.api.deletion.is_some();
            return;
        }
        match kubelet.worker.next_sync() {
            NextSync::Now => {
                kubelet.pending = true;
                // The next part of a pod's life is asked for twice: at once, and through the queue
                // (`completeSync` and `completeWork`).
                kubelet.queue.enqueue(now);
            }
            NextSync::At(at, NextSyncReason::BackOffExpired | NextSyncReason::Retry) => {
                let delay = Moment::of(at).since(now).min(RESYNC);
                kubelet.queue.enqueue(now + self.draws.jittered(delay, now));
            }
            _ => kubelet.queue.enqueue(now + self.draws.jittered(RESYNC, now)),
        }
    }

    pub(super) fn tell_events(&mut self) {
        let events = self.kubelet.worker.events();
        let new: Vec<_> = events.get(self.kubelet.events_told..).unwrap_or_default().to_vec();
        self.kubelet.events_told = events.len();
        for event in new {
            let field_path = event.field_path(&self.pod).map(|path| path.to_string());
            self.tell(Entry {
                kind: Kind::Event,
                event_type: event.kind.as_str().into(),
                reason: event.reason.to_string(),
                message: event.message.to_string(),
                field_path: field_path.unwrap_or_default(),
                ..Entry::default()
            });
        }
    }

    pub(super) fn tell_status(&mut self) {
        let status = self.kubelet.worker.api_status();
        self.api.status = status.clone();
        if self.api.removed || self.told.as_ref() == Some(status) {
            return;
        }
        // The containers of a pod that the API calls evicted are removed (`HandlePodReconcile`).
        if status.phase == PodPhase::Failed && status.reason == "Evicted" {
            let kubelet = &mut self.kubelet;
            kubelet.collector.pod_evicted(&kubelet.pleg.cache);
        }
        let status = self.api.status.clone();
        self.told = Some(status.clone());
        let status = Some(Box::new(Status::from(status)));
        self.tell(Entry { kind: Kind::Status, status, ..Entry::default() });
    }

    /// What the worker is shown of what a list call showed.
    fn observe(&self, seen: &Snapshot) -> Observation {
        let mut observation = Observation::new();
        for sandbox in seen.sandboxes.iter().rev() {
            observation.push_sandbox(Sandbox {
                id: sandbox.id.clone(),
                ready: sandbox.ready,
                attempt: sandbox.attempt,
                has_ip: sandbox.ready,
                host_network: self.pod.host_network(),
            });
        }
        for container in seen.containers.iter().rev() {
            observation.push_named(&self.pod, &container.name, self.instance(container));
        }
        observation
    }

    fn instance(&self, container: &Container) -> ContainerInstance {
        let state = match container.state {
            State::Created => InstanceState::Created,
            State::Running => InstanceState::Running,
            State::Exited => InstanceState::Exited(Exit {
                exit_code: container.exit_code,
                reason: container.reason.clone(),
                message: container.message.clone(),
                finished_at: Some(container.finished.timestamp()),
            }),
        };
        let (id, sandbox_id) = (container.id.clone(), container.sandbox_id.clone());
        let mut instance = ContainerInstance::new(id, sandbox_id, state);
        instance.created_at = Some(container.created.timestamp());
        instance.started_at =
            (container.state != State::Created).then(|| container.started.timestamp());
        instance.restart_count = container.attempt;
        instance.definition_hash = container.definition_hash;
        instance.image = container.image.clone();
        instance.image_id = container.image.clone();
        let result = |kind| self.kubelet.prober.result(kind, &container.id);
        instance.startup_probe = result(ProbeKind::Startup);
        instance.readiness_probe = result(ProbeKind::Readiness);
        instance.liveness_probe = result(ProbeKind::Liveness);
        if let Some(index) = self.pod.find(&container.name) {
            let declared = self.pod.container(index);
            let missing = |kind, is_declared: bool| {
                is_declared && !self.kubelet.prober.has_worker(kind, index)
            };
            instance.missing_probe_workers = MissingProbeWorkers {
                startup: missing(ProbeKind::Startup, declared.startup_probe().is_some()),
                readiness: missing(ProbeKind::Readiness, declared.readiness_probe().is_some()),
            };
        }
        instance
    }

    /// A tick of the sync loop: what the work queue has, and deadlines that are over.
    pub(super) fn tick(&mut self) {
        let now = self.now;
        let kubelet = &mut self.kubelet;
        kubelet.next_tick += TICK;
        let odd = now.since(kubelet.started).as_secs() % 2 == 1;
        let stopped = matches!(kubelet.worker.kind(), SyncKind::Terminated | SyncKind::Finished);
        if !odd && self.api.removed {
            // Housekeeping, at every other tick: a pod that is gone counts as deleted, and its
            // worker goes when it has stopped.
            self.api.is_deleting = true;
            kubelet.finished |= stopped;
            kubelet.forgotten |= stopped;
        }
        if kubelet.queue.take_due(now) {
            kubelet.update();
        }
        let started = kubelet.worker.status().start_time;
        let deadline = started.zip(self.pod.active_deadline()).map(|(start, span)| start + span);
        if deadline.is_some_and(|deadline| deadline <= now.timestamp()) {
            kubelet.update();
        }
    }

    /// The status manager sends what the API lacks (`syncBatch`): a phase that was held back while
    /// containers could run, before the last sync of the pod sends it.
    pub(super) fn sync_status(&mut self) {
        let kubelet = &mut self.kubelet;
        kubelet.next_status_sync += STATUS_SYNC;
        let phase = kubelet.worker.status().phase;
        let held_back = kubelet.worker.kind() == SyncKind::Terminated
            && phase.is_terminal()
            && !self.api.status.phase.is_terminal();
        if held_back && !self.api.removed {
            self.api.status.phase = phase;
            self.told = Some(self.api.status.clone());
            let status = Box::new(Status::from(self.api.status.clone()));
            self.tell(Entry { kind: Kind::Status, status: Some(status), ..Entry::default() });
        }
    }

    pub(super) fn relist(&mut self) {
        let now = self.now;
        for call in [Call::ListPodSandbox, Call::ListContainers] {
            if self.runtime.disturb(self.scenario, call, "", "", now).error.is_some() {
                return;
            }
        }
        let kubelet = &mut self.kubelet;
        let changes = kubelet.pleg.relist(&self.runtime.now, now);
        if changes.worth_a_sync {
            kubelet.update();
        }
        let ended = kubelet.finished || kubelet.worker.kind() == SyncKind::Terminated;
        let all = kubelet.evicted || kubelet.forgotten || (self.api.is_deleting && ended);
        for id in &changes.died {
            kubelet.collector.container_died(id, &kubelet.pleg.cache, all);
        }
    }

    /// One step of the prober; `false` if it has nothing to do now.
    pub(super) fn probe(&mut self) -> bool {
        let Kubelet { worker, prober, .. } = &mut self.kubelet;
        let host = self.runtime.address(self.pod_ip);
        let around = Surroundings {
            pod: &self.pod,
            status: worker.status(),
            runtime: &self.runtime,
            ties: self.ties,
            host: &host,
            now: self.now,
        };
        let Some(probed) = prober.step(&around) else { return false };
        let now = self.now.timestamp();
        for (kind, id, result) in probed.results {
            let (good, worker) = (result == ProbeResult::Success, &mut self.kubelet.worker);
            match kind {
                ProbeKind::Readiness => worker.set_container_readiness(&self.pod, &id, good, now),
                ProbeKind::Startup => worker.set_container_startup(&self.pod, &id, good, now),
                ProbeKind::Liveness => {}
            }
        }
        self.tell_status();
        if probed.sync {
            self.kubelet.update();
        }
        for entry in probed.entries {
            self.tell(entry);
        }
        true
    }

    /// One step of the container deletor or the garbage collection.
    pub(super) fn chore(&mut self) {
        let kubelet = &mut self.kubelet;
        let ended = self.api.deletion.is_some() && kubelet.finished;
        let gone = self.api.removed || kubelet.evicted || ended;
        match kubelet.collector.take_due(self.now) {
            None => {}
            Some(Step::Begin(_, Chore::CollectContainers)) => {
                kubelet.collector.collect_containers(&self.runtime.now, gone);
            }
            // The oracle's first look at the sandboxes after a kubelet's start takes longer.
            Some(Step::Begin(of, Chore::CollectSandboxes))
                if self.now.since(kubelet.started) < Duration::from_millis(1) =>
            {
                let until = self.now + RELIST_PHASE;
                kubelet.collector.is_busy(of, Chore::CollectSandboxes, until);
            }
            Some(Step::Begin(_, Chore::CollectSandboxes) | Step::End(Chore::CollectSandboxes)) => {
                kubelet.collector.collect_sandboxes(&self.runtime.now, gone)
            }
            Some(Step::Begin(of, chore)) => self.begin_chore(of, chore),
            Some(Step::End(Chore::RemoveContainer(id))) => self.runtime.remove_container(&id),
            Some(Step::End(Chore::StopSandbox(id))) => kubelet.collector.sandbox_stopped(id),
            Some(Step::End(Chore::RemoveSandbox(id))) => self.runtime.remove_sandbox(&id),
            Some(Step::End(Chore::CollectContainers)) => {}
        }
        self.kubelet.collector.settle(self.now);
    }

    /// A removal begins. One that fails is left for the next collection.
    fn begin_chore(&mut self, of: Goroutine, chore: Chore) {
        let (call, name, attempt) = match &chore {
            Chore::RemoveContainer(id) => match self.runtime.now.container(id) {
                Some(found) => (Call::RemoveContainer, found.name.to_string(), found.attempt),
                None => return,
            },
            Chore::StopSandbox(id) | Chore::RemoveSandbox(id) => {
                let Some(found) = self.runtime.now.sandbox(id) else { return };
                let stops = matches!(chore, Chore::StopSandbox(_));
                let call = if stops { Call::StopPodSandbox } else { Call::RemovePodSandbox };
                (call, String::new(), found.attempt)
            }
            Chore::CollectContainers | Chore::CollectSandboxes => return,
        };
        self.tell_call(call, &name, Some(attempt));
        let disturbance = self.disturbed(call, &name, "");
        if disturbance.error.is_none() {
            let until = self.now + disturbance.takes;
            self.kubelet.collector.is_busy(of, chore, until);
        }
    }

    pub(super) fn tell_call(&mut self, call: Call, container: &str, attempt: Option<u32>) {
        self.tell(Entry {
            kind: Kind::Call,
            op: call.as_str().into(),
            container: container.into(),
            attempt,
            ..Entry::default()
        });
    }

    pub(super) fn tell_failed(&mut self, call: Call, container: &str, error: &str) {
        self.tell(Entry {
            kind: Kind::Call,
            op: call.as_str().into(),
            container: container.into(),
            outcome: "failed".into(),
            error: error.into(),
            ..Entry::default()
        });
    }

    /// How long a call takes that begins now, and how it fails by the scenario's faults.
    pub(super) fn disturbed(
        &mut self,
        call: Call,
        container: &str,
        image: &str,
    ) -> super::runtime::Disturbance {
        let mut disturbance = self.runtime.disturb(self.scenario, call, container, image, self.now);
        if disturbance.error.is_none() {
            disturbance.takes += latency(call);
        }
        disturbance
    }
}

//! One pod on a node without containers: what the kubelet would make of it, without I/O.
//!
//! A [`PodLife`] is told what the API holds of its pod, and what time it is; it says when it wants to
//! be told again, and what the API is to be told: statuses, events, and that the pod can go.
//!
//! ```
//! use std::time::Duration;
//! use podinit::{FeatureGates, PodPhase, Timestamp};
//! use podinit_node::life::{Habits, NodeShare, PodLife};
//!
//! let pod = serde_json::from_value(serde_json::json!({
//!     "metadata": {"name": "web", "namespace": "default", "uid": "1"},
//!     "spec": {"containers": [{"name": "app", "image": "web:1"}]},
//! }))?;
//! let began = Timestamp::from_secs(1_800_000_000);
//! let mut node = NodeShare::default();
//! let mut life = PodLife::new(pod, FeatureGates::default(), &Habits::default(), None, began)?;
//! life.advance(&mut node, began + Duration::from_secs(10));
//! assert_eq!(life.status().phase, PodPhase::Running);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod asking;
mod behaviour;
mod commands;
mod probes;
mod stop;
mod task;
#[cfg(test)]
mod tests;
mod world;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use k8s_openapi::api::core::v1;
use podinit::event::Event;
use podinit::pod::SpecError;
use podinit::scenario::{Action, Scenario, ScenarioError, Verb};
use podinit::worker::{Deletion, Eviction, SyncKind, WorkerSettings};
use podinit::{
    Feature, FeatureGates, NextSync, PodPhase, PodSpec, PodStatus, PodWorker, Timestamp,
};
use smol_str::{SmolStr, format_smolstr};

use crate::addresses::Addresses;
use crate::status::is_kubelets;
use probes::{Asked, Question};
use task::Task;
use world::World;

/// What the pods of a node share.
#[derive(Debug, Default)]
pub struct NodeShare {
    /// The images that were pulled.
    pub images: BTreeSet<SmolStr>,
    /// The addresses of its pods.
    pub addresses: Addresses,
    /// The node's own address.
    pub ip: String,
}

impl NodeShare {
    fn address(&mut self, pod: &PodSpec) -> Option<SmolStr> {
        if pod.host_network() {
            return Some(SmolStr::new(&self.ip));
        }
        self.addresses.take().map(|ip| format_smolstr!("{ip}"))
    }

    /// The pod is gone; its address is free again.
    pub fn release(&mut self, life: &PodLife) {
        if let Some(ip) = life.ip().and_then(|ip| ip.parse().ok()) {
            self.addresses.give_back(ip);
        }
    }
}

/// How all pods of a process live.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// How often the kubelet looks for containers that have started or ended. Zero: it sees them at
    /// once.
    pub relist: Duration,
    /// Well-known commands are understood, see the README.
    pub commands: bool,
    /// The kubelet's settings.
    pub settings: WorkerSettings,
}

impl Default for Habits {
    fn default() -> Self {
        Self { relist: Duration::from_secs(1), commands: true, settings: WorkerSettings::default() }
    }
}

/// More steps than any pod takes at one moment.
const MOST_STEPS: usize = 100_000;

/// How soon after a sync the kubelet looks at what it has done.
const ON_DEMAND: Duration = Duration::from_millis(1);

/// What somebody else is asked to do with the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// To delete it through the API, as a user would.
    Delete {
        /// With this grace; `None`: the pod's own.
        grace_period_seconds: Option<i64>,
    },
}

/// A pod on a node.
#[derive(Debug)]
pub struct PodLife {
    api: v1::Pod,
    /// A newer form of it, that the next sync will see.
    update: Option<Box<v1::Pod>>,
    gates: FeatureGates,
    spec: PodSpec,
    scenario: Scenario,
    actions: VecDeque<Action>,
    arrived: Timestamp,
    habits: Habits,
    worker: PodWorker,
    world: World,
    task: Option<Task>,
    sync_due: Option<Timestamp>,
    asked: Vec<Asked>,
    questions: Vec<Question>,
    /// What part of the pod's life the last sync began in.
    began_as: SyncKind,
    /// What was taken of the events of the sync under way.
    events_taken: usize,
    events: Vec<(Timestamp, Event)>,
    requests: Vec<Request>,
}

impl PodLife {
    /// A pod that arrives. If its status says that it has been on its node for a while, it goes on from
    /// there: what ran still runs.
    ///
    /// # Errors
    /// If the pod is none.
    pub fn new(
        pod: v1::Pod,
        gates: FeatureGates,
        habits: &Habits,
        scenario: Option<Scenario>,
        now: Timestamp,
    ) -> Result<Self, SpecError> {
        let spec = PodSpec::compile_unchecked(&pod, gates)?;
        let mut scenario = scenario.unwrap_or_default();
        let mut actions: Vec<Action> = std::mem::take(&mut scenario.actions);
        actions.sort_by_key(|action| action.at);
        behaviour::complete(&mut scenario, &pod, &spec, habits.commands);
        let kubelet_started_at = habits.settings.kubelet_started_at.or(Some(now));
        let mut settings = habits.settings;
        settings.kubelet_started_at = kubelet_started_at;
        let status = pod.status.as_ref().map(PodStatus::try_from).and_then(Result::ok);
        let status = status.unwrap_or_default();
        let mut world = World::default();
        let mut arrived = now;
        let goes_on = status.start_time.is_some();
        if let Some(started) = status.start_time {
            world = World::resumed(&spec, &status, &scenario, now);
            world.ip = pod.status.as_ref().and_then(|of| of.pod_ip.as_deref()).map(SmolStr::new);
            arrived = started.min(now);
        }
        // What was to happen before the restart has happened.
        actions.retain(|action| !goes_on || arrived + action.at.0 > now);
        let mut life = Self {
            api: v1::Pod::default(),
            update: None,
            gates,
            spec,
            scenario,
            actions: actions.into(),
            arrived,
            habits: *habits,
            worker: PodWorker::resume(settings, status),
            world,
            task: None,
            sync_due: Some(now),
            asked: Vec::new(),
            questions: Vec::new(),
            began_as: SyncKind::Pod,
            events_taken: 0,
            events: Vec::new(),
            requests: Vec::new(),
        };
        life.take_deletion(&pod, now);
        life.api = pod;
        Ok(life)
    }

    /// Goes on with the worker that a program before this one has kept, and so with its back-off. One
    /// of which the API holds another status is older than that, and is not taken; says whether it was.
    pub fn take_up(&mut self, kept: PodWorker, now: Timestamp) -> bool {
        let same = |status: &PodStatus| {
            let lists = [
                &status.init_container_statuses,
                &status.container_statuses,
                &status.ephemeral_container_statuses,
            ];
            let counts = lists.into_iter().flatten();
            let counts = counts.map(|of| (of.name.clone(), of.restart_count));
            let started = status.start_time.map(Timestamp::truncate_to_second);
            (status.phase, started, counts.collect::<Vec<_>>())
        };
        if same(kept.api_status()) != same(self.worker.api_status()) {
            return false;
        }
        let status = self.worker.api_status().clone();
        self.worker = kept;
        self.worker.set_api_status(status);
        // It may have come meanwhile.
        let pod = std::mem::take(&mut self.api);
        self.take_deletion(&pod, now);
        self.api = pod;
        true
    }

    /// What [`PodLife::take_up`] takes.
    pub fn worker(&self) -> &PodWorker {
        &self.worker
    }

    /// The node does not take the pod, which has just arrived: it fails, and nothing of it is started.
    pub fn reject(&mut self, reason: &str, message: &str, now: Timestamp) {
        let mut status = self.worker.api_status().clone();
        status.phase = PodPhase::Failed;
        status.reason = reason.into();
        status.message = format_smolstr!("Pod was rejected: {message}");
        status.start_time = Some(now.truncate_to_second());
        self.worker = PodWorker::resume(self.habits.settings, status);
        self.sync_due = None;
        self.actions.clear();
        let warning = Event::warning("", message);
        self.events.push((now, Event { reason: reason.into(), ..warning }));
    }

    /// The API holds this of the pod now.
    pub fn update(&mut self, pod: v1::Pod, now: Timestamp) {
        let shortened = self.take_deletion(&pod, now);
        let last = self.update.as_deref().unwrap_or(&self.api);
        let matters =
            pod.metadata.generation != last.metadata.generation || foreign(&pod) != foreign(last);
        if shortened
            && self.worker.kind() == SyncKind::Terminating
            && matches!(self.task, Some(Task::Stop(_)))
        {
            // The kubelet begins such a stop anew.
            self.task = None;
        }
        if matters || shortened {
            self.sync_no_later_than(now);
        }
        self.update = Some(Box::new(pod));
    }

    /// Tells the worker of a deletion; says whether it is new, or shorter than before.
    fn take_deletion(&mut self, pod: &v1::Pod, now: Timestamp) -> bool {
        if pod.metadata.deletion_timestamp.is_none() {
            return false;
        }
        let seconds = pod.metadata.deletion_grace_period_seconds.unwrap_or(0);
        if self.worker.deletion().is_some_and(|known| known.grace_period_seconds <= seconds) {
            return false;
        }
        self.worker.delete(Deletion { timestamp: now, grace_period_seconds: seconds });
        true
    }

    /// Evicts the pod, as the kubelet does.
    pub fn evict(&mut self, eviction: Eviction, now: Timestamp) {
        if let Some(event) = eviction.event() {
            self.events.push((now, event));
        }
        self.worker.evict(eviction);
        self.sync_no_later_than(now);
    }

    /// Ends the running instance of a container behind the kubelet's back; says whether one ran.
    pub fn fail_container(&mut self, container: &str, exit_code: i32, now: Timestamp) -> bool {
        let Some(index) = self.spec.find(container) else { return false };
        let ended = self.world.end_container(index, Some(exit_code), None, now);
        if ended {
            self.notice(now);
        }
        ended
    }

    /// When something happens next, if nothing is told before.
    pub fn next_due(&self) -> Option<Timestamp> {
        let action = self.actions.front().map(|action| self.arrived + action.at.0);
        let sync = self.sync_due.filter(|_| self.task.is_none());
        let world = self.world.next_change();
        [world, self.task_due(), self.probe_due(), action, sync].into_iter().flatten().min()
    }

    /// Lets happen what is due until now, each thing at its time.
    pub fn advance(&mut self, node: &mut NodeShare, now: Timestamp) {
        for _ in 0..MOST_STEPS {
            let Some(due) = self.next_due().filter(|due| *due <= now) else { return };
            self.step(node, due);
        }
        tracing::error!(pod = %self.spec.identity(), "it goes on and on; the pod is looked at again later");
        self.sync_due = Some(now + Duration::from_secs(10));
    }

    fn step(&mut self, node: &mut NodeShare, now: Timestamp) {
        if self.world.advance(now) {
            self.notice(now);
            self.task_disturbed(node, now);
        } else if self.task_due().is_some_and(|due| due <= now) {
            self.end_task(node, now);
        } else if self.actions.front().is_some_and(|action| self.arrived + action.at.0 <= now) {
            if let Some(action) = self.actions.pop_front() {
                self.act(action.verb, now);
                self.task_disturbed(node, now);
            }
        } else if self.probe_due().is_some_and(|due| due <= now) {
            self.probe(now);
        } else if self.sync_due.is_some_and(|due| due <= now) && self.task.is_none() {
            self.sync(node, now);
        }
    }

    fn sync(&mut self, node: &mut NodeShare, now: Timestamp) {
        self.sync_due = None;
        self.take_update();
        let observation = self.world.observe(&self.spec);
        self.events_taken = 0;
        self.began_as = self.worker.kind();
        self.worker.sync(&self.spec, &observation, now);
        self.take_events(now);
        self.tell_probes(now);
        self.go_on(node, now);
    }

    fn take_update(&mut self) {
        let Some(pod) = self.update.take() else { return };
        if pod.metadata.generation != self.api.metadata.generation {
            match PodSpec::compile_unchecked(&pod, self.gates) {
                Ok(spec) => self.spec = spec,
                Err(error) => {
                    tracing::warn!(pod = %self.spec.identity(), %error, "its new form is none")
                }
            }
            behaviour::complete(&mut self.scenario, &pod, &self.spec, self.habits.commands);
        }
        if foreign(&pod) != foreign(&self.api) {
            let theirs = pod.status.as_ref().map(PodStatus::try_from).and_then(Result::ok);
            let mut status = self.worker.api_status().clone();
            status.conditions.retain(is_kubelets);
            let theirs = theirs.unwrap_or_default().conditions;
            status
                .conditions
                .extend(theirs.into_iter().filter(|condition| !is_kubelets(condition)));
            self.worker.set_api_status(status);
        }
        self.api = *pod;
        self.questions.clear();
    }

    fn end_sync(&mut self, now: Timestamp) {
        let living = self.began_as == SyncKind::Pod && self.worker.kind() == SyncKind::Pod;
        let results = self.worker.results();
        let went_well = results.iter().all(|result| result.error.is_none());
        // Since 1.36 the kubelet looks at once at what a sync has done.
        let looks = living && went_well && self.gates.enabled(Feature::PLEGOnDemandRelist);
        if looks && self.sync_due.is_some() {
            self.sync_no_later_than(now + ON_DEMAND);
        }
        match self.worker.next_sync() {
            NextSync::Now => self.sync_no_later_than(now),
            NextSync::At(at, _) => self.sync_no_later_than(at.max(now)),
            _ => {}
        }
    }

    fn sync_no_later_than(&mut self, at: Timestamp) {
        self.sync_due = Some(self.sync_due.map_or(at, |due| due.min(at)));
    }

    /// Something has changed in the runtime, which the next relist sees.
    fn notice(&mut self, now: Timestamp) {
        let relist = i64::try_from(self.habits.relist.as_nanos()).unwrap_or(i64::MAX);
        let since = if relist == 0 { 0 } else { now.as_nanos().rem_euclid(relist) };
        let next = Timestamp::from_nanos(now.as_nanos() - since) + self.habits.relist;
        self.sync_no_later_than(next.max(now));
    }

    fn take_events(&mut self, now: Timestamp) {
        let events = self.worker.events();
        let new = events.get(self.events_taken..).unwrap_or_default();
        self.events.extend(new.iter().map(|event| (now, event.clone())));
        self.events_taken = events.len();
    }

    fn act(&mut self, verb: Verb, now: Timestamp) {
        let name = verb.name();
        match verb {
            Verb::Delete(delete) => self
                .requests
                .push(Request::Delete { grace_period_seconds: delete.grace_period_seconds }),
            Verb::Evict(evict) => {
                let words = evict.message.unwrap_or("The node was low on resource: memory.".into());
                let mut eviction =
                    Eviction::evicted(words, Some(evict.grace_period_seconds.unwrap_or(1)));
                if let Some(reason) = evict.reason {
                    eviction.failure.reason = reason;
                }
                self.evict(eviction, now);
            }
            Verb::Preempt(_) => self.evict(Eviction::preempted(), now),
            Verb::NodeShutdown(_) => self.evict(Eviction::node_shutdown(30), now),
            Verb::KillContainer(kill) => {
                if let Some(index) = self.spec.find(&kill.container)
                    && self.world.end_container(index, kill.exit_code, kill.reason, now)
                {
                    self.notice(now);
                }
            }
            Verb::StopSandbox(stop) => {
                self.world.stop_newest_sandbox(stop.keeps_containers, now);
                self.notice(now);
            }
            _ => self.events.push((now, not_done(name))),
        }
    }

    /// The pod as the API had it at the last sync.
    pub fn pod(&self) -> &v1::Pod {
        &self.api
    }

    /// The same, compiled.
    pub fn spec(&self) -> &PodSpec {
        &self.spec
    }

    /// What the API is to hold of the pod.
    pub fn status(&self) -> &PodStatus {
        self.worker.api_status()
    }

    /// The pod's address, once it has one.
    pub fn ip(&self) -> Option<&str> {
        self.world.ip.as_deref()
    }

    /// Nothing of the pod is left; if it is being deleted, its object can go.
    pub fn is_over(&self) -> bool {
        self.worker.kind() == SyncKind::Finished
    }

    /// It is over, and somebody has deleted it.
    pub fn can_go(&self) -> bool {
        self.is_over() && self.worker.deletion().is_some()
    }

    /// The events since the last call, each with its time.
    pub fn take_new_events(&mut self) -> Vec<(Timestamp, Event)> {
        std::mem::take(&mut self.events)
    }

    /// What others are asked to do, since the last call.
    pub fn take_requests(&mut self) -> Vec<Request> {
        std::mem::take(&mut self.requests)
    }

    /// Says something about the pod that is no event of the kubelet's.
    pub fn warn(&mut self, reason: &'static str, message: impl Into<SmolStr>, now: Timestamp) {
        self.events.push((now, Event::warning(reason, message)));
    }
}

fn not_done(verb: &str) -> Event {
    Event::warning(
        "ScenarioNotPlayed",
        format_smolstr!("a node in real time does not play {verb:?} of a scenario"),
    )
}

/// The conditions of a pod that others than the kubelet have written.
fn foreign(pod: &v1::Pod) -> Vec<&v1::PodCondition> {
    let status = pod.status.as_ref();
    let conditions = status.iter().flat_map(|status| status.conditions.iter().flatten());
    let theirs = conditions.filter(|condition| !crate::status::is_kubelets_type(&condition.type_));
    theirs.collect()
}

/// Reads the scenario of a pod's annotation.
///
/// # Errors
/// What is wrong with it, and where.
pub fn read_scenario(text: &str, pod: &v1::Pod, gates: FeatureGates) -> Result<Scenario, String> {
    let scenario: Scenario = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    check_scenario(&scenario, pod, gates).map_err(|error| error.to_string())?;
    Ok(scenario)
}

/// Does a scenario fit its pod?
///
/// # Errors
/// The first field that names a container that the pod does not have.
pub fn check_scenario(
    scenario: &Scenario,
    pod: &v1::Pod,
    gates: FeatureGates,
) -> Result<(), ScenarioError> {
    // A pod that is none is told elsewhere.
    PodSpec::compile_unchecked(pod, gates).map_or(Ok(()), |spec| scenario.check(&spec))
}

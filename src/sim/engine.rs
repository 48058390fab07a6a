//! Runs a pod through a scenario.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::time::Duration;

use super::runtime::SimRuntime;
use super::scenario::{PodEvent, Scenario, ScheduledEvent};
use super::timeline::{End, Step, Timeline};
use super::timing::{IdealTiming, SyncTiming};
use crate::event::EventLog;
use crate::runtime::{ContainerRuntime, SyncPodError, sync_pod};
use crate::spec::PodSpec;
use crate::time::Timestamp;
use crate::worker::{Deletion, NextSync, PodWorker, SyncKind, WorkerSettings};

/// So often a pod is synced at one instant at the most.
pub(super) const MAX_SYNCS_AT_ONCE: usize = 12;

/// Runs a pod through a scenario, from its acceptance by the kubelet to its end, until nothing more
/// can happen, or to the scenario's limits.
///
/// The pod is synced at the beginning, whenever a container ends by itself, a probe's result
/// changes or an event happens, when a failed sync asks for it, and at its active deadline; at one
/// instant again as long as a sync made something start or end. No delay is jittered.
///
/// ```
/// use std::time::Duration;
/// use k8s_openapi::api::core::v1::Pod;
/// use podinit::sim::{ContainerScript, Run, Scenario, simulate};
/// use podinit::{FeatureGates, PodSpec};
///
/// let pod: Pod = serde_json::from_value(serde_json::json!({
///     "metadata": {"name": "web"},
///     "spec": {
///         "initContainers": [{"name": "migrate", "image": "db-tools:1"}],
///         "containers": [{"name": "app", "image": "web:1"}],
///     },
/// }))?;
/// let pod = PodSpec::compile(&pod, FeatureGates::default())?;
/// let five_seconds = Run::ends(Duration::from_secs(5), 0);
/// let scenario = Scenario::default().script("migrate", ContainerScript::runs([five_seconds]));
///
/// let timeline = simulate(&pod, &scenario);
/// let columns: Vec<String> =
///     timeline.steps.iter().map(|step| step.columns(&pod).to_string()).collect();
/// assert_eq!(columns, ["0/1 Init:0/1 0", "0/1 Init:0/1 0", "0/1 PodInitializing 0", "1/1 Running 0"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn simulate(pod: &PodSpec, scenario: &Scenario) -> Timeline {
    simulate_with(pod, scenario, &mut IdealTiming)
}

/// As [`simulate`], with a timing: [`KubeletTiming`](super::KubeletTiming) adds the delays of a real
/// kubelet, so that start-up times can be compared with measured ones.
pub fn simulate_with(pod: &PodSpec, scenario: &Scenario, timing: &mut impl SyncTiming) -> Timeline {
    let mut engine = Engine {
        pod: Cow::Borrowed(pod),
        scenario,
        timing,
        runtime: SimRuntime::new(pod, scenario),
        worker: PodWorker::new(scenario.settings),
        steps: Vec::new(),
        recorded: EventLog::default(),
        events: scenario.events.clone(),
        asked_for: None,
        noticed: None,
    };
    engine.events.sort_by_key(|event| event.at);
    engine.events.reverse();
    let end = engine.run();
    Timeline { steps: engine.steps, events: engine.recorded, end }
}

struct Engine<'a, T> {
    pod: Cow<'a, PodSpec>,
    scenario: &'a Scenario,
    timing: &'a mut T,
    runtime: SimRuntime,
    worker: PodWorker,
    steps: Vec<Step>,
    recorded: EventLog,
    /// Those to come, the next one last.
    events: Vec<ScheduledEvent>,
    /// When the last sync asked for another one.
    asked_for: Option<Timestamp>,
    /// When a change that has happened already is noticed.
    noticed: Option<Timestamp>,
}

impl<T: SyncTiming> Engine<'_, T> {
    fn run(&mut self) -> End {
        let mut now = self.scenario.begins_at;
        let mut due = true;
        loop {
            if due {
                self.sync_at(now);
            }
            if self.worker.kind() == SyncKind::Finished {
                let deleted = self.worker.deletion().is_some();
                return if deleted { End::Deleted } else { End::Terminal };
            }
            let Some(next) = self.next_instant() else { return End::Steady };
            // Not earlier than the last sync was over.
            let next = next.max(self.runtime.now());
            let limits = self.scenario.limits;
            if self.steps.len() > limits.steps || self.since_beginning(next) > limits.time {
                return End::Truncated;
            }
            now = next;
            due = self.advance_to(now);
        }
    }

    fn since_beginning(&self, now: Timestamp) -> Duration {
        now.saturating_duration_since(self.scenario.begins_at)
    }

    fn next_instant(&self) -> Option<Timestamp> {
        let event = self.events.last().map(|event| self.scenario.begins_at + event.at);
        [self.asked_for, self.noticed, event, self.runtime.next_change()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Lets everything happen that is due; is there something to sync for?
    fn advance_to(&mut self, now: Timestamp) -> bool {
        let seen = self.runtime.advance_to(now);
        if seen.ended {
            let noticed = self.timing.noticed(now);
            self.noticed = Some(self.noticed.map_or(noticed, |earlier| earlier.min(noticed)));
        }
        let is_due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        let happened = self.let_events_happen(now);
        let due = is_due(self.asked_for) || is_due(self.noticed) || happened || seen.probed;
        if is_due(self.noticed) {
            self.noticed = None;
        }
        due
    }

    fn let_events_happen(&mut self, now: Timestamp) -> bool {
        let since = self.since_beginning(now);
        let mut happened = false;
        while let Some(due) = self.events.pop_if(|event| event.at <= since) {
            happened = true;
            self.let_happen(due.event, now);
        }
        happened
    }

    fn let_happen(&mut self, event: PodEvent, now: Timestamp) {
        match event {
            PodEvent::SandboxLost => self.runtime.lose_sandbox(),
            PodEvent::InitRecordsRemoved => self.runtime.remove_init_records(&self.pod),
            PodEvent::InstanceVanished { container } => {
                if let Some(container) = self.pod.find(&container) {
                    self.runtime.lose_instance(container);
                }
            }
            PodEvent::RuntimeUnavailable { lasts } => self.runtime.fail_until(now + lasts),
            PodEvent::KubeletRestarted => self.restart_kubelet(now),
            PodEvent::ImageChanged { container, image } => {
                if let Some(container) = self.pod.find(&container) {
                    self.pod = Cow::Owned(self.pod.with_image(container, image));
                }
            }
            PodEvent::PodDeleted { grace_period_seconds } => {
                self.worker.delete(Deletion { timestamp: now, grace_period_seconds });
            }
            PodEvent::Evicted(eviction) => self.worker.evict(eviction),
        }
    }

    fn restart_kubelet(&mut self, now: Timestamp) {
        let settings = WorkerSettings { kubelet_started_at: Some(now), ..self.scenario.settings };
        let deletion = self.worker.deletion();
        self.worker = PodWorker::resume(settings, self.worker.api_status().clone());
        deletion.into_iter().for_each(|deletion| self.worker.delete(deletion));
        self.runtime.forget_probe_results();
    }

    /// Syncs; again as long as a sync makes something start or end that is noticed at once, or asks
    /// for another one.
    fn sync_at(&mut self, now: Timestamp) {
        for _ in 0..MAX_SYNCS_AT_ONCE {
            let changes = self.runtime.changes();
            let began = now;
            if self.sync(now).is_err() {
                // The runtime cannot be asked. The pod is looked at when it can be again.
                self.asked_for = self.runtime.unavailable_until();
                return;
            }
            let now = self.runtime.now();
            self.asked_for = self.timing.requeued(&self.pod, self.worker.next_sync(), now);
            if self.worker.kind() == SyncKind::Finished {
                return;
            }
            let mut again = self.worker.next_sync() == NextSync::Now;
            if self.runtime.changes() != changes {
                match self.timing.noticed(now) {
                    noticed if noticed <= now => again = true,
                    noticed => self.noticed = Some(noticed),
                }
            }
            if again && now > began {
                // What happened while the sync took its time happens first.
                self.asked_for = Some(now);
                return;
            }
            if !again {
                return;
            }
        }
        // It has been synced as often as it may be at one instant.
        self.asked_for = self.asked_for.filter(|at| *at > now);
    }

    /// One sync; stopping a pod and looking at what is left of it are one.
    fn sync(&mut self, now: Timestamp) -> Result<(), SyncPodError<super::SimError>> {
        let before = (self.worker.status().clone(), self.worker.api_status().clone());
        let mut kind = self.worker.kind();
        sync_pod(&mut self.worker, &self.pod, &mut self.runtime)?;
        if kind == SyncKind::Pod && self.worker.is_stopping() {
            kind = SyncKind::Terminating;
        }
        let mut step = self.step(kind, now);
        if kind == SyncKind::Terminating && self.worker.kind() == SyncKind::Terminating {
            sync_pod(&mut self.worker, &self.pod, &mut self.runtime)?;
            let after = self.step(kind, now);
            step.status = after.status;
            step.api_status = after.api_status;
        }
        for event in &step.events {
            self.recorded.record(event.clone(), now);
        }
        // The API server can learn of an end that the kubelet has known for a while.
        let changed = (&step.status, &step.api_status) != (&before.0, &before.1);
        if changed || !step.runtime_calls.is_empty() {
            self.steps.push(step);
        }
        Ok(())
    }

    fn step(&mut self, kind: SyncKind, now: Timestamp) -> Step {
        Step {
            at: self.since_beginning(now),
            now,
            kind,
            actions: self.worker.actions().clone(),
            results: self.worker.results().to_vec(),
            runtime_calls: self.runtime.take_calls(),
            events: self.worker.events().to_vec(),
            status: self.worker.status().clone(),
            api_status: self.worker.api_status().clone(),
            deletion: self.worker.deletion(),
        }
    }
}

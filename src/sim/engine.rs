//! Runs a pod through a scenario.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::agenda::{Agenda, Next, Synced};
use super::runtime::SimRuntime;
use super::scenario::{PodEvent, Scenario, ScheduledEvent};
use super::timeline::{End, Step, Timeline};
use super::timing::{IdealTiming, SyncTiming};
use crate::event::EventLog;
use crate::pod::PodSpec;
use crate::runtime::{ContainerRuntime, SyncPodError, sync_pod};
use crate::time::Timestamp;
use crate::worker::{Deletion, NextSync, PodWorker, SyncKind, WorkerSettings};

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
    let mut events = scenario.events.clone();
    events.sort_by_key(|event| event.at);
    let mut engine = Engine {
        pod: Cow::Borrowed(pod),
        scenario,
        timing,
        runtime: SimRuntime::new(pod, scenario),
        worker: PodWorker::new(scenario.settings),
        agenda: Agenda::limited(scenario.begins_at, scenario.limits),
        events,
        steps: Vec::new(),
        recorded: EventLog::default(),
    };
    let end = engine.run();
    Timeline { steps: engine.steps, events: engine.recorded, end }
}

struct Engine<'a, T> {
    pod: Cow<'a, PodSpec>,
    scenario: &'a Scenario,
    timing: &'a mut T,
    runtime: SimRuntime,
    worker: PodWorker,
    agenda: Agenda,
    /// In the order of time.
    events: Vec<ScheduledEvent>,
    steps: Vec<Step>,
    recorded: EventLog,
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
            let change = self.runtime.next_change();
            now = match self.agenda.next(&self.events, change, self.runtime.now()) {
                Next::At(next) => next,
                Next::Nothing => return End::Steady,
                Next::Truncated => return End::Truncated,
            };
            due = self.advance_to(now);
        }
    }

    /// Lets everything happen that is due. Returns `true` if there is something to sync for.
    fn advance_to(&mut self, now: Timestamp) -> bool {
        let seen = self.runtime.advance_to(now);
        if seen.ended {
            self.agenda.notice(self.timing.noticed(now));
        }
        let mut happened = false;
        while let Some(event) = self.agenda.take_event(&self.events, now) {
            happened = true;
            self.runtime.befall(&self.pod, event);
            match event {
                PodEvent::ImageChanged { container, image } => {
                    if let Some(container) = self.pod.find(container) {
                        self.pod = Cow::Owned(self.pod.with_image(container, image.clone()));
                    }
                }
                event => {
                    if let PodEvent::Evicted(eviction) = event {
                        let told = eviction.event();
                        told.into_iter().for_each(|told| self.recorded.record(told, now));
                    }
                    tell(&mut self.worker, self.scenario.settings, event, now);
                }
            }
        }
        self.agenda.take_due(now) || happened || seen.probed
    }

    /// Syncs; again as long as a sync makes something start or end that is noticed at once, or asks
    /// for another one.
    fn sync_at(&mut self, now: Timestamp) {
        loop {
            let changes = self.runtime.changes();
            let began = now;
            if self.sync(now).is_err() {
                // The runtime cannot be asked. The pod is looked at when it can be again.
                self.agenda.postpone(self.runtime.unavailable_until());
                return;
            }
            let now = self.runtime.now();
            let next = self.worker.next_sync();
            let changed = self.runtime.changes() != changes;
            let synced = Synced {
                began,
                now,
                asked_for: self.timing.requeued(&self.pod, next, now),
                noticed: changed.then(|| self.timing.noticed(now)),
                again: next == NextSync::Now,
            };
            let again = self.agenda.after_sync(synced);
            if !again || self.worker.kind() == SyncKind::Finished {
                return;
            }
        }
    }

    /// One sync; stopping a pod and looking at what is left of it are one.
    fn sync(&mut self, now: Timestamp) -> Result<(), SyncPodError<super::SimError>> {
        let before = (self.worker.status().clone(), self.worker.api_status().clone());
        let mut kind = self.worker.kind();
        sync_pod(&mut self.worker, &self.pod, &mut self.runtime)?;
        if kind == SyncKind::Pod && self.worker.kind() == SyncKind::Finished {
            // Met by a restarted kubelet when it had ended.
            kind = SyncKind::Terminated;
        } else if kind == SyncKind::Pod
            && (self.worker.is_stopping() || before.1.phase.is_terminal())
        {
            kind = SyncKind::Terminating;
        }
        let mut step = self.step(kind, now);
        if kind == SyncKind::Terminating && self.worker.kind() == SyncKind::Terminating {
            sync_pod(&mut self.worker, &self.pod, &mut self.runtime)?;
            let after = self.step(kind, now);
            step.events.extend(after.events);
            step.status = after.status;
            step.api_status = after.api_status;
        }
        for event in &step.events {
            self.recorded.record(event.clone(), now);
        }
        // The API server can learn of an end that the kubelet has known for a while.
        let changed = (&step.status, &step.api_status) != (&before.0, &before.1);
        if changed || !step.runtime_calls.is_empty() {
            self.agenda.count_step();
            self.steps.push(step);
        }
        Ok(())
    }

    fn step(&mut self, kind: SyncKind, now: Timestamp) -> Step {
        Step {
            at: self.agenda.since_beginning(now),
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

/// Tells the kubelet what happens to the pod; what happens in the runtime it finds out itself.
pub(crate) fn tell(
    worker: &mut PodWorker,
    settings: WorkerSettings,
    event: &PodEvent,
    now: Timestamp,
) {
    match event {
        PodEvent::PodDeleted { grace_period_seconds } => {
            worker.delete(Deletion { timestamp: now, grace_period_seconds: *grace_period_seconds });
        }
        PodEvent::Evicted(eviction) => worker.evict(eviction.clone()),
        PodEvent::KubeletRestarted => {
            let settings = WorkerSettings { kubelet_started_at: Some(now), ..settings };
            let deletion = worker.deletion();
            *worker = PodWorker::resume(settings, worker.api_status().clone());
            deletion.into_iter().for_each(|deletion| worker.delete(deletion));
        }
        PodEvent::SandboxLost
        | PodEvent::InitRecordsRemoved
        | PodEvent::InstanceVanished { .. }
        | PodEvent::RuntimeUnavailable { .. }
        | PodEvent::ImageChanged { .. } => {}
    }
}

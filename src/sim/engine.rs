//! Runs a pod through a scenario.

use alloc::vec::Vec;
use core::time::Duration;

use super::runtime::SimRuntime;
use super::scenario::{PodEvent, Scenario, ScheduledEvent};
use super::timeline::{End, Step, Timeline};
use crate::event::EventLog;
use crate::runtime::{SyncPodError, sync_pod};
use crate::spec::PodSpec;
use crate::time::Timestamp;
use crate::worker::{Deletion, NextSync, PodWorker, SyncKind};

/// So often a pod is synced at one instant at the most.
const MAX_SYNCS_AT_ONCE: usize = 12;

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
/// let pod = PodSpec::compile_unchecked(&pod, FeatureGates::default())?;
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
    let mut engine = Engine {
        pod,
        scenario,
        runtime: SimRuntime::new(pod, scenario),
        worker: PodWorker::new(scenario.settings),
        steps: Vec::new(),
        recorded: EventLog::default(),
        events: scenario.events.clone(),
    };
    engine.events.sort_by_key(|event| event.at);
    engine.events.reverse();
    let end = engine.run();
    Timeline { steps: engine.steps, events: engine.recorded, end }
}

struct Engine<'a> {
    pod: &'a PodSpec,
    scenario: &'a Scenario,
    runtime: SimRuntime,
    worker: PodWorker,
    steps: Vec<Step>,
    recorded: EventLog,
    /// Those to come, the next one last.
    events: Vec<ScheduledEvent>,
}

impl Engine<'_> {
    fn run(&mut self) -> End {
        let mut now = self.scenario.begins_at;
        loop {
            self.runtime.advance_to(now);
            self.let_events_happen(now);
            self.sync_at(now);
            if self.worker.kind() == SyncKind::Finished {
                let deleted = self.worker.deletion().is_some();
                return if deleted { End::Deleted } else { End::Terminal };
            }
            let Some(next) = self.next_instant() else { return End::Steady };
            let limits = self.scenario.limits;
            if self.steps.len() > limits.steps || self.since_beginning(next) > limits.time {
                return End::Truncated;
            }
            now = next.max(now);
        }
    }

    fn since_beginning(&self, now: Timestamp) -> Duration {
        now.saturating_duration_since(self.scenario.begins_at)
    }

    fn next_instant(&self) -> Option<Timestamp> {
        let asked_for = match self.worker.next_sync() {
            NextSync::At(at, _) => Some(at),
            // It has been synced as often as it may be at one instant.
            NextSync::Now | NextSync::OnChange => None,
        };
        let event = self.events.last().map(|event| self.scenario.begins_at + event.at);
        [asked_for, event, self.runtime.next_change()].into_iter().flatten().min()
    }

    fn let_events_happen(&mut self, now: Timestamp) {
        let since = self.since_beginning(now);
        while let Some(due) = self.events.pop_if(|event| event.at <= since) {
            match due.event {
                PodEvent::SandboxLost => self.runtime.lose_sandbox(),
                PodEvent::InitRecordsRemoved => self.runtime.remove_init_records(self.pod),
                PodEvent::PodDeleted { grace_period_seconds } => {
                    self.worker.delete(Deletion { timestamp: now, grace_period_seconds });
                }
                PodEvent::KubeletRestarted => {
                    let status = self.worker.api_status().clone();
                    let deletion = self.worker.deletion();
                    let mut settings = self.scenario.settings;
                    settings.kubelet_started_at = Some(now);
                    self.worker = PodWorker::resume(settings, status);
                    deletion.into_iter().for_each(|deletion| self.worker.delete(deletion));
                    self.runtime.forget_probe_results();
                }
            }
        }
    }

    /// Syncs as long as a sync makes something start or end, or asks for another one.
    fn sync_at(&mut self, now: Timestamp) {
        for _ in 0..MAX_SYNCS_AT_ONCE {
            let changes = self.runtime.changes();
            let Ok(()) = self.sync(now) else { return };
            let again = self.worker.next_sync() == NextSync::Now;
            let finished = self.worker.kind() == SyncKind::Finished;
            if finished || (!again && self.runtime.changes() == changes) {
                return;
            }
        }
    }

    /// One sync; stopping a pod and looking at what is left of it are one.
    fn sync(&mut self, now: Timestamp) -> Result<(), SyncPodError<super::SimError>> {
        let before = (self.worker.status().clone(), self.worker.api_status().clone());
        let mut kind = self.worker.kind();
        sync_pod(&mut self.worker, self.pod, &mut self.runtime)?;
        if kind == SyncKind::Pod && self.worker.deletion().is_some() {
            kind = SyncKind::Terminating;
        }
        let mut step = self.step(kind, now);
        if kind == SyncKind::Terminating && self.worker.kind() == SyncKind::Terminating {
            sync_pod(&mut self.worker, self.pod, &mut self.runtime)?;
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

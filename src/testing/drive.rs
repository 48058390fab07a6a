//! Lets any controller look after a simulated pod, and records what happens.

use core::time::Duration;

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::fault::{FaultInjector, FaultPlan};
use super::recorder::Recorder;
use super::trace::{Fact, Trace};
use crate::pod::PodSpec;
use crate::runtime::{ContainerRuntime, sync_pod};
use crate::sim::agenda::{Agenda, MAX_SYNCS_AT_ONCE, Next};
use crate::sim::engine::tell;
use crate::sim::{PodEvent, Scenario, ScheduledEvent, SimRuntime};
use crate::status::PodStatus;
use crate::time::Timestamp;
use crate::worker::{NextSync, PodWorker, SyncKind, WorkerSettings};

/// The runtime that a [`Controller`] works on in [`drive`]: a simulated one that is recorded, and
/// whose calls may go wrong.
pub type DrivenRuntime = FaultInjector<Recorder<SimRuntime>>;

/// Somebody who looks after one pod: yours, or [`Kubelet`].
///
/// A closure `FnMut(&PodSpec, &mut DrivenRuntime)` is one.
pub trait Controller {
    /// Looks at the pod and does what is due. Called once a second, and whenever something may have
    /// changed.
    fn sync(&mut self, pod: &PodSpec, runtime: &mut DrivenRuntime);

    /// Is told what happens to the pod.
    fn told(&mut self, _event: PodEvent, _now: Timestamp) {}

    /// When it wants to be called besides.
    fn wakes_at(&self) -> Option<Timestamp> {
        None
    }

    /// The status as it has written it to the API, if it writes one.
    fn status(&self) -> Option<&PodStatus> {
        None
    }

    /// It will do nothing more.
    fn is_finished(&self) -> bool {
        false
    }
}

impl<F: FnMut(&PodSpec, &mut DrivenRuntime)> Controller for F {
    fn sync(&mut self, pod: &PodSpec, runtime: &mut DrivenRuntime) {
        self(pod, runtime);
    }
}

/// The kubelet as a [`Controller`]: a [`PodWorker`] and [`sync_pod`].
#[derive(Clone, Debug)]
pub struct Kubelet {
    settings: WorkerSettings,
    worker: PodWorker,
}

impl Kubelet {
    /// One that does not know the pod yet.
    pub fn new(settings: WorkerSettings) -> Self {
        Self { settings, worker: PodWorker::new(settings) }
    }

    /// Its worker.
    pub fn worker(&self) -> &PodWorker {
        &self.worker
    }

    /// Its worker, to be replaced between two syncs.
    pub fn worker_mut(&mut self) -> &mut PodWorker {
        &mut self.worker
    }
}

impl Controller for Kubelet {
    fn sync(&mut self, pod: &PodSpec, runtime: &mut DrivenRuntime) {
        // A pod that cannot be observed is looked at again later.
        let _ = sync_pod(&mut self.worker, pod, runtime);
    }

    fn told(&mut self, event: PodEvent, now: Timestamp) {
        tell(&mut self.worker, self.settings, &event, now);
    }

    fn wakes_at(&self) -> Option<Timestamp> {
        match self.worker.next_sync() {
            NextSync::At(at, _) => Some(at),
            NextSync::Now | NextSync::OnChange => None,
        }
    }

    fn status(&self) -> Option<&PodStatus> {
        Some(self.worker.api_status())
    }

    fn is_finished(&self) -> bool {
        self.worker.kind() == SyncKind::Finished
    }
}

/// How often a pod is synced if nothing happens.
const PERIOD: Duration = Duration::from_secs(1);

/// Lets a controller look after a pod through a scenario, up to its limit of time, and gives what
/// was seen.
///
/// Nothing is said about when a real kubelet would sync: a controller must keep the rules whenever
/// it is called. For the kubelet's own timing see [`sim::simulate`](crate::sim::simulate).
///
/// `trace` is an empty trace of `pod`; faults are of the calls of the controller. Images do not
/// change: of such an event the controller is told, and that is all.
pub fn drive(
    pod: &PodSpec,
    scenario: &Scenario,
    faults: FaultPlan,
    trace: Trace,
    controller: &mut impl Controller,
) -> Trace {
    let recorder = Recorder::new(SimRuntime::new(pod, scenario), trace);
    let mut events: Vec<ScheduledEvent> = scenario.events.clone();
    events.sort_by_key(|event| event.at);
    let mut drive = Drive {
        pod,
        scenario,
        runtime: FaultInjector::new(recorder, faults).waiting(|recorder, takes| {
            let sim = recorder.runtime_mut();
            let now = sim.now() + takes;
            sim.advance_to(now);
        }),
        agenda: Agenda::limited(scenario.begins_at, scenario.limits),
        events,
        written: None,
    };
    drive.run(controller);
    drive.runtime.into_inner().into_trace()
}

struct Drive<'a> {
    pod: &'a PodSpec,
    scenario: &'a Scenario,
    runtime: DrivenRuntime,
    agenda: Agenda,
    /// In the order of time.
    events: Vec<ScheduledEvent>,
    /// The status that was written last.
    written: Option<PodStatus>,
}

impl Drive<'_> {
    fn run(&mut self, controller: &mut impl Controller) {
        let mut now = self.scenario.begins_at;
        loop {
            self.sim().advance_to(now);
            self.let_events_happen(controller, now);
            for _ in 0..MAX_SYNCS_AT_ONCE {
                let before = self.trace_length();
                controller.sync(self.pod, &mut self.runtime);
                // Slow calls have moved the clock.
                now = self.sim().now();
                self.note_status(controller);
                if controller.is_finished() {
                    return;
                }
                if self.trace_length() == before {
                    break;
                }
            }
            match self.next(controller, now) {
                Next::At(next) => now = next,
                Next::Nothing | Next::Truncated => return,
            }
        }
    }

    fn sim(&mut self) -> &mut SimRuntime {
        self.runtime.runtime_mut().runtime_mut()
    }

    fn trace_length(&mut self) -> usize {
        self.runtime.runtime_mut().trace().entries().len()
    }

    fn let_events_happen(&mut self, controller: &mut impl Controller, now: Timestamp) {
        let pod = self.pod;
        while let Some(event) = self.agenda.take_event(&self.events, now).cloned() {
            // Ends that are due happen before they are overtaken.
            self.runtime.runtime_mut().look(pod);
            self.sim().befall(pod, &event);
            let fact = match &event {
                PodEvent::KubeletRestarted => Some(Fact::MemoryLost),
                PodEvent::PodDeleted { .. } => Some(Fact::DeletionRequested),
                PodEvent::Evicted(_) => Some(Fact::Evicted),
                _ => None,
            };
            fact.into_iter().for_each(|fact| self.runtime.runtime_mut().note(fact));
            self.runtime.runtime_mut().look(pod);
            controller.told(event, now);
        }
    }

    fn note_status(&mut self, controller: &impl Controller) {
        if let Some(status) = controller.status()
            && self.written.as_ref() != Some(status)
        {
            self.written = Some(status.clone());
            let fact = Fact::StatusWritten(Box::new(status.clone()));
            self.runtime.runtime_mut().note(fact);
        }
    }

    /// When something may happen next.
    fn next(&mut self, controller: &impl Controller, now: Timestamp) -> Next {
        let later = [self.sim().next_change(), controller.wakes_at()].into_iter().flatten();
        let change = later.filter(|at| *at > now).fold(now + PERIOD, Timestamp::min);
        self.agenda.next(&self.events, Some(change), now)
    }
}

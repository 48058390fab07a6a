//! Lets any controller look after a simulated pod, and records what happens.

use core::time::Duration;

use alloc::boxed::Box;
use alloc::vec::Vec;

use smol_str::SmolStr;

use super::calls::with_calls;
use super::fault::{FaultInjector, FaultPlan};
use super::recorder::Recorder;
use super::trace::{Fact, Trace};
use crate::observation::Observation;
use crate::pod::{ContainerIndex, PodSpec};
use crate::runtime::{AsyncContainerRuntime, ContainerRuntime, sync_pod};
use crate::sim::agenda::{Agenda, MAX_SYNCS_AT_ONCE, Next};
use crate::sim::engine::tell;
use crate::sim::{PodEvent, Scenario, ScheduledEvent, SimError, SimRuntime};
use crate::status::PodStatus;
use crate::termination::TerminationPlan;
use crate::time::Timestamp;
use crate::worker::{NextSync, PodWorker, SyncKind, WorkerSettings};

/// The runtime that a [`Controller`] works on in [`drive`]: a simulated one that is recorded, and
/// whose calls may go wrong.
pub type DrivenRuntime = FaultInjector<Recorder<SimRuntime>>;

/// The runtime that an [`AsyncController`] works on in [`drive_async`].
pub type AsyncDrivenRuntime = FaultInjector<Recorder<AsyncSimRuntime>>;

/// A [`SimRuntime`] as an [`AsyncContainerRuntime`] whose calls never wait.
#[derive(Clone, Debug)]
pub struct AsyncSimRuntime(SimRuntime);

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

/// A [`Controller`] whose sync waits without blocking a thread: for [`drive_async`].
///
/// Each method has the contract of the method of the same name there.
pub trait AsyncController: Send {
    /// See [`Controller::sync`].
    fn sync(
        &mut self,
        pod: &PodSpec,
        runtime: &mut AsyncDrivenRuntime,
    ) -> impl Future<Output = ()> + Send;

    /// See [`Controller::told`].
    fn told(&mut self, _event: PodEvent, _now: Timestamp) {}

    /// See [`Controller::wakes_at`].
    fn wakes_at(&self) -> Option<Timestamp> {
        None
    }

    /// See [`Controller::status`].
    fn status(&self) -> Option<&PodStatus> {
        None
    }

    /// See [`Controller::is_finished`].
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

/// The one life: with `.await` behind it, an [`AsyncController`] looks after it.
macro_rules! run {
    ($drive:ident, $controller:ident $(, .$await:tt)?) => {{
        let mut now = $drive.scenario.begins_at;
        'life: loop {
            $drive.sim().advance_to(now);
            while let Some(event) = $drive.next_event(now) {
                $controller.told(event, now);
            }
            for _ in 0..MAX_SYNCS_AT_ONCE {
                let before = $drive.trace_length();
                $controller.sync($drive.pod, &mut $drive.runtime)$(.$await)?;
                // Slow calls have moved the clock.
                now = $drive.sim().now();
                $drive.note_status($controller.status(), now);
                if $controller.is_finished() {
                    break 'life;
                }
                if $drive.trace_length() == before {
                    break;
                }
            }
            match $drive.next($controller.wakes_at(), now) {
                Next::At(next) => now = next,
                Next::Nothing | Next::Truncated => break,
            }
        }
    }};
}

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
    let sim = SimRuntime::new(pod, scenario);
    let mut drive = Drive::new(pod, scenario, sim, faults, trace);
    run!(drive, controller);
    drive.into_trace()
}

/// [`drive`] with an [`AsyncController`]. The simulated runtime answers at once, also where a call takes
/// virtual time.
pub async fn drive_async(
    pod: &PodSpec,
    scenario: &Scenario,
    faults: FaultPlan,
    trace: Trace,
    controller: &mut impl AsyncController,
) -> Trace {
    let sim = AsyncSimRuntime(SimRuntime::new(pod, scenario));
    let mut drive = Drive::new(pod, scenario, sim, faults, trace);
    run!(drive, controller, .await);
    drive.into_trace()
}

/// The simulated runtime, behind calls of either kind.
trait Simulated {
    fn sim(&mut self) -> &mut SimRuntime;
}

impl Simulated for SimRuntime {
    fn sim(&mut self) -> &mut SimRuntime {
        self
    }
}

impl Simulated for AsyncSimRuntime {
    fn sim(&mut self) -> &mut SimRuntime {
        &mut self.0
    }
}

struct Drive<'a, R> {
    pod: &'a PodSpec,
    scenario: &'a Scenario,
    runtime: FaultInjector<Recorder<R>>,
    agenda: Agenda,
    /// In the order of time.
    events: Vec<ScheduledEvent>,
    /// The status that was written last.
    written: Option<PodStatus>,
}

impl<'a, R: Simulated> Drive<'a, R> {
    fn new(
        pod: &'a PodSpec,
        scenario: &'a Scenario,
        sim: R,
        faults: FaultPlan,
        trace: Trace,
    ) -> Self {
        let recorder = Recorder::new(sim, trace);
        let mut events: Vec<ScheduledEvent> = scenario.events.clone();
        events.sort_by_key(|event| event.at);
        Self {
            pod,
            scenario,
            runtime: FaultInjector::new(recorder, faults).waiting(|recorder, takes| {
                let sim = recorder.runtime_mut().sim();
                let now = sim.now() + takes;
                sim.advance_to(now);
            }),
            agenda: Agenda::limited(scenario.begins_at, scenario.limits),
            events,
            written: None,
        }
    }

    fn into_trace(self) -> Trace {
        self.runtime.into_inner().into_trace()
    }

    fn sim(&mut self) -> &mut SimRuntime {
        self.runtime.runtime_mut().runtime_mut().sim()
    }

    fn trace_length(&mut self) -> usize {
        self.runtime.runtime_mut().trace().entries().len()
    }

    /// The next event that is due, which has happened in the runtime.
    fn next_event(&mut self, now: Timestamp) -> Option<PodEvent> {
        let pod = self.pod;
        let event = self.agenda.take_event(&self.events, now).cloned()?;
        // Ends that are due happen before they are overtaken.
        self.look();
        self.sim().befall(pod, &event);
        let fact = match &event {
            PodEvent::KubeletRestarted => Some(Fact::MemoryLost),
            PodEvent::PodDeleted { .. } => Some(Fact::DeletionRequested),
            PodEvent::Evicted(_) => Some(Fact::Evicted),
            _ => None,
        };
        fact.into_iter().for_each(|fact| self.runtime.runtime_mut().note(now, fact));
        self.look();
        Some(event)
    }

    fn look(&mut self) {
        let mut observation = Observation::new();
        let pod = self.pod;
        let sim = self.sim();
        if sim.observe(pod, &mut observation).is_ok() {
            let now = sim.now();
            self.runtime.runtime_mut().compare(&observation, now);
        }
    }

    fn note_status(&mut self, status: Option<&PodStatus>, now: Timestamp) {
        if let Some(status) = status
            && self.written.as_ref() != Some(status)
        {
            self.written = Some(status.clone());
            let fact = Fact::StatusWritten(Box::new(status.clone()));
            self.runtime.runtime_mut().note(now, fact);
        }
    }

    /// When something may happen next.
    fn next(&mut self, wakes_at: Option<Timestamp>, now: Timestamp) -> Next {
        let later = [self.sim().next_change(), wakes_at].into_iter().flatten();
        let change = later.filter(|at| *at > now).fold(now + PERIOD, Timestamp::min);
        self.agenda.next(&self.events, Some(change), now)
    }
}

macro_rules! answers_at_once {
    ($($method:ident($($argument:ident: $of:ty),*) -> $answer:ty;)*) => {
        impl AsyncContainerRuntime for AsyncSimRuntime {
            type Error = SimError;

            fn now(&mut self) -> Timestamp {
                self.0.now()
            }

            async fn observe(
                &mut self,
                pod: &PodSpec,
                observation: &mut Observation,
            ) -> Result<(), SimError> {
                self.0.observe(pod, observation)
            }

            $(async fn $method(
                &mut self,
                pod: &PodSpec,
                $($argument: $of),*
            ) -> Result<$answer, SimError> {
                self.0.$method(pod, $($argument),*)
            })*
        }
    };
}
with_calls!(answers_at_once);

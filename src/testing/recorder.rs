//! Writes a trace of what a runtime does.

use alloc::vec::Vec;

use smol_str::SmolStr;

use super::calls::with_calls;
use super::trace::{Fact, StopScope, Trace};
use crate::observation::{ContainerInstance, InstanceState, Observation, ProbeResult};
use crate::pod::{ContainerIndex, PodSpec};
use crate::runtime::{AsyncContainerRuntime, ContainerRuntime};
use crate::termination::TerminationPlan;
use crate::time::Timestamp;
use crate::worker::FailureKind;

/// A look at the runtime; with `.await` behind it, at an [`AsyncContainerRuntime`].
macro_rules! look {
    ($self:ident, $pod:ident $(, .$await:tt)?) => {{
        let mut observation = Observation::new();
        if $self.runtime.observe($pod, &mut observation)$(.$await)?.is_ok() {
            let now = $self.runtime.now();
            $self.compare(&observation, now);
        }
    }};
}

/// A runtime that writes a [`Trace`] of what happens in the runtime that it wraps.
///
/// It looks at the wrapped runtime after each call, so it sees what really happened, also where a
/// call failed or told a lie. What happens without a call is seen at the next one. Around an
/// [`AsyncContainerRuntime`] it is one itself.
#[derive(Clone, Debug)]
pub struct Recorder<R> {
    runtime: R,
    trace: Trace,
    /// What was ready or there when it was looked at last.
    sandboxes: Vec<SmolStr>,
    instances: Vec<Seen>,
}

/// An instance as it was seen last.
#[derive(Clone, Debug)]
struct Seen {
    container: ContainerIndex,
    id: SmolStr,
    ran: bool,
    exited: bool,
    startup_succeeded: bool,
}

impl<R> Recorder<R> {
    /// Goes on with a trace, which is an empty one for a pod that the runtime does not know yet.
    pub fn new(runtime: R, trace: Trace) -> Self {
        Self { runtime, trace, sandboxes: Vec::new(), instances: Vec::new() }
    }

    /// The runtime that is wrapped. What is done to it is seen at the next call.
    pub fn runtime_mut(&mut self) -> &mut R {
        &mut self.runtime
    }

    /// What was seen so far.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// What was seen.
    pub fn into_trace(self) -> Trace {
        self.trace
    }

    /// Adds a fact that the runtime does not know: that a status was written, say.
    pub fn note(&mut self, now: Timestamp, fact: Fact) {
        self.trace.push(now, fact);
    }

    /// Notes what is not as it was: ends before beginnings.
    pub(super) fn compare(&mut self, observation: &Observation, now: Timestamp) {
        let made = self.begin_records(observation);
        let mut ended: Vec<(Timestamp, Fact)> = Vec::new();
        for (container, instance) in observation.all_instances() {
            let Some(seen) = self.instances.iter_mut().find(|seen| seen.id == instance.id) else {
                continue;
            };
            if let Some(exit) = instance.exit().filter(|_| seen.ran && !seen.exited) {
                seen.exited = true;
                let finished_at = exit.finished_at.unwrap_or(now);
                let fact = Fact::ContainerExited {
                    container,
                    id: instance.id.clone(),
                    exit_code: exit.exit_code,
                    reason: exit.reason.clone(),
                    finished_at,
                };
                ended.push((finished_at, fact));
            }
        }
        ended.sort_by_key(|(finished_at, _)| *finished_at);
        ended.into_iter().for_each(|(_, fact)| self.trace.push(now, fact));
        self.note_removed(observation, now);
        self.note_sandboxes(observation, now);
        made.into_iter().for_each(|fact| self.trace.push(now, fact));
        self.note_running(observation, now);
    }

    /// Remembers instances that are new, and gives those that do not run yet.
    fn begin_records(&mut self, observation: &Observation) -> Vec<Fact> {
        let mut made = Vec::new();
        for (container, instance) in observation.all_instances() {
            if self.instances.iter().any(|seen| seen.id == instance.id) {
                continue;
            }
            if instance.state == InstanceState::Created {
                let fact = Fact::ContainerCreated { container, id: instance.id.clone() };
                made.push(fact);
            }
            self.instances.push(Seen {
                container,
                id: instance.id.clone(),
                ran: false,
                exited: false,
                startup_succeeded: false,
            });
        }
        made
    }

    fn note_removed(&mut self, observation: &Observation, now: Timestamp) {
        let is_there =
            |seen: &Seen| observation.instances(seen.container).iter().any(|i| i.id == seen.id);
        let trace = &mut self.trace;
        self.instances.retain(|seen| {
            let kept = is_there(seen);
            if !kept {
                let fact =
                    Fact::ContainerRemoved { container: seen.container, id: seen.id.clone() };
                trace.push(now, fact);
            }
            kept
        });
    }

    fn note_sandboxes(&mut self, observation: &Observation, now: Timestamp) {
        let ready = || observation.sandboxes().iter().filter(|sandbox| sandbox.ready);
        let trace = &mut self.trace;
        self.sandboxes.retain(|id| {
            let kept = ready().any(|sandbox| sandbox.id == *id);
            if !kept {
                trace.push(now, Fact::SandboxEnded { id: id.clone() });
            }
            kept
        });
        for sandbox in ready() {
            if !self.sandboxes.contains(&sandbox.id) {
                self.sandboxes.push(sandbox.id.clone());
                trace.push(now, Fact::SandboxStarted { id: sandbox.id.clone() });
            }
        }
    }

    fn note_running(&mut self, observation: &Observation, now: Timestamp) {
        for (container, instance) in observation.all_instances() {
            let Some(seen) = self.instances.iter_mut().find(|seen| seen.id == instance.id) else {
                continue;
            };
            let started = match &instance.state {
                InstanceState::Running => true,
                // One that has ended before it was ever seen to run has run all the same.
                InstanceState::Exited(_) => instance.started_at.is_some() && !seen.exited,
                InstanceState::Created | InstanceState::Unknown => false,
            };
            if started && !seen.ran {
                seen.ran = true;
                self.trace.push(now, start_of(container, instance));
                if let Some(exit) = instance.exit() {
                    seen.exited = true;
                    let fact = Fact::ContainerExited {
                        container,
                        id: instance.id.clone(),
                        exit_code: exit.exit_code,
                        reason: exit.reason.clone(),
                        finished_at: exit.finished_at.unwrap_or(now),
                    };
                    self.trace.push(now, fact);
                }
            }
            let succeeded = instance.is_running()
                && instance.startup_probe == Some(ProbeResult::Success)
                && !seen.startup_succeeded;
            if succeeded {
                seen.startup_succeeded = true;
                let fact = Fact::StartupSucceeded { container, id: instance.id.clone() };
                self.trace.push(now, fact);
            }
        }
    }

    fn note_stops(&mut self, plan: &TerminationPlan, now: Timestamp) {
        // A plan for one container cannot be told from one for a pod of which one container runs;
        // there is no order to keep in either.
        let scope = if plan.stops().len() > 1 { StopScope::Pod } else { StopScope::Container };
        for stop in plan.stops() {
            let (container, id) = (stop.container, stop.instance_id.clone());
            self.note(now, Fact::StopRequested { container, id, scope });
        }
    }
}

impl<R: ContainerRuntime> Recorder<R> {
    /// Looks at the runtime, and notes what has changed. A runtime that cannot be asked tells
    /// nothing.
    pub fn look(&mut self, pod: &PodSpec) {
        look!(self, pod);
    }
}

impl<R: AsyncContainerRuntime> Recorder<R> {
    /// [`look`](Self::look) at an async runtime.
    pub async fn look_async(&mut self, pod: &PodSpec) {
        look!(self, pod, .await);
    }
}

fn start_of(container: ContainerIndex, instance: &ContainerInstance) -> Fact {
    Fact::ContainerStarted {
        container,
        id: instance.id.clone(),
        sandbox_id: instance.sandbox_id.clone(),
        restart_count: instance.restart_count,
    }
}

/// A call, and what came of it. What is to be stopped is noted before.
macro_rules! call {
    ($self:ident, $pod:ident, stop_containers($plan:ident) $(, .$await:tt)?) => {{
        look!($self, $pod $(, .$await)?);
        let now = $self.runtime.now();
        $self.note_stops($plan, now);
        let result = $self.runtime.stop_containers($pod, $plan)$(.$await)?;
        look!($self, $pod $(, .$await)?);
        result
    }};
    ($self:ident, $pod:ident, image_present($container:ident) $(, .$await:tt)?) => {
        $self.runtime.image_present($pod, $container)$(.$await)?
    };
    ($self:ident, $pod:ident, $method:ident($($argument:ident),*) $(, .$await:tt)?) => {{
        let result = $self.runtime.$method($pod, $($argument),*)$(.$await)?;
        look!($self, $pod $(, .$await)?);
        result
    }};
}

macro_rules! recorder {
    ($($method:ident($($argument:ident: $of:ty),*) -> $answer:ty;)*) => {
        impl<R: ContainerRuntime> ContainerRuntime for Recorder<R> {
            type Error = R::Error;

            fn now(&mut self) -> Timestamp {
                self.runtime.now()
            }

            fn observe(
                &mut self,
                pod: &PodSpec,
                observation: &mut Observation,
            ) -> Result<(), R::Error> {
                self.runtime.observe(pod, observation)?;
                let now = self.runtime.now();
                self.compare(observation, now);
                Ok(())
            }

            $(fn $method(
                &mut self,
                pod: &PodSpec,
                $($argument: $of),*
            ) -> Result<$answer, R::Error> {
                call!(self, pod, $method($($argument),*))
            })*

            fn failure_kind(&self, error: &R::Error) -> FailureKind {
                self.runtime.failure_kind(error)
            }
        }

        impl<R: AsyncContainerRuntime> AsyncContainerRuntime for Recorder<R> {
            type Error = R::Error;

            fn now(&mut self) -> Timestamp {
                self.runtime.now()
            }

            async fn observe(
                &mut self,
                pod: &PodSpec,
                observation: &mut Observation,
            ) -> Result<(), R::Error> {
                self.runtime.observe(pod, observation).await?;
                let now = self.runtime.now();
                self.compare(observation, now);
                Ok(())
            }

            $(async fn $method(
                &mut self,
                pod: &PodSpec,
                $($argument: $of),*
            ) -> Result<$answer, R::Error> {
                call!(self, pod, $method($($argument),*), .await)
            })*

            fn failure_kind(&self, error: &R::Error) -> FailureKind {
                self.runtime.failure_kind(error)
            }
        }
    };
}
with_calls!(recorder);

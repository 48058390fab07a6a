//! Faults on the way to a runtime.

use alloc::collections::BTreeMap;
use core::fmt;
use core::time::Duration;

use smol_str::SmolStr;

use crate::observation::Observation;
use crate::runtime::ContainerRuntime;
use crate::spec::{ContainerIndex, PodSpec};
use crate::termination::{GraceRequest, TerminationPlan};
use crate::time::Timestamp;
use crate::worker::FailureKind;

/// Something that goes wrong with one call of a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The call does nothing and fails.
    Fails,
    /// The call does its work, but its answer is lost: the caller sees a failure. Who calls
    /// without looking again does things twice.
    AnswerLost,
    /// The call takes so long.
    Slow(Duration),
    /// Before the call, somebody else stops a running instance of the pod and removes it, with
    /// its log: the first one in the order of the containers.
    InstanceVanishes,
}

/// Which calls have which fault, counted from 0 over all calls of a runtime.
///
/// It only counts and looks up, so it serves blocking and async runtimes alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultPlan {
    faults: BTreeMap<u32, Fault>,
    calls: u32,
}

impl FaultPlan {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self::default()
    }

    /// The same with a fault of the `call`-th call.
    #[must_use]
    pub fn at(mut self, call: u32, fault: Fault) -> Self {
        self.faults.insert(call, fault);
        self
    }

    /// Counts a call, and gives its fault.
    pub fn next_call(&mut self) -> Option<Fault> {
        let fault = self.faults.get(&self.calls).copied();
        self.calls = self.calls.saturating_add(1);
        fault
    }

    /// How many calls were counted.
    pub fn calls(&self) -> u32 {
        self.calls
    }

    /// The faults and their calls, in order.
    pub fn faults(&self) -> impl Iterator<Item = (u32, Fault)> {
        self.faults.iter().map(|(call, fault)| (*call, *fault))
    }
}

impl FromIterator<(u32, Fault)> for FaultPlan {
    fn from_iter<I: IntoIterator<Item = (u32, Fault)>>(faults: I) -> Self {
        Self { faults: faults.into_iter().collect(), calls: 0 }
    }
}

/// A call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultyError<E> {
    /// Because a fault was injected.
    #[error("injected: {0:?}")]
    Injected(Fault),
    /// By itself.
    #[error("{0}")]
    Runtime(E),
}

/// A runtime whose calls go wrong as a [`FaultPlan`] says.
///
/// Wrap it around your runtime to see that your controller lives with failing calls, lost and slow
/// answers and containers that vanish; [`drive`](super::drive) has one inside.
///
/// ```
/// use podinit::sim::{Scenario, SimRuntime};
/// use podinit::testing::{Fault, FaultInjector, FaultPlan};
/// use podinit::{ContainerRuntime, FeatureGates, Observation, PodSpec};
///
/// let pod = serde_json::from_value(serde_json::json!({"spec": {
///     "containers": [{"name": "app", "image": "web:1"}],
/// }}))?;
/// let pod = PodSpec::compile_unchecked(&pod, FeatureGates::default())?;
/// let faults = FaultPlan::none().at(0, Fault::AnswerLost);
/// let mut runtime = FaultInjector::new(SimRuntime::new(&pod, &Scenario::default()), faults);
///
/// assert!(runtime.run_pod_sandbox(&pod, 0).is_err());
/// let mut observation = Observation::new();
/// runtime.observe(&pod, &mut observation)?;
/// assert_eq!(observation.sandboxes().len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FaultInjector<R> {
    runtime: R,
    plan: FaultPlan,
    wait: fn(&mut R, Duration),
}

impl<R> FaultInjector<R> {
    /// Around a runtime. Slow calls are no slower than others.
    pub fn new(runtime: R, plan: FaultPlan) -> Self {
        Self { runtime, plan, wait: |_, _| () }
    }

    /// The same with slow calls: `wait` lets so much time pass, by moving a simulated clock say.
    #[must_use]
    pub fn waiting(mut self, wait: fn(&mut R, Duration)) -> Self {
        self.wait = wait;
        self
    }

    /// The runtime that is wrapped.
    pub fn runtime_mut(&mut self) -> &mut R {
        &mut self.runtime
    }

    /// The runtime that is wrapped.
    pub fn into_inner(self) -> R {
        self.runtime
    }

    /// How many calls there were.
    pub fn calls(&self) -> u32 {
        self.plan.calls()
    }
}

impl<R: ContainerRuntime> FaultInjector<R> {
    fn call<T>(
        &mut self,
        pod: &PodSpec,
        call: impl FnOnce(&mut R) -> Result<T, R::Error>,
    ) -> Result<T, FaultyError<R::Error>> {
        let fault = self.plan.next_call();
        match fault {
            Some(fault @ Fault::Fails) => return Err(FaultyError::Injected(fault)),
            Some(Fault::Slow(takes)) => (self.wait)(&mut self.runtime, takes),
            Some(Fault::InstanceVanishes) => self.vanish(pod),
            Some(Fault::AnswerLost) | None => {}
        }
        let answer = call(&mut self.runtime).map_err(FaultyError::Runtime);
        match fault {
            Some(fault @ Fault::AnswerLost) => Err(FaultyError::Injected(fault)),
            _ => answer,
        }
    }

    /// Stops and removes the first instance that runs. If the runtime refuses, nothing vanishes.
    fn vanish(&mut self, pod: &PodSpec) {
        let mut observation = Observation::new();
        if self.runtime.observe(pod, &mut observation).is_err() {
            return;
        }
        let running = observation.all_instances().find(|(_, instance)| instance.is_running());
        let Some((container, instance)) = running else { return };
        let id = instance.id.clone();
        let request = GraceRequest { override_seconds: Some(0), ..GraceRequest::default() };
        let plan = TerminationPlan::for_container(pod, container, id.clone(), None, request);
        if self.runtime.stop_containers(pod, &plan).is_ok() {
            let _ = self.runtime.remove_container(pod, container, &id, false);
        }
    }
}

impl<R: ContainerRuntime> ContainerRuntime for FaultInjector<R>
where
    R::Error: fmt::Display,
{
    type Error = FaultyError<R::Error>;

    fn now(&mut self) -> Timestamp {
        self.runtime.now()
    }

    fn observe(&mut self, pod: &PodSpec, observation: &mut Observation) -> Result<(), Self::Error> {
        let answer = self.call(pod, |runtime| runtime.observe(pod, observation));
        if answer.is_err() {
            observation.clear();
        }
        answer
    }

    fn run_pod_sandbox(&mut self, pod: &PodSpec, attempt: u32) -> Result<SmolStr, Self::Error> {
        self.call(pod, |runtime| runtime.run_pod_sandbox(pod, attempt))
    }

    fn stop_pod_sandbox(&mut self, pod: &PodSpec, sandbox_id: &str) -> Result<(), Self::Error> {
        self.call(pod, |runtime| runtime.stop_pod_sandbox(pod, sandbox_id))
    }

    fn stop_containers(
        &mut self,
        pod: &PodSpec,
        plan: &TerminationPlan,
    ) -> Result<(), Self::Error> {
        self.call(pod, |runtime| runtime.stop_containers(pod, plan))
    }

    fn remove_container(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
        id: &str,
        keep_log: bool,
    ) -> Result<(), Self::Error> {
        self.call(pod, |runtime| runtime.remove_container(pod, container, id, keep_log))
    }

    fn image_present(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
    ) -> Result<bool, Self::Error> {
        self.call(pod, |runtime| runtime.image_present(pod, container))
    }

    fn pull_image(&mut self, pod: &PodSpec, container: ContainerIndex) -> Result<u64, Self::Error> {
        self.call(pod, |runtime| runtime.pull_image(pod, container))
    }

    fn create_container(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
        sandbox_id: &str,
        restart_count: Option<u32>,
    ) -> Result<SmolStr, Self::Error> {
        self.call(pod, |runtime| {
            runtime.create_container(pod, container, sandbox_id, restart_count)
        })
    }

    fn start_container(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
        id: &str,
    ) -> Result<(), Self::Error> {
        self.call(pod, |runtime| runtime.start_container(pod, container, id))
    }

    fn failure_kind(&self, error: &Self::Error) -> FailureKind {
        match error {
            FaultyError::Injected(_) => FailureKind::Plain,
            FaultyError::Runtime(error) => self.runtime.failure_kind(error),
        }
    }
}

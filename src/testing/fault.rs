//! Faults on the way to a runtime.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::pin::Pin;
use core::time::Duration;

use smol_str::SmolStr;

use super::calls::with_calls;
use crate::observation::Observation;
use crate::pod::{ContainerIndex, PodSpec};
use crate::runtime::{AsyncContainerRuntime, ContainerRuntime};
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
    /// The call takes this long.
    Slow(Duration),
    /// Before the call, somebody else stops a running instance of the pod and removes it, with
    /// its log: the first one in the order of the containers.
    InstanceVanishes,
}

/// Which calls have which fault, counted from 0 over all calls of a runtime.
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

/// A runtime whose calls go wrong as a [`FaultPlan`] says. Around a [`ContainerRuntime`] it is one,
/// and around an [`AsyncContainerRuntime`] it is one of those.
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
///
/// A sync over an async runtime that fails to answer now and then:
///
/// ```
/// use podinit::testing::{Fault, FaultInjector, FaultPlan};
/// use podinit::{AsyncContainerRuntime, PodSpec, PodWorker, sync_pod_async};
///
/// async fn sync_in_trouble<R: AsyncContainerRuntime>(pod: &PodSpec, runtime: R) -> PodWorker {
///     let faults = FaultPlan::none().at(0, Fault::Fails).at(2, Fault::AnswerLost);
///     let mut runtime = FaultInjector::new(runtime, faults);
///     let mut worker = PodWorker::default();
///     for _ in 0..3 {
///         // A pod that cannot be observed is looked at again.
///         let _ = sync_pod_async(&mut worker, pod, &mut runtime).await;
///     }
///     worker
/// }
/// ```
#[derive(Clone, Debug)]
pub struct FaultInjector<R> {
    runtime: R,
    plan: FaultPlan,
    wait: fn(&mut R, Duration),
    wait_async: Option<AsyncWait<R>>,
}

/// Lets this much time pass, without blocking a thread: for [`FaultInjector::waiting_async`].
pub type AsyncWait<R> =
    for<'a> fn(&'a mut R, Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

impl<R> FaultInjector<R> {
    /// Around a runtime. Slow calls are no slower than others.
    pub fn new(runtime: R, plan: FaultPlan) -> Self {
        Self { runtime, plan, wait: |_, _| (), wait_async: None }
    }

    /// The same with slow calls: `wait` lets this much time pass, by moving a simulated clock say. A
    /// runtime whose calls are async can also wait by itself, see
    /// [`waiting_async`](Self::waiting_async).
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

impl<R: AsyncContainerRuntime> FaultInjector<R> {
    /// The same with slow calls that wait without blocking a thread.
    ///
    /// ```
    /// use podinit::AsyncContainerRuntime;
    /// use podinit::testing::{FaultInjector, FaultPlan};
    ///
    /// fn slow<R: AsyncContainerRuntime>(runtime: R, faults: FaultPlan) -> FaultInjector<R> {
    ///     FaultInjector::new(runtime, faults).waiting_async(|_, takes| {
    ///         Box::pin(async move {
    ///             smol::Timer::after(takes).await;
    ///         })
    ///     })
    /// }
    /// ```
    #[must_use]
    pub fn waiting_async(mut self, wait: AsyncWait<R>) -> Self {
        self.wait_async = Some(wait);
        self
    }
}

/// The first instance that runs, and how it is stopped at once.
fn first_running(
    pod: &PodSpec,
    observation: &Observation,
) -> Option<(ContainerIndex, SmolStr, TerminationPlan)> {
    let (container, instance) =
        observation.all_instances().find(|(_, instance)| instance.is_running())?;
    let id = instance.id.clone();
    let request = GraceRequest { override_seconds: Some(0), ..GraceRequest::default() };
    let plan = TerminationPlan::for_container(pod, container, id.clone(), None, request);
    Some((container, id, plan))
}

/// A call and its fault. With `.await` behind it, it is that of an [`AsyncContainerRuntime`];
/// without, of a [`ContainerRuntime`].
macro_rules! call {
    ($self:ident, $pod:ident, $method:ident($($argument:ident),*) $(, .$await:tt)?) => {{
        let fault = $self.plan.next_call();
        match fault {
            Some(fault @ Fault::Fails) => return Err(FaultyError::Injected(fault)),
            Some(Fault::Slow(takes)) => {
                ($self.wait)(&mut $self.runtime, takes);
                $(if let Some(wait) = $self.wait_async {
                    wait(&mut $self.runtime, takes).$await;
                })?
            }
            Some(Fault::InstanceVanishes) => {
                let mut seen = Observation::new();
                // If the runtime refuses, nothing vanishes.
                if $self.runtime.observe($pod, &mut seen)$(.$await)?.is_ok()
                    && let Some((container, id, plan)) = first_running($pod, &seen)
                    && $self.runtime.stop_containers($pod, &plan)$(.$await)?.is_ok()
                {
                    let _ = $self.runtime.remove_container($pod, container, &id, false)$(.$await)?;
                }
            }
            Some(Fault::AnswerLost) | None => {}
        }
        let answer = $self.runtime.$method($pod, $($argument),*)$(.$await)?;
        match fault {
            Some(fault @ Fault::AnswerLost) => Err(FaultyError::Injected(fault)),
            _ => answer.map_err(FaultyError::Runtime),
        }
    }};
}

/// An observation and its fault: a failed one shows nothing.
macro_rules! observe {
    ($self:ident, $pod:ident, $observation:ident $(, .$await:tt)?) => {{
        let mut seen = Observation::new();
        let into = &mut seen;
        call!($self, $pod, observe(into) $(, .$await)?)?;
        *$observation = seen;
        Ok(())
    }};
}

macro_rules! injector {
    ($($method:ident($($argument:ident: $of:ty),*) -> $answer:ty;)*) => {
        impl<R: ContainerRuntime> ContainerRuntime for FaultInjector<R> {
            type Error = FaultyError<R::Error>;
            fn now(&mut self) -> Timestamp {
                self.runtime.now()
            }
            fn observe(
                &mut self,
                pod: &PodSpec,
                observation: &mut Observation,
            ) -> Result<(), Self::Error> {
                observe!(self, pod, observation)
            }
            $(fn $method(
                &mut self,
                pod: &PodSpec,
                $($argument: $of),*
            ) -> Result<$answer, Self::Error> {
                call!(self, pod, $method($($argument),*))
            })*
            fn failure_kind(&self, error: &Self::Error) -> FailureKind {
                match error {
                    FaultyError::Injected(_) => FailureKind::Plain,
                    FaultyError::Runtime(error) => self.runtime.failure_kind(error),
                }
            }
        }

        impl<R: AsyncContainerRuntime> AsyncContainerRuntime for FaultInjector<R> {
            type Error = FaultyError<R::Error>;
            fn now(&mut self) -> Timestamp {
                self.runtime.now()
            }
            async fn observe(
                &mut self,
                pod: &PodSpec,
                observation: &mut Observation,
            ) -> Result<(), Self::Error> {
                observe!(self, pod, observation, .await)
            }
            $(async fn $method(
                &mut self,
                pod: &PodSpec,
                $($argument: $of),*
            ) -> Result<$answer, Self::Error> {
                call!(self, pod, $method($($argument),*), .await)
            })*
            fn failure_kind(&self, error: &Self::Error) -> FailureKind {
                match error {
                    FaultyError::Injected(_) => FailureKind::Plain,
                    FaultyError::Runtime(error) => self.runtime.failure_kind(error),
                }
            }
        }
    };
}
with_calls!(injector);

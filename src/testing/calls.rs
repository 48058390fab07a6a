//! The calls of a runtime, blocking or async, for code that is written once for both.

use core::fmt;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use smol_str::SmolStr;

use crate::observation::Observation;
use crate::pod::{ContainerIndex, PodSpec};
use crate::runtime::{AsyncContainerRuntime, ContainerRuntime};
use crate::termination::TerminationPlan;
use crate::time::Timestamp;

/// Hands the signatures of all calls but `observe` to a macro. Each has the pod before its arguments.
macro_rules! with_calls {
    ($then:ident) => {
        $then! {
            run_pod_sandbox(attempt: u32) -> SmolStr;
            stop_pod_sandbox(sandbox_id: &str) -> ();
            stop_containers(plan: &TerminationPlan) -> ();
            remove_container(container: ContainerIndex, id: &str, keep_log: bool) -> ();
            image_present(container: ContainerIndex) -> bool;
            pull_image(container: ContainerIndex) -> u64;
            create_container(
                container: ContainerIndex, sandbox_id: &str, restart_count: Option<u32>
            ) -> SmolStr;
            start_container(container: ContainerIndex, id: &str) -> ();
        }
    };
}
pub(super) use with_calls;

/// A blocking runtime as [`Calls`], whose futures never wait.
pub(super) struct Blocking<'a, R>(pub(super) &'a mut R);

/// An async runtime as [`Calls`].
pub(super) struct Async<'a, R>(pub(super) &'a mut R);

macro_rules! calls {
    ($($method:ident($($argument:ident: $of:ty),*) -> $answer:ty;)*) => {
        /// A runtime of either kind.
        ///
        /// Futures are not said to be [`Send`], which would shut out blocking runtimes that are not;
        /// the compiler finds out by itself where they are.
        pub(super) trait Calls {
            type Error: fmt::Display;
            fn now(&mut self) -> Timestamp;
            async fn observe(
                &mut self,
                pod: &PodSpec,
                observation: &mut Observation,
            ) -> Result<(), Self::Error>;
            $(async fn $method(
                &mut self,
                pod: &PodSpec,
                $($argument: $of),*
            ) -> Result<$answer, Self::Error>;)*
        }

        impl<R: ContainerRuntime> Calls for Blocking<'_, R> {
            type Error = R::Error;
            fn now(&mut self) -> Timestamp {
                self.0.now()
            }
            async fn observe(
                &mut self,
                pod: &PodSpec,
                observation: &mut Observation,
            ) -> Result<(), R::Error> {
                self.0.observe(pod, observation)
            }
            $(async fn $method(
                &mut self,
                pod: &PodSpec,
                $($argument: $of),*
            ) -> Result<$answer, R::Error> {
                self.0.$method(pod, $($argument),*)
            })*
        }

        impl<R: AsyncContainerRuntime> Calls for Async<'_, R> {
            type Error = R::Error;
            fn now(&mut self) -> Timestamp {
                self.0.now()
            }
            async fn observe(
                &mut self,
                pod: &PodSpec,
                observation: &mut Observation,
            ) -> Result<(), R::Error> {
                self.0.observe(pod, observation).await
            }
            $(async fn $method(
                &mut self,
                pod: &PodSpec,
                $($argument: $of),*
            ) -> Result<$answer, R::Error> {
                self.0.$method(pod, $($argument),*).await
            })*
        }
    };
}
with_calls!(calls);

/// Runs a future that never waits: one over a [`Blocking`] runtime.
pub(super) fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(answer) = future.as_mut().poll(&mut context) {
            return answer;
        }
    }
}

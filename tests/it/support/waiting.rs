//! Async runtimes for tests: blocking ones behind calls that make their caller wait.

use std::future::poll_fn;
use std::task::Poll;

use podinit::termination::TerminationPlan;
use podinit::worker::FailureKind;
use podinit::{
    AsyncContainerRuntime, ContainerIndex, ContainerRuntime, Observation, PodSpec, Timestamp,
};
use smol_str::SmolStr;

/// A runtime whose calls wait once before they do what they are asked to and once after.
pub struct Waiting<R>(pub R);

pub async fn wait_once() {
    let mut waited = false;
    poll_fn(move |context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Each method as that of the blocking trait.
macro_rules! waiting {
    ($($method:ident($($argument:ident: $of:ty),*) -> $answer:ty;)*) => {
        impl<R: ContainerRuntime<Error: Send> + Send> AsyncContainerRuntime for Waiting<R> {
            type Error = R::Error;

            fn now(&mut self) -> Timestamp {
                self.0.now()
            }

            $(async fn $method(
                &mut self,
                pod: &PodSpec,
                $($argument: $of),*
            ) -> Result<$answer, R::Error> {
                wait_once().await;
                let answer = self.0.$method(pod, $($argument),*);
                wait_once().await;
                answer
            })*

            fn failure_kind(&self, error: &R::Error) -> FailureKind {
                self.0.failure_kind(error)
            }
        }
    };
}

waiting! {
    observe(observation: &mut Observation) -> ();
    run_pod_sandbox(attempt: u32) -> SmolStr;
    stop_pod_sandbox(sandbox_id: &str) -> ();
    stop_containers(plan: &TerminationPlan) -> ();
    remove_container(container: ContainerIndex, id: &str, keep_log: bool) -> ();
    image_present(container: ContainerIndex) -> bool;
    pull_image(container: ContainerIndex) -> u64;
    create_container(container: ContainerIndex, sandbox_id: &str, restart_count: Option<u32>)
        -> SmolStr;
    start_container(container: ContainerIndex, id: &str) -> ();
}

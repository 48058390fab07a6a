//! The trait that callers implement, and the driver over it.

use core::fmt;

use smol_str::{SmolStr, ToSmolStr};

use crate::observation::Observation;
use crate::spec::{ContainerIndex, PodSpec};
use crate::termination::TerminationPlan;
use crate::time::Timestamp;
use crate::worker::{Failure, FailureKind, Operation, Outcome, PodWorker, WorkerError};

/// A container runtime, as the kubelet sees one: what it is asked while a pod is synced.
///
/// Any runtime fits that can do what the container runtime interface (CRI) can; the simulation in
/// [`sim`](crate::sim) is one. Calls come one at a time and in the order of the kubelet. A call
/// returns when its work is done or has failed. A failed call changes nothing that a later
/// observation would not show; it is tried again at a later sync.
pub trait ContainerRuntime {
    /// Why a call failed. Its display text ends up in events and waiting messages.
    type Error: fmt::Display;

    /// The time now, of the wall clock by which the runtime dates containers.
    fn now(&mut self) -> Timestamp;

    /// Fills in everything that the runtime knows of the pod. The observation is empty when it is
    /// handed over.
    ///
    /// # Errors
    /// If the runtime cannot be asked. That says nothing about the pod: nothing is decided, and
    /// nothing counts as gone.
    fn observe(&mut self, pod: &PodSpec, observation: &mut Observation) -> Result<(), Self::Error>;

    /// Makes and starts a sandbox, and gives its id.
    ///
    /// # Errors
    /// If it could not be made.
    fn run_pod_sandbox(&mut self, pod: &PodSpec, attempt: u32) -> Result<SmolStr, Self::Error>;

    /// Stops a sandbox; no error if it is stopped already.
    ///
    /// # Errors
    /// If it may still be running.
    fn stop_pod_sandbox(&mut self, pod: &PodSpec, sandbox_id: &str) -> Result<(), Self::Error>;

    /// Stops containers side by side in the order of the plan, and returns when all have stopped.
    /// A [`Termination`](crate::termination::Termination) says step by step what is due.
    ///
    /// # Errors
    /// If one of them may still be running.
    fn stop_containers(&mut self, pod: &PodSpec, plan: &TerminationPlan)
    -> Result<(), Self::Error>;

    /// Removes an instance that does not run; no error if it is gone already. Its log is removed
    /// too, unless it is to be kept.
    ///
    /// # Errors
    /// If it may still be there.
    fn remove_container(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
        id: &str,
        keep_log: bool,
    ) -> Result<(), Self::Error>;

    /// Is the container's image on the node?
    ///
    /// # Errors
    /// If that cannot be told.
    fn image_present(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
    ) -> Result<bool, Self::Error>;

    /// Pulls the container's image, and gives its size in bytes (0 if not known).
    ///
    /// # Errors
    /// If it could not be pulled.
    fn pull_image(&mut self, pod: &PodSpec, container: ContainerIndex) -> Result<u64, Self::Error>;

    /// Creates an instance of a container, and gives its id.
    ///
    /// `restart_count`: which restart it is; `None`: one more than that of the container's newest
    /// log, or 0 if it has none.
    ///
    /// # Errors
    /// If it could not be created.
    fn create_container(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
        sandbox_id: &str,
        restart_count: Option<u32>,
    ) -> Result<SmolStr, Self::Error>;

    /// Starts an instance, its `postStart` hook included.
    ///
    /// # Errors
    /// If it could not be started, or its hook failed (after which it is to be killed).
    fn start_container(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
        id: &str,
    ) -> Result<(), Self::Error>;

    /// Sorts an error, where the kubelet tells kinds apart. By default all are plain ones.
    fn failure_kind(&self, _error: &Self::Error) -> FailureKind {
        FailureKind::Plain
    }
}

/// A sync did not come about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SyncPodError<E> {
    /// The runtime could not be asked what it knows of the pod. Nothing was decided or done.
    #[error("the pod could not be observed: {0}")]
    Observe(E),
    /// The worker refused an outcome: a fault of this crate.
    #[error(transparent)]
    Worker(#[from] WorkerError),
}

/// Syncs a pod once: observes it, writes its status, decides, and carries the decision out in the
/// order of the kubelet.
///
/// What failed is in [`PodWorker::results`]; when to sync again says [`PodWorker::next_sync`].
///
/// # Errors
/// Only if the pod could not be observed.
pub fn sync_pod<R: ContainerRuntime>(
    worker: &mut PodWorker,
    pod: &PodSpec,
    runtime: &mut R,
) -> Result<(), SyncPodError<R::Error>> {
    let mut observation = Observation::new();
    runtime.observe(pod, &mut observation).map_err(SyncPodError::Observe)?;
    worker.sync(pod, &observation, runtime.now());
    loop {
        let now = runtime.now();
        let Some(operation) = worker.next_operation(pod, now) else { return Ok(()) };
        let outcome = perform(pod, runtime, &operation);
        let now = runtime.now();
        worker.record(pod, outcome, now)?;
    }
}

/// Carries out one operation.
fn perform<R: ContainerRuntime>(pod: &PodSpec, runtime: &mut R, operation: &Operation) -> Outcome {
    let result = match operation {
        Operation::StopContainers(plan) => {
            runtime.stop_containers(pod, plan).map(|()| Outcome::Done)
        }
        Operation::StopPodSandbox { sandbox_id } => {
            runtime.stop_pod_sandbox(pod, sandbox_id).map(|()| Outcome::Done)
        }
        Operation::RemoveContainer { container, id, keep_log } => {
            runtime.remove_container(pod, *container, id, *keep_log).map(|()| Outcome::Done)
        }
        Operation::RunPodSandbox { attempt } => {
            runtime.run_pod_sandbox(pod, *attempt).map(Outcome::Sandbox)
        }
        Operation::CheckImage { container } => {
            runtime.image_present(pod, *container).map(Outcome::ImagePresent)
        }
        Operation::PullImage { container } => {
            runtime.pull_image(pod, *container).map(|size| Outcome::Pulled { size })
        }
        Operation::CreateContainer { container, sandbox_id, restart_count } => runtime
            .create_container(pod, *container, sandbox_id, *restart_count)
            .map(Outcome::Created),
        Operation::StartContainer { container, id } => {
            runtime.start_container(pod, *container, id).map(|()| Outcome::Done)
        }
    };
    result.unwrap_or_else(|error| {
        Outcome::Failed(Failure { kind: runtime.failure_kind(&error), message: error.to_smolstr() })
    })
}

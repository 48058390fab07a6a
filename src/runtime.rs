//! The traits that callers implement, blocking and async, and the driver over them.
//!
//! [`sync_pod`] does one sync of a [`PodWorker`] over a [`ContainerRuntime`],
//! [`sync_pod_async`] over an [`AsyncContainerRuntime`], with the same loop.
//! [How to implement a runtime](crate::docs::implement_a_runtime) says what each call must keep to.

use core::fmt;

use smol_str::{SmolStr, ToSmolStr};

use crate::observation::{Observation, ObservationError};
use crate::pod::{ContainerIndex, PodSpec};
use crate::termination::TerminationPlan;
use crate::time::Timestamp;
use crate::worker::{Failure, FailureKind, Operation, PodWorker, SyncSummary, WorkerError};

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

/// A [`ContainerRuntime`] whose calls wait without blocking a thread.
///
/// Each method has the contract of the method of the same name there. Write them as `async fn`:
///
/// ```
/// # use podinit::termination::TerminationPlan;
/// # use podinit::{ContainerIndex, Observation, PodSpec, Timestamp};
/// # struct MyRuntime;
/// impl podinit::AsyncContainerRuntime for MyRuntime {
///     type Error = std::io::Error;
///
///     async fn observe(
///         &mut self,
///         pod: &PodSpec,
///         observation: &mut Observation,
///     ) -> Result<(), Self::Error> {
///         // ask, and wait for the answer
///         Ok(())
///     }
/// #   fn now(&mut self) -> Timestamp { Timestamp::UNIX_EPOCH }
/// #   async fn run_pod_sandbox(&mut self, _: &PodSpec, _: u32)
/// #       -> Result<smol_str::SmolStr, Self::Error> { Ok("1".into()) }
/// #   async fn stop_pod_sandbox(&mut self, _: &PodSpec, _: &str) -> Result<(), Self::Error> { Ok(()) }
/// #   async fn stop_containers(&mut self, _: &PodSpec, _: &TerminationPlan)
/// #       -> Result<(), Self::Error> { Ok(()) }
/// #   async fn remove_container(&mut self, _: &PodSpec, _: ContainerIndex, _: &str, _: bool)
/// #       -> Result<(), Self::Error> { Ok(()) }
/// #   async fn image_present(&mut self, _: &PodSpec, _: ContainerIndex)
/// #       -> Result<bool, Self::Error> { Ok(true) }
/// #   async fn pull_image(&mut self, _: &PodSpec, _: ContainerIndex)
/// #       -> Result<u64, Self::Error> { Ok(0) }
/// #   async fn create_container(&mut self, _: &PodSpec, _: ContainerIndex, _: &str, _: Option<u32>)
/// #       -> Result<smol_str::SmolStr, Self::Error> { Ok("2".into()) }
/// #   async fn start_container(&mut self, _: &PodSpec, _: ContainerIndex, _: &str)
/// #       -> Result<(), Self::Error> { Ok(()) }
///     // and so on
/// }
/// ```
///
/// The futures are [`Send`], so that any executor can run them; the compiler refuses an `async fn`
/// whose future is not. A runtime that is bound to one thread drives a [`PodWorker`] itself, with a
/// loop as short as the one of [`sync_pod`].
///
/// # Dropped calls
/// Whoever syncs can give up at any time, which drops the future of the call under way. The call
/// may then have been carried out or not, but it must not go on beside later calls in a way that
/// they do not see: what the next [`observe`](Self::observe) reports must hold until the next call
/// or until a container changes by itself. A runtime that cannot take a request back once it is
/// sent either reports what came of it or waits for it at the next call.
pub trait AsyncContainerRuntime: Send {
    /// See [`ContainerRuntime::Error`].
    type Error: fmt::Display + Send;

    /// See [`ContainerRuntime::now`]. Not a future: a clock is read at once.
    fn now(&mut self) -> Timestamp;

    /// See [`ContainerRuntime::observe`].
    ///
    /// # Errors
    /// If the runtime cannot be asked.
    fn observe(
        &mut self,
        pod: &PodSpec,
        observation: &mut Observation,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// See [`ContainerRuntime::run_pod_sandbox`].
    ///
    /// # Errors
    /// If it could not be made.
    fn run_pod_sandbox(
        &mut self,
        pod: &PodSpec,
        attempt: u32,
    ) -> impl Future<Output = Result<SmolStr, Self::Error>> + Send;

    /// See [`ContainerRuntime::stop_pod_sandbox`].
    ///
    /// # Errors
    /// If it may still be running.
    fn stop_pod_sandbox(
        &mut self,
        pod: &PodSpec,
        sandbox_id: &str,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// See [`ContainerRuntime::stop_containers`].
    ///
    /// # Errors
    /// If one of them may still be running.
    fn stop_containers(
        &mut self,
        pod: &PodSpec,
        plan: &TerminationPlan,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// See [`ContainerRuntime::remove_container`].
    ///
    /// # Errors
    /// If it may still be there.
    fn remove_container(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
        id: &str,
        keep_log: bool,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// See [`ContainerRuntime::image_present`].
    ///
    /// # Errors
    /// If that cannot be told.
    fn image_present(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// See [`ContainerRuntime::pull_image`].
    ///
    /// # Errors
    /// If it could not be pulled.
    fn pull_image(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send;

    /// See [`ContainerRuntime::create_container`].
    ///
    /// # Errors
    /// If it could not be created.
    fn create_container(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
        sandbox_id: &str,
        restart_count: Option<u32>,
    ) -> impl Future<Output = Result<SmolStr, Self::Error>> + Send;

    /// See [`ContainerRuntime::start_container`].
    ///
    /// # Errors
    /// If it could not be started, or its hook failed.
    fn start_container(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
        id: &str,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// See [`ContainerRuntime::failure_kind`].
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
    /// What the runtime reports cannot be of this pod. Nothing was decided or done.
    #[error(transparent)]
    Observation(#[from] ObservationError),
    /// The worker refused an outcome: a fault of this crate.
    #[error(transparent)]
    Worker(#[from] WorkerError),
}

/// The one driver. With `.await` behind it, it is that of an [`AsyncContainerRuntime`]; without, of
/// a [`ContainerRuntime`].
macro_rules! drive {
    ($worker:ident, $pod:ident, $runtime:ident $(, .$await:tt)?) => {{
        let mut summary = SyncSummary::default();
        let mut observation = Observation::new();
        $runtime.observe($pod, &mut observation)$(.$await)?.map_err(SyncPodError::Observe)?;
        observation.check($pod)?;
        $worker.sync($pod, &observation, $runtime.now());
        loop {
            let now = $runtime.now();
            let Some(operation) = $worker.next_operation($pod, now) else { return Ok(summary) };
            let result = match &operation {
                Operation::StopContainers(stop) => $runtime
                    .stop_containers($pod, &stop.plan)$(.$await)?
                    .map(|()| stop.stopped()),
                Operation::StopPodSandbox(stop) => $runtime
                    .stop_pod_sandbox($pod, &stop.sandbox_id)$(.$await)?
                    .map(|()| stop.stopped()),
                Operation::RemoveContainer(remove) => $runtime
                    .remove_container($pod, remove.container, &remove.id, remove.keep_log)
                    $(.$await)?
                    .map(|()| remove.removed()),
                Operation::RunPodSandbox(run) => $runtime
                    .run_pod_sandbox($pod, run.attempt)$(.$await)?
                    .map(|id| run.running(id)),
                Operation::CheckImage(check) => $runtime
                    .image_present($pod, check.container)$(.$await)?
                    .map(|present| check.present(present)),
                Operation::PullImage(pull) => $runtime
                    .pull_image($pod, pull.container)$(.$await)?
                    .map(|size| pull.pulled(size)),
                Operation::CreateContainer(create) => $runtime
                    .create_container(
                        $pod,
                        create.container,
                        &create.sandbox_id,
                        create.restart_count,
                    )
                    $(.$await)?
                    .map(|id| create.created(id)),
                Operation::StartContainer(start) => $runtime
                    .start_container($pod, start.container, &start.id)$(.$await)?
                    .map(|()| start.started()),
            };
            let outcome = result.unwrap_or_else(|error| {
                let kind = $runtime.failure_kind(&error);
                operation.failed(Failure { kind, message: error.to_smolstr() })
            });
            summary.count(&operation, &outcome);
            $worker.record($pod, outcome, $runtime.now())?;
        }
    }};
}

/// Syncs a pod once: observes it, writes its status, decides, and carries the decision out in the
/// order of the kubelet. Gives what was done.
///
/// What failed is in [`PodWorker::results`]; when to sync again says [`PodWorker::next_sync`].
///
/// # Errors
/// If the pod could not be observed, or what was observed cannot be of this pod.
pub fn sync_pod<R: ContainerRuntime>(
    worker: &mut PodWorker,
    pod: &PodSpec,
    runtime: &mut R,
) -> Result<SyncSummary, SyncPodError<R::Error>> {
    drive!(worker, pod, runtime)
}

/// [`sync_pod`] over an [`AsyncContainerRuntime`]. The future is [`Send`].
///
/// The future can be dropped at any point, as by a timeout or a `select`: the operation under way
/// then counts as one of which nothing is known, everything before it as recorded, and the sync as
/// not over ([`PodWorker::next_sync`] says [`Now`](crate::NextSync::Now)). The next sync observes
/// what became of the operation and goes on from there, which asks of the runtime what
/// [`AsyncContainerRuntime`] says of dropped calls.
///
/// ```
/// use podinit::{AsyncContainerRuntime, NextSync, PodSpec, PodWorker, sync_pod_async};
///
/// /// Any executor can run this, also one that moves tasks between threads.
/// async fn sync_until_settled<R: AsyncContainerRuntime>(
///     pod: &PodSpec,
///     runtime: &mut R,
/// ) -> PodWorker {
///     let mut worker = PodWorker::default();
///     while worker.next_sync() == NextSync::Now {
///         if sync_pod_async(&mut worker, pod, runtime).await.is_err() {
///             break;
///         }
///     }
///     worker
/// }
/// ```
///
/// # Errors
/// If the pod could not be observed, or what was observed cannot be of this pod.
pub async fn sync_pod_async<R: AsyncContainerRuntime>(
    worker: &mut PodWorker,
    pod: &PodSpec,
    runtime: &mut R,
) -> Result<SyncSummary, SyncPodError<R::Error>> {
    drive!(worker, pod, runtime, .await)
}

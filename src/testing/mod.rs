//! A kit for testing whatever looks after pods: random pods and lives, the rules that hold in each
//! life, faults, a contract for runtimes, and a check of statuses that were seen elsewhere.
//!
//! # Testing a controller of your own
//!
//! The rules need no other crate; drawing random lives needs the feature `proptest`. A home-made
//! start-up controller is then tested in four lines: draw a random [`Life`], let the
//! controller look after the pod on a virtual clock ([`Life::drive`]), and [`check`] the [`Trace`]
//! of what it did against every [`Invariant`]. Here one has the bug that people make most: it starts
//! the app containers once the *last* init container has run, whatever it exited with. The property
//! fails, and the life shrinks to a manifest of three lines that `examples/simulate.rs` accepts:
//!
//! ```
//! # #[cfg(feature = "proptest")] {
//! use podinit::{ContainerRuntime, Observation, PodSpec};
//! use podinit::observation::ContainerInstance;
//! use podinit::testing::{DrivenRuntime, Invariant, Life, LifeShape, PodShape, check, lives};
//! use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
//!
//! /// Starts what is next: a sandbox, the init containers one by one, the app containers.
//! fn home_made(pod: &PodSpec, runtime: &mut DrivenRuntime) {
//!     let mut seen = Observation::new();
//!     if runtime.observe(pod, &mut seen).is_err() {
//!         return;
//!     }
//!     let Some(sandbox) = seen.current_sandbox().map(|sandbox| sandbox.id.clone()) else {
//!         let _ = runtime.run_pod_sandbox(pod, 0);
//!         return;
//!     };
//!     let next_init = pod.init_containers().find(|init| {
//!         // The bug: it should look at the exit code, too.
//!         seen.newest(*init).and_then(ContainerInstance::exit).is_none()
//!     });
//!     let due = match next_init {
//!         Some(init) => vec![init],
//!         None => pod.app_containers().collect(),
//!     };
//!     for container in due {
//!         if seen.newest(container).is_none()
//!             && let Ok(id) = runtime.create_container(pod, container, &sandbox, None)
//!         {
//!             let _ = runtime.start_container(pod, container, &id);
//!         }
//!     }
//! }
//!
//! let shape = LifeShape { pods: PodShape::PLAIN, max_upsets: 0, until: 60, ..LifeShape::default() };
//! let mut runner = TestRunner::new_with_rng(
//!     Config { failure_persistence: None, ..Config::default() },
//!     proptest::test_runner::TestRng::deterministic_rng(Default::default()),
//! );
//! let found = runner.run(&lives(&shape), |life| {
//!     let trace = life.drive(&mut home_made).unwrap();
//!     check(&trace).map_err(|violation| TestCaseError::fail(violation.to_string()))
//! });
//!
//! let Err(TestError::Fail(why, smallest)) = found else { panic!("the bug was not found") };
//! assert!(why.message().starts_with("apps-after-init: "));
//! let shown = smallest.to_string();
//! let manifest: Vec<&str> = shown.lines().take(3).collect();
//! assert_eq!(manifest, [
//!     "{apiVersion: v1, kind: Pod, metadata: {name: pod}, spec: {",
//!     "initContainers: [{name: init-1, image: init}],",
//!     "containers: [{name: app-1, image: app}]}}",
//! ]);
//! assert_eq!(
//!     shown.lines().nth(3),
//!     Some("# simulate FILE.yaml --fail init-1=1x1 --until 1m --kubernetes 1.36")
//! );
//! # }
//! ```
//!
//! # What else is here
//!
//! - [`Recorder`] writes the trace of any [`ContainerRuntime`](crate::ContainerRuntime), also of a
//!   real one.
//! - [`FaultInjector`] lets the calls of any runtime go wrong, blocking or async.
//! - [`check_statuses`] says whether a kubelet could have written a series of statuses, as
//!   `kubectl get pod -w -o json` shows them.
//! - [`RuntimeContract`] checks an implementation of `ContainerRuntime`, or of
//!   [`AsyncContainerRuntime`](crate::AsyncContainerRuntime), call by call.
//! - The strategies (feature `proptest`) draw pods and lives, and observations and worker events for
//!   single decisions and the worker.

mod calls;
mod contract;
mod drive;
mod fault;
mod invariant;
mod life;
mod plausible;
mod recorder;
mod rules;
#[cfg(feature = "proptest")]
pub mod strategies;
mod trace;
mod world;

pub use contract::{ContractRule, ContractViolation, RuntimeContract};
pub use drive::{
    AsyncController, AsyncDrivenRuntime, AsyncSimRuntime, Controller, DrivenRuntime, Kubelet,
    drive, drive_async,
};
pub use fault::{AsyncWait, Fault, FaultInjector, FaultPlan, FaultyError};
pub use invariant::{Invariant, Violation, check};
pub use life::{Life, Script, Upset, manifest};
pub use plausible::{Implausible, Problem, check_statuses, read_watch};
pub use recorder::Recorder;
#[cfg(feature = "proptest")]
pub use strategies::{
    LifeShape, PodShape, WorkerEvent, apply_worker_events, lives, lives_of, observations, pods,
    reachable_observations, worker_events,
};
pub use trace::{Fact, StopScope, Trace, TraceEntry};

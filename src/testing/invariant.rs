//! What holds in the life of every pod.

use alloc::string::String;
use core::fmt;

use super::rules;
use super::trace::{Trace, TraceEntry};
use super::world::World;
use crate::time::Timestamp;

/// A rule of a check: looks at an entry and what was known before it, and says what is wrong.
type Rule = fn(&World<'_>, &TraceEntry) -> Option<String>;

macro_rules! invariants {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $rule:path, $source:literal;)+) => {
        /// Something that holds in the life of every pod that Kubernetes looks after.
        ///
        /// Each can be checked alone, see [`Invariant::check`]; [`check`] takes all. They hold for
        /// versions 1.29 and later.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Invariant {
            $($(#[doc = $doc])+
              #[doc = concat!("\n\nSource: ", $source, ", v1.36.2.")]
              $name,)+
        }

        impl Invariant {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its name: `apps-after-init`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// Where Kubernetes says so.
            pub const fn source(self) -> &'static str {
                match self { $(Self::$name => $source,)+ }
            }

            fn rule(self) -> Rule {
                match self { $(Self::$name => $rule,)+ }
            }
        }
    };
}

invariants! {
    /// A container has at most one running instance: a new one is started only after the old one
    /// has ended.
    OneRunningInstance = "one-running-instance", rules::one_running_instance,
        "`computePodActions` starts only what does not run, and `SyncPod` kills before it starts";
    /// At most one sandbox is ready: a new one is made only after the old one has ended.
    OneReadySandbox = "one-ready-sandbox", rules::one_ready_sandbox,
        "`SyncPod` kills the pod with its sandboxes before `createPodSandbox`";
    /// A container is started in a sandbox that is ready.
    StartsInReadySandbox = "starts-in-ready-sandbox", rules::starts_in_ready_sandbox,
        "`SyncPod` starts containers in the sandbox that `PodSandboxChanged` found good or that it made";
    /// An init container is started only after each one before it has, in this sandbox, succeeded
    /// (a regular one) or started (a restartable one). The exceptions are those of
    /// [`AppsAfterInit`](Self::AppsAfterInit).
    InitContainersInOrder = "init-containers-in-order", rules::init_containers_in_order,
        "`computeInitContainerActions`, `kuberuntime_container.go`";
    /// An app container is started only after every init container has, in this sandbox, succeeded
    /// (a regular one) or started (a restartable one).
    ///
    /// As for the order of init containers there is one exception, which is the kubelet's own: an
    /// instance of an app container that was made and never ran, in whatever sandbox, counts as a
    /// sign that the pod is initialised (`podHasInitialized` in `computeInitContainerActions`).
    ///
    /// The kubelet itself does not keep to this and to the order of init containers where the runtime
    /// has refused to remove the record of an init container from an earlier sandbox:
    /// `purgeInitContainers` goes on, and `computeInitContainerActions` finds the record by name.
    AppsAfterInit = "apps-after-init", rules::apps_after_init,
        "`computePodActions`: app containers are looked at once `computeInitContainerActions` says initialized";
    /// While a pod is being stopped, a restartable init container is asked to stop only after every
    /// app container and every restartable init container behind it.
    SidecarsStopLast = "sidecars-stop-last", rules::sidecars_stop_last,
        "`newTerminationOrdering`, `kuberuntime_termination_order.go`";
    /// A container that has ended by itself is started again, in the same sandbox, only if a rule or
    /// a policy restarts it after this exit code.
    RestartsByPolicy = "restarts-by-policy", rules::restarts_by_policy,
        "`ShouldContainerBeRestarted`, `ContainerShouldRestart`, `isInitContainerFailed`";
    /// A container that has ended by itself is started again no earlier than its back-off allows.
    BackOffNeverEarly = "back-off-never-early", rules::back_off_never_early,
        "`doBackOff`, and `Backoff` of client-go's `flowcontrol`";
    /// Nothing is started in a pod that is to be deleted or is evicted, or whose phase is Succeeded or
    /// Failed. A kubelet that restarts before an evicted pod has stopped knows nothing of the
    /// eviction, and goes on with the pod.
    NothingStartsAfterTheEnd = "nothing-starts-after-the-end", rules::nothing_starts_after_the_end,
        "`podWorkerLoop` calls `SyncTerminatingPod` from then on, which starts nothing";
    /// The phase never leaves Succeeded or Failed, and goes back from Running to Pending only after
    ///
    /// - a sandbox has ended,
    /// - two starts of a container have failed in a row: of its two newest instances none shows an
    ///   end, or the one that ran was removed,
    /// - the newest instance of a regular init container was removed, or, up to 1.35, that of any
    ///   container,
    /// - the last instance of all app containers was removed, in a pod with restartable init
    ///   containers.
    ///
    /// After such a new beginning it may go back and forth until an app container has been started.
    ///
    /// The way back is not checked up to 1.32 in pods with restartable init containers, which are
    /// Pending whenever their app containers are held back: `getPhase` counts a container that runs as
    /// not started yet, and `HasAnyRegularContainerStarted` one that waits.
    PhaseGoesForward = "phase-goes-forward", rules::phase_goes_forward,
        "`getPhase`, `convertToAPIContainerStatuses`, and the sticky terminal phase of `generateAPIPodStatus`";
    /// No container is shown running in phase Succeeded or Failed, and in phase Running some
    /// container is shown running or has run.
    PhaseFitsContainers = "phase-fits-containers", rules::phase_fits_containers,
        "`getPhase`, and `mergePodStatus`, which keeps the old phase while containers can run";
    /// Ready implies ContainersReady; that implies that each app and restartable init container is
    /// ready; both are False in phase Succeeded or Failed; a ready one of these is started and runs,
    /// unless the pod has ended; and Initialized is True once an app container runs.
    ConditionsAgree = "conditions-agree", rules::conditions_agree,
        "`GeneratePodReadyCondition`, `GenerateContainersReadyCondition`, `GeneratePodInitializedCondition`";
    /// The restart count of a new instance is above that of the one before, and with
    /// `RestartAllContainersOnContainerExits` no `restartCount` of the status ever goes down.
    RestartCountsGrow = "restart-counts-grow", rules::restart_counts_grow,
        "`startContainer` counts on from the last record, and `convertToAPIContainerStatuses` takes the larger count";
    /// A container shown as running is an instance that has been started.
    StatusNamesRealInstances = "status-names-real-instances", rules::status_names_real_instances,
        "`convertToAPIContainerStatuses` copies ids from the runtime's records";
    /// What the running containers request together is covered by what is reserved for the pod.
    /// Checked if the trace knows the requests.
    RequestsCoverUse = "requests-cover-use", rules::requests_cover_use,
        "`PodRequests`, `component-helpers/resource/helpers.go`";
}

/// An invariant does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{invariant}: {at}, entry {entry}: {message}")]
#[allow(clippy::exhaustive_structs, reason = "written out where a result is compared")]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// When.
    pub at: Timestamp,
    /// The position of the entry in [`Trace::entries`].
    pub entry: usize,
    /// What is wrong, with the names of containers.
    pub message: String,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Invariant {
    /// Does it hold in this trace?
    ///
    /// # Errors
    /// The first entry at which it does not.
    pub fn check(self, trace: &Trace) -> Result<(), Violation> {
        check_all(&[self], trace)
    }
}

/// Do all invariants hold in this trace?
///
/// # Errors
/// The first entry at which one of them does not.
pub fn check(trace: &Trace) -> Result<(), Violation> {
    check_all(Invariant::ALL, trace)
}

fn check_all(invariants: &[Invariant], trace: &Trace) -> Result<(), Violation> {
    let mut world = World::new(trace);
    for (position, entry) in trace.entries().iter().enumerate() {
        for invariant in invariants {
            if let Some(message) = invariant.rule()(&world, entry) {
                return Err(Violation {
                    invariant: *invariant,
                    at: entry.at,
                    entry: position,
                    message,
                });
            }
        }
        world.apply(entry);
    }
    Ok(())
}

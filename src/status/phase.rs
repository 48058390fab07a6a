//! The phase of a pod (`getPhase`).

use super::types::{ContainerStateTerminated, ContainerStatus, PodPhase};
use crate::actions::restart_verdict;
use crate::observation::Observation;
use crate::pod::{Container, ContainerKind, PodSpec, RestartPolicy};
use crate::version::{Feature, KnownBug};

/// The reason of containers that a restart in place has removed.
pub(super) const RESTARTING_ALL_CONTAINERS: &str = "RestartingAllContainers";

/// What [`pod_phase`] looks at beside the container statuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PhaseContext {
    /// The pod was stopped and will not run again: policies no longer matter.
    pub pod_is_terminal: bool,
    /// Some app container has a record in the current sandbox,
    /// see [`pod_has_initialized`].
    pub pod_has_initialized: bool,
}

/// Has some app container a record, of whatever state, in the current sandbox?
///
/// The current sandbox is the newest one, and only while it is ready. This is what the phase goes
/// by; the decision about the next action has a stricter notion of its own.
///
/// Source: `HasAnyActiveRegularContainerStarted`, `pkg/kubelet/container/helpers.go`, v1.36.2.
pub fn pod_has_initialized(pod: &PodSpec, observation: &Observation) -> bool {
    observation.current_sandbox().is_some_and(|sandbox| {
        pod.app_containers().any(|index| {
            observation.instances(index).iter().any(|instance| instance.sandbox_id == sandbox.id)
        })
    })
}

/// How many containers are in which situation.
#[derive(Default)]
struct Counts {
    failed_init: usize,
    failed_init_not_restartable: usize,
    pending_regular_init: usize,
    pending_restartable_init: usize,
    unknown: usize,
    running: usize,
    waiting: usize,
    stopped: usize,
    stopped_not_restartable: usize,
    succeeded: usize,
}

/// The phase that follows from the container statuses.
///
/// `init` and `apps` are looked up by name; a status that is missing counts as not known. They are
/// the statuses before probe results are filled in: of `started` the phase sees what the earlier
/// status had.
///
/// Source: `getPhase`, `pkg/kubelet/kubelet_pods.go`, v1.36.2, and of other versions by
/// [`PodSpec::gates`].
pub fn pod_phase(
    pod: &PodSpec,
    init: &[ContainerStatus],
    apps: &[ContainerStatus],
    context: PhaseContext,
) -> PodPhase {
    let mut counts = Counts::default();
    for (position, index) in pod.init_containers().enumerate() {
        let container = pod.container(index);
        let status = super::find(init, container.name(), position);
        match container.kind() {
            ContainerKind::RestartableInit => counts.add_restartable_init(status),
            _ => counts.add_regular_init(pod, container, status),
        }
    }
    for (position, index) in pod.app_containers_by_name().iter().enumerate() {
        let container = pod.container(*index);
        counts.add_app(pod, container, super::find(apps, container.name(), position));
    }
    counts.decide(pod, apps, context)
}

/// Would this exit keep the container down?
fn not_restartable(
    pod: &PodSpec,
    container: &Container,
    terminated: &ContainerStateTerminated,
) -> bool {
    let removed_for_restart = terminated.reason == RESTARTING_ALL_CONTAINERS
        && pod.enabled(Feature::RestartAllContainersOnContainerExits);
    !removed_for_restart && !restart_verdict(pod, container, terminated.exit_code).0
}

impl Counts {
    fn add_regular_init(
        &mut self,
        pod: &PodSpec,
        container: &Container,
        status: Option<&ContainerStatus>,
    ) {
        let Some(status) = status else {
            self.pending_regular_init += 1;
            return;
        };
        let ended = if status.state.running.is_some() {
            None
        } else if status.state.terminated.is_some() {
            status.state.terminated.as_ref()
        } else if status.state.waiting.is_some() {
            status.last_termination_state.terminated.as_ref()
        } else {
            None
        };
        match ended {
            None => self.pending_regular_init += 1,
            Some(terminated) if !pod.is_init_success(terminated.exit_code) => {
                self.failed_init += 1;
                self.failed_init_not_restartable +=
                    usize::from(not_restartable(pod, container, terminated));
            }
            Some(_) => {}
        }
    }

    fn add_restartable_init(&mut self, status: Option<&ContainerStatus>) {
        let Some(status) = status else {
            self.unknown += 1;
            return;
        };
        if status.state.running.is_some() {
            self.pending_restartable_init += usize::from(status.started != Some(true));
            self.running += 1;
        } else if status.state.terminated.is_some() {
            // One that has ended does not count.
        } else if status.state.waiting.is_some() {
            // Waiting or unknown, it keeps the pod Pending, initialised or not.
            self.waiting += usize::from(status.last_termination_state.terminated.is_none());
        } else {
            self.unknown += 1;
        }
    }

    fn add_app(&mut self, pod: &PodSpec, container: &Container, status: Option<&ContainerStatus>) {
        let Some(status) = status else {
            self.unknown += 1;
            return;
        };
        if status.state.running.is_some() {
            self.running += 1;
        } else if let Some(terminated) = &status.state.terminated {
            self.stopped += 1;
            self.succeeded += usize::from(terminated.exit_code == 0);
            self.stopped_not_restartable +=
                usize::from(not_restartable(pod, container, terminated));
        } else if status.state.waiting.is_some() {
            match &status.last_termination_state.terminated {
                // Stopped, but never succeeded, whatever its exit code was.
                Some(terminated) => {
                    self.stopped += 1;
                    self.stopped_not_restartable +=
                        usize::from(not_restartable(pod, container, terminated));
                }
                None => self.waiting += 1,
            }
        } else {
            self.unknown += 1;
        }
    }

    fn decide(&self, pod: &PodSpec, apps: &[ContainerStatus], context: PhaseContext) -> PodPhase {
        let by_container = pod.enabled(Feature::ContainerRestartRules);
        let failed = if by_container {
            self.failed_init_not_restartable > 0
        } else {
            self.failed_init > 0 && pod.restart_policy() == RestartPolicy::Never
        };
        if failed {
            PodPhase::Failed
        } else if self.is_initializing(pod, apps, context) || self.waiting > 0 {
            PodPhase::Pending
        } else if self.running > 0 && self.unknown == 0 {
            PodPhase::Running
        } else if self.running == 0 && self.stopped > 0 && self.unknown == 0 {
            self.all_stopped(pod, context, by_container)
        } else {
            PodPhase::Pending
        }
    }

    fn is_initializing(
        &self,
        pod: &PodSpec,
        apps: &[ContainerStatus],
        context: PhaseContext,
    ) -> bool {
        let gates = pod.gates();
        let has_initialized = if gates.has_bug(KnownBug::EarlierSandboxCountsAsInitialized) {
            super::any_app_container_started(pod, apps)
        } else {
            context.pod_has_initialized
        };
        let regular = self.pending_regular_init > 0;
        let restartable = self.pending_restartable_init > 0;
        if gates.has_bug(KnownBug::RunningWhileInitializingAgain) {
            (regular || restartable) && !has_initialized
        } else {
            regular || (restartable && !has_initialized)
        }
    }

    fn all_stopped(&self, pod: &PodSpec, context: PhaseContext, by_container: bool) -> PodPhase {
        let succeeded_or_failed =
            if self.stopped == self.succeeded { PodPhase::Succeeded } else { PodPhase::Failed };
        if context.pod_is_terminal && !pod.is_static() {
            return succeeded_or_failed;
        }
        let restarts = if by_container {
            self.stopped != self.stopped_not_restartable
        } else {
            match pod.restart_policy() {
                RestartPolicy::Always => true,
                RestartPolicy::OnFailure => succeeded_or_failed == PodPhase::Failed,
                RestartPolicy::Never => false,
            }
        };
        if restarts { PodPhase::Running } else { succeeded_or_failed }
    }
}

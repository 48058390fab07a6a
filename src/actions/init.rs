//! The init containers' part of the decision (`computeInitContainerActions`).

use super::cause::{KillCause, KillPodCause, StartCause};
use super::restart::{RestartDecision, RestartVerdict, is_init_container_failed};
use super::restart::{effective_policy, should_container_be_restarted};
use super::{ActionContext, PodActions};
use crate::observation::{ContainerInstance, InstanceState, Observation, ProbeResult};
use crate::pod::{ContainerIndex, ContainerRestartPolicy, PodSpec, RestartPolicy};
use crate::version::{Change, Feature, KnownBug};

/// Which algorithm decides about init containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InitAlgorithm {
    /// `findNextInitContainerToRun`: one init container at a time, none restartable.
    Legacy,
    /// `computeInitContainerActions`.
    Current,
}

/// The algorithm for this pod: by gate in 1.28 and 1.29, by the pod in 1.30 to 1.32 and for those
/// who keep `LegacySidecarContainers` in 1.33.
pub(super) fn algorithm(pod: &PodSpec) -> InitAlgorithm {
    if pod.gates().has_bug(KnownBug::InitRunsAgainOnceRecordsAreRemoved) {
        return if pod.has_restartable_init_container() {
            InitAlgorithm::Current
        } else {
            InitAlgorithm::Legacy
        };
    }
    let gates = pod.gates();
    let current = if gates.has(Change::NewScanForAllPods) {
        !pod.enabled(Feature::LegacySidecarContainers) || pod.has_restartable_init_container()
    } else if gates.has(Change::OldScanWithoutSidecars) {
        pod.has_restartable_init_container()
    } else {
        pod.enabled(Feature::SidecarContainers)
    };
    if current { InitAlgorithm::Current } else { InitAlgorithm::Legacy }
}

/// Does an app container show that the pod was initialised in this sandbox?
///
/// From 1.37: one with a record in this sandbox (`HasAnyActiveRegularContainerStarted`). Before: one
/// that is Created or Running. Exited did not count, since the instance may be one of an earlier
/// sandbox; in 1.28 it did.
fn any_app_container_shows_initialized(pod: &PodSpec, observation: &Observation) -> bool {
    if pod.gates().has(Change::InitScanInCurrentSandbox) {
        let mut apps = pod.app_containers();
        return apps.any(|index| observation.newest_in_current_sandbox(index).is_some());
    }
    pod.app_containers().any(|index| {
        observation.newest(index).is_some_and(|instance| match instance.state {
            InstanceState::Created | InstanceState::Running => true,
            InstanceState::Exited(_) => !pod.gates().has(Change::ExitedAppNoLongerShowsInitialized),
            InstanceState::Unknown => false,
        })
    })
}

/// Adds what is to be done about init containers; is the pod initialised?
///
/// The scan goes from the last init container to the first, because records of those that are done
/// may have been removed. The last one that has a record tells how far initialisation has come;
/// from there towards the first, only restartable init containers are looked at, to keep them
/// running.
///
/// Source: `computeInitContainerActions`, `kuberuntime_container.go`, v1.36.2.
pub(super) fn compute_init_container_actions(
    pod: &PodSpec,
    observation: &Observation,
    context: ActionContext,
    actions: &mut PodActions,
) -> bool {
    if pod.init_containers().len() == 0 {
        return true;
    }
    let mut scan = Scan {
        pod,
        observation,
        context,
        initialized: any_app_container_shows_initialized(pod, observation),
        previously_initialized: false,
        actions,
    };
    scan.previously_initialized = scan.initialized;
    for container in pod.init_containers().rev() {
        if scan.visit(container).is_err() {
            return false;
        }
    }
    if !scan.previously_initialized {
        let first = pod.init_containers().next();
        first.into_iter().for_each(|first| {
            scan.actions.start_init(first, StartCause::FirstInitContainer);
        });
    }
    scan.actions.init_containers_to_start.reverse();
    scan.initialized
}

/// The pod is to be killed; nothing else matters.
struct PodKilled;

struct Scan<'a> {
    pod: &'a PodSpec,
    observation: &'a Observation,
    context: ActionContext,
    actions: &'a mut PodActions,
    /// Every init container has done its work.
    initialized: bool,
    /// A later container has a record: this one has done its work already.
    previously_initialized: bool,
}

impl Scan<'_> {
    fn visit(&mut self, index: ContainerIndex) -> Result<(), PodKilled> {
        let restartable = self.pod.container(index).is_restartable_init_container();
        let record = if self.pod.gates().has(Change::InitScanInCurrentSandbox) {
            self.observation.newest_in_current_sandbox(index)
        } else {
            self.observation.newest(index)
        };
        let Some(instance) = record else {
            if self.previously_initialized && restartable {
                self.actions.start_init(index, StartCause::RecordMissing);
            }
            return Ok(());
        };
        if self.previously_initialized && !restartable {
            return Ok(());
        }
        match &instance.state {
            InstanceState::Created => {
                if self.pod.gates().has(Change::CreatedInitContainerIsStarted) {
                    self.actions.start_init(index, StartCause::Created);
                }
            }
            InstanceState::Running if restartable => self.running_restartable(index, instance),
            // A regular one: there is nothing to do but to wait for its end.
            InstanceState::Running => {}
            InstanceState::Exited(exit) if restartable => {
                let verdict = RestartVerdict::RestartableInitContainer;
                let cause = StartCause::Exited { exit_code: exit.exit_code, verdict };
                self.actions.start_init(index, cause);
            }
            InstanceState::Exited(exit) => self.exited_regular(index, instance, exit.exit_code)?,
            InstanceState::Unknown => self.unknown(index, restartable)?,
        }
        self.previously_initialized = true;
        Ok(())
    }

    /// The container has done its work: the next one may start, or the pod is initialised.
    fn done(&mut self, index: ContainerIndex, cause: StartCause) {
        match self.pod.next_init_container(index) {
            None => self.initialized = true,
            Some(next) if !self.previously_initialized => self.actions.start_init(next, cause),
            Some(_) => {}
        }
    }

    fn kill_and_start(&mut self, index: ContainerIndex, cause: KillCause) {
        self.actions.kill(index, cause, true);
        self.actions.start_init(index, StartCause::Killed(cause));
    }

    fn running_restartable(&mut self, index: ContainerIndex, instance: &ContainerInstance) {
        let container = self.pod.container(index);
        if container.startup_probe().is_some() {
            match instance.startup_probe {
                Some(ProbeResult::Success) => {}
                Some(ProbeResult::Failure) => {
                    return self.kill_and_start(index, KillCause::StartupProbeFailed);
                }
                None | Some(ProbeResult::Unknown) => return,
            }
        }
        self.done(index, StartCause::AfterStarted { previous: index });
        let restarts_changed = self.pod.gates().has(Change::SidecarRestartsForNewImage);
        if restarts_changed && is_definition_changed(self.pod, index, instance) {
            self.kill_and_start(index, KillCause::DefinitionChanged);
        } else if container.liveness_probe().is_some()
            && instance.liveness_probe == Some(ProbeResult::Failure)
        {
            self.kill_and_start(index, KillCause::LivenessProbeFailed);
        }
    }

    fn exited_regular(
        &mut self,
        index: ContainerIndex,
        instance: &ContainerInstance,
        exit_code: i32,
    ) -> Result<(), PodKilled> {
        if !is_init_container_failed(self.pod, instance) {
            self.done(index, StartCause::AfterSucceeded { previous: index });
            return Ok(());
        }
        let decision = if self.pod.enabled(Feature::ContainerRestartRules) {
            let deletion = self.context.deletion_requested;
            should_container_be_restarted(self.pod, index, Some(instance), deletion)
        } else {
            // Not asked for the exit code: one killed for memory with exit code 0 is restarted too.
            let policy = self.pod.restart_policy();
            let verdict = RestartVerdict::PodPolicy(policy);
            match policy {
                RestartPolicy::Never => RestartDecision::Stay(verdict),
                RestartPolicy::Always | RestartPolicy::OnFailure => {
                    RestartDecision::Restart(verdict)
                }
            }
        };
        match decision {
            RestartDecision::Stay(verdict) => {
                Err(self.kill_pod(KillPodCause::InitContainerFailed {
                    container: index,
                    exit_code,
                    verdict,
                }))
            }
            RestartDecision::Restart(verdict) => {
                self.actions.start_init(index, StartCause::Exited { exit_code, verdict });
                Ok(())
            }
            // Not decided so for an instance that has exited.
            RestartDecision::Start | RestartDecision::Running => Ok(()),
        }
    }

    fn unknown(&mut self, index: ContainerIndex, restartable: bool) -> Result<(), PodKilled> {
        let policy = effective_policy(self.pod, self.pod.container(index));
        if !restartable && policy == ContainerRestartPolicy::Never {
            return Err(self.kill_pod(KillPodCause::InitContainerUnknown { container: index }));
        }
        self.kill_and_start(index, KillCause::UnknownState);
        Ok(())
    }

    fn kill_pod(&mut self, cause: KillPodCause) -> PodKilled {
        self.actions.kill_pod = Some(cause);
        self.actions.init_containers_to_start.clear();
        PodKilled
    }
}

/// Was the instance made from another definition than the spec has now (`containerChanged`)?
pub(super) fn is_definition_changed(
    pod: &PodSpec,
    index: ContainerIndex,
    instance: &ContainerInstance,
) -> bool {
    instance.definition_hash.is_some_and(|hash| hash != pod.container(index).definition_hash())
}

//! The init algorithm of pods without restartable init containers up to 1.32, and its form before
//! 1.20.

use super::PodActions;
use super::cause::{KillCause, KillPodCause, StartCause};
use super::restart::{RestartVerdict, is_init_container_failed};
use crate::observation::{ContainerInstance, InstanceState, Observation};
use crate::pod::{ContainerIndex, PodSpec, RestartPolicy};
use crate::version::KnownBug;

/// What the legacy scan finds (`findNextInitContainerToRun`).
pub(super) enum Next<'a> {
    /// Every init container has done its work.
    Done,
    /// One is running.
    Wait,
    /// This one failed.
    Failed(ContainerIndex, &'a ContainerInstance),
    /// This one is to be started.
    Start(ContainerIndex, StartCause),
}

/// Which init container is next?
///
/// An app container that is Running (Created is not enough) shows that all are done. Else the last
/// one that failed is restarted, wherever it stands; else the one after the last that has ended.
///
/// Source: `findNextInitContainerToRun`, `kuberuntime_container.go`, v1.31.14.
pub(super) fn find_next_init_container_to_run<'a>(
    pod: &PodSpec,
    observation: &'a Observation,
) -> Next<'a> {
    let Some(first) = pod.init_containers().next() else { return Next::Done };
    let running = |index| observation.newest(index).is_some_and(ContainerInstance::is_running);
    let checks_apps = !pod.gates().has_bug(KnownBug::InitRunsAgainOnceRecordsAreRemoved);
    if checks_apps && pod.app_containers().any(running) {
        return Next::Done;
    }
    let newest_first = || {
        pod.init_containers().rev().filter_map(|index| Some((index, observation.newest(index)?)))
    };
    if let Some((index, instance)) =
        newest_first().find(|(_, instance)| is_init_container_failed(pod, instance))
    {
        return Next::Failed(index, instance);
    }
    for (index, instance) in newest_first() {
        match instance.state {
            InstanceState::Running => return Next::Wait,
            InstanceState::Exited(_) => {
                return match pod.next_init_container(index) {
                    None => Next::Done,
                    Some(next) => Next::Start(next, StartCause::AfterSucceeded { previous: index }),
                };
            }
            InstanceState::Created | InstanceState::Unknown => {}
        }
    }
    Next::Start(first, StartCause::FirstInitContainer)
}

/// Adds what is to be done about init containers; is the pod initialised?
pub(super) fn compute_init_container_actions(
    pod: &PodSpec,
    observation: &Observation,
    actions: &mut PodActions,
) -> bool {
    match find_next_init_container_to_run(pod, observation) {
        Next::Done => return true,
        Next::Wait => {}
        Next::Start(container, cause) => actions.start_next_init(container, cause),
        Next::Failed(container, instance) => {
            let exit_code = instance.exit().map_or(0, |exit| exit.exit_code);
            let unknown = instance.state == InstanceState::Unknown;
            let verdict = RestartVerdict::PodPolicy(pod.restart_policy());
            match (pod.restart_policy(), unknown) {
                (RestartPolicy::Never, true) => {
                    actions.kill_pod = Some(KillPodCause::InitContainerUnknown { container });
                }
                (RestartPolicy::Never, false) => {
                    actions.kill_pod =
                        Some(KillPodCause::InitContainerFailed { container, exit_code, verdict });
                }
                (_, true) => {
                    actions.kill(container, KillCause::UnknownState, true);
                    actions.start_next_init(container, StartCause::Killed(KillCause::UnknownState));
                }
                (_, false) => {
                    actions.start_next_init(container, StartCause::Exited { exit_code, verdict });
                }
            }
        }
    }
    false
}

//! How containers and sandboxes are stopped in a sync, and what comes of it.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, format_smolstr};

use super::operation::{Notice, Operation, OutcomeKind, StartContainer, StopContainers};
use super::program::{Step, UnderWay};
use super::result::{SyncAction, SyncError, SyncResult};
use super::{PodWorker, WorkerError};
use crate::event::Event;
use crate::observation::Observation;
use crate::pod::PodSpec;
use crate::termination::ContainerStop;

/// What containers are stopped for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum StopPurpose {
    /// The pod is killed and goes on; its sandboxes are stopped next, whatever comes of this
    /// (`killPodWithSyncResult`).
    KillPod,
    /// The pod is terminated, likewise.
    Terminate,
    /// One container is killed while the pod goes on.
    KillContainer,
    /// A container is removed afterwards, for a restart in place.
    Reset,
}

impl PodWorker {
    /// Each stop has a result of its own. A single kill that fails ends the sync at once.
    pub(super) fn containers_stopped(
        &mut self,
        pod: &PodSpec,
        stops: &[ContainerStop],
        purpose: StopPurpose,
        outcome: OutcomeKind,
    ) {
        let mut failures = match outcome {
            OutcomeKind::Failed(failure) => alloc::vec![Some(failure); stops.len()],
            OutcomeKind::Stopped(failures) => failures,
            _ => Vec::new(),
        }
        .into_iter();
        let mut failed = false;
        for stop in stops {
            let name = pod.container(stop.container).name().clone();
            let failure = failures.next().flatten();
            failed |= failure.is_some();
            let error =
                failure.map(|failure| SyncError::new("KillContainerError", failure.message));
            let action = match purpose {
                StopPurpose::Reset => SyncAction::RemoveContainer,
                _ => SyncAction::KillContainer,
            };
            let told = match purpose {
                StopPurpose::KillPod | StopPurpose::KillContainer => true,
                StopPurpose::Terminate | StopPurpose::Reset => error.is_some(),
            };
            if told {
                self.report(action, name, error);
            }
        }
        if failed && matches!(purpose, StopPurpose::KillContainer | StopPurpose::Reset) {
            self.end_sync();
        }
    }

    /// Every container and every sandbox was asked to stop. Has nothing of it failed?
    pub(super) fn sandboxes_stopped(&mut self, pod: &PodSpec, purpose: StopPurpose) -> bool {
        let failure = self.program.sandbox_failure.take();
        let error = failure.map(|failure| SyncError::new("KillPodSandboxError", failure.message));
        if purpose == StopPurpose::KillPod || error.is_some() {
            self.report(SyncAction::KillPodSandbox, pod.identity().uid.clone(), error);
        }
        let errors = kill_errors(&self.results);
        if let Some(errors) = &errors
            && purpose == StopPurpose::Terminate
        {
            let message = format_smolstr!("error killing pod: {errors}");
            self.event(Event::warning("FailedKillPod", message));
        }
        errors.is_none()
    }

    /// A pod that lives is being stopped, in part or as a whole, by a sync that was dropped: goes on
    /// with it. A kubelet carries each sync of a living pod out, and what such a stop brings about
    /// must not be taken for something that happened by itself.
    pub(super) fn goes_on_stopping(&mut self, pod: &PodSpec, observation: &Observation) -> bool {
        if !self.program.is_stopping() || !self.program.fits(pod) {
            return false;
        }
        self.program.under_way = None;
        if let Some(Step::StopContainers { plan, messages, purpose }) =
            self.program.steps.front_mut()
        {
            // Their events have been told.
            messages.clear();
            let purpose = *purpose;
            let ended = plan.take_ended(pod, observation);
            let all = plan.stops().is_empty();
            self.containers_stopped(pod, &ended, purpose, OutcomeKind::Done);
            if all {
                self.program.steps.pop_front();
            }
        }
        true
    }

    /// Tells something at once that has come of the operation under way, and that the outcome alone
    /// would tell too late or not at all. What is told like this is not told again with the outcome.
    ///
    /// # Errors
    /// If no operation is under way, or nothing of this kind can come of it.
    pub fn note(&mut self, pod: &PodSpec, notice: Notice) -> Result<(), WorkerError> {
        let Some(UnderWay { operation, told, .. }) = &mut self.program.under_way else {
            return Err(WorkerError::UnexpectedNotice { operation: None, notice });
        };
        match (&*operation, notice) {
            (
                Operation::StopContainers(StopContainers { plan }),
                Notice::PreStopHookFailed(stop),
            ) if stop < plan.stops().len() => {
                let container = plan.stops()[stop].container;
                self.event(failed_pre_stop_hook().about(container));
            }
            // Its instance is killed because its other hook has failed.
            (
                &Operation::StartContainer(StartContainer { container, .. }),
                Notice::PreStopHookFailed(0),
            ) => {
                self.event(failed_pre_stop_hook().about(container));
            }
            (
                &Operation::StartContainer(StartContainer { container, .. }),
                Notice::Started | Notice::PostStartHookFailed,
            ) => {
                let known = told.replace(notice);
                self.tell_start(pod, container, known, notice);
            }
            _ => {
                let operation = Some(operation.clone());
                return Err(WorkerError::UnexpectedNotice { operation, notice });
            }
        }
        Ok(())
    }
}

fn failed_pre_stop_hook() -> Event {
    Event::warning("FailedPreStopHook", "PreStopHook failed")
}

/// What failed of a kill, in the words of `PodSyncResult.Error`.
fn kill_errors(results: &[SyncResult]) -> Option<SmolStr> {
    let mut texts: Vec<SmolStr> = Vec::new();
    for SyncResult { action, target, error } in results {
        let Some(SyncError { reason, message, .. }) = error else { continue };
        let text =
            format_smolstr!("failed to \"{action}\" for {target:?} with {reason}: {message:?}");
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    match texts.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        several => Some(format_smolstr!("[{}]", several.join(", "))),
    }
}

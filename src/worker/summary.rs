//! What one sync did.

use smallvec::SmallVec;

use super::operation::{Operation, Outcome, OutcomeKind};
use crate::pod::ContainerIndex;

type Containers = SmallVec<[ContainerIndex; 2]>;

/// What one sync did in the runtime, as [`sync_pod`](crate::sync_pod) tells it. What was tried and
/// failed is in [`PodWorker::results`](crate::PodWorker::results).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncSummary {
    /// A sandbox was made.
    pub sandbox_created: bool,
    /// How many sandboxes were stopped, including those that had stopped before.
    pub sandboxes_stopped: u32,
    /// How many operations failed.
    pub failed: u32,
    pulled: Containers,
    created: Containers,
    started: Containers,
    stopped: Containers,
    removed: Containers,
}

impl SyncSummary {
    /// The containers whose images were pulled.
    pub fn pulled(&self) -> &[ContainerIndex] {
        &self.pulled
    }

    /// The containers of which an instance was created.
    pub fn created(&self) -> &[ContainerIndex] {
        &self.created
    }

    /// The containers that were started, in this order.
    pub fn started(&self) -> &[ContainerIndex] {
        &self.started
    }

    /// The containers that were stopped, in the order of the plan.
    pub fn stopped(&self) -> &[ContainerIndex] {
        &self.stopped
    }

    /// The containers of which an instance was removed.
    pub fn removed(&self) -> &[ContainerIndex] {
        &self.removed
    }

    /// Returns `true` if the runtime is not as it was before.
    pub fn changed(&self) -> bool {
        let containers = [&self.pulled, &self.created, &self.started, &self.stopped, &self.removed];
        self.sandbox_created
            || self.sandboxes_stopped > 0
            || containers.iter().any(|containers| !containers.is_empty())
    }

    /// Counts an operation whose outcome is known.
    pub(crate) fn count(&mut self, operation: &Operation, outcome: &Outcome) {
        if matches!(outcome.0, OutcomeKind::Failed(_)) {
            self.failed += 1;
            return;
        }
        match operation {
            Operation::StopContainers(stop) => {
                self.stopped.extend(stop.plan.stops().iter().map(|stop| stop.container));
            }
            Operation::StopPodSandbox(_) => self.sandboxes_stopped += 1,
            Operation::RemoveContainer(remove) => self.removed.push(remove.container),
            Operation::RunPodSandbox(_) => self.sandbox_created = true,
            Operation::CheckImage(_) => {}
            Operation::PullImage(pull) => self.pulled.push(pull.container),
            Operation::CreateContainer(create) => self.created.push(create.container),
            Operation::StartContainer(start) => self.started.push(start.container),
        }
    }
}

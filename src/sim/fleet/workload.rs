//! What the pods of a fleet do.

use alloc::vec::Vec;
use core::time::Duration;

use crate::pod::{ContainerIndex, PodSpec};
use crate::sim::scenario::{ContainerScript, Limits, Scenario, ScheduledEvent};
use crate::worker::WorkerSettings;

/// Says what each pod of a fleet does.
///
/// A pod's script must depend on its number alone (and on what the workload itself holds, such as a
/// seed): pods are asked for in any order, on any thread. [`Random::of_pod`](super::Random::of_pod)
/// gives each pod numbers of its own.
pub trait Workload {
    /// Writes the script of a pod into `script`, in which every container runs until it is stopped.
    fn script(&self, pod: u64, script: &mut PodScript);
}

impl<F: Fn(u64, &mut PodScript)> Workload for F {
    fn script(&self, pod: u64, script: &mut PodScript) {
        self(pod, script);
    }
}

/// What one pod of a fleet does.
///
/// It is written again for each pod, so that it allocates nothing once it has been used.
#[derive(Clone, Debug, Default)]
pub struct PodScript {
    /// Which of the fleet's specs the pod has; counted on from the first one after the last.
    pub spec: usize,
    /// When the kubelet accepts the pod, counted from the beginning of the fleet.
    pub begins_after: Duration,
    /// What happens to the pod. Lost sandboxes, removed init records, deletions and evictions go
    /// quickly; a pod with any other event is simulated plainly.
    pub events: Vec<ScheduledEvent>,
    containers: Vec<ContainerScript>,
}

impl PodScript {
    /// The script of a container, to be written.
    pub fn container(&mut self, container: ContainerIndex) -> &mut ContainerScript {
        self.container_at(container.slot())
    }

    /// The script of the container at this position among all of its pod, init containers first.
    pub fn container_at(&mut self, slot: usize) -> &mut ContainerScript {
        if self.containers.len() <= slot {
            self.containers.resize(slot + 1, ContainerScript::FOREVER);
        }
        &mut self.containers[slot]
    }

    /// The same as the scenario of a single pod, for [`simulate`](crate::sim::simulate).
    pub fn scenario(&self, pod: &PodSpec, settings: WorkerSettings, limit: Duration) -> Scenario {
        let scripts = pod.containers().iter().zip(&self.containers);
        Scenario {
            scripts: scripts.map(|(c, script)| (c.name().clone(), script.clone())).collect(),
            begins_at: Scenario::default().begins_at + self.begins_after,
            settings: WorkerSettings { kubelet_started_at: None, ..settings },
            events: self.events.clone(),
            limits: Limits { steps: MAX_STEPS, time: limit },
        }
    }

    /// Do pulls take time?
    pub(super) fn has_timed_pulls(&self) -> bool {
        self.containers.iter().any(|script| !script.image_pull_lasts.is_zero())
    }

    pub(super) fn get(&self, slot: usize) -> &ContainerScript {
        self.containers.get(slot).unwrap_or(&FOREVER)
    }

    pub(super) fn clear(&mut self) {
        self.spec = 0;
        self.begins_after = Duration::ZERO;
        self.events.clear();
        for script in &mut self.containers {
            let runs = core::mem::take(&mut script.runs);
            *script = ContainerScript { runs, ..ContainerScript::FOREVER };
            script.runs.clear();
        }
    }
}

/// The most steps of one life, see [`Limits::steps`].
pub(super) const MAX_STEPS: usize = 100_000;

static FOREVER: ContainerScript = ContainerScript::FOREVER;

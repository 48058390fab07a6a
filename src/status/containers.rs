//! Container statuses from runtime records (`convertToAPIContainerStatuses`).

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use smol_str::SmolStr;

use super::StatusInputs;
use super::phase::RESTARTING_ALL_CONTAINERS;
use super::restart_in_place::restarting_all_containers;
use super::types::condition_type;
use super::types::{
    ContainerState, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus,
};
use crate::actions::should_container_be_restarted;
use crate::observation::{ContainerInstance, InstanceState, MissingProbeWorkers, ProbeResult};
use crate::pod::{Container, ContainerIndex, ContainerKind, PodSpec};
use crate::version::{Change, Feature, KnownBug};

/// Waiting, in a pod with init containers.
pub(super) const POD_INITIALIZING: &str = "PodInitializing";
/// Waiting, in a pod without init containers.
const CONTAINER_CREATING: &str = "ContainerCreating";
/// Of a container that the runtime no longer knows.
pub(super) const CONTAINER_STATUS_UNKNOWN: &str = "ContainerStatusUnknown";
/// The exit code of a container whose end nobody saw (as if by SIGKILL).
pub(super) const LOST_EXIT_CODE: i32 = 137;
pub(super) const NOT_LOCATED_WHEN_TERMINATED: &str =
    "The container could not be located when the pod was terminated";
const NOT_LOCATED_WHEN_DELETED: &str = "The container could not be located when the pod was deleted.  The container used to be Running";
const REMOVED_FOR_RESTART: &str = "The container is removed because RestartAllContainers in place";
const TREATED_AS_EXITED: &str = "Unable to get init container status from container runtime and pod has been initialized, treat it as exited normally";

/// Why the last attempt to start a container failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "a reason and a message, as the kubelet keeps them")]
pub struct StartFailure {
    /// The error in one word: `CrashLoopBackOff`, `ErrImagePull`.
    pub reason: SmolStr,
    /// The error in words.
    pub message: SmolStr,
}

/// The last start failures of a pod's containers (`ReasonCache`). A success clears an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StartFailures(SmallVec<[(ContainerIndex, StartFailure); 1]>);

impl StartFailures {
    /// The last failure of a container, if its last attempt failed.
    pub fn get(&self, container: ContainerIndex) -> Option<&StartFailure> {
        self.0.iter().find(|(index, _)| *index == container).map(|(_, failure)| failure)
    }

    /// Remembers a failure.
    pub fn insert(&mut self, container: ContainerIndex, failure: StartFailure) {
        match self.0.iter_mut().find(|(index, _)| *index == container) {
            Some((_, old)) => *old = failure,
            None => self.0.push((container, failure)),
        }
    }

    /// Forgets a container's failure: it has been started.
    pub fn remove(&mut self, container: ContainerIndex) {
        self.0.retain(|(index, _)| *index != container);
    }

    /// Forgets why in words.
    #[cfg(feature = "fleet")]
    pub(crate) fn clear_messages(&mut self) {
        self.0.iter_mut().for_each(|(_, failure)| failure.message = SmolStr::default());
        // The order of failures says nothing.
        self.0.sort_by_key(|(container, _)| *container);
    }

    /// Forgets everything, as a kubelet that restarts does.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// The statuses of the pod's init containers, in the order of the spec.
///
/// `started` and `ready` are not filled in yet: the phase is computed before the probe results
/// are looked at. [`generate_pod_status`](super::generate_pod_status) does all of it in order.
///
/// Source: `convertToAPIContainerStatuses`, `pkg/kubelet/kubelet_pods.go`, v1.36.2.
pub fn init_container_statuses(inputs: &StatusInputs<'_>) -> Vec<ContainerStatus> {
    let converter = Converter::new(inputs, &inputs.earlier.init_container_statuses);
    inputs
        .pod
        .init_containers()
        .enumerate()
        .map(|(position, index)| converter.status(index, position))
        .collect()
}

/// The statuses of the pod's app containers, sorted by name, see [`init_container_statuses`].
pub fn container_statuses(inputs: &StatusInputs<'_>) -> Vec<ContainerStatus> {
    let converter = Converter::new(inputs, &inputs.earlier.container_statuses);
    let apps = inputs.pod.app_containers_by_name();
    apps.iter().enumerate().map(|(position, index)| converter.status(*index, position)).collect()
}

/// The statuses of the pod's ephemeral containers, sorted by name, see [`init_container_statuses`].
pub fn ephemeral_container_statuses(inputs: &StatusInputs<'_>) -> Vec<ContainerStatus> {
    let converter = Converter::new(inputs, &inputs.earlier.ephemeral_container_statuses);
    let mut containers: SmallVec<[ContainerIndex; 4]> = inputs.pod.ephemeral_containers().collect();
    containers.sort_by_key(|index| inputs.pod.container(*index).name());
    let statuses = containers.into_iter().enumerate();
    statuses.map(|(position, index)| converter.status(index, position)).collect()
}

/// Turns the records of one list's containers into statuses.
struct Converter<'a> {
    inputs: &'a StatusInputs<'a>,
    earlier: &'a [ContainerStatus],
    pod: &'a PodSpec,
    restart_all_gate: bool,
    restarting: bool,
}

impl<'a> Converter<'a> {
    fn new(inputs: &'a StatusInputs<'a>, earlier: &'a [ContainerStatus]) -> Self {
        let pod = inputs.pod;
        let restart_all_gate = pod.enabled(Feature::RestartAllContainersOnContainerExits);
        let restarting =
            restart_all_gate && restarting_all_containers(pod, inputs.observation, inputs.earlier);
        Self { inputs, earlier, pod, restart_all_gate, restarting }
    }

    fn status(&self, index: ContainerIndex, position: usize) -> ContainerStatus {
        let container = self.pod.container(index);
        let earlier = super::find(self.earlier, container.name(), position);
        let instances = self.inputs.observation.instances(index);
        let mut status = match instances {
            [] => self.without_record(container, earlier),
            [newest, older @ ..] => {
                let mut status = self.convert_record(container, newest, earlier);
                if let Some(second) = older.first() {
                    status.last_termination_state =
                        self.convert_record(container, second, earlier).state;
                }
                status
            }
        };
        self.apply_start_failure(index, instances.first(), &mut status);
        status
    }

    /// The default, with what the earlier status lets us keep.
    fn default_status(
        &self,
        container: &Container,
        earlier: Option<&ContainerStatus>,
    ) -> ContainerStatus {
        if let Some(earlier) = earlier.filter(|earlier| earlier.state.terminated.is_some()) {
            return earlier.clone();
        }
        let reason = if self.pod.init_containers().len() == 0 {
            CONTAINER_CREATING
        } else {
            POD_INITIALIZING
        };
        ContainerStatus {
            name: container.name().clone(),
            image: container.image().clone(),
            state: ContainerState::waiting(SmolStr::new_static(reason), ""),
            restart_count: earlier.map_or(0, |earlier| earlier.restart_count),
            last_termination_state: earlier
                .map(|earlier| earlier.last_termination_state.clone())
                .unwrap_or_default(),
            ..ContainerStatus::default()
        }
    }

    /// The runtime has no record of it: it was never made, or it is lost.
    fn without_record(
        &self,
        container: &Container,
        earlier: Option<&ContainerStatus>,
    ) -> ContainerStatus {
        let mut status = self.default_status(container, earlier);
        let Some(earlier) = earlier else { return status };
        if self.restarting && earlier.state.waiting.is_none() {
            let reason = SmolStr::new_static(RESTARTING_ALL_CONTAINERS);
            status.state = ContainerState::waiting(reason.clone(), REMOVED_FOR_RESTART);
            status.last_termination_state.terminated = Some(lost(reason, REMOVED_FOR_RESTART));
            status.restart_count = status.restart_count.saturating_add(1);
        } else if earlier.state.running.is_some()
            && earlier.state.terminated.is_none()
            && status.last_termination_state.terminated.is_none()
        {
            let reason = SmolStr::new_static(CONTAINER_STATUS_UNKNOWN);
            status.last_termination_state.terminated = Some(lost(reason, NOT_LOCATED_WHEN_DELETED));
            // Unless the pod is being deleted, the container will be made again.
            if !self.inputs.deletion_requested {
                status.restart_count = status.restart_count.saturating_add(1);
            }
        }
        status
    }

    /// One runtime record (`convertContainerStatus`).
    fn convert_record(
        &self,
        container: &Container,
        instance: &ContainerInstance,
        earlier: Option<&ContainerStatus>,
    ) -> ContainerStatus {
        let runtime_count = i32::try_from(instance.restart_count).unwrap_or(i32::MAX);
        let image = if instance.image.is_empty() { container.image() } else { &instance.image };
        let mut status = ContainerStatus {
            name: container.name().clone(),
            image: image.clone(),
            image_id: instance.image_id.clone(),
            container_id: instance.id.clone(),
            restart_count: runtime_count,
            ..ContainerStatus::default()
        };
        if self.restart_all_gate
            && let Some(earlier) = earlier
        {
            // Removed records must not let the count go back, nor the last end be forgotten.
            status.restart_count = runtime_count.max(earlier.restart_count);
            let ended = earlier.state.terminated.as_ref();
            status.last_termination_state.terminated = ended
                .filter(|_| earlier.container_id != instance.id)
                .or(earlier.last_termination_state.terminated.as_ref())
                .cloned();
        }
        match &instance.state {
            InstanceState::Running => {
                status.state = ContainerState::running(instance.started_at);
                if let Some(earlier) = earlier {
                    let same = earlier.container_id == instance.id;
                    let kept =
                        same || self.pod.gates().has_bug(KnownBug::StartedKeptForNewInstance);
                    if kept && !self.pod.enabled(Feature::ChangeContainerStatusOnKubeletRestart) {
                        status.started = earlier.started;
                    }
                    if self.restart_all_gate
                        && earlier.state.terminated.is_some()
                        && earlier.restart_count >= runtime_count
                    {
                        status.restart_count = earlier.restart_count.saturating_add(1);
                    }
                }
            }
            InstanceState::Exited(exit) => {
                status.state = ContainerState::terminated(ContainerStateTerminated {
                    exit_code: exit.exit_code,
                    signal: 0,
                    reason: exit.reason.clone(),
                    message: exit.message.clone(),
                    started_at: instance.started_at,
                    finished_at: exit.finished_at,
                    container_id: instance.id.clone(),
                });
            }
            InstanceState::Unknown
                if earlier.is_some_and(|earlier| earlier.state.running.is_some()) =>
            {
                let reason = if self.restarting {
                    RESTARTING_ALL_CONTAINERS
                } else {
                    CONTAINER_STATUS_UNKNOWN
                };
                let reason = SmolStr::new_static(reason);
                status.state =
                    ContainerState::terminated(lost(reason, NOT_LOCATED_WHEN_TERMINATED));
                status.restart_count =
                    earlier.map_or(0, |earlier| earlier.restart_count.saturating_add(1));
            }
            InstanceState::Created | InstanceState::Unknown => {
                status.state.waiting = Some(ContainerStateWaiting::default());
            }
        }
        status
    }

    /// A container that is to be started and whose last attempt failed waits for that reason.
    fn apply_start_failure(
        &self,
        index: ContainerIndex,
        newest: Option<&ContainerInstance>,
        status: &mut ContainerStatus,
    ) {
        let kind = self.pod.container(index).kind();
        if matches!(kind, ContainerKind::Init | ContainerKind::RestartableInit) {
            // One that ended well shows its end, a restartable one between two runs included.
            let exit = newest.and_then(ContainerInstance::exit);
            if exit.is_some_and(|exit| exit.exit_code == 0) {
                return;
            }
            if kind == ContainerKind::Init && newest.is_none() && self.counts_as_exited(status) {
                status.state = ContainerState::terminated(ContainerStateTerminated {
                    reason: SmolStr::new_static("Completed"),
                    message: SmolStr::new_static(TREATED_AS_EXITED),
                    ..ContainerStateTerminated::default()
                });
                return;
            }
        }
        let deletion = self.inputs.deletion_requested;
        if !should_container_be_restarted(self.pod, index, newest, deletion).starts() {
            return;
        }
        let Some(failure) = self.inputs.start_failures.get(index) else { return };
        if status.state.terminated.is_some() {
            status.last_termination_state = core::mem::take(&mut status.state);
        }
        status.state = ContainerState::waiting(failure.reason.clone(), failure.message.clone());
    }

    /// A regular init container whose record is gone from a pod that has come to its app
    /// containers has done its work (since 1.35).
    fn counts_as_exited(&self, status: &ContainerStatus) -> bool {
        self.pod.gates().has(Change::VanishedInitContainerCountsAsExited)
            && status.state.waiting.is_some()
            && self.pod.app_containers().any(|app| {
                self.inputs
                    .observation
                    .newest(app)
                    .is_some_and(|instance| instance.state != InstanceState::Unknown)
            })
    }
}

/// The end of a container that nobody saw.
fn lost(reason: SmolStr, message: &'static str) -> ContainerStateTerminated {
    ContainerStateTerminated {
        exit_code: LOST_EXIT_CODE,
        reason,
        message: SmolStr::new_static(message),
        ..ContainerStateTerminated::default()
    }
}

/// Fills in `started` and `ready` from the probes (`UpdatePodStatus` of the probe manager).
pub(super) fn apply_probe_results(
    inputs: &StatusInputs<'_>,
    index: ContainerIndex,
    status: &mut ContainerStatus,
) {
    let container = inputs.pod.container(index);
    let instance = inputs.observation.instances(index).iter().find(|i| i.id == status.container_id);
    let started = is_started(inputs, container, instance, status);
    status.started = Some(started);
    if container.kind() == ContainerKind::Init {
        let ended = status.state.terminated.as_ref();
        let succeeded = ended.is_some_and(|ended| inputs.pod.is_init_success(ended.exit_code));
        status.ready |= succeeded;
        return;
    }
    status.ready = started && is_ready(inputs, container, instance, status);
}

fn is_started(
    inputs: &StatusInputs<'_>,
    container: &Container,
    instance: Option<&ContainerInstance>,
    status: &ContainerStatus,
) -> bool {
    if status.state.running.is_none() {
        return false;
    }
    if let Some(result) = instance.and_then(|instance| instance.startup_probe) {
        return result == ProbeResult::Success;
    }
    let kept = !inputs.pod.enabled(Feature::ChangeContainerStatusOnKubeletRestart)
        && status.started == Some(true);
    let missing = |workers: MissingProbeWorkers| workers.startup;
    kept || container.startup_probe().is_none() || lacks_worker(inputs, instance, missing)
}

/// Is there no probe worker for a probe that is declared?
fn lacks_worker(
    inputs: &StatusInputs<'_>,
    instance: Option<&ContainerInstance>,
    missing: impl FnOnce(MissingProbeWorkers) -> bool,
) -> bool {
    let is_missing = || instance.is_some_and(|of| missing(of.missing_probe_workers));
    inputs.pod.gates().has_bug(KnownBug::PassedWithoutProbeWorker)
        && (!inputs.probe_workers_made || is_missing())
}

fn is_ready(
    inputs: &StatusInputs<'_>,
    container: &Container,
    instance: Option<&ContainerInstance>,
    status: &ContainerStatus,
) -> bool {
    let result = instance.and_then(|instance| instance.readiness_probe);
    if result == Some(ProbeResult::Success) {
        return true;
    }
    let declared = container.readiness_probe().is_some();
    let missing = |workers: MissingProbeWorkers| workers.readiness;
    let mut ready = !declared || lacks_worker(inputs, instance, missing);
    if is_older_than_kubelet(inputs, status) {
        ready |= result.is_none();
        ready &= !declared || inputs.api.is_condition_true(condition_type::READY);
    }
    ready
}

/// Did the container run so long before the kubelet that its readiness is kept until it is probed
/// again (`setReadyStateOnKubeletRestart`)?
fn is_older_than_kubelet(inputs: &StatusInputs<'_>, status: &ContainerStatus) -> bool {
    /// How long before the kubelet a container must have started.
    const BEFORE_KUBELET: core::time::Duration = core::time::Duration::from_secs(10);
    let started_at = status.state.running.as_ref().and_then(|running| running.started_at);
    !inputs.pod.enabled(Feature::ChangeContainerStatusOnKubeletRestart)
        && match (started_at, inputs.kubelet_started_at) {
            (Some(started_at), Some(kubelet)) => started_at < kubelet - BEFORE_KUBELET,
            _ => false,
        }
}

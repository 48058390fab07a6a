//! What is observed: the sandboxes and container instances that the runtime reports, and what the
//! probes of the running ones say.
//!
//! An [`Observation`] is a snapshot. It can be filled anew at each sync, so that a caller who
//! watches many pods allocates once.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::pod::{ContainerIndex, PodSpec};
use crate::time::Timestamp;

/// A pod sandbox that the runtime knows (`runtimeapi.PodSandboxStatus`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Sandbox {
    /// The runtime's id of the sandbox.
    pub id: SmolStr,
    /// Is it ready (`SANDBOX_READY`)?
    pub ready: bool,
    /// Which attempt to make a sandbox for this pod it was, from 0.
    pub attempt: u32,
    /// Has it an IP address? Without one a sandbox with a network of its own is of no use.
    pub has_ip: bool,
    /// Was it made in the host's network?
    pub host_network: bool,
}

/// What a probe said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_enums, reason = "Kubernetes has these and no others")]
pub enum ProbeResult {
    /// The probe succeeded.
    Success,
    /// The probe failed often enough to count.
    Failure,
    /// There is a result, and it is not known: a startup probe starts like this.
    Unknown,
}

/// Probe workers that a container has not, although its probes are declared: none was made yet, or it
/// has ended. Without a result, what they are there for counts as passed (`isContainerStarted`,
/// `UpdatePodStatus` of the probe manager).
///
/// The prober makes them when a living pod has been synced for the first time. They end, and their
/// results go, when the pod's phase is terminal at their next turn and when the pod has stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "one flag for each worker that counts")]
pub struct MissingProbeWorkers {
    /// That of the startup probe.
    pub startup: bool,
    /// That of the readiness probe.
    pub readiness: bool,
}

/// The state of a container instance as the runtime reports it (`kubecontainer.State`).
///
/// Not the state of the API, which has Waiting, Running and Terminated
/// ([`ContainerState`](crate::status::ContainerState)).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_enums, reason = "the runtime interface has these and no others")]
pub enum InstanceState {
    /// Made and not started.
    Created,
    /// Running.
    Running,
    /// Ended.
    Exited(Exit),
    /// The runtime cannot tell.
    Unknown,
}

/// How a container instance ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Exit {
    /// The exit code.
    pub exit_code: i32,
    /// Why, in one word, in the runtime's words: `Completed`, `Error`, `OOMKilled`.
    pub reason: SmolStr,
    /// Why, in words; with the container's termination message.
    pub message: SmolStr,
    /// When it ended. Back-off counts from here.
    pub finished_at: Option<Timestamp>,
}

/// One instance of a container that the runtime knows (`kubecontainer.Status`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ContainerInstance {
    /// The runtime's id, with its type: `containerd://4f1e…`.
    pub id: SmolStr,
    /// The sandbox that it was made in.
    pub sandbox_id: SmolStr,
    /// Its state.
    pub state: InstanceState,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// Which restart of the container it is, from 0.
    pub restart_count: u32,
    /// The [`definition_hash`](crate::pod::Container::definition_hash) of the container that it was made
    /// from. `None`: the definition has not changed since.
    pub definition_hash: Option<u64>,
    /// The image, as the runtime names it; empty: as the spec names it.
    pub image: SmolStr,
    /// The image's id.
    pub image_id: SmolStr,
    /// The last result of its startup probe; `None`: there is none yet.
    pub startup_probe: Option<ProbeResult>,
    /// The last result of its liveness probe; `None`: there is none yet.
    pub liveness_probe: Option<ProbeResult>,
    /// The last result of its readiness probe; `None`: there is none yet.
    pub readiness_probe: Option<ProbeResult>,
    /// Which of its container's probe workers are not there; by default all are.
    #[serde(default)]
    pub missing_probe_workers: MissingProbeWorkers,
}

impl ContainerInstance {
    /// An instance with an id and a state, and nothing else known of it.
    pub fn new(
        id: impl Into<SmolStr>,
        sandbox_id: impl Into<SmolStr>,
        state: InstanceState,
    ) -> Self {
        Self {
            id: id.into(),
            sandbox_id: sandbox_id.into(),
            state,
            created_at: None,
            started_at: None,
            restart_count: 0,
            definition_hash: None,
            image: SmolStr::default(),
            image_id: SmolStr::default(),
            startup_probe: None,
            liveness_probe: None,
            readiness_probe: None,
            missing_probe_workers: MissingProbeWorkers::default(),
        }
    }

    /// How it ended, if it did.
    pub fn exit(&self) -> Option<&Exit> {
        match &self.state {
            InstanceState::Exited(exit) => Some(exit),
            _ => None,
        }
    }

    /// Is it running?
    pub fn is_running(&self) -> bool {
        self.state == InstanceState::Running
    }
}

/// An instance whose name the pod's spec does not have.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "a name and an instance")]
pub struct StrayInstance {
    /// The container's name, as the runtime reports it.
    pub name: SmolStr,
    /// The instance.
    pub instance: ContainerInstance,
}

/// An observation that cannot be one of the pod.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ObservationError {
    /// An instance of a container that the pod does not have. One that a runtime knows by a name is
    /// added with [`Observation::push_named`].
    #[error("instance {id:?} is of container {slot}, but the pod has {containers} containers")]
    ForeignInstance {
        /// The instance.
        id: SmolStr,
        /// The container's place, from 0.
        slot: usize,
        /// How many containers the pod has.
        containers: usize,
    },
}

/// Everything observed of one pod at one instant (`kubecontainer.PodStatus`, with the results of
/// the probe manager).
///
/// An observation that could not be made is not an empty one: a runtime that cannot be asked says
/// nothing about its containers, and nothing is decided then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Observation {
    sandboxes: SmallVec<[Sandbox; 1]>,
    /// By [`ContainerIndex`]; a container beyond the end has no instances.
    instances: Vec<SmallVec<[ContainerInstance; 1]>>,
    strays: Vec<StrayInstance>,
}

impl Observation {
    /// Nothing is there: no sandbox, no container.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything but keeps the memory for the next observation.
    pub fn clear(&mut self) {
        self.sandboxes.clear();
        self.instances.iter_mut().for_each(SmallVec::clear);
        self.strays.clear();
    }

    /// Adds a sandbox that is older than those already added.
    pub fn push_sandbox(&mut self, sandbox: Sandbox) {
        self.sandboxes.push(sandbox);
    }

    /// Adds an instance of a container that is older than those of it already added.
    pub fn push_instance(&mut self, container: ContainerIndex, instance: ContainerInstance) {
        let slot = container.slot();
        if self.instances.len() <= slot {
            self.instances.resize_with(slot + 1, SmallVec::new);
        }
        self.instances[slot].push(instance);
    }

    /// Adds an instance by its container's name, as runtimes know it; it may be one that the pod
    /// does not have.
    pub fn push_named(&mut self, pod: &PodSpec, name: &str, instance: ContainerInstance) {
        match pod.find(name) {
            Some(container) => self.push_instance(container, instance),
            None => self.push_stray(StrayInstance { name: name.into(), instance }),
        }
    }

    /// Adds an instance whose name the pod does not have.
    pub fn push_stray(&mut self, stray: StrayInstance) {
        self.strays.push(stray);
    }

    /// The sandboxes, newest first.
    pub fn sandboxes(&self) -> &[Sandbox] {
        &self.sandboxes
    }

    /// The instances of a container, newest first.
    pub fn instances(&self, container: ContainerIndex) -> &[ContainerInstance] {
        self.instances.get(container.slot()).map_or(&[], SmallVec::as_slice)
    }

    /// The newest instance of a container (`FindContainerStatusByName`).
    pub fn newest(&self, container: ContainerIndex) -> Option<&ContainerInstance> {
        self.instances(container).first()
    }

    /// The newest instance of a container in the current sandbox (`FindActiveContainerStatusByName`).
    pub fn newest_in_current_sandbox(
        &self,
        container: ContainerIndex,
    ) -> Option<&ContainerInstance> {
        let sandbox = self.current_sandbox()?;
        self.instances(container).iter().find(|instance| instance.sandbox_id == sandbox.id)
    }

    /// Instances whose names the pod does not have.
    pub fn strays(&self) -> &[StrayInstance] {
        &self.strays
    }

    /// Every instance of a container of the pod, newest first within one container.
    pub fn all_instances(&self) -> impl Iterator<Item = (ContainerIndex, &ContainerInstance)> {
        self.instances.iter().enumerate().flat_map(|(slot, instances)| {
            instances.iter().map(move |instance| (ContainerIndex::new(slot), instance))
        })
    }

    /// Checks that the observation can be one of this pod.
    ///
    /// What a runtime can really report passes, however odd: a container in a sandbox that is gone,
    /// an end before a start, two running instances.
    ///
    /// # Errors
    /// If it has an instance of a container beyond those of the pod, as one that was read back after
    /// the manifest has lost a container.
    pub fn check(&self, pod: &PodSpec) -> Result<(), ObservationError> {
        let containers = pod.containers().len();
        let foreign = self.all_instances().find(|(container, _)| container.slot() >= containers);
        match foreign {
            None => Ok(()),
            Some((container, instance)) => Err(ObservationError::ForeignInstance {
                id: instance.id.clone(),
                slot: container.slot(),
                containers,
            }),
        }
    }

    /// Does the runtime know any instance at all, stray ones included?
    pub fn has_any_instance(&self) -> bool {
        !self.strays.is_empty() || self.instances.iter().any(|instances| !instances.is_empty())
    }

    /// Does any instance run, stray ones included?
    pub fn has_running_instance(&self) -> bool {
        let instances = self.all_instances().map(|(_, instance)| instance);
        let strays = self.strays.iter().map(|stray| &stray.instance);
        instances.chain(strays).any(ContainerInstance::is_running)
    }

    /// Nothing runs, and no sandbox is ready: the pod has ended, as far as the runtime knows
    /// (`isPodStatusCacheTerminal`).
    pub fn is_at_rest(&self) -> bool {
        !self.has_running_instance() && !self.sandboxes.iter().any(|sandbox| sandbox.ready)
    }

    /// The newest sandbox, if it is ready: the one whose containers count as present
    /// (`ActiveContainerStatuses`).
    pub fn current_sandbox(&self) -> Option<&Sandbox> {
        self.sandboxes.first().filter(|sandbox| sandbox.ready)
    }
}

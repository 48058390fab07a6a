//! A container runtime on a virtual clock.

#[cfg(feature = "fleet")]
pub(super) mod abstraction;

use alloc::vec::Vec;
use core::cmp::Reverse;
use core::fmt;
use core::time::Duration;

use smallvec::SmallVec;
use smol_str::{SmolStr, format_smolstr};

use super::scenario::{ContainerScript, PodEvent, Scenario};
use crate::observation::{
    ContainerInstance, Exit, InstanceState, Observation, ProbeResult, Sandbox,
};
use crate::pod::{Container, ContainerIndex, ContainerKind, PodSpec};
use crate::runtime::ContainerRuntime;
use crate::termination::TerminationPlan;
use crate::time::Timestamp;
use crate::version::Feature;

/// An attempt failed because the script says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// A pull.
    #[error("image not found")]
    ImageNotFound,
    /// A creation.
    #[error("no space left on device")]
    NoSpace,
    /// A start.
    #[error("exec: not found")]
    ExecNotFound,
    /// Any call while the runtime cannot be asked.
    #[error("the container runtime is not available")]
    Unavailable,
}

/// A call of the runtime that changes something.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RuntimeCall {
    /// The call's name in the container runtime interface.
    pub name: &'static str,
    /// The container that it is about.
    pub container: Option<SmolStr>,
}

impl fmt::Display for RuntimeCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.container {
            Some(container) => write!(f, "{} {container}", self.name),
            None => f.write_str(self.name),
        }
    }
}

/// What has happened by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Changes {
    /// A container has ended.
    pub ended: bool,
    /// A probe's result has changed.
    pub probed: bool,
}

/// What a container is like now, and what its script still holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct SimContainer {
    script: ContainerScript,
    pull_failures: u32,
    create_failures: u32,
    start_failures: u32,
    /// Successful starts so far.
    starts: usize,
    /// The restart counts of the logs that are left.
    logs: Vec<u32>,
    /// Newest first.
    instances: SmallVec<[SimInstance; 2]>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct SimInstance {
    instance: ContainerInstance,
    /// When it ends by itself, and how.
    ends: Option<(Timestamp, Exit)>,
    /// What its probes will say.
    probes: SmallVec<[(Timestamp, Probe, ProbeResult); 2]>,
}

/// A probe of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Probe {
    Startup,
    Readiness,
    Liveness,
}

/// A container runtime whose containers follow scripts, on a clock that is moved by hand.
///
/// The type of its ids is `fakeRuntime`; a sandbox is named `<pod>_<namespace>_<uid>_<attempt>`, an
/// instance that, and `_<container>_<restartCount>`. No id comes twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SimRuntime {
    now: Timestamp,
    containers: Vec<SimContainer>,
    sandboxes: SmallVec<[Sandbox; 1]>,
    images: Vec<SmolStr>,
    ids: Vec<SmolStr>,
    calls: Vec<RuntimeCall>,
    changes: u64,
    unavailable_until: Timestamp,
}

impl SimRuntime {
    /// A runtime that knows nothing of the pod yet and has none of its images.
    pub fn new(pod: &PodSpec, scenario: &Scenario) -> Self {
        let containers = pod.containers().iter().map(|container| {
            let script = scenario.scripts.get(container.name());
            let script = script.unwrap_or(&ContainerScript::FOREVER).clone();
            SimContainer {
                pull_failures: script.image_pull_failures,
                create_failures: script.create_failures,
                start_failures: script.start_failures,
                script,
                starts: 0,
                logs: Vec::new(),
                instances: SmallVec::new(),
            }
        });
        Self {
            now: scenario.begins_at,
            containers: containers.collect(),
            sandboxes: SmallVec::new(),
            images: Vec::new(),
            ids: Vec::new(),
            calls: Vec::new(),
            changes: 0,
            unavailable_until: Timestamp::MIN,
        }
    }

    /// When something will happen by itself: a container ends, or a probe's result changes.
    pub fn next_change(&self) -> Option<Timestamp> {
        self.instances()
            .filter(|instance| instance.instance.is_running())
            .flat_map(|instance| {
                let end = instance.ends.as_ref().map(|(at, _)| *at);
                end.into_iter().chain(instance.probes.iter().map(|(at, ..)| *at))
            })
            .min()
    }

    /// Moves the clock, and lets happen what is due until then.
    pub fn advance_to(&mut self, now: Timestamp) -> Changes {
        self.now = self.now.max(now);
        let now = self.now;
        let mut changes = Changes::default();
        for instance in self.containers.iter_mut().flat_map(|c| &mut c.instances) {
            instance.catch_up(now, &mut changes);
        }
        changes
    }

    /// Lets an event happen, as far as it happens in the runtime; of the rest the kubelet is told.
    pub(crate) fn befall(&mut self, pod: &PodSpec, event: &PodEvent) {
        match event {
            PodEvent::SandboxLost => self.lose_sandbox(),
            PodEvent::InitRecordsRemoved => self.remove_init_records(pod),
            PodEvent::InstanceVanished { container } => {
                if let Some(container) = pod.find(container) {
                    self.lose_instance(container);
                }
            }
            PodEvent::RuntimeUnavailable { lasts } => self.fail_until(self.now + *lasts),
            PodEvent::KubeletRestarted => self.forget_probe_results(pod),
            PodEvent::ImageChanged { .. } | PodEvent::PodDeleted { .. } | PodEvent::Evicted(_) => {}
        }
    }

    /// Every running container exits with 137, and no sandbox is ready any more.
    pub fn lose_sandbox(&mut self) {
        let now = self.now;
        for instance in self.containers.iter_mut().flat_map(|c| &mut c.instances) {
            instance.stop(now);
        }
        for sandbox in &mut self.sandboxes {
            sandbox.ready = false;
        }
    }

    /// Removes every init container that has exited, with its log.
    pub fn remove_init_records(&mut self, pod: &PodSpec) {
        for index in pod.init_containers() {
            let Some(container) = self.containers.get_mut(index.slot()) else { continue };
            let SimContainer { instances, logs, .. } = container;
            instances.retain(|instance| {
                let exited = instance.instance.exit().is_some();
                if exited {
                    logs.retain(|log| *log != instance.instance.restart_count);
                }
                !exited
            });
        }
    }

    /// The newest instance of a container vanishes, its log too.
    pub fn lose_instance(&mut self, container: ContainerIndex) {
        let Some(container) = self.containers.get_mut(container.slot()) else { return };
        if !container.instances.is_empty() {
            let lost = container.instances.remove(0);
            container.logs.retain(|log| *log != lost.instance.restart_count);
        }
    }

    /// The runtime cannot be asked until then.
    pub fn fail_until(&mut self, until: Timestamp) {
        self.unavailable_until = self.unavailable_until.max(until);
    }

    /// Until when the runtime cannot be asked, if it cannot.
    pub fn unavailable_until(&self) -> Option<Timestamp> {
        Some(self.unavailable_until).filter(|until| self.now < *until)
    }

    /// Forgets what the probes of the containers have said, as a kubelet that restarts does.
    ///
    /// A second later its prober has looked at the containers. One that ran for more than ten seconds
    /// keeps what its probes said before, and its startup probe is not run again: the first status
    /// has it as started, and for a restartable init container the prober takes that as the result
    /// (since 1.35). Otherwise the probes begin anew, and say the same after another second
    /// (`doProbe`, `pkg/kubelet/prober/worker.go`, v1.36.3).
    pub fn forget_probe_results(&mut self, pod: &PodSpec) {
        const BEFORE_KUBELET: Duration = Duration::from_secs(10);
        let (now, seen) = (self.now, self.now + Duration::from_secs(1));
        let again = seen + Duration::from_secs(1);
        let keeps = !pod.enabled(Feature::ChangeContainerStatusOnKubeletRestart);
        for (declared, state) in pod.containers().iter().zip(&mut self.containers) {
            for SimInstance { instance, probes, .. } in &mut state.instances {
                let older = instance.started_at.is_some_and(|at| at < now - BEFORE_KUBELET);
                let first = FirstResults::of(declared);
                let results = [
                    (Probe::Startup, instance.startup_probe.take(), first.startup),
                    (Probe::Readiness, instance.readiness_probe.take(), first.readiness),
                    (Probe::Liveness, instance.liveness_probe.take(), first.liveness),
                ];
                for (probe, result, first) in results {
                    let Some(result) = result else { continue };
                    if !(older && keeps) {
                        probes.extend(first.map(|first| (seen, probe, first)));
                        probes.push((again, probe, result));
                    } else if probe == Probe::Startup {
                        probes.retain(|(_, of, _)| *of != Probe::Startup);
                        if declared.is_restartable_init_container() {
                            probes.push((seen, probe, ProbeResult::Success));
                        }
                    } else {
                        probes.push((seen, probe, result));
                    }
                }
                probes.sort_by_key(|(at, ..)| *at);
            }
        }
    }

    /// How often something has started or ended by a call.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// The calls since the last time they were taken.
    pub fn take_calls(&mut self) -> Vec<RuntimeCall> {
        core::mem::take(&mut self.calls)
    }

    fn instances(&self) -> impl Iterator<Item = &SimInstance> {
        self.containers.iter().flat_map(|container| &container.instances)
    }

    fn call(&mut self, name: &'static str, container: Option<&SmolStr>) {
        self.calls.push(RuntimeCall { name, container: container.cloned() });
    }

    /// An id that was not given before.
    fn fresh_id(&mut self, mut id: SmolStr) -> SmolStr {
        while self.ids.contains(&id) {
            id = format_smolstr!("{id}_again");
        }
        self.ids.push(id.clone());
        id
    }
}

impl ContainerInstance {
    fn set_probe(&mut self, probe: Probe, result: ProbeResult) {
        *match probe {
            Probe::Startup => &mut self.startup_probe,
            Probe::Readiness => &mut self.readiness_probe,
            Probe::Liveness => &mut self.liveness_probe,
        } = Some(result);
    }
}

impl SimInstance {
    fn catch_up(&mut self, now: Timestamp, changes: &mut Changes) {
        if !self.instance.is_running() {
            return;
        }
        let end = self.ends.as_ref().map(|(at, _)| *at).filter(|at| *at <= now);
        let until = end.unwrap_or(now);
        for (at, probe, result) in &self.probes {
            // What was due when the run had ended does not happen.
            if *at <= until && end.is_none_or(|end| *at < end) {
                self.instance.set_probe(*probe, *result);
                changes.probed = true;
            }
        }
        self.probes.retain(|(at, ..)| *at > until);
        if end.is_some()
            && let Some((_, exit)) = self.ends.take()
        {
            self.instance.state = InstanceState::Exited(exit);
            changes.ended = true;
        }
    }

    /// Stopping takes no time and leaves 137.
    fn stop(&mut self, now: Timestamp) -> bool {
        if !self.instance.is_running() {
            return false;
        }
        self.instance.state = InstanceState::Exited(Exit {
            exit_code: 137,
            reason: SmolStr::new_static("Error"),
            message: SmolStr::default(),
            finished_at: Some(now),
        });
        true
    }
}

/// What counts of a container that was just started, before a probe has said anything.
struct FirstResults {
    startup: Option<ProbeResult>,
    readiness: Option<ProbeResult>,
    liveness: Option<ProbeResult>,
}

impl FirstResults {
    fn of(declared: &Container) -> Self {
        let later = is_probed_after_start(declared);
        let first = |holds: bool, result| holds.then_some(result);
        Self {
            startup: first(declared.startup_probe().is_some(), ProbeResult::Unknown),
            readiness: first(later && declared.readiness_probe().is_some(), ProbeResult::Failure),
            liveness: first(later && declared.liveness_probe().is_some(), ProbeResult::Success),
        }
    }
}

/// Only restartable init containers and app containers are probed after their start.
fn is_probed_after_start(declared: &Container) -> bool {
    declared.kind() != ContainerKind::Init
}

/// The changes of probes that a script asks for in a run that begins now.
pub(super) fn probe_changes(
    declared: &Container,
    script: &ContainerScript,
    now: Timestamp,
) -> impl Iterator<Item = (Timestamp, Probe, ProbeResult)> {
    let later = is_probed_after_start(declared);
    [
        (declared.startup_probe().is_some(), Probe::Startup, script.startup_probe),
        (later && declared.readiness_probe().is_some(), Probe::Readiness, script.readiness_probe),
        (later && declared.liveness_probe().is_some(), Probe::Liveness, script.liveness_probe),
    ]
    .into_iter()
    .filter(|(probed, ..)| *probed)
    .flat_map(move |(_, probe, script)| {
        let at = |after: Option<Duration>, result| after.map(|after| (now + after, probe, result));
        let success = at(script.succeeds_after, ProbeResult::Success);
        let failure = at(script.fails_after, ProbeResult::Failure);
        // In the order of time; at one instant the failure comes last.
        let failure_first = script.fails_after < script.succeeds_after;
        let both = if failure_first { [failure, success] } else { [success, failure] };
        both.into_iter().flatten()
    })
}

impl ContainerRuntime for SimRuntime {
    type Error = SimError;

    fn now(&mut self) -> Timestamp {
        self.now
    }

    fn observe(&mut self, pod: &PodSpec, observation: &mut Observation) -> Result<(), SimError> {
        if self.unavailable_until().is_some() {
            return Err(SimError::Unavailable);
        }
        for sandbox in &self.sandboxes {
            observation.push_sandbox(sandbox.clone());
        }
        let slots = pod.init_containers().chain(pod.app_containers());
        for index in slots.chain(pod.ephemeral_containers()) {
            let Some(container) = self.containers.get(index.slot()) else { continue };
            for instance in &container.instances {
                observation.push_instance(index, instance.instance.clone());
            }
        }
        Ok(())
    }

    fn run_pod_sandbox(&mut self, pod: &PodSpec, attempt: u32) -> Result<SmolStr, SimError> {
        self.call("RunPodSandbox", None);
        self.changes += 1;
        let identity = pod.identity();
        let id = self.fresh_id(format_smolstr!(
            "{}_{}_{}_{attempt}",
            identity.name,
            identity.namespace,
            identity.uid
        ));
        let host_network = pod.host_network();
        let sandbox = Sandbox { id: id.clone(), ready: true, attempt, has_ip: true, host_network };
        self.sandboxes.insert(0, sandbox);
        Ok(id)
    }

    fn stop_pod_sandbox(&mut self, _pod: &PodSpec, sandbox_id: &str) -> Result<(), SimError> {
        self.call("StopPodSandbox", None);
        for sandbox in &mut self.sandboxes {
            if sandbox.id == sandbox_id && sandbox.ready {
                sandbox.ready = false;
                self.changes += 1;
            }
        }
        Ok(())
    }

    fn stop_containers(&mut self, pod: &PodSpec, plan: &TerminationPlan) -> Result<(), SimError> {
        // Those who stop side by side are listed by name.
        let mut stops: Vec<_> = plan.stops().iter().collect();
        stops.sort_by_key(|stop| {
            let container = pod.container(stop.container);
            let sidecar = container.is_restartable_init_container();
            let name = container.name();
            if sidecar { (Some(Reverse(stop.container)), None) } else { (None, Some(name)) }
        });
        for stop in stops {
            self.call("StopContainer", Some(pod.container(stop.container).name()));
            let now = self.now;
            for instance in self.containers.iter_mut().flat_map(|c| &mut c.instances) {
                if instance.instance.id == stop.instance_id && instance.stop(now) {
                    self.changes += 1;
                }
            }
        }
        Ok(())
    }

    fn remove_container(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
        id: &str,
        keep_log: bool,
    ) -> Result<(), SimError> {
        self.call("RemoveContainer", Some(pod.container(container).name()));
        if let Some(container) = self.containers.get_mut(container.slot()) {
            let SimContainer { instances, logs, .. } = container;
            instances.retain(|instance| {
                let removed = instance.instance.id == id;
                if removed && !keep_log {
                    logs.retain(|log| *log != instance.instance.restart_count);
                }
                !removed
            });
        }
        Ok(())
    }

    fn image_present(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
    ) -> Result<bool, SimError> {
        Ok(self.images.contains(pod.container(container).image()))
    }

    fn pull_image(&mut self, pod: &PodSpec, container: ContainerIndex) -> Result<u64, SimError> {
        let declared = pod.container(container);
        self.call("PullImage", Some(declared.name()));
        let present = self.images.contains(declared.image());
        if let Some(container) = self.containers.get_mut(container.slot()) {
            if !present {
                self.now += container.script.image_pull_lasts;
            }
            if container.pull_failures > 0 {
                container.pull_failures -= 1;
                return Err(SimError::ImageNotFound);
            }
        }
        if !present {
            self.images.push(declared.image().clone());
        }
        Ok(0)
    }

    fn create_container(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
        sandbox_id: &str,
        restart_count: Option<u32>,
    ) -> Result<SmolStr, SimError> {
        let declared = pod.container(container);
        self.call("CreateContainer", Some(declared.name()));
        let Some(state) = self.containers.get_mut(container.slot()) else {
            return Err(SimError::NoSpace);
        };
        if state.create_failures > 0 {
            state.create_failures -= 1;
            return Err(SimError::NoSpace);
        }
        let restart_count = restart_count.unwrap_or_else(|| {
            state.logs.iter().max().map_or(0, |newest| newest.saturating_add(1))
        });
        state.logs.push(restart_count);
        let id = format_smolstr!("fakeRuntime://{sandbox_id}_{}_{restart_count}", declared.name());
        let id = self.fresh_id(id);
        let mut instance = ContainerInstance::new(id.clone(), sandbox_id, InstanceState::Created);
        instance.created_at = Some(self.now);
        instance.restart_count = restart_count;
        instance.definition_hash = Some(declared.definition_hash());
        instance.image_id = declared.image().clone();
        if let Some(state) = self.containers.get_mut(container.slot()) {
            let instance = SimInstance { instance, ends: None, probes: SmallVec::new() };
            state.instances.insert(0, instance);
        }
        Ok(id)
    }

    fn start_container(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
        id: &str,
    ) -> Result<(), SimError> {
        let declared = pod.container(container);
        self.call("StartContainer", Some(declared.name()));
        let Some(state) = self.containers.get_mut(container.slot()) else {
            return Err(SimError::ExecNotFound);
        };
        self.now += state.script.start_lasts;
        let now = self.now;
        if state.start_failures > 0 {
            state.start_failures -= 1;
            return Err(SimError::ExecNotFound);
        }
        let SimContainer { instances, script, starts, .. } = state;
        let Some(started) = instances.iter_mut().find(|started| started.instance.id == id) else {
            return Err(SimError::ExecNotFound);
        };
        let run = script.run(*starts);
        *starts += 1;
        started.ends = run.lasts.map(|lasts| (now + lasts, run.exit(now + lasts)));
        let instance = &mut started.instance;
        instance.state = InstanceState::Running;
        instance.started_at = Some(now);
        let first = FirstResults::of(declared);
        instance.startup_probe = first.startup;
        instance.readiness_probe = first.readiness;
        instance.liveness_probe = first.liveness;
        started.probes.extend(probe_changes(declared, script, now));
        self.changes += 1;
        Ok(())
    }
}

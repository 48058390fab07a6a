//! The containers and sandboxes of a pod that there are not: what a container runtime would tell.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use podinit::observation::{ContainerInstance, Exit, InstanceState, Sandbox};
use podinit::probe::ContainerProbes;
use podinit::scenario::{Call, CallFault, Instance, SandboxAttempt, Scenario};
use podinit::status::{ContainerState, ContainerStatus, condition_type};
use podinit::{ContainerIndex, Observation, PodSpec, PodStatus, Timestamp};
use smol_str::{SmolStr, format_smolstr};

/// How long a container takes to end that is asked to.
const STOPS_AFTER: Duration = Duration::from_millis(3);
/// The exit code of a container that SIGTERM ended, and of one that was killed.
const TERMINATED: i32 = 143;
const KILLED: i32 = 137;

/// A container instance.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) container: ContainerIndex,
    pub(super) told: ContainerInstance,
    pub(super) script: Arc<Instance>,
    /// When it ends, and with what exit code.
    ends: Option<(Timestamp, i32)>,
}

impl Running {
    fn end(&mut self, exit_code: i32, reason: Option<SmolStr>, now: Timestamp) {
        let usual = if exit_code == 0 { "Completed" } else { "Error" };
        let reason = reason.or_else(|| self.script.reason.clone());
        self.told.state = InstanceState::Exited(exit(
            exit_code,
            reason.unwrap_or(SmolStr::new_static(usual)),
            self.script.message.clone().unwrap_or_default(),
            Some(now),
        ));
        self.ends = None;
    }
}

/// The pod as its runtime has it. Newest first.
#[derive(Clone, Debug, Default)]
pub(super) struct World {
    sandboxes: Vec<Sandbox>,
    /// When the newest sandbox stops being ready, and whether its containers outlive it.
    sandbox_dies: Option<(Timestamp, bool)>,
    sandboxes_made: usize,
    instances: Vec<Running>,
    /// How many instances were created of each container.
    created: BTreeMap<SmolStr, usize>,
    /// The restart count of each container's newest log.
    logs: BTreeMap<SmolStr, u32>,
    pulled: BTreeMap<SmolStr, usize>,
    /// How often each fault of the scenario had its chance.
    chances: Vec<u32>,
    /// The probes of each container, which outlive its instances.
    pub(super) probes: BTreeMap<SmolStr, ContainerProbes>,
    /// The pod's address.
    pub(super) ip: Option<SmolStr>,
}

impl World {
    /// What was there when the last node agent wrote this status.
    pub(super) fn resumed(
        spec: &PodSpec,
        status: &PodStatus,
        scenario: &Scenario,
        started: Timestamp,
    ) -> Self {
        let mut world = Self::default();
        let lists = [
            &status.init_container_statuses,
            &status.container_statuses,
            &status.ephemeral_container_statuses,
        ];
        for of in lists.into_iter().flatten() {
            if let Some(container) = spec.find(&of.name) {
                world.resume_container(spec, container, of, scenario, started);
            }
        }
        let has_run = !world.instances.is_empty();
        if has_run || status.is_condition_true(condition_type::POD_READY_TO_START_CONTAINERS) {
            let ready = !status.phase.is_terminal();
            world.add_sandbox(spec, 0, &SandboxAttempt::default(), started);
            world.sandboxes[0].ready = ready;
        }
        world
    }

    fn resume_container(
        &mut self,
        spec: &PodSpec,
        container: ContainerIndex,
        status: &ContainerStatus,
        scenario: &Scenario,
        started: Timestamp,
    ) {
        let declared = spec.container(container);
        let count = u32::try_from(status.restart_count).unwrap_or(0);
        let last = &status.last_termination_state;
        let (newest, older) = match &status.state {
            ContainerState { waiting: None, running: None, terminated: None, .. } => (last, None),
            ContainerState { waiting: Some(_), .. } => (last, None),
            state => (state, Some(last)),
        };
        let counts = [(older, count.saturating_sub(1)), (Some(newest), count)];
        for (state, restart_count) in counts {
            let Some(state) = state.filter(|state| !state.is_empty() && state.waiting.is_none())
            else {
                continue;
            };
            let number = usize::try_from(restart_count).unwrap_or(0);
            let script = Arc::new(scenario.container(&status.name).instance(number));
            let mut running = Running {
                container,
                told: ContainerInstance::new("", sandbox_id(spec, 0), InstanceState::Running),
                script,
                ends: None,
            };
            running.told.restart_count = restart_count;
            running.told.image = status.image.clone();
            running.told.image_id = status.image_id.clone();
            // An image that was changed meanwhile is another definition.
            let same = status.image.is_empty() || status.image == *declared.image();
            running.told.definition_hash = same.then(|| declared.definition_hash()).or(Some(0));
            if let Some(at) = &state.running {
                running.told.started_at = at.started_at;
                running.told.id = status.container_id.clone();
                let begun = at.started_at.unwrap_or(started);
                let ends = running.script.run_for.map(|lasts| (begun + lasts.0).max(started));
                running.ends = ends.map(|at| (at, running.script.exit_code()));
                let probes = ContainerProbes::resumed(declared, status, started);
                self.probes.insert(status.name.clone(), probes);
            } else if let Some(ended) = &state.terminated {
                running.told.started_at = ended.started_at;
                running.told.id = ended.container_id.clone();
                running.told.state = InstanceState::Exited(exit(
                    ended.exit_code,
                    ended.reason.clone(),
                    ended.message.clone(),
                    ended.finished_at,
                ));
            }
            running.told.created_at = running.told.started_at;
            self.created.insert(status.name.clone(), number + 1);
            self.logs.insert(status.name.clone(), restart_count);
            self.instances.insert(0, running);
        }
    }

    pub(super) fn observe(&self, spec: &PodSpec) -> Observation {
        let mut observation = Observation::new();
        for sandbox in &self.sandboxes {
            observation.push_sandbox(sandbox.clone());
        }
        let mut probed: Vec<ContainerIndex> = Vec::new();
        for running in &self.instances {
            let mut told = running.told.clone();
            // Results are those of the newest instance.
            if !probed.contains(&running.container) {
                probed.push(running.container);
                let probes = self.probes.get(spec.container(running.container).name());
                if let Some(probes) = probes.filter(|_| told.is_running()) {
                    probes.report(&mut told);
                }
            }
            observation.push_instance(running.container, told);
        }
        observation
    }

    pub(super) fn instance(&self, id: &str) -> Option<&Running> {
        self.instances.iter().find(|running| running.told.id == id)
    }

    pub(super) fn runs(&self, id: &str) -> bool {
        self.instance(id).is_some_and(|running| running.told.is_running())
    }

    fn instance_mut(&mut self, id: &str) -> Option<&mut Running> {
        self.instances.iter_mut().find(|running| running.told.id == id)
    }

    /// When something changes by itself.
    pub(super) fn next_change(&self) -> Option<Timestamp> {
        let ends = self.instances.iter().filter_map(|running| running.ends.map(|(at, _)| at));
        ends.chain(self.sandbox_dies.map(|(at, _)| at)).min()
    }

    /// Lets happen what is due; says whether something changed.
    pub(super) fn advance(&mut self, now: Timestamp) -> bool {
        let mut changed = false;
        for running in &mut self.instances {
            if let Some((_, exit_code)) = running.ends.filter(|(at, _)| *at <= now) {
                running.end(exit_code, None, now);
                changed = true;
            }
        }
        if let Some((_, keeps)) = self.sandbox_dies.filter(|(at, _)| *at <= now) {
            self.stop_newest_sandbox(keeps, now);
            changed = true;
        }
        changed
    }

    /// The script of the next sandbox.
    pub(super) fn next_sandbox(&mut self, scenario: &Scenario) -> SandboxAttempt {
        self.sandboxes_made += 1;
        scenario.sandbox(self.sandboxes_made - 1)
    }

    pub(super) fn add_sandbox(
        &mut self,
        spec: &PodSpec,
        attempt: u32,
        script: &SandboxAttempt,
        now: Timestamp,
    ) -> SmolStr {
        let id = sandbox_id(spec, attempt);
        let host_network = spec.host_network();
        self.sandbox_dies = script.dies_after.map(|after| (now + after.0, script.keeps_containers));
        let mut sandbox = Sandbox::default();
        sandbox.id = id.clone();
        (sandbox.ready, sandbox.has_ip) = (true, true);
        (sandbox.attempt, sandbox.host_network) = (attempt, host_network);
        self.sandboxes.insert(0, sandbox);
        id
    }

    pub(super) fn stop_sandbox(&mut self, id: &str, keeps_containers: bool, now: Timestamp) {
        if self.sandboxes.first().is_some_and(|sandbox| sandbox.id == id) {
            self.sandbox_dies = None;
        }
        for sandbox in self.sandboxes.iter_mut().filter(|sandbox| sandbox.id == id) {
            sandbox.ready = false;
        }
        let inside = self.instances.iter_mut().filter(|running| running.told.sandbox_id == id);
        for running in inside.filter(|running| running.told.is_running() && !keeps_containers) {
            running.end(KILLED, None, now);
        }
    }

    pub(super) fn stop_newest_sandbox(&mut self, keeps_containers: bool, now: Timestamp) {
        if let Some(id) = self.sandboxes.first().map(|sandbox| sandbox.id.clone()) {
            self.stop_sandbox(&id, keeps_containers, now);
        }
    }

    /// The script of the next instance of a container.
    pub(super) fn next_instance(&mut self, scenario: &Scenario, name: &SmolStr) -> Arc<Instance> {
        let created = self.created.entry(name.clone()).or_default();
        *created += 1;
        Arc::new(scenario.container(name).instance(*created - 1))
    }

    pub(super) fn add_instance(
        &mut self,
        spec: &PodSpec,
        container: ContainerIndex,
        sandbox_id: &SmolStr,
        restart_count: Option<u32>,
        script: Arc<Instance>,
        now: Timestamp,
    ) -> SmolStr {
        let declared = spec.container(container);
        let after_log = || self.logs.get(declared.name()).map_or(0, |newest| newest + 1);
        let restart_count = restart_count.unwrap_or_else(after_log);
        self.logs.insert(declared.name().clone(), restart_count);
        let number = self.created.get(declared.name()).copied().unwrap_or(0);
        let id = format_smolstr!("podinit://{}/{}/{number}", spec.identity().uid, declared.name());
        // As the kubelet's garbage collection: of those that have ended, the last two stay.
        let mut seen = 0;
        self.instances.retain(|other| {
            seen += usize::from(other.container == container);
            other.container != container || seen <= 2 || other.told.is_running()
        });
        let mut told =
            ContainerInstance::new(id.clone(), sandbox_id.clone(), InstanceState::Created);
        told.created_at = Some(now);
        told.restart_count = restart_count;
        told.definition_hash = Some(declared.definition_hash());
        told.image = declared.image().clone();
        told.image_id = declared.image().clone();
        self.instances.insert(0, Running { container, told, script, ends: None });
        id
    }

    pub(super) fn start(
        &mut self,
        spec: &PodSpec,
        id: &str,
        now: Timestamp,
    ) -> Result<(), SmolStr> {
        let Some(running) = self.instance_mut(id) else {
            return Err(format_smolstr!("container {id:?} is not there any more"));
        };
        running.told.started_at = Some(now);
        if let Some(error) = running.script.start.error.clone() {
            running.told.state = InstanceState::Exited(exit(
                128,
                SmolStr::new_static("StartError"),
                error.clone(),
                Some(now),
            ));
            return Err(error);
        }
        running.told.state = InstanceState::Running;
        running.ends =
            running.script.run_for.map(|lasts| (now + lasts.0, running.script.exit_code()));
        let declared = spec.container(running.container);
        match self.probes.get_mut(declared.name()) {
            Some(probes) => probes.restarted(now),
            None => {
                self.probes.insert(declared.name().clone(), ContainerProbes::new(declared, now));
            }
        }
        Ok(())
    }

    /// SIGTERM.
    pub(super) fn terminate(&mut self, id: &str, now: Timestamp) {
        let Some(running) = self.instance_mut(id).filter(|running| running.told.is_running())
        else {
            return;
        };
        let stop = running.script.stop.clone().unwrap_or_default();
        if stop.ignore {
            return;
        }
        let at = now + stop.after.map_or(STOPS_AFTER, |after| after.0);
        if running.ends.is_none_or(|(ends, _)| at < ends) {
            running.ends = Some((at, stop.exit_code.unwrap_or(TERMINATED)));
        }
    }

    /// SIGKILL.
    pub(super) fn kill(&mut self, id: &str, now: Timestamp) {
        if let Some(running) = self.instance_mut(id).filter(|running| running.told.is_running()) {
            running.end(KILLED, None, now);
        }
    }

    /// The running instance of a container ends, behind the kubelet's back; says whether one did.
    pub(super) fn end_container(
        &mut self,
        container: ContainerIndex,
        exit_code: Option<i32>,
        reason: Option<SmolStr>,
        now: Timestamp,
    ) -> bool {
        let mut running = self.instances.iter_mut();
        let found =
            running.find(|running| running.container == container && running.told.is_running());
        let Some(running) = found else { return false };
        running.end(exit_code.unwrap_or(KILLED), reason, now);
        true
    }

    pub(super) fn remove_instance(&mut self, id: &str, log_of: Option<&SmolStr>) {
        self.instances.retain(|running| running.told.id != id);
        if let Some(name) = log_of {
            self.logs.remove(name);
        }
    }

    /// How many pulls of this image came before.
    pub(super) fn count_pull(&mut self, image: &SmolStr) -> usize {
        let pulled = self.pulled.entry(image.clone()).or_default();
        *pulled += 1;
        *pulled - 1
    }

    /// What the scenario's faults do to a call: it takes longer, and may fail.
    pub(super) fn disturb(
        &mut self,
        scenario: &Scenario,
        call: Call,
        container: &str,
        image: &str,
        since_arrival: Duration,
    ) -> (Duration, Option<SmolStr>) {
        self.chances.resize(scenario.calls.len(), 0);
        let mut takes = Duration::ZERO;
        for (fault, chances) in scenario.calls.iter().zip(&mut self.chances) {
            let CallFault { from, until, times, error, .. } = fault;
            let since = since_arrival + takes;
            let hit = fault.call == call
                && (fault.container.is_empty() || fault.container == container)
                && (fault.image.is_empty() || fault.image == image)
                && since >= from.0
                && until.is_none_or(|until| since < until.0);
            if !hit {
                continue;
            }
            *chances = chances.saturating_add(1);
            if times.is_some_and(|times| *chances > times) {
                continue;
            }
            takes += fault.takes.unwrap_or_default().0;
            if let Some(error) = error.as_ref().filter(|error| !error.is_empty()) {
                return (takes, Some(error.clone()));
            }
        }
        (takes, None)
    }
}

fn sandbox_id(spec: &PodSpec, attempt: u32) -> SmolStr {
    format_smolstr!("{}-{attempt}", spec.identity().uid)
}

fn exit(exit_code: i32, reason: SmolStr, message: SmolStr, finished_at: Option<Timestamp>) -> Exit {
    let mut exit = Exit::default();
    exit.exit_code = exit_code;
    (exit.reason, exit.message, exit.finished_at) = (reason, message, finished_at);
    exit
}

//! The container runtime of the node: what runs, and what the scenario says of it.
//!
//! It outlives kubelets. The behaviours are those of containerd, as the oracle models them.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use crate::scenario::{Answer, Attempt, Call, CallFault, Instance, SandboxAttempt, Scenario, Stop};
use smol_str::{SmolStr, format_smolstr};

use super::moment::Moment;

/// What calls take if the scenario does not say.
pub(super) fn latency(call: Call) -> Duration {
    Duration::from_millis(match call {
        Call::RunPodSandbox => 41,
        Call::StopPodSandbox => 11,
        Call::RemovePodSandbox => 5,
        Call::CreateContainer => 13,
        Call::StartContainer => 7,
        Call::StopContainer => 3,
        Call::RemoveContainer => 2,
        Call::ExecSync => 5,
        Call::PullImage => 17,
        _ => 0,
    })
}

/// The exit code of a container that was killed.
pub(super) const KILLED: i32 = 137;
/// The exit code of a container that gave in to SIGTERM.
const TERMINATED: i32 = 143;
/// The exit code of a container that is found dead after a reboot.
const LOST: i32 = 255;

/// The state of a container instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Created,
    Running,
    Exited,
}

/// A container instance.
#[derive(Clone, Debug)]
pub(super) struct Container {
    pub(super) id: SmolStr,
    pub(super) name: SmolStr,
    pub(super) sandbox_id: SmolStr,
    pub(super) attempt: u32,
    /// Later ones have higher numbers.
    pub(super) sequence: u64,
    pub(super) script: Arc<Instance>,
    pub(super) image: SmolStr,
    pub(super) definition_hash: Option<u64>,
    pub(super) state: State,
    pub(super) created: Moment,
    pub(super) started: Moment,
    pub(super) finished: Moment,
    pub(super) exit_code: i32,
    pub(super) reason: SmolStr,
    pub(super) message: SmolStr,
    /// When it ends by itself.
    ends: Option<Moment>,
    /// When it gives in to SIGTERM, and with which exit code.
    gives_in: Option<(Moment, i32)>,
}

impl Container {
    pub(super) fn is_running(&self) -> bool {
        self.state == State::Running
    }

    /// What it answers to a command or a request at this moment.
    pub(super) fn answer(&self, command: &str, now: Moment) -> Answer {
        self.script.answer(command, now.since(self.started)).cloned().unwrap_or_default()
    }

    fn due(&self) -> Option<(Moment, i32, bool)> {
        if !self.is_running() {
            return None;
        }
        let ends = self.ends.map(|at| (at, self.script.exit_code(), true));
        let gives_in = self.gives_in.map(|(at, exit_code)| (at, exit_code, false));
        ends.into_iter().chain(gives_in).min_by_key(|(at, ..)| *at)
    }
}

/// A pod sandbox.
#[derive(Clone, Debug)]
pub(super) struct PodSandbox {
    pub(super) id: SmolStr,
    pub(super) attempt: u32,
    pub(super) ready: bool,
    dies: Option<Moment>,
    keeps_containers: bool,
    ip: Option<SmolStr>,
}

/// What a list call shows.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    pub(super) containers: Vec<Container>,
    pub(super) sandboxes: Vec<PodSandbox>,
}

impl Snapshot {
    pub(super) fn container(&self, id: &str) -> Option<&Container> {
        self.containers.iter().find(|container| container.id == id)
    }

    pub(super) fn sandbox(&self, id: &str) -> Option<&PodSandbox> {
        self.sandboxes.iter().find(|sandbox| sandbox.id == id)
    }
}

/// A container that has just ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) name: SmolStr,
    pub(super) attempt: u32,
    pub(super) exit_code: i32,
    pub(super) reason: SmolStr,
}

/// Something that came to its end by itself.
#[derive(Debug)]
pub(super) enum Happened {
    Container(Ended),
    Sandbox { attempt: u32, ended: Vec<Ended> },
}

/// What the scenario does to a call, beside what it does anyway.
#[derive(Debug, Default)]
pub(super) struct Disturbance {
    pub(super) takes: Duration,
    /// The text of the error, and the error as gRPC tells it.
    pub(super) error: Option<(SmolStr, SmolStr)>,
}

/// The runtime.
#[derive(Debug)]
pub(super) struct Runtime {
    pub(super) now: Snapshot,
    sequence: u64,
    sandboxes_tried: usize,
    created: BTreeMap<SmolStr, usize>,
    pulled: BTreeMap<SmolStr, usize>,
    present: BTreeSet<SmolStr>,
    /// How often each fault of the scenario had its chance.
    faults: Vec<u32>,
}

impl Runtime {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self {
            now: Snapshot::default(),
            sequence: 0,
            sandboxes_tried: 0,
            created: BTreeMap::new(),
            pulled: BTreeMap::new(),
            present: BTreeSet::new(),
            faults: vec![0; scenario.calls.len()],
        }
    }

    /// When the next thing comes to its end by itself.
    pub(super) fn next(&self) -> Moment {
        let containers =
            self.now.containers.iter().filter_map(|container| Some(container.due()?.0));
        let sandboxes =
            self.now.sandboxes.iter().filter_map(|sandbox| sandbox.dies.filter(|_| sandbox.ready));
        containers.chain(sandboxes).min().unwrap_or(Moment::NEVER)
    }

    /// Lets the first thing that is due happen, containers before sandboxes.
    pub(super) fn happen(&mut self, now: Moment) -> Option<Happened> {
        let due = self.now.containers.iter().enumerate().find_map(|(index, container)| {
            container
                .due()
                .filter(|(at, ..)| *at <= now)
                .map(|(_, exit_code, own)| (index, exit_code, own))
        });
        if let Some((index, exit_code, own)) = due {
            let reason = self.now.containers[index].script.reason.clone().filter(|_| own);
            return self.finish(index, exit_code, reason, now).map(Happened::Container);
        }
        let dies = |sandbox: &PodSandbox| sandbox.ready && sandbox.dies.is_some_and(|at| at <= now);
        let index = self.now.sandboxes.iter().position(dies)?;
        let (attempt, keeps) = {
            let sandbox = &self.now.sandboxes[index];
            (sandbox.attempt, sandbox.keeps_containers)
        };
        let ended = self.stop_sandbox(index, keeps, now);
        Some(Happened::Sandbox { attempt, ended })
    }

    fn finish(
        &mut self,
        index: usize,
        exit_code: i32,
        reason: Option<SmolStr>,
        now: Moment,
    ) -> Option<Ended> {
        let container = self.now.containers.get_mut(index).filter(|found| found.is_running())?;
        let usual = if exit_code == 0 { "Completed" } else { "Error" };
        container.state = State::Exited;
        container.finished = now;
        container.exit_code = exit_code;
        container.reason = reason.unwrap_or(SmolStr::new_static(usual));
        container.message = container.script.message.clone().unwrap_or_default();
        Some(Ended {
            name: container.name.clone(),
            attempt: container.attempt,
            exit_code,
            reason: container.reason.clone(),
        })
    }

    fn position(&self, id: &str) -> Option<usize> {
        self.now.containers.iter().position(|container| container.id == id)
    }

    /// SIGKILL.
    pub(super) fn kill(&mut self, id: &str, now: Moment) -> Option<Ended> {
        self.finish(self.position(id)?, KILLED, None, now)
    }

    /// SIGTERM.
    pub(super) fn terminate(&mut self, id: &str, now: Moment) {
        let Some(index) = self.position(id) else { return };
        let container = &mut self.now.containers[index];
        let stop = container.script.stop.clone().unwrap_or_default();
        let Stop { after, exit_code, ignore } = stop;
        if container.is_running() && !ignore && container.gives_in.is_none() {
            let after = after.map_or(latency(Call::StopContainer), |after| after.0);
            container.gives_in = Some((now + after, exit_code.unwrap_or(TERMINATED)));
        }
    }

    /// The script of the next attempt to run a sandbox.
    pub(super) fn next_sandbox(&mut self, scenario: &Scenario) -> SandboxAttempt {
        let attempt = scenario.sandbox(self.sandboxes_tried);
        self.sandboxes_tried += 1;
        attempt
    }

    pub(super) fn add_sandbox(
        &mut self,
        attempt: u32,
        script: &SandboxAttempt,
        now: Moment,
    ) -> SmolStr {
        self.sequence += 1;
        let id = format_smolstr!("sandbox-{}", self.sequence);
        self.now.sandboxes.push(PodSandbox {
            id: id.clone(),
            attempt,
            ready: true,
            dies: script.dies_after.map(|after| now + after.0),
            keeps_containers: script.keeps_containers,
            ip: script.ip.clone(),
        });
        id
    }

    fn stop_sandbox(&mut self, index: usize, keeps_containers: bool, now: Moment) -> Vec<Ended> {
        let Some(sandbox) = self.now.sandboxes.get_mut(index).filter(|found| found.ready) else {
            return Vec::new();
        };
        sandbox.ready = false;
        if keeps_containers {
            return Vec::new();
        }
        let id = sandbox.id.clone();
        let inside = |container: &Container| container.sandbox_id == id;
        (0..self.now.containers.len())
            .filter(|index| inside(&self.now.containers[*index]))
            .collect::<Vec<_>>()
            .into_iter()
            .filter_map(|index| self.finish(index, KILLED, None, now))
            .collect()
    }

    /// A sandbox stops being ready.
    pub(super) fn stop_sandbox_by_id(&mut self, id: &str, now: Moment) -> Vec<Ended> {
        let position = self.now.sandboxes.iter().position(|sandbox| sandbox.id == id);
        position.map_or_else(Vec::new, |index| self.stop_sandbox(index, false, now))
    }

    /// The newest sandbox stops being ready.
    pub(super) fn stop_newest_sandbox(
        &mut self,
        keeps_containers: bool,
        now: Moment,
    ) -> Vec<Ended> {
        match self.now.sandboxes.len().checked_sub(1) {
            Some(index) => self.stop_sandbox(index, keeps_containers, now),
            None => Vec::new(),
        }
    }

    /// The newest sandbox is gone, with its containers.
    pub(super) fn remove_newest_sandbox(&mut self, now: Moment) -> Vec<Ended> {
        let ended = self.stop_newest_sandbox(false, now);
        if let Some(sandbox) = self.now.sandboxes.pop() {
            self.now.containers.retain(|container| container.sandbox_id != sandbox.id);
        }
        ended
    }

    /// The address of the newest sandbox: the scenario's, or else `usual`.
    pub(super) fn address(&self, usual: IpAddr) -> String {
        let given = self.now.sandboxes.last().and_then(|sandbox| sandbox.ip.clone());
        given.map_or_else(|| usual.to_string(), |given| given.to_string())
    }

    pub(super) fn remove_sandbox(&mut self, id: &str) {
        self.now.sandboxes.retain(|sandbox| sandbox.id != id);
        self.now.containers.retain(|container| container.sandbox_id != id);
    }

    /// The script of the next instance of a container.
    pub(super) fn next_instance(&mut self, scenario: &Scenario, name: &SmolStr) -> Arc<Instance> {
        let created = self.created.entry(name.clone()).or_default();
        *created += 1;
        Arc::new(scenario.container(name).instance(*created - 1))
    }

    pub(super) fn add_container(
        &mut self,
        name: &SmolStr,
        sandbox_id: &SmolStr,
        attempt: u32,
        script: Arc<Instance>,
        now: Moment,
    ) -> &mut Container {
        self.sequence += 1;
        let index = self.now.containers.len();
        self.now.containers.push(Container {
            id: format_smolstr!("oracle://{name}-{}", self.sequence),
            name: name.clone(),
            sandbox_id: sandbox_id.clone(),
            attempt,
            sequence: self.sequence,
            script,
            image: SmolStr::default(),
            definition_hash: None,
            state: State::Created,
            created: now,
            started: now,
            finished: now,
            exit_code: 0,
            reason: SmolStr::default(),
            message: SmolStr::default(),
            ends: None,
            gives_in: None,
        });
        &mut self.now.containers[index]
    }

    /// Starts a container that was created. One that cannot be started is left as one that has
    /// exited.
    pub(super) fn start(&mut self, id: &str, now: Moment) -> Result<(), SmolStr> {
        let gone = || format_smolstr!("container \"{id}\" is not created any more");
        let index = self.position(id).ok_or_else(gone)?;
        let sandbox = self.now.sandbox(&self.now.containers[index].sandbox_id);
        let ready = sandbox.is_some_and(|sandbox| sandbox.ready);
        let container = &mut self.now.containers[index];
        if container.state != State::Created {
            return Err(gone());
        }
        container.started = now;
        let error = match &container.script.start.error {
            Some(error) => Some(error.clone()),
            None => (!ready).then_some(SmolStr::new_static("sandbox container is not running")),
        };
        if let Some(error) = error {
            container.state = State::Exited;
            container.finished = now;
            container.exit_code = 128;
            container.reason = SmolStr::new_static("StartError");
            container.message = error.clone();
            return Err(error);
        }
        container.state = State::Running;
        container.ends = container.script.run_for.map(|run_for| now + run_for.0);
        Ok(())
    }

    pub(super) fn remove_container(&mut self, id: &str) {
        self.now.containers.retain(|container| container.id != id);
    }

    /// The newest instance of a container in the newest sandbox.
    pub(super) fn newest(&self, name: &str) -> Option<&Container> {
        let sandbox = &self.now.sandboxes.last()?.id;
        let newest = self.now.containers.iter().rev();
        newest
            .into_iter()
            .find(|container| container.name == name && container.sandbox_id == *sandbox)
    }

    /// A running instance ends behind the kubelet's back.
    pub(super) fn kill_newest(
        &mut self,
        name: &str,
        exit_code: i32,
        reason: Option<SmolStr>,
        now: Moment,
    ) -> Option<Ended> {
        let id = self.newest(name)?.id.clone();
        self.finish(self.position(&id)?, exit_code, reason, now)
    }

    /// The newest instance is gone.
    pub(super) fn remove_newest(&mut self, name: &str, now: Moment) -> Option<Ended> {
        let id = self.newest(name)?.id.clone();
        let ended = self.kill(&id, now);
        self.remove_container(&id);
        ended
    }

    /// An instance appears that the kubelet did not make.
    pub(super) fn start_stray(&mut self, scenario: &Scenario, name: &SmolStr, now: Moment) {
        let Some(sandbox) = self.now.sandboxes.last().map(|sandbox| sandbox.id.clone()) else {
            return;
        };
        // It has the labels of another one: without any there is none.
        if !self.now.containers.iter().any(|other| other.sandbox_id == sandbox) {
            return;
        }
        let script = Arc::new(scenario.container(name).instance(0));
        let id = self.add_container(name, &sandbox, 0, script, now).id.clone();
        // A stray container that does not come up has no effect.
        let _ = self.start(&id, now);
    }

    /// The node goes down: what runs is found dead when it is back.
    pub(super) fn reboot(&mut self, back: Moment) -> Vec<Ended> {
        let ended = (0..self.now.containers.len())
            .filter_map(|index| self.finish(index, LOST, Some("Unknown".into()), back))
            .collect();
        for sandbox in &mut self.now.sandboxes {
            sandbox.ready = false;
        }
        ended
    }

    pub(super) fn has_image(&self, scenario: &Scenario, image: &SmolStr) -> bool {
        self.present.contains(image) || scenario.image(image).present
    }

    /// How the next pull of an image goes, and how many there were before.
    pub(super) fn next_pull(&mut self, scenario: &Scenario, image: &SmolStr) -> (u32, Attempt) {
        let pulled = self.pulled.entry(image.clone()).or_default();
        let earlier = *pulled;
        *pulled += 1;
        (u32::try_from(earlier).unwrap_or(u32::MAX), scenario.image(image).pull(earlier))
    }

    pub(super) fn add_image(&mut self, image: SmolStr) {
        self.present.insert(image);
    }

    /// What the scenario does to a call that begins now.
    pub(super) fn disturb(
        &mut self,
        scenario: &Scenario,
        call: Call,
        container: &str,
        image: &str,
        now: Moment,
    ) -> Disturbance {
        let mut disturbance = Disturbance::default();
        for (fault, chances) in scenario.calls.iter().zip(&mut self.faults) {
            // A fault that comes second has its chance when the first is over.
            let since = (now + disturbance.takes).since(Moment::ARRIVAL);
            let CallFault { from, until, times, takes, error, code, .. } = fault;
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
            disturbance.takes += takes.unwrap_or_default().0;
            if let Some(error) = error.as_ref().filter(|error| !error.is_empty()) {
                let told = format_smolstr!("rpc error: code = {code} desc = {error}");
                disturbance.error = Some((error.clone(), told));
                break;
            }
        }
        disturbance
    }
}

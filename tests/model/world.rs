//! A runtime without time: small enough to be explored.

use core::convert::Infallible;

use harness::with;
use podinit::observation::{ContainerInstance, Exit, InstanceState, ProbeResult, Sandbox};
use podinit::pod::ContainerKind;
use podinit::termination::TerminationPlan;
use podinit::{ContainerIndex, ContainerRuntime, Observation, PodSpec, Timestamp};

type Id = smol_str::SmolStr;

/// All there is of time.
pub const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// One run of a container.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Instance {
    /// Which restart it is.
    pub nth: u32,
    /// The attempt of its sandbox.
    attempt: u32,
    state: InstanceState,
    /// What its startup probe says, if it has one.
    pub startup: Option<bool>,
}

impl Instance {
    pub fn is_running(&self) -> bool {
        self.state == InstanceState::Running
    }

    fn exit(&mut self, exit_code: i32) {
        self.state = InstanceState::Exited(with!(Exit {
            exit_code,
            reason: if exit_code == 0 { "Completed".into() } else { "Error".into() },
            message: "".into(),
            finished_at: Some(NOW),
            ..Exit::default()
        }));
    }
}

/// The sandbox and the instances of one pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// The attempt of the sandbox that is ready.
    pub ready: Option<u32>,
    /// The attempt of the newest sandbox.
    newest: Option<u32>,
    /// By container, newest first; no more than two are kept, as the kubelet's garbage collection
    /// leaves them.
    pub containers: Vec<Vec<Instance>>,
    /// By container: it has succeeded or started, in the sandbox that is ready.
    done: Vec<bool>,
    /// The pod is to be deleted, or has a terminal phase: nothing may start any more.
    pub ended: bool,
    /// The first rule that was broken.
    pub broken: Option<&'static str>,
}

impl World {
    pub fn new(pod: &PodSpec) -> Self {
        let count = pod.containers().len();
        Self {
            ready: None,
            newest: None,
            containers: vec![Vec::new(); count],
            done: vec![false; count],
            ended: false,
            broken: None,
        }
    }

    fn rule(&mut self, holds: bool, otherwise: &'static str) {
        if !holds {
            self.broken.get_or_insert(otherwise);
        }
    }

    pub fn end(&mut self, pod: &PodSpec, slot: usize, exit_code: i32) {
        let regular = pod.containers()[slot].kind() == ContainerKind::Init;
        self.done[slot] |= regular && exit_code == 0;
        let running = self.containers[slot].iter_mut().find(|instance| instance.is_running());
        running.unwrap().exit(exit_code);
    }

    pub fn starts(&mut self, slot: usize) {
        self.done[slot] = true;
        self.containers[slot][0].startup = Some(true);
    }

    pub fn lose_sandbox(&mut self) {
        for instance in self.containers.iter_mut().flatten().filter(|i| i.is_running()) {
            instance.exit(137);
        }
        self.ready = None;
        self.done.fill(false);
    }
}

fn id(container: ContainerIndex, nth: u32) -> Id {
    format!("{}-{nth}", container.slot()).into()
}

fn sandbox_id(attempt: u32) -> Id {
    format!("s{attempt}").into()
}

impl ContainerRuntime for World {
    type Error = Infallible;

    fn now(&mut self) -> Timestamp {
        NOW
    }

    fn observe(&mut self, pod: &PodSpec, seen: &mut Observation) -> Result<(), Infallible> {
        if let Some(attempt) = self.newest {
            let ready = self.ready == Some(attempt);
            let id = sandbox_id(attempt);
            seen.push_sandbox(with!(Sandbox {
                id,
                ready,
                attempt,
                has_ip: true,
                host_network: false,
                ..Sandbox::default()
            }));
        }
        for container in pod.init_containers().chain(pod.app_containers()) {
            for instance in &self.containers[container.slot()] {
                let (id, sandbox) = (id(container, instance.nth), sandbox_id(instance.attempt));
                let mut shown = ContainerInstance::new(id, sandbox, instance.state.clone());
                shown.restart_count = instance.nth;
                shown.started_at = Some(NOW);
                shown.startup_probe = instance.startup.map(|succeeded| {
                    if succeeded { ProbeResult::Success } else { ProbeResult::Unknown }
                });
                seen.push_instance(container, shown);
            }
        }
        Ok(())
    }

    fn run_pod_sandbox(&mut self, _: &PodSpec, attempt: u32) -> Result<Id, Infallible> {
        self.rule(self.ready.is_none(), "a second sandbox");
        self.rule(!self.ended, "a sandbox after the end");
        self.ready = Some(attempt);
        self.newest = Some(attempt);
        Ok(sandbox_id(attempt))
    }

    fn stop_pod_sandbox(&mut self, _: &PodSpec, _: &str) -> Result<(), Infallible> {
        let running = self.containers.iter().flatten().any(Instance::is_running);
        self.rule(!running, "a sandbox was stopped under running containers");
        self.ready = None;
        self.done.fill(false);
        Ok(())
    }

    fn stop_containers(&mut self, _: &PodSpec, plan: &TerminationPlan) -> Result<(), Infallible> {
        for stop in plan.stops() {
            for instance in &mut self.containers[stop.container.slot()] {
                if instance.is_running() && id(stop.container, instance.nth) == stop.instance_id {
                    instance.exit(137);
                }
            }
        }
        Ok(())
    }

    fn remove_container(
        &mut self,
        _: &PodSpec,
        container: ContainerIndex,
        removed: &str,
        _: bool,
    ) -> Result<(), Infallible> {
        self.containers[container.slot()].retain(|i| id(container, i.nth) != removed);
        Ok(())
    }

    fn image_present(&mut self, _: &PodSpec, _: ContainerIndex) -> Result<bool, Infallible> {
        Ok(true)
    }

    fn pull_image(&mut self, _: &PodSpec, _: ContainerIndex) -> Result<u64, Infallible> {
        Ok(0)
    }

    fn create_container(
        &mut self,
        _: &PodSpec,
        container: ContainerIndex,
        _: &str,
        restart_count: Option<u32>,
    ) -> Result<Id, Infallible> {
        let nth = restart_count.unwrap_or(0);
        let attempt = self.ready.unwrap_or_default();
        let instances = &mut self.containers[container.slot()];
        let state = InstanceState::Created;
        instances.insert(0, Instance { nth, attempt, state, startup: None });
        instances.truncate(2);
        Ok(id(container, nth))
    }

    fn start_container(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
        _: &str,
    ) -> Result<(), Infallible> {
        let slot = container.slot();
        let running = self.containers[slot].iter().any(Instance::is_running);
        self.rule(!running, "two running instances");
        self.rule(self.ready.is_some(), "started without a sandbox");
        self.rule(!self.ended, "started after the end");
        let declared = pod.container(container);
        let before = match declared.kind() {
            ContainerKind::App => pod.init_containers().len(),
            _ => slot,
        };
        let in_order = self.done[..before].iter().all(|done| *done);
        self.rule(in_order, "started before its init containers were done");
        let probed = declared.startup_probe().is_some();
        self.done[slot] |= declared.is_restartable_init_container() && !probed;
        let instance = &mut self.containers[slot][0];
        instance.state = InstanceState::Running;
        instance.startup = probed.then_some(false);
        Ok(())
    }
}

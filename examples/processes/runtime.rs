//! A container runtime whose containers are processes.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use harness::node::{Command, Handler};
use harness::with;
use k8s_openapi::api::core::v1;
use podinit::observation::{ContainerInstance, Exit, InstanceState, Sandbox};
use podinit::probe::{ContainerProbes, ProbeKind};
use podinit::termination::{GraceRequest, NextStep, StopOrder, Termination, TerminationPlan};
use podinit::worker::FailureKind;
use podinit::{ContainerIndex, ContainerRuntime, Observation, PodSpec, Timestamp};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use smol_str::{SmolStr, format_smolstr};

use crate::{now, tick};

/// Something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The system refused it.
    #[error("{0}: {1}")]
    Io(String, #[source] io::Error),
    /// The manifest asks for something that processes do not have.
    #[error("{0}")]
    Config(String),
    /// The `postStart` hook failed.
    #[error("{0}")]
    PostStart(String),
    /// There is no such instance.
    #[error("no container with id {0}")]
    NoInstance(SmolStr),
}

fn io_error(what: impl AsRef<Path>) -> impl FnOnce(io::Error) -> ProcessError {
    move |error| ProcessError::Io(what.as_ref().display().to_string(), error)
}

/// One container instance.
#[derive(Debug)]
struct Process {
    container: ContainerIndex,
    instance: ContainerInstance,
    command: Command,
    log: PathBuf,
    /// As long as it runs. Its process group has its number.
    child: Option<Child>,
    probes: Option<ContainerProbes>,
}

/// What a probe that ran beside the pod said.
#[derive(Debug)]
struct ProbeAnswer {
    id: SmolStr,
    kind: ProbeKind,
    success: bool,
}

/// A container runtime whose containers are processes.
#[derive(Debug)]
pub struct ProcessRuntime {
    pod: v1::Pod,
    folder: PathBuf,
    /// Newest first.
    sandboxes: Vec<Sandbox>,
    /// Newest first.
    processes: Vec<Process>,
    answers: (Sender<ProbeAnswer>, Receiver<ProbeAnswer>),
    changed: bool,
}

impl ProcessRuntime {
    /// A runtime for this pod, with logs and volumes in this folder.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn new(pod: v1::Pod, folder: PathBuf) -> Result<Self, ProcessError> {
        fs::create_dir_all(&folder).map_err(io_error(&folder))?;
        let (sandboxes, processes) = (Vec::new(), Vec::new());
        Ok(Self { pod, folder, sandboxes, processes, answers: channel(), changed: false })
    }

    /// Looks at what has happened by itself, and runs the probes that are due. Says whether
    /// anything has changed since the last time.
    pub fn look(&mut self, pod: &PodSpec) -> bool {
        for process in &mut self.processes {
            self.changed |= process.reap();
        }
        while let Ok(ProbeAnswer { id, kind, success }) = self.answers.1.try_recv() {
            let mut probes = self.processes.iter_mut().filter(|process| process.instance.id == id);
            if let Some(probes) = probes.find_map(|process| process.probes.as_mut()) {
                self.changed |= probes.record(kind, success, now());
            }
        }
        for position in 0..self.processes.len() {
            self.run_probes(pod, position);
        }
        std::mem::take(&mut self.changed)
    }

    fn run_probes(&mut self, pod: &PodSpec, position: usize) {
        let process = &mut self.processes[position];
        let Some(declared) = declared(&self.pod, pod, process.container) else { return };
        let Some(probes) = process.probes.as_mut().filter(|_| process.child.is_some()) else {
            return;
        };
        while let Some(kind) = probes.take_due(now()) {
            let Some(probe) = kind.declared_in(declared) else { return };
            let handler = Handler::of_probe(declared, probe);
            let seconds = probe.timeout_seconds.unwrap_or(1).max(1).unsigned_abs();
            let timeout = Duration::from_secs(u64::from(seconds));
            let (command, sender) = (process.command.clone(), self.answers.0.clone());
            let id = process.instance.id.clone();
            std::thread::spawn(move || {
                let success = run_handler(&handler, &command, timeout).is_ok();
                // Nobody listens any more when the pod has ended.
                let _ = sender.send(ProbeAnswer { id, kind, success });
            });
        }
    }

    fn process(&mut self, id: &str) -> Option<&mut Process> {
        self.processes.iter_mut().find(|process| process.instance.id == id)
    }

    /// The folders of the volumes that a container mounts, as environment.
    fn volumes(&self, declared: &v1::Container) -> Result<Vec<(String, String)>, ProcessError> {
        let volumes = self.pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
        let mut env = Vec::new();
        for mount in declared.volume_mounts.iter().flatten() {
            let volume = volumes.clone().find(|volume| volume.name == mount.name);
            if volume.is_none_or(|volume| volume.empty_dir.is_none()) {
                let why = format!("volume {}: only emptyDir volumes exist here", mount.name);
                return Err(ProcessError::Config(why));
            }
            let folder = self.folder.join("volumes").join(&mount.name);
            fs::create_dir_all(&folder).map_err(io_error(&folder))?;
            let name = mount.name.to_uppercase().replace('-', "_");
            env.push((format!("VOLUME_{name}"), folder.display().to_string()));
        }
        Ok(env)
    }
}

impl Drop for ProcessRuntime {
    fn drop(&mut self) {
        for process in &mut self.processes {
            process.signal(Signal::KILL);
            process.wait();
        }
    }
}

impl Process {
    /// Notices that it has ended. Whatever it has started ends with it.
    fn reap(&mut self) -> bool {
        let Some(child) = &mut self.child else { return false };
        // Its number stays taken until it is waited for, so that nobody else is signalled.
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let pid = Pid::from_child(child);
        if !matches!(waitid(WaitId::Pid(pid), ended), Ok(Some(_))) {
            return false;
        }
        // An error says that there is nobody left.
        let _ = kill_process_group(pid, Signal::KILL);
        let exit = match child.wait() {
            Ok(status) => exit(status),
            Err(error) => {
                with!(Exit { exit_code: 255, message: format_smolstr!("{error}"), ..unknown() })
            }
        };
        self.child = None;
        self.instance.state = InstanceState::Exited(exit);
        true
    }

    fn signal(&self, signal: Signal) {
        if let Some(child) = &self.child {
            // An error says that there is nobody left.
            let _ = kill_process_group(Pid::from_child(child), signal);
        }
    }

    /// Waits for its end, which must have been brought about.
    fn wait(&mut self) {
        while self.child.is_some() && !self.reap() {
            tick();
        }
    }
}

fn unknown() -> Exit {
    with!(Exit { reason: "Error".into(), finished_at: Some(now()), ..Exit::default() })
}

/// How runtimes report an end: a signal is 128 and its number.
fn exit(status: ExitStatus) -> Exit {
    let exit_code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(255);
    let reason = if exit_code == 0 { "Completed" } else { "Error" };
    with!(Exit { exit_code, reason: reason.into(), ..unknown() })
}

fn declared<'a>(
    pod: &'a v1::Pod,
    spec: &PodSpec,
    container: ContainerIndex,
) -> Option<&'a v1::Container> {
    let name = spec.container(container).name();
    let lists = pod.spec.as_ref()?;
    let init = lists.init_containers.iter().flatten();
    init.chain(&lists.containers).find(|container| container.name == *name)
}

/// Runs a probe or hook of a container, for `timeout` at the longest.
fn run_handler(handler: &Handler, command: &Command, timeout: Duration) -> Result<(), String> {
    let Handler::Exec(argv) = handler else { return handler.run_outside(timeout) };
    let mut child = process(command, argv).and_then(|mut process| {
        process.stdout(Stdio::null()).stderr(Stdio::null());
        process.spawn().map_err(|error| format!("{}: {error}", argv.join(" ")))
    })?;
    let deadline = now() + timeout;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("{}: {status}", argv.join(" "))),
            Ok(None) if now() < deadline => tick(),
            _ => break,
        }
    }
    let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    let _ = child.wait();
    Err(format!("{}: timed out after {timeout:?}", argv.join(" ")))
}

/// A process with the container's environment, in a group of its own: Ctrl-C does not reach it.
fn process(command: &Command, argv: &[String]) -> Result<std::process::Command, String> {
    let (program, args) = argv.split_first().ok_or("the command is empty")?;
    let mut process = std::process::Command::new(program);
    process.args(args).env_clear();
    process.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    process.envs(command.env.iter().map(|(name, value)| (name, value)));
    process.current_dir(command.working_dir.as_deref().unwrap_or("/"));
    process.stdin(Stdio::null()).process_group(0);
    Ok(process)
}

impl ContainerRuntime for ProcessRuntime {
    type Error = ProcessError;

    fn now(&mut self) -> Timestamp {
        now()
    }

    fn observe(
        &mut self,
        pod: &PodSpec,
        observation: &mut Observation,
    ) -> Result<(), ProcessError> {
        self.look(pod);
        for sandbox in &self.sandboxes {
            observation.push_sandbox(sandbox.clone());
        }
        for process in &self.processes {
            let mut instance = process.instance.clone();
            process.probes.iter().for_each(|probes| probes.report(&mut instance));
            observation.push_instance(process.container, instance);
        }
        Ok(())
    }

    fn run_pod_sandbox(&mut self, pod: &PodSpec, attempt: u32) -> Result<SmolStr, ProcessError> {
        let id = format_smolstr!("sandbox-{attempt}-{}", now().as_nanos());
        let host_network = pod.host_network();
        let sandbox = with!(Sandbox {
            id: id.clone(),
            ready: true,
            attempt,
            has_ip: true,
            host_network,
            ..Sandbox::default()
        });
        self.sandboxes.insert(0, sandbox);
        self.changed = true;
        Ok(id)
    }

    fn stop_pod_sandbox(&mut self, _: &PodSpec, sandbox_id: &str) -> Result<(), ProcessError> {
        for process in &mut self.processes {
            if process.instance.sandbox_id == sandbox_id {
                process.signal(Signal::KILL);
                process.wait();
            }
        }
        for sandbox in self.sandboxes.iter_mut().filter(|sandbox| sandbox.id == sandbox_id) {
            self.changed |= std::mem::replace(&mut sandbox.ready, false);
        }
        Ok(())
    }

    fn stop_containers(
        &mut self,
        pod: &PodSpec,
        plan: &TerminationPlan,
    ) -> Result<(), ProcessError> {
        let mut termination = Termination::new(plan.clone());
        let (hook_ended, hooks_ended) = channel();
        let began = now();
        loop {
            let changed = self.look(pod);
            self.changed |= changed;
            hooks_ended.try_iter().for_each(|stop| termination.pre_stop_ended(stop));
            for (stop, planned) in plan.stops().iter().enumerate() {
                if self.process(&planned.instance_id).is_none_or(|process| process.child.is_none())
                {
                    termination.stopped(stop);
                }
            }
            let step = termination.step(now().saturating_duration_since(began));
            for order in step.orders {
                let (StopOrder::RunPreStop { stop, .. }
                | StopOrder::Stop { stop, .. }
                | StopOrder::Kill { stop }) = order
                else {
                    continue;
                };
                let planned = &plan.stops()[stop];
                let hook = declared(&self.pod, pod, planned.container).and_then(|declared| {
                    let hook = declared.lifecycle.as_ref()?.pre_stop.as_ref()?;
                    Some(Handler::of_hook(declared, hook))
                });
                let Some(process) = self.process(&planned.instance_id) else { continue };
                match (order, hook) {
                    (StopOrder::RunPreStop { limit, .. }, Some(hook)) => {
                        let (command, ended) = (process.command.clone(), hook_ended.clone());
                        std::thread::spawn(move || {
                            // However it ends, the container is stopped.
                            let _ = run_handler(&hook, &command, limit);
                            let _ = ended.send(stop);
                        });
                    }
                    (StopOrder::RunPreStop { .. }, None) => termination.pre_stop_ended(stop),
                    (StopOrder::Stop { .. }, _) => process.signal(Signal::TERM),
                    _ => process.signal(Signal::KILL),
                }
            }
            if step.next == NextStep::Done {
                return Ok(());
            }
            tick();
        }
    }

    fn remove_container(
        &mut self,
        _: &PodSpec,
        _: ContainerIndex,
        id: &str,
        keep_log: bool,
    ) -> Result<(), ProcessError> {
        let Some(at) = self.processes.iter().position(|process| process.instance.id == id) else {
            return Ok(());
        };
        let process = self.processes.remove(at);
        if keep_log {
            return Ok(());
        }
        match fs::remove_file(&process.log) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(io_error(&process.log)(error))
            }
            _ => Ok(()),
        }
    }

    /// There are no images: the programs of this machine are all there is.
    fn image_present(&mut self, _: &PodSpec, _: ContainerIndex) -> Result<bool, ProcessError> {
        Ok(true)
    }

    fn pull_image(&mut self, _: &PodSpec, _: ContainerIndex) -> Result<u64, ProcessError> {
        Ok(0)
    }

    fn create_container(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
        sandbox_id: &str,
        restart_count: Option<u32>,
    ) -> Result<SmolStr, ProcessError> {
        let spec = pod.container(container);
        let declared = declared(&self.pod, pod, container)
            .ok_or_else(|| ProcessError::Config(format!("no container {}", spec.name())))?;
        let volumes = self.volumes(declared)?;
        let mut command =
            Command::new(&self.pod, declared, volumes).map_err(ProcessError::Config)?;
        if command.command.is_empty() {
            let why = "no command, and no image here to take one from".to_owned();
            return Err(ProcessError::Config(why));
        }
        command.working_dir.get_or_insert(self.folder.display().to_string());
        let logs = self.folder.join("logs").join(spec.name().as_str());
        fs::create_dir_all(&logs).map_err(io_error(&logs))?;
        let restart_count = restart_count.unwrap_or_else(|| after_newest_log(&logs));
        let log = logs.join(format!("{restart_count}.log"));
        File::create(&log).map_err(io_error(&log))?;
        let created = now();
        let id = format_smolstr!("process://{}-{}", spec.name(), created.as_nanos());
        let mut instance = ContainerInstance::new(id.clone(), sandbox_id, InstanceState::Created);
        instance.created_at = Some(created);
        instance.restart_count = restart_count;
        instance.definition_hash = Some(spec.definition_hash());
        let process = Process { container, instance, command, log, child: None, probes: None };
        self.processes.insert(0, process);
        Ok(id)
    }

    fn start_container(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
        id: &str,
    ) -> Result<(), ProcessError> {
        let post_start = declared(&self.pod, pod, container).and_then(|declared| {
            let hook = declared.lifecycle.as_ref()?.post_start.as_ref()?;
            Some(Handler::of_hook(declared, hook))
        });
        let Some(starting) = self.process(id) else {
            return Err(ProcessError::NoInstance(id.into()));
        };
        let argv = [starting.command.command.clone(), starting.command.args.clone()].concat();
        let log =
            File::options().append(true).open(&starting.log).map_err(io_error(&starting.log))?;
        let errors = log.try_clone().map_err(io_error(&starting.log))?;
        let mut process = process(&starting.command, &argv).map_err(ProcessError::Config)?;
        let child = match process.stdout(log).stderr(errors).spawn() {
            Ok(child) => child,
            Err(error) => {
                // As containerd reports it: it has ended, so that back-off holds it back.
                let reason = "StartError".into();
                let message = format_smolstr!("{}: {error}", argv[0]);
                let exit = with!(Exit { exit_code: 128, reason, message, ..unknown() });
                starting.instance.state = InstanceState::Exited(exit);
                self.changed = true;
                return Err(io_error(&argv[0])(error));
            }
        };
        let started = now();
        starting.child = Some(child);
        starting.instance.state = InstanceState::Running;
        starting.instance.started_at = Some(started);
        starting.probes = Some(ContainerProbes::new(pod.container(container), started));
        let command = starting.command.clone();
        self.changed = true;
        let Some(hook) = post_start else { return Ok(()) };
        // The kubelet, too, waits for the hook as long as it takes.
        run_handler(&hook, &command, Duration::MAX).or_else(|why| {
            let request = GraceRequest::default();
            let kill = TerminationPlan::for_container(pod, container, id.into(), None, request);
            self.stop_containers(pod, &kill)?;
            Err(ProcessError::PostStart(why))
        })
    }

    fn failure_kind(&self, error: &ProcessError) -> FailureKind {
        match error {
            ProcessError::Config(_) => FailureKind::CreateContainerConfig,
            ProcessError::PostStart(_) => FailureKind::PostStartHook,
            _ => FailureKind::Plain,
        }
    }
}

/// One more than the number of the newest log, or 0.
fn after_newest_log(folder: &Path) -> u32 {
    let logs = fs::read_dir(folder).into_iter().flatten().flatten();
    let numbers = logs.filter_map(|log| log.path().file_stem()?.to_str()?.parse::<u32>().ok());
    numbers.max().map_or(0, |newest| newest.saturating_add(1))
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use podinit::FeatureGates;
    use podinit::testing::RuntimeContract;

    use super::*;

    #[test]
    fn processes_keep_to_the_contract_of_runtimes() {
        let command = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"];
        let pod: v1::Pod = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "contract", "uid": "u"},
            "spec": {
                "initContainers": [{"name": "init", "image": "none", "command": command}],
                "containers": [{"name": "app", "image": "none", "command": command}],
            },
        }))
        .unwrap();
        let spec = PodSpec::compile_unchecked(&pod, FeatureGates::default()).unwrap();
        let folder = std::env::temp_dir().join(format!("podinit-contract-{}", std::process::id()));
        let mut made = 0;
        let kept = RuntimeContract::new(&spec).check(|| {
            made += 1;
            ProcessRuntime::new(pod.clone(), folder.join(made.to_string())).unwrap()
        });
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(kept, Ok(()));
        assert!(made > 1);
    }
}

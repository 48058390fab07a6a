//! The runtime that the crate asks for, over CRI.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use harness::node::{Command, Handler};
use harness::with;
use k8s_openapi::api::core::v1;
use podinit::observation::{ContainerInstance, Exit, InstanceState, Sandbox};
use podinit::probe::{ContainerProbes, ProbeKind};
use podinit::termination::{GraceRequest, NextStep, StopOrder, Termination, TerminationPlan};
use podinit::worker::FailureKind;
use podinit::{AsyncContainerRuntime, ContainerIndex, Observation, PodSpec, Timestamp};
use smol_str::{SmolStr, format_smolstr};
use tokio::task::JoinSet;
use tonic::Code;

use crate::cri::{
    Call, Client, ContainerConfig, ContainerFilter, ContainerMetadata, ContainerState,
    ContainerStatus, ContainerStatusRequest, CreateContainerRequest, ExecSyncRequest, ImageSpec,
    ImageStatusRequest, KeyValue, Labels, LinuxContainerConfig, LinuxContainerSecurityContext,
    LinuxPodSandboxConfig, LinuxSandboxSecurityContext, ListContainersRequest,
    ListPodSandboxRequest, Mount, NamespaceMode, NamespaceOption, PodSandboxConfig,
    PodSandboxFilter, PodSandboxMetadata, PodSandboxState, PodSandboxStatusRequest,
    PullImageRequest, RemoveContainerRequest, RemovePodSandboxRequest, RunPodSandboxRequest,
    StartContainerRequest, StopContainerRequest, StopPodSandboxRequest,
};

/// How long a call may take that does not say so itself, as with the kubelet
/// (`runtimeRequestTimeout`).
const CALL: Duration = Duration::from_secs(120);
/// How long a pull may take.
const PULL: Duration = Duration::from_secs(3_600);
/// The type of the ids, as `status.containerStatuses[].containerID` shows it.
const ID_TYPE: &str = "containerd://";

const POD_UID: &str = "io.kubernetes.pod.uid";
const CONTAINER_NAME: &str = "io.kubernetes.container.name";
const DEFINITION_HASH: &str = "podinit/definition-hash";

/// The time now.
pub fn now() -> Timestamp {
    #[allow(clippy::disallowed_methods, reason = "here the clock is read, and passed in")]
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp::UNIX_EPOCH + since_epoch.unwrap_or_default()
}

/// Something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum CriError {
    /// The runtime refused it, or cannot be reached.
    #[error("rpc error: code = {:?} desc = {}", .0.code(), .0.message())]
    Rpc(#[from] Box<tonic::Status>),
    /// The system refused it.
    #[error("{0}: {1}")]
    Io(String, #[source] io::Error),
    /// The manifest asks for something that there is not here.
    #[error("{0}")]
    Config(String),
    /// A hook failed.
    #[error("{0}")]
    PostStart(String),
}

impl CriError {
    fn is_not_found(&self) -> bool {
        matches!(self, Self::Rpc(status) if status.code() == Code::NotFound)
    }
}

fn io_error(what: &Path) -> impl FnOnce(io::Error) -> CriError {
    move |error| CriError::Io(what.display().to_string(), error)
}

/// What is gone needs not be stopped or removed.
fn gone_is_done(result: Result<(), CriError>) -> Result<(), CriError> {
    result.or_else(|error| if error.is_not_found() { Ok(()) } else { Err(error) })
}

/// One pod on a container runtime.
#[derive(Debug)]
pub struct CriRuntime {
    client: Client,
    pod: v1::Pod,
    folder: PathBuf,
    /// Of the containers that run, by id.
    probes: BTreeMap<SmolStr, ContainerProbes>,
    /// The probes that are being run.
    probing: JoinSet<(SmolStr, ProbeKind, bool)>,
}

impl CriRuntime {
    /// A pod on the runtime at this socket, with logs and volumes in this folder. `probes`: what
    /// was saved of them.
    pub fn new(
        client: Client,
        pod: v1::Pod,
        folder: PathBuf,
        probes: BTreeMap<SmolStr, ContainerProbes>,
    ) -> Self {
        Self { client, pod, folder, probes, probing: JoinSet::new() }
    }

    /// The probes of the containers that run, to be saved.
    pub fn probes(&self) -> &BTreeMap<SmolStr, ContainerProbes> {
        &self.probes
    }

    /// Runs the probes that are due, until one has said something that counts.
    ///
    /// It never returns if there is nothing to wait for, and can be dropped at any time.
    pub async fn probe(&mut self, pod: &PodSpec) {
        loop {
            self.begin_probes(pod);
            let next = self.probes.values().filter_map(ContainerProbes::next_due).min();
            let sleep = next.map(|at| at.saturating_duration_since(now()));
            let sleep = sleep.unwrap_or(Duration::from_secs(3_600)).max(Duration::from_millis(1));
            tokio::select! {
                Some(Ok((id, kind, success))) = self.probing.join_next() => {
                    if let Some(probes) = self.probes.get_mut(&id)
                        && probes.record(kind, success, now())
                    {
                        return;
                    }
                }
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    fn begin_probes(&mut self, pod: &PodSpec) {
        for (id, probes) in &mut self.probes {
            let Some((name, raw_id)) = id.split_once('@') else { continue };
            let Some(declared) = pod.find(name).and_then(|index| declared(&self.pod, pod, index))
            else {
                continue;
            };
            while let Some(kind) = probes.take_due(now()) {
                let Some(probe) = kind.declared_in(declared) else { break };
                let handler = Handler::of_probe(declared, probe);
                let seconds = probe.timeout_seconds.unwrap_or(1).max(1).unsigned_abs();
                let timeout = Duration::from_secs(u64::from(seconds));
                let (client, container) = (self.client.clone(), raw_id.to_owned());
                let id = id.clone();
                self.probing.spawn(async move {
                    let said = run_handler(&client, &container, handler, timeout).await;
                    (id, kind, said.is_ok())
                });
            }
        }
    }

    async fn call<C: Call>(&self, request: C) -> Result<C::Answer, CriError> {
        Ok(self.client.call(request, CALL).await.map_err(Box::new)?)
    }

    fn selector(&self, pod: &PodSpec) -> Labels {
        HashMap::from([(POD_UID.to_owned(), pod.identity().uid.to_string())])
    }

    fn labels(&self, pod: &PodSpec) -> Labels {
        let identity = pod.identity();
        let mut labels = self.selector(pod);
        labels.insert("io.kubernetes.pod.name".to_owned(), identity.name.to_string());
        labels.insert("io.kubernetes.pod.namespace".to_owned(), identity.namespace.to_string());
        labels
    }

    fn namespaces(&self, pod: &PodSpec) -> NamespaceOption {
        let spec = self.pod.spec.as_ref();
        let of = |host: Option<bool>, own: NamespaceMode| {
            if host == Some(true) { NamespaceMode::Node as i32 } else { own as i32 }
        };
        let shared = spec.and_then(|spec| spec.share_process_namespace) == Some(true);
        let pid = if shared { NamespaceMode::Pod } else { NamespaceMode::Container };
        NamespaceOption {
            network: of(Some(pod.host_network()), NamespaceMode::Pod),
            pid: of(spec.and_then(|spec| spec.host_pid), pid),
            ipc: of(spec.and_then(|spec| spec.host_ipc), NamespaceMode::Pod),
        }
    }

    fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    fn sandbox_config(&self, pod: &PodSpec, attempt: u32) -> PodSandboxConfig {
        let identity = pod.identity();
        let security =
            LinuxSandboxSecurityContext { namespace_options: Some(self.namespaces(pod)) };
        PodSandboxConfig {
            metadata: Some(PodSandboxMetadata {
                name: identity.name.to_string(),
                uid: identity.uid.to_string(),
                namespace: identity.namespace.to_string(),
                attempt,
            }),
            hostname: if pod.host_network() { String::new() } else { identity.name.to_string() },
            log_directory: self.logs().display().to_string(),
            labels: self.labels(pod),
            linux: Some(LinuxPodSandboxConfig { security_context: Some(security) }),
        }
    }

    /// The volumes that a container mounts: `emptyDir` is a folder of the pod's own.
    fn mounts(&self, declared: &v1::Container) -> Result<Vec<Mount>, CriError> {
        let volumes = self.pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
        let mut mounts = Vec::new();
        for mount in declared.volume_mounts.iter().flatten() {
            let volume = volumes.clone().find(|volume| volume.name == mount.name);
            let folder = match volume.map(|volume| (&volume.empty_dir, &volume.host_path)) {
                Some((Some(_), _)) => self.folder.join("volumes").join(&mount.name),
                Some((_, Some(host_path))) => PathBuf::from(&host_path.path),
                _ => {
                    let why = "only emptyDir and hostPath volumes exist here";
                    return Err(CriError::Config(format!("volume {}: {why}", mount.name)));
                }
            };
            let folder = folder.join(mount.sub_path.as_deref().unwrap_or_default());
            fs::create_dir_all(&folder).map_err(io_error(&folder))?;
            mounts.push(Mount {
                container_path: mount.mount_path.clone(),
                host_path: folder.display().to_string(),
                readonly: mount.read_only == Some(true),
            });
        }
        Ok(mounts)
    }

    fn container_config(
        &self,
        pod: &PodSpec,
        container: ContainerIndex,
        restart_count: Option<u32>,
    ) -> Result<ContainerConfig, CriError> {
        let spec = pod.container(container);
        let declared = declared(&self.pod, pod, container)
            .ok_or_else(|| CriError::Config(format!("no container {}", spec.name())))?;
        let command = Command::new(&self.pod, declared, Vec::new()).map_err(CriError::Config)?;
        let logs = self.logs().join(spec.name().as_str());
        fs::create_dir_all(&logs).map_err(io_error(&logs))?;
        let attempt = restart_count.unwrap_or_else(|| after_newest_log(&logs));
        let mut labels = self.labels(pod);
        labels.insert(CONTAINER_NAME.to_owned(), spec.name().to_string());
        let hash = (DEFINITION_HASH.to_owned(), format!("{:x}", spec.definition_hash()));
        let env = command.env.into_iter();
        let security =
            LinuxContainerSecurityContext { namespace_options: Some(self.namespaces(pod)) };
        Ok(ContainerConfig {
            metadata: Some(ContainerMetadata { name: spec.name().to_string(), attempt }),
            image: Some(ImageSpec { image: spec.image().to_string() }),
            command: command.command,
            args: command.args,
            working_dir: command.working_dir.unwrap_or_default(),
            envs: env.map(|(key, value)| KeyValue { key, value }).collect(),
            mounts: self.mounts(declared)?,
            labels,
            annotations: HashMap::from([hash]),
            log_path: format!("{}/{attempt}.log", spec.name()),
            linux: Some(LinuxContainerConfig { security_context: Some(security) }),
        })
    }

    async fn observe_sandboxes(
        &self,
        pod: &PodSpec,
        observation: &mut Observation,
    ) -> Result<(), CriError> {
        let filter = Some(PodSandboxFilter { label_selector: self.selector(pod) });
        let listed = self.call(ListPodSandboxRequest { filter }).await?.items;
        let mut sandboxes = Vec::new();
        for sandbox in listed {
            let asked = PodSandboxStatusRequest { pod_sandbox_id: sandbox.id };
            match self.call(asked).await {
                Ok(answer) => sandboxes.extend(answer.status),
                // Removed since it was listed.
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        sandboxes.sort_by_key(|sandbox| std::cmp::Reverse(sandbox.created_at));
        for sandbox in sandboxes {
            let options = sandbox.linux.and_then(|linux| linux.namespaces?.options);
            let network = options.map(|options| options.network);
            observation.push_sandbox(with!(Sandbox {
                ready: sandbox.state == PodSandboxState::Ready as i32,
                attempt: sandbox.metadata.map_or(0, |metadata| metadata.attempt),
                has_ip: sandbox.network.is_some_and(|network| !network.ip.is_empty()),
                host_network: network == Some(NamespaceMode::Node as i32),
                id: sandbox.id.into(),
                ..Sandbox::default()
            }));
        }
        Ok(())
    }

    async fn observe_containers(
        &mut self,
        pod: &PodSpec,
        observation: &mut Observation,
    ) -> Result<(), CriError> {
        let filter = Some(ContainerFilter { label_selector: self.selector(pod) });
        let listed = self.call(ListContainersRequest { filter }).await?.containers;
        let mut statuses = Vec::new();
        for container in listed {
            match self.call(ContainerStatusRequest { container_id: container.id }).await {
                Ok(answer) => {
                    statuses.extend(answer.status.map(|status| (container.pod_sandbox_id, status)));
                }
                // Removed since it was listed.
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        statuses.sort_by_key(|(_, status)| std::cmp::Reverse(status.created_at));
        let mut running = BTreeMap::new();
        for (sandbox_id, status) in statuses {
            let name = status.metadata.as_ref().map_or("", |metadata| &metadata.name);
            let mut instance = instance(sandbox_id, &status);
            if let Some(index) = pod.find(name)
                && let Some(started_at) = instance.started_at
                && instance.is_running()
            {
                let id = format_smolstr!("{name}@{}", status.id);
                let new = || ContainerProbes::new(pod.container(index), started_at);
                let probes = self.probes.remove(&id).unwrap_or_else(new);
                probes.report(&mut instance);
                running.insert(id, probes);
            }
            observation.push_named(pod, name, instance);
        }
        self.probes = running;
        Ok(())
    }

    /// Removes what is left of a pod that has ended.
    ///
    /// # Errors
    /// If something may be left.
    pub async fn remove_pod(&mut self, pod: &PodSpec) -> Result<(), CriError> {
        let filter = Some(PodSandboxFilter { label_selector: self.selector(pod) });
        for sandbox in self.call(ListPodSandboxRequest { filter }).await?.items {
            self.stop_pod_sandbox(pod, &sandbox.id).await?;
            let removed = self.call(RemovePodSandboxRequest { pod_sandbox_id: sandbox.id }).await;
            gone_is_done(removed.map(drop))?;
        }
        Ok(())
    }
}

/// A container as the runtime reports it.
fn instance(sandbox_id: String, status: &ContainerStatus) -> ContainerInstance {
    let time = |nanos: i64| (nanos != 0).then(|| Timestamp::from_nanos(nanos));
    let state = match ContainerState::try_from(status.state) {
        Ok(ContainerState::Created) => InstanceState::Created,
        Ok(ContainerState::Running) => InstanceState::Running,
        Ok(ContainerState::Exited) => InstanceState::Exited(with!(Exit {
            exit_code: status.exit_code,
            reason: status.reason.as_str().into(),
            message: status.message.as_str().into(),
            finished_at: time(status.finished_at),
            ..Exit::default()
        })),
        _ => InstanceState::Unknown,
    };
    let id = format_smolstr!("{ID_TYPE}{}", status.id);
    let mut instance = ContainerInstance::new(id, sandbox_id, state);
    instance.created_at = time(status.created_at);
    instance.started_at = time(status.started_at);
    instance.restart_count = status.metadata.as_ref().map_or(0, |metadata| metadata.attempt);
    let hash = status.annotations.get(DEFINITION_HASH);
    instance.definition_hash = hash.and_then(|hash| u64::from_str_radix(hash, 16).ok());
    instance.image = status.image.as_ref().map_or("", |image| &image.image).into();
    instance.image_id = status.image_ref.as_str().into();
    instance
}

/// An id without its type.
fn raw(id: &str) -> String {
    id.strip_prefix(ID_TYPE).unwrap_or(id).to_owned()
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

/// Runs a probe or a hook, for `timeout` at the longest.
async fn run_handler(
    client: &Client,
    container_id: &str,
    handler: Handler,
    timeout: Duration,
) -> Result<(), String> {
    let done = async {
        let Handler::Exec(cmd) = handler else {
            let outside = tokio::task::spawn_blocking(move || handler.run_outside(timeout));
            return outside.await.map_err(|error| error.to_string())?;
        };
        let seconds = i64::try_from(timeout.as_secs()).unwrap_or(0);
        let request =
            ExecSyncRequest { container_id: container_id.to_owned(), cmd, timeout: seconds };
        let limit = timeout.min(PULL).saturating_add(Duration::from_secs(1));
        match client.call(request, limit).await {
            Ok(answer) if answer.exit_code == 0 => Ok(()),
            Ok(answer) => {
                let said = String::from_utf8_lossy(&answer.stderr);
                Err(format!("command exited with {}: {}", answer.exit_code, said.trim()))
            }
            Err(status) => Err(status.message().to_owned()),
        }
    };
    match tokio::time::timeout(timeout.saturating_add(Duration::from_secs(2)), done).await {
        Ok(said) => said,
        Err(_) => Err(format!("timed out after {timeout:?}")),
    }
}

/// What came of an order.
enum Report {
    PreStopEnded(usize),
    Stopped(usize),
    Failed(usize, CriError),
}

impl AsyncContainerRuntime for CriRuntime {
    type Error = CriError;

    fn now(&mut self) -> Timestamp {
        now()
    }

    async fn observe(
        &mut self,
        pod: &PodSpec,
        observation: &mut Observation,
    ) -> Result<(), CriError> {
        self.observe_sandboxes(pod, observation).await?;
        self.observe_containers(pod, observation).await
    }

    async fn run_pod_sandbox(&mut self, pod: &PodSpec, attempt: u32) -> Result<SmolStr, CriError> {
        let logs = self.logs();
        fs::create_dir_all(&logs).map_err(io_error(&logs))?;
        let config = Some(self.sandbox_config(pod, attempt));
        let answer = self.call(RunPodSandboxRequest { config }).await?;
        Ok(answer.pod_sandbox_id.into())
    }

    async fn stop_pod_sandbox(&mut self, _: &PodSpec, sandbox_id: &str) -> Result<(), CriError> {
        let request = StopPodSandboxRequest { pod_sandbox_id: sandbox_id.to_owned() };
        gone_is_done(self.call(request).await.map(drop))
    }

    async fn stop_containers(
        &mut self,
        pod: &PodSpec,
        plan: &TerminationPlan,
    ) -> Result<(), CriError> {
        let mut termination = Termination::new(plan.clone());
        // They are given up if this call is.
        let mut tasks = JoinSet::new();
        let mut failure = None;
        let began = now();
        loop {
            let step = termination.step(now().saturating_duration_since(began));
            for order in step.orders {
                match order {
                    StopOrder::RunPreStop { stop, limit, .. } => {
                        let planned = &plan.stops()[stop];
                        let hook =
                            declared(&self.pod, pod, planned.container).and_then(|declared| {
                                let hook = declared.lifecycle.as_ref()?.pre_stop.as_ref()?;
                                Some(Handler::of_hook(declared, hook))
                            });
                        let (client, id) = (self.client.clone(), raw(&planned.instance_id));
                        tasks.spawn(async move {
                            if let Some(hook) = hook
                                && let Err(why) = run_handler(&client, &id, hook, limit).await
                            {
                                eprintln!("preStop hook of {id}: {why}");
                            }
                            Report::PreStopEnded(stop)
                        });
                    }
                    StopOrder::Stop { stop, grace_seconds } => {
                        let container_id = raw(&plan.stops()[stop].instance_id);
                        let request = StopContainerRequest { container_id, timeout: grace_seconds };
                        let grace = Duration::from_secs(grace_seconds.unsigned_abs());
                        let client = self.client.clone();
                        tasks.spawn(async move {
                            let stopped = client.call(request, CALL.saturating_add(grace)).await;
                            let stopped =
                                stopped.map(drop).map_err(|e| CriError::from(Box::new(e)));
                            match gone_is_done(stopped) {
                                Ok(()) => Report::Stopped(stop),
                                Err(error) => Report::Failed(stop, error),
                            }
                        });
                    }
                    // `StopContainer` kills by itself.
                    _ => {}
                }
            }
            let limit = match step.next {
                NextStep::Done => break,
                NextStep::At(at) => at.saturating_sub(now().saturating_duration_since(began)),
                NextStep::OnChange => CALL,
            };
            // Whatever the runtime reports: rather a little late than in a hurry.
            let limit = limit.max(Duration::from_millis(10));
            match tokio::time::timeout(limit, tasks.join_next()).await {
                Ok(Some(Ok(Report::PreStopEnded(stop)))) => termination.pre_stop_ended(stop),
                Ok(Some(Ok(Report::Stopped(stop)))) => termination.stopped(stop),
                Ok(Some(Ok(Report::Failed(stop, error)))) => {
                    termination.failed(stop);
                    failure.get_or_insert(error);
                }
                // Nothing runs; time alone can change something.
                Ok(None) => tokio::time::sleep(limit).await,
                Ok(Some(Err(_))) | Err(_) => {}
            }
        }
        failure.map_or(Ok(()), Err)
    }

    async fn remove_container(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
        id: &str,
        keep_log: bool,
    ) -> Result<(), CriError> {
        let asked = self.call(ContainerStatusRequest { container_id: raw(id) }).await;
        let attempt = asked.ok().and_then(|answer| Some(answer.status?.metadata?.attempt));
        let removed = self.call(RemoveContainerRequest { container_id: raw(id) }).await;
        gone_is_done(removed.map(drop))?;
        if let Some(attempt) = attempt.filter(|_| !keep_log) {
            let log = self.logs().join(pod.container(container).name().as_str());
            let log = log.join(format!("{attempt}.log"));
            if let Err(error) = fs::remove_file(&log)
                && error.kind() != io::ErrorKind::NotFound
            {
                return Err(io_error(&log)(error));
            }
        }
        Ok(())
    }

    async fn image_present(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
    ) -> Result<bool, CriError> {
        let image = Some(ImageSpec { image: pod.container(container).image().to_string() });
        Ok(self.call(ImageStatusRequest { image }).await?.image.is_some())
    }

    async fn pull_image(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
    ) -> Result<u64, CriError> {
        let image = Some(ImageSpec { image: pod.container(container).image().to_string() });
        let sandbox_config = Some(self.sandbox_config(pod, 0));
        let request = PullImageRequest { image: image.clone(), sandbox_config };
        self.client.call(request, PULL).await.map_err(Box::new)?;
        let found = self.call(ImageStatusRequest { image }).await?.image;
        Ok(found.map_or(0, |image| image.size))
    }

    async fn create_container(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
        sandbox_id: &str,
        restart_count: Option<u32>,
    ) -> Result<SmolStr, CriError> {
        let asked = PodSandboxStatusRequest { pod_sandbox_id: sandbox_id.to_owned() };
        let sandbox = self.call(asked).await?.status.and_then(|status| status.metadata);
        let attempt = sandbox.map_or(0, |metadata| metadata.attempt);
        let request = CreateContainerRequest {
            pod_sandbox_id: sandbox_id.to_owned(),
            config: Some(self.container_config(pod, container, restart_count)?),
            sandbox_config: Some(self.sandbox_config(pod, attempt)),
        };
        let answer = self.call(request).await?;
        Ok(format_smolstr!("{ID_TYPE}{}", answer.container_id))
    }

    async fn start_container(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
        id: &str,
    ) -> Result<(), CriError> {
        self.call(StartContainerRequest { container_id: raw(id) }).await?;
        let hook = declared(&self.pod, pod, container).and_then(|declared| {
            let hook = declared.lifecycle.as_ref()?.post_start.as_ref()?;
            Some(Handler::of_hook(declared, hook))
        });
        let Some(hook) = hook else { return Ok(()) };
        // The kubelet, too, waits for the hook as long as it takes.
        match run_handler(&self.client, &raw(id), hook, PULL).await {
            Ok(()) => Ok(()),
            Err(why) => {
                let request = GraceRequest::default();
                let kill = TerminationPlan::for_container(pod, container, id.into(), None, request);
                self.stop_containers(pod, &kill).await?;
                Err(CriError::PostStart(why))
            }
        }
    }

    fn failure_kind(&self, error: &CriError) -> FailureKind {
        match error {
            CriError::Config(_) => FailureKind::CreateContainerConfig,
            CriError::PostStart(_) => FailureKind::PostStartHook,
            CriError::Rpc(status) if status.message().contains("invalid reference format") => {
                FailureKind::InvalidImageName
            }
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

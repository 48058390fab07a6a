//! A cluster for tests: a real control plane, and nodes without containers.
//!
//! ```no_run
//! use k8s_openapi::api::core::v1::Pod;
//! use podinit_node::testing::Cluster;
//!
//! # async fn test() -> Result<(), Box<dyn std::error::Error>> {
//! let cluster = Cluster::builder().speed(10).start().await?;
//! cluster.apply("
//! apiVersion: v1
//! kind: Pod
//! metadata: {name: web}
//! spec:
//!   initContainers: [{name: migrate, image: migrate:1, command: [sh, -c, sleep 3]}]
//!   containers: [{name: app, image: web:1}]
//! ").await?;
//! cluster.kubectl(["wait", "--for=condition=Ready", "pod/web"]).await?;
//! # Ok(()) }
//! ```
//!
//! The control plane is the program of `testcluster/`: [`Cluster`] builds it if need be, or takes the
//! one that the environment variable `PODINIT_TESTCLUSTER` names. It ends with the test.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, Resource};
use serde::de::DeserializeOwned;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use crate::{Agent, Control, Options, Pace, StartError};

/// Where the control plane is, if it is not to be built.
pub const PROGRAM: &str = "PODINIT_TESTCLUSTER";

/// How long something is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A cluster does not do what it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// There is no control plane.
    #[error("the control plane: {0}")]
    ControlPlane(String),
    /// Its nodes did not come up.
    #[error(transparent)]
    Nodes(#[from] StartError),
    /// It cannot be spoken to.
    #[error("the cluster cannot be reached: {0}")]
    Client(String),
    /// `kubectl` said so.
    #[error("kubectl {command}: {said}")]
    Kubectl {
        /// What was asked.
        command: String,
        /// What it said.
        said: String,
    },
    /// It was waited for in vain.
    #[error("waited in vain for {0}")]
    InVain(String),
}

/// What a cluster is to be like.
#[derive(Debug)]
pub struct Builder {
    options: Options,
}

impl Builder {
    /// This many nodes, `node-0` and so on. One if nothing is said.
    #[must_use]
    pub fn nodes(mut self, count: usize) -> Self {
        self.options.nodes = (0..count).map(|number| format!("node-{number}")).collect();
        self
    }

    /// Pods live so many times as fast.
    #[must_use]
    pub fn speed(mut self, times: u32) -> Self {
        self.options.pace = Pace::Times(NonZeroU32::new(times).unwrap_or(NonZeroU32::MIN));
        self
    }

    /// Time stands for pods, but for [`Control::step`].
    #[must_use]
    pub fn stepped(mut self) -> Self {
        self.options.pace = Pace::Stepped;
        self
    }

    /// Everything else.
    #[must_use]
    pub fn options(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }

    /// Starts the control plane and the nodes.
    ///
    /// # Errors
    /// If one of them does not start.
    pub async fn start(self) -> Result<Cluster, ClusterError> {
        let plane = ControlPlane::start().await?;
        let client = plane.client().await?;
        let mut cluster = Cluster { agent: None, client, plane, options: self.options };
        if !cluster.options.nodes.is_empty() {
            cluster.start_nodes().await?;
        }
        Ok(cluster)
    }
}

/// A cluster that runs until it is dropped.
pub struct Cluster {
    agent: Option<Agent>,
    client: Client,
    plane: ControlPlane,
    options: Options,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster")
            .field("plane", &self.plane)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// A cluster with one node, whose pods live in real time.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start() -> Result<Self, ClusterError> {
        Self::builder().start().await
    }

    /// A cluster that is to be other than usual.
    pub fn builder() -> Builder {
        Builder { options: Options::new(["node-0"]) }
    }

    /// The administrator's client.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Objects of the namespace `default`.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client(), "default")
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.plane.kubeconfig
    }

    /// What can be done to the nodes; `None` while there are none.
    pub fn control(&self) -> Option<&Control> {
        self.agent.as_ref().map(Agent::control)
    }

    /// The nodes' kubelets end. What runs runs on.
    pub fn stop_nodes(&mut self) {
        self.agent = None;
    }

    /// The nodes' kubelets start, with what the API holds as their only memory.
    ///
    /// # Errors
    /// If they do not.
    pub async fn start_nodes(&mut self) -> Result<(), ClusterError> {
        self.agent = None;
        self.agent = Some(Agent::start(self.client(), self.options.clone()).await?);
        Ok(())
    }

    /// Steps the clock on.
    ///
    /// # Errors
    /// If the clock is not stepped, or there are no nodes.
    pub async fn step(&self, by: Duration) -> Result<(), crate::ControlError> {
        self.control().ok_or(crate::ControlError::Down)?.step(by).await
    }

    /// Runs `kubectl`, and gives what it prints.
    ///
    /// # Errors
    /// If it fails.
    pub async fn kubectl<'a>(
        &self,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<String, ClusterError> {
        self.kubectl_with("", arguments).await
    }

    /// Applies a manifest.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn apply(&self, manifest: &str) -> Result<String, ClusterError> {
        self.kubectl_with(manifest, ["apply", "-f", "-"]).await
    }

    async fn kubectl_with<'a>(
        &self,
        input: &str,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<String, ClusterError> {
        let arguments: Vec<&str> = arguments.into_iter().collect();
        let failed = |said: String| ClusterError::Kubectl { command: arguments.join(" "), said };
        let mut command = Command::new(&self.plane.program);
        command.arg("kubectl").arg("--kubeconfig").arg(self.kubeconfig()).args(&arguments);
        // Its caches are those of this cluster alone, and its times those of no place.
        command.env("HOME", self.plane.folder.path()).env("TZ", "UTC").kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes()).await.map_err(|error| failed(error.to_string()))?;
        }
        let output = child.wait_with_output().await.map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Waits until an object of the namespace `default` is as wanted, and gives it.
    ///
    /// # Errors
    /// If it is not within a minute.
    pub async fn until<K>(
        &self,
        name: &str,
        is_wanted: impl Fn(&K) -> bool,
    ) -> Result<K, ClusterError>
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
        K::DynamicType: Default,
    {
        let api = self.api::<K>();
        let kind = K::kind(&K::DynamicType::default()).into_owned();
        let look = async {
            loop {
                match api.get_opt(name).await {
                    Ok(Some(object)) if is_wanted(&object) => return Ok(object),
                    Ok(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                    Err(error) => return Err(ClusterError::Client(error.to_string())),
                }
            }
        };
        let in_vain = |_| ClusterError::InVain(format!("{kind} {name}"));
        tokio::time::timeout(PATIENCE, look).await.map_err(in_vain)?
    }
}

/// The process of the control plane, which ends when its standard input closes.
#[derive(Debug)]
struct ControlPlane {
    program: PathBuf,
    kubeconfig: PathBuf,
    _input: Option<ChildStdin>,
    _child: Child,
    folder: TempDir,
}

impl ControlPlane {
    async fn start() -> Result<Self, ClusterError> {
        let failed = |error: std::io::Error| ClusterError::ControlPlane(error.to_string());
        let program = program().await?;
        let folder = TempDir::with_prefix("podinit-cluster-").map_err(failed)?;
        let mut command = Command::new(&program);
        command.arg("--dir").arg(folder.path()).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let input = child.stdin.take();
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            let read = BufReader::new(output).read_line(&mut line).await;
            read.map_err(failed)?;
        }
        if line.trim().is_empty() {
            let output = child.wait_with_output().await.map_err(failed)?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(ClusterError::ControlPlane(said));
        }
        let kubeconfig = PathBuf::from(line.trim());
        // What it says later is read, so that it does not wait for a reader.
        if let Some(mut errors) = child.stderr.take() {
            tokio::spawn(async move { tokio::io::copy(&mut errors, &mut tokio::io::sink()).await });
        }
        Ok(Self { program, kubeconfig, _input: input, _child: child, folder })
    }

    async fn client(&self) -> Result<Client, ClusterError> {
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig)
            .map_err(|error| ClusterError::Client(error.to_string()))?;
        let config =
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        let config = config.map_err(|error| ClusterError::Client(error.to_string()))?;
        Client::try_from(config).map_err(|error| ClusterError::Client(error.to_string()))
    }
}

/// The program of the control plane; built if nobody names one.
async fn program() -> Result<PathBuf, ClusterError> {
    if let Some(program) = std::env::var_os(PROGRAM) {
        return Ok(program.into());
    }
    let build = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testcluster/build");
    let output = Command::new(build).output().await;
    let output = output.map_err(|error| ClusterError::ControlPlane(format!("{build}: {error}")))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout).into())
    } else {
        Err(ClusterError::ControlPlane(text(&output.stderr)))
    }
}

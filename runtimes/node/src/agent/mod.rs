//! The loop that keeps all pods of all nodes.

mod commands;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::core::v1;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use podinit::{FeatureGates, KubernetesVersion, PodStatus, PodWorker, Timestamp};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};

use crate::admission::{Admission, Refusal};
use crate::clock::{Clock, Pace};
use crate::control::{Command, Control, Counts};
use crate::events::Recorder;
use crate::life::{Habits, NodeShare, PodLife, Request, check_scenario, read_scenario};
use crate::nodes::{NodeSettings, Nodes};
use crate::scenarios::{ANNOTATION, Scenarios};
use crate::state::{self, StateError};
use crate::status::{api_form, with_times};
use crate::write::{Write, Written, delete_as_user, write};

/// What an agent is to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// The names of its nodes.
    pub nodes: Vec<String>,
    /// What they are like.
    pub settings: NodeSettings,
    /// How time passes on them.
    pub pace: Pace,
    /// How pods live.
    pub habits: Habits,
    /// What happens to pods that have no scenario of their own.
    pub scenarios: Scenarios,
    /// The version whose rules count; `None`: the nearest to the apiserver's.
    pub version: Option<KubernetesVersion>,
    /// Where the workers of pods are kept, so that back-off outlives this program; `None`: nowhere, and
    /// a new start is one of the kubelets. Only where time passes as in the cluster.
    pub state: Option<PathBuf>,
}

impl Options {
    /// One or many nodes, with everything else as usual.
    pub fn new(nodes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            nodes: nodes.into_iter().map(Into::into).collect(),
            settings: NodeSettings::default(),
            pace: Pace::default(),
            habits: Habits::default(),
            scenarios: Scenarios::default(),
            version: None,
            state: None,
        }
    }
}

/// Nodes cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is none to begin.
    #[error("no node is named")]
    NoNodes,
    /// The cluster refuses, or cannot be asked.
    #[error("{doing}: {source}")]
    Cluster {
        /// What was tried.
        doing: &'static str,
        /// Why it was not done.
        source: Box<kube::Error>,
    },
    /// What the nodes have is not told in quantities.
    #[error("capacity: {0}")]
    Capacity(#[from] podinit::resources::ResourceListError),
    /// The state file is of no use.
    #[error("state file {path}: {source}", path = path.display())]
    State {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: StateError,
    },
    /// Times of another clock mean nothing after a new start.
    #[error("a state file needs a clock that is neither stepped nor faster than the cluster's")]
    StateOfOtherTime,
    /// The range of pods' addresses is none.
    #[error("the addresses of pods: {0}")]
    Addresses(#[from] crate::addresses::NoRange),
}

/// Nodes that are up. They end when this is dropped, as if their kubelets had ended: what ran runs on.
#[derive(Debug)]
pub struct Agent {
    control: Control,
    tasks: [AbortHandle; 2],
}

impl Agent {
    /// Registers the nodes and begins to keep their pods.
    ///
    /// # Errors
    /// If the cluster cannot be asked, or refuses.
    pub async fn start(client: Client, options: Options) -> Result<Self, StartError> {
        let kept = match &options.state {
            Some(_) if options.pace != Pace::Times(NonZeroU32::MIN) => {
                return Err(StartError::StateOfOtherTime);
            }
            Some(path) => state::read(path)
                .map_err(|source| StartError::State { path: path.clone(), source })?,
            None => HashMap::new(),
        };
        Self::start_with(client, options, kept).await
    }

    /// The same, with workers of before.
    pub(crate) async fn start_with(
        client: Client,
        options: Options,
        kept: HashMap<String, PodWorker>,
    ) -> Result<Self, StartError> {
        let failed = |doing| move |source| StartError::Cluster { doing, source: Box::new(source) };
        if options.nodes.is_empty() {
            return Err(StartError::NoNodes);
        }
        let server =
            client.apiserver_version().await.map_err(failed("the version of the apiserver"))?;
        let version = options.version.unwrap_or_else(|| nearest(&server.minor));
        if !server.minor.trim_end_matches('+').ends_with(&version.minor().to_string()) {
            tracing::warn!(apiserver = server.git_version, rules = %version, "the apiserver is of another version");
        }
        let names = options.nodes.clone();
        let nodes =
            Nodes { client: client.clone(), names, settings: options.settings.clone(), version };
        let ranges = nodes.start().await.map_err(failed("registering nodes"))?;
        let (sender, commands) = mpsc::channel(16);
        let mut keeper = Keeper::new(client, &options, version, &ranges, commands)?;
        keeper.kept = kept;
        let tasks =
            [tokio::spawn(keeper.run()).abort_handle(), tokio::spawn(nodes.keep()).abort_handle()];
        tracing::info!(nodes = options.nodes.len(), rules = %version, "nodes are up");
        Ok(Self { control: Control::new(sender), tasks })
    }

    /// What can be done to the nodes and their pods.
    pub fn control(&self) -> &Control {
        &self.control
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// The version whose rules are nearest to those of an apiserver with this minor version.
fn nearest(minor: &str) -> KubernetesVersion {
    let digits: String = minor.chars().take_while(char::is_ascii_digit).collect();
    let Ok(minor) = digits.parse::<u8>() else { return KubernetesVersion::default() };
    let distance = |version: &KubernetesVersion| version.minor().abs_diff(minor);
    KubernetesVersion::ALL.into_iter().min_by_key(distance).unwrap_or_default()
}

/// How many pods have their turn before the API is heard again, and how much of what it says is heard
/// before pods have.
const TURNS: usize = 256;
/// How many writes to the API are under way at once.
const WRITES: usize = 64;
/// How often the state is written, if it has changed.
const SAVES: Duration = Duration::from_secs(1);

struct Pod {
    life: PodLife,
    node: String,
    /// Its place in the queue.
    due: Option<Timestamp>,
    /// What the last status was made from that was written.
    shown: Option<(PodStatus, Option<i64>)>,
    is_writing: bool,
    is_deleted: bool,
    /// Its address is free again.
    is_released: bool,
}

impl Pod {
    fn release(&mut self, node: Option<&mut NodeShare>) {
        if let Some(node) = node.filter(|_| !self.is_released) {
            node.release(&self.life);
            self.is_released = true;
        }
    }
}

type Watch = BoxStream<'static, Result<watcher::Event<v1::Pod>, watcher::Error>>;

struct Keeper {
    client: Client,
    gates: FeatureGates,
    habits: Habits,
    scenarios: Scenarios,
    clock: Clock,
    nodes: BTreeMap<String, NodeShare>,
    /// The accounts of nodes of which this program has said what they have.
    admissions: BTreeMap<String, Admission>,
    /// By uid.
    pods: HashMap<String, Pod>,
    queue: BTreeSet<(Timestamp, String)>,
    watch: Watch,
    /// What a list in progress has named, to see who is gone.
    listed: BTreeSet<String>,
    recorder: Recorder,
    writes: JoinSet<(String, Written)>,
    permits: Arc<Semaphore>,
    commands: mpsc::Receiver<Command>,
    counts: Counts,
    state: Option<PathBuf>,
    /// Something has happened since the state was written.
    has_changed: bool,
    /// The workers of before, of pods that were not seen yet.
    kept: HashMap<String, PodWorker>,
}

impl Keeper {
    fn new(
        client: Client,
        options: &Options,
        version: KubernetesVersion,
        ranges: &BTreeMap<String, String>,
        commands: mpsc::Receiver<Command>,
    ) -> Result<Self, StartError> {
        let clock = Clock::new(options.pace);
        let mut habits = options.habits;
        habits.settings.kubelet_started_at.get_or_insert(clock.now());
        let (mut nodes, mut admissions) = (BTreeMap::new(), BTreeMap::new());
        for name in &options.nodes {
            if options.settings.register {
                admissions.insert(name.clone(), Admission::new(&options.settings.capacity)?);
            }
            let range = ranges.get(name).unwrap_or(&options.settings.pod_cidr);
            let share = NodeShare {
                addresses: range.parse()?,
                ip: options.settings.ip.clone(),
                ..NodeShare::default()
            };
            nodes.insert(name.clone(), share);
        }
        let selector = match &options.nodes[..] {
            [name] => format!("spec.nodeName={name}"),
            _ => "spec.nodeName!=".to_owned(),
        };
        let config = watcher::Config::default().fields(&selector);
        let watch = watcher(Api::<v1::Pod>::all(client.clone()), config).default_backoff().boxed();
        Ok(Self {
            recorder: Recorder::new(&client),
            client,
            gates: version.feature_gates(),
            habits,
            scenarios: options.scenarios.clone(),
            clock,
            nodes,
            admissions,
            pods: HashMap::new(),
            queue: BTreeSet::new(),
            watch,
            listed: BTreeSet::new(),
            writes: JoinSet::new(),
            permits: Arc::new(Semaphore::new(WRITES)),
            commands,
            counts: Counts::default(),
            state: options.state.clone(),
            has_changed: false,
            kept: HashMap::new(),
        })
    }

    async fn run(mut self) {
        let mut saves = tokio::time::interval(SAVES);
        saves.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let due = self.queue.first().and_then(|(at, _)| self.clock.wait_for(*at));
            let wait = async {
                match due {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(command) = self.commands.recv() => self.carry_out(command).await,
                Some(done) = self.writes.join_next() => self.written(done.ok()),
                Some(event) = self.watch.next() => self.observed(event),
                _ = saves.tick(), if self.state.is_some() => self.save(),
                () = wait => {}
            }
            self.hear();
            self.advance(self.clock.now());
        }
    }

    /// Writes the state, if there is something new in it.
    fn save(&mut self) {
        let Some(path) = self.state.as_ref().filter(|_| self.has_changed) else { return };
        let seen = self.pods.iter().map(|(uid, pod)| (uid.as_str(), pod.life.worker()));
        let unseen = self.kept.iter().map(|(uid, worker)| (uid.as_str(), worker));
        match state::write(path, &unseen.chain(seen).collect()) {
            Ok(()) => self.has_changed = false,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the state is not written; trying again");
            }
        }
    }

    /// Takes what the API has said meanwhile.
    fn hear(&mut self) {
        for _ in 0..TURNS {
            let Some(Some(event)) = self.watch.next().now_or_never() else { break };
            self.observed(event);
        }
        for _ in 0..TURNS {
            let Some(done) = self.writes.try_join_next() else { break };
            self.written(done.ok());
        }
    }

    /// Lets happen what is due, to so many pods.
    fn advance(&mut self, now: Timestamp) {
        for _ in 0..TURNS {
            if self.queue.first().is_none_or(|(at, _)| *at > now) {
                return;
            }
            let Some((_, uid)) = self.queue.pop_first() else { return };
            let Some(pod) = self.pods.get_mut(&uid) else { continue };
            pod.due = None;
            if let Some(node) = self.nodes.get_mut(&pod.node) {
                pod.life.advance(node, now);
            }
            self.settle(&uid);
        }
    }

    /// After something has happened to a pod: tells it, and puts the pod back into the queue.
    fn settle(&mut self, uid: &str) {
        let Some(pod) = self.pods.get_mut(uid) else { return };
        self.has_changed = true;
        for (at, event) in pod.life.take_new_events() {
            let version = pod.life.pod().metadata.resource_version.as_ref();
            self.recorder.tell(
                pod.life.spec(),
                version,
                &pod.node,
                &event,
                self.clock.in_cluster(at),
            );
        }
        for request in pod.life.take_requests() {
            let Request::Delete { grace_period_seconds } = request;
            let identity = pod.life.spec().identity();
            let (namespace, name) = (identity.namespace.to_string(), identity.name.to_string());
            tokio::spawn(delete_as_user(
                self.client.clone(),
                namespace,
                name,
                uid.to_owned(),
                grace_period_seconds,
            ));
        }
        if pod.life.is_over() {
            pod.release(self.nodes.get_mut(&pod.node));
            self.admissions.entry(pod.node.clone()).and_modify(|node| node.leave(uid));
        }
        let due = pod.life.next_due();
        if due != pod.due {
            if let Some(before) = pod.due {
                self.queue.remove(&(before, uid.to_owned()));
            }
            pod.due = due;
            self.queue.extend(due.map(|at| (at, uid.to_owned())));
        }
        self.write(uid);
    }

    /// Writes what the API does not have yet: the newest status, and that the pod can go behind that.
    fn write(&mut self, uid: &str) {
        let Some(pod) = self.pods.get_mut(uid).filter(|pod| !pod.is_writing && !pod.is_deleted)
        else {
            return;
        };
        let generation = pod.life.pod().metadata.generation;
        let is_shown = pod
            .shown
            .as_ref()
            .is_some_and(|(status, of)| status == pod.life.status() && *of == generation);
        let what = if !is_shown && pod.life.status().start_time.is_some() {
            pod.shown = Some((pod.life.status().clone(), generation));
            let host_ip =
                self.nodes.get(&pod.node).map(|node| node.ip.as_str()).unwrap_or_default();
            Write::Status(api_form(&pod.life, host_ip, |at| self.clock.in_cluster(at)))
        } else if pod.life.can_go() {
            pod.is_deleted = true;
            Write::Delete
        } else {
            return;
        };
        pod.is_writing = true;
        let identity = pod.life.spec().identity();
        let pods: Api<v1::Pod> = Api::namespaced(self.client.clone(), &identity.namespace);
        let (name, uid, permits) =
            (identity.name.to_string(), uid.to_owned(), self.permits.clone());
        self.writes.spawn(async move {
            let _permit = permits.acquire_owned().await;
            let written = write(&pods, &name, &uid, what).await;
            (uid, written)
        });
    }

    fn written(&mut self, done: Option<(String, Written)>) {
        let Some((uid, written)) = done else { return };
        self.counts.writes += 1;
        if written == Written::Failed {
            self.counts.failed_writes += 1;
        }
        if let Some(pod) = self.pods.get_mut(&uid) {
            pod.is_writing = false;
            match written {
                Written::Done => {}
                // The watch will say so, or the object waits for its finalizers.
                Written::Gone => pod.is_deleted = true,
                Written::Failed => {
                    pod.shown = None;
                    pod.is_deleted = false;
                }
            }
        }
        self.write(&uid);
    }

    fn observed(&mut self, event: Result<watcher::Event<v1::Pod>, watcher::Error>) {
        match event {
            Ok(watcher::Event::Init) => self.listed.clear(),
            Ok(watcher::Event::InitApply(pod)) => {
                self.listed.extend(pod.metadata.uid.clone());
                self.apply(pod);
            }
            Ok(watcher::Event::InitDone) => {
                let gone: Vec<String> =
                    self.pods.keys().filter(|uid| !self.listed.contains(*uid)).cloned().collect();
                gone.iter().for_each(|uid| self.forget(uid));
                // Who was not listed is gone.
                self.kept.clear();
            }
            Ok(watcher::Event::Apply(pod)) => self.apply(pod),
            Ok(watcher::Event::Delete(pod)) => self.forget(&pod.metadata.uid.unwrap_or_default()),
            Err(error) => tracing::warn!(%error, "pods cannot be watched; trying again"),
        }
    }

    fn apply(&mut self, mut pod: v1::Pod) {
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
        let Some(node) = node.filter(|node| self.nodes.contains_key(node)) else { return };
        // Others write mirror pods.
        let is_mirror = pod
            .metadata
            .annotations
            .as_ref()
            .is_some_and(|annotations| annotations.contains_key("kubernetes.io/config.mirror"));
        let Some(uid) = pod.metadata.uid.clone().filter(|_| !is_mirror) else { return };
        let now = self.clock.now();
        if let Some(known) = self.pods.get_mut(&uid) {
            known.life.update(pod, now);
            return self.settle(&uid);
        }
        with_times(&mut pod, |time| self.clock.of_cluster(time));
        let (scenario, complaint) = match self.scenario(&pod) {
            Ok(scenario) => (scenario, None),
            Err(complaint) => (None, Some(complaint)),
        };
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        let is_released = matches!(phase, Some("Succeeded" | "Failed"));
        let address = pod.status.as_ref().and_then(|status| status.pod_ip.as_ref()?.parse().ok());
        if let Some((share, address)) =
            self.nodes.get_mut(&node).zip(address).filter(|_| !is_released)
        {
            share.addresses.reserve(address);
        }
        let is_new = pod.status.as_ref().is_none_or(|status| status.start_time.is_none());
        let admission = self.admissions.get_mut(&node).filter(|_| !is_released);
        let admitted = admission.map_or(Ok(()), |node| node.admit(&uid, &pod, self.gates, is_new));
        let mut life = match PodLife::new(pod, self.gates, &self.habits, scenario, now) {
            Ok(life) => life,
            Err(error) => return tracing::warn!(uid, %error, "a pod that is none"),
        };
        if let Some(worker) = self.kept.remove(&uid)
            && !life.take_up(worker, now)
        {
            tracing::debug!(uid, "what was kept of the pod is older than its status");
        }
        if let Err(Refusal { reason, message }) = admitted {
            life.reject(&reason, &message, now);
        }
        if let Some(complaint) = complaint {
            life.warn("InvalidScenario", complaint, now);
        }
        let pod = Pod {
            life,
            node,
            due: None,
            shown: None,
            is_writing: false,
            is_deleted: false,
            is_released,
        };
        self.pods.insert(uid.clone(), pod);
        self.settle(&uid);
    }

    /// What is to happen to a new pod; an error in words if that cannot be told.
    fn scenario(&self, pod: &v1::Pod) -> Result<Option<podinit::scenario::Scenario>, String> {
        let annotations = pod.metadata.annotations.as_ref();
        if let Some(text) = annotations.and_then(|annotations| annotations.get(ANNOTATION)) {
            let read = read_scenario(text, pod, self.gates);
            return read.map(Some).map_err(|error| format!("annotation {ANNOTATION}: {error}"));
        }
        let Some(scenario) = self.scenarios.of(pod) else { return Ok(None) };
        check_scenario(scenario, pod, self.gates)
            .map_err(|error| format!("scenarios of the node: {error}"))?;
        Ok(Some(scenario.clone()))
    }

    fn forget(&mut self, uid: &str) {
        let Some(mut pod) = self.pods.remove(uid) else { return };
        self.has_changed = true;
        if let Some(at) = pod.due {
            self.queue.remove(&(at, uid.to_owned()));
        }
        pod.release(self.nodes.get_mut(&pod.node));
        self.admissions.entry(pod.node).and_modify(|node| node.leave(uid));
    }
}

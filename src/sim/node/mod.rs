//! A life at the kubelet's own pace, on a virtual clock.
//!
//! [`simulate`](super::simulate) shows what Kubernetes makes of a pod, and leaves out how long the
//! kubelet takes to notice things. [`play`] has the kubelet's loops around the same
//! [`PodWorker`](crate::PodWorker): relists and the pod cache (PLEG), the ticks of the sync loop, the
//! work queue with its jitter, the prober, the status manager, the container deletor and the garbage
//! collection, over a runtime whose calls take time. What comes out is a [`Trace`]: each call, status
//! and event with its moment. Played with the same random numbers ([`Draws`]), it is compared to the
//! millisecond with the kubelet itself, see `docs/oracle.md`.
//!
//! What is not modelled is refused ([`PlayError::NotModelled`]): in-place resize at the runtime,
//! static pods, node shutdown, preemption, memory pressure, changes of the pod by others than the
//! actions of [`Scenario`] that [`play`] names, faults of `Status`, `PodSandboxStatus` and `ExecSync`.
//!
//! Time is virtual: the moments at which something is due are asked for, and the earliest is taken.
//!
//! Source: `pkg/kubelet` of v1.36.3.

mod actions;
mod asking;
mod collector;
mod draws;
mod kubelet;
mod moment;
mod operations;
mod pleg;
mod prober;
mod runtime;
mod stopping;
mod trace;
mod work_queue;

use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use k8s_openapi::api::core::v1;
use serde_json::Value;
use smol_str::SmolStr;

pub use draws::{Draws, Usual};
pub use moment::{Moment, MomentError};
pub use trace::{Entry, Kind, Status, Trace};

use crate::backoff::CrashLoopBackOffError;
use crate::pod::{PodSpec, SpecError};
use crate::scenario::{Action, Scenario, ScenarioError};
use crate::status::{PodCondition, PodStatus};
use crate::version::{FeatureGateError, FeatureGates};
use crate::worker::{Deletion, WorkerError};
use kubelet::Kubelet;
use runtime::{Ended, Happened, Runtime};

/// A life that cannot be played to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlayError {
    /// The pod is none, or an action has made it none.
    #[error(transparent)]
    Pod(#[from] SpecError),
    /// The scenario speaks of what the pod does not have, or contradicts itself.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// `node.featureGates` sets a gate that there is not, or that goes with no other.
    #[error("node.featureGates: {0}")]
    Gate(#[from] FeatureGateError),
    /// The node's back-off is out of its range.
    #[error("node.maxContainerRestartPeriod: {0}")]
    BackOff(#[from] CrashLoopBackOffError),
    /// A change of the pod is no pod of the API.
    #[error("the pod as it is changed: {0}")]
    Change(serde_json::Error),
    /// The scenario says something that the node does not model.
    #[error("not modelled: {0}")]
    NotModelled(SmolStr),
    /// The pod worker cannot be told what happened.
    #[error("the pod worker cannot be told: {0}")]
    Worker(#[from] WorkerError),
    /// It goes on and on.
    #[error("more than {0} steps")]
    Endless(usize),
}

/// More steps than any life of a few hours takes.
const MOST_STEPS: usize = 2_000_000;

/// Who is first where several things happen at one moment. In a real kubelet it is chance, and in
/// the oracle too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ties {
    /// The end of a call is before everything else, and not behind it.
    pub calls_first: bool,
    /// Of the probe workers the one that was made last is first.
    pub last_probes_first: bool,
}

impl Ties {
    /// All that there are.
    pub const ALL: [Self; 4] = [
        Self { calls_first: false, last_probes_first: false },
        Self { calls_first: true, last_probes_first: false },
        Self { calls_first: false, last_probes_first: true },
        Self { calls_first: true, last_probes_first: true },
    ];
}

/// How a life is played, beside what the scenario says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The rules; those that `scenario.node.featureGates` sets come on top.
    pub gates: FeatureGates,
    /// Who is first at one moment.
    pub ties: Ties,
    /// The address of the pod's sandboxes, where the scenario gives none. Probes that fail tell it.
    pub pod_ip: IpAddr,
}

impl Options {
    /// As these gates have it.
    pub fn new(gates: FeatureGates) -> Self {
        Self { gates, ties: Ties::default(), pod_ip: Ipv4Addr::new(10, 0, 0, 1).into() }
    }
}

/// Plays the life of a pod from its arrival on a node until `scenario.until`.
///
/// These actions can be played: `delete`, `evict`, `restartKubelet`, `rebootNode`,
/// `addEphemeralContainer`, `setImage`, `killContainer`, `removeContainer`, `startContainer`,
/// `stopSandbox`, `removeSandbox`; of `resize`, the change of the spec alone.
///
/// ```
/// use podinit::scenario::Scenario;
/// use podinit::sim::node::{Kind, Options, Usual, play};
/// use podinit::version::FeatureGates;
///
/// let pod = serde_json::from_value(serde_json::json!({
///     "metadata": {"name": "web", "uid": "1"},
///     "spec": {
///         "initContainers": [{"name": "migrate", "image": "migrate:1"}],
///         "containers": [{"name": "app", "image": "app:1"}],
///     },
/// }))?;
/// let scenario: Scenario = serde_json::from_str(
///     r#"{"until": "1m", "containers": {"migrate": {"instances": [{"runFor": "5s"}]}}}"#,
/// )?;
/// let trace = play(&pod, &scenario, &Options::new(FeatureGates::default()), &Usual)?;
/// let started = |name: &str| {
///     let start = trace.entries.iter().find(|entry| {
///         entry.kind == Kind::Call && entry.op == "StartContainer" && entry.container == name
///     });
///     start.map(|entry| entry.t.as_micros() / 1000)
/// };
/// assert_eq!(started("migrate"), Some(54));
/// // The kubelet sees the end at its next relist, and not at once.
/// assert!(started("app") > Some(5_061));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the pod is none, the scenario does not fit it or says something that is not modelled, or the
/// worker refuses what it is told.
pub fn play(
    pod: &v1::Pod,
    scenario: &Scenario,
    options: &Options,
    draws: &dyn Draws,
) -> Result<Trace, PlayError> {
    let mut node = Node::new(pod, scenario, options, draws)?;
    while node.step()? {
        node.count_step()?;
    }
    let identity = node.pod.identity();
    Ok(Trace {
        pod_name: identity.name.to_string(),
        uid: identity.uid.to_string(),
        entries: node.entries,
    })
}

/// The pod as the API has it when its metadata says nothing: under a name, in a namespace.
fn named(pod: &v1::Pod) -> v1::Pod {
    let mut pod = pod.clone();
    let metadata = &mut pod.metadata;
    for (field, usual) in [
        (&mut metadata.name, "pod"),
        (&mut metadata.namespace, "default"),
        (&mut metadata.uid, "1"),
    ] {
        field.get_or_insert_with(|| usual.into());
    }
    pod
}

/// What the API server holds of the pod.
#[derive(Debug)]
struct Api {
    /// The pod, as a manifest has it.
    object: Value,
    status: PodStatus,
    deletion: Option<Deletion>,
    /// It has a `deletionTimestamp`, which a pod that is removed by force never gets.
    is_deleting: bool,
    removed: bool,
}

/// The node, its kubelet and its runtime.
struct Node<'a> {
    scenario: &'a Scenario,
    draws: &'a dyn Draws,
    ties: Ties,
    gates: FeatureGates,
    /// The address of its sandboxes.
    pod_ip: IpAddr,
    /// How often something happened.
    steps: usize,
    pod: PodSpec,
    api: Api,
    now: Moment,
    until: Moment,
    runtime: Runtime,
    kubelet: Kubelet,
    /// While there is no kubelet: when the next one starts.
    down_until: Option<Moment>,
    actions: VecDeque<Action>,
    /// The last status that was told, so that none is told twice.
    told: Option<PodStatus>,
    entries: Vec<Entry>,
}

impl<'a> Node<'a> {
    fn new(
        pod: &v1::Pod,
        scenario: &'a Scenario,
        options: &Options,
        draws: &'a dyn Draws,
    ) -> Result<Self, PlayError> {
        let manifest = named(pod);
        let gates = actions::gates(scenario, options.gates)?;
        let pod = PodSpec::compile(&manifest, gates)?;
        scenario.check(&pod)?;
        actions::check(scenario)?;
        let mut actions: Vec<Action> = scenario.actions.clone();
        actions.sort_by_key(|action| action.at);
        let mut scheduled = PodCondition::new("PodScheduled", true);
        scheduled.last_transition_time = Some(Moment::ARRIVAL.timestamp().truncate_to_second());
        let status = PodStatus { conditions: vec![scheduled], ..PodStatus::default() };
        let settings = actions::worker_settings(scenario, gates)?;
        let object = serde_json::to_value(&manifest).map_err(PlayError::Change)?;
        let created = Entry { kind: Kind::Api, op: "created".into(), ..Entry::default() };
        Ok(Self {
            scenario,
            draws,
            ties: options.ties,
            gates,
            pod_ip: options.pod_ip,
            steps: 0,
            pod,
            api: Api {
                object,
                status: status.clone(),
                deletion: None,
                is_deleting: false,
                removed: false,
            },
            now: Moment::ARRIVAL,
            until: Moment::ARRIVAL + scenario.until.0,
            runtime: Runtime::new(scenario),
            kubelet: Kubelet::running(settings, status),
            down_until: None,
            actions: actions.into(),
            told: None,
            entries: vec![created],
        })
    }

    /// One more step; an error if there are too many.
    fn count_step(&mut self) -> Result<(), PlayError> {
        self.steps += 1;
        if self.steps > MOST_STEPS { Err(PlayError::Endless(MOST_STEPS)) } else { Ok(()) }
    }

    fn is_up(&self) -> bool {
        self.down_until.is_none()
    }

    /// Lets the next thing happen; `false` at the end of the life.
    fn step(&mut self) -> Result<bool, PlayError> {
        if self.is_up() && self.may_sync() {
            self.begin_sync()?;
            return Ok(true);
        }
        let (world, task) = (self.next_event(), self.task_due());
        let next = world.min(task);
        if next > self.until {
            return Ok(false);
        }
        self.now = self.now.max(next);
        let world_first = world < task || (world == task && !self.ties.calls_first);
        if world_first {
            self.one_event()?;
            self.task_disturbed()?;
        } else {
            self.end_task()?;
        }
        Ok(true)
    }

    /// When the next thing happens beside the task of the pod worker.
    fn next_event(&self) -> Moment {
        let mut next = self.runtime.next();
        if let Some(action) = self.actions.front() {
            next = next.min(Moment::ARRIVAL + action.at.0);
        }
        if let Some(until) = self.down_until {
            return next.min(until).max(self.now);
        }
        let kubelet = &self.kubelet;
        next = next.min(kubelet.pleg.next()).min(kubelet.next_tick).min(kubelet.next_status_sync);
        next = next.min(kubelet.kills.iter().min().copied().unwrap_or(Moment::NEVER));
        next = next.min(kubelet.collector.next(self.now));
        next = next.min(kubelet.prober.next(&self.runtime, self.now));
        next.min(kubelet.first_sync.unwrap_or(Moment::NEVER)).max(self.now)
    }

    fn one_event(&mut self) -> Result<(), PlayError> {
        let now = self.now;
        if self.is_up() {
            let first = self.kubelet.prober.is_due_first(&self.pod, &self.runtime, self.draws, now);
            if first && self.probe() {
                return Ok(());
            }
            if self.kubelet.pleg.take_due(now) {
                self.relist();
                return Ok(());
            }
            if self.kubelet.next_tick <= now {
                self.tick();
                return Ok(());
            }
            if self.kubelet.next_status_sync <= now {
                self.sync_status();
                return Ok(());
            }
        }
        if let Some(happened) = self.runtime.happen(now) {
            self.tell_happened(happened);
            return Ok(());
        }
        if self.actions.front().is_some_and(|action| Moment::ARRIVAL + action.at.0 <= now) {
            return self.actions.pop_front().map_or(Ok(()), |action| self.act(&action));
        }
        match self.down_until {
            Some(until) if until <= now => {
                self.start_kubelet()?;
                return Ok(());
            }
            Some(_) => return Ok(()),
            None => {}
        }
        if self.kubelet.first_sync.is_some_and(|at| at <= now) {
            self.kubelet.first_sync = None;
            self.kubelet.pending = true;
            return Ok(());
        }
        if self.kubelet.kills.iter().any(|until| *until <= now) {
            self.end_patience();
            return Ok(());
        }
        if self.probe() {
            return Ok(());
        }
        self.chore();
        Ok(())
    }

    fn tell(&mut self, mut entry: Entry) {
        entry.t = self.now;
        let number = self.kubelet.number;
        let by_kubelet = !matches!(entry.kind, Kind::World | Kind::Api);
        entry.kubelet = (number > 1 && by_kubelet).then_some(number);
        self.entries.push(entry);
    }

    fn tell_ended(&mut self, ended: impl IntoIterator<Item = Ended>) {
        for Ended { name, attempt, exit_code, reason } in ended {
            self.tell(Entry {
                kind: Kind::World,
                op: "exited".into(),
                container: name.to_string(),
                attempt: Some(attempt),
                exit_code: Some(exit_code),
                reason: reason.to_string(),
                ..Entry::default()
            });
        }
    }

    fn tell_happened(&mut self, happened: Happened) {
        match happened {
            Happened::Container(ended) => self.tell_ended([ended]),
            Happened::Sandbox { attempt, ended } => {
                self.tell(Entry {
                    kind: Kind::World,
                    op: "sandboxDied".into(),
                    attempt: Some(attempt),
                    ..Entry::default()
                });
                self.tell_ended(ended);
            }
        }
    }
}

/// The oracle's kubelet has been running for this long when a pod arrives.
const KUBELET_AGE: Duration = Duration::from_millis(10_370);

/// How a scenario names what a probe or a hook asks, given its handler and its container as manifests
/// have them: the joined command, `http :8080/path`, `tcp :8080`, `grpc :8080 service`. `None`: it
/// asks nothing, as a `sleep`.
pub fn question(handler: &Value, container: &Value) -> Option<String> {
    asking::Question::of(handler, container).map(|question| question.line)
}

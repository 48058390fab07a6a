//! READY, STATUS and RESTARTS: the columns of `kubectl get pods`.

use core::fmt;

use k8s_openapi::api::core::v1;
use smol_str::SmolStr;

use super::duration::HumanDuration;
use crate::pod::{ContainerIndex, PodSpec};
use crate::status::{ContainerState, ContainerStatus, PodStatus, condition_type};
use crate::time::Timestamp;
use crate::version::{Change, Feature, FeatureGates};

/// The three columns that say how a pod is. Prints them with a space between.
///
/// Making and printing them allocates nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "made by callers, too")]
pub struct Columns {
    /// How many containers are ready.
    pub ready: Ready,
    /// How the pod is, in a word.
    pub status: StatusColumn,
    /// How often its containers were restarted.
    pub restarts: Restarts,
}

impl fmt::Display for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.ready, self.status, self.restarts)
    }
}

/// The READY column: `1/2`. Restartable init containers count on both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "made by callers, too")]
pub struct Ready {
    /// Containers that are ready.
    pub ready: usize,
    /// App containers and restartable init containers.
    pub total: usize,
}

impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ready, self.total)
    }
}

/// The STATUS column: mostly not the phase, but a reason that says more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum StatusColumn {
    /// A phase or a reason: `Running`, `CrashLoopBackOff`, `Terminating`.
    Word(SmolStr),
    /// `Signal:9`: an app container was ended by a signal, and the runtime gave no reason.
    Signal(i32),
    /// `ExitCode:3`: an app container ended, and the runtime gave no reason.
    ExitCode(i32),
    /// `Init:CrashLoopBackOff`: an init container waits or has failed for this reason.
    Init(SmolStr),
    /// `Init:Signal:9`.
    InitSignal(i32),
    /// `Init:ExitCode:3`.
    InitExitCode(i32),
    /// `Init:1/3`: the init containers before the second one are done.
    InitProgress {
        /// The position of the init container that is under way.
        done: usize,
        /// How many init containers there are, restartable ones too.
        total: usize,
    },
}

impl StatusColumn {
    const fn word(word: &'static str) -> Self {
        Self::Word(SmolStr::new_static(word))
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self, Self::Word(own) if own == word)
    }
}

impl fmt::Display for StatusColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => f.pad(word),
            Self::Signal(signal) => write!(f, "Signal:{signal}"),
            Self::ExitCode(code) => write!(f, "ExitCode:{code}"),
            Self::Init(reason) => write!(f, "Init:{reason}"),
            Self::InitSignal(signal) => write!(f, "Init:Signal:{signal}"),
            Self::InitExitCode(code) => write!(f, "Init:ExitCode:{code}"),
            Self::InitProgress { done, total } => write!(f, "Init:{done}/{total}"),
        }
    }
}

/// The RESTARTS column: `3` or `3 (1s ago)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Restarts {
    /// Restarts of those containers that count in the present state of the pod.
    pub count: i64,
    /// How long ago the last of these containers to be restarted had ended, where that is known.
    pub last: Option<HumanDuration>,
}

impl fmt::Display for Restarts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.last {
            Some(ago) if self.count != 0 => write!(f, "{} ({ago} ago)", self.count),
            _ => write!(f, "{}", self.count),
        }
    }
}

/// The columns of `kubectl get pods` as the apiserver prints them (`printPod` in
/// `pkg/printers/internalversion/printers.go`).
///
/// The rules are those of the version of [`PodSpec::gates`]: up to 1.30 a pod that is being deleted
/// is `Terminating` in a terminal phase too; up to 1.34 a container that has failed does not show
/// behind one that has completed.
///
/// ```
/// use podinit::{FeatureGates, PodSpec, PodStatus, Timestamp, kubectl};
/// # use k8s_openapi::api::core::v1;
/// let pod: v1::Pod = serde_json::from_value(serde_json::json!({
///     "metadata": {"name": "web"},
///     "spec": {
///         "initContainers": [{"name": "migrate", "image": "migrate:1"}],
///         "containers": [{"name": "web", "image": "web:1"}],
///     },
///     "status": {
///         "phase": "Pending",
///         "initContainerStatuses": [{
///             "name": "migrate", "image": "migrate:1", "imageID": "", "ready": false,
///             "restartCount": 2,
///             "state": {"waiting": {"reason": "CrashLoopBackOff"}},
///             "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:00:10Z"}},
///         }],
///     },
/// }))?;
/// let spec = PodSpec::compile_unchecked(&pod, FeatureGates::default())?;
/// let status = PodStatus::try_from(&pod.status.unwrap_or_default())?;
/// let now = Timestamp::from_secs(1_767_225_613); // 2026-01-01T00:00:13Z
///
/// let columns = kubectl::columns(&spec, &status, None, now);
/// assert_eq!(columns.to_string(), "0/1 Init:CrashLoopBackOff 2 (3s ago)");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn columns(
    pod: &PodSpec,
    status: &PodStatus,
    deletion_timestamp: Option<Timestamp>,
    now: Timestamp,
) -> Columns {
    columns_as(pod, status, status.phase.as_str(), deletion_timestamp.is_some(), now)
}

/// The columns of any pod that the API can hold, also of one that is not valid: with two containers of
/// one name, a phase that nobody knows, times before 1677.
///
/// ```
/// use podinit::{FeatureGates, Timestamp, kubectl};
///
/// let pod = serde_json::from_value(serde_json::json!({
///     "metadata": {"name": "web"},
///     "spec": {"containers": [{"name": "a"}, {"name": "a"}]},
///     "status": {"phase": "Napping"},
/// }))?;
/// let columns = kubectl::columns_of(&pod, FeatureGates::default(), Timestamp::from_secs(0));
/// assert_eq!(columns.to_string(), "0/2 Napping 0");
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn columns_of(pod: &v1::Pod, gates: FeatureGates, now: Timestamp) -> Columns {
    let (no_spec, no_status) = (v1::PodSpec::default(), v1::PodStatus::default());
    let declared = Declared { spec: pod.spec.as_ref().unwrap_or(&no_spec), gates };
    let api = pod.status.as_ref().unwrap_or(&no_status);
    let status = PodStatus::printed(api);
    let phase = api.phase.as_deref().unwrap_or("Pending");
    columns_as(&declared, &status, phase, pod.metadata.deletion_timestamp.is_some(), now)
}

/// What the columns ask of a pod's spec.
trait Printed {
    fn gates(&self) -> FeatureGates;
    fn init_containers(&self) -> usize;
    /// App containers and restartable init containers.
    fn countable_containers(&self) -> usize;
    fn is_sidecar(&self, position: usize, name: &str) -> bool;
}

impl Printed for PodSpec {
    fn gates(&self) -> FeatureGates {
        Self::gates(self)
    }

    fn init_containers(&self) -> usize {
        Self::init_containers(self).len()
    }

    fn countable_containers(&self) -> usize {
        let is_sidecar =
            |index: &ContainerIndex| self.container(*index).is_restartable_init_container();
        let sidecars = match self.has_restartable_init_container() {
            true => Self::init_containers(self).filter(is_sidecar).count(),
            false => 0,
        };
        self.app_containers().len() + sidecars
    }

    /// Statuses stand in the order of the spec, so that the name is rarely searched for.
    fn is_sidecar(&self, position: usize, name: &str) -> bool {
        let is_named = |index: &ContainerIndex| self.container(*index).name() == name;
        Self::init_containers(self)
            .nth(position)
            .filter(is_named)
            .or_else(|| Self::init_containers(self).find(is_named))
            .is_some_and(|index| self.container(index).is_restartable_init_container())
    }
}

/// A spec as the API has it.
struct Declared<'a> {
    spec: &'a v1::PodSpec,
    gates: FeatureGates,
}

impl Declared<'_> {
    fn is_restartable(&self, container: &v1::Container) -> bool {
        self.gates.enabled(Feature::SidecarContainers)
            && container.restart_policy.as_deref() == Some("Always")
    }
}

impl Printed for Declared<'_> {
    fn gates(&self) -> FeatureGates {
        self.gates
    }

    fn init_containers(&self) -> usize {
        self.spec.init_containers.as_deref().unwrap_or_default().len()
    }

    fn countable_containers(&self) -> usize {
        let init = self.spec.init_containers.iter().flatten();
        self.spec.containers.len() + init.filter(|container| self.is_restartable(container)).count()
    }

    /// Of two containers with one name, the last counts.
    fn is_sidecar(&self, _position: usize, name: &str) -> bool {
        let init = self.spec.init_containers.as_deref().unwrap_or_default();
        let found = init.iter().rev().find(|container| container.name == name);
        found.is_some_and(|container| self.is_restartable(container))
    }
}

fn columns_as(
    pod: &impl Printed,
    status: &PodStatus,
    phase: &str,
    is_deleted: bool,
    now: Timestamp,
) -> Columns {
    let init = init_column(pod, &status.init_container_statuses);
    let mut ready = init.ready_sidecars;
    let mut restarts = init.restarts;
    let initializing = init.status.is_some();
    let mut column = init.status.unwrap_or_else(|| pod_word(status, phase));

    // The latest word is the apps' as soon as the pod has once been initialised.
    if !initializing || status.is_condition_true(condition_type::INITIALIZED) {
        let apps = app_column(&status.container_statuses);
        ready += apps.ready;
        restarts = init.sidecar_restarts;
        restarts.merge(apps.restarts);
        column = apps.status.unwrap_or(column);
        if column.is_word("Completed") {
            let error = apps.error.filter(|_| pod.gates().has(Change::FailedShowsBehindCompleted));
            column = match (apps.has_running, error) {
                (true, _) if status.is_condition_true(condition_type::READY) => {
                    StatusColumn::word("Running")
                }
                (_, Some(error)) => error,
                (true, None) => StatusColumn::word("NotReady"),
                (false, None) => column,
            };
        }
    }

    if is_deleted {
        if status.reason == "NodeLost" {
            column = StatusColumn::word("Unknown");
        } else if !status.phase.is_terminal()
            || !pod.gates().has(Change::TerminatingUntilPhaseIsTerminal)
        {
            column = StatusColumn::word("Terminating");
        }
    }

    Columns {
        ready: Ready { ready, total: pod.countable_containers() },
        status: column,
        restarts: restarts.at(now),
    }
}

/// What is said of the pod as a whole: phase, reason, scheduling gates.
fn pod_word(status: &PodStatus, phase: &str) -> StatusColumn {
    let gated = status.conditions.iter().any(|condition| {
        condition.condition_type == condition_type::POD_SCHEDULED
            && condition.reason == "SchedulingGated"
    });
    if gated {
        StatusColumn::word("SchedulingGated")
    } else if !status.reason.is_empty() {
        StatusColumn::Word(status.reason.clone())
    } else {
        StatusColumn::Word(phase.into())
    }
}

/// Restarts, and when the last container that was restarted had ended.
#[derive(Clone, Copy, Default)]
struct Tally {
    count: i64,
    last: Option<Timestamp>,
}

impl Tally {
    fn add(&mut self, container: &ContainerStatus) {
        let last = container.last_termination_state.terminated.as_ref();
        self.merge(Self {
            count: container.restart_count.into(),
            last: last.and_then(|terminated| terminated.finished_at),
        });
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.last = self.last.max(other.last);
    }

    fn at(self, now: Timestamp) -> Restarts {
        Restarts {
            count: self.count,
            last: self.last.map(|then| HumanDuration::between(then, now)),
        }
    }
}

/// What the init containers say.
#[derive(Default)]
struct InitColumn {
    /// The first of them that is not done decides; none: the pod is past its initialisation.
    status: Option<StatusColumn>,
    ready_sidecars: usize,
    restarts: Tally,
    sidecar_restarts: Tally,
}

/// Looks at init containers in order and stops at the first that is neither done nor a started
/// sidecar: those behind it count nowhere.
fn init_column(pod: &impl Printed, statuses: &[ContainerStatus]) -> InitColumn {
    let mut column = InitColumn::default();
    for (position, container) in statuses.iter().enumerate() {
        let sidecar = pod.is_sidecar(position, &container.name);
        column.restarts.add(container);
        if sidecar {
            column.sidecar_restarts.add(container);
        }
        match &container.state {
            ContainerState { terminated: Some(terminated), .. } if terminated.exit_code == 0 => {}
            _ if sidecar && container.started == Some(true) => {
                column.ready_sidecars += usize::from(container.ready);
            }
            state => {
                column.status = Some(unfinished(state, position, pod.init_containers()));
                break;
            }
        }
    }
    column
}

/// What an init container says that holds up the initialisation.
fn unfinished(state: &ContainerState, position: usize, total: usize) -> StatusColumn {
    if let Some(terminated) = &state.terminated {
        return match (terminated.reason.as_str(), terminated.signal) {
            ("", 0) => StatusColumn::InitExitCode(terminated.exit_code),
            ("", signal) => StatusColumn::InitSignal(signal),
            _ => StatusColumn::Init(terminated.reason.clone()),
        };
    }
    match &state.waiting {
        Some(waiting) if !matches!(waiting.reason.as_str(), "" | "PodInitializing") => {
            StatusColumn::Init(waiting.reason.clone())
        }
        _ => StatusColumn::InitProgress { done: position, total },
    }
}

/// What the app containers say.
#[derive(Default)]
struct AppColumn {
    /// The word of the first listed that waits or has ended.
    status: Option<StatusColumn>,
    /// The word of the first listed that has ended in failure, with the runtime's reason.
    error: Option<StatusColumn>,
    ready: usize,
    has_running: bool,
    restarts: Tally,
}

fn app_column(statuses: &[ContainerStatus]) -> AppColumn {
    let mut column = AppColumn::default();
    for container in statuses {
        column.restarts.add(container);
        let ContainerState { waiting, running, terminated } = &container.state;
        let waiting = waiting.as_ref().map(|waiting| &waiting.reason);
        if let Some(reason) = waiting.filter(|reason| !reason.is_empty()) {
            column.status.get_or_insert_with(|| StatusColumn::Word(reason.clone()));
        } else if let Some(terminated) = terminated {
            let word = || match (terminated.reason.as_str(), terminated.signal) {
                ("", 0) => StatusColumn::ExitCode(terminated.exit_code),
                ("", signal) => StatusColumn::Signal(signal),
                _ => StatusColumn::Word(terminated.reason.clone()),
            };
            column.status.get_or_insert_with(word);
            if terminated.exit_code != 0 {
                column.error.get_or_insert_with(word);
            }
        } else if container.ready && running.is_some() {
            column.has_running = true;
            column.ready += 1;
        }
    }
    column
}

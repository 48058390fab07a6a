//! Could a kubelet have written these statuses?

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use k8s_openapi::api::core::v1;
use serde_json::Value;
use smol_str::SmolStr;

use crate::observation::{
    ContainerInstance, Exit, InstanceState, Observation, ProbeResult, Sandbox,
};
use crate::pod::{Container, ContainerIndex, ContainerKind, PodSpec};

use crate::status::{
    ContainerState, ContainerStateTerminated, ContainerStatus, PodFailure, PodPhase, PodStatus,
    StartFailure, StartFailures, StatusError, StatusInputs, condition_type, generate_pod_status,
    has_pod_initialized, terminate_pod,
};
use crate::time::Timestamp;
use crate::version::Feature;

/// A status that a kubelet could not have written, or could not have written after the one before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("status {position}: {field}: {problem}")]
#[non_exhaustive]
pub struct Implausible {
    /// Which status of the series, from 0.
    pub position: usize,
    /// Where: `status.phase`, `status.containerStatuses[app]`.
    pub field: String,
    /// Why not.
    pub problem: Problem,
}

/// Why a status is not plausible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(StatusError),
    /// A list does not have the containers of the spec in the order of the API: init containers in
    /// the order of the spec, app containers sorted by name.
    #[error("has {found:?}, and the pod has {expected:?}")]
    WrongContainers {
        /// The names found.
        found: Vec<SmolStr>,
        /// The names in the right order.
        expected: Vec<SmolStr>,
    },
    /// Nothing that a runtime could report makes a kubelet write this.
    #[error("{found} cannot follow from what a runtime could report; closest is {closest}")]
    Unexplained {
        /// What was found.
        found: String,
        /// What the kubelet would write where the runtime reports what the status seems to tell.
        closest: String,
    },
    /// It cannot come after what was there before.
    #[error("{found} after {before}: {rule}")]
    AfterBefore {
        /// What was there before.
        before: String,
        /// What was found.
        found: String,
        /// The rule.
        rule: &'static str,
    },
}

/// Reads pods as `kubectl get pod -w -o json` prints them: JSON objects one after the other. Lists,
/// and the events of `--output-watch-events`, are taken apart.
///
/// # Errors
/// If it is no JSON, or an object in it is no pod.
pub fn read_watch(text: &str) -> Result<Vec<v1::Pod>, serde_json::Error> {
    let mut pods = Vec::new();
    for object in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        let mut object = object?;
        if object.get("type").is_some() && object.get("object").is_some() {
            object = object["object"].take();
        }
        match object.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => {
                for item in items {
                    pods.push(serde_json::from_value(item)?);
                }
            }
            _ => pods.push(serde_json::from_value(object)?),
        }
    }
    Ok(pods)
}

/// Could a kubelet have written these statuses of one pod, in this order?
///
/// Each status is explained: a report of the runtime is looked for from which the kubelet, given
/// the status before, writes it. Then it is compared with the one before. Statuses in between may
/// be missing, as in a watch that began anew; the more there are, the less goes unseen. A series
/// that passes may still be impossible, one that does not pass is.
///
/// The kubelet is one of [`PodSpec::gates`]. Images, and times beyond those of containers and
/// transitions, are not looked at.
///
/// ```
/// use podinit::testing::{check_statuses, read_watch};
/// use podinit::{FeatureGates, PodSpec};
///
/// // A virtual kubelet that says Running although the app container has not been started.
/// let watch = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
///     "spec": {"containers": [{"name": "app", "image": "web:1"}]},
///     "status": {"phase": "Running", "containerStatuses": [{
///         "name": "app", "ready": false, "started": false, "restartCount": 0,
///         "image": "web:1", "imageID": "",
///         "state": {"waiting": {"reason": "ContainerCreating"}}
///     }]}}"#;
/// let pods = read_watch(watch)?;
/// let spec = PodSpec::compile_unchecked(&pods[0], FeatureGates::default())?;
/// let found = check_statuses(&spec, &pods).unwrap_err();
/// assert_eq!(
///     found.to_string(),
///     "status 0: status.phase: Running cannot follow from what a runtime could report; \
///      closest is Pending",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The first status that is not plausible, and where and why.
pub fn check_statuses(pod: &PodSpec, series: &[v1::Pod]) -> Result<(), Implausible> {
    let mut before: Option<PodStatus> = None;
    for (position, seen) in series.iter().enumerate() {
        let Some(api) = &seen.status else { continue };
        let implausible =
            |(field, problem): (String, Problem)| Implausible { position, field, problem };
        let status = PodStatus::try_from(api)
            .map_err(|error| implausible(("status".into(), Problem::Unreadable(error))))?;
        // Not picked up by a kubelet yet.
        if status.init_container_statuses.is_empty() && status.container_statuses.is_empty() {
            continue;
        }
        let deleted = seen.metadata.deletion_timestamp.is_some();
        check_one(pod, before.as_ref(), &status, deleted).map_err(implausible)?;
        before = Some(status);
    }
    Ok(())
}

type Verdict = Result<(), (String, Problem)>;

fn check_one(
    pod: &PodSpec,
    before: Option<&PodStatus>,
    status: &PodStatus,
    deleted: bool,
) -> Verdict {
    check_names(pod, status)?;
    if let Some(before) = before {
        check_order(pod, before, status)?;
    }
    let guesses = Guesses { pod, before, status, deleted };
    let choice = guesses.explain_containers()?;
    guesses.explain_rest(&choice)
}

fn check_names(pod: &PodSpec, status: &PodStatus) -> Verdict {
    let names = |indexes: Vec<ContainerIndex>| -> Vec<SmolStr> {
        indexes.into_iter().map(|index| pod.container(index).name().clone()).collect()
    };
    let lists = [
        ("initContainerStatuses", &status.init_container_statuses, pod.init_containers().collect()),
        ("containerStatuses", &status.container_statuses, pod.app_containers_by_name().to_vec()),
    ];
    for (field, list, expected) in lists {
        let expected = names(expected);
        let found: Vec<SmolStr> = list.iter().map(|status| status.name.clone()).collect();
        if found != expected {
            let problem = Problem::WrongContainers { found, expected };
            return Err((format!("status.{field}"), problem));
        }
    }
    Ok(())
}

/// What holds between two statuses, whatever was in between.
fn check_order(pod: &PodSpec, before: &PodStatus, status: &PodStatus) -> Verdict {
    let wrong = |field: &str, before: String, found: String, rule| {
        Err((field.to_string(), Problem::AfterBefore { before, found, rule }))
    };
    if before.phase.is_terminal() && status.phase != before.phase {
        let rule = "a pod does not leave Succeeded or Failed";
        return wrong("status.phase", before.phase.to_string(), status.phase.to_string(), rule);
    }
    if let (Some(old), new) = (before.start_time, status.start_time)
        && new != Some(old)
    {
        let new = new.map_or_else(|| "nothing".into(), |new| new.to_string());
        let rule = "startTime is set once";
        return wrong("status.startTime", old.to_string(), new, rule);
    }
    for condition in &status.conditions {
        let Some(old) = before.condition(&condition.condition_type) else { continue };
        let moved = old.last_transition_time != condition.last_transition_time;
        if old.status == condition.status && moved && old.last_transition_time.is_some() {
            // It may have changed twice in between, which takes it forward.
            if condition.last_transition_time > old.last_transition_time {
                continue;
            }
            let field =
                format!("status.conditions[{}].lastTransitionTime", condition.condition_type);
            let time = |time: Option<Timestamp>| {
                time.map_or_else(|| "nothing".into(), |time| time.to_string())
            };
            let rule = "a transition time does not go back";
            let (old, new) = (old.last_transition_time, condition.last_transition_time);
            return wrong(&field, time(old), time(new), rule);
        }
    }
    if pod.enabled(Feature::RestartAllContainersOnContainerExits) {
        for (name, old, new) in pairs(before, status) {
            if new.restart_count < old.restart_count {
                let field = format!("status.{name}.restartCount");
                let (old, new) = (old.restart_count.to_string(), new.restart_count.to_string());
                return wrong(&field, old, new, "restart counts do not go down since 1.36");
            }
        }
    }
    Ok(())
}

/// The statuses of the same containers, with their place.
fn pairs<'a>(
    before: &'a PodStatus,
    status: &'a PodStatus,
) -> impl Iterator<Item = (String, &'a ContainerStatus, &'a ContainerStatus)> {
    let init = before.init_container_statuses.iter().zip(&status.init_container_statuses);
    let apps = before.container_statuses.iter().zip(&status.container_statuses);
    let init = init.map(|pair| ("initContainerStatuses", pair));
    init.chain(apps.map(|pair| ("containerStatuses", pair)))
        .map(|(list, (old, new))| (format!("{list}[{}]", new.name), old, new))
}

/// What a runtime may have reported of one container, and how its last start may have failed.
type Records = (Vec<ContainerInstance>, Option<StartFailure>);

/// Facts beside the containers that cannot be seen in a status.
#[derive(Clone, Copy)]
struct Unseen {
    /// The status before is not the one that the kubelet had: this one is.
    settled: bool,
    /// It did not know yet which containers have started.
    early: bool,
    sandbox_ready: bool,
    /// App containers are of the sandbox that is ready.
    apps_current: bool,
    terminal: bool,
    deletion: bool,
}

impl Unseen {
    fn all(deleted: bool) -> impl Iterator<Item = Self> {
        (0..64u8).map(|bits| bits ^ 0b10).filter_map(move |bits| {
            let bit = |n: u8| bits >> n & 1 == 1;
            let unseen = Self {
                settled: bit(4),
                early: bit(5),
                apps_current: !bit(0),
                sandbox_ready: bit(1),
                terminal: bit(2),
                deletion: bit(3),
            };
            (deleted || !unseen.deletion).then_some(unseen)
        })
    }
}

/// Candidates for what a kubelet may have known.
struct Guesses<'a> {
    pod: &'a PodSpec,
    before: Option<&'a PodStatus>,
    status: &'a PodStatus,
    deleted: bool,
}

const SANDBOX: &str = "current";

impl Guesses<'_> {
    fn shown(&self) -> impl Iterator<Item = (ContainerIndex, &ContainerStatus)> {
        let init = self.pod.init_containers().zip(&self.status.init_container_statuses);
        let apps = self.pod.app_containers_by_name().iter().copied();
        init.chain(apps.zip(&self.status.container_statuses))
    }

    /// For each container the candidates, the one that its status seems to tell first.
    fn candidates(&self) -> Vec<(ContainerIndex, Vec<Records>)> {
        self.shown()
            .map(|(index, shown)| (index, records(self.pod.container(index), shown)))
            .collect()
    }

    /// What the kubelet writes if the runtime reports this.
    fn generate(
        &self,
        records: &[(ContainerIndex, Records)],
        unseen: Unseen,
        failure: Option<&PodFailure>,
    ) -> PodStatus {
        let mut observation = Observation::new();
        observation.push_sandbox(Sandbox {
            id: SANDBOX.into(),
            ready: unseen.sandbox_ready,
            attempt: 0,
            has_ip: true,
            host_network: self.pod.host_network(),
        });
        let mut start_failures = StartFailures::default();
        for (index, (instances, failure)) in records {
            for instance in instances {
                let mut instance = instance.clone();
                if !unseen.apps_current {
                    instance.sandbox_id = "earlier".into();
                }
                observation.push_instance(*index, instance);
            }
            if let Some(failure) = failure {
                start_failures.insert(*index, failure.clone());
            }
        }
        let nothing = PodStatus::default();
        let earlier = if unseen.settled { Some(self.status) } else { self.before };
        let mut earlier = earlier.unwrap_or(&nothing).clone();
        if unseen.early {
            let all = earlier.init_container_statuses.iter_mut();
            all.chain(&mut earlier.container_statuses).for_each(|status| status.started = None);
        }
        let inputs = StatusInputs {
            pod: self.pod,
            observation: &observation,
            earlier: &earlier,
            api: &earlier,
            start_failures: &start_failures,
            deletion_requested: unseen.deletion,
            pod_is_terminal: unseen.terminal,
            probe_workers_made: true,
            kubelet_started_at: None,
        };
        generate_pod_status(&inputs, failure)
    }

    /// Finds for each container what may have been reported of it.
    fn explain_containers(&self) -> Result<Vec<(ContainerIndex, Records)>, (String, Problem)> {
        let candidates = self.candidates();
        let rounds = candidates.iter().map(|(_, records)| records.len()).max().unwrap_or(0);
        let mut chosen: Vec<Option<Records>> = candidates.iter().map(|_| None).collect();
        let mut closest: Option<PodStatus> = None;
        for round in 0..rounds {
            let reported: Vec<(ContainerIndex, Records)> = candidates
                .iter()
                .filter_map(|(index, all)| Some((*index, all.get(round).or(all.first())?.clone())))
                .collect();
            for unseen in Unseen::all(self.deleted) {
                let written = self.generate(&reported, unseen, None);
                for (place, (index, shown)) in self.shown().enumerate() {
                    let fits = find(&written, &shown.name)
                        .is_some_and(|written| same(written, shown, self.pod.container(index)));
                    if let Some(choice) = chosen.get_mut(place).filter(|c| fits && c.is_none()) {
                        *choice = reported.get(place).map(|(_, records)| records.clone());
                    }
                }
                closest.get_or_insert(written);
            }
        }
        let mut choice = Vec::new();
        for ((index, shown), records) in self.shown().zip(chosen) {
            let records = records.or_else(|| self.marked_lost(shown).then(Records::default));
            let Some(records) = records else {
                let list = match self.pod.container(index).kind() {
                    ContainerKind::App => "containerStatuses",
                    _ => "initContainerStatuses",
                };
                let field = format!("status.{list}[{}]", shown.name);
                let closest = closest.as_ref().and_then(|status| find(status, &shown.name));
                let closest = closest.map(describe).unwrap_or_default();
                return Err((field, Problem::Unexplained { found: describe(shown), closest }));
            };
            choice.push((index, records));
        }
        Ok(choice)
    }

    /// Is it the status before, marked as lost? The last status of all is written over the one that
    /// stands, which need not be the one of the moment: that may have been refused as an illegal
    /// transition (`TerminatePod`, `checkContainerStateTransition`).
    fn marked_lost(&self, shown: &ContainerStatus) -> bool {
        let Some(before) = self.before.filter(|_| self.status.phase.is_terminal()) else {
            return false;
        };
        // Before the stop the pod may not have been initialised yet.
        [false, has_pod_initialized(self.pod, before)].into_iter().any(|was_initialized| {
            let mut marked = before.clone();
            terminate_pod(self.pod, was_initialized, &mut marked);
            find(&marked, &shown.name) == Some(shown)
        })
    }

    /// Phase and conditions follow from what was reported of the containers.
    fn explain_rest(&self, reported: &[(ContainerIndex, Records)]) -> Verdict {
        let write = |failure| -> Vec<PodStatus> {
            let all = Unseen::all(self.deleted);
            all.map(|unseen| self.generate(reported, unseen, failure)).collect()
        };
        let mut written = write(None);
        let status = self.status;
        let old = self.before.map(|before| before.phase);
        // A deadline, an eviction: the kubelet's own decision, which has a reason.
        let stopped = status.phase == PodPhase::Failed && !status.reason.is_empty();
        let kept = old == Some(status.phase) && written.iter().any(|w| w.phase.is_terminal());
        if !stopped && !kept && !written.iter().any(|written| written.phase == status.phase) {
            let closest = written.first().map(|written| written.phase.to_string());
            return Err((
                "status.phase".into(),
                Problem::Unexplained {
                    found: status.phase.to_string(),
                    closest: closest.unwrap_or_default(),
                },
            ));
        }
        if !status.phase.is_terminal() {
            // A pod that fails for a deadline or an eviction keeps its phase until it has stopped;
            // its conditions tell before.
            written.extend(write(Some(&PodFailure::DEADLINE_EXCEEDED)));
        }
        // The last status of all marks what never ran or was lost as terminated, and leaves the
        // conditions as they were before (`TerminatePod`).
        let lost = |shown: &ContainerStatus| {
            let terminated = shown.state.terminated.as_ref();
            terminated.is_some_and(|terminated| terminated.reason == "ContainerStatusUnknown")
        };
        let marked = status.phase.is_terminal() && self.shown().any(|(_, shown)| lost(shown));
        for condition in &status.conditions {
            let kind = condition.condition_type.as_str();
            let explained = [
                condition_type::INITIALIZED,
                condition_type::READY,
                condition_type::CONTAINERS_READY,
                condition_type::POD_SCHEDULED,
            ];
            if !explained.contains(&kind) || stopped || marked {
                continue;
            }
            let text = |status: &PodStatus| {
                status.condition(kind).map(|condition| {
                    let (reason, message) = (&condition.reason, &condition.message);
                    format!("{} {reason} {message}", condition.status.as_str())
                })
            };
            let found = text(status);
            if !written.iter().any(|written| text(written) == found) {
                let closest = written.first().and_then(text).unwrap_or_default();
                let found = found.unwrap_or_default();
                let field = format!("status.conditions[{kind}]");
                let (found, closest) = (found.trim().into(), closest.trim().into());
                return Err((field, Problem::Unexplained { found, closest }));
            }
        }
        Ok(())
    }
}

fn find<'a>(status: &'a PodStatus, name: &str) -> Option<&'a ContainerStatus> {
    let mut all = status.init_container_statuses.iter().chain(&status.container_statuses);
    all.find(|container| container.name == name)
}

/// Are they the same in what is looked at?
fn same(written: &ContainerStatus, shown: &ContainerStatus, container: &Container) -> bool {
    let started = written.started == shown.started
        // Not set by some, where it says nothing.
        || (shown.started.is_none() && container.kind() == ContainerKind::Init);
    written.state == shown.state
        && written.last_termination_state == shown.last_termination_state
        && written.ready == shown.ready
        && written.restart_count == shown.restart_count
        && started
}

/// A container's status in a line.
fn describe(status: &ContainerStatus) -> String {
    let state = |state: &ContainerState| {
        let mut parts = Vec::new();
        if let Some(waiting) = &state.waiting {
            parts.push(format!("waiting({})", waiting.reason));
        }
        if state.running.is_some() {
            parts.push("running".into());
        }
        if let Some(terminated) = &state.terminated {
            parts.push(format!("terminated({}, {})", terminated.exit_code, terminated.reason));
        }
        if parts.is_empty() { "nothing".to_string() } else { parts.join(" and ") }
    };
    format!(
        "{} after {}, ready {}, started {}, restartCount {}",
        state(&status.state),
        state(&status.last_termination_state),
        status.ready,
        status.started.map_or("not set", |started| if started { "true" } else { "false" }),
        status.restart_count
    )
}

/// What a runtime may have reported, by what is shown.
fn records(container: &Container, shown: &ContainerStatus) -> Vec<Records> {
    let count = u32::try_from(shown.restart_count).unwrap_or_default();
    let last = shown.last_termination_state.terminated.as_ref();
    let mut last = last.map(|ended| exited(shown, ended, count.saturating_sub(1)));
    if shown.last_termination_state.waiting.is_some() {
        // The instance before was made and never ran.
        last = Some(instance(shown, InstanceState::Created, count.saturating_sub(1)));
    }
    let with_last = |newest: ContainerInstance| -> Vec<ContainerInstance> {
        core::iter::once(newest).chain(last.clone()).collect()
    };
    let mut all: Vec<Records> = Vec::new();
    if let Some(running) = &shown.state.running {
        let mut newest = instance(shown, InstanceState::Running, count);
        newest.started_at = running.started_at;
        if container.startup_probe().is_some() {
            let started = shown.started == Some(true);
            newest.startup_probe =
                Some(if started { ProbeResult::Success } else { ProbeResult::Unknown });
        }
        if container.readiness_probe().is_some() {
            newest.readiness_probe =
                Some(if shown.ready { ProbeResult::Success } else { ProbeResult::Failure });
        }
        all.push((with_last(newest.clone()), None));
        all.push((Vec::from([newest]), None));
    }
    if let Some(terminated) = &shown.state.terminated {
        let newest = exited(shown, terminated, count);
        all.push((with_last(newest.clone()), None));
        all.push((Vec::from([newest]), None));
        let unknown = instance(shown, InstanceState::Unknown, count);
        all.push((with_last(unknown), None));
    }
    if let Some(waiting) = &shown.state.waiting {
        let failure =
            StartFailure { reason: waiting.reason.clone(), message: waiting.message.clone() };
        let created = instance(shown, InstanceState::Created, count);
        if let Some(last) = shown.last_termination_state.terminated.as_ref() {
            let ended = exited(shown, last, count);
            all.push((Vec::from([ended]), Some(failure.clone())));
        }
        all.push((Vec::new(), Some(failure.clone())));
        all.push((with_last(created.clone()), Some(failure.clone())));
        all.push((with_last(created.clone()), None));
        all.push((Vec::from([created.clone()]), Some(failure.clone())));
        all.push((Vec::from([created.clone()]), None));
        all.push((Vec::from([created.clone(), created]), Some(failure)));
    }
    all.push((Vec::new(), None));
    all
}

fn instance(shown: &ContainerStatus, state: InstanceState, count: u32) -> ContainerInstance {
    let mut instance = ContainerInstance::new(shown.container_id.clone(), SANDBOX, state);
    instance.restart_count = count;
    instance
}

fn exited(
    shown: &ContainerStatus,
    ended: &ContainerStateTerminated,
    count: u32,
) -> ContainerInstance {
    let exit = Exit {
        exit_code: ended.exit_code,
        reason: ended.reason.clone(),
        message: ended.message.clone(),
        finished_at: ended.finished_at,
    };
    let mut instance = instance(shown, InstanceState::Exited(exit), count);
    instance.id = ended.container_id.clone();
    instance.started_at = ended.started_at;
    instance
}

//! The prober: when probes are run, and what their results come to.
//!
//! It has the kubelet's workers, with their turns, and not the
//! [`ContainerProbes`](crate::probe::ContainerProbes) of node agents. Source: `pkg/kubelet/prober`.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use crate::actions::restart_verdict;
use crate::event::Event;
use crate::observation::{Observation, ProbeResult};
use crate::pod::{Container, ContainerIndex, ContainerKind, PodSpec, Probe};
use crate::probe::ProbeKind;
use crate::status::{ContainerStatus, PodStatus, restarting_all_containers};
use serde_json::Value;
use smol_str::SmolStr;

use super::Ties;
use super::asking::{Question, Verdict, Way};
use super::draws::Draws;
use super::moment::Moment;
use super::runtime::{Runtime, State};
use super::trace::{Entry, Kind};

/// Containers that ran this long before the kubelet started are not set back
/// (`kubeletRestartGracePeriod`).
const RESTART_GRACE: Duration = Duration::from_secs(10);
/// What a command in a cancelled context comes to.
const CANCELLED: &str = "rpc error: code = Canceled desc = context canceled";
/// How often a probe is asked anew that got no answer (`maxProbeRetries`).
const MAX_ATTEMPTS: u32 = 3;

/// Everything that a probe looks at.
pub(super) struct Surroundings<'a> {
    pub(super) pod: &'a PodSpec,
    /// The kubelet's record.
    pub(super) status: &'a PodStatus,
    pub(super) runtime: &'a Runtime,
    pub(super) ties: Ties,
    /// The address of the pod.
    pub(super) host: &'a str,
    pub(super) now: Moment,
}

/// One probe of one container.
#[derive(Debug)]
struct Worker {
    kind: ProbeKind,
    container: ContainerIndex,
    probe: Probe,
    question: Question,
    next: Moment,
    /// It is to be run at once.
    triggered: bool,
    /// It has not run yet: it sleeps until then, and nothing wakes it.
    asleep: bool,
    instance: Option<SmolStr>,
    on_hold: bool,
    last: Option<bool>,
    in_a_row: i32,
    told_to_stop: bool,
    asking: Option<Asking>,
}

/// A question under way.
#[derive(Debug)]
struct Asking {
    instance: SmolStr,
    until: Moment,
    verdict: Verdict,
    /// What the kubelet says if it is not good.
    complaint: String,
    attempts: u32,
}

/// The probes of the pod, and their results.
#[derive(Debug)]
pub(super) struct Prober {
    kubelet_started: Moment,
    kubelet: u32,
    workers: Vec<Worker>,
    /// The context of the sync that made the workers was cancelled.
    cancelled: bool,
    results: BTreeMap<(u8, SmolStr), ProbeResult>,
}

/// What came of a step.
#[derive(Debug, Default)]
pub(super) struct Probed {
    /// The pod is to be synced.
    pub(super) sync: bool,
    /// What the status manager is told: results of startup and readiness probes.
    pub(super) results: Vec<(ProbeKind, SmolStr, ProbeResult)>,
    /// What was asked.
    pub(super) entries: Vec<Entry>,
}

impl Prober {
    pub(super) fn new(kubelet_started: Moment, kubelet: u32) -> Self {
        Self {
            kubelet_started,
            kubelet,
            workers: Vec::new(),
            cancelled: false,
            results: BTreeMap::new(),
        }
    }

    /// The pod is to be stopped, which cancels the context of its syncs. Its probe workers have it
    /// too: from now on commands fail before they have begun.
    pub(super) fn cancel(&mut self, now: Moment) {
        self.cancelled = true;
        for worker in &mut self.workers {
            if let Some(asking) =
                worker.asking.as_mut().filter(|_| worker.question.way == Way::Exec)
            {
                asking.until = now;
                asking.verdict = Verdict::Unanswered;
                asking.complaint = CANCELLED.to_owned();
            }
        }
    }

    /// Whether a probe of a container has a worker.
    pub(super) fn has_worker(&self, kind: ProbeKind, container: ContainerIndex) -> bool {
        let same = |worker: &Worker| worker.kind == kind && worker.container == container;
        self.workers.iter().any(same)
    }

    pub(super) fn result(&self, kind: ProbeKind, instance: &SmolStr) -> Option<ProbeResult> {
        self.results.get(&(kind as u8, instance.clone())).copied()
    }

    /// `AddPod`: workers for the probes that have none. It stops at the first that has one.
    pub(super) fn add_pod(
        &mut self,
        pod: &PodSpec,
        object: &Value,
        draws: &dyn Draws,
        now: Moment,
    ) {
        for index in pod.app_containers().chain(pod.init_containers()) {
            let container = pod.container(index);
            if container.kind() == ContainerKind::Init {
                continue;
            }
            let declared = declared(object, container.name());
            for (kind, probe, field) in [
                (ProbeKind::Startup, container.startup_probe(), "startupProbe"),
                (ProbeKind::Readiness, container.readiness_probe(), "readinessProbe"),
                (ProbeKind::Liveness, container.liveness_probe(), "livenessProbe"),
            ] {
                let Some(probe) = probe else { continue };
                let same = |worker: &Worker| worker.kind == kind && worker.container == index;
                if self.workers.iter().any(same) {
                    return;
                }
                let Some(question) = Question::of(&declared[field], declared) else { continue };
                let period = period(probe);
                // A prober that is younger than a period begins at a random moment of it.
                let next = if period > now.since(self.kubelet_started) {
                    let (name, line) = (container.name(), &question.line);
                    let turn = draws.first_turn(name, line, self.kubelet, now, period);
                    turn.map_or(now + period / 2, |turn| first_of_phase(now, period, turn))
                } else {
                    now
                };
                self.workers.push(Worker {
                    kind,
                    container: index,
                    probe: *probe,
                    question,
                    next,
                    triggered: false,
                    asleep: true,
                    instance: None,
                    on_hold: false,
                    last: None,
                    in_a_row: 0,
                    told_to_stop: false,
                    asking: None,
                });
            }
        }
    }

    /// `StopLivenessAndStartup`: of the app containers alone.
    pub(super) fn stop_liveness_and_startup(&mut self, pod: &PodSpec, now: Moment) {
        for worker in &mut self.workers {
            let is_app = pod.container(worker.container).kind() == ContainerKind::App;
            if worker.kind != ProbeKind::Readiness && is_app {
                worker.told_to_stop = true;
                worker.next = now;
            }
        }
    }

    /// `RemovePod`.
    pub(super) fn remove_pod(&mut self) {
        self.workers.clear();
        self.results.clear();
    }

    /// What `UpdatePodStatus` does beside: containers that have started and are not ready are
    /// probed for readiness at once.
    pub(super) fn trigger_readiness(&mut self, pod: &PodSpec, status: &PodStatus) {
        for worker in &mut self.workers {
            if worker.kind != ProbeKind::Readiness {
                continue;
            }
            let Some(found) = find(status, pod.container(worker.container).name()) else {
                continue;
            };
            let key = (ProbeKind::Readiness as u8, found.container_id.clone());
            let ready = self.results.get(&key) == Some(&ProbeResult::Success);
            if found.state.running.is_some() && found.started == Some(true) && !ready {
                worker.triggered = true;
            }
        }
    }

    pub(super) fn next(&self, runtime: &Runtime, now: Moment) -> Moment {
        let due = |worker: &Worker| match &worker.asking {
            // An answer is cut off by the end of the container.
            Some(asking) if !runs(runtime, &asking.instance) => now,
            Some(asking) => asking.until,
            None if worker.triggered && !worker.asleep => now,
            None => worker.next,
        };
        self.workers.iter().map(due).min().unwrap_or(Moment::NEVER)
    }

    /// Whether a probe is due that is drawn to be first. Where a relist comes at the same moment, it is
    /// chance which goroutine is.
    pub(super) fn is_due_first(
        &self,
        pod: &PodSpec,
        runtime: &Runtime,
        draws: &dyn Draws,
        now: Moment,
    ) -> bool {
        self.workers.iter().any(|worker| {
            let name = pod.container(worker.container).name();
            let due = worker.asking.is_none() && worker.next <= now;
            let instance = worker.instance.as_ref().and_then(|id| runtime.now.container(id));
            due && instance.is_some_and(|instance| {
                draws.probes_first(name, instance.attempt, &worker.question.line, now)
            })
        })
    }

    /// Takes one step, if one is due.
    pub(super) fn step(&mut self, around: &Surroundings<'_>) -> Option<Probed> {
        let now = around.now;
        let answered = |worker: &Worker| {
            let asking = worker.asking.as_ref();
            asking.is_some_and(|asking| {
                asking.until <= now || !runs(around.runtime, &asking.instance)
            })
        };
        let position = |which: &dyn Fn(&Worker) -> bool| match around.ties.last_probes_first {
            false => self.workers.iter().position(which),
            true => self.workers.iter().rposition(which),
        };
        if let Some(index) = position(&answered) {
            return self.answered(index, around);
        }
        let due = |worker: &Worker| {
            let woken = worker.triggered && !worker.asleep;
            worker.asking.is_none() && (woken || worker.next <= now)
        };
        let index = position(&due)?;
        let worker = &mut self.workers[index];
        if worker.told_to_stop {
            self.end_worker(index);
            return Some(Probed::default());
        }
        let period = period(&worker.probe);
        if core::mem::take(&mut worker.asleep) {
            worker.next = now + period;
        } else if worker.triggered {
            worker.triggered = false;
            worker.next = now + period;
        } else {
            worker.next = now.next(period, worker.next);
        }
        let mut probed = Probed::default();
        if !self.probe(index, around, &mut probed) {
            self.end_worker(index);
        }
        Some(probed)
    }

    /// A worker ends, and its result is forgotten.
    fn end_worker(&mut self, index: usize) {
        let worker = self.workers.remove(index);
        if let Some(instance) = worker.instance {
            self.results.remove(&(worker.kind as u8, instance));
        }
    }

    fn set(
        &mut self,
        kind: ProbeKind,
        instance: &SmolStr,
        result: ProbeResult,
        probed: &mut Probed,
    ) {
        let before = self.results.insert((kind as u8, instance.clone()), result);
        // Of liveness only failures are of interest.
        let matters = kind != ProbeKind::Liveness || result == ProbeResult::Failure;
        if before != Some(result) && matters {
            probed.sync = true;
            probed.results.push((kind, instance.clone(), result));
        }
    }

    /// `doProbe`, to the point where somebody is asked. Says whether the worker goes on.
    fn probe(&mut self, index: usize, around: &Surroundings<'_>, probed: &mut Probed) -> bool {
        let Surroundings { pod, status, now, .. } = *around;
        if status.phase.is_terminal() {
            return false;
        }
        let (kind, container) = (self.workers[index].kind, self.workers[index].container);
        let container = pod.container(container);
        let Some(found) = find(status, container.name()) else { return true };
        let id = found.container_id.clone();
        if self.workers[index].instance.as_ref() != Some(&id) {
            if let Some(before) = self.workers[index].instance.replace(id.clone()) {
                self.results.remove(&(kind as u8, before));
            }
            let started_at = found.state.running.as_ref().and_then(|running| running.started_at);
            let line = (self.kubelet_started.timestamp()) - RESTART_GRACE;
            let ran_before = started_at.is_some_and(|started_at| started_at < line);
            let sidecar = container.is_restartable_init_container();
            if kind == ProbeKind::Startup && sidecar && found.started == Some(true) {
                self.set(kind, &id, ProbeResult::Success, probed);
            }
            if !ran_before {
                let initial = match kind {
                    ProbeKind::Startup => ProbeResult::Unknown,
                    ProbeKind::Readiness => ProbeResult::Failure,
                    ProbeKind::Liveness => ProbeResult::Success,
                };
                self.set(kind, &id, initial, probed);
            }
            self.workers[index].on_hold = false;
        }
        if self.workers[index].on_hold {
            return true;
        }
        let Some(running) = &found.state.running else {
            self.set(kind, &id, ProbeResult::Failure, probed);
            let Some(terminated) = &found.state.terminated else { return true };
            return will_restart(pod, container, terminated.exit_code, status);
        };
        // That the pod is to be deleted would end liveness and startup probes here, but a worker
        // knows only the pod that it was made for.
        let worker = &mut self.workers[index];
        let since = running
            .started_at
            .map_or(Duration::ZERO, |at| now.timestamp().saturating_duration_since(at));
        if since.as_secs() < u64::try_from(worker.probe.initial_delay_seconds).unwrap_or(0) {
            return true;
        }
        if (found.started == Some(true)) == (kind == ProbeKind::Startup) {
            return true;
        }
        let cancelled = self.cancelled;
        let entries = &mut probed.entries;
        worker.asking = ask(worker, container.name(), &id, around, (1, cancelled), entries);
        true
    }

    /// The answer has come.
    fn answered(&mut self, index: usize, around: &Surroundings<'_>) -> Option<Probed> {
        let mut probed = Probed::default();
        let worker = self.workers.get_mut(index)?;
        let asking = worker.asking.take()?;
        // A command that is cut off by the end of its container fails; so does a connection.
        let cut_off = !runs(around.runtime, &asking.instance) && asking.until > around.now;
        let (verdict, complaint) = match asking.verdict {
            Verdict::Good | Verdict::Bad if cut_off => {
                (Verdict::Bad, worker.question.complaint(None, around.host))
            }
            verdict => (verdict, asking.complaint),
        };
        let word = match worker.kind {
            ProbeKind::Startup => "Startup",
            ProbeKind::Readiness => "Readiness",
            ProbeKind::Liveness => "Liveness",
        };
        let container = worker.container;
        let good = match verdict {
            Verdict::Good => true,
            Verdict::Bad => {
                let message = format!("{word} probe failed: {complaint}");
                probed.entries.push(unhealthy(around, container, message));
                false
            }
            Verdict::Unanswered => {
                if asking.attempts < MAX_ATTEMPTS {
                    let name = around.pod.container(container).name();
                    let attempt = asking.attempts + 1;
                    let entries = &mut probed.entries;
                    let how = (attempt, self.cancelled);
                    worker.asking = ask(worker, name, &asking.instance, around, how, entries);
                } else {
                    let message =
                        format!("{word} probe errored and resulted in unknown state: {complaint}");
                    probed.entries.push(unhealthy(around, container, message));
                }
                return Some(probed);
            }
        };
        worker.in_a_row = if worker.last == Some(good) { worker.in_a_row + 1 } else { 1 };
        worker.last = Some(good);
        let (threshold, result) = if good {
            (worker.probe.success_threshold, ProbeResult::Success)
        } else {
            (worker.probe.failure_threshold, ProbeResult::Failure)
        };
        if worker.in_a_row < threshold {
            return Some(probed);
        }
        let kind = worker.kind;
        if kind == ProbeKind::Startup || (kind == ProbeKind::Liveness && !good) {
            worker.on_hold = true;
            worker.in_a_row = 0;
        }
        self.set(kind, &asking.instance, result, &mut probed);
        Some(probed)
    }
}

/// Asks a container.
fn ask(
    worker: &Worker,
    name: &SmolStr,
    instance: &SmolStr,
    around: &Surroundings<'_>,
    (attempts, cancelled): (u32, bool),
    entries: &mut Vec<Entry>,
) -> Option<Asking> {
    let now = around.now;
    let question = &worker.question;
    let is_exec = question.way == Way::Exec;
    let target = around.runtime.now.container(instance);
    let sandbox = target.and_then(|target| around.runtime.now.sandbox(&target.sandbox_id));
    let reached = is_exec || sandbox.is_some_and(|sandbox| sandbox.ready);
    let Some(target) = target.filter(|_| reached) else {
        // A request over the network reaches nobody.
        let complaint = question.complaint(None, around.host);
        let refused = Asking {
            instance: instance.clone(),
            until: now,
            verdict: Verdict::Bad,
            complaint,
            attempts,
        };
        return (!is_exec).then_some(refused);
    };
    let mut entry = Entry {
        t: now,
        kind: if is_exec { Kind::Call } else { Kind::Probe },
        op: if is_exec { "ExecSync".into() } else { question.way.word().into() },
        container: name.to_string(),
        attempt: Some(target.attempt),
        message: question.line.clone(),
        ..Entry::default()
    };
    let limit =
        Duration::from_secs(u64::try_from(worker.probe.timeout_seconds.max(1)).unwrap_or(1));
    let failed = |error: &str| format!("rpc error: code = Unknown desc = {error}");
    let (takes, verdict, complaint) = if target.is_running() {
        let answer = target.answer(&question.line, now);
        entry.exit_code = Some(answer.exit_code);
        let (mut takes, mut verdict) = question.judge(&answer, Some(limit));
        if cancelled && is_exec {
            (takes, verdict) = (Duration::ZERO, Verdict::Unanswered);
        }
        let complaint = match (verdict, &answer.error) {
            _ if cancelled && is_exec => CANCELLED.to_owned(),
            (Verdict::Unanswered, Some(error)) => failed(error),
            _ => question.complaint(Some(&answer), around.host),
        };
        (takes, verdict, complaint)
    } else if is_exec {
        // A command cannot be run at all.
        let state = "failed to exec in container: container is in CONTAINER_EXITED state";
        (Duration::ZERO, Verdict::Unanswered, failed(state))
    } else {
        // Over the network nobody listens.
        (Duration::ZERO, Verdict::Bad, question.complaint(None, around.host))
    };
    entries.push(entry);
    Some(Asking { instance: instance.clone(), until: now + takes, verdict, complaint, attempts })
}

/// The event of a probe that is not good.
fn unhealthy(around: &Surroundings<'_>, container: ContainerIndex, message: String) -> Entry {
    let event = Event::warning("Unhealthy", message).about(container);
    let field_path = event.field_path(around.pod).map(|path| path.to_string());
    Entry {
        kind: Kind::Event,
        event_type: event.kind.as_str().into(),
        reason: event.reason.to_string(),
        message: event.message.to_string(),
        field_path: field_path.unwrap_or_default(),
        ..Entry::default()
    }
}

fn runs(runtime: &Runtime, id: &str) -> bool {
    runtime.now.container(id).is_some_and(|container| container.state == State::Running)
}

fn period(probe: &Probe) -> Duration {
    Duration::from_secs(u64::try_from(probe.period_seconds.max(1)).unwrap_or(1))
}

/// The first moment from `now` on that lies whole periods from `seen`.
fn first_of_phase(now: Moment, period: Duration, seen: Moment) -> Moment {
    Moment::from_micros(now.as_micros() - 1).next(period, seen)
}

/// The container's status, once it has an instance.
fn find<'a>(status: &'a PodStatus, name: &str) -> Option<&'a ContainerStatus> {
    let statuses = status.container_statuses.iter().chain(&status.init_container_statuses);
    statuses.into_iter().find(|found| found.name == name && !found.container_id.is_empty())
}

/// Whether a container that has ended with this code runs again, as its probes see it
/// (`ContainerShouldRestart`, `ShouldAllContainersRestart`).
fn will_restart(pod: &PodSpec, container: &Container, exit_code: i32, status: &PodStatus) -> bool {
    restart_verdict(pod, container, exit_code).0
        || restarting_all_containers(pod, &Observation::new(), status)
}

/// A container as the manifest declares it.
pub(crate) fn declared<'a>(object: &'a Value, name: &str) -> &'a Value {
    const NOTHING: &Value = &Value::Null;
    ["initContainers", "containers", "ephemeralContainers"]
        .into_iter()
        .flat_map(|list| object["spec"][list].as_array().into_iter().flatten())
        .find(|container| container["name"] == name)
        .unwrap_or(NOTHING)
}

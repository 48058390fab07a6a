//! `podinit diagnose`.

use std::time::{Duration, SystemTime};

use podinit::kubectl::{HumanDuration, columns};
use podinit::observation::{ContainerInstance, Exit, InstanceState, ProbeResult, Sandbox};
use podinit::scenario::GoDuration;
use podinit::status::{ContainerStatus, PodStatus, condition_type};
use podinit::testing::check_statuses;
use podinit::{
    ActionContext, Observation, PodPhase, PodSpec, Timestamp, compute_pod_actions, explain,
};

use crate::Verdict;
use crate::failure::Failure;
use crate::input::{Files, Subject};
use crate::output::Out;
use crate::rules::Rules;

#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    files: Files,
    /// The time to judge from, such as 2026-11-26T08:00:00Z [default: now].
    #[arg(long, value_name = "TIME")]
    now: Option<Timestamp>,
    #[command(flatten)]
    rules: Rules,
}

pub fn run(options: &Options, out: &mut Out) -> Result<Verdict, Failure> {
    let gates = options.rules.gates()?;
    let mut verdict = Verdict::Fine;
    for (position, subject) in options.files.pods()?.iter().enumerate() {
        if position > 0 {
            out.line("")?;
        }
        let name = subject.pod.metadata.name.as_deref().unwrap_or("pod");
        let Some(api) = &subject.pod.status else {
            return Err(subject.failure(format_args!(
                "pod {name} has no status: give what `kubectl get pod {name} -o yaml` prints"
            )));
        };
        let spec = PodSpec::compile_unchecked(&subject.pod, gates)
            .map_err(|error| subject.failure(error))?;
        let status = PodStatus::try_from(api).map_err(|error| subject.failure(error))?;
        let now = options.now.unwrap_or_else(clock);
        let diagnosis = Diagnosis { subject, spec: &spec, status: &status, now };
        for line in diagnosis.lines() {
            out.line(line)?;
        }
        if let Err(found) = check_statuses(&spec, std::slice::from_ref(&subject.pod)) {
            out.line(format_args!(
                "No kubelet of {} wrote this status: {found}",
                options.rules.kubernetes
            ))?;
            verdict = Verdict::Findings;
        }
        if diagnosis.is_stuck() {
            verdict = Verdict::Findings;
        }
    }
    Ok(verdict)
}

/// The time of this machine.
fn clock() -> Timestamp {
    #[allow(clippy::disallowed_methods, reason = "how old a live pod is depends on the time")]
    Timestamp::from(SystemTime::now())
}

struct Diagnosis<'a> {
    subject: &'a Subject,
    spec: &'a PodSpec,
    status: &'a PodStatus,
    now: Timestamp,
}

impl Diagnosis<'_> {
    fn is_over(&self) -> bool {
        matches!(self.status.phase, PodPhase::Succeeded | PodPhase::Failed)
    }

    /// Does something go wrong, so that the pod does not come further by itself?
    fn is_stuck(&self) -> bool {
        self.status.phase == PodPhase::Failed
            || self.containers().any(|status| {
                let waiting = status.state.waiting.as_ref();
                waiting.is_some_and(|waiting| is_trouble(&waiting.reason))
            })
    }

    fn containers(&self) -> impl Iterator<Item = &ContainerStatus> {
        let status = self.status;
        status.init_container_statuses.iter().chain(&status.container_statuses)
    }

    fn deletion(&self) -> Option<Timestamp> {
        let deleted = self.subject.pod.metadata.deletion_timestamp.as_ref()?;
        deleted.0.to_string().parse().ok()
    }

    fn since(&self, then: Option<Timestamp>) -> String {
        then.map_or_else(String::new, |then| {
            format!(", for {}", HumanDuration::between(then, self.now))
        })
    }

    fn until(&self, then: Timestamp) -> String {
        if then > self.now {
            format!("in {}", GoDuration(whole_seconds(then - self.now)))
        } else {
            format!("{} ago", HumanDuration::between(then, self.now))
        }
    }

    fn lines(&self) -> Vec<String> {
        let (pod, status) = (self.spec, self.status);
        let columns = columns(pod, status, self.deletion(), self.now);
        let name = &pod.identity().name;
        let age = self.since(status.start_time);
        let mut lines = vec![format!(
            "{name}: {} {}, phase {}{age}",
            columns.ready, columns.status, status.phase
        )];
        if !status.reason.is_empty() {
            lines.push(format!("  {}: {}", status.reason, status.message));
        }
        if let Some(scheduled) = status.condition(condition_type::POD_SCHEDULED)
            && !status.is_condition_true(condition_type::POD_SCHEDULED)
        {
            let (reason, message) = (&scheduled.reason, &scheduled.message);
            lines.push(format!("  has no node yet: {reason} {message}"));
            lines.push("  a node that fits would unblock it".to_owned());
            return lines;
        }
        for container in self.containers() {
            lines.extend(self.container(container));
        }
        lines.extend(self.deadlines());
        lines.extend(self.next());
        lines
    }

    /// What a container waits for, and what would unblock it.
    fn container(&self, status: &ContainerStatus) -> Vec<String> {
        let name = &status.name;
        let times = match status.restart_count {
            0 => String::new(),
            1 => ", restarted once".to_owned(),
            count => format!(", restarted {count} times"),
        };
        let mut lines = Vec::new();
        if let Some(ended) = &status.state.terminated {
            let (reason, code) = (&ended.reason, ended.exit_code);
            let since = self.since(ended.finished_at);
            lines.push(format!("  {name} has ended: {reason}, exit code {code}{since}{times}"));
        } else if let Some(running) = &status.state.running {
            let ready = if status.ready { "ready" } else { "not ready" };
            let since = self.since(running.started_at);
            lines.push(format!("  {name} runs, {ready}{since}{times}"));
            if !status.ready
                && let Some(what) = self.unready(status)
            {
                lines.push(format!("    {what}"));
            }
        } else {
            let waiting = status.state.waiting.clone().unwrap_or_default();
            let reason = if waiting.reason.is_empty() { "waiting" } else { &waiting.reason };
            lines.push(format!("  {name} waits: {reason}{times}"));
            if !waiting.message.is_empty() {
                lines.push(format!("    {}", waiting.message));
            }
            lines.extend(self.waiting(status, reason, &waiting.message));
        }
        lines
    }

    fn unready(&self, status: &ContainerStatus) -> Option<String> {
        let container = self.spec.container(self.spec.find(&status.name)?);
        if status.started == Some(false) && container.startup_probe().is_some() {
            return Some("its startup probe has not succeeded yet".to_owned());
        }
        container.readiness_probe().map(|_| "its readiness probe does not succeed".to_owned())
    }

    fn waiting(&self, status: &ContainerStatus, reason: &str, message: &str) -> Vec<String> {
        let mut lines = Vec::new();
        let ended = status.last_termination_state.terminated.as_ref();
        if let Some(ended) = ended {
            let (reason, code) = (&ended.reason, ended.exit_code);
            let since = self.since(ended.finished_at);
            lines.push(format!("    ended before: {reason}, exit code {code}{since}"));
            if reason == "OOMKilled" {
                lines.push("    it needs more memory than its limit allows".to_owned());
            }
        }
        if reason == "CrashLoopBackOff"
            && let Some(delay) = back_off(message)
            && let Some(finished) = ended.and_then(|ended| ended.finished_at)
        {
            lines.push(format!("    tried again {}", self.until(finished + delay)));
        }
        lines.extend(remedy(reason).map(|remedy| format!("    unblocked by: {remedy}")));
        lines
    }

    fn deadlines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let deadline = self.spec.active_deadline();
        if let (Some(deadline), Some(start)) = (deadline, self.status.start_time)
            && !self.is_over()
        {
            let at = self.until(start + deadline);
            lines.push(format!("  activeDeadlineSeconds: the pod fails {at}"));
        }
        if let Some(deletion) = self.deletion() {
            lines.push(format!("  deleted: killed at the latest {}", self.until(deletion)));
        }
        lines
    }

    /// What the kubelet does next, as far as the status tells what it sees.
    fn next(&self) -> Vec<String> {
        if self.is_over() {
            return vec!["  the kubelet does nothing more: the phase is final".to_owned()];
        }
        if self.deletion().is_some() {
            return vec!["  next: the kubelet stops what still runs".to_owned()];
        }
        let observation = self.observation();
        let actions = compute_pod_actions(self.spec, &observation, ActionContext::default());
        let explained = explain(self.spec, &actions);
        if explained.is_empty() {
            return vec!["  next: nothing to do until something changes".to_owned()];
        }
        explained.iter().map(|explanation| format!("  next: {explanation}")).collect()
    }

    /// What the kubelet must be seeing, by the status.
    fn observation(&self) -> Observation {
        const SANDBOX: &str = "sandbox";
        let mut observation = Observation::new();
        let any_started = self.containers().any(|status| status.state.waiting.is_none());
        let ready = self.status.is_condition_true(condition_type::POD_READY_TO_START_CONTAINERS);
        if ready || any_started {
            let mut sandbox = Sandbox::default();
            sandbox.id = SANDBOX.into();
            sandbox.ready = true;
            sandbox.has_ip = true;
            sandbox.host_network = self.spec.host_network();
            observation.push_sandbox(sandbox);
        }
        for status in self.containers() {
            let exited = |ended: &podinit::status::ContainerStateTerminated| {
                let mut exit = Exit::default();
                exit.exit_code = ended.exit_code;
                exit.reason = ended.reason.clone();
                exit.message = ended.message.clone();
                exit.finished_at = ended.finished_at;
                InstanceState::Exited(exit)
            };
            let state = match (&status.state.running, &status.state.terminated) {
                (Some(_), _) => Some(InstanceState::Running),
                (None, Some(ended)) => Some(exited(ended)),
                (None, None) => status.last_termination_state.terminated.as_ref().map(exited),
            };
            let Some(state) = state else { continue };
            let mut instance = ContainerInstance::new(&*status.container_id, SANDBOX, state);
            instance.restart_count = u32::try_from(status.restart_count).unwrap_or_default();
            instance.startup_probe =
                status.started.filter(|started| *started).map(|_| ProbeResult::Success);
            observation.push_named(self.spec, &status.name, instance);
        }
        observation
    }
}

fn whole_seconds(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs())
}

/// Reasons for which a container waits that do not pass by themselves.
fn is_trouble(reason: &str) -> bool {
    remedy(reason).is_some()
}

/// What would end such a wait.
fn remedy(reason: &str) -> Option<&'static str> {
    const REMEDIES: [(&str, &str); 9] = [
        (
            "CrashLoopBackOff",
            "a run that does not fail; see its log with `kubectl logs --previous`",
        ),
        ("ImagePullBackOff", "an image that can be pulled: its name, the registry, pull secrets"),
        ("ErrImagePull", "an image that can be pulled: its name, the registry, pull secrets"),
        ("ErrImageNeverPull", "the image on the node, or another imagePullPolicy"),
        ("InvalidImageName", "an image name that can be read"),
        ("CreateContainerConfigError", "the config map, secret or user that its definition names"),
        ("CreateContainerError", "what the runtime says is missing"),
        ("RunContainerError", "a command that the image has"),
        ("PostStartHookError", "a postStart hook that succeeds"),
    ];
    REMEDIES.iter().find(|(known, _)| *known == reason).map(|(_, remedy)| *remedy)
}

/// The delay that the message of a back-off names: `back-off 2m40s restarting failed …`.
fn back_off(message: &str) -> Option<Duration> {
    let text = message.strip_prefix("back-off ")?.split(' ').next()?;
    text.parse::<GoDuration>().ok().map(Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_of_a_back_off_is_read_from_its_message() {
        let message = "back-off 2m40s restarting failed container=app pod=web_default(1)";
        assert_eq!(back_off(message), Some(Duration::from_secs(160)));
        assert_eq!(back_off("Back-off pulling image"), None);
    }
}

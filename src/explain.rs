//! Why something is done, in words: the action, the facts it used, and the rule's place in the
//! kubelet.
//!
//! Each start and kill in [`PodActions`] carries its cause as a type;
//! [`explain()`] puts the causes of one decision in words.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::actions::{KillCause, KillPodCause, PodActions, SandboxChange, StartCause};
use crate::pod::{ContainerIndex, PodSpec};

/// One action of a decision, explained.
///
/// ```
/// use k8s_openapi::api::core::v1::Pod;
/// use podinit::{ActionContext, FeatureGates, Observation, PodSpec, compute_pod_actions, explain};
///
/// let pod: Pod = serde_json::from_value(serde_json::json!({
///     "metadata": {"name": "web"},
///     "spec": {"initContainers": [{"name": "migrate"}], "containers": [{"name": "app"}]},
/// }))?;
/// let pod = PodSpec::compile_unchecked(&pod, FeatureGates::default())?;
/// let actions = compute_pod_actions(&pod, &Observation::new(), ActionContext::default());
/// let lines: Vec<String> = explain(&pod, &actions).iter().map(ToString::to_string).collect();
/// assert_eq!(lines, [
///     "create sandbox, attempt 0: the pod has no sandbox",
///     "start migrate: it is the first to start in the new sandbox (the pod has no sandbox)",
/// ]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Explanation {
    /// What is done: `start migrate`.
    pub action: String,
    /// The container that it is done with, if it is one.
    pub container: Option<ContainerIndex>,
    /// Why: the facts that the rule used.
    pub cause: String,
    /// The rule's place in the kubelet, v1.36.2.
    pub rule: &'static str,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.action, self.cause)
    }
}

const FIRST_SANDBOX: KillPodCause = KillPodCause::NewSandbox(SandboxChange::Missing);

/// Every action of a decision with its cause, in the order in which they are carried out.
pub fn explain(pod: &PodSpec, actions: &PodActions) -> Vec<Explanation> {
    let mut explanations = Vec::new();
    // A pod that has no sandbox yet is stopped on paper only.
    let kill_pod = actions.kill_pod.filter(|cause| *cause != FIRST_SANDBOX);
    if let Some(cause) = kill_pod {
        explanations.push(Explanation {
            action: "stop all containers and the sandbox".into(),
            container: None,
            cause: kill_pod_cause(pod, cause),
            rule: kill_pod_rule(cause),
        });
    }
    for kill in &actions.containers_to_kill {
        explanations.push(Explanation {
            action: format!("kill {}", pod.container(kill.container).name()),
            container: Some(kill.container),
            cause: kill_cause(kill.cause).into(),
            rule: "computePodActions, computeInitContainerActions",
        });
    }
    for reset in &actions.containers_to_reset {
        let what = if reset.kill { "kill and remove" } else { "remove" };
        let cause = if reset.source {
            "its exit matches a rule RestartAllContainers"
        } else {
            "the pod is restarted in place"
        };
        explanations.push(Explanation {
            action: format!("{what} {}", pod.container(reset.container).name()),
            container: Some(reset.container),
            cause: cause.into(),
            rule: "computePodActions (ContainersToReset)",
        });
    }
    if actions.create_sandbox
        && let Some(KillPodCause::NewSandbox(change)) = actions.kill_pod
    {
        explanations.push(Explanation {
            action: format!("create sandbox, attempt {}", actions.attempt),
            container: None,
            cause: change.to_string(),
            rule: "PodSandboxChanged",
        });
    }
    let starts = actions.ephemeral_containers_to_start.iter().copied();
    let starts = starts.chain(actions.init_starts());
    for start in starts.chain(actions.containers_to_start.iter().copied()) {
        explanations.push(Explanation {
            action: format!("start {}", pod.container(start.container).name()),
            container: Some(start.container),
            cause: start_cause(pod, start.cause),
            rule: start_rule(start.cause),
        });
    }
    explanations
}

fn start_cause(pod: &PodSpec, cause: StartCause) -> String {
    let name = |index: ContainerIndex| pod.container(index).name();
    match cause {
        StartCause::NewSandbox(change) => {
            format!("it is the first to start in the new sandbox ({change})")
        }
        StartCause::FirstInitContainer => "no init container has a record yet".into(),
        StartCause::AfterSucceeded { previous } => format!("{} has succeeded", name(previous)),
        StartCause::AfterStarted { previous } => format!("{} has started", name(previous)),
        StartCause::Initialized => "the pod is initialised".into(),
        StartCause::Created => "it was created and never started".into(),
        StartCause::RecordMissing => {
            "its record is gone, and a restartable init container is kept running".into()
        }
        StartCause::Exited { exit_code, verdict } => {
            format!("it exited with {exit_code} and is restarted: {verdict}")
        }
        StartCause::Killed(cause) => format!("it is killed and replaced: {}", kill_cause(cause)),
        StartCause::Ephemeral => "it is an ephemeral container without a record".into(),
    }
}

const fn start_rule(cause: StartCause) -> &'static str {
    match cause {
        StartCause::NewSandbox(_) | StartCause::Ephemeral => "computePodActions",
        StartCause::FirstInitContainer
        | StartCause::AfterSucceeded { .. }
        | StartCause::AfterStarted { .. }
        | StartCause::RecordMissing => "computeInitContainerActions",
        StartCause::Initialized | StartCause::Created | StartCause::Exited { .. } => {
            "ShouldContainerBeRestarted"
        }
        StartCause::Killed(_) => "computePodActions, computeInitContainerActions",
    }
}

const fn kill_cause(cause: KillCause) -> &'static str {
    match cause {
        KillCause::DefinitionChanged => "its definition changed",
        KillCause::StartupProbeFailed => "its startup probe failed",
        KillCause::LivenessProbeFailed => "its liveness probe failed",
        KillCause::UnknownState => "its state is unknown",
    }
}

fn kill_pod_cause(pod: &PodSpec, cause: KillPodCause) -> String {
    let name = |index: ContainerIndex| pod.container(index).name();
    match cause {
        KillPodCause::NewSandbox(change) => change.to_string(),
        KillPodCause::NoSandboxUnderNever(change) => {
            format!("{change}, and under restartPolicy Never it is not replaced")
        }
        KillPodCause::NothingToStart(change) => {
            format!("{change}, and no app container is left to start")
        }
        KillPodCause::InitContainerFailed { container, exit_code, verdict } => {
            format!("{} exited with {exit_code} and is not restarted: {verdict}", name(container))
        }
        KillPodCause::InitContainerUnknown { container } => {
            format!("the state of {} is unknown, and it may not be restarted", name(container))
        }
        KillPodCause::NothingToKeep => "no app container runs or is to be started".into(),
    }
}

const fn kill_pod_rule(cause: KillPodCause) -> &'static str {
    match cause {
        KillPodCause::NewSandbox(_) => "PodSandboxChanged",
        KillPodCause::NoSandboxUnderNever(_)
        | KillPodCause::NothingToStart(_)
        | KillPodCause::NothingToKeep => "computePodActions",
        KillPodCause::InitContainerFailed { .. } | KillPodCause::InitContainerUnknown { .. } => {
            "computeInitContainerActions"
        }
    }
}

//! Is a container that ended started again?

use serde::{Deserialize, Serialize};

use core::fmt;

use crate::observation::{ContainerInstance, InstanceState};
use crate::pod::{
    Container, ContainerIndex, ContainerRestartPolicy, PodSpec, RestartPolicy, RestartRuleAction,
};
use crate::version::Feature;

/// What decided about a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum RestartVerdict {
    /// The first rule that matches the exit code, at this position.
    Rule(usize, RestartRuleAction),
    /// The container's own policy.
    ContainerPolicy(ContainerRestartPolicy),
    /// The pod's policy.
    PodPolicy(RestartPolicy),
    /// A restartable init container, restarted whatever its exit code.
    RestartableInitContainer,
    /// The pod is being deleted: nothing is restarted.
    Deletion,
}

impl fmt::Display for RestartVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(index, action) => write!(f, "restartPolicyRules[{index}] ({action:?})"),
            Self::ContainerPolicy(policy) => write!(f, "the container's restartPolicy {policy:?}"),
            Self::PodPolicy(policy) => write!(f, "the pod's restartPolicy {policy:?}"),
            Self::RestartableInitContainer => f.write_str("a restartable init container always is"),
            Self::Deletion => f.write_str("the pod is being deleted"),
        }
    }
}

/// The first of a container's rules that matches an exit code.
///
/// Rules count only beside a `restartPolicy` of the container's own.
fn first_matching_rule(
    container: &Container,
    exit_code: i32,
) -> Option<(usize, RestartRuleAction)> {
    container.restart_policy()?;
    let rules = container.restart_policy_rules();
    let index = rules.iter().position(|rule| rule.matches(exit_code))?;
    Some((index, rules[index].action))
}

/// Does this exit start a restart of the whole pod in place?
pub(crate) fn restarts_all_containers(
    pod: &PodSpec,
    container: &Container,
    exit_code: i32,
) -> bool {
    pod.can_restart_all_containers()
        && matches!(
            first_matching_rule(container, exit_code),
            Some((_, RestartRuleAction::RestartAllContainers))
        )
}

/// Is a container that exited with this code restarted, and what decides that?
///
/// The first matching rule, else the container's policy, else the pod's. A matching rule
/// `RestartAllContainers` whose gate is off does not count, and no later rule is asked.
///
/// Source: `podutil.ContainerShouldRestart`, `pkg/api/v1/pod/util.go`, v1.36.2.
pub fn restart_verdict(
    pod: &PodSpec,
    container: &Container,
    exit_code: i32,
) -> (bool, RestartVerdict) {
    if let Some((index, action)) = first_matching_rule(container, exit_code)
        && (action == RestartRuleAction::Restart
            || pod.enabled(Feature::RestartAllContainersOnContainerExits))
    {
        return (true, RestartVerdict::Rule(index, action));
    }
    match container.restart_policy() {
        Some(policy) => (policy.restarts_after(exit_code), RestartVerdict::ContainerPolicy(policy)),
        None => {
            let policy = pod.restart_policy();
            let restart = ContainerRestartPolicy::from(policy).restarts_after(exit_code);
            (restart, RestartVerdict::PodPolicy(policy))
        }
    }
}

/// The container's policy, or the pod's: what decides where exit codes and rules are not asked.
pub(crate) fn effective_policy(pod: &PodSpec, container: &Container) -> ContainerRestartPolicy {
    container.restart_policy().unwrap_or_else(|| pod.restart_policy().into())
}

/// What is to become of a container that does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum RestartDecision {
    /// It has no record, was only created, or is in an unknown state: it is started.
    Start,
    /// It is running: there is nothing to start.
    Running,
    /// It ended and is started again.
    Restart(RestartVerdict),
    /// It ended (or the pod is being deleted) and stays so.
    Stay(RestartVerdict),
}

impl RestartDecision {
    /// Is it to be started?
    pub const fn starts(self) -> bool {
        matches!(self, Self::Start | Self::Restart(_))
    }
}

/// Should a container be started (again), by the newest record of it?
///
/// Source: `kubecontainer.ShouldContainerBeRestarted`, `pkg/kubelet/container/helpers.go`, v1.36.2.
pub fn should_container_be_restarted(
    pod: &PodSpec,
    container: ContainerIndex,
    newest: Option<&ContainerInstance>,
    deletion_requested: bool,
) -> RestartDecision {
    if deletion_requested {
        return RestartDecision::Stay(RestartVerdict::Deletion);
    }
    match newest.map(|instance| &instance.state) {
        None | Some(InstanceState::Created | InstanceState::Unknown) => RestartDecision::Start,
        Some(InstanceState::Running) => RestartDecision::Running,
        Some(InstanceState::Exited(exit)) => {
            match restart_verdict(pod, pod.container(container), exit.exit_code) {
                (true, verdict) => RestartDecision::Restart(verdict),
                (false, verdict) => RestartDecision::Stay(verdict),
            }
        }
    }
}

/// Has a regular init container failed (`isInitContainerFailed`)? Killed for memory counts even
/// with exit code 0, and so does an unknown state.
pub(crate) fn is_init_container_failed(pod: &PodSpec, instance: &ContainerInstance) -> bool {
    match &instance.state {
        InstanceState::Exited(exit) => {
            !pod.extensions().ignore_init_failure
                && (exit.reason == "OOMKilled" || exit.exit_code != 0)
        }
        InstanceState::Unknown => true,
        InstanceState::Created | InstanceState::Running => false,
    }
}

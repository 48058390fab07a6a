//! Restart policies of pods and containers, and the rules by exit code.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// `spec.restartPolicy` of the pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_enums, reason = "Kubernetes has these and no others")]
pub enum RestartPolicy {
    /// Containers are restarted whenever they end.
    #[default]
    Always,
    /// Containers are restarted if they fail.
    OnFailure,
    /// Containers are not restarted.
    Never,
}

/// `restartPolicy` of one container. Same words as [`RestartPolicy`], another meaning: on an init
/// container, `Always` makes it restartable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_enums, reason = "Kubernetes has these and no others")]
pub enum ContainerRestartPolicy {
    /// Restarted whenever it ends.
    Always,
    /// Restarted if it fails.
    OnFailure,
    /// Not restarted.
    Never,
}

impl From<RestartPolicy> for ContainerRestartPolicy {
    fn from(policy: RestartPolicy) -> Self {
        match policy {
            RestartPolicy::Always => Self::Always,
            RestartPolicy::OnFailure => Self::OnFailure,
            RestartPolicy::Never => Self::Never,
        }
    }
}

impl ContainerRestartPolicy {
    /// Does the policy restart a container that exited with this code?
    pub const fn restarts_after(self, exit_code: i32) -> bool {
        match self {
            Self::Always => true,
            Self::OnFailure => exit_code != 0,
            Self::Never => false,
        }
    }
}

/// What a matching rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_enums, reason = "Kubernetes has these and no others")]
pub enum RestartRuleAction {
    /// The container is restarted.
    Restart,
    /// Every container of the pod is removed and the pod starts over in its sandbox.
    RestartAllContainers,
}

/// How a rule compares the exit code with its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_enums, reason = "Kubernetes has these and no others")]
pub enum ExitCodeOperator {
    /// The exit code is one of the values.
    In,
    /// The exit code is none of the values.
    NotIn,
}

/// One of a container's `restartPolicyRules`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RestartRule {
    /// What is done if the rule matches.
    pub action: RestartRuleAction,
    /// How the exit code is compared.
    pub operator: ExitCodeOperator,
    /// The exit codes.
    pub values: Vec<i32>,
}

impl RestartRule {
    /// Does the rule match this exit code?
    pub fn matches(&self, exit_code: i32) -> bool {
        match self.operator {
            ExitCodeOperator::In => self.values.contains(&exit_code),
            ExitCodeOperator::NotIn => !self.values.contains(&exit_code),
        }
    }
}

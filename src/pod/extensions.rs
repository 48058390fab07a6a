//! What Kubernetes does not have.

use serde::{Deserialize, Serialize};

/// Behaviour outside of Kubernetes, all of it off by default.
///
/// No kubelet acts so; nothing recorded is replayed with it.
///
/// ```
/// use podinit::{FeatureGates, PodPhase, PodSpec};
/// use podinit::pod::Extensions;
/// use podinit::sim::{ContainerScript, Run, Scenario, simulate};
///
/// let pod = serde_json::from_value(serde_json::json!({
///     "metadata": {"name": "web"},
///     "spec": {
///         "restartPolicy": "Never",
///         "initContainers": [{"name": "warm-cache", "image": "tools:1"}],
///         "containers": [{"name": "app", "image": "web:1"}],
///     },
/// }))?;
/// let mut extensions = Extensions::default();
/// extensions.ignore_init_failure = true;
/// let pod = PodSpec::compile(&pod, FeatureGates::default())?.with_extensions(extensions);
///
/// let fails = Run::ends(std::time::Duration::from_secs(1), 1);
/// let scenario = Scenario::default().script("warm-cache", ContainerScript::runs([fails]));
/// let timeline = simulate(&pod, &scenario);
/// assert_eq!(timeline.steps.last().map(|step| step.status.phase), Some(PodPhase::Running));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Extensions {
    /// A regular init container that has failed counts as done: it is not restarted, the next one
    /// starts, and the pod is not failed for it. Some articles claim a field
    /// `failurePolicy: Ignore` for this, which Kubernetes does not have. The columns of kubectl
    /// still show what kubectl would make of such a status.
    pub ignore_init_failure: bool,
}

//! How much grace there is, and who gave it.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::actions::KillCause;
use crate::pod::{ContainerIndex, PodSpec};
use crate::version::Change;

/// Every container gets this many seconds between SIGTERM and SIGKILL, whatever its grace
/// (`minimumGracePeriodInSeconds`).
pub const MINIMUM_GRACE_PERIOD_SECONDS: i64 = 2;

/// What is asked of a stop beside what the pod declares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "written out by callers, and complete")]
pub struct GraceRequest {
    /// `metadata.deletionGracePeriodSeconds`: the apiserver's word, if the pod is being deleted.
    pub deletion_grace_period_seconds: Option<i64>,
    /// The kubelet's own word: of the eviction manager, of a node that shuts down, of a restart in
    /// place, or the one that [`pod_grace_period`] settled on.
    pub override_seconds: Option<i64>,
}

/// Who gave a grace period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum GraceSource {
    /// `metadata.deletionGracePeriodSeconds`.
    Deletion,
    /// [`GraceRequest::override_seconds`].
    Override,
    /// `terminationGracePeriodSeconds` of the startup probe that failed.
    StartupProbe,
    /// `terminationGracePeriodSeconds` of the liveness probe that failed.
    LivenessProbe,
    /// `spec.terminationGracePeriodSeconds`.
    Spec,
    /// Nobody gave as much: a pod has one second at least.
    Minimum,
}

/// How long a stop may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GracePeriod {
    /// Whole seconds. Zero or less: there is no time for hooks and turns.
    pub seconds: i64,
    /// Who gave it.
    pub source: GraceSource,
}

impl GracePeriod {
    const fn new(seconds: i64, source: GraceSource) -> Self {
        Self { seconds, source }
    }
}

impl fmt::Display for GracePeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.seconds)
    }
}

/// The grace of a pod that is stopped for good; it then overrides that of every container
/// (`calculateEffectiveGracePeriod`, `pkg/kubelet/pod_workers.go`).
///
/// `current` is the grace in force since an earlier request to stop, if there was one. A request
/// can only shorten it. A stop that is under way keeps the grace that it began with; a shorter one
/// counts if that stop fails and is tried again, hooks included.
///
/// Since 1.31 a request for zero seconds gives one second; before, it counted as no request at all
/// and left the pod the grace of its spec (so it was with pods deleted by force). In every version
/// a request replaces a zero that came before it, even by more.
///
/// ```
/// use podinit::termination::{GraceRequest, GraceSource, pod_grace_period};
/// # use podinit::{FeatureGates, PodSpec};
/// # let pod = serde_json::from_value(serde_json::json!({
/// #     "spec": {"containers": [{"name": "web"}], "terminationGracePeriodSeconds": 60},
/// # }))?;
/// # let pod = PodSpec::compile_unchecked(&pod, FeatureGates::default())?;
/// let deleted = GraceRequest { deletion_grace_period_seconds: Some(30), ..Default::default() };
/// let grace = pod_grace_period(&pod, deleted, None);
/// assert_eq!((grace.seconds, grace.source), (30, GraceSource::Deletion));
///
/// let evicted = GraceRequest { override_seconds: Some(1), ..deleted };
/// assert_eq!(pod_grace_period(&pod, evicted, Some(grace)).seconds, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn pod_grace_period(
    pod: &PodSpec,
    request: GraceRequest,
    current: Option<GracePeriod>,
) -> GracePeriod {
    let requests = [
        (request.deletion_grace_period_seconds, GraceSource::Deletion),
        (request.override_seconds, GraceSource::Override),
    ];
    let of_spec = GracePeriod::new(pod.termination_grace_period_seconds(), GraceSource::Spec);
    let mut grace = current.unwrap_or(GracePeriod { seconds: 0, ..of_spec });
    let mut requested = false;
    for (seconds, source) in requests {
        let Some(seconds) = seconds else { continue };
        if grace.seconds == 0 || seconds < grace.seconds {
            grace = GracePeriod::new(seconds, source);
            requested = true;
        }
    }
    let zero_is_meant = requested && pod.gates().has(Change::ZeroGraceIsMeant);
    if grace.seconds == 0 && !zero_is_meant {
        grace = of_spec;
    }
    if grace.seconds < 1 { GracePeriod::new(1, GraceSource::Minimum) } else { grace }
}

/// The grace of one container that is killed, for `cause` or with its whole pod
/// (`setTerminationGracePeriod` and `killContainer`).
///
/// The override counts before everything else, the grace of a deletion before that of the spec and
/// of the probe that failed.
pub fn container_grace_period(
    pod: &PodSpec,
    container: ContainerIndex,
    cause: Option<KillCause>,
    request: GraceRequest,
) -> GracePeriod {
    if let Some(seconds) = request.override_seconds {
        return GracePeriod::new(seconds, GraceSource::Override);
    }
    if let Some(seconds) = request.deletion_grace_period_seconds {
        return GracePeriod::new(seconds, GraceSource::Deletion);
    }
    let container = pod.container(container);
    let (probe, source) = match cause {
        Some(KillCause::StartupProbeFailed) => {
            (container.startup_probe(), GraceSource::StartupProbe)
        }
        Some(KillCause::LivenessProbeFailed) => {
            (container.liveness_probe(), GraceSource::LivenessProbe)
        }
        _ => (None, GraceSource::Spec),
    };
    match probe.and_then(|probe| probe.termination_grace_period_seconds) {
        Some(seconds) => GracePeriod::new(seconds, source),
        None => GracePeriod::new(pod.termination_grace_period_seconds(), GraceSource::Spec),
    }
}

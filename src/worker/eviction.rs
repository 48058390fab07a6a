//! Pods that the kubelet stops by itself.

use core::time::Duration;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::event::Event;
use crate::pod::PodSpec;
use crate::status::{PodCondition, PodFailure, PodPhase, PodStatus, condition_type};
use crate::version::Feature;

/// A pod is stopped because its node cannot go on with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "written out by callers")]
pub struct Eviction {
    /// What the pod's status says.
    pub failure: PodFailure,
    /// The message of the condition `DisruptionTarget`; `None`: there is no such condition.
    pub disruption_message: Option<SmolStr>,
    /// The grace that the kubelet gives, if it is not the pod's own.
    pub grace_period_override_seconds: Option<i64>,
    /// A pod that has succeeded stays so.
    pub keeps_success: bool,
}

impl Eviction {
    /// The node is short of something (`Evicted`). A hard threshold gives 1 s of grace, a soft one
    /// the smaller of the node's maximum and the pod's own grace.
    ///
    /// Source: `pkg/kubelet/eviction/eviction_manager.go`, v1.36.2.
    pub fn evicted(
        message: impl Into<SmolStr>,
        grace_period_override_seconds: Option<i64>,
    ) -> Self {
        let message = message.into();
        Self {
            failure: PodFailure {
                reason: SmolStr::new_static("Evicted"),
                message: message.clone(),
            },
            disruption_message: Some(message),
            grace_period_override_seconds,
            keeps_success: false,
        }
    }

    /// A critical pod needs its place (`Preempting`).
    ///
    /// Source: `pkg/kubelet/preemption/preemption.go`, v1.36.2.
    pub fn preempted() -> Self {
        Self {
            failure: PodFailure {
                reason: SmolStr::new_static("Preempting"),
                message: SmolStr::new_static("Preempted in order to admit critical pod"),
            },
            disruption_message: Some(SmolStr::new_static(
                "Pod was preempted by Kubelet to accommodate a critical pod.",
            )),
            grace_period_override_seconds: None,
            keeps_success: false,
        }
    }

    /// The node shuts down (`Terminated`). The kubelet gives the grace of the pod's priority, and no
    /// more than the pod's own.
    ///
    /// Source: `pkg/kubelet/nodeshutdown/nodeshutdown_manager.go`, v1.36.2.
    pub fn node_shutdown(grace_period_override_seconds: i64) -> Self {
        let message =
            SmolStr::new_static("Pod was terminated in response to imminent node shutdown.");
        Self {
            failure: PodFailure {
                reason: SmolStr::new_static("Terminated"),
                message: message.clone(),
            },
            disruption_message: Some(message),
            grace_period_override_seconds: Some(grace_period_override_seconds),
            keeps_success: true,
        }
    }

    /// The event of the eviction, recorded before the pod is stopped: Evicted or Preempting. A node
    /// that shuts down tells its pods nothing.
    pub fn event(&self) -> Option<Event> {
        let message = self.failure.message.clone();
        match self.failure.reason.as_str() {
            "Evicted" => Some(Event::warning("Evicted", message)),
            "Preempting" => Some(Event::warning("Preempting", message)),
            _ => None,
        }
    }

    /// How long whoever has evicted the pod waits until it has stopped: half as long again as its
    /// grace, ten seconds at least. After that there is the event
    /// [`ExceededGracePeriod`](Event::exceeded_grace_period), and the stop goes on.
    ///
    /// Source: `killPodNow`, `pkg/kubelet/pod_workers.go`, v1.36.3.
    pub fn waits_for(&self, pod: &PodSpec) -> Duration {
        let grace = self.grace_period_override_seconds;
        let grace = grace.unwrap_or(pod.termination_grace_period_seconds());
        let grace = u64::try_from(grace).unwrap_or(0);
        // In whole seconds, as the kubelet reckons.
        Duration::from_secs(grace.saturating_add(grace / 2).max(10))
    }

    /// Writes it into a status that has been generated already; the conditions of readiness follow
    /// at the next one.
    pub(super) fn apply(&self, pod: &PodSpec, status: &mut PodStatus) {
        if !(self.keeps_success && status.phase == PodPhase::Succeeded) {
            status.phase = PodPhase::Failed;
        }
        status.reason = self.failure.reason.clone();
        status.message = self.failure.message.clone();
        let tells = pod.enabled(Feature::PodDisruptionConditions);
        let Some(message) = self.disruption_message.as_ref().filter(|_| tells) else { return };
        let disruption = PodCondition::new(condition_type::DISRUPTION_TARGET, true)
            .because("TerminationByKubelet", message.clone());
        let place = status
            .conditions
            .iter_mut()
            .find(|condition| condition.condition_type == disruption.condition_type);
        match place {
            Some(condition) => *condition = disruption,
            None => status.conditions.push(disruption),
        }
    }
}

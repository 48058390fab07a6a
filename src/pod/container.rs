//! One declared container.

use alloc::boxed::Box;
use core::hash::Hasher;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::restart::{ContainerRestartPolicy, RestartRule};
use crate::container::ContainerKind;
use crate::fnv::Fnv1a;

/// When an image is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_enums, reason = "Kubernetes has these and no others")]
pub enum ImagePullPolicy {
    /// At each start.
    Always,
    /// Only if the node does not have it.
    IfNotPresent,
    /// Never; an absent image is an error.
    Never,
}

/// What the crate needs to know of a probe. Running it is the caller's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Probe {
    /// `initialDelaySeconds`.
    pub initial_delay_seconds: i32,
    /// `periodSeconds`, 10 by default.
    pub period_seconds: i32,
    /// `timeoutSeconds`, 1 by default.
    pub timeout_seconds: i32,
    /// `successThreshold`, 1 by default.
    pub success_threshold: i32,
    /// `failureThreshold`, 3 by default.
    pub failure_threshold: i32,
    /// `terminationGracePeriodSeconds`: the grace of a container that is killed because this probe
    /// failed, instead of the pod's.
    pub termination_grace_period_seconds: Option<i64>,
}

/// A lifecycle hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum LifecycleHandler {
    /// `sleep`: lasts this many seconds.
    Sleep {
        /// How long.
        seconds: i64,
    },
    /// `exec`, `httpGet` or `tcpSocket`: how long it lasts is known to the one who runs it.
    Other,
}

/// One container of a compiled pod.
#[derive(Clone, Debug, PartialEq)]
pub struct Container {
    pub(super) name: SmolStr,
    pub(super) image: SmolStr,
    pub(super) kind: ContainerKind,
    pub(super) image_pull_policy: ImagePullPolicy,
    pub(super) restart_policy: Option<ContainerRestartPolicy>,
    pub(super) restart_policy_rules: Box<[RestartRule]>,
    pub(super) startup_probe: Option<Probe>,
    pub(super) liveness_probe: Option<Probe>,
    pub(super) readiness_probe: Option<Probe>,
    pub(super) post_start: Option<LifecycleHandler>,
    pub(super) pre_stop: Option<LifecycleHandler>,
    pub(super) definition_hash: u64,
    /// Over the resources, where they count for the crash-loop series.
    pub(super) resources_hash: u64,
}

impl Container {
    /// The container's name.
    pub fn name(&self) -> &SmolStr {
        &self.name
    }

    /// The image as the manifest names it.
    pub fn image(&self) -> &SmolStr {
        &self.image
    }

    /// Which list the container stands in.
    pub fn kind(&self) -> ContainerKind {
        self.kind
    }

    /// Is this a restartable init container (`podutil.IsRestartableInitContainer`)?
    #[doc(alias = "sidecar")]
    pub fn is_restartable_init_container(&self) -> bool {
        self.kind == ContainerKind::RestartableInit
    }

    /// When the image is pulled.
    pub fn image_pull_policy(&self) -> ImagePullPolicy {
        self.image_pull_policy
    }

    /// The container's own `restartPolicy`, if it has one and the gate
    /// [`ContainerRestartRules`](crate::Feature::ContainerRestartRules) is on. That an init
    /// container is restartable is told by [`Container::kind`], whatever the gate.
    pub fn restart_policy(&self) -> Option<ContainerRestartPolicy> {
        self.restart_policy
    }

    /// The container's `restartPolicyRules`; the first match decides.
    pub fn restart_policy_rules(&self) -> &[RestartRule] {
        &self.restart_policy_rules
    }

    /// `startupProbe`.
    pub fn startup_probe(&self) -> Option<&Probe> {
        self.startup_probe.as_ref()
    }

    /// `livenessProbe`.
    pub fn liveness_probe(&self) -> Option<&Probe> {
        self.liveness_probe.as_ref()
    }

    /// `readinessProbe`.
    pub fn readiness_probe(&self) -> Option<&Probe> {
        self.readiness_probe.as_ref()
    }

    /// `lifecycle.postStart`.
    pub fn post_start(&self) -> Option<LifecycleHandler> {
        self.post_start
    }

    /// `lifecycle.preStop`.
    pub fn pre_stop(&self) -> Option<LifecycleHandler> {
        self.pre_stop
    }

    /// Stands for the definition: an instance made with another hash is restarted with the new
    /// definition, if its kind is restarted for that at all.
    ///
    /// Name and image count, as in `HashContainer` since 1.31 (before, the whole container counts,
    /// of which only the image can change in a live pod). The numbers are this crate's own.
    pub fn definition_hash(&self) -> u64 {
        self.definition_hash
    }

    /// Stands for what a crash-loop series belongs to: differs whenever the kubelet would begin a
    /// new series for this container (image or, since 1.34, resources changed; `GetBackoffKey`).
    pub(crate) fn back_off_hash(&self) -> u64 {
        let mut hash = Fnv1a::default();
        hash.text(&self.image);
        hash.write_u64(self.resources_hash);
        hash.finish()
    }

    pub(super) fn set_image(&mut self, image: SmolStr) {
        self.definition_hash = definition_hash(&self.name, &image);
        self.image = image;
    }
}

pub(super) fn definition_hash(name: &str, image: &str) -> u64 {
    let mut hash = Fnv1a::default();
    hash.text(name);
    hash.text(image);
    hash.finish()
}

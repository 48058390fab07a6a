//! The one door for `v1.Pod`: what the apiserver makes of a pod before it looks at it.
//!
//! [`admit`] fills in the defaults of the API and drops the fields of features that are off, once.
//! From an [`Admitted`] pod everything else is made: [`Admitted::validate`] tells what the
//! apiserver would refuse, [`PodSpec::from_admitted`](crate::PodSpec::from_admitted) compiles the
//! lifecycle, [`Admitted::resources`] the amounts. [`PodSpec::compile`](crate::PodSpec::compile),
//! [`validate`](crate::validation::validate) and their kin go through this door themselves.

pub mod defaults;
mod dropped;

use alloc::sync::Arc;

use k8s_openapi::api::core::v1;

use crate::resources::{PodResources, ResourcesError, default_pod_level};
use crate::version::{Feature, FeatureGates};
use crate::workload::Workload;

/// A pod as it stands before the apiserver validates it: with the defaults of the API, and without
/// the fields of features that are off.
///
/// ```
/// use k8s_openapi::api::core::v1;
/// use podinit::admission::admit;
/// use podinit::{FeatureGates, KubernetesVersion, PodSpec};
///
/// let pod: v1::Pod = serde_json::from_value(serde_json::json!({
///     "metadata": {"name": "web"},
///     "spec": {
///         "initContainers": [{"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"}],
///         "containers": [{"name": "app", "image": "web:1"}],
///     },
/// }))?;
///
/// // In 1.28 the gate for sidecars is off, and the apiserver drops the field without a word.
/// let admitted = admit(&pod, &KubernetesVersion::V1_28.feature_gates());
/// admitted.validate()?;
/// assert!(!PodSpec::from_admitted(&admitted)?.has_restartable_init_container());
///
/// let admitted = admit(&pod, &FeatureGates::default());
/// assert!(PodSpec::from_admitted(&admitted)?.has_restartable_init_container());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Admitted {
    pod: Arc<v1::Pod>,
    gates: FeatureGates,
}

impl Admitted {
    /// The pod with its defaults. It has a spec, be it an empty one.
    pub fn pod(&self) -> &v1::Pod {
        &self.pod
    }

    /// The pod with its defaults, to keep.
    pub fn into_pod(self) -> v1::Pod {
        Arc::unwrap_or_clone(self.pod)
    }

    /// The pod with its defaults, shared.
    pub(crate) fn shared(&self) -> Arc<v1::Pod> {
        Arc::clone(&self.pod)
    }

    /// The gates with which it was admitted.
    pub const fn gates(&self) -> FeatureGates {
        self.gates
    }

    /// The requests and limits of the pod, those of its status included.
    ///
    /// # Errors
    /// For text that is no quantity, and for amounts that cannot be added up in 128 bits.
    pub fn resources(&self) -> Result<PodResources, ResourcesError> {
        PodResources::compile(&self.pod, self.gates)
    }
}

/// A workload as it stands before the apiserver validates it (`DropDisabledTemplateFields`).
pub(crate) fn admit_workload(workload: &Workload, gates: FeatureGates) -> Workload {
    let mut workload = workload.clone();
    defaults::apply_to_workload(&mut workload, gates);
    if let Some(spec) = workload.template_mut().and_then(|template| template.spec.as_mut()) {
        dropped::drop_disabled_fields(spec, gates);
    }
    workload
}

/// Lets a pod in: fills in the defaults of the API, and drops the fields of features that are off.
///
/// Nothing is refused here, see [`Admitted::validate`]. Admitting twice changes nothing more.
///
/// Source: `SetObjectDefaults_Pod` and `Convert_v1_Pod_To_core_Pod` (`pkg/apis/core/v1`), and
/// `podutil.DropDisabledPodFields` (`pkg/api/pod/util.go`); since 1.37 `DefaultPodLevelResources` there.
pub fn admit(pod: &v1::Pod, gates: &FeatureGates) -> Admitted {
    let gates = *gates;
    let mut pod = decode(pod, gates);
    if gates.enabled(Feature::PodLevelResourcesFixDefaulting) {
        // What is no quantity leaves the pod's own amounts as they are, and is told by validation.
        let _ = default_pod_level(pod.spec.get_or_insert_default(), gates);
    }
    Admitted { pod: Arc::new(pod), gates }
}

/// A pod as the apiserver reads it, be it a new one or the body of an update.
pub(crate) fn decode(pod: &v1::Pod, gates: FeatureGates) -> v1::Pod {
    let mut pod = pod.clone();
    // A pod without a spec is one with an empty spec.
    dropped::drop_disabled_fields(pod.spec.get_or_insert_default(), gates);
    defaults::apply(&mut pod, gates);
    let spec = pod.spec.get_or_insert_default();
    if let Some(grace) = spec.termination_grace_period_seconds.as_mut().filter(|grace| **grace < 0)
    {
        // Of a pod, not of a template (`Convert_v1_Pod_To_core_Pod`).
        *grace = 1;
    }
    pod
}

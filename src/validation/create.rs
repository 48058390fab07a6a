//! A new pod (`ValidatePodCreate`).

use k8s_openapi::api::core::v1;

use super::field::{Errors, Path, ValidationErrors};
use super::{containers, metadata, names, security, spec};
use crate::admission::{Admitted, admit};
use crate::version::FeatureGates;

pub(super) static SPEC: Path<'static> = Path::Root("spec");

/// Checks a pod that is to be created, as the apiserver does after it has filled in its defaults.
///
/// # Errors
/// All errors at once, see [`ValidationErrors`].
///
/// ```
/// use k8s_openapi::api::core::v1;
/// use podinit::{FeatureGates, validation::validate};
///
/// let pod: v1::Pod = serde_json::from_str(
///     r#"{"metadata": {"name": "web"}, "spec": {
///         "initContainers": [{"name": "setup", "image": "busybox", "livenessProbe": {}}],
///         "containers": [{"name": "Web", "image": "web"}]
///     }}"#,
/// )?;
/// let errors = validate(&pod, FeatureGates::default()).unwrap_err();
/// let fields: Vec<&str> = errors.errors().iter().map(|error| error.field.as_str()).collect();
/// assert_eq!(fields, ["spec.containers[0].name", "spec.initContainers[0].livenessProbe"]);
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn validate(pod: &v1::Pod, gates: FeatureGates) -> Result<(), ValidationErrors> {
    admit(pod, &gates).validate()
}

impl Admitted {
    /// Checks the pod as the apiserver does when it is to be created.
    ///
    /// # Errors
    /// All errors at once, see [`ValidationErrors`].
    pub fn validate(&self) -> Result<(), ValidationErrors> {
        let (pod, gates) = (self.pod(), self.gates());
        let mut errors = Errors::new(gates);
        validate_pod(pod, gates, &mut errors);
        if let Some(spec) = &pod.spec {
            if spec.ephemeral_containers.as_ref().is_some_and(|list| !list.is_empty()) {
                errors.forbidden(&SPEC.child("ephemeralContainers"), "cannot be set on create");
            }
            let node = spec.node_name.as_deref().unwrap_or_default();
            let gated = spec.scheduling_gates.as_ref().is_some_and(|set| !set.is_empty());
            if !node.is_empty() && gated {
                errors.forbidden(
                    &SPEC.child("nodeName"),
                    "cannot be set until all schedulingGates have been cleared",
                );
            }
            let annotations = pod.metadata.annotations.as_ref();
            security::validate_seccomp_match(annotations, spec, &SPEC, &mut errors);
        }
        errors.into_result()
    }
}

/// What holds for new pods and for updated ones alike (`validatePodMetadataAndSpec`).
pub(super) fn validate_pod(pod: &v1::Pod, gates: FeatureGates, errors: &mut Errors) {
    metadata::validate(&pod.metadata, names::dns_subdomain, errors);
    let Some(spec) = &pod.spec else { return };
    let annotations = Path::Root("metadata.annotations");
    metadata::validate_annotations(pod.metadata.annotations.as_ref(), spec, &annotations, errors);
    spec::validate(spec, Some(&pod.metadata), &SPEC, gates, errors);
    // What only a pod must keep to, not a template.
    let account = [&spec.service_account_name, &spec.service_account];
    if account.into_iter().flatten().all(|name| name.is_empty()) {
        forbid_tokens(spec, errors);
    }
    containers::validate_image_blanks(&spec.containers, &SPEC.child("containers"), errors);
    let init_containers = spec.init_containers.as_deref().unwrap_or_default();
    containers::validate_image_blanks(init_containers, &SPEC.child("initContainers"), errors);
}

/// A token is one of an account.
fn forbid_tokens(spec: &v1::PodSpec, errors: &mut Errors) {
    let list = SPEC.child("volumes");
    for (index, volume) in spec.volumes.iter().flatten().enumerate() {
        let (volume_path, projected) = (list.index(index), volume.projected.as_ref());
        let projected_path = volume_path.child("projected");
        let sources = projected_path.child("sources");
        let all = projected.and_then(|projected| projected.sources.as_ref());
        for (index, source) in all.into_iter().flatten().enumerate() {
            if source.service_account_token.is_some() {
                errors.forbidden(
                    &sources.index(index).child("serviceAccountToken"),
                    "must not be specified when serviceAccountName is not set",
                );
            }
        }
    }
}

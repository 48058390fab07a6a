//! A new pod (`ValidatePodCreate`, `ValidatePodSpec`).

use alloc::collections::BTreeSet;

use k8s_openapi::api::core::v1;

use super::containers::{self, Containers};
use super::field::{Errors, Path, ValidationErrors};
use super::{names, ports, resources};
use crate::admission::{Admitted, admit};
use crate::version::FeatureGates;

pub(super) static SPEC: Path<'static> = Path::Root("spec");
/// The range of `activeDeadlineSeconds`, in words.
const DEADLINE_RANGE: &str = "must be between 1 and 2147483647, inclusive";

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
        let mut errors = Errors::default();
        validate_metadata(pod, &mut errors);
        if let Some(spec) = &pod.spec {
            validate_spec(spec, gates, &mut errors);
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
        }
        errors.into_result()
    }
}

/// The pod's name. Its namespace is given by the request where the pod names none.
fn validate_metadata(pod: &v1::Pod, errors: &mut Errors) {
    let path = Path::Root("metadata");
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let prefix = pod.metadata.generate_name.as_deref().unwrap_or_default();
    if !prefix.is_empty() {
        // A generated name goes on where the prefix ends, which may thus be a hyphen.
        let masked = prefix.strip_suffix('-').unwrap_or(prefix);
        for breach in names::dns_subdomain(masked) {
            errors.invalid(&path.child("generateName"), prefix, breach);
        }
    }
    if name.is_empty() {
        if prefix.is_empty() {
            errors.required(&path.child("name"), "name or generateName is required");
        }
        return;
    }
    for breach in names::dns_subdomain(name) {
        errors.invalid(&path.child("name"), name, breach);
    }
}

/// What holds for the spec of new pods and of updated ones alike.
pub(super) fn validate_spec(spec: &v1::PodSpec, gates: FeatureGates, errors: &mut Errors) {
    let lists = Containers { spec, path: &SPEC, gates };
    lists.validate_apps(errors);
    lists.validate_init(errors);
    lists.validate_ephemeral(errors);
    resources::validate_pod(spec, &SPEC.child("resources"), gates, errors);
    ports::validate_host_network(spec, &SPEC, errors);
    let policy = spec.restart_policy.as_deref().unwrap_or_default();
    if !matches!(policy, "Always" | "OnFailure" | "Never") {
        let path = SPEC.child("restartPolicy");
        errors.not_supported(&path, policy, &["Always", "OnFailure", "Never"]);
    }
    validate_gates(spec, errors);
    if let Some(deadline) = spec.active_deadline_seconds
        && !(1..=i64::from(i32::MAX)).contains(&deadline)
    {
        errors.invalid(&SPEC.child("activeDeadlineSeconds"), deadline, DEADLINE_RANGE);
    }
    if let Some(overhead) = &spec.overhead {
        resources::validate_overhead(overhead, &SPEC.child("overhead"), errors);
    }
    // What only a pod must keep to, not a template.
    containers::validate_image_blanks(&spec.containers, &SPEC.child("containers"), errors);
    let init_containers = spec.init_containers.as_deref().unwrap_or_default();
    containers::validate_image_blanks(init_containers, &SPEC.child("initContainers"), errors);
}

/// Readiness gates and scheduling gates.
fn validate_gates(spec: &v1::PodSpec, errors: &mut Errors) {
    let list = SPEC.child("readinessGates");
    for (index, gate) in spec.readiness_gates.iter().flatten().enumerate() {
        for breach in names::qualified_name(&gate.condition_type) {
            let item = list.index(index);
            errors.invalid(&item.child("conditionType"), gate.condition_type.as_str(), breach);
        }
    }
    let list = SPEC.child("schedulingGates");
    let mut seen = BTreeSet::new();
    for (index, gate) in spec.scheduling_gates.iter().flatten().enumerate() {
        for breach in names::qualified_name(&gate.name) {
            errors.invalid(&list.index(index), gate.name.as_str(), breach);
        }
        if !seen.insert(gate.name.as_str()) {
            errors.duplicate(&list.index(index), gate.name.as_str());
        }
    }
}

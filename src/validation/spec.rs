//! The spec of a pod or of a template (`ValidatePodSpec`), without what is for Windows only.

use alloc::collections::BTreeSet;
use alloc::string::String;

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::containers::Containers;
use super::field::{Errors, Path};
use super::{
    claims, labels, metadata, names, network, placement, ports, resources, security, volumes,
};
use crate::version::FeatureGates;

/// The range of `activeDeadlineSeconds`, in words.
const DEADLINE_RANGE: &str = "must be between 1 and 2147483647, inclusive";

/// What holds for new pods, updated ones and templates alike. Only a pod has metadata to be looked
/// at here.
pub(super) fn validate(
    spec: &v1::PodSpec,
    pod: Option<&ObjectMeta>,
    path: &Path<'_>,
    gates: FeatureGates,
    errors: &mut Errors,
) {
    if spec.termination_grace_period_seconds.is_none() {
        errors.required(&path.child("terminationGracePeriodSeconds"), "");
    }
    let all = spec.volumes.as_deref().unwrap_or_default();
    let volumes = volumes::validate(all, pod, &path.child("volumes"), errors);
    let claims = claims::validate(spec, &path.child("resourceClaims"), errors);
    let lists = Containers { spec, path, gates, volumes: &volumes, claims: &claims };
    lists.validate_apps(errors);
    lists.validate_init(errors);
    lists.validate_ephemeral(errors);
    resources::validate_pod(spec, &path.child("resources"), gates, errors);
    ports::validate_host_network(spec, pod.is_some(), path, errors);
    let policy = spec.restart_policy.as_deref().unwrap_or_default();
    if !matches!(policy, "Always" | "OnFailure" | "Never") {
        let path = path.child("restartPolicy");
        errors.not_supported(&path, policy, &["Always", "OnFailure", "Never"]);
    }
    network::validate_policy(spec, path, errors);
    labels::validate(spec.node_selector.as_ref(), &path.child("nodeSelector"), errors);
    security::validate_pod(spec, &path.child("securityContext"), errors);
    if let Some(affinity) = &spec.affinity {
        placement::validate_affinity(affinity, &path.child("affinity"), errors);
    }
    network::validate_config(spec, path, errors);
    validate_gates(spec, path, errors);
    let spread = spec.topology_spread_constraints.as_deref().unwrap_or_default();
    placement::validate_spread(spread, &path.child("topologySpreadConstraints"), errors);
    validate_host_users(spec, path, errors);
    network::validate_override(spec, path, errors);
    validate_names(spec, path, errors);
    if let Some(overhead) = &spec.overhead {
        resources::validate_overhead(overhead, &path.child("overhead"), errors);
    }
    if let Some(os) = &spec.os {
        let path = path.child("os");
        match os.name.as_str() {
            "" => errors.required(&path.child("name"), ""),
            "linux" | "windows" => {}
            other => errors.not_supported(&path, other, &["linux", "windows"]),
        }
    }
}

/// Names of other objects and of the host, and what stands between them.
fn validate_names(spec: &v1::PodSpec, path: &Path<'_>, errors: &mut Errors) {
    type Rule = fn(&str) -> names::Breaches;
    let named = |name: &'static str, value: Option<&String>, rule: Rule, errors: &mut Errors| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            errors.breaches(&path.child(name), value, rule(value));
        }
    };
    let account = spec.service_account_name.as_ref().filter(|name| !name.is_empty());
    let account = account.or(spec.service_account.as_ref());
    named("serviceAccountName", account, names::dns_subdomain, errors);
    named("nodeName", spec.node_name.as_ref(), names::dns_subdomain, errors);
    if let Some(deadline) = spec.active_deadline_seconds
        && !(1..=i64::from(i32::MAX)).contains(&deadline)
    {
        errors.invalid(&path.child("activeDeadlineSeconds"), deadline, DEADLINE_RANGE);
    }
    named("hostname", spec.hostname.as_ref(), names::dns_label, errors);
    named("subdomain", spec.subdomain.as_ref(), names::dns_label, errors);
    let tolerations = spec.tolerations.as_deref().unwrap_or_default();
    placement::validate_tolerations(tolerations, &path.child("tolerations"), errors);
    network::validate_aliases(spec, path, errors);
    named("priorityClassName", spec.priority_class_name.as_ref(), names::dns_subdomain, errors);
    if let Some(class) = &spec.runtime_class_name {
        errors.breaches(&path.child("runtimeClassName"), class, names::dns_subdomain(class));
    }
    let policy_path = path.child("preemptionPolicy");
    match spec.preemption_policy.as_deref() {
        None | Some("PreemptLowerPriority" | "Never") => {}
        Some("") => errors.required(&policy_path, ""),
        Some(other) => {
            errors.not_supported(&policy_path, other, &["PreemptLowerPriority", "Never"]);
        }
    }
}

/// Readiness gates and scheduling gates.
fn validate_gates(spec: &v1::PodSpec, path: &Path<'_>, errors: &mut Errors) {
    let list = path.child("readinessGates");
    for (index, gate) in spec.readiness_gates.iter().flatten().enumerate() {
        let path = list.index(index);
        let condition = gate.condition_type.as_str();
        errors.breaches(
            &path.child("conditionType"),
            condition,
            names::qualified_name(condition, errors.gates()),
        );
    }
    let list = path.child("schedulingGates");
    let mut seen = BTreeSet::new();
    for (index, gate) in spec.scheduling_gates.iter().flatten().enumerate() {
        errors.breaches(
            &list.index(index),
            &gate.name,
            names::qualified_name(&gate.name, errors.gates()),
        );
        if !seen.insert(gate.name.as_str()) {
            errors.duplicate(&list.index(index), gate.name.as_str());
        }
    }
}

/// Users of its own, and the host's other namespaces, do not go together (`validateHostUsers`).
fn validate_host_users(spec: &v1::PodSpec, path: &Path<'_>, errors: &mut Errors) {
    if spec.host_users != Some(false) {
        return;
    }
    const DETAIL: &str = "when `hostUsers` is false";
    let shared = [
        ("hostNetwork", spec.host_network),
        ("HostPID", spec.host_pid),
        ("HostIPC", spec.host_ipc),
    ];
    for (name, _) in shared.iter().filter(|(_, set)| *set == Some(true)) {
        errors.forbidden(&path.child(name), DETAIL);
    }
    let lists = [
        ("initContainers", spec.init_containers.as_deref().unwrap_or_default()),
        ("containers", spec.containers.as_slice()),
    ];
    for (name, containers) in lists {
        let list = path.child(name);
        for (index, container) in containers.iter().enumerate() {
            if container.volume_devices.as_ref().is_some_and(|devices| !devices.is_empty()) {
                errors.forbidden(&list.index(index).child("volumeDevices"), DETAIL);
            }
        }
    }
}

/// A template of pods (`ValidatePodTemplateSpec`).
pub(super) fn validate_template(
    template: &v1::PodTemplateSpec,
    path: &Path<'_>,
    gates: FeatureGates,
    errors: &mut Errors,
) {
    let nothing = (ObjectMeta::default(), v1::PodSpec::default());
    let meta = template.metadata.as_ref().unwrap_or(&nothing.0);
    let spec = template.spec.as_ref().unwrap_or(&nothing.1);
    let (labels, annotations) = (meta.labels.as_ref(), meta.annotations.as_ref());
    labels::validate(labels, &path.child("labels"), errors);
    labels::validate_annotations(annotations, &path.child("annotations"), errors);
    metadata::validate_annotations(annotations, spec, &path.child("annotations"), errors);
    let path = path.child("spec");
    validate(spec, None, &path, gates, errors);
    security::validate_seccomp_match(annotations, spec, &path, errors);
    if spec.ephemeral_containers.as_ref().is_some_and(|list| !list.is_empty()) {
        let path = path.child("ephemeralContainers");
        errors.forbidden(&path, "ephemeral containers not allowed in pod template");
    }
}

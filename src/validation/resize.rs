//! `resizePolicy`: what a resize in place does to the container (`validateResizePolicy`).

use alloc::collections::BTreeSet;

use k8s_openapi::api::core::v1;

use super::field::{BadValue, Errors, Path};
use super::restart;
use crate::version::{Change, FeatureGates};

pub(super) fn validate(
    container: &v1::Container,
    path: &Path<'_>,
    pod_restart_policy: &str,
    errors: &mut Errors,
) {
    // Most errors are those of the list, not of its item.
    let list = path.child("resizePolicy");
    let mut seen = BTreeSet::new();
    for (index, policy) in container.resize_policy.iter().flatten().enumerate() {
        if !seen.insert(policy.resource_name.as_str()) {
            errors.duplicate(&list.index(index), BadValue::word(&policy.resource_name));
        }
        match policy.resource_name.as_str() {
            "cpu" | "memory" => {}
            "" => errors.required(&list, ""),
            other => errors.not_supported(&list, other, &["cpu", "memory"]),
        }
        match policy.restart_policy.as_str() {
            "NotRequired" | "RestartContainer" => {}
            "" => errors.required(&list, ""),
            other => errors.not_supported(&list, other, &["NotRequired", "RestartContainer"]),
        }
        if pod_restart_policy == "Never" && policy.restart_policy != "NotRequired" {
            errors.invalid(
                &list,
                BadValue::word(&policy.restart_policy),
                "must be 'NotRequired' when pod `restartPolicy` is 'Never'",
            );
        }
    }
}

/// What holds for init containers on top.
pub(super) fn validate_init(
    container: &v1::Container,
    path: &Path<'_>,
    gates: FeatureGates,
    errors: &mut Errors,
) {
    let policies = container.resize_policy.as_deref().unwrap_or_default();
    let list = path.child("resizePolicy");
    if !policies.is_empty() && !gates.has(Change::InitContainersHaveResizePolicies) {
        let json = serde_json::to_string(policies).unwrap_or_default();
        errors.invalid(&list, BadValue::Json(json), "must not be set for init containers");
    }
    if restart::is_restartable(container) || !gates.has(Change::NoRestartForResizeOfInitContainers)
    {
        return;
    }
    for (index, policy) in policies.iter().enumerate() {
        if policy.restart_policy == "RestartContainer" {
            errors.invalid(
                &list.index(index).child("restartPolicy"),
                policy.restart_policy.as_str(),
                "must not be set to 'RestartContainer' for non-sidecar initContainers",
            );
        }
    }
}

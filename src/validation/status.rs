//! What a kubelet tells of a pod (`ValidatePodStatusUpdate`).

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use k8s_openapi::api::core::v1;

use super::field::{BadValue, Errors, Path};
use super::{names, restart};
use crate::version::{Change, Feature, FeatureGates};

pub(super) static STATUS: Path<'static> = Path::Root("status");

/// The conditions that are the system's own.
const SYSTEM_CONDITIONS: [&str; 3] = ["PodScheduled", "Ready", "Initialized"];
const NOT_NEGATIVE: &str = "must be a non-negative integer";

/// `podStatusStrategy.PrepareForUpdate`.
pub(super) fn keep_all_but_status(old: &v1::Pod, new: &mut v1::Pod) {
    new.spec.clone_from(&old.spec);
    new.metadata.owner_references.clone_from(&old.metadata.owner_references);
    let class = old.status.as_ref().and_then(|status| status.qos_class.clone());
    let status = new.status.get_or_insert_default();
    if status.qos_class.as_ref().is_none_or(|class| class.is_empty()) {
        status.qos_class = class;
    }
}

pub(super) fn validate(old: &v1::Pod, new: &v1::Pod, gates: FeatureGates, errors: &mut Errors) {
    let spec = old.spec.clone().unwrap_or_default();
    let before = old.status.clone().unwrap_or_default();
    let status = new.status.clone().unwrap_or_default();
    validate_conditions(status.conditions.as_deref().unwrap_or_default(), errors);
    validate_nomination(&spec, &before, &status, gates, errors);
    validate_generation(&status, errors);
    let class = |status: &v1::PodStatus| status.qos_class.clone().unwrap_or_default();
    if class(&before) != class(&status) {
        let path = STATUS.child("qosClass");
        errors.invalid(&path, BadValue::word(&class(&status)), "field is immutable");
    }
    validate_transitions(&spec, &before, &status, gates, errors);
    validate_claims(&spec, &status, gates, errors);
    validate_addresses(&before, &status, errors);
    validate_users(&spec, &status, gates, errors);
}

/// `validatePodConditions`.
fn validate_conditions(conditions: &[v1::PodCondition], errors: &mut Errors) {
    let list = STATUS.child("conditions");
    for (index, condition) in conditions.iter().enumerate() {
        let path = list.index(index);
        if let Some(generation) = observed_generation(condition).filter(|number| *number < 0) {
            errors.invalid(&path.child("observedGeneration"), generation, NOT_NEGATIVE);
        }
        let name = condition.type_.as_str();
        if !SYSTEM_CONDITIONS.contains(&name) {
            let breaches = names::qualified_name(name, errors.gates());
            errors.breaches(&path.child("Type"), name, breaches);
        }
    }
}

#[allow(unused_variables, reason = "API versions before 1.33 have no such field")]
fn observed_generation(condition: &v1::PodCondition) -> Option<i64> {
    k8s_openapi::k8s_if_ge_1_33! {
        return condition.observed_generation;
    }
    #[allow(unreachable_code, reason = "as above")]
    None
}

/// The node for which room is made: a name, and none for a pod that has a node.
fn validate_nomination(
    spec: &v1::PodSpec,
    before: &v1::PodStatus,
    status: &v1::PodStatus,
    gates: FeatureGates,
    errors: &mut Errors,
) {
    let name = status.nominated_node_name.as_deref().unwrap_or_default();
    if name.is_empty() || before.nominated_node_name.as_deref() == Some(name) {
        return;
    }
    let path = STATUS.child("nominatedNodeName");
    errors.breaches(&path, name, names::dns_subdomain(name));
    let bound = spec.node_name.as_ref().is_some_and(|node| !node.is_empty());
    if bound && gates.enabled(Feature::ClearingNominatedNodeNameAfterBinding) {
        errors.forbidden(&path, "may not be set on pods that are already bound to a node");
    }
}

#[allow(unused_variables, reason = "API versions before 1.33 have no such field")]
fn validate_generation(status: &v1::PodStatus, errors: &mut Errors) {
    k8s_openapi::k8s_if_ge_1_33! {
        if let Some(generation) = status.observed_generation.filter(|number| *number < 0) {
            errors.invalid(&STATUS.child("observedGeneration"), generation, NOT_NEGATIVE);
        }
    }
}

/// The lists of container statuses, each with its name.
fn lists(status: &v1::PodStatus) -> [(&'static str, &[v1::ContainerStatus]); 3] {
    [
        ("containerStatuses", status.container_statuses.as_deref().unwrap_or_default()),
        ("initContainerStatuses", status.init_container_statuses.as_deref().unwrap_or_default()),
        (
            "ephemeralContainerStatuses",
            status.ephemeral_container_statuses.as_deref().unwrap_or_default(),
        ),
    ]
}

/// What has ended and is not started again stays ended (`ValidateContainerStateTransition` and its
/// kin).
fn validate_transitions(
    spec: &v1::PodSpec,
    before: &v1::PodStatus,
    status: &v1::PodStatus,
    gates: FeatureGates,
    errors: &mut Errors,
) {
    let all = gates.enabled(Feature::RestartAllContainersOnContainerExits)
        && restart::all_could_restart(spec);
    let exit_code = |status: &v1::ContainerStatus| {
        let terminated = status.state.as_ref()?.terminated.as_ref()?;
        Some(terminated.exit_code)
    };
    for ((name, old), (_, new)) in lists(before).into_iter().zip(lists(status)) {
        let (containers, by_rules): (&[v1::Container], bool) = match name {
            "containerStatuses" => {
                (&spec.containers, gates.enabled(Feature::ContainerRestartRules))
            }
            // 1.34 asks only the pod's policy, whatever the gate.
            "initContainerStatuses" => (
                spec.init_containers.as_deref().unwrap_or_default(),
                gates.enabled(Feature::ContainerRestartRules)
                    && gates.has(Change::RestartRulesNeedPolicy),
            ),
            _ => (&[], false),
        };
        let is_ephemeral = name == "ephemeralContainerStatuses";
        if all && !is_ephemeral {
            continue;
        }
        let list = STATUS.child(name);
        for (index, old) in old.iter().enumerate() {
            let Some(code) = exit_code(old) else { continue };
            let container = containers.iter().find(|container| container.name == old.name);
            let starts_again = if is_ephemeral {
                false
            } else if by_rules {
                container.is_some_and(|c| restart::should_restart(c, spec, code, gates))
            } else {
                match spec.restart_policy.as_deref() {
                    Some("Always") => true,
                    Some("OnFailure") if code != 0 => true,
                    _ => {
                        name == "initContainerStatuses"
                            && container.is_some_and(restart::is_restartable)
                    }
                }
            };
            if starts_again {
                continue;
            }
            let left = new.iter().filter(|new| new.name == old.name && exit_code(new).is_none());
            // A container that comes several times is told once only by the newer way of looking.
            for _ in left.take(if by_rules { 1 } else { usize::MAX }) {
                let detail = "may not be transitioned to non-terminated state";
                errors.forbidden(&list.index(index).child("state"), detail);
            }
        }
    }
}

/// `validatePodResourceClaimStatuses`.
fn validate_claims(
    spec: &v1::PodSpec,
    status: &v1::PodStatus,
    gates: FeatureGates,
    errors: &mut Errors,
) {
    let list = STATUS.child("resourceClaimStatuses");
    let mut seen = BTreeSet::new();
    for (index, claim) in status.resource_claim_statuses.iter().flatten().enumerate() {
        let path = list.index(index);
        let name = path.child("name");
        if !spec.resource_claims.iter().flatten().any(|known| known.name == claim.name) {
            let detail = "must match the name of an entry in `spec.resourceClaims`";
            errors.invalid(&name, claim.name.as_str(), detail);
        }
        if !seen.insert(claim.name.as_str()) {
            errors.duplicate(&name, claim.name.as_str());
        }
        if let Some(claim) = &claim.resource_claim_name {
            let own = gates.has(Change::ClaimStatusesNameTheirField);
            let path = path.child(if own { "resourceClaimName" } else { "name" });
            // Kubernetes shows what it points to, and so as JSON.
            for breach in names::dns_subdomain(claim) {
                errors.invalid(&path, BadValue::word(claim), breach);
            }
        }
    }
}

/// The addresses of the pod. Of the two fields podIP counts
/// (`Convert_v1_PodStatus_To_core_PodStatus`).
pub(super) fn pod_ips(status: &v1::PodStatus) -> Vec<String> {
    let ips = status.pod_ips.iter().flatten().map(|address| address.ip.clone());
    let ips: Vec<String> = ips.collect();
    match status.pod_ip.as_ref().filter(|ip| !ip.is_empty()) {
        Some(ip) if ips.first() != Some(ip) => Vec::from([ip.clone()]),
        _ => ips,
    }
}

/// The addresses of the node.
pub(super) fn host_ips(status: &v1::PodStatus) -> Vec<String> {
    status.host_ips.iter().flatten().map(|address| address.ip.clone()).collect()
}

/// `validatePodIPs` and `validateHostIPs`.
fn validate_addresses(before: &v1::PodStatus, status: &v1::PodStatus, errors: &mut Errors) {
    let (ips, list) = (pod_ips(status), STATUS.child("podIPs"));
    validate_list(&pod_ips(before), &ips, &list, errors);
    let (ips, list) = (host_ips(status), STATUS.child("hostIPs"));
    if let Some(first) = ips.first()
        && status.host_ip.as_deref().unwrap_or_default() != first
    {
        let path = list.index(0);
        errors.invalid(&path.child("ip"), first.as_str(), "must be equal to `hostIP`");
    }
    validate_list(&host_ips(before), &ips, &list, errors);
}

/// Addresses that are new must be some; several are one of each family.
fn validate_list(before: &[String], ips: &[String], list: &Path<'_>, errors: &mut Errors) {
    for (index, ip) in ips.iter().enumerate().filter(|(_, ip)| !before.contains(ip)) {
        errors.breaches(&list.index(index), ip, names::ip_address(ip, errors.gates()));
    }
    if ips.len() < 2 {
        return;
    }
    let parsed: Vec<Option<IpAddr>> = ips.iter().map(|ip| names::parse_ip_sloppily(ip)).collect();
    let unreadable = parsed.iter().zip(ips).position(|(parsed, _)| parsed.is_none());
    if let Some(index) = unreadable {
        let detail = format!(
            "failed to check for dual stack with error:invalid IP[{index}]: {}",
            ips[index]
        );
        errors.internal(list, detail);
    }
    let has = |v6: bool| parsed.iter().flatten().any(|ip| ip.is_ipv6() == v6);
    let dual_stack = unreadable.is_none() && has(true) && has(false);
    if !dual_stack || ips.len() > 2 {
        let detail = "may specify no more than one IP for each IP family";
        errors.invalid(list, shown_ips(ips), detail);
    }
}

/// Addresses as JSON of Kubernetes' own type.
fn shown_ips(ips: &[String]) -> BadValue {
    let items = ips.iter().map(|ip| {
        let text = serde_json::to_string(ip).unwrap_or_default();
        format!("{{\"IP\":{text}}}")
    });
    let items: Vec<String> = items.collect();
    BadValue::Json(format!("[{}]", items.join(",")))
}

/// `validateContainerStatusUsers`.
fn validate_users(
    spec: &v1::PodSpec,
    status: &v1::PodStatus,
    gates: FeatureGates,
    errors: &mut Errors,
) {
    let os = spec.os.as_ref().map_or("linux", |os| os.name.as_str());
    for (name, statuses) in lists(status) {
        let list = STATUS.child(name);
        for (index, status) in statuses.iter().enumerate() {
            let Some(user) = status.user.as_ref().and_then(|user| user.linux.as_ref()) else {
                continue;
            };
            let item = list.index(index);
            let user_path = item.child("user");
            let path = user_path.child("linux");
            match os {
                "windows" => errors.forbidden(&path, "cannot be set for a windows pod"),
                "linux" => {
                    let uid = path.child("uid");
                    if !gates.has(Change::ReportedUsersAreUnsigned) {
                        errors.number(&uid, user.uid, names::id(user.uid));
                    } else if u32::try_from(user.uid).is_err() {
                        let detail = "must be between 0 and 4294967295, inclusive";
                        errors.invalid(&uid, user.uid, detail);
                    }
                    errors.number(&path.child("gid"), user.gid, names::id(user.gid));
                    let groups = path.child("supplementalGroups");
                    for (index, group) in user.supplemental_groups.iter().flatten().enumerate() {
                        errors.number(&groups.index(index), *group, names::id(*group));
                    }
                }
                _ => {}
            }
        }
    }
}

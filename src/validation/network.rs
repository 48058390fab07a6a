//! Names in DNS: the pod's own, and how it looks up others (`validatePodDNSConfig`,
//! `ValidateHostAliases`, `validatePodHostName`).

use alloc::format;

use k8s_openapi::api::core::v1;

use super::field::{BadValue, Errors, Path};
use super::names;

const MAX_SERVERS: usize = 3;
const MAX_SEARCHES: usize = 32;
const MAX_SEARCH_BYTES: usize = 2048;

/// `validateDNSPolicy`.
pub(super) fn validate_policy(spec: &v1::PodSpec, path: &Path<'_>, errors: &mut Errors) {
    const POLICIES: [&str; 4] = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    match spec.dns_policy.as_deref().unwrap_or_default() {
        "" => errors.required(&path.child("dnsPolicy"), ""),
        policy if POLICIES.contains(&policy) => {}
        other => errors.not_supported(&path.child("dnsPolicy"), other, &POLICIES),
    }
}

pub(super) fn validate_config(spec: &v1::PodSpec, path: &Path<'_>, errors: &mut Errors) {
    let path = path.child("dnsConfig");
    let own = spec.dns_policy.as_deref() == Some("None");
    let Some(config) = &spec.dns_config else {
        if own {
            errors.required(&path, "must provide `dnsConfig` when `dnsPolicy` is None");
        }
        return;
    };
    let list = path.child("nameservers");
    let servers = config.nameservers.as_deref().unwrap_or_default();
    if own && servers.is_empty() {
        let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
        errors.required(&list, detail);
        return;
    }
    let json = |texts| BadValue::Json(serde_json::to_string(texts).unwrap_or_default());
    if servers.len() > MAX_SERVERS {
        let detail = format!("must not have more than {MAX_SERVERS} nameservers");
        errors.invalid(&list, json(servers), detail);
    }
    for (index, server) in servers.iter().enumerate() {
        errors.breaches(&list.index(index), server, names::ip_address(server, errors.gates()));
    }
    let list = path.child("searches");
    let searches = config.searches.as_deref().unwrap_or_default();
    if searches.len() > MAX_SEARCHES {
        let detail = format!("must not have more than {MAX_SEARCHES} search paths");
        errors.invalid(&list, json(searches), detail);
    }
    if searches.join(" ").len() > MAX_SEARCH_BYTES {
        let detail = format!(
            "must not have more than {MAX_SEARCH_BYTES} characters (including spaces) in the search list"
        );
        errors.invalid(&list, json(searches), detail);
    }
    for (index, search) in searches.iter().enumerate().filter(|(_, search)| *search != ".") {
        let search = search.strip_suffix('.').unwrap_or(search);
        errors.breaches(&list.index(index), search, names::dns_search(search));
    }
    let list = path.child("options");
    for (index, option) in config.options.iter().flatten().enumerate() {
        if option.name.as_ref().is_none_or(|name| name.is_empty()) {
            errors.required(&list.index(index), "must not be empty");
        }
    }
}

pub(super) fn validate_aliases(spec: &v1::PodSpec, path: &Path<'_>, errors: &mut Errors) {
    let list = path.child("hostAliases");
    for (index, alias) in spec.host_aliases.iter().flatten().enumerate() {
        let path = list.index(index);
        errors.breaches(&path.child("ip"), &alias.ip, names::ip_address(&alias.ip, errors.gates()));
        let list = path.child("hostnames");
        for (index, name) in alias.hostnames.iter().flatten().enumerate() {
            errors.breaches(&list.index(index), name, names::dns_subdomain(name));
        }
    }
}

/// The name that the pod gives itself instead of its own.
#[allow(unused_variables, reason = "API versions before 1.34 have no such name")]
pub(super) fn validate_override(spec: &v1::PodSpec, path: &Path<'_>, errors: &mut Errors) {
    k8s_openapi::k8s_if_ge_1_34! {
        let Some(name) = &spec.hostname_override else { return };
        let path = path.child("hostnameOverride");
        if spec.set_hostname_as_fqdn == Some(true) {
            errors.forbidden(&path, "may not be specified when setHostnameAsFQDN is true");
        }
        if spec.host_network == Some(true) {
            errors.forbidden(&path, "may not be specified when hostNetwork is true");
        }
        if name.len() > 64 {
            errors.too_long(&path, 64);
        }
        errors.breaches(&path, name, names::dns_subdomain(name));
    }
}

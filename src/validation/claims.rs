//! Resource claims of the pod, and which of them containers use (`validatePodResourceClaims`,
//! `validateResourceClaimNames`).

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use k8s_openapi::api::core::v1;

use super::field::{BadValue, Errors, Path};
use super::names;

/// The claims of a pod, by name.
pub(super) type Claims<'a> = BTreeSet<&'a str>;

pub(super) fn validate<'a>(
    spec: &'a v1::PodSpec,
    list: &Path<'_>,
    errors: &mut Errors,
) -> Claims<'a> {
    let mut seen = Claims::new();
    for (index, claim) in spec.resource_claims.iter().flatten().enumerate() {
        let path = list.index(index);
        let name = path.child("name");
        if claim.name.is_empty() {
            errors.required(&name, "");
        } else if !seen.insert(&claim.name) {
            errors.duplicate(&name, claim.name.as_str());
        } else {
            errors.breaches(&name, &claim.name, names::dns_label(&claim.name));
        }
        let sources = [
            ("resourceClaimName", &claim.resource_claim_name),
            ("resourceClaimTemplateName", &claim.resource_claim_template_name),
        ];
        let detail = match sources.iter().filter(|(_, source)| source.is_some()).count() {
            0 => "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
            1 => "",
            _ => {
                "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            }
        };
        if !detail.is_empty() {
            errors.invalid(&path, shown(claim), detail);
        }
        for (field, source) in sources {
            if let Some(source) = source {
                errors.breaches(&path.child(field), source, names::dns_subdomain(source));
            }
        }
    }
    seen
}

/// A claim as JSON of Kubernetes' own type.
fn shown(claim: &v1::PodResourceClaim) -> BadValue {
    let json = |value: &Option<String>| serde_json::to_string(value).unwrap_or_default();
    BadValue::Json(format!(
        "{{\"Name\":{},\"ResourceClaimName\":{},\"ResourceClaimTemplateName\":{}}}",
        serde_json::to_string(&claim.name).unwrap_or_default(),
        json(&claim.resource_claim_name),
        json(&claim.resource_claim_template_name)
    ))
}

/// The claims that a container uses are those of its pod.
pub(super) fn validate_used(
    used: Option<&[v1::ResourceClaim]>,
    claims: &Claims<'_>,
    list: &Path<'_>,
    errors: &mut Errors,
) {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for (index, claim) in used.unwrap_or_default().iter().enumerate() {
        let path = list.index(index);
        let name = claim.name.as_str();
        if name.is_empty() {
            errors.required(&path, "");
            continue;
        }
        if seen.contains(name) {
            errors.duplicate(&path, name);
        } else {
            let mut key = String::from(name);
            if let Some(request) = claim.request.as_deref().filter(|text| !text.is_empty()) {
                errors.breaches(&path.child("request"), request, names::dns_label(request));
                key = format!("{name}/{request}");
            } else if seen.iter().any(|key| key.split_once('/').is_some_and(|(n, _)| n == name)) {
                errors.duplicate(&path, name);
            }
            if !seen.insert(key.clone()) {
                errors.duplicate(&path, key);
            }
        }
        if !claims.contains(name) {
            let known = claims.iter().copied().collect::<Vec<_>>().join(", ");
            let known =
                if claims.is_empty() { " which is empty".into() } else { format!(": {known}") };
            let detail = format!("must be one of the names in pod.spec.resourceClaims{known}");
            errors.not_found_among(&path, name, detail);
        }
    }
}

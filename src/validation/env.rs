//! Environment variables and what they are taken from (`ValidateEnv`, `ValidateEnvFrom`).

use alloc::format;

use k8s_openapi::api::core::v1;

use super::field::{Errors, Path};
use super::{labels, names};
use crate::quantity::Quantity;
use crate::version::Feature;

/// What refers to a field of the pod.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Of {
    Variable,
    Volume,
}

/// The fields that a variable may be taken from.
const OF_VARIABLES: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
/// The fields that a file may be made of.
const OF_VOLUMES: [&str; 5] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
];
/// The fields that can be referred to at all (`ConvertDownwardAPIFieldLabel`).
const FIELDS: [&str; 14] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.serviceAccountName",
    "spec.schedulerName",
    "status.phase",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];
/// What amounts of bytes may be divided by.
const BYTES: [&str; 13] =
    ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

pub(super) fn validate(variables: Option<&[v1::EnvVar]>, list: &Path<'_>, errors: &mut Errors) {
    for (index, variable) in variables.unwrap_or_default().iter().enumerate() {
        let path = list.index(index);
        if variable.name.is_empty() {
            errors.required(&path.child("name"), "");
        } else {
            errors.breaches(&path.child("name"), &variable.name, names::variable(&variable.name));
        }
        if let Some(source) = &variable.value_from {
            let path = path.child("valueFrom");
            let has_value = variable.value.as_ref().is_some_and(|value| !value.is_empty());
            validate_source(source, has_value, &path, errors);
        }
    }
}

/// `validateEnvVarValueFrom`.
fn validate_source(
    source: &v1::EnvVarSource,
    has_value: bool,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let mut count = 0;
    if let Some(field) = &source.field_ref {
        count += 1;
        validate_field(field, Of::Variable, &path.child("fieldRef"), errors);
    }
    if let Some(resource) = &source.resource_field_ref {
        count += 1;
        validate_resource(resource, Of::Variable, &path.child("resourceFieldRef"), errors);
    }
    if let Some(map) = &source.config_map_key_ref {
        count += 1;
        validate_key(&map.name, &map.key, &path.child("configMapKeyRef"), errors);
    }
    if let Some(secret) = &source.secret_key_ref {
        count += 1;
        validate_key(&secret.name, &secret.key, &path.child("secretKeyRef"), errors);
    }
    count += validate_file(source, &path.child("fileKeyRef"), errors);
    if count == 0 {
        let detail = if errors.gates().enabled(Feature::EnvFiles) {
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        } else {
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
        };
        errors.invalid(path, "", detail);
    } else if has_value {
        errors.invalid(path, "", "may not be specified when `value` is not empty");
    } else if count > 1 {
        errors.invalid(path, "", "may not have more than one field specified at a time");
    }
}

/// `validateFileKeySelector`: how many there are.
#[allow(unused_variables, reason = "API versions before 1.34 have no files of variables")]
fn validate_file(source: &v1::EnvVarSource, path: &Path<'_>, errors: &mut Errors) -> usize {
    k8s_openapi::k8s_if_ge_1_34! {
        if let Some(file) = &source.file_key_ref {
            let (key, volume, text) =
                (path.child("key"), path.child("volumeName"), path.child("path"));
            if file.key.is_empty() {
                errors.required(&key, "");
            } else {
                errors.breaches(&key, &file.key, names::variable(&file.key));
            }
            if file.volume_name.is_empty() {
                errors.required(&volume, "");
            } else {
                errors.breaches(&volume, &file.volume_name, names::dns_label(&file.volume_name));
            }
            if file.path.is_empty() {
                errors.required(&text, "");
            } else {
                super::volumes::no_backsteps(&file.path, &text, errors);
            }
            return 1;
        }
    }
    0
}

/// `validateObjectFieldSelector`.
pub(super) fn validate_field(
    field: &v1::ObjectFieldSelector,
    of: Of,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let version = field.api_version.as_deref().unwrap_or_default();
    if version.is_empty() {
        errors.required(&path.child("apiVersion"), "");
        return;
    }
    let text = field.field_path.as_str();
    let at = path.child("fieldPath");
    if text.is_empty() {
        errors.required(&at, "");
        return;
    }
    if version != "v1" {
        let detail = format!("error converting fieldPath: unsupported pod version: {version}");
        errors.invalid(&at, text, detail);
        return;
    }
    match subscript(text) {
        Some(("metadata.annotations", key)) => {
            let key = key.to_lowercase();
            labels::validate_name(&key, path, errors);
        }
        Some(("metadata.labels", key)) => labels::validate_name(key, path, errors),
        Some(_) => {
            let detail = format!(
                "error converting fieldPath: field label does not support subscript: {text}"
            );
            errors.invalid(&at, text, detail);
        }
        None => {
            // What old clients say.
            let known = if text == "spec.host" { "spec.nodeName" } else { text };
            if !FIELDS.contains(&known) {
                let detail =
                    format!("error converting fieldPath: field label not supported: {text}");
                errors.invalid(&at, text, detail);
                return;
            }
            let allowed = if of == Of::Volume { &OF_VOLUMES[..] } else { &OF_VARIABLES[..] };
            if !allowed.contains(&known) {
                errors.not_supported_value(&at, known.into(), allowed);
            }
        }
    }
}

/// The parts of `metadata.labels['app']`.
fn subscript(text: &str) -> Option<(&str, &str)> {
    let (path, key) = text.strip_suffix("']")?.split_once("['")?;
    (!path.is_empty()).then_some((path, key))
}

/// `validateContainerResourceFieldSelector`.
pub(super) fn validate_resource(
    field: &v1::ResourceFieldSelector,
    of: Of,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let resource = field.resource.as_str();
    let huge =
        resource.starts_with("requests.hugepages-") || resource.starts_with("limits.hugepages-");
    let no_container = field.container_name.as_ref().is_none_or(|name| name.is_empty());
    if of == Of::Volume && no_container {
        errors.required(&path.child("containerName"), "");
    } else if resource.is_empty() {
        errors.required(&path.child("resource"), "");
    } else if !RESOURCES.contains(&resource) && !huge {
        errors.not_supported_value(&path.child("resource"), resource.into(), &RESOURCES);
    }
    let divisor = field.divisor.as_ref().and_then(|text| Quantity::try_from(text).ok());
    let Some(divisor) = divisor.filter(|divisor| !divisor.is_zero()) else { return };
    let (allowed, what) = match resource {
        "limits.cpu" | "requests.cpu" => (&["1m", "1"][..], "cpu"),
        "limits.memory" | "requests.memory" => (&BYTES[..], "memory"),
        "limits.ephemeral-storage" | "requests.ephemeral-storage" => {
            (&BYTES[..], "local ephemeral storage")
        }
        _ if huge => (&BYTES[..], "hugepages"),
        _ => return,
    };
    if !allowed.contains(&format!("{divisor}").as_str()) {
        let values = if what == "cpu" { "1m and 1".into() } else { allowed.join(", ") };
        let detail =
            format!("only divisor's values {values} are supported with the {what} resource");
        errors.invalid(&path.child("divisor"), resource, detail);
    }
}

/// A key of a ConfigMap or a Secret.
fn validate_key(name: &str, key: &str, path: &Path<'_>, errors: &mut Errors) {
    errors.breaches(&path.child("name"), name, names::dns_subdomain(name));
    if key.is_empty() {
        errors.required(&path.child("key"), "");
    } else {
        errors.breaches(&path.child("key"), key, names::config_key(key));
    }
}

/// `ValidateEnvFrom`: what is wrong with the number of sources is an error of the list.
pub(super) fn validate_from(
    sources: Option<&[v1::EnvFromSource]>,
    list: &Path<'_>,
    errors: &mut Errors,
) {
    for (index, source) in sources.unwrap_or_default().iter().enumerate() {
        let path = list.index(index);
        let prefix = source.prefix.as_deref().unwrap_or_default();
        if !prefix.is_empty() {
            errors.breaches(&path.child("prefix"), prefix, names::variable(prefix));
        }
        let refs = [
            ("configMapRef", source.config_map_ref.as_ref().map(|map| &map.name)),
            ("secretRef", source.secret_ref.as_ref().map(|secret| &secret.name)),
        ];
        let mut count = 0;
        for (field, name) in refs {
            let Some(name) = name else { continue };
            count += 1;
            let source = path.child(field);
            let path = source.child("name");
            if name.is_empty() {
                errors.required(&path, "");
            } else {
                errors.breaches(&path, name, names::dns_subdomain_prefix(name));
            }
        }
        match count {
            0 => errors.invalid(list, "", "must specify one of: `configMapRef` or `secretRef`"),
            1 => {}
            _ => {
                errors.invalid(list, "", "may not have more than one field specified at a time");
            }
        }
    }
}

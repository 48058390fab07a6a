//! The environment of a container.

use core::fmt;

use k8s_openapi::api::core::v1;

use super::Sections;

/// Whole config maps and secrets (`describeContainerEnvFrom`).
pub(super) fn environment_from(out: &mut Sections, container: &v1::Container) {
    let sources = container.env_from.as_deref().unwrap_or_default();
    if sources.is_empty() {
        return;
    }
    out.line(2, format_args!("Environment Variables from:"));
    for source in sources {
        let (kind, name, optional) = match (&source.config_map_ref, &source.secret_ref) {
            (Some(map), _) => ("ConfigMap", map.name.as_str(), map.optional),
            (None, Some(secret)) => ("Secret", secret.name.as_str(), secret.optional),
            (None, None) => ("", "", None),
        };
        let optional = optional.unwrap_or(false);
        match source.prefix.as_deref().unwrap_or_default() {
            "" => out.line(3, format_args!("{name}\t{kind}\tOptional: {optional}")),
            prefix => out.line(
                3,
                format_args!("{name}\t{kind} with prefix '{prefix}'\tOptional: {optional}"),
            ),
        }
    }
}

/// Single variables (`describeContainerEnvVars`).
pub(super) fn environment(out: &mut Sections, pod: &v1::Pod, container: &v1::Container) {
    let variables = container.env.as_deref().unwrap_or_default();
    let none = if variables.is_empty() { "\t<none>" } else { "" };
    out.line(2, format_args!("Environment:{none}"));
    for variable in variables {
        match &variable.value_from {
            None => {
                let mut name = format_args!("{}:", variable.name);
                for line in variable.value.as_deref().unwrap_or_default().split('\n') {
                    out.line(3, format_args!("{name}\t{line}"));
                    name = format_args!("");
                }
            }
            Some(source) => from_source(out, pod, container, &variable.name, source),
        }
    }
}

fn from_source(
    out: &mut Sections,
    pod: &v1::Pod,
    container: &v1::Container,
    name: &str,
    source: &v1::EnvVarSource,
) {
    let mut set_to_key = |key: &str, of: fmt::Arguments<'_>, optional: Option<bool>| {
        let optional = optional.unwrap_or(false);
        out.line(3, format_args!("{name}:\t<set to the key '{key}' {of}>\tOptional: {optional}"));
    };
    if let Some(field) = &source.field_ref {
        let version = field.api_version.as_deref().unwrap_or("v1");
        let path = &field.field_path;
        let value = pod_field(pod, path);
        out.line(3, format_args!("{name}:\t{value} ({version}:{path})"));
    } else if let Some(selector) = &source.resource_field_ref {
        let resource = &selector.resource;
        let value = container_resource(container, resource);
        out.line(3, format_args!("{name}:\t{value} ({resource})"));
    } else if let Some(secret) = &source.secret_key_ref {
        set_to_key(&secret.key, format_args!("in secret '{}'", secret.name), secret.optional);
    } else if let Some(map) = &source.config_map_key_ref {
        set_to_key(&map.key, format_args!("of config map '{}'", map.name), map.optional);
    }
}

/// The two fields of a pod that kubectl can resolve; it shows nothing for others.
fn pod_field<'a>(pod: &'a v1::Pod, path: &str) -> &'a str {
    let value = match path {
        "metadata.name" => pod.metadata.name.as_deref(),
        "metadata.namespace" => pod.metadata.namespace.as_deref(),
        _ => None,
    };
    value.unwrap_or_default()
}

/// What is said of a resource that is not declared; one that is declared is shown as it is.
fn container_resource<'a>(container: &'a v1::Container, resource: &str) -> &'a str {
    let resources = container.resources.as_ref();
    let declared = resource.split_once('.').and_then(|(list, name)| {
        let list = match list {
            "limits" => resources?.limits.as_ref()?,
            "requests" => resources?.requests.as_ref()?,
            _ => return None,
        };
        list.get(name)
    });
    match (declared, resource) {
        (Some(quantity), _) => &quantity.0,
        (None, "limits.cpu" | "limits.memory") => "node allocatable",
        (None, _) => "0",
    }
}

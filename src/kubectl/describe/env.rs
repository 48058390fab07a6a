//! The environment of a container.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use core::fmt;

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use super::Sections;
use crate::quantity::{Format, Quantity, Scale};

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
        let version = field.api_version.as_deref().unwrap_or_default();
        let path = &field.field_path;
        let value = pod_field(pod, path);
        out.line(3, format_args!("{name}:\t{value} ({version}:{path})"));
    } else if let Some(selector) = &source.resource_field_ref {
        let resource = &selector.resource;
        let value = container_resource(container, selector);
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

/// The number that the downward API gives (`ExtractContainerResourceValue`): the amount in units of
/// the divisor, rounded up. kubectl has no word for resources that the API does not take there.
fn container_resource(container: &v1::Container, selector: &v1::ResourceFieldSelector) -> String {
    let resource = selector.resource.as_str();
    let Some((list, name)) = resource.split_once('.') else { return String::new() };
    let resources = container.resources.as_ref();
    let list = match list {
        "limits" => resources.and_then(|resources| resources.limits.as_ref()),
        "requests" => resources.and_then(|resources| resources.requests.as_ref()),
        _ => return String::new(),
    };
    // CPU is counted in thousandths, everything else in whole units.
    let scale = match name {
        "cpu" => Scale::Milli,
        "memory" | "ephemeral-storage" => Scale::Unit,
        _ if name.starts_with("hugepages-") => Scale::Unit,
        _ => return String::new(),
    };
    let read = |quantity: &ApiQuantity| Quantity::try_from(quantity).ok();
    let amount = list.and_then(|list| read(list.get(name)?)).unwrap_or(Quantity::ZERO);
    let divisor = selector.divisor.as_ref().and_then(read).filter(|divisor| !divisor.is_zero());
    let one = Quantity::new(1, Format::DecimalSI);
    let divisor = i128::from(divisor.unwrap_or(one).scaled_value(scale));
    let amount = i128::from(amount.scaled_value(scale));
    // Rounded up; a divisor is never zero here, for it was rounded up itself.
    let value = -(-amount).div_euclid(divisor.max(1));
    match (value, resource) {
        (0, "limits.cpu" | "limits.memory") => "node allocatable".to_owned(),
        _ => value.to_string(),
    }
}

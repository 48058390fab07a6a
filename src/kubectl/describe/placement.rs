//! Labels, annotations, the controller, and where a pod may run.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    LabelSelector, LabelSelectorRequirement, ObjectMeta,
};

use super::Sections;
use super::go::shortened;

/// How long an annotation is shown, in bytes (`maxAnnotationLen`).
pub(super) const MAX_ANNOTATION: usize = 140;

/// What `kubectl apply` keeps, and never shows.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Labels, or what looks like them, one a line (`printLabelsMultiline`).
pub(super) fn labels(out: &mut Sections, title: &str, labels: Option<&BTreeMap<String, String>>) {
    let lines = labels.into_iter().flatten().map(|(name, value)| format!("{name}={value}"));
    titled(out, title, &lines.collect::<Vec<_>>());
}

/// `printAnnotationsMultiline`.
pub(super) fn annotations(out: &mut Sections, annotations: Option<&BTreeMap<String, String>>) {
    let lines = annotation_lines(annotations, "", "\t");
    match lines.split_first() {
        None => out.line(0, format_args!("Annotations:\t<none>")),
        Some((first, rest)) => {
            out.line(0, format_args!("Annotations:\t{first}"));
            rest.iter().for_each(|line| out.line(0, format_args!("{line}")));
        }
    }
}

/// The lines of annotations, what stands before each but the first included. `piece` stands before each
/// piece of text that is written, `indent` before those that begin a line.
pub(super) fn annotation_lines(
    annotations: Option<&BTreeMap<String, String>>,
    piece: &str,
    indent: &str,
) -> Vec<String> {
    let mut lines = Vec::new();
    for (key, value) in annotations.into_iter().flatten() {
        if key == LAST_APPLIED {
            continue;
        }
        let before = if lines.is_empty() { "" } else { indent };
        let value = value.strip_suffix('\n').unwrap_or(value);
        if value.len() + key.len() + 2 > MAX_ANNOTATION || value.contains('\n') {
            lines.push(format!("{before}{piece}{key}:"));
            let parts = value.split('\n').map(|part| shortened(part, MAX_ANNOTATION - 2));
            lines.extend(parts.map(|part| format!("{indent}  {part}")));
        } else {
            lines.push(format!("{before}{piece}{key}: {value}"));
        }
    }
    lines
}

/// A title with values below each other, or `<none>`.
fn titled(out: &mut Sections, title: &str, lines: &[String]) {
    match lines.split_first() {
        None => out.line(0, format_args!("{title}:\t<none>")),
        Some((first, rest)) => {
            out.line(0, format_args!("{title}:\t{first}"));
            rest.iter().for_each(|line| out.line(0, format_args!("\t{line}")));
        }
    }
}

/// `Job/import`: the owner that is the controller (`metav1.GetControllerOf`).
pub(super) fn controller(out: &mut Sections, metadata: &ObjectMeta) {
    let mut owners = metadata.owner_references.iter().flatten();
    if let Some(owner) = owners.find(|owner| owner.controller == Some(true)) {
        out.line(0, format_args!("Controlled By:\t{}/{}", owner.kind, owner.name));
    }
}

/// `printPodTolerationsMultiline`.
pub(super) fn tolerations(out: &mut Sections, spec: &v1::PodSpec) {
    let mut tolerations: Vec<_> = spec.tolerations.iter().flatten().collect();
    let key = |toleration: &v1::Toleration| toleration.key.clone().unwrap_or_default();
    tolerations.sort_by_key(|toleration| key(toleration));
    let line = |toleration: &v1::Toleration| {
        let mut line = key(toleration);
        let set = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let (value, effect) = (set(&toleration.value), set(&toleration.effect));
        // Writing to a string does not fail.
        if let Some(value) = &value {
            let _ = write!(line, "={value}");
        }
        if let Some(effect) = &effect {
            let _ = write!(line, ":{effect}");
        }
        if toleration.operator.as_deref() == Some("Exists") && value.is_none() {
            line.push_str(if line.is_empty() { "op=Exists" } else { " op=Exists" });
        }
        if let Some(seconds) = toleration.toleration_seconds {
            let _ = write!(line, " for {seconds}s");
        }
        line
    };
    titled(out, "Tolerations", &tolerations.into_iter().map(line).collect::<Vec<_>>());
}

/// `describeTopologySpreadConstraints`.
pub(super) fn topology_spread(out: &mut Sections, spec: &v1::PodSpec) {
    let mut constraints: Vec<_> = spec.topology_spread_constraints.iter().flatten().collect();
    if constraints.is_empty() {
        return;
    }
    constraints.sort_by_key(|constraint| &constraint.topology_key);
    let line = |constraint: &v1::TopologySpreadConstraint| {
        let (key, skew) = (&constraint.topology_key, constraint.max_skew);
        let mut line =
            format!("{key}:{} when max skew {skew} is exceeded", constraint.when_unsatisfiable);
        if let Some(selector) = &constraint.label_selector {
            let _ = write!(line, " for selector {}", formatted(selector));
        }
        line
    };
    let lines: Vec<_> = constraints.into_iter().map(line).collect();
    titled(out, "Topology Spread Constraints", &lines);
}

/// `metav1.FormatLabelSelector`.
fn formatted(selector: &LabelSelector) -> String {
    let labels = selector.match_labels.iter().flatten();
    let mut parts: Vec<(String, String)> =
        labels.map(|(key, value)| (key.clone(), format!("{key}={value}"))).collect();
    for expression in selector.match_expressions.iter().flatten() {
        match requirement(expression) {
            Some(text) => parts.push((expression.key.clone(), text)),
            None => return "<error>".to_string(),
        }
    }
    parts.sort_by(|a, b| a.0.cmp(&b.0));
    if parts.is_empty() {
        return "<none>".to_string();
    }
    parts.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(",")
}

/// One expression; `None`: one that selects nothing that could be said.
fn requirement(expression: &LabelSelectorRequirement) -> Option<String> {
    let key = &expression.key;
    let mut values = expression.values.clone().unwrap_or_default();
    values.sort();
    let values_are = |wanted: bool| (values.is_empty() != wanted).then_some(());
    Some(match expression.operator.as_str() {
        "In" => {
            values_are(true)?;
            format!("{key} in ({})", values.join(","))
        }
        "NotIn" => {
            values_are(true)?;
            format!("{key} notin ({})", values.join(","))
        }
        "Exists" => {
            values_are(false)?;
            key.clone()
        }
        "DoesNotExist" => {
            values_are(false)?;
            format!("!{key}")
        }
        _ => return None,
    })
}

//! Labels, annotations and selectors
//! (`k8s.io/apimachinery/pkg/apis/meta/v1/validation`).

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::field::{BadValue, Errors, Path};
use super::names;
use crate::version::FeatureGates;

/// Texts by name.
pub(super) type Texts = BTreeMap<String, String>;

/// How many bytes the annotations of an object may have (`TotalAnnotationSizeLimitB`).
const MAX_ANNOTATIONS: usize = 256 << 10;

/// `ValidateLabelName`.
pub(super) fn validate_name(name: &str, path: &Path<'_>, errors: &mut Errors) {
    errors.breaches(path, name, names::qualified_name(name, errors.gates()));
}

/// `ValidateLabels`.
pub(super) fn validate(labels: Option<&Texts>, path: &Path<'_>, errors: &mut Errors) {
    for (name, value) in labels.into_iter().flatten() {
        validate_name(name, path, errors);
        errors.breaches(path, value, names::label_value(value, errors.gates()));
    }
}

/// `ValidateAnnotations`.
pub(super) fn validate_annotations(
    annotations: Option<&Texts>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let mut bytes = 0;
    for (name, value) in annotations.into_iter().flatten() {
        errors.breaches(path, name, names::qualified_name(&name.to_lowercase(), errors.gates()));
        bytes += name.len() + value.len();
    }
    if bytes > MAX_ANNOTATIONS {
        errors.too_long(path, MAX_ANNOTATIONS);
    }
}

/// `ValidateLabelSelector`.
pub(super) fn validate_selector(
    selector: Option<&LabelSelector>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let Some(selector) = selector else { return };
    validate(selector.match_labels.as_ref(), &path.child("matchLabels"), errors);
    let list = path.child("matchExpressions");
    for (index, expression) in selector.match_expressions.iter().flatten().enumerate() {
        let path = list.index(index);
        let values = expression.values.as_deref().unwrap_or_default();
        match expression.operator.as_str() {
            "In" | "NotIn" if values.is_empty() => errors.required(
                &path.child("values"),
                "must be specified when `operator` is 'In' or 'NotIn'",
            ),
            "Exists" | "DoesNotExist" if !values.is_empty() => errors.forbidden(
                &path.child("values"),
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            ),
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                let other = BadValue::word(other);
                errors.invalid(&path.child("operator"), other, "not a valid selector operator");
            }
        }
        validate_name(&expression.key, &path.child("key"), errors);
        let list = path.child("values");
        for (index, value) in values.iter().enumerate() {
            errors.breaches(&list.index(index), value, names::label_value(value, errors.gates()));
        }
    }
}

/// Does the selector take these labels? None if it is none that could be used
/// (`LabelSelectorAsSelector`).
pub(super) fn matches(selector: Option<&LabelSelector>, labels: Option<&Texts>) -> Option<bool> {
    // Without a selector nothing is taken.
    let Some(selector) = selector else { return Some(false) };
    // Its words are not told.
    let mut probe = Errors::new(FeatureGates::default());
    validate_selector(Some(selector), &Path::Root("selector"), &mut probe);
    if !probe.is_empty() {
        return None;
    }
    let value = |name: &String| labels.and_then(|labels| labels.get(name));
    let equal =
        selector.match_labels.iter().flatten().all(|(name, text)| value(name) == Some(text));
    let kept = selector.match_expressions.iter().flatten().all(|expression| {
        let values = expression.values.as_deref().unwrap_or_default();
        let value = value(&expression.key);
        match expression.operator.as_str() {
            "In" => value.is_some_and(|value| values.contains(value)),
            "NotIn" => value.is_none_or(|value| !values.contains(value)),
            "Exists" => value.is_some(),
            _ => value.is_none(),
        }
    });
    Some(equal && kept)
}

/// Does it select everything?
pub(super) fn is_empty(selector: &LabelSelector) -> bool {
    selector.match_labels.as_ref().is_none_or(BTreeMap::is_empty)
        && selector.match_expressions.as_ref().is_none_or(|list| list.is_empty())
}

/// Labels as a refused value.
pub(super) fn shown(labels: Option<&Texts>) -> BadValue {
    BadValue::Json(serde_json::to_string(&labels).unwrap_or_default())
}

/// A selector as a refused value, in the order of Kubernetes' type.
pub(super) fn shown_selector(selector: Option<&LabelSelector>) -> BadValue {
    let Some(selector) = selector else { return BadValue::Null };
    let mut fields = String::new();
    if let Some(labels) = selector.match_labels.as_ref().filter(|labels| !labels.is_empty()) {
        let labels = serde_json::to_string(labels).unwrap_or_default();
        fields = format!("\"matchLabels\":{labels}");
    }
    if let Some(list) = selector.match_expressions.as_ref().filter(|list| !list.is_empty()) {
        let list = serde_json::to_string(list).unwrap_or_default();
        let comma = if fields.is_empty() { "" } else { "," };
        fields = format!("{fields}{comma}\"matchExpressions\":{list}");
    }
    BadValue::Json(format!("{{{fields}}}"))
}

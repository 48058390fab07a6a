//! On which nodes a pod may run: affinity, tolerations and spread (`validateAffinity`,
//! `ValidateTolerations`, `validateTopologySpreadConstraints`).

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::field::{BadValue, Errors, Path};
use super::{labels, names};

const WEIGHT: &str = "must be in the range 1-100";
const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
const NO_SELECTOR: &str = "must not be specified when labelSelector is not set";

pub(super) fn validate_affinity(affinity: &v1::Affinity, path: &Path<'_>, errors: &mut Errors) {
    if let Some(node) = &affinity.node_affinity {
        validate_node_affinity(node, &path.child("nodeAffinity"), errors);
    }
    let mut terms = |required: Option<&[v1::PodAffinityTerm]>,
                     preferred: Option<&[v1::WeightedPodAffinityTerm]>,
                     path: &Path<'_>| {
        let list = path.child(REQUIRED);
        for (index, term) in required.unwrap_or_default().iter().enumerate() {
            validate_term(term, &list.index(index), errors);
        }
        let list = path.child(PREFERRED);
        for (index, term) in preferred.unwrap_or_default().iter().enumerate() {
            let path = list.index(index);
            if !(1..=100).contains(&term.weight) {
                errors.invalid(&path.child("weight"), term.weight, WEIGHT);
            }
            validate_term(&term.pod_affinity_term, &path.child("podAffinityTerm"), errors);
        }
    };
    if let Some(pods) = &affinity.pod_affinity {
        terms(
            pods.required_during_scheduling_ignored_during_execution.as_deref(),
            pods.preferred_during_scheduling_ignored_during_execution.as_deref(),
            &path.child("podAffinity"),
        );
    }
    if let Some(pods) = &affinity.pod_anti_affinity {
        terms(
            pods.required_during_scheduling_ignored_during_execution.as_deref(),
            pods.preferred_during_scheduling_ignored_during_execution.as_deref(),
            &path.child("podAntiAffinity"),
        );
    }
}

fn validate_node_affinity(affinity: &v1::NodeAffinity, path: &Path<'_>, errors: &mut Errors) {
    if let Some(required) = &affinity.required_during_scheduling_ignored_during_execution {
        let path = path.child(REQUIRED);
        let list = path.child("nodeSelectorTerms");
        if required.node_selector_terms.is_empty() {
            errors.required(&list, "must have at least one node selector term");
        }
        for (index, term) in required.node_selector_terms.iter().enumerate() {
            validate_node_term(term, true, &list.index(index), errors);
        }
    }
    let list = path.child(PREFERRED);
    let preferred = affinity.preferred_during_scheduling_ignored_during_execution.iter().flatten();
    for (index, term) in preferred.enumerate() {
        let path = list.index(index);
        if !(1..=100).contains(&term.weight) {
            errors.invalid(&path.child("weight"), term.weight, WEIGHT);
        }
        validate_node_term(&term.preference, false, &path.child("preference"), errors);
    }
}

/// `ValidateNodeSelectorTerm`. What is only preferred may have values that are no labels.
fn validate_node_term(
    term: &v1::NodeSelectorTerm,
    strict: bool,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let list = path.child("matchExpressions");
    for (index, expression) in term.match_expressions.iter().flatten().enumerate() {
        let path = list.index(index);
        let values = expression.values.as_deref().unwrap_or_default();
        let at = path.child("values");
        match (expression.operator.as_str(), values.len()) {
            ("In" | "NotIn", 0) => {
                errors.required(&at, "must be specified when `operator` is 'In' or 'NotIn'");
            }
            ("Exists" | "DoesNotExist", 1..) => errors.forbidden(
                &at,
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            ),
            ("Gt" | "Lt", 0 | 2..) => errors
                .required(&at, "must be specified single value when `operator` is 'Lt' or 'Gt'"),
            ("In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt", _) => {}
            (other, _) => {
                let other = BadValue::word(other);
                errors.invalid(&path.child("operator"), other, "not a valid selector operator");
            }
        }
        labels::validate_name(&expression.key, &path.child("key"), errors);
        for (index, value) in values.iter().enumerate().filter(|_| strict) {
            errors.breaches(&at.index(index), value, names::label_value(value, errors.gates()));
        }
    }
    let list = path.child("matchFields");
    for (index, field) in term.match_fields.iter().flatten().enumerate() {
        let path = list.index(index);
        let values = field.values.as_deref().unwrap_or_default();
        let at = path.child("values");
        match field.operator.as_str() {
            "In" | "NotIn" if values.len() == 1 => {}
            "In" | "NotIn" => errors.required(
                &at,
                "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
            ),
            other => {
                let other = BadValue::word(other);
                errors.invalid(&path.child("operator"), other, "not a valid selector operator");
            }
        }
        if field.key != "metadata.name" {
            let detail = "not a valid field selector key";
            errors.invalid(&path.child("key"), field.key.as_str(), detail);
            continue;
        }
        for (index, value) in values.iter().enumerate() {
            errors.breaches(&at.index(index), value, names::dns_subdomain(value));
        }
    }
}

/// `validatePodAffinityTerm`.
fn validate_term(term: &v1::PodAffinityTerm, path: &Path<'_>, errors: &mut Errors) {
    let selector = term.label_selector.as_ref();
    labels::validate_selector(selector, &path.child("labelSelector"), errors);
    let namespaces = term.namespace_selector.as_ref();
    labels::validate_selector(namespaces, &path.child("namespaceSelector"), errors);
    for namespace in term.namespaces.iter().flatten() {
        errors.breaches(&path.child("namespace"), namespace, names::dns_label(namespace));
    }
    let matching = term.match_label_keys.as_deref().unwrap_or_default();
    let other = term.mismatch_label_keys.as_deref().unwrap_or_default();
    validate_label_keys(matching, other, selector, path, errors);
    let key = path.child("topologyKey");
    if term.topology_key.is_empty() {
        errors.required(&key, "can not be empty");
    }
    labels::validate_name(&term.topology_key, &key, errors);
}

/// `ValidateMatchLabelKeysAndMismatchLabelKeys`. What a new pod's own labels add to its selectors
/// is left out.
fn validate_label_keys(
    matching: &[String],
    other: &[String],
    selector: Option<&LabelSelector>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    for (name, keys) in [("matchLabelKeys", matching), ("mismatchLabelKeys", other)] {
        let list = path.child(name);
        if selector.is_none() && !keys.is_empty() {
            errors.forbidden(&list, NO_SELECTOR);
            continue;
        }
        for (index, key) in keys.iter().enumerate() {
            labels::validate_name(key, &list.index(index), errors);
        }
    }
    let list = path.child("matchLabelKeys");
    for (index, key) in matching.iter().enumerate().filter(|(_, key)| other.contains(key)) {
        let detail = "exists in both matchLabelKeys and mismatchLabelKeys";
        errors.invalid(&list.index(index), key.as_str(), detail);
    }
}

pub(super) fn validate_tolerations(
    tolerations: &[v1::Toleration],
    list: &Path<'_>,
    errors: &mut Errors,
) {
    for (index, toleration) in tolerations.iter().enumerate() {
        let path = list.index(index);
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (key, value) = (text(&toleration.key), text(&toleration.value));
        let (operator, effect) = (text(&toleration.operator), text(&toleration.effect));
        let at = path.child("operator");
        if !key.is_empty() {
            labels::validate_name(&key, &path.child("key"), errors);
        } else if operator != "Exists" {
            errors.invalid(
                &at,
                BadValue::word(&operator),
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            );
        }
        if toleration.toleration_seconds.is_some() && effect != "NoExecute" {
            errors.invalid(
                &path.child("effect"),
                BadValue::word(&effect),
                "effect must be 'NoExecute' when `tolerationSeconds` is set",
            );
        }
        match operator.as_str() {
            "Equal" | "" => {
                let breaches = names::label_value(&value, errors.gates());
                if !breaches.is_empty() {
                    errors.invalid(&at, value.as_str(), breaches.join(";"));
                }
            }
            "Exists" if value.is_empty() => {}
            "Exists" => errors.invalid(
                &at,
                value.as_str(),
                "value must be empty when `operator` is 'Exists'",
            ),
            other @ ("Lt" | "Gt") => {
                errors.not_supported(&at, other, &["Equal", "Exists", "Lt", "Gt"]);
            }
            other => errors.not_supported(&at, other, &["Equal", "Exists"]),
        }
        const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
        if !effect.is_empty() && !EFFECTS.contains(&effect.as_str()) {
            errors.not_supported(&path.child("effect"), &effect, &EFFECTS);
        }
    }
}

pub(super) fn validate_spread(
    constraints: &[v1::TopologySpreadConstraint],
    list: &Path<'_>,
    errors: &mut Errors,
) {
    const POSITIVE: &str = "must be greater than zero";
    const ACTIONS: [&str; 2] = ["DoNotSchedule", "ScheduleAnyway"];
    let mut left: BTreeSet<usize> = (0..constraints.len()).collect();
    for (index, constraint) in constraints.iter().enumerate() {
        left.remove(&index);
        let path = list.index(index);
        if constraint.max_skew <= 0 {
            errors.invalid(&path.child("maxSkew"), constraint.max_skew, POSITIVE);
        }
        if constraint.topology_key.is_empty() {
            errors.required(&path.child("topologyKey"), "can not be empty");
        }
        let action = constraint.when_unsatisfiable.as_str();
        if !ACTIONS.contains(&action) {
            errors.not_supported(&path.child("whenUnsatisfiable"), action, &ACTIONS);
        }
        let same = |other: &&usize| {
            let other = &constraints[**other];
            other.topology_key == constraint.topology_key && other.when_unsatisfiable == action
        };
        if left.iter().any(|other| same(&other)) {
            let pair = format!("{{{}, {action}}}", constraint.topology_key);
            errors.duplicate(&path.child("{topologyKey, whenUnsatisfiable}"), pair);
        }
        if let Some(domains) = constraint.min_domains {
            let path = path.child("minDomains");
            if domains <= 0 {
                errors.invalid(&path, domains, POSITIVE);
            }
            if action != "DoNotSchedule" {
                errors.invalid(
                    &path,
                    BadValue::Number(domains.into()),
                    format!(
                        "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
                    ),
                );
            }
        }
        let policies = [
            ("nodeAffinityPolicy", &constraint.node_affinity_policy),
            ("nodeTaintsPolicy", &constraint.node_taints_policy),
        ];
        for (name, policy) in policies {
            if let Some(policy) = policy.as_deref().filter(|p| !["Honor", "Ignore"].contains(p)) {
                errors.not_supported(&path.child(name), policy, &["Honor", "Ignore"]);
            }
        }
        let keys = constraint.match_label_keys.as_deref().unwrap_or_default();
        let selector = constraint.label_selector.as_ref();
        validate_label_keys(keys, &[], selector, &path, errors);
        labels::validate_selector(selector, &path.child("labelSelector"), errors);
    }
}

//! `restartPolicy` and `restartPolicyRules` of containers
//! (`validateContainerRestartPolicy`, `validateInitContainerRestartPolicy`).

use alloc::vec::Vec;

use k8s_openapi::api::core::v1;

use super::field::{Errors, Path};
use crate::version::{Change, Feature, FeatureGates};

/// The most rules one container may have.
const MAX_RULES: usize = 20;
/// The most exit codes one rule may list.
const MAX_EXIT_CODES: usize = 255;

/// One of `restartPolicyRules`. API versions before 1.34 have no type for it.
struct Rule<'a> {
    action: &'a str,
    exit_codes: Option<ExitCodes<'a>>,
}

struct ExitCodes<'a> {
    operator: &'a str,
    count: usize,
}

#[allow(unused_mut, unused_variables, reason = "API versions before 1.34 have no rules")]
fn rules(container: &v1::Container) -> Vec<Rule<'_>> {
    let mut rules = Vec::new();
    k8s_openapi::k8s_if_ge_1_34! {
        for rule in container.restart_policy_rules.iter().flatten() {
            rules.push(Rule {
                action: &rule.action,
                exit_codes: rule.exit_codes.as_ref().map(|codes| ExitCodes {
                    operator: &codes.operator,
                    count: codes.values.as_ref().map_or(0, Vec::len),
                }),
            });
        }
    }
    rules
}

/// Is this init container restartable?
pub(super) fn is_restartable(container: &v1::Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

pub(super) fn validate_app(
    container: &v1::Container,
    path: &Path<'_>,
    gates: FeatureGates,
    errors: &mut Errors,
) {
    if gates.enabled(Feature::ContainerRestartRules) {
        validate_policy(container, path, errors);
        validate_rules(container, path, gates, errors);
    } else if container.restart_policy.is_some() {
        errors.forbidden(&path.child("restartPolicy"), "may not be set for non-init containers");
    }
}

pub(super) fn validate_init(
    container: &v1::Container,
    path: &Path<'_>,
    gates: FeatureGates,
    errors: &mut Errors,
) {
    if !gates.enabled(Feature::ContainerRestartRules) {
        if let Some(policy) = container.restart_policy.as_deref().filter(|p| *p != "Always") {
            errors.not_supported(&path.child("restartPolicy"), policy, &["Always"]);
        }
        return;
    }
    if container.restart_policy.is_none() {
        // Unlike those of an app container, the rules of an init container without a policy are
        // not looked into; 1.34 overlooked even that the policy is missing.
        if gates.has(Change::RestartRulesNeedPolicy) {
            validate_policy(container, path, errors);
        }
        return;
    }
    validate_policy(container, path, errors);
    let sidecar_rules = gates.enabled(Feature::RestartAllContainersOnContainerExits);
    if is_restartable(container) && !sidecar_rules {
        if !rules(container).is_empty() {
            errors.forbidden(
                &path.child("restartPolicyRules"),
                "restartPolicyRules are not allowed for init containers with restart policy Always",
            );
        }
        return;
    }
    validate_rules(container, path, gates, errors);
}

fn validate_policy(container: &v1::Container, path: &Path<'_>, errors: &mut Errors) {
    let path = path.child("restartPolicy");
    match container.restart_policy.as_deref() {
        Some("Always" | "OnFailure" | "Never") => {}
        Some(other) => errors.not_supported(&path, other, &["Always", "Never", "OnFailure"]),
        None if rules(container).is_empty() => {}
        None => errors.required(&path, "must specify restartPolicy when restart rules are used"),
    }
}

fn validate_rules(
    container: &v1::Container,
    path: &Path<'_>,
    gates: FeatureGates,
    errors: &mut Errors,
) {
    let path = path.child("restartPolicyRules");
    let actions: &[&str] = if gates.enabled(Feature::RestartAllContainersOnContainerExits) {
        &["Restart", "RestartAllContainers"]
    } else {
        &["Restart"]
    };
    let rules = rules(container);
    if rules.len() > MAX_RULES {
        errors.too_many(&path, rules.len(), MAX_RULES);
    }
    for (index, rule) in rules.iter().enumerate() {
        let path = path.index(index);
        if !actions.contains(&rule.action) {
            errors.not_supported(&path.child("action"), rule.action, actions);
        }
        let path = path.child("exitCodes");
        let Some(codes) = &rule.exit_codes else {
            errors.required(&path, "must be specified");
            continue;
        };
        if !matches!(codes.operator, "In" | "NotIn") {
            errors.not_supported(&path.child("operator"), codes.operator, &["In", "NotIn"]);
        }
        if codes.count > MAX_EXIT_CODES {
            errors.too_many(&path.child("values"), codes.count, MAX_EXIT_CODES);
        }
    }
}

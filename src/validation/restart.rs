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
    values: &'a [i32],
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
                    values: codes.values.as_deref().unwrap_or_default(),
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

/// Does a container that ended with this exit code start again (`ContainerShouldRestart`)?
pub(super) fn should_restart(
    container: &v1::Container,
    spec: &v1::PodSpec,
    exit_code: i32,
    gates: FeatureGates,
) -> bool {
    let by_policy = |policy: Option<&str>| match policy {
        Some("Always") => Some(true),
        Some("OnFailure") => Some(exit_code != 0),
        Some("Never") => Some(false),
        _ => None,
    };
    if let Some(policy) = container.restart_policy.as_deref() {
        let rules = rules(container);
        let matching = rules.iter().find(|rule| {
            rule.exit_codes.as_ref().is_some_and(|codes| match codes.operator {
                "In" => codes.values.contains(&exit_code),
                "NotIn" => !codes.values.contains(&exit_code),
                _ => false,
            })
        });
        let all = gates.enabled(Feature::RestartAllContainersOnContainerExits);
        match matching.map(|rule| rule.action) {
            Some("Restart") => return true,
            Some("RestartAllContainers") if all => return true,
            _ => {}
        }
        if let Some(restarts) = by_policy(Some(policy)) {
            return restarts;
        }
    }
    by_policy(spec.restart_policy.as_deref()).unwrap_or(true)
}

/// Has any container a rule that restarts all of them (`AllContainersCouldRestart`)?
pub(super) fn all_could_restart(spec: &v1::PodSpec) -> bool {
    let mut containers = spec.init_containers.iter().flatten().chain(&spec.containers);
    containers
        .any(|container| rules(container).iter().any(|rule| rule.action == "RestartAllContainers"))
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
        if codes.values.len() > MAX_EXIT_CODES {
            errors.too_many(&path.child("values"), codes.values.len(), MAX_EXIT_CODES);
        }
    }
}

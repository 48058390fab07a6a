//! A change to a pod (`ValidatePodUpdate`), and what it does to containers that run.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

use k8s_openapi::api::core::v1;
use serde_json::Value;
use smol_str::SmolStr;

use super::create::{SPEC, validate_pod};
use super::field::{BadValue, Errors, Path, ValidationErrors};
use super::{containers, metadata, placement, restart};
use crate::admission::decode;
use crate::quantity::Quantity;
use crate::version::{Change, Feature, FeatureGates};

/// What may be changed, as the apiserver lists it (`updatablePodSpecFields`).
const UPDATABLE: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// What a new image does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImageEffect {
    /// Nothing is restarted. The image is used when the container starts the next time, if ever:
    /// a regular init container that has completed is not run again for it.
    UsedAtNextStart,
    /// The kubelet kills the running container and starts it anew with the image, whatever the
    /// restart policy.
    RestartsContainer,
}

/// What an accepted change does to the pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UpdateEffect {
    /// A container has another image.
    Image {
        /// The field's path, such as `spec.initContainers[0].image`.
        field: String,
        /// The container.
        container: SmolStr,
        /// What it means for the container.
        effect: ImageEffect,
    },
    /// The pod has a deadline, or an earlier one. It counts from the pod's start, so that it may
    /// have passed already.
    ActiveDeadline {
        /// The new `activeDeadlineSeconds`.
        seconds: i64,
    },
    /// The last scheduling gate is gone: the pod may be scheduled.
    Schedulable,
}

/// Checks a change to a pod, and tells what an accepted one does.
///
/// The name and the namespace stay as they are; labels and annotations may become any valid ones.
///
/// # Errors
/// All errors at once, see [`ValidationErrors`]. The last detail of a forbidden change lists what
/// differs; the apiserver shows the same in Go syntax.
///
/// ```
/// use k8s_openapi::api::core::v1;
/// use podinit::FeatureGates;
/// use podinit::validation::{ImageEffect, UpdateEffect, validate_update};
///
/// let old: v1::Pod = serde_json::from_str(
///     r#"{"metadata": {"name": "web"}, "spec": {
///         "initContainers": [{"name": "setup", "image": "setup:1"}],
///         "containers": [{"name": "web", "image": "web:1"}]
///     }}"#,
/// )?;
/// let mut new = old.clone();
/// new.spec.as_mut().unwrap().init_containers.as_mut().unwrap()[0].image = Some("setup:2".into());
/// assert_eq!(
///     validate_update(&old, &new, FeatureGates::default()),
///     Ok(vec![UpdateEffect::Image {
///         field: "spec.initContainers[0].image".into(),
///         container: "setup".into(),
///         effect: ImageEffect::UsedAtNextStart,
///     }])
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn validate_update(
    old: &v1::Pod,
    new: &v1::Pod,
    gates: FeatureGates,
) -> Result<Vec<UpdateEffect>, ValidationErrors> {
    let old = decode(old, gates);
    let mut new = decode(&over_stored(&old, new), gates);
    keep_pod_level_resources(&old, &mut new, gates);
    let mut errors = Errors::new(gates);
    metadata::validate_common(&old.metadata, &new.metadata, &mut errors);
    validate_pod(&new, gates, &mut errors);
    if let Some(spec) = &new.spec {
        let (before, after) =
            (old.metadata.annotations.as_ref(), new.metadata.annotations.as_ref());
        metadata::validate_annotation_update(before, after, spec, &mut errors);
    }
    let (old, new) = (old.spec.unwrap_or_default(), new.spec.unwrap_or_default());
    validate_changes(&old, &new, &mut errors);
    errors.of_update()?;
    Ok(effects(&old, &new, gates))
}

/// The new pod as a patch leaves it: where it gives no pull policy, the stored one stays, though
/// the new image would be given another by default.
fn over_stored(old: &v1::Pod, new: &v1::Pod) -> v1::Pod {
    let keep = |new: &mut [v1::Container], old: &[v1::Container]| {
        for (container, before) in new.iter_mut().zip(old) {
            if container.image_pull_policy.is_none() {
                container.image_pull_policy.clone_from(&before.image_pull_policy);
            }
        }
    };
    let mut new = new.clone();
    if let (Some(old), Some(new)) = (&old.spec, &mut new.spec) {
        keep(&mut new.containers, &old.containers);
        keep(new.init_containers.as_deref_mut().unwrap_or_default(), init_containers(old));
    }
    new
}

/// Clients that do not know of pod-level resources do not take them away (since 1.37,
/// `podStrategy.PrepareForUpdate`).
pub(super) fn keep_pod_level_resources(old: &v1::Pod, new: &mut v1::Pod, gates: FeatureGates) {
    if let (Some(old), Some(new)) = (&old.spec, &mut new.spec)
        && gates.enabled(Feature::PodLevelResourcesFixDefaulting)
        && new.resources.is_none()
    {
        new.resources.clone_from(&old.resources);
    }
}

fn init_containers(spec: &v1::PodSpec) -> &[v1::Container] {
    spec.init_containers.as_deref().unwrap_or_default()
}

/// What follows the checks that new pods undergo too. The first error of a kind ends it where the
/// apiserver stops as well.
fn validate_changes(old: &v1::PodSpec, new: &v1::PodSpec, errors: &mut Errors) {
    let same_containers =
        validate_containers(&old.containers, &new.containers, &SPEC.child("containers"), errors)
            && validate_containers(
                init_containers(old),
                init_containers(new),
                &SPEC.child("initContainers"),
                errors,
            );
    if !same_containers || !validate_deadline(old, new, errors) {
        return;
    }
    validate_tolerations(old, new, errors);
    validate_scheduling_gates(old, new, errors);
    validate_rest(old, new, errors);
}

/// `ValidateContainerUpdates`: is there still one container for each?
fn validate_containers(
    old: &[v1::Container],
    new: &[v1::Container],
    list: &Path<'_>,
    errors: &mut Errors,
) -> bool {
    if old.len() != new.len() {
        errors.forbidden(list, "pod updates may not add or remove containers");
        return false;
    }
    for (index, container) in new.iter().enumerate() {
        if container.image.as_deref().unwrap_or_default().is_empty() {
            errors.required(&list.index(index).child("image"), "");
        }
    }
    containers::validate_image_blanks(new, list, errors);
    true
}

/// A deadline may be set and moved nearer. False: the rest is not looked at.
fn validate_deadline(old: &v1::PodSpec, new: &v1::PodSpec, errors: &mut Errors) -> bool {
    let path = SPEC.child("activeDeadlineSeconds");
    match (old.active_deadline_seconds, new.active_deadline_seconds) {
        (_, Some(deadline)) if !(0..=i64::from(i32::MAX)).contains(&deadline) => {
            errors.invalid(&path, deadline, "must be between 0 and 2147483647, inclusive");
            false
        }
        (Some(before), Some(deadline)) if before < deadline => {
            errors.invalid(&path, deadline, "must be less than or equal to previous value");
            false
        }
        (Some(_), None) => {
            let detail = "must not update from a positive integer to nil value";
            errors.invalid(&path, BadValue::Null, detail);
            true
        }
        _ => true,
    }
}

/// Tolerations may only be added; of those that exist, `tolerationSeconds` may change.
fn validate_tolerations(old: &v1::PodSpec, new: &v1::PodSpec, errors: &mut Errors) {
    let same = |a: &v1::Toleration, b: &v1::Toleration| {
        (&a.key, &a.operator, &a.value, &a.effect) == (&b.key, &b.operator, &b.value, &b.effect)
    };
    let kept = |before: &v1::Toleration| new.tolerations.iter().flatten().any(|t| same(before, t));
    if !old.tolerations.iter().flatten().all(kept) {
        errors.forbidden(
            &SPEC.child("tolerations"),
            "existing toleration can not be modified except its tolerationSeconds",
        );
        return;
    }
    let tolerations = new.tolerations.as_deref().unwrap_or_default();
    placement::validate_tolerations(tolerations, &SPEC.child("tolerations"), errors);
}

/// Scheduling gates may only be taken away.
fn validate_scheduling_gates(old: &v1::PodSpec, new: &v1::PodSpec, errors: &mut Errors) {
    let before: BTreeSet<&str> =
        old.scheduling_gates.iter().flatten().map(|gate| gate.name.as_str()).collect();
    let list = SPEC.child("schedulingGates");
    for (index, gate) in new.scheduling_gates.iter().flatten().enumerate() {
        if !before.contains(gate.name.as_str()) {
            let name = &gate.name;
            errors.forbidden(
                &list.index(index).child("name"),
                format!("only deletion is allowed, but found new scheduling gate '{name}'"),
            );
        }
    }
}

/// With what may change put back as it was, the specs must be the same.
fn validate_rest(old: &v1::PodSpec, new: &v1::PodSpec, errors: &mut Errors) {
    let mut masked = new.clone();
    let put_back_images = |masked: &mut [v1::Container], old: &[v1::Container]| {
        for (container, before) in masked.iter_mut().zip(old) {
            container.image.clone_from(&before.image);
        }
    };
    put_back_images(&mut masked.containers, &old.containers);
    put_back_images(
        masked.init_containers.as_deref_mut().unwrap_or_default(),
        init_containers(old),
    );
    masked.active_deadline_seconds = old.active_deadline_seconds;
    masked.scheduling_gates.clone_from(&old.scheduling_gates);
    masked.tolerations.clone_from(&old.tolerations);
    let (before, after) =
        (old.termination_grace_period_seconds, masked.termination_grace_period_seconds);
    if before.is_some_and(|before| before < 0) && after == Some(1) {
        masked.termination_grace_period_seconds = before;
    }
    if old.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty()) {
        put_back_node_selector(old, &mut masked, errors);
    }
    let differences = differences(&comparable(old), &comparable(&masked));
    if !differences.is_empty() {
        errors.forbidden(&SPEC, format!("{UPDATABLE}\n{differences}"));
    }
}

/// A pod that is not scheduled yet may become choosier about its nodes
/// (`validateNodeSelectorMutation`).
fn put_back_node_selector(old: &v1::PodSpec, masked: &mut v1::PodSpec, errors: &mut Errors) {
    let kept = old.node_selector.iter().flatten().all(|(key, value)| {
        masked.node_selector.as_ref().and_then(|selector| selector.get(key)) == Some(value)
    });
    if !kept {
        let json = serde_json::to_string(&masked.node_selector).unwrap_or_default();
        errors.invalid(
            &SPEC.child("nodeSelector"),
            BadValue::Json(json),
            "only additions to spec.nodeSelector are allowed (no mutations or deletions)",
        );
    }
    masked.node_selector.clone_from(&old.node_selector);
}

/// A spec as JSON in which what means the same looks the same (`apiequality.Semantic` on the types
/// that the apiserver works with): quantities in their canonical form; lists, maps and texts that are
/// empty left out, and so are the false and the zero of fields that cannot be unset.
pub(super) fn comparable(spec: &v1::PodSpec) -> Value {
    let mut json = serde_json::to_value(spec).unwrap_or_default();
    if let Some(fields) = json.as_object_mut() {
        // Another name for `serviceAccountName`.
        let alias = fields.remove("serviceAccount");
        if let Some(alias) = alias
            && fields.get("serviceAccountName").is_none_or(|name| name == "")
        {
            fields.insert("serviceAccountName".to_owned(), alias);
        }
    }
    drop_unset("", &mut json);
    json
}

/// The fields that hold true or false and cannot be unset.
const PLAIN_BOOLEANS: [&str; 7] =
    ["hostIPC", "hostNetwork", "hostPID", "readOnly", "stdin", "stdinOnce", "tty"];
/// The fields that hold a number and cannot be unset.
const PLAIN_NUMBERS: [&str; 2] = ["hostPort", "initialDelaySeconds"];
/// The fields that hold a quantity.
const QUANTITIES: [&str; 2] = ["divisor", "sizeLimit"];
/// The fields that hold a map of quantities.
const QUANTITY_MAPS: [&str; 3] = ["limits", "overhead", "requests"];
/// The fields that hold a map of texts.
const TEXT_MAPS: [&str; 3] = ["matchLabels", "nodeSelector", "volumeAttributes"];

fn drop_unset(name: &str, value: &mut Value) {
    match value {
        // Every entry of a map of texts counts.
        Value::Object(_) if TEXT_MAPS.contains(&name) => {}
        Value::Object(fields) => {
            let quantities = QUANTITY_MAPS.contains(&name);
            for (field, value) in fields.iter_mut() {
                if quantities || QUANTITIES.contains(&field.as_str()) {
                    make_canonical(value);
                } else {
                    drop_unset(field, value);
                }
            }
            fields.retain(|field, value| match value {
                Value::Array(items) => !items.is_empty(),
                Value::String(text) => !text.is_empty(),
                Value::Bool(false) => !PLAIN_BOOLEANS.contains(&field.as_str()),
                Value::Number(number) => {
                    number.as_i64() != Some(0) || !PLAIN_NUMBERS.contains(&field.as_str())
                }
                // An object without fields may be a choice made, a map without entries is none.
                Value::Object(entries) => {
                    // A container's resources are no choice, those of the pod are one.
                    let of_container = field == "resources" && name.ends_with("ontainers");
                    !entries.is_empty()
                        || !of_container
                            && !QUANTITY_MAPS.contains(&field.as_str())
                            && !TEXT_MAPS.contains(&field.as_str())
                }
                _ => true,
            });
        }
        Value::Array(items) => items.iter_mut().for_each(|item| drop_unset(name, item)),
        _ => {}
    }
}

fn make_canonical(value: &mut Value) {
    if let Some(quantity) = value.as_str().and_then(|text| text.parse::<Quantity>().ok()) {
        *value = quantity.to_string().into();
    }
}

/// One line a difference: `-` with what was, `+` with what would be.
pub(super) fn differences(old: &Value, new: &Value) -> String {
    let mut lines = String::new();
    compare("spec", Some(old), Some(new), &mut lines);
    lines
}

fn compare(path: &str, old: Option<&Value>, new: Option<&Value>, lines: &mut String) {
    match (old, new) {
        (old, new) if old == new => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for name in names {
                compare(&format!("{path}.{name}"), before.get(name), after.get(name), lines);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            for index in 0..before.len().max(after.len()) {
                let path = format!("{path}[{index}]");
                compare(&path, before.get(index), after.get(index), lines);
            }
        }
        (old, new) => {
            for (sign, value) in [('-', old), ('+', new)] {
                if let Some(value) = value {
                    // Writing to a String cannot fail.
                    let _ = writeln!(lines, "{sign} {path}: {value}");
                }
            }
        }
    }
}

fn effects(old: &v1::PodSpec, new: &v1::PodSpec, gates: FeatureGates) -> Vec<UpdateEffect> {
    let mut effects = Vec::new();
    let mut images = |list: &str,
                      before: &[v1::Container],
                      after: &[v1::Container],
                      effect: &dyn Fn(&v1::Container) -> ImageEffect| {
        for (index, (before, after)) in before.iter().zip(after).enumerate() {
            if before.image != after.image {
                effects.push(UpdateEffect::Image {
                    field: format!("spec.{list}[{index}].image"),
                    container: after.name.as_str().into(),
                    effect: effect(after),
                });
            }
        }
    };
    // Before 1.32 a restartable init container was not restarted for a new definition.
    let init = |container: &v1::Container| {
        if restart::is_restartable(container) && gates.has(Change::SidecarRestartsForNewImage) {
            ImageEffect::RestartsContainer
        } else {
            ImageEffect::UsedAtNextStart
        }
    };
    images("initContainers", init_containers(old), init_containers(new), &init);
    images("containers", &old.containers, &new.containers, &|_| ImageEffect::RestartsContainer);
    if let Some(seconds) = new.active_deadline_seconds
        && old.active_deadline_seconds != Some(seconds)
    {
        effects.push(UpdateEffect::ActiveDeadline { seconds });
    }
    let gated = |spec: &v1::PodSpec| spec.scheduling_gates.iter().flatten().next().is_some();
    if gated(old) && !gated(new) {
        effects.push(UpdateEffect::Schedulable);
    }
    effects
}

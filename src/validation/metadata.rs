//! An object's metadata (`ValidateObjectMeta`), and the annotations of pods that have a meaning
//! (`ValidatePodSpecificAnnotations`).

use alloc::format;

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::field::{Errors, Path};
use super::labels::{self, Texts};
use super::names;
use super::security;

/// Where the annotation for the AppArmor profile of a container begins.
const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
/// Makes a pod the mirror of a static one.
const MIRROR: &str = "kubernetes.io/config.mirror";
/// Which pods a ReplicaSet deletes first.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// Name, namespace, labels, annotations, owners and finalizers. The namespace is given by the
/// request where the object names none. Which names are possible depends on the object.
pub(super) fn validate(meta: &ObjectMeta, rule: fn(&str) -> names::Breaches, errors: &mut Errors) {
    let path = Path::Root("metadata");
    let name = meta.name.as_deref().unwrap_or_default();
    let prefix = meta.generate_name.as_deref().unwrap_or_default();
    if !name.is_empty() {
        errors.breaches(&path.child("name"), name, rule(name));
    } else if prefix.is_empty() {
        errors.required(&path.child("name"), "name or generateName is required");
    } else {
        // A generated name goes on where the prefix ends, which may thus be a hyphen.
        let masked = prefix.strip_suffix('-').unwrap_or(prefix);
        errors.breaches(&path.child("generateName"), prefix, rule(masked));
    }
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    if !namespace.is_empty() {
        errors.breaches(&path.child("namespace"), namespace, names::dns_label(namespace));
    }
    labels::validate(meta.labels.as_ref(), &path.child("labels"), errors);
    labels::validate_annotations(meta.annotations.as_ref(), &path.child("annotations"), errors);
    let owners = meta.owner_references.as_deref().unwrap_or_default();
    validate_owners(owners, &path.child("ownerReferences"), errors);
    for finalizer in meta.finalizers.iter().flatten() {
        errors.breaches(&path.child("finalizers"), finalizer, names::qualified_name(finalizer));
    }
}

/// What may become of metadata (`ValidateObjectMetaUpdate`). A namespace that is not named is the
/// stored one.
pub(super) fn validate_update(old: &ObjectMeta, new: &ObjectMeta, errors: &mut Errors) {
    let path = Path::Root("metadata");
    let fields = [("name", &old.name, &new.name), ("namespace", &old.namespace, &new.namespace)];
    for (name, old, new) in fields {
        let value = new.as_deref().unwrap_or_default();
        if !value.is_empty() && old.as_deref().is_some_and(|old| old != value) {
            errors.invalid(&path.child(name), value, "field is immutable");
        }
    }
    labels::validate(new.labels.as_ref(), &path.child("labels"), errors);
    labels::validate_annotations(new.annotations.as_ref(), &path.child("annotations"), errors);
}

/// `ValidateOwnerReferences`: the errors are those of the list.
fn validate_owners(owners: &[OwnerReference], path: &Path<'_>, errors: &mut Errors) {
    let mut controller: Option<&OwnerReference> = None;
    for owner in owners {
        let fields = [
            ("apiVersion", &owner.api_version, "version must not be empty"),
            ("kind", &owner.kind, "must not be empty"),
            ("name", &owner.name, "must not be empty"),
            ("uid", &owner.uid, "must not be empty"),
        ];
        for (name, value, detail) in fields {
            if value.is_empty() {
                errors.invalid(&path.child(name), "", detail);
            }
        }
        if owner.controller != Some(true) {
            continue;
        }
        if let Some(first) = controller {
            let (first, second) = (
                format!("{}/{}", first.kind, first.name),
                format!("{}/{}", owner.kind, owner.name),
            );
            let json = serde_json::to_string(owners).unwrap_or_default();
            errors.invalid(
                path,
                super::BadValue::Json(json),
                format!("Only one reference can have Controller set to true. Found \"true\" in references for {first} and {second}"),
            );
        } else {
            controller = Some(owner);
        }
    }
}

/// The annotations that a pod or a template is checked for.
pub(super) fn validate_annotations(
    annotations: Option<&Texts>,
    spec: &v1::PodSpec,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let Some(annotations) = annotations else { return };
    if let Some(value) = annotations.get(MIRROR)
        && spec.node_name.as_ref().is_none_or(|node| node.is_empty())
    {
        let detail = "must set spec.nodeName if mirror pod annotation is set";
        errors.invalid(&path.key(MIRROR), value.as_str(), detail);
    }
    if let Some(cost) = annotations.get(DELETION_COST)
        && !is_cost(cost)
    {
        errors.invalid(&path.key(DELETION_COST), cost.as_str(), "must be a 32bit integer");
    }
    for (name, value) in annotations {
        if let Some(container) = name.strip_prefix(APP_ARMOR) {
            if !has_container(spec, container) {
                errors.invalid(&path.key(name), container, "container not found");
            }
            let known = ["", "runtime/default", "unconfined"].contains(&value.as_str());
            if !known && !value.starts_with("localhost/") {
                let detail = format!("invalid AppArmor profile name: {value:?}");
                errors.invalid(&path.key(name), value.as_str(), detail);
            }
        }
        security::validate_seccomp_annotation(name, value, path, errors);
    }
}

/// A number of 32 bits, without a sign for what is positive and without leading zeros.
fn is_cost(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let begins_well = text.starts_with('-') || text == "0" || !digits.starts_with(['0', '+']);
    begins_well && text.parse::<i32>().is_ok()
}

fn has_container(spec: &v1::PodSpec, name: &str) -> bool {
    let regular = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let ephemeral = spec.ephemeral_containers.iter().flatten();
    regular.map(|c| &c.name).chain(ephemeral.map(|c| &c.name)).any(|other| other == name)
}

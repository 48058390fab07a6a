//! An object's metadata (`ValidateObjectMeta`), and the annotations of pods that have a meaning
//! (`ValidatePodSpecificAnnotations`).

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::field::{BadValue, Errors, Path};
use super::labels::{self, Texts};
use super::names;
use super::security;
use crate::go_quoted::Quoted;
use crate::version::Change;

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
    let finalizers = meta.finalizers.as_deref().unwrap_or_default();
    validate_finalizers(finalizers, &path.child("finalizers"), errors);
}

/// `ValidateFinalizers`, and what is asked of each name beyond that (`validateKubeFinalizerName`).
fn validate_finalizers(finalizers: &[String], list: &Path<'_>, errors: &mut Errors) {
    const STANDARD: [&str; 3] = ["foregroundDeletion", "kubernetes", "orphan"];
    for finalizer in finalizers {
        errors.breaches(list, finalizer, names::qualified_name(finalizer, errors.gates()));
    }
    let has = |name: &str| finalizers.iter().any(|finalizer| finalizer == name);
    if has("orphan") && has("foregroundDeletion") {
        let json = serde_json::to_string(finalizers).unwrap_or_default();
        let detail = "finalizer orphan and foregroundDeletion cannot be both set";
        errors.invalid(list, BadValue::Json(json), detail);
    }
    for (index, finalizer) in finalizers.iter().enumerate() {
        if !finalizer.contains('/') && !STANDARD.contains(&finalizer.as_str()) {
            errors.invalid(
                &list.index(index),
                finalizer.as_str(),
                "name is neither a standard finalizer name nor is it fully qualified",
            );
        }
    }
}

/// What any update of a pod is checked for before the rules of its door: by the rules of every
/// object (`rest.validateCommonFields`), and then by those of updates once more.
pub(super) fn validate_common(old: &ObjectMeta, new: &ObjectMeta, errors: &mut Errors) {
    validate(new, names::path_segment, errors);
    validate_update(old, new, errors);
    validate_update(old, new, errors);
}

/// What may become of metadata (`ValidateObjectMetaUpdate`). A namespace that is not named is the
/// stored one.
pub(super) fn validate_update(old: &ObjectMeta, new: &ObjectMeta, errors: &mut Errors) {
    let path = Path::Root("metadata");
    if old.deletion_timestamp.is_some() {
        let old: BTreeSet<&String> = old.finalizers.iter().flatten().collect();
        let new: BTreeSet<&String> = new.finalizers.iter().flatten().collect();
        let added: Vec<String> =
            new.difference(&old).map(|name| Quoted(name).to_string()).collect();
        if !added.is_empty() {
            let added = added.join(", ");
            errors.forbidden(
                &path.child("finalizers"),
                format!("no new finalizers can be added if the object is being deleted, found new finalizers []string{{{added}}}"),
            );
        }
    }
    let (name, before) = (new.name.as_deref().unwrap_or_default(), old.name.as_deref());
    if before.unwrap_or_default() != name {
        errors.invalid(&path.child("name"), name, "field is immutable");
    }
    // What is not named is what is stored.
    let fields = [("namespace", &old.namespace, &new.namespace), ("uid", &old.uid, &new.uid)];
    for (name, old, new) in fields {
        let value = new.as_deref().unwrap_or_default();
        if !value.is_empty() && old.as_deref().is_some_and(|old| old != value) {
            errors.invalid(&path.child(name), value, "field is immutable");
        }
    }
    labels::validate(new.labels.as_ref(), &path.child("labels"), errors);
    labels::validate_annotations(new.annotations.as_ref(), &path.child("annotations"), errors);
    let owners = new.owner_references.as_deref().unwrap_or_default();
    validate_owners(owners, &path.child("ownerReferences"), errors);
}

/// `ValidateOwnerReferences`.
fn validate_owners(owners: &[OwnerReference], list: &Path<'_>, errors: &mut Errors) {
    let indexed = errors.gates().has(Change::OwnerReferencesHaveIndexes);
    let mut controller: Option<&OwnerReference> = None;
    for (index, owner) in owners.iter().enumerate() {
        let item = list.index(index);
        let path = if indexed { &item } else { list };
        let (group, version) = group_version(&owner.api_version).unwrap_or_default();
        let api_version = path.child("apiVersion");
        if indexed && owner.api_version.is_empty() {
            errors.required(&api_version, EMPTY);
        } else if version.is_empty() {
            let detail = if indexed {
                "must be <group>/<version> or <version>"
            } else {
                "version must not be empty"
            };
            errors.invalid(&api_version, owner.api_version.as_str(), detail);
        }
        let names = [("kind", &owner.kind), ("name", &owner.name), ("uid", &owner.uid)];
        for (name, _) in names.into_iter().filter(|(_, value)| value.is_empty()) {
            if indexed {
                errors.required(&path.child(name), EMPTY);
            } else {
                errors.invalid(&path.child(name), "", EMPTY);
            }
        }
        if (group, version, owner.kind.as_str()) == ("", "v1", "Event") {
            let detail = "/v1, Kind=Event is disallowed from being an owner";
            errors.invalid(path, BadValue::Json(shown_owner(owner)), detail);
        }
        if owner.controller != Some(true) {
            continue;
        }
        if let Some(first) = controller {
            let (first, second) = (
                format!("{}/{}", first.kind, first.name),
                format!("{}/{}", owner.kind, owner.name),
            );
            let all: Vec<String> = owners.iter().map(shown_owner).collect();
            errors.invalid(
                list,
                BadValue::Json(format!("[{}]", all.join(","))),
                format!("Only one reference can have Controller set to true. Found \"true\" in references for {first} and {second}"),
            );
        } else {
            controller = Some(owner);
        }
    }
}

const EMPTY: &str = "must not be empty";

/// The parts of `apps/v1`, or of `v1`. None: there are too many (`ParseGroupVersion`).
fn group_version(text: &str) -> Option<(&str, &str)> {
    match text.split_once('/') {
        None => Some(("", text)),
        Some((group, version)) if !version.contains('/') => Some((group, version)),
        Some(_) => None,
    }
}

/// An owner as JSON, in the order of Kubernetes' type.
fn shown_owner(owner: &OwnerReference) -> String {
    let text = |text: &str| serde_json::to_string(text).unwrap_or_default();
    let flag = |name: &str, value: Option<bool>| {
        value.map(|value| format!(",\"{name}\":{value}")).unwrap_or_default()
    };
    format!(
        "{{\"apiVersion\":{},\"kind\":{},\"name\":{},\"uid\":{}{}{}}}",
        text(&owner.api_version),
        text(&owner.kind),
        text(&owner.name),
        text(&owner.uid),
        flag("controller", owner.controller),
        flag("blockOwnerDeletion", owner.block_owner_deletion),
    )
}

/// Makes a pod the mirror of a static one.
pub(super) fn is_mirror(meta: &ObjectMeta) -> bool {
    meta.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(MIRROR))
}

/// `ValidatePodSpecificAnnotationUpdates`.
pub(super) fn validate_annotation_update(
    old: Option<&Texts>,
    new: Option<&Texts>,
    spec: &v1::PodSpec,
    errors: &mut Errors,
) {
    let path = Path::Root("metadata.annotations");
    let get = |annotations: Option<&Texts>, name: &String| {
        annotations.and_then(|annotations| annotations.get(name)).cloned()
    };
    for (name, value) in old.into_iter().flatten() {
        if get(new, name).as_ref() == Some(value) {
            continue;
        }
        if name.starts_with(APP_ARMOR) {
            errors.forbidden(&path.key(name), "may not remove or update AppArmor annotations");
        }
        if name == MIRROR {
            errors.forbidden(&path.key(name), "may not remove or update mirror pod annotation");
        }
    }
    for (name, _) in new.into_iter().flatten().filter(|(name, _)| get(old, name).is_none()) {
        if name.starts_with(APP_ARMOR) {
            errors.forbidden(&path.key(name), "may not add AppArmor annotations");
        }
        if name == MIRROR {
            errors.forbidden(&path.key(name), "may not add mirror pod annotation");
        }
    }
    validate_annotations(new, spec, &path, errors);
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
                let detail = format!("invalid AppArmor profile name: {}", Quoted(value));
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

//! Changes through the doors `resize`, `ephemeralcontainers` and `status` of a pod
//! (`ValidatePodResize`, `ValidatePodEphemeralContainersUpdate`, `ValidatePodStatusUpdate`).

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::create::{SPEC, validate_pod};
use super::field::{BadValue, Errors, Path, ValidationErrors};
use super::update::{comparable, differences, keep_pod_level_resources};
use super::{metadata, restart, status};
use crate::admission::decode;
use crate::go_quoted::Quoted;
use crate::resources::{PodResources, compute_qos_class, default_pod_level};
use crate::version::{Change, Feature, FeatureGates};

/// A door through which only a part of a pod can be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Subresource {
    /// Requests and limits of containers that run (`kubectl patch --subresource resize`).
    Resize,
    /// Ephemeral containers that are added (`kubectl debug`).
    EphemeralContainers,
    /// What a kubelet tells about the pod. Not looked at are the statuses of extended resource
    /// claims and of claims of node resources, the health of volumes and of allocated resources,
    /// and the digests of image volumes.
    Status,
}

/// The field of errors that are about none (`field.NewPath("")`).
static NO_FIELD: Path<'static> = Path::Root("[]");

type ResourceList = BTreeMap<String, ApiQuantity>;
type Requirements = v1::ResourceRequirements;

/// Checks a change to a pod through a subresource. What the subresource does not change stays as it
/// is stored.
///
/// # Errors
/// All errors at once, see [`ValidationErrors`].
///
/// ```
/// use k8s_openapi::api::core::v1;
/// use podinit::FeatureGates;
/// use podinit::validation::{Subresource, validate_subresource_update};
///
/// let old: v1::Pod = serde_json::from_str(
///     r#"{"metadata": {"name": "web"}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}"#,
/// )?;
/// let mut new = old.clone();
/// new.spec.as_mut().unwrap().ephemeral_containers = Some(vec![v1::EphemeralContainer {
///     name: "web".into(),
///     image: Some("busybox".into()),
///     ..Default::default()
/// }]);
/// let through = Subresource::EphemeralContainers;
/// assert_eq!(
///     validate_subresource_update(&old, &new, through, FeatureGates::default())
///         .unwrap_err()
///         .to_string(),
///     "spec.ephemeralContainers[0].name: Duplicate value: \"web\""
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn validate_subresource_update(
    old: &v1::Pod,
    new: &v1::Pod,
    subresource: Subresource,
    gates: FeatureGates,
) -> Result<(), ValidationErrors> {
    let old = decode(old, gates);
    let mut new = decode(new, gates);
    let mut errors = Errors::new(gates);
    let before = old.spec.clone().unwrap_or_default();
    match subresource {
        Subresource::EphemeralContainers => {
            let added = new.spec.take().and_then(|spec| spec.ephemeral_containers);
            new.spec = Some(v1::PodSpec { ephemeral_containers: added, ..before.clone() });
            new.status.clone_from(&old.status);
            keep_metadata(&old.metadata, &mut new.metadata);
        }
        Subresource::Resize => {
            keep_all_but_resources(&old, &before, &mut new, gates);
            keep_pod_level_resources(&old, &mut new, gates);
            if let Some(spec) = &mut new.spec
                && gates.enabled(Feature::PodLevelResourcesFixDefaulting)
            {
                // What is no quantity is told below.
                let _ = default_pod_level(spec, gates);
            }
        }
        Subresource::Status => status::keep_all_but_status(&old, &mut new),
    }
    metadata::validate_common(&old.metadata, &new.metadata, &mut errors);
    let annotations = (old.metadata.annotations.as_ref(), new.metadata.annotations.as_ref());
    let after = new.spec.clone().unwrap_or_default();
    match subresource {
        Subresource::EphemeralContainers if metadata::is_mirror(&old.metadata) => {
            errors.forbidden(&NO_FIELD, "static pods do not support ephemeral containers");
        }
        Subresource::EphemeralContainers => {
            validate_pod(&new, gates, &mut errors);
            metadata::validate_annotation_update(annotations.0, annotations.1, &after, &mut errors);
            validate_ephemeral(&before, &after, &mut errors);
        }
        Subresource::Resize
            if !gates.has(Change::PodLevelResourcesMayBeResized)
                && [&before, &after].into_iter().any(has_pod_level_resources) =>
        {
            errors.forbidden(&NO_FIELD, "pods with pod-level resources cannot be resized");
        }
        Subresource::Resize if metadata::is_mirror(&old.metadata) => {
            errors.forbidden(&NO_FIELD, "static pods cannot be resized");
        }
        Subresource::Resize if before.os.as_ref().is_some_and(|os| os.name == "windows") => {
            errors.forbidden(&NO_FIELD, "windows pods cannot be resized");
        }
        Subresource::Resize => {
            validate_pod(&new, gates, &mut errors);
            validate_class(&old, &new, gates, &mut errors);
            validate_resize(&before, &after, gates, &mut errors);
        }
        Subresource::Status => {
            metadata::validate_annotation_update(annotations.0, annotations.1, &after, &mut errors);
            status::validate(&old, &new, gates, &mut errors);
        }
    }
    errors.of_update()
}

/// `ResetObjectMetaForStatus`.
fn keep_metadata(old: &ObjectMeta, new: &mut ObjectMeta) {
    new.labels.clone_from(&old.labels);
    new.annotations.clone_from(&old.annotations);
    new.finalizers.clone_from(&old.finalizers);
    new.owner_references.clone_from(&old.owner_references);
}

/// Existing ones stay as they are.
fn validate_ephemeral(old: &v1::PodSpec, new: &v1::PodSpec, errors: &mut Errors) {
    let path = SPEC.child("ephemeralContainers");
    let alone = |container: &v1::EphemeralContainer| {
        let list = Some(Vec::from([container.clone()]));
        comparable(&v1::PodSpec { ephemeral_containers: list, ..Default::default() })
    };
    for container in old.ephemeral_containers.iter().flatten() {
        let name = &container.name;
        let mut all = new.ephemeral_containers.iter().flatten();
        match all.rfind(|other| other.name == *name) {
            None => errors.forbidden(
                &path,
                format!("existing ephemeral containers {} may not be removed\n", Quoted(name)),
            ),
            Some(other) => {
                let differences = differences(&alone(container), &alone(other));
                if !differences.is_empty() {
                    errors.forbidden(
                        &path,
                        format!(
                            "existing ephemeral containers {} may not be changed\n{differences}",
                            Quoted(name)
                        ),
                    );
                }
            }
        }
    }
}

/// `dropNonResizeUpdates`: where containers come, go or change places, validation tells so.
fn keep_all_but_resources(
    old: &v1::Pod,
    before: &v1::PodSpec,
    new: &mut v1::Pod,
    gates: FeatureGates,
) {
    let after = new.spec.clone().unwrap_or_default();
    let (old_init, new_init) = (
        before.init_containers.as_deref().unwrap_or_default(),
        after.init_containers.as_deref().unwrap_or_default(),
    );
    if before.containers.len() != after.containers.len() || old_init.len() != new_init.len() {
        return;
    }
    let kept = |old: &[v1::Container], new: &[v1::Container]| -> Vec<v1::Container> {
        if old.iter().zip(new).any(|(old, new)| old.name != new.name) {
            return new.to_vec();
        }
        let resized = |(old, new): (&v1::Container, &v1::Container)| v1::Container {
            resources: new.resources.clone(),
            resize_policy: new.resize_policy.clone(),
            ..old.clone()
        };
        old.iter().zip(new).map(resized).collect()
    };
    let mut spec = before.clone();
    spec.containers = kept(&before.containers, &after.containers);
    if !new_init.is_empty() {
        spec.init_containers = Some(kept(old_init, new_init));
    }
    if gates.enabled(Feature::InPlacePodLevelResourcesVerticalScaling) {
        spec.resources = after.resources;
    }
    new.spec = Some(spec);
    new.status.clone_from(&old.status);
    keep_metadata(&old.metadata, &mut new.metadata);
}

/// A pod keeps its QoS class, and its node must be able to resize.
fn validate_class(old: &v1::Pod, new: &v1::Pod, gates: FeatureGates, errors: &mut Errors) {
    let class = |pod: &v1::Pod| {
        PodResources::compile(pod, gates).ok().map(|pod| format!("{}", compute_qos_class(&pod)))
    };
    let stored = old.status.as_ref().and_then(|status| status.qos_class.clone());
    let stored = stored.filter(|class| !class.is_empty());
    let (before, after) = (stored.clone().or_else(|| class(old)), class(new));
    if after.is_some() && before != after {
        let detail = "Pod QOS Class may not change as a result of resizing";
        errors.invalid(&SPEC, BadValue::Text(stored.unwrap_or_default()), detail);
    }
    let status = old.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    let running = status
        .into_iter()
        .flatten()
        .find(|status| status.state.as_ref().is_some_and(|state| state.running.is_some()));
    if running.is_some_and(|status| status.resources.is_none()) {
        errors.forbidden(&SPEC, "Pod running on node without support for resize");
    }
}

fn has_pod_level_resources(spec: &v1::PodSpec) -> bool {
    let lists = spec.resources.iter().flat_map(|set| [&set.requests, &set.limits]);
    lists.flatten().any(|list| !list.is_empty())
}

fn validate_resize(old: &v1::PodSpec, new: &v1::PodSpec, gates: FeatureGates, errors: &mut Errors) {
    let mut masked = new.clone();
    if has_pod_level_resources(old) || has_pod_level_resources(new) {
        if !gates.enabled(Feature::InPlacePodLevelResourcesVerticalScaling) {
            errors.forbidden(
                &NO_FIELD,
                "resize of pods with pod-level resources is forbidden when InPlacePodLevelResourcesVerticalScalingEnabled feature gate is disabled",
            );
            return;
        }
        validate_pod_level(old, new, &mut masked, errors);
    }
    let lists = [
        ("containers", old.containers.as_slice(), new.containers.as_slice()),
        (
            "initContainers",
            old.init_containers.as_deref().unwrap_or_default(),
            new.init_containers.as_deref().unwrap_or_default(),
        ),
    ];
    if !validate_order(&lists, errors) {
        return;
    }
    let of_init = gates.enabled(Feature::InPlacePodVerticalScalingInitContainers);
    let resizable = |name: &str, container: &v1::Container| {
        name == "containers" || of_init || restart::is_restartable(container)
    };
    for (name, before, after) in lists.iter().rev() {
        let list = SPEC.child(name);
        for (index, (before, after)) in before.iter().zip(*after).enumerate() {
            let item = list.index(index);
            let resources = item.child("resources");
            let (before_set, after_set) = (of(before), of(after));
            let pairs = [
                (
                    "requests",
                    "resource requests cannot be removed",
                    before_set.requests,
                    after_set.requests,
                ),
                (
                    "limits",
                    "resource limits cannot be removed",
                    before_set.limits,
                    after_set.limits,
                ),
            ];
            for (field, detail, before_list, after_list) in pairs {
                if resizable(name, before) && removed(before_list.as_ref(), after_list.as_ref()) {
                    errors.forbidden(&resources.child(field), detail);
                }
            }
        }
    }
    mask(old, &mut masked, of_init, errors);
    if errors.is_empty() && !differences(&comparable(old), &comparable(&masked)).is_empty() {
        errors.forbidden(&SPEC, "only cpu and memory resources are mutable");
    }
}

/// `validatePodLevelResourcesResize`.
fn validate_pod_level(
    old: &v1::PodSpec,
    new: &v1::PodSpec,
    masked: &mut v1::PodSpec,
    errors: &mut Errors,
) {
    let path = SPEC.child("resources");
    let Some(after) = &new.resources else {
        if old.resources.is_some() {
            errors.forbidden(&path, "pod-level resources cannot be removed");
        }
        return;
    };
    let before = old.resources.clone().unwrap_or_default();
    if old.resources.is_some() {
        if removed(before.requests.as_ref(), after.requests.as_ref()) {
            let detail = "pod-level resource requests cannot be removed";
            errors.forbidden(&path.child("requests"), detail);
        }
        if removed(before.limits.as_ref(), after.limits.as_ref()) {
            let detail = "pod-level resource limits cannot be removed";
            errors.forbidden(&path.child("limits"), detail);
        }
    }
    let put_back = with_compute_of(after, &before, errors.gates());
    let nothing = put_back == Requirements::default()
        || [&put_back.requests, &put_back.limits].into_iter().flatten().all(|l| l.is_empty());
    masked.resources = (old.resources.is_some() || !nothing).then_some(put_back);
    let alone = |spec: &v1::PodSpec| {
        comparable(&v1::PodSpec { resources: spec.resources.clone(), ..Default::default() })
    };
    if !differences(&alone(old), &alone(masked)).is_empty() {
        errors.forbidden(&SPEC, "only cpu and memory resources are mutable at pod-level");
    }
}

/// One of the lists of containers, before and after.
type Pair<'a> = (&'static str, &'a [v1::Container], &'a [v1::Container]);

/// `validatePodResizeContainerOrdering`. False: the rest is not looked at.
fn validate_order(lists: &[Pair<'_>], errors: &mut Errors) -> bool {
    let mut same = true;
    for (name, before, after) in lists {
        let list = SPEC.child(name);
        if before.len() != after.len() {
            errors.forbidden(&list, format!("{name} may not be added or removed on resize"));
            same = false;
            continue;
        }
        for (index, (before, after)) in before.iter().zip(*after).enumerate() {
            if before.name != after.name {
                errors.forbidden(
                    &list.index(index).child("name"),
                    format!("{name} may not be renamed or reordered on resize"),
                );
                same = false;
            }
        }
    }
    same
}

/// Puts back what may change, and tells of containers in which more does.
fn mask(old: &v1::PodSpec, masked: &mut v1::PodSpec, of_init: bool, errors: &mut Errors) {
    let same = |before: &v1::Container, after: &v1::Container| {
        let alone = |container: &v1::Container| {
            let containers = Vec::from([container.clone()]);
            comparable(&v1::PodSpec { containers, ..Default::default() })
        };
        differences(&alone(before), &alone(after)).is_empty()
    };
    for (container, before) in masked.containers.iter_mut().zip(&old.containers) {
        container.resources = Some(with_compute_of(&of(container), &of(before), errors.gates()));
        if !same(before, container) {
            errors.forbidden(&SPEC, "only cpu and memory resources are mutable");
        }
    }
    let list = SPEC.child("initContainers");
    let all = masked.init_containers.iter_mut().flatten();
    for (index, (container, before)) in all.zip(old.init_containers.iter().flatten()).enumerate() {
        let restartable = restart::is_restartable(container);
        let changed = !same(before, container);
        if !restartable && !of_init {
            if changed {
                let detail = "resources for non-sidecar init containers are immutable";
                errors.forbidden(&SPEC, detail);
            }
            continue;
        }
        container.resources = Some(with_compute_of(&of(container), &of(before), errors.gates()));
        if !same(before, container) {
            if of_init {
                let detail =
                    "only cpu and memory resources for init or sidecar containers are mutable";
                errors.forbidden(&list.index(index), detail);
            } else {
                let detail = "only cpu and memory resources for sidecar containers are mutable";
                errors.forbidden(&SPEC, detail);
            }
        }
        let restarts = container.resize_policy.iter().flatten();
        let restarts = restarts.filter(|policy| policy.restart_policy == "RestartContainer");
        for _ in restarts.filter(|_| changed && !restartable) {
            errors.forbidden(
                &list.index(index),
                "non-sidecar init containers with a resize policy of RestartContainer cannot be resized",
            );
        }
    }
}

fn of(container: &v1::Container) -> Requirements {
    container.resources.clone().unwrap_or_default()
}

/// `resourcesRemoved`.
fn removed(old: Option<&ResourceList>, new: Option<&ResourceList>) -> bool {
    old.into_iter().flatten().any(|(name, _)| new.is_none_or(|new| !new.contains_key(name)))
}

/// The new requirements with the old amounts of cpu and memory (`dropCPUMemoryUpdates`).
fn with_compute_of(new: &Requirements, old: &Requirements, gates: FeatureGates) -> Requirements {
    let put_back = |new: Option<&ResourceList>, old: Option<&ResourceList>| {
        if old.is_none() && !gates.has(Change::PodLevelResourcesMayBeResized) {
            return None;
        }
        let mut list = new.cloned().unwrap_or_default();
        for name in ["cpu", "memory"] {
            list.remove(name);
            if let Some(amount) = old.and_then(|old| old.get(name)) {
                list.insert(name.into(), amount.clone());
            }
        }
        (!list.is_empty()).then_some(list)
    };
    Requirements {
        requests: put_back(new.requests.as_ref(), old.requests.as_ref()),
        limits: put_back(new.limits.as_ref(), old.limits.as_ref()),
        ..Requirements::default()
    }
}

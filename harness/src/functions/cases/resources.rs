//! Pods and what they need, nodes and what they have.

use proptest::collection::btree_map;
use proptest::prelude::*;
use proptest::sample::subsequence;
use serde_json::{Value, json};

use super::quantities::amount_of;
use crate::functions::json::{Json, just, list, mixed, named, object, one_of, truth, with};

const RESOURCES: [(&str, u32); 5] = [
    ("cpu", 60),
    ("memory", 60),
    ("ephemeral-storage", 12),
    ("hugepages-2Mi", 8),
    ("example.com/gpu", 10),
];

/// Requests or limits.
fn amounts() -> Json {
    object(RESOURCES.iter().map(|(name, percent)| (*name, *percent, amount_of(name))).collect())
}

fn requirements() -> Json {
    object(vec![("requests", 70, amounts()), ("limits", 45, amounts())])
}

/// What a status may say of the resources of a container.
fn container_status() -> Json {
    object(vec![
        ("resources", 60, requirements()),
        ("allocatedResources", 50, amounts()),
        (
            "state",
            60,
            one_of(&[
                json!({"running": {}}),
                json!({"waiting": {"reason": "x"}}),
                json!({"terminated": {"exitCode": 1}}),
            ]),
        ),
        ("started", 50, truth()),
        ("ready", 50, truth()),
    ])
}

fn resize_conditions() -> Json {
    let condition = object(vec![
        ("type", 100, one_of(&["PodResizePending", "PodResizeInProgress"])),
        ("status", 100, one_of(&["True", "True", "False"])),
        ("reason", 70, one_of(&["Infeasible", "Deferred", "Error"])),
    ]);
    list(condition, 0..3)
}

/// A pod with resources of all kinds and, sometimes, a status that tells of a resize.
pub(super) fn pod() -> Json {
    let container = object(vec![("image", 100, just("app")), ("resources", 75, requirements())]);
    let sidecar = object(vec![("restartPolicy", 35, just("Always"))]);
    let spec = object(vec![
        ("initContainers", 50, named(list(with(container.clone(), sidecar), 1..4), "init")),
        ("containers", 100, named(list(container, 1..4), "app")),
        (
            "overhead",
            20,
            object(vec![("cpu", 60, amount_of("cpu")), ("memory", 60, amount_of("memory"))]),
        ),
        ("resources", 30, requirements()),
        ("restartPolicy", 20, one_of(&["Never", "OnFailure"])),
    ]);
    let status = object(vec![
        ("containerStatuses", 80, named(list(container_status(), 1..4), "app")),
        ("initContainerStatuses", 50, named(list(container_status(), 1..4), "init")),
        ("conditions", 40, resize_conditions()),
        ("resources", 30, requirements()),
        ("allocatedResources", 30, amounts()),
    ]);
    object(vec![
        ("metadata", 100, just(json!({"name": "web", "namespace": "shop"}))),
        ("spec", 100, spec),
        ("status", 35, status),
    ])
}

/// A pod that has resources as a whole, and containers that mostly say all of theirs.
fn pod_of_pod_level() -> Json {
    let of = |percent| {
        object(vec![
            ("cpu", percent, one_of(&["100m", "1", "1.5", "100u", "2"])),
            ("memory", percent, one_of(&["64Mi", "128974848", "1Gi", "1.5Gi", "100m"])),
            ("hugepages-2Mi", percent / 4, one_of(&["4Mi", "64Mi"])),
            ("ephemeral-storage", 5, just("1Gi")),
        ])
    };
    let resources = object(vec![("requests", 40, of(50)), ("limits", 90, of(85))]);
    let container = object(vec![("image", 100, just("app")), ("resources", 95, resources)]);
    let sidecar = object(vec![("restartPolicy", 35, just("Always"))]);
    let init = with(container.clone(), sidecar);
    let spec = object(vec![
        ("initContainers", 40, named(list(init, 1..3), "init")),
        ("containers", 100, named(list(container.clone(), 1..4), "app")),
        ("ephemeralContainers", 10, named(list(container, 1..2), "debug")),
        ("resources", 100, object(vec![("requests", 60, of(45)), ("limits", 35, of(30))])),
    ]);
    object(vec![
        ("metadata", 100, just(json!({"name": "web", "namespace": "shop"}))),
        ("spec", 100, spec),
    ])
}

/// Family `created`.
pub(in crate::functions) fn created() -> Json {
    let pod = mixed(vec![(2, pod_of_pod_level()), (1, pod()), (1, super::manifests::pod())]);
    object(vec![("object", 100, pod)])
}

/// Family `resources`.
pub(in crate::functions) fn resources() -> Json {
    object(vec![("pod", 100, pod())])
}

/// Family `podrequests`.
pub(in crate::functions) fn pod_requests() -> Json {
    let options = object(vec![
        ("useStatusResources", 50, truth()),
        ("inPlacePodLevelResources", 40, truth()),
        ("excludeOverhead", 30, truth()),
        ("skipPodLevelResources", 30, truth()),
        ("skipContainerLevelResources", 20, truth()),
        ("nonMissingContainerRequests", 25, amounts()),
    ]);
    object(vec![
        ("function", 100, one_of(&["PodRequests", "PodLimits"])),
        ("pod", 100, pod()),
        ("options", 100, options),
    ])
}

/// Family `accounting`.
pub(in crate::functions) fn accounted() -> Json {
    let allocatable = object(vec![
        ("cpu", 90, one_of(&["1", "2", "4", "7910m", "16", "64"])),
        ("memory", 90, one_of(&["1Gi", "8Gi", "29077440Ki", "64G", "256Gi"])),
        ("ephemeral-storage", 60, one_of(&["1Gi", "10Gi", "100Gi"])),
        ("hugepages-2Mi", 30, one_of(&["0", "64Mi", "1Gi"])),
        ("example.com/gpu", 30, one_of(&["0", "1", "8"])),
        ("pods", 85, amount_of("pods")),
    ]);
    object(vec![
        ("node", 100, object(vec![("allocatable", 100, allocatable)])),
        ("pods", 100, mixed(vec![(1, just(Value::Array(Vec::new()))), (4, pods())])),
        ("pod", 100, pod()),
        ("scoring", 40, scoring()),
    ])
}

/// How the plug-ins that score are configured.
fn scoring() -> Json {
    let resources = subsequence(SCORED, 1..=SCORED.len()).prop_flat_map(|names| {
        let weights = vec![1_i64..=100; names.len()];
        weights.prop_map(move |weights| {
            let specs = names.iter().zip(weights);
            specs.map(|(name, weight)| json!({"name": name, "weight": weight})).collect::<Value>()
        })
    });
    let corners = btree_map(0_u8..=100, 0_u8..=10, 1..5).prop_map(|corners| {
        let point = |(utilization, score)| json!({"utilization": utilization, "score": score});
        corners.into_iter().map(point).collect::<Value>()
    });
    object(vec![("resources", 60, resources.boxed()), ("shape", 60, corners.boxed())])
}

/// What a score can count.
const SCORED: &[&str] =
    &["cpu", "memory", "ephemeral-storage", "hugepages-2Mi", "example.com/gpu", "storage"];

/// Pods on one node, under names of their own.
fn pods() -> Json {
    list(pod(), 1..5)
        .prop_map(|mut pods| {
            for (number, pod) in (1..).zip(pods.as_array_mut().into_iter().flatten()) {
                pod["metadata"]["name"] = format!("pod-{number}").into();
                pod["metadata"]["uid"] = number.to_string().into();
            }
            pods
        })
        .boxed()
}

//! Pods with statuses of all kinds, and events.

use podinit::FeatureGates;
use podinit::admission::defaults;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::manifests::spec;
use super::rare;
use crate::conformance::written;
use crate::functions::json::{
    Json, just, list, map, mixed, named, number, object, one_of, truth, with,
};

/// When everything here is looked at, in seconds since 1970.
const NOW: i64 = 1_767_225_600;

/// The text of an instant that lies so many seconds before now.
fn ago(seconds: i64) -> Value {
    let time = k8s_openapi::jiff::Timestamp::from_second(NOW - seconds);
    time.map_or(Value::Null, |time| time.to_string().into())
}

/// An instant: mostly some minutes ago, now and then years, in the future, or not told.
fn time() -> Json {
    let seconds = prop_oneof![
        5 => 0..7200i64,
        2 => 0..1_000_000i64,
        1 => 0..400_000_000i64,
        1 => -10..0i64,
    ];
    seconds.prop_map(ago).boxed()
}

fn now() -> Json {
    just(ago(0))
}

fn terminated() -> Json {
    object(vec![
        ("exitCode", 100, one_of(&[0, 0, 1, 2, 126, 137, 143, 255])),
        ("signal", 10, one_of(&[9, 15])),
        (
            "reason",
            75,
            one_of(&[
                "Completed",
                "Error",
                "OOMKilled",
                "ContainerStatusUnknown",
                "StartError",
                "",
            ]),
        ),
        ("message", 15, one_of(&["it broke", "two\nlines", ""])),
        ("startedAt", 80, time()),
        ("finishedAt", 80, time()),
    ])
}

fn state() -> Json {
    let waiting = object(vec![
        (
            "reason",
            85,
            one_of(&[
                "PodInitializing",
                "ContainerCreating",
                "CrashLoopBackOff",
                "ImagePullBackOff",
                "ErrImagePull",
                "CreateContainerConfigError",
                "RunContainerError",
                "",
            ]),
        ),
        ("message", 20, one_of(&["back-off 10s restarting", "no such image"])),
    ]);
    mixed(vec![
        (3, object(vec![("running", 100, object(vec![("startedAt", 90, time())]))])),
        (3, object(vec![("waiting", 100, waiting)])),
        (3, object(vec![("terminated", 100, terminated())])),
        (1, just(json!({}))),
    ])
}

fn container_statuses(prefix: &'static str) -> Json {
    let status = object(vec![
        ("state", 95, state()),
        ("lastState", 40, object(vec![("terminated", 80, terminated())])),
        ("ready", 100, truth()),
        ("started", 60, truth()),
        ("restartCount", 100, mixed(vec![(2, just(0)), (2, number(0..30))])),
        ("image", 100, just("app:1")),
        ("imageID", 100, one_of(&["", "sha256:0"])),
        ("containerID", 70, just("containerd://1")),
    ]);
    named(list(status, 0..4), prefix)
}

fn conditions() -> Json {
    let condition = |kind: &'static str| {
        object(vec![
            ("type", 100, just(kind)),
            ("status", 100, one_of(&["True", "False", "Unknown"])),
            (
                "reason",
                30,
                one_of(&["PodCompleted", "PodFailed", "SchedulingGated", "Unschedulable"]),
            ),
        ])
    };
    let kinds = [
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
        "PodScheduled",
        "DisruptionTarget",
        "example.com/gate",
    ];
    let kinds = kinds.map(|kind| (kind, 60, condition(kind)));
    object(kinds.to_vec())
        .prop_map(|found| {
            found.as_object().into_iter().flatten().map(|(_, value)| value.clone()).collect()
        })
        .boxed()
}

fn addresses() -> Json {
    let ip = one_of(&["10.1.2.3", "10.9.9.9", "fd00::1"]);
    list(object(vec![("ip", 100, ip)]), 1..3)
}

fn status() -> Json {
    object(vec![
        (
            "phase",
            100,
            one_of(&["Pending", "Running", "Running", "Succeeded", "Failed", "Unknown"]),
        ),
        ("reason", 15, one_of(&["Evicted", "NodeLost", "NodeAffinity", "DeadlineExceeded"])),
        ("message", 15, one_of(&["The node was low on resource: memory. ", "a\tb", "one\ntwo"])),
        ("conditions", 70, conditions()),
        ("podIP", 40, one_of(&["10.1.2.3", "fd00::1"])),
        ("podIPs", 40, addresses()),
        ("hostIP", 50, just("192.168.0.1")),
        ("nominatedNodeName", 10, just("node-2")),
        ("qosClass", 50, one_of(&["BestEffort", "Burstable", "Guaranteed"])),
        ("startTime", 60, time()),
        ("initContainerStatuses", 60, container_statuses("init")),
        ("containerStatuses", 85, container_statuses("app")),
        ("ephemeralContainerStatuses", 8, container_statuses("debug")),
    ])
}

fn metadata() -> Json {
    let metadata = object(vec![
        ("name", 100, just("web")),
        ("namespace", 100, just("shop")),
        ("uid", 60, just("1234")),
        (
            "labels",
            50,
            map(&["app", "app.kubernetes.io/name", "tier"], 60, &one_of(&["web", "", "x-1"])),
        ),
        (
            "annotations",
            25,
            map(&["note", "kubernetes.io/psp"], 60, &one_of(&["short", "long\ntext"])),
        ),
        ("creationTimestamp", 85, time()),
    ]);
    // The API sets both or none.
    let deleted = object(vec![
        ("deletionTimestamp", 100, time()),
        ("deletionGracePeriodSeconds", 100, number(0..60)),
    ]);
    with(metadata, mixed(vec![(4, just(json!({}))), (1, deleted)]))
}

fn pod(spec: Json) -> Json {
    object(vec![("metadata", 100, metadata()), ("spec", 100, spec), ("status", 100, status())])
}

/// A spec of which nothing but the containers' names is looked at.
fn bare_spec() -> Json {
    let container = object(vec![("image", 100, just("app:1"))]);
    let init = object(vec![("restartPolicy", 30, just("Always"))]);
    object(vec![
        ("initContainers", 60, named(list(with(container.clone(), init), 1..4), "init")),
        ("containers", 100, named(list(container.clone(), 1..4), "app")),
        ("ephemeralContainers", 8, named(list(container, 1..2), "debug")),
        ("nodeName", 60, just("node-1")),
        (
            "readinessGates",
            15,
            just(json!([{"conditionType": "example.com/gate"}, {"conditionType": "other"}])),
        ),
        ("schedulingGates", 8, just(json!([{"name": "wait"}]))),
        ("restartPolicy", 30, one_of(&["Always", "OnFailure", "Never"])),
    ])
}

/// Family `get`.
pub(in crate::functions) fn printed() -> Json {
    let odd = rare::odd(pod(bare_spec()));
    let pods = mixed(vec![(4, pod(bare_spec())), (1, odd)]);
    object(vec![("pod", 100, pods), ("now", 100, now())])
}

fn event() -> Json {
    let object_of = |path: Json| {
        object(vec![
            ("kind", 100, just("Pod")),
            ("apiVersion", 100, just("v1")),
            ("name", 100, just("web")),
            ("namespace", 100, just("shop")),
            ("fieldPath", 60, path),
        ])
    };
    let path = one_of(&[
        "spec.containers{app-1}",
        "spec.initContainers{init-1}",
        "spec.ephemeralContainers{debug-1}",
    ]);
    let times = (0..100_000i64, 0..7200i64).prop_map(
        |(first, last)| json!({"firstTimestamp": ago(first.max(last)), "lastTimestamp": ago(last)}),
    );
    let event = object(vec![
        ("involvedObject", 100, object_of(path)),
        ("type", 100, one_of(&["Normal", "Warning"])),
        (
            "reason",
            100,
            one_of(&["Pulled", "Created", "Started", "BackOff", "Killing", "Unhealthy"]),
        ),
        (
            "message",
            100,
            one_of(&[
                "Created container: app-1",
                "Back-off restarting failed container",
                " blank around ",
                "two\nlines",
                "a\tb",
                "",
            ]),
        ),
        ("count", 100, mixed(vec![(3, just(1)), (1, number(1..50))])),
        ("source", 100, just(json!({"component": "kubelet", "host": "node-1"}))),
    ]);
    with(with(event, times.boxed()), rare::rare_event(ago))
        .prop_map(|mut event| {
            if let Some(event) = event.as_object_mut() {
                event.retain(|_, value| !value.is_null());
            }
            event
        })
        .boxed()
}

/// Events of one pod, under names of their own.
fn events() -> Json {
    list(event(), 0..6)
        .prop_map(|mut events| {
            for (number, event) in (1..).zip(events.as_array_mut().into_iter().flatten()) {
                event["metadata"] = json!({"name": format!("web.{number}"), "namespace": "shop"});
            }
            events
        })
        .boxed()
}

/// A pod as the API gives it back: with its defaults, and amounts as Kubernetes writes them.
pub(super) fn stored(pod: Value) -> Value {
    let Ok(mut pod) = serde_json::from_value(pod) else { return Value::Null };
    defaults::apply(&mut pod, FeatureGates::default());
    let mut pod = serde_json::to_value(pod).unwrap_or_default();
    written(&mut pod);
    pod
}

/// Family `describe`. Events are about containers that the pod has.
pub(in crate::functions) fn described() -> Json {
    let rare = with(spec(), rare::rare_spec());
    let metadata = with(metadata(), rare::rare_metadata());
    let rare =
        object(vec![("metadata", 100, metadata), ("spec", 100, rare), ("status", 100, status())]);
    let pod = mixed(vec![(1, pod(spec())), (1, rare)]).prop_map(stored).boxed();
    object(vec![("pod", 100, pod), ("events", 100, events()), ("now", 100, now())])
        .prop_map(|mut case| {
            let has = |list: &str| case["pod"]["spec"][list].is_array();
            let (init, ephemeral) = (has("initContainers"), has("ephemeralContainers"));
            for event in case["events"].as_array_mut().into_iter().flatten() {
                let about = &mut event["involvedObject"]["fieldPath"];
                let list = about.as_str().unwrap_or_default();
                if list.starts_with("spec.init") && !init
                    || list.starts_with("spec.ephemeral") && !ephemeral
                {
                    *about = "spec.containers{app-1}".into();
                }
                if about.is_null()
                    && let Some(about) = event["involvedObject"].as_object_mut()
                {
                    about.remove("fieldPath");
                }
            }
            case
        })
        .boxed()
}

/// Family `events`.
pub(in crate::functions) fn event_table() -> Json {
    object(vec![("events", 100, events()), ("now", 100, now())])
}

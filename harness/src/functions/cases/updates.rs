//! Changes to pods.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::manifests;
use super::statuses::stored;
use crate::functions::json::{Json, mixed};

/// What is changed: the path below the pod, and what then stands there; nothing: the field is gone.
type Change = (&'static str, Option<Value>);

/// Changes of the pod itself, allowed and forbidden ones.
fn changes() -> Vec<Change> {
    let set = |path, value| (path, Some(value));
    vec![
        set("/spec/containers/0/image", json!("app:2")),
        set("/spec/containers/0/image", json!("")),
        set("/spec/containers/0/image", json!(" app")),
        set("/spec/initContainers/0/image", json!("init:2")),
        set("/spec/containers/0/name", json!("other")),
        set("/spec/containers/0/command", json!(["other"])),
        set("/spec/containers/0/env", json!([{"name": "A", "value": ""}])),
        set("/spec/containers/0/imagePullPolicy", json!("Never")),
        set("/spec/containers/0/resources", json!({"requests": {"cpu": "10m"}})),
        set("/spec/containers/0/tty", json!(false)),
        set("/spec/resources", json!({"requests": {"cpu": "2"}})),
        ("/spec/resources", None),
        set("/spec/activeDeadlineSeconds", json!(0)),
        set("/spec/activeDeadlineSeconds", json!(1)),
        set("/spec/activeDeadlineSeconds", json!(30)),
        set("/spec/activeDeadlineSeconds", json!(3600)),
        set("/spec/activeDeadlineSeconds", json!(2_147_483_648_i64)),
        ("/spec/activeDeadlineSeconds", None),
        set("/spec/terminationGracePeriodSeconds", json!(1)),
        set("/spec/terminationGracePeriodSeconds", json!(30)),
        ("/spec/terminationGracePeriodSeconds", None),
        set("/spec/tolerations", json!([{"key": "new", "operator": "Exists"}])),
        ("/spec/tolerations", None),
        set("/spec/schedulingGates", json!([{"name": "new.example.com/gate"}])),
        ("/spec/schedulingGates", None),
        set("/spec/nodeSelector", json!({"disk": "ssd", "zone": "a"})),
        ("/spec/nodeSelector", None),
        set("/spec/restartPolicy", json!("Never")),
        set("/spec/hostNetwork", json!(false)),
        set("/spec/dnsPolicy", json!("ClusterFirst")),
        set("/spec/schedulerName", json!("default-scheduler")),
        set("/spec/securityContext", json!({})),
        set("/spec/nodeName", json!("node-2")),
        set("/spec/hostname", json!("")),
        ("/spec/initContainers", None),
        ("/spec/volumes", None),
        set("/metadata/labels", json!({"app": "other"})),
        set("/metadata/labels", json!({"Bad Key": "x"})),
        set("/metadata/annotations", json!({"note": "x"})),
        set("/metadata/name", json!("other")),
        set("/metadata/name", json!("Other/%")),
        ("/metadata/name", None),
        set("/metadata/uid", json!("77")),
        set("/metadata/finalizers", json!(["Bad Key", "orphan", "foregroundDeletion", "a/b"])),
        set("/metadata/ownerReferences", owners()),
        set("/metadata/annotations", json!({"kubernetes.io/config.mirror": "x"})),
    ]
}

fn owners() -> Value {
    json!([
        {"apiVersion": "", "kind": "", "name": "", "uid": ""},
        {"apiVersion": "v1", "kind": "Event", "name": "x", "uid": "1", "controller": true},
        {"apiVersion": "a/b/c", "kind": "<x>", "name": "x", "uid": "1", "controller": true},
    ])
}

/// A status whose lists name the same container, in a given state.
fn containers(state: &Value) -> Value {
    let statuses: Vec<Value> = ["app-1", "init-1", "nobody"]
        .map(|name| {
            json!({"name": name, "image": "app", "imageID": "", "restartCount": 1, "ready": true,
                "state": state})
        })
        .into();
    json!({"containerStatuses": statuses, "initContainerStatuses": statuses,
        "ephemeralContainerStatuses": statuses})
}

fn status_changes() -> Vec<Change> {
    let set = |path, value| (path, Some(value));
    vec![
        set("/status", json!({"phase": "Running"})),
        set("/status", json!({"phase": "Failed", "reason": "Evicted"})),
        set("/status", json!({"conditions": [{"type": "example.com/gate", "status": "True"}]})),
        set("/status", json!({"conditions": [{"type": "Ready", "status": "Maybe"}]})),
        set("/status", json!({"podIPs": [{"ip": "no address"}]})),
        set(
            "/status",
            json!({"containerStatuses": [{"name": "app-1", "image": "app", "imageID": "",
            "restartCount": 1, "ready": true, "state": {"running": {}}}]}),
        ),
        set("/status", containers(&json!({"running": {}}))),
        set("/status", containers(&json!({"terminated": {"exitCode": 1}}))),
        set("/status", json!({"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "x"}]})),
        set(
            "/status",
            json!({"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}),
        ),
        set("/status", json!({"podIP": "10.0.0.1", "podIPs": [{"ip": "010.0.0.1"}]})),
        set("/status", json!({"podIP": "10.0.0.1"})),
        set("/status", json!({"podIPs": [{"ip": "::ffff:10.0.0.1"}, {"ip": "fd00::1"}]})),
        set("/status", json!({"podIP": "FD00::01"})),
        set("/status", json!({"hostIPs": [{"ip": "10.0.0.1"}]})),
        set(
            "/status",
            json!({"hostIP": "10.0.0.1", "hostIPs": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}, {"ip": "fd00::1"}]}),
        ),
        set("/status", json!({"qosClass": "Guaranteed"})),
        set("/status", json!({"qosClass": "<b>"})),
        set("/status", json!({"nominatedNodeName": "Bad Node"})),
        set("/status", json!({"nominatedNodeName": "node-1"})),
        set("/status", json!({"observedGeneration": -1})),
        set(
            "/status",
            json!({"conditions": [{"type": "Bad Key", "status": "True"},
            {"type": "a/b/c", "status": "True", "observedGeneration": -1}]}),
        ),
        set(
            "/status",
            json!({"resourceClaimStatuses": [{"name": "x"}, {"name": "x", "resourceClaimName": "Bad Name"}]}),
        ),
        set(
            "/status",
            json!({"containerStatuses": [{"name": "app-1", "image": "app", "imageID": "",
            "restartCount": 1, "ready": true, "user": {"linux": {"uid": 4_000_000_000_i64, "gid": -1,
            "supplementalGroups": [1, -2]}}}]}),
        ),
        set("/metadata/name", json!("other")),
        set("/metadata/ownerReferences", owners()),
        set("/metadata/annotations", json!({"kubernetes.io/config.mirror": "x"})),
        set("/metadata/finalizers", json!(["Bad Key"])),
        set("/spec/containers/0/image", json!("ignored:1")),
    ]
}

fn resizes() -> Vec<Change> {
    let set = |path, value| (path, Some(value));
    vec![
        set("/spec/containers/0/resources", json!({"requests": {"cpu": "200m"}})),
        set(
            "/spec/containers/0/resources",
            json!({"requests": {"cpu": "200m"}, "limits": {"cpu": "100m"}}),
        ),
        set("/spec/containers/0/resources", json!({"limits": {"memory": "2Gi"}})),
        set("/spec/containers/0/resources", json!({"limits": {"example.com/gpu": "1"}})),
        ("/spec/containers/0/resources", None),
        set("/spec/containers/0/image", json!("app:2")),
        set("/spec/resources", json!({"requests": {"cpu": "2"}})),
        set("/spec/resources", json!({"limits": {"cpu": "8", "memory": "9Gi"}})),
        ("/spec/resources", None),
    ]
}

fn ephemerals() -> Vec<Change> {
    let set = |path, value| (path, Some(value));
    vec![
        set("/spec/ephemeralContainers", json!([{"name": "debug", "image": "busybox"}])),
        set("/spec/ephemeralContainers", json!([{"name": "app-1", "image": "busybox"}])),
        set("/spec/ephemeralContainers", json!([{"name": "debug"}])),
        set(
            "/spec/ephemeralContainers",
            json!([{"name": "debug", "image": "busybox", "targetContainerName": "nobody"}]),
        ),
        set(
            "/spec/ephemeralContainers",
            json!([{"name": "debug", "image": "busybox", "ports": [{"containerPort": 80}]}]),
        ),
        set(
            "/spec/ephemeralContainers",
            json!([{"name": "debug", "image": "busybox", "resources": {"limits": {"cpu": "1"}}}]),
        ),
    ]
}

/// Makes a change, if the pod has the place.
fn apply(pod: &mut Value, (path, value): &Change) {
    let Some((parent, name)) = path.rsplit_once('/') else { return };
    let Some(fields) = pod.pointer_mut(parent).and_then(Value::as_object_mut) else { return };
    match value {
        Some(value) => drop(fields.insert(name.to_owned(), value.clone())),
        None => drop(fields.remove(name)),
    }
}

/// Changes through one of the pod's doors, to a pod as the API has it.
fn through(subresource: &'static str, changes: Vec<Change>) -> Json {
    let some = proptest::collection::vec(select(changes), 0..3);
    (manifests::pod(), some, any::<bool>(), 0..3)
        .prop_map(move |(pod, changes, ended, exit_code)| {
            let mut old = in_the_api(pod);
            let mut new = old.clone();
            // Of what has ended, some starts again.
            if ended && subresource == "status" {
                old["status"] = containers(&json!({"terminated": {"exitCode": exit_code}}));
            }
            for change in &changes {
                apply(&mut new, change);
            }
            let mut case = json!({"old": old, "new": new});
            if !subresource.is_empty() {
                case["subresource"] = subresource.into();
            }
            case
        })
        .boxed()
}

fn in_the_api(pod: Value) -> Value {
    let mut pod = stored(pod);
    pod["metadata"]["uid"] = "1234".into();
    pod["metadata"]["resourceVersion"] = "1".into();
    pod
}

/// A pod in the API, against its manifest with a change or two.
fn manifest() -> Json {
    let some = proptest::collection::vec(select(changes()), 0..2);
    (manifests::pod(), some)
        .prop_map(|(pod, changes)| {
            let old = in_the_api(pod.clone());
            let mut new = pod;
            for change in &changes {
                apply(&mut new, change);
            }
            json!({"old": old, "new": new})
        })
        .boxed()
}

/// Family `update`.
pub(in crate::functions) fn updated() -> Json {
    mixed(vec![
        (10, through("", changes())),
        (3, manifest()),
        (2, through("status", status_changes())),
        (2, through("resize", resizes())),
        (2, through("ephemeralcontainers", ephemerals())),
    ])
}

//! Whole objects as people write them, and single mistakes in them.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use super::quantities::amount_of;
use crate::functions::json::{
    Json, just, list, map, mixed, named, number, object, one_of, truth, with,
};

/// Manifests of the repository.
const PUBLISHED: [&str; 6] = [
    include_str!("../../../../examples/manifests/clone.yaml"),
    include_str!("../../../../examples/manifests/migrate.yaml"),
    include_str!("../../../../examples/manifests/processes.yaml"),
    include_str!("../../../../examples/manifests/two-in-order.yaml"),
    include_str!("../../../../examples/manifests/wait-for-services.yaml"),
    include_str!("../../../../examples/manifests/wait-short.yaml"),
];

fn port() -> Json {
    mixed(vec![(3, one_of(&[80, 8080, 9090])), (1, one_of(&["http", "metrics"]))])
}

fn handler() -> Json {
    let header =
        object(vec![("name", 100, one_of(&["X-Probe", "Accept"])), ("value", 100, just("probe"))]);
    let http = object(vec![
        ("port", 100, port()),
        ("path", 70, one_of(&["/", "/healthz?full=1", "ready"])),
        ("host", 15, one_of(&["localhost", "example.com"])),
        ("scheme", 30, one_of(&["HTTP", "HTTPS"])),
        ("httpHeaders", 20, list(header, 1..3)),
    ]);
    let grpc =
        object(vec![("port", 100, one_of(&[9000, 50051])), ("service", 40, one_of(&["", "live"]))]);
    mixed(vec![
        (3, just(json!({"exec": {"command": ["cat", "/tmp/ready"]}}))),
        (3, object(vec![("httpGet", 100, http)])),
        (
            2,
            object(vec![(
                "tcpSocket",
                100,
                object(vec![("port", 100, port()), ("host", 15, just("db"))]),
            )]),
        ),
        (1, object(vec![("grpc", 100, grpc)])),
    ])
}

fn probe() -> Json {
    let numbers = object(vec![
        ("initialDelaySeconds", 30, number(0..30)),
        ("periodSeconds", 30, number(1..20)),
        ("timeoutSeconds", 30, number(1..5)),
        ("failureThreshold", 30, number(1..5)),
        ("terminationGracePeriodSeconds", 10, number(1..20)),
    ]);
    with(handler(), numbers)
}

fn hook() -> Json {
    let http = object(vec![("port", 100, port()), ("path", 50, just("/stop"))]);
    mixed(vec![
        (2, just(json!({"exec": {"command": ["sh", "-c", "sleep 1"]}}))),
        (1, object(vec![("httpGet", 100, http)])),
        (1, just(json!({"sleep": {"seconds": 3}}))),
    ])
}

fn environment() -> Json {
    let field = one_of(&[
        "metadata.name",
        "metadata.uid",
        "metadata.labels['app']",
        "status.podIP",
        "spec.nodeName",
        "spec.serviceAccountName",
        "status.hostIP",
    ]);
    let of = |resources: &[&'static str], divisors: &[&'static str]| {
        object(vec![
            ("resource", 100, one_of(resources)),
            ("divisor", 40, one_of(divisors)),
            ("containerName", 15, just("app-1")),
        ])
    };
    let resource = mixed(vec![
        (1, of(&["requests.cpu", "limits.cpu"], &["0", "1", "1m"])),
        (1, of(&["requests.memory", "limits.memory"], &["0", "1", "1Ki", "1Mi", "1Gi"])),
    ]);
    let key = |name: &'static str| {
        object(vec![
            ("name", 100, just(name)),
            ("key", 100, just("key")),
            ("optional", 30, truth()),
        ])
    };
    let from = mixed(vec![
        (2, object(vec![("fieldRef", 100, object(vec![("fieldPath", 100, field)]))])),
        (2, object(vec![("resourceFieldRef", 100, resource)])),
        (1, object(vec![("secretKeyRef", 100, key("secret"))])),
        (1, object(vec![("configMapKeyRef", 100, key("config"))])),
    ]);
    let plain =
        object(vec![("value", 90, one_of(&["", "text", "$(A) and $$(B)", "two\nlines", "8"]))]);
    let variable = mixed(vec![(3, plain), (2, object(vec![("valueFrom", 100, from)]))]);
    named(list(variable, 1..4), "VAR")
}

fn env_from() -> Json {
    let source =
        |name: &'static str| object(vec![("name", 100, just(name)), ("optional", 40, truth())]);
    let from = mixed(vec![
        (1, object(vec![("configMapRef", 100, source("config"))])),
        (1, object(vec![("secretRef", 100, source("secret"))])),
    ]);
    list(with(from, object(vec![("prefix", 30, just("APP_"))])), 1..3)
}

fn requirements() -> Json {
    // A request is never above a limit that is given beside it.
    let small = object(vec![("cpu", 70, just("50m")), ("memory", 70, just("32Mi"))]);
    let large = object(vec![
        ("cpu", 70, one_of(&["100m", "0.5", "1500m", "2", "01.500"])),
        ("memory", 70, one_of(&["64Mi", "128974848", "1Gi", "1.5Gi", "+9Gi"])),
        ("ephemeral-storage", 15, amount_of("ephemeral-storage")),
    ]);
    object(vec![("requests", 70, small), ("limits", 50, large)])
}

fn container_security() -> Json {
    object(vec![
        ("runAsUser", 40, number(0..2000)),
        ("runAsNonRoot", 20, truth()),
        ("readOnlyRootFilesystem", 20, truth()),
        ("capabilities", 20, just(json!({"add": ["NET_ADMIN"], "drop": ["ALL"]}))),
        (
            "seccompProfile",
            15,
            one_of(&[
                json!({"type": "RuntimeDefault"}),
                json!({"type": "Localhost", "localhostProfile": "profiles/a.json"}),
            ]),
        ),
    ])
}

fn container(kind: Kind) -> Json {
    let mounts = list(
        object(vec![
            ("name", 100, one_of(&["data", "config", "token"])),
            ("mountPath", 100, one_of(&["/data", "/etc/app", "/var/run/token"])),
            ("readOnly", 40, truth()),
            ("subPath", 15, one_of(&["a/b", "é"])),
        ]),
        1..=1,
    );
    let port = |number: i64, name: &'static str| {
        object(vec![
            ("containerPort", 100, just(number)),
            ("name", 50, just(name)),
            ("protocol", 40, one_of(&["TCP", "UDP"])),
            ("hostPort", 10, just(number)),
        ])
    };
    let ports = mixed(vec![
        (2, list(port(8080, "http"), 1..=1)),
        (
            1,
            (port(8080, "http"), port(9090, "metrics"))
                .prop_map(|(first, second)| json!([first, second]))
                .boxed(),
        ),
    ]);
    let probed = match kind {
        Kind::App | Kind::Sidecar => 25,
        Kind::Init => 0,
    };
    let hooks = object(vec![("postStart", 50, hook()), ("preStop", 50, hook())]);
    let all = object(vec![
        (
            "image",
            100,
            one_of(&[
                "app",
                "app:1",
                "app:latest",
                "registry:5000/app",
                "app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            ]),
        ),
        ("command", 30, one_of(&[json!(["sh", "-c", "exec app\n--now"]), json!(["app"])])),
        ("args", 30, one_of(&[json!(["--port", "80"]), json!([""])])),
        ("ports", 30, ports),
        ("env", 40, environment()),
        ("envFrom", 12, env_from()),
        ("resources", 50, requirements()),
        ("volumeMounts", 30, mounts),
        ("imagePullPolicy", 20, one_of(&["Always", "IfNotPresent", "Never"])),
        ("workingDir", 10, just("/srv")),
        ("securityContext", 15, container_security()),
        ("terminationMessagePolicy", 10, one_of(&["File", "FallbackToLogsOnError"])),
        ("stdin", 5, truth()),
        ("tty", 5, truth()),
    ]);
    let probes = object(vec![
        ("readinessProbe", probed, probe()),
        ("livenessProbe", probed, probe()),
        ("startupProbe", probed, probe()),
        ("lifecycle", probed, hooks),
        ("restartPolicy", if matches!(kind, Kind::Sidecar) { 100 } else { 0 }, just("Always")),
    ]);
    with(all, probes)
}

/// What a container is.
#[derive(Clone, Copy)]
enum Kind {
    Init,
    Sidecar,
    App,
}

fn volumes() -> Json {
    let source = mixed(vec![
        (
            3,
            object(vec![(
                "emptyDir",
                100,
                object(vec![
                    ("medium", 20, just("Memory")),
                    ("sizeLimit", 30, one_of(&["1Gi", "64Mi"])),
                ]),
            )]),
        ),
        (
            2,
            object(vec![(
                "configMap",
                100,
                object(vec![
                    ("name", 100, just("config")),
                    ("defaultMode", 30, just(0o640)),
                    ("optional", 20, truth()),
                ]),
            )]),
        ),
        (2, object(vec![("secret", 100, object(vec![("secretName", 100, just("secret"))]))])),
        (
            1,
            object(vec![(
                "hostPath",
                100,
                object(vec![
                    ("path", 100, just("/var/log")),
                    ("type", 40, one_of(&["", "Directory"])),
                ]),
            )]),
        ),
        (1, object(vec![("persistentVolumeClaim", 100, just(json!({"claimName": "claim"})))])),
        (1, just(json!({"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}))),
        (
            1,
            just(
                json!({"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}}),
            ),
        ),
    ]);
    list(source, 3..4)
        .prop_map(|mut volumes| {
            let names = ["data", "config", "token"];
            for (name, volume) in names.iter().zip(volumes.as_array_mut().into_iter().flatten()) {
                volume["name"] = (*name).into();
            }
            volumes
        })
        .boxed()
}

fn tolerations() -> Json {
    let toleration = object(vec![
        ("key", 100, one_of(&["node.kubernetes.io/not-ready", "dedicated"])),
        ("operator", 50, one_of(&["Exists"])),
        ("effect", 70, one_of(&["NoSchedule", "NoExecute"])),
    ]);
    let toleration = toleration.prop_map(|mut toleration| {
        if toleration["effect"] == "NoExecute" {
            toleration["tolerationSeconds"] = 300.into();
        }
        if toleration.get("operator").is_none() {
            toleration["value"] = "batch".into();
        }
        toleration
    });
    list(toleration.boxed(), 1..3)
}

/// The spec of a pod, mostly one that the API takes, with everything that people use.
pub(super) fn spec() -> Json {
    let init = mixed(vec![(3, container(Kind::Init)), (1, container(Kind::Sidecar))]);
    let pod_security = object(vec![
        ("runAsUser", 40, number(0..2000)),
        ("fsGroup", 40, number(0..2000)),
        ("sysctls", 10, just(json!([{"name": "kernel.shm_rmid_forced", "value": "0"}]))),
        (
            "seccompProfile",
            20,
            one_of(&[
                json!({"type": "RuntimeDefault"}),
                json!({"type": "Localhost", "localhostProfile": "a.json"}),
            ]),
        ),
    ]);
    let spread = json!([{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}}}]);
    object(vec![
        ("initContainers", 50, named(list(init, 1..3), "init")),
        ("containers", 100, named(list(container(Kind::App), 1..3), "app")),
        ("volumes", 100, volumes()),
        ("restartPolicy", 30, one_of(&["Always", "OnFailure", "Never"])),
        ("terminationGracePeriodSeconds", 25, one_of(&[0, 1, 30, 60])),
        ("activeDeadlineSeconds", 10, one_of(&[1, 600])),
        ("dnsPolicy", 10, one_of(&["ClusterFirst", "Default"])),
        (
            "nodeSelector",
            20,
            map(&["disk", "kubernetes.io/os"], 60, &one_of(&["ssd", "linux", ""])),
        ),
        ("serviceAccountName", 15, just("builder")),
        ("automountServiceAccountToken", 8, truth()),
        ("nodeName", 15, just("node-1")),
        ("hostNetwork", 5, just(true)),
        ("securityContext", 25, pod_security),
        ("imagePullSecrets", 8, just(json!([{"name": "registry"}]))),
        ("hostname", 8, just("web")),
        ("schedulerName", 5, just("batch")),
        ("tolerations", 20, tolerations()),
        ("priorityClassName", 6, just("high")),
        ("priority", 6, just(1000)),
        ("runtimeClassName", 6, just("kata")),
        ("enableServiceLinks", 8, truth()),
        ("overhead", 4, just(json!({"cpu": "250m", "memory": "120Mi"}))),
        ("topologySpreadConstraints", 6, just(spread)),
        ("readinessGates", 8, just(json!([{"conditionType": "example.com/gate"}]))),
        ("schedulingGates", 5, just(json!([{"name": "example.com/wait"}]))),
        ("resources", 8, just(json!({"requests": {"cpu": "4", "memory": "8Gi"}}))),
        ("shareProcessNamespace", 5, truth()),
    ])
}

fn metadata() -> Json {
    object(vec![
        ("name", 100, one_of(&["web", "db.v1", "a"])),
        ("namespace", 100, just("shop")),
        ("labels", 40, map(&["app", "app.kubernetes.io/name"], 60, &one_of(&["web", "x-1"]))),
        ("annotations", 20, map(&["note", "example.com/by"], 60, &one_of(&["text", ""]))),
    ])
}

/// A pod.
pub(super) fn pod() -> Json {
    let head = just(json!({"apiVersion": "v1", "kind": "Pod"}));
    with(head, object(vec![("metadata", 100, metadata()), ("spec", 100, spec())]))
}

/// The kinds that make pods from a template, each with what it needs beside it.
const WORKLOADS: [(&str, &str); 8] = [
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("apps/v1", "ReplicaSet"),
    ("v1", "ReplicationController"),
    ("batch/v1", "Job"),
    ("batch/v1", "CronJob"),
    ("v1", "PodTemplate"),
];

/// A workload whose template has this spec.
fn workload() -> Json {
    (select(&WORKLOADS[..]), spec())
        .prop_map(|((api_version, kind), mut spec)| {
            if matches!(kind, "Job" | "CronJob") {
                if spec["restartPolicy"] != "OnFailure" {
                    spec["restartPolicy"] = "Never".into();
                }
            } else if let Some(fields) = spec.as_object_mut() {
                fields.remove("restartPolicy");
            }
            let labels = json!({"app": "web"});
            let template = json!({"metadata": {"labels": labels}, "spec": spec});
            let selector = json!({"matchLabels": labels});
            let mut object = json!({
                "apiVersion": api_version, "kind": kind,
                "metadata": {"name": "web", "namespace": "shop"},
            });
            match kind {
                "PodTemplate" => object["template"] = template,
                "ReplicationController" => {
                    object["spec"] = json!({"replicas": 2, "selector": labels, "template": template});
                }
                "Job" => object["spec"] = json!({"template": template}),
                "CronJob" => {
                    object["spec"] =
                        json!({"schedule": "*/5 * * * *", "jobTemplate": {"spec": {"template": template}}});
                }
                "StatefulSet" => {
                    object["spec"] =
                        json!({"serviceName": "web", "selector": selector, "template": template});
                }
                _ => object["spec"] = json!({"selector": selector, "template": template}),
            }
            object
        })
        .boxed()
}

/// Family `defaults`.
pub(in crate::functions) fn defaulted() -> Json {
    object(vec![("object", 100, mixed(vec![(4, pod()), (1, workload())]))])
}

/// Family `fields`: every kind that has pods in it.
pub(in crate::functions) fn typed_kinds() -> Json {
    let mut kinds = WORKLOADS.to_vec();
    kinds.push(("v1", "Pod"));
    select(kinds)
        .prop_map(|(api_version, kind)| json!({"apiVersion": api_version, "kind": kind}))
        .boxed()
}

/// Marks text that is to stand in a manifest as it is, without quotes.
const RAW: &str = "@raw@";

/// A single mistake, or a change that is none.
#[derive(Clone, Debug)]
enum Mutation {
    /// A field or item is taken out.
    Drop,
    /// A value is replaced.
    Replace(Value),
    /// A key is written another way.
    Rename(&'static str),
    /// A field that may not exist is added to an object.
    Add(&'static str, Value),
    /// An item of a list comes twice.
    Twice,
}

fn mutation() -> BoxedStrategy<Mutation> {
    let value = prop_oneof![
        4 => select(vec![
            Value::Null, json!(""), json!("Bad_Name"), json!("yes"), json!(true), json!(0), json!(-1),
            json!(65_536), json!(1.5), json!({}), json!([]), json!([null]), json!("web"), json!("1Gi"),
            json!("010"), json!("+7Gi"), json!("1.500"), json!("1E3"), json!("<b>&\u{200b}"),
            json!("-1"), json!("a".repeat(64)), json!("sh\u{200b}op"), json!("é"), json!(3_000_000_000_i64),
            json!("http"), json!(["a", "a"]), json!("/"), json!("../up"), json!("$(VAR)"), json!("500m"),
        ]),
        3 => select(&["yes", "NO", "on", "010", "08", "1_000", "1e3", "0x1f", "~", "30.0", "1e21", "2024-01-01", "!!str 5", ".5", "0o17", "+1", "1:30"][..])
            .prop_map(|text| Value::from(format!("{RAW}{text}"))),
    ];
    let added = select(vec![
        ("restartPolicy", json!("Sometimes")),
        ("imag", json!("x")),
        ("initcontainers", json!([])),
        ("livenessProbe", json!({"exec": {"command": ["true"]}})),
        ("hostNetwork", json!(true)),
        ("replicas", json!(2)),
        ("env", json!([{"name": "1BAD"}])),
        ("depends_on", json!(["db"])),
        ("terminationGracePeriodSeconds", json!(-5)),
        ("restartPolicyRules", json!([])),
        ("ephemeralContainers", json!([{"name": "d", "image": "d"}])),
        ("tty", json!("on")),
        ("resources", json!({"limits": {"memory": "512m", "gpu": 1}})),
        ("nodeName", json!("Node_1")),
        ("ports", json!([{"containerPort": 80}, {"containerPort": 80}])),
        ("name", json!("My_Name")),
    ]);
    prop_oneof![
        3 => Just(Mutation::Drop),
        6 => value.prop_map(Mutation::Replace),
        2 => select(&["nmae", "Name", "image ", "initContainer", "limit", "x"][..]).prop_map(Mutation::Rename),
        3 => added.prop_map(|(name, value)| Mutation::Add(name, value)),
        1 => Just(Mutation::Twice),
    ]
    .boxed()
}

/// The steps from an object to each of its values.
fn places(value: &Value) -> Vec<Vec<Step>> {
    fn walk(value: &Value, here: &mut Vec<Step>, found: &mut Vec<Vec<Step>>) {
        let children: Vec<(Step, &Value)> = match value {
            Value::Object(fields) => {
                fields.iter().map(|(name, value)| (Step::Field(name.clone()), value)).collect()
            }
            Value::Array(items) => {
                items.iter().enumerate().map(|(i, v)| (Step::Item(i), v)).collect()
            }
            _ => return,
        };
        for (step, child) in children {
            here.push(step);
            found.push(here.clone());
            walk(child, here, found);
            here.pop();
        }
    }
    let mut found = Vec::new();
    walk(value, &mut Vec::new(), &mut found);
    found
}

#[derive(Clone, Debug)]
enum Step {
    Field(String),
    Item(usize),
}

fn at<'a>(value: &'a mut Value, steps: &[Step]) -> Option<&'a mut Value> {
    steps.iter().try_fold(value, |value, step| match step {
        Step::Field(name) => value.get_mut(name),
        Step::Item(index) => value.get_mut(index),
    })
}

/// Makes one change at one of the object's values.
fn mutate(object: &mut Value, place: Index, mutation: Mutation) {
    let places = places(object);
    if places.is_empty() {
        return;
    }
    let Some((last, parents)) = places[place.index(places.len())].split_last() else { return };
    let Some(parent) = at(object, parents) else { return };
    match (mutation, parent, last) {
        (Mutation::Drop, Value::Object(fields), Step::Field(name)) => {
            fields.remove(name);
        }
        (Mutation::Drop, Value::Array(items), Step::Item(index)) => {
            items.remove(*index);
        }
        (Mutation::Rename(new), Value::Object(fields), Step::Field(name)) => {
            if let Some(value) = fields.remove(name) {
                fields.insert(new.to_owned(), value);
            }
        }
        (Mutation::Twice, Value::Array(items), Step::Item(index)) => {
            let item = items[*index].clone();
            items.insert(*index, item);
        }
        (Mutation::Add(name, value), parent, last) => {
            let child = at(parent, std::slice::from_ref(last));
            match child {
                Some(Value::Object(fields)) => drop(fields.insert(name.to_owned(), value)),
                _ => {
                    if let Value::Object(fields) = parent {
                        fields.insert(name.to_owned(), value);
                    }
                }
            }
        }
        (Mutation::Replace(value), parent, last) => {
            if let Some(place) = at(parent, std::slice::from_ref(last)) {
                *place = value;
            }
        }
        _ => {}
    }
}

/// How an object is written down.
#[derive(Clone, Copy, Debug)]
enum Writing {
    Yaml,
    Json,
}

/// The text of an object. In JSON, raw text is a string.
fn written(object: &Value, writing: Writing) -> String {
    match writing {
        Writing::Json => object.to_string().replace(RAW, ""),
        Writing::Yaml => {
            let text = serde_yaml::to_string(object).unwrap_or_default();
            let lines = text.lines().map(|line| match line.split_once(RAW) {
                // The writer puts the mark in quotes.
                Some((before, raw)) => {
                    format!(
                        "{}{}",
                        before.trim_end_matches(['\'', '"']),
                        raw.trim_end_matches(['\'', '"'])
                    )
                }
                None => line.to_owned(),
            });
            lines.collect::<Vec<_>>().join("\n") + "\n"
        }
    }
}

/// The objects in the manifests of the repository.
fn published() -> Json {
    let mut objects = Vec::new();
    for text in PUBLISHED {
        for document in serde_yaml::Deserializer::from_str(text) {
            if let Ok(mut object) = <Value as serde::Deserialize>::deserialize(document)
                && let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut)
            {
                metadata.insert("namespace".to_owned(), "shop".into());
                objects.push(object);
            }
        }
    }
    select(objects).boxed()
}

/// Family `read`: a manifest with at most a mistake or two, now and then several documents or a list.
pub(in crate::functions) fn manifest() -> Json {
    let object = mixed(vec![(4, pod()), (2, published()), (1, workload())]);
    let change = proptest::collection::vec((any::<Index>(), mutation()), 0..2);
    let one = (object, change).prop_map(|(mut object, changes)| {
        for (place, mutation) in changes {
            mutate(&mut object, place, mutation);
        }
        object
    });
    let writing = prop_oneof![3 => Just(Writing::Yaml), 1 => Just(Writing::Json)];
    let single = (one.clone(), writing).prop_map(|(object, writing)| written(&object, writing));
    let small = one.prop_map(|object| written(&object, Writing::Yaml)).boxed();
    let several = proptest::collection::vec(small, 2..3).prop_map(|texts| texts.join("---\n"));
    let of_list = proptest::collection::vec(pod(), 1..3).prop_map(|pods| {
        written(&json!({"apiVersion": "v1", "kind": "List", "items": pods}), Writing::Yaml)
    });
    prop_oneof![12 => single, 1 => several, 1 => of_list]
        .prop_map(|text| json!({ "text": text }))
        .boxed()
}

//! What only `kubectl describe` and tables of events look at: volumes of every kind, rare fields, and
//! what the API holds although no apiserver of today would take it.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::functions::json::{Json, just, list, map, mixed, number, object, one_of, truth};

fn reference() -> Json {
    just(json!({"name": "secret-1"}))
}

fn of(kind: &'static str, fields: Vec<(&'static str, u32, Json)>) -> (u32, Json) {
    (1, object(vec![(kind, 100, object(fields))]))
}

/// A volume of any kind that there is or was.
fn volume() -> Json {
    let text = |text: &'static str| just(text);
    let read_only = || ("readOnly", 50, truth());
    let fs = || ("fsType", 50, one_of(&["ext4", ""]));
    let monitors = || one_of(&[json!(["10.0.0.1:6789"]), json!(["a", "b"])]);
    let attributes = || map(&["path", "size", "z"], 50, &one_of(&["1", "a b", ""]));
    mixed(vec![
        of(
            "gcePersistentDisk",
            vec![("pdName", 100, text("disk")), ("partition", 40, number(0..4)), fs(), read_only()],
        ),
        of(
            "awsElasticBlockStore",
            vec![
                ("volumeID", 100, text("vol-1")),
                ("partition", 40, number(0..4)),
                fs(),
                read_only(),
            ],
        ),
        of(
            "gitRepo",
            vec![
                ("repository", 100, text("https://example.com/a.git")),
                ("revision", 50, text("v1")),
            ],
        ),
        of("nfs", vec![("server", 100, text("nfs")), ("path", 100, text("/x")), read_only()]),
        of(
            "iscsi",
            vec![
                ("targetPortal", 100, text("10.0.0.1:3260")),
                ("iqn", 100, text("iqn.2001-04.com.example:disk")),
                ("lun", 100, number(0..4)),
                ("portals", 40, one_of(&[json!(["10.0.0.2:3260"]), json!(["a", "b"])])),
                ("chapAuthDiscovery", 30, truth()),
                ("chapAuthSession", 30, truth()),
                ("secretRef", 40, reference()),
                ("initiatorName", 40, text("iqn.1996-04.de.suse:linux-host")),
                fs(),
                read_only(),
            ],
        ),
        of("glusterfs", vec![("endpoints", 100, text("g")), ("path", 100, text("p")), read_only()]),
        of(
            "rbd",
            vec![
                ("monitors", 100, monitors()),
                ("image", 100, text("foo")),
                ("pool", 40, text("pool-1")),
                ("user", 40, text("me")),
                ("keyring", 40, text("/etc/keys")),
                ("secretRef", 40, reference()),
                fs(),
                read_only(),
            ],
        ),
        of(
            "quobyte",
            vec![("registry", 100, text("r:1")), ("volume", 100, text("v")), read_only()],
        ),
        of(
            "azureDisk",
            vec![
                ("diskName", 100, text("d")),
                ("diskURI", 100, text("https://d")),
                ("kind", 40, text("Managed")),
                ("cachingMode", 40, text("None")),
                read_only(),
            ],
        ),
        of(
            "azureFile",
            vec![("secretName", 100, text("s")), ("shareName", 100, text("sh")), read_only()],
        ),
        of(
            "vsphereVolume",
            vec![("volumePath", 100, text("[a] b")), ("storagePolicyName", 40, text("gold")), fs()],
        ),
        of(
            "cinder",
            vec![("volumeID", 100, text("c")), ("secretRef", 40, reference()), fs(), read_only()],
        ),
        of("photonPersistentDisk", vec![("pdID", 100, text("p")), fs()]),
        of("portworxVolume", vec![("volumeID", 100, text("p")), fs(), read_only()]),
        of(
            "scaleIO",
            vec![
                ("gateway", 100, text("https://g")),
                ("system", 100, text("s")),
                ("secretRef", 100, reference()),
                ("protectionDomain", 50, text("pd")),
                ("storagePool", 50, text("sp")),
                ("storageMode", 40, text("ThickProvisioned")),
                ("volumeName", 60, text("v")),
                read_only(),
            ],
        ),
        of(
            "cephfs",
            vec![
                ("monitors", 100, monitors()),
                ("path", 50, text("/p")),
                ("user", 50, text("admin")),
                ("secretFile", 50, text("/etc/s")),
                ("secretRef", 40, reference()),
                read_only(),
            ],
        ),
        of(
            "storageos",
            vec![
                ("volumeName", 60, text("v")),
                ("volumeNamespace", 60, text("n")),
                fs(),
                read_only(),
            ],
        ),
        of(
            "fc",
            vec![
                ("targetWWNs", 70, one_of(&[json!(["50060e801049cfd1"]), json!(["a", "b"])])),
                ("lun", 50, number(0..3)),
                fs(),
                read_only(),
            ],
        ),
        of(
            "flexVolume",
            vec![
                ("driver", 100, text("example.com/d")),
                ("options", 60, attributes()),
                ("secretRef", 40, reference()),
                fs(),
                read_only(),
            ],
        ),
        of("flocker", vec![("datasetName", 60, text("d")), ("datasetUUID", 40, text("u"))]),
        of(
            "csi",
            vec![
                ("driver", 100, text("csi.example.com")),
                ("volumeAttributes", 70, attributes()),
                fs(),
                read_only(),
            ],
        ),
        of("image", vec![("reference", 90, text("models:1")), ("pullPolicy", 50, text("Always"))]),
        of(
            "ephemeral",
            vec![(
                "volumeClaimTemplate",
                100,
                object(vec![
                    (
                        "metadata",
                        60,
                        object(vec![
                            ("labels", 60, attributes()),
                            ("annotations", 60, annotations()),
                        ]),
                    ),
                    (
                        "spec",
                        100,
                        object(vec![
                            ("accessModes", 100, just(json!(["ReadWriteOnce"]))),
                            ("storageClassName", 50, text("fast")),
                            ("volumeName", 20, text("pv-1")),
                            ("volumeMode", 50, text("Block")),
                            (
                                "dataSource",
                                30,
                                just(json!({"apiGroup": "snapshot.storage.k8s.io",
                                    "kind": "VolumeSnapshot", "name": "s"})),
                            ),
                            ("resources", 100, just(json!({"requests": {"storage": "1Gi"}}))),
                        ]),
                    ),
                ]),
            )],
        ),
        (
            1,
            just(json!({"projected": {"sources": [
                {"secret": {"name": "s", "optional": true}}, {"configMap": {"name": "c"}},
                {"downwardAPI": {"items": [{"path": "a", "fieldRef": {"fieldPath": "metadata.name"}}]}},
                {"serviceAccountToken": {"path": "t", "expirationSeconds": 600}},
                {"clusterTrustBundle": {"name": "b", "path": "p"}},
            ]}})),
        ),
        (
            1,
            just(json!({"downwardAPI": {"items": [
                {"path": "cpu", "resourceFieldRef": {"containerName": "app-1", "resource": "limits.cpu"}},
                {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}},
            ]}})),
        ),
        (1, just(json!({"emptyDir": {"sizeLimit": "0"}}))),
        (1, just(json!({"secret": {"secretName": "s", "optional": true}}))),
    ])
}

fn annotations() -> Json {
    let long = "x".repeat(150);
    let value = one_of(&[
        "short".to_owned(),
        String::new(),
        "two\nlines".to_owned(),
        "ends in a line\n".to_owned(),
        long.clone(),
        format!("{}é{long}", "y".repeat(137)),
        format!("a line\n{long}\nlast\n"),
        "\u{1b}[31mred".to_owned(),
    ]);
    map(&["note", "example.com/by", "kubectl.kubernetes.io/last-applied-configuration"], 50, &value)
}

fn tolerations() -> Json {
    let toleration = object(vec![
        ("key", 70, one_of(&["dedicated", "b", "a/b", ""])),
        ("operator", 60, one_of(&["Exists", "Equal"])),
        ("value", 30, one_of(&["batch", ""])),
        ("effect", 60, one_of(&["NoSchedule", "NoExecute", "PreferNoSchedule"])),
        ("tolerationSeconds", 30, one_of(&[0, 300, -1])),
    ]);
    list(toleration, 1..5)
}

fn spread() -> Json {
    let expression = mixed(vec![
        (
            2,
            object(vec![
                ("key", 100, one_of(&["tier", "app", "z/y"])),
                ("operator", 100, one_of(&["In", "NotIn"])),
                ("values", 90, one_of(&[json!(["b", "a"]), json!(["x"])])),
            ]),
        ),
        (
            1,
            object(vec![
                ("key", 100, one_of(&["tier", "role"])),
                ("operator", 100, one_of(&["Exists", "DoesNotExist"])),
            ]),
        ),
    ]);
    let selector = object(vec![
        ("matchLabels", 60, map(&["app", "tier"], 70, &one_of(&["web", "x-1"]))),
        ("matchExpressions", 50, list(expression, 1..3)),
    ]);
    let constraint = object(vec![
        ("maxSkew", 100, number(1..4)),
        ("topologyKey", 100, one_of(&["zone", "kubernetes.io/hostname"])),
        ("whenUnsatisfiable", 100, one_of(&["DoNotSchedule", "ScheduleAnyway"])),
        ("labelSelector", 75, selector),
    ]);
    list(constraint, 1..3)
}

/// What is laid over a spec.
pub(super) fn rare_spec() -> Json {
    let volumes = list(volume(), 1..4).prop_map(|mut volumes| {
        for (number, volume) in (1..).zip(volumes.as_array_mut().into_iter().flatten()) {
            volume["name"] = format!("volume-{number}").into();
        }
        volumes
    });
    object(vec![
        ("volumes", 50, volumes.boxed()),
        ("tolerations", 30, tolerations()),
        ("topologySpreadConstraints", 25, spread()),
        ("nodeSelector", 15, map(&["a", "b"], 80, &one_of(&["", "x", "tab\there"]))),
    ])
}

/// What is laid over the metadata.
pub(super) fn rare_metadata() -> Json {
    let owner = |controller: Option<bool>| {
        let mut owner =
            json!({"apiVersion": "batch/v1", "kind": "Job", "name": "import", "uid": "7"});
        if let Some(controller) = controller {
            owner["controller"] = controller.into();
        }
        owner
    };
    object(vec![
        ("annotations", 50, annotations()),
        (
            "ownerReferences",
            40,
            one_of(&[
                json!([owner(Some(true))]),
                json!([owner(None), owner(Some(false))]),
                json!([owner(Some(false)), owner(Some(true))]),
            ]),
        ),
    ])
}

/// What is laid over an event: those of other sources, series, and times of the newer kind.
pub(super) fn rare_event(ago: fn(i64) -> Value) -> Json {
    let time = move || (0..90_000i64).prop_map(ago).boxed();
    let series = object(vec![("count", 100, number(1..9)), ("lastObservedTime", 90, time())]);
    mixed(vec![
        (4, just(json!({}))),
        (
            1,
            object(vec![
                ("eventTime", 80, time()),
                ("series", 50, series),
                ("source", 60, just(json!({}))),
                ("reportingComponent", 80, one_of(&["default-scheduler", ""])),
                ("firstTimestamp", 50, just(Value::Null)),
                ("lastTimestamp", 50, just(Value::Null)),
                ("count", 50, number(0..2)),
            ]),
        ),
    ])
    .prop_map(|mut event| {
        // Micro times have six digits.
        for path in ["/eventTime", "/series/lastObservedTime"] {
            if let Some(Value::String(time)) = event.pointer_mut(path) {
                *time = time.replace('Z', ".000000Z");
            }
        }
        event
    })
    .boxed()
}

/// A pod that no apiserver of today would take, but that its store may hold.
pub(super) fn odd(pod: Json) -> Json {
    let names = one_of(&["app-1", "", "init-1"]);
    (pod, names, 0..6u8)
        .prop_map(|(mut pod, name, how)| {
            let first = |list: &str| format!("/spec/{list}/0/name");
            match how {
                0 => {
                    for list in ["containers", "initContainers"] {
                        if let Some(found) = pod.pointer_mut(&first(list)) {
                            *found = name.clone();
                        }
                    }
                }
                1 => {
                    let containers = &mut pod["spec"]["containers"];
                    if let Some(list) = containers.as_array_mut() {
                        let again = list[0].clone();
                        list.push(again);
                    }
                }
                2 => pod["status"]["phase"] = "Napping".into(),
                3 => pod["metadata"]["creationTimestamp"] = "0401-01-01T00:00:00Z".into(),
                4 => {
                    let ended = json!({"terminated": {"exitCode": 1, "finishedAt": "9000-01-01T00:00:00Z"}});
                    if let Some(status) = pod.pointer_mut("/status/containerStatuses/0") {
                        status["lastState"] = ended;
                    }
                }
                _ => {}
            }
            pod
        })
        .boxed()
}

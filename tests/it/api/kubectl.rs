//! What kubectl shows, as a person would read it.

use k8s_openapi::api::core::v1;
use podinit::event::{Event, EventKind, EventLog};
use podinit::kubectl::{self, HumanDuration, PodRow};
use podinit::{FeatureGates, KubernetesVersion, PodSpec, PodStatus, Timestamp};
use serde_json::{Value, json};

/// 2026-01-01T00:00:00Z.
const START: i64 = 1_767_225_600;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(START + seconds)
}

fn pod(spec: Value, status: Value) -> v1::Pod {
    let metadata = json!({"name": "web-0", "namespace": "shop", "uid": "1"});
    serde_json::from_value(json!({"metadata": metadata, "spec": spec, "status": status})).unwrap()
}

fn columns(pod: &v1::Pod, version: KubernetesVersion) -> String {
    let spec = PodSpec::compile_unchecked(pod, version.feature_gates()).unwrap();
    let status = PodStatus::try_from(pod.status.as_ref().unwrap()).unwrap();
    let deleted = pod.metadata.deletion_timestamp.as_ref().map(|time| time.try_into().unwrap());
    kubectl::columns(&spec, &status, deleted, at(0)).to_string()
}

fn container_status(name: &str, state: Value) -> Value {
    json!({"name": name, "image": name, "imageID": "", "ready": state.get("running").is_some(),
           "restartCount": 0, "state": state})
}

#[test]
fn a_failed_container_shows_behind_a_completed_one_since_1_35() {
    let spec = json!({"containers": [{"name": "a"}, {"name": "b"}], "restartPolicy": "Never"});
    let status = json!({"phase": "Failed", "containerStatuses": [
        container_status("a", json!({"terminated": {"exitCode": 0, "reason": "Completed"}})),
        container_status("b", json!({"terminated": {"exitCode": 1, "reason": "Error"}})),
    ]});
    let pod = pod(spec, status);
    assert_eq!(columns(&pod, KubernetesVersion::V1_34), "0/2 Completed 0");
    assert_eq!(columns(&pod, KubernetesVersion::V1_35), "0/2 Error 0");
}

#[test]
fn a_deleted_pod_in_a_terminal_phase_is_terminating_up_to_1_30() {
    let mut pod = pod(json!({"containers": [{"name": "a"}]}), json!({"phase": "Succeeded"}));
    pod.metadata.deletion_timestamp = Some(at(-5).into());
    assert_eq!(columns(&pod, KubernetesVersion::V1_30), "0/1 Terminating 0");
    assert_eq!(columns(&pod, KubernetesVersion::V1_31), "0/1 Succeeded 0");
}

#[test]
fn a_deleted_pod_on_a_lost_node_is_unknown() {
    let status = json!({"phase": "Running", "reason": "NodeLost"});
    let mut pod = pod(json!({"containers": [{"name": "a"}]}), status);
    assert_eq!(columns(&pod, KubernetesVersion::V1_36), "0/1 NodeLost 0");
    pod.metadata.deletion_timestamp = Some(at(-5).into());
    assert_eq!(columns(&pod, KubernetesVersion::V1_36), "0/1 Unknown 0");
}

#[test]
fn restarts_of_regular_init_containers_vanish_once_the_pod_is_initialised() {
    let spec = json!({
        "initContainers": [{"name": "migrate"}, {"name": "proxy", "restartPolicy": "Always"}],
        "containers": [{"name": "web"}],
    });
    let mut migrate =
        container_status("migrate", json!({"terminated": {"exitCode": 0, "reason": "Completed"}}));
    migrate["restartCount"] = json!(3);
    migrate["lastState"] = json!({"terminated": {"exitCode": 1, "finishedAt": at(-90)}});
    let mut proxy = container_status("proxy", json!({"running": {}}));
    proxy["restartCount"] = json!(1);
    proxy["lastState"] = json!({"terminated": {"exitCode": 1, "finishedAt": at(-600)}});
    let waiting = container_status("web", json!({"waiting": {"reason": "PodInitializing"}}));

    let status = |proxy: &Value| {
        json!({"phase": "Pending", "initContainerStatuses": [migrate, proxy],
               "containerStatuses": [waiting]})
    };
    assert_eq!(
        columns(&pod(spec.clone(), status(&proxy)), KubernetesVersion::V1_36),
        "0/2 Init:1/2 4 (90s ago)"
    );
    proxy["started"] = json!(true);
    assert_eq!(
        columns(&pod(spec, status(&proxy)), KubernetesVersion::V1_36),
        "1/2 PodInitializing 1 (10m ago)"
    );
}

/// A pod with a sidecar, whose second init container was killed for its memory.
fn web() -> v1::Pod {
    pod(
        json!({
            "nodeName": "node-1",
            "priority": 0,
            "initContainers": [
                {
                    "name": "proxy", "image": "proxy:1", "restartPolicy": "Always",
                    "ports": [{"containerPort": 15001}, {"containerPort": 53, "protocol": "UDP"}],
                    "startupProbe": {"httpGet": {"path": "/ready now", "port": 15021}},
                    "volumeMounts": [
                        {"name": "tmp", "mountPath": "/tmp"},
                        {"name": "etc", "mountPath": "/etc/proxy", "readOnly": true, "subPath": "a"},
                    ],
                },
                {
                    "name": "migrate", "image": "migrate:1",
                    "command": ["sh", "-c", "migrate up\nmigrate check"], "args": ["--fast"],
                    "resources": {"requests": {"memory": "64Mi", "cpu": "100m"},
                                  "limits": {"memory": "64Mi"}},
                    "env": [
                        {"name": "LEVEL", "value": "debug"},
                        {"name": "SELF", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                        {"name": "PASSWORD", "valueFrom":
                            {"secretKeyRef": {"name": "database", "key": "password"}}},
                        {"name": "CORES", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
                    ],
                    "envFrom": [{"prefix": "DB_", "configMapRef": {"name": "db", "optional": true}}],
                },
            ],
            "containers": [{
                "name": "web", "image": "web:1", "ports": [{"containerPort": 80}],
                "livenessProbe": {"exec": {"command": ["cat", "/ok"]}, "periodSeconds": 5},
                "readinessProbe": {"tcpSocket": {"port": "http"}},
            }],
            "readinessGates": [{"conditionType": "example.com/gate"}],
        }),
        json!({
            "phase": "Pending", "hostIP": "10.0.0.1", "podIP": "10.1.0.7",
            "podIPs": [{"ip": "10.1.0.7"}], "qosClass": "Burstable", "startTime": at(0),
            "conditions": [
                {"type": "PodReadyToStartContainers", "status": "True"},
                {"type": "Initialized", "status": "False"},
                {"type": "Ready", "status": "False"},
            ],
            "initContainerStatuses": [
                {"name": "proxy", "image": "proxy:1", "imageID": "sha256:aa", "ready": true,
                 "started": true, "restartCount": 0, "containerID": "containerd://p0",
                 "state": {"running": {"startedAt": at(2)}}},
                {"name": "migrate", "image": "migrate:1", "imageID": "sha256:bb", "ready": false,
                 "restartCount": 2, "containerID": "containerd://m2",
                 "state": {"waiting": {"reason": "CrashLoopBackOff",
                                       "message": "back-off 10s restarting failed container"}},
                 "lastState": {"terminated": {"exitCode": 137, "signal": 9, "reason": "OOMKilled",
                                              "startedAt": at(12), "finishedAt": at(13)}}},
            ],
            "containerStatuses": [
                {"name": "web", "image": "web:1", "imageID": "", "ready": false, "restartCount": 0,
                 "started": false, "state": {"waiting": {"reason": "PodInitializing"}}},
            ],
        }),
    )
}

fn log(pod: &PodSpec) -> EventLog {
    let migrate = pod.find("migrate").unwrap();
    let mut log = EventLog::default();
    log.record(Event::normal("Pulled", "Container image already present").about(migrate), at(1));
    for seconds in [1, 2, 12] {
        log.record(Event::normal("Created", "Container created").about(migrate), at(seconds));
    }
    let back_off = "Back-off restarting failed container migrate in pod web-0_shop(1)\n";
    for seconds in [14, 29, 41, 134] {
        log.record(Event::warning("BackOff", back_off).about(migrate), at(seconds));
    }
    log.record(Event::warning("Evil", "\u{1b}[2Jno\rtricks"), at(30));
    log
}

#[test]
fn describe_reads_as_that_of_kubectl() {
    let pod = web();
    let spec = PodSpec::compile_unchecked(&pod, FeatureGates::default()).unwrap();
    let log = log(&spec);
    insta::assert_snapshot!(kubectl::describe(&pod, Some(log.records()), at(140)));
}

#[test]
fn describe_names_ports_classes_and_the_containers_of_events() {
    let pod: v1::Pod = serde_json::from_value(json!({
        "metadata": {"name": "web"},
        "spec": {
            "priorityClassName": "high", "runtimeClassName": "kata",
            "securityContext":
                {"seccompProfile": {"type": "Localhost", "localhostProfile": "a.json"}},
            "initContainers": [{"name": "init"}],
            "containers": [{
                "name": "app",
                "ports": [{"name": "http", "containerPort": 80}, {"containerPort": 53}],
                "livenessProbe": {"httpGet": {"port": 80, "path": "*"}},
                "resources": {
                    "requests": {"cpu": "250m"}, "limits": {"memory": "100Mi", "cpu": "0"}},
                "env": [
                    {"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "requests.cpu"}}},
                    {"name": "B", "valueFrom": {"resourceFieldRef":
                        {"resource": "limits.memory", "divisor": "1Gi"}}},
                    {"name": "C", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
                    {"name": "D", "valueFrom": {"resourceFieldRef": {"resource": "limits.gpu"}}},
                ],
            }],
        },
    }))
    .unwrap();
    let compiled = PodSpec::compile_unchecked(&pod, FeatureGates::default()).unwrap();
    let mut log = EventLog::default();
    let about = compiled.find("init").unwrap();
    log.record(Event::normal("Created", "Container created").about(about), at(0));
    let text = kubectl::describe(&pod, Some(log.records()), at(5));
    let lines: Vec<String> =
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "Priority Class Name: high",
        "Runtime Class Name: kata",
        "Ports: 80/TCP (http), 53/TCP",
        "Host Ports: 0/TCP (http), 0/TCP",
        "Liveness: http-get http://:80/* delay=0s timeout=1s period=10s #success=1 #failure=3",
        "A: 1 (requests.cpu)",
        "B: 1 (limits.memory)",
        "C: node allocatable (limits.cpu)",
        "D: (limits.gpu)",
        "QoS Class: Burstable",
        "Normal Created 5s kubelet spec.initContainers{init}: Container created",
    ] {
        assert!(lines.iter().any(|own| own == line), "{line}\n{text}");
    }
    assert!(text.contains("\nLocalhostProfile:     a.json\n"), "{text}");
}

#[test]
fn describe_of_a_pod_that_is_being_deleted() {
    let status = json!({
        "phase": "Running", "reason": "Why", "message": "said so",
        "containerStatuses": [container_status("web", json!({
            "terminated": {"exitCode": 1, "reason": "Error", "message": "cannot go on",
                           "startedAt": at(0), "finishedAt": at(59)}}))],
        "ephemeralContainerStatuses": [container_status("debug", json!({"running": {}}))],
    });
    let spec = json!({"containers": [{"name": "web", "image": "web:1"}],
                      "ephemeralContainers": [{"name": "debug", "image": "busybox"}]});
    let mut pod = pod(spec, status);
    pod.metadata.deletion_timestamp = Some(at(60).into());
    pod.metadata.deletion_grace_period_seconds = Some(30);
    pod.metadata.labels = Some([("app".into(), "web".into()), ("tier".into(), "1".into())].into());
    insta::assert_snapshot!(kubectl::describe(&pod, Some(&[]), at(90)));
}

#[test]
fn equal_events_are_counted_and_the_last_seen_stands_last() {
    let spec = PodSpec::compile_unchecked(&web(), FeatureGates::default()).unwrap();
    let log = log(&spec);
    insta::assert_snapshot!(kubectl::events(spec.identity(), log.records(), at(140)), @r"
    LAST SEEN              TYPE      REASON    OBJECT      MESSAGE
    2m19s                  Normal    Pulled    Pod/web-0   Container image already present
    2m8s (x3 over 2m19s)   Normal    Created   Pod/web-0   Container created
    110s                   Warning   Evil      Pod/web-0   ^[[2Jno\rtricks
    6s (x4 over 2m6s)      Warning   BackOff   Pod/web-0   Back-off restarting failed container migrate in pod web-0_shop(1)
    ");
}

#[test]
fn events_name_their_container_by_its_field_path() {
    let pod = pod(
        json!({"initContainers": [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}],
               "containers": [{"name": "a"}], "ephemeralContainers": [{"name": "e"}]}),
        json!({}),
    );
    let spec = PodSpec::compile_unchecked(&pod, FeatureGates::default()).unwrap();
    let path = |name| {
        let event = Event::normal("Started", "").about(spec.find(name).unwrap());
        assert_eq!(event.kind, EventKind::Normal);
        event.field_path(&spec).unwrap().to_string()
    };
    assert_eq!(path("i"), "spec.initContainers{i}");
    assert_eq!(path("s"), "spec.initContainers{s}");
    assert_eq!(path("a"), "spec.containers{a}");
    assert_eq!(path("e"), "spec.ephemeralContainers{e}");
    assert_eq!(Event::normal("SandboxChanged", "").field_path(&spec), None);
}

#[test]
fn the_table_of_pods_is_aligned_as_that_of_kubectl() {
    let pod = web();
    let spec = PodSpec::compile_unchecked(&pod, FeatureGates::default()).unwrap();
    let status = PodStatus::try_from(pod.status.as_ref().unwrap()).unwrap();
    let columns = kubectl::columns(&spec, &status, None, at(23));
    let age = HumanDuration::between(at(0), at(23));
    let row = |name| PodRow { name, columns: &columns, age };
    insta::assert_snapshot!(kubectl::pod_table([row("web-0"), row("web-1-with-a-long-name")]), @r"
    NAME                     READY   STATUS                  RESTARTS      AGE
    web-0                    1/2     Init:CrashLoopBackOff   2 (10s ago)   23s
    web-1-with-a-long-name   1/2     Init:CrashLoopBackOff   2 (10s ago)   23s
    ");
}

#[test]
fn the_single_address_counts_before_the_first_of_the_list() {
    for (status, ip) in [
        (json!({"podIP": "10.1.2.3"}), "10.1.2.3"),
        (json!({"podIPs": [{"ip": "10.9.9.9"}]}), "10.9.9.9"),
        (
            json!({"podIP": "10.1.2.3", "podIPs": [{"ip": "10.9.9.9"}, {"ip": "fd00::1"}]}),
            "10.1.2.3",
        ),
    ] {
        let pod: v1::Pod = serde_json::from_value(json!({ "status": status })).unwrap();
        assert_eq!(kubectl::wide_columns(&pod).ip, Some(ip), "{status}");
    }
}

#[test]
fn wide_columns_count_the_gates_that_are_true() {
    let mut pod = web();
    assert_eq!(kubectl::wide_columns(&pod).to_string(), "10.1.0.7 node-1 <none> 0/1");
    let status = pod.status.as_mut().unwrap();
    status.conditions.as_mut().unwrap().push(v1::PodCondition {
        type_: "example.com/gate".into(),
        status: "True".into(),
        ..Default::default()
    });
    assert_eq!(kubectl::wide_columns(&pod).to_string(), "10.1.0.7 node-1 <none> 1/1");
    assert_eq!(
        kubectl::wide_columns(&v1::Pod::default()).to_string(),
        "<none> <none> <none> <none>"
    );
}

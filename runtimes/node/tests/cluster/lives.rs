//! Lives of pods under the real controllers.

use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use podinit_node::testing::Cluster;
use serde_json::json;

use crate::{container, has_phase, is_true};

const DEPLOYMENT: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata:
      labels: {app: web}
      annotations:
        podinit.dev/scenario: |
          containers:
            migrate:
              instances: [{runFor: 2s, exitCode: 1}, {runFor: 2s, exitCode: 1}, {runFor: 2s}]
    spec:
      initContainers: [{name: migrate, image: "migrate:1"}]
      containers: [{name: app, image: "web:1"}]
"#;

fn is_available(deployment: &Deployment) -> bool {
    let status = deployment.status.as_ref();
    status.and_then(|status| status.available_replicas) == Some(1)
}

/// The back-off of ten seconds is stepped over.
#[tokio::test]
async fn a_deployment_whose_init_container_fails_twice_becomes_available() {
    let cluster = Cluster::builder().stepped().start().await.unwrap();
    cluster.apply(DEPLOYMENT).await.unwrap();
    let pods = cluster.api::<Pod>();
    while cluster.control().unwrap().pods().await.unwrap() == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for (millis, shown) in [
        (900, "Init:0/1 0"),
        (2_105, "Init:Error 0"),
        (1_095, "Init:0/1 1"),
        (2_000, "Init:Error 1"),
        (8_000, "Init:Error 1"),
        (2_000, "Init:0/1 2"),
    ] {
        cluster.step(Duration::from_millis(millis)).await.unwrap();
        let seen = cluster.kubectl(["get", "pods", "--no-headers"]).await.unwrap();
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&seen)[2..4], words(shown), "{seen}");
    }
    let deployment = cluster.api::<Deployment>().get("web").await.unwrap();
    assert!(!is_available(&deployment));

    cluster.step(Duration::from_secs(20)).await.unwrap();
    cluster.until::<Deployment>("web", is_available).await.unwrap();
    let pod = &pods.list(&ListParams::default()).await.unwrap().items[0];
    let status = pod.status.as_ref().unwrap();
    assert_eq!(status.init_container_statuses.as_ref().unwrap()[0].restart_count, 2);
    assert_eq!(status.observed_generation, pod.metadata.generation);
    assert_eq!(status.qos_class.as_deref(), Some("BestEffort"));
    assert!(status.pod_ip.as_ref().unwrap().starts_with("10.244.0."));
    let described = cluster.kubectl(["describe", "pods"]).await.unwrap();
    for told in ["Back-off restarting failed container migrate", "(x3 over", "Container started"] {
        assert!(described.contains(told), "{told} is not in\n{described}");
    }
}

#[tokio::test]
async fn a_job_fails_after_as_many_pods_as_its_backoff_limit_allows() {
    let cluster = Cluster::builder().speed(10).start().await.unwrap();
    let job = |name: &str, command: &str| {
        json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
            "spec": {"backoffLimit": 1, "template": {"spec": {
                "restartPolicy": "Never",
                "containers": [{"name": "run", "image": "busybox", "command": ["sh", "-c", command]}],
            }}},
        })
        .to_string()
    };
    cluster.apply(&job("fails", "sleep 1; exit 3")).await.unwrap();
    cluster.apply(&job("works", "sleep 2")).await.unwrap();
    let has = |condition: &'static str| {
        move |job: &Job| {
            let conditions =
                job.status.iter().flat_map(|status| status.conditions.iter().flatten());
            conditions.into_iter().any(|of| of.type_ == condition && of.status == "True")
        }
    };
    let works = cluster.until::<Job>("works", has("Complete")).await.unwrap();
    assert_eq!(works.status.unwrap().succeeded, Some(1));
    let fails = cluster.until::<Job>("fails", has("Failed")).await.unwrap();
    assert_eq!(fails.status.unwrap().failed, Some(2));
    let failed = ListParams::default().labels("job-name=fails");
    for pod in cluster.api::<Pod>().list(&failed).await.unwrap() {
        assert_eq!(container(&pod).state.unwrap().terminated.unwrap().exit_code, 3);
    }
}

#[tokio::test]
async fn a_pod_is_deleted_when_its_containers_have_stopped_and_not_before() {
    let cluster = Cluster::start().await.unwrap();
    let pods = cluster.api::<Pod>();
    // `sleep` is the first process of its container, and not ended by SIGTERM.
    cluster
        .apply(
            "
apiVersion: v1
kind: Pod
metadata: {name: stubborn, finalizers: [example.com/held]}
spec:
  terminationGracePeriodSeconds: 3
  containers: [{name: app, image: busybox, command: [sleep, 1h]}]
",
        )
        .await
        .unwrap();
    cluster.until::<Pod>("stubborn", |pod| is_true(pod, "Ready")).await.unwrap();
    let began = Instant::now();
    pods.delete("stubborn", &DeleteParams::default()).await.unwrap();
    let seen = cluster.kubectl(["get", "pods", "--no-headers"]).await.unwrap();
    assert!(seen.contains("Terminating"), "{seen}");
    let ended = cluster.until::<Pod>("stubborn", has_phase("Failed")).await.unwrap();
    assert!(began.elapsed() > Duration::from_millis(2500), "{:?}", began.elapsed());
    assert_eq!(container(&ended).state.unwrap().terminated.unwrap().exit_code, 137);
    // The finalizer's owner sees the end, and lets the object go.
    let free = json!({"metadata": {"finalizers": null}});
    pods.patch("stubborn", &PatchParams::default(), &Patch::Merge(&free)).await.unwrap();
    let gone = async {
        while pods.get_opt("stubborn").await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.unwrap();
}

#[tokio::test]
async fn conditions_of_others_are_waited_for_and_containers_can_be_added() {
    let cluster = Cluster::builder().speed(5).start().await.unwrap();
    let pods = cluster.api::<Pod>();
    cluster
        .apply(
            "
apiVersion: v1
kind: Pod
metadata: {name: gated}
spec:
  readinessGates: [{conditionType: example.com/open}]
  containers: [{name: app, image: 'web:1'}]
",
        )
        .await
        .unwrap();
    let pod = cluster.until::<Pod>("gated", |pod| is_true(pod, "ContainersReady")).await.unwrap();
    assert!(!is_true(&pod, "Ready"));
    let open = json!({"status": {"conditions": [{"type": "example.com/open", "status": "True"}]}});
    pods.patch_status("gated", &PatchParams::default(), &Patch::Strategic(&open)).await.unwrap();
    let pod = cluster.until::<Pod>("gated", |pod| is_true(pod, "Ready")).await.unwrap();
    assert!(is_true(&pod, "example.com/open"));

    let debug = json!({"spec": {"ephemeralContainers": [{"name": "debug", "image": "busybox"}]}});
    let params = PatchParams::default();
    pods.patch_ephemeral_containers("gated", &params, &Patch::Strategic(&debug)).await.unwrap();
    let runs = |pod: &Pod| {
        let status = pod.status.as_ref().unwrap();
        let mut added = status.ephemeral_container_statuses.iter().flatten();
        added.any(|status| status.state.as_ref().is_some_and(|state| state.running.is_some()))
    };
    let pod = cluster.until::<Pod>("gated", runs).await.unwrap();
    assert_eq!(container(&pod).restart_count, 0);
}

#[tokio::test]
async fn a_bad_annotation_is_told_with_its_field_and_the_pod_lives_as_usual() {
    let cluster = Cluster::builder().speed(10).start().await.unwrap();
    cluster
        .apply(
            r#"
apiVersion: v1
kind: Pod
metadata:
  name: typo
  annotations: {podinit.dev/scenario: "containers: {app: {instances: [{runsFor: 5s}]}}"}
spec:
  containers: [{name: app, image: "web:1"}]
"#,
        )
        .await
        .unwrap();
    cluster.until::<Pod>("typo", |pod| is_true(pod, "Ready")).await.unwrap();
    let events = cluster.api::<Event>();
    let params = ListParams::default().fields("reason=InvalidScenario");
    let told = async {
        loop {
            if let Some(event) = events.list(&params).await.unwrap().items.pop() {
                return event;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let event = tokio::time::timeout(Duration::from_secs(10), told).await.unwrap();
    assert_eq!(event.type_.as_deref(), Some("Warning"));
    let message = event.message.unwrap();
    let beginning =
        "annotation podinit.dev/scenario: containers.app.instances[0]: unknown field \"runsFor\"";
    assert!(message.starts_with(beginning), "{message}");
}

#[tokio::test]
async fn a_pod_that_did_not_ask_the_scheduler_is_rejected_if_there_is_no_room() {
    let small = |options: &mut podinit_node::Options| {
        options.settings.capacity.insert("cpu".into(), "1".into());
    };
    let cluster = Cluster::builder().options(small).start().await.unwrap();
    let pod = |name: &str| {
        let resources = json!({"requests": {"cpu": "600m"}});
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {
                "nodeName": "node-0",
                "containers": [{"name": "app", "image": "x", "resources": resources}],
            },
        })
        .to_string()
    };
    cluster.apply(&pod("first")).await.unwrap();
    cluster.until::<Pod>("first", |pod| is_true(pod, "Ready")).await.unwrap();
    cluster.apply(&pod("second")).await.unwrap();
    let rejected = cluster.until::<Pod>("second", has_phase("Failed")).await.unwrap();
    let status = rejected.status.unwrap();
    assert_eq!(status.reason.as_deref(), Some("OutOfcpu"));
    let words = "Pod was rejected: Node didn't have enough resource: cpu, requested: 600, used: 600, \
                 capacity: 1000";
    assert_eq!(status.message.as_deref(), Some(words));
    let seen = cluster.kubectl(["get", "pod", "second", "--no-headers"]).await.unwrap();
    assert!(seen.contains("OutOfcpu"), "{seen}");
    cluster.kubectl(["delete", "pod", "first", "second", "--timeout=20s"]).await.unwrap();
    cluster.apply(&pod("second")).await.unwrap();
    cluster.until::<Pod>("second", |pod| is_true(pod, "Ready")).await.unwrap();
}

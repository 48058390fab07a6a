//! What kubectl prints, beside what the library says of the same objects.

use std::time::{Duration, SystemTime};

use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams};
use podinit::{FeatureGates, PodSpec, PodStatus, Timestamp, kubectl};
use podinit_node::testing::Cluster;

const PODS: &str = r#"
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Pod
  metadata: {name: a-runs}
  spec: {containers: [{name: app, image: x}, {name: more, image: x}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: b-loops}
  spec: {containers: [{name: app, image: x, command: ["false"]}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: c-initialises}
  spec:
    initContainers: [{name: one, image: x}, {name: two, image: x, command: [sleep, 1h]}]
    containers: [{name: app, image: x}]
- apiVersion: v1
  kind: Pod
  metadata: {name: d-init-loops}
  spec:
    initContainers: [{name: one, image: x, command: [sh, -c, exit 7]}]
    containers: [{name: app, image: x}]
- apiVersion: v1
  kind: Pod
  metadata: {name: e-completed}
  spec: {restartPolicy: Never, containers: [{name: app, image: x, command: ["true"]}]}
- apiVersion: v1
  kind: Pod
  metadata:
    name: f-no-image
    annotations: {podinit.dev/scenario: "images: {x: {pulls: [{error: not found}]}}"}
  spec: {containers: [{name: app, image: x, imagePullPolicy: Always}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: g-goes}
  spec: {containers: [{name: app, image: x, command: [sleep, 1h]}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: h-sidecar}
  spec:
    initContainers: [{name: proxy, image: x, restartPolicy: Always}]
    containers: [{name: app, image: x}]
"#;

#[tokio::test]
async fn kubectl_prints_the_columns_of_the_library() {
    let cluster = Cluster::builder().speed(4).start().await.unwrap();
    cluster.apply(PODS).await.unwrap();
    let pods = cluster.api::<Pod>();
    cluster.until::<Pod>("g-goes", |pod| crate::is_true(pod, "Ready")).await.unwrap();
    pods.delete(
        "g-goes",
        &DeleteParams { grace_period_seconds: Some(300), ..DeleteParams::default() },
    )
    .await
    .unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;

    // Statuses change between two looks now and then, and ages.
    let mut last = (String::new(), String::new());
    for _ in 0..20 {
        let printed = cluster.kubectl(["get", "pods", "--no-headers"]).await.unwrap();
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let now = Timestamp::UNIX_EPOCH + since;
        let mut said = String::new();
        for pod in pods.list(&ListParams::default()).await.unwrap() {
            let spec = PodSpec::compile_unchecked(&pod, FeatureGates::default()).unwrap();
            let status = PodStatus::try_from(pod.status.as_ref().unwrap()).unwrap();
            let deletion = pod.metadata.deletion_timestamp.as_ref();
            let deletion = deletion.map(|time| Timestamp::try_from(time).unwrap());
            let columns = kubectl::columns(&spec, &status, deletion, now);
            said += &format!("{} {columns}\n", spec.identity().name);
        }
        // Without the ages, which are of the object and not of its status.
        let printed: String = printed
            .lines()
            .map(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                words[..words.len() - 1].join(" ") + "\n"
            })
            .collect();
        last = (printed, said);
        if last.0 == last.1 {
            for word in ["Running", "Init:1/2", "Completed", "Terminating", "2/2"] {
                assert!(last.0.contains(word), "{word} is not in\n{}", last.0);
            }
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(last.0, last.1);
}

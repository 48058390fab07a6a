//! What kubectl prints, beside what the library says of the same objects.

use std::time::{Duration, SystemTime};

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{DeleteParams, ListParams};
use podinit::{FeatureGates, KubernetesVersion, Timestamp, kubectl};
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

/// How often two looks are compared: statuses change between them now and then, and ages.
const LOOKS: usize = 40;

fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// Compares what kubectl prints with what the library says of the same objects, until both were taken at
/// one moment.
async fn same<'a, F: Future<Output = String>>(
    cluster: &Cluster,
    arguments: impl IntoIterator<Item = &'a str>,
    said: impl Fn() -> F,
) -> String {
    let arguments: Vec<&str> = arguments.into_iter().collect();
    let mut last = (String::new(), String::new());
    for _ in 0..LOOKS {
        let before = said().await;
        let printed = cluster.kubectl(arguments.iter().copied()).await.unwrap();
        last = (printed, said().await);
        if last.0 == last.1 || last.0 == before {
            return last.0;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(last.0, last.1, "{arguments:?}");
    last.0
}

#[tokio::test]
async fn kubectl_prints_byte_for_byte_what_the_library_says() {
    let cluster = Cluster::builder().speed(4).start().await.unwrap();
    cluster.apply(PODS).await.unwrap();
    let (pods, events) = (cluster.api::<Pod>(), cluster.api::<Event>());
    cluster.until::<Pod>("g-goes", |pod| crate::is_true(pod, "Ready")).await.unwrap();
    pods.delete(
        "g-goes",
        &DeleteParams { grace_period_seconds: Some(300), ..DeleteParams::default() },
    )
    .await
    .unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;

    let table = same(&cluster, ["get", "pods", "--output", "wide"], || async {
        let list = pods.list(&ListParams::default()).await.unwrap();
        kubectl::wide_pod_table(&list, FeatureGates::default(), now())
    })
    .await;
    for word in ["Running", "Init:1/2", "Completed", "Terminating", "2/2", "node-0"] {
        assert!(table.contains(word), "{word} is not in\n{table}");
    }

    for pod in pods.list(&ListParams::default()).await.unwrap() {
        let name = pod.metadata.name.unwrap();
        let text = same(&cluster, ["describe", "pod", &name], || async {
            let pod = pods.get(&name).await.unwrap();
            let uid = pod.metadata.uid.clone();
            let told = events.list(&ListParams::default()).await.unwrap();
            let told: Vec<Event> =
                told.into_iter().filter(|event| event.involved_object.uid == uid).collect();
            kubectl::describe_of(&pod, Some(&told), KubernetesVersion::V1_36, now())
        })
        .await;
        assert!(text.contains("kube-api-access") && text.contains("Scheduled"), "{text}");
    }
}

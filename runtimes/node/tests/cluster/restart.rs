//! The program is killed and started again.

use std::ffi::OsStr;
use std::process::Stdio;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerStatus, Event, Node, Pod};
use kube::Api;
use kube::api::ListParams;
use podinit_node::testing::Cluster;
use tokio::process::{Child, Command};

use crate::{container, is_true};

fn node<'a>(cluster: &Cluster, more: impl IntoIterator<Item = &'a OsStr>) -> Child {
    Command::new(env!("CARGO_BIN_EXE_podinit-node"))
        .args(["--node", "solo", "--label", "disk=none", "--kubeconfig"])
        .arg(cluster.kubeconfig())
        .args(more)
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn pods_run_on_while_their_node_agent_is_killed_and_started_again() {
    let cluster = Cluster::builder().nodes(0).start().await.unwrap();
    let mut process = node(&cluster, []);
    cluster
        .apply(
            r#"
apiVersion: v1
kind: Pod
metadata:
  name: crashed-once
  annotations: {podinit.dev/scenario: "containers: {app: {instances: [{runFor: 1s, exitCode: 4}, {}]}}"}
spec:
  nodeSelector: {disk: none}
  initContainers: [{name: migrate, image: "migrate:1"}]
  containers: [{name: app, image: "web:1"}]
"#,
        )
        .await
        .unwrap();
    let runs_again = |pod: &Pod| is_true(pod, "Ready") && container(pod).restart_count == 1;
    let before = cluster.until::<Pod>("crashed-once", runs_again).await.unwrap();
    let started = ListParams::default().fields("reason=Started");
    let events = cluster.api::<Event>();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let count =
        |events: Vec<Event>| events.iter().map(|event| event.count.unwrap_or(1)).sum::<i32>();
    let starts = count(events.list(&started).await.unwrap().items);
    assert_eq!(starts, 3);

    process.kill().await.unwrap();
    let mut process = node(&cluster, []);
    // Not before it has looked at its pods.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let after = cluster.api::<Pod>().get("crashed-once").await.unwrap();
    assert_eq!(container(&after), container(&before));
    assert_eq!(after.status.as_ref().unwrap().pod_ip, before.status.as_ref().unwrap().pod_ip);
    assert!(is_true(&after, "Ready"));
    assert_eq!(count(events.list(&started).await.unwrap().items), starts);
    let nodes: Api<Node> = Api::all(cluster.client());
    assert_eq!(nodes.list(&ListParams::default()).await.unwrap().items.len(), 1);

    cluster.kubectl(["delete", "pod", "crashed-once", "--timeout=20s"]).await.unwrap();
    process.kill().await.unwrap();
}

#[tokio::test]
async fn with_a_state_file_back_off_goes_on_after_the_program_was_killed() {
    let cluster = Cluster::builder().nodes(0).start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.json");
    let kept = [OsStr::new("--state"), state.as_os_str()];
    let mut process = node(&cluster, kept);
    cluster
        .apply(
            r#"
apiVersion: v1
kind: Pod
metadata:
  name: crashes
  annotations: {podinit.dev/scenario: "containers: {app: {instances: [{runFor: 1s, exitCode: 1}]}}"}
spec:
  nodeSelector: {disk: none}
  containers: [{name: app, image: "web:1"}]
"#,
        )
        .await
        .unwrap();
    let ended = |of: &ContainerStatus| {
        let state = of.state.as_ref().and_then(|state| state.terminated.as_ref());
        let last = of.last_state.as_ref().and_then(|state| state.terminated.as_ref());
        state.or(last).and_then(|ended| ended.finished_at.as_ref()).map(|at| at.0)
    };
    let started = |of: &ContainerStatus| {
        let running = of.state.as_ref().and_then(|state| state.running.as_ref());
        running.and_then(|running| running.started_at.as_ref()).map(|at| at.0)
    };
    let statuses =
        |pod: &Pod| pod.status.as_ref().and_then(|status| status.container_statuses.clone());
    let waits = |pod: &Pod| {
        let mut all = statuses(pod).into_iter().flatten();
        all.any(|of| of.restart_count == 2 && started(&of).is_none())
    };
    let before = container(&cluster.until::<Pod>("crashes", waits).await.unwrap());
    // The state is written once in a second.
    tokio::time::sleep(Duration::from_secs(2)).await;
    process.kill().await.unwrap();
    let mut process = node(&cluster, kept);
    let restarted = |pod: &Pod| {
        let mut all = statuses(pod).into_iter().flatten();
        all.any(|of| of.restart_count == 3 && started(&of).is_some())
    };
    let after = container(&cluster.until::<Pod>("crashes", restarted).await.unwrap());
    // The third back-off is of 20 s; times are told in whole seconds.
    let waited = started(&after).unwrap().duration_since(ended(&before).unwrap());
    assert!(waited.as_secs() >= 19, "{waited:?}");
    process.kill().await.unwrap();
}

//! The program is killed and started again.

use std::process::Stdio;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, Node, Pod};
use kube::Api;
use kube::api::ListParams;
use podinit_node::testing::Cluster;
use tokio::process::{Child, Command};

use crate::{container, is_true};

fn node(cluster: &Cluster) -> Child {
    Command::new(env!("CARGO_BIN_EXE_podinit-node"))
        .args(["--node", "solo", "--label", "disk=none", "--kubeconfig"])
        .arg(cluster.kubeconfig())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn pods_run_on_while_their_node_agent_is_killed_and_started_again() {
    let cluster = Cluster::builder().nodes(0).start().await.unwrap();
    let mut process = node(&cluster);
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
    let mut process = node(&cluster);
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

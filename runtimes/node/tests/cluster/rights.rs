//! With the rights of `rbac.yaml`, and without any.

use std::process::Stdio;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use podinit_node::testing::Cluster;
use tokio::process::Command;

use crate::is_true;

/// The administrator's kubeconfig with a token in place of the certificate.
async fn kubeconfig(cluster: &Cluster, token: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::copy(cluster.kubeconfig().with_file_name("kubeconfig-token"), file.path()).unwrap();
    let path = file.path().to_str().unwrap();
    let flag = format!("--token={token}");
    cluster
        .kubectl(["config", "set-credentials", "user", &flag, "--kubeconfig", path])
        .await
        .unwrap();
    file
}

#[tokio::test]
async fn the_rights_of_the_manifest_are_enough_and_none_are_told_to_be_too_few() {
    let cluster = Cluster::builder().nodes(0).start().await.unwrap();
    let node = |kubeconfig: &tempfile::NamedTempFile| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_podinit-node"));
        command.args(["--nodes", "2", "--kubeconfig"]).arg(kubeconfig.path());
        command.stderr(Stdio::piped()).kill_on_drop(true);
        command
    };
    let token = ["create", "token", "default"];
    let nobody = kubeconfig(&cluster, cluster.kubectl(token).await.unwrap().trim()).await;
    let refused = node(&nobody).output().await.unwrap();
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("cannot create resource \"nodes\""), "{said}");

    cluster.apply(include_str!("../../rbac.yaml")).await.unwrap();
    let token = ["create", "token", "podinit-node", "--namespace=podinit"];
    let account = kubeconfig(&cluster, cluster.kubectl(token).await.unwrap().trim()).await;
    let mut process = node(&account).spawn().unwrap();
    cluster.kubectl(["run", "web", "--image=web:1"]).await.unwrap();
    cluster.until::<Pod>("web", |pod| is_true(pod, "Ready")).await.unwrap();
    cluster.kubectl(["delete", "pod", "web", "--timeout=20s"]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let events = cluster.kubectl(["get", "events"]).await.unwrap();
    assert!(events.contains("Killing") && events.contains("Pulled"), "{events}");
    process.kill().await.unwrap();
    let output = process.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("forbidden"), "{said}");
}

#[tokio::test]
async fn a_single_node_does_with_the_rights_of_a_kubelet() {
    let cluster = Cluster::builder().nodes(0).start().await.unwrap();
    let mut process = Command::new(env!("CARGO_BIN_EXE_podinit-node"))
        .args(["--node", "node-0", "--kubeconfig"])
        .arg(cluster.kubeconfig().with_file_name("kubeconfig-node-node-0"))
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    cluster.kubectl(["run", "web", "--image=web:1"]).await.unwrap();
    cluster.until::<Pod>("web", |pod| is_true(pod, "Ready")).await.unwrap();
    cluster.kubectl(["delete", "pod", "web", "--timeout=20s"]).await.unwrap();
    process.kill().await.unwrap();
    let output = process.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("WARN") && !said.contains("ERROR"), "{said}");
}

//! The program is told over HTTP what to do.

use std::process::Stdio;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use podinit_node::testing::Cluster;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use crate::{container, has_phase, is_true};

/// The status and the body of the answer.
async fn ask(address: &str, request: &str) -> std::io::Result<(String, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("{request} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let status = head.split_whitespace().nth(1).unwrap_or_default();
    Ok((status.to_owned(), body.trim().to_owned()))
}

#[tokio::test]
async fn nodes_do_what_they_are_told() {
    let cluster = Cluster::builder().nodes(0).start().await.unwrap();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let _node = Command::new(env!("CARGO_BIN_EXE_podinit-node"))
        .args(["--stepped", "--control", &address, "--kubeconfig"])
        .arg(cluster.kubeconfig())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    cluster.kubectl(["run", "web", "--image=web:1"]).await.unwrap();
    let is_up = async {
        while ask(&address, "GET /healthz").await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), is_up).await.unwrap();
    has_pods(&address).await;
    let tell = async |request: &str| ask(&address, request).await.unwrap();

    assert_eq!(tell("POST /step?by=5s").await.0, "200");
    let pods = cluster.api::<Pod>();
    assert!(is_true(&pods.get("web").await.unwrap(), "Ready"));
    assert_eq!(tell("POST /fail?pod=web&container=web&exitCode=7").await.0, "200");
    assert_eq!(tell("POST /step?by=2s").await.0, "200");
    let pod = pods.get("web").await.unwrap();
    assert_eq!(container(&pod).restart_count, 1);
    assert_eq!(container(&pod).last_state.unwrap().terminated.unwrap().exit_code, 7);

    let metrics = tell("GET /metrics").await.1;
    for line in
        ["podinit_nodes 1", "podinit_pods{phase=\"Running\"} 1", "podinit_failed_writes_total 0"]
    {
        assert!(metrics.lines().any(|found| found == line), "{metrics}");
    }

    for (request, status, said) in [
        ("POST /step?by=soon", "400", "by: "),
        ("POST /step", "400", "missing field `by`"),
        ("POST /fail?pod=web", "400", "container: must be given"),
        ("POST /fail?pod=web&container=app", "409", "no container \"app\" of default/web runs"),
        ("POST /evict?pod=none", "409", "these nodes have no pod default/none"),
    ] {
        let answer = tell(request).await;
        assert!(answer.0 == status && answer.1.contains(said), "{request}: {answer:?}");
    }

    assert_eq!(tell("POST /restart").await.0, "200");
    has_pods(&address).await;
    assert_eq!(tell("POST /step?by=3s").await.0, "200");
    assert_eq!(container(&pods.get("web").await.unwrap()), container(&pod));
    assert_eq!(tell("POST /evict?pod=web&message=low%20on%20memory").await.0, "200");
    assert_eq!(tell("POST /step?by=5s").await.0, "200");
    let ended = pods.get("web").await.unwrap();
    assert!(is_true(&ended, "DisruptionTarget"));
    assert!(has_phase("Succeeded")(&ended) || has_phase("Failed")(&ended));
}

async fn has_pods(address: &str) {
    let wait = async {
        while ask(address, "GET /pods").await.unwrap().1 != "1" {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap();
}

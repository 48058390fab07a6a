//! Many pods on many nodes.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use podinit_node::testing::Cluster;

#[tokio::test]
async fn a_hundred_pods_on_ten_nodes_become_available() {
    let cluster = Cluster::builder().nodes(10).speed(10).start().await.unwrap();
    cluster
        .kubectl(["create", "deployment", "many", "--image=web:1", "--replicas=100"])
        .await
        .unwrap();
    let all = |deployment: &Deployment| {
        deployment.status.as_ref().and_then(|status| status.available_replicas) == Some(100)
    };
    cluster.until::<Deployment>("many", all).await.unwrap();

    let mut on_node: BTreeMap<String, usize> = BTreeMap::new();
    let mut addresses = BTreeSet::new();
    for pod in cluster.api::<Pod>().list(&ListParams::default()).await.unwrap() {
        *on_node.entry(pod.spec.unwrap().node_name.unwrap()).or_default() += 1;
        addresses.extend(pod.status.unwrap().pod_ip);
    }
    assert_eq!((on_node.len(), addresses.len()), (10, 100));

    cluster.kubectl(["scale", "deployment", "many", "--replicas=3"]).await.unwrap();
    let pods = cluster.api::<Pod>();
    let few = async {
        while pods.list(&ListParams::default()).await.unwrap().items.len() != 3 {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), few).await.unwrap();
}

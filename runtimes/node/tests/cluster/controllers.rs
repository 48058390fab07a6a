//! Workloads under the real controllers, watched by kubectl.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::ListParams;
use podinit_node::testing::Cluster;

const WORKLOADS: &str = r#"
apiVersion: v1
kind: List
items:
- apiVersion: apps/v1
  kind: StatefulSet
  metadata: {name: db}
  spec:
    replicas: 3
    serviceName: db
    selector: {matchLabels: {app: db}}
    template:
      metadata: {labels: {app: db}}
      spec:
        initContainers: [{name: restore, image: "db:1", command: [sleep, "5"]}]
        containers:
        - name: db
          image: "db:1"
          resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {memory: 64Mi}}
          readinessProbe: {tcpSocket: {port: 5432}, periodSeconds: 2}
- apiVersion: apps/v1
  kind: DaemonSet
  metadata: {name: agent}
  spec:
    selector: {matchLabels: {app: agent}}
    template:
      metadata: {labels: {app: agent}}
      spec: {containers: [{name: agent, image: "agent:1"}]}
- apiVersion: policy/v1
  kind: PodDisruptionBudget
  metadata: {name: db}
  spec: {maxUnavailable: 1, selector: {matchLabels: {app: db}}}
- apiVersion: batch/v1
  kind: Job
  metadata: {name: report}
  spec:
    completions: 4
    parallelism: 2
    template: {spec: {restartPolicy: OnFailure, containers: [{name: report, image: "report:1"}]}}
"#;

#[tokio::test]
async fn workloads_roll_out_are_updated_and_drained() {
    let cluster = Cluster::builder().nodes(3).speed(10).start().await.unwrap();
    let kubectl = async |command: &str| cluster.kubectl(command.split_whitespace()).await.unwrap();
    cluster.apply(WORKLOADS).await.unwrap();
    for workload in ["statefulset/db", "daemonset/agent"] {
        kubectl(&format!("rollout status {workload} --timeout=60s")).await;
    }
    kubectl("wait --for=condition=Complete job/report --timeout=60s").await;
    let ends = kubectl("get pods --no-headers -l job-name=report").await;
    assert_eq!(ends.lines().filter(|line| line.contains("Completed")).count(), 4, "{ends}");
    let pods = cluster.api::<Pod>();
    let db = pods.get("db-0").await.unwrap().status.unwrap();
    assert_eq!(db.qos_class.as_deref(), Some("Burstable"));
    let resources = db.container_statuses.unwrap()[0].resources.clone().unwrap();
    assert_eq!(resources.limits.unwrap()["memory"].0, "64Mi");

    kubectl("set image statefulset/db db=db:2").await;
    kubectl("rollout status statefulset/db --timeout=90s").await;
    let agents = ListParams::default().labels("app=agent");
    assert_eq!(pods.list(&agents).await.unwrap().items.len(), 3);

    kubectl("drain node-1 --ignore-daemonsets --force --timeout=60s").await;
    let on_node = ListParams::default().fields("spec.nodeName=node-1");
    let left = pods.list(&on_node).await.unwrap().items;
    assert!(left.iter().all(|pod| pod.metadata.name.as_ref().unwrap().starts_with("agent-")));
    let all_ready = |set: &StatefulSet| {
        set.status.as_ref().is_some_and(|status| status.ready_replicas == Some(3))
    };
    cluster.until::<StatefulSet>("db", all_ready).await.unwrap();

    kubectl("delete statefulset db --timeout=60s").await;
    kubectl("wait --for=delete pod/db-0 pod/db-1 pod/db-2 --timeout=60s").await;
    let failed = cluster.api::<Event>().list(&ListParams::default().fields("type=Warning")).await;
    let failed = failed.unwrap().items;
    let of_node = failed.iter().filter(|event| {
        event.source.as_ref().and_then(|source| source.component.as_deref()) == Some("kubelet")
    });
    assert_eq!(of_node.count(), 0, "{failed:?}");
}

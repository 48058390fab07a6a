//! Does a pod fit on a node?

use podinit::KubernetesVersion;
use podinit::resources::{PodResources, ResourceList};
use podinit::scheduler::{
    NodeUsage, NodeUsageError, PreFilterError, Resource, Unschedulable, fits, pre_filter,
};
use serde_json::{Value, json};

fn node(allocatable: Value) -> NodeUsage {
    NodeUsage::new(&serde_json::from_value(allocatable).unwrap())
}

fn pod_for(version: KubernetesVersion, spec: Value) -> PodResources {
    let pod = serde_json::from_value(json!({"spec": spec})).unwrap();
    PodResources::compile(&pod, version.feature_gates()).unwrap()
}

fn pod(requests: Value) -> PodResources {
    let spec = json!({"containers": [{"name": "a", "resources": {"requests": requests}}]});
    pod_for(KubernetesVersion::default(), spec)
}

fn refusal(node: &NodeUsage, requests: Value) -> String {
    node.fits(&pod(requests)).map_or_else(|refusal| refusal.to_string(), |()| "fits".into())
}

#[test]
fn refusals_are_the_schedulers_own_in_its_order() {
    let mut full = node(json!({"cpu": "1", "memory": "1Gi", "pods": "1"}));
    full.add(&pod(json!({}))).unwrap();
    let all = json!({"memory": "2Gi", "cpu": "1001m", "ephemeral-storage": "1",
        "hugepages-2Mi": "2Mi", "example.com/gpu": "1"});
    assert_eq!(
        refusal(&full, all),
        "Too many pods, Insufficient cpu, Insufficient memory, Insufficient ephemeral-storage, \
         Insufficient example.com/gpu, Insufficient hugepages-2Mi"
    );
    assert_eq!(refusal(&full, json!({})), "Too many pods");
}

#[test]
fn nothing_fits_even_where_the_node_is_overcommitted_and_uncounted_names_are_ignored() {
    let mut overcommitted = node(json!({"cpu": "1", "pods": "9"}));
    overcommitted.add(&pod(json!({"cpu": "2", "memory": "1Gi"}))).unwrap();
    assert_eq!(refusal(&overcommitted, json!({"cpu": "0", "memory": "0"})), "fits");
    assert_eq!(refusal(&overcommitted, json!({"storage": "1"})), "fits");
    assert_eq!(refusal(&overcommitted, json!({"cpu": "1n"})), "Insufficient cpu");
}

#[test]
fn a_refusal_tells_the_amounts_and_whether_an_empty_node_would_do() {
    let resource =
        |json: Value| Resource::from(&serde_json::from_value::<ResourceList>(json).unwrap());
    let (node, used) = (resource(json!({"cpu": "2"})), resource(json!({"cpu": "1500m"})));
    let refused = |cpu: &str| {
        let reasons = fits(&node, &used, 0, 1, &resource(json!({"cpu": cpu}))).unwrap_err();
        (reasons[0].requested, reasons[0].used, reasons[0].capacity, reasons[0].unresolvable)
    };
    assert_eq!(refused("1"), (1000, 1500, 2000, false));
    assert_eq!(refused("3"), (3000, 1500, 2000, true));
}

#[test]
fn each_pod_is_rounded_up_by_itself() {
    let mut node = node(json!({"cpu": "2m", "pods": "9"}));
    node.add(&pod(json!({"cpu": "1500u"}))).unwrap();
    assert_eq!(node.requested().milli_cpu, 2);
    assert_eq!(refusal(&node, json!({"cpu": "500u"})), "Insufficient cpu");
}

#[test]
fn containers_that_request_nothing_count_in_scores_init_containers_too() {
    let mut node = node(json!({"cpu": "1", "memory": "1000Mi", "pods": "9"}));
    let idle = pod_for(
        KubernetesVersion::default(),
        json!({"initContainers": [{"name": "s", "restartPolicy": "Always"}],
            "containers": [{"name": "a"}]}),
    );
    assert_eq!(node.least_allocated_score(&idle), (80 + 60) / 2);
    node.add(&idle).unwrap();
    assert_eq!(node.requested(), &Resource::default());
    let counted = node.non_zero_requested();
    assert_eq!((counted.milli_cpu, counted.memory), (200, 400 << 20));
    // With pod-level requests only for what is requested at neither level.
    let level = pod_for(
        KubernetesVersion::default(),
        json!({"resources": {"requests": {"cpu": "500m"}}, "containers": [{"name": "a"}]}),
    );
    node.add(&level).unwrap();
    let counted = node.non_zero_requested();
    assert_eq!((counted.milli_cpu, counted.memory), (700, 600 << 20));
}

#[test]
fn removing_a_pod_undoes_adding_it_and_a_refused_change_changes_nothing() {
    let empty = node(json!({"cpu": "1", "pods": "9"}));
    let mut node = empty.clone();
    let gpu = pod(json!({"cpu": "1", "example.com/gpu": "2"}));
    assert_eq!(node.remove(&gpu), Err(NodeUsageError::NotCounted));
    node.add(&gpu).unwrap();
    let one = node.clone();
    assert_eq!(node.remove(&pod(json!({"memory": "1"}))), Err(NodeUsageError::NotCounted));
    let huge = pod(json!({"memory": "9000000000000000000"}));
    node.add(&huge).unwrap();
    let two = node.clone();
    assert_eq!(node.add(&huge), Err(NodeUsageError::TooLarge));
    assert_eq!(node, two);
    node.remove(&huge).unwrap();
    assert_eq!(node, one);
    node.remove(&gpu).unwrap();
    assert_eq!(node, empty);
}

#[test]
fn a_pod_with_a_sidecar_goes_nowhere_without_the_gate() {
    let spec = json!({"initContainers": [{"name": "s", "restartPolicy": "Always"}],
        "containers": [{"name": "a"}]});
    let pod = pod_for(KubernetesVersion::V1_28, spec);
    assert_eq!(pre_filter(&pod), Err(PreFilterError::SidecarContainersDisabled));
    assert!(matches!(node(json!({"pods": "9"})).fits(&pod), Err(Unschedulable::PreFilter(_))));
}

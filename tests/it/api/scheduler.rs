//! Does a pod fit on a node?

use podinit::KubernetesVersion;
use podinit::resources::{PodResources, ResourceList};
use podinit::scheduler::{
    FitError, NodeUsage, NodeUsageError, PreFilterError, PreemptionRefusal, Resource, Scorer,
    Unschedulable, UtilizationShapePoint, fits, is_assigned, pre_filter,
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
fn a_score_counts_the_containers_of_the_pod_to_be_placed_by_their_spec_alone() {
    let mut node = node(json!({"cpu": "4", "memory": "8Gi", "pods": "110"}));
    let level = json!({"resources": {"requests": {"cpu": "3", "memory": "4Gi"}},
        "containers": [{"name": "a"}]});
    let pod = pod_for(KubernetesVersion::default(), level);
    assert_eq!(node.least_allocated_score(&pod), 97);
    // Once it is there, it counts as a whole.
    node.add(&pod).unwrap();
    assert_eq!(node.non_zero_requested().milli_cpu, 3000);
}

#[test]
fn a_node_that_takes_no_pods_may_still_be_made_room_on() {
    for allocatable in [json!({"cpu": "1"}), json!({"cpu": "1", "pods": "0"})] {
        match node(allocatable).fits(&pod(json!({}))) {
            Err(Unschedulable::Insufficient(reasons)) => {
                assert_eq!(reasons[0].to_string(), "Too many pods");
                assert!(!reasons[0].unresolvable);
            }
            other => panic!("{other:?}"),
        }
    }
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

#[test]
fn a_pod_that_would_give_something_to_a_node_is_refused_and_changes_nothing() {
    let mut node = node(json!({"cpu": "1", "pods": "9"}));
    let before = node.clone();
    let error = node.add(&pod(json!({"cpu": "-1"}))).unwrap_err();
    assert_eq!(error.to_string(), "the pod requests -1000 of cpu, which is less than nothing");
    assert_eq!(node, before);
}

#[test]
fn a_node_is_read_as_the_api_has_it_and_what_is_left_may_be_below_zero() {
    let api = serde_json::from_value(json!({"metadata": {"name": "n"},
        "status": {"capacity": {"cpu": "4"}, "allocatable": {"cpu": "3", "example.com/gpu": "1"}}}));
    let mut node = NodeUsage::of_node(&api.unwrap()).unwrap();
    node.add(&pod(json!({"cpu": "3500m", "example.com/gpu": "1"}))).unwrap();
    assert_eq!(node.free().milli_cpu, -500);
    assert_eq!(node.free().get(&"example.com/gpu".into()), 0);
    let bad = serde_json::from_value(json!({"status": {"allocatable": {"cpu": "much"}}})).unwrap();
    let error = NodeUsage::of_node(&bad).unwrap_err();
    assert_eq!((error.resource.as_str(), error.value.as_str()), ("cpu", "much"));
}

#[test]
fn a_pod_counts_from_its_binding_until_its_phase_is_terminal() {
    let counts = |node: &str, phase: &str| {
        let pod = json!({"spec": {"nodeName": node, "containers": []}, "status": {"phase": phase}});
        is_assigned(&serde_json::from_value(pod).unwrap())
    };
    assert!(counts("n", "Pending") && counts("n", "Running") && counts("n", "Unknown"));
    assert!(!counts("n", "Succeeded") && !counts("n", "Failed") && !counts("", "Pending"));
}

#[test]
fn a_scorer_that_the_scheduler_would_refuse_is_refused() {
    let point = |utilization, score| UtilizationShapePoint { utilization, score };
    let shape = |points: &[UtilizationShapePoint]| {
        let scorer = Scorer::requested_to_capacity_ratio(points.iter().copied());
        scorer.map_or_else(|error| error.to_string(), |_| "taken".into())
    };
    assert_eq!(shape(&[]), "shape: at least one point must be specified");
    assert_eq!(
        shape(&[point(50, 1), point(50, 2)]),
        "shape[1].utilization: 50: values must be sorted in increasing order"
    );
    assert_eq!(shape(&[point(101, 1)]), "shape[0].utilization: 101: not in valid range [0, 100]");
    assert_eq!(shape(&[point(0, 11)]), "shape[0].score: 11: not in valid range [0, 10]");
    assert_eq!(shape(&[point(0, 0), point(100, 10)]), "taken");
    let resources = |scorer: Scorer, specs: &[(&str, i64)]| {
        let scorer = scorer.with_resources(specs.iter().copied());
        scorer.map_or_else(|error| error.to_string(), |_| "taken".into())
    };
    let least = Scorer::least_allocated;
    assert_eq!(resources(least(), &[]), "resources: at least one resource must be specified");
    assert_eq!(
        resources(least(), &[("cpu", 0)]),
        "resources[0].weight: 0: resource weight of cpu not in valid range (0, 100]"
    );
    assert_eq!(resources(least(), &[("cpu", 100), ("cpu", 1)]), "taken");
    let balanced = Scorer::balanced_allocation;
    assert_eq!(resources(balanced(), &[("cpu", 2)]), "resources[0].weight: 2: must be 1");
    assert_eq!(
        resources(balanced(), &[("cpu", 1), ("cpu", 1)]),
        "resources[1].name: cpu is there twice"
    );
}

#[test]
fn balance_was_judged_by_what_comes_of_it_and_is_now_by_what_changes() {
    let node = node(json!({"cpu": "4", "memory": "4Gi", "pods": "9"}));
    let score = |version: KubernetesVersion| {
        let pod = json!({"containers": [{"name": "a",
            "resources": {"requests": {"cpu": "2", "memory": "1Gi"}}}]});
        Scorer::balanced_allocation().score(&node, &pod_for(version, pod))
    };
    // Shares of a half and a quarter deviate by an eighth.
    assert_eq!(score(KubernetesVersion::V1_35), 87);
    assert_eq!(score(KubernetesVersion::V1_36), 50 + (50 + 87 - 100) / 2);
}

#[test]
fn preemption_helps_only_where_pods_of_lower_priority_leave_enough() {
    let mut node = node(json!({"cpu": "2", "pods": "9"}));
    let (small, large) = (pod(json!({"cpu": "500m"})), pod(json!({"cpu": "1500m"})));
    node.add(&small).unwrap();
    node.add(&large).unwrap();
    let preempt = |wanted: &PodResources, victims: &[&PodResources]| {
        let refused = node.fits(wanted).unwrap_err();
        node.preempt(wanted, &refused, victims.iter().copied())
    };
    assert_eq!(preempt(&large, &[&large]), Ok(()));
    assert_eq!(preempt(&large, &[]), Err(PreemptionRefusal::NoVictims));
    let still = preempt(&large, &[&small]).unwrap_err();
    assert_eq!(still.to_string(), "Insufficient cpu");
    let giant = json!({"containers": [{"name": "a", "resources": {"requests": {"cpu": "3"}}}]});
    let giant = |version| pod_for(version, giant.clone());
    let new = giant(KubernetesVersion::V1_34);
    assert_eq!(preempt(&new, &[&large, &small]), Err(PreemptionRefusal::NotHelpful));
    let old = preempt(&giant(KubernetesVersion::V1_33), &[&large, &small]).unwrap_err();
    assert_eq!(old.to_string(), "Insufficient cpu");
}

#[test]
fn the_message_counts_reasons_as_text_and_tells_what_preemption_found() {
    let mut error = FitError::new(13);
    for _ in 0..10 {
        error.reject_for("node(s) had untolerated taint(s)");
    }
    let full = node(json!({"cpu": "1", "pods": "0"}));
    let wanted = pod(json!({"cpu": "2"}));
    for _ in 0..2 {
        error.reject(&full.fits(&wanted).unwrap_err());
    }
    assert_eq!(
        error.to_string(),
        "0/13 nodes are available: 10 node(s) had untolerated taint(s), 2 Insufficient cpu, \
         2 Too many pods."
    );
    error.may_not_preempt();
    assert!(
        error
            .to_string()
            .ends_with("pods. preemption: not eligible due to preemptionPolicy=Never.")
    );
    let spec = json!({"initContainers": [{"name": "s", "restartPolicy": "Always"}],
        "containers": [{"name": "a"}]});
    let mut error = FitError::new(1);
    error.reject(&full.fits(&pod_for(KubernetesVersion::V1_28, spec)).unwrap_err());
    error.preemption(FitError::new(1));
    assert_eq!(
        error.to_string(),
        "0/1 nodes are available: Pod has a restartable init container and the SidecarContainers \
         feature is disabled. preemption: 0/1 nodes are available: 1 Preemption is not helpful for \
         scheduling."
    );
}

//! What a pod needs: rules that the recorded cases do not single out, versions, errors, laws.

use std::error::Error;

use harness::with;
use k8s_openapi::api::core::v1::{Container, Pod};
use podinit::pod::ContainerKind;
use podinit::quantity::Quantity;
use podinit::resources::{
    CgroupSettings, PodResources, PodResourcesOptions, Profile, QosClass, ResourceList,
    ResourceName, default_requests, effective_container_limits, effective_container_requests,
    effective_init_limits, effective_init_requests, explain_qos, init_only_requests, oom_score_adj,
    pod_cgroup, pod_limits, pod_requests, pod_requests_of, qos_class,
};
use podinit::{Feature, FeatureGates, KubernetesVersion};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

/// All containers and the pod level, overhead included, whatever was allocated.
fn plain() -> PodResourcesOptions<'static> {
    PodResourcesOptions::default()
}

fn pod(json: Value) -> Pod {
    serde_json::from_value(json).unwrap()
}

fn compile_for(version: KubernetesVersion, json: Value) -> PodResources {
    PodResources::compile(&pod(json), version.feature_gates()).unwrap()
}

fn compile(json: Value) -> PodResources {
    compile_for(KubernetesVersion::default(), json)
}

/// A container with requests.
fn container(name: &str, requests: Value) -> Value {
    json!({"name": name, "resources": {"requests": requests}})
}

/// A restartable init container with requests.
fn sidecar(name: &str, requests: Value) -> Value {
    json!({"name": name, "restartPolicy": "Always", "resources": {"requests": requests}})
}

/// Requests and limits of a pod, its status and the gate for pod-level resizes counted.
fn resized_in_place(spec: Value, status: Value) -> (String, String) {
    let pod = pod(json!({"spec": spec, "status": status}));
    let pod = PodResources::compile(&pod, FeatureGates::default()).unwrap();
    let options = with!(PodResourcesOptions {
        use_status_resources: true,
        in_place_pod_level_resources: true,
        ..plain()
    });
    (pod.requests(&options).to_string(), pod.limits(&options).to_string())
}

#[test]
fn a_pod_level_status_counts_only_for_what_the_spec_names() {
    let container = json!([{"name": "a", "resources": {"requests": {"memory": "256Mi"}}}]);
    let spec = json!({"resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}},
        "containers": container});
    let status = json!({"resources": {
        "requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"cpu": "3", "memory": "9Gi"}}});
    let (requests, limits) = resized_in_place(spec.clone(), status);
    assert_eq!((&*requests, &*limits), ("cpu: 2, memory: 256Mi", "cpu: 3"));
    // What was granted is nothing without what is there.
    let (requests, _) = resized_in_place(spec, json!({"allocatedResources": {"cpu": "2"}}));
    assert_eq!(requests, "cpu: 1, memory: 256Mi");
}

#[test]
fn after_a_refused_resize_an_amount_that_the_status_lacks_is_zero() {
    let level = json!({"cpu": "100", "memory": "1Gi"});
    let spec = json!({"resources": {"requests": level, "limits": level},
        "containers": [{"name": "a"}]});
    let infeasible =
        json!([{"type": "PodResizePending", "status": "True", "reason": "Infeasible"}]);
    let with = |resources: Value| json!({"conditions": infeasible, "resources": resources});
    let (requests, limits) =
        resized_in_place(spec.clone(), with(json!({"requests": {"memory": "1Gi"}, "limits": {}})));
    assert_eq!((&*requests, &*limits), ("cpu: 0, memory: 1Gi", "cpu: 0, memory: 0"));
    // Without any limits in the status, those of the spec stay.
    let (_, limits) = resized_in_place(spec, with(json!({"requests": {"memory": "1Gi"}})));
    assert_eq!(limits, "cpu: 100, memory: 1Gi");
}

#[test]
fn a_sidecar_counts_beside_the_init_containers_after_it_and_not_beside_those_before() {
    let (init, proxy) = (container("i", json!({"cpu": "1"})), sidecar("s", json!({"cpu": "500m"})));
    let app = container("a", json!({"cpu": "600m"}));
    let spec = |inits: [&Value; 2]| json!({"spec": {"initContainers": inits, "containers": [app]}});
    assert_eq!(compile(spec([&proxy, &init])).requests(&plain()).to_string(), "cpu: 1500m");
    assert_eq!(compile(spec([&init, &proxy])).requests(&plain()).to_string(), "cpu: 1100m");
}

#[test]
fn the_effective_init_request_names_the_first_container_that_sets_it() {
    let pod = compile(json!({"spec": {
        "initContainers": [
            container("small", json!({"cpu": "1"})),
            sidecar("proxy", json!({"cpu": "500m", "memory": "1Gi"})),
            container("large", json!({"cpu": "1", "memory": "1Gi"})),
            container("as-large", json!({"cpu": "1"})),
        ],
        "containers": [container("a", json!({"cpu": "100m", "memory": "4Gi"}))],
    }}));
    let effective: Vec<_> = effective_init_requests(&pod, &plain())
        .into_iter()
        .map(|init| {
            let name = pod.container_name(init.container);
            format!("{} {} {name} {}", init.resource, init.quantity, init.decides)
        })
        .collect();
    assert_eq!(effective, ["cpu 1500m large true", "memory 2Gi large false"]);
    assert_eq!(effective_init_limits(&pod, &plain()), []);
}

#[test]
fn container_fn_sees_the_cumulative_value_of_init_containers() {
    let limits = |cpu: &str| json!({"limits": {"cpu": cpu}, "requests": {"memory": "1Gi"}});
    let pod = compile(json!({"spec": {
        "initContainers": [
            {"name": "s", "restartPolicy": "Always", "resources": limits("1")},
            {"name": "i", "resources": {}},
        ],
        "containers": [{"name": "a", "resources": limits("2")}],
    }}));
    let mut list = ResourceList::new();
    let mut limits = |index| {
        effective_container_limits(&pod, &plain(), index, &mut list);
        list.to_string()
    };
    assert_eq!([limits(0), limits(1), limits(2)], ["cpu: 1", "cpu: 1", "cpu: 2"]);
    let missing = [(ResourceName::CPU, "100m".parse().unwrap())].into_iter().collect();
    let options =
        with!(PodResourcesOptions { non_missing_container_requests: Some(&missing), ..plain() });
    effective_container_requests(&pod, &options, 1, &mut list);
    assert_eq!(list.to_string(), "cpu: 200m, memory: 1Gi");
    // So the container without a limit does not keep the pod from having a quota.
    assert_eq!(pod_cgroup(&pod, &CgroupSettings::default()).cpu_quota_us, Some(300_000));
}

#[test]
fn an_explicit_zero_is_not_missing_and_a_limit_of_zero_gets_no_overhead() {
    let pod = compile(json!({"spec": {
        "overhead": {"cpu": "250m"},
        "containers": [{"name": "a", "resources":
            {"requests": {"cpu": "0"}, "limits": {"cpu": "0", "memory": "1Gi"}}}],
    }}));
    let defaults: ResourceList =
        serde_json::from_str(r#"{"cpu":"100m","memory":"200Mi"}"#).unwrap();
    let options =
        with!(PodResourcesOptions { non_missing_container_requests: Some(&defaults), ..plain() });
    assert_eq!(pod.requests(&options).to_string(), "cpu: 250m, memory: 200Mi");
    assert_eq!(pod.limits(&plain()).to_string(), "cpu: 0, memory: 1Gi");
    let skip = with!(PodResourcesOptions { skip_container_level_resources: true, ..options });
    assert_eq!(pod.requests(&skip).to_string(), "cpu: 250m");
}

#[test]
fn hugepages_at_pod_level_count_from_1_33() {
    let json = json!({"spec": {
        "resources": {"requests": {"cpu": "2", "hugepages-2Mi": "8Mi"}},
        "containers": [container("a", json!({"cpu": "1", "hugepages-2Mi": "4Mi"}))],
    }});
    let requests = |version| compile_for(version, json.clone()).requests(&plain()).to_string();
    assert_eq!(requests(KubernetesVersion::V1_32), "cpu: 2, hugepages-2Mi: 4Mi");
    assert_eq!(requests(KubernetesVersion::V1_33), "cpu: 2, hugepages-2Mi: 8Mi");
}

#[test]
fn what_counts_of_a_resize_depends_on_the_version() {
    let json = |pending: &str| {
        let status = |name: &str| {
            json!({"name": name, "image": "", "imageID": "", "ready": true, "restartCount": 0,
                "allocatedResources": {"cpu": "3"}, "resources": {"requests": {"cpu": "2"}}})
        };
        json!({
            "spec": {"initContainers": [sidecar("s", json!({"cpu": "1"}))],
                "containers": [container("a", json!({"cpu": "4"}))]},
            "status": {"resize": pending,
                "conditions": [{"type": "PodResizePending", "status": "True", "reason": pending}],
                "initContainerStatuses": [status("s")], "containerStatuses": [status("a")]},
        })
    };
    let options = with!(PodResourcesOptions { use_status_resources: true, ..plain() });
    let requests = |minor, pending| {
        let mut versions = KubernetesVersion::ALL.into_iter();
        let version = versions.find(|version| version.minor() == minor).unwrap();
        let mut gates = version.feature_gates();
        gates.set(Feature::SidecarContainers, true).unwrap();
        let pod = PodResources::compile(&pod(json(pending)), gates).unwrap();
        pod.requests(&options).to_string()
    };
    // Without status the pod requests 5 cores; refused for good, what it has counts.
    assert_eq!([requests(31, "Deferred"), requests(31, "Infeasible")], ["cpu: 5", "cpu: 4"]);
    assert_eq!([requests(32, "Deferred"), requests(32, "Infeasible")], ["cpu: 5", "cpu: 3"]);
    assert_eq!([requests(36, "Deferred"), requests(36, "Infeasible")], ["cpu: 7", "cpu: 6"]);
}

/// What 1.36 and 1.37 count of a resize, in CPU.
fn cpu_in_1_36_and_1_37(spec: &Value, status: &Value) -> [String; 2] {
    let options = with!(PodResourcesOptions {
        use_status_resources: true,
        in_place_pod_level_resources: true,
        ..plain()
    });
    [KubernetesVersion::V1_36, KubernetesVersion::V1_37].map(|version| {
        let pod = compile_for(version, json!({"spec": spec, "status": status}));
        pod.requests(&options).to_string()
    })
}

#[test]
fn since_1_37_the_largest_sum_counts_during_a_resize() {
    let status = |name: &str, cpu: &str| {
        json!({"name": name, "image": "", "imageID": "", "ready": true, "restartCount": 0,
            "allocatedResources": {"cpu": cpu}, "resources": {"requests": {"cpu": cpu}}})
    };
    let two = json!({"containers":
        [container("a", json!({"cpu": "2"})), container("b", json!({"cpu": "1"}))]});
    let swapped = json!({"containerStatuses": [status("a", "1"), status("b", "2")]});
    assert_eq!(cpu_in_1_36_and_1_37(&two, &swapped), ["cpu: 4", "cpu: 3"]);
    // What a regular init container has counts, too.
    let init = json!({"initContainers": [container("i", json!({"cpu": "1"}))],
        "containers": [container("a", json!({"cpu": "1"}))]});
    let larger = json!({"initContainerStatuses": [status("i", "3")], "containerStatuses": [status("a", "1")]});
    assert_eq!(cpu_in_1_36_and_1_37(&init, &larger), ["cpu: 1", "cpu: 3"]);
    // After a refusal, nothing is left of what the spec wants.
    let refused = [json!({"type": "PodResizePending", "status": "True", "reason": "Infeasible"})];
    let one = json!({"conditions": refused, "containerStatuses": [status("a", "1")]});
    assert_eq!(cpu_in_1_36_and_1_37(&two, &one), ["cpu: 2", "cpu: 1"]);
    assert_eq!(cpu_in_1_36_and_1_37(&two, &json!({"conditions": refused})), ["cpu: 3", ""]);
    // The pod's own amounts in the status stand for the sums.
    let of_pod = json!({"allocatedResources": {"cpu": "2"}, "resources": {"requests": {"cpu": "2"}},
        "containerStatuses": [status("a", "4")]});
    assert_eq!(cpu_in_1_36_and_1_37(&two, &of_pod), ["cpu: 5", "cpu: 3"]);
}

#[test]
fn since_1_37_a_pod_level_status_may_name_what_the_spec_does_not() {
    let spec = json!({"resources": {"requests": {"cpu": "2"}}, "containers": [{"name": "a"}]});
    let status = json!({"allocatedResources": {"cpu": "3", "memory": "2Gi"},
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}});
    assert_eq!(cpu_in_1_36_and_1_37(&spec, &status), ["cpu: 3", "cpu: 3, memory: 2Gi"]);
}

#[test]
fn since_1_37_pod_level_resources_that_name_nothing_leave_the_qos_class_to_the_containers() {
    let amounts = json!({"cpu": "1", "memory": "1Gi"});
    let json = json!({"spec": {"resources": {}, "containers":
        [{"name": "a", "resources": {"requests": amounts, "limits": amounts}}]}});
    let class = |version| qos_class(&compile_for(version, json.clone()));
    assert_eq!(class(KubernetesVersion::V1_36), QosClass::BestEffort);
    assert_eq!(class(KubernetesVersion::V1_37), QosClass::Guaranteed);
}

#[test]
fn since_1_37_an_init_container_without_a_limit_leaves_the_cgroup_of_a_burstable_pod_unbounded() {
    let limited = json!({"limits": {"cpu": "1"}, "requests": {"cpu": "500m"}});
    let json = json!({"spec": {
        "initContainers": [
            {"name": "s", "restartPolicy": "Always", "resources": limited}, {"name": "i"}],
        "containers": [{"name": "a", "resources": limited}],
    }});
    let quota = |version| {
        pod_cgroup(&compile_for(version, json.clone()), &CgroupSettings::default()).cpu_quota_us
    };
    assert_eq!(quota(KubernetesVersion::V1_36), Some(200_000));
    assert_eq!(quota(KubernetesVersion::V1_37), None);
}

#[test]
fn pod_level_resources_are_resized_only_if_asked_for() {
    let pod = compile(json!({
        "spec": {"resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}},
            "containers": [{"name": "a"}]},
        "status": {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "3"}},
            "allocatedResources": {"cpu": "4"}},
    }));
    let status = with!(PodResourcesOptions { use_status_resources: true, ..plain() });
    let in_place = with!(PodResourcesOptions { in_place_pod_level_resources: true, ..status });
    assert_eq!(pod.requests(&status).to_string(), "cpu: 1");
    assert_eq!(pod.requests(&in_place).to_string(), "cpu: 4");
    assert_eq!(pod.limits(&in_place).to_string(), "cpu: 3");
}

#[test]
fn without_its_gate_a_sidecar_is_a_regular_init_container() {
    let json = json!({"spec": {
        "initContainers": [sidecar("s", json!({"cpu": "1"}))],
        "containers": [container("a", json!({"cpu": "2"}))],
    }});
    let pod = compile_for(KubernetesVersion::V1_28, json.clone());
    assert_eq!(pod.requests(&plain()).to_string(), "cpu: 2");
    assert!(pod.has_disabled_sidecars());
    assert!(!compile_for(KubernetesVersion::V1_29, json).has_disabled_sidecars());
}

#[test]
fn errors_name_container_field_and_value() {
    let error = |list: Value| {
        let json = json!({"spec": {
            "initContainers": [{"name": "setup", "resources": list}],
            "containers": [],
        }});
        PodResources::compile(&pod(json), FeatureGates::default()).unwrap_err().to_string()
    };
    assert_eq!(
        error(json!({"limits": {"cpu": "lots"}})),
        "spec.initContainers[0].resources.limits[cpu]: Invalid value: \"lots\": quantities must \
         match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$' \
         (container \"setup\")"
    );
    let most = "170141183460469231731687303715884105727";
    assert_eq!(
        error(json!({"requests": {"cpu": most}, "limits": {"cpu": "1"}})),
        "spec.initContainers[0].resources.limits[cpu]: Invalid value: \"1\": the pod's cpu adds \
         up beyond 128 bits (container \"setup\")"
    );
    let many: serde_json::Map<_, _> =
        (0..300).map(|index| (format!("example.com/{index:03}"), "1".into())).collect();
    assert_eq!(
        error(json!({"requests": many})),
        "spec.initContainers[0].resources.requests[example.com/256]: Too many: must have at most \
         256 different resources (container \"setup\")"
    );
}

#[test]
fn a_check_finds_what_the_apiserver_refuses() {
    let pod = compile(json!({"spec": {
        "overhead": {"memory": "-1"},
        "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}},
        "containers": [{"name": "a", "resources":
            {"requests": {"cpu": "-1", "memory": "2Gi"}, "limits": {"memory": "1Gi"}}}],
    }}));
    let errors: Vec<_> = pod.check().iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(errors.join("\n"), @r#"
    spec.containers[0].resources.requests[cpu]: Invalid value: "-1": must be greater than or equal to 0 (container "a")
    spec.containers[0].resources.requests[memory]: Invalid value: "2Gi": must be less than or equal to memory limit of 1Gi (container "a")
    spec.resources.requests[cpu]: Invalid value: "2": must be less than or equal to cpu limit of 1
    spec.overhead[memory]: Invalid value: "-1": must be greater than or equal to 0
    "#);
}

#[test]
fn the_qos_class_is_explained_by_container_and_resource() {
    let limits = |cpu: &str, memory: &str| json!({"cpu": cpu, "memory": memory});
    let pod = compile(json!({"spec": {
        "initContainers": [{"name": "setup", "resources": {"limits": {"cpu": "1"}}}],
        "containers": [{"name": "app", "resources":
            {"requests": limits("500m", "1Gi"), "limits": limits("1", "1Gi")}}],
    }}));
    let explanation = explain_qos(&pod);
    let reasons: Vec<_> = explanation.reasons.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(reasons.join("\n"), @r#"
    container "setup" has no memory limit
    cpu requests of 500m differ from limits of 2 (container "setup", "app")
    "#);
    assert_eq!(explanation.class, QosClass::Burstable);

    let empty = compile(json!({"spec": {"resources": {},
        "containers": [container("app", json!({"cpu": "1"}))]}}));
    assert_eq!(qos_class(&empty), QosClass::BestEffort, "empty pod-level resources count alone");
    let recorded = compile(json!({"spec": {"containers": [{"name": "app"}]},
        "status": {"qosClass": "Guaranteed"}}));
    assert_eq!(explain_qos(&recorded).class, QosClass::Guaranteed);
}

#[test]
fn node_critical_pods_are_killed_last_and_sidecars_not_before_apps() {
    let spec = json!({
        "initContainers": [{"name": "s", "restartPolicy": "Always"}],
        "containers": [container("a", json!({"memory": "16Gi"}))],
    });
    let scores = |version, spec: &Value| {
        let pod = compile_for(version, json!({"spec": spec}));
        pod.indexes().map(|container| oom_score_adj(&pod, container, 32 << 30)).collect::<Vec<_>>()
    };
    assert_eq!(scores(KubernetesVersion::V1_31, &spec), [999, 500]);
    assert_eq!(scores(KubernetesVersion::V1_32, &spec), [500, 500]);
    let larger = compile(json!({"spec": {"containers": [
        container("a", json!({})), container("b", json!({})), container("c", json!({})),
    ]}}));
    let third = larger.indexes().last().unwrap();
    let pod = compile(json!({"spec": spec}));
    assert_eq!(oom_score_adj(&pod, third, 0), 999, "no such container, no memory");
    let mut critical = spec;
    critical["priorityClassName"] = "system-node-critical".into();
    critical["priority"] = 2_000_001_000.into();
    assert_eq!(scores(KubernetesVersion::V1_36, &critical), [-997, -997]);
}

#[test]
fn the_kubelets_settings_and_gates_shape_the_cgroup() {
    let limits = json!({"cpu": "2", "memory": "1Gi", "hugepages-2Mi": "4Mi"});
    let json = json!({"spec": {"containers": [
        {"name": "a", "resources": {"requests": limits, "limits": limits}}]}});
    let mut gates = FeatureGates::default();
    gates.set(Feature::CustomCPUCFSQuotaPeriod, true).unwrap();
    gates.set(Feature::MemoryQoS, true).unwrap();
    let pod = PodResources::compile(&pod(json), gates).unwrap();
    let mut settings = CgroupSettings::default();
    settings.cpu_cfs_quota_period_us = 10_000;
    settings.tiered_memory_reservation = true;
    let cgroup = pod_cgroup(&pod, &settings);
    assert_eq!((cgroup.cpu_quota_us, cgroup.cpu_period_us), (Some(20_000), Some(10_000)));
    assert_eq!((cgroup.memory_min_bytes, cgroup.memory_low_bytes), (Some(1 << 30), None));
    assert_eq!(cgroup.hugepage_limits_bytes, [(2 << 20, 4 << 20)]);
    assert_eq!((cgroup.cpu_shares, cgroup.cpu_weight()), (2048, 79));
    settings.cpu_cfs_quota = false;
    assert_eq!(pod_cgroup(&pod, &settings).cpu_quota_us, Some(-1));
}

#[test]
fn a_profile_shows_each_stage_and_what_init_containers_cost() {
    let limited = |cpu: &str| json!({"requests": {"cpu": cpu}, "limits": {"cpu": cpu}});
    let pod = compile(json!({"spec": {
        "overhead": {"cpu": "50m"},
        "initContainers": [
            {"name": "fetch", "resources": limited("200m")},
            {"name": "proxy", "restartPolicy": "Always", "resources": limited("100m")},
            {"name": "migrate", "resources": {"requests": {"cpu": "1", "memory": "2Gi"}}},
        ],
        "containers": [
            {"name": "app", "resources": {"requests": {"cpu": "250m", "memory": "512Mi"},
                "limits": {"cpu": "1"}}}],
    }}));
    let profile = Profile::of(&pod, &plain());
    insta::assert_snapshot!(profile, @"
    init fetch    cpu: 250m
    init proxy    cpu: 150m
    init migrate  cpu: 1150m, memory: 2Gi
    running       cpu: 400m, memory: 512Mi
    reserved      cpu: 1150m, memory: 2Gi
    waste         cpu: 750m, for init migrate only
    waste         memory: 1536Mi, for init migrate only
    ");
    let limits: Vec<_> = profile.stages().iter().map(|stage| stage.limits.to_string()).collect();
    assert_eq!(limits, ["cpu: 250m", "cpu: 150m", "", "cpu: 1150m"]);
    assert_eq!(profile.idle(profile.running()).to_string(), "cpu: 750m, memory: 1536Mi");
}

#[test]
fn a_check_lets_pass_what_is_zero_and_requests_that_are_their_limits() {
    let pod = compile(json!({"spec": {
        "overhead": {"memory": "0"},
        "containers": [{"name": "a", "resources":
            {"requests": {"cpu": "0", "memory": "1Gi"}, "limits": {"cpu": "0", "memory": "1Gi"}}}],
    }}));
    assert_eq!(pod.check(), []);
}

#[test]
fn containers_are_found_by_name() {
    let pod = compile(json!({"spec": {
        "initContainers": [container("i", json!({})), sidecar("s", json!({}))],
        "containers": [container("a", json!({}))],
    }}));
    let names = ["i", "s", "a", "nobody"];
    let slots = names.map(|name| pod.container_index(name).map(|index| index.slot()));
    assert_eq!(slots, [Some(0), Some(1), Some(2), None]);
    let kinds: Vec<_> = pod.indexes().map(|index| pod.container_kind(index)).collect();
    assert_eq!(kinds, [ContainerKind::Init, ContainerKind::RestartableInit, ContainerKind::App]);
    let long_running = kinds.iter().map(|kind| kind.is_long_running());
    assert_eq!(long_running.collect::<Vec<_>>(), [false, true, true]);
}

#[test]
fn pod_level_resources_are_set_if_a_supported_resource_is() {
    let set = |resources: Value| {
        let pod = compile(json!({"spec": {"resources": resources, "containers": []}}));
        (pod.is_pod_level_requests_set(), pod.is_pod_level_resources_set())
    };
    assert_eq!(set(Value::Null), (false, false));
    assert_eq!(set(json!({})), (false, false));
    assert_eq!(set(json!({"requests": {"example.com/gpu": "1"}})), (false, false));
    assert_eq!(set(json!({"limits": {"cpu": "1"}})), (false, true));
    assert_eq!(set(json!({"requests": {"cpu": "1"}})), (true, true));
}

#[test]
fn an_app_container_is_no_disabled_sidecar_whatever_its_own_policy_says() {
    let json = json!({"spec": {"containers": [sidecar("a", json!({"cpu": "1"}))]}});
    assert!(!compile_for(KubernetesVersion::V1_28, json).has_disabled_sidecars());
}

#[test]
fn a_pod_is_node_critical_by_class_and_priority_together() {
    let score = |class: &str, priority: i32| {
        let pod = compile(json!({"spec": {
            "priorityClassName": class, "priority": priority,
            "containers": [container("a", json!({"memory": "16Gi"}))],
        }}));
        oom_score_adj(&pod, pod.indexes().next().unwrap(), 32 << 30)
    };
    assert_eq!(score("system-node-critical", 2_000_000_000), -997);
    assert_eq!(score("system-node-critical", 1_999_999_999), 500);
    assert_eq!(score("system-cluster-critical", 2_000_000_000), 500);
}

#[test]
fn an_error_has_the_reason_as_its_source_and_names_the_status_by_container() {
    let error = |init: &str, app: &str| {
        let status = |name: &str, cpu: &str| {
            json!({"name": name, "image": "", "imageID": "", "ready": true, "restartCount": 0,
                "allocatedResources": {"memory": "1Gi"}, "resources": {"requests": {"cpu": cpu}}})
        };
        let pod = pod(json!({
            "spec": {"initContainers": [sidecar("s", json!({}))],
                "containers": [container("a", json!({}))]},
            "status": {"initContainerStatuses": [status("s", init)],
                "containerStatuses": [status("a", app)]},
        }));
        PodResources::compile(&pod, FeatureGates::default()).unwrap_err()
    };
    let field = |error: &dyn Error| error.to_string().split(": ").next().unwrap().to_owned();
    let init = error("many", "1");
    assert_eq!(field(&init), "status.initContainerStatuses[s].resources.requests[cpu]");
    assert_eq!(field(&error("1", "many")), "status.containerStatuses[a].resources.requests[cpu]");
    let source = init.source().unwrap().to_string();
    assert_eq!(source, "many".parse::<Quantity>().unwrap_err().to_string());
}

#[test]
fn pod_level_defaults_need_a_list_and_a_supported_resource() {
    let defaulted = |version: KubernetesVersion, level: Value| {
        let mut spec = pod(json!({"spec": {"resources": level, "containers": [{"name": "a",
            "resources": {"limits": {"cpu": "1", "hugepages-2Mi": "4Mi"}}}]}}));
        let spec = spec.spec.as_mut().unwrap();
        let mut gates = version.feature_gates();
        gates.set(Feature::PodLevelResources, true).unwrap();
        default_requests(spec, gates).unwrap();
        serde_json::to_value(&spec.resources).unwrap()
    };
    // Without any pod-level amount, the containers' huge pages are not lifted to the pod.
    assert_eq!(defaulted(KubernetesVersion::V1_36, json!({})), json!({}));
    let limits = |name: &str| json!({"limits": {"cpu": "2", name: "8Mi"}});
    let requests = |version, name| defaulted(version, limits(name))["requests"].clone();
    let cpu_only = json!({"cpu": "1"});
    assert_eq!(
        requests(KubernetesVersion::V1_36, "example.com/gpu"),
        json!({"cpu": "1", "hugepages-2Mi": "4Mi"})
    );
    assert_eq!(requests(KubernetesVersion::V1_32, "example.com/gpu"), cpu_only);
    // Huge pages at pod level are those of 1.33 and later.
    assert_eq!(requests(KubernetesVersion::V1_32, "hugepages-1Gi"), cpu_only);
    assert_eq!(
        requests(KubernetesVersion::V1_36, "hugepages-1Gi"),
        json!({"cpu": "1", "hugepages-2Mi": "4Mi", "hugepages-1Gi": "8Mi"})
    );
}

#[test]
fn the_schedulers_options_follow_the_gates() {
    let options = |version: KubernetesVersion| {
        let options = PodResourcesOptions::for_gates(version.feature_gates());
        assert_eq!(
            (options.exclude_overhead, options.skip_container_level_resources),
            (false, false)
        );
        [
            options.use_status_resources,
            options.in_place_pod_level_resources,
            options.skip_pod_level_resources,
        ]
    };
    assert_eq!(options(KubernetesVersion::V1_32), [false, false, true]);
    assert_eq!(options(KubernetesVersion::V1_33), [true, false, true]);
    assert_eq!(options(KubernetesVersion::V1_34), [true, false, false]);
    assert_eq!(options(KubernetesVersion::V1_36), [true, true, false]);
}

/// A pod with pod-level amounts in spec and status, and a container that is resized.
fn resized(reason: &str, spec: Value, status: Value) -> PodResources {
    compile(json!({
        "spec": {"resources": spec, "containers": [{"name": "a", "resources":
            {"requests": {"cpu": "500m"}, "limits": {"cpu": "700m"}}}]},
        "status": {
            "resources": status,
            "conditions": [{"type": "PodResizePending", "status": "True", "reason": reason}],
            "containerStatuses": [{"name": "a", "image": "", "imageID": "", "ready": true,
                "restartCount": 0, "resources": {"requests": {"cpu": "600m"}}}],
        },
    }))
}

#[test]
fn a_pod_level_resize_counts_with_both_options_and_by_what_became_of_it() {
    let amounts = |requests: &str, limits: &str| {
        json!({"requests": {"cpu": requests},
        "limits": {"cpu": limits}})
    };
    let status = with!(PodResourcesOptions { use_status_resources: true, ..plain() });
    let level = with!(PodResourcesOptions { in_place_pod_level_resources: true, ..plain() });
    let both = with!(PodResourcesOptions { in_place_pod_level_resources: true, ..status });
    let skip = with!(PodResourcesOptions { skip_pod_level_resources: true, ..plain() });
    let counted = |pod: &PodResources, options: &PodResourcesOptions<'_>| {
        let amount = |list: ResourceList| list.quantity(ResourceName::CPU).to_string();
        [amount(pod.requests(options)), amount(pod.limits(options))]
    };

    let grows = resized("Deferred", amounts("4", "5"), amounts("2", "3"));
    for options in &[plain(), status, level, both] {
        assert_eq!(counted(&grows, options), ["4", "5"]);
    }
    let refused = resized("Infeasible", amounts("4", "5"), amounts("2", "3"));
    for options in &[plain(), status, level] {
        assert_eq!(counted(&refused, options), ["4", "5"]);
    }
    assert_eq!(counted(&refused, &both), ["2", "3"]);
    assert_eq!(counted(&refused, &skip), ["500m", "700m"]);

    // A status that tells nothing of the pod level leaves what the spec says.
    let untold = resized("Infeasible", amounts("4", "5"), Value::Null);
    assert_eq!(counted(&untold, &both), ["4", "5"]);
    // A status alone makes no pod-level resources.
    let alone = resized("Deferred", Value::Null, amounts("2", "3"));
    assert_eq!(counted(&alone, &both), ["600m", "700m"]);
}

#[test]
fn every_list_of_spec_and_status_counts_by_itself() {
    let skip = with!(PodResourcesOptions {
        use_status_resources: true,
        skip_pod_level_resources: true,
        ..plain()
    });
    let both = with!(PodResourcesOptions {
        use_status_resources: true,
        in_place_pod_level_resources: true,
        ..plain()
    });
    for count in 0..=3 {
        for largest in ["spec", "actuated", "allocated"] {
            let level = |list: &str| json!({"cpu": if list == largest { "90" } else { "20" }});
            let lists = |list: &str| json!({"requests": level(list), "limits": level(list)});
            let names: Vec<_> = (0..count).map(|index| format!("c{index}")).collect();
            let amounts = |requests: &str, limits: &str| json!({"requests": {"cpu": requests}, "limits": {"cpu": limits}});
            let status = |name: &String| {
                json!({"name": name, "image": "", "imageID": "", "ready": true, "restartCount": 0,
                    "allocatedResources": {"cpu": "3"}, "resources": amounts("2", "5")})
            };
            let spec = |name: &String| json!({"name": name, "resources": amounts("1", "4")});
            let pod = compile(json!({
                "spec": {"resources": lists("spec"),
                    "containers": names.iter().map(spec).collect::<Vec<_>>()},
                "status": {"resources": lists("actuated"), "allocatedResources": level("allocated"),
                    "containerStatuses": names.iter().map(status).collect::<Vec<_>>()},
            }));
            let cpu = |list: ResourceList| list.quantity(ResourceName::CPU).value();
            let counted = |options| [cpu(pod.requests(options)), cpu(pod.limits(options))];
            let limit = if largest == "allocated" { 20 } else { 90 };
            assert_eq!(counted(&both), [90, limit], "{count} {largest}");
            assert_eq!(counted(&skip), [3 * count, 5 * count], "{count} {largest}");
            let by_spec = if largest == "spec" { 90 } else { 20 };
            assert_eq!(counted(&plain()), [by_spec; 2], "{count} {largest}");
        }
    }
}

#[test]
fn of_equal_amounts_the_one_of_the_spec_is_shown() {
    let pod = compile(json!({
        "spec": {"containers": [container("a", json!({"memory": "1Gi"}))]},
        "status": {"containerStatuses": [{"name": "a", "image": "", "imageID": "", "ready": true,
            "restartCount": 0, "resources": {"requests": {"memory": "1073741824"}}}]},
    }));
    let options = with!(PodResourcesOptions { use_status_resources: true, ..plain() });
    assert_eq!(pod.requests(&options).to_string(), "memory: 1Gi");
}

#[test]
fn a_stage_is_bounded_only_if_every_container_in_it_is() {
    let limited = |cpu: &str| json!({"limits": {"cpu": cpu}});
    let stages = |level: Value, proxy: Value, app: Value, helper: Value| {
        let pod = compile(json!({"spec": {
            "resources": level,
            "initContainers": [
                {"name": "fetch", "resources": limited("200m")},
                {"name": "proxy", "restartPolicy": "Always", "resources": proxy},
                {"name": "migrate", "resources": limited("300m")},
            ],
            "containers": [
                {"name": "app", "resources": app}, {"name": "helper", "resources": helper},
            ],
        }}));
        let profile = Profile::of(&pod, &plain());
        let cpu = |limits: &ResourceList| limits.get("cpu").map(ToString::to_string);
        let bounds = profile.stages().iter().map(|stage| cpu(&stage.limits));
        bounds.map(|bound| bound.unwrap_or_else(|| "-".into())).collect::<Vec<_>>().join(" ")
    };
    let (one, none) = (limited("1"), json!({}));
    let all = |level| stages(level, limited("100m"), one.clone(), one.clone());
    assert_eq!(all(Value::Null), "200m 100m 400m 2100m");
    // A pod-level limit bounds every stage, and one of zero none.
    assert_eq!(all(limited("350m")), "200m 100m 350m 350m");
    assert_eq!(all(json!({"limits": {"cpu": "0"}})), "200m 100m 400m 2100m");
    let unbounded = |proxy: &Value, app: &Value, helper: &Value| {
        stages(Value::Null, proxy.clone(), app.clone(), helper.clone())
    };
    // Zero is no limit. A sidecar without one lets every later stage go unbounded.
    for free in [&none, &limited("0")] {
        assert_eq!(unbounded(free, &one, &one), "200m - - -");
        assert_eq!(unbounded(&limited("100m"), free, &one), "200m 100m 400m -");
        assert_eq!(unbounded(&limited("100m"), &one, free), "200m 100m 400m -");
    }
    let level = stages(limited("1"), none.clone(), none.clone(), none);
    assert_eq!(level, "200m 1 1 1", "the pod-level limit holds where containers have none");
}

#[test]
fn init_containers_cost_nothing_where_the_running_pod_needs_as_much() {
    let of = |level: Value, app: &str| {
        compile(json!({"spec": {"resources": level,
            "initContainers": [container("i", json!({"cpu": "1"}))],
            "containers": [container("a", json!({"cpu": app}))]}}))
    };
    let decides = |pod: &PodResources| {
        let effective = effective_init_requests(pod, &plain());
        effective.iter().map(|init| init.decides).collect::<Vec<_>>()
    };
    let waste = |pod: &PodResources| Profile::of(pod, &plain()).init_waste.len();
    let (less, equal) = (of(Value::Null, "900m"), of(Value::Null, "1"));
    assert_eq!((decides(&less), waste(&less)), (vec![true], 1));
    assert_eq!((decides(&equal), waste(&equal)), (vec![false], 0));
    // What the pod requests at pod level is reserved whatever its containers request.
    assert_eq!(waste(&of(json!({"requests": {"cpu": "2"}}), "900m")), 0);
}

#[test]
fn a_recorded_qos_class_is_the_reason_only_where_it_differs_from_the_spec() {
    let reasons = |recorded: &str| {
        let pod = compile(json!({
            "spec": {"containers": [container("a", json!({"cpu": "1"}))]},
            "status": {"qosClass": recorded},
        }));
        let explanation = explain_qos(&pod);
        let reasons: Vec<_> = explanation.reasons.iter().map(ToString::to_string).collect();
        format!("{:>10}: {}", explanation.class, reasons.join(", "))
    };
    assert_eq!(reasons("BestEffort"), "BestEffort: the status records BestEffort");
    assert_eq!(
        reasons("Burstable"),
        " Burstable: container \"a\" has no cpu limit, container \"a\" has no memory limit, \
         cpu requests of 1 differ from limits of 0 (container \"a\")"
    );
}

#[test]
fn only_what_one_shot_init_containers_need_beyond_the_running_pod_is_reserved_for_them() {
    let pod = |level: Value| {
        compile(json!({"spec": {
            "overhead": {"cpu": "50m", "memory": "64Mi"},
            "resources": level,
            "initContainers": [
                container("fetch", json!({"cpu": "2", "example.com/gpu": "1"})),
                sidecar("proxy", json!({"cpu": "500m", "memory": "1Gi"})),
                container("migrate", json!({"cpu": "1800m", "memory": "2Gi"})),
                sidecar("logs", json!({"cpu": "100m", "ephemeral-storage": "1Gi"})),
            ],
            "containers": [container("app", json!({"cpu": "1", "memory": "2560Mi"}))],
        }}))
    };
    let init_only = |level, options: &PodResourcesOptions<'_>| {
        pod(level).init_only_requests(options).to_string()
    };
    // CPU: migrate beside proxy, 2300m, against proxy, logs and app, 1600m. Memory: 3072Mi
    // against 3584Mi. Nobody but fetch needs the device; the storage is that of a sidecar.
    assert_eq!(init_only(Value::Null, &plain()), "cpu: 700m, example.com/gpu: 1");
    // A pod-level request is reserved whatever the containers are; other resources still count.
    let level = json!({"requests": {"cpu": "4"}});
    assert_eq!(init_only(level.clone(), &plain()), "example.com/gpu: 1");
    let skip = with!(PodResourcesOptions { skip_pod_level_resources: true, ..plain() });
    assert_eq!(init_only(level, &skip), "cpu: 700m, example.com/gpu: 1");
    let skip = with!(PodResourcesOptions { skip_container_level_resources: true, ..plain() });
    assert_eq!(init_only(Value::Null, &skip), "");
    // What containers are taken to request counts for those that keep running, too: 32Gi for migrate
    // beside proxy are less than 33Gi for proxy, logs and app.
    let missing = [("ephemeral-storage".into(), "16Gi".parse().unwrap())].into_iter().collect();
    let options =
        with!(PodResourcesOptions { non_missing_container_requests: Some(&missing), ..plain() });
    assert_eq!(init_only(Value::Null, &options), "cpu: 700m, example.com/gpu: 1");
}

#[test]
fn without_its_gate_a_sidecar_reserves_as_an_init_container_does() {
    let json = json!({"spec": {
        "initContainers": [sidecar("s", json!({"cpu": "3"}))],
        "containers": [container("a", json!({"cpu": "2"}))],
    }});
    let init_only = |version| {
        let pod = compile_for(version, json.clone());
        pod.init_only_requests(&plain()).to_string()
    };
    assert_eq!(init_only(KubernetesVersion::V1_28), "cpu: 1");
    assert_eq!(init_only(KubernetesVersion::V1_29), "");
}

#[test]
fn a_resize_lowers_what_is_reserved_for_init_containers_only() {
    let pod = |version| {
        compile_for(
            version,
            json!({
                "spec": {"initContainers": [container("i", json!({"cpu": "4"}))],
                    "containers": [container("a", json!({"cpu": "1"})), container("b", json!({"cpu": "2"}))]},
                "status": {"containerStatuses": [{"name": "a", "image": "", "imageID": "",
                    "ready": true, "restartCount": 0, "allocatedResources": {"cpu": "1500m"},
                    "resources": {"requests": {"cpu": "1500m"}}}]},
            }),
        )
    };
    let status = with!(PodResourcesOptions { use_status_resources: true, ..plain() });
    for version in [KubernetesVersion::V1_36, KubernetesVersion::V1_37] {
        let pod = pod(version);
        assert_eq!(pod.init_only_requests(&plain()).to_string(), "cpu: 1");
        assert_eq!(pod.init_only_requests(&status).to_string(), "cpu: 500m");
        let profile = Profile::of(&pod, &status);
        assert_eq!(profile.init_waste[0].quantity.to_string(), "500m");
    }
}

#[test]
fn beyond_128_bits_nothing_is_left_for_init_containers() {
    let pod = compile(json!({"spec": {
        "initContainers": [container("i", json!({}))],
        "containers": [container("a", json!({})), container("b", json!({}))],
    }}));
    let most = [(ResourceName::CPU, Quantity::MAX)].into_iter().collect();
    let options =
        with!(PodResourcesOptions { non_missing_container_requests: Some(&most), ..plain() });
    assert_eq!(pod.requests(&options).quantity("cpu"), Quantity::MAX);
    assert_eq!(pod.init_only_requests(&options), ResourceList::new());
}

/// Up to `most` init containers, each restartable or not, with a request of 0 to 2.
fn small_worlds(most: usize) -> Vec<Vec<(bool, i64)>> {
    let mut worlds = vec![Vec::new()];
    let mut longest: Vec<Vec<(bool, i64)>> = vec![Vec::new()];
    for _ in 0..most {
        longest = longest
            .iter()
            .flat_map(|inits| {
                let more = |(restartable, amount)| {
                    inits.iter().copied().chain([(restartable, amount)]).collect()
                };
                [false, true]
                    .into_iter()
                    .flat_map(move |kind| (0..=2).map(move |n| (kind, n)))
                    .map(more)
            })
            .collect();
        worlds.extend(longest.iter().cloned());
    }
    worlds
}

#[test]
fn in_every_small_pod_init_containers_reserve_the_worst_moment_less_what_keeps_running() {
    for inits in small_worlds(3) {
        for app in 0..=3 {
            let list: Vec<_> = inits
                .iter()
                .enumerate()
                .map(|(index, (restartable, amount))| {
                    let make = if *restartable { sidecar } else { container };
                    make(&format!("i{index}"), json!({"example.com/gpu": amount}))
                })
                .collect();
            let pod = compile(json!({"spec": {"initContainers": list,
                "containers": [container("a", json!({"example.com/gpu": app}))]}}));
            let (mut sidecars, mut worst) = (0, 0);
            for (restartable, amount) in &inits {
                worst = worst.max(sidecars + amount);
                sidecars += if *restartable { *amount } else { 0 };
            }
            let reserve = (worst - sidecars - app).max(0);
            let init_only = pod.init_only_requests(&plain());
            assert_eq!(init_only.quantity("example.com/gpu").value(), reserve, "{inits:?} {app}");
            assert_eq!(init_only.is_empty(), reserve == 0, "{inits:?} {app}");
        }
    }
}

/// An amount of any form that a valid pod may have.
fn amount() -> impl Strategy<Value = String> {
    let suffix = select(vec!["", "m", "k", "M", "Ki", "Mi", "Gi", "e3", "e-3", "u", "n"]);
    (0..10_000_u32, suffix).prop_map(|(number, suffix)| format!("{number}{suffix}"))
}

fn amounts() -> impl Strategy<Value = Value> {
    let names = select(vec!["cpu", "memory", "ephemeral-storage", "example.com/gpu"]);
    proptest::collection::btree_map(names, amount(), 0..4).prop_map(|map| json!(map))
}

fn containers(len: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Value>> {
    let kind = select(vec![Value::Null, "Always".into()]);
    proptest::collection::vec((kind, amounts(), amounts()), len).prop_map(|containers| {
        let container = |(index, (kind, requests, limits)): (usize, (Value, Value, Value))| {
            json!({"name": format!("c{index}"), "restartPolicy": kind,
                "resources": {"requests": requests, "limits": limits}})
        };
        containers.into_iter().enumerate().map(container).collect()
    })
}

/// Any valid pod, as far as resources are concerned.
fn any_pod() -> impl Strategy<Value = Pod> {
    let level = prop_oneof![
        4 => Just(Value::Null),
        1 => amounts().prop_map(|requests| json!({"requests": requests})),
    ];
    let overhead = prop_oneof![2 => Just(Value::Null), 1 => amounts()];
    (containers(0..5), containers(1..4), level, overhead).prop_map(
        |(inits, mut apps, level, overhead)| {
            apps.iter_mut().for_each(|app| app["restartPolicy"] = Value::Null);
            pod(json!({"spec": {"initContainers": inits, "containers": apps,
                "resources": level, "overhead": overhead}}))
        },
    )
}

/// A pod some of whose containers are being resized, and perhaps the pod itself.
fn any_resized_pod() -> impl Strategy<Value = Pod> {
    let resources = || (amounts(), any::<[bool; 3]>());
    let of = |(amounts, [told, requests, limits]): (Value, [bool; 3])| {
        let list = |there: bool| if there { amounts.clone() } else { Value::Null };
        match told {
            true => json!({"requests": list(requests), "limits": list(limits)}),
            false => Value::Null,
        }
    };
    let status = || (resources(), proptest::option::of(amounts()));
    let statuses = proptest::collection::vec(status(), 8);
    (any_pod(), statuses, status(), any::<bool>()).prop_map(
        move |(mut pod, statuses, level, infeasible)| {
            let spec = pod.spec.as_mut().unwrap();
            // Statuses are found by name, which in a valid pod only one container has.
            spec.containers.iter_mut().for_each(|app| app.name.insert_str(0, "app-"));
            let inits = spec.init_containers.as_ref().map_or(0, Vec::len);
            let names = spec.init_containers.iter().flatten().chain(&spec.containers);
            let mut lists: Vec<_> = names
                .zip(statuses)
                .map(|(container, (resources, allocated))| {
                    json!({"name": container.name, "image": "", "imageID": "", "ready": true,
                        "restartCount": 0, "allocatedResources": allocated, "resources": of(resources)})
                })
                .collect();
            let apps = lists.split_off(inits);
            let pending = json!([{"type": "PodResizePending", "status": "True",
                "reason": if infeasible { "Infeasible" } else { "Deferred" }}]);
            let status = json!({"conditions": pending, "initContainerStatuses": lists,
                "containerStatuses": apps, "resources": of(level.0), "allocatedResources": level.1});
            pod.status = serde_json::from_value(status).unwrap();
            pod
        },
    )
}

/// What may be asked of a pod's requests.
fn options_of(asked: [bool; 5], missing: Option<&ResourceList>) -> PodResourcesOptions<'_> {
    let [status, in_place, no_overhead, no_level, no_containers] = asked;
    with!(PodResourcesOptions {
        use_status_resources: status,
        in_place_pod_level_resources: in_place,
        exclude_overhead: no_overhead,
        skip_pod_level_resources: no_level,
        // Rarely: nothing is left to be compared then.
        skip_container_level_resources: no_containers && no_level && no_overhead,
        non_missing_container_requests: missing,
        ..plain()
    })
}

/// The same pod without the init containers that end.
fn without_one_shot_init_containers(pod: &Pod) -> Pod {
    let mut pod = pod.clone();
    let inits = &mut pod.spec.as_mut().unwrap().init_containers;
    let goes = |c: &Container| c.restart_policy.as_deref() != Some("Always");
    let gone: Vec<_> = inits.iter().flatten().filter(|c| goes(c)).map(|c| c.name.clone()).collect();
    inits.iter_mut().for_each(|inits| inits.retain(|container| !goes(container)));
    let statuses = pod.status.as_mut().and_then(|s| s.init_container_statuses.as_mut());
    statuses.into_iter().for_each(|all| all.retain(|status| !gone.contains(&status.name)));
    pod
}

fn requests(pod: &Pod) -> ResourceList {
    pod_requests_of(pod, FeatureGates::default(), &plain()).unwrap()
}

fn at_least(more: &ResourceList, less: &ResourceList) -> bool {
    less.iter().all(|(name, quantity)| more.quantity(name) >= *quantity)
}

/// The rule as the enhancement proposal states it, written down independently.
fn by_formula(pod: &Pod, resource: &str) -> Quantity {
    let spec = pod.spec.as_ref().unwrap();
    let own = |container: &Container| {
        let requests = container.resources.as_ref().and_then(|r| r.requests.as_ref());
        let quantity = requests.and_then(|requests| requests.get(resource));
        quantity.map_or(Quantity::ZERO, |quantity| quantity.try_into().unwrap())
    };
    let sum = |containers: &mut dyn Iterator<Item = &Container>| {
        containers.fold(Quantity::ZERO, |sum, c| sum.checked_add(own(c)).unwrap())
    };
    let is_sidecar = |c: &&Container| c.restart_policy.as_deref() == Some("Always");
    let inits = spec.init_containers.as_deref().unwrap_or_default();
    let running = sum(&mut spec.containers.iter().chain(inits.iter().filter(is_sidecar)));
    let init_use = (0..inits.len()).map(|index| {
        let before = sum(&mut inits[..index].iter().filter(is_sidecar));
        before.checked_add(own(&inits[index])).unwrap()
    });
    init_use.fold(running, Ord::max)
}

proptest! {
    #[test]
    fn requests_follow_the_formula(pod in any_pod()) {
        let options = with!(PodResourcesOptions { exclude_overhead: true, skip_pod_level_resources: true, ..plain() });
        let requests = pod_requests_of(&pod, FeatureGates::default(), &options).unwrap();
        for name in ["cpu", "memory", "ephemeral-storage", "example.com/gpu"] {
            prop_assert_eq!(requests.quantity(name), by_formula(&pod, name), "{}", name);
        }
    }

    #[test]
    fn without_its_one_shot_init_containers_a_pod_requests_less_by_what_is_reserved_for_them_only(
        pod in any_resized_pod(),
        version in select(KubernetesVersion::ALL.into_iter().filter(|v| v.minor() >= 29).collect::<Vec<_>>()),
        (asked, missing) in (any::<[bool; 5]>(), proptest::option::of(amounts())),
    ) {
        let missing: Option<ResourceList> =
            missing.map(|missing| serde_json::from_value(missing).unwrap());
        let options = options_of(asked, missing.as_ref());
        let gates = version.feature_gates();
        let compile = |pod: &Pod| PodResources::compile(pod, gates).unwrap();
        let whole = compile(&pod);
        let rest = compile(&without_one_shot_init_containers(&pod));
        let mut sum = rest.requests(&options);
        let init_only = whole.init_only_requests(&options);
        prop_assert!(init_only.iter().all(|(_, quantity)| quantity.sign() > 0), "{:?}", init_only);
        sum.checked_add(&init_only).unwrap();
        for (name, quantity) in &whole.requests(&options) {
            prop_assert_eq!(*quantity, sum.quantity(name), "{}", name);
        }
        prop_assert_eq!(rest.init_only_requests(&options), ResourceList::new());
    }

    #[test]
    fn another_one_shot_init_container_never_lowers_what_is_reserved_for_them_only_and_any_other_never_raises_it(
        before in any_pod(), added in containers(1..2), is_app: bool, at: Index,
    ) {
        let mut after = before.clone();
        let spec = after.spec.as_mut().unwrap();
        let added: Container = serde_json::from_value(added[0].clone()).unwrap();
        let is_one_shot = !is_app && added.restart_policy.is_none();
        let list =
            if is_app { &mut spec.containers } else { spec.init_containers.as_mut().unwrap() };
        let at = at.index(list.len() + 1);
        list.insert(at, added);
        let init_only = |pod: &Pod| {
            PodResources::compile(pod, FeatureGates::default()).unwrap().init_only_requests(&plain())
        };
        let (before, after) = (init_only(&before), init_only(&after));
        let (more, less) = if is_one_shot { (after, before) } else { (before, after) };
        prop_assert!(at_least(&more, &less), "{:?} {:?}", more, less);
    }

    #[test]
    fn one_answer_about_an_api_pod_is_that_of_the_compiled_one(pod in any_pod()) {
        let compiled = PodResources::compile(&pod, FeatureGates::default()).unwrap();
        prop_assert_eq!(requests(&pod), compiled.requests(&plain()));
    }

    #[test]
    fn sums_made_before_are_those_of_the_walk(pod in any_pod()) {
        // An empty list of defaults changes nothing; a status without resources does not either.
        let compiled = PodResources::compile(&pod, FeatureGates::default()).unwrap();
        let (empty, status) = (ResourceList::new(), with!(PodResourcesOptions { use_status_resources: true, ..plain() }));
        let options =
            with!(PodResourcesOptions { non_missing_container_requests: Some(&empty), ..status });
        prop_assert_eq!(compiled.requests(&options), compiled.requests(&plain()));
        prop_assert_eq!(compiled.limits(&options), compiled.limits(&plain()));
    }

    #[test]
    fn adding_a_container_never_lowers_a_request(
        before in any_pod(), added in containers(1..2), is_init: bool, at: Index,
    ) {
        let mut after = before.clone();
        let spec = after.spec.as_mut().unwrap();
        let added: Container = serde_json::from_value(added[0].clone()).unwrap();
        let list =
            if is_init { spec.init_containers.as_mut().unwrap() } else { &mut spec.containers };
        let at = at.index(list.len() + 1);
        list.insert(at, added);
        prop_assert!(at_least(&requests(&after), &requests(&before)));
    }

    #[test]
    fn the_order_of_app_containers_changes_nothing(pod in any_pod(), by: Index) {
        let mut rotated = pod.clone();
        let apps = &mut rotated.spec.as_mut().unwrap().containers;
        let by = by.index(apps.len());
        apps.rotate_left(by);
        prop_assert_eq!(requests(&rotated), requests(&pod));
    }

    #[test]
    fn the_request_is_never_below_any_stage_and_is_reached_by_one(pod in any_pod()) {
        let pod = PodResources::compile(&pod, FeatureGates::default()).unwrap();
        let profile = Profile::of(&pod, &plain());
        for stage in profile.stages() {
            prop_assert!(at_least(&profile.reserved, &stage.requests), "{}", profile);
        }
        for (name, reserved) in &profile.reserved {
            let reached = profile.stages().iter().any(|stage| stage.requests.get(name) == Some(reserved));
            prop_assert!(reached, "{}", profile);
        }
        for waste in &profile.init_waste {
            let used = profile.running().requests.quantity(&waste.resource);
            let sum = used.checked_add(waste.quantity);
            prop_assert_eq!(sum, Ok(profile.reserved.quantity(&waste.resource)));
        }
    }

    #[test]
    fn a_guaranteed_pod_has_nothing_to_explain_and_any_other_has(pod in any_pod()) {
        let pod = PodResources::compile(&pod, FeatureGates::default()).unwrap();
        let explanation = explain_qos(&pod);
        prop_assert_eq!(explanation.class, qos_class(&pod));
        prop_assert_eq!(explanation.reasons.is_empty(), explanation.class == QosClass::Guaranteed);
    }

    #[test]
    fn what_is_asked_of_a_compiled_pod_allocates_nothing(pod in any_pod()) {
        let pod = PodResources::compile(&pod, FeatureGates::default()).unwrap();
        let mut list = ResourceList::new();
        let allocations = allocation_counter::measure(|| {
            pod_requests(&pod, &plain(), &mut list);
            pod_limits(&pod, &plain(), &mut list);
            init_only_requests(&pod, &plain(), &mut list);
            qos_class(&pod);
        });
        prop_assert_eq!(allocations.count_total, 0);
    }
}

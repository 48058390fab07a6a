//! What the kubelet writes into the cgroup of a pod, by version, gate and configuration.

use podinit::KubernetesVersion::{self, *};
use podinit::resources::{
    CgroupSettings, PodCgroup, PodResources, memory_high, pod_cgroup, shares_to_weight_of_runtime,
};
use podinit::{Feature, FeatureGates};
use serde_json::{Value, json};

const MI: i64 = 1 << 20;

fn compile(gates: FeatureGates, spec: &Value) -> PodResources {
    PodResources::compile(&serde_json::from_value(json!({"spec": spec})).unwrap(), gates).unwrap()
}

/// The cgroup where `MemoryQoS` is on or off.
fn cgroup(version: KubernetesVersion, qos: bool, tiered: bool, spec: &Value) -> PodCgroup {
    let mut gates = version.feature_gates();
    gates.set(Feature::MemoryQoS, qos).unwrap();
    let mut settings = CgroupSettings::default();
    settings.tiered_memory_reservation = tiered;
    pod_cgroup(&compile(gates, spec), &settings)
}

fn one_container(resources: &Value) -> Value {
    json!({"containers": [{"name": "a", "resources": resources}]})
}

/// `memory.min` and `memory.low`.
fn reserved(
    version: KubernetesVersion,
    qos: bool,
    tiered: bool,
    resources: &Value,
) -> [Option<i64>; 2] {
    let cgroup = cgroup(version, qos, tiered, &one_container(resources));
    [cgroup.memory_min_bytes, cgroup.memory_low_bytes]
}

#[test]
fn memory_is_reserved_by_version_class_and_policy() {
    let amounts = json!({"cpu": "1", "memory": "64Mi"});
    let guaranteed = json!({"requests": amounts, "limits": amounts});
    let burstable = json!({"requests": amounts});
    let min = [Some(64 * MI), None];
    let low = [None, Some(64 * MI)];
    let nothing = [None, None];
    for (version, tiered, for_guaranteed, for_burstable) in [
        (V1_35, false, min, min),
        (V1_35, true, min, min),
        (V1_36, false, nothing, nothing),
        (V1_36, true, min, low),
    ] {
        let of = |resources| reserved(version, true, tiered, resources);
        assert_eq!(of(&guaranteed), for_guaranteed, "{version} {tiered}");
        assert_eq!(of(&burstable), for_burstable, "{version} {tiered}");
        // Off, the gate reserves nothing; neither does a pod that requests no memory.
        assert_eq!(reserved(version, false, tiered, &burstable), nothing, "{version} {tiered}");
        let no_memory = json!({"requests": {"cpu": "1", "memory": "0"}});
        assert_eq!(of(&no_memory), nothing, "{version} {tiered}");
        assert_eq!(of(&json!({})), nothing, "{version} {tiered}");
    }
}

#[test]
fn pod_level_resources_shape_the_cgroup_where_their_gate_is_on() {
    let spec = json!({
        "resources": {"requests": {"cpu": "2"}},
        "containers": [{"name": "a", "resources": {"requests": {"cpu": "1"}}}],
    });
    let shares = |version| cgroup(version, false, false, &spec).cpu_shares;
    assert_eq!([V1_33, V1_34, V1_36].map(shares), [1024, 2048, 2048]);
}

#[test]
fn memory_is_throttled_only_above_the_request() {
    assert_eq!(memory_high(64 * MI, 64 * MI, 1024 * MI, 4096), None, "a Guaranteed container");
    assert_eq!(memory_high(8192, 8192 + 4551, 0, 4096), None, "4095.9 bytes above the request");
    assert_eq!(memory_high(8192, 8192 + 4552, 0, 4096), Some(8192 + 4096));
}

#[test]
fn the_weight_of_the_runtime_ends_at_10000_where_the_shares_do() {
    let weights = [262_143, 262_144, 262_145, u64::MAX].map(shares_to_weight_of_runtime);
    assert_eq!(weights[1..], [10_000; 3]);
    assert!((9_999..=10_000).contains(&weights[0]));
}

//! How long quantities, requests and the scheduler's questions take, over the pods of the recorded
//! family `resources` in turn.
//!
//! ```text
//! cargo bench --bench resources
//! ```
//!
//! Each benchmark first prints how many allocations one call makes on average. For scale: the Go
//! code of Kubernetes takes about 2.45 µs and 9 allocations for the requests of a pod, 156 ns and
//! 2 allocations for a quantity.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use harness::conformance;
use k8s_openapi::api::core::v1::Pod;
use podinit::FeatureGates;
use podinit::quantity::Quantity;
use podinit::resources::{
    PodResources, PodResourcesOptions, ResourceList, init_only_requests, pod_limits, pod_requests,
    pod_requests_of, qos_class,
};
use podinit::scheduler::{NodeUsage, Scorer, UtilizationShapePoint};
use serde::Deserialize;

fn recorded_pods() -> Vec<Pod> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/data/resources.jsonl.gz");
    let mut pods = Vec::new();
    conformance::for_each_case(&path, |_, case| {
        pods.push(Pod::deserialize(&case["pod"])?);
        Ok(())
    })
    .unwrap();
    pods
}

/// Every quantity in the containers of the pods, as text.
fn recorded_quantities(pods: &[Pod]) -> Vec<String> {
    let specs = pods.iter().filter_map(|pod| pod.spec.as_ref());
    specs
        .flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()))
        .filter_map(|container| container.resources.as_ref())
        .flat_map(|resources| [&resources.requests, &resources.limits])
        .flatten()
        .flat_map(|list| list.values().map(|quantity| quantity.0.clone()))
        .collect()
}

/// Benchmarks one call on each of the inputs in turn.
fn bench<T>(c: &mut Criterion, name: &str, inputs: &[T], mut call: impl FnMut(&T)) {
    inputs.iter().for_each(&mut call);
    let allocations = allocation_counter::measure(|| inputs.iter().for_each(&mut call));
    let calls = u64::try_from(inputs.len()).unwrap();
    println!("{name}: {} allocations in {calls} calls", allocations.count_total);
    let mut turn = inputs.iter().cycle();
    c.bench_function(name, |b| b.iter(|| call(black_box(turn.next().unwrap()))));
}

fn resources(c: &mut Criterion) {
    let pods = recorded_pods();
    let gates = FeatureGates::default();
    let compile = |pod: &Pod| PodResources::compile(pod, gates).unwrap();
    let compiled = pods.iter().map(compile).collect::<Vec<_>>();
    let options = PodResourcesOptions::default();
    let mut list = ResourceList::new();

    bench(c, "quantity_from_text", &recorded_quantities(&pods), |text| {
        let _ = black_box(text.parse::<Quantity>());
    });
    bench(c, "pod_requests_of_a_compiled_pod", &compiled, |pod| {
        pod_requests(pod, &options, &mut list);
        black_box(&list);
    });
    bench(c, "pod_limits_of_a_compiled_pod", &compiled, |pod| {
        pod_limits(pod, &options, &mut list);
        black_box(&list);
    });
    bench(c, "init_only_requests_of_a_compiled_pod", &compiled, |pod| {
        init_only_requests(pod, &options, &mut list);
        black_box(&list);
    });
    bench(c, "qos_class_of_a_compiled_pod", &compiled, |pod| {
        black_box(qos_class(pod));
    });
    bench(c, "pod_requests_of_an_api_pod", &pods, |pod| {
        let _ = black_box(pod_requests_of(pod, gates, &options));
    });
    bench(c, "compile", &pods, |pod| {
        let _ = black_box(PodResources::compile(pod, gates));
    });
}

/// A node that is half full.
fn node(pods: &[PodResources]) -> NodeUsage {
    let allocatable =
        r#"{"cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "110"}"#;
    let mut node = NodeUsage::new(&serde_json::from_str(allocatable).unwrap());
    for pod in pods {
        // What requests less than nothing is not counted.
        if node.pods() < node.max_pods() / 2 && node.fits(pod).is_ok() {
            let _ = node.add(pod);
        }
    }
    node
}

fn scheduler(c: &mut Criterion) {
    let gates = FeatureGates::default();
    let compile = |pod: &Pod| PodResources::compile(pod, gates).unwrap();
    let compiled = recorded_pods().iter().map(compile).collect::<Vec<_>>();
    let node = node(&compiled);

    bench(c, "fits_on_a_node", &compiled, |pod| {
        let _ = black_box(node.fits(pod));
    });
    let shape = [(0, 0), (100, 10)]
        .map(|(utilization, score)| UtilizationShapePoint { utilization, score });
    for (name, scorer) in [
        ("score_least_allocated", Scorer::least_allocated()),
        ("score_most_allocated", Scorer::most_allocated()),
        ("score_requested_to_capacity_ratio", Scorer::requested_to_capacity_ratio(shape).unwrap()),
        ("score_balanced_allocation", Scorer::balanced_allocation()),
    ] {
        bench(c, name, &compiled, |pod| {
            black_box(scorer.score(&node, pod));
        });
    }
}

criterion_group!(benches, resources, scheduler);
criterion_main!(benches);

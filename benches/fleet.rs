//! Fleets: what a life costs, in fleets of 10k, 100k and 1M pods, on one thread and on all.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use podinit::sim::Run;
use podinit::sim::fleet::{Durations, Fleet, PodScript, Random, Workload};
use podinit::{FeatureGates, PodSpec};
use serde_json::json;

/// Three init containers, the second failing once, one app, to Ready.
fn spec() -> PodSpec {
    let pod = serde_json::from_value(json!({
        "metadata": {"name": "web", "uid": "1"},
        "spec": {
            "initContainers": [
                {"name": "wait", "image": "tools:1"},
                {"name": "migrate", "image": "tools:1"},
                {"name": "warm", "image": "tools:1"},
            ],
            "containers": [{"name": "app", "image": "web:1"}],
        },
    }))
    .unwrap();
    PodSpec::compile(&pod, FeatureGates::default()).unwrap()
}

/// The same life for all.
fn same(_pod: u64, script: &mut PodScript) {
    for (container, exit_codes) in [&[0][..], &[1, 0], &[0]].into_iter().enumerate() {
        let runs = exit_codes.iter().map(|code| Run::ends(Duration::from_secs(2), *code));
        script.container_at(container).runs.extend(runs);
    }
}

/// Durations differ from pod to pod, and each run fails once in ten times.
struct Drawn(Durations);

impl Workload for Drawn {
    fn script(&self, pod: u64, script: &mut PodScript) {
        let mut random = Random::of_pod(1, pod);
        for container in 0..3 {
            let runs = &mut script.container_at(container).runs;
            while runs.len() < 4 && random.chance(100_000) {
                runs.push(Run::ends(self.0.draw(&mut random), 1));
            }
            runs.push(Run::ends(self.0.draw(&mut random), 0));
        }
    }
}

fn drawn() -> Drawn {
    Drawn(Durations::quantiles([1, 2, 3, 8, 60].map(Duration::from_secs)))
}

fn lives(c: &mut Criterion) {
    let specs = [spec()];
    let mut fleet = Fleet::new(&specs, same);
    fleet.run(0..1_000);
    let allocations = allocation_counter::measure(|| drop(black_box(fleet.run(0..1_000))));
    println!("1,000 lives: {} allocations", allocations.count_total);
    let mut group = c.benchmark_group("fleet");
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("whole_life", |b| b.iter(|| black_box(fleet.run(0..1_000))));
    group.sample_size(10);
    for pods in [10_000, 100_000, 1_000_000] {
        group.throughput(Throughput::Elements(pods));
        group.bench_function(BenchmarkId::new("drawn", pods), |b| {
            b.iter(|| black_box(Fleet::new(&specs, drawn()).run(0..pods)));
        });
        group.bench_function(BenchmarkId::new("drawn_parallel", pods), |b| {
            b.iter(|| black_box(Fleet::new(&specs, drawn()).run_parallel(0..pods)));
        });
    }
    group.finish();
}

criterion_group!(benches, lives);
criterion_main!(benches);

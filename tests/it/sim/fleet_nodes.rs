//! Pods that wait for each other on their nodes, and what fleets reserve and use.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use podinit::resources::{PodResources, ResourceName};
use podinit::sim::fleet::{Fleet, FleetSummary, Nodes, PodScript, Random};
use podinit::sim::{PodEvent, ProbeScript, Run, ScheduledEvent};
use podinit::{FeatureGates, PodSpec};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::sim::fleet::{pods, scripts};

const HORIZON: Duration = Duration::from_secs(2_000);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn nodes(pods: u64, pulls: u32, starts: u32) -> Nodes {
    Nodes::new(NonZeroU64::new(pods).unwrap())
        .max_parallel_image_pulls(NonZeroU32::new(pulls))
        .max_parallel_container_starts(NonZeroU32::new(starts))
}

/// A pod of one container for each image.
fn pod(containers: Value) -> PodSpec {
    let pod = json!({"metadata": {"name": "web", "uid": "1"}, "spec": {"containers": containers}});
    PodSpec::compile_unchecked(&serde_json::from_value(pod).unwrap(), FeatureGates::default())
        .unwrap()
}

/// When the pods of a fleet became ready, counted from each one's beginning.
fn ready(summary: &FleetSummary) -> Vec<Duration> {
    let histogram = summary.ready_after.histogram().unwrap();
    let values = histogram.iter_recorded();
    values
        .flat_map(|value| {
            let micros = histogram.lowest_equivalent(value.value_iterated_to());
            vec![Duration::from_micros(micros); value.count_at_value() as usize]
        })
        .collect()
}

/// As a distribution has it: three digits.
fn rounded(duration: Duration) -> Duration {
    let mut histogram = hdrhistogram::Histogram::<u64>::new(3).unwrap();
    let micros = u64::try_from(duration.as_micros()).unwrap();
    histogram.record(micros).unwrap();
    Duration::from_micros(histogram.lowest_equivalent(micros))
}

/// What `servers` at once, in the order of asking, make of requests: (when, how long) to when each
/// is done. Written without a queue of events: everybody takes the server that is free first.
fn serve(requests: &[(Duration, Duration)], servers: usize) -> Vec<Duration> {
    let mut order: Vec<usize> = (0..requests.len()).collect();
    order.sort_by_key(|request| (requests[*request].0, *request));
    let mut free = vec![Duration::ZERO; servers];
    let mut done = vec![Duration::ZERO; requests.len()];
    for request in order {
        let (at, lasts) = requests[request];
        let first = free.iter_mut().min().unwrap();
        *first = at.max(*first) + lasts;
        done[request] = *first;
    }
    done
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn pulls_and_starts_are_served_in_the_order_in_which_they_are_asked_for(
        pods in prop::collection::vec((0..30_u64, 0..20_u64, 0..10_u64), 1..12),
        pulls in 1..4_u32,
        starts in 1..4_u32,
    ) {
        // Each pod has an image of its own.
        let specs: Vec<PodSpec> = (0..pods.len())
            .map(|n| pod(json!([{"name": "app", "image": format!("image:{n}")}])))
            .collect();
        let workload = |pod: u64, script: &mut PodScript| {
            let (begins, pull, start) = pods[pod as usize];
            script.spec = pod as usize;
            script.begins_after = seconds(begins);
            script.container_at(0).image_pull_lasts = seconds(pull);
            script.container_at(0).start_lasts = seconds(start);
        };
        let mut fleet = Fleet::new(&specs, workload).nodes(nodes(100, pulls, starts));
        let summary = fleet.run(0..pods.len() as u64);

        let asked: Vec<_> = pods.iter().map(|pod| (seconds(pod.0), seconds(pod.1))).collect();
        let pulled = serve(&asked, pulls as usize);
        let asked: Vec<_> =
            pulled.iter().zip(&pods).map(|(at, pod)| (*at, seconds(pod.2))).collect();
        let started = serve(&asked, starts as usize);
        let mut expected: Vec<Duration> =
            started.iter().zip(&pods).map(|(at, pod)| rounded(*at - seconds(pod.0))).collect();
        expected.sort();
        prop_assert_eq!(ready(&summary), expected);
    }

    #[test]
    fn nodes_without_limits_change_nothing_where_pulls_take_no_time(
        pod in pods(),
        scripts in prop::collection::vec(scripts(), 1..5),
    ) {
        let workload = |pod: u64, script: &mut PodScript| {
            *script = scripts[pod as usize].clone();
            for container in 0..6 {
                script.container_at(container).image_pull_lasts = Duration::ZERO;
            }
        };
        let specs = [pod];
        let alone = Fleet::new(&specs, workload).horizon(HORIZON).run(0..scripts.len() as u64);
        let mut fleet = Fleet::new(&specs, workload).horizon(HORIZON).nodes(nodes(3, 0, 0));
        prop_assert_eq!(fleet.run(0..scripts.len() as u64), alone);
    }

    #[test]
    fn plain_simulation_and_automaton_use_the_same_resources(pod in pods(), script in scripts()) {
        // No container has that name; but plain simulation alone knows such events.
        let nothing = PodEvent::InstanceVanished { container: "none".into() };
        let resources = resources_of(&pod);
        let script = whole_seconds(&pod, script);
        let specs = [pod];
        let run = |plainly: bool| {
            let workload = |_: u64, own: &mut PodScript| {
                *own = script.clone();
                if plainly {
                    own.events.push(ScheduledEvent { at: seconds(1_999), event: nothing.clone() });
                }
            };
            let fleet = Fleet::new(&specs, workload).horizon(HORIZON);
            let summary = fleet.resources(std::slice::from_ref(&resources)).run(0..1);
            assert_eq!(summary.simulated_plainly, u64::from(plainly));
            summary.resources
        };
        prop_assert_eq!(run(false), run(true));
    }
}

/// The same in whole seconds, which is what statuses tell.
fn whole_seconds(pod: &PodSpec, mut script: PodScript) -> PodScript {
    let whole = |duration: &mut Duration| *duration = seconds(duration.as_secs());
    whole(&mut script.begins_after);
    script.events.iter_mut().for_each(|event| whole(&mut event.at));
    for slot in 0..pod.containers().len() {
        let script = script.container_at(slot);
        whole(&mut script.image_pull_lasts);
        whole(&mut script.start_lasts);
        script.runs.iter_mut().filter_map(|run| run.lasts.as_mut()).for_each(whole);
        let probes =
            [&mut script.startup_probe, &mut script.readiness_probe, &mut script.liveness_probe];
        for probe in probes {
            let ProbeScript { succeeds_after, fails_after } = probe;
            [succeeds_after, fails_after].into_iter().flatten().for_each(whole);
        }
    }
    script
}

/// A hundred millicores more for each container.
fn resources_of(pod: &PodSpec) -> PodResources {
    let list = |init: bool| -> Vec<Value> {
        let containers = pod.containers().iter().enumerate();
        let own =
            containers.filter(|(_, c)| (c.kind() != podinit::pod::ContainerKind::App) == init);
        own.map(|(n, container)| {
            let cpu = format!("{}m", 100 * (n + 1));
            json!({
                "name": container.name().as_str(),
                "restartPolicy": container.is_restartable_init_container().then_some("Always"),
                "resources": {"requests": {"cpu": cpu}},
            })
        })
        .collect()
    };
    let pod = json!({"spec": {"initContainers": list(true), "containers": list(false)}});
    PodResources::compile(&serde_json::from_value(pod).unwrap(), FeatureGates::default()).unwrap()
}

/// Pods of one spec whose first pull takes 10 s.
fn pull_storm(containers: Value, failures: u32, pods: u64) -> FleetSummary {
    let specs = [pod(containers)];
    let workload = |_pod: u64, script: &mut PodScript| {
        script.container_at(0).image_pull_lasts = seconds(10);
        script.container_at(0).image_pull_failures = failures;
    };
    Fleet::new(&specs, workload).nodes(nodes(100, 1, 0)).run(0..pods)
}

#[test]
fn an_image_that_another_pod_has_pulled_is_waited_for_but_not_pulled_again() {
    let summary = pull_storm(
        json!([{"name": "app", "image": "a:1", "imagePullPolicy": "IfNotPresent"}]),
        0,
        4,
    );
    assert_eq!(ready(&summary), [rounded(seconds(10)); 4]);
    assert_eq!(summary.image_pull_waits.count(), 4);
    assert_eq!(summary.image_pull_waits.quantile(250), Some(Duration::ZERO));
}

#[test]
fn a_pod_that_comes_later_finds_the_image() {
    for (policy, waits) in [("IfNotPresent", 1), ("Always", 2)] {
        let specs = [pod(json!([{"name": "app", "image": "a:1", "imagePullPolicy": policy}]))];
        let workload = |pod: u64, script: &mut PodScript| {
            script.begins_after = seconds(100 * pod);
            script.container_at(0).image_pull_lasts = seconds(10);
        };
        let summary = Fleet::new(&specs, workload).nodes(nodes(100, 1, 0)).run(0..2);
        assert_eq!(ready(&summary), [Duration::ZERO, rounded(seconds(10))], "{policy}");
        assert_eq!(summary.image_pull_waits.count(), waits, "{policy}");
    }
}

#[test]
fn pods_on_different_nodes_do_not_wait_for_each_other() {
    let specs = [pod(json!([{"name": "app", "image": "a:1"}]))];
    let workload = |_pod: u64, script: &mut PodScript| {
        script.container_at(0).image_pull_lasts = seconds(10);
    };
    let summary = Fleet::new(&specs, workload).nodes(nodes(1, 1, 1)).run(0..3);
    assert_eq!(ready(&summary), [rounded(seconds(10)); 3]);
    assert_eq!(summary.image_pull_waits.quantile(1_000), Some(Duration::ZERO));
}

#[test]
fn a_pull_that_fails_takes_its_turn_and_leaves_no_image() {
    // Both pods fail first, one after the other, and are held back for 10 s from then on.
    let summary = pull_storm(json!([{"name": "app", "image": "a:1"}]), 1, 2);
    // Pod 0 fails at 10 s and pulls from 20 s, when pod 1 has failed, to 30 s; pod 1 asks then.
    assert_eq!(ready(&summary), [rounded(seconds(30)); 2]);
    assert_eq!(summary.statuses.len(), 4, "{:?}", summary.statuses.keys());
}

#[test]
fn one_container_is_pulled_while_the_one_before_it_runs() {
    let containers = json!([{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}]);
    let specs = [pod(containers)];
    let workload = |_pod: u64, script: &mut PodScript| {
        script.container_at(0).runs.push(Run::ends(seconds(5), 0));
        script.container_at(0).runs.push(Run::FOREVER);
        script.container_at(1).image_pull_lasts = seconds(60);
    };
    let summary = Fleet::new(&specs, workload).nodes(nodes(1, 1, 0)).run(0..1);
    // The end of the first container after 5 s is seen when the second one has been started.
    assert_eq!(summary.restarts, 1);
    assert_eq!(ready(&summary), [rounded(seconds(60))]);
}

/// Pods with many ways of waiting.
fn mixed(pod: u64, script: &mut PodScript) {
    let mut random = Random::of_pod(11, pod);
    script.begins_after = Duration::from_millis(random.below(30_000));
    for container in 0..2 {
        let script = script.container_at(container);
        script.image_pull_lasts = Duration::from_millis(random.below(9_000));
        script.start_lasts = Duration::from_millis(random.below(900));
        script.image_pull_failures = u32::from(random.chance(50_000));
        if random.chance(300_000) {
            script.runs.push(Run::ends(Duration::from_millis(random.below(9_000)), 1));
        }
        script.runs.push(Run::ends(Duration::from_millis(random.below(90_000)), 0));
    }
    if random.chance(50_000) {
        let at = Duration::from_millis(random.below(60_000));
        let event = PodEvent::PodDeleted { grace_period_seconds: 30 };
        script.events.push(ScheduledEvent { at, event });
    }
}

fn mixed_specs() -> ([PodSpec; 1], [PodResources; 1]) {
    let pod = json!({
        "metadata": {"name": "web", "uid": "1"},
        "spec": {
            "restartPolicy": "OnFailure",
            "initContainers": [
                {"name": "setup", "image": "a:1",
                 "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}},
            ],
            "containers": [
                {"name": "app", "image": "b:1",
                 "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}}},
            ],
        },
    });
    let pod = serde_json::from_value(pod).unwrap();
    let gates = FeatureGates::default();
    let spec = PodSpec::compile_unchecked(&pod, gates).unwrap();
    ([spec], [PodResources::compile(&pod, gates).unwrap()])
}

#[test]
fn runs_of_whole_nodes_can_be_merged() {
    let (specs, resources) = mixed_specs();
    let fleet = || Fleet::new(&specs, mixed).nodes(nodes(20, 2, 1)).resources(&resources);
    let whole = fleet().run(0..1_000);
    let mut parts = fleet();
    let mut merged = FleetSummary::default();
    for pods in [500..1_000, 0..20, 20..500] {
        merged.merge(&parts.run(pods));
    }
    assert_eq!(merged, whole);
    assert!(whole.ends.deleted > 0 && whole.image_pull_waits.count() > 100);
}

#[cfg(feature = "rayon")]
#[test]
fn the_number_of_threads_changes_nothing_on_nodes() {
    let (specs, resources) = mixed_specs();
    let fleet = || Fleet::new(&specs, mixed).nodes(nodes(30, 2, 3)).resources(&resources);
    let alone = fleet().run(17..5_017);
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(pool.install(|| fleet().run_parallel(17..5_017)), alone, "{threads} threads");
    }
}

#[test]
fn a_storm_on_a_node_is_told_with_waits_and_resources() {
    let (specs, resources) = mixed_specs();
    let mut fleet = Fleet::new(&specs, mixed).nodes(nodes(50, 1, 1)).resources(&resources);
    insta::assert_snapshot!(fleet.run(0..200));
}

/// What a fleet of one pod uses of the CPU, as text, at each second.
fn cpu(pod: Value, script: impl Fn(u64, &mut PodScript)) -> Vec<(u64, String, String)> {
    let pod = serde_json::from_value(pod).unwrap();
    let gates = FeatureGates::default();
    let specs = [PodSpec::compile_unchecked(&pod, gates).unwrap()];
    let resources = [PodResources::compile(&pod, gates).unwrap()];
    let summary = Fleet::new(&specs, script).resources(&resources).run(0..1);
    let samples = summary.resources.samples(&ResourceName::CPU);
    samples.map(|s| (s.at.as_secs(), s.reserved.to_string(), s.used.to_string())).collect()
}

fn one_each(overhead: Value, level: Value) -> Value {
    json!({
        "metadata": {"name": "web", "uid": "1"},
        "spec": {
            "restartPolicy": "Never",
            "overhead": overhead,
            "resources": level,
            "initContainers": [
                {"name": "setup", "resources": {"requests": {"cpu": "500m"}}},
            ],
            "containers": [{"name": "app", "resources": {"requests": {"cpu": "200m"}}}],
        },
    })
}

fn setup_then_app(_pod: u64, script: &mut PodScript) {
    script.begins_after = seconds(1);
    script.container_at(0).runs.push(Run::ends(seconds(2), 0));
    script.container_at(1).runs.push(Run::ends(seconds(1), 0));
}

fn rows(rows: &[(u64, &str, &str)]) -> Vec<(u64, String, String)> {
    rows.iter().map(|(at, reserved, used)| (*at, (*reserved).into(), (*used).into())).collect()
}

#[test]
fn what_is_used_follows_the_containers_that_run_and_what_is_reserved_does_not() {
    assert_eq!(
        cpu(one_each(Value::Null, Value::Null), setup_then_app),
        rows(&[
            (0, "0", "0"),
            (1, "500m", "500m"),
            (2, "500m", "500m"),
            (3, "500m", "200m"),
            (4, "0", "0")
        ])
    );
}

#[test]
fn overhead_and_pod_level_requests_are_used_from_beginning_to_end() {
    assert_eq!(
        cpu(one_each(json!({"cpu": "10m"}), Value::Null), setup_then_app)[1..4],
        rows(&[(1, "510m", "510m"), (2, "510m", "510m"), (3, "510m", "210m")])
    );
    assert_eq!(
        cpu(one_each(Value::Null, json!({"requests": {"cpu": "600m"}})), setup_then_app),
        rows(&[
            (0, "0", "0"),
            (1, "600m", "600m"),
            (2, "600m", "600m"),
            (3, "600m", "600m"),
            (4, "0", "0")
        ])
    );
}

#[test]
fn long_times_are_sampled_at_larger_distances_and_to_the_same_sums() {
    let long = |_pod: u64, script: &mut PodScript| {
        script.container_at(0).runs.push(Run::ends(seconds(3_000), 0));
        script.container_at(1).runs.push(Run::ends(seconds(7_001), 0));
    };
    let samples = cpu(one_each(Value::Null, Value::Null), long);
    assert_eq!((samples[1].0, samples.len()), (4, 2_502), "every 4 s, until after 10,001 s");
    assert_eq!(samples[749], (2_996, "500m".into(), "500m".into()));
    assert_eq!(samples[750], (3_000, "500m".into(), "200m".into()));
    assert_eq!(samples[2_500], (10_000, "500m".into(), "200m".into()));
    assert_eq!(samples[2_501], (10_004, "0".into(), "0".into()));
}

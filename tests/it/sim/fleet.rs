//! A fleet says of each pod what the plain simulation says of it.

use std::collections::BTreeMap;
use std::time::Duration;

use harness::with;
use podinit::kubectl::StatusColumn;
use podinit::sim::fleet::{
    Distribution, Ends, Fleet, FleetSummary, PodScript, Random, StatusTally, Workload,
};
use podinit::sim::{
    ContainerScript, End, PodEvent, ProbeScript, Run, ScheduledEvent, Timeline, simulate,
};
use podinit::status::condition_type;
use podinit::worker::{Eviction, WorkerSettings};
use podinit::{KubernetesVersion, PodSpec};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::cases;

const HORIZON: Duration = Duration::from_secs(2_000);

/// A workload of one pod.
struct Once(PodScript);

impl Workload for Once {
    fn script(&self, _pod: u64, script: &mut PodScript) {
        *script = self.0.clone();
    }
}

/// What of a timeline is in a summary.
#[derive(Debug, PartialEq)]
struct Facts {
    ready_after: Option<Duration>,
    initialized_after: Option<Duration>,
    statuses: BTreeMap<StatusColumn, StatusTally>,
    restarts: u64,
    end: Ends,
}

/// The duration of a distribution of one at the most. Distributions have three digits: where the
/// expected duration is recorded as the same, it is that one.
fn only(distribution: &Distribution, expected: Option<Duration>) -> Option<Duration> {
    let recorded = distribution.quantile(0)?;
    let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap();
    let same = expected.filter(|expected| {
        distribution.histogram().unwrap().equivalent(micros(recorded), micros(*expected))
    });
    same.or(Some(recorded))
}

fn of_timeline(pod: &PodSpec, timeline: &Timeline, horizon: Duration) -> Facts {
    let first = |condition| {
        let step = timeline.steps.iter().find(|step| step.api_status.is_condition_true(condition));
        step.map(|step| step.at)
    };
    let mut statuses: BTreeMap<StatusColumn, StatusTally> = BTreeMap::new();
    let mut words: Vec<(StatusColumn, Duration)> =
        timeline.steps.iter().map(|step| (step.api_columns(pod).status, step.at)).collect();
    words.dedup_by(|later, earlier| later.0 == earlier.0);
    let end = match timeline.end {
        End::Terminal | End::Deleted => timeline.steps.last().unwrap().at,
        _ => horizon,
    };
    for (position, (word, since)) in words.iter().enumerate() {
        let next = words.get(position + 1).map(|next| next.1);
        let tally = statuses.entry(word.clone()).or_default();
        tally.entered += 1;
        tally.nanos += (next.unwrap_or(end) - *since).as_nanos();
        tally.last += u64::from(next.is_none());
    }
    let last = &timeline.steps.last().unwrap().status;
    let all = last.init_container_statuses.iter().chain(&last.container_statuses);
    Facts {
        ready_after: first(condition_type::READY),
        initialized_after: first(condition_type::INITIALIZED),
        statuses,
        restarts: all.map(|status| u64::try_from(status.restart_count).unwrap()).sum(),
        end: match timeline.end {
            End::Terminal => with!(Ends { terminal: 1, ..Ends::default() }),
            End::Deleted => with!(Ends { deleted: 1, ..Ends::default() }),
            End::Steady => with!(Ends { steady: 1, ..Ends::default() }),
            _ => with!(Ends { truncated: 1, ..Ends::default() }),
        },
    }
}

fn of_summary(summary: &FleetSummary, expected: &Facts) -> Facts {
    assert_eq!((summary.pods, summary.simulated_plainly), (1, 0), "the automaton covers it");
    Facts {
        ready_after: only(&summary.ready_after, expected.ready_after),
        initialized_after: only(&summary.initialized_after, expected.initialized_after),
        statuses: summary.statuses.clone(),
        restarts: summary.restarts,
        end: summary.ends,
    }
}

fn probe() -> impl Strategy<Value = Value> {
    prop_oneof![2 => Just(Value::Null), 1 => Just(json!({"exec": {"command": ["true"]}}))]
}

fn rules() -> impl Strategy<Value = Value> {
    let rule = (prop_oneof![Just("Restart"), Just("RestartAllContainers")], 1..4).prop_map(
        |(action, code)| json!([{"action": action, "exitCodes": {"operator": "In", "values": [code]}}]),
    );
    prop_oneof![4 => Just(Value::Null), 1 => rule]
}

fn container(init: bool) -> impl Strategy<Value = Value> {
    (0..3_u8, probe(), probe(), probe(), rules(), 0..3_usize, 0..2_u8).prop_map(
        move |(kind, startup, readiness, liveness, rules, image, pull)| {
            let mut container = json!({"image": format!("image:{image}")});
            if pull == 0 {
                container["imagePullPolicy"] = "Always".into();
            }
            let sidecar = init && kind == 0;
            if sidecar {
                container["restartPolicy"] = "Always".into();
            } else if !rules.is_null() {
                container["restartPolicy"] = "Never".into();
                container["restartPolicyRules"] = rules;
            }
            if sidecar || !init {
                container["startupProbe"] = startup;
                container["readinessProbe"] = readiness;
                container["livenessProbe"] = liveness;
            }
            container
        },
    )
}

pub fn pods() -> impl Strategy<Value = PodSpec> {
    const VERSIONS: [KubernetesVersion; 4] = [
        KubernetesVersion::V1_29,
        KubernetesVersion::V1_33,
        KubernetesVersion::V1_36,
        KubernetesVersion::V1_37,
    ];
    (
        prop::collection::vec(container(true), 0..4),
        prop::collection::vec(container(false), 1..3),
        prop_oneof![Just("Always"), Just("OnFailure"), Just("Never")],
        prop_oneof![3 => Just(None), 1 => (1..100_u32).prop_map(Some)],
        prop::sample::select(&VERSIONS[..]),
    )
        .prop_map(|(mut init, mut apps, policy, deadline, version)| {
            for (position, container) in init.iter_mut().chain(&mut apps).enumerate() {
                container["name"] = format!("c{position}").into();
            }
            let pod = json!({
                "metadata": {"name": "web", "uid": "1"},
                "spec": {
                    "initContainers": init, "containers": apps,
                    "restartPolicy": policy, "activeDeadlineSeconds": deadline,
                },
            });
            let pod = serde_json::from_value(pod).unwrap();
            PodSpec::compile_unchecked(&pod, version.feature_gates()).unwrap()
        })
}

fn span() -> impl Strategy<Value = Duration> {
    // Whole seconds, so that things happen at the same instant; and others.
    prop_oneof![4 => (0..20_u64).prop_map(Duration::from_secs), 1 => (0..90_000_u64).prop_map(Duration::from_millis)]
}

/// How long a pull or a start takes.
fn takes() -> impl Strategy<Value = Duration> {
    prop_oneof![3 => Just(Duration::ZERO), 1 => span()]
}

/// What the automaton knows of.
fn event() -> impl Strategy<Value = ScheduledEvent> {
    let event = prop_oneof![
        2 => Just(PodEvent::SandboxLost),
        2 => Just(PodEvent::InitRecordsRemoved),
        1 => (0..60_i64).prop_map(|grace_period_seconds| PodEvent::PodDeleted { grace_period_seconds }),
        1 => Just(PodEvent::Evicted(Eviction::evicted("The node was low on resource: memory.", None))),
    ];
    (span(), event).prop_map(|(at, event)| ScheduledEvent { at, event })
}

fn probe_script() -> impl Strategy<Value = ProbeScript> {
    (prop::option::of(span()), prop::option::weighted(0.3, span()))
        .prop_map(|(succeeds_after, fails_after)| ProbeScript { succeeds_after, fails_after })
}

fn script() -> impl Strategy<Value = ContainerScript> {
    let run = (
        prop::option::weighted(0.9, span()),
        prop_oneof![3 => Just(0), 2 => 0..5_i32, 1 => Just(137)],
    )
        .prop_map(|(lasts, exit_code)| {
            let reason = (exit_code == 137).then(|| "OOMKilled".into());
            Run { lasts, exit_code, reason }
        });
    let few = || prop_oneof![4 => Just(0), 1 => 0..4_u32];
    (
        prop::collection::vec(run, 0..4),
        (few(), few(), few()),
        (probe_script(), probe_script(), probe_script()),
        (takes(), takes()),
    )
        .prop_map(
            |(runs, (pulls, creates, starts), (startup, readiness, liveness), (pull, start))| {
                ContainerScript {
                    image_pull_lasts: pull,
                    start_lasts: start,
                    image_pull_failures: pulls,
                    create_failures: creates,
                    start_failures: starts,
                    startup_probe: startup,
                    readiness_probe: readiness,
                    liveness_probe: liveness,
                    ..ContainerScript::runs(runs)
                }
            },
        )
}

pub fn scripts() -> impl Strategy<Value = PodScript> {
    let events = prop_oneof![3 => Just(0..1), 1 => Just(1..4)]
        .prop_flat_map(|count| prop::collection::vec(event(), count));
    (prop::collection::vec(script(), 6), 0..2_000_u64, events).prop_map(
        |(containers, begins, events)| {
            let mut script = PodScript::default();
            script.events = events;
            script.begins_after = Duration::from_millis(begins);
            for (slot, container) in containers.into_iter().enumerate() {
                *script.container_at(slot) = container;
            }
            script
        },
    )
}

fn check(pod: &PodSpec, script: &PodScript, horizon: Duration) -> Result<(), TestCaseError> {
    let scenario = script.scenario(pod, WorkerSettings::default(), horizon);
    let timeline = simulate(pod, &scenario);
    let specs = std::slice::from_ref(pod);
    let mut fleet = Fleet::new(specs, Once(script.clone())).horizon(horizon);
    let expected = of_timeline(pod, &timeline, horizon);
    prop_assert_eq!(&of_summary(&fleet.run(0..1), &expected), &expected);
    // The second time from the table alone.
    let states = fleet.states();
    prop_assert_eq!(&of_summary(&fleet.run(0..1), &expected), &expected);
    prop_assert_eq!(fleet.states(), states);
    Ok(())
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn a_fleet_of_one_lives_as_the_simulation_says(pod in pods(), script in scripts()) {
        check(&pod, &script, HORIZON)?;
    }

    #[test]
    fn what_was_learned_from_other_pods_changes_nothing(
        pod in pods(),
        scripts in prop::collection::vec(scripts(), 2..5),
    ) {
        let specs = std::slice::from_ref(&pod);
        let workload = |pod: u64, script: &mut PodScript| *script = scripts[pod as usize].clone();
        let mut fleet = Fleet::new(specs, workload).horizon(HORIZON);
        for (number, script) in scripts.iter().enumerate() {
            let summary = fleet.run(number as u64..number as u64 + 1);
            let scenario = script.scenario(&pod, WorkerSettings::default(), HORIZON);
            let expected = of_timeline(&pod, &simulate(&pod, &scenario), HORIZON);
            prop_assert_eq!(of_summary(&summary, &expected), expected);
        }
    }
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn a_fleet_counts_the_restarts_of_days_as_the_simulation_does(
        pod in pods(),
        mut script in scripts(),
        lasts in 1..90_u64,
    ) {
        for slot in 0..pod.containers().len() {
            script.container_at(slot).runs = vec![Run::ends(Duration::from_secs(lasts), 1)];
        }
        check(&pod, &script, Duration::from_secs(2 * 24 * 3_600))?;
    }
}

#[test]
fn an_init_container_that_fails_for_thirty_days_restarts_as_often_in_a_fleet_as_alone() {
    let pod = json!({
        "metadata": {"name": "web", "uid": "1"},
        "spec": {"initContainers": [{"name": "init"}], "containers": [{"name": "app"}]},
    });
    let gates = KubernetesVersion::V1_34.feature_gates();
    let pod = PodSpec::compile_unchecked(&serde_json::from_value(pod).unwrap(), gates).unwrap();
    let mut script = PodScript::default();
    script.container_at(0).runs = vec![Run::ends(Duration::from_secs(1), 1)];

    let horizon = Duration::from_secs(30 * 24 * 3_600);
    let alone = simulate(&pod, &script.scenario(&pod, WorkerSettings::default(), horizon));
    let alone = of_timeline(&pod, &alone, horizon).restarts;
    let fleet = Fleet::new(&[pod], Once(script)).horizon(horizon).run(0..1);
    assert_eq!((fleet.restarts, alone), (8_616, 8_616));
}

/// Lives that differ from pod to pod.
fn mixed(pod: u64, script: &mut PodScript) {
    let mut random = Random::of_pod(7, pod);
    script.spec = usize::from(random.chance(500_000));
    script.begins_after = Duration::from_millis(random.below(60_000));
    for container in 0..2 {
        let runs = &mut script.container_at(container).runs;
        if random.chance(100_000) {
            runs.push(Run::ends(Duration::from_millis(random.below(9_000)), 1));
        }
        runs.push(Run::ends(Duration::from_millis(random.below(9_000)), 0));
    }
}

fn spec(policy: &str) -> PodSpec {
    let pod = json!({
        "metadata": {"name": "web", "uid": "1"},
        "spec": {
            "restartPolicy": policy,
            "initContainers": [{"name": "a"}, {"name": "b"}],
            "containers": [{"name": "app"}],
        },
    });
    PodSpec::compile_unchecked(&serde_json::from_value(pod).unwrap(), Default::default()).unwrap()
}

#[test]
fn how_pods_are_divided_among_runs_changes_nothing() {
    let specs = ["Always", "Never"].map(spec);
    let whole = Fleet::new(&specs, mixed).run(0..3_000);
    let mut fleet = Fleet::new(&specs, mixed);
    let mut merged = FleetSummary::default();
    for pods in [2_000..3_000, 0..1, 1..2_000] {
        merged.merge(&fleet.run(pods));
    }
    assert_eq!(merged, whole);
    assert!(whole.ends.terminal > 0 && whole.restarts > 0 && whole.ready_after.count() > 2_000);
}

#[cfg(feature = "rayon")]
#[test]
fn the_number_of_threads_changes_nothing() {
    let specs = ["Always", "Never"].map(spec);
    let alone = Fleet::new(&specs, mixed).run(0..5_000);
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let together = pool.install(|| Fleet::new(&specs, mixed).run_parallel(0..5_000));
        assert_eq!(together, alone, "{threads} threads");
    }
}

#[test]
fn a_pod_with_too_many_containers_is_simulated_plainly_and_counted() {
    let containers: Vec<Value> = (0..17).map(|n| json!({"name": format!("c{n}")})).collect();
    let pod = json!({"metadata": {"name": "web"}, "spec": {"containers": containers}});
    let pod = serde_json::from_value(pod).unwrap();
    let specs = [PodSpec::compile_unchecked(&pod, Default::default()).unwrap()];
    let summary = Fleet::new(&specs, |_: u64, _: &mut PodScript| {}).run(0..3);
    assert_eq!((summary.pods, summary.simulated_plainly), (3, 3));
    let running = summary.statuses[&StatusColumn::Word("Running".into())];
    assert_eq!((running.entered, running.last), (3, 3));
}

#[test]
fn a_fleet_without_specs_has_no_pods() {
    assert_eq!(Fleet::new(&[], mixed).run(0..5), FleetSummary::default());
}

#[test]
fn a_summary_is_a_table_and_a_histogram() {
    let specs = ["Always", "Never"].map(spec);
    insta::assert_snapshot!(Fleet::new(&specs, mixed).horizon(HORIZON).run(0..1_000));
}

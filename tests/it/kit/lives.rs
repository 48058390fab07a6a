//! Properties over random lives.

use std::time::Duration;

use harness::scenario_options::ScenarioOptions;
use podinit::sim::{PodEvent, Scenario, simulate};
use podinit::status::StartFailures;
use podinit::testing::{
    AsyncController, AsyncDrivenRuntime, Controller, DrivenRuntime, Fact, Fault, Invariant,
    Kubelet, Life, LifeShape, PodShape, Trace, Upset, apply_worker_events, check, lives,
    observations, pods, reachable_observations, worker_events,
};
use podinit::worker::Eviction;
use podinit::{
    ActionContext, KubernetesVersion, PodPhase, PodSpec, PodStatus, PodWorker, StatusInputs,
    Timestamp, compute_pod_actions, generate_pod_status, sync_pod_async, validation,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::support::cases;

/// Lives of all kinds of pods.
fn any_lives() -> impl Strategy<Value = Life> {
    lives(&LifeShape { until: 150, ..LifeShape::default() })
}

/// Lives in which calls of the runtime go wrong.
fn troubled_lives() -> impl Strategy<Value = Life> {
    lives(&LifeShape { max_faults: 4, until: 120, ..LifeShape::default() })
}

/// Without what older versions do not have.
fn old_lives() -> impl Strategy<Value = Life> {
    use KubernetesVersion as V;
    let pods = PodShape {
        container_restart_policies: false,
        restart_rules: false,
        restart_all: false,
        ..PodShape::FULL
    };
    let versions =
        vec![V::V1_37, V::V1_35, V::V1_34, V::V1_33, V::V1_32, V::V1_31, V::V1_30, V::V1_29];
    lives(&LifeShape { pods, versions, until: 100, ..LifeShape::default() })
}

#[track_caller]
fn keeps_the_rules(trace: &Trace) -> Result<(), TestCaseError> {
    check(trace).map_err(|violation| TestCaseError::fail(format!("{violation}\n{trace}")))
}

/// What the kubelet does not keep either where the runtime has refused to remove the record of an
/// init container before the pod got another sandbox: `purgeInitContainers` logs that and goes on,
/// and `computeInitContainerActions` finds records by name, whatever sandbox they are of.
const NOT_AFTER_A_FAILED_REMOVAL: [Invariant; 2] =
    [Invariant::InitContainersInOrder, Invariant::AppsAfterInit];

#[track_caller]
fn keeps_the_rules_in_trouble(trace: &Trace) -> Result<(), TestCaseError> {
    let sandboxes = trace.entries().iter();
    let sandboxes = sandboxes.filter(|entry| matches!(entry.fact, Fact::SandboxStarted { .. }));
    if sandboxes.count() <= 1 {
        return keeps_the_rules(trace);
    }
    let rules = Invariant::ALL.iter().filter(|rule| !NOT_AFTER_A_FAILED_REMOVAL.contains(rule));
    for rule in rules {
        rule.check(trace)
            .map_err(|violation| TestCaseError::fail(format!("{violation}\n{trace}")))?;
    }
    Ok(())
}

/// A kubelet that does something to its worker before each sync.
struct Meddled<F>(Kubelet, F);

impl<F: FnMut(&PodSpec, &mut PodWorker)> Controller for Meddled<F> {
    fn sync(&mut self, pod: &PodSpec, runtime: &mut DrivenRuntime) {
        (self.1)(pod, self.0.worker_mut());
        self.0.sync(pod, runtime);
    }
    fn told(&mut self, event: PodEvent, now: Timestamp) {
        self.0.told(event, now);
    }
    fn wakes_at(&self) -> Option<Timestamp> {
        self.0.wakes_at()
    }
    fn status(&self) -> Option<&PodStatus> {
        self.0.status()
    }
    fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

/// The kubelet over async calls.
struct AsyncKubelet(Kubelet);

impl AsyncController for AsyncKubelet {
    async fn sync(&mut self, pod: &PodSpec, runtime: &mut AsyncDrivenRuntime) {
        let _ = sync_pod_async(self.0.worker_mut(), pod, runtime).await;
    }
    fn told(&mut self, event: PodEvent, now: Timestamp) {
        self.0.told(event, now);
    }
    fn wakes_at(&self) -> Option<Timestamp> {
        self.0.wakes_at()
    }
    fn status(&self) -> Option<&PodStatus> {
        self.0.status()
    }
    fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

fn kubelet() -> Kubelet {
    Kubelet::new(Scenario::default().settings)
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn every_life_keeps_every_invariant(life in any_lives()) {
        keeps_the_rules(&life.drive_kubelet().unwrap())?;
    }

    #[test]
    fn lives_with_faulty_runtimes_keep_every_invariant(life in troubled_lives()) {
        keeps_the_rules_in_trouble(&life.drive_kubelet().unwrap())?;
    }

    #[test]
    fn lives_under_older_and_newer_versions_keep_every_invariant(life in old_lives()) {
        keeps_the_rules(&life.drive_kubelet().unwrap())?;
    }

    #[test]
    fn an_async_controller_lives_as_a_blocking_one(life in troubled_lives()) {
        let blocking = life.drive_kubelet().unwrap();
        let mut controller = AsyncKubelet(kubelet());
        let asynchronous = pollster::block_on(life.drive_async(&mut controller)).unwrap();
        prop_assert_eq!(blocking.to_string(), asynchronous.to_string());
    }

    #[test]
    fn storing_and_restoring_the_worker_at_every_sync_changes_nothing(life in troubled_lives()) {
        let store = |_: &PodSpec, worker: &mut PodWorker| {
            let stored = serde_json::to_string(worker).unwrap();
            *worker = serde_json::from_str(&stored).unwrap();
        };
        let stored = life.drive(&mut Meddled(kubelet(), store)).unwrap();
        prop_assert_eq!(life.drive_kubelet().unwrap(), stored);
    }

    #[test]
    fn the_same_life_is_the_same_each_time(life in any_lives()) {
        prop_assert_eq!(life.drive_kubelet().unwrap(), life.drive_kubelet().unwrap());
        let spec = life.spec().unwrap();
        let scenario = life.scenario(&spec);
        prop_assert_eq!(simulate(&spec, &scenario), simulate(&spec, &scenario));
    }

    #[test]
    fn a_terminal_phase_stays_in_what_is_simulated(life in any_lives()) {
        let spec = life.spec().unwrap();
        let timeline = simulate(&spec, &life.scenario(&spec));
        let mut before: Option<PodPhase> = None;
        for step in &timeline.steps {
            let phase = step.api_status.phase;
            prop_assert!(before.is_none_or(|old| !old.is_terminal() || old == phase));
            before = Some(phase);
        }
    }

    #[test]
    fn asking_twice_with_the_same_facts_gives_the_same_answer(
        (life, observation) in reachable_observations(&LifeShape::default())
    ) {
        let spec = life.spec().unwrap();
        let ask = || compute_pod_actions(&spec, &observation, ActionContext::default());
        prop_assert_eq!(ask(), ask());
        let mut once = PodWorker::default();
        let now = Timestamp::from_secs(2_000_000_000);
        once.sync(&spec, &observation, now);
        let mut twice = once.clone();
        twice.sync(&spec, &observation, now);
        prop_assert_eq!(once.actions(), twice.actions());
    }

    #[test]
    fn every_pod_is_valid(pod in pods(&PodShape::FULL)) {
        let mut admitted = pod;
        let gates = KubernetesVersion::V1_36.feature_gates();
        podinit::admission::defaults::apply(&mut admitted, gates);
        prop_assert_eq!(validation::validate(&admitted, gates), Ok(()));
    }

    #[test]
    fn a_printed_pod_reads_as_the_same_pod(pod in pods(&PodShape::FULL)) {
        use podinit::manifest::{Object, ReadOptions, read};
        let text = podinit::testing::manifest(&pod);
        let documents = read(&text, &ReadOptions::strict()).unwrap();
        let Object::Pod(read) = &documents[0].object else { panic!("not a pod") };
        let spec = |pod| PodSpec::compile_unchecked(pod, KubernetesVersion::V1_36.feature_gates());
        prop_assert_eq!(spec(&pod).unwrap(), spec(read).unwrap());
    }

    #[test]
    fn simulate_reads_a_printed_life_as_the_same_life(life in troubled_lives()) {
        let mut expected = life.scenario(&life.spec().unwrap());
        // These it cannot be told.
        expected.events.retain(|scheduled| {
            !matches!(scheduled.event, PodEvent::KubeletRestarted | PodEvent::InitRecordsRemoved)
        });
        prop_assert_eq!(as_simulated(&life.to_string()), expected);
    }

    #[test]
    fn wild_observations_have_an_answer_too(
        (pod, observation) in pods(&PodShape::FULL).prop_flat_map(|pod| {
            let gates = KubernetesVersion::V1_36.feature_gates();
            let spec = PodSpec::compile_unchecked(&pod, gates).unwrap();
            let observation = observations(&spec);
            (Just(spec), observation)
        })
    ) {
        let decide = || compute_pod_actions(&pod, &observation, ActionContext::default());
        prop_assert_eq!(decide(), decide());
        let earlier = PodStatus::default();
        let failures = StartFailures::default();
        let inputs = StatusInputs::new(&pod, &observation, &earlier, &failures);
        let status = generate_pod_status(&inputs, None);
        prop_assert_eq!(status.container_statuses.len(), pod.app_containers().len());
    }

    #[test]
    fn a_worker_takes_any_sequence_of_events(
        (pod, events) in pods(&PodShape::FULL).prop_flat_map(|pod| {
            let gates = KubernetesVersion::V1_36.feature_gates();
            let spec = PodSpec::compile_unchecked(&pod, gates).unwrap();
            let events = worker_events(&spec, 40);
            (Just(spec), events)
        })
    ) {
        let begins_at = Timestamp::from_secs(500);
        let mut worker = PodWorker::default();
        let ends_at = apply_worker_events(&mut worker, &pod, &events, begins_at);
        prop_assert!(ends_at >= begins_at);
        let mut again = PodWorker::default();
        apply_worker_events(&mut again, &pod, &events, begins_at);
        prop_assert_eq!(worker, again);
    }
}

/// The calls that begin the second sandbox of this life, all of which go wrong one at a time.
#[test]
fn an_init_record_that_could_not_be_removed_counts_in_the_next_sandbox() {
    let pod = serde_json::from_value(serde_json::json!({"metadata": {"name": "web"}, "spec": {
        "initContainers": [{"name": "first", "image": "i"}, {"name": "last", "image": "i"}],
        "containers": [{"name": "app", "image": "a"}],
    }}))
    .unwrap();
    let mut quiet = Life::new(pod);
    quiet.until = 60;
    quiet.upsets.push(Upset { at: 20, event: PodEvent::SandboxLost });
    keeps_the_rules(&quiet.drive_kubelet().unwrap()).unwrap();
    let mut broken = Vec::new();
    for call in 0..100 {
        let mut life = quiet.clone();
        life.faults = life.faults.at(call, Fault::Fails);
        let trace = life.drive_kubelet().unwrap();
        keeps_the_rules_in_trouble(&trace).unwrap();
        broken.extend(check(&trace).err().map(|violation| violation.message));
    }
    // Only the one that fails to remove the last record.
    let early = "app container app was started before init container first has succeeded in \
                 sandbox web_default__1";
    assert_eq!(broken, [early]);
}

fn sampled(shape: &LifeShape) -> Vec<Life> {
    let mut runner = TestRunner::deterministic();
    let strategy = lives(shape);
    (0..300).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

#[test]
fn what_a_shape_asks_for_comes_and_what_it_leaves_out_does_not() {
    let kinds: [fn(&Life) -> bool; 5] = [
        |life| life.scripts.values().any(|script| script.image_pull_failures == 2),
        |life| life.scripts.values().any(|script| script.create_failures == 2),
        |life| life.scripts.values().any(|script| script.start_failures == 2),
        |life| life.scripts.values().any(|script| script.liveness_fails_after.is_some()),
        |life| life.upsets.iter().any(|upset| matches!(upset.event, PodEvent::Evicted(_))),
    ];
    let all = sampled(&LifeShape::default());
    assert!(kinds.iter().all(|kind| all.iter().any(kind)));
    let fewer = sampled(&LifeShape {
        max_start_failures: 1,
        liveness_failures: false,
        evictions: false,
        ..LifeShape::default()
    });
    assert!(!kinds.iter().any(|kind| fewer.iter().any(kind)));
    assert!(fewer.iter().flat_map(|life| life.scripts.values()).any(|s| s.start_failures == 1));
    let none = sampled(&LifeShape { max_start_failures: 0, ..LifeShape::default() });
    assert!(none.iter().flat_map(|life| life.scripts.values()).all(|s| s.start_failures == 0));
}

#[test]
fn a_driven_kubelet_stops_a_pod_that_is_evicted() {
    let pod = serde_json::from_value(serde_json::json!({"spec": {
        "containers": [{"name": "app", "image": "a"}],
    }}))
    .unwrap();
    let mut life = Life::new(pod);
    life.upsets.push(Upset { at: 20, event: PodEvent::Evicted(Eviction::preempted()) });
    let trace = life.drive_kubelet().unwrap();
    let last = trace.last_status().unwrap();
    assert_eq!((last.phase, last.reason.as_str()), (PodPhase::Failed, "Preempting"));
    assert!(trace.entries().iter().any(|entry| entry.fact == Fact::Evicted));
}

/// What `simulate` makes of a life as it is printed.
fn as_simulated(printed: &str) -> Scenario {
    use podinit::manifest::{Object, ReadOptions, read};
    let (manifest, rest) = printed.split_once("\n# simulate FILE.yaml ").unwrap();
    let documents = read(manifest, &ReadOptions::strict()).unwrap();
    let Object::Pod(pod) = &documents[0].object else { panic!("not a pod") };
    let mut options = ScenarioOptions::default();
    let mut arguments = rest.lines().next().unwrap().split(' ');
    let mut gates = KubernetesVersion::default().feature_gates();
    while let Some(argument) = arguments.next() {
        let value = arguments.next().unwrap();
        if argument == "--kubernetes" {
            gates = value.parse::<KubernetesVersion>().unwrap().feature_gates();
        } else {
            assert_eq!(options.take(argument, || Ok(value.into())), Ok(true), "{argument}");
        }
    }
    options.scenario(&PodSpec::compile_unchecked(pod, gates).unwrap()).unwrap()
}

#[test]
fn a_life_prints_as_a_manifest_and_a_command_line() {
    let pod = serde_json::from_value(serde_json::json!({"metadata": {"name": "web"}, "spec": {
        "restartPolicy": "Never",
        "containers": [{"name": "app", "image": "web:1", "restartPolicy": "OnFailure"}],
    }}))
    .unwrap();
    let mut life = Life::new(pod);
    let script = podinit::testing::Script {
        lasts: Some(7),
        failures: 1,
        exit_code: 3,
        image_pull_failures: 2,
        create_failures: 1,
        start_failures: 4,
        liveness_fails_after: Some(9),
    };
    life.scripts.insert("app".into(), script);
    for (at, event) in [
        (20, PodEvent::SandboxLost),
        (30, PodEvent::KubeletRestarted),
        (35, PodEvent::Evicted(Eviction::node_shutdown(30))),
        (40, PodEvent::PodDeleted { grace_period_seconds: 30 }),
    ] {
        life.upsets.push(Upset { at, event });
    }
    life.faults = life.faults.at(3, Fault::Slow(Duration::from_secs(2)));
    assert_eq!(
        life.to_string(),
        "\
{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {restartPolicy: Never,
containers: [{name: app, image: 'web:1', restartPolicy: OnFailure}]}}
# simulate FILE.yaml --run app=7s --fail app=3x1 --fail-pull app=2 --fail-create app=1 \
--fail-start app=4 --fail-liveness app=9s --reboot 20s --shutdown 35s --delete 40s --until 10m \
--kubernetes 1.36
# and at 30s: KubeletRestarted
# and call 3: Slow(2s)
"
    );
}

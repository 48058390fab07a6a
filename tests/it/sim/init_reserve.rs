//! What a simulated pod reserves only because of its init containers, over time.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use podinit::admission::defaults;
use podinit::pod::ContainerKind;
use podinit::resources::{PodResources, PodResourcesOptions, ResourceList};
use podinit::sim::{
    ContainerScript, InitReserve, Limits, PodEvent, Run, Scenario, Timeline, simulate,
};
use podinit::testing::{LifeShape, lives};
use podinit::{FeatureGates, PodSpec};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{S, cases};

const HOUR: Duration = Duration::from_secs(3_600);

fn ends(after: u64, exit_code: i32) -> ContainerScript {
    ContainerScript::runs([Run::ends(S(after), exit_code)])
}

/// An app that requests a quarter of a core, and before it `init`, which requests a whole one.
fn web(policy: &str) -> Value {
    json!({
        "restartPolicy": policy,
        "initContainers": [{"name": "init", "image": "db-tools:1",
            "resources": {"requests": {"cpu": "1"}}}],
        "containers": [{"name": "app", "image": "web:1",
            "resources": {"requests": {"cpu": "250m"}}}],
    })
}

fn compile(spec: &Value) -> (PodSpec, PodResources) {
    let json = json!({"metadata": {"name": "web", "namespace": "shop", "uid": "1"}, "spec": spec});
    let mut pod: Pod = serde_json::from_value(json).unwrap();
    let gates = FeatureGates::default();
    defaults::apply(&mut pod, gates);
    let resources = PodResources::compile(&pod, gates).unwrap();
    (PodSpec::compile_unchecked(&pod, gates).unwrap(), resources)
}

/// What it comes to until `until`.
fn reserve(spec: &Value, scenario: &Scenario, until: Duration) -> InitReserve {
    let (pod, resources) = compile(spec);
    simulate(&pod, scenario).init_reserve(&resources, &PodResourcesOptions::default(), until)
}

/// How many seconds the pod was initializing, and how many it was initialized.
fn seconds(reserve: &InitReserve) -> (u64, u64) {
    (reserve.initializing.as_secs(), reserve.initialized.as_secs())
}

#[test]
fn a_start_up_of_two_init_containers_and_a_sidecar_leaves_most_of_an_hour_idle() {
    let requests = |cpu: &str, memory: &str| json!({"requests": {"cpu": cpu, "memory": memory}});
    let spec = json!({
        "overhead": {"cpu": "50m"},
        "initContainers": [
            {"name": "fetch", "image": "git:1", "resources": requests("200m", "4Gi")},
            {"name": "proxy", "image": "proxy:1", "restartPolicy": "Always",
                "resources": requests("100m", "128Mi")},
            {"name": "migrate", "image": "db-tools:1", "resources": requests("1", "1Gi")},
        ],
        "containers": [{"name": "app", "image": "web:1", "resources": requests("250m", "896Mi")}],
    });
    // migrate fails once and is started again at once: 20 s + 15 s + 15 s. CPU is reserved for
    // migrate beside proxy, 1100m against 350m; memory for fetch, 4Gi against 1Gi.
    let migrate = ContainerScript::runs([Run::ends(S(15), 1), Run::ends(S(15), 0)]);
    let scenario = Scenario::default().script("fetch", ends(20, 0)).script("migrate", migrate);
    insta::assert_snapshot!(reserve(&spec, &scenario, HOUR), @"
    only for init containers: cpu: 750m, memory: 3Gi
    times 50s of initializing: cpu: 37500m, memory: 150Gi
    times 59m10s of lying idle: cpu: 2662500m, memory: 10650Gi
    ");
}

#[test]
fn a_pod_without_one_shot_init_containers_reserves_nothing_for_them() {
    let mut spec = web("Always");
    spec["initContainers"][0]["restartPolicy"] = "Always".into();
    let sidecar = reserve(&spec, &Scenario::default(), HOUR);
    spec["initContainers"] = json!([]);
    for reserve in [sidecar, reserve(&spec, &Scenario::default(), HOUR)] {
        assert_eq!(reserve.requests, ResourceList::new());
        assert_eq!(reserve.while_initializing(), ResourceList::new());
        assert_eq!(reserve.idle(), ResourceList::new());
        assert_eq!(seconds(&reserve), (0, 3_600));
        assert_eq!(reserve.to_string(), "nothing only for init containers");
    }
}

#[test]
fn a_pod_level_request_leaves_nothing_for_init_containers_only() {
    let mut spec = web("Always");
    spec["resources"] = json!({"requests": {"cpu": "2"}});
    let reserve = reserve(&spec, &Scenario::default().script("init", ends(30, 0)), HOUR);
    assert_eq!((seconds(&reserve), reserve.idle()), ((30, 3_570), ResourceList::new()));
}

#[test]
fn what_is_reserved_is_given_back_when_the_pod_has_ended() {
    let scenario = Scenario::default().script("init", ends(10, 0)).script("app", ends(50, 0));
    let job = reserve(&web("Never"), &scenario, HOUR);
    assert_eq!(seconds(&job), (10, 50));
    assert_eq!(job.idle().to_string(), "cpu: 37500m");
    // One that fails is never initialized.
    let scenario = Scenario::default().script("init", ends(10, 1));
    assert_eq!(seconds(&reserve(&web("Never"), &scenario, HOUR)), (10, 0));
}

#[test]
fn a_crash_loop_goes_on_initializing_for_as_long_as_one_looks() {
    let scenario = Scenario::default().script("init", ends(10, 1));
    assert_eq!(seconds(&reserve(&web("Always"), &scenario, HOUR)), (3_600, 0));
}

#[test]
fn a_pod_that_is_deleted_reserves_until_it_is_gone() {
    let scenario = Scenario::default()
        .script("init", ends(10, 0))
        .event(S(40), PodEvent::PodDeleted { grace_period_seconds: 30 });
    let reserve = reserve(&web("Always"), &scenario, HOUR);
    // The app stops as soon as it is asked to.
    assert_eq!(seconds(&reserve), (10, 30));
    assert_eq!(reserve.idle().to_string(), "cpu: 22500m");
}

#[test]
fn a_lost_sandbox_makes_the_pod_initialize_again_whether_its_condition_tells_or_not() {
    for policy in ["Always", "OnFailure"] {
        let scenario =
            Scenario::default().script("init", ends(20, 0)).event(S(100), PodEvent::SandboxLost);
        assert_eq!(seconds(&reserve(&web(policy), &scenario, HOUR)), (40, 3_560), "{policy}");
    }
}

#[test]
fn a_restart_in_place_makes_the_pod_initialize_again() {
    let mut spec = web("Never");
    spec["containers"][0]["restartPolicy"] = "Never".into();
    spec["containers"][0]["restartPolicyRules"] = json!([{
        "action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [88]},
    }]);
    let app = ContainerScript::runs([Run::ends(S(20), 88), Run::ends(S(30), 0)]);
    let scenario = Scenario::default().script("init", ends(5, 0)).script("app", app);
    assert_eq!(seconds(&reserve(&spec, &scenario, HOUR)), (10, 50));
}

#[test]
fn a_kubelet_that_restarts_changes_nothing() {
    let scenario =
        Scenario::default().script("init", ends(20, 0)).event(S(100), PodEvent::KubeletRestarted);
    assert_eq!(seconds(&reserve(&web("Always"), &scenario, HOUR)), (20, 3_580));
}

#[test]
fn pulls_before_the_first_start_count_as_initializing_and_those_of_apps_do_not() {
    let pulled = |seconds, script| ContainerScript { image_pull_lasts: S(seconds), ..script };
    let scenario = Scenario::default()
        .script("init", pulled(7, ends(20, 0)))
        .script("app", pulled(40, ContainerScript::FOREVER));
    assert_eq!(seconds(&reserve(&web("Always"), &scenario, HOUR)), (27, 3_573));
}

#[test]
fn only_what_lies_before_the_end_of_the_look_counts() {
    let scenario = Scenario::default().script("init", ends(30, 0));
    let until = |seconds_seen| seconds(&reserve(&web("Always"), &scenario, S(seconds_seen)));
    assert_eq!([until(0), until(29), until(30), until(31)], [(0, 0), (29, 0), (30, 0), (30, 1)]);
    // Beyond the limit of the simulation, it is taken to go on as it was.
    let limits = Limits { time: S(10), ..Limits::default() };
    assert_eq!(
        seconds(&reserve(&web("Always"), &Scenario { limits, ..scenario }, S(100))),
        (100, 0)
    );
}

/// Since which instant a one-shot init container has been running, if the status of a step shows one.
fn init_runs_since(timeline: &Timeline, step: usize, resources: &PodResources) -> Option<Duration> {
    let step = &timeline.steps[step];
    let begins_at = timeline.steps.first()?;
    step.status.init_container_statuses.iter().find_map(|status| {
        let index = resources.container_index(&status.name)?;
        let started = status.state.running.as_ref()?.started_at?;
        let beginning = begins_at.now.saturating_duration_since(started);
        (resources.container_kind(index) == ContainerKind::Init && beginning.is_zero())
            .then(|| begins_at.at + started.saturating_duration_since(begins_at.now))
    })
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn every_second_of_a_life_counts_once_and_none_in_which_an_init_container_runs_is_idle(
        life in lives(&LifeShape { until: 150, ..LifeShape::default() }),
    ) {
        let spec = life.spec().unwrap();
        let resources = PodResources::compile(&life.pod, life.version.feature_gates()).unwrap();
        let options = PodResourcesOptions::default();
        let timeline = simulate(&spec, &life.scenario(&spec));
        let at = |until| timeline.init_reserve(&resources, &options, until);
        let last = timeline.steps.last().map_or(Duration::ZERO, |step| step.at);
        let is_over = |step: &podinit::sim::Step| step.api_status.phase.is_terminal();
        let over = timeline.steps.iter().find(|step| is_over(step)).map(|step| step.at);
        let mut before = InitReserve::default();
        let mut since = Duration::ZERO;
        for (index, step) in timeline.steps.iter().enumerate() {
            let now = at(step.at);
            prop_assert_eq!(&now.requests, &resources.init_only_requests(&options));
            let counted = over.map_or(step.at, |over| over.min(step.at));
            prop_assert_eq!(now.initializing + now.initialized, counted);
            prop_assert!(now.initializing >= before.initializing && now.initialized >= before.initialized);
            if init_runs_since(&timeline, index, &resources).is_some_and(|started| started <= since) {
                prop_assert_eq!(now.initialized, before.initialized, "{}", timeline.table(&spec, Default::default()));
            }
            (before, since) = (now, step.at);
        }
        let later = at(last + HOUR);
        let end = over.unwrap_or(if timeline.end == podinit::sim::End::Deleted { last } else { last + HOUR });
        prop_assert_eq!(later.initializing + later.initialized, end);
    }
}

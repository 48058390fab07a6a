//! Stopping pods and containers: named cases and properties.

use std::time::Duration;

use podinit::actions::KillCause;
use podinit::observation::{ContainerInstance, InstanceState};
use podinit::termination::{
    GraceRequest, GraceSource, NextStep, SimulatedStop, StopBehaviour, StopOrder, Termination,
    TerminationPlan, Turn, container_grace_period, pod_grace_period, simulate,
};
use podinit::{FeatureGates, KubernetesVersion, Observation, PodSpec};
use proptest::prelude::*;
use serde_json::{Value, json};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn compile(spec: Value, gates: FeatureGates) -> PodSpec {
    let pod = serde_json::from_value(json!({"spec": spec})).unwrap();
    PodSpec::compile_unchecked(&pod, gates).unwrap()
}

/// Sidecars `s0`, `s1`, `s2`, the app `a`, 30 s of grace.
fn three_sidecars(version: KubernetesVersion) -> PodSpec {
    let sidecar = |name: &str| json!({"name": name, "restartPolicy": "Always"});
    let mut gates = version.feature_gates();
    gates.set_by_name("SidecarContainers", true).unwrap();
    compile(
        json!({
            "initContainers": [sidecar("s0"), sidecar("s1"), sidecar("s2")],
            "containers": [{"name": "a"}],
            "terminationGracePeriodSeconds": 30,
        }),
        gates,
    )
}

fn plan(pod: &PodSpec, running: &[&str], request: GraceRequest) -> TerminationPlan {
    let running = running.iter().map(|name| (pod.find(name).unwrap(), (*name).into()));
    TerminationPlan::for_pod(pod, running, request)
}

/// Everyone exits this long after SIGTERM.
fn exiting_after(plan: &TerminationPlan, span: Duration) -> Vec<SimulatedStop> {
    simulate(plan, |_| StopBehaviour { exits_after_sigterm: Some(span), pre_stop: span })
}

/// Name and time of SIGTERM of each, in the order of the plan.
fn asked(pod: &PodSpec, stops: &[SimulatedStop]) -> Vec<(String, Duration)> {
    let name = |stop: &SimulatedStop| pod.container(stop.container).name().to_string();
    stops.iter().map(|stop| (name(stop), stop.stop_requested_at)).collect()
}

fn times(expected: &[(&str, u64)]) -> Vec<(String, Duration)> {
    expected.iter().map(|(name, at)| ((*name).to_owned(), secs(*at))).collect()
}

#[test]
fn sidecars_stop_one_by_one_in_reverse_once_the_apps_are_gone() {
    let pod = three_sidecars(KubernetesVersion::V1_36);
    let plan = plan(&pod, &["s0", "s1", "s2", "a"], GraceRequest::default());
    let stops = exiting_after(&plan, secs(5));
    assert_eq!(asked(&pod, &stops), times(&[("a", 0), ("s2", 5), ("s1", 10), ("s0", 15)]));
}

#[test]
fn in_1_28_nobody_waits() {
    let pod = three_sidecars(KubernetesVersion::V1_28);
    let plan = plan(&pod, &["s0", "s1", "s2", "a"], GraceRequest::default());
    assert!(plan.stops().iter().all(|stop| stop.turn == Turn::AtOnce));
}

#[test]
fn a_sidecar_that_does_not_run_ends_the_chain_since_1_30_and_is_waited_for_in_1_29() {
    let running = ["s0", "s2", "a"];
    let pod = three_sidecars(KubernetesVersion::V1_30);
    let stops = exiting_after(&plan(&pod, &running, GraceRequest::default()), secs(5));
    assert_eq!(asked(&pod, &stops), times(&[("a", 0), ("s2", 5), ("s0", 5)]));

    let pod = three_sidecars(KubernetesVersion::V1_29);
    let stops = exiting_after(&plan(&pod, &running, GraceRequest::default()), secs(5));
    assert_eq!(asked(&pod, &stops), times(&[("a", 0), ("s2", 5), ("s0", 30)]));
}

#[test]
fn hooks_of_sidecars_run_at_once_and_their_time_is_taken_from_the_grace() {
    let hook = json!({"preStop": {"sleep": {"seconds": 10}}});
    let pod = compile(
        json!({
            "initContainers": [{"name": "s", "restartPolicy": "Always", "lifecycle": hook}],
            "containers": [{"name": "a", "lifecycle": hook}],
        }),
        FeatureGates::default(),
    );
    let plan = plan(&pod, &["s", "a"], GraceRequest::default());
    let orders = Termination::new(plan.clone()).step(Duration::ZERO).orders;
    assert!(
        matches!(orders[..], [StopOrder::RunPreStop { .. }, StopOrder::RunPreStop { .. }]),
        "{orders:?}"
    );
    let stops = exiting_after(&plan, Duration::from_millis(1_500));
    assert_eq!(stops[0].stop_requested_at, secs(10));
    assert_eq!(stops[1].stop_requested_at, Duration::from_millis(11_500));
    // 30 less 10 for the hook and 1 for the turn: parts of seconds do not count.
    assert_eq!((stops[0].grace_seconds, stops[1].grace_seconds), (20, 19));
}

#[test]
fn a_hook_that_does_not_end_is_left_alone_when_the_grace_is_over() {
    let hook = json!({"preStop": {"exec": {"command": ["sleep", "infinity"]}}});
    let pod = compile(
        json!({"containers": [{"name": "a", "lifecycle": hook}],
               "terminationGracePeriodSeconds": 7}),
        FeatureGates::default(),
    );
    let plan = plan(&pod, &["a"], GraceRequest::default());
    let stops =
        simulate(&plan, |_| StopBehaviour { pre_stop: Duration::MAX, ..Default::default() });
    assert_eq!((stops[0].stop_requested_at, stops[0].grace_seconds), (secs(7), 2));
    assert_eq!((stops[0].stopped_at, stops[0].killed_at_deadline), (secs(9), true));
}

#[test]
fn without_grace_there_is_no_hook_and_no_turn_but_two_seconds() {
    let hook = json!({"preStop": {"sleep": {"seconds": 10}}});
    let pod = compile(
        json!({
            "initContainers": [{"name": "s", "restartPolicy": "Always", "lifecycle": hook}],
            "containers": [{"name": "a", "lifecycle": hook}],
        }),
        FeatureGates::default(),
    );
    let request = GraceRequest { override_seconds: Some(0), ..Default::default() };
    let plan = plan(&pod, &["s", "a"], request);
    let mut termination = Termination::new(plan);
    let step = termination.step(Duration::ZERO);
    assert_eq!(
        step.orders[..],
        [
            StopOrder::Stop { stop: 0, grace_seconds: 2 },
            StopOrder::Stop { stop: 1, grace_seconds: 2 }
        ]
    );
    assert_eq!(step.next, NextStep::At(secs(2)));
}

#[test]
fn whoever_waits_for_a_container_that_cannot_be_stopped_waits_until_the_grace_is_over() {
    let pod = three_sidecars(KubernetesVersion::V1_36);
    let mut termination = Termination::new(plan(&pod, &["s2", "a"], GraceRequest::default()));
    let _ = termination.step(Duration::ZERO);
    termination.failed(0);
    assert_eq!(termination.step(secs(1)).next, NextStep::At(secs(30)));
    let step = termination.step(secs(30));
    assert_eq!(step.orders[..], [StopOrder::Stop { stop: 1, grace_seconds: 2 }]);
}

#[test]
fn an_app_that_ends_during_its_hook_counts_as_stopped_when_the_hook_has_ended() {
    let hook = json!({"preStop": {"exec": {}}});
    let pod = compile(
        json!({
            "initContainers": [{"name": "s", "restartPolicy": "Always"}],
            "containers": [{"name": "a", "lifecycle": hook}],
        }),
        FeatureGates::default(),
    );
    let mut termination = Termination::new(plan(&pod, &["s", "a"], GraceRequest::default()));
    let _ = termination.step(Duration::ZERO);
    termination.stopped(0);
    assert!(termination.step(secs(3)).orders.is_empty());
    termination.pre_stop_ended(0);
    // The app is not asked any more; the sidecar is.
    let step = termination.step(secs(8));
    assert_eq!(step.orders[..], [StopOrder::Stop { stop: 1, grace_seconds: 22 }]);
}

#[test]
fn running_instances_alone_are_stopped() {
    let pod = three_sidecars(KubernetesVersion::V1_36);
    let mut observation = Observation::new();
    let states = [
        ("a", InstanceState::Running),
        ("s0", InstanceState::Created),
        ("s1", InstanceState::Unknown),
    ];
    for (name, state) in states {
        observation.push_named(&pod, name, ContainerInstance::new(name, "sandbox", state));
    }
    let plan = TerminationPlan::for_observed(&pod, &observation, GraceRequest::default());
    let ids: Vec<_> = plan.stops().iter().map(|stop| stop.instance_id.as_str()).collect();
    assert_eq!(ids, ["a"]);
}

/// An app `a` with 60 s of grace.
fn app(version: KubernetesVersion) -> PodSpec {
    let spec = json!({"containers": [{"name": "a"}], "terminationGracePeriodSeconds": 60});
    compile(spec, version.feature_gates())
}

#[test]
fn the_grace_of_a_pod_is_the_shortest_that_was_asked_for() {
    use GraceSource::{Deletion, Minimum, Override, Spec};
    use KubernetesVersion::{V1_30, V1_31};
    #[rustfmt::skip]
    let table = [
        // deletion, override: since 1.31, up to 1.30
        (None,     None,     (60, Spec),     (60, Spec)),
        (Some(30), None,     (30, Deletion), (30, Deletion)),
        (Some(90), None,     (90, Deletion), (90, Deletion)),
        (None,     Some(10), (10, Override), (10, Override)),
        (Some(30), Some(10), (10, Override), (10, Override)),
        (Some(10), Some(30), (10, Deletion), (10, Deletion)),
        (Some(0),  Some(10), (10, Override), (10, Override)),
        (Some(-5), None,     (1, Minimum),   (1, Minimum)),
        (Some(0),  None,     (1, Minimum),   (60, Spec)),
        (None,     Some(0),  (1, Minimum),   (60, Spec)),
        (Some(10), Some(0),  (1, Minimum),   (60, Spec)),
    ];
    for (deletion, requested, since, until) in table {
        let request =
            GraceRequest { deletion_grace_period_seconds: deletion, override_seconds: requested };
        for (version, expected) in [(V1_31, since), (V1_30, until)] {
            let grace = pod_grace_period(&app(version), request, None);
            assert_eq!((grace.seconds, grace.source), expected, "{version}: {request:?}");
        }
    }
}

#[test]
fn the_grace_of_a_pod_that_is_being_stopped_only_shrinks() {
    let pod = app(KubernetesVersion::V1_36);
    let request = |seconds| GraceRequest { override_seconds: Some(seconds), ..Default::default() };
    let first = pod_grace_period(&pod, request(20), None);
    assert_eq!(pod_grace_period(&pod, request(40), Some(first)), first);
    assert_eq!(pod_grace_period(&pod, GraceRequest::default(), Some(first)), first);
    assert_eq!(pod_grace_period(&pod, request(5), Some(first)).seconds, 5);
}

#[test]
fn the_grace_of_a_failed_probe_counts_only_for_its_own_kill_and_not_in_a_deletion() {
    let pod = compile(
        json!({
            "containers": [{
                "name": "a",
                "livenessProbe": {"exec": {}, "terminationGracePeriodSeconds": 4},
                "startupProbe": {"exec": {}, "terminationGracePeriodSeconds": 5},
            }, {"name": "b", "livenessProbe": {"exec": {}}}],
            "terminationGracePeriodSeconds": 60,
        }),
        FeatureGates::default(),
    );
    let [a, b] = ["a", "b"].map(|name| pod.find(name).unwrap());
    let grace = |container, cause, request| {
        let grace = container_grace_period(&pod, container, cause, request);
        (grace.seconds, grace.source)
    };
    let (liveness, startup) =
        (Some(KillCause::LivenessProbeFailed), Some(KillCause::StartupProbeFailed));
    let none = GraceRequest::default();
    assert_eq!(grace(a, liveness, none), (4, GraceSource::LivenessProbe));
    assert_eq!(grace(a, startup, none), (5, GraceSource::StartupProbe));
    assert_eq!(grace(b, liveness, none), (60, GraceSource::Spec));
    assert_eq!(grace(a, Some(KillCause::DefinitionChanged), none), (60, GraceSource::Spec));
    assert_eq!(grace(a, None, none), (60, GraceSource::Spec));
    let deleted = GraceRequest { deletion_grace_period_seconds: Some(30), ..none };
    assert_eq!(grace(a, liveness, deleted), (30, GraceSource::Deletion));
    let overridden = GraceRequest { override_seconds: Some(0), ..deleted };
    assert_eq!(grace(a, liveness, overridden), (0, GraceSource::Override));
}

/// A container of a random pod: kind (0 regular init, 1 sidecar, 2 app), hook, running, behaviour.
#[derive(Clone, Debug)]
struct Drawn {
    kind: u8,
    sleep: Option<u8>,
    running: bool,
    exits_after: Option<u16>,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let sleep = prop::option::weighted(0.4, 0..70_u8);
    let exits_after = prop::option::weighted(0.7, 0..20_000_u16);
    (0..3_u8, sleep, prop::bool::weighted(0.8), exits_after)
        .prop_map(|(kind, sleep, running, exits_after)| Drawn { kind, sleep, running, exits_after })
}

/// A random pod, its running containers, and how they take being stopped.
struct Life {
    drawn: Vec<Drawn>,
    plan: TerminationPlan,
    grace: i64,
}

fn life() -> impl Strategy<Value = Life> {
    (prop::collection::vec(drawn(), 1..9), -1..40_i64).prop_map(|(mut drawn, grace)| {
        drawn.sort_by_key(|container| container.kind == 2);
        let declared = |(index, container): (usize, &Drawn)| {
            let mut declared = json!({"name": format!("c{index}")});
            if container.kind == 1 {
                declared["restartPolicy"] = "Always".into();
            }
            if let Some(seconds) = container.sleep {
                declared["lifecycle"] = json!({"preStop": {"sleep": {"seconds": seconds}}});
            }
            declared
        };
        let apps = drawn.iter().position(|container| container.kind == 2).unwrap_or(drawn.len());
        let declared: Vec<_> = drawn.iter().enumerate().map(declared).collect();
        let pod = compile(
            json!({"initContainers": declared[..apps], "containers": declared[apps..]}),
            FeatureGates::default(),
        );
        let containers = pod.init_containers().chain(pod.app_containers());
        let running = containers
            .filter(|index| drawn[index.slot()].running)
            .map(|index| (index, pod.container(index).name().clone()));
        let request = GraceRequest { override_seconds: Some(grace), ..Default::default() };
        let plan = TerminationPlan::for_pod(&pod, running, request);
        Life { drawn, plan, grace }
    })
}

impl std::fmt::Debug for Life {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Life").field("drawn", &self.drawn).field("grace", &self.grace).finish()
    }
}

impl Life {
    fn stops(&self) -> Vec<SimulatedStop> {
        simulate(&self.plan, |stop| StopBehaviour {
            exits_after_sigterm: self.drawn[stop.container.slot()]
                .exits_after
                .map(|millis| Duration::from_millis(millis.into())),
            ..Default::default()
        })
    }
}

proptest! {
    #[test]
    fn everyone_has_two_seconds_and_stops_within_its_grace(life in life()) {
        for stop in life.stops() {
            prop_assert!(stop.grace_seconds >= 2);
            let grace = secs(stop.grace_seconds.unsigned_abs());
            let took = stop.stopped_at - stop.stop_requested_at;
            prop_assert!(took <= grace);
            prop_assert_eq!(stop.killed_at_deadline, took == grace
                && life.drawn[stop.container.slot()].exits_after
                    .is_none_or(|millis| Duration::from_millis(millis.into()) > grace));
        }
    }

    #[test]
    fn a_pod_is_gone_less_than_three_seconds_after_its_grace(life in life()) {
        let limit = secs(life.grace.max(0).unsigned_abs() + 3);
        for stop in life.stops() {
            prop_assert!(stop.stopped_at < limit, "{stop:?}");
        }
    }

    #[test]
    fn a_sidecar_is_asked_after_every_app_and_the_next_sidecar_or_when_its_grace_is_over(
        life in life()
    ) {
        let stops = life.stops();
        let stopped_at = |slot: usize| {
            stops.iter().find(|stop| stop.container.slot() == slot).map(|stop| stop.stopped_at)
        };
        let slots = 0..life.drawn.len();
        let apps = slots.clone().filter(|slot| life.drawn[*slot].kind == 2);
        let apps_gone = apps.filter_map(stopped_at).max().unwrap_or_default();
        for stop in &stops {
            let slot = stop.container.slot();
            if life.drawn[slot].kind != 1 {
                continue;
            }
            let next = slots.clone().skip(slot + 1).find(|slot| life.drawn[*slot].kind == 1);
            let turn = next.and_then(stopped_at).map_or(apps_gone, |at| at.max(apps_gone));
            let grace_over = secs(life.grace.max(0).unsigned_abs());
            prop_assert!(stop.stop_requested_at >= turn.min(grace_over), "{stop:?}");
        }
    }

    #[test]
    fn a_step_in_between_or_again_orders_nothing(life in life()) {
        let mut termination = Termination::new(life.plan);
        let mut now = Duration::ZERO;
        loop {
            let step = termination.step(now);
            let again = termination.step(now);
            prop_assert!(again.orders.is_empty());
            prop_assert_eq!(again.next, step.next);
            // Nobody exits and no hook ends: whoever was killed is gone, then.
            let killed = step.orders.iter().filter_map(|order| match order {
                StopOrder::Kill { stop } => Some(*stop),
                _ => None,
            });
            killed.for_each(|stop| termination.stopped(stop));
            match termination.step(now).next {
                NextStep::At(at) => {
                    prop_assert!(at > now);
                    let between = termination.step(now + (at - now) / 2);
                    prop_assert!(between.orders.is_empty());
                    now = at;
                }
                next => {
                    prop_assert_eq!(next, NextStep::Done);
                    break;
                }
            }
        }
    }
}

//! What befalls a pod from outside while it lives.

use std::time::Duration;

use podinit::sim::{ContainerScript, PodEvent, Run, Scenario, Timeline, simulate};
use podinit::status::condition_type;
use podinit::worker::{Eviction, SyncAction};
use podinit::{FeatureGates, PodPhase, PodSpec};
use serde_json::json;

const S: fn(u64) -> Duration = Duration::from_secs;

/// One init container, one restartable one, one app container.
fn pod() -> PodSpec {
    let pod = serde_json::from_value(json!({
        "metadata": {"name": "web", "uid": "1"},
        "spec": {
            "initContainers": [
                {"name": "migrate", "image": "tools:1"},
                {"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"},
            ],
            "containers": [{"name": "app", "image": "web:1"}],
        },
    }));
    PodSpec::compile(&pod.unwrap(), FeatureGates::default()).unwrap()
}

fn life(event: PodEvent) -> Timeline {
    let migrate = ContainerScript::runs([Run::ends(S(5), 0)]);
    simulate(&pod(), &Scenario::default().script("migrate", migrate).event(S(60), event))
}

/// The successful starts from the event on.
fn starts_after_event(timeline: &Timeline) -> Vec<String> {
    let steps = timeline.steps.iter().filter(|step| step.at >= S(60));
    let results = steps.flat_map(|step| &step.results);
    results
        .filter(|result| result.action == SyncAction::StartContainer && result.error.is_none())
        .map(|result| result.target.to_string())
        .collect()
}

fn last_phase(timeline: &Timeline) -> PodPhase {
    timeline.steps.last().unwrap().status.phase
}

#[test]
fn a_new_image_of_an_init_container_restarts_nothing() {
    let timeline =
        life(PodEvent::ImageChanged { container: "migrate".into(), image: "tools:2".into() });
    assert_eq!(starts_after_event(&timeline), [""; 0]);
}

#[test]
fn a_new_image_of_an_app_or_restartable_init_container_restarts_it_alone() {
    for name in ["proxy", "app"] {
        let image = "new:2".into();
        let timeline = life(PodEvent::ImageChanged { container: name.into(), image });
        assert_eq!(starts_after_event(&timeline), [name]);
        let last = &timeline.steps.last().unwrap().status;
        let statuses = last.init_container_statuses.iter().chain(&last.container_statuses);
        let images: Vec<_> =
            statuses.filter(|status| status.name == name).map(|status| &status.image).collect();
        assert_eq!(images, ["new:2"]);
        assert_eq!(last.phase, PodPhase::Running);
    }
}

#[test]
fn a_container_that_vanishes_is_made_again_and_counts_as_restarted() {
    let timeline = life(PodEvent::InstanceVanished { container: "app".into() });
    assert_eq!(starts_after_event(&timeline), ["app"]);
    let app = &timeline.steps.last().unwrap().status.container_statuses[0];
    assert!(app.state.running.is_some());
    assert_eq!(app.restart_count, 1);
}

#[test]
fn a_runtime_that_cannot_be_asked_makes_nothing_count_as_gone() {
    let timeline = life(PodEvent::RuntimeUnavailable { lasts: S(30) });
    let quiet = life(PodEvent::KubeletRestarted);
    assert_eq!(starts_after_event(&timeline), [""; 0]);
    assert_eq!(last_phase(&timeline), PodPhase::Running);
    assert!(timeline.steps.iter().all(|step| step.at < S(60)), "nothing changed");
    assert_eq!(last_phase(&quiet), PodPhase::Running);
}

#[test]
fn a_kubelet_that_restarts_keeps_containers_running_and_ready() {
    let timeline = life(PodEvent::KubeletRestarted);
    assert_eq!(starts_after_event(&timeline), [""; 0]);
    let last = &timeline.steps.last().unwrap().status;
    assert!(last.is_condition_true(condition_type::READY));
}

#[test]
fn a_kubelet_that_restarts_forgets_the_back_off() {
    let crashing = ContainerScript::runs([Run::ends(S(1), 1)]);
    let life = |events: &[PodEvent]| {
        let mut scenario = Scenario::default().script("migrate", crashing.clone());
        scenario.limits.time = S(200);
        for event in events {
            scenario = scenario.event(S(30), event.clone());
        }
        simulate(&pod(), &scenario)
    };
    let first_start_from = |timeline: &Timeline, from: Duration| {
        let started = |step: &&podinit::sim::Step| {
            step.at >= from && step.runtime_calls.iter().any(|call| call.name == "StartContainer")
        };
        timeline.steps.iter().find(started).map(|step| step.at)
    };
    // Ends at 1, 2, 13, 34 s: without a restart the kubelet waits for 20 s from 13 s on.
    assert_eq!(first_start_from(&life(&[]), S(30)), Some(S(33)));
    assert_eq!(first_start_from(&life(&[PodEvent::KubeletRestarted]), S(30)), Some(S(30)));
}

#[test]
fn an_evicted_pod_fails_with_its_reason_and_says_what_disrupted_it() {
    let eviction = Eviction::evicted("The node was low on resource: memory.", Some(1));
    let timeline = life(PodEvent::Evicted(eviction));
    let last = &timeline.steps.last().unwrap().api_status;
    assert_eq!(last.phase, PodPhase::Failed);
    assert_eq!(last.reason, "Evicted");
    assert!(last.is_condition_true(condition_type::DISRUPTION_TARGET));
}

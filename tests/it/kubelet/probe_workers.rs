//! What the prober has to do with statuses: workers that are missing, results between two syncs.

use harness::with;
use podinit::KubernetesVersion::{V1_34, V1_36};
use podinit::observation::{ContainerInstance, MissingProbeWorkers, ProbeResult};
use podinit::sim::{ContainerScript, PodEvent, ProbeScript, Scenario, simulate};
use podinit::status::{ConditionStatus, PodCondition, condition_type};
use podinit::version::KnownBug;
use podinit::worker::{SyncKind, WorkerSettings};
use podinit::{NextSync, PodPhase, PodSpec, PodStatus, PodWorker};
use serde_json::{Value, json};

use crate::support::{S, at, columns, exited, observed, running, web, web_in};

const PROBE: fn() -> Value = || json!({"httpGet": {"port": 80}});

fn probed(probe: &str) -> PodSpec {
    web_in(V1_36, &json!({"containers": [{"name": "app", "image": "a:1", probe: PROBE()}]}))
}

fn unanswered() -> ContainerInstance {
    with!(ContainerInstance { startup_probe: Some(ProbeResult::Unknown), ..running() })
}

/// The status that a kubelet leaves behind with these instances.
fn left_behind(pod: &PodSpec, instances: &[(&str, ContainerInstance)]) -> PodStatus {
    let mut worker = PodWorker::default();
    let mut first = true;
    // The first sync is before there are probe workers.
    for second in [0, 1] {
        let seen = if std::mem::take(&mut first) { vec![] } else { instances.to_vec() };
        worker.sync(pod, &observed(pod, &seen), at(second));
    }
    worker.api_status().clone()
}

fn resumed(api: PodStatus, kubelet_started_at: u64) -> PodWorker {
    let settings = with!(WorkerSettings {
        kubelet_started_at: Some(at(kubelet_started_at)),
        ..WorkerSettings::default()
    });
    PodWorker::resume(settings, api)
}

fn shown(worker: &PodWorker, name: &str) -> (Option<bool>, bool) {
    let status = worker.api_status();
    let mut all = status.container_statuses.iter().chain(&status.init_container_statuses);
    let found = all.find(|status| status.name == name).unwrap();
    (found.started, found.ready)
}

#[test]
fn before_its_prober_is_there_a_restarted_kubelet_takes_every_container_for_started_and_ready() {
    let pod = probed("startupProbe");
    let api = left_behind(&pod, &[("app", unanswered())]);
    let mut worker = resumed(api.clone(), 100);
    worker.sync(&pod, &observed(&pod, &[("app", running())]), at(101));
    assert_eq!(shown(&worker, "app"), (Some(true), true));
    assert!(worker.api_status().is_condition_true(condition_type::READY));
    // And that stands, because the probe is not run in a container that counts as started.
    worker.sync(&pod, &observed(&pod, &[("app", running())]), at(102));
    assert_eq!(shown(&worker, "app"), (Some(true), true));

    // A result that is there counts; so it would be without the bug.
    let mut worker = resumed(api.clone(), 100);
    worker.sync(&pod, &observed(&pod, &[("app", unanswered())]), at(101));
    assert_eq!(shown(&worker, "app"), (Some(false), false));
    let mut gates = V1_36.feature_gates();
    gates.set_bug(KnownBug::PassedWithoutProbeWorker, false);
    let spec = json!({"containers": [{"name": "app", "image": "a:1", "startupProbe": PROBE()}]});
    let pod = web(gates, &spec);
    let mut worker = resumed(api, 100);
    worker.sync(&pod, &observed(&pod, &[("app", running())]), at(101));
    assert_eq!(shown(&worker, "app"), (Some(false), false));
}

#[test]
fn readiness_of_a_container_younger_than_the_kubelet_lasts_until_the_prober_has_looked() {
    let pod = probed("readinessProbe");
    let not_ready =
        with!(ContainerInstance { readiness_probe: Some(ProbeResult::Failure), ..running() });
    let api = left_behind(&pod, &[("app", not_ready.clone())]);
    // It started at 0: 10 s before the kubelet it is young, more than that it is old.
    for (kubelet, expected) in [(10, true), (11, false)] {
        let mut worker = resumed(api.clone(), kubelet);
        worker.sync(&pod, &observed(&pod, &[("app", running())]), at(20));
        assert_eq!(shown(&worker, "app"), (Some(true), expected), "{kubelet}");
        worker.sync(&pod, &observed(&pod, &[("app", not_ready.clone())]), at(21));
        assert_eq!(shown(&worker, "app"), (Some(true), false));
    }
}

#[test]
fn a_container_that_is_not_ready_becomes_so_when_its_probe_worker_has_ended() {
    let pod = web_in(
        V1_36,
        &json!({
            "restartPolicy": "Never",
            "initContainers": [
                {"name": "s", "image": "s:1", "restartPolicy": "Always", "readinessProbe": PROBE()},
                {"name": "i", "image": "i:1"},
            ],
            "containers": [{"name": "app", "image": "a:1"}],
        }),
    );
    let mut sidecar =
        with!(ContainerInstance { readiness_probe: Some(ProbeResult::Failure), ..running() });
    let mut worker = PodWorker::default();
    worker.sync(&pod, &observed(&pod, &[("s", sidecar.clone()), ("i", running())]), at(0));
    worker.sync(&pod, &observed(&pod, &[("s", sidecar.clone()), ("i", exited(1))]), at(4));
    assert_eq!(shown(&worker, "s"), (Some(true), false));
    // The worker saw the phase Failed at its next turn, and took its result with it.
    sidecar.readiness_probe = None;
    sidecar.missing_probe_workers = MissingProbeWorkers { readiness: true, startup: false };
    worker.sync(&pod, &observed(&pod, &[("s", sidecar), ("i", exited(1))]), at(5));
    assert_eq!(worker.kind(), SyncKind::Terminating);
    assert_eq!(shown(&worker, "s"), (Some(true), true));
}

#[test]
fn a_sidecar_whose_startup_is_pending_lets_the_app_start_after_a_restart_of_the_kubelet() {
    let spec = json!({
        "initContainers": [
            {"name": "s", "image": "s:1", "restartPolicy": "Always", "startupProbe": PROBE()},
        ],
        "containers": [{"name": "a", "image": "a:1"}],
    });
    let never =
        ContainerScript { startup_probe: ProbeScript::default(), ..ContainerScript::FOREVER };
    let scenario = Scenario::default().script("s", never).event(S(60), PodEvent::KubeletRestarted);
    let seen = |version| -> Vec<String> {
        let pod = web_in(version, &spec);
        let timeline = simulate(&pod, &scenario);
        let steps = timeline.steps.iter().filter(|step| step.at >= S(60));
        steps.map(|step| format!("{:?} {}", step.at, columns(&pod, &step.api_status))).collect()
    };
    assert_eq!(
        seen(V1_36),
        ["60s 1/2 PodInitializing 0", "61s 1/2 PodInitializing 0", "61s 2/2 Running 0"]
    );
    // Up to 1.34 only until the prober has looked at it.
    assert_eq!(seen(V1_34), ["60s 1/2 PodInitializing 0", "61s 0/2 Init:0/1 0"]);
}

#[test]
fn readiness_that_changes_is_told_at_once_even_while_a_sync_is_under_way() {
    let pod = probed("readinessProbe");
    let ready = |result| with!(ContainerInstance { readiness_probe: Some(result), ..running() });
    let mut worker = PodWorker::default();
    worker.sync(&pod, &observed(&pod, &[("app", ready(ProbeResult::Failure))]), at(0));
    worker.sync(&pod, &observed(&pod, &[("app", ready(ProbeResult::Failure))]), at(1));
    assert_eq!(shown(&worker, "app"), (Some(true), false));
    worker.set_container_readiness(&pod, "fake://1", true, at(5));
    assert_eq!(shown(&worker, "app"), (Some(true), true));
    for condition_type in [condition_type::READY, condition_type::CONTAINERS_READY] {
        let condition = worker.api_status().condition(condition_type).unwrap();
        assert_eq!(condition.status, ConditionStatus::True);
        assert_eq!(condition.last_transition_time, Some(at(5)));
    }
    // The same once more, and an id that nobody knows, change nothing.
    let before = worker.clone();
    worker.set_container_readiness(&pod, "fake://1", true, at(6));
    worker.set_container_readiness(&pod, "fake://2", false, at(6));
    worker.set_container_readiness(&pod, "", false, at(6));
    assert_eq!(worker, before);
    // The sync to come finds nothing more to write.
    worker.sync(&pod, &observed(&pod, &[("app", ready(ProbeResult::Success))]), at(7));
    assert_eq!(worker.api_status(), before.api_status());
}

#[test]
fn startup_that_changes_is_told_at_once_and_its_conditions_with_the_next_sync() {
    let pod = web_in(
        V1_36,
        &json!({
            "initContainers": [
                {"name": "s", "image": "s:1", "restartPolicy": "Always", "startupProbe": PROBE()},
            ],
            "containers": [{"name": "a", "image": "a:1"}],
        }),
    );
    let mut worker = PodWorker::default();
    worker.sync(&pod, &observed(&pod, &[]), at(0));
    worker.sync(&pod, &observed(&pod, &[("s", unanswered())]), at(1));
    worker.set_container_startup(&pod, "fake://1", true, at(5));
    assert_eq!(shown(&worker, "s"), (Some(true), false));
    assert!(!worker.api_status().is_condition_true(condition_type::INITIALIZED));
    let started =
        with!(ContainerInstance { startup_probe: Some(ProbeResult::Success), ..running() });
    worker.sync(&pod, &observed(&pod, &[("s", started)]), at(6));
    assert_eq!(shown(&worker, "s"), (Some(true), true));
    assert!(worker.api_status().is_condition_true(condition_type::INITIALIZED));
}

#[test]
fn readiness_counts_where_a_status_is_refused() {
    let pod = web_in(
        V1_36,
        &json!({
            "restartPolicy": "OnFailure",
            "containers": [
                {"name": "a", "image": "a:1"},
                {"name": "b", "image": "b:1", "readinessProbe": PROBE()},
            ],
        }),
    );
    let with = |result| {
        with!(ContainerInstance {
            id: "fake://b".into(),
            readiness_probe: Some(result),
            ..running()
        })
    };
    let mut worker = PodWorker::default();
    worker.sync(&pod, &observed(&pod, &[]), at(0));
    let done = observed(&pod, &[("a", exited(0)), ("b", with(ProbeResult::Success))]);
    worker.sync(&pod, &done, at(10));
    assert_eq!(shown(&worker, "b"), (Some(true), true));
    // Its record was removed by hand, and it runs again.
    worker.set_container_readiness(&pod, "fake://b", false, at(29));
    let again = observed(&pod, &[("a", running()), ("b", with(ProbeResult::Failure))]);
    worker.sync(&pod, &again, at(30));
    assert!(worker.is_status_refused());
    assert_eq!(shown(&worker, "b"), (Some(true), false));
    let condition = worker.api_status().condition(condition_type::CONTAINERS_READY).unwrap();
    assert_eq!(condition.message, "containers with unready status: [a b]");
}

#[test]
fn what_others_write_to_the_api_counts_from_the_next_sync_on() {
    let pod = web_in(
        V1_36,
        &json!({
            "readinessGates": [{"conditionType": "example.com/lb"}],
            "containers": [{"name": "app", "image": "a:1"}],
        }),
    );
    let seen = observed(&pod, &[("app", running())]);
    let mut worker = PodWorker::default();
    worker.sync(&pod, &seen, at(0));
    worker.sync(&pod, &seen, at(1));
    assert!(!worker.api_status().is_condition_true(condition_type::READY));
    let mut api = worker.api_status().clone();
    let mut gate = PodCondition::new("example.com/lb", true);
    gate.last_transition_time = Some(at(2));
    api.conditions.push(gate);
    worker.set_api_status(api.clone());
    worker.sync(&pod, &seen, at(3));
    assert!(worker.api_status().is_condition_true(condition_type::READY));
    assert!(worker.api_status().is_condition_true("example.com/lb"));

    // What the kubelet owns is put back, though nothing has changed for it.
    let right = worker.api_status().clone();
    let mut wrong = right.clone();
    wrong.container_statuses.clear();
    worker.set_api_status(wrong);
    worker.sync(&pod, &seen, at(4));
    assert_eq!(worker.api_status(), &right);

    // A terminal phase ends the pod.
    let failed = with!(PodStatus { phase: PodPhase::Failed, ..right });
    worker.set_api_status(failed);
    worker.sync(&pod, &seen, at(5));
    assert_eq!(worker.kind(), SyncKind::Terminating);
    while let Some(operation) = worker.next_operation(&pod, at(5)) {
        worker.record(&pod, operation.succeeded(""), at(5)).unwrap();
    }
    assert_eq!((worker.status().phase, worker.next_sync()), (PodPhase::Failed, NextSync::Now));
}

#[test]
fn the_api_status_of_a_new_worker_is_where_it_begins() {
    let pod = probed("readinessProbe");
    let api = with!(PodStatus { start_time: Some(at(0)), ..PodStatus::default() });
    let mut worker = PodWorker::default();
    worker.set_api_status(api.clone());
    assert_eq!(worker, PodWorker::resume(WorkerSettings::default(), api));
    worker.sync(&pod, &observed(&pod, &[]), at(9));
    assert_eq!(worker.status().start_time, Some(at(0)));
}

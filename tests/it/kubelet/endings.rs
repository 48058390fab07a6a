//! How pods end: deletions, evictions, deadlines, and kubelets that restart meanwhile.

use harness::with;
use podinit::KubernetesVersion::V1_36;
use podinit::observation::Sandbox;
use podinit::status::condition_type;
use podinit::worker::{Deletion, Eviction, Failure, NextSyncReason, SyncKind, WorkerSettings};
use podinit::{
    NextSync, Observation, Operation, PodPhase, PodSpec, PodStatus, PodWorker, Timestamp,
};
use serde_json::{Value, json};

use crate::support::{
    at, exited, in_earlier_sandbox, instance, observed, observed_after_loss, running, web_in,
};

fn app(spec: &Value) -> PodSpec {
    let mut spec = spec.clone();
    spec["containers"] = json!([{"name": "app", "image": "a:1"}]);
    web_in(V1_36, &spec)
}

fn delete(worker: &mut PodWorker, second: u64, grace_period_seconds: i64) {
    worker.delete(Deletion { timestamp: at(second), grace_period_seconds });
}

/// Answers everything as a runtime does to which nothing bad happens.
fn carry_out(worker: &mut PodWorker, pod: &PodSpec, now: Timestamp) -> Vec<String> {
    let mut asked = Vec::new();
    while let Some(operation) = worker.next_operation(pod, now) {
        asked.push(name(pod, &operation));
        worker.record(pod, operation.succeeded("fake://2"), now).unwrap();
    }
    asked
}

fn name(pod: &PodSpec, operation: &Operation) -> String {
    let of = |container| pod.container(container).name();
    match operation {
        Operation::StopContainers(stop) => {
            let stops = stop.plan.stops().iter();
            let stops: Vec<_> = stops
                .map(|stop| format!("{} in {}", of(stop.container), stop.grace_period))
                .collect();
            format!("stop {}", stops.join(", "))
        }
        Operation::StopPodSandbox(stop) => format!("stop sandbox {}", stop.sandbox_id),
        Operation::RunPodSandbox(run) => format!("run sandbox {}", run.attempt),
        Operation::RemoveContainer(remove) => format!("remove {}", of(remove.container)),
        Operation::CheckImage(check) => format!("check {}", of(check.container)),
        Operation::CreateContainer(create) => format!("create {}", of(create.container)),
        Operation::StartContainer(start) => format!("start {}", of(start.container)),
        other => format!("{other:?}"),
    }
}

fn sync(worker: &mut PodWorker, pod: &PodSpec, seen: &Observation, second: u64) -> Vec<String> {
    worker.sync(pod, seen, at(second));
    carry_out(worker, pod, at(second))
}

fn reasons(worker: &PodWorker) -> Vec<&str> {
    worker.events().iter().map(|event| event.reason.as_str()).collect()
}

#[test]
fn the_api_learns_of_the_terminal_phase_at_the_end_of_the_stop() {
    let pod = app(&json!({"restartPolicy": "Never"}));
    let mut worker = PodWorker::default();
    let done = observed(&pod, &[("app", exited(0))]);
    sync(&mut worker, &pod, &observed(&pod, &[("app", running())]), 0);
    sync(&mut worker, &pod, &done, 5);
    assert_eq!(worker.api_status().phase, PodPhase::Running);
    sync(&mut worker, &pod, &done, 6);
    assert_eq!(worker.api_status().phase, PodPhase::Running);
    // The sandbox is gone now, so that there is something to send.
    sync(&mut worker, &pod, &observed_after_loss(&pod, &[("app", exited(0))]), 6);
    assert_eq!(
        (worker.kind(), worker.api_status().phase),
        (SyncKind::Terminated, PodPhase::Succeeded)
    );
}

#[test]
fn a_status_that_changes_nothing_is_not_sent_and_leaves_the_phase_to_the_last_sync() {
    let pod = app(&json!({"restartPolicy": "Never"}));
    let mut worker = PodWorker::default();
    sync(&mut worker, &pod, &observed(&pod, &[("app", running())]), 0);
    let done = observed_after_loss(&pod, &[("app", exited(0))]);
    for second in [5, 6, 6] {
        sync(&mut worker, &pod, &done, second);
        assert_eq!(worker.api_status().phase, PodPhase::Running);
    }
    assert_eq!(worker.kind(), SyncKind::Terminated);
    sync(&mut worker, &pod, &done, 7);
    assert_eq!(worker.api_status().phase, PodPhase::Succeeded);
}

#[test]
fn a_pod_that_has_ended_costs_a_restarted_kubelet_no_call() {
    let pod = app(&json!({"restartPolicy": "Never", "activeDeadlineSeconds": 20}));
    let api = with!(PodStatus {
        phase: PodPhase::Succeeded,
        start_time: Some(at(0)),
        ..PodStatus::default()
    });
    let mut worker = PodWorker::resume(WorkerSettings::default(), api.clone());
    let asked = sync(&mut worker, &pod, &observed_after_loss(&pod, &[("app", exited(0))]), 60);
    assert_eq!((asked, worker.kind()), (vec![], SyncKind::Finished));
    // Its deadline has passed since then, which takes no pod out of a terminal phase.
    assert_eq!(worker.api_status().phase, PodPhase::Succeeded);
    assert_eq!(worker.api_status().reason, "DeadlineExceeded");

    // Something that is left of it is stopped first.
    let mut worker = PodWorker::resume(WorkerSettings::default(), api);
    let asked = sync(&mut worker, &pod, &observed(&pod, &[("app", exited(0))]), 60);
    assert_eq!(
        (asked, worker.kind()),
        (vec!["stop sandbox sandbox".to_owned()], SyncKind::Terminating)
    );
}

#[test]
fn a_terminal_phase_of_the_api_is_never_left() {
    for (phase, exit_code) in [(PodPhase::Failed, 0), (PodPhase::Succeeded, 1)] {
        let pod = app(&json!({"restartPolicy": "Never"}));
        let api = with!(PodStatus { phase, ..PodStatus::default() });
        let mut worker = PodWorker::resume(WorkerSettings::default(), api);
        let seen = observed(&pod, &[("app", exited(exit_code))]);
        for second in 0..4 {
            sync(&mut worker, &pod, &seen, second);
            assert_eq!((worker.status().phase, worker.api_status().phase), (phase, phase));
        }
        assert_eq!(worker.kind(), SyncKind::Finished);
    }
}

#[test]
fn an_init_container_that_ends_well_because_it_is_stopped_leaves_the_app_waiting() {
    let pod = app(&json!({"initContainers": [{"name": "i1", "image": "i:1"}]}));
    for (before, expected) in [(running(), None), (exited(0), Some(137))] {
        let mut worker = PodWorker::default();
        sync(&mut worker, &pod, &observed(&pod, &[("i1", before.clone())]), 0);
        delete(&mut worker, 1, 30);
        sync(&mut worker, &pod, &observed(&pod, &[("i1", before)]), 1);
        let stopped = observed_after_loss(&pod, &[("i1", exited(0))]);
        sync(&mut worker, &pod, &stopped, 2);
        sync(&mut worker, &pod, &stopped, 3);
        let state = &worker.api_status().container_statuses[0].state;
        assert_eq!(state.terminated.as_ref().map(|ended| ended.exit_code), expected);
    }
}

#[test]
fn a_deletion_that_comes_during_an_eviction_is_not_known_to_the_stop_under_way() {
    let pod = app(&json!({}));
    let mut worker = PodWorker::default();
    let seen = observed(&pod, &[("app", running())]);
    sync(&mut worker, &pod, &seen, 0);
    worker.evict(Eviction::evicted("low on memory", None));
    sync(&mut worker, &pod, &seen, 1);
    delete(&mut worker, 2, 30);
    // The record of the container was collected meanwhile. A deleted pod's would not count.
    sync(&mut worker, &pod, &observed_after_loss(&pod, &[]), 3);
    assert_eq!(worker.status().container_statuses[0].restart_count, 1);
}

#[test]
fn of_several_evictions_the_last_one_is_told_and_the_shortest_grace_counts() {
    let pod = app(&json!({"terminationGracePeriodSeconds": 600}));
    let evicted = |message: &str, grace| Eviction::evicted(message, grace);
    let cases = [
        ([evicted("soft", Some(300)), evicted("hard", Some(0))], 1, "Evicted"),
        ([evicted("hard", Some(5)), evicted("soft", Some(300))], 5, "Evicted"),
        // Without a grace of its own it has that of the pod.
        ([Eviction::preempted(), Eviction::node_shutdown(20)], 20, "Terminated"),
        ([Eviction::preempted(), Eviction::node_shutdown(900)], 600, "Terminated"),
        ([Eviction::node_shutdown(20), Eviction::preempted()], 20, "Preempting"),
    ];
    for (evictions, grace, reason) in cases {
        let mut worker = PodWorker::default();
        let seen = observed(&pod, &[("app", running())]);
        sync(&mut worker, &pod, &seen, 0);
        let last = evictions[1].clone();
        evictions.into_iter().for_each(|eviction| worker.evict(eviction));
        let asked = sync(&mut worker, &pod, &seen, 1);
        assert_eq!(asked[0], format!("stop app in {grace}s"));
        assert_eq!(worker.status().reason, reason);
        assert_eq!(worker.status().message, last.failure.message);
    }
}

#[test]
fn a_request_that_comes_during_a_stop_counts_only_if_the_stop_fails() {
    let pod = app(&json!({}));
    let mut worker = PodWorker::default();
    let seen = observed(&pod, &[("app", running())]);
    sync(&mut worker, &pod, &seen, 0);
    worker.evict(Eviction::evicted("soft", Some(20)));
    worker.sync(&pod, &seen, at(1));
    let stop = worker.next_operation(&pod, at(1)).unwrap();
    worker.evict(Eviction::evicted("hard", Some(5)));
    assert_eq!(worker.next_operation(&pod, at(2)), Some(stop.clone()));
    worker.record(&pod, stop.failed(Failure::new("timeout")), at(25)).unwrap();
    carry_out(&mut worker, &pod, at(25));
    assert_eq!(worker.status().message, "soft");
    assert_eq!(worker.next_sync(), NextSync::At(at(35), NextSyncReason::Retry));

    assert_eq!(sync(&mut worker, &pod, &seen, 35)[0], "stop app in 5s");
    assert_eq!(worker.status().message, "hard");
}

#[test]
fn a_pod_that_ends_by_itself_has_the_grace_of_its_spec_even_if_that_is_none() {
    let pod = app(&json!({
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "initContainers": [
            {"name": "s", "image": "s:1", "restartPolicy": "Always"},
            {"name": "i", "image": "i:1"},
        ],
    }));
    let mut worker = PodWorker::default();
    let seen = observed(&pod, &[("s", running()), ("i", exited(1))]);
    sync(&mut worker, &pod, &seen, 0);
    assert_eq!(worker.kind(), SyncKind::Terminating);
    assert_eq!(sync(&mut worker, &pod, &seen, 1)[0], "stop s in 0s");

    // Whoever asks gives a second at least.
    let mut worker = PodWorker::default();
    sync(&mut worker, &pod, &seen, 0);
    delete(&mut worker, 1, 0);
    assert_eq!(sync(&mut worker, &pod, &seen, 1)[0], "stop s in 1s");
}

#[test]
fn disruption_is_dated_by_the_end_of_the_stop() {
    let pod = app(&json!({}));
    let mut worker = PodWorker::default();
    let seen = observed(&pod, &[("app", running())]);
    sync(&mut worker, &pod, &seen, 0);
    worker.evict(Eviction::evicted("low on memory", None));
    sync(&mut worker, &pod, &seen, 20);
    assert_eq!(worker.api_status().condition(condition_type::DISRUPTION_TARGET), None);
    sync(&mut worker, &pod, &observed_after_loss(&pod, &[("app", exited(143))]), 31);
    let time = |status: &PodStatus| {
        status.condition(condition_type::DISRUPTION_TARGET).unwrap().last_transition_time
    };
    assert_eq!(time(worker.status()), Some(at(20)));
    assert_eq!(time(worker.api_status()), Some(at(31)));
}

#[test]
fn a_terminal_phase_makes_the_pod_unready_for_a_reason() {
    let pod = app(&json!({}));
    let mut worker = PodWorker::default();
    let seen = observed(&pod, &[("app", running())]);
    sync(&mut worker, &pod, &seen, 0);
    delete(&mut worker, 1, 30);
    sync(&mut worker, &pod, &seen, 1);
    // The runtime has lost it, and what was known last is that it was ready.
    sync(&mut worker, &pod, &observed_after_loss(&pod, &[]), 2);
    sync(&mut worker, &pod, &observed_after_loss(&pod, &[]), 3);
    let api = worker.api_status();
    for condition_type in [condition_type::READY, condition_type::CONTAINERS_READY] {
        assert_eq!(api.condition(condition_type).unwrap().reason, "PodFailed");
    }
}

#[test]
fn a_lost_sandbox_is_replaced_before_all_containers_are_restarted_in_place() {
    let pod = web_in(
        V1_36,
        &json!({
            "restartPolicy": "Never",
            "initContainers": [{"name": "i", "image": "i:1"}],
            "containers": [{
                "name": "app", "image": "a:1", "restartPolicy": "Never",
                "restartPolicyRules": [
                    {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}},
                ],
            }],
        }),
    );
    let mut worker = PodWorker::default();
    sync(&mut worker, &pod, &observed(&pod, &[("i", exited(0)), ("app", running())]), 10);
    let seen = observed_after_loss(&pod, &[("i", exited(0)), ("app", exited(42))]);
    let asked = sync(&mut worker, &pod, &seen, 21);
    assert_eq!(asked, ["stop sandbox sandbox", "remove i", "run sandbox 1"]);
    assert_eq!(reasons(&worker), ["SandboxChanged"]);

    let mut seen = Observation::new();
    seen.push_sandbox(with!(Sandbox {
        id: "new".into(),
        ready: true,
        attempt: 1,
        has_ip: true,
        host_network: false,
        ..Sandbox::default()
    }));
    seen.push_named(&pod, "app", in_earlier_sandbox(exited(42)));
    assert_eq!(sync(&mut worker, &pod, &seen, 22), ["remove app"]);
    assert_eq!(reasons(&worker), [""; 0]);
}

#[test]
fn a_sandbox_that_cannot_be_made_for_a_pod_that_is_to_go_is_no_error() {
    let pod = app(&json!({}));
    let mut worker = PodWorker::default();
    worker.sync(&pod, &Observation::new(), at(0));
    let operation = worker.next_operation(&pod, at(0)).unwrap();
    delete(&mut worker, 1, 30);
    worker.record(&pod, operation.failed(Failure::new("no network")), at(3)).unwrap();
    assert_eq!(worker.next_operation(&pod, at(3)), None);
    assert_eq!(reasons(&worker), [""; 0]);
    assert!(worker.results().iter().all(|result| result.error.is_none()));
}

#[test]
fn every_status_that_is_made_past_the_deadline_is_told_as_an_event() {
    let pod = app(&json!({"restartPolicy": "Never", "activeDeadlineSeconds": 10}));
    let mut worker = PodWorker::default();
    let seen = observed(&pod, &[("app", running())]);
    let gone = observed_after_loss(&pod, &[("app", exited(143))]);
    sync(&mut worker, &pod, &seen, 0);
    let mut told = Vec::new();
    for (observation, second) in [(&seen, 10), (&seen, 11), (&gone, 12), (&gone, 13)] {
        sync(&mut worker, &pod, observation, second);
        told.push(reasons(&worker).join(" "));
    }
    let told: Vec<&str> = told.iter().map(String::as_str).collect();
    assert_eq!(
        told,
        ["DeadlineExceeded", "DeadlineExceeded Killing", "DeadlineExceeded", "DeadlineExceeded"]
    );
}

#[test]
fn a_container_whose_post_start_hook_fails_had_started_and_is_killed_for_it() {
    let pod = app(&json!({}));
    let mut worker = PodWorker::default();
    worker.sync(&pod, &observed(&pod, &[]), at(0));
    while let Some(operation) = worker.next_operation(&pod, at(0)) {
        let outcome = match &operation {
            Operation::StartContainer(_) => operation.failed(Failure {
                kind: podinit::worker::FailureKind::PostStartHook,
                message: "exit status 1".into(),
            }),
            other => other.succeeded("fake://1"),
        };
        worker.record(&pod, outcome, at(0)).unwrap();
    }
    let events: Vec<_> = worker
        .events()
        .iter()
        .map(|event| (event.reason.as_str(), event.message.as_str()))
        .collect();
    assert_eq!(
        events[1..],
        [
            ("Created", "Container created"),
            ("Started", "Container started"),
            ("FailedPostStartHook", "PostStartHook failed"),
            ("Killing", "FailedPostStartHook"),
        ]
    );
}

#[test]
fn statuses_of_ephemeral_containers_are_sorted_by_name() {
    let pod = app(&json!({
        "ephemeralContainers": [{"name": "z", "image": "z:1"}, {"name": "b", "image": "b:1"}],
    }));
    let mut worker = PodWorker::default();
    sync(&mut worker, &pod, &observed(&pod, &[("app", running()), ("z", running())]), 0);
    let names: Vec<_> =
        worker.status().ephemeral_container_statuses.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["b", "z"]);
}

#[test]
fn back_off_is_forgotten_ten_minutes_after_the_last_restart_even_if_it_is_in_force() {
    let pod = app(&json!({}));
    let mut worker = PodWorker::default();
    let ended = |second| {
        let mut ended = exited(1);
        if let podinit::observation::InstanceState::Exited(exit) = &mut ended.state {
            exit.finished_at = Some(at(second));
        }
        observed(&pod, &[("app", ended)])
    };
    let restarts =
        |worker: &mut PodWorker, end, second| !sync(worker, &pod, &ended(end), second).is_empty();
    for second in [0, 10, 30, 70, 150, 310] {
        assert!(restarts(&mut worker, second, second + 300));
    }
    // Restarted at 610, it has run until 1,100; the next restart is held back for 300 s.
    assert!(!restarts(&mut worker, 1_100, 1_160));
    assert!(!restarts(&mut worker, 1_100, 1_210));
    assert!(restarts(&mut worker, 1_100, 1_211));
    // The series has begun again with its first delay.
    assert!(restarts(&mut worker, 1_220, 1_230));
}

#[test]
fn a_worker_that_is_written_down_while_its_pod_is_stopped_goes_on_as_if_nothing_had_been() {
    let pod = app(&json!({}));
    let seen = observed(&pod, &[("app", running())]);
    let end = |saved: bool| {
        let mut worker = PodWorker::default();
        let mut told = Vec::new();
        for second in 0..6 {
            match second {
                1 => worker.evict(Eviction::evicted("soft", Some(20))),
                2 => worker.evict(Eviction::evicted("hard", Some(7))),
                _ => {}
            }
            let gone = observed_after_loss(&pod, &[("app", exited(143))]);
            told.push(sync(&mut worker, &pod, if second < 3 { &seen } else { &gone }, second));
            if saved {
                let text = serde_json::to_string(&worker).unwrap();
                worker = serde_json::from_str(&text).unwrap();
            }
        }
        (told, worker.api_status().clone())
    };
    assert_eq!(end(false), end(true));
}

#[test]
fn an_instance_that_never_ran_is_no_reason_to_wait() {
    let pod = app(&json!({"restartPolicy": "Never"}));
    let api = with!(PodStatus { phase: PodPhase::Failed, ..PodStatus::default() });
    let mut worker = PodWorker::resume(WorkerSettings::default(), api);
    let created = instance(podinit::observation::InstanceState::Created);
    sync(&mut worker, &pod, &observed_after_loss(&pod, &[("app", created)]), 0);
    assert_eq!(worker.kind(), SyncKind::Finished);
}

#[test]
fn an_eviction_is_told_before_it_and_waits_for_half_as_long_again_as_its_grace() {
    let pod = app(&json!({"terminationGracePeriodSeconds": 40}));
    let told = |eviction: &Eviction| {
        let event = eviction.event()?;
        Some(format!("{} {} {}", event.kind, event.reason, event.message))
    };
    let evicted = |grace| Eviction::evicted("low on memory", grace);
    assert_eq!(told(&evicted(None)).as_deref(), Some("Warning Evicted low on memory"));
    assert_eq!(
        told(&Eviction::preempted()).as_deref(),
        Some("Warning Preempting Preempted in order to admit critical pod")
    );
    assert_eq!(told(&Eviction::node_shutdown(10)), None);
    let waits = [evicted(None), evicted(Some(1)), evicted(Some(21)), evicted(Some(-1))]
        .map(|eviction| eviction.waits_for(&pod).as_secs());
    assert_eq!(waits, [60, 10, 31, 10]);
}

//! Stops: those that fail, those whose sync is dropped, and what is told while they are under way.

use harness::with;
use podinit::KubernetesVersion::V1_36;
use podinit::observation::{ContainerInstance, InstanceState, ProbeResult, Sandbox, StrayInstance};
use podinit::worker::{
    Deletion, Failure, FailureKind, NextSyncReason, Notice, SyncKind, WorkerError,
};
use podinit::{NextSync, Observation, Operation, PodPhase, PodSpec, PodWorker};
use serde_json::json;

use crate::support::{at, exited, observed, observed_after_loss, running, web_in};

fn app() -> PodSpec {
    web_in(V1_36, &json!({"containers": [{"name": "app", "image": "a:1"}]}))
}

fn deleted(pod: &PodSpec, seen: &Observation) -> PodWorker {
    let mut worker = PodWorker::default();
    worker.sync(pod, seen, at(0));
    answer(&mut worker, pod, 0, &[]);
    worker.delete(Deletion { timestamp: at(1), grace_period_seconds: 5 });
    worker.sync(pod, seen, at(1));
    worker
}

/// What comes of an operation: `None` if it goes well.
type Answer = Option<Failure>;

fn failed(why: &str) -> Answer {
    Some(Failure::new(why))
}

/// Answers each operation in turn; all goes well once the answers are used up. Gives what was asked.
fn answer(worker: &mut PodWorker, pod: &PodSpec, second: u64, answers: &[Answer]) -> Vec<String> {
    let mut asked = Vec::new();
    while let Some(operation) = worker.next_operation(pod, at(second)) {
        let outcome = match answers.get(asked.len()).cloned().flatten() {
            Some(failure) => operation.failed(failure),
            None => operation.succeeded("fake://new"),
        };
        asked.push(match &operation {
            Operation::StopContainers(stop) => {
                let names =
                    stop.plan.stops().iter().map(|stop| pod.container(stop.container).name());
                format!("stop {}", names.map(|name| name.as_str()).collect::<Vec<_>>().join(" "))
            }
            Operation::StopPodSandbox(stop) => format!("stop sandbox {}", stop.sandbox_id),
            Operation::StartContainer(start) => {
                format!("start {}", pod.container(start.container).name())
            }
            Operation::RemoveContainer(remove) => {
                format!("remove {}", pod.container(remove.container).name())
            }
            Operation::RunPodSandbox(run) => format!("run sandbox {}", run.attempt),
            _ => "make it".into(),
        });
        worker.record(pod, outcome, at(second)).unwrap();
    }
    asked
}

fn sandbox(id: &str, ready: bool) -> Sandbox {
    with!(Sandbox {
        id: id.into(),
        ready,
        attempt: 0,
        has_ip: true,
        host_network: false,
        ..Sandbox::default()
    })
}

/// An app that runs in the newer of two ready sandboxes.
fn in_two_sandboxes(pod: &PodSpec) -> Observation {
    let mut seen = Observation::new();
    seen.push_sandbox(sandbox("s1", true));
    seen.push_sandbox(sandbox("s0", true));
    let app = ContainerInstance::new("fake://1", "s1", InstanceState::Running);
    seen.push_named(pod, "app", app);
    seen
}

fn errors(worker: &PodWorker) -> Vec<String> {
    let errors = worker.results().iter().filter_map(|result| {
        let error = result.error.as_ref()?;
        Some(format!("{} {}: {} {}", result.action, result.target, error.reason, error.message))
    });
    errors.collect()
}

fn events(worker: &PodWorker) -> Vec<String> {
    worker.events().iter().map(|event| format!("{} {}", event.reason, event.message)).collect()
}

#[test]
fn every_sandbox_is_stopped_whatever_failed_before() {
    let pod = app();
    let seen = in_two_sandboxes(&pod);
    let mut worker = deleted(&pod, &seen);
    let asked =
        answer(&mut worker, &pod, 1, &[failed("deadline exceeded"), failed("no such file")]);
    assert_eq!(asked, ["stop app", "stop sandbox s1", "stop sandbox s0"]);
    assert_eq!(
        errors(&worker),
        [
            "KillContainer app: KillContainerError deadline exceeded",
            "KillPodSandbox 1: KillPodSandboxError no such file",
        ]
    );
    assert_eq!(
        events(&worker).last().unwrap(),
        "FailedKillPod error killing pod: [failed to \"KillContainer\" for \"app\" with \
         KillContainerError: \"deadline exceeded\", failed to \"KillPodSandbox\" for \"1\" with \
         KillPodSandboxError: \"no such file\"]"
    );
    assert_eq!(worker.kind(), SyncKind::Terminating);
    assert_eq!(worker.next_sync(), NextSync::At(at(11), NextSyncReason::Retry));
}

#[test]
fn a_sandbox_that_cannot_be_stopped_alone_is_tried_again_too() {
    let pod = app();
    let seen = observed_after_loss(&pod, &[("app", exited(0))]);
    let mut worker = deleted(&pod, &seen);
    assert_eq!(answer(&mut worker, &pod, 1, &[failed("busy")]), ["stop sandbox sandbox"]);
    assert_eq!(
        events(&worker),
        ["FailedKillPod error killing pod: failed to \"KillPodSandbox\" for \"1\" with \
             KillPodSandboxError: \"busy\""]
    );
    assert_eq!(worker.kind(), SyncKind::Terminating);
}

#[test]
fn a_new_sandbox_waits_until_the_old_pod_is_killed() {
    let pod = app();
    let mut worker = PodWorker::default();
    worker.sync(&pod, &observed_after_loss(&pod, &[("app", running())]), at(0));
    let asked = answer(&mut worker, &pod, 0, &[failed("deadline exceeded")]);
    assert_eq!(asked, ["stop app", "stop sandbox sandbox"]);
    assert_eq!(worker.results().len(), 2, "the sandbox has its result");
    assert_eq!(worker.next_sync(), NextSync::At(at(10), NextSyncReason::Retry));
}

#[test]
fn each_container_of_a_stop_has_a_result_of_its_own() {
    let pod = web_in(
        V1_36,
        &json!({
            "containers": [{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}],
        }),
    );
    let second = ContainerInstance::new("fake://2", "sandbox", InstanceState::Running);
    let seen = observed(&pod, &[("a", running()), ("b", second)]);
    let mut worker = deleted(&pod, &seen);
    let Some(Operation::StopContainers(stop)) = worker.next_operation(&pod, at(1)) else {
        panic!("nothing is stopped")
    };
    // One answer for two containers is no answer.
    let refused = worker.record(&pod, stop.stopped_each(vec![None]), at(1));
    assert!(matches!(refused, Err(WorkerError::UnexpectedOutcome { .. })));
    let each = vec![None, failed("stuck")];
    worker.record(&pod, stop.stopped_each(each), at(1)).unwrap();
    assert_eq!(answer(&mut worker, &pod, 1, &[]), ["stop sandbox sandbox"]);
    assert_eq!(errors(&worker), ["KillContainer b: KillContainerError stuck"]);
}

#[test]
fn a_pod_is_not_finished_while_a_container_of_it_runs() {
    let pod = app();
    let seen = observed(&pod, &[("app", running())]);
    let mut worker = deleted(&pod, &seen);
    answer(&mut worker, &pod, 1, &[]);
    // The runtime said that it has stopped.
    worker.sync(&pod, &seen, at(2));
    assert_eq!(answer(&mut worker, &pod, 2, &[]), [""; 0]);
    assert_eq!(worker.kind(), SyncKind::Terminating);
    assert_eq!(worker.next_sync(), NextSync::At(at(12), NextSyncReason::Retry));
    assert_ne!(worker.api_status().phase, PodPhase::Failed);
    worker.sync(&pod, &seen, at(12));
    assert_eq!(answer(&mut worker, &pod, 12, &[]), ["stop app", "stop sandbox sandbox"]);
    worker.sync(&pod, &observed_after_loss(&pod, &[("app", exited(143))]), at(13));
    assert_eq!(worker.kind(), SyncKind::Terminated);
}

#[test]
fn a_stray_that_runs_makes_the_kill_fail_and_ends_with_its_sandbox() {
    let pod = app();
    let mut seen = observed(&pod, &[("app", running())]);
    let stray = ContainerInstance::new("fake://9", "sandbox", InstanceState::Running);
    seen.push_stray(StrayInstance { name: "stray".into(), instance: stray });
    let mut worker = deleted(&pod, &seen);
    assert_eq!(answer(&mut worker, &pod, 1, &[]), ["stop app", "stop sandbox sandbox"]);
    assert_eq!(
        errors(&worker),
        ["KillContainer stray: KillContainerError failed to get containerSpec \"stray\" \
             (id=\"fake://9\") in pod \"web_shop(1)\" when killing container for reason \"\""]
    );
    assert_eq!(worker.kind(), SyncKind::Terminating);
    // Dead, it is no hindrance.
    let gone = observed_after_loss(&pod, &[("app", exited(143))]);
    worker.sync(&pod, &gone, at(11));
    answer(&mut worker, &pod, 11, &[]);
    worker.sync(&pod, &gone, at(11));
    assert_eq!(worker.kind(), SyncKind::Terminated);
}

#[test]
fn a_kill_that_fails_in_a_restart_in_place_is_told_of_the_removal() {
    let pod = web_in(
        V1_36,
        &json!({
            "restartPolicy": "Never",
            "containers": [
                {"name": "a", "image": "a:1"},
                {"name": "b", "image": "b:1", "restartPolicy": "Never", "restartPolicyRules": [
                    {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}},
                ]},
            ],
        }),
    );
    let mut worker = PodWorker::default();
    worker.sync(&pod, &observed(&pod, &[("a", running()), ("b", running())]), at(0));
    worker.sync(&pod, &observed(&pod, &[("a", running()), ("b", exited(42))]), at(1));
    assert_eq!(answer(&mut worker, &pod, 1, &[failed("stuck")]), ["stop a"]);
    assert_eq!(errors(&worker), ["RemoveContainer a: KillContainerError stuck"]);
}

#[test]
fn a_dropped_sync_does_not_restart_what_was_being_stopped() {
    let pod = web_in(
        V1_36,
        &json!({
            "restartPolicy": "OnFailure",
            "initContainers": [
                {"name": "s1", "image": "s:1", "restartPolicy": "Always"},
                {"name": "s2", "image": "s:1", "restartPolicy": "Always"},
            ],
            "containers": [{"name": "app", "image": "a:1"}],
        }),
    );
    let second = ContainerInstance::new("fake://2", "sandbox", InstanceState::Running);
    let all = [("s1", running()), ("s2", second), ("app", running())];
    let mut worker = PodWorker::default();
    worker.sync(&pod, &observed(&pod, &all), at(0));
    assert_eq!(answer(&mut worker, &pod, 0, &[]), [""; 0]);
    let all = [all[0].clone(), all[1].clone(), ("app", exited(0))];
    worker.sync(&pod, &observed(&pod, &all), at(1));
    assert!(worker.kind() == SyncKind::Pod || worker.kind() == SyncKind::Terminating);
    if worker.kind() == SyncKind::Terminating {
        worker.sync(&pod, &observed(&pod, &all), at(1));
    }
    assert!(matches!(worker.next_operation(&pod, at(1)), Some(Operation::StopContainers(_))));

    // Whoever drives it gives up; meanwhile one of them has stopped.
    let mut ended = exited(143);
    ended.id = "fake://2".into();
    let seen = observed(&pod, &[("s1", running()), ("s2", ended), ("app", exited(0))]);
    worker.sync(&pod, &seen, at(2));
    assert_eq!(answer(&mut worker, &pod, 2, &[]), ["stop s1", "stop sandbox sandbox"]);
}

#[test]
fn a_dropped_sync_does_not_turn_a_probe_kill_into_a_success() {
    let pod = web_in(
        V1_36,
        &json!({
            "restartPolicy": "OnFailure",
            "containers": [{
                "name": "app", "image": "a:1", "livenessProbe": {"httpGet": {"port": 80}},
            }],
        }),
    );
    let failing =
        with!(ContainerInstance { liveness_probe: Some(ProbeResult::Failure), ..running() });
    for saved in [false, true] {
        let mut worker = PodWorker::default();
        worker.sync(&pod, &observed(&pod, &[("app", failing.clone())]), at(0));
        assert!(matches!(worker.next_operation(&pod, at(0)), Some(Operation::StopContainers(_))));
        if saved {
            let text = serde_json::to_string(&worker).unwrap();
            worker = serde_json::from_str(&text).unwrap();
        }
        let killed = worker.events().len();
        // It answers SIGTERM with 0 while nobody listens.
        worker.sync(&pod, &observed(&pod, &[("app", exited(0))]), at(1));
        assert_eq!(worker.status().phase, PodPhase::Running);
        assert_eq!(answer(&mut worker, &pod, 1, &[]), ["make it", "make it", "start app"]);
        let told = events(&worker);
        assert_eq!(told.iter().filter(|event| event.starts_with("Killing")).count(), killed);
    }
}

#[test]
fn a_deletion_overtakes_a_stop_whose_sync_was_dropped() {
    let pod = web_in(
        V1_36,
        &json!({
            "containers": [{
                "name": "app", "image": "a:1", "livenessProbe": {"httpGet": {"port": 80}},
            }],
        }),
    );
    let failing =
        with!(ContainerInstance { liveness_probe: Some(ProbeResult::Failure), ..running() });
    let mut worker = PodWorker::default();
    worker.sync(&pod, &observed(&pod, &[("app", failing.clone())]), at(0));
    assert!(worker.next_operation(&pod, at(0)).is_some());
    worker.delete(Deletion { timestamp: at(1), grace_period_seconds: 30 });
    worker.sync(&pod, &observed(&pod, &[("app", failing)]), at(1));
    assert_eq!(answer(&mut worker, &pod, 1, &[]), ["stop app", "stop sandbox sandbox"]);
}

#[test]
fn what_comes_of_hooks_is_told_when_it_comes_and_not_again() {
    let pod = app();
    let mut worker = PodWorker::default();
    let none = worker.note(&pod, Notice::Started);
    assert!(matches!(none, Err(WorkerError::UnexpectedNotice { operation: None, .. })));

    worker.sync(&pod, &observed(&pod, &[]), at(0));
    while let Some(operation) = worker.next_operation(&pod, at(0)) {
        let outcome = match &operation {
            Operation::StartContainer(_) => {
                for notice in
                    [Notice::Started, Notice::PostStartHookFailed, Notice::PreStopHookFailed(0)]
                {
                    worker.note(&pod, notice).unwrap();
                }
                let message = "exit status 1".into();
                operation.failed(Failure { kind: FailureKind::PostStartHook, message })
            }
            _ => operation.succeeded("fake://1"),
        };
        worker.record(&pod, outcome, at(0)).unwrap();
    }
    assert_eq!(
        events(&worker)[2..],
        [
            "Started Container started",
            "FailedPostStartHook PostStartHook failed",
            "Killing FailedPostStartHook",
            "FailedPreStopHook PreStopHook failed",
        ]
    );

    let mut worker = deleted(&pod, &observed(&pod, &[("app", running())]));
    assert!(worker.next_operation(&pod, at(1)).is_some());
    assert!(worker.note(&pod, Notice::PreStopHookFailed(1)).is_err(), "there is one stop");
    assert!(worker.note(&pod, Notice::Started).is_err());
    worker.note(&pod, Notice::PreStopHookFailed(0)).unwrap();
    let told = ["Killing Stopping container app", "FailedPreStopHook PreStopHook failed"];
    assert_eq!(events(&worker), told);
}

#[test]
fn an_instance_of_a_container_that_the_pod_has_not_is_an_error_and_never_a_panic() {
    let two = web_in(
        V1_36,
        &json!({
            "containers": [{"name": "app", "image": "a:1"}, {"name": "b", "image": "b:1"}],
        }),
    );
    let seen = observed(&two, &[("app", running()), ("b", running())]);
    assert_eq!(seen.check(&two), Ok(()));
    let one = app();
    let error = seen.check(&one).unwrap_err();
    assert_eq!(
        error.to_string(),
        "instance \"fake://1\" is of container 1, but the pod has 1 containers"
    );
    // Whoever does not check leaves it alone, and does not take the pod for finished.
    let mut worker = deleted(&one, &seen);
    assert_eq!(answer(&mut worker, &one, 1, &[]), ["stop app", "stop sandbox sandbox"]);
    worker.sync(&one, &seen, at(2));
    assert_eq!(worker.kind(), SyncKind::Terminating);
}

#[test]
fn a_manifest_that_loses_a_container_ends_a_stop_that_was_under_way() {
    let two = web_in(
        V1_36,
        &json!({"containers": [
            {"name": "app", "image": "a:1"},
            {"name": "b", "image": "b:1", "livenessProbe": {"httpGet": {"port": 80}}},
        ]}),
    );
    let failing =
        with!(ContainerInstance { liveness_probe: Some(ProbeResult::Failure), ..running() });
    let mut worker = PodWorker::default();
    worker.sync(&two, &observed(&two, &[("app", running()), ("b", failing)]), at(0));
    assert!(worker.next_operation(&two, at(0)).is_some());
    let one = app();
    worker.sync(&one, &observed(&one, &[("app", running())]), at(1));
    assert_eq!(answer(&mut worker, &one, 1, &[]), [""; 0]);
}

//! The worker: what it refuses, what it keeps, and what the API server is told.

use harness::with;
use podinit::KubernetesVersion::V1_36;
use podinit::backoff::{BackOff, BackOffSettings};
use podinit::observation::{Exit, InstanceState};
use podinit::pod::Extensions;
use podinit::resources::PodResourcesOptions;
use podinit::sim::{ContainerScript, ProbeScript, Run, Scenario, SimError, SimRuntime};
use podinit::status::condition_type;
use podinit::version::KnownBug;
use podinit::worker::{
    Deletion, Failure, NextSyncReason, SyncKind, SyncSummary, WorkerError, WorkerSettings,
};
use podinit::{
    Feature, FeatureGates, NextSync, Observation, Operation, Outcome, PodPhase, PodSpec, PodWorker,
    SyncPodError, Timestamp, sync_pod,
};
use serde_json::{Value, json};

use crate::support::{
    BEGIN, Node, S, at, columns, ends, exited, instance, observed, running, web_in,
};

fn spec(policy: &str) -> Value {
    json!({
        "restartPolicy": policy,
        "initContainers": [{"name": "i1", "image": "i:1"}, {"name": "i2", "image": "i:1"}],
        "containers": [{"name": "a", "image": "a:1"}],
    })
}

fn pod(policy: &str) -> PodSpec {
    web_in(V1_36, &spec(policy))
}

/// Carries a sync out and gives what it asked for.
fn carried_out(worker: &mut PodWorker, pod: &PodSpec, now: Timestamp) -> Vec<Operation> {
    let mut asked = Vec::new();
    while let Some(operation) = worker.next_operation(pod, now) {
        worker.record(pod, operation.succeeded("fake://1"), now).unwrap();
        asked.push(operation);
    }
    asked
}

/// An outcome of each operation of a pod's first sync: sandbox, image, creation, start.
fn outcomes(pod: &PodSpec) -> Vec<Outcome> {
    let mut worker = PodWorker::default();
    worker.sync(pod, &Observation::new(), BEGIN);
    let asked = carried_out(&mut worker, pod, BEGIN);
    asked.iter().map(|operation| operation.succeeded("fake://1")).collect()
}

#[test]
fn an_outcome_without_an_operation_is_refused_and_changes_nothing() {
    let pod = pod("Always");
    let mut worker = PodWorker::default();
    let before = worker.clone();
    let late = outcomes(&pod).remove(0);
    let refused = worker.record(&pod, late.clone(), BEGIN);
    assert_eq!(refused, Err(WorkerError::NoOperation(late.clone())));
    assert_eq!(worker, before);

    worker.sync(&pod, &Observation::new(), BEGIN);
    // It has decided, but nothing was taken yet.
    let before = worker.clone();
    assert!(worker.record(&pod, late, BEGIN).is_err());
    assert_eq!(worker, before);
}

#[test]
fn an_outcome_that_the_operation_cannot_have_is_refused_and_changes_nothing() {
    let pod = pod("Always");
    let mut worker = PodWorker::default();
    worker.sync(&pod, &Observation::new(), BEGIN);
    let outcomes = outcomes(&pod);
    let mut refused = 0;
    while let Some(operation) = worker.next_operation(&pod, BEGIN) {
        let right = operation.succeeded("fake://1");
        for outcome in &outcomes {
            if *outcome == right {
                continue;
            }
            let before = worker.clone();
            let error = worker.record(&pod, outcome.clone(), BEGIN).unwrap_err();
            let expected = WorkerError::UnexpectedOutcome {
                operation: operation.clone(),
                outcome: outcome.clone(),
            };
            assert_eq!(error, expected);
            assert_eq!(worker, before);
            refused += 1;
        }
        worker.record(&pod, right, BEGIN).unwrap();
    }
    // Sandbox, image, creation, start: three wrong answers each.
    assert_eq!(refused, 4 * 3);
}

#[test]
fn the_same_operation_is_given_until_its_outcome_is_recorded() {
    let pod = pod("Always");
    let mut worker = PodWorker::default();
    worker.sync(&pod, &Observation::new(), BEGIN);
    let first = worker.next_operation(&pod, BEGIN);
    assert_eq!(worker.next_operation(&pod, at(5)), first);
    assert!(matches!(first, Some(Operation::RunPodSandbox(run)) if run.attempt == 0));
}

#[test]
fn a_sandbox_that_fails_ends_the_sync_and_is_tried_again() {
    let pod = pod("Always");
    let mut worker = PodWorker::default();
    worker.sync(&pod, &Observation::new(), BEGIN);
    let operation = worker.next_operation(&pod, BEGIN).unwrap();
    worker.record(&pod, operation.failed(Failure::new("no network")), BEGIN).unwrap();
    assert_eq!(worker.next_operation(&pod, BEGIN), None);
    assert_eq!(worker.next_sync(), NextSync::At(at(10), NextSyncReason::Retry));
    let events: Vec<_> = worker.events().iter().map(|event| event.message.as_str()).collect();
    assert_eq!(events, ["Failed to create pod sandbox: no network"]);
    // The containers do not tell of it.
    assert_eq!(columns(&pod, worker.status()), "0/1 Init:0/2 0");
}

#[test]
fn a_sync_that_begins_before_the_last_one_is_over_drops_what_was_left_of_it() {
    let pod = pod("Always");
    let mut worker = PodWorker::default();
    worker.sync(&pod, &Observation::new(), BEGIN);
    let dropped = worker.next_operation(&pod, BEGIN).unwrap();
    let observation = observed(&pod, &[("i1", running())]);
    worker.sync(&pod, &observation, at(1));
    assert_eq!(worker.next_operation(&pod, at(1)), None);
    assert!(worker.record(&pod, dropped.succeeded("late"), at(1)).is_err());
}

#[test]
fn syncing_more_often_than_needed_does_nothing_more() {
    let pod = pod("Always");
    let mut worker = PodWorker::default();
    worker.sync(&pod, &Observation::new(), BEGIN);
    assert_eq!(carried_out(&mut worker, &pod, BEGIN).len(), 4);
    let observation = observed(&pod, &[("i1", running())]);
    for _ in 0..3 {
        worker.sync(&pod, &observation, at(1));
        assert_eq!(carried_out(&mut worker, &pod, at(1)), []);
    }
    assert_eq!(worker.next_sync(), NextSync::OnChange);
}

#[test]
fn under_on_failure_a_status_that_takes_a_success_back_is_refused_and_the_earlier_one_stands() {
    let pod = pod("OnFailure");
    let mut worker = PodWorker::default();
    let done = observed(&pod, &[("i1", exited(0)), ("i2", running())]);
    worker.sync(&pod, &done, at(1));
    assert!(!worker.is_status_refused());
    let before = (worker.status().clone(), worker.api_status().clone());

    let again = observed(&pod, &[("i1", running())]);
    worker.sync(&pod, &again, at(2));
    assert!(worker.is_status_refused());
    assert_eq!((worker.status(), worker.api_status()), (&before.0, &before.1));

    worker.sync(&pod, &done, at(3));
    assert!(!worker.is_status_refused());
}

#[test]
fn under_always_or_after_a_failure_the_same_transition_is_written() {
    for (policy, exit_code) in [("Always", 0), ("Always", 1), ("OnFailure", 1)] {
        let pod = pod(policy);
        let mut worker = PodWorker::default();
        worker.sync(&pod, &observed(&pod, &[("i1", exited(exit_code))]), at(1));
        worker.sync(&pod, &observed(&pod, &[("i1", running())]), at(2));
        assert!(!worker.is_status_refused(), "{policy} {exit_code}");
        let state = &worker.api_status().init_container_statuses[0].state;
        assert!(state.running.is_some(), "{policy} {exit_code}");
    }
}

#[test]
fn the_api_server_keeps_the_old_phase_while_containers_may_run() {
    let spec = json!({
        "activeDeadlineSeconds": 30,
        "initContainers": [{"name": "i1", "image": "i:1"}],
        "containers": [{"name": "a", "image": "a:1"}],
    });
    let pod = web_in(V1_36, &spec);
    let mut node = Node::new(&pod, &Scenario::default().script("i1", ends(60, 0)));
    node.sync(&pod, 0).sync(&pod, 1);
    assert_eq!(node.worker.next_sync(), NextSync::At(at(30), NextSyncReason::ActiveDeadline));

    node.sync(&pod, 30);
    assert_eq!(node.worker.kind(), SyncKind::Terminating);
    let seen = |node: &Node| {
        let (own, api) = (node.worker.status(), node.worker.api_status());
        [(own.phase, own.reason.to_string()), (api.phase, api.reason.to_string())]
    };
    let exceeded = (PodPhase::Failed, "DeadlineExceeded".to_owned());
    let pending = (PodPhase::Pending, String::new());
    assert_eq!(seen(&node), [exceeded.clone(), pending.clone()]);
    // Ready is told at once, the phase once nothing can run any more.
    let ready = node.worker.api_status().condition(condition_type::READY).unwrap();
    assert_eq!(ready.reason, "PodFailed");

    node.sync(&pod, 30);
    assert_eq!(seen(&node), [exceeded.clone(), pending]);
    while node.worker.kind() != SyncKind::Finished {
        node.sync(&pod, 30);
    }
    assert_eq!(seen(&node), [exceeded.clone(), exceeded]);
}

#[test]
fn a_finished_worker_does_nothing_more() {
    let pod = pod("Never");
    let mut node = Node::new(&pod, &Scenario::default().script("i1", ends(1, 1)));
    for second in 0..10 {
        node.sync(&pod, second);
    }
    assert_eq!(node.worker.kind(), SyncKind::Finished);
    let status = node.worker.status().clone();
    node.runtime.take_calls();
    node.sync(&pod, 100);
    assert_eq!(node.runtime.take_calls(), []);
    assert_eq!((node.worker.status(), node.worker.next_sync()), (&status, NextSync::OnChange));
}

#[test]
fn a_worker_of_a_restarted_kubelet_knows_the_status_and_has_forgotten_the_back_off() {
    let pod = pod("Always");
    let mut node = Node::new(&pod, &Scenario::default().script("i1", ends(1, 1)));
    node.sync(&pod, 0).sync(&pod, 1).sync(&pod, 2).sync(&pod, 3);
    assert_eq!(columns(&pod, node.worker.api_status()), "0/1 Init:CrashLoopBackOff 1 (28s ago)");
    let known = node.worker.api_status().clone();
    let started_at = known.start_time;

    node.worker = PodWorker::resume(WorkerSettings::default(), known.clone());
    assert_eq!(node.worker.status(), &known);
    node.runtime.take_calls();
    node.sync(&pod, 4);
    let calls: Vec<String> = node.runtime.take_calls().iter().map(ToString::to_string).collect();
    // At once, although the back-off had 8 s to go.
    assert!(calls.contains(&"StartContainer i1".to_owned()), "{calls:?}");
    node.sync(&pod, 5);
    assert_eq!(columns(&pod, node.worker.api_status()), "0/1 Init:Error 2 (28s ago)");
    assert_eq!(node.worker.api_status().start_time, started_at);
    // The series begins again with its first delay.
    assert_eq!(node.worker.next_sync(), NextSync::At(at(15), NextSyncReason::BackOffExpired));
}

#[test]
fn a_worker_of_a_restarted_kubelet_runs_nothing_again_that_is_done() {
    let pod = pod("Always");
    let scenario = Scenario::default().script("i1", ends(1, 0)).script("i2", ends(1, 0));
    let mut node = Node::new(&pod, &scenario);
    for second in [0, 1, 2, 3] {
        node.sync(&pod, second);
    }
    let known = node.worker.api_status().clone();
    assert_eq!(columns(&pod, &known), "1/1 Running 0");
    node.worker = PodWorker::resume(WorkerSettings::default(), known.clone());
    node.runtime.take_calls();
    node.sync(&pod, 60);
    assert_eq!(node.runtime.take_calls(), []);
    assert_eq!(node.worker.api_status(), &known);
}

#[test]
fn a_resumed_worker_stays_in_a_terminal_phase() {
    let pod = pod("Never");
    let mut node = Node::new(&pod, &Scenario::default().script("i1", ends(1, 1)));
    for second in 0..10 {
        node.sync(&pod, second);
    }
    let known = node.worker.api_status().clone();
    assert_eq!(known.phase, PodPhase::Failed);
    let mut worker = PodWorker::resume(WorkerSettings::default(), known);
    // Even if nothing of the pod is left.
    worker.sync(&pod, &Observation::new(), at(60));
    assert_eq!(carried_out(&mut worker, &pod, at(60)), []);
    assert_eq!(worker.status().phase, PodPhase::Failed);
}

#[test]
fn a_worker_that_was_written_down_between_two_syncs_goes_on_as_if_nothing_had_happened() {
    let pod = pod("Always");
    let mut node = Node::new(&pod, &Scenario::default().script("i1", ends(1, 1)));
    let mut twin = Node::new(&pod, &Scenario::default().script("i1", ends(1, 1)));
    for second in [0, 1, 2, 3, 12, 13, 33, 34] {
        node.sync(&pod, second);
        twin.sync(&pod, second);
        let written = serde_json::to_string(&twin.worker).unwrap();
        twin.worker = serde_json::from_str(&written).unwrap();
        assert_eq!(twin.worker.status(), node.worker.status(), "{second}");
        assert_eq!(twin.worker.next_sync(), node.worker.next_sync(), "{second}");
    }
    assert_eq!(node.events, twin.events);
}

#[test]
fn a_later_deletion_only_shortens_the_grace() {
    let pod = pod("Always");
    let mut worker = PodWorker::default();
    let delete = |seconds| Deletion { timestamp: at(0), grace_period_seconds: seconds };
    worker.delete(delete(30));
    worker.delete(delete(60));
    assert_eq!(worker.deletion().unwrap().grace_period_seconds, 30);
    worker.delete(delete(5));
    worker.sync(&pod, &observed(&pod, &[("i1", running())]), at(1));
    let Some(Operation::StopContainers(stop)) = worker.next_operation(&pod, at(1)) else {
        panic!("nothing is stopped")
    };
    assert_eq!(stop.plan.stops()[0].grace_period.seconds, 5);
}

#[test]
fn containers_that_cannot_be_stopped_are_tried_again_before_the_pod_ends() {
    let pod = pod("Always");
    let mut worker = PodWorker::default();
    let observation = observed(&pod, &[("i1", running())]);
    worker.sync(&pod, &observation, at(0));
    worker.delete(Deletion { timestamp: at(1), grace_period_seconds: 30 });
    worker.sync(&pod, &observation, at(1));
    let stop = worker.next_operation(&pod, at(1)).unwrap();
    assert!(matches!(stop, Operation::StopContainers(_)));
    worker.record(&pod, stop.failed(Failure::new("timeout")), at(1)).unwrap();
    // The sandbox is stopped all the same.
    let stop = worker.next_operation(&pod, at(1)).unwrap();
    assert!(matches!(stop, Operation::StopPodSandbox(_)));
    worker.record(&pod, stop.succeeded(""), at(1)).unwrap();
    assert_eq!(worker.next_operation(&pod, at(1)), None);
    assert_eq!(worker.kind(), SyncKind::Terminating);
    assert_eq!(worker.next_sync(), NextSync::At(at(11), NextSyncReason::Retry));
    assert_eq!(worker.api_status().phase, PodPhase::Pending);
}

#[test]
fn messages_of_ended_containers_are_cut_to_their_share() {
    let pod = pod("Always");
    let mut worker = PodWorker::default();
    let long = instance(InstanceState::Exited(with!(Exit {
        exit_code: 1,
        message: "é".repeat(12_288).into(),
        ..Exit::default()
    })));
    worker.sync(&pod, &observed(&pod, &[("i1", long)]), at(1));
    let terminated = worker.status().init_container_statuses[0].state.terminated.clone();
    // 12,288 bytes for three containers, and no half of a character.
    assert_eq!(terminated.unwrap().message.len(), 4_096);
}

#[test]
fn the_back_off_of_one_container_is_not_that_of_another() {
    let mut back_off = BackOff::new(BackOffSettings::IMAGE_PULL);
    back_off.advance("i1", at(0), at(0));
    back_off.advance("i1", at(1), at(1));
    assert_eq!(back_off.in_back_off_since(&"i1", at(2), at(2)), Some(S(20)));
    assert_eq!(back_off.in_back_off_since(&"i2", at(2), at(2)), None);
}

#[test]
fn containers_of_a_pod_that_share_an_image_share_the_back_off_of_its_pulls() {
    let spec = json!({
        "initContainers": [{"name": "s", "image": "x:1", "restartPolicy": "Always"}],
        "containers": [{"name": "a", "image": "x:1", "imagePullPolicy": "Always"}],
    });
    let pod = web_in(V1_36, &spec);
    // The pull of the sidecar succeeds, the first one of the app does not.
    let app = ContainerScript { image_pull_failures: 1, ..ContainerScript::FOREVER };
    let sidecar = ContainerScript::runs([Run::ends(S(5), 1), Run::FOREVER]);
    let scenario = Scenario::default().script("a", app).script("s", sidecar);
    let mut node = Node::new(&pod, &scenario);
    node.sync(&pod, 0).sync(&pod, 0);
    let failed = node.worker.results().iter().find_map(|result| result.error.as_ref());
    assert_eq!(failed.unwrap().reason, "ErrImagePull");
    // The sidecar, which has the image already, is restarted; then the app is looked at again.
    node.sync(&pod, 5).sync(&pod, 5);
    let held_back = node.worker.results().iter().find_map(|result| result.error.as_ref());
    assert_eq!(held_back.unwrap().reason, "ImagePullBackOff");
    node.sync(&pod, 10);
    let again = node.worker.results().iter().find(|result| result.target == "a");
    assert_eq!(again.unwrap().error, None);
}

#[test]
fn a_probe_that_has_not_answered_holds_a_sidecar_back_in_the_worker_too() {
    let spec = json!({
        "initContainers": [{
            "name": "s", "image": "x:1", "restartPolicy": "Always",
            "startupProbe": {"httpGet": {"port": 80}},
        }],
        "containers": [{"name": "a", "image": "a:1"}],
    });
    let pod = web_in(V1_36, &spec);
    let probe = ProbeScript { succeeds_after: Some(S(7)), fails_after: None };
    let script = ContainerScript { startup_probe: probe, ..ContainerScript::FOREVER };
    let mut node = Node::new(&pod, &Scenario::default().script("s", script));
    node.sync(&pod, 0).sync(&pod, 6);
    assert_eq!(columns(&pod, node.worker.status()), "0/2 Init:0/1 0");
    node.sync(&pod, 7).sync(&pod, 8);
    assert_eq!(columns(&pod, node.worker.status()), "2/2 Running 0");
}

#[test]
fn a_runtime_that_cannot_be_asked_decides_nothing() {
    let pod = pod("Always");
    let mut node = Node::new(&pod, &Scenario::default());
    node.runtime.fail_until(at(10));
    let before = node.worker.clone();
    let error = sync_pod(&mut node.worker, &pod, &mut node.runtime).unwrap_err();
    assert_eq!(error, SyncPodError::Observe(SimError::Unavailable));
    assert_eq!(node.worker, before);
    assert_eq!(node.runtime.take_calls(), []);
}

#[test]
fn a_worker_that_is_saved_in_the_middle_of_a_sync_is_the_same_and_asks_to_be_synced() {
    let pod = pod("Always");
    let mut worker = PodWorker::default();
    worker.sync(&pod, &Observation::new(), BEGIN);
    while let Some(operation) = worker.next_operation(&pod, BEGIN) {
        let saved = serde_json::to_string(&worker).unwrap();
        let loaded: PodWorker = serde_json::from_str(&saved).unwrap();
        assert_eq!(loaded, worker);
        assert_eq!(loaded.next_sync(), NextSync::Now);
        worker.record(&pod, operation.succeeded("fake://1"), BEGIN).unwrap();
    }
}

#[test]
fn a_worker_in_a_format_that_is_not_known_is_refused_by_its_number() {
    let mut saved = serde_json::to_value(PodWorker::default()).unwrap();
    saved["format"] = json!(7);
    let error = serde_json::from_value::<PodWorker>(saved.clone()).unwrap_err();
    let expected = "a pod worker in format 7 cannot be read: this version reads format 1";
    assert_eq!(error.to_string(), expected);
    saved.as_object_mut().unwrap().remove("format");
    let error = serde_json::from_value::<PodWorker>(saved).unwrap_err();
    assert_eq!(error.to_string(), "missing field `format`");
}

#[test]
fn a_sync_gives_what_it_did() {
    let pod = pod("Always");
    let mut runtime = SimRuntime::new(&pod, &Scenario::default());
    let mut worker = PodWorker::default();
    let first = sync_pod(&mut worker, &pod, &mut runtime).unwrap();
    let i1 = pod.init_containers().next().unwrap();
    assert!(first.sandbox_created && first.changed());
    assert_eq!((first.created(), first.started()), (&[i1][..], &[i1][..]));
    assert!(first.stopped().is_empty() && first.failed == 0);
    // Nothing has happened since.
    let second = sync_pod(&mut worker, &pod, &mut runtime).unwrap();
    assert_eq!((second.changed(), second), (false, SyncSummary::default()));
}

#[test]
fn a_compiled_pod_is_the_same_when_it_is_written_and_read() {
    let mut gates = FeatureGates::default();
    gates.set_bug(KnownBug::ALL[0], !gates.has_bug(KnownBug::ALL[0]));
    gates.set(Feature::KubeletEnsureSecretPulledImages, false).unwrap();
    let mut extensions = Extensions::default();
    extensions.ignore_init_failure = true;
    let manifest = serde_json::from_value(json!({
        "metadata": {"name": "web"}, "spec": spec("OnFailure"),
    }))
    .unwrap();
    let pod = PodSpec::compile(&manifest, gates).unwrap().with_extensions(extensions);
    let app = pod.app_containers().next().unwrap();
    for pod in [pod.with_image(app, "a:2"), pod] {
        let written = serde_json::to_string(&pod).unwrap();
        assert_eq!(serde_json::from_str::<PodSpec>(&written).unwrap(), pod);
    }
}

#[test]
fn a_compiled_pod_knows_its_amounts() {
    let manifest = serde_json::from_value(json!({
        "metadata": {"name": "web"},
        "spec": {"containers": [{"name": "a", "image": "a:1", "resources": {"limits": {"cpu": 1}}}]},
    }))
    .unwrap();
    let pod = PodSpec::compile(&manifest, FeatureGates::default()).unwrap();
    let requests = pod.resources().unwrap().requests(&PodResourcesOptions::default());
    assert_eq!(requests.to_string(), "cpu: 1");
}

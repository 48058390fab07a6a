//! Phase, conditions and container statuses.

use podinit::KubernetesVersion::*;
use podinit::sim::{ContainerScript, PodEvent, ProbeScript, Run, Scenario, simulate};
use podinit::status::condition_type;
use podinit::worker::{Deletion, Eviction, SyncKind, WorkerSettings};
use podinit::{Feature, PodPhase, Timestamp};
use serde_json::{Value, json};

use super::{ALL, gates_with, two_and_app};
use crate::support::{
    BEGIN, Before, Node, S, at, columns, condition, ends, exited, in_earlier_sandbox, initialized,
    observed, restarted, running, status, web, web_in,
};

/// The versions in which the pod has this phase.
fn with_phase(
    phase: PodPhase,
    spec: &Value,
    instances: &[(&str, podinit::observation::ContainerInstance)],
) -> Vec<podinit::KubernetesVersion> {
    let so = |version: &podinit::KubernetesVersion| {
        let pod = web_in(*version, spec);
        status(&pod, &observed(&pod, instances), &Before::default()).phase == phase
    };
    ALL.into_iter().filter(so).collect()
}

#[test]
fn a_pod_that_initialises_again_after_a_node_restart_is_pending_since_1_32() {
    let app = in_earlier_sandbox(exited(255));
    let instances = [("i1", running()), ("a", app)];
    let spec = two_and_app("Always");
    assert_eq!(with_phase(PodPhase::Running, &spec, &instances), ALL[..4]);
    assert_eq!(with_phase(PodPhase::Pending, &spec, &instances), ALL[4..]);
}

#[test]
fn a_sidecar_that_starts_again_after_a_node_restart_makes_the_pod_pending_since_1_33() {
    let spec = json!({
        "initContainers": [{
            "name": "s", "image": "s:1", "restartPolicy": "Always",
            "startupProbe": {"httpGet": {"port": 80}},
        }],
        "containers": [{"name": "a", "image": "a:1"}],
    });
    let instances = [("s", running()), ("a", in_earlier_sandbox(exited(255)))];
    assert_eq!(
        with_phase(PodPhase::Pending, &spec, &instances),
        [V1_33, V1_34, V1_35, V1_36, V1_37]
    );
}

#[test]
fn an_init_container_that_says_never_fails_an_always_pod_since_1_35() {
    let spec = json!({
        "initContainers": [{"name": "i1", "image": "i:1", "restartPolicy": "Never"}],
        "containers": [{"name": "a", "image": "a:1"}],
    });
    let instances = [("i1", exited(1))];
    assert_eq!(with_phase(PodPhase::Failed, &spec, &instances), [V1_35, V1_36, V1_37]);

    let gates = gates_with(V1_34, &[(Feature::ContainerRestartRules, true)]);
    let pod = web(gates, &spec);
    let status = status(&pod, &observed(&pod, &instances), &Before::default());
    assert_eq!(status.phase, PodPhase::Failed);
}

#[test]
fn an_init_container_without_record_beside_a_running_app_counts_as_done_since_1_35() {
    for version in ALL {
        let pod = web_in(version, &two_and_app("Always"));
        let observation = observed(&pod, &[("a", running())]);
        let status = status(&pod, &observation, &Before::default());
        let state = &status.init_container_statuses[0].state;
        let (phase, reason) = match (&state.terminated, &state.waiting) {
            (Some(terminated), None) => (status.phase, terminated.reason.as_str()),
            (None, Some(waiting)) => (status.phase, waiting.reason.as_str()),
            _ => panic!("{state:?}"),
        };
        let expected = match version {
            V1_35 | V1_36 | V1_37 => (PodPhase::Running, "Completed"),
            // A pod that has run was not pending again up to 1.31.
            V1_32 | V1_33 | V1_34 => (PodPhase::Pending, "PodInitializing"),
            _ => (PodPhase::Running, "PodInitializing"),
        };
        assert_eq!((phase, reason), expected, "{version}");
    }
}

#[test]
fn removed_records_let_the_restart_count_go_back_up_to_1_35() {
    // The second init container fails once; then the sandbox is lost and its log with it.
    let scenario = Scenario::default()
        .script("i1", ends(1, 0))
        .script("i2", ContainerScript::runs([Run::ends(S(1), 1), Run::ends(S(1), 0)]))
        .event(S(60), PodEvent::SandboxLost);
    for version in ALL {
        let pod = web_in(version, &two_and_app("Always"));
        let timeline = simulate(&pod, &scenario);
        let last = timeline.steps.last().unwrap();
        let count = last.api_status.init_container_statuses[1].restart_count;
        // Since 1.36 it goes on: once for the failure, once for the second initialisation.
        assert_eq!(count, if version >= V1_36 { 2 } else { 0 }, "{version}");
    }
}

#[test]
fn initialised_stays_true_while_the_apps_wait_and_init_runs_again_since_1_36() {
    for version in ALL {
        let pod = web_in(version, &two_and_app("Always"));
        let earlier = status(
            &pod,
            &observed(&pod, &[("i1", exited(0)), ("i2", exited(0)), ("a", running())]),
            &Before::default(),
        );
        assert_eq!(initialized(&earlier), "True", "{version}");
        let before = Before { status: earlier, ..Before::in_back_off(&pod, "a") };
        let instances = [("i1", running()), ("a", in_earlier_sandbox(exited(1)))];
        let later = status(&pod, &observed(&pod, &instances), &before);
        let still = later.is_condition_true(condition_type::INITIALIZED);
        assert_eq!(still, version >= V1_36, "{version}");
    }
}

#[test]
fn the_condition_of_a_ready_sandbox_exists_since_1_29_and_is_written_at_once_since_1_36() {
    for version in ALL {
        let pod = web_in(version, &two_and_app("Always"));
        let scenario = Scenario::default().script("i1", ends(10, 0));
        let steps = simulate(&pod, &scenario).steps;
        let shown = |step: usize| {
            condition(&steps[step].api_status, condition_type::POD_READY_TO_START_CONTAINERS)
        };
        let expected = match version {
            V1_28 => ("absent", "absent"),
            V1_36 | V1_37 => ("True", "True"),
            _ => ("False", "True"),
        };
        assert_eq!((shown(0).as_str(), shown(1).as_str()), expected, "{version}");
    }
}

#[test]
fn a_pod_that_can_be_restarted_in_place_says_so_with_the_gate_only() {
    let spec = json!({
        "containers": [{
            "name": "a", "image": "a:1", "restartPolicy": "Never",
            "restartPolicyRules": [
                {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [88]}},
            ],
        }],
    });
    for (version, expected) in [(V1_35, "absent"), (V1_36, "False")] {
        let pod = web_in(version, &spec);
        let status = status(&pod, &observed(&pod, &[("a", running())]), &Before::default());
        let shown = condition(&status, condition_type::ALL_CONTAINERS_RESTARTING);
        assert_eq!(shown, expected, "{version}");
    }
}

#[test]
fn a_kubelet_that_restarts_takes_the_readiness_away_up_to_1_34() {
    let spec = json!({
        "initContainers": [{
            "name": "s", "image": "s:1", "restartPolicy": "Always",
            "startupProbe": {"httpGet": {"port": 80}},
        }],
        "containers": [
            {"name": "a", "image": "a:1", "readinessProbe": {"httpGet": {"port": 80}}},
        ],
    });
    let after_a_second = ProbeScript { succeeds_after: Some(S(1)), fails_after: None };
    let scenario = Scenario::default()
        .script("s", ContainerScript { startup_probe: after_a_second, ..ContainerScript::FOREVER })
        .script(
            "a",
            ContainerScript { readiness_probe: after_a_second, ..ContainerScript::FOREVER },
        )
        .event(S(60), PodEvent::KubeletRestarted);
    for version in &ALL[1..] {
        let pod = web_in(*version, &spec);
        let timeline = simulate(&pod, &scenario);
        let last: Vec<String> = timeline
            .steps
            .iter()
            .filter(|step| step.at >= S(2))
            .map(|step| format!("{:?} {}", step.at, columns(&pod, &step.api_status)))
            .collect();
        let mut expected = vec!["2s 2/2 Running 0"];
        if *version <= V1_34 {
            // Once the prober has looked at it, until the probes have spoken again.
            expected.extend(["61s 0/2 Init:0/1 0", "62s 2/2 Running 0"]);
        }
        assert_eq!(last, expected, "{version}");
    }
}

#[test]
fn a_container_younger_than_ten_seconds_loses_its_readiness_when_the_kubelet_restarts() {
    let spec = json!({
        "containers": [
            {"name": "a", "image": "a:1", "readinessProbe": {"httpGet": {"port": 80}}},
        ],
    });
    let pod = web_in(V1_36, &spec);
    let mut ready = running();
    ready.readiness_probe = Some(podinit::observation::ProbeResult::Success);
    let earlier = status(&pod, &observed(&pod, &[("a", ready)]), &Before::default());
    assert!(earlier.is_condition_true(condition_type::READY));
    let after_restart_at = |kubelet_started_at: Timestamp| {
        let before = Before {
            status: earlier.clone(),
            kubelet_started_at: Some(kubelet_started_at),
            ..Before::default()
        };
        let status = status(&pod, &observed(&pod, &[("a", running())]), &before);
        status.is_condition_true(condition_type::READY)
    };
    // The container was started at the beginning.
    assert_eq!(running().started_at, Some(BEGIN));
    assert!(!after_restart_at(at(10)));
    assert!(after_restart_at(at(11)));
}

#[test]
fn without_its_gate_an_evicted_pod_has_no_disruption_target() {
    for (gate, expected) in
        [(true, "True TerminationByKubelet The node was low on memory."), (false, "absent")]
    {
        let gates = gates_with(V1_30, &[(Feature::PodDisruptionConditions, gate)]);
        let pod = web(gates, &two_and_app("Always"));
        let mut node = Node::new(&pod, &Scenario::default().script("i1", ends(60, 0)));
        node.sync(&pod, 0);
        node.worker.evict(Eviction::evicted("The node was low on memory.", None));
        while node.worker.kind() != SyncKind::Finished {
            node.sync(&pod, 1);
        }
        let status = node.worker.api_status();
        assert_eq!((status.phase, status.reason.as_str()), (PodPhase::Failed, "Evicted"));
        assert_eq!(condition(status, condition_type::DISRUPTION_TARGET), expected);
    }
}

#[test]
fn a_pod_deleted_during_initialisation_fails_in_every_version() {
    for version in ALL {
        let pod = web_in(version, &two_and_app("Always"));
        let mut node = Node::new(&pod, &Scenario::default().script("i1", ends(60, 0)));
        node.sync(&pod, 0).sync(&pod, 1);
        node.worker.delete(Deletion { timestamp: at(10), grace_period_seconds: 30 });
        while node.worker.kind() != SyncKind::Finished {
            node.sync(&pod, 10);
        }
        assert_eq!(node.worker.api_status().phase, PodPhase::Failed, "{version}");
    }
}

#[test]
fn a_failed_sidecar_of_a_never_pod_shows_its_back_off_since_1_35() {
    let spec = json!({
        "restartPolicy": "Never",
        "initContainers": [{"name": "s", "image": "s:1", "restartPolicy": "Always"}],
        "containers": [{"name": "a", "image": "a:1"}],
    });
    for version in &ALL[1..] {
        let pod = web_in(*version, &spec);
        let instances = [("s", restarted(2, exited(1))), ("a", running())];
        let status = status(&pod, &observed(&pod, &instances), &Before::in_back_off(&pod, "s"));
        let expected = if *version >= V1_35 {
            "1/2 Init:CrashLoopBackOff 2 (30s ago)"
        } else {
            "1/2 Init:Error 2"
        };
        assert_eq!(columns(&pod, &status), expected, "{version}");
    }
}

#[test]
fn the_worker_of_every_version_reaches_running() {
    let settings = WorkerSettings::default();
    for version in podinit::KubernetesVersion::ALL {
        let pod = web_in(version, &two_and_app("Always"));
        let mut scenario = Scenario::default().script("i1", ends(1, 0)).script("i2", ends(1, 0));
        scenario.settings = settings;
        let last = simulate(&pod, &scenario).steps.pop().unwrap();
        assert_eq!(last.api_status.phase, PodPhase::Running, "{version}");
        assert_eq!(columns(&pod, &last.api_status), "1/1 Running 0", "{version}");
    }
}

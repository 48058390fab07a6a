//! Worked consequences of the rules: what phase, condition and columns a situation has.
//!
//! `i1` and `i2` are regular init containers, `s` is a restartable one, `a` the app. The rules are
//! those of 1.36 where a name does not say otherwise.

use harness::with;
use podinit::backoff::CrashLoopBackOff;
use podinit::observation::{ContainerInstance, ProbeResult};
use podinit::resources::{PodResources, PodResourcesOptions};
use podinit::sim::{ContainerScript, Run, Scenario, simulate};
use podinit::status::condition_type;
use podinit::worker::{Deletion, Eviction, SyncKind, WorkerSettings};
use podinit::{Feature, FeatureGates, KubernetesVersion, Observation, PodSpec, PodStatus, kubectl};
use serde_json::{Value, json};

use crate::support::{
    Before, Node, S, at, columns, condition, decided, ends, exited, exited_because, initialized,
    observed, observed_after_loss, restarted, row, running, status, web, web_in,
    with_startup_probe,
};

const V1_36: KubernetesVersion = KubernetesVersion::V1_36;

fn i(name: &str) -> Value {
    json!({"name": name, "image": "i:1"})
}

fn s() -> Value {
    json!({"name": "s", "image": "s:1", "restartPolicy": "Always"})
}

fn s_with_startup_probe() -> Value {
    json!({"name": "s", "image": "s:1", "restartPolicy": "Always",
           "startupProbe": {"httpGet": {"port": 80}}})
}

fn spec(policy: &str, init: &[Value]) -> Value {
    json!({
        "restartPolicy": policy,
        "initContainers": init,
        "containers": [{"name": "a", "image": "a:1"}],
    })
}

fn pod(policy: &str, init: &[Value]) -> PodSpec {
    web_in(V1_36, &spec(policy, init))
}

/// Phase, condition Initialized and columns at a situation without a past.
fn seen(pod: &PodSpec, instances: &[(&str, ContainerInstance)]) -> [String; 3] {
    row(pod, &status(pod, &observed(pod, instances), &Before::default()))
}

/// The same while the last start of one container was held back by back-off.
fn seen_in_back_off(
    pod: &PodSpec,
    instances: &[(&str, ContainerInstance)],
    name: &str,
) -> [String; 3] {
    row(pod, &status(pod, &observed(pod, instances), &Before::in_back_off(pod, name)))
}

const INCOMPLETE_I1_I2: &str =
    "False ContainersNotInitialized containers with incomplete status: [i1 i2]";
const INCOMPLETE_I2: &str =
    "False ContainersNotInitialized containers with incomplete status: [i2]";
const INCOMPLETE_I1: &str =
    "False ContainersNotInitialized containers with incomplete status: [i1]";

#[test]
fn without_a_sandbox_nothing_is_initialised() {
    let pod = pod("Always", &[i("i1"), i("i2")]);
    let status = status(&pod, &Observation::new(), &Before::default());
    assert_eq!(row(&pod, &status), ["Pending", INCOMPLETE_I1_I2, "0/1 Init:0/2 0"]);
}

#[test]
fn the_second_of_two_runs() {
    let pod = pod("Always", &[i("i1"), i("i2")]);
    let seen = seen(&pod, &[("i1", exited(0)), ("i2", running())]);
    assert_eq!(seen, ["Pending", INCOMPLETE_I2, "0/1 Init:1/2 0"]);
}

#[test]
fn a_started_sidecar_counts_as_done_and_as_ready() {
    let pod = pod("Always", &[s(), i("i2")]);
    let seen = seen(&pod, &[("s", running()), ("i2", running())]);
    assert_eq!(seen, ["Pending", INCOMPLETE_I2, "1/2 Init:1/2 0"]);
}

#[test]
fn a_sidecar_that_has_not_started_counts_as_neither() {
    let pod = pod("Always", &[s_with_startup_probe(), i("i2")]);
    let seen = seen(&pod, &[("s", with_startup_probe(ProbeResult::Unknown))]);
    let incomplete = "False ContainersNotInitialized containers with incomplete status: [s i2]";
    assert_eq!(seen, ["Pending", incomplete, "0/2 Init:0/2 0"]);
}

#[test]
fn all_is_initialised_and_the_app_is_not_there_yet() {
    let pod = pod("Always", &[i("i1"), i("i2")]);
    let seen = seen(&pod, &[("i1", exited(0)), ("i2", exited(0))]);
    assert_eq!(seen, ["Pending", "True", "0/1 PodInitializing 0"]);
}

#[test]
fn without_init_containers_the_app_is_being_created() {
    let pod = pod("Always", &[]);
    assert_eq!(seen(&pod, &[]), ["Pending", "True", "0/1 ContainerCreating 0"]);
}

#[test]
fn an_init_container_that_has_just_failed_and_will_be_restarted_leaves_the_pod_pending() {
    for policy in ["Always", "OnFailure"] {
        let pod = pod(policy, &[i("i1")]);
        let seen = seen(&pod, &[("i1", restarted(2, exited(1)))]);
        assert_eq!(seen, ["Pending", INCOMPLETE_I1, "0/1 Init:Error 2"], "{policy}");
    }
}

#[test]
fn an_init_container_in_back_off_shows_it_with_its_restarts() {
    for policy in ["Always", "OnFailure"] {
        let pod = pod(policy, &[i("i1")]);
        let instances = [("i1", restarted(2, exited(1)))];
        let seen = seen_in_back_off(&pod, &instances, "i1");
        let expected = ["Pending", INCOMPLETE_I1, "0/1 Init:CrashLoopBackOff 2 (30s ago)"];
        assert_eq!(seen, expected, "{policy}");
    }
}

#[test]
fn an_init_container_that_fails_for_good_fails_the_pod() {
    let own_policy = json!({"name": "i1", "image": "i:1", "restartPolicy": "Never"});
    let pods = [pod("Never", &[i("i1"), i("i2")]), pod("Always", &[own_policy, i("i2")])];
    for pod in pods {
        let status = status(&pod, &observed(&pod, &[("i1", exited(1))]), &Before::default());
        assert_eq!(row(&pod, &status), ["Failed", INCOMPLETE_I1_I2, "0/1 Init:Error 0"]);
        assert_eq!(condition(&status, condition_type::READY), "False PodFailed");
        assert_eq!(condition(&status, condition_type::CONTAINERS_READY), "False PodFailed");
        let waits = [&status.init_container_statuses[1], &status.container_statuses[0]];
        for container in waits {
            let waiting = container.state.waiting.as_ref().map(|waiting| waiting.reason.as_str());
            assert_eq!(waiting, Some("PodInitializing"), "{}", container.name);
        }
    }
}

#[test]
fn an_init_container_killed_for_memory_shows_why_and_fails_the_pod_by_policy() {
    for (policy, phase) in [("Always", "Pending"), ("OnFailure", "Pending"), ("Never", "Failed")] {
        let pod = pod(policy, &[i("i1")]);
        let seen = seen(&pod, &[("i1", restarted(1, exited_because(137, "OOMKilled")))]);
        assert_eq!(seen, [phase, INCOMPLETE_I1, "0/1 Init:OOMKilled 1"], "{policy}");
    }
}

#[test]
fn a_crash_looping_sidecar_shows_beside_a_running_app() {
    for policy in ["Always", "Never"] {
        let pod = pod(policy, &[s()]);
        let instances = [("s", restarted(4, exited(1))), ("a", running())];
        let seen = seen_in_back_off(&pod, &instances, "s");
        let expected = ["Running", "True", "1/2 Init:CrashLoopBackOff 4 (30s ago)"];
        assert_eq!(seen, expected, "{policy}");
    }
}

#[test]
fn up_to_1_34_a_crash_looping_sidecar_of_a_never_pod_never_shows_its_back_off() {
    let pod = web_in(KubernetesVersion::V1_34, &spec("Never", &[s()]));
    let instances = [("s", restarted(4, exited(1))), ("a", running())];
    let seen = seen_in_back_off(&pod, &instances, "s");
    assert_eq!(seen, ["Running", "True", "1/2 Init:Error 4"]);
}

#[test]
fn a_sidecar_that_exited_0_in_back_off_leaves_the_pod_running() {
    let pod = pod("Always", &[s()]);
    let mut before = exited(0);
    before.restart_count = 3;
    let mut observation = observed(&pod, &[("s", restarted(4, exited(0))), ("a", running())]);
    observation.push_named(&pod, "s", before);
    let status = status(&pod, &observation, &Before::in_back_off(&pod, "s"));
    assert_eq!(row(&pod, &status), ["Running", "True", "1/2 Running 4 (30s ago)"]);
}

#[test]
fn an_app_that_is_done_beside_a_sidecar_being_stopped_leaves_the_pod_running() {
    let pod = pod("Never", &[s()]);
    let seen = seen(&pod, &[("s", running()), ("a", exited(0))]);
    assert_eq!(seen, ["Running", "True", "1/2 Completed 0"]);
}

#[test]
fn a_pod_whose_sidecar_is_gone_too_has_succeeded_whatever_the_sidecars_exit_code_was() {
    for exit_code in [0, 137] {
        let pod = pod("Never", &[s()]);
        let observation = observed(&pod, &[("s", exited(exit_code)), ("a", exited(0))]);
        let before = Before { pod_is_terminal: true, ..Before::default() };
        let status = status(&pod, &observation, &before);
        assert_eq!(status.phase.to_string(), "Succeeded", "{exit_code}");
        assert_eq!(initialized(&status), "True PodCompleted");
        assert_eq!(columns(&pod, &status), "0/2 Completed 0", "{exit_code}");
    }
}

#[test]
fn after_a_node_restart_the_app_wins_the_columns_while_i1_runs_again() {
    for (version, phase) in [
        (KubernetesVersion::V1_31, "Running"),
        (KubernetesVersion::V1_32, "Pending"),
        (KubernetesVersion::V1_36, "Pending"),
    ] {
        let pod = web_in(version, &spec("Always", &[i("i1"), i("i2")]));
        let app = crate::support::in_earlier_sandbox(restarted(1, exited(255)));
        let instances = [("i1", running()), ("a", app)];
        let status = status(&pod, &observed(&pod, &instances), &Before::default());
        assert_eq!(row(&pod, &status), [phase, "True", "0/1 Error 1"], "{version}");
    }
}

#[test]
fn a_pod_deleted_during_i1_is_terminating_and_fails_once_it_has_stopped() {
    let pod = pod("Always", &[i("i1"), i("i2")]);
    let scenario = Scenario::default().script("i1", ends(60, 0));
    let mut node = Node::new(&pod, &scenario);
    node.sync(&pod, 0).sync(&pod, 1);
    let deletion = Deletion { timestamp: at(10), grace_period_seconds: 30 };
    node.worker.delete(deletion);
    let shown = |status: &PodStatus| {
        let columns = kubectl::columns(&pod, status, Some(deletion.timestamp), at(30));
        [status.phase.to_string(), initialized(status), columns.to_string()]
    };

    node.sync(&pod, 10);
    let stopping = ["Pending", INCOMPLETE_I1_I2, "0/1 Terminating 0"];
    assert_eq!(shown(node.worker.api_status()), stopping);
    while node.worker.kind() != SyncKind::Finished {
        node.sync(&pod, 11);
    }
    let failed = ["Failed", INCOMPLETE_I1_I2, "0/1 Init:Error 0"];
    assert_eq!(shown(node.worker.api_status()), failed);
    let ended = node.worker.api_status().init_container_statuses[0].state.terminated.as_ref();
    assert_eq!(ended.map(|ended| (ended.exit_code, ended.reason.as_str())), Some((137, "Error")));
}

#[test]
fn an_init_container_whose_end_nobody_saw_is_marked_when_the_pod_is_gone() {
    let pod = pod("Always", &[i("i1"), i("i2")]);
    let mut node = Node::new(&pod, &Scenario::default());
    // Deleted before anything was started.
    node.worker.delete(Deletion { timestamp: at(0), grace_period_seconds: 30 });
    while node.worker.kind() != SyncKind::Finished {
        node.sync(&pod, 1);
    }
    let status = node.worker.api_status();
    assert_eq!(status.phase.to_string(), "Failed");
    let i1 = status.init_container_statuses[0].state.terminated.as_ref().unwrap();
    assert_eq!((i1.exit_code, i1.reason.as_str()), (137, "ContainerStatusUnknown"));
    assert!(status.init_container_statuses[1].state.terminated.is_none());
}

#[test]
fn a_pod_evicted_before_it_is_initialised_fails_and_shows_what_its_init_container_did() {
    let pod = pod("Always", &[i("i1")]);
    let mut node = Node::new(&pod, &Scenario::default().script("i1", ends(60, 0)));
    node.sync(&pod, 0).sync(&pod, 1);
    node.worker.evict(Eviction::evicted("The node was low on resource: memory.", Some(1)));
    node.sync(&pod, 10);
    assert_eq!(node.worker.api_status().phase.to_string(), "Pending");
    while node.worker.kind() != SyncKind::Finished {
        node.sync(&pod, 11);
    }
    let status = node.worker.api_status();
    assert_eq!(row(&pod, status), ["Failed", INCOMPLETE_I1, "0/1 Init:Error 0"]);
    assert_eq!(status.reason, "Evicted");
    let disruption = condition(status, condition_type::DISRUPTION_TARGET);
    assert_eq!(disruption, "True TerminationByKubelet The node was low on resource: memory.");
}

/// When an init container that fails at once is started, in seconds.
fn starts(pod: &PodSpec, settings: WorkerSettings, count: usize) -> Vec<u64> {
    let mut scenario = Scenario::default().script("i1", ends(0, 1));
    scenario.settings = settings;
    scenario.limits.steps = 1_000;
    let timeline = simulate(pod, &scenario);
    let started = timeline.steps.iter().flat_map(|step| {
        let calls = step.runtime_calls.iter().filter(|call| call.name == "StartContainer");
        calls.map(|_| step.at)
    });
    let started: Vec<_> = started.take(count).collect();
    assert!(started.iter().all(|at| at.subsec_nanos() == 0));
    started.iter().map(|at| at.as_secs()).collect()
}

#[test]
fn an_init_container_that_fails_at_once_is_started_at_these_instants() {
    let pod = pod("Always", &[i("i1")]);
    let starts = starts(&pod, WorkerSettings::default(), 9);
    assert_eq!(starts, [0, 0, 10, 30, 70, 150, 310, 610, 910]);
}

#[test]
fn with_the_reduced_back_off_it_is_started_at_these_instants() {
    let mut gates: FeatureGates = V1_36.feature_gates();
    gates.set(Feature::ReduceDefaultCrashLoopBackOffDecay, true).unwrap();
    let config = CrashLoopBackOff { max_container_restart_period: Some(S(60)) };
    let settings = with!(WorkerSettings {
        crash_loop_back_off: config.settings(gates).unwrap(),
        ..WorkerSettings::default()
    });
    let starts = starts(&web(gates, &spec("Always", &[i("i1")])), settings, 10);
    assert_eq!(starts, [0, 0, 1, 3, 7, 15, 31, 63, 123, 183]);
}

#[test]
fn with_the_reduced_back_off_and_no_maximum_of_the_node_it_goes_up_to_five_minutes() {
    let mut gates = V1_36.feature_gates();
    gates.set(Feature::ReduceDefaultCrashLoopBackOffDecay, true).unwrap();
    let settings = with!(WorkerSettings {
        crash_loop_back_off: CrashLoopBackOff::default().settings(gates).unwrap(),
        ..WorkerSettings::default()
    });
    let starts = starts(&web(gates, &spec("Always", &[i("i1")])), settings, 13);
    assert_eq!(starts, [0, 0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 811, 1_111]);
}

#[test]
fn a_run_of_more_than_ten_minutes_begins_the_back_off_anew() {
    let pod = pod("Always", &[i("i1")]);
    let run = |lasts| Run::ends(S(lasts), 1);
    for (long, expected) in [(600, [0, 1, 12, 33, 673]), (601, [0, 1, 12, 33, 634])] {
        // The fourth run, which begins at 33 s, is the long one.
        let runs = [run(1), run(1), run(1), run(long), run(1)];
        let script = ContainerScript::runs(runs);
        let scenario = Scenario::default().script("i1", script);
        let timeline = simulate(&pod, &scenario);
        let started = timeline
            .steps
            .iter()
            .filter(|step| step.runtime_calls.iter().any(|call| call.name == "StartContainer"));
        let started: Vec<u64> = started.take(5).map(|step| step.at.as_secs()).collect();
        assert_eq!(started, expected, "{long}");
    }
}

#[test]
fn a_lost_sandbox_of_a_pod_under_never_is_not_replaced() {
    for (policy, expected) in [
        ("Never", vec!["kill pod"]),
        ("Always", vec!["kill pod", "create sandbox", "start i1"]),
        ("OnFailure", vec!["kill pod", "create sandbox", "start i1"]),
    ] {
        let pod = pod(policy, &[i("i1"), i("i2")]);
        let instances = [("i1", exited(0)), ("i2", exited(0)), ("a", exited(255))];
        let observation = observed_after_loss(&pod, &instances);
        let actions = podinit::compute_pod_actions(&pod, &observation, Default::default());
        assert_eq!(decided(&pod, &actions), expected, "{policy}");
    }
}

#[test]
fn under_the_gate_initialised_stays_true_when_it_has_been_true() {
    let pod = pod("Always", &[i("i1")]);
    let mut earlier = PodStatus::default();
    earlier.conditions.push(podinit::status::PodCondition::new(condition_type::INITIALIZED, true));
    let before = Before { status: earlier.clone(), ..Before::in_back_off(&pod, "a") };
    let instances = [("i1", running()), ("a", exited(1))];
    assert_eq!(initialized(&status(&pod, &observed(&pod, &instances), &before)), "True");

    let older = web_in(KubernetesVersion::V1_34, &spec("Always", &[i("i1")]));
    let before = Before { status: earlier, ..Before::in_back_off(&older, "a") };
    let status = status(&older, &observed(&older, &instances), &before);
    assert_eq!(initialized(&status), INCOMPLETE_I1);
}

#[test]
fn the_effective_request_of_the_worked_example_is_that_of_its_largest_moment() {
    let requests = |cpu: &str| json!({"requests": {"cpu": cpu}});
    let init = |name: &str, cpu: &str, sidecar: bool| {
        let mut container = json!({"name": name, "image": "i:1", "resources": requests(cpu)});
        if sidecar {
            container["restartPolicy"] = json!("Always");
        }
        container
    };
    let pod: k8s_openapi::api::core::v1::Pod = serde_json::from_value(json!({
        "metadata": {"name": "web"},
        "spec": {
            "initContainers": [
                init("s1", "100m", true),
                init("i1", "500m", false),
                init("s2", "50m", true),
                init("i2", "300m", false),
            ],
            "containers": [{"name": "a", "image": "a:1", "resources": requests("200m")}],
        },
    }))
    .unwrap();
    let resources = PodResources::compile(&pod, FeatureGates::default()).unwrap();
    let requests = resources.requests(&PodResourcesOptions::default());
    assert_eq!(requests.to_string(), "cpu: 600m");
}

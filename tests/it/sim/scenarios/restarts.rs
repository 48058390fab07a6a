//! Init containers that run again, or do not.

use insta::assert_snapshot;
use podinit::KubernetesVersion;
use podinit::sim::{ContainerScript, PodEvent, Run, Scenario};
use serde_json::json;

use super::{S, ends, life, life_under, until, web};

fn two_and_app(policy: &str) -> k8s_openapi::api::core::v1::Pod {
    web(json!({
        "restartPolicy": policy,
        "initContainers": [
            {"name": "i1", "image": "db-tools:1"},
            {"name": "i2", "image": "db-tools:1"},
        ],
        "containers": [{"name": "app", "image": "web:1"}],
    }))
}

fn sandbox_lost() -> Scenario {
    Scenario::default()
        .script("i1", ends(5, 0))
        .script("i2", ends(5, 0))
        .event(S(60), PodEvent::SandboxLost)
}

#[test]
fn a_lost_sandbox_makes_all_init_containers_run_again() {
    assert_snapshot!(life(two_and_app("Always"), &sandbox_lost()));
}

#[test]
fn a_lost_sandbox_makes_all_init_containers_run_again_in_1_31() {
    let gates = KubernetesVersion::V1_31.feature_gates();
    assert_snapshot!(life_under(gates, two_and_app("Always"), &sandbox_lost()));
}

#[test]
fn a_lost_sandbox_ends_a_pod_under_never() {
    assert_snapshot!(life(two_and_app("Never"), &sandbox_lost()));
}

#[test]
fn under_on_failure_nothing_of_the_second_initialisation_is_told_until_it_is_over() {
    let scenario = sandbox_lost().script("app", ContainerScript::FOREVER);
    assert_snapshot!(life(two_and_app("OnFailure"), &scenario));
}

#[test]
fn a_kubelet_that_restarts_runs_nothing_again() {
    let scenario = Scenario::default()
        .script("i1", ends(5, 0))
        .script("i2", ends(5, 0))
        .event(S(60), PodEvent::KubeletRestarted);
    assert_snapshot!(life(two_and_app("Always"), &scenario));
}

#[test]
fn a_kubelet_that_restarts_forgets_the_back_off() {
    let scenario =
        Scenario::default().script("i1", ends(1, 1)).event(S(100), PodEvent::KubeletRestarted);
    assert_snapshot!(life(two_and_app("Always"), &until(scenario, 140)));
}

#[test]
fn records_of_init_containers_that_are_removed_do_not_make_them_run_again() {
    let scenario = Scenario::default()
        .script("i1", ends(5, 0))
        .script("i2", ends(5, 0))
        .event(S(60), PodEvent::InitRecordsRemoved);
    assert_snapshot!(life(two_and_app("Always"), &scenario));
}

#[test]
fn a_rule_restart_all_containers_restarts_the_pod_in_place() {
    let pod = web(json!({
        "restartPolicy": "Never",
        "initContainers": [
            {"name": "migrate", "image": "db-tools:1"},
            {"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"},
        ],
        "containers": [{
            "name": "app", "image": "web:1",
            "restartPolicy": "Never",
            "restartPolicyRules": [{
                "action": "RestartAllContainers",
                "exitCodes": {"operator": "In", "values": [88]},
            }],
        }],
    }));
    let app = ContainerScript::runs([Run::ends(S(20), 88), Run::ends(S(30), 0)]);
    let scenario = Scenario::default().script("migrate", ends(5, 0)).script("app", app);
    assert_snapshot!(life(pod, &scenario));
}

#[test]
fn a_rule_restart_restarts_one_container_of_a_pod_under_never() {
    let pod = web(json!({
        "restartPolicy": "Never",
        "initContainers": [{
            "name": "migrate", "image": "db-tools:1",
            "restartPolicy": "Never",
            "restartPolicyRules": [{
                "action": "Restart",
                "exitCodes": {"operator": "In", "values": [42]},
            }],
        }],
        "containers": [{"name": "app", "image": "web:1"}],
    }));
    let migrate =
        ContainerScript::runs([Run::ends(S(2), 42), Run::ends(S(2), 42), Run::ends(S(2), 7)]);
    assert_snapshot!(life(pod, &Scenario::default().script("migrate", migrate)));
}

//! Init containers that fail.

use insta::assert_snapshot;
use podinit::sim::{ContainerScript, Run, Scenario};
use serde_json::json;

use super::{S, ends, fails, life, until, web};

#[test]
fn an_init_container_fails_four_times_with_back_off_and_then_succeeds() {
    let pod = web(json!({
        "initContainers": [{"name": "migrate", "image": "db-tools:1"}],
        "containers": [{"name": "app", "image": "web:1"}],
    }));
    // 2 s a run: the starts are at 0, 2, 4 + 10, 16 + 20, 38 + 40.
    let scenario = Scenario::default().script("migrate", fails(4, 2, 1));
    let life = life(pod, &scenario);
    assert_snapshot!(life);
    assert_snapshot!("description_after_four_failures", life.describe());
}

#[test]
fn an_init_container_that_fails_under_never_fails_the_pod() {
    let pod = web(json!({
        "restartPolicy": "Never",
        "initContainers": [
            {"name": "i1", "image": "db-tools:1"},
            {"name": "i2", "image": "db-tools:1"},
        ],
        "containers": [{"name": "app", "image": "web:1"}],
    }));
    assert_snapshot!(life(pod, &Scenario::default().script("i1", ends(2, 1))));
}

#[test]
fn an_init_container_with_its_own_policy_never_fails_an_always_pod() {
    let pod = web(json!({
        "initContainers": [{"name": "i1", "image": "db-tools:1", "restartPolicy": "Never"}],
        "containers": [{"name": "app", "image": "web:1"}],
    }));
    assert_snapshot!(life(pod, &Scenario::default().script("i1", ends(2, 1))));
}

#[test]
fn an_image_that_cannot_be_pulled_three_times_is_backed_off() {
    let pod = web(json!({
        "initContainers": [{"name": "migrate", "image": "db-tools:1"}],
        "containers": [{"name": "app", "image": "web:1"}],
    }));
    let script = ContainerScript { image_pull_failures: 3, ..ends(5, 0) };
    let life = life(pod, &Scenario::default().script("migrate", script));
    assert_snapshot!(life);
    assert_snapshot!("events_of_an_image_that_cannot_be_pulled", life.event_table());
}

#[test]
fn an_init_container_killed_for_memory_twice_says_so() {
    let pod = web(json!({
        "restartPolicy": "OnFailure",
        "initContainers": [{"name": "migrate", "image": "db-tools:1"}],
        "containers": [{"name": "app", "image": "web:1"}],
    }));
    let killed = Run { reason: Some("OOMKilled".into()), ..Run::ends(S(3), 137) };
    let script = ContainerScript::runs([killed.clone(), killed, Run::ends(S(5), 0)]);
    let scenario = Scenario::default().script("migrate", script).script("app", ends(10, 0));
    assert_snapshot!(life(pod, &scenario));
}

#[test]
fn an_init_container_that_outlives_the_deadline_fails_the_pod() {
    let pod = web(json!({
        "activeDeadlineSeconds": 60,
        "initContainers": [{"name": "migrate", "image": "db-tools:1"}],
        "containers": [{"name": "app", "image": "web:1"}],
    }));
    assert_snapshot!(life(pod, &Scenario::default().script("migrate", ends(300, 0))));
}

#[test]
fn a_crash_loop_does_not_reset_the_deadline() {
    let pod = web(json!({
        "activeDeadlineSeconds": 20,
        "initContainers": [{"name": "migrate", "image": "db-tools:1"}],
        "containers": [{"name": "app", "image": "web:1"}],
    }));
    assert_snapshot!(life(pod, &Scenario::default().script("migrate", ends(1, 1))));
}

#[test]
fn an_instance_that_cannot_be_created_or_started_is_tried_again() {
    let pod = web(json!({
        "initContainers": [{"name": "migrate", "image": "db-tools:1"}],
        "containers": [{"name": "app", "image": "web:1"}],
    }));
    let script = ContainerScript { create_failures: 1, start_failures: 1, ..ends(5, 0) };
    assert_snapshot!(life(pod, &Scenario::default().script("migrate", script)));
}

#[test]
fn the_second_init_container_waits_while_the_first_crash_loops() {
    let pod = web(json!({
        "initContainers": [
            {"name": "i1", "image": "db-tools:1"},
            {"name": "i2", "image": "db-tools:1"},
        ],
        "containers": [{"name": "app", "image": "web:1"}],
    }));
    let scenario = Scenario::default().script("i1", ends(0, 1)).script("i2", ends(0, 0));
    assert_snapshot!(life(pod, &until(scenario, 100)));
}

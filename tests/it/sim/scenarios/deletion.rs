//! Pods that are deleted.

use insta::assert_snapshot;
use podinit::sim::{PodEvent, Scenario};
use serde_json::json;

use super::{S, ends, life, until, web};

fn deleted_at(seconds: u64) -> Scenario {
    Scenario::default()
        .script("i1", ends(30, 0))
        .event(S(seconds), PodEvent::PodDeleted { grace_period_seconds: 30 })
}

#[test]
fn a_pod_deleted_during_its_initialisation_fails() {
    let pod = web(json!({
        "initContainers": [
            {"name": "i1", "image": "db-tools:1"},
            {"name": "i2", "image": "db-tools:1"},
        ],
        "containers": [{"name": "app", "image": "web:1"}],
    }));
    assert_snapshot!(life(pod, &deleted_at(10)));
}

#[test]
fn a_pod_deleted_while_it_runs_stops_its_sidecars_last() {
    let pod = web(json!({
        "initContainers": [
            {"name": "i1", "image": "db-tools:1"},
            {"name": "s1", "image": "proxy:1", "restartPolicy": "Always"},
            {"name": "s2", "image": "logs:1", "restartPolicy": "Always"},
        ],
        "containers": [{"name": "app", "image": "web:1"}],
    }));
    assert_snapshot!(life(pod, &deleted_at(60)));
}

#[test]
fn a_pod_deleted_in_a_crash_loop_is_not_restarted() {
    let pod = web(json!({
        "initContainers": [{"name": "i1", "image": "db-tools:1"}],
        "containers": [{"name": "app", "image": "web:1"}],
    }));
    let scenario = deleted_at(20).script("i1", ends(1, 1));
    assert_snapshot!(life(pod, &until(scenario, 100)));
}

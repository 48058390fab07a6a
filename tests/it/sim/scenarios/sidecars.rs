//! Restartable init containers beside others.

use insta::assert_snapshot;
use podinit::sim::{ContainerScript, ProbeScript, Run, Scenario};
use serde_json::json;

use super::{S, ends, life, until, web};

#[test]
fn a_sidecar_with_a_slow_startup_probe_holds_the_others_back() {
    let pod = web(json!({
        "initContainers": [
            {
                "name": "proxy", "image": "proxy:1", "restartPolicy": "Always",
                "startupProbe": {"httpGet": {"port": 15021}},
            },
            {"name": "migrate", "image": "db-tools:1"},
        ],
        "containers": [{"name": "app", "image": "web:1"}],
    }));
    let proxy = ContainerScript {
        startup_probe: ProbeScript { succeeds_after: Some(S(25)), fails_after: None },
        ..ContainerScript::FOREVER
    };
    let scenario = Scenario::default().script("proxy", proxy).script("migrate", ends(5, 0));
    let life = life(pod, &scenario);
    assert_snapshot!(life);
    assert_snapshot!("description_with_a_sidecar", life.describe());
}

#[test]
fn a_sidecar_whose_startup_probe_fails_is_killed_and_started_again() {
    let pod = web(json!({
        "initContainers": [{
            "name": "proxy", "image": "proxy:1", "restartPolicy": "Always",
            "startupProbe": {"httpGet": {"port": 15021}},
        }],
        "containers": [{"name": "app", "image": "web:1"}],
    }));
    let proxy = ContainerScript {
        startup_probe: ProbeScript { succeeds_after: None, fails_after: Some(S(30)) },
        ..ContainerScript::FOREVER
    };
    assert_snapshot!(life(pod, &until(Scenario::default().script("proxy", proxy), 100)));
}

#[test]
fn a_pod_completes_and_its_sidecar_is_stopped() {
    let pod = web(json!({
        "restartPolicy": "Never",
        "initContainers": [{"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"}],
        "containers": [{"name": "app", "image": "web:1"}],
    }));
    assert_snapshot!(life(pod, &Scenario::default().script("app", ends(30, 0))));
}

#[test]
fn a_pod_fails_with_its_app_whatever_its_sidecar_does() {
    let pod = web(json!({
        "restartPolicy": "Never",
        "initContainers": [{"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"}],
        "containers": [{"name": "app", "image": "web:1"}],
    }));
    assert_snapshot!(life(pod, &Scenario::default().script("app", ends(30, 3))));
}

#[test]
fn a_sidecar_that_crash_loops_leaves_the_app_running() {
    let pod = web(json!({
        "initContainers": [{"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"}],
        "containers": [{"name": "app", "image": "web:1"}],
    }));
    let proxy = ContainerScript::runs([Run::ends(S(20), 1), Run::ends(S(1), 1)]);
    assert_snapshot!(life(pod, &until(Scenario::default().script("proxy", proxy), 120)));
}

#[test]
fn a_sidecar_that_exits_0_is_restarted_and_never_shows_crash_loop_back_off() {
    let pod = web(json!({
        "restartPolicy": "Never",
        "initContainers": [{"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"}],
        "containers": [{"name": "app", "image": "web:1"}],
    }));
    let proxy = ContainerScript::runs([Run::ends(S(20), 0), Run::ends(S(1), 0)]);
    assert_snapshot!(life(pod, &until(Scenario::default().script("proxy", proxy), 80)));
}

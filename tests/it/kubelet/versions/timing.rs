//! When a pod is synced again, and what begins a new back-off.

use std::time::Duration;

use podinit::KubernetesVersion::{self, *};
use podinit::backoff::{CrashLoopBackOff, CrashLoopBackOffError};
use podinit::sim::{ContainerScript, Scenario, simulate};
use podinit::worker::NextSyncReason;
use podinit::{Feature, NextSync, PodSpec};
use serde_json::{Value, json};

use super::{ALL, gates_with};
use crate::support::{Node, S, at, ends, web, web_in};

fn spec(image: &str, cpu: &str) -> Value {
    json!({
        "initContainers": [{
            "name": "i1", "image": image, "resources": {"requests": {"cpu": cpu}},
        }],
        "containers": [{"name": "a", "image": "a:1"}],
    })
}

fn pod(version: KubernetesVersion) -> PodSpec {
    web_in(version, &spec("i:1", "100m"))
}

/// A node on which `i1` has failed at 1 s and at 2 s, and is held back until 12 s.
fn held_back(pod: &PodSpec) -> Node {
    let mut node = Node::new(pod, &Scenario::default().script("i1", ends(1, 1)));
    node.sync(pod, 0).sync(pod, 1).sync(pod, 2);
    let errors = node.worker.results().iter().filter_map(|result| result.error.as_ref());
    assert!(errors.map(|error| error.reason.as_str()).eq(["CrashLoopBackOff"]));
    node
}

#[test]
fn a_pod_in_back_off_is_looked_at_when_it_ends_since_1_35_and_every_ten_seconds_before() {
    for version in ALL {
        let pod = pod(version);
        let mut node = held_back(&pod);
        let expected = if version >= V1_35 {
            NextSync::At(at(12), NextSyncReason::BackOffExpired)
        } else {
            NextSync::At(at(12), NextSyncReason::Retry)
        };
        assert_eq!(node.worker.next_sync(), expected, "{version}");
        // Something else makes the pod be synced in between: only the newer ones know the end.
        let next = node.sync(&pod, 5).worker.next_sync();
        let expected = if version >= V1_35 {
            NextSync::At(at(12), NextSyncReason::BackOffExpired)
        } else {
            NextSync::At(at(15), NextSyncReason::Retry)
        };
        assert_eq!(next, expected, "{version}");
    }
}

#[test]
fn since_1_35_a_long_back_off_is_looked_at_once_a_minute() {
    let pod = pod(V1_36);
    let timeline = simulate(&pod, &Scenario::default().script("i1", ends(0, 1)));
    let held_back = timeline.steps.iter().find(|step| {
        let errors = step.results.iter().filter_map(|result| result.error.as_ref());
        errors.into_iter().any(|error| error.message.contains("back-off 1m20s"))
    });
    let at_first = held_back.unwrap().at;
    let next = timeline.steps.iter().map(|step| step.at).find(|at| *at > at_first);
    assert_eq!(next, Some(at_first + S(60)));
}

#[test]
fn a_failed_pull_is_tried_again_after_ten_seconds_in_every_version() {
    for version in ALL {
        let pod = pod(version);
        let script = ContainerScript { image_pull_failures: 9, ..ContainerScript::FOREVER };
        let mut node = Node::new(&pod, &Scenario::default().script("i1", script));
        // At once again, because a sandbox was started; then after the usual time.
        let next = node.sync(&pod, 0).sync(&pod, 0).worker.next_sync();
        assert_eq!(next, NextSync::At(at(10), NextSyncReason::Retry), "{version}");
    }
}

/// Is the container started at once, if the spec is changed to this while it is held back?
fn changed_to(version: KubernetesVersion, spec: &Value) -> bool {
    let mut node = held_back(&pod(version));
    let changed = web_in(version, spec);
    node.sync(&changed, 3);
    node.worker.results().iter().all(|result| result.error.is_none())
}

#[test]
fn another_image_begins_a_new_back_off_in_every_version() {
    for version in ALL {
        assert!(changed_to(version, &spec("i:2", "100m")), "{version}");
        assert!(!changed_to(version, &spec("i:1", "100m")), "{version}");
    }
}

#[test]
fn other_resources_begin_a_new_back_off_since_1_34() {
    for version in ALL {
        let anew = changed_to(version, &spec("i:1", "200m"));
        assert_eq!(anew, version >= V1_34, "{version}");
    }
}

#[test]
fn the_same_amount_in_other_words_begins_no_new_back_off() {
    assert!(!changed_to(V1_36, &spec("i:1", "0.1")));
}

#[test]
fn the_node_sets_a_maximum_since_1_32_and_by_default_since_1_35() {
    let config = CrashLoopBackOff { max_container_restart_period: Some(S(30)) };
    for version in ALL {
        let settings = config.settings(version.feature_gates());
        let expected = match version {
            V1_35 | V1_36 | V1_37 => Ok((S(10), S(30))),
            _ => Err(CrashLoopBackOffError::GateOff(S(30))),
        };
        assert_eq!(settings.map(|set| (set.initial, set.max)), expected, "{version}");
    }
    let gates = gates_with(V1_32, &[(Feature::KubeletCrashLoopBackOffMax, true)]);
    assert_eq!(config.settings(gates).map(|set| set.max), Ok(S(30)));
}

#[test]
fn the_reduced_back_off_goes_up_to_a_minute_where_the_nodes_maximum_is_not_on() {
    let delays = |version| {
        let gates = gates_with(version, &[(Feature::ReduceDefaultCrashLoopBackOffDecay, true)]);
        let settings = CrashLoopBackOff::default().settings(gates).unwrap();
        (settings.initial, settings.max)
    };
    assert_eq!([delays(V1_33), delays(V1_34)], [(S(1), S(60)); 2]);
    assert_eq!([delays(V1_35), delays(V1_36)], [(S(1), S(300)); 2]);
}

#[test]
fn every_version_forgets_a_series_after_ten_minutes() {
    for version in ALL {
        let settings = CrashLoopBackOff::default().settings(version.feature_gates()).unwrap();
        assert_eq!(settings.expires_after, Duration::from_secs(600), "{version}");
    }
}

#[test]
fn a_rule_that_lets_a_container_restart_lets_it_back_off_too() {
    let gates = gates_with(V1_34, &[(Feature::ContainerRestartRules, true)]);
    let spec = json!({
        "restartPolicy": "Never",
        "initContainers": [{
            "name": "i1", "image": "i:1", "restartPolicy": "Never",
            "restartPolicyRules": [
                {"action": "Restart", "exitCodes": {"operator": "NotIn", "values": [0]}},
            ],
        }],
        "containers": [{"name": "a", "image": "a:1"}],
    });
    held_back(&web(gates, &spec));
}

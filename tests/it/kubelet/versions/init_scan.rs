//! The history of the search for the next init container.
//!
//! Up to 1.28, and in 1.30 to 1.32 for pods without restartable init containers, one scan looks for
//! a failed init container wherever it stands; the other, newer one goes by the last one that has a
//! record.

use harness::with;
use podinit::KubernetesVersion::*;
use podinit::observation::{ContainerInstance, ProbeResult, Sandbox};
use podinit::version::KnownBug;
use podinit::{ActionContext, Feature, Observation, PodSpec, compute_pod_actions};
use serde_json::json;

use super::{ALL, decide_so, gates_with, sidecar_and_app, two_and_app};
use crate::support::{
    created, decide, decided, exited, exited_because, observed, observed_after_loss, running,
    unknown, web, web_in, with_startup_probe,
};

/// Those that use the legacy scan for a pod without restartable init containers.
const LEGACY: [podinit::KubernetesVersion; 4] = [V1_28, V1_30, V1_31, V1_32];
/// Those that use the newer one for every pod.
const CURRENT: [podinit::KubernetesVersion; 6] = [V1_29, V1_33, V1_34, V1_35, V1_36, V1_37];

#[test]
fn before_1_20_init_runs_again_once_its_records_are_removed() {
    let spec = two_and_app("Always");
    let instances = [("a", running())];
    let mut gates = V1_28.feature_gates();
    assert_eq!(decide(&web(gates, &spec), &instances), [""; 0]);
    gates.set_bug(KnownBug::InitRunsAgainOnceRecordsAreRemoved, true);
    assert_eq!(decide(&web(gates, &spec), &instances), ["start i1"]);
    for version in ALL {
        assert_eq!(decide(&web_in(version, &spec), &instances), [""; 0], "{version}");
    }
}

#[test]
fn a_failed_init_container_before_one_that_succeeded_is_restarted_by_the_legacy_scan_only() {
    let spec = two_and_app("Always");
    let instances = [("i1", exited(1)), ("i2", exited(0))];
    assert_eq!(decide_so(&ALL, &spec, &instances, &["start i1"]), LEGACY);
    assert_eq!(decide_so(&ALL, &spec, &instances, &["start a"]), CURRENT);
}

#[test]
fn under_never_such_a_failure_ends_the_pod_by_the_legacy_scan_only() {
    let spec = two_and_app("Never");
    let instances = [("i1", exited(1)), ("i2", exited(0))];
    assert_eq!(decide_so(&ALL, &spec, &instances, &["kill pod"]), LEGACY);
    assert_eq!(decide_so(&ALL, &spec, &instances, &["start a"]), CURRENT);
}

#[test]
fn an_app_that_is_only_created_shows_initialisation_to_the_newer_scan_only() {
    let spec = two_and_app("Always");
    let instances = [("a", created())];
    assert_eq!(decide_so(&ALL, &spec, &instances, &["start i1"]), LEGACY);
    assert_eq!(decide_so(&ALL, &spec, &instances, &["start a"]), CURRENT);
}

#[test]
fn an_app_that_has_exited_showed_initialisation_in_1_28_with_the_gate() {
    let gates = gates_with(V1_28, &[(Feature::SidecarContainers, true)]);
    let spec = two_and_app("Always");
    let instances = [("a", exited(1))];
    assert_eq!(decide(&web(gates, &spec), &instances), ["start a"]);
    let not_since_1_37 = [V1_29, V1_33, V1_34, V1_35, V1_36];
    assert_eq!(decide_so(&CURRENT, &spec, &instances, &["start i1"]), not_since_1_37);
}

/// One sandbox that is lost, one that is ready, and instances of either.
fn in_sandboxes(
    pod: &PodSpec,
    lost: &[(&str, ContainerInstance)],
    ready: &[(&str, ContainerInstance)],
) -> Vec<String> {
    let mut observation = Observation::new();
    for (id, is_ready, attempt) in [("new", true, 1), ("old", false, 0)] {
        observation.push_sandbox(with!(Sandbox {
            id: id.into(),
            ready: is_ready,
            attempt,
            has_ip: true,
            host_network: false,
            ..Sandbox::default()
        }));
    }
    for (sandbox, instances) in [("new", ready), ("old", lost)] {
        for (name, instance) in instances {
            let instance =
                with!(ContainerInstance { sandbox_id: sandbox.into(), ..instance.clone() });
            observation.push_named(pod, name, instance);
        }
    }
    decided(pod, &compute_pod_actions(pod, &observation, ActionContext::default()))
}

#[test]
fn since_1_37_only_records_of_the_current_sandbox_tell_how_far_init_has_come() {
    let (before, after) =
        (web_in(V1_36, &two_and_app("Always")), web_in(V1_37, &two_and_app("Always")));
    // An app container of the lost sandbox no longer shows that the pod was initialised.
    let (lost, ready) = ([("a", running())], [("i1", exited(0))]);
    assert_eq!(in_sandboxes(&before, &lost, &ready), [""; 0]);
    assert_eq!(in_sandboxes(&after, &lost, &ready), ["start i2"]);
    // One of the current sandbox does in any state.
    let ready = [("a", exited(1))];
    assert_eq!(in_sandboxes(&before, &[], &ready), ["start i1"]);
    assert_eq!(in_sandboxes(&after, &[], &ready), ["start a"]);
    // An init container that was done in the lost sandbox starts again.
    let lost = [("i1", exited(0))];
    assert_eq!(in_sandboxes(&before, &lost, &[]), ["start i2"]);
    assert_eq!(in_sandboxes(&after, &lost, &[]), ["start i1"]);
}

#[test]
fn an_init_container_that_was_created_and_not_started_is_started_again() {
    let spec = two_and_app("Always");
    // The legacy scan goes back to the one before it, which leads to the same.
    let instances = [("i1", exited(0)), ("i2", created())];
    let all_but_1_29: Vec<_> = ALL.into_iter().filter(|version| *version != V1_29).collect();
    assert_eq!(decide_so(&ALL, &spec, &instances, &["start i2"]), all_but_1_29);
    let instances = [("i1", created())];
    assert_eq!(decide_so(&ALL, &spec, &instances, &["start i1"]), all_but_1_29);
}

#[test]
fn up_to_1_29_the_newer_scan_leaves_an_init_container_alone_that_was_created() {
    let spec = two_and_app("Always");
    let instances = [("i1", created())];
    let gates = gates_with(V1_28, &[(Feature::SidecarContainers, true)]);
    assert_eq!(decide(&web(gates, &spec), &instances), [""; 0]);
    assert_eq!(decide(&web_in(V1_29, &spec), &instances), [""; 0]);
}

#[test]
fn a_created_container_behind_one_whose_record_is_gone_makes_the_legacy_scan_begin_anew() {
    let spec = two_and_app("Always");
    let instances = [("i2", created())];
    assert_eq!(decide_so(&LEGACY, &spec, &instances, &["start i1"]), LEGACY);
    assert_eq!(
        decide_so(&ALL, &spec, &instances, &["start i2"]),
        [V1_33, V1_34, V1_35, V1_36, V1_37]
    );
}

#[test]
fn from_1_30_to_1_32_a_restartable_init_container_chooses_the_newer_scan() {
    for version in [V1_30, V1_31, V1_32] {
        let pod = web_in(version, &sidecar_and_app("Always"));
        let observation = observed(&pod, &[("s", running())]);
        let actions = compute_pod_actions(&pod, &observation, ActionContext::default());
        assert_eq!(actions.init_containers_to_start.len(), 1, "{version}");
        assert_eq!(actions.next_init_container_to_start, None, "{version}");

        let pod = web_in(version, &two_and_app("Always"));
        let observation = observed(&pod, &[("i1", exited(0))]);
        let actions = compute_pod_actions(&pod, &observation, ActionContext::default());
        assert!(actions.init_containers_to_start.is_empty(), "{version}");
        assert!(actions.next_init_container_to_start.is_some(), "{version}");
    }
}

#[test]
fn in_1_33_a_gate_brings_the_legacy_scan_back_for_pods_without_sidecars() {
    let gates = gates_with(V1_33, &[(Feature::LegacySidecarContainers, true)]);
    let instances = [("i1", exited(1)), ("i2", exited(0))];
    assert_eq!(decide(&web(gates, &two_and_app("Always")), &instances), ["start i1"]);
    let with_sidecar = web(gates, &sidecar_and_app("Always"));
    let observation = observed(&with_sidecar, &[("s", running())]);
    let actions = compute_pod_actions(&with_sidecar, &observation, ActionContext::default());
    assert_eq!(actions.init_containers_to_start.len(), 1);
}

#[test]
fn in_1_28_without_the_gate_a_sidecar_is_a_regular_init_container() {
    let spec = sidecar_and_app("Always");
    let instances = [("s", running())];
    let pod = web_in(V1_28, &spec);
    assert!(!pod.has_restartable_init_container());
    assert_eq!(decide(&pod, &instances), [""; 0]);
    assert_eq!(decide_so(&ALL, &spec, &instances, &["start i2"]), ALL[1..]);
}

#[test]
fn a_running_sidecar_whose_definition_changed_is_restarted_since_1_32() {
    let mut changed = running();
    changed.definition_hash = Some(1);
    let instances = [("s", changed), ("i2", exited(0)), ("a", running())];
    let restarted = ["kill s", "start s"];
    let so = decide_so(&ALL, &sidecar_and_app("Always"), &instances, &restarted);
    assert_eq!(so, [V1_32, V1_33, V1_34, V1_35, V1_36, V1_37]);
}

#[test]
fn a_sidecar_that_failed_its_liveness_probe_is_restarted_in_every_version_that_has_sidecars() {
    let spec = json!({
        "initContainers": [{
            "name": "s", "image": "s:1", "restartPolicy": "Always",
            "livenessProbe": {"httpGet": {"port": 80}},
        }],
        "containers": [{"name": "a", "image": "a:1"}],
    });
    let mut dead = running();
    dead.liveness_probe = Some(ProbeResult::Failure);
    let instances = [("s", dead), ("a", running())];
    assert_eq!(decide_so(&ALL, &spec, &instances, &["kill s", "start s"]), ALL[1..]);
}

#[test]
fn one_sync_can_restart_a_sidecar_and_start_the_next_init_container() {
    let spec = json!({
        "initContainers": [
            {"name": "s1", "image": "s:1", "restartPolicy": "Always"},
            {"name": "s2", "image": "s:1", "restartPolicy": "Always",
             "startupProbe": {"httpGet": {"port": 80}}},
            {"name": "i3", "image": "i:1"},
        ],
        "containers": [{"name": "a", "image": "a:1"}],
    });
    let started = with_startup_probe(ProbeResult::Success);
    let instances = [("s1", exited(1)), ("s2", started)];
    assert_eq!(decide_so(&ALL, &spec, &instances, &["start s1", "start i3"]), ALL[1..]);
}

#[test]
fn the_policy_of_a_single_init_container_counts_with_its_gate_only() {
    let spec = json!({
        "initContainers": [{"name": "i1", "image": "i:1", "restartPolicy": "Never"}],
        "containers": [{"name": "a", "image": "a:1"}],
    });
    let instances = [("i1", exited(1))];
    assert_eq!(decide_so(&ALL, &spec, &instances, &["kill pod"]), [V1_35, V1_36, V1_37]);
    assert_eq!(decide_so(&ALL, &spec, &instances, &["start i1"]), ALL[..7]);
    let gates = gates_with(V1_34, &[(Feature::ContainerRestartRules, true)]);
    assert_eq!(decide(&web(gates, &spec), &instances), ["kill pod"]);
}

#[test]
fn a_restart_rule_counts_with_its_gate_only() {
    let spec = json!({
        "restartPolicy": "Never",
        "initContainers": [{
            "name": "i1", "image": "i:1", "restartPolicy": "Never",
            "restartPolicyRules": [
                {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}},
            ],
        }],
        "containers": [{"name": "a", "image": "a:1"}],
    });
    let instances = [("i1", exited(42))];
    assert_eq!(decide_so(&ALL, &spec, &instances, &["start i1"]), [V1_35, V1_36, V1_37]);
    assert_eq!(decide_so(&ALL, &spec, &instances, &["kill pod"]), ALL[..7]);
}

#[test]
fn one_killed_for_memory_with_exit_code_0_has_failed_in_every_version() {
    let instances = [("i1", exited_because(0, "OOMKilled"))];
    let always = two_and_app("Always");
    assert_eq!(decide_so(&ALL, &always, &instances, &["start i1"]), ALL);
    // The exit code is asked since containers have rules of their own: nothing restarts a 0.
    let on_failure = two_and_app("OnFailure");
    assert_eq!(decide_so(&ALL, &on_failure, &instances, &["start i1"]), ALL[..7]);
    assert_eq!(decide_so(&ALL, &on_failure, &instances, &["kill pod"]), [V1_35, V1_36, V1_37]);
}

#[test]
fn an_init_container_in_unknown_state_is_killed_and_started_again_or_ends_the_pod() {
    let instances = [("i1", unknown())];
    let restart = ["kill i1", "start i1"];
    assert_eq!(decide_so(&ALL, &two_and_app("Always"), &instances, &restart), ALL);
    assert_eq!(decide_so(&ALL, &two_and_app("Never"), &instances, &["kill pod"]), ALL);
}

#[test]
fn a_deleted_pod_ends_at_a_failed_init_container_since_rules_are_asked() {
    let spec = two_and_app("Always");
    let context = with!(ActionContext { deletion_requested: true, ..ActionContext::default() });
    for version in ALL {
        let pod = web_in(version, &spec);
        let observation = observed(&pod, &[("i1", exited(1))]);
        let words = decided(&pod, &compute_pod_actions(&pod, &observation, context));
        let expected = if version >= V1_35 { ["kill pod"] } else { ["start i1"] };
        assert_eq!(words, expected, "{version}");
    }
}

#[test]
fn a_restart_in_place_comes_before_everything_else_with_its_gate() {
    let spec = json!({
        "restartPolicy": "Never",
        "initContainers": [{"name": "i1", "image": "i:1"}],
        "containers": [{
            "name": "a", "image": "a:1", "restartPolicy": "Never",
            "restartPolicyRules": [
                {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [88]}},
            ],
        }],
    });
    let context = with!(ActionContext { restart_all_containers: true, ..ActionContext::default() });
    for version in [V1_34, V1_35, V1_36, V1_37] {
        let pod = web_in(version, &spec);
        let observation = observed(&pod, &[("i1", exited(0)), ("a", exited(88))]);
        let actions = compute_pod_actions(&pod, &observation, context);
        let reset: Vec<_> = actions
            .containers_to_reset
            .iter()
            .map(|reset| pod.container(reset.container).name().as_str())
            .collect();
        if version >= V1_36 {
            assert_eq!((reset, actions.kill_pod), (vec!["i1", "a"], None), "{version}");
        } else {
            assert_eq!(reset, [""; 0], "{version}");
            assert!(actions.kill_pod.is_some(), "{version}");
        }
    }
}

#[test]
fn after_a_lost_sandbox_every_version_begins_with_the_first_init_container() {
    for version in ALL {
        let pod = web_in(version, &two_and_app("Always"));
        let instances = [("i1", exited(0)), ("i2", exited(0)), ("a", exited(255))];
        let observation = observed_after_loss(&pod, &instances);
        let actions = compute_pod_actions(&pod, &observation, ActionContext::default());
        let expected = ["kill pod", "create sandbox", "start i1"];
        assert_eq!(decided(&pod, &actions), expected, "{version}");
    }
}

#[test]
fn up_to_1_31_an_app_that_was_only_created_counts_as_done_when_its_sandbox_is_lost() {
    let spec = json!({"restartPolicy": "OnFailure", "containers": [{"name": "a", "image": "a:1"}]});
    for version in ALL {
        let pod = web_in(version, &spec);
        let observation = observed_after_loss(&pod, &[("a", created())]);
        let actions = compute_pod_actions(&pod, &observation, ActionContext::default());
        let expected: &[&str] = if version <= V1_31 {
            &["kill pod"]
        } else {
            &["kill pod", "create sandbox", "start a"]
        };
        assert_eq!(decided(&pod, &actions), expected, "{version}");
    }
}

//! What a decision says, and rules of it that the recorded cases do not single out.

use harness::with;
use podinit::actions::{
    ContainerToKill, ContainerToReset, ContainerToStart, KillCause, KillPodCause, StartCause,
    compute_pod_actions_into,
};
use podinit::observation::ContainerInstance;
use podinit::{
    ActionContext, KubernetesVersion, Observation, PodActions, PodSpec, compute_pod_actions,
};
use serde_json::json;

use crate::support::{decided, exited, observed, observed_after_loss, running, web_in};

fn two_and_app(version: KubernetesVersion) -> PodSpec {
    let container = |name: &str| json!({"name": name, "image": "i:1"});
    web_in(
        version,
        &json!({
            "restartPolicy": "OnFailure",
            "initContainers": [container("i1"), container("i2")],
            "containers": [container("a")],
        }),
    )
}

#[test]
fn a_decision_is_empty_only_if_no_field_asks_for_anything() {
    let pod = two_and_app(KubernetesVersion::V1_36);
    let container = pod.find("a").unwrap();
    let start = ContainerToStart { container, cause: StartCause::Initialized };
    let kill = ContainerToKill { container, cause: KillCause::UnknownState, restart: true };
    let reset = ContainerToReset { container, instance: 0, kill: false, source: true };
    let none = PodActions::default;
    assert!(none().is_empty());
    // Which sandbox is used is nothing to do.
    assert!(with!(PodActions { sandbox_id: "sandbox".into(), attempt: 1, ..none() }).is_empty());
    for (field, actions) in [
        ("kill_pod", with!(PodActions { kill_pod: Some(KillPodCause::NothingToKeep), ..none() })),
        ("create_sandbox", with!(PodActions { create_sandbox: true, ..none() })),
        (
            "init",
            with!(PodActions { init_containers_to_start: [start].into_iter().collect(), ..none() }),
        ),
        ("next_init", with!(PodActions { next_init_container_to_start: Some(start), ..none() })),
        (
            "apps",
            with!(PodActions { containers_to_start: [start].into_iter().collect(), ..none() }),
        ),
        (
            "ephemeral",
            with!(PodActions {
                ephemeral_containers_to_start: [start].into_iter().collect(),
                ..none()
            }),
        ),
        ("kill", with!(PodActions { containers_to_kill: [kill].into_iter().collect(), ..none() })),
        (
            "reset",
            with!(PodActions { containers_to_reset: [reset].into_iter().collect(), ..none() }),
        ),
    ] {
        assert!(!actions.is_empty(), "{field}");
    }
}

#[test]
fn init_starts_are_those_of_either_algorithm() {
    for version in [KubernetesVersion::V1_32, KubernetesVersion::V1_36] {
        let pod = two_and_app(version);
        let actions = compute_pod_actions(&pod, &Observation::new(), ActionContext::default());
        assert_eq!(
            decided(&pod, &actions),
            ["kill pod", "create sandbox", "start i1"],
            "{version}"
        );
    }
}

#[test]
fn a_decision_replaces_the_one_that_was_there() {
    let pod = two_and_app(KubernetesVersion::V1_36);
    let decide = |observation: &Observation, actions: &mut PodActions| {
        compute_pod_actions_into(&pod, observation, ActionContext::default(), actions);
    };
    let situations = [
        Observation::new(),
        observed(&pod, &[("i1", exited(0))]),
        observed(&pod, &[("i1", exited(0)), ("i2", exited(0))]),
        observed(&pod, &[("i1", exited(0)), ("i2", exited(0)), ("a", running())]),
        observed(&pod, &[("i1", exited(0)), ("i2", exited(0)), ("a", exited(0))]),
    ];
    for before in &situations {
        for now in &situations {
            let (mut reused, mut fresh) = (PodActions::default(), PodActions::default());
            decide(before, &mut reused);
            decide(now, &mut reused);
            decide(now, &mut fresh);
            assert_eq!(reused, fresh);
        }
    }
}

/// What follows when the sandbox of a pod is lost under `OnFailure`.
fn after_loss(version: KubernetesVersion, instances: &[(&str, ContainerInstance)]) -> Vec<String> {
    let pod = two_and_app(version);
    let observation = observed_after_loss(&pod, instances);
    decided(&pod, &compute_pod_actions(&pod, &observation, ActionContext::default()))
}

#[test]
fn up_to_1_32_a_pod_whose_app_has_done_its_work_begins_again_if_its_init_containers_have_not() {
    let version = KubernetesVersion::V1_32;
    let done = [("i1", exited(0)), ("i2", exited(0)), ("a", exited(0))];
    assert_eq!(after_loss(version, &done), ["kill pod"]);
    let failed = [("i1", exited(0)), ("i2", exited(1)), ("a", exited(0))];
    assert_eq!(after_loss(version, &failed), ["kill pod", "create sandbox", "start i1"]);
}

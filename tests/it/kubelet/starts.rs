//! Starts that fail: what is told, and what is tried all the same.

use podinit::KubernetesVersion::V1_36;
use podinit::worker::{Failure, FailureKind};
use podinit::{Observation, Operation, PodSpec, PodWorker};
use serde_json::json;

use crate::support::{at, observed, web_in};

fn pod(policy: &str) -> PodSpec {
    let container = json!({"name": "app", "image": "a:1", "imagePullPolicy": policy});
    web_in(V1_36, &json!({"containers": [container]}))
}

/// Syncs a pod that has its sandbox; what is not answered by `answer` goes well. Gives what was
/// asked and what was told.
fn started(
    pod: &PodSpec,
    answer: impl Fn(&Operation) -> Option<Failure>,
) -> (Vec<&'static str>, Vec<String>, PodWorker) {
    let mut worker = PodWorker::default();
    worker.sync(pod, &observed(pod, &[]), at(0));
    let mut asked = Vec::new();
    while let Some(operation) = worker.next_operation(pod, at(0)) {
        let (name, outcome) = match &operation {
            Operation::CheckImage(check) => ("check", check.present(false)),
            Operation::PullImage(pull) => ("pull", pull.pulled(0)),
            Operation::CreateContainer(create) => ("create", create.created("fake://4f1e")),
            other => ("start", other.succeeded("")),
        };
        asked.push(name);
        let outcome = answer(&operation).map_or(outcome, |failure| operation.failed(failure));
        worker.record(pod, outcome, at(0)).unwrap();
    }
    let told = worker.events().iter().map(|event| event.message.to_string()).collect();
    (asked, told, worker)
}

#[test]
fn an_image_that_cannot_be_inspected_is_pulled_if_it_always_is() {
    let fails = |kind| {
        move |operation: &Operation| {
            matches!(operation, Operation::CheckImage { .. })
                .then(|| Failure { kind, message: "broken".into() })
        }
    };
    let (asked, ..) = started(&pod("Always"), fails(FailureKind::Plain));
    assert_eq!(asked, ["check", "pull", "create", "start"]);
    let (asked, told, _) = started(&pod("IfNotPresent"), fails(FailureKind::Plain));
    assert_eq!(asked, ["check"]);
    assert_eq!(told, ["Failed to inspect image \"\": broken", "Error: ImageInspectError"]);
    // A name that cannot be read cannot be pulled either.
    let (asked, ..) = started(&pod("Always"), fails(FailureKind::InvalidImageName));
    assert_eq!(asked, ["check"]);
}

#[test]
fn an_event_of_a_start_has_the_name_of_the_container_for_its_id() {
    let (_, told, worker) = started(&pod("Always"), |operation| {
        matches!(operation, Operation::StartContainer { .. })
            .then(|| Failure::new("failed to start \"4f1e\": 4f1e is not ready"))
    });
    assert_eq!(told.last().unwrap(), "Error: failed to start \"app\": app is not ready");
    let error = worker.results()[0].error.as_ref().unwrap();
    assert_eq!(error.message, "failed to start \"4f1e\": 4f1e is not ready");
}

#[test]
fn a_registry_that_cannot_be_reached_is_told_in_two_ways() {
    for said in [": timed out", "RegistryUnavailable: timed out"] {
        let (_, told, worker) = started(&pod("Always"), |operation| {
            matches!(operation, Operation::PullImage { .. })
                .then(|| Failure { kind: FailureKind::RegistryUnavailable, message: said.into() })
        });
        assert_eq!(
            told[1..],
            [
                "Failed to pull image \"a:1\": RegistryUnavailable: timed out",
                "Error: RegistryUnavailable",
            ]
        );
        assert_eq!(
            worker.results()[0].error.as_ref().unwrap().message,
            "image pull failed for a:1 because the registry is unavailable: timed out"
        );
    }
}

#[test]
fn a_sandbox_that_fails_has_its_pod_named_in_the_result_and_not_in_the_event() {
    let pod = pod("Always");
    let mut worker = PodWorker::default();
    worker.sync(&pod, &Observation::new(), at(0));
    let operation = worker.next_operation(&pod, at(0)).unwrap();
    worker.record(&pod, operation.failed(Failure::new("cni")), at(0)).unwrap();
    let last = worker.results().last().unwrap().error.as_ref().unwrap();
    assert_eq!(last.message, "Failed to create sandbox for pod \"web_shop(1)\": cni");
    assert_eq!(worker.events()[0].message, "Failed to create pod sandbox: cni");
}

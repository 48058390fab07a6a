//! What is fuzzed: one function a target, from bytes. `fuzz/` runs them under libFuzzer, and
//! `tests/it/kit/fuzz.rs` replays their corpus on stable Rust.
//!
//! A target fails by panicking: in the library, or in an assertion here.

mod source;

use crate::with;
use k8s_openapi::api::core::v1;
use podinit::admission::defaults;
use podinit::manifest::{Object, ReadOptions, read};
use podinit::quantity::Quantity;
use podinit::resources::{PodResourcesOptions, pod_requests_of};
use podinit::status::StartFailures;
use podinit::worker::{Deletion, Eviction, Failure};
use podinit::{
    ActionContext, KubernetesVersion, Operation, Outcome, PodSpec, PodStatus, PodWorker,
    StatusInputs, Timestamp, compute_pod_actions, generate_pod_status, kubectl, validation,
};

use source::Source;

/// A target: its name, which is that of its corpus, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 5] = [
    ("manifest", manifest),
    ("quantity", quantity),
    ("decide", decide),
    ("worker", worker),
    ("status", status),
];

/// Any text is read as a manifest or refused, and any pod in it is defaulted, validated, compiled
/// and added up, or refused.
pub fn manifest(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for options in [ReadOptions::strict(), ReadOptions::lenient()] {
        let Ok(documents) = read(text, &options) else { continue };
        for document in documents {
            let Object::Pod(pod) = document.object else { continue };
            for version in [KubernetesVersion::V1_28, KubernetesVersion::V1_36] {
                let gates = version.feature_gates();
                let mut pod = pod.clone();
                defaults::apply(&mut pod, gates);
                let _ = validation::validate(&pod, gates);
                let _ = PodSpec::compile_unchecked(&pod, gates);
                let _ = pod_requests_of(&pod, gates, &PodResourcesOptions::default());
            }
        }
    }
}

/// Any text is a quantity or refused, and what is printed reads as the same quantity, as long as
/// there are suffixes: Kubernetes prints 30000E as 30.
pub fn quantity(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(quantity) = text.parse::<Quantity>() else { return };
    let printed = quantity.to_string();
    let again: Quantity = printed.parse().expect("what was printed can be read");
    if quantity.wide_value().unsigned_abs() < 10u128.pow(20) {
        assert_eq!(again, quantity, "{text} was printed as {printed}");
        assert_eq!(again.to_string(), printed);
    }
    let _ = (quantity.value(), quantity.milli_value(), quantity.wide_value());
    let doubled = quantity.saturating_add(quantity);
    assert!(quantity.sign() < 0 || doubled >= quantity);
}

/// Any observation of any pod has a decision and a status, the same each time.
pub fn decide(data: &[u8]) {
    let mut source = Source::new(data);
    let Some(pod) = source.pod() else { return };
    let observation = source.observation(&pod);
    let context = with!(ActionContext {
        deletion_requested: source.flag(),
        restart_all_containers: source.flag(),
        ..ActionContext::default()
    });
    let actions = compute_pod_actions(&pod, &observation, context);
    assert_eq!(actions, compute_pod_actions(&pod, &observation, context));
    let mut starts: Vec<_> = actions.init_starts().map(|start| start.container).collect();
    starts.extend(actions.containers_to_start.iter().map(|start| start.container));
    let count = starts.len();
    starts.sort();
    starts.dedup();
    assert_eq!(starts.len(), count, "a container is started twice");

    let mut earlier = PodStatus::default();
    for pod_is_terminal in [false, true] {
        let start_failures = StartFailures::default();
        let inputs = with!(StatusInputs {
            deletion_requested: context.deletion_requested,
            pod_is_terminal,
            ..StatusInputs::new(&pod, &observation, &earlier, &start_failures)
        });
        earlier = generate_pod_status(&inputs, None);
        assert_eq!(earlier.init_container_statuses.len(), pod.init_containers().len());
        let _ = kubectl::columns(&pod, &earlier, None, Timestamp::from_secs(1_000)).to_string();
    }
}

/// A worker takes any sequence of events; stored and restored between two syncs it goes on as if
/// nothing had happened.
pub fn worker(data: &[u8]) {
    let mut source = Source::new(data);
    let Some(pod) = source.pod() else { return };
    let mut now = Timestamp::from_secs(500);
    let mut worker = PodWorker::default();
    let mut earlier = None;
    while !source.is_empty() {
        match source.below(9) {
            0 => {
                let observation = source.observation(&pod);
                let stored = serde_json::to_string(&worker).expect("a worker can be stored");
                let mut restored: PodWorker =
                    serde_json::from_str(&stored).expect("a stored worker can be restored");
                worker.sync(&pod, &observation, now);
                restored.sync(&pod, &observation, now);
                assert_eq!(worker, restored);
            }
            1..=3 => {
                if let Some(operation) = worker.next_operation(&pod, now) {
                    let outcome = done(&operation);
                    earlier = Some(outcome.clone());
                    worker.record(&pod, outcome, now).expect("a fitting outcome");
                }
            }
            4 => {
                if let Some(operation) = worker.next_operation(&pod, now) {
                    let failed = operation.failed(Failure::new("it failed"));
                    worker.record(&pod, failed, now).expect("everything can fail");
                }
            }
            5 => {
                // An answer to another question changes nothing.
                let before = worker.clone();
                if let Some(earlier) = earlier.clone()
                    && worker.record(&pod, earlier, now).is_err()
                {
                    assert_eq!(worker, before);
                }
            }
            6 => now += std::time::Duration::from_secs(source.below(200).into()),
            7 => {
                let grace_period_seconds = i64::from(source.below(40)) - 1;
                worker.delete(Deletion { timestamp: now, grace_period_seconds });
            }
            _ => worker.evict(Eviction::evicted("The node was low", None)),
        }
    }
}

fn done(operation: &Operation) -> Outcome {
    match operation {
        Operation::CheckImage(check) => check.present(false),
        other => other.succeeded("fake://new"),
    }
}

/// Any JSON is a status or refused; a status goes out and in again unchanged, and can be looked at.
pub fn status(data: &[u8]) {
    let Ok(api) = serde_json::from_slice::<v1::PodStatus>(data) else { return };
    let Ok(status) = PodStatus::try_from(&api) else { return };
    let out = v1::PodStatus::from(&status);
    let again = PodStatus::try_from(&out).expect("what went out comes in");
    assert_eq!(again, status);
    let pod = v1::Pod { status: Some(api), ..v1::Pod::default() };
    let now = Timestamp::from_secs(1_000);
    let _ = kubectl::describe(&pod, None, now);
    if let Ok(spec) = PodSpec::compile_unchecked(&pod, KubernetesVersion::V1_36.feature_gates()) {
        let _ = kubectl::columns(&spec, &status, None, now).to_string();
        let worker = PodWorker::resume(Default::default(), status);
        let mut worker = worker;
        worker.sync(&spec, &podinit::Observation::new(), now);
    }
}

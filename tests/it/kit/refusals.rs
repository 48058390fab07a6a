//! A refused call leaves the state as it was: every public method that changes and can fail.

use podinit::resources::{PodResources, ResourceList, ResourceName};
use podinit::scheduler::NodeUsage;
use podinit::testing::strategies::{PodShape, apply_worker_events, pods, worker_events};
use podinit::worker::Notice;
use podinit::{Feature, FeatureGates, KubernetesVersion, Outcome, PodSpec, PodWorker, Timestamp};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use crate::support::cases;

/// Outcomes and notices of all kinds, whoever they fit.
fn outcomes(pod: &PodSpec) -> Vec<Outcome> {
    let now = Timestamp::UNIX_EPOCH;
    let mut worker = PodWorker::default();
    worker.sync(pod, &podinit::Observation::new(), now);
    let mut all = Vec::new();
    while let Some(operation) = worker.next_operation(pod, now) {
        all.push(operation.succeeded("fake://x"));
        all.push(operation.failed(podinit::worker::Failure::new("no")));
        worker.record(pod, operation.succeeded("fake://x"), now).unwrap();
    }
    all
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn a_refused_outcome_or_notice_leaves_the_worker_as_it_was(
        (pod, events) in pods(&PodShape::default()).prop_flat_map(|pod| {
            let spec = PodSpec::compile_unchecked(&pod, FeatureGates::default()).unwrap();
            (Just(spec.clone()), worker_events(&spec, 12))
        }),
    ) {
        let mut worker = PodWorker::default();
        let now = apply_worker_events(&mut worker, &pod, &events, Timestamp::UNIX_EPOCH);
        for outcome in outcomes(&pod) {
            let before = worker.clone();
            let mut told = worker.clone();
            if told.record(&pod, outcome, now).is_err() {
                prop_assert_eq!(&told, &before);
            }
        }
        for notice in [Notice::Started, Notice::PostStartHookFailed, Notice::PreStopHookFailed(9)] {
            let before = worker.clone();
            if worker.note(&pod, notice).is_err() {
                prop_assert_eq!(&worker, &before);
            }
        }
    }

    #[test]
    fn a_refused_gate_leaves_the_gates_as_they_were(
        version in select(&KubernetesVersion::ALL[..]),
        sets in proptest::collection::vec((any::<proptest::sample::Index>(), any::<bool>()), 1..40),
    ) {
        let mut gates = version.feature_gates();
        for (index, on) in sets {
            let feature = *index.get(Feature::ALL);
            let before = gates;
            if gates.set(feature, on).is_err() {
                prop_assert_eq!(gates, before);
            }
            let before = gates;
            prop_assert!(gates.set_by_name("NoSuchGate", on).is_err());
            prop_assert_eq!(gates, before);
        }
    }

    #[test]
    fn a_refused_pod_leaves_the_account_of_a_node_as_it_was(
        amounts in proptest::collection::vec((0..4_usize, any::<bool>()), 1..30),
    ) {
        let requests = ["1", "-1", "9223372036854775807", "500m"];
        let of = |cpu: &str| {
            let pod = serde_json::from_value(json!({"spec": {"containers": [
                {"name": "a", "resources": {"requests": {"cpu": cpu}}},
            ]}}))
            .unwrap();
            PodResources::compile(&pod, FeatureGates::default()).unwrap()
        };
        let mut usage = NodeUsage::new(&ResourceList::default());
        for (amount, adds) in amounts {
            let pod = of(requests[amount]);
            let before = usage.clone();
            let result = if adds { usage.add(&pod) } else { usage.remove(&pod) };
            if result.is_err() {
                prop_assert_eq!(&usage, &before);
            }
        }
    }

    #[test]
    fn a_sum_that_is_too_large_leaves_the_list_as_it_was(
        amounts in proptest::collection::vec(select(&["1", "9e18", "9223372036854775807", "1n"][..]), 1..8),
    ) {
        let list = |text: &str| {
            let mut list = ResourceList::default();
            list.insert(ResourceName::CPU, "1".parse().unwrap());
            list.insert(ResourceName::MEMORY, text.parse().unwrap());
            list
        };
        let mut sum = ResourceList::default();
        for text in amounts {
            let before = sum.clone();
            if sum.checked_add(&list(text)).is_err() {
                prop_assert_eq!(&sum, &before);
            }
        }
    }
}

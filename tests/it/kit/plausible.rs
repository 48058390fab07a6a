//! The checker of statuses lets pass what kubelets wrote, and finds what they could not have.

use std::path::Path;

use harness::conformance::{case, for_each_case};
use k8s_openapi::api::core::v1;
use podinit::sim::simulate;
use podinit::testing::{Implausible, LifeShape, check_statuses, lives, read_watch};
use podinit::{FeatureGates, PodSpec};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::cases;

fn shown(status: v1::PodStatus) -> v1::Pod {
    v1::Pod { status: Some(status), ..v1::Pod::default() }
}

#[test]
fn every_recorded_life_is_plausible() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/data/traces.jsonl.gz");
    let mut lives = 0;
    let mut wrong = Vec::new();
    for_each_case(&path, |line, recorded| {
        let spec = case::pod(&recorded)?;
        let steps = recorded["steps"].as_array().unwrap().iter();
        let series: Vec<v1::Pod> = steps
            .map(|step| {
                let mut pod = shown(serde_json::from_value(step["status"].clone()).unwrap());
                // Deletion may have been asked for: not recorded with the status.
                pod.metadata.deletion_timestamp =
                    Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
                        k8s_openapi::jiff::Timestamp::UNIX_EPOCH,
                    ));
                pod
            })
            .collect();
        if let Err(found) = check_statuses(&spec, &series) {
            wrong.push(format!("{line}: {found}"));
        }
        lives += 1;
        Ok(())
    })
    .unwrap();
    assert!(lives > 100);
    assert!(
        wrong.is_empty(),
        "{} of {lives}, the first {:#?}",
        wrong.len(),
        &wrong[..5.min(wrong.len())]
    );
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn every_simulated_life_is_plausible(life in lives(&LifeShape::default())) {
        let spec = life.spec().unwrap();
        let timeline = simulate(&spec, &life.scenario(&spec));
        let series: Vec<v1::Pod> = timeline.steps.iter().map(|step| {
            let mut pod = shown(v1::PodStatus::from(&step.api_status));
            pod.metadata.deletion_timestamp = step.deletion.map(|d| d.timestamp.into());
            pod
        }).collect();
        if let Err(found) = check_statuses(&spec, &series) {
            let status = serde_json::to_string_pretty(&series[found.position].status).unwrap();
            let before = found.position.checked_sub(1).map(|before| &series[before].status);
            let before = serde_json::to_string_pretty(&before).unwrap();
            return Err(TestCaseError::fail(format!("{found}\nbefore {before}\n{status}")));
        }
    }
}

/// The series that a kubelet writes for a pod with an init container and an app container.
fn series() -> (PodSpec, Vec<Value>) {
    let pod = json!({"metadata": {"name": "web"}, "spec": {
        "initContainers": [{"name": "init", "image": "i"}],
        "containers": [{"name": "app", "image": "a"}],
    }});
    let spec: v1::Pod = serde_json::from_value(pod.clone()).unwrap();
    let spec = PodSpec::compile_unchecked(&spec, FeatureGates::default()).unwrap();
    let timeline =
        simulate(&spec, &podinit::testing::Life::new(Default::default()).scenario(&spec));
    let statuses = timeline.steps.iter().map(|step| {
        let mut pod = pod.clone();
        pod["kind"] = "Pod".into();
        pod["status"] = serde_json::to_value(v1::PodStatus::from(&step.api_status)).unwrap();
        pod
    });
    (spec, statuses.collect())
}

fn verdict(spec: &PodSpec, series: &[Value]) -> Result<(), Implausible> {
    let text: String = series.iter().map(|pod| format!("{pod:#}\n")).collect();
    check_statuses(spec, &read_watch(&text).unwrap())
}

#[test]
fn statuses_may_be_missing_in_between() {
    let (spec, series) = series();
    assert_eq!(verdict(&spec, &series), Ok(()));
    for missing in 0..series.len() {
        let mut rest = series.clone();
        rest.remove(missing);
        assert_eq!(verdict(&spec, &rest), Ok(()));
    }
}

#[test]
fn planted_faults_are_found_where_they_are() {
    let (spec, good) = series();
    let last = good.len() - 1;
    type Fault = fn(&mut Value);
    let faults: [(&str, &str, Fault); 7] = [
        ("status.phase", "Pending cannot follow", |status| status["phase"] = "Pending".into()),
        ("status.initContainerStatuses", "has []", |status| {
            status["initContainerStatuses"] = json!([]);
        }),
        ("status.containerStatuses[app]", "cannot follow", |status| {
            status["containerStatuses"][0]["ready"] = false.into();
        }),
        ("status.initContainerStatuses[init]", "cannot follow", |status| {
            status["initContainerStatuses"][0]["state"] = json!({"waiting": {"reason": "Bored"}});
        }),
        ("status.conditions[Ready]", "False cannot follow", |status| {
            for condition in status["conditions"].as_array_mut().unwrap() {
                if condition["type"] == "Ready" {
                    condition["status"] = "False".into();
                }
            }
        }),
        ("status.startTime", "startTime is set once", |status| {
            status["startTime"] = "2026-01-02T00:00:00Z".into();
        }),
        ("status", "Unsupported value: \"Resting\"", |status| status["phase"] = "Resting".into()),
    ];
    for (field, text, fault) in faults {
        let mut planted = good.clone();
        fault(&mut planted[last]["status"]);
        let found = verdict(&spec, &planted).expect_err(field);
        assert_eq!((found.position, found.field.as_str()), (last, field), "{found}");
        assert!(found.to_string().contains(text), "{found}");
    }
}

#[test]
fn a_pod_does_not_come_back_and_counts_do_not_go_down() {
    let (spec, good) = series();
    let mut failed = good[good.len() - 1].clone();
    failed["status"]["phase"] = "Failed".into();
    failed["status"]["reason"] = "Evicted".into();
    let found = verdict(&spec, &[failed, good[good.len() - 1].clone()]).unwrap_err();
    assert_eq!(
        found.to_string(),
        "status 1: status.phase: Running after Failed: a pod does not leave Succeeded or Failed"
    );
    let mut counted = good[good.len() - 1].clone();
    counted["status"]["initContainerStatuses"][0]["restartCount"] = 3.into();
    let found = verdict(&spec, &[counted, good[good.len() - 1].clone()]).unwrap_err();
    assert_eq!(
        found.to_string(),
        "status 1: status.initContainerStatuses[init].restartCount: 0 after 3: restart counts do \
         not go down since 1.36"
    );
}

#[test]
fn a_watch_may_be_lists_and_events() {
    let pod = |name: &str| json!({"kind": "Pod", "metadata": {"name": name}, "spec": null});
    let list = json!({"kind": "List", "items": [pod("a"), pod("b")]});
    let event = json!({"type": "MODIFIED", "object": pod("c")});
    let text = format!("{list}\n{event}{}", pod("d"));
    let pods = read_watch(&text).unwrap();
    let names: Vec<_> = pods.iter().map(|pod| pod.metadata.name.as_deref().unwrap()).collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
    assert!(read_watch("{\"kind\": \"Pod\"").is_err());
}

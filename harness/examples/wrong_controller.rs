//! How to property-test something kubelet-like against the real kubelet.
//!
//! A home-made controller has the bug that people make most: it starts the next container once an
//! init container has ended, whatever it exited with. `testing` draws the pods, the oracle tells the
//! truth, and proptest shrinks the case with the oracle as the reference.
//!
//! ```text
//! oracle/build 1.36
//! cargo run -p harness --example wrong_controller
//! ```

use std::cell::RefCell;
use std::error::Error;

use harness::lives::LifeCase;
use harness::oracle::Oracle;
use k8s_openapi::api::core::v1::Pod;
use podinit::KubernetesVersion;
use podinit::sim::node::{Kind, Trace};
use podinit::testing::{PodShape, manifest, pods};
use proptest::collection::vec;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRng, TestRunner};
use serde_json::{Value, json};

/// The containers in the order in which the home-made controller starts them.
fn home_made(pod: &Pod, _exit_codes: &[i32]) -> Vec<String> {
    let spec = pod.spec.clone().unwrap_or_default();
    // The bug: an init container that fails should hold up those behind it.
    let in_order = spec.init_containers.into_iter().flatten().chain(spec.containers);
    in_order.map(|container| container.name).collect()
}

/// The containers in the order in which the kubelet first starts them.
fn kubelet(
    oracle: &mut Oracle,
    pod: &Pod,
    exit_codes: &[i32],
) -> Result<Vec<String>, Box<dyn Error>> {
    let init = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
    let scripts = init.zip(exit_codes).map(|(container, exit_code)| {
        (container.name.clone(), json!({"instances": [{"runFor": "2s", "exitCode": exit_code}]}))
    });
    let containers: serde_json::Map<String, Value> = scripts.collect();
    let scenario = json!({"until": "30s", "containers": containers});
    let case = LifeCase::from_value(json!({"pod": pod, "scenario": scenario}))?;
    let trace: Trace = serde_json::from_value(oracle.ask("lives", &case.request())?)?;
    let mut started: Vec<String> = Vec::new();
    for entry in trace.entries {
        let starts = entry.kind == Kind::Call && entry.op == "StartContainer";
        if starts && !started.contains(&entry.container) {
            started.push(entry.container);
        }
    }
    Ok(started)
}

fn main() -> Result<(), Box<dyn Error>> {
    let oracle = RefCell::new(Oracle::find(KubernetesVersion::V1_36)?);
    let config = Config { failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(config.rng_algorithm);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let found = runner.run(&(pods(&PodShape::PLAIN), vec(0..3, 3)), |(pod, exit_codes)| {
        let truth = kubelet(&mut oracle.borrow_mut(), &pod, &exit_codes)
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        let ours = home_made(&pod, &exit_codes);
        if ours == truth {
            return Ok(());
        }
        Err(TestCaseError::fail(format!("it starts {ours:?}, the kubelet starts {truth:?}")))
    });
    match found {
        Err(TestError::Fail(why, (pod, exit_codes))) => {
            println!("{why}\nthe smallest pod that shows it:\n{}", manifest(&pod));
            println!("its init containers exit with {exit_codes:?}");
            Ok(())
        }
        Err(error) => Err(error.into()),
        Ok(()) => Err("the bug was not found".into()),
    }
}

//! How long the kubelet's decisions take, over the recorded cases in turn.
//!
//! ```text
//! cargo bench --bench kubelet
//! ```
//!
//! For scale: the Go code of Kubernetes takes about 9.0 µs and 57 allocations for a decision.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use harness::conformance::{self, BadCase, case};
use harness::with;
use k8s_openapi::api::core::v1;
use podinit::actions::compute_pod_actions_into;
use podinit::backoff::{BackOff, BackOffSettings};
use podinit::sim::{ContainerScript, Run, Scenario, simulate};
use podinit::status::{PhaseContext, StartFailures};
use podinit::{
    ActionContext, FeatureGates, Observation, PodActions, PodSpec, PodStatus, StatusInputs,
    Timestamp, generate_pod_status, kubectl, pod_phase,
};
use serde::Deserialize;
use serde_json::{Value, json};
use support::bench;

mod support;

/// What `read` makes of every case of a family.
fn recorded<T>(family: &str, mut read: impl FnMut(&Value) -> Result<T, BadCase>) -> Vec<T> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("tests/conformance/data/{family}.jsonl.gz"));
    let mut cases = Vec::new();
    conformance::for_each_case(&path, |_, case| {
        cases.push(read(&case)?);
        Ok(())
    })
    .unwrap();
    cases
}

fn observed(case: &Value) -> Result<(PodSpec, Observation), BadCase> {
    let pod = case::pod(case)?;
    let observation = case::observation(case, &pod)?;
    Ok((pod, observation))
}

fn decisions(c: &mut Criterion) {
    let cases = recorded("actions", |case| {
        let (pod, observation) = observed(case)?;
        let context = with!(ActionContext {
            deletion_requested: !case["pod"]["metadata"]["deletionTimestamp"].is_null(),
            restart_all_containers: case::field_or_default(case, "restartAllContainers")?,
            ..ActionContext::default()
        });
        Ok((pod, observation, context))
    });
    let mut actions = PodActions::default();
    bench(c, "decision", &cases, |(pod, observation, context)| {
        compute_pod_actions_into(pod, observation, *context, &mut actions);
        black_box(&actions);
    });
}

fn phases(c: &mut Criterion) {
    let cases = recorded("phase", |case| {
        let pod = v1::Pod { spec: case::field(case, "spec")?, ..v1::Pod::default() };
        let pod = PodSpec::compile_unchecked(&pod, case::gates(case)?)?;
        let statuses = PodStatus::try_from(&v1::PodStatus {
            container_statuses: case::field(case, "containerStatuses")?,
            ..v1::PodStatus::default()
        })?
        .container_statuses;
        // As the kubelet keeps them: a list for each kind, in its order.
        let list = |indexes: Vec<podinit::ContainerIndex>| -> Vec<_> {
            let named = |index| statuses.iter().find(|s| s.name == *pod.container(index).name());
            indexes.into_iter().filter_map(named).cloned().collect()
        };
        let init = list(pod.init_containers().collect());
        let apps = list(pod.app_containers_by_name().to_vec());
        let context = with!(PhaseContext {
            pod_is_terminal: case::field_or_default(case, "podIsTerminal")?,
            pod_has_initialized: case::field_or_default(case, "podHasInitialized")?,
            ..PhaseContext::default()
        });
        Ok((pod, init, apps, context))
    });
    bench(c, "phase", &cases, |(pod, init, apps, context)| {
        black_box(pod_phase(pod, init, apps, *context));
    });
}

fn statuses(c: &mut Criterion) {
    let cases = recorded("status", |case| {
        let (pod, observation) = observed(case)?;
        let earlier: Option<v1::PodStatus> = Deserialize::deserialize(&case["pod"]["status"])?;
        let earlier = PodStatus::try_from(&earlier.unwrap_or_default())?;
        Ok((pod, observation, earlier))
    });
    let start_failures = StartFailures::default();
    bench(c, "status", &cases, |(pod, observation, earlier)| {
        let inputs = StatusInputs::new(pod, observation, earlier, &start_failures);
        black_box(generate_pod_status(&inputs, None));
    });
    let now = Timestamp::from_secs(1_767_229_200);
    bench(c, "columns", &cases, |(pod, _, earlier)| {
        black_box(kubectl::columns(pod, earlier, None, now));
    });
}

fn back_off(c: &mut Criterion) {
    let now = Timestamp::from_secs(1_767_229_200);
    bench(c, "back_off_advance", &[()], |()| {
        let mut back_off = BackOff::new(BackOffSettings::IMAGE_PULL);
        for key in 0..3_u8 {
            black_box(back_off.advance(key, now, now));
        }
    });
}

fn start_up_pod() -> v1::Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "web", "uid": "1"},
        "spec": {
            "initContainers": [
                {"name": "wait", "image": "tools:1"},
                {"name": "migrate", "image": "tools:1"},
                {"name": "warm", "image": "tools:1"},
            ],
            "containers": [{"name": "app", "image": "web:1"}],
        },
    }))
    .unwrap()
}

fn lives(c: &mut Criterion) {
    let pod = start_up_pod();
    let yaml = serde_yaml::to_string(&pod).unwrap();
    let gates = FeatureGates::default();
    bench(c, "compile_from_v1_pod", std::slice::from_ref(&pod), |pod| {
        black_box(PodSpec::compile(pod, gates).unwrap());
    });
    bench(c, "compile_from_yaml", &[yaml], |yaml| {
        let documents = podinit::manifest::read(yaml, &Default::default()).unwrap();
        black_box(documents);
    });
    let spec = PodSpec::compile(&pod, gates).unwrap();
    let run = |exit_code| Run::ends(Duration::from_secs(2), exit_code);
    let scenario = Scenario::default()
        .script("wait", ContainerScript::runs([run(0)]))
        .script("migrate", ContainerScript::runs([run(1), run(0)]))
        .script("warm", ContainerScript::runs([run(0)]));
    bench(c, "whole_life_with_timeline", &[scenario], |scenario| {
        black_box(simulate(&spec, scenario));
    });
}

criterion_group!(benches, decisions, phases, statuses, back_off, lives);
criterion_main!(benches);

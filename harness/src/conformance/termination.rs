//! Family `termination`: who is stopped when, with what grace.

use std::time::Duration;

use k8s_openapi::api::core::v1;
use podinit::termination::{GraceRequest, StopBehaviour, TerminationPlan, simulate};
use podinit::{FeatureGates, PodSpec};
use serde_json::{Map, Value, json};

use super::{Answer, BadCase};

pub fn replay(case: &Value) -> Result<Answer, BadCase> {
    let pod: v1::Pod = serde_json::from_value(case["pod"].clone())?;
    let names: Vec<String> = serde_json::from_value(case["running"].clone())?;
    let request = GraceRequest {
        deletion_grace_period_seconds: pod.metadata.deletion_grace_period_seconds,
        override_seconds: case.get("gracePeriodOverrideSeconds").and_then(Value::as_i64),
    };
    let pod = PodSpec::compile_unchecked(&pod, FeatureGates::default())?;
    let running = names
        .iter()
        .map(|name| Ok((pod.find(name).ok_or("a container that the pod has not")?, name.into())))
        .collect::<Result<Vec<_>, BadCase>>()?;

    let plan = TerminationPlan::for_pod(&pod, running, request);
    let exits_after = &case["exitsAfterSigtermMs"];
    let stops = simulate(&plan, |stop| StopBehaviour {
        exits_after_sigterm: exits_after[pod.container(stop.container).name().as_str()]
            .as_u64()
            .map(Duration::from_millis),
        ..StopBehaviour::default()
    });
    let got: Map<String, Value> = stops
        .iter()
        .map(|stop| {
            let answer = json!({
                "stopRequestedAtMs": millis(stop.stop_requested_at),
                "graceSeconds": stop.grace_seconds,
                "stoppedAtMs": millis(stop.stopped_at),
                "killedAtDeadline": u8::from(stop.killed_at_deadline),
            });
            (pod.container(stop.container).name().to_string(), answer)
        })
        .collect();
    Ok(Answer { expected: case["stops"].clone(), got: got.into() })
}

fn millis(span: Duration) -> u64 {
    span.as_millis().try_into().unwrap_or(u64::MAX)
}

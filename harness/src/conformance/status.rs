//! Family `status`: the whole status and its columns.

use std::collections::HashMap;

use crate::with;
use k8s_openapi::api::core::v1;
use podinit::status::{StartFailure, StartFailures};
use podinit::{
    FeatureGates, PodSpec, PodStatus, StatusInputs, Timestamp, generate_pod_status, kubectl,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::case::{field, field_or_default, gates, observation_with_ids};
use super::{Answer, BadCase};

#[derive(Deserialize)]
struct Failure {
    reason: String,
    #[serde(default)]
    message: String,
}

pub fn replay(case: &Value) -> Result<Answer, BadCase> {
    let gates: FeatureGates = gates(case)?;
    let pod: v1::Pod = field(case, "pod")?;
    let spec = PodSpec::compile_unchecked(&pod, gates)?;
    // The API knows the containers with the type of their runtime.
    let observation = observation_with_ids(case, &spec, |id| format!("test://{id}"))?;
    let earlier = PodStatus::try_from(&pod.status.clone().unwrap_or_default())?;
    let mut start_failures = StartFailures::default();
    for (name, Failure { reason, message }) in
        field_or_default::<HashMap<String, Failure>>(case, "startFailures")?
    {
        if let Some(index) = spec.find(&name) {
            let failure = StartFailure { reason: reason.into(), message: message.into() };
            start_failures.insert(index, failure);
        }
    }
    let now: Timestamp = field(case, "now")?;
    let deletion = pod.metadata.deletion_timestamp.as_ref();
    let deletion = deletion.map(Timestamp::try_from).transpose()?;
    let inputs = with!(StatusInputs {
        deletion_requested: deletion.is_some(),
        pod_is_terminal: field_or_default(case, "podIsTerminal")?,
        kubelet_started_at: field(case, "kubeletStartedAt")?,
        ..StatusInputs::new(&spec, &observation, &earlier, &start_failures)
    });
    let status = generate_pod_status(&inputs, None);
    let columns = kubectl::columns(&spec, &status, deletion, now);
    let mut status = serde_json::to_value(v1::PodStatus::from(&status))?;
    // Not part of the recorded answer.
    for condition in status["conditions"].as_array_mut().into_iter().flatten() {
        condition["lastTransitionTime"] = Value::Null;
    }
    Ok(Answer {
        expected: json!({
            "status": case["status"],
            "ready": case["kubectlReady"],
            "column": case["kubectlStatus"],
            "restarts": case["kubectlRestarts"],
        }),
        got: json!({
            "status": status,
            "ready": columns.ready.to_string(),
            "column": columns.status.to_string(),
            "restarts": columns.restarts.to_string(),
        }),
    })
}

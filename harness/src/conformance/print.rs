//! Family `print`: the columns of `kubectl get pods`.

use k8s_openapi::api::core::v1;
use podinit::{FeatureGates, PodSpec, PodStatus, Timestamp, kubectl};
use serde_json::{Value, json};

use super::{Answer, BadCase};

pub fn replay(case: &Value) -> Result<Answer, BadCase> {
    let pod: v1::Pod = serde_json::from_value(case["pod"].clone())?;
    let now: Timestamp = serde_json::from_value(case["now"].clone())?;
    let spec = PodSpec::compile_unchecked(&pod, FeatureGates::default())?;
    let status = PodStatus::try_from(&pod.status.unwrap_or_default())?;
    let deleted = pod.metadata.deletion_timestamp.as_ref();
    let deleted = deleted.map(Timestamp::try_from).transpose()?;

    let columns = kubectl::columns(&spec, &status, deleted, now);
    let field = |name: &str| case.get(name).cloned().unwrap_or_default();
    Ok(Answer {
        expected: json!({
            "ready": field("kubectlReady"),
            "status": field("kubectlStatus"),
            "restarts": field("kubectlRestarts"),
        }),
        got: json!({
            "ready": columns.ready.to_string(),
            "status": columns.status.to_string(),
            "restarts": columns.restarts.to_string(),
        }),
    })
}

//! Family `phase`: what `getPhase` makes of container statuses.

use crate::with;
use k8s_openapi::api::core::v1;
use podinit::status::PhaseContext;
use podinit::{PodSpec, PodStatus, pod_phase};
use serde_json::{Value, json};

use super::case::{field, field_or_default, gates};
use super::{Answer, BadCase};

pub fn replay(case: &Value) -> Result<Answer, BadCase> {
    let mut pod = v1::Pod { spec: Some(field(case, "spec")?), ..v1::Pod::default() };
    if field_or_default(case, "static")? {
        let source = ("kubernetes.io/config.source".to_owned(), "file".to_owned());
        pod.metadata.annotations = Some([source].into());
    }
    let spec = PodSpec::compile_unchecked(&pod, gates(case)?)?;
    // One list for all; names are unique.
    let statuses = PodStatus::try_from(&v1::PodStatus {
        container_statuses: field(case, "containerStatuses")?,
        ..v1::PodStatus::default()
    })?
    .container_statuses;
    let context = with!(PhaseContext {
        pod_is_terminal: field_or_default(case, "podIsTerminal")?,
        pod_has_initialized: field_or_default(case, "podHasInitialized")?,
        ..PhaseContext::default()
    });
    let got = pod_phase(&spec, &statuses, &statuses, context);
    Ok(Answer { expected: case["phase"].clone(), got: json!(got.as_str()) })
}

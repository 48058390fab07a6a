//! What the apiserver says to a pod that is created.

use k8s_openapi::api::core::v1;
use podinit::FeatureGates;
use podinit::validation::{ValidationErrors, validate};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, BadCase, as_set};

pub fn replay(case: &Value) -> Result<Answer, BadCase> {
    let pod = v1::Pod::deserialize(&case["pod"])?;
    let errors = match validate(&pod, FeatureGates::default()) {
        Ok(()) => json!([]),
        Err(errors) => shown(&errors),
    };
    Ok(Answer { expected: as_set(case["errors"].clone()), got: as_set(errors) })
}

/// Errors as cases hold them.
pub fn shown(errors: &ValidationErrors) -> Value {
    errors
        .into_iter()
        .map(|error| {
            json!({
                "type": error.error_type.as_str(),
                "field": error.field,
                "detail": error.detail,
                "message": error.to_string(),
            })
        })
        .collect()
}

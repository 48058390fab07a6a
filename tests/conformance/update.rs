//! What the apiserver says to a change of a pod.

use k8s_openapi::api::core::v1;
use podinit::FeatureGates;
use podinit::validation::validate_update;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, BadCase, as_set};

/// From this length on the vectors leave a detail out: it holds a difference in Go syntax.
const LONG_DETAIL: usize = 300;

pub fn replay(case: &Value) -> Result<Answer, BadCase> {
    let old = v1::Pod::deserialize(&case["old"])?;
    let new = v1::Pod::deserialize(&case["new"])?;
    let errors = validate_update(&old, &new, FeatureGates::default()).err();
    let shown: Value = errors
        .iter()
        .flatten()
        .map(|error| {
            let detail = if error.detail.len() < LONG_DETAIL { &*error.detail } else { "" };
            json!({ "type": error.error_type.as_str(), "field": error.field, "detail": detail })
        })
        .collect();
    Ok(Answer { expected: as_set(case["errors"].clone()), got: as_set(shown) })
}

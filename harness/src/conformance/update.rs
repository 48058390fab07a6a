//! What the apiserver says to a change of a pod.

use k8s_openapi::api::core::v1;
use podinit::admission::defaults;
use podinit::validation::{
    Subresource, status_warnings, validate_subresource_update, validate_update,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::case::gates;
use super::validation::shown;
use super::{Answer, BadCase, as_set};

pub const LEFT_OUT: &[&str] = &[
    "what follows in a forbidden change's detail: a difference in Go syntax, here in lines of our own",
    "the order of errors",
];

/// From this length on the vectors that say no message leave a detail out.
const LONG_DETAIL: usize = 300;

pub fn replay(case: &Value) -> Result<Answer, BadCase> {
    let recorded_here = case.get("answer").is_some();
    let (expected, warnings) = match case.get("answer") {
        Some(answer) => (&answer["errors"], answer["warnings"].clone()),
        None => (&case["errors"], Value::Null),
    };
    let compared = |mut error: Value| {
        if recorded_here {
            for words in ["detail", "message"] {
                error[words] = error[words].as_str().and_then(|text| text.lines().next()).into();
            }
        } else {
            if error["detail"].as_str().is_some_and(|detail| detail.len() >= LONG_DETAIL) {
                error["detail"] = Value::Null;
            }
            error["message"] = Value::Null;
        }
        error
    };
    let set = |errors: &Value| -> Value {
        let errors = errors.as_array().into_iter().flatten();
        as_set(errors.cloned().map(compared).collect())
    };
    let expected = json!({"errors": set(expected), "warnings": warnings});
    let subresource = match case["subresource"].as_str() {
        None | Some("") => None,
        Some("resize") => Some(Subresource::Resize),
        Some("ephemeralcontainers") => Some(Subresource::EphemeralContainers),
        Some("status") => Some(Subresource::Status),
        Some(other) => return Ok(Answer::none(format!("updates through {other:?}"))),
    };
    let old = v1::Pod::deserialize(&case["old"])?;
    let mut new = v1::Pod::deserialize(&case["new"])?;
    if recorded_here {
        // The body of a PUT: what it leaves out has its default, and not what the stored pod has.
        defaults::apply(&mut new, gates(case)?);
    }
    let gates = gates(case)?;
    let errors = match subresource {
        None => validate_update(&old, &new, gates).err(),
        Some(through) => validate_subresource_update(&old, &new, through, gates).err(),
    };
    let warnings = match (&errors, subresource) {
        (None, Some(Subresource::Status)) => {
            let mut texts: Vec<String> =
                status_warnings(&new, gates).iter().map(ToString::to_string).collect();
            texts.sort();
            json!(texts)
        }
        _ => json!([]),
    };
    let got = errors.as_ref().map_or_else(|| json!([]), shown);
    Ok(Answer { expected, got: json!({"errors": set(&got), "warnings": warnings}) })
}

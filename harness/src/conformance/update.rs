//! What the apiserver says to a change of a pod.

use k8s_openapi::api::core::v1;
use podinit::admission::defaults;
use podinit::validation::validate_update;
use serde::Deserialize;
use serde_json::{Value, json};

use super::case::gates;
use super::validation::shown;
use super::{Answer, BadCase, as_set};

pub const LEFT_OUT: &[&str] = &[
    "what follows in a forbidden change's detail: a difference in Go syntax, here in lines of our own",
    "the order of errors",
    "errors of metadata, which is not compared here",
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
        let metadata =
            |error: &&Value| error["field"].as_str().is_some_and(|f| f.starts_with("metadata"));
        let errors = errors.as_array().into_iter().flatten().filter(|error| !metadata(error));
        as_set(errors.cloned().map(compared).collect())
    };
    let expected = json!({"errors": set(expected), "warnings": warnings});
    match case["subresource"].as_str() {
        None | Some("") => {}
        Some(other) => {
            return Ok(Answer::none(format!("updates through {other:?}")));
        }
    }
    let old = v1::Pod::deserialize(&case["old"])?;
    let mut new = v1::Pod::deserialize(&case["new"])?;
    if recorded_here {
        // The body of a PUT: what it leaves out has its default, and not what the stored pod has.
        defaults::apply(&mut new, gates(case)?);
    }
    let errors = validate_update(&old, &new, gates(case)?).err();
    let got = errors.as_ref().map_or_else(|| json!([]), shown);
    Ok(Answer { expected, got: json!({"errors": set(&got), "warnings": []}) })
}

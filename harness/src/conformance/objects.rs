//! Families `defaults` and `read`: what the apiserver makes of manifests.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1;
use podinit::FeatureGates;
use podinit::admission::defaults;
use podinit::manifest::{Document, ManifestError, Object, ReadOptions, read};
use podinit::quantity::Quantity;
use podinit::validation::validate;
use serde::Deserialize;
use serde_json::{Value, json};

use super::case::{field, gates};
use super::validation::shown;
use super::{Answer, BadCase, as_set};

pub const LEFT_OUT_OF_DEFAULTS: &[&str] =
    &["the form of quantities, which the API makes canonical"];

/// An object with its defaults.
pub fn defaulted(case: &Value) -> Result<Answer, BadCase> {
    let object = &case["object"];
    let mut expected = case["answer"]["object"].clone();
    for words in ["kind", "apiVersion"] {
        expected[words] = Value::Null;
    }
    if object["kind"] != "Pod" {
        return Ok(Answer::none("only pods are given defaults"));
    }
    let mut pod = v1::Pod::deserialize(object)?;
    defaults::apply(&mut pod, gates(case)?);
    let mut got = serde_json::to_value(pod)?;
    for words in ["kind", "apiVersion"] {
        got[words] = Value::Null;
    }
    canonical(&mut got);
    Ok(Answer { expected, got })
}

/// Quantities in the form in which the API gives them.
pub fn canonical(value: &mut Value) {
    let one = |value: &mut Value| {
        if let Some(quantity) = value.as_str().and_then(|text| text.parse::<Quantity>().ok()) {
            *value = quantity.to_string().into();
        }
    };
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value) {
                    ("requests" | "limits" | "overhead", Value::Object(amounts)) => {
                        amounts.values_mut().for_each(one);
                    }
                    ("sizeLimit" | "divisor", value) => one(value),
                    (_, value) => canonical(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(canonical),
        _ => {}
    }
}

pub const LEFT_OUT_OF_READ: &[&str] = &[
    "the words of what cannot be read: that it cannot is compared, not how it is told",
    "the order of errors and warnings",
];

/// Whole manifests: what they hold, and what is wrong with it.
pub fn manifest(case: &Value) -> Result<Answer, BadCase> {
    let text: String = field(case, "text")?;
    let expected = case["answer"]["documents"].as_array().into_iter().flatten();
    let expected: Vec<Value> = expected.map(comparable).collect();
    let got = documents(&text, gates(case)?);
    Ok(Answer { expected: json!({"documents": expected}), got: json!({"documents": got}) })
}

/// What is compared of a document of Kubernetes' answer.
fn comparable(document: &Value) -> Value {
    if !document["readError"].is_null() {
        return json!({"unreadable": true});
    }
    if !document["unchecked"].is_null() {
        return json!({"kind": document["kind"], "name": document["name"], "unchecked": true});
    }
    let set = |field: &str| match &document[field] {
        Value::Null => json!([]),
        list => as_set(list.clone()),
    };
    json!({
        "kind": document["kind"],
        "name": document["name"],
        "errors": set("errors"),
        "warnings": set("warnings"),
    })
}

/// The same of ours.
fn documents(text: &str, gates: FeatureGates) -> Vec<Value> {
    match read(text, &ReadOptions::strict()) {
        Ok(documents) => documents.iter().map(|document| answer(document, gates)).collect(),
        Err(ManifestError::Empty) => Vec::new(),
        Err(ManifestError::Fields { problems, .. }) => {
            // Those that have no problem are read nevertheless.
            let mut answers: BTreeMap<(usize, usize), Value> = BTreeMap::new();
            let places = problems.iter().map(|problem| place(problem.document, &problem.field));
            answers.extend(places.map(|place| (place, json!({"unreadable": true}))));
            for document in read(text, &ReadOptions::lenient()).iter().flatten() {
                let place = place(document.position, &document.path);
                answers.entry(place).or_insert_with(|| answer(document, gates));
            }
            answers.into_values().collect()
        }
        Err(_) => vec![json!({"unreadable": true})],
    }
}

/// The position of an object: of its document and, in a list, of the item.
fn place(document: usize, path: &str) -> (usize, usize) {
    let item = path.strip_prefix("items[").and_then(|rest| rest.split(']').next()?.parse().ok());
    (document, item.unwrap_or_default())
}

fn answer(document: &Document, gates: FeatureGates) -> Value {
    match &document.object {
        Object::Pod(pod) => {
            let errors = validate(pod, gates).err();
            let errors = errors.as_ref().map_or_else(|| json!([]), shown);
            let name = &pod.metadata.name;
            json!({"kind": "Pod", "name": name, "errors": as_set(errors), "warnings": []})
        }
        Object::Other { kind, name, .. } => json!({"kind": kind, "name": name, "unchecked": true}),
        _ => Value::Null,
    }
}

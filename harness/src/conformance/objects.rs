//! Families `defaults` and `read`: what the apiserver makes of manifests.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1;
use podinit::FeatureGates;
use podinit::admission::{admit, defaults};
use podinit::manifest::{Document, ManifestError, Object, ReadOptions, Workload, read_each};
use podinit::quantity::Quantity;
use podinit::validation::{
    ValidationErrors, Warning, validate, validate_workload, warnings, workload_warnings,
};
use podinit::version::Change;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::case::{field, gates};
use super::validation::shown;
use super::{Answer, BadCase, as_set};

pub const LEFT_OUT_OF_DEFAULTS: &[&str] = &["quantities are written as Kubernetes writes them"];

/// An object with its defaults.
pub fn defaulted(case: &Value) -> Result<Answer, BadCase> {
    let object = &case["object"];
    let mut expected = case["answer"]["object"].clone();
    for words in ["kind", "apiVersion"] {
        expected[words] = Value::Null;
    }
    let mut got = match object["kind"].as_str().unwrap_or("Pod") {
        "Pod" => {
            let mut pod = v1::Pod::deserialize(object)?;
            defaults::apply(&mut pod, gates(case)?);
            serde_json::to_value(pod)?
        }
        _ => match workload(object)? {
            Some(mut workload) => {
                defaults::apply_to_workload(&mut workload, gates(case)?);
                json_of(&workload)?
            }
            None => return Ok(Answer::none("of neither a pod nor a workload")),
        },
    };
    for words in ["kind", "apiVersion"] {
        got[words] = Value::Null;
    }
    written(&mut got);
    Ok(Answer { expected, got })
}

pub const LEFT_OUT_OF_CREATED: &[&str] = &[
    "what creation fills in outside of the spec",
    "before 1.37 serviceAccount, which the API's own conversion takes from serviceAccountName",
    "quantities are written as Kubernetes writes them",
];

/// The spec of a pod as it is stored.
pub fn created(case: &Value) -> Result<Answer, BadCase> {
    let mut expected = case["answer"]["object"]["spec"].clone();
    let gates = gates(case)?;
    let admitted = admit(&v1::Pod::deserialize(&case["object"])?, &gates);
    let mut got = serde_json::to_value(&admitted.pod().spec)?;
    if !gates.has(Change::ServiceAccountIsFilledIn) {
        expected["serviceAccount"] = got["serviceAccount"].clone();
    }
    written(&mut got);
    Ok(Answer { expected, got })
}

/// The workload that an object is.
fn workload(object: &Value) -> Result<Option<Workload>, BadCase> {
    fn read<T: DeserializeOwned>(object: &Value) -> Result<Box<T>, BadCase> {
        Ok(Box::new(T::deserialize(object)?))
    }
    Ok(Some(match object["kind"].as_str().unwrap_or_default() {
        "Deployment" => Workload::Deployment(read(object)?),
        "StatefulSet" => Workload::StatefulSet(read(object)?),
        "DaemonSet" => Workload::DaemonSet(read(object)?),
        "ReplicaSet" => Workload::ReplicaSet(read(object)?),
        "ReplicationController" => Workload::ReplicationController(read(object)?),
        "Job" => Workload::Job(read(object)?),
        "CronJob" => Workload::CronJob(read(object)?),
        "PodTemplate" => Workload::PodTemplate(read(object)?),
        _ => return Ok(None),
    }))
}

fn json_of(workload: &Workload) -> Result<Value, BadCase> {
    Ok(match workload {
        Workload::Deployment(object) => serde_json::to_value(object)?,
        Workload::StatefulSet(object) => serde_json::to_value(object)?,
        Workload::DaemonSet(object) => serde_json::to_value(object)?,
        Workload::ReplicaSet(object) => serde_json::to_value(object)?,
        Workload::ReplicationController(object) => serde_json::to_value(object)?,
        Workload::Job(object) => serde_json::to_value(object)?,
        Workload::CronJob(object) => serde_json::to_value(object)?,
        Workload::PodTemplate(object) => serde_json::to_value(object)?,
        _ => return Err(BadCase("a workload of a kind that is new".to_owned())),
    })
}

/// Quantities as Kubernetes writes what it has read.
pub fn written(value: &mut Value) {
    let one = |value: &mut Value| {
        if let Some(text) = value.as_str().and_then(|text| Quantity::string_of(text).ok()) {
            *value = text.into_owned().into();
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
                    (_, value) => written(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(written),
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
    let Ok(reading) = read_each(text, &ReadOptions::strict()) else { return pieces(text, gates) };
    let mut answers: BTreeMap<(usize, usize), Value> = BTreeMap::new();
    for document in &reading.documents {
        answers.insert(place(document.position, &document.path), answer(document, gates));
    }
    for problem in &reading.problems {
        answers.insert(place(problem.document, &problem.field), json!({"unreadable": true}));
    }
    answers.into_values().collect()
}

/// The documents of a text that cannot be read as a whole: those before the first that is no YAML.
fn pieces(text: &str, gates: FeatureGates) -> Vec<Value> {
    let mut pieces = vec![String::new()];
    for line in text.split_inclusive('\n') {
        match pieces.last_mut() {
            Some(piece) if line.trim_end() != "---" => piece.push_str(line),
            _ => pieces.push(String::new()),
        }
    }
    let mut answers = Vec::new();
    let several = pieces.len() > 1;
    for piece in pieces {
        match read_each(&piece, &ReadOptions::strict()) {
            Err(ManifestError::Syntax { .. }) => {
                answers.push(json!({"unreadable": true}));
                break;
            }
            Ok(_) if several => answers.extend(documents(&piece, gates)),
            _ => answers.push(json!({"unreadable": true})),
        }
    }
    answers
}

/// The position of an object: of its document and, in a list, of the item.
fn place(document: usize, path: &str) -> (usize, usize) {
    let item = path.strip_prefix("items[").and_then(|rest| rest.split(']').next()?.parse().ok());
    (document, item.unwrap_or_default())
}

fn answer(document: &Document, gates: FeatureGates) -> Value {
    match &document.object {
        Object::Pod(pod) => {
            let name = pod.metadata.name.as_deref();
            said("Pod", name, validate(pod, gates).err(), || warnings(pod, gates))
        }
        Object::Workload(workload) => {
            let errors = validate_workload(workload, gates).err();
            let name = workload.metadata().name.as_deref();
            said(workload.kind(), name, errors, || workload_warnings(workload))
        }
        Object::Other { kind, name, .. } => {
            let name = name.as_deref().unwrap_or_default();
            json!({"kind": kind, "name": name, "unchecked": true})
        }
        _ => Value::Null,
    }
}

/// What is refused comes with no warnings.
fn said(
    kind: &str,
    name: Option<&str>,
    errors: Option<ValidationErrors>,
    warnings: impl FnOnce() -> Vec<Warning>,
) -> Value {
    let warnings = if errors.is_some() { Vec::new() } else { warnings() };
    let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    let errors = errors.as_ref().map_or_else(|| json!([]), shown);
    json!({
        "kind": kind,
        "name": name.unwrap_or_default(),
        "errors": as_set(errors),
        "warnings": as_set(json!(warnings)),
    })
}

//! Families `get`, `describe`, `events` and `durations`: what kubectl prints.

use std::time::Duration;

use k8s_openapi::api::core::v1;
use podinit::event::{Event, EventKind, EventRecord};
use podinit::kubectl::{self, HumanDuration, PodRow};
use podinit::pod::PodIdentity;
use podinit::{PodSpec, PodStatus, Timestamp};
use serde_json::{Value, json};

use super::case::{field, field_or_default, gates};
use super::{Answer, BadCase};

pub const LEFT_OUT_OF_GET: &[&str] = &[
    "AGE of a pod without a creation time",
    "wideText: the columns are made here, but not the table of them",
];

/// A pod's line in the table of pods.
pub fn get(case: &Value) -> Result<Answer, BadCase> {
    let pod: v1::Pod = field(case, "pod")?;
    let now: Timestamp = field(case, "now")?;
    let mut expected = case["answer"].clone();
    let spec = PodSpec::compile_unchecked(&pod, gates(case)?)?;
    let status = match PodStatus::try_from(&pod.status.clone().unwrap_or_default()) {
        Ok(status) => status,
        Err(error) => return Ok(Answer::none(error)),
    };
    let deleted = pod.metadata.deletion_timestamp.as_ref().map(Timestamp::try_from).transpose()?;
    let columns = kubectl::columns(&spec, &status, deleted, now);
    let created = pod.metadata.creation_timestamp.as_ref().map(Timestamp::try_from).transpose()?;
    let age = created.map(|created| HumanDuration::between(created, now));
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let wide = kubectl::wide_columns(&pod);
    let or_none = |text: Option<&str>| text.unwrap_or("<none>").to_owned();
    let narrow = [
        name.to_owned(),
        columns.ready.to_string(),
        columns.status.to_string(),
        columns.restarts.to_string(),
        age.map(|age| age.to_string()).unwrap_or_default(),
    ];
    let more = [
        or_none(wide.ip),
        or_none(wide.node),
        or_none(wide.nominated_node),
        wide.readiness_gates.map_or_else(|| or_none(None), |gates| gates.to_string()),
    ];
    let all: Vec<&String> = narrow.iter().chain(&more).collect();
    let mut got = json!({
        "columns": ["Name", "Ready", "Status", "Restarts", "Age",
            "IP", "Node", "Nominated Node", "Readiness Gates"],
        "cells": narrow,
        "wide": all,
    });
    expected["wideText"] = Value::Null;
    match age {
        Some(age) => {
            got["text"] = kubectl::pod_table([PodRow { name, columns: &columns, age }]).into();
        }
        None => {
            expected["text"] = Value::Null;
            for list in ["cells", "wide"] {
                expected[list][4] = "".into();
            }
        }
    }
    Ok(Answer { expected, got })
}

/// The events of a case, as the kubelet's own records of one pod. Which container each is about, is
/// told if there is a pod.
fn records(case: &Value, pod: Option<&PodSpec>) -> Result<Vec<EventRecord>, BadCase> {
    let record = |event: v1::Event| -> Result<EventRecord, BadCase> {
        let time = |time: Option<_>| match time.as_ref() {
            Some(time) => Ok(Timestamp::try_from(time)?),
            None => Err(BadCase("an event without a time".into())),
        };
        let of = &event.involved_object;
        if (of.kind.as_deref(), of.name.as_deref()) != (Some("Pod"), Some("web")) {
            return Err(BadCase("an event of something else than the pod web".into()));
        }
        let path = of.field_path.as_deref().unwrap_or_default();
        let container = pod.and_then(|pod| pod.find(path.split(['{', '}']).nth(1)?));
        let kind = match event.type_.as_deref() {
            Some("Normal") => EventKind::Normal,
            Some("Warning") => EventKind::Warning,
            other => return Err(BadCase(format!("an event of type {other:?}"))),
        };
        Ok(EventRecord {
            event: Event {
                kind,
                reason: event.reason.unwrap_or_default().into(),
                message: event.message.unwrap_or_default().into(),
                container,
            },
            first_timestamp: time(event.first_timestamp)?,
            last_timestamp: time(event.last_timestamp)?,
            count: u32::try_from(event.count.unwrap_or_default())?,
        })
    };
    field_or_default::<Vec<v1::Event>>(case, "events")?.into_iter().map(record).collect()
}

pub const LEFT_OUT_OF_EVENTS: &[&str] = &["getText: `kubectl get events` is not modelled"];

/// The table of `kubectl events`.
pub fn events(case: &Value) -> Result<Answer, BadCase> {
    let records = records(case, None)?;
    let pod = PodIdentity { name: "web".into(), namespace: "shop".into(), uid: "1".into() };
    let text = kubectl::events(&pod, &records, field(case, "now")?);
    Ok(lines(case["answer"]["text"].as_str().unwrap_or_default(), &text))
}

pub const LEFT_OUT_OF_DESCRIBE: &[&str] = &[
    "service account, annotations, controller, volumes, node selectors, tolerations and topology \
     spread constraints, which are not shown here",
    "the width of columns, which follows from the lines that are left out",
];

/// The text of `kubectl describe pod`.
pub fn describe(case: &Value) -> Result<Answer, BadCase> {
    let pod: v1::Pod = field(case, "pod")?;
    let spec = PodSpec::compile_unchecked(&pod, gates(case)?)?;
    let records = records(case, Some(&spec))?;
    let text = kubectl::describe(&pod, Some(&records), field(case, "now")?);
    let expected = case["answer"]["text"].as_str().unwrap_or_default();
    Ok(lines(&unaligned(&without_sections(expected)), &unaligned(&text)))
}

/// What begins at the margin with one of these is not compared, up to what begins there next.
const NOT_SHOWN: [&str; 7] = [
    "Service Account:",
    "Annotations:",
    "Controlled By:",
    "Volumes:",
    "Node-Selectors:",
    "Tolerations:",
    "Topology Spread Constraints:",
];

fn without_sections(text: &str) -> String {
    let mut shown = true;
    let mut rest = String::new();
    for line in text.lines() {
        if !line.starts_with(' ') {
            shown = !NOT_SHOWN.iter().any(|title| line.starts_with(title));
        }
        if shown {
            rest.push_str(line);
            rest.push('\n');
        }
    }
    rest
}

/// Text in which any number of spaces between words is one, and a far indentation is a near one.
fn unaligned(text: &str) -> String {
    let mut plain = String::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
        let indentation = line.len() - line.trim_start_matches(' ').len();
        plain.push_str(&" ".repeat(indentation.min(10)));
        plain.push_str(&words.join(" "));
        plain.push('\n');
    }
    plain
}

/// Two texts, without the lines at the beginning and at the end in which they agree.
fn lines(expected: &str, got: &str) -> Answer {
    let mut expected: Vec<&str> = expected.lines().collect();
    let mut got: Vec<&str> = got.lines().collect();
    let begin = expected.iter().zip(&got).take_while(|(a, b)| a == b).count();
    expected.drain(..begin);
    got.drain(..begin);
    let end = expected.iter().rev().zip(got.iter().rev()).take_while(|(a, b)| a == b).count();
    expected.truncate(expected.len() - end);
    got.truncate(got.len() - end);
    Answer { expected: json!({"lines": expected}), got: json!({"lines": got}) }
}

pub const LEFT_OUT_OF_DURATIONS: &[&str] = &["short: not modelled, no table of pods has it"];

/// A span of time in the words of `AGE`.
pub fn durations(case: &Value) -> Result<Answer, BadCase> {
    let milliseconds: i64 = field(case, "milliseconds")?;
    let span = match u64::try_from(milliseconds) {
        Ok(milliseconds) => HumanDuration::from(Duration::from_millis(milliseconds)),
        Err(_) => {
            let now = Timestamp::from_secs(0);
            HumanDuration::between(Timestamp::from_millis(-milliseconds), now)
        }
    };
    Ok(Answer {
        expected: json!({"human": case["answer"]["human"]}),
        got: json!({"human": span.to_string()}),
    })
}

//! Families `get`, `describe`, `events` and `durations`: what kubectl prints.

use std::time::Duration;

use k8s_openapi::api::core::v1;
use podinit::Timestamp;
use podinit::kubectl::{self, HumanDuration, PodRow};
use serde_json::{Value, json};

use super::case::{field, field_or_default, gates};
use super::{Answer, BadCase};

/// A pod's line in the table of pods.
pub fn get(case: &Value) -> Result<Answer, BadCase> {
    let pod: v1::Pod = field(case, "pod")?;
    let now: Timestamp = field(case, "now")?;
    let gates = gates(case)?;
    let columns = kubectl::columns_of(&pod, gates, now);
    let text = kubectl::wide_pod_table([&pod], gates, now);
    // The narrow table has the first columns of the wide one.
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let age = kubectl::age_of(&pod, now);
    let mut expected = case["answer"].clone();
    let wide = kubectl::wide_columns(&pod);
    let or_none = |text: Option<&str>| text.unwrap_or("<none>").to_owned();
    let narrow = [
        name.to_owned(),
        columns.ready.to_string(),
        columns.status.to_string(),
        columns.restarts.to_string(),
        age.map_or_else(|| "<unknown>".to_owned(), |age| age.to_string()),
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
        "wideText": text,
    });
    match age {
        Some(age) => {
            got["text"] = kubectl::pod_table([PodRow { name, columns: &columns, age }]).into();
        }
        // A row needs an age; the wide table shows that there is none.
        None => expected["text"] = Value::Null,
    }
    Ok(Answer { expected, got })
}

/// The tables of `kubectl events` and `kubectl get events`.
pub fn events(case: &Value) -> Result<Answer, BadCase> {
    let events: Vec<v1::Event> = field_or_default(case, "events")?;
    let now = field(case, "now")?;
    let (text, get) = (kubectl::events_of(&events, now), kubectl::get_events(&events, now));
    let answer = |name: &str| case["answer"][name].as_str().unwrap_or_default();
    let of_get = lines(answer("getText"), &get);
    let mut both = lines(answer("text"), &text);
    both.expected["get"] = of_get.expected;
    both.got["get"] = of_get.got;
    Ok(both)
}

/// The text of `kubectl describe pod`.
pub fn describe(case: &Value) -> Result<Answer, BadCase> {
    let pod: v1::Pod = field(case, "pod")?;
    let events: Vec<v1::Event> = field_or_default(case, "events")?;
    let version = gates(case)?.version();
    let text = kubectl::describe_of(&pod, Some(&events), version, field(case, "now")?);
    Ok(lines(case["answer"]["text"].as_str().unwrap_or_default(), &text))
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

//! Family `traces`: whole lives on a virtual clock.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::with;
use k8s_openapi::api::core::v1;
use podinit::PodSpec;
use podinit::backoff::BackOffSettings;
use podinit::sim::{
    ContainerScript, End, Limits, PodEvent, ProbeScript, Run, Scenario, ScheduledEvent, Step,
    simulate,
};
use podinit::worker::{SyncKind, WorkerSettings};
use serde::Deserialize;
use serde_json::{Value, json};

use super::case::{field, field_or_default, pod};
use super::{Answer, BadCase};

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ScriptCase {
    image_pull_failures: u32,
    create_failures: u32,
    start_failures: u32,
    runs: Vec<RunCase>,
    startup_probe_succeeds_after_ms: Option<u64>,
    startup_probe_fails_after_ms: Option<u64>,
    readiness_probe_succeeds_after_ms: Option<u64>,
    liveness_probe_fails_after_ms: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RunCase {
    run_for_ms: i64,
    exit_code: i32,
    reason: String,
}

impl From<ScriptCase> for ContainerScript {
    fn from(case: ScriptCase) -> Self {
        let runs = case.runs.into_iter().map(|run| Run {
            lasts: u64::try_from(run.run_for_ms).ok().map(Duration::from_millis),
            exit_code: run.exit_code,
            reason: (!run.reason.is_empty()).then(|| run.reason.into()),
        });
        let probe = |succeeds: Option<u64>, fails: Option<u64>| ProbeScript {
            succeeds_after: succeeds.map(Duration::from_millis),
            fails_after: fails.map(Duration::from_millis),
        };
        Self {
            image_pull_failures: case.image_pull_failures,
            create_failures: case.create_failures,
            start_failures: case.start_failures,
            startup_probe: probe(
                case.startup_probe_succeeds_after_ms,
                case.startup_probe_fails_after_ms,
            ),
            readiness_probe: probe(case.readiness_probe_succeeds_after_ms, None),
            liveness_probe: probe(None, case.liveness_probe_fails_after_ms),
            ..Self::runs(runs)
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventCase {
    at_ms: u64,
    kind: String,
}

impl TryFrom<EventCase> for ScheduledEvent {
    type Error = BadCase;
    fn try_from(case: EventCase) -> Result<Self, BadCase> {
        let event = match case.kind.as_str() {
            "sandboxLost" => PodEvent::SandboxLost,
            "initRecordsRemoved" => PodEvent::InitRecordsRemoved,
            "podDeleted" => PodEvent::PodDeleted { grace_period_seconds: 30 },
            other => return Err(BadCase(format!("events: unknown kind {other:?}"))),
        };
        Ok(Self { at: Duration::from_millis(case.at_ms), event })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BackOffCase {
    initial_ms: u64,
    max_ms: u64,
}

/// The scenario of a case.
pub fn scenario(case: &Value) -> Result<Scenario, BadCase> {
    let back_off: BackOffCase = field(case, "crashLoopBackOff")?;
    let scripts: BTreeMap<String, ScriptCase> = field_or_default(case, "scripts")?;
    let events: Vec<EventCase> = field_or_default(case, "events")?;
    let default = Scenario::default();
    Ok(Scenario {
        scripts: scripts.into_iter().map(|(name, case)| (name.into(), case.into())).collect(),
        events: events.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
        settings: with!(WorkerSettings {
            crash_loop_back_off: BackOffSettings {
                initial: Duration::from_millis(back_off.initial_ms),
                max: Duration::from_millis(back_off.max_ms),
                ..BackOffSettings::IMAGE_PULL
            },
            kubelet_started_at: Some(default.begins_at - Duration::from_secs(3_600)),
            ..WorkerSettings::default()
        }),
        limits: Limits { steps: 40, time: Duration::from_secs(40 * 60) },
        ..default
    })
}

pub fn replay(case: &Value) -> Result<Answer, BadCase> {
    let spec = pod(case)?;
    let timeline = simulate(&spec, &scenario(case)?);
    let steps = recorded_steps(&timeline.steps).map(|step| answer(&spec, step));
    let got = json!({
        "steps": steps.collect::<Result<Vec<_>, _>>()?,
        "end": match timeline.end {
            End::Terminal => "terminal",
            End::Deleted => "deleted",
            End::Steady => "steady",
            End::Truncated => "truncated",
            _ => "unknown",
        },
    });
    let mut expected = json!({"steps": case["steps"], "end": case["end"]});
    for step in expected["steps"].as_array_mut().into_iter().flatten() {
        step["results"] = kills_sorted(step["results"].take());
    }
    Ok(Answer { expected, got })
}

/// The steps that the traces have: those that called the runtime or changed the kubelet's own
/// record.
fn recorded_steps(steps: &[Step]) -> impl Iterator<Item = &Step> {
    let before = std::iter::once(None).chain(steps.iter().map(Some));
    steps.iter().zip(before).filter_map(|(step, before)| {
        let same = before.is_some_and(|before| before.status == step.status);
        (!same || !step.runtime_calls.is_empty()).then_some(step)
    })
}

fn answer(pod: &PodSpec, step: &Step) -> Result<Value, BadCase> {
    let results = step.results.iter().map(|result| {
        json!({
            "action": result.action.as_str(),
            "target": result.target,
            "error": result.error.as_ref().map(|error| &error.reason),
            "message": result.error.as_ref().map(|error| &error.message),
        })
    });
    let mut events: Vec<String> = step
        .events
        .iter()
        .map(|event| format!("{} {} {}", event.kind, event.reason, event.message))
        .collect();
    sort_runs(&mut events, |event| event.starts_with("Normal Killing"));
    let mut status = serde_json::to_value(v1::PodStatus::from(&step.status))?;
    for condition in status["conditions"].as_array_mut().into_iter().flatten() {
        condition["lastTransitionTime"] = Value::Null;
    }
    let columns = step.columns(pod);
    Ok(json!({
        "atMs": u64::try_from(step.at.as_millis())?,
        "sync": match step.kind {
            SyncKind::Terminating => "terminating",
            SyncKind::Terminated => "terminated",
            _ => "pod",
        },
        "results": kills_sorted(results.collect()),
        "runtimeCalls": step.runtime_calls.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "events": events,
        "status": status,
        "kubectlReady": columns.ready.to_string(),
        "kubectlStatus": columns.status.to_string(),
        "kubectlRestarts": columns.restarts.to_string(),
    }))
}

/// `KillContainer` results stand in the order of goroutines: compared as a set.
fn kills_sorted(mut results: Value) -> Value {
    if let Some(results) = results.as_array_mut() {
        sort_runs(results, |result| result["action"] == "KillContainer");
    }
    results
}

/// Sorts each run of neighbours that belong together by their text.
fn sort_runs<T: ToString>(items: &mut [T], belongs: impl Fn(&T) -> bool) {
    for run in items.chunk_by_mut(|a, b| belongs(a) && belongs(b)) {
        run.sort_by_key(ToString::to_string);
    }
}

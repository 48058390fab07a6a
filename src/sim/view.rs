//! Timelines to be looked at.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use serde_json::{Value, json};

use super::timeline::{Step, Timeline};
use crate::explain::explain;
use crate::go_duration::GoDuration;
use crate::kubectl::Columns;
use crate::pod::PodSpec;
use crate::status::PodStatus;
use crate::worker::{SyncAction, SyncKind, SyncResult};

/// Whose copy of the status is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "there are two copies")]
pub enum View {
    /// The API server's, which users see: a pod keeps its old phase while containers may run.
    #[default]
    Api,
    /// The kubelet's own record.
    Kubelet,
}

impl View {
    /// The columns of a step in this view.
    pub fn columns(self, pod: &PodSpec, step: &Step) -> Columns {
        match self {
            Self::Api => step.api_columns(pod),
            Self::Kubelet => step.columns(pod),
        }
    }

    /// The status of a step in this view.
    pub fn status(self, step: &Step) -> &PodStatus {
        match self {
            Self::Api => &step.api_status,
            Self::Kubelet => &step.status,
        }
    }
}

/// One line of a timeline: the columns of `kubectl get pods`, or only something that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimelineRow {
    /// When, counted from the beginning; `None` in a line that goes on with the step before.
    pub at: Option<Duration>,
    /// The READY column.
    pub ready: String,
    /// The STATUS column.
    pub status: String,
    /// The RESTARTS column.
    pub restarts: String,
    /// What was done, and why; what could not be done, and why not.
    pub what: String,
}

/// The heading of a timeline's columns.
const HEADING: [&str; 5] = ["TIME", "READY", "STATUS", "RESTARTS", "WHAT IS DONE, AND WHY"];
const STATUS: usize = 2;
/// Between two columns.
const GAP: usize = 3;

impl Timeline {
    /// The timeline as lines, one or more a step.
    pub fn rows(&self, pod: &PodSpec, view: View) -> Vec<TimelineRow> {
        let mut rows = Vec::new();
        let mut before: Option<&PodStatus> = None;
        for step in &self.steps {
            let columns = view.columns(pod, step);
            let mut deeds = step.deeds(pod);
            if deeds.is_empty() {
                deeds.extend(changes(before, view.status(step)));
            }
            before = Some(view.status(step));
            let mut what = deeds.into_iter();
            rows.push(TimelineRow {
                at: Some(step.at),
                ready: columns.ready.to_string(),
                status: columns.status.to_string(),
                restarts: columns.restarts.to_string(),
                what: what.next().unwrap_or_default(),
            });
            rows.extend(what.map(|what| TimelineRow {
                at: None,
                ready: String::new(),
                status: String::new(),
                restarts: String::new(),
                what,
            }));
        }
        rows
    }

    /// The timeline as a table, in the manner of `kubectl get pods --watch`.
    pub fn table<'a>(&'a self, pod: &'a PodSpec, view: View) -> TimelineTable<'a> {
        TimelineTable { timeline: self, pod, view, style: None }
    }

    /// The timeline as JSON: one object a step.
    pub fn to_json(&self, pod: &PodSpec, view: View) -> Value {
        let steps = self.steps.iter().map(|step| {
            let columns = view.columns(pod, step);
            let results = step.results.iter().map(|result| {
                let mut json = json!({"action": result.action.as_str(), "target": result.target});
                if let Some(error) = &result.error {
                    json["error"] = error.reason.as_str().into();
                    json["message"] = error.message.as_str().into();
                }
                json
            });
            let causes = explain(pod, &step.actions);
            json!({
                "atMs": u64::try_from(step.at.as_millis()).unwrap_or(u64::MAX),
                "ready": columns.ready.to_string(),
                "status": columns.status.to_string(),
                "restarts": columns.restarts.to_string(),
                "phase": view.status(step).phase.as_str(),
                "causes": causes
                    .iter()
                    .map(|cause| {
                        json!({"action": cause.action, "cause": cause.cause, "rule": cause.rule})
                    })
                    .collect::<Vec<_>>(),
                "results": results.collect::<Vec<_>>(),
                "events": step
                    .events
                    .iter()
                    .map(|event| {
                        json!({
                            "type": event.kind.as_str(),
                            "reason": event.reason,
                            "message": event.message,
                            "fieldPath": event.field_path(pod).map(|path| path.to_string()),
                        })
                    })
                    .collect::<Vec<_>>(),
            })
        });
        json!({
            "pod": pod.identity().name,
            "steps": steps.collect::<Vec<_>>(),
            "end": self.end.to_string(),
        })
    }
}

impl Step {
    /// What was done in this sync and why, and what failed and why.
    fn deeds(&self, pod: &PodSpec) -> Vec<String> {
        match self.kind {
            SyncKind::Terminating => return Vec::from([self.termination(pod)]),
            SyncKind::Terminated => return Vec::from(["write the last status".into()]),
            SyncKind::Pod | SyncKind::Finished => {}
        }
        let mut deeds = Vec::new();
        for explanation in explain(pod, &self.actions) {
            let failed = explanation.container.and_then(|index| {
                let name = pod.container(index).name();
                let starts = |result: &&SyncResult| {
                    result.action == SyncAction::StartContainer && result.target == *name
                };
                let error = self.results.iter().find(starts)?.error.as_ref()?;
                Some(if error.message.starts_with(error.reason.as_str()) {
                    format!("{name} is not started: {}", error.message)
                } else {
                    format!("{name} is not started: {}: {}", error.reason, error.message)
                })
            });
            deeds.push(failed.unwrap_or_else(|| explanation.to_string()));
        }
        deeds
    }

    fn termination(&self, pod: &PodSpec) -> String {
        let cause = match self.deletion {
            Some(_) => "the pod is being deleted".into(),
            None if self.status.reason.is_empty() => format!("the pod is {}", self.status.phase),
            None => format!("{}: {}", self.status.reason, self.status.message),
        };
        let stopped: Vec<&str> = self
            .runtime_calls
            .iter()
            .filter(|call| call.name == "StopContainer")
            .filter_map(|call| call.container.as_deref())
            .filter(|name| pod.find(name).is_some())
            .collect();
        if stopped.is_empty() {
            format!("stop the sandbox: {cause}")
        } else {
            format!("stop {} and the sandbox: {cause}", stopped.join(", "))
        }
    }
}

/// What has become of the containers since the step before, in one line.
fn changes(before: Option<&PodStatus>, now: &PodStatus) -> Option<String> {
    let lists = [
        (before.map(|status| &status.init_container_statuses), &now.init_container_statuses),
        (before.map(|status| &status.container_statuses), &now.container_statuses),
    ];
    let mut changes = Vec::new();
    for (before, now) in lists {
        for status in now {
            let old = before.into_iter().flatten().find(|old| old.name == status.name);
            let ready = old.is_some_and(|old| old.ready);
            if old.is_some_and(|old| old.state == status.state && ready == status.ready) {
                continue;
            }
            let name = &status.name;
            if let Some(terminated) = &status.state.terminated {
                changes.push(format!("{name} has exited with {}", terminated.exit_code));
            } else if status.state.running.is_some() {
                let ready = match (ready, status.ready, status.started) {
                    (_, true, _) => " and ready",
                    (true, false, _) => " and no longer ready",
                    (_, _, Some(true)) => "",
                    _ => " and has not started up yet",
                };
                changes.push(format!("{name} is running{ready}"));
            } else if let Some(waiting) =
                status.state.waiting.as_ref().filter(|waiting| !waiting.reason.is_empty())
            {
                changes.push(format!("{name} waits: {}", waiting.reason));
            }
        }
    }
    (!changes.is_empty()).then(|| changes.join(", "))
}

/// A timeline that displays as a table, see [`Timeline::table`].
#[derive(Clone, Copy, Debug)]
pub struct TimelineTable<'a> {
    timeline: &'a Timeline,
    pod: &'a PodSpec,
    view: View,
    style: Option<Style>,
}

/// What is written before and after a word of the STATUS column, such as the codes of a colour.
pub type Style = fn(&str) -> (&'static str, &'static str);

impl TimelineTable<'_> {
    /// The same table with a style; `None`: without.
    #[must_use]
    pub fn styled(self, style: Option<Style>) -> Self {
        Self { style, ..self }
    }
}

impl fmt::Display for TimelineTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.timeline.rows(self.pod, self.view);
        let cells = rows.iter().map(|row| {
            let at = row.at.map(|at| GoDuration(at).to_string()).unwrap_or_default();
            [at, row.ready.clone(), row.status.clone(), row.restarts.clone(), row.what.clone()]
        });
        let lines: Vec<[String; 5]> =
            core::iter::once(HEADING.map(String::from)).chain(cells).collect();
        let mut widths = [0; 5];
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for (position, line) in lines.iter().enumerate() {
            let mut text = String::new();
            for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
                let styled = column == STATUS && position > 0 && !cell.is_empty();
                let (before, after) =
                    self.style.filter(|_| styled).map_or(("", ""), |style| style(cell));
                let padding = width + GAP - cell.chars().count();
                text.push_str(&format!("{before}{cell}{after}{:padding$}", ""));
            }
            writeln!(f, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

//! What a life looked like: a row of intervals for each container, and one for the pod.

use std::time::Duration;

use podinit::kubectl::columns;
use podinit::pod::ContainerKind;
use podinit::sim::node::Trace;
use podinit::status::{ContainerStatus, PodStatus};
use podinit::{PodSpec, Timestamp};

/// A status of the pod, and when it was seen.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// When, counted from the pod's arrival.
    pub at: Duration,
    /// The status.
    pub status: &'a PodStatus,
    /// When the pod was deleted, if it was.
    pub deletion: Option<Timestamp>,
    /// The same instant as `at`, on the clock of the status.
    pub now: Timestamp,
}

/// The statuses in a trace.
pub fn seen(trace: &Trace) -> Vec<Seen<'_>> {
    let mut deletion = None;
    let mut found = Vec::new();
    for entry in &trace.entries {
        let at = Duration::from_micros(u64::try_from(entry.t.as_micros()).unwrap_or_default());
        let now = Timestamp::UNIX_EPOCH + at;
        if entry.op == "deleted" {
            deletion = Some(now);
        }
        if let Some(status) = &entry.status {
            found.push(Seen { at, status: &status.known, deletion, now });
        }
    }
    found
}

/// What a container, or the pod, is doing; decides about the colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Waits for its turn, or for an image.
    Waiting,
    /// Waits because it has failed.
    BackOff,
    /// Runs, and is not ready.
    Running,
    /// Runs, and is ready.
    Ready,
    /// Has ended well.
    Succeeded,
    /// Has failed.
    Failed,
}

impl Class {
    /// Its name in style sheets and categories.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::BackOff => "back-off",
            Self::Running => "running",
            Self::Ready => "ready",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }

    /// Of a word of the STATUS column, or a phase.
    pub fn of_word(word: &str) -> Self {
        match word {
            "Completed" | "Succeeded" => Self::Succeeded,
            "Running" => Self::Ready,
            _ if word.contains("BackOff") => Self::BackOff,
            _ if ["Err", "Error", "OOMKilled", "Evicted", "Failed", "ExitCode"]
                .iter()
                .any(|bad| word.contains(bad)) =>
            {
                Self::Failed
            }
            _ => Self::Waiting,
        }
    }
}

/// An interval in which nothing changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// When it began.
    pub from: Duration,
    /// When it ended.
    pub to: Duration,
    /// What was going on.
    pub label: String,
    /// What that means.
    pub class: Class,
}

/// The intervals of a container.
#[derive(Clone, Debug)]
pub struct Row {
    /// The container's name.
    pub name: String,
    /// `init`, `sidecar` or `app`.
    pub kind: &'static str,
    /// Its intervals, in order, without gaps.
    pub slices: Vec<Slice>,
}

/// The columns of `kubectl get pod` at one time.
#[derive(Clone, Debug)]
pub struct At {
    /// When.
    pub at: Duration,
    /// READY, STATUS and RESTARTS.
    pub cells: [String; 3],
}

/// What a life looked like.
#[derive(Clone, Debug)]
pub struct Chart {
    /// The pod's name.
    pub pod: String,
    /// Where the picture ends.
    pub end: Duration,
    /// The STATUS of kubectl over time.
    pub status: Vec<Slice>,
    /// The phase over time.
    pub phase: Vec<Slice>,
    /// A row for each container, in the order of the spec.
    pub rows: Vec<Row>,
    /// The columns whenever one of them changed.
    pub columns: Vec<At>,
}

impl Chart {
    /// What the statuses show of a pod.
    pub fn new(pod: &PodSpec, seen: Vec<Seen<'_>>) -> Self {
        let last = seen.last().map_or(Duration::ZERO, |seen| seen.at);
        // What still holds at the end is drawn a little longer, so that it can be seen.
        let end = last + (last / 12).max(Duration::from_secs(1));
        let mut columns: Vec<At> = Vec::new();
        for seen in &seen {
            let found = columns_of(pod, seen);
            if columns.last().is_none_or(|last| last.cells != found.cells) {
                columns.push(found);
            }
        }
        let status =
            columns.iter().map(|at| (at.at, at.cells[1].clone(), Class::of_word(&at.cells[1])));
        let phase = seen.iter().map(|seen| {
            let phase = seen.status.phase.to_string();
            let class = Class::of_word(&phase);
            (seen.at, phase, class)
        });
        let row = |container: &podinit::pod::Container| {
            let states = seen.iter().filter_map(|seen| {
                let lists = [&seen.status.init_container_statuses, &seen.status.container_statuses];
                let found = lists.into_iter().flatten().find(|s| s.name == *container.name())?;
                let (label, class) = state(found);
                Some((seen.at, label, class))
            });
            Row {
                name: container.name().to_string(),
                kind: match container.kind() {
                    ContainerKind::Init => "init",
                    ContainerKind::RestartableInit => "sidecar",
                    _ => "app",
                },
                slices: slices(states, end),
            }
        };
        Self {
            pod: pod.identity().name.to_string(),
            end,
            status: slices(status, end),
            phase: slices(phase, end),
            rows: pod.containers().iter().map(row).collect(),
            columns,
        }
    }
}

fn columns_of(pod: &PodSpec, seen: &Seen<'_>) -> At {
    let columns = columns(pod, seen.status, seen.deletion, seen.now);
    let cells =
        [columns.ready.to_string(), columns.status.to_string(), columns.restarts.to_string()];
    At { at: seen.at, cells }
}

/// What a container is doing, in a word.
fn state(status: &ContainerStatus) -> (String, Class) {
    let state = &status.state;
    if let Some(ended) = &state.terminated {
        let class = if ended.exit_code == 0 { Class::Succeeded } else { Class::Failed };
        return (format!("{} ({})", ended.reason, ended.exit_code), class);
    }
    if state.running.is_some() {
        return if status.ready {
            ("ready".to_owned(), Class::Ready)
        } else {
            ("running".to_owned(), Class::Running)
        };
    }
    let reason = state.waiting.as_ref().map_or("", |waiting| waiting.reason.as_str());
    let reason = if reason.is_empty() { "waiting" } else { reason };
    (reason.to_owned(), Class::of_word(reason))
}

/// Joins what follows each other and is the same.
fn slices(states: impl Iterator<Item = (Duration, String, Class)>, end: Duration) -> Vec<Slice> {
    let mut slices: Vec<Slice> = Vec::new();
    for (at, label, class) in states {
        match slices.last_mut() {
            Some(last) if last.label == label && last.class == class => continue,
            Some(last) => last.to = at,
            None => {}
        }
        slices.push(Slice { from: at, to: end, label, class });
    }
    // What was over in the same instant is not to be seen.
    slices.retain(|slice| slice.from < slice.to);
    slices
}

//! What happened in a life, in the oracle's format.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::status::{ConditionStatus, ContainerState, ContainerStatus, PodStatus};
use k8s_openapi::api::core::v1;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::moment::Moment;

/// What a life came to.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Trace {
    /// The name that the pod was given.
    pub pod_name: String,
    /// Its UID.
    pub uid: String,
    /// What happened, in its order.
    #[serde(rename = "trace")]
    pub entries: Vec<Entry>,
}

/// What kind of thing happened.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize,
)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Kind {
    /// A call of the runtime that changes something, at its beginning; that it failed, at its end.
    #[default]
    Call,
    /// The pod's status in the API.
    Status,
    /// An event.
    Event,
    /// A probe or a hook over the network.
    Probe,
    /// Something that the kubelet did not do.
    World,
    /// A request to the API.
    Api,
    /// What the pod worker asked of its work queue.
    Queue,
    /// A write to a cgroup of the pod.
    Cgroup,
}

/// One thing that happened. What a field means depends on the kind; those that say nothing are
/// empty.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Entry {
    /// When.
    pub t: Moment,
    /// What kind of thing.
    pub kind: Kind,
    /// What it was: the call's name, or another word.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub op: String,
    /// Which container it is about.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub container: String,
    /// Which attempt of the container or the sandbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The grace that a stop gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_period_seconds: Option<i64>,
    /// The code with which a container or a command ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Of an event: its type.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub event_type: String,
    /// Of an event or an end: why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// An image, a command, an event's words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Of an event: the part of the pod.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field_path: String,
    /// Of a second entry about a call: `failed` or `done`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub outcome: String,
    /// What the runtime said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// Of the work queue: for how long it was asked to wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<Moment>,
    /// Which kubelet did it, where it was not the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubelet: Option<u32>,
    /// The status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Box<Status>>,
}

impl Entry {
    /// The delay that the work queue was asked for.
    pub fn after(&self) -> Option<Duration> {
        self.after_ms.map(|after| after.since(Moment::ARRIVAL))
    }

    /// Not only for the comparison with the kubelet.
    fn is_shown(&self) -> bool {
        !matches!(self.kind, Kind::Queue | Kind::Cgroup)
    }

    /// A second entry about a call.
    pub fn is_outcome(&self) -> bool {
        !self.outcome.is_empty()
    }
}

/// A status: what podinit has of it, and for the oracle's all that the API has.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Status {
    /// What podinit computes.
    pub known: PodStatus,
    /// The whole, as the API has it.
    pub whole: Value,
}

impl From<PodStatus> for Status {
    fn from(known: PodStatus) -> Self {
        let whole = serde_json::to_value(v1::PodStatus::from(&known)).unwrap_or_default();
        Self { known, whole }
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.whole.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let whole = Value::deserialize(deserializer)?;
        let status: v1::PodStatus =
            serde_json::from_value(whole.clone()).map_err(D::Error::custom)?;
        let known = PodStatus::try_from(&status).map_err(D::Error::custom)?;
        Ok(Self { known, whole })
    }
}

/// The moment and the words of each entry, a line each: what is for the comparison with the kubelet
/// alone is left out.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.entries.iter().filter(|entry| entry.is_shown());
        shown.into_iter().try_for_each(|entry| writeln!(f, "{:>10} {entry}", entry.t))
    }
}

/// An entry in a line, without its moment: a call or a probe as it is, a status behind `=`, an event
/// behind `*`, and what others than the kubelet did behind `~`.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |text: Option<String>| text.unwrap_or_default();
        let attempt = number(self.attempt.map(|attempt| format!("#{attempt}")));
        let exit_code = number(self.exit_code.map(|code| format!("-> {code}")));
        let grace = number(self.grace_period_seconds.map(|grace| format!("grace {grace}s")));
        let words: &[&str] = match self.kind {
            Kind::Call | Kind::Probe => &[
                &self.op,
                &self.container,
                &attempt,
                &grace,
                &self.message,
                &exit_code,
                &self.outcome,
                &self.error,
            ],
            Kind::Status => {
                f.write_str("  = ")?;
                return self.status.iter().try_for_each(|status| summary(f, &status.known));
            }
            Kind::Event => &["  *", &self.reason, &self.field_path, &self.message],
            Kind::World | Kind::Api => {
                &["  ~", &self.op, &self.container, &attempt, &grace, &exit_code, &self.reason]
            }
            Kind::Queue | Kind::Cgroup => &[],
        };
        let words: Vec<&str> = words.iter().copied().filter(|word| !word.is_empty()).collect();
        f.write_str(&words.join(" "))
    }
}

/// A status in a line: phase, the conditions that hold by their capitals, each container with its
/// state, `+` if it is ready, and how often it was restarted.
fn summary(f: &mut fmt::Formatter<'_>, status: &PodStatus) -> fmt::Result {
    write!(f, "{}", status.phase)?;
    if !status.reason.is_empty() {
        write!(f, "/{}", status.reason)?;
    }
    let holds: Vec<String> = status
        .conditions
        .iter()
        .filter(|condition| condition.status == ConditionStatus::True)
        .map(|condition| {
            condition.condition_type.chars().filter(char::is_ascii_uppercase).collect()
        })
        .collect();
    write!(f, " [{}]", holds.join(" "))?;
    let lists = [
        &status.init_container_statuses,
        &status.container_statuses,
        &status.ephemeral_container_statuses,
    ];
    lists.into_iter().flatten().try_for_each(|status| container(f, status))
}

fn container(f: &mut fmt::Formatter<'_>, status: &ContainerStatus) -> fmt::Result {
    write!(f, " {}:", status.name)?;
    match &status.state {
        ContainerState { terminated: Some(ended), .. } => {
            write!(f, "{}({})", ended.reason, ended.exit_code)?;
        }
        ContainerState { running: Some(_), .. } if status.started == Some(true) => {
            f.write_str("started")?;
        }
        ContainerState { running: Some(_), .. } => f.write_str("running")?,
        ContainerState { waiting: Some(waiting), .. } => f.write_str(&waiting.reason)?,
        _ => f.write_str("-")?,
    }
    if status.ready {
        f.write_str("+")?;
    }
    match status.restart_count {
        0 => Ok(()),
        count => write!(f, "x{count}"),
    }
}

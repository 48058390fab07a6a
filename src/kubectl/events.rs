//! Tables of events.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};

use super::duration::HumanDuration;
use super::table::{Layout, push_escaped};
use crate::event::{EventRecord, FieldPath};
use crate::pod::{ContainerIndex, PodIdentity};
use crate::time::Timestamp;
use crate::version::{Change, KubernetesVersion};

/// The table that `kubectl events --for pod/NAME` prints: last seen, type, reason, object, message.
///
/// Times are those of `now`; what was seen last stands last.
///
/// ```
/// # use k8s_openapi::api::core::v1;
/// use podinit::{Timestamp, kubectl};
/// use podinit::event::{Event, EventLog};
/// use podinit::pod::PodIdentity;
///
/// let pod = PodIdentity { name: "web".into(), namespace: "default".into(), uid: "1".into() };
/// let mut log = EventLog::default();
/// log.record(Event::normal("Pulled", "Successfully pulled image"), Timestamp::from_secs(1));
/// let table = kubectl::events(&pod, log.records(), Timestamp::from_secs(6));
/// assert_eq!(table, "\
/// LAST SEEN   TYPE     REASON   OBJECT    MESSAGE
/// 5s          Normal   Pulled   Pod/web   Successfully pulled image
/// ");
/// ```
pub fn events(pod: &PodIdentity, records: &[EventRecord], now: Timestamp) -> String {
    let mut told: Vec<_> = records.iter().map(Told::recorded).collect();
    told.iter_mut().for_each(|told| (told.kind, told.name) = ("Pod", &pod.name));
    events_table(told, now)
}

/// The table that `kubectl events` prints of events of the API.
///
/// What was seen last stands last; events that were seen at the same time stay in order.
pub fn events_of(events: &[v1::Event], now: Timestamp) -> String {
    events_table(events.iter().map(Told::of).collect(), now)
}

fn events_table(mut events: Vec<Told<'_>>, now: Timestamp) -> String {
    events.sort_by_key(|told| told.sorted_by());
    let mut text = String::from("LAST SEEN\tTYPE\tREASON\tOBJECT\tMESSAGE\n");
    for told in &events {
        let Told { event_type, reason, kind, name, .. } = told;
        let (age, message) = (told.age(now), told.message.trim());
        let line = alloc::format!("{age}\t{event_type}\t{reason}\t{kind}/{name}\t{message}\n");
        push_escaped(&mut text, &line);
    }
    Layout::TABLE.align(&text)
}

/// The table that `kubectl get events` prints, in the order of `events` (`printEvent` of the
/// apiserver).
///
/// ```
/// use podinit::{Timestamp, kubectl};
///
/// let event = serde_json::from_value(serde_json::json!({
///     "metadata": {}, "involvedObject": {"kind": "Pod", "name": "web"},
///     "type": "Normal", "reason": "Pulled", "message": "there already",
///     "lastTimestamp": "1970-01-01T00:00:01Z",
/// }))?;
/// assert_eq!(kubectl::get_events(&[event], Timestamp::from_secs(6)), "\
/// LAST SEEN   TYPE     REASON   OBJECT    MESSAGE
/// 5s          Normal   Pulled   pod/web   there already
/// ");
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn get_events(events: &[v1::Event], now: Timestamp) -> String {
    // kubectl says on standard error that there are none.
    if events.is_empty() {
        return String::new();
    }
    let mut text = String::from("LAST SEEN\tTYPE\tREASON\tOBJECT\tMESSAGE\n");
    for told in events.iter().map(Told::of) {
        let first = told.first.or(told.event_time);
        let seen = since_timestamp(told.series.map_or(told.last.or(first), |(at, _)| at), now);
        let mut object = told.kind.to_lowercase();
        if !told.name.is_empty() {
            object = alloc::format!("{object}/{}", told.name);
        }
        let Told { event_type, reason, message, .. } = told;
        // A cell of a table ends at its first line (`printRows`).
        let cells = [&seen, event_type, reason, &object, message.trim()];
        let cells = cells.map(first_line);
        push_escaped(&mut text, &cells.join("\t"));
        text.push('\n');
    }
    Layout::TABLE.align(&text)
}

/// What a cell of a table shows of a text: more lines are three dots.
pub(super) fn first_line(text: &str) -> String {
    match text.find(['\u{c}', '\n', '\r']) {
        Some(end) => alloc::format!("{}...", &text[..end]),
        None => text.into(),
    }
}

/// An event, whoever has it.
#[derive(Clone, Debug, Default)]
pub(super) struct Told<'a> {
    event_type: &'a str,
    reason: &'a str,
    message: &'a str,
    kind: &'a str,
    name: &'a str,
    /// The field of the object that it is about.
    path: String,
    source: &'a str,
    event_time: Option<Timestamp>,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    count: i64,
    /// When the last of a series was observed, and how many there were.
    series: Option<(Option<Timestamp>, i64)>,
}

impl<'a> Told<'a> {
    fn recorded(record: &'a EventRecord) -> Self {
        Self {
            event_type: record.event.kind.as_str(),
            reason: &record.event.reason,
            message: &record.event.message,
            source: "kubelet",
            first: Some(record.first_timestamp),
            last: Some(record.last_timestamp),
            count: record.count.into(),
            ..Self::default()
        }
    }

    pub(super) fn of(event: &'a v1::Event) -> Self {
        fn text(text: Option<&String>) -> &str {
            text.map_or("", String::as_str)
        }
        let of = &event.involved_object;
        let source = event.source.as_ref().map_or("", |source| text(source.component.as_ref()));
        let micro = |time: &Option<MicroTime>| time.as_ref().map(|time| Timestamp::clamped(time.0));
        Self {
            event_type: text(event.type_.as_ref()),
            reason: text(event.reason.as_ref()),
            message: text(event.message.as_ref()),
            kind: text(of.kind.as_ref()),
            name: text(of.name.as_ref()),
            path: text(of.field_path.as_ref()).into(),
            source: if source.is_empty() {
                text(event.reporting_component.as_ref())
            } else {
                source
            },
            event_time: micro(&event.event_time),
            first: event.first_timestamp.as_ref().map(|time| Timestamp::clamped(time.0)),
            last: event.last_timestamp.as_ref().map(|time| Timestamp::clamped(time.0)),
            count: event.count.unwrap_or_default().into(),
            series: event.series.as_ref().map(|series| {
                let count = series.count.unwrap_or_default().into();
                (micro(&series.last_observed_time), count)
            }),
        }
    }

    /// What `kubectl events` sorts by.
    fn sorted_by(&self) -> Option<Timestamp> {
        match self.series {
            Some((at, _)) => at,
            None => self.last.or(self.event_time),
        }
    }

    /// `5s`, or `10s (x4 over 2m)` for an event that came more than once.
    fn age(&self, now: Timestamp) -> String {
        let first = since_timestamp(self.event_time.or(self.first), now);
        match self.series {
            Some((at, count)) => {
                alloc::format!("{} (x{count} over {first})", since_timestamp(at, now))
            }
            None if self.count > 1 => {
                let last = since_timestamp(self.last, now);
                alloc::format!("{last} (x{} over {first})", self.count)
            }
            None => first,
        }
    }
}

/// How long ago a time of the API was (`translateTimestampSince`).
pub(super) fn since(time: Option<&Time>, now: Timestamp) -> String {
    since_timestamp(time.map(|time| Timestamp::clamped(time.0)), now)
}

fn since_timestamp(time: Option<Timestamp>, now: Timestamp) -> String {
    match time {
        Some(then) => HumanDuration::between(then, now).to_string(),
        None => "<unknown>".into(),
    }
}

/// What the kubelet has recorded of a pod, with the fields that it is about.
pub(super) fn told_of<'a>(spec: &v1::PodSpec, records: &'a [EventRecord]) -> Vec<Told<'a>> {
    let told = |record: &'a EventRecord| {
        let path = record.event.container.and_then(|container| path_in(spec, container));
        let path = path.map(|path| path.to_string()).unwrap_or_default();
        Told { path, ..Told::recorded(record) }
    };
    records.iter().map(told).collect()
}

/// The last section of `kubectl describe` (`DescribeEvents`).
pub(super) fn describe_events(
    text: &mut String,
    events: &[Told<'_>],
    version: KubernetesVersion,
    now: Timestamp,
) {
    if events.is_empty() {
        text.push_str("Events:\t<none>\n");
        return;
    }
    let mut events: Vec<_> = events.iter().collect();
    events.sort_by_key(|told| told.last);
    let names_field = version.feature_gates().has(Change::DescribeTellsFieldOfEvents);
    text.push_str("Events:\n  Type\tReason\tAge\tFrom\tMessage\n");
    text.push_str("  ----\t------\t----\t----\t-------\n");
    for told in events {
        let Told { event_type, reason, source, path, .. } = told;
        let (age, message) = (told.age(now), told.message.trim());
        let message = match path.as_str() {
            path if names_field && !path.is_empty() => alloc::format!("{path}: {message}"),
            _ => message.to_owned(),
        };
        let line = alloc::format!("  {event_type}\t{reason}\t{age}\t{source}\t{message}\n");
        push_escaped(text, &line);
    }
}

/// The path of a container in a pod of the API.
fn path_in(spec: &v1::PodSpec, container: ContainerIndex) -> Option<FieldPath<'_>> {
    let init = spec.init_containers.as_deref().unwrap_or_default();
    let ephemeral = spec.ephemeral_containers.as_deref().unwrap_or_default();
    let init = init.iter().map(|container| ("initContainers", &container.name));
    let apps = spec.containers.iter().map(|container| ("containers", &container.name));
    let ephemeral = ephemeral.iter().map(|container| ("ephemeralContainers", &container.name));
    let (list, name) = init.chain(apps).chain(ephemeral).nth(container.slot())?;
    Some(FieldPath { list, name })
}

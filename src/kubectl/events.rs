//! Tables of events.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use k8s_openapi::api::core::v1;

use super::duration::HumanDuration;
use super::table::{Layout, push_escaped};
use crate::event::{EventRecord, FieldPath};
use crate::pod::{ContainerIndex, PodIdentity};
use crate::time::Timestamp;

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
    let mut text = String::from("LAST SEEN\tTYPE\tREASON\tOBJECT\tMESSAGE\n");
    for record in by_last_seen(records) {
        let line = alloc::format!(
            "{}\t{}\t{}\tPod/{}\t{}\n",
            Age { record, now },
            record.event.kind,
            record.event.reason,
            pod.name,
            record.event.message.trim(),
        );
        push_escaped(&mut text, &line);
    }
    Layout::TABLE.align(&text)
}

/// Sorted by the time at which they were seen last; equal times stay in order.
pub(super) fn by_last_seen(records: &[EventRecord]) -> Vec<&EventRecord> {
    let mut sorted: Vec<_> = records.iter().collect();
    sorted.sort_by_key(|record| record.last_timestamp);
    sorted
}

/// `5s`, or `10s (x4 over 2m)` for an event that came more than once.
pub(super) struct Age<'a> {
    pub(super) record: &'a EventRecord,
    pub(super) now: Timestamp,
}

impl fmt::Display for Age<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EventRecord { first_timestamp, last_timestamp, count, .. } = *self.record;
        let first = HumanDuration::between(first_timestamp, self.now);
        if count > 1 {
            let last = HumanDuration::between(last_timestamp, self.now);
            write!(f, "{last} (x{count} over {first})")
        } else {
            first.fmt(f)
        }
    }
}

/// The last section of `kubectl describe` (`DescribeEvents`).
///
/// A message about a container says in front which one.
pub(super) fn describe_events(
    text: &mut String,
    spec: &v1::PodSpec,
    records: &[EventRecord],
    now: Timestamp,
) {
    if records.is_empty() {
        text.push_str("Events:\t<none>\n");
        return;
    }
    text.push_str("Events:\n  Type\tReason\tAge\tFrom\tMessage\n");
    text.push_str("  ----\t------\t----\t----\t-------\n");
    for record in by_last_seen(records) {
        let path = record.event.container.and_then(|container| path_in(spec, container));
        let message = record.event.message.trim();
        let message = match path {
            Some(path) => alloc::format!("{path}: {message}"),
            None => message.to_owned(),
        };
        let line = alloc::format!(
            "  {}\t{}\t{}\tkubelet\t{message}\n",
            record.event.kind,
            record.event.reason,
            Age { record, now },
        );
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

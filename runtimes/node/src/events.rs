//! Events of pods, as core/v1 `Event`s. Equal ones are counted.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use podinit::event::Event;
use podinit::{PodSpec, Timestamp};
use serde_json::json;
use tokio::sync::mpsc;

/// How many events wait for each writer before more are dropped, as in client-go.
const WAITING: usize = 1000;
/// How many writers there are. The events of one pod go to one of them, in their order.
const WRITERS: usize = 8;
/// How long it is not told again that some are dropped.
const QUIET: Duration = Duration::from_secs(30);
/// How many different events a writer remembers, to count them.
const REMEMBERED: usize = 4096;

/// Writes events, in the background.
#[derive(Debug)]
pub(crate) struct Recorder {
    writers: Vec<mpsc::Sender<v1::Event>>,
    /// When it was last told that some were dropped.
    drop_told: Mutex<Option<Instant>>,
}

impl Recorder {
    /// Begins to write events; ends when it is dropped.
    pub(crate) fn new(client: &Client) -> Self {
        let writers = (0..WRITERS).map(|_| {
            let (sender, receiver) = mpsc::channel(WAITING);
            tokio::spawn(write(client.clone(), receiver));
            sender
        });
        Self { writers: writers.collect(), drop_told: Mutex::new(None) }
    }

    /// Tells an event of a pod on a node.
    pub(crate) fn tell(
        &self,
        pod: &PodSpec,
        version: Option<&String>,
        node: &str,
        event: &Event,
        at: Timestamp,
    ) {
        let identity = pod.identity();
        let time = Time::from(at.truncate_to_second());
        let reference = v1::ObjectReference {
            api_version: Some("v1".into()),
            kind: Some("Pod".into()),
            name: Some(identity.name.to_string()),
            namespace: Some(identity.namespace.to_string()),
            uid: Some(identity.uid.to_string()),
            resource_version: version.cloned(),
            field_path: event.field_path(pod).map(|path| path.to_string()),
        };
        let event = v1::Event {
            metadata: ObjectMeta {
                namespace: reference.namespace.clone(),
                ..ObjectMeta::default()
            },
            involved_object: reference,
            type_: Some(event.kind.as_str().into()),
            reason: Some(event.reason.to_string()),
            message: Some(event.message.to_string()),
            first_timestamp: Some(time.clone()),
            last_timestamp: Some(time),
            count: Some(1),
            source: Some(v1::EventSource {
                component: Some("kubelet".into()),
                host: Some(node.into()),
            }),
            reporting_component: Some("kubelet".into()),
            reporting_instance: Some(node.into()),
            ..v1::Event::default()
        };
        let mut hasher = DefaultHasher::new();
        identity.uid.hash(&mut hasher);
        let writer = usize::try_from(hasher.finish() % WRITERS as u64).unwrap_or(0);
        let dropped = self.writers.get(writer).is_none_or(|writer| writer.try_send(event).is_err());
        if dropped {
            self.tell_drop();
        }
    }

    /// Told once for many.
    fn tell_drop(&self) {
        let Ok(mut told) = self.drop_told.lock() else { return };
        if told.is_none_or(|at| at.elapsed() > QUIET) {
            *told = Some(Instant::now());
            tracing::warn!("too many events wait to be written; some are dropped");
        }
    }
}

/// What makes events equal.
type Key = (Option<String>, Option<String>, Option<String>, Option<String>);

fn key(event: &v1::Event) -> Key {
    let object = &event.involved_object;
    (object.uid.clone(), event.reason.clone(), event.message.clone(), object.field_path.clone())
}

/// Equal events of those that wait are one, with their sum as count.
fn merged(events: Vec<v1::Event>) -> Vec<v1::Event> {
    let mut merged: Vec<v1::Event> = Vec::new();
    let mut places: HashMap<Key, usize> = HashMap::new();
    for event in events {
        match places.get(&key(&event)).and_then(|place| merged.get_mut(*place)) {
            Some(first) => {
                let count = first.count.unwrap_or(1).saturating_add(event.count.unwrap_or(1));
                first.count = Some(count);
                first.last_timestamp = event.last_timestamp;
            }
            None => {
                places.insert(key(&event), merged.len());
                merged.push(event);
            }
        }
    }
    merged
}

async fn write(client: Client, mut queue: mpsc::Receiver<v1::Event>) {
    let mut writer = Writer { client, known: HashMap::new(), number: 0 };
    let mut waiting = Vec::new();
    while queue.recv_many(&mut waiting, WAITING).await > 0 {
        for event in merged(std::mem::take(&mut waiting)) {
            writer.write(event).await;
        }
    }
}

struct Writer {
    client: Client,
    /// The names and counts of what was written.
    known: HashMap<Key, (String, i32)>,
    number: u32,
}

impl Writer {
    async fn write(&mut self, mut event: v1::Event) {
        let namespace = event.metadata.namespace.clone().unwrap_or_default();
        let events: Api<v1::Event> = Api::namespaced(self.client.clone(), &namespace);
        let key = key(&event);
        if let Some((name, count)) = self.known.get_mut(&key) {
            *count = count.saturating_add(event.count.unwrap_or(1));
            let counted = json!({"count": *count, "lastTimestamp": event.last_timestamp});
            match events.patch(name, &PatchParams::default(), &Patch::Merge(&counted)).await {
                Ok(_) => return,
                // It has expired.
                Err(kube::Error::Api(status)) if status.code == 404 => event.count = Some(*count),
                Err(error) => return tracing::warn!(%error, "an event could not be counted"),
            }
        }
        self.number = self.number.wrapping_add(1);
        let time = event.last_timestamp.as_ref().and_then(|time| Timestamp::try_from(time).ok());
        let nanos = time.map_or(0, Timestamp::as_nanos);
        let object = event.involved_object.name.clone().unwrap_or_default();
        let name = format!("{object}.{nanos:x}{:x}{:04x}", std::process::id(), self.number);
        event.metadata.name = Some(name.clone());
        if let Err(error) = events.create(&PostParams::default(), &event).await {
            // The namespace may be on its way out.
            return tracing::debug!(%error, "an event was not taken");
        }
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        self.known.insert(key, (name, event.count.unwrap_or(1)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_events_that_wait_are_counted() {
        let event = |reason: &str, second: i64| v1::Event {
            reason: Some(reason.to_owned()),
            count: Some(1),
            last_timestamp: Some(Time::from(Timestamp::from_secs(second))),
            ..v1::Event::default()
        };
        let events = merged(vec![event("a", 1), event("b", 2), event("a", 3)]);
        let told: Vec<_> =
            events.iter().map(|event| (event.reason.as_deref(), event.count)).collect();
        assert_eq!(told, [(Some("a"), Some(2)), (Some("b"), Some(1))]);
        assert_eq!(events[0].last_timestamp, event("a", 3).last_timestamp);
    }
}

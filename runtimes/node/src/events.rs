//! Events of pods, as core/v1 `Event`s. Equal ones are counted.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

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
/// How many different events a writer remembers, to count them.
const REMEMBERED: usize = 4096;

/// Writes events, in the background.
#[derive(Debug)]
pub(crate) struct Recorder {
    writers: Vec<mpsc::Sender<v1::Event>>,
}

impl Recorder {
    /// Begins to write events; ends when it is dropped.
    pub(crate) fn new(client: &Client) -> Self {
        let writers = (0..WRITERS).map(|_| {
            let (sender, receiver) = mpsc::channel(WAITING);
            tokio::spawn(write(client.clone(), receiver));
            sender
        });
        Self { writers: writers.collect() }
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
        if self.writers.get(writer).is_none_or(|writer| writer.try_send(event).is_err()) {
            tracing::warn!(pod = %identity, "too many events wait; one is dropped");
        }
    }
}

/// What makes events equal.
type Key = (Option<String>, Option<String>, Option<String>, Option<String>);

async fn write(client: Client, mut queue: mpsc::Receiver<v1::Event>) {
    let mut known: HashMap<Key, (String, i32)> = HashMap::new();
    let mut number = 0_u32;
    while let Some(mut event) = queue.recv().await {
        let namespace = event.metadata.namespace.clone().unwrap_or_default();
        let events: Api<v1::Event> = Api::namespaced(client.clone(), &namespace);
        let object = &event.involved_object;
        let key = (
            object.uid.clone(),
            event.reason.clone(),
            event.message.clone(),
            object.field_path.clone(),
        );
        if let Some((name, count)) = known.get_mut(&key) {
            *count = count.saturating_add(1);
            let counted = json!({"count": *count, "lastTimestamp": event.last_timestamp});
            match events.patch(name, &PatchParams::default(), &Patch::Merge(&counted)).await {
                Ok(_) => continue,
                // It has expired.
                Err(kube::Error::Api(status)) if status.code == 404 => event.count = Some(*count),
                Err(error) => {
                    tracing::warn!(%error, "an event could not be counted");
                    continue;
                }
            }
        }
        number = number.wrapping_add(1);
        let time = event.last_timestamp.as_ref().and_then(|time| Timestamp::try_from(time).ok());
        let nanos = time.map_or(0, Timestamp::as_nanos);
        let object = object.name.clone().unwrap_or_default();
        let name = format!("{object}.{nanos:x}{:x}{number:04x}", std::process::id());
        event.metadata.name = Some(name.clone());
        if let Err(error) = events.create(&PostParams::default(), &event).await {
            // The namespace may be on its way out.
            tracing::debug!(%error, "an event was not taken");
            continue;
        }
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(key, (name, event.count.unwrap_or(1)));
    }
}

//! What is written into the API of one pod.

use std::time::Duration;

use k8s_openapi::api::core::v1;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client};
use serde_json::{Value, json};

/// Whose fields they are.
const MANAGER: &str = "kubelet";
/// How long it takes before something is written again that failed.
const RETRY: Duration = Duration::from_secs(1);

/// Something to be written.
#[derive(Debug)]
pub(crate) enum Write {
    Status(Value),
    /// The pod is over and its object can go.
    Delete,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Done,
    /// The object is gone, or another one has its name.
    Gone,
    /// It is to be tried again, some time has passed.
    Failed,
}

pub(crate) async fn write(pods: &Api<v1::Pod>, name: &str, uid: &str, what: Write) -> Written {
    let result = match what {
        Write::Status(status) => {
            let body = json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "uid": uid}, "status": status,
            });
            let params = PatchParams::apply(MANAGER).force();
            pods.patch_status(name, &params, &Patch::Apply(&body)).await.map(drop)
        }
        Write::Delete => pods.delete(name, &with_uid(uid, Some(0))).await.map(drop),
    };
    match result {
        Ok(()) => Written::Done,
        Err(kube::Error::Api(status)) if is_gone(&status) => Written::Gone,
        Err(error) => {
            tracing::warn!(pod = name, uid, %error, "not written; trying again");
            tokio::time::sleep(RETRY).await;
            Written::Failed
        }
    }
}

/// There is no such object any more, or another one has its name; not a conflict with another writer.
fn is_gone(status: &kube::core::Status) -> bool {
    status.code == 404 || (status.code == 409 && status.message.contains("UID"))
}

fn with_uid(uid: &str, grace_period_seconds: Option<i64>) -> DeleteParams {
    DeleteParams {
        grace_period_seconds: grace_period_seconds.and_then(|seconds| u32::try_from(seconds).ok()),
        preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
        ..DeleteParams::default()
    }
}

/// Deletes a pod as its scenario wants it from a user.
pub(crate) async fn delete_as_user(
    client: Client,
    namespace: String,
    name: String,
    uid: String,
    grace_period_seconds: Option<i64>,
) {
    let pods: Api<v1::Pod> = Api::namespaced(client, &namespace);
    if let Err(error) = pods.delete(&name, &with_uid(&uid, grace_period_seconds)).await {
        tracing::warn!(namespace, name, %error, "the pod is not deleted");
    }
}

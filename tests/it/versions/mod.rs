//! What changed from one version of Kubernetes to the next.

mod gates;
mod init_scan;
mod statuses;
mod timing;
mod words;

use podinit::KubernetesVersion::{self, *};
use podinit::{ContainerInstance, Feature, FeatureGates};
use serde_json::{Value, json};

use crate::support::{decide, web};

/// The versions whose code was read; 1.37 was not.
const READ: [KubernetesVersion; 9] =
    [V1_28, V1_29, V1_30, V1_31, V1_32, V1_33, V1_34, V1_35, V1_36];

/// The default gates of a version, and some set.
fn gates_with(version: KubernetesVersion, set: &[(Feature, bool)]) -> FeatureGates {
    let mut gates = version.feature_gates();
    for (feature, value) in set {
        gates.set(*feature, *value).unwrap();
    }
    gates
}

/// Two regular init containers and an app.
fn two_and_app(policy: &str) -> Value {
    json!({
        "restartPolicy": policy,
        "initContainers": [{"name": "i1", "image": "i:1"}, {"name": "i2", "image": "i:1"}],
        "containers": [{"name": "a", "image": "a:1"}],
    })
}

/// A restartable init container, a regular one after it, and an app.
fn sidecar_and_app(policy: &str) -> Value {
    json!({
        "restartPolicy": policy,
        "initContainers": [
            {"name": "s", "image": "s:1", "restartPolicy": "Always"},
            {"name": "i2", "image": "i:1"},
        ],
        "containers": [{"name": "a", "image": "a:1"}],
    })
}

/// The versions of those given that decide exactly this.
fn decide_so(
    versions: &[KubernetesVersion],
    spec: &Value,
    instances: &[(&str, ContainerInstance)],
    expected: &[&str],
) -> Vec<KubernetesVersion> {
    let so = |version: &&KubernetesVersion| {
        decide(&web(version.feature_gates(), spec), instances) == expected
    };
    versions.iter().filter(so).copied().collect()
}

//! What changed from one version of Kubernetes to the next.

mod gates;
mod init_scan;
mod page;
mod statuses;
mod timing;
mod words;

use podinit::observation::ContainerInstance;
use podinit::{Feature, FeatureGates, KubernetesVersion};
use serde_json::{Value, json};

use crate::support::{decide, web};

/// Every version.
const ALL: [KubernetesVersion; 10] = KubernetesVersion::ALL;

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

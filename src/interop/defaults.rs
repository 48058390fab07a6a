//! The defaults of the API: what the apiserver fills in before it looks at a pod.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use crate::resources::{Quantity, Scale, default_requests};
use crate::version::FeatureGates;

type ResourceList = BTreeMap<String, ApiQuantity>;

/// `DefaultTerminationGracePeriodSeconds`.
pub(crate) const TERMINATION_GRACE_PERIOD_SECONDS: i64 = 30;

/// Fills in what a pod leaves out, as the apiserver does: policies, probe numbers, the grace
/// period, and requests from limits.
///
/// Fields that decide nothing in a pod's lifecycle (volumes, security, DNS, scheduling) stay as
/// they are. What is set stays as it is, but quantities finer than a thousandth, which are rounded
/// up. Applying it twice changes nothing more.
///
/// Source: `SetObjectDefaults_Pod` (`pkg/apis/core/v1/defaults.go`). It is for pods only: in a
/// template the apiserver leaves requests unset.
///
/// ```
/// use k8s_openapi::api::core::v1;
/// use podinit::{FeatureGates, interop::defaults};
///
/// let mut pod: v1::Pod = serde_json::from_str(
///     r#"{"spec": {"containers": [
///         {"name": "a", "image": "app", "resources": {"limits": {"cpu": "1"}}}
///     ]}}"#,
/// )?;
/// defaults::apply(&mut pod, FeatureGates::default());
/// let spec = pod.spec.unwrap();
/// assert_eq!(spec.restart_policy.as_deref(), Some("Always"));
/// assert_eq!(spec.containers[0].image_pull_policy.as_deref(), Some("Always"));
/// let requests = spec.containers[0].resources.as_ref().unwrap().requests.as_ref().unwrap();
/// assert_eq!(requests["cpu"].0, "1");
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn apply(pod: &mut v1::Pod, gates: FeatureGates) {
    if let Some(spec) = &mut pod.spec {
        apply_to_spec(spec, gates);
    }
}

fn apply_to_spec(spec: &mut v1::PodSpec, gates: FeatureGates) {
    text(&mut spec.restart_policy, "Always");
    spec.termination_grace_period_seconds.get_or_insert(TERMINATION_GRACE_PERIOD_SECONDS);
    let host_network = spec.host_network == Some(true);
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        apply_to_container(container);
        if host_network {
            host_ports_from_ports(container);
        }
    }
    for container in spec.ephemeral_containers.iter_mut().flatten() {
        let image = container.image.as_deref().unwrap_or_default();
        text(&mut container.image_pull_policy, image_pull_policy(image));
        text(&mut container.termination_message_policy, "File");
    }
    if let Some(overhead) = &mut spec.overhead {
        round_up(overhead);
    }
    if let Some(resources) = &mut spec.resources {
        resources.limits.iter_mut().for_each(round_up);
        resources.requests.iter_mut().for_each(round_up);
    }
    // What is no quantity leaves the pod's own requests as they are, and is told by validation.
    let _ = default_requests(spec, gates);
}

fn apply_to_container(container: &mut v1::Container) {
    let image = container.image.as_deref().unwrap_or_default();
    text(&mut container.image_pull_policy, image_pull_policy(image));
    text(&mut container.termination_message_path, "/dev/termination-log");
    text(&mut container.termination_message_policy, "File");
    for port in container.ports.iter_mut().flatten() {
        text(&mut port.protocol, "TCP");
    }
    let probes = [
        &mut container.liveness_probe,
        &mut container.readiness_probe,
        &mut container.startup_probe,
    ];
    for probe in probes.into_iter().flatten() {
        number(&mut probe.timeout_seconds, 1);
        number(&mut probe.period_seconds, 10);
        number(&mut probe.success_threshold, 1);
        number(&mut probe.failure_threshold, 3);
        http_get(&mut probe.http_get);
    }
    if let Some(lifecycle) = &mut container.lifecycle {
        for hook in [&mut lifecycle.post_start, &mut lifecycle.pre_stop].into_iter().flatten() {
            http_get(&mut hook.http_get);
        }
    }
    if let Some(resources) = &mut container.resources {
        resources.limits.iter_mut().for_each(round_up);
        resources.requests.iter_mut().for_each(round_up);
    }
}

/// Text is unset if it is empty, too.
fn text(field: &mut Option<String>, default: &str) {
    if field.as_ref().is_none_or(String::is_empty) {
        *field = Some(default.to_owned());
    }
}

/// Zero is unset, too.
fn number(field: &mut Option<i32>, default: i32) {
    if field.is_none_or(|number| number == 0) {
        *field = Some(default);
    }
}

fn http_get(action: &mut Option<v1::HTTPGetAction>) {
    if let Some(action) = action {
        text(&mut action.path, "/");
        text(&mut action.scheme, "HTTP");
    }
}

/// An image whose tag is `latest` or absent is pulled always (`SetDefaults_Container`).
pub(crate) fn image_pull_policy(image: &str) -> &'static str {
    if has_latest_tag(image) { "Always" } else { "IfNotPresent" }
}

/// An image without tag and digest has the tag `latest`; a digest alone does not.
fn has_latest_tag(image: &str) -> bool {
    let (name, digest) = match image.split_once('@') {
        Some((name, _)) => (name, true),
        None => (image, false),
    };
    // A colon before the last slash belongs to the registry's port.
    match name.rsplit('/').next().and_then(|last| last.split_once(':')) {
        Some((_, tag)) => tag == "latest",
        None => !digest,
    }
}

/// The node's port is the container's own (`defaultHostNetworkPorts`).
fn host_ports_from_ports(container: &mut v1::Container) {
    for port in container.ports.iter_mut().flatten() {
        if port.host_port.is_none_or(|host_port| host_port == 0) {
            port.host_port = Some(port.container_port);
        }
    }
}

/// Thousandths are the finest that the API keeps (`SetDefaults_ResourceList`).
fn round_up(list: &mut ResourceList) {
    for text in list.values_mut() {
        // What is no quantity is left to be told by validation.
        let Ok(quantity) = Quantity::try_from(&*text) else { continue };
        if let Some(rounded) = quantity.round_up(Scale::Milli).ok().filter(|r| *r != quantity) {
            *text = rounded.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn defaulted(spec: Value) -> Value {
        let mut pod: v1::Pod = serde_json::from_value(json!({ "spec": spec })).unwrap();
        apply(&mut pod, FeatureGates::default());
        let once = pod.clone();
        apply(&mut pod, FeatureGates::default());
        assert_eq!(pod, once, "a second time changes nothing");
        serde_json::to_value(pod.spec).unwrap()
    }

    #[test]
    fn the_tag_decides_the_default_pull_policy() {
        for (image, latest) in [
            ("busybox", true),
            ("busybox:latest", true),
            ("registry:5000/busybox", true),
            ("busybox:1.28", false),
            ("registry:5000/busybox:1", false),
            ("busybox@sha256:aa", false),
            ("busybox:latest@sha256:aa", true),
        ] {
            assert_eq!(has_latest_tag(image), latest, "{image}");
        }
    }

    #[test]
    fn what_is_limited_is_requested_unless_a_request_says_otherwise() {
        let spec = defaulted(json!({"containers": [{"name": "a", "resources": {
            "limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m"}
        }}]}));
        assert_eq!(
            spec["containers"][0]["resources"]["requests"],
            json!({"cpu": "100m", "memory": "1Gi"})
        );
    }

    #[test]
    fn quantities_finer_than_a_thousandth_are_rounded_up() {
        let spec = defaulted(json!({"containers": [{"name": "a", "resources": {
            "limits": {"cpu": "0.0001", "memory": "1000m"}
        }}]}));
        assert_eq!(
            spec["containers"][0]["resources"]["limits"],
            json!({"cpu": "1m", "memory": "1000m"})
        );
    }

    #[test]
    fn zero_in_a_probe_is_the_default_but_for_the_initial_delay() {
        let spec = defaulted(json!({"containers": [{"name": "a", "livenessProbe": {
            "httpGet": {"port": 80}, "periodSeconds": 0, "initialDelaySeconds": 0
        }}]}));
        assert_eq!(
            spec["containers"][0]["livenessProbe"],
            json!({
                "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
                "initialDelaySeconds": 0, "periodSeconds": 10, "timeoutSeconds": 1,
                "successThreshold": 1, "failureThreshold": 3
            })
        );
    }

    #[test]
    fn pod_level_requests_are_filled_only_where_the_pod_has_limits() {
        let containers = json!([{"name": "a", "resources": {"requests": {"cpu": "250m"}}}]);
        let spec = defaulted(json!({
            "containers": containers, "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}
        }));
        assert_eq!(spec["resources"]["requests"], json!({"cpu": "250m", "memory": "1Gi"}));
        let spec = defaulted(json!({
            "containers": containers, "resources": {"requests": {"memory": "1Gi"}}
        }));
        assert_eq!(spec["resources"], json!({"requests": {"memory": "1Gi"}}));
    }

    #[test]
    fn on_the_hosts_network_a_port_is_the_nodes() {
        let spec = defaulted(json!({"hostNetwork": true, "containers": [
            {"name": "a", "ports": [{"containerPort": 80}]}
        ]}));
        assert_eq!(spec["containers"][0]["ports"][0]["hostPort"], 80);
    }
}

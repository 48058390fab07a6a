//! The defaults of the API: what the apiserver fills in before it looks at a pod.

mod volume;
mod workload;

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use crate::quantity::{Quantity, Scale};
use crate::resources::{default_container_requests, default_pod_level};
use crate::version::{Change, Feature, FeatureGates};

pub use workload::apply_to_workload;

type ResourceList = BTreeMap<String, ApiQuantity>;

/// `DefaultTerminationGracePeriodSeconds`.
const TERMINATION_GRACE_PERIOD_SECONDS: i64 = 30;

/// Fills in what a pod leaves out, as the apiserver does.
///
/// What is set stays as it is, but quantities finer than a thousandth, which are rounded up.
/// Applying it twice changes nothing more.
///
/// With the gate `PodLevelResourcesFixDefaulting`, resources of the pod as a whole are not among them:
/// they are completed when a pod is created, see [`admit`](super::admit).
///
/// Source: `SetObjectDefaults_Pod` (`pkg/apis/core/v1/defaults.go`). It is for pods only: see
/// [`apply_to_workload`] for templates. Left out are `optional` of `fileKeyRef`, which the
/// oldest API types lack, and volumes of types that Kubernetes no longer supports.
///
/// ```
/// use k8s_openapi::api::core::v1;
/// use podinit::{FeatureGates, admission::defaults};
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

/// What containers of both types have, the ephemeral ones being of a type of their own.
struct Parts<'a> {
    image: Option<&'a str>,
    image_pull_policy: &'a mut Option<String>,
    termination_message_path: &'a mut Option<String>,
    termination_message_policy: &'a mut Option<String>,
    ports: Option<&'a mut Vec<v1::ContainerPort>>,
    env: Option<&'a mut Vec<v1::EnvVar>>,
    probes: [Option<&'a mut v1::Probe>; 3],
    lifecycle: Option<&'a mut v1::Lifecycle>,
    resources: Option<&'a mut v1::ResourceRequirements>,
}

/// The [`Parts`] of a container.
macro_rules! parts {
    ($container:ident) => {
        Parts {
            image: $container.image.as_deref(),
            image_pull_policy: &mut $container.image_pull_policy,
            termination_message_path: &mut $container.termination_message_path,
            termination_message_policy: &mut $container.termination_message_policy,
            ports: $container.ports.as_mut(),
            env: $container.env.as_mut(),
            probes: [
                $container.liveness_probe.as_mut(),
                $container.readiness_probe.as_mut(),
                $container.startup_probe.as_mut(),
            ],
            lifecycle: $container.lifecycle.as_mut(),
            resources: $container.resources.as_mut(),
        }
    };
}
/// The defaults of a template: unlike those of a pod, its requests, host ports and service links stay
/// unset.
fn apply_to_template(template: &mut v1::PodTemplateSpec, gates: FeatureGates) {
    apply_to_fields(template.spec.get_or_insert_default(), gates);
}

/// One account under two names, of which the newer one counts.
fn service_account(spec: &mut v1::PodSpec) {
    let set = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
    let account = set(&spec.service_account_name).or(set(&spec.service_account));
    (spec.service_account_name, spec.service_account) = (account.clone(), account);
}

fn apply_to_spec(spec: &mut v1::PodSpec, gates: FeatureGates) {
    default_container_requests(spec);
    if !gates.enabled(Feature::PodLevelResourcesFixDefaulting) {
        // What is no quantity leaves the pod's own requests as they are, and is told by validation.
        // Amounts are rounded later: the pod's own requests are sums of the containers' exact ones.
        let _ = default_pod_level(spec, gates);
    }
    spec.enable_service_links.get_or_insert(true);
    apply_to_fields(spec, gates);
    if spec.host_network == Some(true) {
        let init_containers = spec.init_containers.iter_mut().flatten();
        spec.containers.iter_mut().chain(init_containers).for_each(host_ports_from_ports);
    }
}

fn apply_to_fields(spec: &mut v1::PodSpec, gates: FeatureGates) {
    if gates.has(Change::ServiceAccountIsFilledIn) {
        service_account(spec);
    }
    text(&mut spec.dns_policy, "ClusterFirst");
    text(&mut spec.restart_policy, "Always");
    spec.security_context.get_or_insert_default();
    spec.termination_grace_period_seconds.get_or_insert(TERMINATION_GRACE_PERIOD_SECONDS);
    text(&mut spec.scheduler_name, "default-scheduler");
    spec.volumes.iter_mut().flatten().for_each(volume::apply);
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        apply_to_container(parts!(container));
    }
    for container in spec.ephemeral_containers.iter_mut().flatten() {
        apply_to_container(parts!(container));
    }
    spec.overhead.iter_mut().for_each(round_up);
    if let Some(resources) = &mut spec.resources {
        round_up_resources(resources);
    }
}

fn apply_to_container(container: Parts<'_>) {
    text(container.image_pull_policy, image_pull_policy(container.image.unwrap_or_default()));
    text(container.termination_message_path, "/dev/termination-log");
    text(container.termination_message_policy, "File");
    for port in container.ports.into_iter().flatten() {
        text(&mut port.protocol, "TCP");
    }
    for source in container.env.into_iter().flatten().filter_map(|env| env.value_from.as_mut()) {
        source.field_ref.iter_mut().for_each(field_ref);
        source.resource_field_ref.iter_mut().for_each(resource_field_ref);
    }
    for probe in container.probes.into_iter().flatten() {
        number(&mut probe.timeout_seconds, 1);
        number(&mut probe.period_seconds, 10);
        number(&mut probe.success_threshold, 1);
        number(&mut probe.failure_threshold, 3);
        http_get(&mut probe.http_get);
        if let Some(grpc) = &mut probe.grpc {
            grpc.service.get_or_insert_default();
        }
    }
    if let Some(lifecycle) = container.lifecycle {
        for hook in [&mut lifecycle.post_start, &mut lifecycle.pre_stop].into_iter().flatten() {
            http_get(&mut hook.http_get);
        }
    }
    if let Some(resources) = container.resources {
        round_up_resources(resources);
    }
}

/// `SetDefaults_ObjectFieldSelector`.
fn field_ref(reference: &mut v1::ObjectFieldSelector) {
    text(&mut reference.api_version, "v1");
}

/// A divisor is a quantity in its own right: one that is not given is written as zero.
fn resource_field_ref(reference: &mut v1::ResourceFieldSelector) {
    reference.divisor.get_or_insert_with(|| ApiQuantity("0".to_owned()));
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
fn image_pull_policy(image: &str) -> &'static str {
    if has_latest_tag(image) { "Always" } else { "IfNotPresent" }
}

/// An image without tag and digest has the tag `latest`; a digest alone does not, and neither does
/// what is no reference to an image (`ParseImageName`).
fn has_latest_tag(image: &str) -> bool {
    let (name, digest) = match image.split_once('@') {
        Some((name, _)) => (name, true),
        None => (image, false),
    };
    // A colon before the last slash belongs to the registry's port.
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match name[last..].split_once(':') {
        Some((end, tag)) => (&name[..last + end.len()], Some(tag)),
        None => (name, None),
    };
    is_image_name(name)
        && match tag {
            Some(tag) => tag == "latest",
            None => !digest,
        }
}

/// Is this the name of an image, with or without a registry?
fn is_image_name(name: &str) -> bool {
    let is_registry = |part: &str| {
        part == "localhost" || part.contains(['.', ':']) || part.to_lowercase() != part
    };
    let path = match name.split_once('/') {
        Some((first, path)) if is_registry(first) => {
            let inner = |b: u8| b.is_ascii_alphanumeric() || b".:-[]".contains(&b);
            if !first.bytes().all(inner) {
                return false;
            }
            path
        }
        _ => name,
    };
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    path.split('/').all(|part| {
        let ends = part.bytes().next().zip(part.bytes().last());
        ends.is_some_and(|(first, last)| inner(first) && inner(last))
            && part.bytes().all(|b| inner(b) || b"._-".contains(&b))
            && !part.contains("..")
            && !part.contains("___")
    })
}

/// The node's port is the container's own (`defaultHostNetworkPorts`).
fn host_ports_from_ports(container: &mut v1::Container) {
    for port in container.ports.iter_mut().flatten() {
        if port.host_port.is_none_or(|host_port| host_port == 0) {
            port.host_port = Some(port.container_port);
        }
    }
}

fn round_up_resources(resources: &mut v1::ResourceRequirements) {
    resources.limits.iter_mut().for_each(round_up);
    resources.requests.iter_mut().for_each(round_up);
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
            ("", false),
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
    fn the_pods_own_requests_are_summed_up_before_they_are_rounded() {
        let container = json!({"name": "a", "resources": {"requests": {"cpu": "100u"}}});
        let spec = defaulted(json!({
            "containers": [container, container], "resources": {"limits": {"cpu": "1"}}
        }));
        assert_eq!(spec["resources"]["requests"], json!({"cpu": "1m"}));
        assert_eq!(spec["containers"][0]["resources"]["requests"], json!({"cpu": "1m"}));
    }

    #[test]
    fn an_ephemeral_container_has_the_defaults_of_the_others() {
        let container = json!({"name": "a", "image": "app:1", "ports": [{"containerPort": 80}],
            "livenessProbe": {"grpc": {"port": 1}},
            "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]});
        let spec =
            defaulted(json!({"containers": [container], "ephemeralContainers": [container]}));
        assert_eq!(spec["containers"][0]["livenessProbe"]["grpc"]["service"], "");
        assert_eq!(spec["containers"][0]["env"][0]["valueFrom"]["fieldRef"]["apiVersion"], "v1");
        assert_eq!(spec["containers"], spec["ephemeralContainers"]);
    }

    #[test]
    fn on_the_hosts_network_a_port_is_the_nodes() {
        let spec = defaulted(json!({"hostNetwork": true, "containers": [
            {"name": "a", "ports": [{"containerPort": 80}]}
        ]}));
        assert_eq!(spec["containers"][0]["ports"][0]["hostPort"], 80);
    }
}

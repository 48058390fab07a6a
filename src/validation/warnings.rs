//! What the apiserver says to an object that it accepts (`GetWarningsForPod`).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use k8s_openapi::api::core::v1;

use super::create::SPEC;
use super::field::Path;
use super::labels::Texts;
use super::names;
use super::overlaps;
use super::resources::string_of;
use super::status;
use crate::admission::{Admitted, admit};
use crate::go_quoted::Quoted;
use crate::quantity::Quantity;
use crate::version::{Change, FeatureGates};

/// A warning that comes with an object that was accepted, in the apiserver's words.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Warning {
    /// The field's path, such as `spec.containers[0].ports[1]`; empty if it is about no single one.
    pub field: String,
    /// What there is to know about it.
    pub detail: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            return f.write_str(&self.detail);
        }
        write!(f, "{}: {}", self.field, self.detail)
    }
}

/// What the apiserver warns of when it creates this pod, each warning once
/// (`podStrategy.WarningsOnCreate`). It says nothing to a pod that it refuses.
///
/// ```
/// use k8s_openapi::api::core::v1;
/// use podinit::{FeatureGates, validation::warnings};
///
/// let pod: v1::Pod = serde_json::from_str(
///     r#"{"metadata": {"name": "web"}, "spec": {"containers": [
///         {"name": "web", "image": "web:1", "resources": {"limits": {"memory": "512m"}}}
///     ]}}"#,
/// )?;
/// assert_eq!(
///     warnings(&pod, FeatureGates::default())[0].to_string(),
///     "spec.containers[0].resources.limits[memory]: fractional byte value \"512m\" is invalid, must be an integer"
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn warnings(pod: &v1::Pod, gates: FeatureGates) -> Vec<Warning> {
    admit(pod, &gates).warnings()
}

/// What the apiserver warns of when the status of this pod is updated
/// (`podStatusStrategy.WarningsOnUpdate`).
///
/// ```
/// use k8s_openapi::api::core::v1;
/// use podinit::{FeatureGates, validation::status_warnings};
///
/// let pod: v1::Pod = serde_json::from_str(r#"{"status": {"podIPs": [{"ip": "FD00::1"}]}}"#)?;
/// assert_eq!(
///     status_warnings(&pod, FeatureGates::default())[0].to_string(),
///     "status.podIPs[0].ip: IPv6 address \"FD00::1\" should be in RFC 5952 canonical format \
///      (\"fd00::1\")"
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn status_warnings(pod: &v1::Pod, gates: FeatureGates) -> Vec<Warning> {
    let mut found = Warnings::new(gates);
    let status = pod.status.clone().unwrap_or_default();
    for (name, ips) in
        [("podIPs", status::pod_ips(&status)), ("hostIPs", status::host_ips(&status))]
    {
        let list = status::STATUS.child(name);
        for (index, ip) in ips.iter().enumerate() {
            of_address(&list.index(index).child("ip"), ip, &mut found);
        }
    }
    found.found
}

impl Admitted {
    /// What the apiserver warns of when it creates the pod, see [`warnings`].
    pub fn warnings(&self) -> Vec<Warning> {
        let pod = self.pod();
        let mut found = Warnings::new(self.gates());
        name_warning(pod.metadata.name.as_deref(), "the Pod's hostname", &mut found);
        if let Some(spec) = &pod.spec {
            let annotations = Path::Root("metadata.annotations");
            of_pod(spec, pod.metadata.annotations.as_ref(), &annotations, &SPEC, &mut found);
        }
        found.found
    }
}

/// Collects warnings, each once.
pub(super) struct Warnings {
    pub(super) found: Vec<Warning>,
    /// By whose words.
    gates: FeatureGates,
}

impl Warnings {
    pub(super) const fn new(gates: FeatureGates) -> Self {
        Self { found: Vec::new(), gates }
    }

    pub(super) fn add(&mut self, field: impl ToString, detail: impl Into<String>) {
        let warning = Warning { field: field.to_string(), detail: detail.into() };
        if !self.found.contains(&warning) {
            self.found.push(warning);
        }
    }
}

/// The name becomes one in DNS.
pub(super) fn name_warning(name: Option<&str>, used_in: &str, found: &mut Warnings) {
    let breaches = names::dns_label(name.unwrap_or_default());
    if !breaches.is_empty() {
        let breaches = breaches.join(" ");
        found.add(
            "metadata.name",
            format!("this is used in {used_in}, which can result in surprising behavior; a DNS label is recommended: [{breaches}]"),
        );
    }
}

/// Labels of nodes that have another name today (`deprecatedNodeLabels`).
const NODE_LABELS: [(&str, &str); 8] = [
    ("beta.kubernetes.io/arch", "deprecated since v1.14; use \"kubernetes.io/arch\" instead"),
    ("beta.kubernetes.io/os", "deprecated since v1.14; use \"kubernetes.io/os\" instead"),
    (
        "failure-domain.beta.kubernetes.io/region",
        "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead",
    ),
    (
        "failure-domain.beta.kubernetes.io/zone",
        "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead",
    ),
    (
        "beta.kubernetes.io/instance-type",
        "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead",
    ),
    ("app.kubernetes.io/created-by", "deprecated since v1.9"),
    (
        "scheduler.alpha.kubernetes.io/preferAvoidPods",
        "deprecated since v1.22; use Taints and Tolerations instead",
    ),
    ("node-role.kubernetes.io/master", "use \"node-role.kubernetes.io/control-plane\" instead"),
];

/// Annotations that do nothing any more (`deprecatedAnnotations`).
const ANNOTATIONS: [(&str, &str); 3] = [
    (
        "scheduler.alpha.kubernetes.io/critical-pod",
        "non-functional in v1.16+; use the \"priorityClassName\" field instead",
    ),
    (
        "security.alpha.kubernetes.io/sysctls",
        "non-functional in v1.11+; use the \"sysctls\" field instead",
    ),
    (
        "security.alpha.kubernetes.io/unsafe-sysctls",
        "non-functional in v1.11+; use the \"sysctls\" field instead",
    ),
];

/// Types of volumes that are on their way out.
type Old = (&'static str, fn(&v1::Volume) -> bool, &'static str);
const VOLUMES: [Old; 9] = [
    (
        "photonPersistentDisk",
        |v| v.photon_persistent_disk.is_some(),
        "deprecated in v1.11, non-functional in v1.16+",
    ),
    ("gitRepo", |v| v.git_repo.is_some(), "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scaleIO", |v| v.scale_io.is_some(), "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", |v| v.flocker.is_some(), "deprecated in v1.22, non-functional in v1.25+"),
    ("storageOS", |v| v.storageos.is_some(), "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", |v| v.quobyte.is_some(), "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", |v| v.glusterfs.is_some(), "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", |v| v.cephfs.is_some(), "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", |v| v.rbd.is_some(), "deprecated in v1.28, non-functional in v1.31+"),
];

const NO_SELECTOR: &str = "a null labelSelector results in matching no pod";

fn old_label(name: &str) -> Option<&'static str> {
    NODE_LABELS.iter().find(|(old, _)| *old == name).map(|(_, message)| *message)
}

/// `warningsForPodSpecAndMeta`.
pub(super) fn of_pod(
    spec: &v1::PodSpec,
    annotations: Option<&Texts>,
    annotations_path: &Path<'_>,
    path: &Path<'_>,
    found: &mut Warnings,
) {
    let selector = path.child("nodeSelector");
    for name in spec.node_selector.iter().flatten().map(|(name, _)| name) {
        if let Some(message) = old_label(name) {
            found.add(selector.key(name), message);
        }
    }
    if let Some(affinity) = &spec.affinity {
        of_node_affinity(affinity, &path.child("affinity"), found);
    }
    let list = path.child("topologySpreadConstraints");
    for (index, constraint) in spec.topology_spread_constraints.iter().flatten().enumerate() {
        let (item, key) = (list.index(index), constraint.topology_key.as_str());
        if let Some(message) = old_label(key) {
            found.add(item.child("topologyKey"), format!("{key} is {message}"));
        }
        if constraint.label_selector.is_none() {
            found.add(item.child("labelSelector"), NO_SELECTOR);
        }
    }
    for (name, message) in ANNOTATIONS {
        if annotations.is_some_and(|all| all.contains_key(name)) {
            found.add(annotations_path.key(name), message);
        }
    }
    let list = path.child("volumes");
    for (index, volume) in spec.volumes.iter().flatten().enumerate() {
        for (name, is_set, message) in VOLUMES {
            if is_set(volume) {
                let item = list.index(index);
                found.add(item.child(name), message);
            }
        }
    }
    overlaps::of_volumes(spec.volumes.as_deref().unwrap_or_default(), found);
    of_lists(spec, path, found);
    if let Some(overhead) = &spec.overhead {
        fractions(Some(overhead), &path.child("overhead"), found);
    }
    of_containers(spec, path, found);
    of_ports(spec, path, found);
    if let Some(affinity) = &spec.affinity {
        of_pod_affinity(affinity, &path.child("affinity"), found);
    }
    of_addresses(spec, path, found);
}

fn of_node_affinity(affinity: &v1::Affinity, path: &Path<'_>, found: &mut Warnings) {
    let Some(node) = &affinity.node_affinity else { return };
    let path = path.child("nodeAffinity");
    let gates = found.gates;
    let mut term = |term: &v1::NodeSelectorTerm, values: bool, path: &Path<'_>| {
        let list = path.child("matchExpressions");
        for (index, expression) in term.match_expressions.iter().flatten().enumerate() {
            let item = list.index(index);
            if let Some(message) = old_label(&expression.key) {
                found.add(item.child("key"), format!("{} is {message}", expression.key));
            }
            let at = item.child("values");
            let all = expression.values.iter().flatten().enumerate().filter(|_| values);
            for (index, value) in all {
                for breach in names::label_value(value, gates) {
                    found.add(at.index(index), format!("{value} is invalid, {breach}"));
                }
            }
        }
    };
    if let Some(required) = &node.required_during_scheduling_ignored_during_execution {
        let path = path.child("requiredDuringSchedulingIgnoredDuringExecution");
        let list = path.child("nodeSelectorTerms");
        for (index, one) in required.node_selector_terms.iter().enumerate() {
            term(one, false, &list.index(index));
        }
    }
    let list = path.child("preferredDuringSchedulingIgnoredDuringExecution");
    let preferred = node.preferred_during_scheduling_ignored_during_execution.iter().flatten();
    for (index, one) in preferred.enumerate() {
        term(&one.preference, true, &list.index(index).child("preference"));
    }
}

fn of_pod_affinity(affinity: &v1::Affinity, path: &Path<'_>, found: &mut Warnings) {
    type Terms<'a> =
        (Option<&'a Vec<v1::PodAffinityTerm>>, Option<&'a Vec<v1::WeightedPodAffinityTerm>>);
    let near = affinity.pod_affinity.as_ref().map(|a| -> Terms<'_> {
        (
            a.required_during_scheduling_ignored_during_execution.as_ref(),
            a.preferred_during_scheduling_ignored_during_execution.as_ref(),
        )
    });
    let far = affinity.pod_anti_affinity.as_ref().map(|a| -> Terms<'_> {
        (
            a.required_during_scheduling_ignored_during_execution.as_ref(),
            a.preferred_during_scheduling_ignored_during_execution.as_ref(),
        )
    });
    for (name, terms) in [("podAffinity", near), ("podAntiAffinity", far)] {
        let Some((required, preferred)) = terms else { continue };
        let path = path.child(name);
        let list = path.child("requiredDuringSchedulingIgnoredDuringExecution");
        for (index, term) in required.into_iter().flatten().enumerate() {
            if term.label_selector.is_none() {
                found.add(list.index(index).child("labelSelector"), NO_SELECTOR);
            }
        }
        let list = path.child("preferredDuringSchedulingIgnoredDuringExecution");
        for (index, term) in preferred.into_iter().flatten().enumerate() {
            if term.pod_affinity_term.label_selector.is_none() {
                let item = list.index(index);
                let term = item.child("podAffinityTerm");
                found.add(term.child("labelSelector"), NO_SELECTOR);
            }
        }
    }
}

/// Host aliases and pull secrets that come twice.
fn of_lists(spec: &v1::PodSpec, path: &Path<'_>, found: &mut Warnings) {
    let list = path.child("hostAliases");
    let mut seen = BTreeSet::new();
    for (index, alias) in spec.host_aliases.iter().flatten().enumerate() {
        if !seen.insert(alias.ip.as_str()) {
            found.add(list.index(index).child("ip"), format!("duplicate ip {}", Quoted(&alias.ip)));
        }
    }
    let list = path.child("imagePullSecrets");
    let mut seen = BTreeSet::new();
    for (index, secret) in spec.image_pull_secrets.iter().flatten().enumerate() {
        let (item, name) = (list.index(index), &secret.name);
        if !seen.insert(name.as_str()) {
            found.add(item.child("name"), format!("duplicate name {}", Quoted(name)));
        }
        if name.is_empty() {
            found.add(item.child("name"), "invalid empty name \"\"");
        }
    }
}

/// Bytes are whole.
fn fractions(
    list: Option<&BTreeMap<String, k8s_openapi::apimachinery::pkg::api::resource::Quantity>>,
    path: &Path<'_>,
    found: &mut Warnings,
) {
    for name in ["memory", "ephemeral-storage"] {
        let Some(text) = list.and_then(|list| list.get(name)) else { continue };
        let amount = Quantity::try_from(text);
        if amount.is_ok_and(|amount| amount.milli_value() % 1000 != 0) {
            let shown = string_of(text);
            found.add(
                path.key(name),
                format!("fractional byte value {} is invalid, must be an integer", Quoted(&shown)),
            );
        }
    }
}

/// Every container as the apiserver visits them: its path, resources, variables and ports.
fn visit<'a>(
    spec: &'a v1::PodSpec,
    path: &Path<'_>,
    mut visitor: impl FnMut(
        &Path<'_>,
        Option<&'a v1::ResourceRequirements>,
        &'a [v1::EnvVar],
        &'a [v1::ContainerPort],
    ),
) {
    let lists = [
        ("initContainers", spec.init_containers.as_deref().unwrap_or_default()),
        ("containers", spec.containers.as_slice()),
    ];
    for (name, containers) in lists {
        let list = path.child(name);
        for (index, c) in containers.iter().enumerate() {
            let (env, ports) = (c.env.as_deref(), c.ports.as_deref());
            let (env, ports) = (env.unwrap_or_default(), ports.unwrap_or_default());
            visitor(&list.index(index), c.resources.as_ref(), env, ports);
        }
    }
    let list = path.child("ephemeralContainers");
    for (index, c) in spec.ephemeral_containers.iter().flatten().enumerate() {
        let (env, ports) = (c.env.as_deref(), c.ports.as_deref());
        let (env, ports) = (env.unwrap_or_default(), ports.unwrap_or_default());
        visitor(&list.index(index), c.resources.as_ref(), env, ports);
    }
}

fn of_containers(spec: &v1::PodSpec, path: &Path<'_>, found: &mut Warnings) {
    visit(spec, path, |path, resources, env, _| {
        let at = path.child("resources");
        fractions(resources.and_then(|r| r.limits.as_ref()), &at.child("limits"), found);
        fractions(resources.and_then(|r| r.requests.as_ref()), &at.child("requests"), found);
        let list = path.child("env");
        let mut seen = BTreeSet::new();
        for (index, variable) in env.iter().enumerate() {
            if seen.insert(variable.name.as_str()) {
                continue;
            }
            // The new value may be made of the old one.
            let reference = format!("$({})", variable.name);
            let value = variable.value.as_deref().unwrap_or_default();
            if variable.value_from.is_some() || value == reference || !value.contains(&reference) {
                found.add(
                    list.index(index),
                    format!(
                        "hides previous definition of {}, which may be dropped when using apply",
                        Quoted(&variable.name)
                    ),
                );
            }
        }
    });
}

fn of_ports(spec: &v1::PodSpec, path: &Path<'_>, found: &mut Warnings) {
    let mut taken: BTreeMap<(i32, &str), Vec<(String, &v1::ContainerPort)>> = BTreeMap::new();
    visit(spec, path, |path, _, _, ports| {
        let list = path.child("ports");
        for (index, port) in ports.iter().enumerate() {
            let item = list.index(index);
            let ip = |port: &v1::ContainerPort| port.host_ip.clone().unwrap_or_default();
            let (own_ip, own_port) = (ip(port), port.host_port.unwrap_or_default());
            let protocol = port.protocol.as_deref().unwrap_or_default();
            if !own_ip.is_empty() && own_port == 0 {
                let name = port.name.as_deref().unwrap_or_default();
                let number = port.container_port;
                found.add(
                    item,
                    format!("hostIP set without hostPort: {{Name:{name} HostPort:0 ContainerPort:{number} Protocol:{protocol} HostIP:{own_ip}}}"),
                );
            }
            let others = taken.entry((port.container_port, protocol)).or_default();
            for (field, other) in others.iter() {
                let (ip, number) = (ip(other), other.host_port.unwrap_or_default());
                let how = if own_ip == ip && own_port == number {
                    "duplicate"
                } else if own_port == 0 || number == 0 {
                    "overlapping"
                } else if own_port == number && own_ip.is_empty() != ip.is_empty() {
                    "dangerously ambiguous"
                } else {
                    continue;
                };
                found.add(item, format!("{how} port definition with {field}"));
            }
            others.push((item.to_string(), port));
        }
    });
    let mut named: BTreeMap<&str, String> = BTreeMap::new();
    visit(spec, path, |path, _, _, ports| {
        let list = path.child("ports");
        for (index, port) in ports.iter().enumerate() {
            let Some(name) = port.name.as_deref().filter(|name| !name.is_empty()) else { continue };
            let item = list.index(index);
            match named.get(name) {
                Some(other) => found.add(
                    item,
                    format!("duplicate port name {} with {other}, services and probes that select ports by name will use {other}",
                        Quoted(name)),
                ),
                None => drop(named.insert(name, item.to_string())),
            }
        }
    });
}

/// An address that has another form (`GetWarningsForIP`).
fn of_address(field: &Path<'_>, text: &str, found: &mut Warnings) {
    let Some(address) = names::parse_ip_sloppily(text) else { return };
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V6(v6)) if v6.to_ipv4_mapped().is_none() => {
            let shown = v6.to_string();
            if shown != text {
                found.add(
                    field,
                    format!(
                        "IPv6 address {} should be in RFC 5952 canonical format (\"{shown}\")",
                        Quoted(text)
                    ),
                );
            }
        }
        Ok(IpAddr::V4(_)) => {}
        // Leading zeros, or an IPv4 address that is mapped into IPv6.
        _ => {
            let verdict = if found.gates.has(Change::AddressesAreReadStrictly) {
                "is invalid"
            } else {
                "will be considered invalid in a future Kubernetes release"
            };
            let detail =
                format!("non-standard IP address {} {verdict}: use \"{address}\"", Quoted(text));
            found.add(field, detail);
        }
    }
}

/// Addresses that have another form.
fn of_addresses(spec: &v1::PodSpec, path: &Path<'_>, found: &mut Warnings) {
    let mut check = |field: &Path<'_>, text: &str| of_address(field, text, found);
    let config = path.child("dnsConfig");
    let list = config.child("nameservers");
    let servers = spec.dns_config.as_ref().and_then(|config| config.nameservers.as_ref());
    for (index, server) in servers.into_iter().flatten().enumerate() {
        check(&list.index(index), server);
    }
    let list = path.child("hostAliases");
    for (index, alias) in spec.host_aliases.iter().flatten().enumerate() {
        check(&list.index(index).child("ip"), &alias.ip);
    }
}

//! `kubectl describe pod`.

mod container;
mod env;
mod go;
mod placement;
mod probe;
mod volumes;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::events::{self, since};
use super::table::{Layout, push_escaped};
use crate::admission::admit;
use crate::event::EventRecord;
use crate::resources::{self, PodResources};
use crate::time::Timestamp;
use crate::version::{FeatureGates, KubernetesVersion};

/// What `kubectl describe pod` prints of a pod and its status at `now`, with the events that the kubelet
/// has recorded (`describePod` in `k8s.io/kubectl/pkg/describe`).
///
/// The pod can be a manifest: the defaults of the API are filled in. Quantities are printed as the pod has
/// them: the API gives them in canonical form. Times are in UTC, where kubectl takes the zone of its
/// machine. Neither the restart policy of a container nor its rules are shown, so that
/// a restartable init container looks like any other one: so it is with kubectl.
///
/// With `events`, the table of them closes the text; `None` leaves it out, as
/// `--show-events=false` does. It is the text of kubectl 1.36; [`describe_of`] takes events of the API
/// and other versions.
///
/// ```
/// use k8s_openapi::api::core::v1;
/// use podinit::{Timestamp, kubectl};
///
/// let pod: v1::Pod = serde_json::from_value(serde_json::json!({
///     "metadata": {"name": "web", "namespace": "shop"},
///     "spec": {"containers": [{"name": "web", "image": "web:1"}]},
///     "status": {"phase": "Pending"},
/// }))?;
/// let text = kubectl::describe(&pod, None, Timestamp::from_secs(0));
/// assert!(text.starts_with("Name:         web\nNamespace:    shop\n"), "{text}");
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn describe(pod: &v1::Pod, events: Option<&[EventRecord]>, now: Timestamp) -> String {
    let version = KubernetesVersion::default();
    let mut stored = admit(pod, &version.feature_gates()).into_pod();
    stored.metadata.namespace.get_or_insert_with(|| "default".into());
    stored.status.get_or_insert_default().phase.get_or_insert_with(|| "Pending".into());
    let spec = stored.spec.clone().unwrap_or_default();
    let mut out = described(&stored, version, now);
    if let Some(records) = events {
        events::describe_events(&mut out.text, &events::told_of(&spec, records), version, now);
    }
    Layout::DESCRIBE.align(&out.text)
}

/// What `kubectl describe pod` of a version prints of any pod that the API can hold, an invalid one
/// included, with the events that the API has of it.
///
/// ```
/// use podinit::{KubernetesVersion, Timestamp, kubectl};
///
/// let pod = serde_json::from_value(serde_json::json!({
///     "metadata": {"name": "web", "namespace": "shop"},
///     "spec": {"containers": [{"name": "a", "image": "a:1"}, {"name": "a", "image": "a:2"}]},
/// }))?;
/// let text =
///     kubectl::describe_of(&pod, Some(&[]), KubernetesVersion::V1_37, Timestamp::from_secs(0));
/// assert!(text.ends_with("Events:           <none>\n"), "{text}");
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn describe_of(
    pod: &v1::Pod,
    events: Option<&[v1::Event]>,
    version: KubernetesVersion,
    now: Timestamp,
) -> String {
    let mut out = described(pod, version, now);
    if let Some(list) = events {
        let told: Vec<_> = list.iter().map(events::Told::of).collect();
        events::describe_events(&mut out.text, &told, version, now);
    }
    Layout::DESCRIBE.align(&out.text)
}

/// All but the events.
fn described(pod: &v1::Pod, version: KubernetesVersion, now: Timestamp) -> Sections {
    let (no_spec, no_status) = (v1::PodSpec::default(), v1::PodStatus::default());
    let spec = pod.spec.as_ref().unwrap_or(&no_spec);
    let status = pod.status.as_ref().unwrap_or(&no_status);
    let mut out = Sections { text: String::new(), version, now };
    header(&mut out, pod, spec, status);
    if let Some(resources) = &spec.resources {
        out.line(0, format_args!("Resources:"));
        out.resources(1, resources);
    }
    if let Some(init) = spec.init_containers.as_deref().filter(|init| !init.is_empty()) {
        out.line(0, format_args!("Init Containers:"));
        let statuses = status.init_container_statuses.as_deref().unwrap_or_default();
        container::describe_containers(&mut out, pod, init, statuses);
    }
    let none = if spec.containers.is_empty() { " <none>" } else { "" };
    out.line(0, format_args!("Containers:{none}"));
    let statuses = status.container_statuses.as_deref().unwrap_or_default();
    container::describe_containers(&mut out, pod, &spec.containers, statuses);
    if let Some(list) = spec.ephemeral_containers.as_deref().filter(|list| !list.is_empty()) {
        out.line(0, format_args!("Ephemeral Containers:"));
        let statuses = status.ephemeral_container_statuses.as_deref().unwrap_or_default();
        let list: Vec<_> = list.iter().map(container::from_ephemeral).collect();
        container::describe_containers(&mut out, pod, &list, statuses);
    }
    conditions(&mut out, spec, status);
    volumes::describe_volumes(&mut out, spec.volumes.as_deref().unwrap_or_default());
    qos_class(&mut out, pod, status);
    placement::labels(&mut out, "Node-Selectors", spec.node_selector.as_ref());
    placement::tolerations(&mut out, spec);
    placement::topology_spread(&mut out, spec);
    k8s_openapi::k8s_if_ge_1_36! {
        if let Some(group) = &spec.scheduling_group {
            out.line(0, format_args!("SchedulingGroup:"));
            let name = group.pod_group_name.as_deref().unwrap_or_default();
            out.line(1, format_args!("PodGroupName:\t{name}"));
        }
    }
    out
}

fn header(out: &mut Sections, pod: &v1::Pod, spec: &v1::PodSpec, status: &v1::PodStatus) {
    let metadata = &pod.metadata;
    out.line(0, format_args!("Name:\t{}", metadata.name.as_deref().unwrap_or_default()));
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    out.line(0, format_args!("Namespace:\t{namespace}"));
    if let Some(priority) = spec.priority {
        out.line(0, format_args!("Priority:\t{priority}"));
    }
    let classes = [
        ("Priority Class Name", &spec.priority_class_name),
        ("Runtime Class Name", &spec.runtime_class_name),
    ];
    for (name, class) in classes {
        if let Some(class) = class.as_deref().filter(|class| !class.is_empty()) {
            out.line(0, format_args!("{name}:\t{class}"));
        }
    }
    if let Some(account) = spec.service_account_name.as_deref().filter(|name| !name.is_empty()) {
        out.line(0, format_args!("Service Account:\t{account}"));
    }
    match spec.node_name.as_deref() {
        None | Some("") => out.line(0, format_args!("Node:\t<none>")),
        Some(node) => {
            let ip = status.host_ip.as_deref().unwrap_or_default();
            out.line(0, format_args!("Node:\t{node}/{ip}"));
        }
    }
    if let Some(time) = &status.start_time {
        out.line(0, format_args!("Start Time:\t{}", Rfc1123(Some(time))));
    }
    placement::labels(out, "Labels", metadata.labels.as_ref());
    placement::annotations(out, metadata.annotations.as_ref());
    let phase = status.phase.as_deref().unwrap_or_default();
    match &metadata.deletion_timestamp {
        Some(deleted) if !matches!(phase, "Failed" | "Succeeded") => {
            out.line(
                0,
                format_args!("Status:\tTerminating (lasts {})", since(Some(deleted), out.now)),
            );
            if let Some(seconds) = metadata.deletion_grace_period_seconds {
                out.line(0, format_args!("Termination Grace Period:\t{seconds}s"));
            }
        }
        _ => out.line(0, format_args!("Status:\t{phase}")),
    }
    for (name, text) in [("Reason", &status.reason), ("Message", &status.message)] {
        if let Some(text) = text.as_deref().filter(|text| !text.is_empty()) {
            out.line(0, format_args!("{name}:\t{text}"));
        }
    }
    let profile =
        spec.security_context.as_ref().and_then(|context| context.seccomp_profile.as_ref());
    out.seccomp_profile(0, 0, profile);
    out.line(0, format_args!("IP:\t{}", status.pod_ip.as_deref().unwrap_or_default()));
    match status.pod_ips.as_deref() {
        None | Some([]) => out.line(0, format_args!("IPs:\t<none>")),
        Some(ips) => {
            out.line(0, format_args!("IPs:"));
            for ip in ips {
                out.line(1, format_args!("IP:\t{}", ip.ip));
            }
        }
    }
    placement::controller(out, metadata);
    if let Some(node) = status.nominated_node_name.as_deref().filter(|node| !node.is_empty()) {
        out.line(0, format_args!("NominatedNodeName:\t{node}"));
    }
}

/// The class that the status tells, else the one that follows from the pod (`GetPodQOS`).
fn qos_class(out: &mut Sections, pod: &v1::Pod, status: &v1::PodStatus) {
    match status.qos_class.as_deref().filter(|class| !class.is_empty()) {
        Some(class) => out.line(0, format_args!("QoS Class:\t{class}")),
        None => {
            // A pod with an amount that is no quantity has no class.
            if let Ok(pod) = PodResources::compile(pod, FeatureGates::default()) {
                let class = resources::compute_qos_class(&pod);
                out.line(0, format_args!("QoS Class:\t{class}"));
            }
        }
    }
}

fn conditions(out: &mut Sections, spec: &v1::PodSpec, status: &v1::PodStatus) {
    let conditions = status.conditions.as_deref().unwrap_or_default();
    if let Some(gates) = spec.readiness_gates.as_deref().filter(|gates| !gates.is_empty()) {
        out.line(0, format_args!("Readiness Gates:"));
        out.line(1, format_args!("Type\tStatus"));
        for v1::PodReadinessGate { condition_type } in gates {
            let found = conditions.iter().find(|condition| condition.type_ == *condition_type);
            let status = found.map_or("<none>", |condition| &condition.status);
            out.line(1, format_args!("{condition_type} \t{status} "));
        }
    }
    if !conditions.is_empty() {
        out.line(0, format_args!("Conditions:"));
        out.line(1, format_args!("Type\tStatus"));
        for condition in conditions {
            out.line(1, format_args!("{} \t{} ", condition.type_, condition.status));
        }
    }
}

/// Lines of text, their cells not yet aligned.
struct Sections {
    text: String,
    /// Whose text it is.
    version: KubernetesVersion,
    now: Timestamp,
}

impl Sections {
    /// One line, indented by two spaces a level (`PrefixWriter.Write`).
    fn line(&mut self, level: usize, line: fmt::Arguments<'_>) {
        for _ in 0..level {
            self.text.push_str("  ");
        }
        // Writing to a string does not fail.
        let _ = Escaped(&mut self.text).write_fmt(line);
        self.text.push('\n');
    }

    /// Limits and requests, sorted by name.
    fn resources(&mut self, level: usize, resources: &v1::ResourceRequirements) {
        let lists = [("Limits", &resources.limits), ("Requests", &resources.requests)];
        for (title, list) in lists {
            let Some(list) = list.as_ref().filter(|list| !list.is_empty()) else { continue };
            self.line(level, format_args!("{title}:"));
            for (name, Quantity(quantity)) in list {
                self.line(level + 1, format_args!("{name}:\t{quantity}"));
            }
        }
    }

    /// A profile, and where it lies, one level further in for a container but not for a pod.
    fn seccomp_profile(
        &mut self,
        level: usize,
        path_level: usize,
        profile: Option<&v1::SeccompProfile>,
    ) {
        let Some(profile) = profile else { return };
        self.line(level, format_args!("SeccompProfile:\t{}", profile.type_));
        if profile.type_ == "Localhost" {
            let path = profile.localhost_profile.as_deref().unwrap_or_default();
            self.line(path_level, format_args!("LocalhostProfile:\t{path}"));
        }
    }
}

/// A string that takes no text which would steer a terminal.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        push_escaped(self.0, text);
        Ok(())
    }
}

/// A time as `time.RFC1123Z` prints it; one that is not set is Go's zero time.
struct Rfc1123<'a>(Option<&'a Time>);

impl fmt::Display for Rfc1123<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(Time(time)) => time.strftime("%a, %d %b %Y %H:%M:%S %z").fmt(f),
            None => f.write_str("Mon, 01 Jan 0001 00:00:00 +0000"),
        }
    }
}

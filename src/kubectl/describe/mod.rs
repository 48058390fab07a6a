//! `kubectl describe pod`.

mod container;
mod env;
mod probe;

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::fmt::{self, Write};

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::duration::HumanDuration;
use super::events::describe_events;
use super::table::{Layout, push_escaped};
use crate::event::EventRecord;
use crate::resources::{self, PodResources};
use crate::time::Timestamp;
use crate::version::FeatureGates;

/// What `kubectl describe pod` prints of a pod and its status at `now` (`describePod` in
/// `k8s.io/kubectl/pkg/describe`, 1.36), as far as containers and their lives are concerned.
///
/// Left out are service account, annotations, controller, volumes, node selectors, tolerations and
/// topology spread constraints, which do not bear on them. Quantities are printed as the pod has
/// them: the API gives them in canonical form. Times are in UTC, where kubectl takes the zone of
/// its machine. Fields that the API defaults and this text shows are shown with their defaults.
/// Neither the restart policy of a container nor its rules are shown, so that a restartable init
/// container looks like any other one: so it is with kubectl.
///
/// With `events`, the table of them closes the text; `None` leaves it out, as
/// `--show-events=false` does.
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
/// assert!(text.starts_with("Name:       web\nNamespace:  shop\n"), "{text}");
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn describe(pod: &v1::Pod, events: Option<&[EventRecord]>, now: Timestamp) -> String {
    let (no_spec, no_status) = (v1::PodSpec::default(), v1::PodStatus::default());
    let spec = pod.spec.as_ref().unwrap_or(&no_spec);
    let status = pod.status.as_ref().unwrap_or(&no_status);
    let mut out = Sections::default();

    header(&mut out, pod, spec, status, now);
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
        let list: alloc::vec::Vec<_> = list.iter().map(container::from_ephemeral).collect();
        container::describe_containers(&mut out, pod, &list, statuses);
    }
    conditions(&mut out, spec, status);
    qos_class(&mut out, pod, status);
    if let Some(records) = events {
        describe_events(&mut out.text, spec, records, now);
    }
    Layout::DESCRIBE.align(&out.text)
}

fn header(
    out: &mut Sections,
    pod: &v1::Pod,
    spec: &v1::PodSpec,
    status: &v1::PodStatus,
    now: Timestamp,
) {
    let metadata = &pod.metadata;
    out.line(0, format_args!("Name:\t{}", metadata.name.as_deref().unwrap_or_default()));
    let namespace = metadata.namespace.as_deref().unwrap_or("default");
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
    labels(out, metadata.labels.as_ref());
    let phase = status.phase.as_deref().unwrap_or("Pending");
    match &metadata.deletion_timestamp {
        Some(deleted) if !matches!(phase, "Failed" | "Succeeded") => {
            out.line(
                0,
                format_args!("Status:\tTerminating (lasts {})", Since { then: deleted, now }),
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
    if let Some(node) = status.nominated_node_name.as_deref().filter(|node| !node.is_empty()) {
        out.line(0, format_args!("NominatedNodeName:\t{node}"));
    }
}

fn labels(out: &mut Sections, labels: Option<&BTreeMap<String, String>>) {
    let mut title = "Labels:";
    for (name, value) in labels.into_iter().flatten() {
        out.line(0, format_args!("{title}\t{name}={value}"));
        title = "";
    }
    if !title.is_empty() {
        out.line(0, format_args!("{title}\t<none>"));
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
#[derive(Default)]
struct Sections {
    text: String,
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

/// How long ago a time of the API was (`translateTimestampSince`).
struct Since<'a> {
    then: &'a Time,
    now: Timestamp,
}

impl fmt::Display for Since<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::try_from(self.then) {
            Ok(then) => HumanDuration::between(then, self.now).fmt(f),
            Err(_) => f.write_str("<unknown>"),
        }
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

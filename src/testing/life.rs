//! A pod and what happens to it, in a form that shrinks and prints well.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::fmt::Write as _;
use core::time::Duration;

use k8s_openapi::api::core::v1;
use serde_json::Value;

use super::drive::{AsyncController, Controller, Kubelet, drive, drive_async};
use super::fault::FaultPlan;
use super::trace::Trace;
use crate::pod::{ContainerKind, PodSpec, Probe, SpecError};
use crate::sim::{ContainerScript, Limits, PodEvent, ProbeScript, Run, Scenario};
use crate::version::KubernetesVersion;
use crate::worker::Eviction;

/// What a container does, in whole seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "written out by callers")]
pub struct Script {
    /// How long each run lasts. `None`: 5 s for an init container and for runs that fail; any
    /// other run goes on until it is stopped.
    pub lasts: Option<u16>,
    /// How many of its first runs fail.
    pub failures: u8,
    /// With this exit code.
    pub exit_code: u8,
    /// How many pulls of its image fail first.
    pub image_pull_failures: u8,
    /// How many creations of instances fail first.
    pub create_failures: u8,
    /// How many starts of instances fail first. The instances stay Created.
    pub start_failures: u8,
    /// How long after each start its liveness probe, if it has one, fails. `None`: it succeeds.
    pub liveness_fails_after: Option<u16>,
}

/// Something that happens to the pod, in seconds since the beginning.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "written out by callers")]
pub struct Upset {
    /// When.
    pub at: u16,
    /// What.
    pub event: PodEvent,
}

/// A pod, the version that looks after it, and what happens to it.
///
/// It prints as the manifest and the command line with which `examples/simulate.rs` shows the same
/// life; what that cannot be told follows in comments.
///
/// ```
/// use podinit::testing::{Life, Script};
///
/// let pod = serde_json::from_value(serde_json::json!({
///     "metadata": {"name": "web"},
///     "spec": {
///         "initContainers": [{"name": "migrate", "image": "db-tools:1"}],
///         "containers": [{"name": "app", "image": "web:1"}],
///     },
/// }))?;
/// let mut life = Life::new(pod);
/// let script = Script { failures: 2, exit_code: 1, lasts: Some(3), ..Script::default() };
/// life.scripts.insert("migrate".into(), script);
/// assert_eq!(life.to_string(), "\
/// {apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {
/// initContainers: [{name: migrate, image: 'db-tools:1'}],
/// containers: [{name: app, image: 'web:1'}]}}
/// ## simulate FILE.yaml --run migrate=3s --fail migrate=1x2 --until 10m --kubernetes 1.36
/// ");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "written out by callers")]
pub struct Life {
    /// The pod.
    pub pod: v1::Pod,
    /// Whose rules hold.
    pub version: KubernetesVersion,
    /// What its containers do, by name.
    pub scripts: BTreeMap<String, Script>,
    /// What happens to it.
    pub upsets: Vec<Upset>,
    /// What goes wrong with calls of the runtime.
    pub faults: FaultPlan,
    /// Where it ends at the latest, in seconds.
    pub until: u16,
}

/// How long an init container lasts, and every run that is told to fail, if nothing else is said.
const DEFAULT_RUN: Duration = Duration::from_secs(5);
/// No probe succeeds earlier.
const EARLIEST_PROBE: Duration = Duration::from_secs(1);

impl Life {
    /// A pod to which nothing happens for ten minutes.
    pub fn new(pod: v1::Pod) -> Self {
        Self {
            pod,
            version: KubernetesVersion::default(),
            scripts: BTreeMap::new(),
            upsets: Vec::new(),
            faults: FaultPlan::none(),
            until: 600,
        }
    }

    /// The pod, compiled with the API's defaults.
    ///
    /// # Errors
    /// If it cannot be compiled.
    pub fn spec(&self) -> Result<PodSpec, SpecError> {
        PodSpec::compile_unchecked(&self.pod, self.version.feature_gates())
    }

    /// The scenario, as `simulate` makes it of its command line.
    pub fn scenario(&self, pod: &PodSpec) -> Scenario {
        let mut scenario = Scenario::default();
        let time = Duration::from_secs(self.until.into());
        scenario.limits = Limits { time, ..scenario.limits };
        for container in pod.containers() {
            let script = self.scripts.get(container.name().as_str()).copied().unwrap_or_default();
            let lasts = script.lasts.map(|seconds| Duration::from_secs(seconds.into()));
            let or_default = lasts.unwrap_or(DEFAULT_RUN);
            let failure = Run::ends(or_default, script.exit_code.into());
            let mut runs: Vec<Run> = (0..script.failures).map(|_| failure.clone()).collect();
            let runs_on = container.kind() != ContainerKind::Init && lasts.is_none();
            runs.push(if runs_on { Run::FOREVER } else { Run::ends(or_default, 0) });
            let script = ContainerScript {
                image_pull_failures: script.image_pull_failures.into(),
                create_failures: script.create_failures.into(),
                start_failures: script.start_failures.into(),
                runs,
                startup_probe: probe(container.startup_probe()),
                readiness_probe: probe(container.readiness_probe()),
                liveness_probe: ProbeScript {
                    fails_after: script
                        .liveness_fails_after
                        .map(|seconds| Duration::from_secs(seconds.into())),
                    ..ProbeScript::default()
                },
                ..ContainerScript::FOREVER
            };
            scenario = scenario.script(container.name().clone(), script);
        }
        for upset in &self.upsets {
            scenario = scenario.event(Duration::from_secs(upset.at.into()), upset.event.clone());
        }
        scenario
    }

    /// Lets a controller look after it, see [`drive`]. The trace knows the pod's requests.
    ///
    /// # Errors
    /// If the pod cannot be compiled.
    pub fn drive(&self, controller: &mut impl Controller) -> Result<Trace, SpecError> {
        let (spec, scenario, trace) = self.begin()?;
        Ok(drive(&spec, &scenario, self.faults.clone(), trace, controller))
    }

    /// Lets an async controller look after it, see [`drive_async`].
    ///
    /// # Errors
    /// If the pod cannot be compiled.
    pub async fn drive_async(
        &self,
        controller: &mut impl AsyncController,
    ) -> Result<Trace, SpecError> {
        let (spec, scenario, trace) = self.begin()?;
        Ok(drive_async(&spec, &scenario, self.faults.clone(), trace, controller).await)
    }

    fn begin(&self) -> Result<(PodSpec, Scenario, Trace), SpecError> {
        let spec = self.spec()?;
        let scenario = self.scenario(&spec);
        let trace = Trace::new(spec.clone()).with_back_off(scenario.settings.crash_loop_back_off);
        // Resources that cannot be read are not checked.
        let trace = match trace.clone().with_requests_of(&self.pod) {
            Ok(trace) => trace,
            Err(_) => trace,
        };
        Ok((spec, scenario, trace))
    }

    /// Lets [`Kubelet`] look after it.
    ///
    /// # Errors
    /// If the pod cannot be compiled.
    pub fn drive_kubelet(&self) -> Result<Trace, SpecError> {
        self.drive(&mut Kubelet::new(Scenario::default().settings))
    }

    /// The arguments of `simulate` behind the file.
    fn arguments(&self) -> String {
        let mut text = String::new();
        for (name, script) in &self.scripts {
            if let Some(seconds) = script.lasts {
                let _ = write!(text, " --run {name}={seconds}s");
            }
            if script.failures > 0 {
                let _ = write!(text, " --fail {name}={}x{}", script.exit_code, script.failures);
            }
            let attempts = [
                ("pull", script.image_pull_failures),
                ("create", script.create_failures),
                ("start", script.start_failures),
            ];
            for (what, failures) in attempts.iter().filter(|(_, failures)| *failures > 0) {
                let _ = write!(text, " --fail-{what} {name}={failures}");
            }
            if let Some(seconds) = script.liveness_fails_after {
                let _ = write!(text, " --fail-liveness {name}={seconds}s");
            }
        }
        for upset in &self.upsets {
            if let Some(option) = option(&upset.event) {
                let _ = write!(text, " {option} {}s", upset.at);
            }
        }
        let until = match self.until {
            seconds if seconds % 60 == 0 => format!("{}m", seconds / 60),
            seconds => format!("{seconds}s"),
        };
        let _ = write!(text, " --until {until} --kubernetes {}", self.version);
        text
    }
}

/// The options of `simulate` for a pod that the kubelet stops.
pub(super) fn evictions() -> [(&'static str, Eviction); 3] {
    [
        ("--evict", Eviction::evicted("The node was low on resource: memory.", Some(1))),
        ("--preempt", Eviction::preempted()),
        ("--shutdown", Eviction::node_shutdown(30)),
    ]
}

/// The option of `simulate` for an event, if it has one.
fn option(event: &PodEvent) -> Option<&'static str> {
    match event {
        PodEvent::PodDeleted { grace_period_seconds: 30 } => Some("--delete"),
        PodEvent::SandboxLost => Some("--reboot"),
        PodEvent::Evicted(eviction) => evictions()
            .into_iter()
            .find_map(|(option, known)| (known == *eviction).then_some(option)),
        _ => None,
    }
}

fn probe(probe: Option<&Probe>) -> ProbeScript {
    let delay = probe.map(|probe| {
        let delay = u64::try_from(probe.initial_delay_seconds).unwrap_or_default();
        Duration::from_secs(delay).max(EARLIEST_PROBE)
    });
    ProbeScript { succeeds_after: delay, fails_after: None }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", manifest(&self.pod))?;
        writeln!(f, "# simulate FILE.yaml{}", self.arguments())?;
        for upset in self.upsets.iter().filter(|upset| option(&upset.event).is_none()) {
            writeln!(f, "# and at {}s: {:?}", upset.at, upset.event)?;
        }
        for (call, fault) in self.faults.faults() {
            writeln!(f, "# and call {call}: {fault:?}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Life {
    /// As it is displayed: that is what a failing property shows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        fmt::Display::fmt(self, f)
    }
}

/// A pod as a manifest of few lines: YAML, one line a list of containers.
pub fn manifest(pod: &v1::Pod) -> String {
    // Serialising a pod does not fail.
    let json = serde_json::to_value(pod).unwrap_or_default();
    let name = json["metadata"]["name"].as_str().unwrap_or("pod").to_owned();
    let mut fields = Vec::new();
    let mut lists = Vec::new();
    for (key, value) in json["spec"].as_object().into_iter().flatten() {
        if value.as_array().is_some_and(Vec::is_empty) {
            continue;
        }
        let text = format!("{key}: {}", flow(value));
        match key.as_str() {
            "initContainers" => lists.insert(0, text),
            "containers" => lists.push(text),
            _ => fields.push(text),
        }
    }
    fields.iter_mut().for_each(|field| field.push_str(", "));
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {}}}, spec: {{{}\n{}}}}}",
        flow(&name.into()),
        fields.concat().trim_end(),
        lists.join(",\n")
    )
}

/// A value in YAML's flow style, the keys of containers in the order in which people write them.
fn flow(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            let first = ["name", "image", "restartPolicy"];
            let place = |key: &str| first.iter().position(|other| *other == key).unwrap_or(3);
            fields.sort_by_key(|(key, _)| place(key));
            let fields: Vec<String> =
                fields.iter().map(|(key, value)| format!("{key}: {}", flow(value))).collect();
            format!("{{{}}}", fields.join(", "))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", "))
        }
        Value::String(text) if is_plain(text) => text.clone(),
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        other => other.to_string(),
    }
}

/// Means the text, unquoted, itself?
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 8] = ["true", "false", "null", "yes", "no", "on", "off", "y"];
    let mut chars = text.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic())
        && chars.all(|other| other.is_ascii_alphanumeric() || "-_/.".contains(other))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
        && text != "n"
}

//! Whole lives of pods, as timelines that a person can check.
//!
//! Each snapshot has three parts: what `kubectl get pods --watch` would show with what the kubelet
//! did at that moment and why, the phase and the conditions as they change, and how it ended. All
//! of it is the API server's copy. The columns are those from before the actions of the same line,
//! since the kubelet writes the status first.

mod deletion;
mod failures;
mod manifests;
mod restarts;
mod sidecars;

use std::fmt;
use std::time::Duration;

use k8s_openapi::api::core::v1;
use podinit::admission::defaults;
use podinit::sim::{ContainerScript, Limits, Run, Scenario, Timeline, View, simulate};
use podinit::status::condition_type;
use podinit::{FeatureGates, KubernetesVersion, PodSpec, PodStatus, kubectl};
use serde_json::{Value, json};

const S: fn(u64) -> Duration = Duration::from_secs;

/// A pod and what became of it.
struct Life {
    manifest: v1::Pod,
    pod: PodSpec,
    timeline: Timeline,
}

/// A pod `web` in the namespace `shop`.
fn web(spec: Value) -> v1::Pod {
    let metadata = json!({"name": "web", "namespace": "shop", "uid": "1"});
    serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
}

/// A container that ends after so many seconds with this exit code, again and again.
fn ends(after: u64, exit_code: i32) -> ContainerScript {
    ContainerScript::runs([Run::ends(S(after), exit_code)])
}

/// A container that fails a number of times, each time after so many seconds, and then runs for
/// five and succeeds.
fn fails(times: usize, after: u64, exit_code: i32) -> ContainerScript {
    let failures = std::iter::repeat_n(Run::ends(S(after), exit_code), times);
    ContainerScript::runs(failures.chain([Run::ends(S(5), 0)]))
}

/// No longer than this.
fn until(scenario: Scenario, seconds: u64) -> Scenario {
    Scenario { limits: Limits { time: S(seconds), ..scenario.limits }, ..scenario }
}

/// What becomes of a pod under the rules of 1.36.
fn life(manifest: v1::Pod, scenario: &Scenario) -> Life {
    life_under(KubernetesVersion::V1_36.feature_gates(), manifest, scenario)
}

/// What becomes of a pod under these gates and the rules of their version.
fn life_under(gates: FeatureGates, mut manifest: v1::Pod, scenario: &Scenario) -> Life {
    defaults::apply(&mut manifest, gates);
    let pod = PodSpec::compile_unchecked(&manifest, gates).unwrap();
    let timeline = simulate(&pod, scenario);
    Life { manifest, pod, timeline }
}

impl Life {
    /// The pod with its last status, as the API server has it.
    fn api_pod(&self) -> v1::Pod {
        let last = self.timeline.steps.last().unwrap();
        v1::Pod { status: Some(v1::PodStatus::from(&last.api_status)), ..self.manifest.clone() }
    }

    /// What `kubectl describe pod` prints at the end.
    fn describe(&self) -> String {
        let now = self.timeline.steps.last().unwrap().now;
        kubectl::describe(&self.api_pod(), Some(self.timeline.events.records()), now)
    }

    /// What `kubectl events` prints at the end.
    fn event_table(&self) -> String {
        let now = self.timeline.steps.last().unwrap().now;
        kubectl::events(self.pod.identity(), self.timeline.events.records(), now)
    }
}

/// A fact in words: `Initialized=False (reason: message)`.
fn fact(name: &str, value: &str, reason: &str, message: &str) -> String {
    match (reason, message) {
        ("", _) => format!("{name}={value}"),
        (reason, "") => format!("{name}={value} ({reason})"),
        (reason, message) => format!("{name}={value} ({reason}: {message})"),
    }
}

/// The phase, and the conditions in which the rules of initialisation show.
fn facts(status: &PodStatus) -> Vec<String> {
    let conditions = [
        condition_type::DISRUPTION_TARGET,
        condition_type::POD_READY_TO_START_CONTAINERS,
        condition_type::INITIALIZED,
        condition_type::READY,
        condition_type::ALL_CONTAINERS_RESTARTING,
    ];
    let mut facts = vec![fact("phase", status.phase.as_str(), &status.reason, &status.message)];
    facts.extend(conditions.iter().filter_map(|name| {
        let condition = status.condition(name)?;
        Some(fact(name, condition.status.as_str(), &condition.reason, &condition.message))
    }));
    facts
}

/// `1m10s`, as in the table.
fn minutes_and_seconds(at: Duration) -> String {
    match (at.as_secs() / 60, at.as_secs() % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.timeline.table(&self.pod, View::Api))?;
        let mut known = Vec::new();
        for step in &self.timeline.steps {
            let facts = facts(&step.api_status);
            let mut at = minutes_and_seconds(step.at);
            for fact in facts.iter().filter(|fact| !known.contains(*fact)) {
                writeln!(f, "{at:<8}{fact}")?;
                at.clear();
            }
            known = facts;
        }
        write!(f, "\nend: {}", self.timeline.end)
    }
}

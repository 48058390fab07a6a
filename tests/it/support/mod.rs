//! Pods, observations and workers made by hand.

pub mod waiting;

use std::time::Duration;

use harness::with;
use k8s_openapi::api::core::v1;
use podinit::admission::defaults;
use podinit::event::Event;
use podinit::observation::{ContainerInstance, Exit, InstanceState, ProbeResult, Sandbox};
use podinit::sim::{ContainerScript, Run, Scenario, SimRuntime};
use podinit::status::{StartFailure, StartFailures, condition_type};
use podinit::{
    ActionContext, FeatureGates, KubernetesVersion, Observation, PodActions, PodSpec, PodStatus,
    PodWorker, StatusInputs, Timestamp, compute_pod_actions, generate_pod_status, kubectl,
    sync_pod,
};
use proptest::test_runner::{Config, FileFailurePersistence};
use serde_json::{Value, json};

/// The instant at which everything here begins.
pub const BEGIN: Timestamp = Timestamp::from_secs(1_767_225_600);

/// So many cases of a property, or as many as `PROPTEST_CASES` says. Failures are not kept in files.
pub fn cases(cases: u32) -> Config {
    let config = Config {
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..Config::default()
    };
    if std::env::var_os("PROPTEST_CASES").is_some() { config } else { Config { cases, ..config } }
}

pub const S: fn(u64) -> Duration = Duration::from_secs;

/// The instant so many seconds after the beginning.
pub fn at(seconds: u64) -> Timestamp {
    BEGIN + S(seconds)
}

/// A pod `web` in the namespace `shop`, defaulted and compiled.
pub fn web(gates: FeatureGates, spec: &Value) -> PodSpec {
    let metadata = json!({"name": "web", "namespace": "shop", "uid": "1"});
    let mut pod: v1::Pod =
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap();
    defaults::apply(&mut pod, gates);
    PodSpec::compile_unchecked(&pod, gates).unwrap()
}

/// The same under the default gates of a version.
pub fn web_in(version: KubernetesVersion, spec: &Value) -> PodSpec {
    web(version.feature_gates(), spec)
}

/// An instance in the sandbox `sandbox`.
pub fn instance(state: InstanceState) -> ContainerInstance {
    let mut instance = ContainerInstance::new("fake://1", "sandbox", state);
    instance.created_at = Some(BEGIN);
    instance.started_at = Some(BEGIN);
    instance
}

pub fn created() -> ContainerInstance {
    instance(InstanceState::Created)
}

pub fn running() -> ContainerInstance {
    instance(InstanceState::Running)
}

pub fn unknown() -> ContainerInstance {
    instance(InstanceState::Unknown)
}

/// Ended in the runtime's own words: `Completed` or `Error`.
pub fn exited(exit_code: i32) -> ContainerInstance {
    exited_because(exit_code, if exit_code == 0 { "Completed" } else { "Error" })
}

pub fn exited_because(exit_code: i32, reason: &str) -> ContainerInstance {
    instance(InstanceState::Exited(with!(Exit {
        exit_code,
        reason: reason.into(),
        finished_at: Some(BEGIN),
        ..Exit::default()
    })))
}

pub fn with_startup_probe(result: ProbeResult) -> ContainerInstance {
    with!(ContainerInstance { startup_probe: Some(result), ..running() })
}

/// Which restart it was.
pub fn restarted(times: u32, instance: ContainerInstance) -> ContainerInstance {
    with!(ContainerInstance { restart_count: times, ..instance })
}

/// In the sandbox before the one that is ready now.
pub fn in_earlier_sandbox(instance: ContainerInstance) -> ContainerInstance {
    with!(ContainerInstance { sandbox_id: "earlier".into(), ..instance })
}

/// What is observed in one ready sandbox: the newest instance of each container named.
pub fn observed(pod: &PodSpec, instances: &[(&str, ContainerInstance)]) -> Observation {
    let mut observation = Observation::new();
    observation.push_sandbox(with!(Sandbox {
        id: "sandbox".into(),
        ready: true,
        attempt: 0,
        has_ip: true,
        host_network: false,
        ..Sandbox::default()
    }));
    for (name, instance) in instances {
        observation.push_named(pod, name, instance.clone());
    }
    observation
}

/// The same in a sandbox that is no longer ready.
pub fn observed_after_loss(pod: &PodSpec, instances: &[(&str, ContainerInstance)]) -> Observation {
    let mut observation = Observation::new();
    observation.push_sandbox(with!(Sandbox {
        id: "sandbox".into(),
        ready: false,
        attempt: 0,
        has_ip: true,
        host_network: false,
        ..Sandbox::default()
    }));
    for (name, instance) in instances {
        observation.push_named(pod, name, instance.clone());
    }
    observation
}

/// What a status is made from, beside the pod and the observation.
#[derive(Default)]
pub struct Before {
    pub status: PodStatus,
    pub start_failures: StartFailures,
    pub deletion_requested: bool,
    pub pod_is_terminal: bool,
    pub kubelet_started_at: Option<Timestamp>,
}

impl Before {
    /// The last attempt to start a container was held back.
    pub fn in_back_off(pod: &PodSpec, name: &str) -> Self {
        Self::start_failed(pod, name, "CrashLoopBackOff")
    }

    pub fn start_failed(pod: &PodSpec, name: &str, reason: &str) -> Self {
        let mut start_failures = StartFailures::default();
        let failure = StartFailure { reason: reason.into(), message: "in words".into() };
        start_failures.insert(pod.find(name).unwrap(), failure);
        Self { start_failures, ..Self::default() }
    }
}

/// The status that the kubelet makes of it.
pub fn status(pod: &PodSpec, observation: &Observation, before: &Before) -> PodStatus {
    let inputs = with!(StatusInputs {
        deletion_requested: before.deletion_requested,
        pod_is_terminal: before.pod_is_terminal,
        kubelet_started_at: before.kubelet_started_at,
        ..StatusInputs::new(pod, observation, &before.status, &before.start_failures)
    });
    generate_pod_status(&inputs, None)
}

/// A condition in one line: `False ContainersNotInitialized containers with …`.
pub fn condition(status: &PodStatus, kind: &str) -> String {
    status.condition(kind).map_or_else(
        || "absent".to_owned(),
        |condition| {
            format!("{} {} {}", condition.status.as_str(), condition.reason, condition.message)
                .trim_end()
                .to_owned()
        },
    )
}

pub fn initialized(status: &PodStatus) -> String {
    condition(status, condition_type::INITIALIZED)
}

/// What `kubectl get pods` prints, 30 s after the beginning.
pub fn columns(pod: &PodSpec, status: &PodStatus) -> String {
    kubectl::columns(pod, status, None, at(30)).to_string()
}

/// Phase, condition Initialized, columns: a row of a table of consequences.
pub fn row(pod: &PodSpec, status: &PodStatus) -> [String; 3] {
    [status.phase.to_string(), initialized(status), columns(pod, status)]
}

/// A decision in words: `kill pod`, `create sandbox`, `kill NAME`, `start NAME`, in this order.
pub fn decided(pod: &PodSpec, actions: &PodActions) -> Vec<String> {
    let name = |index| pod.container(index).name();
    let mut words = Vec::new();
    words.extend(actions.kill_pod.map(|_| "kill pod".to_owned()));
    words.extend(actions.create_sandbox.then(|| "create sandbox".to_owned()));
    words.extend(actions.containers_to_kill.iter().map(|k| format!("kill {}", name(k.container))));
    words.extend(actions.init_starts().map(|start| format!("start {}", name(start.container))));
    let apps = actions.containers_to_start.iter();
    words.extend(apps.map(|start| format!("start {}", name(start.container))));
    words
}

/// What is decided in a ready sandbox.
pub fn decide(pod: &PodSpec, instances: &[(&str, ContainerInstance)]) -> Vec<String> {
    let observation = observed(pod, instances);
    decided(pod, &compute_pod_actions(pod, &observation, ActionContext::default()))
}

/// A container that ends after so many seconds with this exit code, again and again.
pub fn ends(after: u64, exit_code: i32) -> ContainerScript {
    ContainerScript::runs([Run::ends(S(after), exit_code)])
}

/// A worker and the runtime that it works with, on a clock moved by hand.
pub struct Node {
    pub worker: PodWorker,
    pub runtime: SimRuntime,
    pub events: Vec<Event>,
}

impl Node {
    pub fn new(pod: &PodSpec, scenario: &Scenario) -> Self {
        Self {
            worker: PodWorker::new(scenario.settings),
            runtime: SimRuntime::new(pod, scenario),
            events: Vec::new(),
        }
    }

    /// Moves the clock and syncs once.
    pub fn sync(&mut self, pod: &PodSpec, seconds: u64) -> &mut Self {
        self.runtime.advance_to(at(seconds));
        sync_pod(&mut self.worker, pod, &mut self.runtime).unwrap();
        self.events.extend(self.worker.events().iter().cloned());
        self
    }

    /// The texts of the events with this reason.
    pub fn events(&self, reason: &str) -> Vec<&str> {
        let events = self.events.iter().filter(|event| event.reason == reason);
        events.map(|event| event.message.as_str()).collect()
    }
}

//! Statuses: rules that the recorded cases do not single out.

use harness::with;
use podinit::KubernetesVersion::{self, *};
use podinit::observation::ContainerInstance;
use podinit::status::{
    ConditionStatus, ContainerState, ContainerStateTerminated, ContainerStatus, PhaseContext,
    PodCondition, StartFailure, StartFailures, condition_type, init_container_statuses,
    pod_conditions,
};
use podinit::version::KnownBug;
use podinit::{
    Feature, FeatureGates, Observation, PodPhase, PodSpec, PodStatus, StatusInputs, Timestamp,
    pod_phase,
};
use serde_json::{Value, json};

use crate::support::{
    BEGIN, Before, at, condition, exited, in_earlier_sandbox, observed, running, status, web,
    web_in,
};

fn container(name: &str) -> Value {
    json!({"name": name, "image": "i:1"})
}

/// A restartable init container that must pass a startup probe.
fn sidecar() -> Value {
    json!({"name": "s", "image": "s:1", "restartPolicy": "Always",
           "startupProbe": {"httpGet": {"port": 80}}})
}

fn pod_of(gates: FeatureGates, init: &[Value]) -> PodSpec {
    web(gates, &json!({"initContainers": init, "containers": [container("a")]}))
}

fn inputs<'a>(
    pod: &'a PodSpec,
    observation: &'a Observation,
    before: &'a Before,
    api: &'a PodStatus,
) -> StatusInputs<'a> {
    with!(StatusInputs {
        api,
        ..StatusInputs::new(pod, observation, &before.status, &before.start_failures)
    })
}

fn container_status(name: &str, state: ContainerState) -> ContainerStatus {
    with!(ContainerStatus { name: name.into(), state, ..ContainerStatus::default() })
}

#[test]
fn an_ephemeral_container_has_a_status_of_its_own() {
    let spec = json!({"containers": [container("a")], "ephemeralContainers": [container("debug")]});
    let pod = web_in(V1_36, &spec);
    let observation = observed(&pod, &[("a", running()), ("debug", running())]);
    let status = status(&pod, &observation, &Before::default());
    assert_eq!(status.ephemeral_container_statuses.len(), 1);
    let debug = &status.ephemeral_container_statuses[0];
    assert_eq!(
        (debug.name.as_str(), &debug.state),
        ("debug", &ContainerState::running(Some(BEGIN)))
    );
}

#[test]
fn the_start_time_of_the_pod_stays() {
    let pod = pod_of(FeatureGates::default(), &[]);
    let start = |start_time| {
        let earlier = with!(PodStatus { start_time, ..PodStatus::default() });
        let before = Before { status: earlier, ..Before::default() };
        status(&pod, &Observation::new(), &before).start_time
    };
    assert_eq!([start(None), start(Some(BEGIN))], [None, Some(BEGIN)]);
}

#[test]
fn the_transition_time_of_a_condition_is_that_of_its_last_change_of_status() {
    let with = |holds: bool, reason: &str, time: Option<Timestamp>| {
        let mut condition = PodCondition::new(condition_type::READY, holds);
        condition.reason = reason.into();
        condition.last_transition_time = time;
        with!(PodStatus { conditions: vec![condition], ..PodStatus::default() })
    };
    let now = at(60) + std::time::Duration::from_millis(999);
    let time_after = |earlier: &PodStatus| {
        let mut status = with(true, "new", None);
        status.set_transition_times(earlier, now);
        status.conditions[0].last_transition_time
    };
    assert_eq!(time_after(&with(true, "old", Some(BEGIN))), Some(BEGIN), "another reason is none");
    assert_eq!(time_after(&with(false, "new", Some(BEGIN))), Some(at(60)), "in whole seconds");
    assert_eq!(time_after(&PodStatus::default()), Some(at(60)), "a new condition");
}

#[test]
fn a_disruption_is_carried_over_once_and_leaves_foreign_conditions_alone() {
    let pod = pod_of(FeatureGates::default(), &[]);
    let disruption = |reason: &str| {
        with!(PodCondition {
            reason: reason.into(),
            ..PodCondition::new(condition_type::DISRUPTION_TARGET, true)
        })
    };
    let foreign = PodCondition::new("example.com/foreign", false);
    let earlier = with!(PodStatus { conditions: vec![disruption("own")], ..PodStatus::default() });
    let before = Before { status: earlier, ..Before::default() };
    let observation = Observation::new();
    for held in [vec![foreign.clone()], vec![foreign.clone(), disruption("of the API")]] {
        let api = with!(PodStatus { conditions: held, ..PodStatus::default() });
        let status = PodStatus::default();
        let conditions = pod_conditions(&inputs(&pod, &observation, &before, &api), &status);
        assert_eq!(conditions[..2], [foreign.clone(), disruption("own")]);
        let kinds = conditions.iter().map(|condition| condition.condition_type.as_str());
        assert_eq!(kinds.filter(|kind| *kind == condition_type::DISRUPTION_TARGET).count(), 1);
    }
}

#[test]
fn a_condition_names_containers_without_status_before_those_that_are_not_there_yet() {
    let pod = pod_of(FeatureGates::default(), &[container("i1"), container("i2"), container("i3")]);
    let ready = with!(ContainerStatus {
        ready: true,
        ..container_status("i2", ContainerState::terminated(ContainerStateTerminated::default()))
    });
    let waiting = container_status("i3", ContainerState::waiting("PodInitializing", ""));
    let (observation, before) = (Observation::new(), Before::default());
    let initialized = |init: &[&ContainerStatus]| {
        let mut status = with!(PodStatus {
            init_container_statuses: init.iter().copied().cloned().collect(),
            ..PodStatus::default()
        });
        let inputs = inputs(&pod, &observation, &before, &before.status);
        status.conditions = pod_conditions(&inputs, &status);
        condition(&status, condition_type::INITIALIZED)
    };
    let not = |message: &str| format!("False ContainersNotInitialized {message}");
    assert_eq!(initialized(&[]), not("containers with unknown status: [i1 i2 i3]"));
    assert_eq!(
        initialized(&[&ready, &waiting]),
        not("containers with unknown status: [i1], containers with incomplete status: [i3]")
    );
    let incomplete = container_status("i1", ContainerState::default());
    assert_eq!(
        initialized(&[&incomplete, &ready, &waiting]),
        not("containers with incomplete status: [i1 i3]")
    );
}

#[test]
fn a_container_state_is_empty_if_nothing_is_set() {
    assert!(ContainerState::default().is_empty());
    assert!(!ContainerState::waiting("PodInitializing", "").is_empty());
    assert!(!ContainerState::running(None).is_empty());
    assert!(!ContainerState::terminated(ContainerStateTerminated::default()).is_empty());
}

#[test]
fn start_failures_are_kept_by_container_until_they_are_forgotten() {
    let pod = pod_of(FeatureGates::default(), &[container("i1")]);
    let [i1, a] = ["i1", "a"].map(|name| pod.find(name).unwrap());
    let failure = |reason: &str| StartFailure { reason: reason.into(), message: "".into() };
    let mut failures = StartFailures::default();
    failures.insert(i1, failure("ErrImagePull"));
    failures.insert(a, failure("CreateContainerError"));
    failures.insert(i1, failure("CrashLoopBackOff"));
    assert_eq!(failures.get(i1), Some(&failure("CrashLoopBackOff")));
    failures.remove(i1);
    assert_eq!([failures.get(i1), failures.get(a)], [None, Some(&failure("CreateContainerError"))]);
    failures.insert(i1, failure("ErrImagePull"));
    failures.clear();
    assert_eq!([failures.get(i1), failures.get(a)], [None, None]);
}

/// What the phase sees of `started` where the record before says that the sidecar has started.
fn started(gates: FeatureGates, id_before: &str) -> Option<bool> {
    let pod = pod_of(gates, &[sidecar()]);
    let earlier = with!(ContainerStatus {
        container_id: id_before.into(),
        started: Some(true),
        ..container_status("s", ContainerState::running(Some(BEGIN)))
    });
    let earlier =
        with!(PodStatus { init_container_statuses: vec![earlier], ..PodStatus::default() });
    let before = Before { status: earlier, ..Before::default() };
    let observation = observed(&pod, &[("s", running())]);
    let inputs = inputs(&pod, &observation, &before, &before.status);
    init_container_statuses(&inputs)[0].started
}

#[test]
fn started_is_kept_since_1_35_by_a_new_instance_only_where_that_bug_is() {
    let same = running().id;
    for version in [V1_33, V1_34] {
        let gates = version.feature_gates();
        assert_eq!([started(gates, &same), started(gates, "fake://0")], [None; 2], "{version}");
    }
    for version in [V1_35, V1_36] {
        let mut gates = version.feature_gates();
        assert_eq!([started(gates, &same), started(gates, "fake://0")], [Some(true); 2]);
        gates.set_bug(KnownBug::StartedKeptForNewInstance, false);
        assert_eq!([started(gates, &same), started(gates, "fake://0")], [Some(true), None]);
        gates.set(Feature::ChangeContainerStatusOnKubeletRestart, true).unwrap();
        assert_eq!([started(gates, &same), started(gates, "fake://0")], [None; 2]);
    }
}

/// The phase while the app waits for its back-off.
fn phase_in_back_off(
    version: KubernetesVersion,
    init: &[Value],
    instances: &[(&str, ContainerInstance)],
) -> PodPhase {
    let pod = pod_of(version.feature_gates(), init);
    status(&pod, &observed(&pod, instances), &Before::in_back_off(&pod, "a")).phase
}

#[test]
fn a_pod_whose_app_waits_is_pending_while_its_init_containers_run_again() {
    for version in [V1_28, V1_29, V1_30, V1_31, V1_32, V1_33, V1_34, V1_35, V1_36] {
        let instances = [("i1", running()), ("a", in_earlier_sandbox(exited(1)))];
        let phase = phase_in_back_off(version, &[container("i1")], &instances);
        assert_eq!(phase, PodPhase::Pending, "{version}");
        let instances = [("i1", exited(0)), ("a", exited(1))];
        let phase = phase_in_back_off(version, &[container("i1")], &instances);
        assert_eq!(phase, PodPhase::Running, "{version}");
    }
}

#[test]
fn a_pod_of_which_nothing_has_run_is_pending() {
    // No apiserver accepts a pod without app containers.
    let pod = web(FeatureGates::default(), &json!({"containers": []}));
    for pod_is_terminal in [false, true] {
        let context = with!(PhaseContext { pod_is_terminal, ..PhaseContext::default() });
        assert_eq!(pod_phase(&pod, &[], &[], context), PodPhase::Pending);
    }
}

#[test]
fn a_sidecar_that_waits_or_is_not_known_keeps_the_pod_pending() {
    let pod = pod_of(FeatureGates::default(), &[sidecar()]);
    let app = container_status("a", ContainerState::running(None));
    let phase = |state: ContainerState, started: Option<bool>| {
        let sidecar = with!(ContainerStatus { started, ..container_status("s", state) });
        let context = with!(PhaseContext { pod_has_initialized: true, ..PhaseContext::default() });
        pod_phase(&pod, &[sidecar], std::slice::from_ref(&app), context)
    };
    assert_eq!(phase(ContainerState::waiting("PodInitializing", ""), None), PodPhase::Pending);
    assert_eq!(phase(ContainerState::default(), None), PodPhase::Pending);
    // Once the pod has initialised, a sidecar that starts again does not set it back.
    assert_eq!(phase(ContainerState::running(None), Some(false)), PodPhase::Running);
    let ended = ContainerState::terminated(ContainerStateTerminated::default());
    assert_eq!(phase(ended, None), PodPhase::Running);
}

#[test]
fn words_of_the_api_are_those_of_the_api() {
    let statuses = [ConditionStatus::True, ConditionStatus::False, ConditionStatus::Unknown];
    assert_eq!(statuses.map(ConditionStatus::as_str), ["True", "False", "Unknown"]);
    assert_eq!(
        [true, false].map(ConditionStatus::from).map(ConditionStatus::as_str),
        ["True", "False"]
    );
    let phases = [
        (PodPhase::Pending, "Pending", false),
        (PodPhase::Running, "Running", false),
        (PodPhase::Succeeded, "Succeeded", true),
        (PodPhase::Failed, "Failed", true),
        (PodPhase::Unknown, "Unknown", false),
    ];
    for (phase, word, terminal) in phases {
        assert_eq!((phase.as_str(), phase.is_terminal()), (word, terminal));
    }
}

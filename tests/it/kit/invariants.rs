//! Each invariant fires on a planted fault, and on nothing else in the same life.

use std::time::Duration;

use harness::with;
use k8s_openapi::api::core::v1;
use podinit::status::{
    ConditionStatus, ContainerState, ContainerStateTerminated, ContainerStatus, PodCondition,
    condition_type,
};
use podinit::testing::{Fact, Invariant, StopScope, Trace, Violation, check};
use podinit::{PodPhase, PodSpec, PodStatus, Timestamp};
use serde_json::json;

/// A hand-written trace of a pod with init container `init`, restartable init containers `first`
/// and `second`, and app container `app`.
struct Story {
    trace: Trace,
    now: Timestamp,
}

fn pod(policy: &str) -> v1::Pod {
    let requests = |cpu: &str| json!({"requests": {"cpu": cpu}});
    serde_json::from_value(json!({"metadata": {"name": "pod"}, "spec": {
        "restartPolicy": policy,
        "initContainers": [
            {"name": "init", "image": "i", "resources": requests("2")},
            {"name": "first", "image": "i", "restartPolicy": "Always"},
            {"name": "second", "image": "i", "restartPolicy": "Always"},
        ],
        "containers": [{"name": "app", "image": "i", "resources": requests("1")}],
    }}))
    .unwrap()
}

impl Story {
    fn of(pod: &v1::Pod) -> Self {
        let spec = PodSpec::compile_unchecked(pod, Default::default()).unwrap();
        let trace = Trace::new(spec).with_requests_of(pod).unwrap();
        Self { trace, now: Timestamp::from_secs(1_000) }
    }

    /// The pod is in its sandbox `s`.
    fn in_sandbox(policy: &str) -> Self {
        Self::of(&pod(policy)).then(Fact::SandboxStarted { id: "s".into() })
    }

    /// Init and sidecars have done their part.
    fn initialized(policy: &str) -> Self {
        Self::in_sandbox(policy).runs("init").ends("init", 0).runs("first").runs("second")
    }

    fn then(mut self, fact: Fact) -> Self {
        self.trace.push(self.now, fact);
        self
    }

    fn after(mut self, seconds: u64) -> Self {
        self.now += Duration::from_secs(seconds);
        self
    }

    /// The next instance of a container, by how many there were.
    fn nth(&self, name: &str) -> u32 {
        let container = self.trace.pod().find(name).unwrap();
        let of_it = |fact: &Fact| matches!(fact, Fact::ContainerStarted { container: c, .. } if *c == container);
        self.trace.entries().iter().filter(|entry| of_it(&entry.fact)).count() as u32
    }

    fn runs(self, name: &str) -> Self {
        self.runs_in(name, "s")
    }

    fn runs_in(self, name: &str, sandbox: &str) -> Self {
        let (container, nth) = (self.trace.pod().find(name).unwrap(), self.nth(name));
        self.then(Fact::ContainerStarted {
            container,
            id: format!("{name}-{nth}").into(),
            sandbox_id: sandbox.into(),
            restart_count: nth,
        })
    }

    fn ends(self, name: &str, exit_code: i32) -> Self {
        let (container, nth) = (self.trace.pod().find(name).unwrap(), self.nth(name) - 1);
        let finished_at = self.now;
        self.then(Fact::ContainerExited {
            container,
            id: format!("{name}-{nth}").into(),
            exit_code,
            reason: "Error".into(),
            finished_at,
        })
    }

    /// Its newest instance is gone.
    fn removed(self, name: &str) -> Self {
        let (container, nth) = (self.trace.pod().find(name).unwrap(), self.nth(name) - 1);
        let id = format!("{name}-{nth}").into();
        self.then(Fact::ContainerRemoved { container, id })
    }

    fn asked_to_stop(self, name: &str) -> Self {
        let (container, nth) = (self.trace.pod().find(name).unwrap(), self.nth(name) - 1);
        let id = format!("{name}-{nth}").into();
        self.then(Fact::StopRequested { container, id, scope: StopScope::Pod })
    }

    fn shows(self, status: PodStatus) -> Self {
        self.then(Fact::StatusWritten(Box::new(status)))
    }

    /// Nothing is wrong so far.
    #[track_caller]
    fn keeps_the_rules(self) -> Self {
        assert_eq!(check(&self.trace), Ok(()));
        self
    }

    /// The last fact breaks this rule and no other.
    #[track_caller]
    fn breaks(self, invariant: Invariant, message: &str) {
        let last = self.trace.entries().len() - 1;
        let expected = Violation { invariant, at: self.now, entry: last, message: message.into() };
        assert_eq!(invariant.check(&self.trace), Err(expected));
        for other in Invariant::ALL.iter().filter(|other| **other != invariant) {
            assert_eq!(other.check(&self.trace), Ok(()));
        }
    }
}

fn status(phase: PodPhase) -> PodStatus {
    let condition = |name, holds: bool| PodCondition::new(name, holds);
    with!(PodStatus {
        phase,
        conditions: vec![
            condition(condition_type::INITIALIZED, phase == PodPhase::Running),
            condition(condition_type::READY, false),
            condition(condition_type::CONTAINERS_READY, false),
        ],
        ..PodStatus::default()
    })
}

fn app(state: ContainerState) -> ContainerStatus {
    let container_id = "app-0".into();
    with!(ContainerStatus { name: "app".into(), state, container_id, ..ContainerStatus::default() })
}

fn running_status() -> PodStatus {
    let app = app(ContainerState::running(None));
    with!(PodStatus { container_statuses: vec![app], ..status(PodPhase::Running) })
}

fn set(status: &mut PodStatus, condition: &str, holds: bool) {
    let found = status.conditions.iter_mut().find(|c| c.condition_type == condition);
    found.unwrap().status = ConditionStatus::from(holds);
}

#[test]
fn one_running_instance_fires_on_a_second_start() {
    Story::initialized("Always").runs("app").keeps_the_rules().runs("app").breaks(
        Invariant::OneRunningInstance,
        "container app was started while its instance app-0 is running",
    );
}

#[test]
fn one_ready_sandbox_fires_on_a_second_sandbox() {
    Story::in_sandbox("Always")
        .keeps_the_rules()
        .then(Fact::SandboxStarted { id: "t".into() })
        .breaks(Invariant::OneReadySandbox, "sandbox t was started while sandbox s is ready");
}

#[test]
fn starts_in_ready_sandbox_fires_on_a_start_in_a_lost_one() {
    Story::in_sandbox("Always")
        .then(Fact::SandboxEnded { id: "s".into() })
        .keeps_the_rules()
        .runs("init")
        .breaks(
            Invariant::StartsInReadySandbox,
            "container init was started in sandbox s, which is not ready",
        );
}

#[test]
fn init_containers_in_order_fires_on_one_that_starts_early() {
    Story::in_sandbox("Always").runs("init").keeps_the_rules().runs("first").breaks(
        Invariant::InitContainersInOrder,
        "init container first was started before init container init has succeeded in sandbox s",
    );
}

#[test]
fn init_containers_run_again_in_a_new_sandbox() {
    Story::initialized("Always")
        .ends("first", 137)
        .ends("second", 137)
        .then(Fact::SandboxEnded { id: "s".into() })
        .then(Fact::SandboxStarted { id: "t".into() })
        .keeps_the_rules()
        .runs_in("second", "t")
        .breaks(
            Invariant::InitContainersInOrder,
            "init container second was started before init container init has succeeded in \
             sandbox t",
        );
}

/// After a restart in place nothing is left; after a loss in a pod that has just begun anew, too.
#[test]
fn a_lost_sidecar_is_not_taken_for_a_restart_in_place() {
    let pod: v1::Pod = serde_json::from_value(json!({"metadata": {"name": "pod"}, "spec": {
        "initContainers": [
            {"name": "first", "image": "i", "restartPolicy": "Always"},
            {"name": "init", "image": "i"},
        ],
        "containers": [{"name": "app", "image": "i", "restartPolicy": "Never",
            "restartPolicyRules": [{"action": "RestartAllContainers",
                "exitCodes": {"operator": "In", "values": [1]}}]}],
    }}))
    .unwrap();
    let restarted = || {
        let story = Story::of(&pod).then(Fact::SandboxStarted { id: "s".into() });
        let story = story.runs("first").runs("init").ends("init", 0).runs("app").ends("app", 1);
        story.ends("first", 137).removed("first").removed("init").removed("app")
    };
    restarted().keeps_the_rules().runs("init").breaks(
        Invariant::InitContainersInOrder,
        "init container init was started before init container first has started in sandbox s",
    );
    let lost = restarted().runs("first").ends("first", 137).removed("first");
    // It was running when this was decided.
    lost.runs("init").keeps_the_rules();
}

#[test]
fn apps_after_init_fires_while_a_sidecar_has_not_started() {
    Story::in_sandbox("Always")
        .runs("init")
        .ends("init", 0)
        .runs("first")
        .keeps_the_rules()
        .runs("app")
        .breaks(
            Invariant::AppsAfterInit,
            "app container app was started before init container second has started in sandbox s",
        );
}

#[test]
fn sidecars_stop_last_fires_on_one_that_stops_before_the_app() {
    Story::initialized("Always").runs("app").keeps_the_rules().asked_to_stop("second").breaks(
        Invariant::SidecarsStopLast,
        "restartable init container second was asked to stop before container app was",
    );
}

#[test]
fn sidecars_stop_last_fires_on_the_wrong_order_of_sidecars() {
    Story::initialized("Always")
        .runs("app")
        .asked_to_stop("app")
        .keeps_the_rules()
        .asked_to_stop("first")
        .breaks(
            Invariant::SidecarsStopLast,
            "restartable init container first was asked to stop before container second was",
        );
}

#[test]
fn restarts_by_policy_fires_on_a_restart_after_success() {
    Story::initialized("OnFailure")
        .runs("app")
        .ends("app", 0)
        .keeps_the_rules()
        .runs("app")
        .breaks(
            Invariant::RestartsByPolicy,
            "container app was started again after app-0 has exited with 0, which neither rule nor \
         policy restarts",
        );
}

#[test]
fn back_off_never_early_fires_on_the_second_restart_before_its_ten_seconds() {
    let crashed_twice = || {
        Story::initialized("Always").runs("app").ends("app", 1).runs("app").after(3).ends("app", 1)
    };
    crashed_twice().after(10).runs("app").keeps_the_rules();
    crashed_twice().after(9).keeps_the_rules().runs("app").breaks(
        Invariant::BackOffNeverEarly,
        "container app was started 9s after its end, and is held back for 10s",
    );
    crashed_twice().then(Fact::MemoryLost).runs("app").keeps_the_rules();
}

#[test]
fn nothing_starts_after_the_end_fires_after_a_deletion() {
    Story::initialized("Always")
        .then(Fact::DeletionRequested)
        .keeps_the_rules()
        .runs("app")
        .breaks(
            Invariant::NothingStartsAfterTheEnd,
            "container app was started although the pod is to be deleted",
        );
}

#[test]
fn nothing_starts_after_the_end_fires_after_an_eviction_unless_it_was_forgotten() {
    let evicted = || Story::initialized("Always").then(Fact::Evicted);
    evicted().keeps_the_rules().runs("app").breaks(
        Invariant::NothingStartsAfterTheEnd,
        "container app was started although the pod is evicted",
    );
    evicted().then(Fact::MemoryLost).runs("app").keeps_the_rules();
}

#[test]
fn nothing_starts_after_the_end_fires_in_a_terminal_phase() {
    Story::of(&pod("Never"))
        .shows(status(PodPhase::Failed))
        .keeps_the_rules()
        .then(Fact::SandboxStarted { id: "s".into() })
        .breaks(
            Invariant::NothingStartsAfterTheEnd,
            "sandbox s was started although the pod's phase is Failed",
        );
}

#[test]
fn phase_goes_forward_fires_on_pending_after_running() {
    let running = || Story::initialized("Always").runs("app").shows(running_status());
    running()
        .keeps_the_rules()
        .shows(status(PodPhase::Pending))
        .breaks(Invariant::PhaseGoesForward, "the phase went from Running to Pending");
    running()
        .then(Fact::SandboxEnded { id: "s".into() })
        .shows(status(PodPhase::Pending))
        .keeps_the_rules();
}

/// The status keeps the last end of a lost container; up to 1.35 not once a new one is made.
#[test]
fn phase_goes_forward_fires_after_the_loss_of_an_app_container_since_1_36() {
    use podinit::KubernetesVersion;
    let alone = v1::Pod {
        spec: Some(v1::PodSpec { init_containers: None, ..pod("Always").spec.unwrap() }),
        ..pod("Always")
    };
    let lost = |version: KubernetesVersion| {
        let spec = PodSpec::compile_unchecked(&alone, version.feature_gates()).unwrap();
        let story = Story { trace: Trace::new(spec), now: Timestamp::from_secs(1_000) };
        let story = story.then(Fact::SandboxStarted { id: "s".into() }).runs("app");
        story.shows(running_status()).ends("app", 137).removed("app")
    };
    lost(KubernetesVersion::V1_36)
        .keeps_the_rules()
        .shows(status(PodPhase::Pending))
        .breaks(Invariant::PhaseGoesForward, "the phase went from Running to Pending");
    lost(KubernetesVersion::V1_35).shows(status(PodPhase::Pending)).keeps_the_rules();
}

/// Up to 1.32 a pod with restartable init containers is Pending while its app containers wait.
#[test]
fn phase_goes_forward_fires_up_to_1_32_in_pods_without_restartable_init_containers() {
    use podinit::KubernetesVersion;
    let back_to_pending = |pod: &v1::Pod| {
        let gates = KubernetesVersion::V1_32.feature_gates();
        let spec = PodSpec::compile_unchecked(pod, gates).unwrap();
        let story = Story { trace: Trace::new(spec), now: Timestamp::from_secs(1_000) };
        let story = story.then(Fact::SandboxStarted { id: "s".into() }).runs("init");
        let has_sidecars = pod.spec.as_ref().unwrap().init_containers.as_ref().unwrap().len() > 1;
        let story = story.ends("init", 0);
        let story = if has_sidecars { story.runs("first").runs("second") } else { story };
        story.runs("app").shows(running_status()).ends("app", 1).shows(status(PodPhase::Pending))
    };
    let with = pod("Always");
    back_to_pending(&with).keeps_the_rules();
    let mut without = with;
    without.spec.as_mut().unwrap().init_containers.as_mut().unwrap().truncate(1);
    back_to_pending(&without)
        .breaks(Invariant::PhaseGoesForward, "the phase went from Running to Pending");
}

#[test]
fn phase_fits_containers_fires_on_success_while_a_container_runs() {
    let succeeded = with!(PodStatus { phase: PodPhase::Succeeded, ..running_status() });
    Story::initialized("Never").runs("app").keeps_the_rules().shows(succeeded).breaks(
        Invariant::PhaseFitsContainers,
        "container app is shown running in phase Succeeded",
    );
}

#[test]
fn phase_fits_containers_fires_on_running_before_anything_has_run() {
    let waiting = app(ContainerState::waiting("PodInitializing", ""));
    let early = with!(PodStatus { container_statuses: vec![waiting], ..status(PodPhase::Running) });
    Story::in_sandbox("Never").keeps_the_rules().shows(early).breaks(
        Invariant::PhaseFitsContainers,
        "no container is shown to have run in phase Running",
    );
}

#[test]
fn conditions_agree_fires_on_each_disagreement() {
    type Fault = fn(&mut PodStatus);
    let cases: [(Fault, &str); 4] = [
        (
            |status| set(status, condition_type::READY, true),
            "Ready is True and ContainersReady is not",
        ),
        (
            |status| set(status, condition_type::CONTAINERS_READY, true),
            "ContainersReady is True and container app is not ready",
        ),
        (
            |status| set(status, condition_type::INITIALIZED, false),
            "an app container runs and Initialized is not True",
        ),
        (
            |status| status.container_statuses[0].ready = true,
            "container app is ready and has not started",
        ),
    ];
    for (fault, message) in cases {
        let mut planted = running_status();
        fault(&mut planted);
        let story = Story::initialized("Always").runs("app").shows(running_status());
        story.keeps_the_rules().shows(planted).breaks(Invariant::ConditionsAgree, message);
    }
    let mut failed = status(PodPhase::Failed);
    set(&mut failed, condition_type::CONTAINERS_READY, true);
    let message = "ContainersReady is True in phase Failed";
    Story::in_sandbox("Never").shows(failed).breaks(Invariant::ConditionsAgree, message);
}

#[test]
fn restart_counts_grow_fires_on_a_count_that_is_used_again() {
    let story = Story::initialized("Always").runs("app").ends("app", 1).keeps_the_rules();
    let container = story.trace.pod().find("app").unwrap();
    let (id, sandbox_id) = ("again".into(), "s".into());
    story
        .then(Fact::ContainerStarted { container, id, sandbox_id, restart_count: 0 })
        .breaks(Invariant::RestartCountsGrow, "container app has restart count 0 after 0");
}

#[test]
fn restart_counts_grow_fires_on_a_status_that_counts_down() {
    let counted = |restart_count| {
        let ended = ContainerState::terminated(ContainerStateTerminated::default());
        let app = with!(ContainerStatus { restart_count, ..app(ended) });
        with!(PodStatus { container_statuses: vec![app], ..status(PodPhase::Running) })
    };
    Story::in_sandbox("Always")
        .shows(counted(2))
        .keeps_the_rules()
        .shows(counted(1))
        .breaks(Invariant::RestartCountsGrow, "restartCount of app went from 2 to 1");
}

#[test]
fn status_names_real_instances_fires_on_an_id_that_never_was() {
    Story::initialized("Always").keeps_the_rules().shows(running_status()).breaks(
        Invariant::StatusNamesRealInstances,
        "container app is shown running as app-0, which never was",
    );
}

#[test]
fn requests_cover_use_fires_on_more_than_was_reserved() {
    // The pod reserves 2 CPUs: for its init container, or for its app container and sidecars.
    let mut greedy = pod("Always");
    let spec = greedy.spec.as_mut().unwrap();
    spec.containers.push(v1::Container { name: "other".into(), ..v1::Container::default() });
    let story = Story::of(&greedy).then(Fact::SandboxStarted { id: "s".into() });
    let story = story.runs("init").keeps_the_rules();
    let message = "with container app the pod uses 3 cpu of 2 reserved";
    let story = story.runs("app");
    let found = Invariant::RequestsCoverUse.check(&story.trace).unwrap_err();
    assert_eq!(found.message, message);
}

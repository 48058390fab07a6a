//! When probes are run, and what their results come to. Running them is the caller's work.
//!
//! A runtime keeps one [`ContainerProbes`] for each instance that runs.

use core::time::Duration;

use k8s_openapi::api::core::v1;
use serde::{Deserialize, Serialize};

use crate::observation::{ContainerInstance, ProbeResult};
use crate::pod::{Container, ContainerKind, Probe};
use crate::status::ContainerStatus;
use crate::time::Timestamp;

/// Which probe of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_enums, reason = "Kubernetes has these and no others")]
pub enum ProbeKind {
    /// `startupProbe`.
    Startup,
    /// `readinessProbe`.
    Readiness,
    /// `livenessProbe`.
    Liveness,
}

impl ProbeKind {
    /// The kubelet's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Readiness => "Readiness",
            Self::Liveness => "Liveness",
        }
    }

    /// The probe of this kind that a container declares.
    pub fn declared_in(self, container: &v1::Container) -> Option<&v1::Probe> {
        match self {
            Self::Startup => container.startup_probe.as_ref(),
            Self::Readiness => container.readiness_probe.as_ref(),
            Self::Liveness => container.liveness_probe.as_ref(),
        }
    }

    /// What counts until the probe has a result of its own.
    pub const fn first_result(self) -> ProbeResult {
        match self {
            Self::Startup => ProbeResult::Unknown,
            Self::Readiness => ProbeResult::Failure,
            Self::Liveness => ProbeResult::Success,
        }
    }
}

/// One probe worker of a container (`pkg/kubelet/prober/worker.go`, v1.36.3). It outlives the
/// instances that it probes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct ProbeWorker {
    kind: ProbeKind,
    probe: Probe,
    /// Its turns come every period from here.
    turns_from: Timestamp,
    /// When its next turn comes.
    turn: Timestamp,
    /// Its `initialDelaySeconds` are over: no turn before this one is used.
    delayed_until: Timestamp,
    /// What counts; `None`: nothing yet, in a container that ran before the kubelet.
    result: Option<ProbeResult>,
    /// What it said last, and how often in a row. New instances do not begin anew.
    last: Option<(bool, i32)>,
    /// It waits for the next instance: the container is going to be killed, or has started up.
    on_hold: bool,
}

impl ProbeWorker {
    fn new(kind: ProbeKind, probe: Probe, started_at: Timestamp) -> Self {
        let mut worker = Self {
            kind,
            probe,
            turns_from: started_at,
            turn: started_at,
            delayed_until: started_at,
            result: None,
            last: None,
            on_hold: false,
        };
        worker.begin(started_at);
        worker.turns_from = worker.delayed_until;
        worker.turn = worker.delayed_until;
        worker
    }

    /// Another instance of the container has started.
    fn begin(&mut self, started_at: Timestamp) {
        self.delayed_until = started_at + seconds(self.probe.initial_delay_seconds);
        self.result = Some(self.kind.first_result());
        self.on_hold = false;
    }

    fn period(&self) -> Duration {
        seconds(self.probe.period_seconds.max(1))
    }

    /// The first turn at this time or later.
    fn turn_from(&self, time: Timestamp) -> Timestamp {
        let since = time.saturating_duration_since(self.turns_from).as_nanos();
        let turns = since.div_ceil(self.period().as_nanos());
        self.turns_from + self.period().saturating_mul(u32::try_from(turns).unwrap_or(u32::MAX))
    }

    /// When it is run next, if its turn has come by then.
    fn due(&self) -> Timestamp {
        if self.turn < self.delayed_until { self.turn_from(self.delayed_until) } else { self.turn }
    }

    /// A run is over. Of the turns that came while it was going on, one is kept.
    fn next_turn(&mut self, now: Timestamp) {
        let next = self.due() + self.period();
        let coming = self.turn_from(now);
        self.turn =
            if next > now || coming == now { next.max(coming) } else { coming - self.period() };
    }

    /// It is run out of turn, and its turns count from now on (`manualTriggerCh`).
    fn trigger(&mut self, now: Timestamp) {
        self.turns_from = now;
        self.turn = now;
    }

    fn record(&mut self, success: bool) {
        let in_a_row = match self.last {
            Some((last, count)) if last == success => count.saturating_add(1),
            _ => 1,
        };
        self.last = Some((success, in_a_row));
        let (threshold, result) = if success {
            (self.probe.success_threshold, ProbeResult::Success)
        } else {
            (self.probe.failure_threshold, ProbeResult::Failure)
        };
        if in_a_row < threshold {
            return;
        }
        self.result = Some(result);
        let is_over = match self.kind {
            ProbeKind::Startup => true,
            ProbeKind::Liveness => !success,
            ProbeKind::Readiness => false,
        };
        if is_over {
            self.on_hold = true;
            self.last = Some((success, 0));
        }
    }
}

fn seconds(seconds: i32) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

/// The probes of one container: says which is due, is told what it said, and gives the results that
/// count.
///
/// A runtime keeps one for each container whose instance runs, writes it into the instance that it
/// reports ([`ContainerProbes::report`]) and, if it is to survive a restart, saves it. It tells of
/// the next instance ([`ContainerProbes::restarted`]) and of each sync
/// ([`ContainerProbes::synced`]).
///
/// The rules are those of the kubelet's prober: a probe has its turn every `periodSeconds`, and
/// turns before `initialDelaySeconds` are not used; a result counts once it has come as often in a
/// row as its threshold says, whichever instance it came from; a startup probe holds the others back
/// until it has succeeded and is then run no more; a startup or liveness probe that has failed is not
/// run any more in this instance. Until something counts, a container is not ready, alive, and not
/// known to have started. Regular init containers are not probed. A container that is not ready is
/// probed for it at each sync of its pod, whoever's turn it is.
///
/// One thing is simpler, unless [`ContainerProbes::with_turns_from`] is used: turns are counted from
/// the end of the initial delay, and not from the first sync of the pod. Nothing is jittered.
///
/// ```
/// use podinit::Timestamp;
/// use podinit::probe::{ContainerProbes, ProbeKind};
/// # use podinit::{FeatureGates, PodSpec};
/// # let pod = serde_json::from_value(serde_json::json!({"spec": {"containers": [{
/// #     "name": "web", "startupProbe": {"tcpSocket": {"port": 80}, "initialDelaySeconds": 5,
/// #     "periodSeconds": 2, "failureThreshold": 3},
/// # }]}}))?;
/// # let pod = PodSpec::compile_unchecked(&pod, FeatureGates::default())?;
/// // `startupProbe`: initialDelaySeconds 5, periodSeconds 2.
/// let web = pod.container(pod.find("web").unwrap());
/// let at = Timestamp::from_secs;
/// let mut probes = ContainerProbes::new(web, at(100));
///
/// assert_eq!(probes.next_due(), Some(at(105)));
/// assert_eq!(probes.take_due(at(104)), None);
/// assert_eq!(probes.take_due(at(105)), Some(ProbeKind::Startup));
/// assert_eq!(probes.take_due(at(106)), None); // it is being run
/// assert!(!probes.record(ProbeKind::Startup, false, at(106))); // one failure does not count yet
/// assert_eq!(probes.next_due(), Some(at(107)));
/// assert!(probes.record(ProbeKind::Startup, true, at(107)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ContainerProbes {
    /// In the order of [`ProbeKind`].
    workers: [Option<ProbeWorker>; 3],
    /// The container counts as started, although its startup probe has not said so.
    counts_as_started: bool,
    /// It is an app container: when the pod is stopped, only its readiness is probed on.
    is_app: bool,
    /// Those that are being run. Not saved: whoever has restarted runs them again.
    #[serde(skip)]
    running: [bool; 3],
}

impl ContainerProbes {
    /// The probes of a container whose first instance started at this time.
    pub fn new(container: &Container, started_at: Timestamp) -> Self {
        let probed = container.kind() != ContainerKind::Init;
        let worker = |kind, probe: Option<&Probe>| {
            probe.filter(|_| probed).map(|probe| ProbeWorker::new(kind, *probe, started_at))
        };
        Self {
            workers: [
                worker(ProbeKind::Startup, container.startup_probe()),
                worker(ProbeKind::Readiness, container.readiness_probe()),
                worker(ProbeKind::Liveness, container.liveness_probe()),
            ],
            counts_as_started: false,
            is_app: container.kind() == ContainerKind::App,
            running: [false; 3],
        }
    }

    /// The same with turns that are counted from `time`, as the kubelet counts them from the first
    /// sync of the pod (with a random part of a period, if it has just started itself).
    #[must_use]
    pub fn with_turns_from(mut self, time: Timestamp) -> Self {
        for worker in self.workers.iter_mut().flatten() {
            worker.turns_from = time;
            worker.turn = time;
        }
        self
    }

    /// The probes of a container that a kubelet finds running when it has restarted: `api_status` is
    /// what the API has of it, at the end of the pod's first sync.
    ///
    /// An instance that started more than ten seconds before the kubelet keeps what it was until it
    /// is probed again, and if it counts as started, its startup probe is not run again: for a
    /// restartable init container that is its result. Others begin anew. So it is since 1.35; with
    /// the gate `ChangeContainerStatusOnKubeletRestart` of earlier versions, make new ones.
    pub fn resumed(
        container: &Container,
        api_status: &ContainerStatus,
        kubelet_started_at: Timestamp,
    ) -> Self {
        const BEFORE_KUBELET: Duration = Duration::from_secs(10);
        let started_at = api_status.state.running.as_ref().and_then(|running| running.started_at);
        let mut probes = Self::new(container, started_at.unwrap_or(kubelet_started_at));
        let older = started_at.is_some_and(|at| at < kubelet_started_at - BEFORE_KUBELET);
        if older {
            probes.workers.iter_mut().flatten().for_each(|worker| worker.result = None);
            if api_status.started == Some(true) {
                probes.counts_as_started = true;
                let startup = probes.workers[ProbeKind::Startup as usize].as_mut();
                if let Some(startup) = startup.filter(|_| container.is_restartable_init_container())
                {
                    startup.result = Some(ProbeResult::Success);
                }
            }
        }
        probes.with_turns_from(kubelet_started_at)
    }

    /// The next instance of the container has started. Its results begin anew; how often in a row a
    /// probe has said the same goes on.
    pub fn restarted(&mut self, started_at: Timestamp) {
        self.counts_as_started = false;
        self.running = [false; 3];
        for worker in self.workers.iter_mut().flatten() {
            worker.begin(started_at);
            worker.turn = worker.turn_from(started_at);
        }
    }

    /// The pod is synced: a container that has started and is not ready is probed for it at once.
    pub fn synced(&mut self, now: Timestamp) {
        let started = self.started();
        let readiness = self.workers[ProbeKind::Readiness as usize].as_mut();
        let readiness = readiness.filter(|of| started && of.result != Some(ProbeResult::Success));
        readiness.into_iter().for_each(|readiness| readiness.trigger(now));
    }

    /// The pod is being stopped: of an app container only readiness is probed any more
    /// (`StopLivenessAndStartup`).
    pub fn stopping(&mut self) {
        if self.is_app {
            self.workers[ProbeKind::Startup as usize] = None;
            self.workers[ProbeKind::Liveness as usize] = None;
        }
    }

    /// Has the container started up, as far as its startup probe says?
    fn started(&self) -> bool {
        let startup = &self.workers[ProbeKind::Startup as usize];
        let has_passed = |of: &ProbeWorker| of.result == Some(ProbeResult::Success);
        self.counts_as_started || startup.as_ref().is_none_or(has_passed)
    }

    /// Those that are waiting for their next run.
    fn waiting(&self) -> impl Iterator<Item = &ProbeWorker> {
        let started = self.started();
        self.workers.iter().flatten().filter(move |worker| {
            let its_turn = started != (worker.kind == ProbeKind::Startup);
            its_turn && !worker.on_hold && !self.running[worker.kind as usize]
        })
    }

    /// When a probe is to be run next, of those that are not being run.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.waiting().map(ProbeWorker::due).min()
    }

    /// A probe that is to be run now. It counts as being run until its result is recorded.
    pub fn take_due(&mut self, now: Timestamp) -> Option<ProbeKind> {
        let kind = self.waiting().find(|worker| worker.due() <= now)?.kind;
        self.running[kind as usize] = true;
        Some(kind)
    }

    /// Takes what the probe that was [taken](Self::take_due) said. A probe that was not answered in its `timeoutSeconds` has failed.
    ///
    /// Says whether a result that counts has changed by it, after which the pod is to be synced.
    pub fn record(&mut self, kind: ProbeKind, success: bool, now: Timestamp) -> bool {
        self.running[kind as usize] = false;
        let was_started = self.started();
        let Some(worker) = &mut self.workers[kind as usize] else { return false };
        let before = worker.result;
        worker.next_turn(now);
        worker.record(success);
        let changed = worker.result != before;
        if self.started() && !was_started {
            // Their turns have gone by meanwhile. Readiness is run in the sync that is due now.
            for worker in self.workers.iter_mut().flatten() {
                worker.turn = worker.turn_from(now);
            }
            self.synced(now);
        }
        changed
    }

    /// Writes the results into the instance that is reported.
    pub fn report(&self, instance: &mut ContainerInstance) {
        let result = |kind: ProbeKind| self.workers[kind as usize].as_ref()?.result;
        instance.startup_probe = result(ProbeKind::Startup);
        instance.readiness_probe = result(ProbeKind::Readiness);
        instance.liveness_probe = result(ProbeKind::Liveness);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::observation::InstanceState;
    use crate::pod::PodSpec;
    use crate::status::ContainerState;
    use crate::version::FeatureGates;

    const AT: fn(i64) -> Timestamp = Timestamp::from_secs;

    fn probes(container: serde_json::Value) -> ContainerProbes {
        let pod = serde_json::from_value(json!({"spec": {"containers": [container]}})).unwrap();
        let pod = PodSpec::compile_unchecked(&pod, FeatureGates::default()).unwrap();
        ContainerProbes::new(&pod.containers()[0], AT(0))
    }

    fn results(probes: &ContainerProbes) -> [Option<ProbeResult>; 3] {
        let mut instance = ContainerInstance::new("1", "s", InstanceState::Running);
        probes.report(&mut instance);
        [instance.startup_probe, instance.readiness_probe, instance.liveness_probe]
    }

    #[test]
    fn until_something_counts_a_container_is_unstarted_unready_and_alive() {
        let all = probes(json!({
            "name": "a", "startupProbe": {}, "readinessProbe": {}, "livenessProbe": {},
        }));
        use ProbeResult::{Failure, Success, Unknown};
        assert_eq!(results(&all), [Some(Unknown), Some(Failure), Some(Success)]);
        assert_eq!(results(&probes(json!({"name": "a"}))), [None; 3]);
    }

    #[test]
    fn a_startup_probe_holds_the_others_back_and_is_not_run_again() {
        let mut probes = probes(json!({
            "name": "a",
            "startupProbe": {"periodSeconds": 1},
            "readinessProbe": {},
        }));
        assert_eq!(probes.take_due(AT(100)), Some(ProbeKind::Startup));
        assert_eq!(probes.take_due(AT(100)), None);
        assert!(probes.record(ProbeKind::Startup, true, AT(100)));
        assert_eq!(probes.take_due(AT(100)), Some(ProbeKind::Readiness));
        assert_eq!(probes.next_due(), None);
    }

    #[test]
    fn a_container_that_starts_up_early_is_left_alone_for_the_initial_delay_of_its_other_probes() {
        let mut probes = probes(json!({
            "name": "a",
            "startupProbe": {"periodSeconds": 1},
            "readinessProbe": {"initialDelaySeconds": 60},
            "livenessProbe": {"initialDelaySeconds": 30, "periodSeconds": 7},
        }));
        assert!(probes.record(ProbeKind::Startup, true, AT(5)));
        assert_eq!(probes.next_due(), Some(AT(30)));
        assert_eq!(probes.take_due(AT(30)), Some(ProbeKind::Liveness));
        probes.record(ProbeKind::Liveness, true, AT(30));
        assert_eq!(probes.next_due(), Some(AT(37)));
        assert_eq!(probes.take_due(AT(59)), Some(ProbeKind::Liveness));
        assert_eq!(probes.next_due(), Some(AT(65)));
    }

    #[test]
    fn liveness_waits_for_its_own_turn_when_a_container_has_started_up() {
        let mut probes = probes(json!({
            "name": "a", "startupProbe": {}, "livenessProbe": {"periodSeconds": 10},
        }));
        assert!(probes.record(ProbeKind::Startup, true, AT(12)));
        assert_eq!(probes.next_due(), Some(AT(20)));
    }

    #[test]
    fn turns_go_on_whatever_a_run_takes_and_one_of_those_that_were_missed_is_used() {
        let mut probes = probes(json!({"name": "a", "livenessProbe": {"periodSeconds": 10}}));
        assert_eq!(probes.take_due(AT(3)), Some(ProbeKind::Liveness));
        probes.record(ProbeKind::Liveness, true, AT(4));
        assert_eq!(probes.next_due(), Some(AT(10)));
        assert_eq!(probes.take_due(AT(10)), Some(ProbeKind::Liveness));
        probes.record(ProbeKind::Liveness, true, AT(45));
        assert_eq!(probes.take_due(AT(45)), Some(ProbeKind::Liveness));
        probes.record(ProbeKind::Liveness, true, AT(46));
        assert_eq!(probes.next_due(), Some(AT(50)));
    }

    #[test]
    fn turns_can_be_counted_from_the_first_sync_of_the_pod() {
        let container = json!({
            "name": "a", "livenessProbe": {"initialDelaySeconds": 5, "periodSeconds": 10},
        });
        let probes = probes(container).with_turns_from(AT(-2));
        assert_eq!(probes.next_due(), Some(AT(8)));
    }

    #[test]
    fn how_often_a_probe_has_failed_goes_on_in_the_next_instance() {
        let mut probes = probes(json!({"name": "a", "livenessProbe": {"failureThreshold": 3}}));
        assert!(!probes.record(ProbeKind::Liveness, false, AT(0)));
        assert!(!probes.record(ProbeKind::Liveness, false, AT(10)));
        probes.restarted(AT(15));
        assert_eq!(results(&probes)[2], Some(ProbeResult::Success));
        assert_eq!(probes.next_due(), Some(AT(20)));
        assert!(probes.record(ProbeKind::Liveness, false, AT(20)), "the third failure in a row");
        // Once it has counted, the series is over.
        probes.restarted(AT(25));
        assert!(!probes.record(ProbeKind::Liveness, false, AT(30)));
    }

    #[test]
    fn a_container_that_is_not_ready_is_probed_at_each_sync_and_its_turns_count_from_there() {
        let mut probes = probes(json!({"name": "a", "readinessProbe": {"periodSeconds": 10}}));
        assert_eq!(probes.take_due(AT(0)), Some(ProbeKind::Readiness));
        probes.record(ProbeKind::Readiness, false, AT(0));
        probes.synced(AT(4));
        assert_eq!(probes.take_due(AT(4)), Some(ProbeKind::Readiness));
        assert!(probes.record(ProbeKind::Readiness, true, AT(4)));
        assert_eq!(probes.next_due(), Some(AT(14)));
        probes.synced(AT(6));
        assert_eq!(probes.next_due(), Some(AT(14)), "it is ready");
    }

    #[test]
    fn readiness_is_probed_on_while_a_pod_is_stopped() {
        let mut probes = probes(json!({
            "name": "a", "readinessProbe": {}, "livenessProbe": {"periodSeconds": 1},
        }));
        probes.stopping();
        assert_eq!(probes.take_due(AT(50)), Some(ProbeKind::Readiness));
        assert_eq!(probes.take_due(AT(50)), None);
    }

    #[test]
    fn what_ran_before_the_kubelet_keeps_its_results_and_a_started_sidecar_has_started() {
        let pod = json!({"spec": {
            "initContainers": [{"name": "s", "restartPolicy": "Always", "startupProbe": {}}],
            "containers": [{"name": "a", "startupProbe": {}, "readinessProbe": {}}],
        }});
        let pod = serde_json::from_value(pod).unwrap();
        let pod = PodSpec::compile_unchecked(&pod, FeatureGates::default()).unwrap();
        let resumed = |name: &str, started, kubelet| {
            let status = ContainerStatus {
                name: name.into(),
                state: ContainerState::running(Some(AT(0))),
                started: Some(started),
                ..ContainerStatus::default()
            };
            let container = pod.container(pod.find(name).unwrap());
            ContainerProbes::resumed(container, &status, AT(kubelet))
        };
        use ProbeResult::{Failure, Success, Unknown};
        assert_eq!(results(&resumed("s", true, 11)), [Some(Success), None, None]);
        assert_eq!(results(&resumed("s", false, 11)), [None; 3]);
        assert_eq!(results(&resumed("s", true, 10)), [Some(Unknown), None, None]);
        assert_eq!(results(&resumed("a", true, 11)), [None; 3]);
        assert_eq!(results(&resumed("a", true, 10)), [Some(Unknown), Some(Failure), None]);
        // Started, it is not asked for it again.
        assert_eq!(resumed("a", true, 11).take_due(AT(11)), Some(ProbeKind::Readiness));
        assert_eq!(resumed("a", false, 11).take_due(AT(11)), Some(ProbeKind::Startup));
        assert_eq!(resumed("s", true, 11).next_due(), None);
    }

    #[test]
    fn a_result_counts_when_it_has_come_often_enough_in_a_row() {
        let mut probes = probes(json!({
            "name": "a", "readinessProbe": {"successThreshold": 2, "failureThreshold": 2},
        }));
        let said = [true, false, true, true, false, true, false, false];
        let changed: std::vec::Vec<bool> = said
            .into_iter()
            .map(|success| probes.record(ProbeKind::Readiness, success, AT(0)))
            .collect();
        assert_eq!(changed, [false, false, false, true, false, false, false, true]);
    }

    #[test]
    fn a_liveness_probe_that_has_failed_is_put_on_hold_and_a_readiness_probe_is_not() {
        let mut probes = probes(json!({
            "name": "a",
            "readinessProbe": {"failureThreshold": 1},
            "livenessProbe": {"failureThreshold": 1, "periodSeconds": 1},
        }));
        assert_eq!(probes.take_due(AT(0)), Some(ProbeKind::Readiness));
        assert_eq!(probes.take_due(AT(0)), Some(ProbeKind::Liveness));
        assert!(probes.record(ProbeKind::Liveness, false, AT(0)));
        assert!(!probes.record(ProbeKind::Readiness, false, AT(0)), "it was not ready before");
        assert_eq!(probes.next_due(), Some(AT(10)));
        assert_eq!(probes.take_due(AT(10)), Some(ProbeKind::Readiness));
    }

    #[test]
    fn what_was_being_run_is_run_again_after_a_restart() {
        let mut probes = probes(json!({"name": "a", "readinessProbe": {}}));
        probes.take_due(AT(0));
        let saved = serde_json::to_string(&probes).unwrap();
        let mut restored: ContainerProbes = serde_json::from_str(&saved).unwrap();
        assert_eq!(probes.next_due(), None);
        assert_eq!(restored.take_due(AT(1)), Some(ProbeKind::Readiness));
    }
}

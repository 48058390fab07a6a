//! When probes are run, and what their results come to. Running them is the caller's work.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::observation::{ContainerInstance, ProbeResult};
use crate::spec::{Container, ContainerKind, Probe};
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

/// One probe of one container instance (`worker.doProbe` of `pkg/kubelet/prober/worker.go`,
/// v1.36.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct ProbeWorker {
    kind: ProbeKind,
    probe: Probe,
    /// When it is run next, if its turn has come by then.
    due: Timestamp,
    /// What counts.
    result: ProbeResult,
    /// What it said last, and how often in a row.
    last: Option<(bool, i32)>,
    /// It has failed for good: the container is going to be killed.
    on_hold: bool,
}

impl ProbeWorker {
    fn new(kind: ProbeKind, probe: Probe, started_at: Timestamp) -> Self {
        Self {
            kind,
            probe,
            due: started_at + seconds(probe.initial_delay_seconds),
            result: match kind {
                ProbeKind::Startup => ProbeResult::Unknown,
                ProbeKind::Readiness => ProbeResult::Failure,
                ProbeKind::Liveness => ProbeResult::Success,
            },
            last: None,
            on_hold: false,
        }
    }

    fn record(&mut self, success: bool, now: Timestamp) {
        self.due = now + seconds(self.probe.period_seconds.max(1));
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
        self.result = result;
        self.on_hold = !success && self.kind != ProbeKind::Readiness;
    }
}

fn seconds(seconds: i32) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

/// The probes of one container instance: says which is due, is told what it said, and gives the
/// results that count.
///
/// A runtime keeps one for each instance that runs, writes it into the instance that it reports
/// ([`ContainerProbes::report`]) and, if it is to survive a restart, saves it.
///
/// The rules are those of the kubelet's prober: the first run comes after `initialDelaySeconds`,
/// then one every `periodSeconds`; a result counts once it has come as often in a row as its
/// threshold says; a startup probe holds the others back until it has succeeded and is then run no
/// more; a startup or liveness probe that has failed is not run any more in this instance. Until
/// something counts, a container is not ready, alive, and not known to have started. Regular init
/// containers are not probed.
///
/// Two things are simpler: runs are timed from the start of the container and not from that of the
/// prober, and neither is jittered; readiness is probed at once when a container has started up.
///
/// ```
/// use podinit::{ContainerProbes, ProbeKind, Timestamp};
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
/// assert_eq!(probes.next_due(), Some(at(108)));
/// assert!(probes.record(ProbeKind::Startup, true, at(108)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ContainerProbes {
    /// In the order of [`ProbeKind`].
    workers: [Option<ProbeWorker>; 3],
    /// Those that are being run. Not saved: whoever has restarted runs them again.
    #[serde(skip)]
    running: [bool; 3],
}

impl ContainerProbes {
    /// The probes of an instance of a container that started at this time.
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
            running: [false; 3],
        }
    }

    /// Has the container started up, as far as its startup probe says?
    fn started(&self) -> bool {
        let startup = &self.workers[ProbeKind::Startup as usize];
        startup.as_ref().is_none_or(|startup| startup.result == ProbeResult::Success)
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
        self.waiting().map(|worker| worker.due).min()
    }

    /// A probe that is to be run now. It counts as being run until its result is recorded.
    pub fn take_due(&mut self, now: Timestamp) -> Option<ProbeKind> {
        let kind = self.waiting().find(|worker| worker.due <= now)?.kind;
        self.running[kind as usize] = true;
        Some(kind)
    }

    /// Takes what a probe said. A probe that was not answered in its `timeoutSeconds` has failed.
    ///
    /// Says whether a result that counts has changed by it, after which the pod is to be synced.
    pub fn record(&mut self, kind: ProbeKind, success: bool, now: Timestamp) -> bool {
        self.running[kind as usize] = false;
        let was_started = self.started();
        let Some(worker) = &mut self.workers[kind as usize] else { return false };
        let before = worker.result;
        worker.record(success, now);
        let changed = worker.result != before;
        if self.started() && !was_started {
            for worker in self.workers.iter_mut().flatten() {
                worker.due = worker.due.min(now);
            }
        }
        changed
    }

    /// Writes the results into the instance that is reported.
    pub fn report(&self, instance: &mut ContainerInstance) {
        let result = |kind: ProbeKind| Some(self.workers[kind as usize].as_ref()?.result);
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
    use crate::spec::PodSpec;
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
            "readinessProbe": {"initialDelaySeconds": 60},
        }));
        assert_eq!(probes.take_due(AT(100)), Some(ProbeKind::Startup));
        assert_eq!(probes.take_due(AT(100)), None);
        assert!(probes.record(ProbeKind::Startup, true, AT(100)));
        assert_eq!(probes.take_due(AT(100)), Some(ProbeKind::Readiness));
        assert_eq!(probes.next_due(), None);
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

//! Random observations.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::lives::{LifeShape, lives};
use crate::observation::{
    ContainerInstance, Exit, InstanceState, Observation, ProbeResult, Sandbox, StrayInstance,
};
use crate::pod::{ContainerIndex, PodSpec};
use crate::runtime::ContainerRuntime;
use crate::testing::drive::{Controller, DrivenRuntime, Kubelet};
use crate::testing::life::Life;
use crate::time::Timestamp;
use crate::worker::WorkerSettings;

/// Wild observations of a pod: any states of any instances in any sandboxes, possible or not.
///
/// A decision must be total: there is an answer to each of these. Times are from 0 to 1,000 s
/// since the epoch.
pub fn observations(pod: &PodSpec) -> impl Strategy<Value = Observation> + use<> {
    let count = pod.containers().len();
    let sandboxes = vec(sandbox(), 0..3);
    let instances = vec(vec(instance(), 0..3), count);
    let stray = option::weighted(0.1, instance());
    (sandboxes, instances, stray).prop_map(|(sandboxes, instances, stray)| {
        let mut observation = Observation::new();
        sandboxes.into_iter().for_each(|sandbox| observation.push_sandbox(sandbox));
        for (slot, instances) in instances.into_iter().enumerate() {
            for instance in instances {
                observation.push_instance(ContainerIndex::new(slot), instance);
            }
        }
        if let Some(instance) = stray {
            observation.push_stray(StrayInstance { name: "stray".into(), instance });
        }
        observation
    })
}

fn sandbox() -> impl Strategy<Value = Sandbox> {
    (select(&["a", "b"][..]), any::<bool>(), 0..3u32, any::<bool>(), prop::bool::weighted(0.1))
        .prop_map(|(id, ready, attempt, has_ip, host_network)| Sandbox {
            id: id.into(),
            ready,
            attempt,
            has_ip,
            host_network,
        })
}

fn instance() -> impl Strategy<Value = ContainerInstance> {
    let ids = (0..5u32, select(&["a", "b"][..]));
    let times = (time(), time(), 0..5u32, option::weighted(0.1, any::<u64>()));
    let probes = (probe_result(), probe_result(), probe_result());
    (ids, state(), times, probes).prop_map(
        |((id, sandbox_id), state, (created_at, started_at, restart_count, hash), probes)| {
            let id = alloc::format!("fake://{id}");
            let mut instance = ContainerInstance::new(id, sandbox_id, state);
            instance.created_at = created_at;
            instance.started_at = started_at;
            instance.restart_count = restart_count;
            instance.definition_hash = hash;
            (instance.startup_probe, instance.liveness_probe, instance.readiness_probe) = probes;
            instance
        },
    )
}

fn time() -> impl Strategy<Value = Option<Timestamp>> {
    option::of((0..1_000i64).prop_map(Timestamp::from_secs))
}

fn probe_result() -> impl Strategy<Value = Option<ProbeResult>> {
    option::of(select(&[ProbeResult::Success, ProbeResult::Failure, ProbeResult::Unknown][..]))
}

fn state() -> impl Strategy<Value = InstanceState> {
    let exit = (-1..4i32, select(&["Completed", "Error", "OOMKilled"][..]), time()).prop_map(
        |(exit_code, reason, finished_at)| {
            let message = "".into();
            InstanceState::Exited(Exit { exit_code, reason: reason.into(), message, finished_at })
        },
    );
    prop_oneof![
        Just(InstanceState::Running),
        Just(InstanceState::Created),
        Just(InstanceState::Unknown),
        exit,
    ]
}

/// Observations that a pod can come to: of random lives under the kubelet's care, at a random
/// sync. Pods that cannot be compiled do not come.
pub fn reachable_observations(
    shape: &LifeShape,
) -> impl Strategy<Value = (Life, Observation)> + use<> {
    (lives(shape), 0..60usize).prop_map(|(life, syncs)| {
        let kubelet = Kubelet::new(WorkerSettings::default());
        let mut until = ObserveUntil { kubelet, syncs, observation: Observation::new() };
        // What cannot be compiled is observed as empty.
        let _ = life.drive(&mut until);
        (life, until.observation)
    })
}

/// The kubelet, stopped after this many syncs.
struct ObserveUntil {
    kubelet: Kubelet,
    syncs: usize,
    observation: Observation,
}

impl Controller for ObserveUntil {
    fn sync(&mut self, pod: &PodSpec, runtime: &mut DrivenRuntime) {
        self.kubelet.sync(pod, runtime);
        self.syncs = self.syncs.saturating_sub(1);
        if self.is_finished() {
            self.observation.clear();
            let _ = runtime.observe(pod, &mut self.observation);
        }
    }

    fn told(&mut self, event: crate::sim::PodEvent, now: Timestamp) {
        self.kubelet.told(event, now);
    }

    fn wakes_at(&self) -> Option<Timestamp> {
        self.kubelet.wakes_at()
    }

    fn is_finished(&self) -> bool {
        self.syncs == 0 || self.kubelet.is_finished()
    }
}

//! Random lives.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use k8s_openapi::api::core::v1;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::pods::{PodShape, pods};
use crate::sim::PodEvent;
use crate::testing::fault::Fault;
use crate::testing::life;
use crate::testing::life::{Life, Script, Upset};
use crate::version::KubernetesVersion;

/// What kinds of lives [`lives`] makes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "written out by callers, with defaults")]
pub struct LifeShape {
    /// The pods.
    pub pods: PodShape,
    /// The versions that look after them; the first one is the simplest.
    pub versions: Vec<KubernetesVersion>,
    /// How many upsets there are at most.
    pub max_upsets: usize,
    /// Such upsets are evictions, preemptions and node shutdowns, too.
    pub evictions: bool,
    /// How many pulls of its image, how many creations and how many starts of a container fail at
    /// most.
    pub max_start_failures: u8,
    /// Liveness probes fail, if [`PodShape::probes`] lets containers have some.
    pub liveness_failures: bool,
    /// How many calls of the runtime go wrong at most.
    pub max_faults: usize,
    /// How long they last at most, in seconds.
    pub until: u16,
}

impl Default for LifeShape {
    /// All pods under 1.36 for five minutes, with up to three upsets and with containers that fail to
    /// start up to twice in each way or are not alive, but without faults of the runtime.
    fn default() -> Self {
        Self {
            pods: PodShape::FULL,
            versions: Vec::from([KubernetesVersion::default()]),
            max_upsets: 3,
            evictions: true,
            max_start_failures: 2,
            liveness_failures: true,
            max_faults: 0,
            until: 300,
        }
    }
}

/// Lives of random pods.
pub fn lives(shape: &LifeShape) -> impl Strategy<Value = Life> + use<> {
    let pods = pods(&shape.pods);
    let shape = shape.clone();
    pods.prop_flat_map(move |pod| lives_of(pod, &shape))
}

/// Lives of one pod.
pub fn lives_of(pod: v1::Pod, shape: &LifeShape) -> impl Strategy<Value = Life> + use<> {
    let spec = pod.spec.iter();
    let containers =
        spec.flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers));
    let (names, scripts): (Vec<String>, Vec<_>) = containers
        .map(|container| {
            let probed = container.liveness_probe.is_some() && shape.liveness_failures;
            (container.name.clone(), script(shape.max_start_failures, probed))
        })
        .unzip();
    let upsets = vec(upset(shape.until, shape.evictions), 0..=shape.max_upsets);
    let faults = vec((0..200u32, fault()), 0..=shape.max_faults);
    let versions = if shape.versions.is_empty() {
        Vec::from([KubernetesVersion::default()])
    } else {
        shape.versions.clone()
    };
    let until = shape.until;
    (scripts, upsets, faults, select(versions)).prop_map(
        move |(scripts, upsets, faults, version)| Life {
            pod: pod.clone(),
            version,
            scripts: names
                .iter()
                .cloned()
                .zip(scripts)
                .filter_map(|(name, script)| Some((name, script?)))
                .collect(),
            upsets,
            faults: faults.into_iter().collect(),
            until,
        },
    )
}

fn script(max_start_failures: u8, probed: bool) -> BoxedStrategy<Option<Script>> {
    // Rarely, so that most containers come to run.
    let attempts = || {
        let failures = option::weighted(0.1, 1..=max_start_failures.max(1));
        failures.prop_map(move |failures| failures.unwrap_or(0).min(max_start_failures))
    };
    let liveness = if probed { option::of(1..40u16).boxed() } else { Just(None).boxed() };
    let runs = (option::of(1..40u16), 0..4u8, 1..4u8);
    let script = (runs, attempts(), attempts(), attempts(), liveness).prop_map(
        |((lasts, failures, exit_code), pull, create, start, liveness_fails_after)| Script {
            lasts,
            failures,
            exit_code,
            image_pull_failures: pull,
            create_failures: create,
            start_failures: start,
            liveness_fails_after,
        },
    );
    option::of(script).boxed()
}

fn upset(until: u16, evictions: bool) -> impl Strategy<Value = Upset> {
    let mut events = Vec::from([
        PodEvent::SandboxLost,
        PodEvent::KubeletRestarted,
        PodEvent::InitRecordsRemoved,
        PodEvent::PodDeleted { grace_period_seconds: 30 },
    ]);
    if evictions {
        events.extend(life::evictions().map(|(_, eviction)| PodEvent::Evicted(eviction)));
    }
    (0..until.clamp(1, 120), select(events)).prop_map(|(at, event)| Upset { at, event })
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Fails),
        Just(Fault::AnswerLost),
        Just(Fault::InstanceVanishes),
        (1..30u64).prop_map(|seconds| Fault::Slow(Duration::from_secs(seconds))),
    ]
}

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
use crate::testing::{Fault, Life, Script, Upset};
use crate::version::KubernetesVersion;

/// What kinds of lives [`lives`] makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LifeShape {
    /// The pods.
    pub pods: PodShape,
    /// The versions that look after them; the first one is the simplest.
    pub versions: Vec<KubernetesVersion>,
    /// How many upsets there are at most.
    pub max_upsets: usize,
    /// How many calls of the runtime go wrong at most.
    pub max_faults: usize,
    /// How long they last at most, in seconds.
    pub until: u16,
}

impl Default for LifeShape {
    /// All pods under 1.36 for five minutes, with up to three upsets and without faults.
    fn default() -> Self {
        Self {
            pods: PodShape::FULL,
            versions: Vec::from([KubernetesVersion::V1_36]),
            max_upsets: 3,
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
    let containers = spec.flat_map(|spec| {
        spec.init_containers.iter().flatten().chain(&spec.containers).map(|c| c.name.clone())
    });
    let names: Vec<String> = containers.collect();
    let scripts = vec(script(), names.len());
    let upsets = vec(upset(shape.until), 0..=shape.max_upsets);
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

fn script() -> impl Strategy<Value = Option<Script>> {
    let script = (option::of(1..40u16), 0..4u8, 1..4u8)
        .prop_map(|(lasts, failures, exit_code)| Script { lasts, failures, exit_code });
    option::of(script)
}

fn upset(until: u16) -> impl Strategy<Value = Upset> {
    let event = prop_oneof![
        Just(PodEvent::SandboxLost),
        Just(PodEvent::KubeletRestarted),
        Just(PodEvent::InitRecordsRemoved),
        Just(PodEvent::PodDeleted { grace_period_seconds: 30 }),
    ];
    (0..until.clamp(1, 120), event).prop_map(|(at, event)| Upset { at, event })
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Fails),
        Just(Fault::AnswerLost),
        Just(Fault::InstanceVanishes),
        (1..30u64).prop_map(|seconds| Fault::Slow(Duration::from_secs(seconds))),
    ]
}

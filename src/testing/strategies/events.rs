//! Random events on a worker.

use alloc::vec::Vec;
use core::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::observations::observations;
use crate::observation::Observation;
use crate::pod::PodSpec;
use crate::time::Timestamp;
use crate::worker::{Deletion, Eviction, Failure, Operation, Outcome, OutcomeKind, PodWorker};

/// Something that a worker is told, in an order that need not make sense.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkerEvent {
    /// [`PodWorker::sync`] with this observation.
    Sync(Observation),
    /// The next operation is taken, and is done.
    Done,
    /// The next operation is taken, and fails.
    Failed,
    /// This is recorded, whatever is under way.
    Recorded(Outcome),
    /// Time passes.
    Passes(Duration),
    /// [`PodWorker::delete`].
    Deleted {
        /// The grace period.
        grace_period_seconds: i64,
    },
    /// [`PodWorker::evict`].
    Evicted,
}

/// Sequences of up to `max` events on a worker of this pod.
pub fn worker_events(pod: &PodSpec, max: usize) -> impl Strategy<Value = Vec<WorkerEvent>> + use<> {
    let outcome = prop_oneof![
        Just(OutcomeKind::Done),
        Just(OutcomeKind::ImagePresent(true)),
        Just(OutcomeKind::Created("x".into())),
        Just(OutcomeKind::Sandbox("b".into())),
    ];
    let event = prop_oneof![
        6 => Just(WorkerEvent::Done),
        3 => observations(pod).prop_map(WorkerEvent::Sync),
        2 => Just(WorkerEvent::Failed),
        2 => (0..400u64).prop_map(|seconds| WorkerEvent::Passes(Duration::from_secs(seconds))),
        1 => outcome.prop_map(|kind| WorkerEvent::Recorded(kind.into())),
        1 => select(&[0, 1, 30, -1][..])
            .prop_map(|grace_period_seconds| WorkerEvent::Deleted { grace_period_seconds }),
        1 => Just(WorkerEvent::Evicted),
    ];
    vec(event, 0..=max)
}

/// Tells a worker these events, beginning at `now`; gives the time at the end.
///
/// Answers that do not fit are refused by the worker, which is then as it was.
pub fn apply_worker_events(
    worker: &mut PodWorker,
    pod: &PodSpec,
    events: &[WorkerEvent],
    mut now: Timestamp,
) -> Timestamp {
    for event in events {
        match event {
            WorkerEvent::Sync(observation) => worker.sync(pod, observation, now),
            WorkerEvent::Done | WorkerEvent::Failed => {
                if let Some(operation) = worker.next_operation(pod, now) {
                    let outcome = if *event == WorkerEvent::Done {
                        done(&operation)
                    } else {
                        operation.failed(Failure::new("it failed"))
                    };
                    let _ = worker.record(pod, outcome, now);
                }
            }
            WorkerEvent::Recorded(outcome) => {
                let _ = worker.record(pod, outcome.clone(), now);
            }
            WorkerEvent::Passes(span) => now += *span,
            WorkerEvent::Deleted { grace_period_seconds } => {
                let grace_period_seconds = *grace_period_seconds;
                worker.delete(Deletion { timestamp: now, grace_period_seconds });
            }
            WorkerEvent::Evicted => worker.evict(Eviction::evicted("The node was low", None)),
        }
    }
    now
}

/// What comes of an operation that goes well; images have to be pulled.
fn done(operation: &Operation) -> Outcome {
    match operation {
        Operation::CheckImage(check) => check.present(false),
        other => other.succeeded("fake://new"),
    }
}

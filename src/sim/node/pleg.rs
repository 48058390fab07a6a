//! The pod lifecycle event generator: what the kubelet knows of the runtime.
//!
//! Source: `pkg/kubelet/pleg/generic.go`.

use alloc::vec::Vec;
use core::time::Duration;

use smol_str::SmolStr;

use super::moment::Moment;
use super::runtime::{Snapshot, State};

/// How often it looks (`genericPlegRelistPeriod`).
const RELIST_PERIOD: Duration = Duration::from_secs(1);
/// The oracle puts its relists off the ticks of the sync loop.
pub(super) const RELIST_PHASE: Duration = Duration::from_millis(230);
/// A relist on demand comes this much after the sync that asked for it, in the oracle: in no time
/// it would be too early for `GetNewerThan`.
const ON_DEMAND: Duration = Duration::from_millis(1);

/// The generator and the pod cache that it fills.
#[derive(Debug)]
pub(super) struct Pleg {
    /// What the last relist saw.
    pub(super) cache: Snapshot,
    /// When it was.
    pub(super) relisted: Option<Moment>,
    next: Moment,
    on_demand: Option<Moment>,
}

/// What a relist found to have changed.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// The pod is to be synced for it.
    pub(super) worth_a_sync: bool,
    /// The containers and sandboxes that have ended or are gone.
    pub(super) died: Vec<SmolStr>,
}

impl Pleg {
    /// That of a kubelet which starts now.
    pub(super) fn new(now: Moment) -> Self {
        Self {
            cache: Snapshot::default(),
            relisted: None,
            next: now + RELIST_PHASE,
            on_demand: None,
        }
    }

    /// That of a kubelet which has been running for long when the pod arrives.
    pub(super) fn running_since(started: Moment) -> Self {
        let phase = started + RELIST_PHASE;
        let next = Moment::ARRIVAL.next(RELIST_PERIOD, phase);
        let last = Moment::from_micros(next.as_micros() - 1_000_000);
        Self { relisted: Some(last), next, ..Self::new(started) }
    }

    pub(super) fn next(&self) -> Moment {
        self.on_demand.map_or(self.next, |on_demand| self.next.min(on_demand))
    }

    /// Asks for a relist of the pod soon (`RequestReinspect`, since 1.36).
    pub(super) fn ask(&mut self, now: Moment) {
        self.on_demand = Some(now + ON_DEMAND);
    }

    /// Takes the relist that is due; an ordinary one before one on demand.
    pub(super) fn take_due(&mut self, now: Moment) -> bool {
        if self.next <= now {
            self.next += RELIST_PERIOD;
            return true;
        }
        if self.on_demand.is_some_and(|at| at <= now) {
            self.on_demand = None;
            return true;
        }
        false
    }

    /// Looks at the runtime.
    pub(super) fn relist(&mut self, seen: &Snapshot, now: Moment) -> Changes {
        let mut changes = Changes::default();
        for container in &seen.containers {
            let before = self.cache.container(&container.id).map(|before| before.state);
            // What was only created counts as unknown, and nobody is told.
            if before != Some(container.state) && container.state != State::Created {
                changes.worth_a_sync = true;
                if container.state == State::Exited {
                    changes.died.push(container.id.clone());
                }
            }
        }
        for before in &self.cache.containers {
            if before.state != State::Exited && seen.container(&before.id).is_none() {
                changes.worth_a_sync = true;
                changes.died.push(before.id.clone());
            }
        }
        let ready =
            |snapshot: &Snapshot, id: &str| snapshot.sandbox(id).map(|sandbox| sandbox.ready);
        for sandbox in seen.sandboxes.iter().chain(&self.cache.sandboxes) {
            let (before, after) = (ready(&self.cache, &sandbox.id), ready(seen, &sandbox.id));
            let lost_dead = before == Some(false) && after.is_none();
            if before == after || lost_dead {
                continue;
            }
            changes.worth_a_sync = true;
            if after != Some(true) && !changes.died.contains(&sandbox.id) {
                changes.died.push(sandbox.id.clone());
            }
        }
        self.cache = seen.clone();
        self.relisted = Some(now);
        changes
    }
}

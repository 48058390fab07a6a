//! Who removes what has ended: the container deletor, and the garbage collection.
//!
//! Source: `pod_container_deletor.go`, `kuberuntime_gc.go` of the kubelet.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use smol_str::SmolStr;

use super::moment::Moment;
use super::pleg::RELIST_PHASE;
use super::runtime::{Container, Snapshot, State};

/// How often the garbage is collected (`ContainerGCPeriod`).
const PERIOD: Duration = Duration::from_secs(60);

/// One goroutine that removes one thing after the other.
#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Chore>,
    /// What is being done, and until when.
    busy: Option<(Chore, Moment)>,
}

/// Something to remove, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Chore {
    /// A container.
    RemoveContainer(SmolStr),
    /// A sandbox is stopped, which comes before its removal.
    StopSandbox(SmolStr),
    /// A sandbox.
    RemoveSandbox(SmolStr),
    /// Looks for containers to remove, and then for sandboxes.
    CollectContainers,
    CollectSandboxes,
}

impl Lane {
    fn next(&self, now: Moment) -> Moment {
        match &self.busy {
            Some((_, until)) => *until,
            None if self.waiting.is_empty() => Moment::NEVER,
            None => now,
        }
    }
}

/// The deletor, and the garbage collection with its clock.
#[derive(Debug)]
pub(super) struct Collector {
    deletor: Lane,
    collection: Lane,
    next_collection: Moment,
}

/// A step of a chore.
#[derive(Debug)]
pub(super) enum Step {
    /// It begins: whoever carries it out says how long it takes.
    Begin(Goroutine, Chore),
    /// It is over.
    End(Chore),
}

/// Who does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goroutine {
    Deletor,
    Collection,
}

/// How many containers that have ended are kept of each name.
const KEPT: usize = 1;

impl Collector {
    /// That of a kubelet which starts now.
    pub(super) fn new(kubelet_started: Moment) -> Self {
        Self {
            deletor: Lane::default(),
            collection: Lane::default(),
            next_collection: kubelet_started,
        }
    }

    /// That of a kubelet whose first collection had nothing to do.
    pub(super) fn running_since(kubelet_started: Moment) -> Self {
        let mut collector = Self::new(kubelet_started);
        // At its very start the kubelet's first look at the sandboxes takes this long.
        collector.next_collection += RELIST_PHASE + PERIOD;
        collector
    }

    /// After a collection the next one comes a period later.
    pub(super) fn settle(&mut self, now: Moment) {
        let idle = self.collection.busy.is_none() && self.collection.waiting.is_empty();
        if self.next_collection == Moment::NEVER && idle {
            self.next_collection = now + PERIOD;
        }
    }

    fn lane(&mut self, of: Goroutine) -> &mut Lane {
        match of {
            Goroutine::Deletor => &mut self.deletor,
            Goroutine::Collection => &mut self.collection,
        }
    }

    pub(super) fn next(&self, now: Moment) -> Moment {
        self.deletor.next(now).min(self.collection.next(now)).min(self.next_collection)
    }

    pub(super) fn take_due(&mut self, now: Moment) -> Option<Step> {
        if self.next_collection <= now {
            self.next_collection = Moment::NEVER;
            self.collection.waiting.push_back(Chore::CollectContainers);
        }
        for of in [Goroutine::Deletor, Goroutine::Collection] {
            let lane = self.lane(of);
            match &lane.busy {
                Some((_, until)) if *until <= now => {
                    return lane.busy.take().map(|(chore, _)| Step::End(chore));
                }
                None => {
                    if let Some(chore) = lane.waiting.pop_front() {
                        return Some(Step::Begin(of, chore));
                    }
                }
                Some(_) => {}
            }
        }
        None
    }

    /// How long a chore takes once it has begun.
    pub(super) fn is_busy(&mut self, of: Goroutine, chore: Chore, until: Moment) {
        self.lane(of).busy = Some((chore, until));
    }

    /// A container has died: of those that have ended, under its name, the newest is kept
    /// (`deleteContainersInPod`). Where all go, all names' do.
    pub(super) fn container_died(&mut self, id: &str, cache: &Snapshot, all: bool) {
        let Some(died) = cache.container(id) else {
            if all {
                self.remove(ended(cache, |_| true), 0);
            }
            return;
        };
        let name = died.name.clone();
        match all {
            true => self.remove(ended(cache, |_| true), 0),
            false => self.remove(ended(cache, |container| container.name == name), KEPT),
        }
    }

    /// The pod counts as evicted: all that the cache knows to have ended goes.
    pub(super) fn pod_evicted(&mut self, cache: &Snapshot) {
        self.remove(ended(cache, |_| true), 0);
    }

    fn remove(&mut self, newest_first: Vec<&Container>, kept: usize) {
        for container in newest_first.into_iter().skip(kept) {
            let chore = Chore::RemoveContainer(container.id.clone());
            if !self.deletor.waiting.contains(&chore) {
                self.deletor.waiting.push_back(chore);
            }
        }
    }

    /// The periodic collection of containers (`evictContainers`), and then of sandboxes.
    pub(super) fn collect_containers(&mut self, seen: &Snapshot, pod_is_gone: bool) {
        let mut by_name: BTreeMap<&SmolStr, Vec<&Container>> = BTreeMap::new();
        // One that was created and never started is garbage, too.
        for container in newest_first(seen, |container| !container.is_running()) {
            by_name.entry(&container.name).or_default().push(container);
        }
        let kept = if pod_is_gone { 0 } else { KEPT };
        for containers in by_name.into_values() {
            let old = in_order_of_removal(containers, kept);
            let chores =
                old.into_iter().map(|container| Chore::RemoveContainer(container.id.clone()));
            self.collection.waiting.extend(chores);
        }
        self.collection.waiting.push_back(Chore::CollectSandboxes);
    }

    /// The periodic collection of sandboxes (`evictSandboxes`): those that are not ready and hold
    /// nothing; the newest is kept while the pod is there.
    pub(super) fn collect_sandboxes(&mut self, seen: &Snapshot, pod_is_gone: bool) {
        let newest_first = seen.sandboxes.iter().rev().collect();
        let empty = |id: &SmolStr| seen.containers.iter().all(|inside| inside.sandbox_id != *id);
        for sandbox in in_order_of_removal(newest_first, usize::from(!pod_is_gone)) {
            if !sandbox.ready && empty(&sandbox.id) {
                self.collection.waiting.push_back(Chore::StopSandbox(sandbox.id.clone()));
            }
        }
    }

    /// A sandbox was stopped: it is removed next.
    pub(super) fn sandbox_stopped(&mut self, id: SmolStr) {
        self.collection.waiting.push_front(Chore::RemoveSandbox(id));
    }
}

/// The oldest goes first (`removeOldestN`). If all of them go they are not sorted, and leave from the
/// end of the runtime's list, where the newest one stands.
fn in_order_of_removal<T>(newest_first: Vec<T>, kept: usize) -> Vec<T> {
    let mut old: Vec<T> = newest_first.into_iter().skip(kept).collect();
    if kept > 0 {
        old.reverse();
    }
    old
}

/// The containers that have ended, newest first.
fn ended(snapshot: &Snapshot, which: impl Fn(&Container) -> bool) -> Vec<&Container> {
    newest_first(snapshot, |container| container.state == State::Exited && which(container))
}

fn newest_first(snapshot: &Snapshot, which: impl Fn(&Container) -> bool) -> Vec<&Container> {
    let mut found: Vec<&Container> =
        snapshot.containers.iter().filter(|container| which(container)).collect();
    found.sort_by_key(|container| core::cmp::Reverse(container.sequence));
    found
}

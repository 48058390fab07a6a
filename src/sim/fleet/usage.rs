//! What a fleet reserves and uses over time.

use alloc::vec::Vec;
use core::time::Duration;

use crate::quantity::{Format, Quantity};
use crate::resources::{PodResources, PodResourcesOptions, ResourceName};
use crate::time::Timestamp;

/// What pods of one spec cost, by resource.
#[derive(Clone, Debug, Default)]
pub(super) struct SpecCost {
    /// From the pod's beginning to its end.
    reserved: Vec<i128>,
    /// Used as long: overhead, and what is requested at pod level.
    fixed: Vec<i128>,
    /// By container: used while it runs.
    containers: Vec<Vec<i128>>,
}

/// What the pods of all specs cost.
#[derive(Clone, Debug, Default)]
pub(super) struct Costs {
    names: Vec<ResourceName>,
    specs: Vec<SpecCost>,
}

/// CPU is counted in thousandths, all else in whole units, as the scheduler does
/// (`Resource.Add`, `pkg/scheduler/framework/types.go`).
fn count(name: &ResourceName, quantity: Option<Quantity>) -> i128 {
    let quantity = quantity.unwrap_or(Quantity::ZERO);
    if *name == ResourceName::CPU { quantity.milli_value().into() } else { quantity.wide_value() }
}

fn quantity(name: &ResourceName, count: i128) -> Quantity {
    if *name == ResourceName::CPU {
        let milli = i64::try_from(count).unwrap_or(if count < 0 { i64::MIN } else { i64::MAX });
        return Quantity::from_milli(milli, Format::DecimalSI);
    }
    let in_bytes = *name == ResourceName::MEMORY
        || *name == ResourceName::EPHEMERAL_STORAGE
        || name.is_hugepages();
    let format = if in_bytes { Format::BinarySI } else { Format::DecimalSI };
    Quantity::new(count, format)
}

impl Costs {
    pub(super) fn of(pods: &[PodResources]) -> Self {
        let mut names: Vec<ResourceName> =
            pods.iter().flat_map(|pod| pod.resource_names()).cloned().collect();
        names.sort();
        names.dedup();
        let options = PodResourcesOptions::default();
        let specs = pods.iter().map(|pod| {
            let by_name = |of: &dyn Fn(&ResourceName) -> Option<Quantity>| -> Vec<i128> {
                names.iter().map(|name| count(name, of(name))).collect()
            };
            let reserved = pod.requests(&options);
            SpecCost {
                reserved: by_name(&|name| reserved.get(name).copied()),
                fixed: by_name(&|name| pod.used_by_pod(&options, name)),
                containers: (0..pod.containers())
                    .map(|at| by_name(&|name| pod.used_by_container(&options, at, name)))
                    .collect(),
            }
        });
        let specs = specs.collect();
        Self { names, specs }
    }

    /// Of the spec at this position; `None`: nothing is known of it.
    pub(super) fn spec(&self, position: usize) -> Option<&SpecCost> {
        self.specs.get(position).filter(|_| !self.names.is_empty())
    }
}

/// What is reserved and used at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResourceSample {
    /// The instant, counted from the beginning of the fleet.
    pub at: Duration,
    /// What the scheduler keeps for the pods that are on their nodes: the sum of their
    /// [`pod_requests`](crate::resources::pod_requests).
    pub reserved: Quantity,
    /// What the containers that run then request, with the overhead of their pods. A resource that
    /// is requested at pod level counts as long as the pod is on its node.
    pub used: Quantity,
}

/// What one resource's numbers change by, from one sample to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Changes {
    reserved: Vec<i128>,
    used: Vec<i128>,
}

/// What a fleet reserves and uses over time, at instants that are equally far apart.
///
/// A sample is exact for its instant; what begins and ends between two samples is in none. The
/// distance between them is a second, or as many seconds as keep the samples to 4,096
/// needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceUsage {
    names: Vec<ResourceName>,
    changes: Vec<Changes>,
    /// How often the distance of the samples, at first a second, was doubled.
    doublings: u32,
}

const MOST_SAMPLES: usize = 4_096;
const SECOND: u64 = 1_000_000_000;

impl ResourceUsage {
    /// The resources that any pod requests, in alphabetical order.
    pub fn names(&self) -> &[ResourceName] {
        &self.names
    }

    /// How far apart the samples are.
    pub fn interval(&self) -> Duration {
        Duration::from_nanos(self.nanos())
    }

    fn nanos(&self) -> u64 {
        SECOND.saturating_mul(1 << self.doublings.min(32))
    }

    /// The samples of a resource, from the beginning of the fleet until nothing changes any more;
    /// none for one that no pod requests.
    pub fn samples(&self, name: &ResourceName) -> impl Iterator<Item = ResourceSample> {
        let position = self.names.iter().position(|own| own == name);
        let changes = position.and_then(|position| self.changes.get(position));
        let own = |list: fn(&Changes) -> &Vec<i128>| changes.map_or(&[][..], |c| list(c));
        let (reserved, used) = (own(|changes| &changes.reserved), own(|changes| &changes.used));
        let (mut sum_reserved, mut sum_used) = (0, 0);
        let (interval, name) = (self.nanos(), name.clone());
        (0..reserved.len().max(used.len())).map(move |index| {
            sum_reserved += reserved.get(index).copied().unwrap_or(0);
            sum_used += used.get(index).copied().unwrap_or(0);
            ResourceSample {
                at: Duration::from_nanos(interval.saturating_mul(index as u64)),
                reserved: quantity(&name, sum_reserved),
                used: quantity(&name, sum_used),
            }
        })
    }

    /// The first sample at which the most is reserved.
    pub fn peak_reserved(&self, name: &ResourceName) -> Option<ResourceSample> {
        self.samples(name)
            .reduce(|most, next| if next.reserved > most.reserved { next } else { most })
    }

    /// The first sample at which the most is used.
    pub fn peak_used(&self, name: &ResourceName) -> Option<ResourceSample> {
        self.samples(name).reduce(|most, next| if next.used > most.used { next } else { most })
    }

    /// The last sample: what is reserved and used by the pods that are still there once nothing
    /// changes any more.
    pub fn at_end(&self, name: &ResourceName) -> Option<ResourceSample> {
        self.samples(name).last()
    }

    /// The same resources, and nothing of them.
    pub(super) fn for_costs(costs: &Costs) -> Self {
        let names = costs.names.clone();
        Self { changes: alloc::vec![Changes::default(); names.len()], names, doublings: 0 }
    }

    /// Where the first sample is that is not earlier.
    fn index(&mut self, after: Duration) -> usize {
        let nanos = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
        loop {
            let index = nanos.div_ceil(self.nanos());
            match usize::try_from(index) {
                Ok(index) if index < MOST_SAMPLES => return index,
                _ => self.double(),
            }
        }
    }

    /// Drops every second sample.
    fn double(&mut self) {
        self.doublings += 1;
        for changes in &mut self.changes {
            for list in [&mut changes.reserved, &mut changes.used] {
                for index in 1..list.len() {
                    let change = core::mem::take(&mut list[index]);
                    list[index.div_ceil(2)] += change;
                }
                list.truncate(list.len() / 2 + 1);
            }
        }
    }

    fn change(
        &mut self,
        after: Duration,
        list: fn(&mut Changes) -> &mut Vec<i128>,
        by: &[i128],
        more: bool,
    ) {
        let index = self.index(after);
        for (changes, by) in self.changes.iter_mut().zip(by) {
            let list = list(changes);
            if list.len() <= index {
                list.resize(index + 1, 0);
            }
            list[index] += if more { *by } else { -*by };
        }
    }

    /// Counts a pod that is on its node from `from` to `until`, at the end of the fleet still if
    /// that is `None`, and the starts and ends of its containers; instants are counted from the
    /// beginning of the fleet.
    pub(super) fn count(
        &mut self,
        cost: &SpecCost,
        (from, until): (Duration, Option<Duration>),
        runs: impl Iterator<Item = (Duration, u16, bool)>,
    ) {
        for (after, begins) in [(Some(from), true), (until, false)] {
            if let Some(after) = after {
                self.change(after, |changes| &mut changes.reserved, &cost.reserved, begins);
                self.change(after, |changes| &mut changes.used, &cost.fixed, begins);
            }
        }
        for (after, container, starts) in runs {
            if let Some(by) = cost.containers.get(usize::from(container)) {
                self.change(after, |changes| &mut changes.used, by, starts);
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if self.names.is_empty() {
            self.clone_from(other);
            return;
        }
        let mut other = other.clone();
        while self.doublings < other.doublings {
            self.double();
        }
        while other.doublings < self.doublings {
            other.double();
        }
        for (own, other) in self.changes.iter_mut().zip(&other.changes) {
            for (own, other) in [(&mut own.reserved, &other.reserved), (&mut own.used, &other.used)]
            {
                own.resize(own.len().max(other.len()), 0);
                own.iter_mut().zip(other).for_each(|(own, other)| *own += other);
            }
        }
    }
}

/// The starts and ends of a life's containers.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs(Vec<(Timestamp, u16, bool)>);

impl Runs {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn note(&mut self, at: Timestamp, container: usize, starts: bool) {
        self.0.push((at, container as u16, starts));
    }

    /// The same, counted from the beginning of the fleet.
    pub(super) fn since(
        &self,
        beginning: Timestamp,
    ) -> impl Iterator<Item = (Duration, u16, bool)> {
        let since = move |at: Timestamp| at.saturating_duration_since(beginning);
        self.0.iter().map(move |(at, container, starts)| (since(*at), *container, *starts))
    }
}

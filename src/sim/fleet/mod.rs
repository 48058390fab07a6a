//! Very many pods on one virtual clock.
//!
//! A [`Fleet`] runs pods over a few compiled specs; a [`Workload`] says what each of them does. It
//! gives the same answers as [`simulate`](super::simulate) would for each pod on its own, some
//! hundred times as fast: each spec is turned into an automaton, whose table the plain simulation
//! fills in as it is needed, so that a sync is mostly a look-up.
//!
//! Nothing grows with the number of pods: a [`FleetSummary`] holds sums and distributions only, and
//! no more pods are alive at a time than there are on a node.
//! Pods do not see each other, unless they are on [`Nodes`] that do a limited number of things at once; and
//! nodes do not. So it does not matter in what order and on how many threads they run.
//!
//! ```
//! use std::time::Duration;
//! use podinit::sim::Run;
//! use podinit::sim::fleet::{Durations, Fleet, PodScript, Random};
//! use podinit::{FeatureGates, PodSpec};
//!
//! let pod = serde_json::from_value(serde_json::json!({
//!     "metadata": {"name": "web"},
//!     "spec": {
//!         "initContainers": [{"name": "migrate", "image": "db-tools:1"}],
//!         "containers": [{"name": "app", "image": "web:1"}],
//!     },
//! }))?;
//! let specs = [PodSpec::compile(&pod, FeatureGates::default())?];
//! let migrate = specs[0].find("migrate").unwrap();
//!
//! // A migration lasts 1 s to 9 s, and every fifth fails the first time.
//! let lasts = Durations::quantiles([1, 9].map(Duration::from_secs));
//! let workload = |pod: u64, script: &mut PodScript| {
//!     let mut random = Random::of_pod(42, pod);
//!     let runs = &mut script.container(migrate).runs;
//!     if random.chance(200_000) {
//!         runs.push(Run::ends(lasts.draw(&mut random), 1));
//!     }
//!     runs.push(Run::ends(lasts.draw(&mut random), 0));
//! };
//! let summary = Fleet::new(&specs, workload).run(0..10_000);
//!
//! assert_eq!(summary.ready_after.count(), 10_000);
//! assert!(summary.ready_after.quantile(500) > Some(Duration::from_secs(5)));
//! assert!((1_900..2_100).contains(&summary.restarts));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod automaton;
mod life;
mod node;
mod random;
mod runner;
mod summary;
mod usage;
mod workload;

use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;

pub use hdrhistogram;
pub use node::Nodes;
pub use random::{Durations, Random};
pub use summary::{Distribution, Ends, FleetSummary, StatusTally};
pub use usage::{ResourceSample, ResourceUsage};
pub use workload::{PodScript, Workload};

use crate::pod::PodSpec;
use crate::resources::PodResources;
use crate::worker::WorkerSettings;
use runner::{Conditions, Runner};
use usage::Costs;

/// Pods over shared specs, and what was learned about the specs so far.
///
/// A pod that the automaton does not cover is simulated plainly, which is slower, and counted in
/// [`FleetSummary::simulated_plainly`]: one of more than 16 containers or with ephemeral ones, one
/// to which rarer [events](PodScript::events) happen, and every pod of a spec once its table has
/// come to 65,536 states.
#[derive(Debug)]
pub struct Fleet<'a, W> {
    specs: &'a [PodSpec],
    workload: W,
    settings: WorkerSettings,
    horizon: Duration,
    nodes: Option<Nodes>,
    costs: Costs,
    runners: Vec<Runner<'a>>,
}

impl<'a, W: Workload> Fleet<'a, W> {
    /// A fleet on nodes with default settings, each of whose pods is watched for a day.
    pub fn new(specs: &'a [PodSpec], workload: W) -> Self {
        let day = Duration::from_secs(24 * 3_600);
        let settings = WorkerSettings::default();
        Self {
            specs,
            workload,
            settings,
            horizon: day,
            nodes: None,
            costs: Costs::default(),
            runners: Vec::new(),
        }
    }

    /// The same with other back-offs. That a kubelet starts is not simulated: its time is not
    /// looked at.
    #[must_use]
    pub fn settings(self, settings: WorkerSettings) -> Self {
        let settings = WorkerSettings { kubelet_started_at: None, ..settings };
        Self { settings, runners: Vec::new(), ..self }
    }

    /// The same, but each pod is watched for this long from its beginning.
    #[must_use]
    pub fn horizon(self, horizon: Duration) -> Self {
        Self { horizon, ..self }
    }

    /// The same on nodes, whose pods wait for each other. All pods of a node should be in one run:
    /// those that are in another do not share it.
    ///
    /// A pod that is simulated plainly waits for nobody.
    ///
    /// ```
    /// use std::num::NonZero;
    /// use std::time::Duration;
    /// use podinit::sim::fleet::{Fleet, Nodes, PodScript};
    /// use podinit::{FeatureGates, PodSpec};
    ///
    /// let pod = serde_json::from_value(serde_json::json!({
    ///     "metadata": {"name": "web"},
    ///     "spec": {"containers": [{"name": "app", "image": "web:1", "imagePullPolicy": "Always"}]},
    /// }))?;
    /// let specs = [PodSpec::compile(&pod, FeatureGates::default())?];
    /// // Three nodes of ten pods each, which pull the same image, one after the other.
    /// let workload = |_pod: u64, script: &mut PodScript| {
    ///     script.container_at(0).image_pull_lasts = Duration::from_secs(5);
    ///     script.container_at(0).start_lasts = Duration::from_secs(1);
    /// };
    /// let nodes = Nodes::new(NonZero::new(10).unwrap());
    /// let one_by_one = nodes.max_parallel_container_starts(NonZero::new(1));
    /// let summary = Fleet::new(&specs, workload).nodes(one_by_one).run(0..30);
    ///
    /// // Only the first pod of a node pulls the image; the tenth container is started 9 s later.
    /// let seconds = |duration: Option<Duration>| duration.map(|duration| duration.as_secs());
    /// assert_eq!(seconds(summary.ready_after.quantile(0)), Some(6));
    /// assert_eq!(seconds(summary.image_pull_waits.quantile(1_000)), Some(5));
    /// assert_eq!(seconds(summary.container_start_waits.quantile(1_000)), Some(9));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn nodes(self, nodes: Nodes) -> Self {
        Self { nodes: Some(nodes), ..self }
    }

    /// The same, and the summary says what is reserved and used over time: the resources of the
    /// specs, in their order.
    #[must_use]
    pub fn resources(self, resources: &[PodResources]) -> Self {
        Self { costs: Costs::of(resources), ..self }
    }

    /// Runs the pods of these numbers, one after the other.
    pub fn run(&mut self, pods: Range<u64>) -> FleetSummary {
        self.make_runners(1);
        let mut summary = FleetSummary::default();
        let Self { settings, horizon, nodes, ref costs, .. } = *self;
        let conditions = Conditions { settings, horizon, nodes, costs };
        if let Some(runner) = self.runners.first_mut() {
            runner.run(&self.workload, pods, conditions, &mut summary);
            runner.hand_over(&mut summary);
        }
        summary
    }

    /// How many states the automata have come to, over all threads: what the tables take is some
    /// kilobytes for each.
    pub fn states(&self) -> usize {
        self.runners.iter().map(Runner::states).sum()
    }

    fn make_runners(&mut self, count: usize) {
        while self.runners.len() < count {
            self.runners.push(Runner::new(self.specs, self.settings));
        }
    }
}

/// How many pods a thread takes at once.
#[cfg(feature = "rayon")]
const BATCH: u64 = 1_024;

#[cfg(feature = "rayon")]
impl<W: Workload + Sync> Fleet<'_, W> {
    /// The same as [`Fleet::run`] on all threads of the present rayon pool.
    pub fn run_parallel(&mut self, pods: Range<u64>) -> FleetSummary {
        use core::sync::atomic::{AtomicU64, Ordering};
        use rayon::iter::{IntoParallelRefMutIterator as _, ParallelIterator as _};

        self.make_runners(rayon::current_num_threads());
        let Self { settings, horizon, nodes, ref costs, ref workload, .. } = *self;
        let conditions = Conditions { settings, horizon, nodes, costs };
        // Batches end where nodes do.
        let node = nodes.map_or(1, |nodes| nodes.pods_per_node.get());
        let batch = (BATCH / node).max(1).saturating_mul(node);
        let next = AtomicU64::new(pods.start / batch);
        let run = |runner: &mut Runner<'_>| {
            let mut summary = FleetSummary::default();
            loop {
                let start = next.fetch_add(1, Ordering::Relaxed).saturating_mul(batch);
                if start >= pods.end {
                    runner.hand_over(&mut summary);
                    return summary;
                }
                let end = pods.end.min(start.saturating_add(batch));
                runner.run(workload, pods.start.max(start)..end, conditions, &mut summary);
            }
        };
        self.runners.par_iter_mut().map(run).reduce(FleetSummary::default, |mut all, some| {
            all.merge(&some);
            all
        })
    }
}

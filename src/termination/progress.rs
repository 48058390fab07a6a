//! A plan while it is carried out.

use alloc::vec::Vec;
use core::time::Duration;

use super::grace::MINIMUM_GRACE_PERIOD_SECONDS;
use super::plan::{ContainerStop, TerminationPlan, Turn};
use crate::pod::{ContainerIndex, LifecycleHandler};

/// Something to do now. `stop` is a position in [`TerminationPlan::stops`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StopOrder {
    /// Run the `preStop` hook and report its end with [`Termination::pre_stop_ended`]. After
    /// `limit` nobody waits for it any more.
    RunPreStop {
        /// Whose hook.
        stop: usize,
        /// The hook.
        handler: LifecycleHandler,
        /// How long it may take.
        limit: Duration,
    },
    /// Ask the container to stop: SIGTERM, and SIGKILL after the grace (`StopContainer` of the
    /// runtime interface does both).
    Stop {
        /// Whom.
        stop: usize,
        /// Two seconds at least.
        grace_seconds: i64,
    },
    /// The grace that [`StopOrder::Stop`] gave is over: SIGKILL. A runtime that does this by itself
    /// can ignore it.
    Kill {
        /// Whom.
        stop: usize,
    },
}

/// When to take the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "a caller must handle each of them")]
pub enum NextStep {
    /// When this much time has passed since the beginning, or earlier if something was reported.
    At(Duration),
    /// When something was reported.
    OnChange,
    /// Never: everything has stopped or has failed to.
    Done,
}

/// What to do now, and when to ask again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use = "nobody is stopped until the orders are carried out"]
#[non_exhaustive]
pub struct TerminationStep {
    /// What to do now, all of it side by side.
    pub orders: Vec<StopOrder>,
    /// When to take the next step.
    pub next: NextStep,
}

/// How far one stop has come. Times count from the beginning of the termination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// Nothing was done yet.
    Planned,
    /// The hook runs.
    PreStop { since: Duration },
    /// It waits for its turn, with this much grace left.
    Waiting { since: Duration, grace: i64 },
    /// It was asked to stop, with this much grace.
    Stopping { since: Duration, grace: i64 },
    /// Its time is over.
    Killing,
    /// It has stopped.
    Stopped,
    /// The runtime could not stop it: it is given up, and whoever waits for it does so in vain.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Progress {
    stage: Stage,
    /// It has ended, perhaps before it was asked to. The kubelet notices only when it asks.
    gone: bool,
    /// The hook has ended.
    hook_ended: bool,
}

/// A [`TerminationPlan`] that is being carried out: tell it what happens, ask it what to do.
///
/// Times are durations since the beginning of the termination, from whatever clock the caller has;
/// they must not go back. A step at exactly [`NextStep::At`], and at once after each report, does
/// what the kubelet does; a later one does the same later. Steps in between change nothing.
///
/// A kubelet that restarts begins anew with a new plan. A grace that is shortened meanwhile changes
/// nothing: the stop goes on with the plan that it began with.
///
/// ```
/// use core::time::Duration;
/// use podinit::termination::{GraceRequest, NextStep, StopOrder, Termination, TerminationPlan};
/// # use podinit::{FeatureGates, PodSpec};
/// # let pod = serde_json::from_value(serde_json::json!({"spec": {
/// #     "containers": [{"name": "web"}], "terminationGracePeriodSeconds": 30,
/// # }}))?;
/// # let pod = PodSpec::compile_unchecked(&pod, FeatureGates::default())?;
/// let web = pod.find("web").unwrap();
/// let plan = TerminationPlan::for_pod(&pod, [(web, "1".into())], GraceRequest::default());
/// let mut termination = Termination::new(plan);
///
/// let step = termination.step(Duration::ZERO);
/// assert_eq!(step.orders[..], [StopOrder::Stop { stop: 0, grace_seconds: 30 }]);
/// assert_eq!(step.next, NextStep::At(Duration::from_secs(30)));
///
/// termination.stopped(0);
/// assert_eq!(termination.step(Duration::from_secs(4)).next, NextStep::Done);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Termination {
    plan: TerminationPlan,
    /// One for each stop of the plan.
    progress: Vec<Progress>,
}

impl Termination {
    /// Nothing was done yet.
    pub fn new(plan: TerminationPlan) -> Self {
        let planned = Progress { stage: Stage::Planned, gone: false, hook_ended: false };
        let progress = plan.stops().iter().map(|_| planned).collect();
        Self { plan, progress }
    }

    /// The plan.
    pub fn plan(&self) -> &TerminationPlan {
        &self.plan
    }

    /// Reports that a hook has ended, however. A position beyond the plan is ignored.
    pub fn pre_stop_ended(&mut self, stop: usize) {
        if let Some(progress) = self.progress.get_mut(stop) {
            progress.hook_ended = true;
        }
    }

    /// Reports that a container has ended, asked to or not. A position beyond the plan is ignored.
    pub fn stopped(&mut self, stop: usize) {
        if let Some(progress) = self.progress.get_mut(stop) {
            progress.gone = true;
        }
    }

    /// Reports that the runtime could not carry out an order. The container is given up in this
    /// plan (the kubelet makes another one when it tries again), and those who wait for it wait
    /// until their grace is over. A position beyond the plan is ignored.
    pub fn failed(&mut self, stop: usize) {
        if let Some(progress) = self.progress.get_mut(stop) {
            progress.stage = Stage::Failed;
        }
    }

    /// What to do after `elapsed`, in view of everything that was reported until now.
    pub fn step(&mut self, elapsed: Duration) -> TerminationStep {
        let mut orders = Vec::new();
        let mut next = NextStep::Done;
        let mut turns = Turns { apps_running: false, last: None };
        let app_stops = self.plan.app_stops();
        // Whoever is waited for comes before those who wait, so that one pass settles everything.
        for (index, (stop, progress)) in
            self.plan.stops().iter().zip(&mut self.progress).enumerate()
        {
            let has_turn = turns.has_come_for(stop);
            let due = progress.advance(index, stop, has_turn, elapsed, &mut orders);
            next = next.min(due);
            let stopped = progress.stage == Stage::Stopped;
            turns.apps_running |= index < app_stops && !stopped;
            turns.note(stop, stopped);
        }
        TerminationStep { orders, next }
    }
}

impl NextStep {
    /// The one that comes first.
    fn min(self, other: Self) -> Self {
        match (self, other) {
            (Self::At(own), Self::At(other)) => Self::At(own.min(other)),
            (at @ Self::At(_), _) | (_, at @ Self::At(_)) => at,
            (Self::Done, Self::Done) => Self::Done,
            _ => Self::OnChange,
        }
    }
}

/// Whom there is still to wait for, among the stops that were looked at.
struct Turns {
    apps_running: bool,
    /// The last container looked at, and whether all of its instances have stopped.
    last: Option<(ContainerIndex, bool)>,
}

impl Turns {
    fn has_come_for(&self, stop: &ContainerStop) -> bool {
        match stop.turn {
            Turn::AtOnce => true,
            Turn::AfterApps { and } => {
                let and_stopped = and.is_none_or(|and| self.last == Some((and, true)));
                !self.apps_running && and_stopped
            }
        }
    }

    fn note(&mut self, stop: &ContainerStop, stopped: bool) {
        let others = self.last.is_none_or(|(last, all)| last != stop.container || all);
        self.last = Some((stop.container, stopped && others));
    }
}

const fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(if seconds > 0 { seconds.unsigned_abs() } else { 0 })
}

/// What is left of a grace, of which whole seconds count.
fn left(grace: i64, since: Duration, elapsed: Duration) -> i64 {
    let taken = elapsed.saturating_sub(since).as_secs();
    grace.saturating_sub_unsigned(taken)
}

impl Progress {
    /// Goes through the stages as far as it can now, and says when it can go on.
    fn advance(
        &mut self,
        index: usize,
        stop: &ContainerStop,
        has_turn: bool,
        elapsed: Duration,
        orders: &mut Vec<StopOrder>,
    ) -> NextStep {
        loop {
            self.stage = match self.stage {
                Stage::Planned => {
                    let grace = stop.grace_period.seconds;
                    match stop.pre_stop {
                        None => Stage::Waiting { since: elapsed, grace },
                        Some(handler) => {
                            let limit = seconds(grace);
                            orders.push(StopOrder::RunPreStop { stop: index, handler, limit });
                            Stage::PreStop { since: elapsed }
                        }
                    }
                }
                Stage::PreStop { since } => {
                    let grace = stop.grace_period.seconds;
                    let limit = since.saturating_add(seconds(grace));
                    if !self.hook_ended && elapsed < limit {
                        return NextStep::At(limit);
                    }
                    Stage::Waiting { since: elapsed, grace: left(grace, since, elapsed) }
                }
                Stage::Waiting { since, grace } => {
                    let limit = since.saturating_add(seconds(grace));
                    if !has_turn && elapsed < limit {
                        return NextStep::At(limit);
                    }
                    let grace = left(grace, since, elapsed).max(MINIMUM_GRACE_PERIOD_SECONDS);
                    if !self.gone {
                        orders.push(StopOrder::Stop { stop: index, grace_seconds: grace });
                    }
                    Stage::Stopping { since: elapsed, grace }
                }
                Stage::Stopping { .. } | Stage::Killing if self.gone => Stage::Stopped,
                Stage::Stopping { since, grace } => {
                    let limit = since.saturating_add(seconds(grace));
                    if elapsed < limit {
                        return NextStep::At(limit);
                    }
                    orders.push(StopOrder::Kill { stop: index });
                    Stage::Killing
                }
                Stage::Killing => return NextStep::OnChange,
                Stage::Stopped | Stage::Failed => return NextStep::Done,
            };
        }
    }
}

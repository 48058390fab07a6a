//! A termination on a virtual clock.

use alloc::vec::Vec;
use core::time::Duration;

use super::plan::{ContainerStop, TerminationPlan};
use super::progress::{NextStep, StopOrder, Termination};
use crate::pod::{ContainerIndex, LifecycleHandler};

/// How a container takes being stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "written out by callers, and complete")]
pub struct StopBehaviour {
    /// How long its `preStop` hook takes; a `sleep` hook takes what it says instead.
    pub pre_stop: Duration,
    /// How long after SIGTERM it ends; `None`: it ignores SIGTERM. SIGKILL ends it at once.
    pub exits_after_sigterm: Option<Duration>,
}

/// How the stop of a container went. Times count from the beginning of the termination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SimulatedStop {
    /// Which container.
    pub container: ContainerIndex,
    /// When it got SIGTERM.
    pub stop_requested_at: Duration,
    /// How many seconds it then had.
    pub grace_seconds: i64,
    /// When it had ended.
    pub stopped_at: Duration,
    /// It did not end in time and got SIGKILL.
    pub killed_at_deadline: bool,
}

/// Something that will happen.
#[derive(Clone, Copy, PartialEq)]
enum Pending {
    HookEnds(usize),
    Exits(usize),
}

/// Carries out a plan with containers that behave as told; the answers are in the order of
/// [`TerminationPlan::stops`].
///
/// ```
/// use core::time::Duration;
/// use podinit::termination::{GraceRequest, StopBehaviour, TerminationPlan, simulate};
/// # use podinit::{FeatureGates, PodSpec};
/// # let pod = serde_json::from_value(serde_json::json!({"spec": {
/// #     "initContainers": [{"name": "proxy", "restartPolicy": "Always"}],
/// #     "containers": [{"name": "web"}], "terminationGracePeriodSeconds": 30,
/// # }}))?;
/// # let pod = PodSpec::compile_unchecked(&pod, FeatureGates::default())?;
/// let [proxy, web] = ["proxy", "web"].map(|name| pod.find(name).unwrap());
/// let running = [(proxy, "1".into()), (web, "2".into())];
/// let plan = TerminationPlan::for_pod(&pod, running, GraceRequest::default());
///
/// // `web` ignores SIGTERM, so `proxy` gets its own only when no grace is left.
/// let stops = simulate(&plan, |stop| StopBehaviour {
///     exits_after_sigterm: (stop.container == proxy).then_some(Duration::from_secs(1)),
///     ..Default::default()
/// });
/// assert_eq!((stops[0].container, stops[0].stopped_at), (web, Duration::from_secs(30)));
/// assert_eq!(stops[1].stop_requested_at, Duration::from_secs(30));
/// assert_eq!((stops[1].grace_seconds, stops[1].stopped_at), (2, Duration::from_secs(31)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn simulate(
    plan: &TerminationPlan,
    mut behaviour: impl FnMut(&ContainerStop) -> StopBehaviour,
) -> Vec<SimulatedStop> {
    let behaviours: Vec<_> = plan.stops().iter().map(&mut behaviour).collect();
    let mut stops: Vec<_> = plan
        .stops()
        .iter()
        .map(|stop| SimulatedStop {
            container: stop.container,
            stop_requested_at: Duration::ZERO,
            grace_seconds: 0,
            stopped_at: Duration::ZERO,
            killed_at_deadline: false,
        })
        .collect();
    let mut termination = Termination::new(plan.clone());
    let mut pending: Vec<(Duration, Pending)> = Vec::new();
    let mut now = Duration::ZERO;
    loop {
        pending.retain(|(at, what)| {
            if *at > now {
                return true;
            }
            match *what {
                Pending::HookEnds(stop) => termination.pre_stop_ended(stop),
                Pending::Exits(stop) => {
                    termination.stopped(stop);
                    stops[stop].stopped_at = now;
                }
            }
            false
        });
        let step = termination.step(now);
        for order in step.orders {
            match order {
                StopOrder::RunPreStop { stop, handler, .. } => {
                    let takes = match handler {
                        LifecycleHandler::Sleep { seconds } => {
                            Duration::from_secs(seconds.try_into().unwrap_or(0))
                        }
                        LifecycleHandler::Other => behaviours[stop].pre_stop,
                    };
                    pending.push((now.saturating_add(takes), Pending::HookEnds(stop)));
                }
                StopOrder::Stop { stop, grace_seconds } => {
                    stops[stop].stop_requested_at = now;
                    stops[stop].grace_seconds = grace_seconds;
                    if let Some(takes) = behaviours[stop].exits_after_sigterm {
                        pending.push((now.saturating_add(takes), Pending::Exits(stop)));
                    }
                }
                StopOrder::Kill { stop } => {
                    pending.retain(|(_, what)| *what != Pending::Exits(stop));
                    pending.push((now, Pending::Exits(stop)));
                    stops[stop].killed_at_deadline = true;
                }
            }
        }
        let soonest = pending.iter().map(|(at, _)| *at).min();
        now = match (step.next, soonest) {
            (NextStep::Done, _) | (NextStep::OnChange, None) => return stops,
            (NextStep::At(at), None) => at,
            (NextStep::At(at), Some(soonest)) => at.min(soonest),
            (NextStep::OnChange, Some(soonest)) => soonest,
        };
    }
}

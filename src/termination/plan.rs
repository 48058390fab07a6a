//! Who is stopped, with what grace, after whom.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::grace::{GracePeriod, GraceRequest, container_grace_period};
use crate::actions::KillCause;
use crate::observation::Observation;
use crate::pod::{ContainerIndex, ContainerKind, LifecycleHandler, PodSpec};
use crate::version::Change;

/// When a container gets SIGTERM, as far as other containers matter
/// (`pkg/kubelet/kuberuntime/kuberuntime_termination_order.go`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Turn {
    /// It waits for nobody.
    AtOnce,
    /// A restartable init container waits until every app container has stopped.
    AfterApps {
        /// And until this one has stopped: the next restartable init container behind it.
        ///
        /// That one alone is looked at. If it does not run, it counts as stopped (`None`), even if
        /// one further behind still runs. In 1.29 it does not, and is waited for in vain.
        and: Option<ContainerIndex>,
    },
}

/// How one running container is to be stopped.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ContainerStop {
    /// The container.
    pub container: ContainerIndex,
    /// The runtime's id of the instance that runs.
    pub instance_id: SmolStr,
    /// How long hook, turn and stop may take together.
    pub grace_period: GracePeriod,
    /// Its `preStop` hook, if there is grace for one.
    pub pre_stop: Option<LifecycleHandler>,
    /// Whom it waits for, if there is grace for that.
    pub turn: Turn,
}

/// A plan to stop containers: data that [`Termination`](super::Termination) carries out.
///
/// ```
/// use podinit::termination::{GraceRequest, TerminationPlan, Turn};
/// # use podinit::{FeatureGates, PodSpec};
/// # let pod = serde_json::from_value(serde_json::json!({"spec": {
/// #     "initContainers": [{"name": "log", "restartPolicy": "Always"},
/// #                        {"name": "proxy", "restartPolicy": "Always"}],
/// #     "containers": [{"name": "web"}],
/// # }}))?;
/// # let pod = PodSpec::compile_unchecked(&pod, FeatureGates::default())?;
/// // Init containers `log` and `proxy` are restartable; `web` is the app.
/// let [log, proxy, web] = ["log", "proxy", "web"].map(|name| pod.find(name).unwrap());
/// let running = [(log, "1".into()), (proxy, "2".into()), (web, "3".into())];
/// let plan = TerminationPlan::for_pod(&pod, running, GraceRequest::default());
///
/// let turns: Vec<_> = plan.stops().iter().map(|stop| (stop.container, stop.turn)).collect();
/// assert_eq!(turns, [
///     (web, Turn::AtOnce),
///     (proxy, Turn::AfterApps { and: None }),
///     (log, Turn::AfterApps { and: Some(proxy) }),
/// ]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TerminationPlan {
    stops: Vec<ContainerStop>,
    /// How many of the stops, which come first, are of app containers.
    app_stops: usize,
}

impl TerminationPlan {
    /// Stops a whole pod: these running instances side by side, in the order that the pod's
    /// restartable init containers ask for (`killContainersWithSyncResult`).
    ///
    /// For a pod that is stopped for good, the override of `request` is its
    /// [`pod_grace_period`](super::pod_grace_period).
    ///
    /// There is an order since 1.29, in pods with restartable init containers.
    pub fn for_pod(
        pod: &PodSpec,
        running: impl IntoIterator<Item = (ContainerIndex, SmolStr)>,
        request: GraceRequest,
    ) -> Self {
        let mut running: Vec<_> = running.into_iter().collect();
        running.sort_by_key(|(container, _)| stop_order(pod, *container));
        let ordered =
            pod.has_restartable_init_container() && pod.gates().has(Change::SidecarsStopAfterApps);

        let mut stops = Vec::with_capacity(running.len());
        for (container, instance_id) in &running {
            let mut stop = container_stop(pod, *container, instance_id.clone(), None, request);
            let sidecar = pod.container(*container).is_restartable_init_container();
            if ordered && sidecar && stop.grace_period.seconds > 0 {
                stop.turn = Turn::AfterApps { and: next_sidecar(pod, *container, &running) };
            }
            stops.push(stop);
        }
        let app_stops = stops.iter().take_while(|stop| is_app(pod, stop.container)).count();
        Self { stops, app_stops }
    }

    /// Stops every instance of a pod that is observed to run, see [`TerminationPlan::for_pod`].
    ///
    /// Instances whose names the pod does not have are left out.
    pub fn for_observed(pod: &PodSpec, observation: &Observation, request: GraceRequest) -> Self {
        let running = observation
            .all_instances()
            .filter(|(container, instance)| {
                instance.is_running() && container.slot() < pod.containers().len()
            })
            .map(|(container, instance)| (container, instance.id.clone()));
        Self::for_pod(pod, running, request)
    }

    /// Kills one container of a pod that goes on, or one after the other in a restart in place.
    /// No order is kept (`killContainer` without a `terminationOrdering`).
    pub fn for_container(
        pod: &PodSpec,
        container: ContainerIndex,
        instance_id: SmolStr,
        cause: Option<KillCause>,
        request: GraceRequest,
    ) -> Self {
        let stop = container_stop(pod, container, instance_id, cause, request);
        let app_stops = usize::from(is_app(pod, container));
        Self { stops: [stop].into(), app_stops }
    }

    /// The stops: of app containers first, then those of other containers that wait for nobody,
    /// then those of restartable init containers, last one first.
    pub fn stops(&self) -> &[ContainerStop] {
        &self.stops
    }

    /// Takes the stops of instances that do not run any more out of the plan, and gives them.
    pub(crate) fn take_ended(
        &mut self,
        pod: &PodSpec,
        observation: &Observation,
    ) -> Vec<ContainerStop> {
        let runs = |stop: &ContainerStop| {
            let mut instances = observation.instances(stop.container).iter();
            instances.any(|instance| instance.id == stop.instance_id && instance.is_running())
        };
        let ended = self.stops.extract_if(.., |stop| !runs(stop)).collect();
        self.app_stops = self.stops.iter().take_while(|stop| is_app(pod, stop.container)).count();
        ended
    }

    pub(super) fn app_stops(&self) -> usize {
        self.app_stops
    }
}

fn container_stop(
    pod: &PodSpec,
    container: ContainerIndex,
    instance_id: SmolStr,
    cause: Option<KillCause>,
    request: GraceRequest,
) -> ContainerStop {
    let grace_period = container_grace_period(pod, container, cause, request);
    ContainerStop {
        container,
        instance_id,
        grace_period,
        pre_stop: pod.container(container).pre_stop().filter(|_| grace_period.seconds > 0),
        turn: Turn::AtOnce,
    }
}

fn is_app(pod: &PodSpec, container: ContainerIndex) -> bool {
    pod.container(container).kind() == ContainerKind::App
}

/// Sorts whoever is waited for before those who wait.
fn stop_order(pod: &PodSpec, container: ContainerIndex) -> (u8, usize) {
    let slot = container.slot();
    match pod.container(container).kind() {
        ContainerKind::App => (0, slot),
        ContainerKind::Init | ContainerKind::Ephemeral => (1, slot),
        ContainerKind::RestartableInit => (2, usize::MAX - slot),
    }
}

/// The restartable init container that the one before it waits for: the next one in the spec.
fn next_sidecar(
    pod: &PodSpec,
    container: ContainerIndex,
    running: &[(ContainerIndex, SmolStr)],
) -> Option<ContainerIndex> {
    let behind = |container: &ContainerIndex| pod.next_init_container(*container);
    let next = core::iter::successors(behind(&container), behind)
        .find(|container| pod.container(*container).is_restartable_init_container())?;
    let order = stop_order(pod, next);
    let runs = running.binary_search_by_key(&order, |(other, _)| stop_order(pod, *other)).is_ok();
    // 1.29 marks only app containers that do not run as stopped.
    (runs || !pod.gates().has(Change::StoppingSidecarWaitsForRunningOnes)).then_some(next)
}

//! What a pod needs as a whole: its effective requests and limits.
//!
//! Source: `staging/src/k8s.io/component-helpers/resource/helpers.go`, up to 1.31
//! `pkg/api/v1/resource/helpers.go`.

use alloc::vec::Vec;

use k8s_openapi::api::core::v1;

use super::compile::Wanted;
use super::error::ResourcesError;
use super::list::ResourceList;
use super::name::ResourceName;
use super::pod::PodResources;
use super::pod::Row;
use crate::container::{ContainerIndex, ContainerKind};
use crate::quantity::Quantity;
use crate::version::{Feature, FeatureGates};

/// What to count (`PodResourcesOptions`). The default counts what the spec says, overhead and
/// pod-level resources included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PodResourcesOptions<'a> {
    /// Count what the status says of a resize in place, too. Not for the kubelet's cgroups and
    /// the placing of new pods, which go by the spec.
    pub use_status_resources: bool,
    /// With `use_status_resources`: also for pod-level resources.
    pub in_place_pod_level_resources: bool,
    /// Leave out `spec.overhead`.
    pub exclude_overhead: bool,
    /// Leave out `spec.resources`.
    pub skip_pod_level_resources: bool,
    /// Leave out the containers' requests. Limits are not concerned.
    pub skip_container_level_resources: bool,
    /// What a container is taken to request of a resource that its requests do not name; zero is
    /// a name. Limits are not concerned.
    pub non_missing_container_requests: Option<&'a ResourceList>,
}

impl PodResourcesOptions<'_> {
    /// The options with which the scheduler counts pods that are on a node.
    pub fn for_gates(gates: FeatureGates) -> Self {
        Self {
            use_status_resources: gates.enabled(Feature::InPlacePodVerticalScaling),
            in_place_pod_level_resources: gates
                .enabled(Feature::InPlacePodLevelResourcesVerticalScaling),
            skip_pod_level_resources: !gates.enabled(Feature::PodLevelResources),
            ..Self::default()
        }
    }
}

/// What the containers of a pod need of one resource, walked in the order in which they start.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Walk {
    /// The app and the restartable init containers together.
    running: Option<Quantity>,
    /// The most that any moment of the initialization needs, and the first container to need it.
    init: Option<(Quantity, usize)>,
}

/// Adds what there may be to what there may be.
#[inline]
pub(super) fn add(sum: &mut Option<Quantity>, value: Option<Quantity>) {
    *sum = match (*sum, value) {
        (Some(sum), Some(value)) => Some(sum.saturating_add(value)),
        (sum, value) => sum.or(value),
    };
}

impl Walk {
    /// Walks the containers. `value` gives what a container needs by itself; `each` is told what
    /// the pod needs while an init container runs, and what an app container needs by itself
    /// (Kubernetes' `ContainerFn`).
    #[inline]
    pub(super) fn over(
        pod: &PodResources,
        value: impl Fn(usize) -> Option<Quantity>,
        mut each: impl FnMut(usize, Option<Quantity>),
    ) -> Self {
        let mut walk = Self::default();
        for app in pod.init_containers()..pod.containers() {
            let own = value(app);
            add(&mut walk.running, own);
            each(app, own);
        }
        let mut sidecars = None;
        for init in 0..pod.init_containers() {
            let own = value(init);
            let needed = if pod.kind_at(init) == ContainerKind::RestartableInit {
                add(&mut walk.running, own);
                add(&mut sidecars, own);
                sidecars
            } else {
                let mut needed = own;
                add(&mut needed, sidecars);
                needed
            };
            each(init, needed);
            if let Some(needed) = needed
                && walk.init.is_none_or(|(most, _)| needed > most)
            {
                walk.init = Some((needed, init));
            }
        }
        walk
    }

    /// What has to be reserved: for running or for initializing, whichever is more.
    pub(super) fn total(self) -> Option<Quantity> {
        match (self.running, self.init) {
            (Some(running), Some((init, _))) if init <= running => Some(running),
            (running, init) => init.map(|(init, _)| init).or(running),
        }
    }

    /// What the pod needs once it is initialized.
    pub(super) fn running(self) -> Option<Quantity> {
        self.running
    }

    /// What the initialization needs at most, and the first container to need it.
    pub(super) fn init(self) -> Option<(Quantity, usize)> {
        self.init
    }
}

/// Walks the requests for one resource. `name` is its index, if the pod names it at all.
#[inline]
pub(super) fn walk_requests(
    pod: &PodResources,
    options: &PodResourcesOptions<'_>,
    name: Option<usize>,
    non_missing: Option<Quantity>,
    each: impl FnMut(usize, Option<Quantity>),
) -> Walk {
    match name {
        Some(name) if options.use_status_resources => {
            Walk::over(pod, |index| pod.resized_request(index, name).or(non_missing), each)
        }
        Some(name) => {
            let value = |index| pod.amount(Row::Requests(index), name).or(non_missing);
            Walk::over(pod, value, each)
        }
        None => Walk::over(pod, |_| non_missing, each),
    }
}

/// Walks the limits of one resource.
#[inline]
pub(super) fn walk_limits(
    pod: &PodResources,
    options: &PodResourcesOptions<'_>,
    name: usize,
    each: impl FnMut(usize, Option<Quantity>),
) -> Walk {
    if options.use_status_resources {
        Walk::over(pod, |index| pod.resized_limit(index, name), each)
    } else {
        Walk::over(pod, |index| pod.amount(Row::Limits(index), name), each)
    }
}

/// What the containers request of one resource, from the sums made before if they fit the options.
#[inline]
fn aggregate_request(
    pod: &PodResources,
    options: &PodResourcesOptions<'_>,
    name: Option<usize>,
    non_missing: Option<Quantity>,
) -> Option<Quantity> {
    match name {
        Some(name)
            if non_missing.is_none() && !(options.use_status_resources && pod.has_status()) =>
        {
            pod.amount(Row::AggregateRequests, name)
        }
        _ if options.use_status_resources => {
            pod.resized_sum_of_requests(options, name, non_missing, Walk::total)
        }
        _ => walk_requests(pod, options, name, non_missing, |_, _| ()).total(),
    }
}

/// As [`aggregate_request`], of the containers that keep running: without the one-shot init
/// containers.
fn running_request(
    pod: &PodResources,
    options: &PodResourcesOptions<'_>,
    name: Option<usize>,
    non_missing: Option<Quantity>,
) -> Option<Quantity> {
    if options.use_status_resources {
        pod.resized_sum_of_requests(options, name, non_missing, Walk::running)
    } else {
        walk_requests(pod, options, name, non_missing, |_, _| ()).running()
    }
}

/// As [`aggregate_request`], for a limit.
#[inline]
fn aggregate_limit(
    pod: &PodResources,
    options: &PodResourcesOptions<'_>,
    name: usize,
) -> Option<Quantity> {
    if options.use_status_resources && pod.has_status() {
        pod.resized_sum_of_limits(options, name)
    } else {
        pod.amount(Row::AggregateLimits, name)
    }
}

/// Calls `each` with every name of the pod, and of the options, in order: with its index in the
/// pod and its amount in the options.
#[inline]
pub(super) fn for_each_requested(
    pod: &PodResources,
    options: &PodResourcesOptions<'_>,
    mut each: impl FnMut(&ResourceName, Option<usize>, Option<Quantity>),
) {
    let Some(others) = options.non_missing_container_requests else {
        let names = pod.resource_names().iter().enumerate();
        return names.for_each(|(index, name)| each(name, Some(index), None));
    };
    let mut others = others.iter().peekable();
    for (index, name) in pod.resource_names().iter().enumerate() {
        while let Some((other, quantity)) = others.next_if(|(other, _)| *other < name) {
            each(other, None, Some(*quantity));
        }
        let same = others.next_if(|(other, _)| *other == name);
        each(name, Some(index), same.map(|(_, quantity)| *quantity));
    }
    for (other, quantity) in others {
        each(other, None, Some(*quantity));
    }
}

/// Fills a list with what `request` gives for each name, see [`for_each_requested`].
#[inline]
fn fill_requests(
    pod: &PodResources,
    options: &PodResourcesOptions<'_>,
    list: &mut ResourceList,
    request: impl Fn(Option<usize>, Option<Quantity>) -> Option<Quantity>,
) {
    list.refill(|list| {
        for_each_requested(pod, options, |name, index, non_missing| {
            if let Some(request) = request(index, non_missing) {
                list.push(name, request);
            }
        });
    });
}

/// Fills a list with what `limit` gives for each name of the pod.
#[inline]
fn fill_limits(
    pod: &PodResources,
    list: &mut ResourceList,
    limit: impl Fn(usize) -> Option<Quantity>,
) {
    list.refill(|list| {
        for (index, name) in pod.resource_names().iter().enumerate() {
            if let Some(limit) = limit(index) {
                list.push(name, limit);
            }
        }
    });
}

/// What has to be reserved for a pod (`PodRequests`), into `requests`, whose content is replaced.
///
/// For each resource: what its app and restartable init containers request together, or what the
/// initialization needs at its worst moment if that is more. A regular init container needs its
/// own request beside those of the restartable ones **before** it. A pod-level request then
/// replaces that sum, and overhead is added.
///
/// Sums beyond 128 bits stop there; only `options` can contain that much.
///
/// Kubernetes 1.36 adds overhead to the pod-level request in the pod itself if it holds that in its
/// slow form, as it does `1.5Gi`, so that each further call counts the overhead once more. Here
/// nothing is changed by asking.
pub fn pod_requests(
    pod: &PodResources,
    options: &PodResourcesOptions<'_>,
    requests: &mut ResourceList,
) {
    fill_requests(pod, options, requests, |index, non_missing| {
        let mut request = if options.skip_container_level_resources {
            None
        } else {
            aggregate_request(pod, options, index, non_missing)
        };
        if let Some(index) = index {
            if let Some(level) = pod_level_request(pod, options, index) {
                request = Some(level);
            }
            add(&mut request, pod.overhead(options, index));
        }
        request
    });
}

/// What may be used by a pod at most (`PodLimits`), into `limits`, whose content is replaced.
///
/// Counted as [`pod_requests`] counts requests. A container without a limit adds nothing, so a
/// sum is no bound unless every container has a limit, see [`pod_cgroup`](super::pod_cgroup).
/// Overhead is added where there is a limit other than zero.
pub fn pod_limits(
    pod: &PodResources,
    options: &PodResourcesOptions<'_>,
    limits: &mut ResourceList,
) {
    fill_limits(pod, limits, |index| {
        let mut limit = aggregate_limit(pod, options, index);
        if let Some(level) = pod_level_limit(pod, options, index) {
            limit = Some(level);
        }
        if limit.is_some_and(|limit| !limit.is_zero()) {
            add(&mut limit, pod.overhead(options, index));
        }
        limit
    });
}

/// The pod-level request of a resource, if it counts.
pub(super) fn pod_level_request(
    pod: &PodResources,
    options: &PodResourcesOptions<'_>,
    name: usize,
) -> Option<Quantity> {
    if options.skip_pod_level_resources
        || !pod.is_pod_level_requests_set()
        || !pod.is_pod_level_resource(name)
    {
        None
    } else if options.in_place_pod_level_resources && options.use_status_resources {
        pod.resized_pod_request(name)
    } else {
        pod.amount(Row::PodRequests, name)
    }
}

/// The pod-level limit of a resource, if it counts.
pub(super) fn pod_level_limit(
    pod: &PodResources,
    options: &PodResourcesOptions<'_>,
    name: usize,
) -> Option<Quantity> {
    if options.skip_pod_level_resources
        || !pod.is_pod_level_resources_set()
        || !pod.is_pod_level_resource(name)
    {
        None
    } else if options.in_place_pod_level_resources && options.use_status_resources {
        pod.resized_pod_limit(name)
    } else {
        pod.amount(Row::PodLimits, name)
    }
}

#[cfg(feature = "fleet")]
impl PodResources {
    /// What a container uses of a resource while it runs: its request, unless the pod's counts.
    pub(crate) fn used_by_container(
        &self,
        options: &PodResourcesOptions<'_>,
        container: usize,
        name: &ResourceName,
    ) -> Option<Quantity> {
        let index = self.name_index(name)?;
        match pod_level_request(self, options, index) {
            Some(_) => None,
            None => self.amount(Row::Requests(container), index),
        }
    }

    /// What a pod uses of a resource whichever of its containers run: its own request and its
    /// overhead.
    pub(crate) fn used_by_pod(
        &self,
        options: &PodResourcesOptions<'_>,
        name: &ResourceName,
    ) -> Option<Quantity> {
        let index = self.name_index(name)?;
        let mut used = pod_level_request(self, options, index);
        add(&mut used, self.overhead(options, index));
        used
    }
}

/// What the containers request together (`AggregateContainerRequests`): as [`pod_requests`], but
/// without pod-level resources and overhead.
pub fn aggregate_container_requests(
    pod: &PodResources,
    options: &PodResourcesOptions<'_>,
    requests: &mut ResourceList,
) {
    fill_requests(pod, options, requests, |index, non_missing| {
        aggregate_request(pod, options, index, non_missing)
    });
}

/// What the containers may use together (`AggregateContainerLimits`): as [`pod_limits`], but
/// without pod-level resources and overhead.
pub fn aggregate_container_limits(
    pod: &PodResources,
    options: &PodResourcesOptions<'_>,
    limits: &mut ResourceList,
) {
    fill_limits(pod, limits, |index| aggregate_limit(pod, options, index));
}

/// What a container's request comes to in the pod's sum (the view of Kubernetes' `ContainerFn`),
/// into `requests`: for an app container its own request, for an init container what the pod
/// needs while it runs.
pub fn effective_container_requests(
    pod: &PodResources,
    options: &PodResourcesOptions<'_>,
    container: usize,
    requests: &mut ResourceList,
) {
    fill_requests(pod, options, requests, |index, non_missing| {
        let mut effective = None;
        walk_requests(pod, options, index, non_missing, |at, value| {
            if at == container {
                effective = value;
            }
        });
        effective
    });
}

/// As [`effective_container_requests`], for limits.
pub fn effective_container_limits(
    pod: &PodResources,
    options: &PodResourcesOptions<'_>,
    container: usize,
    limits: &mut ResourceList,
) {
    fill_limits(pod, limits, |index| {
        let mut effective = None;
        walk_limits(pod, options, index, |at, value| {
            if at == container {
                effective = value;
            }
        });
        effective
    });
}

/// The most that the initialization of a pod needs of a resource at any moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EffectiveInit {
    /// The resource.
    pub resource: ResourceName,
    /// How much is needed, restartable init containers included.
    pub quantity: Quantity,
    /// The init container that sets it: the first one that needs this much.
    pub container: ContainerIndex,
    /// Whether the initialization needs more than the running pod does, so that this is what the
    /// pod reserves for its whole life.
    pub decides: bool,
}

impl EffectiveInit {
    fn of(name: &ResourceName, walk: Walk) -> Option<Self> {
        let (quantity, slot) = walk.init()?;
        let container = ContainerIndex::new(slot);
        let decides = walk.running().is_none_or(|running| quantity > running);
        Some(Self { resource: name.clone(), quantity, container, decides })
    }
}

/// How much of [`pod_requests`] is reserved only because of the pod's one-shot init containers,
/// into `requests`, whose content is replaced: what `PodRequests` gives, less what it would give if
/// they were not in the pod.
///
/// - A restartable init container keeps running, so what it requests counts as that of the app
///   containers does. What a one-shot init container needs beside the restartable ones before it is
///   reserved for init containers as far as the running pod needs less.
/// - Of a resource with a pod-level request nothing is: that request is reserved whatever the
///   containers are. So is one that the apiserver has filled in from the containers' sum, in which
///   init containers count.
/// - Overhead is reserved either way.
///
/// A resource of which nothing is reserved for init containers is not in the list. Only a pod that
/// the apiserver refuses can have less than zero of one.
///
/// Sums beyond 128 bits stop there, as in [`pod_requests`].
///
/// ```
/// use podinit::FeatureGates;
/// use podinit::resources::{PodResources, PodResourcesOptions};
///
/// let pod = serde_json::from_str(
///     r#"{"spec": {
///         "initContainers": [
///             {"name": "proxy", "restartPolicy": "Always",
///                 "resources": {"requests": {"cpu": "100m"}}},
///             {"name": "migrate", "resources": {"requests": {"cpu": "1", "memory": "256Mi"}}}
///         ],
///         "containers": [
///             {"name": "app", "resources": {"requests": {"cpu": "250m", "memory": "512Mi"}}}
///         ]
///     }}"#,
/// )?;
/// let pod = PodResources::compile(&pod, FeatureGates::default())?;
/// let options = PodResourcesOptions::default();
/// assert_eq!(pod.requests(&options).to_string(), "cpu: 1100m, memory: 512Mi");
/// // Once migrate is over, proxy and app need 350m.
/// assert_eq!(pod.init_only_requests(&options).to_string(), "cpu: 750m");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: `PodRequests` and `AggregateContainerRequests` of
/// `component-helpers/resource/helpers.go`; the rule is that of KEP-753, "Resources calculation for
/// scheduling and pod admission".
pub fn init_only_requests(
    pod: &PodResources,
    options: &PodResourcesOptions<'_>,
    requests: &mut ResourceList,
) {
    if options.skip_container_level_resources || !pod.has_one_shot_init_containers() {
        return requests.clear();
    }
    fill_requests(pod, options, requests, |index, non_missing| {
        if index.is_some_and(|index| pod_level_request(pod, options, index).is_some()) {
            return None;
        }
        let reserved = aggregate_request(pod, options, index, non_missing)?;
        let running = running_request(pod, options, index, non_missing);
        let rest = reserved.saturating_sub(running.unwrap_or(Quantity::ZERO));
        (!rest.is_zero()).then_some(rest)
    });
}

/// The effective init request of each resource that an init container requests, in order.
pub fn effective_init_requests(
    pod: &PodResources,
    options: &PodResourcesOptions<'_>,
) -> Vec<EffectiveInit> {
    let mut effective = Vec::new();
    for_each_requested(pod, options, |name, index, non_missing| {
        let walk = walk_requests(pod, options, index, non_missing, |_, _| ());
        effective.extend(EffectiveInit::of(name, walk));
    });
    effective
}

/// The effective init limit of each resource that an init container limits, in order.
pub fn effective_init_limits(
    pod: &PodResources,
    options: &PodResourcesOptions<'_>,
) -> Vec<EffectiveInit> {
    let names = pod.resource_names().iter().enumerate();
    let walk = |index| walk_limits(pod, options, index, |_, _| ());
    names.filter_map(|(index, name)| EffectiveInit::of(name, walk(index))).collect()
}

impl PodResources {
    /// What has to be reserved for the pod, in a new list, see [`pod_requests`].
    pub fn requests(&self, options: &PodResourcesOptions<'_>) -> ResourceList {
        let mut requests = ResourceList::new();
        pod_requests(self, options, &mut requests);
        requests
    }

    /// What is reserved only because of init containers, in a new list, see
    /// [`init_only_requests`].
    pub fn init_only_requests(&self, options: &PodResourcesOptions<'_>) -> ResourceList {
        let mut requests = ResourceList::new();
        init_only_requests(self, options, &mut requests);
        requests
    }

    /// What the pod may use at most, in a new list, see [`pod_limits`].
    pub fn limits(&self, options: &PodResourcesOptions<'_>) -> ResourceList {
        let mut limits = ResourceList::new();
        pod_limits(self, options, &mut limits);
        limits
    }
}

/// What has to be reserved for a pod of the API, see [`pod_requests`].
///
/// Reads what the answer needs and nothing else, limits for one; to ask more than once, compile
/// the pod.
///
/// # Errors
/// See [`PodResources::compile`].
pub fn pod_requests_of(
    pod: &v1::Pod,
    gates: FeatureGates,
    options: &PodResourcesOptions<'_>,
) -> Result<ResourceList, ResourcesError> {
    let wanted = Wanted { limits: false, status: options.use_status_resources };
    Ok(PodResources::compile_wanted(pod, gates, wanted)?.requests(options))
}

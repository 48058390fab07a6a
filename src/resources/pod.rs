//! [`PodResources`]: the resource side of a pod, compiled once.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use smallvec::SmallVec;
use smol_str::SmolStr;

use super::error::{ResourcesError, ResourcesProblem};
use super::name::ResourceName;
use super::qos::QosClass;
use super::requests::{PodResourcesOptions, Walk, walk_limits, walk_requests};
use crate::container::{ContainerIndex, ContainerKind};
use crate::quantity::Quantity;
use crate::version::{Change, FeatureGates};

/// A container as far as resources are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Container {
    pub(super) name: SmolStr,
    pub(super) kind: ContainerKind,
}

/// The resources of a pod, compiled: names collected, quantities read, gates applied.
///
/// Containers have the [`ContainerIndex`] that they have in a [`PodSpec`](crate::PodSpec); ephemeral ones
/// have no resources. What is asked of a compiled pod cannot fail and allocates nothing.
///
/// The pod is taken as it is: to have limits stand in for requests that are missing, as the
/// apiserver does when a pod is created, call [`default_requests`](super::default_requests)
/// first. Nor is it validated, see [`PodResources::check`].
///
/// ```
/// use podinit::FeatureGates;
/// use podinit::resources::{PodResources, PodResourcesOptions};
///
/// let pod = serde_json::from_str(
///     r#"{"spec": {
///         "initContainers": [
///             {"name": "proxy", "restartPolicy": "Always", "resources": {"requests": {"cpu": "100m"}}},
///             {"name": "migrate", "resources": {"requests": {"cpu": "1"}}}
///         ],
///         "containers": [{"name": "app", "resources": {"requests": {"cpu": "250m"}}}]
///     }}"#,
/// )?;
/// let pod = PodResources::compile(&pod, FeatureGates::default())?;
/// let requests = pod.requests(&PodResourcesOptions::default());
/// assert_eq!(requests.to_string(), "cpu: 1100m");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodResources {
    pub(super) gates: FeatureGates,
    pub(super) containers: Vec<Container>,
    pub(super) init_containers: usize,
    /// The resources of which there is any amount anywhere in the pod, in order.
    pub(super) names: SmallVec<[ResourceName; 4]>,
    /// One amount for each row and name, row by row.
    pub(super) amounts: Vec<Option<Quantity>>,
    pub(super) has_overhead: bool,
    pub(super) pod_level: PodLevel,
    pub(super) status: Option<Status>,
    pub(super) node_critical: bool,
    pub(super) recorded_qos_class: Option<QosClass>,
    pub(super) sidecars_disabled: bool,
}

/// What `spec.resources` is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PodLevel {
    /// The field itself, be it empty.
    pub(super) present: bool,
    /// A request of a resource that can be asked for at pod level.
    pub(super) requests: bool,
    /// A limit of such a resource.
    pub(super) limits: bool,
}

/// What the status tells about resources, beside its amounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Status {
    /// For each container: which lists of its status count?
    pub(super) containers: SmallVec<[StatusLists; 8]>,
    /// A resize was refused for good: what the spec now says will not come.
    pub(super) infeasible: bool,
    /// Do the pod-level requests of the status count: are there resources in it?
    pub(super) pod_requests: bool,
    /// Do its pod-level limits count: are there any, be it none by name?
    pub(super) pod_limits: bool,
    /// Are both pod-level lists of requests there, which then stand for the containers' sums?
    pub(super) pod_sums: bool,
}

/// Which lists of a container's status count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StatusLists {
    /// `allocatedResources`.
    pub(super) allocated: bool,
    /// `resources.requests`.
    pub(super) requests: bool,
    /// `resources.limits`.
    pub(super) limits: bool,
}

/// A list of amounts in the pod: what one map in the API says, or a sum of such.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// What the containers request together by the spec: summed up once, asked for often.
    AggregateRequests,
    AggregateLimits,
    Overhead,
    PodRequests,
    PodLimits,
    Requests(usize),
    Limits(usize),
    PodActuatedRequests,
    PodAllocatedRequests,
    PodActuatedLimits,
    ActuatedRequests(usize),
    AllocatedRequests(usize),
    ActuatedLimits(usize),
}

impl Row {
    /// Where the row stands among all; those of the status come last and may not be there.
    #[inline]
    pub(super) const fn index(self, containers: usize) -> usize {
        match self {
            Self::AggregateRequests => 0,
            Self::AggregateLimits => 1,
            Self::Overhead => 2,
            Self::PodRequests => 3,
            Self::PodLimits => 4,
            Self::Requests(container) => 5 + container,
            Self::Limits(container) => 5 + containers + container,
            Self::PodActuatedRequests => 5 + 2 * containers,
            Self::PodAllocatedRequests => 6 + 2 * containers,
            Self::PodActuatedLimits => 7 + 2 * containers,
            Self::ActuatedRequests(container) => 8 + 2 * containers + container,
            Self::AllocatedRequests(container) => 8 + 3 * containers + container,
            Self::ActuatedLimits(container) => 8 + 4 * containers + container,
        }
    }

    pub(super) const fn count(containers: usize, status: bool) -> usize {
        if status { 8 + 5 * containers } else { 5 + 2 * containers }
    }

    const fn container(self) -> Option<usize> {
        match self {
            Self::Requests(container)
            | Self::Limits(container)
            | Self::ActuatedRequests(container)
            | Self::AllocatedRequests(container)
            | Self::ActuatedLimits(container) => Some(container),
            _ => None,
        }
    }
}

impl PodResources {
    /// What the pod needs beside its containers, if the options count it.
    #[inline]
    pub(super) fn overhead(
        &self,
        options: &PodResourcesOptions<'_>,
        name: usize,
    ) -> Option<Quantity> {
        if self.has_overhead && !options.exclude_overhead {
            self.amount(Row::Overhead, name)
        } else {
            None
        }
    }

    /// Does the status say anything about resources?
    #[inline]
    pub(super) fn has_status(&self) -> bool {
        self.status.is_some()
    }

    /// The gates that hold for the pod.
    pub fn gates(&self) -> FeatureGates {
        self.gates
    }

    /// Has the pod a restartable init container that counts as a regular one, because the gate
    /// `SidecarContainers` is off?
    pub fn has_disabled_sidecars(&self) -> bool {
        self.sidecars_disabled
    }

    /// The number of containers, init containers included.
    pub fn containers(&self) -> usize {
        self.containers.len()
    }

    /// The number of init containers: these have the indexes before the others.
    pub fn init_containers(&self) -> usize {
        self.init_containers
    }

    /// Is there an init container that ends before the pod runs?
    pub(super) fn has_one_shot_init_containers(&self) -> bool {
        self.containers.iter().any(|container| container.kind == ContainerKind::Init)
    }

    /// The containers, init containers first.
    pub fn indexes(&self) -> impl Iterator<Item = ContainerIndex> + use<> {
        (0..self.containers.len()).map(ContainerIndex::new)
    }

    /// The container of this name.
    pub fn container_index(&self, name: &str) -> Option<ContainerIndex> {
        self.containers.iter().position(|container| container.name == name).map(ContainerIndex::new)
    }

    /// The name of a container; empty if the pod has none at `index`.
    pub fn container_name(&self, index: ContainerIndex) -> &str {
        self.containers.get(index.slot()).map_or("", |container| &container.name)
    }

    /// The kind of a container; that of an app container if the pod has none at `index`.
    pub fn container_kind(&self, index: ContainerIndex) -> ContainerKind {
        self.kind_at(index.slot())
    }

    pub(super) fn kind_at(&self, slot: usize) -> ContainerKind {
        self.containers.get(slot).map_or(ContainerKind::App, |container| container.kind)
    }

    /// Every resource of which the pod's spec or status tells an amount, in order.
    pub fn resource_names(&self) -> &[ResourceName] {
        &self.names
    }

    /// The index of a resource name.
    pub(super) fn name_index(&self, name: &ResourceName) -> Option<usize> {
        self.names.iter().position(|other| other == name)
    }

    /// What a list says of a resource; nothing if it does not name it.
    #[inline]
    pub(super) fn amount(&self, row: Row, name: usize) -> Option<Quantity> {
        let index = row.index(self.containers.len()) * self.names.len() + name;
        self.amounts.get(index).copied().flatten()
    }

    /// What a list says of a resource, zero if it does not name it.
    pub(super) fn amount_of(&self, row: Row, name: &ResourceName) -> Quantity {
        let amount = self.name_index(name).and_then(|index| self.amount(row, index));
        amount.unwrap_or(Quantity::ZERO)
    }

    /// Can the resource be asked for at pod level (`IsSupportedPodLevelResource`)?
    #[inline]
    pub(super) fn is_pod_level_resource(&self, name: usize) -> bool {
        let name = &self.names[name];
        *name == ResourceName::CPU
            || *name == ResourceName::MEMORY
            || self.gates.has(Change::HugepagesAtPodLevel) && name.is_hugepages()
    }

    /// Is `spec.resources` there, be it empty?
    pub(super) fn has_pod_level_resources(&self) -> bool {
        self.pod_level.present
    }

    /// Are there pod-level requests (`IsPodLevelRequestsSet`)?
    pub fn is_pod_level_requests_set(&self) -> bool {
        self.pod_level.requests
    }

    /// Are there pod-level requests or limits (`IsPodLevelResourcesSet`)?
    pub fn is_pod_level_resources_set(&self) -> bool {
        self.pod_level.requests || self.pod_level.limits
    }

    /// Which lists of a container's status count, if there is a status.
    fn status_lists(&self, container: usize) -> Option<(&Status, StatusLists)> {
        let status = self.status.as_ref()?;
        Some((status, status.containers.get(container).copied().unwrap_or_default()))
    }

    /// Does the largest of whole sums count while a pod is resized, and not the sum of what is the
    /// largest of each container?
    fn takes_largest_sum(&self) -> bool {
        self.gates.has(Change::LargestSumCountsDuringResize)
    }

    /// What counts as a container's request while it is resized: the largest of what is wanted,
    /// what it has, and what it was granted (up to 1.36 `determineContainerReqs`).
    pub(super) fn resized_request(&self, container: usize, name: usize) -> Option<Quantity> {
        let spec = self.amount(Row::Requests(container), name);
        match self.status_lists(container) {
            Some((status, lists))
                if lists.allocated || lists.requests || self.takes_largest_sum() =>
            {
                largest([
                    spec.filter(|_| !status.infeasible),
                    self.amount(Row::ActuatedRequests(container), name),
                    self.amount(Row::AllocatedRequests(container), name),
                ])
            }
            _ => spec,
        }
    }

    /// As [`PodResources::resized_request`], for a limit (up to 1.36 `determineContainerLimits`).
    pub(super) fn resized_limit(&self, container: usize, name: usize) -> Option<Quantity> {
        let spec = self.amount(Row::Limits(container), name);
        match self.status_lists(container) {
            Some((status, lists)) if lists.limits || self.takes_largest_sum() => largest([
                spec.filter(|_| !status.infeasible),
                self.amount(Row::ActuatedLimits(container), name),
            ]),
            _ => spec,
        }
    }

    /// What a container has been granted (`containerAllocatedRequests`, 1.37).
    fn allocated_request(&self, container: usize, name: usize) -> Option<Quantity> {
        match self.status_lists(container) {
            Some((_, lists)) if lists.allocated => {
                self.amount(Row::AllocatedRequests(container), name)
            }
            Some((status, _)) if status.infeasible => None,
            _ => self.amount(Row::Requests(container), name),
        }
    }

    /// What a container has (`containerActuatedRequests`, 1.37).
    fn actuated_request(&self, container: usize, name: usize) -> Option<Quantity> {
        match self.status_lists(container) {
            Some((_, lists)) if lists.requests => {
                self.amount(Row::ActuatedRequests(container), name)
            }
            _ => self.allocated_request(container, name),
        }
    }

    /// How far a container may go (`containerActuatedLimits`, 1.37).
    fn actuated_limit(&self, container: usize, name: usize) -> Option<Quantity> {
        match self.status_lists(container) {
            Some((_, lists)) if lists.limits => self.amount(Row::ActuatedLimits(container), name),
            Some((status, _)) if status.infeasible => None,
            _ => self.amount(Row::Limits(container), name),
        }
    }

    /// What the containers request together while the pod is resized (`AggregateContainerRequests`).
    ///
    /// From 1.37 it is the largest of three sums: of what is wanted, of what the containers have and
    /// of what they were granted. The status of the pod may give the last two as a whole. `which`
    /// says of which containers a sum is.
    pub(super) fn resized_sum_of_requests(
        &self,
        options: &PodResourcesOptions<'_>,
        name: Option<usize>,
        non_missing: Option<Quantity>,
        which: impl Fn(Walk) -> Option<Quantity>,
    ) -> Option<Quantity> {
        let Some(status) = self.status.as_ref().filter(|_| self.takes_largest_sum()) else {
            return which(walk_requests(self, options, name, non_missing, |_, _| ()));
        };
        let sum = |request: &dyn Fn(usize, usize) -> Option<Quantity>| {
            let own = |index| name.and_then(|name| request(index, name)).or(non_missing);
            which(Walk::over(self, own, |_, _| ()))
        };
        let spec = sum(&|index, name| self.amount(Row::Requests(index), name));
        let (actuated, allocated) = if options.in_place_pod_level_resources && status.pod_sums {
            let of_pod = |row| name.and_then(|name| self.amount(row, name));
            (of_pod(Row::PodActuatedRequests), of_pod(Row::PodAllocatedRequests))
        } else {
            let actuated = sum(&|index, name| self.actuated_request(index, name));
            (actuated, sum(&|index, name| self.allocated_request(index, name)))
        };
        largest([spec.filter(|_| !status.infeasible), actuated, allocated])
    }

    /// As [`PodResources::resized_sum_of_requests`], for limits (`AggregateContainerLimits`).
    pub(super) fn resized_sum_of_limits(
        &self,
        options: &PodResourcesOptions<'_>,
        name: usize,
    ) -> Option<Quantity> {
        let Some(status) = self.status.as_ref().filter(|_| self.takes_largest_sum()) else {
            return walk_limits(self, options, name, |_, _| ()).total();
        };
        let sum =
            |own: &dyn Fn(usize) -> Option<Quantity>| Walk::over(self, own, |_, _| ()).total();
        let spec = sum(&|index| self.amount(Row::Limits(index), name));
        let actuated = if options.in_place_pod_level_resources && status.pod_limits {
            self.amount(Row::PodActuatedLimits, name)
        } else {
            sum(&|index| self.actuated_limit(index, name))
        };
        largest([spec.filter(|_| !status.infeasible), actuated])
    }

    /// As [`PodResources::resized_request`], for the pod-level request (`PodRequests`).
    ///
    /// Up to 1.36 the spec says which resources count, and the status can only say how much: one
    /// that the status does not name counts as zero if the spec no longer counts.
    pub(super) fn resized_pod_request(&self, name: usize) -> Option<Quantity> {
        let spec = self.amount(Row::PodRequests, name);
        let Some(status) = self.status.as_ref().filter(|status| status.pod_requests) else {
            return spec;
        };
        self.resized_at_pod_level(spec, |spec| {
            largest([
                spec.filter(|_| !status.infeasible),
                self.amount(Row::PodActuatedRequests, name),
                self.amount(Row::PodAllocatedRequests, name),
            ])
        })
    }

    /// As [`PodResources::resized_pod_request`], for the pod-level limit (`PodLimits`).
    pub(super) fn resized_pod_limit(&self, name: usize) -> Option<Quantity> {
        let spec = self.amount(Row::PodLimits, name);
        // From 1.37 the field `resources` is enough, be there no limits in it.
        let counts =
            |status: &&Status| status.pod_limits || status.pod_requests && self.takes_largest_sum();
        let Some(status) = self.status.as_ref().filter(counts) else {
            return spec;
        };
        self.resized_at_pod_level(spec, |spec| {
            largest([
                spec.filter(|_| !status.infeasible),
                self.amount(Row::PodActuatedLimits, name),
            ])
        })
    }

    fn resized_at_pod_level(
        &self,
        spec: Option<Quantity>,
        largest: impl Fn(Option<Quantity>) -> Option<Quantity>,
    ) -> Option<Quantity> {
        if self.takes_largest_sum() {
            return largest(spec);
        }
        spec.map(|spec| largest(Some(spec)).unwrap_or(Quantity::ZERO))
    }

    pub(super) fn container_of(&self, row: Row) -> Option<SmolStr> {
        row.container().map(|index| self.containers[index].name.clone())
    }

    /// Says what is wrong with an amount, and where that is.
    pub(super) fn error(
        &self,
        row: Row,
        resource: &str,
        problem: ResourcesProblem,
    ) -> ResourcesError {
        ResourcesError {
            field: self.field(row, resource),
            container: self.container_of(row),
            problem: problem.into(),
        }
    }

    /// The path of an amount, as the apiserver names it.
    fn field(&self, row: Row, resource: &str) -> String {
        let spec = |index: usize| match index.checked_sub(self.init_containers) {
            None => format!("spec.initContainers[{index}].resources"),
            Some(index) => format!("spec.containers[{index}].resources"),
        };
        // The order of a status need not be that of the spec, so the name stands for the index.
        let status = |index: usize| {
            let list = if index < self.init_containers { "initContainer" } else { "container" };
            format!("status.{list}Statuses[{}]", self.containers[index].name)
        };
        let list = match row {
            Row::Requests(index) => format!("{}.requests", spec(index)),
            Row::Limits(index) => format!("{}.limits", spec(index)),
            Row::AggregateRequests | Row::PodRequests => "spec.resources.requests".into(),
            Row::AggregateLimits | Row::PodLimits => "spec.resources.limits".into(),
            Row::Overhead => "spec.overhead".into(),
            Row::ActuatedRequests(index) => format!("{}.resources.requests", status(index)),
            Row::AllocatedRequests(index) => format!("{}.allocatedResources", status(index)),
            Row::ActuatedLimits(index) => format!("{}.resources.limits", status(index)),
            Row::PodActuatedRequests => "status.resources.requests".into(),
            Row::PodAllocatedRequests => "status.allocatedResources".into(),
            Row::PodActuatedLimits => "status.resources.limits".into(),
        };
        format!("{list}[{resource}]")
    }
}

/// The first of the largest amounts (`max`).
fn largest<const N: usize>(amounts: [Option<Quantity>; N]) -> Option<Quantity> {
    amounts.into_iter().flatten().reduce(|most, next| if next > most { next } else { most })
}

//! [`PodResources`]: the resource side of a pod, compiled once.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use smallvec::SmallVec;
use smol_str::SmolStr;

use super::{QosClass, Quantity, ResourceName, ResourcesError, ResourcesProblem};
use crate::{Feature, FeatureGates, KubernetesVersion};

/// More different resources than any pod has; more would make the work quadratic.
const MAX_RESOURCES: usize = 256;

/// What a container is to the pod's resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ContainerKind {
    /// A regular init container: runs alone but for the restartable ones before it, and ends.
    Init,
    /// A restartable init container, also called a sidecar: stays for the pod's whole life.
    #[doc(alias = "sidecar")]
    RestartableInit,
    /// A container of `spec.containers`.
    App,
}

impl ContainerKind {
    /// Does the container stay while the pod runs?
    pub const fn is_long_running(self) -> bool {
        !matches!(self, Self::Init)
    }
}

/// A container as far as resources are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Container {
    name: SmolStr,
    kind: ContainerKind,
}

/// The resources of a pod, compiled: names collected, quantities read, gates applied.
///
/// Containers are told by one index: the init containers in the order of the spec, then those of
/// `spec.containers`. What is asked of a compiled pod cannot fail and allocates nothing.
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
    gates: FeatureGates,
    containers: Vec<Container>,
    init_containers: usize,
    /// The resources of which there is any amount anywhere in the pod, in order.
    names: SmallVec<[ResourceName; 4]>,
    /// One amount for each row and name, row by row.
    amounts: Vec<Option<Quantity>>,
    pod_level: PodLevel,
    status: Option<Status>,
    pub(super) node_critical: bool,
    pub(super) recorded_qos_class: Option<QosClass>,
    pub(super) sidecars_disabled: bool,
}

/// What `spec.resources` is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct PodLevel {
    /// The field itself, be it empty.
    present: bool,
    /// A request of a resource that can be asked for at pod level.
    requests: bool,
    /// A limit of such a resource.
    limits: bool,
}

/// What the status tells about resources, beside its amounts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Status {
    /// For each container: do the amounts of its status count?
    reported: SmallVec<[bool; 8]>,
    /// Do limits in the status count?
    limits: bool,
    /// A resize was refused for good: what the spec now says will not come.
    infeasible: bool,
    pod_requests: bool,
    pod_limits: bool,
}

/// Which amounts in a container's status count while a pod is resized in place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum StatusRule {
    /// Up to 1.31: `allocatedResources`, of app containers.
    Allocated,
    /// 1.32: `resources`, of app containers.
    Actuated,
    /// From 1.33: both, of app and restartable init containers.
    Both,
}

impl StatusRule {
    fn of(version: KubernetesVersion) -> Self {
        match version {
            version if version <= KubernetesVersion::V1_31 => Self::Allocated,
            KubernetesVersion::V1_32 => Self::Actuated,
            _ => Self::Both,
        }
    }
}

/// A list of amounts in the pod: what one map in the API says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    Requests(usize),
    Limits(usize),
    PodRequests,
    PodLimits,
    Overhead,
    ActuatedRequests(usize),
    AllocatedRequests(usize),
    ActuatedLimits(usize),
    PodActuatedRequests,
    PodAllocatedRequests,
    PodActuatedLimits,
}

impl Row {
    /// Where the row stands among all; those of the status come last and may not be there.
    fn index(self, containers: usize) -> usize {
        match self {
            Self::Requests(container) => container,
            Self::Limits(container) => containers + container,
            Self::PodRequests => 2 * containers,
            Self::PodLimits => 2 * containers + 1,
            Self::Overhead => 2 * containers + 2,
            Self::ActuatedRequests(container) => 2 * containers + 3 + container,
            Self::AllocatedRequests(container) => 3 * containers + 3 + container,
            Self::ActuatedLimits(container) => 4 * containers + 3 + container,
            Self::PodActuatedRequests => 5 * containers + 3,
            Self::PodAllocatedRequests => 5 * containers + 4,
            Self::PodActuatedLimits => 5 * containers + 5,
        }
    }

    fn count(containers: usize, status: bool) -> usize {
        if status { 5 * containers + 6 } else { 2 * containers + 3 }
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

type Map = BTreeMap<String, ApiQuantity>;

/// The lists of a pod with their rows; those that are not there are left out.
struct Lists<'a>(SmallVec<[(Row, &'a Map); 16]>);

impl<'a> Lists<'a> {
    fn add(&mut self, row: Row, map: Option<&'a Map>) {
        self.0.extend(map.filter(|map| !map.is_empty()).map(|map| (row, map)));
    }

    fn add_spec(&mut self, spec: &'a v1::PodSpec) {
        for (index, container) in spec_containers(spec).enumerate() {
            if let Some(resources) = &container.resources {
                self.add(Row::Requests(index), resources.requests.as_ref());
                self.add(Row::Limits(index), resources.limits.as_ref());
            }
        }
        if let Some(resources) = &spec.resources {
            self.add(Row::PodRequests, resources.requests.as_ref());
            self.add(Row::PodLimits, resources.limits.as_ref());
        }
        self.add(Row::Overhead, spec.overhead.as_ref());
    }
}

/// The containers of a spec in the order of their indexes.
pub(super) fn spec_containers(spec: &v1::PodSpec) -> impl Iterator<Item = &v1::Container> {
    spec.init_containers.iter().flatten().chain(&spec.containers)
}

impl PodResources {
    /// Compiles the resources of a pod, with those that its status tells.
    ///
    /// # Errors
    /// For text that is no quantity, and for amounts that cannot be added up in 128 bits.
    pub fn compile(pod: &v1::Pod, gates: FeatureGates) -> Result<Self, ResourcesError> {
        match &pod.spec {
            Some(spec) => Self::compile_spec(spec, pod.status.as_ref(), gates),
            None => Self::compile_spec(&v1::PodSpec::default(), pod.status.as_ref(), gates),
        }
    }

    /// Compiles the resources of a spec, and of a status if there is one.
    ///
    /// # Errors
    /// For text that is no quantity, and for amounts that cannot be added up in 128 bits.
    pub fn compile_spec(
        spec: &v1::PodSpec,
        status: Option<&v1::PodStatus>,
        gates: FeatureGates,
    ) -> Result<Self, ResourcesError> {
        let sidecars = gates.enabled(Feature::SidecarContainers);
        let mut sidecars_disabled = false;
        let init_containers = spec.init_containers.as_ref().map_or(0, Vec::len);
        let mut containers = Vec::with_capacity(init_containers + spec.containers.len());
        for (index, container) in spec_containers(spec).enumerate() {
            let restartable = container.restart_policy.as_deref() == Some("Always");
            sidecars_disabled |= index < init_containers && restartable && !sidecars;
            let kind = match (index < init_containers, restartable && sidecars) {
                (true, true) => ContainerKind::RestartableInit,
                (true, false) => ContainerKind::Init,
                (false, _) => ContainerKind::App,
            };
            containers.push(Container { name: container.name.as_str().into(), kind });
        }

        let mut pod = Self {
            gates,
            containers,
            init_containers,
            names: SmallVec::new(),
            amounts: Vec::new(),
            pod_level: PodLevel { present: spec.resources.is_some(), ..PodLevel::default() },
            status: None,
            node_critical: spec.priority_class_name.as_deref() == Some("system-node-critical")
                && spec.priority.is_some_and(|priority| priority >= SYSTEM_CRITICAL_PRIORITY),
            recorded_qos_class: status
                .and_then(|status| QosClass::from_name(status.qos_class.as_deref()?)),
            sidecars_disabled,
        };
        let mut lists = Lists(SmallVec::new());
        lists.add_spec(spec);
        if let Some(status) = status {
            pod.add_status(status, &mut lists);
        }
        pod.read(&lists)?;
        let set = |pod: &Self, row| {
            (0..pod.names.len())
                .any(|name| pod.amount(row, name).is_some() && pod.is_pod_level_resource(name))
        };
        pod.pod_level.requests = set(&pod, Row::PodRequests);
        pod.pod_level.limits = set(&pod, Row::PodLimits);
        Ok(pod)
    }

    /// Adds the lists of a status, if any of them counts (component-helpers
    /// `AggregateContainerRequests`).
    fn add_status<'a>(&mut self, status: &'a v1::PodStatus, lists: &mut Lists<'a>) {
        let before = lists.0.len();
        let rule = StatusRule::of(self.gates.version());
        let statuses = status.init_container_statuses.iter().chain(&status.container_statuses);
        // Of several statuses of one name the last one counts, and those of init containers last.
        let find = |name: &SmolStr| {
            let in_list = |list: &'a Option<Vec<v1::ContainerStatus>>| {
                list.iter().flatten().rev().find(|status| status.name == name.as_str())
            };
            in_list(&status.init_container_statuses).or_else(|| in_list(&status.container_statuses))
        };
        let mut reported = SmallVec::new();
        if statuses.flatten().next().is_some() {
            for (index, container) in self.containers.iter().enumerate() {
                let considered = match container.kind {
                    ContainerKind::App => true,
                    ContainerKind::RestartableInit => rule == StatusRule::Both,
                    ContainerKind::Init => false,
                };
                let found = if considered { find(&container.name) } else { None };
                let resources = found.and_then(|status| status.resources.as_ref());
                let allocated = found.and_then(|status| status.allocated_resources.as_ref());
                let counts = match rule {
                    StatusRule::Allocated => found.is_some(),
                    StatusRule::Actuated | StatusRule::Both => resources.is_some(),
                };
                reported.push(counts);
                if counts && rule != StatusRule::Actuated {
                    lists.add(Row::AllocatedRequests(index), allocated);
                }
                if let (true, Some(resources)) = (rule != StatusRule::Allocated, resources) {
                    lists.add(Row::ActuatedRequests(index), resources.requests.as_ref());
                    lists.add(Row::ActuatedLimits(index), resources.limits.as_ref());
                }
            }
        }
        let (mut pod_requests, mut pod_limits) = (false, false);
        k8s_openapi::k8s_if_ge_1_35! {
            if let Some(resources) = &status.resources {
                lists.add(Row::PodActuatedRequests, resources.requests.as_ref());
                lists.add(Row::PodActuatedLimits, resources.limits.as_ref());
                (pod_requests, pod_limits) = (true, true);
            }
            if let Some(allocated) = &status.allocated_resources {
                lists.add(Row::PodAllocatedRequests, Some(allocated));
                pod_requests = true;
            }
        }
        k8s_openapi::k8s_if_le_1_34! {
            let _ = (&mut pod_requests, &mut pod_limits);
        }
        let counts = lists.0.len() > before || pod_requests || reported.contains(&true);
        self.status = counts.then(|| Status {
            reported,
            limits: rule != StatusRule::Allocated,
            infeasible: is_resize_infeasible(status, rule),
            pod_requests,
            pod_limits,
        });
    }

    /// Collects the names and reads the amounts.
    fn read(&mut self, lists: &Lists<'_>) -> Result<(), ResourcesError> {
        for (row, map) in &lists.0 {
            // Both are in order, so each name is looked for behind the one before it.
            let mut from = 0;
            for text in map.keys() {
                let found =
                    self.names[from..].iter().position(|name| name.as_str() >= text.as_str());
                let at = found.map_or(self.names.len(), |found| from + found);
                if self.names.get(at).is_none_or(|name| name.as_str() != text) {
                    if self.names.len() == MAX_RESOURCES {
                        let problem = ResourcesProblem::TooManyResources { limit: MAX_RESOURCES };
                        return Err(self.error(*row, text, problem));
                    }
                    self.names.insert(at, text.as_str().into());
                }
                from = at + 1;
            }
        }
        let width = self.names.len();
        self.amounts = vec![None; Row::count(self.containers.len(), self.status.is_some()) * width];
        let mut totals: SmallVec<[Quantity; 4]> = SmallVec::from_elem(Quantity::ZERO, width);
        for (row, map) in &lists.0 {
            let start = row.index(self.containers.len()) * width;
            let mut name = 0;
            for (text, quantity) in *map {
                while self.names[name].as_str() != text {
                    name += 1;
                }
                let value = Quantity::try_from(quantity).map_err(|source| {
                    let value = quantity.0.as_str().into();
                    self.error(*row, text, ResourcesProblem::Quantity { value, source })
                })?;
                // Whatever is added up later is a part of this sum, so that it cannot overflow.
                let total = value.checked_abs().and_then(|abs| totals[name].checked_add(abs));
                totals[name] = total.map_err(|_| {
                    let resource = self.names[name].clone();
                    self.error(*row, text, ResourcesProblem::SumTooLarge { resource, value })
                })?;
                self.amounts[start + name] = Some(value);
            }
        }
        Ok(())
    }

    /// The gates that hold for the pod.
    pub fn gates(&self) -> FeatureGates {
        self.gates
    }

    /// The number of containers, init containers included.
    pub fn containers(&self) -> usize {
        self.containers.len()
    }

    /// The number of init containers: these have the indexes before the others.
    pub fn init_containers(&self) -> usize {
        self.init_containers
    }

    /// The index of the container of this name.
    pub fn container_index(&self, name: &str) -> Option<usize> {
        self.containers.iter().position(|container| container.name == name)
    }

    /// The name of a container; empty if there is none at `index`.
    pub fn container_name(&self, index: usize) -> &str {
        self.containers.get(index).map_or("", |container| &container.name)
    }

    /// The kind of a container; that of an app container if there is none at `index`.
    pub fn container_kind(&self, index: usize) -> ContainerKind {
        self.containers.get(index).map_or(ContainerKind::App, |container| container.kind)
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
            || self.gates.version() >= KubernetesVersion::V1_33 && name.is_hugepages()
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

    /// What counts as a container's request while it is resized: the largest of what is wanted,
    /// what it has, and what it was granted (`determineContainerReqs`).
    pub(super) fn resized_request(&self, container: usize, name: usize) -> Option<Quantity> {
        let spec = self.amount(Row::Requests(container), name);
        match &self.status {
            Some(status) if status.reported.get(container) == Some(&true) => largest([
                spec.filter(|_| !status.infeasible),
                self.amount(Row::ActuatedRequests(container), name),
                self.amount(Row::AllocatedRequests(container), name),
            ]),
            _ => spec,
        }
    }

    /// As [`PodResources::resized_request`], for a limit (`determineContainerLimits`).
    pub(super) fn resized_limit(&self, container: usize, name: usize) -> Option<Quantity> {
        let spec = self.amount(Row::Limits(container), name);
        match &self.status {
            Some(status) if status.limits && status.reported.get(container) == Some(&true) => {
                largest([
                    spec.filter(|_| !status.infeasible),
                    self.amount(Row::ActuatedLimits(container), name),
                ])
            }
            _ => spec,
        }
    }

    /// As [`PodResources::resized_request`], for the pod-level request.
    pub(super) fn resized_pod_request(&self, name: usize) -> Option<Quantity> {
        let spec = self.amount(Row::PodRequests, name);
        match &self.status {
            Some(status) if status.pod_requests => largest([
                spec.filter(|_| !status.infeasible),
                self.amount(Row::PodActuatedRequests, name),
                self.amount(Row::PodAllocatedRequests, name),
            ]),
            _ => spec,
        }
    }

    /// As [`PodResources::resized_request`], for the pod-level limit.
    pub(super) fn resized_pod_limit(&self, name: usize) -> Option<Quantity> {
        let spec = self.amount(Row::PodLimits, name);
        match &self.status {
            Some(status) if status.pod_limits => largest([
                spec.filter(|_| !status.infeasible),
                self.amount(Row::PodActuatedLimits, name),
            ]),
            _ => spec,
        }
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
            Row::PodRequests => "spec.resources.requests".into(),
            Row::PodLimits => "spec.resources.limits".into(),
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

/// From here on a priority is one of the system's own (`SystemCriticalPriority`).
const SYSTEM_CRITICAL_PRIORITY: i32 = 2_000_000_000;

/// The first of the largest amounts (`max`).
fn largest<const N: usize>(amounts: [Option<Quantity>; N]) -> Option<Quantity> {
    amounts.into_iter().flatten().reduce(|most, next| if next > most { next } else { most })
}

/// Was the last resize refused for good (`IsPodResizeInfeasible`)?
fn is_resize_infeasible(status: &v1::PodStatus, rule: StatusRule) -> bool {
    if rule != StatusRule::Both {
        return status.resize.as_deref() == Some("Infeasible");
    }
    let mut conditions = status.conditions.iter().flatten();
    conditions
        .find(|condition| condition.type_ == "PodResizePending")
        .is_some_and(|condition| condition.reason.as_deref() == Some("Infeasible"))
}

//! From the API's pod to [`PodResources`].

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use smallvec::SmallVec;
use smol_str::SmolStr;

use super::error::{ResourcesError, ResourcesProblem};
use super::pod::PodResources;
use super::pod::{Container, PodLevel, Row, Status, StatusLists};
use super::qos::QosClass;
use super::requests::PodResourcesOptions;
use super::requests::{walk_limits, walk_requests};
use crate::container::ContainerKind;
use crate::quantity::Quantity;
use crate::version::{Change, Feature, FeatureGates};

/// More different resources than any pod has; more would make the work quadratic.
const MAX_RESOURCES: usize = 256;

/// From here on a priority is one of the system's own (`SystemCriticalPriority`).
const SYSTEM_CRITICAL_PRIORITY: i32 = 2_000_000_000;

/// Which amounts in a container's status count while a pod is resized in place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum StatusRule {
    /// Up to 1.31: `allocatedResources`, of app containers.
    Allocated,
    /// 1.32: `resources`, of app containers.
    Actuated,
    /// 1.33 to 1.36: both, of app and restartable init containers.
    Both,
    /// From 1.37: each of them by itself, of all containers.
    Each,
}

impl StatusRule {
    fn of(gates: FeatureGates) -> Self {
        if gates.has(Change::LargestSumCountsDuringResize) {
            Self::Each
        } else if gates.has(Change::AllocatedAndActuatedResourcesCount) {
            Self::Both
        } else if gates.has(Change::ActuatedResourcesCount) {
            Self::Actuated
        } else {
            Self::Allocated
        }
    }
}

/// Was the last resize refused for good (`IsPodResizeInfeasible`)?
fn is_resize_infeasible(status: &v1::PodStatus, rule: StatusRule) -> bool {
    if rule < StatusRule::Both {
        return status.resize.as_deref() == Some("Infeasible");
    }
    let mut conditions = status.conditions.iter().flatten();
    conditions
        .find(|condition| condition.type_ == "PodResizePending")
        .is_some_and(|condition| condition.reason.as_deref() == Some("Infeasible"))
}

/// The status of a container by its name.
fn find_status<'a>(
    status: &'a v1::PodStatus,
    name: &SmolStr,
    rule: StatusRule,
) -> Option<&'a v1::ContainerStatus> {
    let apps = status.container_statuses.iter().flatten();
    let inits = status.init_container_statuses.iter().flatten();
    let is_named = |status: &&v1::ContainerStatus| status.name == name.as_str();
    if rule == StatusRule::Each {
        return apps.chain(inits).find(is_named);
    }
    // Of several statuses of one name the last one counts, and those of init containers last.
    inits.rev().chain(apps.rev()).find(is_named)
}

type Map = BTreeMap<String, ApiQuantity>;

/// Which lists of a pod are read. Its requests always are.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) limits: bool,
    pub(super) status: bool,
}

/// An amount that was read, and where it belongs.
struct Entry {
    row: Row,
    name: usize,
    value: Quantity,
}

/// The amounts that were read.
struct Entries {
    entries: SmallVec<[Entry; 24]>,
    /// All amounts of each resource, added up. Whatever is added up later is a part of this, so
    /// that it cannot overflow.
    totals: SmallVec<[Quantity; 4]>,
}

/// The containers of a spec in the order of their indexes.
fn spec_containers(spec: &v1::PodSpec) -> impl Iterator<Item = &v1::Container> {
    spec.init_containers.iter().flatten().chain(&spec.containers)
}

impl PodResources {
    /// Compiles the resources of a pod, with those that its status tells.
    ///
    /// # Errors
    /// For text that is no quantity, and for amounts that cannot be added up in 128 bits.
    pub fn compile(pod: &v1::Pod, gates: FeatureGates) -> Result<Self, ResourcesError> {
        Self::compile_wanted(pod, gates, Wanted { limits: true, status: true })
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
        Self::compile_parts(spec, status, gates, Wanted { limits: true, status: true })
    }

    pub(super) fn compile_wanted(
        pod: &v1::Pod,
        gates: FeatureGates,
        wanted: Wanted,
    ) -> Result<Self, ResourcesError> {
        match &pod.spec {
            Some(spec) => Self::compile_parts(spec, pod.status.as_ref(), gates, wanted),
            None => {
                Self::compile_parts(&v1::PodSpec::default(), pod.status.as_ref(), gates, wanted)
            }
        }
    }

    fn compile_parts(
        spec: &v1::PodSpec,
        status: Option<&v1::PodStatus>,
        gates: FeatureGates,
        wanted: Wanted,
    ) -> Result<Self, ResourcesError> {
        let init_containers = spec.init_containers.as_ref().map_or(0, Vec::len);
        let mut pod = Self {
            gates,
            containers: Vec::with_capacity(init_containers + spec.containers.len()),
            init_containers,
            names: SmallVec::new(),
            amounts: Vec::new(),
            has_overhead: spec.overhead.is_some(),
            pod_level: PodLevel { present: spec.resources.is_some(), ..PodLevel::default() },
            status: None,
            node_critical: spec.priority_class_name.as_deref() == Some("system-node-critical")
                && spec.priority.is_some_and(|priority| priority >= SYSTEM_CRITICAL_PRIORITY),
            recorded_qos_class: status
                .and_then(|status| QosClass::from_name(status.qos_class.as_deref()?)),
            sidecars_disabled: false,
        };
        pod.add_containers(spec);
        let mut entries = Entries { entries: SmallVec::new(), totals: SmallVec::new() };
        pod.read_spec(spec, wanted, &mut entries)?;
        if let Some(status) = status.filter(|_| wanted.status) {
            pod.read_status(status, &mut entries)?;
        }
        pod.place(wanted, &entries);
        Ok(pod)
    }

    fn add_containers(&mut self, spec: &v1::PodSpec) {
        let sidecars = self.gates.enabled(Feature::SidecarContainers);
        for (index, container) in spec_containers(spec).enumerate() {
            let restartable = index < self.init_containers
                && container.restart_policy.as_deref() == Some("Always");
            self.sidecars_disabled |= restartable && !sidecars;
            let kind = match index < self.init_containers {
                true if restartable && sidecars => ContainerKind::RestartableInit,
                true => ContainerKind::Init,
                false => ContainerKind::App,
            };
            self.containers.push(Container { name: container.name.as_str().into(), kind });
        }
    }

    fn read_spec(
        &mut self,
        spec: &v1::PodSpec,
        wanted: Wanted,
        entries: &mut Entries,
    ) -> Result<(), ResourcesError> {
        for (index, container) in spec_containers(spec).enumerate() {
            if let Some(resources) = &container.resources {
                self.read(Row::Requests(index), resources.requests.as_ref(), entries)?;
                if wanted.limits {
                    self.read(Row::Limits(index), resources.limits.as_ref(), entries)?;
                }
            }
        }
        if let Some(resources) = &spec.resources {
            self.read(Row::PodRequests, resources.requests.as_ref(), entries)?;
            if wanted.limits {
                self.read(Row::PodLimits, resources.limits.as_ref(), entries)?;
            }
        }
        self.read(Row::Overhead, spec.overhead.as_ref(), entries)
    }

    /// Reads what counts of a status (component-helpers `AggregateContainerRequests`).
    fn read_status(
        &mut self,
        status: &v1::PodStatus,
        entries: &mut Entries,
    ) -> Result<(), ResourcesError> {
        let rule = StatusRule::of(self.gates);
        let mut containers = SmallVec::new();
        for index in 0..self.containers.len() {
            let container = &self.containers[index];
            let considered = match container.kind {
                ContainerKind::App => true,
                ContainerKind::RestartableInit => rule >= StatusRule::Both,
                ContainerKind::Init => rule == StatusRule::Each,
                // They have no resources.
                ContainerKind::Ephemeral => false,
            };
            let found = find_status(status, &container.name, rule).filter(|_| considered);
            let resources = found.and_then(|status| status.resources.as_ref());
            let allocated = found.and_then(|status| status.allocated_resources.as_ref());
            let lists = match rule {
                StatusRule::Allocated => {
                    StatusLists { allocated: found.is_some(), ..StatusLists::default() }
                }
                StatusRule::Actuated | StatusRule::Both => {
                    let counts = resources.is_some();
                    let allocated = counts && rule == StatusRule::Both;
                    StatusLists { allocated, requests: counts, limits: counts }
                }
                StatusRule::Each => StatusLists {
                    allocated: allocated.is_some(),
                    requests: resources.is_some_and(|resources| resources.requests.is_some()),
                    limits: resources.is_some_and(|resources| resources.limits.is_some()),
                },
            };
            containers.push(lists);
            if lists.allocated {
                self.read(Row::AllocatedRequests(index), allocated, entries)?;
            }
            if let Some(resources) = resources {
                if lists.requests {
                    self.read(Row::ActuatedRequests(index), resources.requests.as_ref(), entries)?;
                }
                if lists.limits {
                    self.read(Row::ActuatedLimits(index), resources.limits.as_ref(), entries)?;
                }
            }
        }
        let (mut pod_requests, mut pod_limits, mut pod_sums) = (false, false, false);
        k8s_openapi::k8s_if_ge_1_35! {
            if let Some(resources) = &status.resources {
                self.read(Row::PodActuatedRequests, resources.requests.as_ref(), entries)?;
                self.read(Row::PodActuatedLimits, resources.limits.as_ref(), entries)?;
                let allocated = status.allocated_resources.as_ref();
                self.read(Row::PodAllocatedRequests, allocated, entries)?;
                (pod_requests, pod_limits) = (true, resources.limits.is_some());
                pod_sums = allocated.is_some() && resources.requests.is_some();
            }
        }
        k8s_openapi::k8s_if_le_1_34! {
            let _ = (&mut pod_requests, &mut pod_limits, &mut pod_sums);
        }
        let infeasible = is_resize_infeasible(status, rule);
        let any_list = containers.iter().any(|lists| *lists != StatusLists::default());
        // From 1.37 a refused resize counts by itself: nothing is left of what the spec wants.
        if pod_requests || any_list || infeasible && rule == StatusRule::Each {
            let status = Status { containers, infeasible, pod_requests, pod_limits, pod_sums };
            self.status = Some(status);
        }
        Ok(())
    }

    /// Reads a list.
    fn read(
        &mut self,
        row: Row,
        map: Option<&Map>,
        entries: &mut Entries,
    ) -> Result<(), ResourcesError> {
        // Both are in order, so each name is looked for behind the one before it.
        let mut name = 0;
        for (text, quantity) in map.into_iter().flatten() {
            name = self.place_of_name(row, text, name, entries)?;
            let value = Quantity::try_from(quantity).map_err(|source| {
                let value = quantity.0.as_str().into();
                self.error(row, text, ResourcesProblem::Quantity { value, source })
            })?;
            let total = &mut entries.totals[name];
            *total = value.checked_abs().and_then(|abs| total.checked_add(abs)).map_err(|_| {
                let resource = self.names[name].clone();
                self.error(row, text, ResourcesProblem::SumTooLarge { resource, value })
            })?;
            entries.entries.push(Entry { row, name, value });
            name += 1;
        }
        Ok(())
    }

    /// The index of a name, at `from` or later; it is put there if it is not known yet.
    #[inline]
    fn place_of_name(
        &mut self,
        row: Row,
        text: &str,
        from: usize,
        entries: &mut Entries,
    ) -> Result<usize, ResourcesError> {
        let mut name = from;
        while let Some(known) = self.names.get(name).map(|known| known.as_str()) {
            // Equal lengths first: most names are the next one.
            if known == text {
                return Ok(name);
            }
            if known > text {
                break;
            }
            name += 1;
        }
        if self.names.len() == MAX_RESOURCES {
            let problem = ResourcesProblem::TooManyResources { limit: MAX_RESOURCES };
            return Err(self.error(row, text, problem));
        }
        if name < self.names.len() {
            entries
                .entries
                .iter_mut()
                .for_each(|entry| entry.name += usize::from(entry.name >= name));
        }
        self.names.insert(name, text.into());
        entries.totals.insert(name, Quantity::ZERO);
        Ok(name)
    }

    /// Puts what was read in its place, and sums up what the containers say by the spec.
    fn place(&mut self, wanted: Wanted, entries: &Entries) {
        let rows = Row::count(self.containers.len(), self.status.is_some());
        self.amounts = vec![None; rows * self.names.len()];
        for entry in &entries.entries {
            self.set_amount(entry.row, entry.name, Some(entry.value));
        }
        let options = PodResourcesOptions::default();
        for name in 0..self.names.len() {
            let requests = walk_requests(self, &options, Some(name), None, |_, _| ()).total();
            self.set_amount(Row::AggregateRequests, name, requests);
            if wanted.limits {
                let limits = walk_limits(self, &options, name, |_, _| ()).total();
                self.set_amount(Row::AggregateLimits, name, limits);
            }
            if self.is_pod_level_resource(name) {
                self.pod_level.requests |= self.amount(Row::PodRequests, name).is_some();
                self.pod_level.limits |= self.amount(Row::PodLimits, name).is_some();
            }
        }
    }

    fn set_amount(&mut self, row: Row, name: usize, amount: Option<Quantity>) {
        let index = row.index(self.containers.len()) * self.names.len() + name;
        if let Some(cell) = self.amounts.get_mut(index) {
            *cell = amount;
        }
    }
}

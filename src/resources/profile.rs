//! What a pod uses in each stage of its start-up, against what is reserved for it all its life.

use alloc::vec::Vec;
use core::fmt;

use smol_str::SmolStr;

use super::list::ResourceList;
use super::name::ResourceName;
use super::pod::PodResources;
use super::pod::Row;
use super::requests::PodResourcesOptions;
use super::requests::{
    add, effective_init_requests, for_each_requested, pod_level_limit, pod_level_request,
    walk_limits, walk_requests,
};
use crate::container::{ContainerIndex, ContainerKind};
use crate::quantity::Quantity;

/// A stage in the life of a pod: an init container runs, or the pod does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stage {
    /// The init container that has started last; none once the pod runs.
    pub container: Option<ContainerIndex>,
    /// Its name; empty once the pod runs.
    pub name: SmolStr,
    /// What the containers that run in this stage request together, overhead included.
    pub requests: ResourceList,
    /// What they can use at most, overhead included. A resource that one of them may use without
    /// limit is not in the list.
    pub limits: ResourceList,
}

/// What the init containers of a pod cost it of one resource, all its life.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InitWaste {
    /// The resource.
    pub resource: ResourceName,
    /// How much more is reserved than the running pod requests.
    pub quantity: Quantity,
    /// The init container for which it is reserved.
    pub container: ContainerIndex,
    /// Its name.
    pub name: SmolStr,
}

/// What a pod requests in each stage of its start-up, and what is reserved for its whole life.
///
/// The scheduler reserves once, for the worst stage, and gives nothing back when that is over. A
/// resource that is requested at pod level counts the same in every stage: all containers share it.
///
/// ```
/// use podinit::FeatureGates;
/// use podinit::resources::{PodResources, PodResourcesOptions, Profile};
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
/// let profile = Profile::of(&pod, &PodResourcesOptions::default());
/// assert_eq!(profile.reserved.to_string(), "cpu: 1100m");
/// assert_eq!(profile.running().requests.to_string(), "cpu: 350m");
/// let waste = &profile.init_waste[0];
/// assert_eq!((waste.name.as_str(), waste.quantity.to_string()), ("migrate", "750m".into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    /// One stage for each init container, in order, and the running pod as the last one.
    stages: Vec<Stage>,
    /// What is reserved for the whole life of the pod, see [`pod_requests`](super::pod_requests).
    pub reserved: ResourceList,
    /// What is reserved for init containers only and lies idle once the pod runs.
    pub init_waste: Vec<InitWaste>,
}

impl Profile {
    /// The profile of a pod.
    pub fn of(pod: &PodResources, options: &PodResourcesOptions<'_>) -> Self {
        let stage = |container: Option<ContainerIndex>| Stage {
            container,
            name: container.map_or("", |index| pod.container_name(index)).into(),
            requests: ResourceList::new(),
            limits: ResourceList::new(),
        };
        let inits = pod.init_containers();
        let mut stages: Vec<_> =
            (0..inits).map(ContainerIndex::new).map(Some).chain([None]).map(stage).collect();
        for_each_requested(pod, options, |name, index, non_missing| {
            let mut needs = alloc::vec![None; stages.len()];
            let walk = walk_requests(pod, options, index, non_missing, |at, need| {
                if at < inits {
                    needs[at] = need;
                }
            });
            needs[inits] = walk.running();
            for (stage, mut need) in stages.iter_mut().zip(needs) {
                if options.skip_container_level_resources {
                    need = None;
                }
                if let Some(index) = index {
                    need = pod_level_request(pod, options, index).or(need);
                    add(&mut need, pod.overhead(options, index));
                }
                if let Some(need) = need {
                    stage.requests.insert(name.clone(), need);
                }
            }
        });
        for (index, name) in pod.resource_names().iter().enumerate() {
            for (stage, limit) in stages.iter_mut().zip(bounds(pod, options, index)) {
                if let Some(limit) = limit {
                    stage.limits.insert(name.clone(), limit);
                }
            }
        }
        let reserved = pod.requests(options);
        let init_waste = init_waste(pod, options);
        Self { stages, reserved, init_waste }
    }

    /// The stages, in order. The last one is the running pod.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// The stage in which the pod runs.
    pub fn running(&self) -> &Stage {
        // There is always that one, see `of`.
        &self.stages[self.stages.len() - 1]
    }

    /// What is reserved but not requested by the containers of a stage.
    pub fn idle(&self, stage: &Stage) -> ResourceList {
        let rest = |(name, reserved): (&ResourceName, &Quantity)| {
            let rest = reserved.checked_sub(stage.requests.quantity(name)).ok()?;
            (!rest.is_zero()).then(|| (name.clone(), rest))
        };
        self.reserved.iter().filter_map(rest).collect()
    }
}

/// For each stage the most that can be used of a resource, if there is a bound.
fn bounds(
    pod: &PodResources,
    options: &PodResourcesOptions<'_>,
    name: usize,
) -> Vec<Option<Quantity>> {
    let inits = pod.init_containers();
    let mut sums = alloc::vec![None; inits + 1];
    let walk = walk_limits(pod, options, name, |at, limit| {
        if at < inits {
            sums[at] = limit;
        }
    });
    sums[inits] = walk.running();
    let is_limited =
        |index| pod.amount(Row::Limits(index), name).is_some_and(|limit| !limit.is_zero());
    // Does every container have a limit that is still there from earlier stages?
    let mut limited = true;
    let level = pod_level_limit(pod, options, name).filter(|level| !level.is_zero());
    let bound = |sum: Option<Quantity>, limited: bool| {
        let sum = sum.filter(|_| limited);
        let mut bound = match (sum, level) {
            (Some(sum), Some(level)) => Some(sum.min(level)),
            (sum, level) => sum.or(level),
        };
        if bound.is_some() {
            add(&mut bound, pod.overhead(options, name));
        }
        bound
    };
    let mut bounds = Vec::with_capacity(inits + 1);
    for (init, sum) in sums[..inits].iter().enumerate() {
        let own = is_limited(init);
        bounds.push(bound(*sum, limited && own));
        limited &= own || pod.kind_at(init) != ContainerKind::RestartableInit;
    }
    limited &= (inits..pod.containers()).all(is_limited);
    bounds.push(bound(sums[inits], limited));
    bounds
}

/// What is reserved beyond what the running pod requests.
fn init_waste(pod: &PodResources, options: &PodResourcesOptions<'_>) -> Vec<InitWaste> {
    let reserved = pod.init_only_requests(options);
    let waste = |init: super::EffectiveInit| {
        let quantity = *reserved.get(&init.resource)?;
        (quantity.sign() > 0).then(|| InitWaste {
            resource: init.resource,
            quantity,
            container: init.container,
            name: pod.container_name(init.container).into(),
        })
    };
    effective_init_requests(pod, options).into_iter().filter_map(waste).collect()
}

impl fmt::Display for Profile {
    /// A table: what is requested in each stage, what is reserved, and what that wastes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = |stage: &Stage| match stage.container {
            Some(_) => alloc::format!("init {}", stage.name),
            None => "running".into(),
        };
        let titles: Vec<_> = self.stages.iter().map(title).collect();
        let width = titles.iter().map(|title| title.len()).max().unwrap_or(0).max("reserved".len());
        for (stage, title) in self.stages.iter().zip(titles) {
            writeln!(f, "{title:width$}  {}", stage.requests)?;
        }
        write!(f, "{:width$}  {}", "reserved", self.reserved)?;
        for waste in &self.init_waste {
            let InitWaste { resource, quantity, name, .. } = waste;
            write!(f, "\n{:width$}  {resource}: {quantity}, for init {name} only", "waste")?;
        }
        Ok(())
    }
}

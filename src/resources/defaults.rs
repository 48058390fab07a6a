//! How the apiserver completes the resources of a new pod.
//!
//! Source: `pkg/apis/core/v1/defaults.go` (`SetDefaults_Pod`, `defaultPodRequests`,
//! `defaultHugePagePodLimits`); since 1.37 `pkg/api/pod/util.go` (`DefaultPodLevelResources`).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use super::error::ResourcesError;
use super::list::ResourceList;
use super::name::ResourceName;
use super::pod::PodResources;
use super::requests::{
    PodResourcesOptions, aggregate_container_limits, aggregate_container_requests,
};
use crate::quantity::Quantity;
use crate::version::{Change, Feature, FeatureGates};

/// Completes the requests of a new pod as the apiserver does when it is created. Pod templates are
/// not completed, only the pods made from them.
///
/// A container without a request of a resource requests what its limit is. With the gate
/// `PodLevelResources`, a pod with pod-level limits requests of each resource what its containers
/// do, else what its limit is, and has the limits of huge pages that its containers have. With the
/// gate `PodLevelResourcesFixDefaulting` so does a pod with pod-level requests alone, and where each
/// container has a limit of what the pod requests, the pod's own limit is their sum, or its request
/// if that is more.
///
/// # Errors
/// If the pod has pod-level resources and does not compile. The containers' requests are then
/// completed, and the pod-level ones as they were.
pub fn default_requests(spec: &mut v1::PodSpec, gates: FeatureGates) -> Result<(), ResourcesError> {
    default_container_requests(spec);
    default_pod_level(spec, gates)
}

/// The part of [`default_requests`] that is about containers.
pub(crate) fn default_container_requests(spec: &mut v1::PodSpec) {
    for container in spec.init_containers.iter_mut().flatten().chain(&mut spec.containers) {
        let Some(resources) = &mut container.resources else { continue };
        let Some(limits) = resources.limits.as_ref().filter(|limits| !limits.is_empty()) else {
            continue;
        };
        let requests = resources.requests.get_or_insert_default();
        for (name, limit) in limits {
            requests.entry(name.clone()).or_insert_with(|| limit.clone());
        }
    }
}

/// The part of [`default_requests`] that is about the pod as a whole.
pub(crate) fn default_pod_level(
    spec: &mut v1::PodSpec,
    gates: FeatureGates,
) -> Result<(), ResourcesError> {
    if !gates.enabled(Feature::PodLevelResources) || spec.resources.is_none() {
        return Ok(());
    }
    let fixed = gates.enabled(Feature::PodLevelResourcesFixDefaulting);
    let pod = PodResources::compile_spec(spec, None, gates)?;
    let everywhere = if fixed { limited_everywhere(spec) } else { BTreeSet::new() };
    let texts =
        Texts { init: spec.init_containers.as_deref().unwrap_or_default(), apps: &spec.containers };
    let Some(level) = &mut spec.resources else { return Ok(()) };
    let is_empty = |list: &Option<BTreeMap<_, _>>| list.as_ref().is_none_or(BTreeMap::is_empty);
    let is_set = !(is_empty(&level.limits) && is_empty(&level.requests));
    let options = PodResourcesOptions::default();
    let mut containers = ResourceList::new();

    let hugepages = gates.has(Change::HugepagesAtPodLevel);
    if hugepages && is_set {
        aggregate_container_limits(&pod, &options, &mut containers);
        for (name, limit) in containers.iter().filter(|(name, _)| name.is_hugepages()) {
            let requested =
                level.requests.as_ref().is_some_and(|list| list.contains_key(name.as_str()));
            if !requested {
                let limits = level.limits.get_or_insert_default();
                let text = name.as_str();
                limits.entry(text.into()).or_insert_with(|| texts.of_sum(limits_of, text, *limit));
            }
        }
    }

    if if fixed { !is_set } else { is_empty(&level.limits) } {
        return Ok(());
    }
    let mut requests = level.requests.take().unwrap_or_default();
    aggregate_container_requests(&pod, &options, &mut containers);
    let overcommitted = [ResourceName::CPU, ResourceName::MEMORY];
    for (name, request) in containers.iter().filter(|(name, _)| overcommitted.contains(name)) {
        let text = name.as_str();
        requests.entry(text.into()).or_insert_with(|| texts.of_sum(requests_of, text, *request));
    }
    let counts_for_the_pod =
        |name: &ResourceName| overcommitted.contains(name) || hugepages && name.is_hugepages();
    for (text, limit) in level.limits.iter().flatten() {
        if counts_for_the_pod(&ResourceName::from(text.as_str())) {
            requests.entry(text.clone()).or_insert_with(|| limit.clone());
        }
    }

    aggregate_container_limits(&pod, &options, &mut containers);
    for (name, limit) in containers.iter().filter(|(name, _)| counts_for_the_pod(name)) {
        let text = name.as_str();
        let Some(request) = requests.get(text).filter(|_| everywhere.contains(text)) else {
            continue;
        };
        // What is no quantity has been refused when the pod was compiled.
        let exceeds = request.0.parse::<Quantity>().is_ok_and(|request| request > *limit);
        let limit = if exceeds { request.clone() } else { texts.of_sum(limits_of, text, *limit) };
        level.limits.get_or_insert_default().entry(text.into()).or_insert(limit);
    }
    level.requests = Some(requests).filter(|requests| !requests.is_empty());
    Ok(())
}

/// The resources of which each container has a limit, ephemeral ones included.
fn limited_everywhere(spec: &v1::PodSpec) -> BTreeSet<String> {
    let init = spec.init_containers.iter().flatten().map(|container| &container.resources);
    let ephemeral =
        spec.ephemeral_containers.iter().flatten().map(|container| &container.resources);
    let apps = spec.containers.iter().map(|container| &container.resources);
    let mut sets = apps.chain(init).chain(ephemeral).map(|resources| {
        let limits = resources.iter().filter_map(|resources| resources.limits.as_ref());
        limits.flat_map(BTreeMap::keys).cloned().collect::<BTreeSet<_>>()
    });
    let first = sets.next().unwrap_or_default();
    sets.fold(first, |common, limits| &common & &limits)
}

/// The amounts of containers as they are written.
///
/// Kubernetes copies an amount that stands alone with its text; only adding makes a new text. So
/// the sum of a single `+1Gi` is `+1Gi`.
#[derive(Clone, Copy)]
pub(crate) struct Texts<'a> {
    pub(crate) init: &'a [v1::Container],
    pub(crate) apps: &'a [v1::Container],
}

type ListOf = fn(&v1::ResourceRequirements) -> Option<&BTreeMap<String, ApiQuantity>>;

pub(crate) fn requests_of(
    resources: &v1::ResourceRequirements,
) -> Option<&BTreeMap<String, ApiQuantity>> {
    resources.requests.as_ref()
}

pub(crate) fn limits_of(
    resources: &v1::ResourceRequirements,
) -> Option<&BTreeMap<String, ApiQuantity>> {
    resources.limits.as_ref()
}

impl Texts<'_> {
    /// The text of what the containers come to together.
    pub(crate) fn of_sum(self, list: ListOf, name: &str, sum: Quantity) -> ApiQuantity {
        let amount = |container: &v1::Container| {
            let text = container.resources.as_ref().and_then(list)?.get(name)?;
            Some((Quantity::try_from(text).ok()?, text.clone()))
        };
        let is_restartable =
            |container: &v1::Container| container.restart_policy.as_deref() == Some("Always");
        let restartable = self.init.iter().filter(|container| is_restartable(container));
        let mut running = self.apps.iter().chain(restartable).filter_map(amount);
        let mut total = running.next();
        for (value, _) in running {
            total = total.and_then(|(total, _)| {
                let total = total.checked_add(value).ok()?;
                Some((total, total.into()))
            });
        }
        if let Some((_, text)) = total.filter(|(value, _)| *value >= sum) {
            return text;
        }
        // The initialization needs more: one container alone, unless restartable ones run beside it.
        let (mut beside, mut alone) = (false, None);
        for container in self.init {
            match amount(container) {
                Some(_) if is_restartable(container) => beside = true,
                Some((value, text)) if value == sum => {
                    alone = Some(text).filter(|_| !beside);
                    break;
                }
                _ => {}
            }
        }
        alone.unwrap_or_else(|| sum.into())
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::version::KubernetesVersion;

    fn defaulted(spec: &str, version: KubernetesVersion) -> serde_json::Value {
        let mut spec: v1::PodSpec = serde_json::from_str(spec).unwrap();
        default_requests(&mut spec, version.feature_gates()).unwrap();
        serde_json::to_value(spec).unwrap()
    }

    #[test]
    fn limits_stand_in_for_requests_that_are_missing_in_every_container() {
        let spec = defaulted(
            r#"{"initContainers": [{"name": "i", "resources": {"limits": {"cpu": "1"}}}],
                "containers": [{"name": "a", "resources":
                    {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "0"}}}]}"#,
            KubernetesVersion::V1_36,
        );
        let requests = |list: &str| spec[list][0]["resources"]["requests"].to_string();
        assert_eq!(requests("initContainers"), r#"{"cpu":"1"}"#);
        assert_eq!(requests("containers"), r#"{"cpu":"0","memory":"1Gi"}"#);
    }

    #[test]
    fn pod_level_requests_come_from_the_containers_else_from_the_limits() {
        let spec = r#"{"resources": {"limits": {"cpu": "4", "memory": "8Gi"}},
            "containers": [{"name": "a", "resources": {
                "requests": {"cpu": "500m", "example.com/gpu": "1"},
                "limits": {"hugepages-2Mi": "4Mi", "cpu": "1"}}}]}"#;
        let level = &defaulted(spec, KubernetesVersion::V1_36)["resources"];
        assert_eq!(
            level["requests"].to_string(),
            r#"{"cpu":"500m","hugepages-2Mi":"4Mi","memory":"8Gi"}"#
        );
        assert_eq!(
            level["limits"].to_string(),
            r#"{"cpu":"4","hugepages-2Mi":"4Mi","memory":"8Gi"}"#
        );
        let without_gate = defaulted(spec, KubernetesVersion::V1_33);
        assert!(without_gate["resources"].get("requests").is_none());
    }

    #[test]
    fn since_1_37_pod_level_requests_alone_are_completed_and_limits_are_where_all_have_one() {
        let level = |spec: &str, version| defaulted(spec, version)["resources"].to_string();
        let spec = r#"{"resources": {"requests": {"cpu": "1"}}, "containers": [{"name": "a",
            "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}}}]}"#;
        assert_eq!(level(spec, KubernetesVersion::V1_36), r#"{"requests":{"cpu":"1"}}"#);
        assert_eq!(
            level(spec, KubernetesVersion::V1_37),
            r#"{"limits":{"cpu":"1","memory":"1Gi"},"requests":{"cpu":"1","memory":"1Gi"}}"#
        );
        let spec = r#"{"resources": {"limits": {"cpu": "4"}}, "containers": [{"name": "a",
            "resources": {"requests": {"memory": "1Gi"}}}]}"#;
        for version in [KubernetesVersion::V1_36, KubernetesVersion::V1_37] {
            assert_eq!(
                level(spec, version),
                r#"{"limits":{"cpu":"4"},"requests":{"cpu":"4","memory":"1Gi"}}"#
            );
        }
        let spec = r#"{"resources": {"requests": {"cpu": "1"}},
            "initContainers": [{"name": "i"}],
            "containers": [{"name": "a", "resources": {"limits": {"cpu": "2"}}}]}"#;
        assert_eq!(level(spec, KubernetesVersion::V1_37), r#"{"requests":{"cpu":"1"}}"#);
    }
}

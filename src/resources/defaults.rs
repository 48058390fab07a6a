//! How the apiserver completes the resources of a new pod.
//!
//! Source: `pkg/apis/core/v1/defaults.go` (`SetDefaults_Pod`, `defaultPodRequests`,
//! `defaultHugePagePodLimits`).

use k8s_openapi::api::core::v1;

use super::error::ResourcesError;
use super::list::ResourceList;
use super::name::ResourceName;
use super::pod::PodResources;
use super::requests::{
    PodResourcesOptions, aggregate_container_limits, aggregate_container_requests,
};
use crate::version::{Change, Feature, FeatureGates};

/// Completes the requests of a new pod as the apiserver does when it is created. Pod templates are
/// not completed, only the pods made from them.
///
/// A container without a request of a resource requests what its limit is. With the gate
/// `PodLevelResources`, a pod with pod-level limits requests of each resource what its containers
/// do, else what its limit is, and has the limits of huge pages that its containers have.
///
/// # Errors
/// If the pod has pod-level resources and does not compile. The containers' requests are then
/// completed, and the pod-level ones as they were.
pub fn default_requests(spec: &mut v1::PodSpec, gates: FeatureGates) -> Result<(), ResourcesError> {
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
    if gates.enabled(Feature::PodLevelResources) && spec.resources.is_some() {
        default_pod_level(spec, gates)?;
    }
    Ok(())
}

fn default_pod_level(spec: &mut v1::PodSpec, gates: FeatureGates) -> Result<(), ResourcesError> {
    let pod = PodResources::compile_spec(spec, None, gates)?;
    let Some(level) = &mut spec.resources else { return Ok(()) };
    let is_empty = |list: &Option<alloc::collections::BTreeMap<_, _>>| {
        list.as_ref().is_none_or(alloc::collections::BTreeMap::is_empty)
    };
    let options = PodResourcesOptions::default();
    let mut containers = ResourceList::new();

    let hugepages = gates.has(Change::HugepagesAtPodLevel);
    if hugepages && !(is_empty(&level.limits) && is_empty(&level.requests)) {
        aggregate_container_limits(&pod, &options, &mut containers);
        for (name, limit) in containers.iter().filter(|(name, _)| name.is_hugepages()) {
            let requested =
                level.requests.as_ref().is_some_and(|list| list.contains_key(name.as_str()));
            if !requested {
                let limits = level.limits.get_or_insert_default();
                limits.entry(name.as_str().into()).or_insert_with(|| (*limit).into());
            }
        }
    }

    let Some(limits) = level.limits.as_ref().filter(|limits| !limits.is_empty()) else {
        return Ok(());
    };
    let mut requests = level.requests.take().unwrap_or_default();
    aggregate_container_requests(&pod, &options, &mut containers);
    let overcommitted = [ResourceName::CPU, ResourceName::MEMORY];
    for (name, request) in containers.iter().filter(|(name, _)| overcommitted.contains(name)) {
        requests.entry(name.as_str().into()).or_insert_with(|| (*request).into());
    }
    for (text, limit) in limits {
        let name = ResourceName::from(text.as_str());
        if overcommitted.contains(&name) || hugepages && name.is_hugepages() {
            requests.entry(text.clone()).or_insert_with(|| limit.clone());
        }
    }
    level.requests = Some(requests).filter(|requests| !requests.is_empty());
    Ok(())
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
}

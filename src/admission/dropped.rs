//! The fields that the apiserver takes away because their feature is off
//! (`podutil.DropDisabledPodFields`).

use k8s_openapi::api::core::v1;

use crate::version::{Feature, FeatureGates};

pub(super) fn drop_disabled_fields(spec: &mut v1::PodSpec, gates: FeatureGates) {
    if !gates.enabled(Feature::PodLevelResources) {
        spec.resources = None;
    }
    if !gates.enabled(Feature::SidecarContainers) {
        for container in spec.init_containers.iter_mut().flatten() {
            container.restart_policy = None;
        }
    }
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        if !gates.enabled(Feature::ContainerRestartRules) {
            drop_restart_rules(container);
        }
        if !gates.enabled(Feature::InPlacePodVerticalScaling) {
            container.resize_policy = None;
        }
    }
}

#[allow(unused_variables, reason = "API versions before 1.34 have no rules")]
fn drop_restart_rules(container: &mut v1::Container) {
    k8s_openapi::k8s_if_ge_1_34! {
        container.restart_policy_rules = None;
    }
}

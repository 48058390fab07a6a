//! The fields that the apiserver takes away because their feature is off
//! (`podutil.DropDisabledPodFields`).

use k8s_openapi::api::core::v1;

use crate::version::{Change, Feature, FeatureGates};

pub(super) fn drop_disabled_fields(spec: &mut v1::PodSpec, gates: FeatureGates) {
    if !gates.enabled(Feature::PodLevelResources) {
        spec.resources = None;
    }
    if !gates.enabled(Feature::SidecarContainers) {
        for container in spec.init_containers.iter_mut().flatten() {
            container.restart_policy = None;
        }
    }
    if !gates.enabled(Feature::ContainerRestartRules)
        && gates.has(Change::RestartPoliciesAreDropped)
    {
        drop_restart_policies(spec);
    }
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        if !gates.enabled(Feature::ContainerRestartRules) {
            drop_restart_rules(container);
        }
        if !gates.enabled(Feature::EnvFiles) {
            drop_files(container.env.iter_mut().flatten());
        }
        if !gates.enabled(Feature::InPlacePodVerticalScaling) {
            container.resize_policy = None;
        }
    }
    if !gates.enabled(Feature::EnvFiles) {
        let ephemeral = spec.ephemeral_containers.iter_mut().flatten();
        drop_files(ephemeral.flat_map(|container| container.env.iter_mut().flatten()));
    }
}

/// Only sidecars keep their policy (`dropContainerRestartRules`).
fn drop_restart_policies(spec: &mut v1::PodSpec) {
    for container in &mut spec.containers {
        container.restart_policy = None;
    }
    for container in spec.init_containers.iter_mut().flatten() {
        container.restart_policy.take_if(|policy| policy != "Always");
    }
    for container in spec.ephemeral_containers.iter_mut().flatten() {
        container.restart_policy = None;
    }
}

/// `dropFileKeyRefInUse`.
#[allow(unused_variables, reason = "API versions before 1.34 have no files of variables")]
fn drop_files<'a>(variables: impl Iterator<Item = &'a mut v1::EnvVar>) {
    k8s_openapi::k8s_if_ge_1_34! {
        for source in variables.filter_map(|variable| variable.value_from.as_mut()) {
            source.file_key_ref = None;
        }
    }
}

#[allow(unused_variables, reason = "API versions before 1.34 have no rules")]
fn drop_restart_rules(container: &mut v1::Container) {
    k8s_openapi::k8s_if_ge_1_34! {
        container.restart_policy_rules = None;
    }
}

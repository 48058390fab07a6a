//! The three lists of containers (`validateContainers`, `validateInitContainers`,
//! `validateEphemeralContainers`).

use alloc::collections::BTreeSet;

use k8s_openapi::api::core::v1;

use super::claims::{self, Claims};
use super::field::{Errors, Path};
use super::volumes::Volumes;
use super::{env, mounts, names, ports, probes, resize, resources, restart, security};
use crate::version::FeatureGates;

/// What every container of a pod is checked against.
pub(super) struct Containers<'a> {
    pub(super) spec: &'a v1::PodSpec,
    pub(super) path: &'a Path<'a>,
    pub(super) gates: FeatureGates,
    pub(super) volumes: &'a Volumes<'a>,
    pub(super) claims: &'a Claims<'a>,
}

impl<'a> Containers<'a> {
    fn probe_context(&self) -> probes::Context {
        probes::Context {
            grace_period: self.spec.termination_grace_period_seconds.unwrap_or_default(),
            gates: self.gates,
        }
    }

    fn init_containers(&self) -> &'a [v1::Container] {
        self.spec.init_containers.as_deref().unwrap_or_default()
    }

    /// `spec.containers`.
    pub(super) fn validate_apps(&self, errors: &mut Errors) {
        let list = self.path.child("containers");
        if self.spec.containers.is_empty() {
            errors.required(&list, "");
            return;
        }
        let mut names = BTreeSet::new();
        for (index, container) in self.spec.containers.iter().enumerate() {
            let path = list.index(index);
            self.validate_common(container, &path, errors);
            if !names.insert(container.name.as_str()) {
                errors.duplicate(&path.child("name"), container.name.as_str());
            }
            probes::validate_all(container, &path, self.probe_context(), errors);
            restart::validate_app(container, &path, self.gates, errors);
        }
        let mut host_ports = ports::HostPorts::default();
        for (index, container) in self.spec.containers.iter().enumerate() {
            host_ports.claim(container, &list.index(index), errors);
        }
    }

    /// `spec.initContainers`.
    pub(super) fn validate_init(&self, errors: &mut Errors) {
        let list = self.path.child("initContainers");
        let mut names: BTreeSet<&str> =
            self.spec.containers.iter().map(|container| container.name.as_str()).collect();
        for (index, container) in self.init_containers().iter().enumerate() {
            let path = list.index(index);
            self.validate_common(container, &path, errors);
            restart::validate_init(container, &path, self.gates, errors);
            if names.contains(container.name.as_str()) {
                errors.duplicate(&path.child("name"), container.name.as_str());
            } else if !container.name.is_empty() {
                names.insert(&container.name);
            }
            // Init containers run one by one, so that each is checked for conflicts within itself
            // only; and each as item 0 of a list of its own, which is the path that is reported.
            ports::HostPorts::default().claim(container, &list.index(0), errors);
            if restart::is_restartable(container) {
                probes::validate_all(container, &path, self.probe_context(), errors);
            } else {
                probes::forbid_all(container, &path, errors);
            }
            resize::validate_init(container, &path, self.gates, errors);
        }
    }

    /// `spec.ephemeralContainers`, which only the subresource of that name can add.
    pub(super) fn validate_ephemeral(&self, errors: &mut Errors) {
        let list = self.path.child("ephemeralContainers");
        let others = || self.spec.containers.iter().chain(self.init_containers());
        let mut names: BTreeSet<&str> = others().map(|container| container.name.as_str()).collect();
        for (index, container) in self.spec.ephemeral_containers.iter().flatten().enumerate() {
            let path = list.index(index);
            let common = as_container(container);
            self.validate_common(&common, &path, errors);
            validate_image_blank(&common, &path, errors);
            if !names.insert(&container.name) {
                errors.duplicate(&path.child("name"), container.name.as_str());
            }
            let target = container.target_container_name.as_deref().unwrap_or_default();
            if !target.is_empty() && !others().any(|container| container.name == target) {
                errors.not_found(&path.child("targetContainerName"), target);
            }
            forbid_on_ephemeral(container, &path, errors);
        }
    }

    /// `validateContainerCommon`.
    fn validate_common(&self, container: &v1::Container, path: &Path<'_>, errors: &mut Errors) {
        self.validate_identity(&container.name, container.image.as_deref(), path, errors);
        let field = path.child("terminationMessagePolicy");
        match container.termination_message_policy.as_deref().unwrap_or_default() {
            "File" | "FallbackToLogsOnError" => {}
            "" => errors.required(&field, ""),
            other => errors.not_supported(&field, other, &["File", "FallbackToLogsOnError"]),
        }
        ports::validate(container, path, errors);
        env::validate(container.env.as_deref(), &path.child("env"), errors);
        env::validate_from(container.env_from.as_deref(), &path.child("envFrom"), errors);
        mounts::validate(container, self.volumes, path, errors);
        let field = path.child("imagePullPolicy");
        match container.image_pull_policy.as_deref().unwrap_or_default() {
            "Always" | "IfNotPresent" | "Never" => {}
            "" => errors.required(&field, ""),
            other => errors.not_supported(&field, other, &["Always", "IfNotPresent", "Never"]),
        }
        if let Some(requirements) = &container.resources {
            let path = path.child("resources");
            let used = requirements.claims.as_deref();
            claims::validate_used(used, self.claims, &path.child("claims"), errors);
            resources::validate_container(requirements, &path, errors);
        }
        let pod_policy = self.spec.restart_policy.as_deref().unwrap_or_default();
        resize::validate(container, path, pod_policy, errors);
        let context = container.security_context.as_ref();
        let host_users = self.spec.host_users != Some(false);
        security::validate_container(context, host_users, &path.child("securityContext"), errors);
    }

    fn validate_identity(
        &self,
        name: &str,
        image: Option<&str>,
        path: &Path<'_>,
        errors: &mut Errors,
    ) {
        let field = path.child("name");
        if name.is_empty() {
            errors.required(&field, "");
        } else {
            for breach in names::dns_label(name) {
                errors.invalid(&field, name, breach);
            }
        }
        if image.unwrap_or_default().is_empty() {
            errors.required(&path.child("image"), "");
        }
    }
}

/// What an ephemeral container may not have (`allowedEphemeralContainerFields`).
fn forbid_on_ephemeral(container: &v1::EphemeralContainer, path: &Path<'_>, errors: &mut Errors) {
    let resources = v1::ResourceRequirements::default();
    let fields = [
        ("ports", container.ports.as_ref().is_some_and(|ports| !ports.is_empty())),
        ("resources", container.resources.as_ref().is_some_and(|set| *set != resources)),
        ("resizePolicy", container.resize_policy.as_ref().is_some_and(|set| !set.is_empty())),
        ("restartPolicy", container.restart_policy.is_some()),
        ("livenessProbe", container.liveness_probe.is_some()),
        ("readinessProbe", container.readiness_probe.is_some()),
        ("startupProbe", container.startup_probe.is_some()),
        ("lifecycle", container.lifecycle.is_some()),
    ];
    for (name, set) in fields {
        if set {
            errors.forbidden(&path.child(name), "cannot be set for an Ephemeral Container");
        }
    }
    let list = path.child("volumeMounts");
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let fields = [("subPath", &mount.sub_path), ("subPathExpr", &mount.sub_path_expr)];
        for (name, text) in fields {
            if text.as_ref().is_some_and(|text| !text.is_empty()) {
                let path = list.index(index);
                errors.forbidden(&path.child(name), "cannot be set for an Ephemeral Container");
            }
        }
    }
}

/// An ephemeral container as one of the others.
fn as_container(container: &v1::EphemeralContainer) -> v1::Container {
    v1::Container {
        name: container.name.clone(),
        image: container.image.clone(),
        termination_message_policy: container.termination_message_policy.clone(),
        ports: container.ports.clone(),
        env: container.env.clone(),
        env_from: container.env_from.clone(),
        volume_mounts: container.volume_mounts.clone(),
        volume_devices: container.volume_devices.clone(),
        image_pull_policy: container.image_pull_policy.clone(),
        resources: container.resources.clone(),
        resize_policy: container.resize_policy.clone(),
        security_context: container.security_context.clone(),
        ..v1::Container::default()
    }
}

/// Images of pods, unlike those of templates, have no blanks around them
/// (`validateContainersOnlyForPod`).
pub(super) fn validate_image_blanks(
    containers: &[v1::Container],
    list: &Path<'_>,
    errors: &mut Errors,
) {
    for (index, container) in containers.iter().enumerate() {
        validate_image_blank(container, &list.index(index), errors);
    }
}

fn validate_image_blank(container: &v1::Container, path: &Path<'_>, errors: &mut Errors) {
    let image = container.image.as_deref().unwrap_or_default();
    if image.trim() != image {
        let detail = "must not have leading or trailing whitespace";
        errors.invalid(&path.child("image"), image, detail);
    }
}

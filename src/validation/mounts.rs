//! Where containers mount volumes (`ValidateVolumeMounts`, `ValidateVolumeDevices`).

use alloc::collections::BTreeSet;

use k8s_openapi::api::core::v1;

use super::field::{Errors, Path};
use super::volumes::{Volumes, descending, has_backsteps};

pub(super) fn validate(
    container: &v1::Container,
    volumes: &Volumes<'_>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let list = path.child("volumeMounts");
    let devices = container.volume_devices.as_deref().unwrap_or_default();
    let mut seen = BTreeSet::new();
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let path = list.index(index);
        let (name, mount_path) = (path.child("name"), path.child("mountPath"));
        if mount.name.is_empty() {
            errors.required(&name, "");
        }
        if !volumes.contains_key(mount.name.as_str()) {
            errors.not_found(&name, mount.name.as_str());
        }
        if mount.mount_path.is_empty() {
            errors.required(&mount_path, "");
        }
        if !seen.insert(mount.mount_path.as_str()) {
            errors.invalid(&mount_path, mount.mount_path.as_str(), "must be unique");
        }
        if devices.iter().any(|device| device.name == mount.name) {
            let detail = "must not already exist in volumeDevices";
            errors.invalid(&name, mount.name.as_str(), detail);
        }
        if devices.iter().any(|device| device.device_path == mount.mount_path) {
            let detail = "must not already exist as a path in volumeDevices";
            errors.invalid(&mount_path, mount.mount_path.as_str(), detail);
        }
        // What follows is told of the list, not of its item.
        let sub_path = mount.sub_path.as_deref().unwrap_or_default();
        descending(sub_path, &list.child("subPath"), errors);
        let expression = mount.sub_path_expr.as_deref().unwrap_or_default();
        if !expression.is_empty() && !sub_path.is_empty() {
            let detail = "subPathExpr and subPath are mutually exclusive";
            errors.invalid(&path.child("subPathExpr"), expression, detail);
        }
        descending(expression, &list.child("subPathExpr"), errors);
        validate_propagation(mount, container, &list.child("mountPropagation"), errors);
        validate_recursion(mount, &list.child("recursiveReadOnly"), errors);
    }
    validate_devices(container, volumes, &path.child("volumeDevices"), errors);
}

fn validate_propagation(
    mount: &v1::VolumeMount,
    container: &v1::Container,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let Some(propagation) = mount.mount_propagation.as_deref() else { return };
    const KNOWN: [&str; 3] = ["Bidirectional", "HostToContainer", "None"];
    if !KNOWN.contains(&propagation) {
        errors.not_supported(path, propagation, &KNOWN);
    }
    let privileged = container.security_context.as_ref().and_then(|context| context.privileged);
    if propagation == "Bidirectional" && privileged != Some(true) {
        let detail = "Bidirectional mount propagation is available only to privileged containers";
        errors.forbidden(path, detail);
    }
}

fn validate_recursion(mount: &v1::VolumeMount, path: &Path<'_>, errors: &mut Errors) {
    match mount.recursive_read_only.as_deref() {
        None | Some("Disabled") => {}
        Some("Enabled" | "IfPossible") => {
            if mount.read_only != Some(true) {
                errors.forbidden(path, "may only be specified when readOnly is true");
            }
            if mount.mount_propagation.as_deref().is_some_and(|kind| kind != "None") {
                errors.forbidden(
                    path,
                    "may only be specified when mountPropagation is None or not specified",
                );
            }
        }
        Some(other) => errors.not_supported(path, other, &["Disabled", "Enabled", "IfPossible"]),
    }
}

fn validate_devices(
    container: &v1::Container,
    volumes: &Volumes<'_>,
    list: &Path<'_>,
    errors: &mut Errors,
) {
    let mounts = container.volume_mounts.as_deref().unwrap_or_default();
    let (mut names, mut paths) = (BTreeSet::new(), BTreeSet::new());
    for (index, device) in container.volume_devices.iter().flatten().enumerate() {
        let path = list.index(index);
        let (name, device_path) = (path.child("name"), path.child("devicePath"));
        let (own_name, own_path) = (device.name.as_str(), device.device_path.as_str());
        if own_name.is_empty() {
            errors.required(&name, "");
        }
        if names.contains(own_name) {
            errors.invalid(&name, own_name, "must be unique");
        }
        match volumes.get(own_name) {
            None => errors.not_found(&name, own_name),
            Some(v) if v.persistent_volume_claim.is_none() && v.ephemeral.is_none() => {
                errors.invalid(
                    &name,
                    own_name,
                    "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
                );
            }
            Some(_) => {}
        }
        if own_path.is_empty() {
            errors.required(&device_path, "");
        }
        if paths.contains(own_path) {
            errors.invalid(&device_path, own_path, "must be unique");
        }
        if has_backsteps(own_path) {
            errors.invalid(&device_path, own_path, "can not contain backsteps ('..')");
        } else {
            paths.insert(own_path);
        }
        if mounts.iter().any(|mount| mount.name == own_name) {
            errors.invalid(&name, own_name, "must not already exist in volumeMounts");
        }
        if mounts.iter().any(|mount| mount.mount_path == own_path) {
            let detail = "must not already exist as a path in volumeMounts";
            errors.invalid(&device_path, own_path, detail);
        }
        if !own_name.is_empty() {
            names.insert(own_name);
        }
    }
}

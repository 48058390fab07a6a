//! The defaults of volumes.

use alloc::borrow::ToOwned;

use k8s_openapi::api::core::v1;

use super::{field_ref, image_pull_policy, resource_field_ref, round_up, text};

/// Files may be read by everybody, and written by their owner (`ConfigMapVolumeSourceDefaultMode` and
/// its like).
const FILE_MODE: i32 = 0o644;
/// How long a token is valid, in seconds.
const TOKEN_EXPIRATION_SECONDS: i64 = 3600;

/// `SetDefaults_Volume`, and the defaults of the volume's source.
pub(super) fn apply(volume: &mut v1::Volume) {
    if *volume == (v1::Volume { name: volume.name.clone(), ..v1::Volume::default() }) {
        volume.empty_dir = Some(v1::EmptyDirVolumeSource::default());
    }
    if let Some(image) = &mut volume.image {
        let reference = image.reference.as_deref().unwrap_or_default();
        text(&mut image.pull_policy, image_pull_policy(reference));
    }
    if let Some(source) = &mut volume.host_path {
        source.type_.get_or_insert_default();
    }
    if let Some(source) = &mut volume.secret {
        source.default_mode.get_or_insert(FILE_MODE);
    }
    if let Some(source) = &mut volume.config_map {
        source.default_mode.get_or_insert(FILE_MODE);
    }
    if let Some(source) = &mut volume.downward_api {
        source.default_mode.get_or_insert(FILE_MODE);
        source.items.iter_mut().flatten().for_each(downward_api_file);
    }
    if let Some(source) = &mut volume.projected {
        source.default_mode.get_or_insert(FILE_MODE);
        source.sources.iter_mut().flatten().for_each(projection);
    }
    if let Some(source) = &mut volume.iscsi {
        text(&mut source.iscsi_interface, "default");
    }
    if let Some(source) = &mut volume.azure_disk {
        source.caching_mode.get_or_insert_with(|| "ReadWrite".to_owned());
        source.fs_type.get_or_insert_with(|| "ext4".to_owned());
        source.read_only.get_or_insert_default();
        source.kind.get_or_insert_with(|| "Shared".to_owned());
    }
    if let Some(template) = volume.ephemeral.as_mut().and_then(|e| e.volume_claim_template.as_mut())
    {
        apply_to_claim(&mut template.spec);
    }
}

/// `SetDefaults_PersistentVolumeClaimSpec`.
pub(super) fn apply_to_claim(spec: &mut v1::PersistentVolumeClaimSpec) {
    spec.volume_mode.get_or_insert_with(|| "Filesystem".to_owned());
    if let Some(resources) = &mut spec.resources {
        resources.limits.iter_mut().for_each(round_up);
        resources.requests.iter_mut().for_each(round_up);
    }
}

fn projection(source: &mut v1::VolumeProjection) {
    if let Some(downward) = &mut source.downward_api {
        downward.items.iter_mut().flatten().for_each(downward_api_file);
    }
    if let Some(token) = &mut source.service_account_token {
        token.expiration_seconds.get_or_insert(TOKEN_EXPIRATION_SECONDS);
    }
}

fn downward_api_file(file: &mut v1::DownwardAPIVolumeFile) {
    file.field_ref.iter_mut().for_each(field_ref);
    file.resource_field_ref.iter_mut().for_each(resource_field_ref);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn defaulted(volume: Value) -> Value {
        let mut volume = serde_json::from_value(volume).unwrap();
        apply(&mut volume);
        serde_json::to_value(volume).unwrap()
    }

    #[test]
    fn a_volume_without_a_source_is_an_empty_directory() {
        assert_eq!(defaulted(json!({"name": "a"})), json!({"name": "a", "emptyDir": {}}));
        let with_source = json!({"name": "a", "nfs": {"server": "s", "path": "/"}});
        assert_eq!(defaulted(with_source.clone()), with_source);
    }

    #[test]
    fn what_is_projected_has_its_own_defaults() {
        let volume = json!({"name": "a", "projected": {"sources": [
            {"serviceAccountToken": {"path": "t"}},
            {"downwardAPI": {"items": [
                {"path": "n", "fieldRef": {"fieldPath": "metadata.name"}},
                {"path": "c", "resourceFieldRef": {"resource": "limits.cpu"}},
            ]}},
        ]}});
        assert_eq!(
            defaulted(volume)["projected"],
            json!({"defaultMode": 420, "sources": [
                {"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}},
                {"downwardAPI": {"items": [
                    {"path": "n", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}},
                    {"path": "c", "resourceFieldRef": {"resource": "limits.cpu", "divisor": "0"}},
                ]}},
            ]})
        );
    }
}

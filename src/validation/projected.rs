//! Volumes that bring several sources together (`validateProjectionSources`), and those made of the
//! pod's own fields.

use alloc::collections::BTreeSet;

use k8s_openapi::api::core::v1;

use super::env;
use super::field::{Errors, Path};
use super::volumes::{file_mode, key, not_reserved};

/// A token is valid for ten minutes at least, and for 2³² seconds at most.
const SHORTEST_TOKEN: i64 = 600;
const LONGEST_TOKEN: i64 = 1 << 32;

/// `validateDownwardAPIVolumeSource`: errors of items are those of the source.
pub(super) fn validate_downward_api(
    source: &v1::DownwardAPIVolumeSource,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    file_mode(source.default_mode, &path.child("defaultMode"), errors);
    for file in source.items.iter().flatten() {
        validate_file(file, path, errors);
    }
}

fn validate_file(file: &v1::DownwardAPIVolumeFile, path: &Path<'_>, errors: &mut Errors) {
    if file.path.is_empty() {
        errors.required(&path.child("path"), "");
    }
    not_reserved(&file.path, &path.child("path"), errors);
    match (&file.field_ref, &file.resource_field_ref) {
        (Some(field), resource) => {
            env::validate_field(field, env::Of::Volume, &path.child("fieldRef"), errors);
            if resource.is_some() {
                let detail = "fieldRef and resourceFieldRef can not be specified simultaneously";
                errors.invalid(path, "resource", detail);
            }
        }
        (None, Some(resource)) => {
            let path = path.child("resourceFieldRef");
            env::validate_resource(resource, env::Of::Volume, &path, errors);
        }
        (None, None) => errors.required(path, "one of fieldRef and resourceFieldRef is required"),
    }
    file_mode(file.mode, &path.child("mode"), errors);
}

/// `validateProjectedVolumeSource`.
pub(super) fn validate(source: &v1::ProjectedVolumeSource, path: &Path<'_>, errors: &mut Errors) {
    file_mode(source.default_mode, &path.child("defaultMode"), errors);
    let list = path.child("sources");
    let mut paths = BTreeSet::new();
    for (index, source) in source.sources.iter().flatten().enumerate() {
        let item = list.index(index);
        let mut claim = |file: &str, shown: &str, errors: &mut Errors| {
            if !file.is_empty() && !paths.insert(alloc::string::String::from(file)) {
                errors.invalid(path, shown, "conflicting duplicate paths");
            }
        };
        let mut named =
            |name: &str, items: Option<&[v1::KeyToPath]>, at: &Path<'_>, errors: &mut Errors| {
                if name.is_empty() {
                    errors.required(&at.child("name"), "");
                }
                let list = at.child("items");
                for (index, file) in items.unwrap_or_default().iter().enumerate() {
                    key(file, &list.index(index), errors);
                    claim(&file.path, name, errors);
                }
            };
        if let Some(secret) = &source.secret {
            named(&secret.name, secret.items.as_deref(), &item.child("secret"), errors);
        }
        if let Some(map) = &source.config_map {
            named(&map.name, map.items.as_deref(), &item.child("configMap"), errors);
        }
        if let Some(downward) = &source.downward_api {
            for file in downward.items.iter().flatten() {
                validate_file(file, &item.child("downwardAPI"), errors);
                claim(&file.path, &file.path, errors);
            }
        }
        if let Some(token) = &source.service_account_token {
            validate_token(token, path, &item.child("serviceAccountToken"), errors);
        }
        let kinds = [
            source.secret.is_some(),
            source.config_map.is_some(),
            source.downward_api.is_some(),
            source.service_account_token.is_some(),
            source.cluster_trust_bundle.is_some(),
        ];
        if kinds.into_iter().filter(|set| *set).count() > 1 {
            errors.forbidden(&item, "may not specify more than 1 volume type per source");
        }
    }
}

fn validate_token(
    token: &v1::ServiceAccountTokenProjection,
    volume: &Path<'_>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let seconds = token.expiration_seconds.unwrap_or_default();
    let field = path.child("expirationSeconds");
    if seconds < SHORTEST_TOKEN {
        errors.invalid(&field, seconds, "may not specify a duration less than 10 minutes");
    }
    if seconds > LONGEST_TOKEN {
        errors.invalid(&field, seconds, "may not specify a duration larger than 2^32 seconds");
    }
    // The path's errors are those of the volume.
    if token.path.is_empty() {
        errors.required(&volume.child("path"), "");
    } else {
        not_reserved(&token.path, &volume.child("path"), errors);
    }
}

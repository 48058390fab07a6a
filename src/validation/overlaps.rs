//! Files of one volume that would stand in each other's place
//! (`warningsForOverlappingVirtualPaths`).

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use k8s_openapi::api::core::v1;

use super::warnings::Warnings;
use crate::go_quoted::Quoted;

/// A file, and in a projected volume what brings it.
#[derive(Clone, PartialEq)]
struct File {
    path: String,
    source: String,
}

impl File {
    fn new(path: &str, source: &str) -> Self {
        Self { path: path.trim_end_matches('/').to_string(), source: source.to_string() }
    }

    fn shown(&self) -> String {
        match self.source.as_str() {
            "" => Quoted(&self.path).to_string(),
            source => format!("{} ({source})", Quoted(&self.path)),
        }
    }

    fn collides(&self, other: &Self) -> bool {
        let within = |inner: &str, outer: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        !self.path.is_empty()
            && !other.path.is_empty()
            && (within(&self.path, &other.path) || within(&other.path, &self.path))
    }
}

pub(super) fn of_volumes(volumes: &[v1::Volume], found: &mut Warnings) {
    for volume in volumes {
        if let Some(map) = &volume.config_map {
            let source = format!("ConfigMap {}", Quoted(&map.name));
            compare(volume, &source, of_keys(map.items.as_deref(), ""), found);
        }
        if let Some(secret) = &volume.secret {
            let name = secret.secret_name.as_deref().unwrap_or_default();
            let source = format!("Secret {}", Quoted(name));
            compare(volume, &source, of_keys(secret.items.as_deref(), ""), found);
        }
        if let Some(downward) = &volume.downward_api {
            compare(volume, "DownwardAPI", of_fields(downward.items.as_deref(), ""), found);
        }
        if let Some(projected) = &volume.projected {
            let mut files = Vec::new();
            for source in projected.sources.iter().flatten() {
                if *source == v1::VolumeProjection::default() {
                    let name = &volume.name;
                    found.add(
                        "",
                        format!("volume {} (Projected) has no sources provided", Quoted(name)),
                    );
                }
                files.extend(of_source(source));
            }
            compare(volume, "Projected", files, found);
        }
    }
}

fn of_keys(items: Option<&[v1::KeyToPath]>, source: &str) -> Vec<File> {
    items.unwrap_or_default().iter().map(|item| File::new(&item.path, source)).collect()
}

fn of_fields(items: Option<&[v1::DownwardAPIVolumeFile]>, source: &str) -> Vec<File> {
    items.unwrap_or_default().iter().map(|item| File::new(&item.path, source)).collect()
}

/// The files of one source, the first of its kinds counting.
fn of_source(source: &v1::VolumeProjection) -> Vec<File> {
    if let Some(map) = source.config_map.as_ref().filter(|map| map.items.is_some()) {
        of_keys(map.items.as_deref(), &format!("ConfigMap {}", Quoted(&map.name)))
    } else if let Some(secret) = source.secret.as_ref().filter(|secret| secret.items.is_some()) {
        of_keys(secret.items.as_deref(), &format!("Secret {}", Quoted(&secret.name)))
    } else if let Some(downward) = source.downward_api.as_ref().filter(|d| d.items.is_some()) {
        of_fields(downward.items.as_deref(), "DownwardAPI")
    } else if let Some(token) = &source.service_account_token {
        Vec::from([File::new(&token.path, "ServiceAccountToken")])
    } else {
        Vec::new()
    }
}

fn compare(volume: &v1::Volume, source: &str, files: Vec<File>, found: &mut Warnings) {
    for (index, file) in files.iter().enumerate() {
        for other in files[..index].iter().filter(|other| file.collides(other)) {
            let (name, file, other) = (&volume.name, file.shown(), other.shown());
            found.add(
                "",
                format!(
                    "volume {} ({source}): overlapping paths: {file} with {other}",
                    Quoted(name)
                ),
            );
        }
    }
}

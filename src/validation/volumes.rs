//! Volumes (`ValidateVolumes`).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::field::{Errors, Path};
use super::{labels, names, projected};
use crate::go_quoted::Quoted;
use crate::quantity::Quantity;

/// The volumes that a container can mount, by name.
pub(super) type Volumes<'a> = BTreeMap<&'a str, &'a v1::Volume>;

/// A volume, and of which pod: of a template's pods the name is not known.
struct Context<'a> {
    volume: &'a v1::Volume,
    pod: Option<&'a ObjectMeta>,
}

/// A type of volumes: its field, whether a volume is of it, and its rules.
struct Source {
    name: &'static str,
    /// How the error for a second type names it.
    second: &'static str,
    is_set: fn(&v1::Volume) -> bool,
    validate: fn(&Context<'_>, &Path<'_>, &mut Errors),
}

/// A row of [`SOURCES`].
macro_rules! source {
    ($name:literal, $field:ident, $validate:expr) => {
        source!($name, $name, $field, $validate)
    };
    ($name:literal, $second:literal, $field:ident, $validate:expr) => {
        Source {
            name: $name,
            second: $second,
            is_set: |volume| volume.$field.is_some(),
            validate: |context, path, errors| {
                if let Some(source) = &context.volume.$field {
                    ($validate)(source, path, errors);
                }
            },
        }
    };
}

/// A row of [`SOURCES`] for a type of which only texts are required.
macro_rules! texts {
    ($name:literal, $field:ident, $type:ident, [$($text:literal: $part:ident),*]) => {
        source!($name, $field, |source: &v1::$type, path: &Path<'_>, errors: &mut Errors| {
            required_texts(&[$(($text, source.$part.text())),*], path, errors);
        })
    };
}

/// A text, given or not.
trait Text {
    fn text(&self) -> &str;
}

impl Text for alloc::string::String {
    fn text(&self) -> &str {
        self
    }
}

impl Text for Option<alloc::string::String> {
    fn text(&self) -> &str {
        self.as_deref().unwrap_or_default()
    }
}

fn required_texts(fields: &[(&'static str, &str)], path: &Path<'_>, errors: &mut Errors) {
    for (name, text) in fields {
        if text.is_empty() {
            errors.required(&path.child(name), "");
        }
    }
}

/// The types, in the order in which the apiserver looks for them.
static SOURCES: [Source; 30] = [
    source!("emptyDir", empty_dir, empty_dir),
    source!("hostPath", host_path, host_path),
    source!("gitRepo", git_repo, git_repo),
    texts!("gcePersistentDisk", gce_persistent_disk, GCEPersistentDiskVolumeSource, ["pdName": pd_name]),
    texts!("awsElasticBlockStore", aws_elastic_block_store, AWSElasticBlockStoreVolumeSource, ["volumeID": volume_id]),
    source!("secret", secret, secret),
    source!("nfs", nfs, nfs),
    source!("iscsi", iscsi, iscsi),
    texts!("glusterfs", glusterfs, GlusterfsVolumeSource, ["endpoints": endpoints, "path": path]),
    source!("flocker", flocker, flocker),
    texts!("persistentVolumeClaim", persistent_volume_claim, PersistentVolumeClaimVolumeSource, ["claimName": claim_name]),
    source!("rbd", rbd, rbd),
    texts!("cinder", cinder, CinderVolumeSource, ["volumeID": volume_id]),
    source!(
        "cephfs",
        "cephFS",
        cephfs,
        |source: &v1::CephFSVolumeSource, path: &Path<'_>, errors: &mut Errors| {
            if source.monitors.is_empty() {
                errors.required(&path.child("monitors"), "");
            }
        }
    ),
    source!("quobyte", quobyte, quobyte),
    source!("downwardAPI", "downwarAPI", downward_api, projected::validate_downward_api),
    source!("fc", fc, fc),
    texts!("flexVolume", flex_volume, FlexVolumeSource, ["driver": driver]),
    source!("configMap", config_map, config_map),
    texts!("azureFile", azure_file, AzureFileVolumeSource, ["secretName": secret_name, "shareName": share_name]),
    texts!("vsphereVolume", vsphere_volume, VsphereVirtualDiskVolumeSource, ["volumePath": volume_path]),
    texts!("photonPersistentDisk", photon_persistent_disk, PhotonPersistentDiskVolumeSource, ["pdID": pd_id]),
    texts!("portworxVolume", portworx_volume, PortworxVolumeSource, ["volumeID": volume_id]),
    source!("azureDisk", azure_disk, azure_disk),
    texts!("storageos", storageos, StorageOSVolumeSource, ["volumeName": volume_name]),
    source!("projected", projected, projected::validate),
    texts!("scaleIO", scale_io, ScaleIOVolumeSource, ["gateway": gateway, "system": system, "volumeName": volume_name]),
    source!("csi", csi, csi),
    Source {
        name: "ephemeral",
        second: "ephemeral",
        is_set: |volume| volume.ephemeral.is_some(),
        validate: ephemeral,
    },
    source!("image", image, image),
];

/// `spec.volumes`. Only volumes without an error can be mounted.
pub(super) fn validate<'a>(
    volumes: &'a [v1::Volume],
    pod: Option<&'a ObjectMeta>,
    list: &Path<'_>,
    errors: &mut Errors,
) -> Volumes<'a> {
    let pod = pod.filter(|meta| meta.name.as_ref().is_some_and(|name| !name.is_empty()));
    let pod_name = pod.and_then(|meta| meta.name.as_deref()).unwrap_or_default();
    let created: BTreeSet<_> = volumes
        .iter()
        .filter(|volume| pod.is_some() && volume.ephemeral.is_some())
        .map(|volume| format!("{pod_name}-{}", volume.name))
        .collect();
    let mut known = Volumes::new();
    for (index, volume) in volumes.iter().enumerate() {
        let path = list.index(index);
        let mut own = Errors::new(errors.gates());
        validate_source(&Context { volume, pod }, &path, &mut own);
        let name = path.child("name");
        if volume.name.is_empty() {
            own.required(&name, "");
        } else {
            own.breaches(&name, &volume.name, names::dns_label(&volume.name));
        }
        if known.contains_key(volume.name.as_str()) {
            own.duplicate(&name, volume.name.as_str());
        }
        if own.is_empty() {
            known.insert(&volume.name, volume);
        }
        errors.append(own);
        if let Some(claim) = &volume.persistent_volume_claim
            && created.contains(&claim.claim_name)
        {
            errors.invalid(
                &path.child("persistentVolumeClaim").child("claimName"),
                claim.claim_name.as_str(),
                "must not reference a PVC that gets created for an ephemeral volume",
            );
        }
    }
    known
}

/// `validateVolumeSource`: the first type counts, any other is one too many.
fn validate_source(context: &Context<'_>, path: &Path<'_>, errors: &mut Errors) {
    let mut set = SOURCES.iter().filter(|source| (source.is_set)(context.volume));
    let Some(first) = set.next() else {
        errors.required(path, "must specify a volume type");
        return;
    };
    let name = if first.name == "gcePersistentDisk" { "persistentDisk" } else { first.name };
    (first.validate)(context, &path.child(name), errors);
    for other in set {
        errors.forbidden(&path.child(other.second), "may not specify more than 1 volume type");
    }
}

fn empty_dir(source: &v1::EmptyDirVolumeSource, path: &Path<'_>, errors: &mut Errors) {
    let size = source.size_limit.as_ref().and_then(|limit| Quantity::try_from(limit).ok());
    if size.is_some_and(|size| size.sign() < 0) {
        errors.forbidden(
            &path.child("sizeLimit"),
            "SizeLimit field must be a valid resource quantity",
        );
    }
}

fn host_path(source: &v1::HostPathVolumeSource, path: &Path<'_>, errors: &mut Errors) {
    const TYPES: [&str; 8] = [
        "",
        "BlockDevice",
        "CharDevice",
        "Directory",
        "DirectoryOrCreate",
        "File",
        "FileOrCreate",
        "Socket",
    ];
    if source.path.is_empty() {
        errors.required(&path.child("path"), "");
        return;
    }
    no_backsteps(&source.path, &path.child("path"), errors);
    if let Some(kind) = source.type_.as_deref().filter(|kind| !TYPES.contains(kind)) {
        errors.not_supported(&path.child("type"), kind, &TYPES);
    }
}

fn git_repo(source: &v1::GitRepoVolumeSource, path: &Path<'_>, errors: &mut Errors) {
    required_texts(&[("repository", &source.repository)], path, errors);
    descending(source.directory.text(), &path.child("directory"), errors);
}

fn secret(source: &v1::SecretVolumeSource, path: &Path<'_>, errors: &mut Errors) {
    required_texts(&[("secretName", source.secret_name.text())], path, errors);
    file_mode(source.default_mode, &path.child("defaultMode"), errors);
    keys(source.items.as_deref(), &path.child("items"), errors);
}

fn config_map(source: &v1::ConfigMapVolumeSource, path: &Path<'_>, errors: &mut Errors) {
    required_texts(&[("name", &source.name)], path, errors);
    file_mode(source.default_mode, &path.child("defaultMode"), errors);
    keys(source.items.as_deref(), &path.child("items"), errors);
}

fn nfs(source: &v1::NFSVolumeSource, path: &Path<'_>, errors: &mut Errors) {
    required_texts(&[("server", &source.server), ("path", &source.path)], path, errors);
    if !source.path.starts_with('/') {
        errors.invalid(&path.child("path"), source.path.as_str(), "must be an absolute path");
    }
}

fn iscsi(source: &v1::ISCSIVolumeSource, path: &Path<'_>, errors: &mut Errors) {
    required_texts(&[("targetPortal", &source.target_portal), ("iqn", &source.iqn)], path, errors);
    if !(0..=255).contains(&source.lun) {
        errors.invalid(&path.child("lun"), source.lun, "must be between 0 and 255, inclusive");
    }
}

fn flocker(source: &v1::FlockerVolumeSource, path: &Path<'_>, errors: &mut Errors) {
    match (source.dataset_name.text(), source.dataset_uuid.text()) {
        ("", "") => errors.required(path, "one of datasetName and datasetUUID is required"),
        ("", _) => {}
        (name, uuid) => {
            if !uuid.is_empty() {
                errors.invalid(
                    path,
                    "resource",
                    "datasetName and datasetUUID can not be specified simultaneously",
                );
            }
            if name.contains('/') {
                errors.invalid(&path.child("datasetName"), name, "must not contain '/'");
            }
        }
    }
}

fn rbd(source: &v1::RBDVolumeSource, path: &Path<'_>, errors: &mut Errors) {
    if source.monitors.is_empty() {
        errors.required(&path.child("monitors"), "");
    }
    required_texts(&[("image", &source.image)], path, errors);
}

fn quobyte(source: &v1::QuobyteVolumeSource, path: &Path<'_>, errors: &mut Errors) {
    if source.registry.is_empty() {
        let detail = "must be a host:port pair or multiple pairs separated by commas";
        errors.required(&path.child("registry"), detail);
    } else if source.registry.split(',').any(|pair| pair.matches(':').count() != 1) {
        errors.invalid(
            &path.child("registry"),
            source.registry.as_str(),
            "must be a host:port pair or multiple pairs separated by commas",
        );
    }
    required_texts(&[("volume", &source.volume)], path, errors);
}

fn fc(source: &v1::FCVolumeSource, path: &Path<'_>, errors: &mut Errors) {
    let none = |list: &Option<alloc::vec::Vec<_>>| list.as_ref().is_none_or(|list| list.is_empty());
    match (none(&source.target_wwns), none(&source.wwids)) {
        (true, true) => errors.required(
            &path.child("targetWWNs"),
            "must specify either targetWWNs or wwids, but not both",
        ),
        (false, false) => {
            let json = serde_json::to_string(&source.target_wwns).unwrap_or_default();
            errors.invalid(
                &path.child("targetWWNs"),
                super::BadValue::Json(json),
                "targetWWNs and wwids can not be specified simultaneously",
            );
        }
        (false, true) => match source.lun {
            None => {
                errors.required(&path.child("lun"), "lun is required if targetWWNs is specified")
            }
            Some(lun) if !(0..=255).contains(&lun) => {
                errors.invalid(&path.child("lun"), lun, "must be between 0 and 255, inclusive");
            }
            Some(_) => {}
        },
        (true, false) => {}
    }
}

fn azure_disk(source: &v1::AzureDiskVolumeSource, path: &Path<'_>, errors: &mut Errors) {
    required_texts(&[("diskName", &source.disk_name), ("diskURI", &source.disk_uri)], path, errors);
    const CACHING: [&str; 3] = ["None", "ReadOnly", "ReadWrite"];
    if let Some(mode) = source.caching_mode.as_deref().filter(|mode| !CACHING.contains(mode)) {
        errors.not_supported(&path.child("cachingMode"), mode, &CACHING);
    }
    const KINDS: [&str; 3] = ["Dedicated", "Managed", "Shared"];
    if let Some(kind) = source.kind.as_deref().filter(|kind| !KINDS.contains(kind)) {
        errors.not_supported(&path.child("kind"), kind, &KINDS);
    }
}

fn csi(source: &v1::CSIVolumeSource, path: &Path<'_>, errors: &mut Errors) {
    let driver = path.child("driver");
    if source.driver.is_empty() {
        errors.required(&driver, "");
    }
    if source.driver.len() > 63 {
        errors.too_long(&driver, 63);
    }
    errors.breaches(&driver, &source.driver, names::dns_subdomain(&source.driver.to_lowercase()));
    if let Some(secret) = &source.node_publish_secret_ref {
        if secret.name.is_empty() {
            errors.required(&path.child("nodePublishSecretRef").child("name"), "");
        } else {
            errors.breaches(&path.child("name"), &secret.name, names::dns_subdomain(&secret.name));
        }
    }
}

fn ephemeral(context: &Context<'_>, path: &Path<'_>, errors: &mut Errors) {
    let Some(source) = &context.volume.ephemeral else { return };
    match &source.volume_claim_template {
        None => errors.required(&path.child("volumeClaimTemplate"), ""),
        Some(template) => validate_claim(template, &path.child("volumeClaimTemplate"), errors),
    }
    let pod = context.pod.and_then(|meta| meta.name.as_deref());
    if let Some(pod) = pod.filter(|_| !context.volume.name.is_empty()) {
        let claim = format!("{pod}-{}", context.volume.name);
        for breach in names::dns_subdomain(&claim) {
            let detail = format!("PVC name {}: {breach}", Quoted(&claim));
            errors.invalid(&path.child("name"), context.volume.name.as_str(), detail);
        }
    }
}

/// `ValidatePersistentVolumeClaimTemplate`, as far as every claim needs it.
fn validate_claim(
    template: &v1::PersistentVolumeClaimTemplate,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    if let Some(meta) = &template.metadata {
        let path = path.child("metadata");
        labels::validate_annotations(meta.annotations.as_ref(), &path.child("annotations"), errors);
        labels::validate(meta.labels.as_ref(), &path.child("labels"), errors);
    }
    validate_claim_spec(&template.spec, &path.child("spec"), errors);
}

/// `ValidatePersistentVolumeClaimSpec`, as far as every claim needs it.
pub(super) fn validate_claim_spec(
    spec: &v1::PersistentVolumeClaimSpec,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
    let modes = spec.access_modes.as_deref().unwrap_or_default();
    if modes.is_empty() {
        errors.required(&path.child("accessModes"), "at least 1 access mode is required");
    }
    for mode in modes.iter().filter(|mode| !MODES.contains(&mode.as_str())) {
        errors.not_supported(&path.child("accessModes"), mode, &MODES);
    }
    labels::validate_selector(spec.selector.as_ref(), &path.child("selector"), errors);
    let requests = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    let resources = path.child("resources");
    match requests.and_then(|requests| requests.get("storage")) {
        None => errors.required(&resources.child("requests").key("storage"), ""),
        Some(size) => {
            if Quantity::try_from(size).is_ok_and(|size| size.sign() <= 0) {
                errors.invalid(
                    &resources.child("requests").key("storage"),
                    size.0.as_str(),
                    "must be greater than zero",
                );
            }
        }
    }
    let class = spec.storage_class_name.as_deref().unwrap_or_default();
    if !class.is_empty() {
        errors.breaches(&path.child("storageClassName"), class, names::dns_subdomain(class));
    }
    const VOLUME_MODES: [&str; 2] = ["Block", "Filesystem"];
    if let Some(mode) = spec.volume_mode.as_deref().filter(|mode| !VOLUME_MODES.contains(mode)) {
        errors.not_supported(&path.child("volumeMode"), mode, &VOLUME_MODES);
    }
}

fn image(source: &v1::ImageVolumeSource, path: &Path<'_>, errors: &mut Errors) {
    required_texts(&[("reference", source.reference.text())], path, errors);
    const POLICIES: [&str; 3] = ["Always", "IfNotPresent", "Never"];
    match source.pull_policy.text() {
        "" => errors.required(&path.child("pullPolicy"), ""),
        policy if POLICIES.contains(&policy) => {}
        other => errors.not_supported(&path.child("pullPolicy"), other, &POLICIES),
    }
}

/// `validateKeyToPath`.
pub(super) fn key(item: &v1::KeyToPath, path: &Path<'_>, errors: &mut Errors) {
    required_texts(&[("key", &item.key), ("path", &item.path)], path, errors);
    not_reserved(&item.path, &path.child("path"), errors);
    file_mode(item.mode, &path.child("mode"), errors);
}

fn keys(items: Option<&[v1::KeyToPath]>, list: &Path<'_>, errors: &mut Errors) {
    for (index, item) in items.unwrap_or_default().iter().enumerate() {
        key(item, &list.index(index), errors);
    }
}

pub(super) fn file_mode(mode: Option<i32>, path: &Path<'_>, errors: &mut Errors) {
    if let Some(mode) = mode.filter(|mode| !(0..=0o777).contains(mode)) {
        let detail = "must be a number between 0 and 0777 (octal), both inclusive";
        errors.invalid(path, mode, detail);
    }
}

/// `validatePathNoBacksteps`.
pub(super) fn no_backsteps(text: &str, path: &Path<'_>, errors: &mut Errors) {
    if has_backsteps(text) {
        errors.invalid(path, text, "must not contain '..'");
    }
}

pub(super) fn has_backsteps(text: &str) -> bool {
    text.split('/').any(|part| part == "..")
}

/// `validateLocalDescendingPath`.
pub(super) fn descending(text: &str, path: &Path<'_>, errors: &mut Errors) {
    if text.starts_with('/') {
        errors.invalid(path, text, "must be a relative path");
    }
    no_backsteps(text, path, errors);
}

/// `ValidateLocalNonReservedPath`.
pub(super) fn not_reserved(text: &str, path: &Path<'_>, errors: &mut Errors) {
    descending(text, path, errors);
    if text.starts_with("..") && !text.starts_with("../") {
        errors.invalid(path, text, "must not start with '..'");
    }
}

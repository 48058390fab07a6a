//! Volumes, each with the fields of its kind (`describeVolumes`).

use alloc::string::{String, ToString};
use core::fmt::Display;

use k8s_openapi::api::core::v1;

use super::Sections;
use super::go::{List, Map, Reference, shortened};
use super::placement::{MAX_ANNOTATION, annotation_lines};
use crate::quantity::Quantity;

/// Storage classes were annotations once, and the annotation still counts.
const STORAGE_CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";

pub(super) fn describe_volumes(out: &mut Sections, volumes: &[v1::Volume]) {
    if volumes.is_empty() {
        out.line(0, format_args!("Volumes:\t<none>"));
        return;
    }
    out.line(0, format_args!("Volumes:"));
    for volume in volumes {
        out.line(1, format_args!("{}:", volume.name));
        if !common(out, volume) && !cloud(out, volume) && !network(out, volume) {
            out.line(1, format_args!("<unknown>"));
        }
    }
}

/// The kind of a volume and the fields of that kind.
fn fields(out: &mut Sections, kind: &str, fields: &[(&str, &dyn Display)]) {
    out.line(2, format_args!("Type:\t{kind}"));
    for (name, value) in fields {
        out.line(2, format_args!("{name}\t{value}"));
    }
}

fn text(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or_default()
}

/// What most pods have; `false`: the volume is of another kind.
fn common(out: &mut Sections, volume: &v1::Volume) -> bool {
    if let Some(path) = &volume.host_path {
        let kind = path.type_.as_deref().unwrap_or("<none>");
        let known: [(&str, &dyn Display); 2] = [("Path:", &path.path), ("HostPathType:", &kind)];
        fields(out, "HostPath (bare host directory volume)", &known);
    } else if let Some(dir) = &volume.empty_dir {
        let limit = dir.size_limit.as_ref();
        let limit = limit.and_then(|limit| Quantity::try_from(limit).ok());
        let limit = limit.filter(|limit| limit.sign() > 0).map(|limit| limit.to_string());
        let limit = limit.as_deref().unwrap_or("<unset>");
        let known: [(&str, &dyn Display); 2] =
            [("Medium:", &text(&dir.medium)), ("SizeLimit:", &limit)];
        fields(out, "EmptyDir (a temporary directory that shares a pod's lifetime)", &known);
    } else if let Some(secret) = &volume.secret {
        let optional = secret.optional == Some(true);
        let known: [(&str, &dyn Display); 2] =
            [("SecretName:", &text(&secret.secret_name)), ("Optional:", &optional)];
        fields(out, "Secret (a volume populated by a Secret)", &known);
    } else if let Some(map) = &volume.config_map {
        let optional = map.optional == Some(true);
        let known: [(&str, &dyn Display); 2] = [("Name:", &map.name), ("Optional:", &optional)];
        fields(out, "ConfigMap (a volume populated by a ConfigMap)", &known);
    } else if let Some(claim) = &volume.persistent_volume_claim {
        let read_only = claim.read_only == Some(true);
        let known: [(&str, &dyn Display); 2] =
            [("ClaimName:", &claim.claim_name), ("ReadOnly:", &read_only)];
        let kind = "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same \
                    namespace)";
        fields(out, kind, &known);
    } else if let Some(ephemeral) = &volume.ephemeral {
        let kind = "EphemeralVolume (an inline specification for a volume that gets created and \
                    deleted with the pod)";
        fields(out, kind, &[]);
        if let Some(template) = &ephemeral.volume_claim_template {
            claim_template(out, template);
        }
    } else if let Some(projected) = &volume.projected {
        let kind = "Projected (a volume that contains injected data from multiple sources)";
        fields(out, kind, &[]);
        projected.sources.iter().flatten().for_each(|source| projection(out, source));
    } else if let Some(api) = &volume.downward_api {
        fields(out, "DownwardAPI (a volume populated by information about the pod)", &[]);
        out.line(2, format_args!("Items:"));
        for item in api.items.iter().flatten() {
            let path = &item.path;
            if let Some(field) = &item.field_ref {
                out.line(3, format_args!("{} -> {path}", field.field_path));
            }
            if let Some(resource) = &item.resource_field_ref {
                out.line(3, format_args!("{} -> {path}", resource.resource));
            }
        }
    } else if let Some(csi) = &volume.csi {
        let read_only = csi.read_only == Some(true);
        let known: [(&str, &dyn Display); 3] =
            [("Driver:", &csi.driver), ("FSType:", &text(&csi.fs_type)), ("ReadOnly:", &read_only)];
        fields(out, "CSI (a Container Storage Interface (CSI) volume source)", &known);
        attributes(out, csi);
    } else if let Some(image) = &volume.image {
        let known: [(&str, &dyn Display); 2] =
            [("Reference:", &text(&image.reference)), ("PullPolicy:", &text(&image.pull_policy))];
        fields(out, "Image (a container image or OCI artifact)", &known);
    } else {
        return false;
    }
    true
}

fn projection(out: &mut Sections, source: &v1::VolumeProjection) {
    if let Some(secret) = &source.secret {
        out.line(2, format_args!("SecretName:\t{}", secret.name));
        out.line(2, format_args!("Optional:\t{}", secret.optional == Some(true)));
    } else if source.downward_api.is_some() {
        out.line(2, format_args!("DownwardAPI:\ttrue"));
    } else if let Some(map) = &source.config_map {
        out.line(2, format_args!("ConfigMapName:\t{}", map.name));
        out.line(2, format_args!("Optional:\t{}", map.optional == Some(true)));
    } else if let Some(token) = &source.service_account_token {
        // The API's default.
        let seconds = token.expiration_seconds.unwrap_or(3600);
        out.line(2, format_args!("TokenExpirationSeconds:\t{seconds}"));
    }
}

/// kubectl indents each piece that it writes, also those that go on in a line.
fn attributes(out: &mut Sections, csi: &v1::CSIVolumeSource) {
    const TITLE: &str = "    VolumeAttributes:\t";
    let mut before = TITLE;
    for (key, value) in csi.volume_attributes.iter().flatten() {
        let line = alloc::format!("{key}={value}");
        out.line(0, format_args!("{before}    {}", shortened(&line, MAX_ANNOTATION)));
        before = "        \t";
    }
    if before == TITLE {
        out.line(0, format_args!("{TITLE}<none>"));
    }
}

/// `printPersistentVolumeClaim` of a claim that does not exist yet.
fn claim_template(out: &mut Sections, template: &v1::PersistentVolumeClaimTemplate) {
    let no_metadata = Default::default();
    let metadata = template.metadata.as_ref().unwrap_or(&no_metadata);
    let annotations = metadata.annotations.as_ref();
    let spec = &template.spec;
    let class = annotations.and_then(|annotations| annotations.get(STORAGE_CLASS_ANNOTATION));
    let class = class.or(spec.storage_class_name.as_ref()).map_or("", String::as_str);
    out.line(2, format_args!("StorageClass:\t{class}"));
    out.line(2, format_args!("Volume:\t{}", text(&spec.volume_name)));
    // Each piece is indented here, too.
    let mut before = "    Labels:\t";
    for (key, value) in metadata.labels.iter().flatten() {
        out.line(0, format_args!("{before}    {key}={value}"));
        before = "        \t";
    }
    if before.starts_with("    L") {
        out.line(0, format_args!("{before}    <none>"));
    }
    let lines = annotation_lines(annotations, "    ", "    \t");
    let mut before = "    Annotations:\t";
    for line in &lines {
        out.line(0, format_args!("{before}{line}"));
        before = "";
    }
    if lines.is_empty() {
        out.line(0, format_args!("{before}    <none>"));
    }
    // A claim that is bound says what it has; this one has nothing yet.
    let capacity = if text(&spec.volume_name).is_empty() { "" } else { "0" };
    out.line(2, format_args!("Capacity:\t{capacity}"));
    out.line(2, format_args!("Access Modes:\t"));
    if let Some(mode) = &spec.volume_mode {
        out.line(2, format_args!("VolumeMode:\t{mode}"));
    }
    if let Some(source) = &spec.data_source {
        out.line(2, format_args!("DataSource:"));
        if let Some(group) = &source.api_group {
            out.line(3, format_args!("APIGroup:\t{group}"));
        }
        out.line(3, format_args!("Kind:\t{}", source.kind));
        out.line(3, format_args!("Name:\t{}", source.name));
    }
}

/// Disks of clouds.
fn cloud(out: &mut Sections, volume: &v1::Volume) -> bool {
    if let Some(disk) = &volume.gce_persistent_disk {
        let (partition, read_only) =
            (disk.partition.unwrap_or_default(), disk.read_only == Some(true));
        let known: [(&str, &dyn Display); 4] = [
            ("PDName:", &disk.pd_name),
            ("FSType:", &text(&disk.fs_type)),
            ("Partition:", &partition),
            ("ReadOnly:", &read_only),
        ];
        let kind = "GCEPersistentDisk (a Persistent Disk resource in Google Compute Engine)";
        fields(out, kind, &known);
    } else if let Some(store) = &volume.aws_elastic_block_store {
        let (partition, read_only) =
            (store.partition.unwrap_or_default(), store.read_only == Some(true));
        let known: [(&str, &dyn Display); 4] = [
            ("VolumeID:", &store.volume_id),
            ("FSType:", &text(&store.fs_type)),
            ("Partition:", &partition),
            ("ReadOnly:", &read_only),
        ];
        fields(out, "AWSElasticBlockStore (a Persistent Disk resource in AWS)", &known);
    } else if let Some(disk) = &volume.azure_disk {
        let read_only = disk.read_only == Some(true);
        let known: [(&str, &dyn Display); 6] = [
            ("DiskName:", &disk.disk_name),
            ("DiskURI:", &disk.disk_uri),
            ("Kind: ", &text(&disk.kind)),
            ("FSType:", &text(&disk.fs_type)),
            ("CachingMode:", &text(&disk.caching_mode)),
            ("ReadOnly:", &read_only),
        ];
        let kind = "AzureDisk (an Azure Data Disk mount on the host and bind mount to the pod)";
        fields(out, kind, &known);
    } else if let Some(file) = &volume.azure_file {
        let read_only = file.read_only == Some(true);
        let known: [(&str, &dyn Display); 3] = [
            ("SecretName:", &file.secret_name),
            ("ShareName:", &file.share_name),
            ("ReadOnly:", &read_only),
        ];
        let kind = "AzureFile (an Azure File Service mount on the host and bind mount to the pod)";
        fields(out, kind, &known);
    } else if let Some(disk) = &volume.vsphere_volume {
        let known: [(&str, &dyn Display); 3] = [
            ("VolumePath:", &disk.volume_path),
            ("FSType:", &text(&disk.fs_type)),
            ("StoragePolicyName:", &text(&disk.storage_policy_name)),
        ];
        fields(out, "vSphereVolume (a Persistent Disk resource in vSphere)", &known);
    } else if let Some(disk) = &volume.cinder {
        let read_only = disk.read_only == Some(true);
        let known: [(&str, &dyn Display); 4] = [
            ("VolumeID:", &disk.volume_id),
            ("FSType:", &text(&disk.fs_type)),
            ("ReadOnly:", &read_only),
            ("SecretRef:", &Reference(disk.secret_ref.as_ref())),
        ];
        fields(out, "Cinder (a Persistent Disk resource in OpenStack)", &known);
    } else if let Some(disk) = &volume.photon_persistent_disk {
        let known: [(&str, &dyn Display); 2] =
            [("PdID:", &disk.pd_id), ("FSType:", &text(&disk.fs_type))];
        let kind = "PhotonPersistentDisk (a Persistent Disk resource in photon platform)";
        fields(out, kind, &known);
    } else {
        return false;
    }
    true
}

/// Storage over a network, and what is no longer in use.
fn network(out: &mut Sections, volume: &v1::Volume) -> bool {
    if let Some(repo) = &volume.git_repo {
        let known: [(&str, &dyn Display); 2] =
            [("Repository:", &repo.repository), ("Revision:", &text(&repo.revision))];
        fields(out, "GitRepo (a volume that is pulled from git when the pod is created)", &known);
    } else if let Some(nfs) = &volume.nfs {
        let read_only = nfs.read_only == Some(true);
        let known: [(&str, &dyn Display); 3] =
            [("Server:", &nfs.server), ("Path:", &nfs.path), ("ReadOnly:", &read_only)];
        fields(out, "NFS (an NFS mount that lasts the lifetime of a pod)", &known);
    } else if let Some(disk) = &volume.iscsi {
        let (read_only, discovery, session) = (
            disk.read_only == Some(true),
            disk.chap_auth_discovery == Some(true),
            disk.chap_auth_session == Some(true),
        );
        let initiator = disk.initiator_name.as_deref().unwrap_or("<none>");
        let known: [(&str, &dyn Display); 11] = [
            ("TargetPortal:", &disk.target_portal),
            ("IQN:", &disk.iqn),
            ("Lun:", &disk.lun),
            ("ISCSIInterface", &text(&disk.iscsi_interface)),
            ("FSType:", &text(&disk.fs_type)),
            ("ReadOnly:", &read_only),
            ("Portals:", &List(disk.portals.as_deref().unwrap_or_default())),
            ("DiscoveryCHAPAuth:", &discovery),
            ("SessionCHAPAuth:", &session),
            ("SecretRef:", &Reference(disk.secret_ref.as_ref())),
            ("InitiatorName:", &initiator),
        ];
        let kind = "ISCSI (an ISCSI Disk resource that is attached to a kubelet's host machine and \
                    then exposed to the pod)";
        fields(out, kind, &known);
    } else if let Some(mount) = &volume.glusterfs {
        let read_only = mount.read_only == Some(true);
        let known: [(&str, &dyn Display); 3] = [
            ("EndpointsName:", &mount.endpoints),
            ("Path:", &mount.path),
            ("ReadOnly:", &read_only),
        ];
        let kind = "Glusterfs (a Glusterfs mount on the host that shares a pod's lifetime)";
        fields(out, kind, &known);
    } else if let Some(device) = &volume.rbd {
        let read_only = device.read_only == Some(true);
        let known: [(&str, &dyn Display); 8] = [
            ("CephMonitors:", &List(&device.monitors)),
            ("RBDImage:", &device.image),
            ("FSType:", &text(&device.fs_type)),
            ("RBDPool:", &text(&device.pool)),
            ("RadosUser:", &text(&device.user)),
            ("Keyring:", &text(&device.keyring)),
            ("SecretRef:", &Reference(device.secret_ref.as_ref())),
            ("ReadOnly:", &read_only),
        ];
        let kind = "RBD (a Rados Block Device mount on the host that shares a pod's lifetime)";
        fields(out, kind, &known);
    } else if let Some(mount) = &volume.quobyte {
        let read_only = mount.read_only == Some(true);
        let known: [(&str, &dyn Display); 3] =
            [("Registry:", &mount.registry), ("Volume:", &mount.volume), ("ReadOnly:", &read_only)];
        fields(out, "Quobyte (a Quobyte mount on the host that shares a pod's lifetime)", &known);
    } else if let Some(volume) = &volume.portworx_volume {
        let known: [(&str, &dyn Display); 1] = [("VolumeID:", &volume.volume_id)];
        fields(out, "PortworxVolume (a Portworx Volume resource)", &known);
    } else if let Some(io) = &volume.scale_io {
        let read_only = io.read_only == Some(true);
        let known: [(&str, &dyn Display); 8] = [
            ("Gateway:", &io.gateway),
            ("System:", &io.system),
            ("Protection Domain:", &text(&io.protection_domain)),
            ("Storage Pool:", &text(&io.storage_pool)),
            ("Storage Mode:", &text(&io.storage_mode)),
            ("VolumeName:", &text(&io.volume_name)),
            ("FSType:", &text(&io.fs_type)),
            ("ReadOnly:", &read_only),
        ];
        fields(out, "ScaleIO (a persistent volume backed by a block device in ScaleIO)", &known);
    } else if let Some(mount) = &volume.cephfs {
        let read_only = mount.read_only == Some(true);
        let known: [(&str, &dyn Display); 6] = [
            ("Monitors:", &List(&mount.monitors)),
            ("Path:", &text(&mount.path)),
            ("User:", &text(&mount.user)),
            ("SecretFile:", &text(&mount.secret_file)),
            ("SecretRef:", &Reference(mount.secret_ref.as_ref())),
            ("ReadOnly:", &read_only),
        ];
        fields(out, "CephFS (a CephFS mount on the host that shares a pod's lifetime)", &known);
    } else if let Some(disk) = &volume.storageos {
        let read_only = disk.read_only == Some(true);
        let known: [(&str, &dyn Display); 4] = [
            ("VolumeName:", &text(&disk.volume_name)),
            ("VolumeNamespace:", &text(&disk.volume_namespace)),
            ("FSType:", &text(&disk.fs_type)),
            ("ReadOnly:", &read_only),
        ];
        fields(out, "StorageOS (a StorageOS Persistent Disk resource)", &known);
    } else if let Some(disk) = &volume.fc {
        let read_only = disk.read_only == Some(true);
        let names = disk.target_wwns.as_deref().unwrap_or_default().join(", ");
        let lun = disk.lun.map_or_else(|| "<none>".to_string(), |lun| lun.to_string());
        let known: [(&str, &dyn Display); 4] = [
            ("TargetWWNs:", &names),
            ("LUN:", &lun),
            ("FSType:", &text(&disk.fs_type)),
            ("ReadOnly:", &read_only),
        ];
        fields(out, "FC (a Fibre Channel disk)", &known);
    } else if let Some(flex) = &volume.flex_volume {
        let read_only = flex.read_only == Some(true);
        let known: [(&str, &dyn Display); 5] = [
            ("Driver:", &flex.driver),
            ("FSType:", &text(&flex.fs_type)),
            ("SecretRef:", &Reference(flex.secret_ref.as_ref())),
            ("ReadOnly:", &read_only),
            ("Options:", &Map(flex.options.as_ref())),
        ];
        let kind = "FlexVolume (a generic volume resource that is provisioned/attached using an \
                    exec based plugin)";
        fields(out, kind, &known);
    } else if let Some(flocker) = &volume.flocker {
        let known: [(&str, &dyn Display); 2] = [
            ("DatasetName:", &text(&flocker.dataset_name)),
            ("DatasetUUID:", &text(&flocker.dataset_uuid)),
        ];
        fields(out, "Flocker (a Flocker volume mounted by the Flocker agent)", &known);
    } else {
        return false;
    }
    true
}

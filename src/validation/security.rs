//! Security contexts of pods and containers (`validatePodSpecSecurityContext`,
//! `ValidateSecurityContext`), without what is for Windows only.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;

use k8s_openapi::api::core::v1;

use super::field::{BadValue, Errors, Path};
use super::labels::Texts;
use super::names;
use super::volumes::descending;

/// The annotation that was the pod's seccomp profile.
const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
/// Where the annotation for that of a container began.
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
/// The longest name of an AppArmor profile.
const MAX_APP_ARMOR: usize = 4095;
const PROFILES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];
const SYSCTL: &str = "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";

/// Sysctls that belong to the namespace for IPC (`sysctl.GetNamespace`).
const IPC_SYSCTLS: [&str; 4] = ["kernel.shm", "kernel.msg", "fs.mqueue.", "kernel.sem"];

pub(super) fn validate_pod(spec: &v1::PodSpec, path: &Path<'_>, errors: &mut Errors) {
    let Some(context) = &spec.security_context else { return };
    let ids = [
        ("fsGroup", context.fs_group),
        ("runAsUser", context.run_as_user),
        ("runAsGroup", context.run_as_group),
    ];
    validate_ids(&ids, path, errors);
    let groups = path.child("supplementalGroups");
    for (index, group) in context.supplemental_groups.iter().flatten().enumerate() {
        errors.number(&groups.index(index), *group, names::id(*group));
    }
    if spec.share_process_namespace == Some(true) && spec.host_pid == Some(true) {
        errors.invalid(
            &path.child("shareProcessNamespace"),
            BadValue::Bool(true),
            "ShareProcessNamespace and HostPID cannot both be enabled",
        );
    }
    validate_sysctls(context.sysctls.as_deref(), spec, &path.child("sysctls"), errors);
    one_of(
        &context.fs_group_change_policy,
        &["Always", "OnRootMismatch"],
        &path.child("fsGroupChangePolicy"),
        errors,
    );
    validate_seccomp(context.seccomp_profile.as_ref(), &path.child("seccompProfile"), errors);
    let app_armor = path.child("appArmorProfile");
    validate_app_armor(context.app_armor_profile.as_ref(), &app_armor, errors);
    one_of(
        &context.supplemental_groups_policy,
        &["Merge", "Strict"],
        &path.child("supplementalGroupsPolicy"),
        errors,
    );
    one_of(
        &context.se_linux_change_policy,
        &["MountOption", "Recursive"],
        &path.child("seLinuxChangePolicy"),
        errors,
    );
}

/// A value, if it is given, is one of those that are known.
fn one_of(value: &Option<String>, known: &[&str], path: &Path<'_>, errors: &mut Errors) {
    if let Some(value) = value.as_deref().filter(|value| !known.contains(value)) {
        errors.not_supported(path, value, known);
    }
}

fn validate_ids(ids: &[(&'static str, Option<i64>)], path: &Path<'_>, errors: &mut Errors) {
    for (name, id) in ids {
        if let Some(id) = *id {
            errors.number(&path.child(name), id, names::id(id));
        }
    }
}

fn validate_sysctls(
    sysctls: Option<&[v1::Sysctl]>,
    spec: &v1::PodSpec,
    list: &Path<'_>,
    errors: &mut Errors,
) {
    let mut seen = BTreeSet::new();
    for (index, sysctl) in sysctls.unwrap_or_default().iter().enumerate() {
        let (item, name) = (list.index(index), sysctl.name.as_str());
        let path = item.child("name");
        if name.is_empty() {
            errors.required(&path, "");
        } else if !names::is_sysctl(name) {
            errors.invalid(&path, name, SYSCTL);
        } else if seen.contains(name) {
            errors.duplicate(&path, name);
        }
        let dotted = name.replace('/', ".");
        if spec.host_network == Some(true) && dotted.starts_with("net.") {
            errors.invalid(&path, name, "may not be specified when 'hostNetwork' is true");
        } else if spec.host_ipc == Some(true)
            && IPC_SYSCTLS.iter().any(|prefix| dotted.starts_with(prefix))
        {
            errors.invalid(&path, name, "may not be specified when 'hostIPC' is true");
        }
        seen.insert(name);
    }
}

/// The context of a container.
pub(super) fn validate_container(
    context: Option<&v1::SecurityContext>,
    host_users: bool,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let Some(context) = context else { return };
    let ids = [("runAsUser", context.run_as_user), ("runAsGroup", context.run_as_group)];
    validate_ids(&ids, path, errors);
    if let Some(mount) = context.proc_mount.as_deref() {
        let path = path.child("procMount");
        if !["Default", "Unmasked"].contains(&mount) {
            errors.not_supported(&path, mount, &["Default", "Unmasked"]);
        }
        if host_users && mount == "Unmasked" {
            errors.invalid(&path, mount, "`hostUsers` must be false to use `Unmasked`");
        }
    }
    validate_seccomp(context.seccomp_profile.as_ref(), &path.child("seccompProfile"), errors);
    if context.allow_privilege_escalation == Some(false) {
        if context.privileged == Some(true) {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            errors.invalid(path, shown(context), detail);
        }
        let added = context.capabilities.iter().flat_map(|set| set.add.iter().flatten());
        for _ in added.filter(|capability| *capability == "CAP_SYS_ADMIN") {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            errors.invalid(path, shown(context), detail);
        }
    }
    let app_armor = path.child("appArmorProfile");
    validate_app_armor(context.app_armor_profile.as_ref(), &app_armor, errors);
}

/// A value as JSON of Kubernetes' own type, which has no names for JSON.
fn json<T: serde::Serialize>(value: T) -> String {
    serde_json::to_string(&value).unwrap_or_default()
}

fn shown_seccomp(profile: &v1::SeccompProfile) -> String {
    format!(
        "{{\"Type\":{},\"LocalhostProfile\":{}}}",
        json(&profile.type_),
        json(&profile.localhost_profile)
    )
}

fn shown(context: &v1::SecurityContext) -> BadValue {
    let or_null = |value: Option<String>| value.unwrap_or_else(|| "null".into());
    let capabilities = or_null(
        context
            .capabilities
            .as_ref()
            .map(|set| format!("{{\"Add\":{},\"Drop\":{}}}", json(&set.add), json(&set.drop))),
    );
    let se_linux = or_null(context.se_linux_options.as_ref().map(|options| {
        let text = |text: &Option<String>| json(text.as_deref().unwrap_or_default());
        format!(
            "{{\"User\":{},\"Role\":{},\"Type\":{},\"Level\":{}}}",
            text(&options.user),
            text(&options.role),
            text(&options.type_),
            text(&options.level)
        )
    }));
    let app_armor = or_null(context.app_armor_profile.as_ref().map(|profile| {
        format!(
            "{{\"Type\":{},\"LocalhostProfile\":{}}}",
            json(&profile.type_),
            json(&profile.localhost_profile)
        )
    }));
    let seccomp = or_null(context.seccomp_profile.as_ref().map(shown_seccomp));
    BadValue::Json(format!(
        "{{\"Capabilities\":{capabilities},\"Privileged\":{},\"SELinuxOptions\":{se_linux},\"WindowsOptions\":null,\"RunAsUser\":{},\"RunAsGroup\":{},\"RunAsNonRoot\":{},\"ReadOnlyRootFilesystem\":{},\"AllowPrivilegeEscalation\":{},\"ProcMount\":{},\"SeccompProfile\":{seccomp},\"AppArmorProfile\":{app_armor}}}",
        json(context.privileged),
        json(context.run_as_user),
        json(context.run_as_group),
        json(context.run_as_non_root),
        json(context.read_only_root_filesystem),
        json(context.allow_privilege_escalation),
        json(&context.proc_mount),
    ))
}

/// `validateSeccompProfileField`.
fn validate_seccomp(profile: Option<&v1::SeccompProfile>, path: &Path<'_>, errors: &mut Errors) {
    let Some(profile) = profile else { return };
    match profile.type_.as_str() {
        "" => {
            errors.required(&path.child("type"), "type is required when seccompProfile is set");
        }
        kind if PROFILES.contains(&kind) => {}
        other => errors.not_supported(&path.child("type"), other, &PROFILES),
    }
    let path = path.child("localhostProfile");
    match (profile.type_.as_str(), profile.localhost_profile.as_deref()) {
        ("Localhost", None) => {
            errors.required(&path, "must be set when seccomp type is Localhost");
        }
        ("Localhost", Some(file)) => descending(file, &path, errors),
        (_, Some(_)) => {
            let value = BadValue::Json(shown_seccomp(profile));
            errors.invalid(&path, value, "can only be set when seccomp type is Localhost");
        }
        (_, None) => {}
    }
}

/// `ValidateAppArmorProfileField`.
fn validate_app_armor(profile: Option<&v1::AppArmorProfile>, path: &Path<'_>, errors: &mut Errors) {
    let Some(profile) = profile else { return };
    let (kind, file) = (path.child("type"), path.child("localhostProfile"));
    match (profile.type_.as_str(), profile.localhost_profile.as_deref()) {
        ("Localhost", None) => {
            errors.required(&file, "must be set when AppArmor type is Localhost");
        }
        ("Localhost", Some(name)) => {
            if name.trim() != name {
                errors.invalid(&file, name, "must not be padded with whitespace");
            } else if name.is_empty() {
                errors.required(&file, "must be set when AppArmor type is Localhost");
            }
            if name.len() > MAX_APP_ARMOR {
                errors.too_long(&file, MAX_APP_ARMOR);
            }
        }
        ("RuntimeDefault" | "Unconfined", Some(name)) => {
            errors.invalid(&file, name, "can only be set when AppArmor type is Localhost");
        }
        ("RuntimeDefault" | "Unconfined", None) => {}
        ("", _) => errors.required(&kind, "type is required when appArmorProfile is set"),
        (other, _) => errors.not_supported(&kind, other, &PROFILES),
    }
}

/// `ValidateSeccompPodAnnotations`, of one annotation.
pub(super) fn validate_seccomp_annotation(
    name: &str,
    value: &str,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    if name != SECCOMP_POD && !name.starts_with(SECCOMP_CONTAINER) {
        return;
    }
    let path = Path::Name(path, name);
    if let Some(file) = value.strip_prefix("localhost/") {
        descending(file, &path, errors);
    } else if !["runtime/default", "docker/default", "unconfined"].contains(&value) {
        errors.invalid(&path, value, "must be a valid seccomp profile");
    }
}

/// Where there is an annotation and a field, they say the same
/// (`validateSeccompAnnotationsAndFields`).
pub(super) fn validate_seccomp_match(
    annotations: Option<&Texts>,
    spec: &v1::PodSpec,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let Some(annotations) = annotations else { return };
    let mut compare = |profile: Option<&v1::SeccompProfile>, key: &str, path: &Path<'_>| {
        let (Some(profile), Some(annotation)) = (profile, annotations.get(key)) else { return };
        let context = path.child("securityContext");
        let path = context.child("seccompProfile");
        let kind = match profile.type_.as_str() {
            "Unconfined" => annotation == "unconfined",
            "RuntimeDefault" => annotation == "runtime/default" || annotation == "docker/default",
            "Localhost" => annotation.starts_with("localhost/"),
            _ => true,
        };
        if !kind {
            errors
                .forbidden(&path.child("type"), "seccomp type in annotation and field must match");
        } else if profile.type_ == "Localhost"
            && annotation.strip_prefix("localhost/") != profile.localhost_profile.as_deref()
        {
            errors.forbidden(
                &path.child("localhostProfile"),
                "seccomp profile in annotation and field must match",
            );
        }
    };
    let pod = spec.security_context.as_ref().and_then(|context| context.seccomp_profile.as_ref());
    compare(pod, SECCOMP_POD, path);
    let lists = [
        ("initContainers", spec.init_containers.as_deref().unwrap_or_default()),
        ("containers", spec.containers.as_slice()),
    ];
    for (name, containers) in lists {
        let list = path.child(name);
        for (index, container) in containers.iter().enumerate() {
            let context = container.security_context.as_ref();
            let profile = context.and_then(|context| context.seccomp_profile.as_ref());
            let key = format!("{SECCOMP_CONTAINER}{}", container.name);
            compare(profile, &key, &list.index(index));
        }
    }
}

//! Workloads and their templates (`pkg/apis/apps/validation`, `pkg/apis/batch/validation`).

use alloc::format;
use alloc::vec::Vec;

use k8s_openapi::api::apps::v1 as apps;
use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::field::{BadValue, Errors, Path, ValidationErrors};
use super::warnings::{Warning, Warnings, name_warning, of_pod};
use super::{job, labels, metadata, names, spec, volumes};
use crate::admission::admit_workload;
use crate::version::FeatureGates;
use crate::workload::Workload;

const MISMATCH: &str = "`selector` does not match template `labels`";
const PERCENT: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";

/// Checks a workload that is to be created, and its template, as the apiserver does after it has
/// filled in the defaults.
///
/// # Errors
/// All errors at once, see [`ValidationErrors`].
///
/// ```
/// # #[cfg(feature = "yaml")] {
/// use podinit::FeatureGates;
/// use podinit::manifest::{Object, ReadOptions, read};
/// use podinit::validation::validate_workload;
///
/// let text = "
/// apiVersion: batch/v1
/// kind: Job
/// metadata: {name: migrate}
/// spec: {template: {spec: {containers: [{name: migrate, image: 'db-tools:1'}]}}}
/// ";
/// let documents = read(text, &ReadOptions::strict()).unwrap();
/// let Object::Workload(job) = &documents[0].object else { panic!("a workload") };
/// assert_eq!(
///     validate_workload(job, FeatureGates::default()).unwrap_err().to_string(),
///     "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\""
/// );
/// # }
/// ```
pub fn validate_workload(workload: &Workload, gates: FeatureGates) -> Result<(), ValidationErrors> {
    let workload = admit_workload(workload, gates);
    let mut errors = Errors::new(gates);
    let rule = match &workload {
        Workload::StatefulSet(_) => names::dns_label,
        _ => names::dns_subdomain,
    };
    metadata::validate(workload.metadata(), rule, &mut errors);
    let (path, nothing) = (Path::Root("spec"), v1::PodTemplateSpec::default());
    let template = workload.templates().next().map_or(&nothing, |template| template.template);
    let pods = Pods { template, path: &path.child("template"), gates };
    match &workload {
        Workload::Deployment(object) => {
            if let Some(spec) = Option::<&apps::DeploymentSpec>::from(&object.spec) {
                deployment(spec, &pods, &path, &mut errors);
            }
        }
        Workload::StatefulSet(object) => {
            if let Some(spec) = Option::<&apps::StatefulSetSpec>::from(&object.spec) {
                stateful(spec, &pods, &path, &mut errors);
            }
        }
        Workload::DaemonSet(object) => {
            if let Some(spec) = Option::<&apps::DaemonSetSpec>::from(&object.spec) {
                daemon(spec, &pods, &path, &mut errors);
            }
        }
        Workload::ReplicaSet(object) => {
            if let Some(spec) = Option::<&apps::ReplicaSetSpec>::from(&object.spec) {
                errors.not_negative(&path.child("replicas"), spec.replicas.unwrap_or(1));
                let ready = spec.min_ready_seconds.unwrap_or_default();
                errors.not_negative(&path.child("minReadySeconds"), ready);
                selected(&spec.selector, "deployment", &pods, &path, &mut errors);
                pods.validate_always("ReplicaSet", &mut errors);
            }
        }
        Workload::ReplicationController(object) => {
            if let Some(spec) = Option::<&v1::ReplicationControllerSpec>::from(&object.spec) {
                controller(spec, &pods, &path, &mut errors);
            }
        }
        Workload::Job(object) => job::validate(object, &pods, &mut errors),
        Workload::CronJob(object) => job::validate_cron(object, gates, &mut errors),
        Workload::PodTemplate(_) => {
            spec::validate_template(template, &Path::Root("template"), gates, &mut errors);
        }
    }
    errors.into_result()
}

/// What the apiserver warns of when it creates a workload (`WarningsOnCreate` of its kind). It says
/// nothing to one that it refuses.
pub fn workload_warnings(workload: &Workload) -> Vec<Warning> {
    let gates = FeatureGates::default();
    let workload = admit_workload(workload, gates);
    let mut found = Warnings::new(gates);
    let named = !matches!(
        workload,
        Workload::StatefulSet(_) | Workload::DaemonSet(_) | Workload::PodTemplate(_)
    );
    if named {
        let used_in = "Pod names and hostnames";
        name_warning(workload.metadata().name.as_deref(), used_in, &mut found);
    }
    for template in workload.templates() {
        let path = Path::Root(template.path);
        let meta = path.child("metadata");
        let annotations = template.template.metadata.as_ref().and_then(|m| m.annotations.as_ref());
        if let Some(spec) = &template.template.spec {
            let at = meta.child("annotations");
            let path = Path::Root(template.spec_path);
            of_pod(spec, annotations, &at, &path, &mut found);
            // Of a pod itself, what is negative is read as 1.
            if spec.termination_grace_period_seconds.is_some_and(|seconds| seconds < 0) {
                found.add(
                    path.child("terminationGracePeriodSeconds"),
                    "must be >= 0; negative values are invalid and will be treated as 1",
                );
            }
        }
    }
    found.found
}

/// A template that is validated.
pub(super) struct Pods<'a> {
    pub(super) template: &'a v1::PodTemplateSpec,
    pub(super) path: &'a Path<'a>,
    pub(super) gates: FeatureGates,
}

impl Pods<'_> {
    pub(super) fn labels(&self) -> Option<&labels::Texts> {
        self.template.metadata.as_ref().and_then(|meta| meta.labels.as_ref())
    }

    pub(super) fn validate(&self, errors: &mut Errors) {
        spec::validate_template(self.template, self.path, self.gates, errors);
    }

    /// The selector takes the template's labels.
    pub(super) fn match_labels(&self, errors: &mut Errors) {
        let meta = self.path.child("metadata");
        errors.invalid(&meta.child("labels"), labels::shown(self.labels()), MISMATCH);
    }

    /// Of pods that run for ever, with the name of what they belong to.
    fn validate_always(&self, owner: &str, errors: &mut Errors) {
        self.validate(errors);
        self.forbid_end(owner, errors);
    }

    fn forbid_end(&self, owner: &str, errors: &mut Errors) {
        let spec = self.template.spec.as_ref();
        let path = self.path.child("spec");
        let policy = spec.and_then(|spec| spec.restart_policy.as_deref()).unwrap_or_default();
        if policy != "Always" {
            errors.not_supported(&path.child("restartPolicy"), policy, &["Always"]);
        }
        if spec.is_some_and(|spec| spec.active_deadline_seconds.is_some()) {
            errors.forbidden(
                &path.child("activeDeadlineSeconds"),
                format!("activeDeadlineSeconds in {owner} is not Supported"),
            );
        }
    }
}

/// A selector that must select something, and the template's pods. False: it cannot be used.
fn selected(
    selector: &LabelSelector,
    kind: &str,
    pods: &Pods<'_>,
    path: &Path<'_>,
    errors: &mut Errors,
) -> bool {
    let at = path.child("selector");
    if *selector == LabelSelector::default() {
        errors.required(&at, "");
        pods.match_labels(errors);
        return true;
    }
    labels::validate_selector(Some(selector), &at, errors);
    if labels::is_empty(selector) {
        let detail = format!("empty selector is invalid for {kind}");
        errors.invalid(&at, labels::shown_selector(Some(selector)), detail);
        return true;
    }
    match labels::matches(Some(selector), pods.labels()) {
        None => {
            let detail = if kind == "statefulset" { "" } else { "invalid label selector" };
            errors.invalid(&at, labels::shown_selector(Some(selector)), detail);
            return false;
        }
        Some(false) => pods.match_labels(errors),
        Some(true) => {}
    }
    true
}

fn deployment(spec: &apps::DeploymentSpec, pods: &Pods<'_>, path: &Path<'_>, errors: &mut Errors) {
    errors.not_negative(&path.child("replicas"), spec.replicas.unwrap_or(1));
    if selected(&spec.selector, "deployment", pods, path, errors) {
        pods.validate_always("ReplicaSet", errors);
    }
    let strategy = spec.strategy.clone().unwrap_or_default();
    let at = path.child("strategy");
    match (strategy.type_.as_deref().unwrap_or_default(), &strategy.rolling_update) {
        ("Recreate", Some(_)) => errors.forbidden(
            &at.child("rollingUpdate"),
            "may not be specified when strategy `type` is 'Recreate'",
        ),
        ("Recreate" | "RollingUpdate", None) => {}
        ("RollingUpdate", Some(rolling)) => {
            let at = at.child("rollingUpdate");
            let unavailable = at.child("maxUnavailable");
            amount(rolling.max_unavailable.as_ref(), &unavailable, errors);
            amount(rolling.max_surge.as_ref(), &at.child("maxSurge"), errors);
            if value(rolling.max_unavailable.as_ref()) == 0
                && value(rolling.max_surge.as_ref()) == 0
            {
                let shown = shown(rolling.max_unavailable.as_ref());
                errors.invalid(&unavailable, shown, "may not be 0 when `maxSurge` is 0");
            }
            at_most_all(rolling.max_unavailable.as_ref(), &unavailable, errors);
        }
        (other, _) => strategy_type(other, &at, &["Recreate", "RollingUpdate"], errors),
    }
    let ready = spec.min_ready_seconds.unwrap_or_default();
    errors.not_negative(&path.child("minReadySeconds"), ready);
    if let Some(limit) = spec.revision_history_limit {
        errors.not_negative(&path.child("revisionHistoryLimit"), limit);
    }
    if let Some(deadline) = spec.progress_deadline_seconds {
        let at = path.child("progressDeadlineSeconds");
        errors.not_negative(&at, deadline);
        if deadline <= ready {
            errors.invalid(&at, deadline, "must be greater than minReadySeconds");
        }
    }
}

/// A type that is none: the refused value is the whole strategy.
fn strategy_type(given: &str, path: &Path<'_>, known: &[&str], errors: &mut Errors) {
    let given = serde_json::to_string(given).unwrap_or_default();
    let strategy = BadValue::Json(format!("{{\"Type\":{given},\"RollingUpdate\":null}}"));
    errors.not_supported_value(path, strategy, known);
}

fn daemon(spec: &apps::DaemonSetSpec, pods: &Pods<'_>, path: &Path<'_>, errors: &mut Errors) {
    let selector = Some(&spec.selector).filter(|selector| **selector != LabelSelector::default());
    labels::validate_selector(selector, &path.child("selector"), errors);
    if labels::matches(selector, pods.labels()) == Some(false) {
        pods.match_labels(errors);
    }
    if let Some(selector) = selector.filter(|selector| labels::is_empty(selector)) {
        let shown = labels::shown_selector(Some(selector));
        let detail = "empty selector is invalid for daemonset";
        errors.invalid(&path.child("selector"), shown, detail);
    }
    pods.validate_always("DaemonSet", errors);
    let ready = spec.min_ready_seconds.unwrap_or_default();
    errors.not_negative(&path.child("minReadySeconds"), ready);
    let strategy = spec.update_strategy.clone().unwrap_or_default();
    let at = path.child("updateStrategy");
    match (strategy.type_.as_deref().unwrap_or_default(), &strategy.rolling_update) {
        ("OnDelete", _) | ("RollingUpdate", None) => {}
        ("RollingUpdate", Some(rolling)) => {
            let at = at.child("rollingUpdate");
            let (unavailable, surge) = (at.child("maxUnavailable"), at.child("maxSurge"));
            let (down, up) = (rolling.max_unavailable.as_ref(), rolling.max_surge.as_ref());
            amount(down, &unavailable, errors);
            amount(up, &surge, errors);
            at_most_all(down, &unavailable, errors);
            at_most_all(up, &surge, errors);
            match (value(down) != 0, value(up) != 0) {
                (true, true) => {
                    let detail = "may not be set when maxUnavailable is non-zero";
                    errors.invalid(&surge, shown(up), detail);
                }
                (false, false) => {
                    errors.required(&unavailable, "cannot be 0 when maxSurge is 0");
                }
                _ => {}
            }
        }
        (other, _) => strategy_type(other, &at, &["RollingUpdate", "OnDelete"], errors),
    }
    if let Some(limit) = spec.revision_history_limit {
        errors.not_negative(&path.child("revisionHistoryLimit"), limit);
    }
}

fn stateful(spec: &apps::StatefulSetSpec, pods: &Pods<'_>, path: &Path<'_>, errors: &mut Errors) {
    match spec.pod_management_policy.as_deref().unwrap_or_default() {
        "OrderedReady" | "Parallel" => {}
        other => errors.invalid(
            &path.child("podManagementPolicy"),
            other,
            "must be 'OrderedReady' or 'Parallel'",
        ),
    }
    let strategy = spec.update_strategy.clone().unwrap_or_default();
    let at = path.child("updateStrategy");
    match (strategy.type_.as_deref().unwrap_or_default(), &strategy.rolling_update) {
        ("OnDelete" | "RollingUpdate", None) => {}
        ("RollingUpdate", Some(rolling)) => {
            let at = at.child("rollingUpdate");
            errors.not_negative(&at.child("partition"), rolling.partition.unwrap_or_default());
            let down = rolling.max_unavailable.as_ref();
            let at = at.child("maxUnavailable");
            amount(down, &at, errors);
            if down.is_some() && value(down) == 0 {
                errors.invalid(&at, shown(down), "cannot be 0");
            }
            at_most_all(down, &at, errors);
        }
        ("OnDelete", Some(rolling)) => errors.invalid(
            &at.child("rollingUpdate"),
            BadValue::Json(format!(
                "{{\"Partition\":{},\"MaxUnavailable\":null}}",
                rolling.partition.unwrap_or_default()
            )),
            "only allowed for updateStrategy 'RollingUpdate'",
        ),
        (other, _) => {
            let given = serde_json::to_string(other).unwrap_or_default();
            let shown = BadValue::Json(format!("{{\"Type\":{given},\"RollingUpdate\":null}}"));
            errors.invalid(&at, shown, "must be 'RollingUpdate' or 'OnDelete'");
        }
    }
    if let Some(retention) = &spec.persistent_volume_claim_retention_policy {
        let at = path.child("persistentVolumeClaimRetentionPolicy");
        let policies =
            [("whenDeleted", &retention.when_deleted), ("whenScaled", &retention.when_scaled)];
        for (name, policy) in policies {
            let policy = policy.as_deref().unwrap_or_default();
            if !["Retain", "Delete"].contains(&policy) {
                errors.not_supported(&at.child(name), policy, &["Retain", "Delete"]);
            }
        }
    }
    let claims = spec.volume_claim_templates.as_deref().unwrap_or_default();
    let list = path.child("volumeClaimTemplates");
    for (index, claim) in claims.iter().enumerate() {
        let item = list.index(index);
        if let Some(claim) = Option::<&v1::PersistentVolumeClaimSpec>::from(&claim.spec) {
            volumes::validate_claim_spec(claim, &item.child("spec"), errors);
        }
    }
    errors.not_negative(&path.child("replicas"), spec.replicas.unwrap_or(1));
    let ready = spec.min_ready_seconds.unwrap_or_default();
    errors.not_negative(&path.child("minReadySeconds"), ready);
    if let Some(start) = spec.ordinals.as_ref().and_then(|ordinals| ordinals.start) {
        errors.not_negative(&path.child("ordinals.start"), start);
    }
    let service = spec.service_name.as_deref().unwrap_or_default();
    if !service.is_empty() {
        errors.breaches(&path.child("serviceName"), service, names::dns_label(service));
    }
    if selected(&spec.selector, "statefulset", pods, path, errors) {
        let template = of_set(pods.template, claims);
        let pods = Pods { template: &template, ..*pods };
        pods.validate(errors);
        // The labels and annotations of the template are checked twice.
        let meta = template.metadata.clone().unwrap_or_default();
        labels::validate(meta.labels.as_ref(), &pods.path.child("labels"), errors);
        let (annotations, at) = (meta.annotations.as_ref(), pods.path.child("annotations"));
        labels::validate_annotations(annotations, &at, errors);
        if let Some(spec) = &template.spec {
            metadata::validate_annotations(annotations, spec, &at, errors);
        }
    }
    pods.forbid_end("StatefulSet", errors);
}

/// The template of a StatefulSet's pods: the controller gives them their names, and the volumes of
/// its claims.
fn of_set(
    template: &v1::PodTemplateSpec,
    claims: &[v1::PersistentVolumeClaim],
) -> v1::PodTemplateSpec {
    let mut template = template.clone();
    let Some(spec) = &mut template.spec else { return template };
    (spec.hostname, spec.subdomain) = (None, None);
    if claims.is_empty() {
        return template;
    }
    let mut volumes: Vec<_> = claims
        .iter()
        .map(|claim| {
            let name = claim.metadata.name.clone().unwrap_or_default();
            let source = v1::PersistentVolumeClaimVolumeSource {
                claim_name: name.clone(),
                ..Default::default()
            };
            v1::Volume { name, persistent_volume_claim: Some(source), ..Default::default() }
        })
        .collect();
    let own = spec.volumes.take().unwrap_or_default();
    let claimed = |volume: &v1::Volume| {
        claims.iter().any(|claim| claim.metadata.name.as_deref() == Some(volume.name.as_str()))
    };
    volumes.extend(own.into_iter().filter(|volume| !claimed(volume)));
    spec.volumes = Some(volumes);
    template
}

fn controller(
    spec: &v1::ReplicationControllerSpec,
    pods: &Pods<'_>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let ready = spec.min_ready_seconds.unwrap_or_default();
    errors.not_negative(&path.child("minReadySeconds"), ready);
    let selector = spec.selector.as_ref().filter(|selector| !selector.is_empty());
    if selector.is_none() {
        errors.required(&path.child("selector"), "");
    }
    errors.not_negative(&path.child("replicas"), spec.replicas.unwrap_or(1));
    if spec.template.is_none() {
        errors.required(pods.path, "");
        return;
    }
    let value = |name| pods.labels().and_then(|labels| labels.get(name));
    if !selector.into_iter().flatten().all(|(name, text)| value(name) == Some(text)) {
        pods.match_labels(errors);
    }
    pods.validate_always("ReplicationController", errors);
}

/// `ValidatePositiveIntOrPercent`.
fn amount(amount: Option<&IntOrString>, path: &Path<'_>, errors: &mut Errors) {
    match amount {
        None => {}
        Some(IntOrString::Int(number)) => errors.not_negative(path, *number),
        Some(IntOrString::String(text)) if percent(text).is_some() => {}
        Some(IntOrString::String(text)) => errors.invalid(path, text.as_str(), PERCENT),
    }
}

fn percent(text: &str) -> Option<i64> {
    let digits = text.strip_suffix('%').filter(|digits| !digits.is_empty())?;
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().unwrap_or(i64::MAX))
}

fn value(amount: Option<&IntOrString>) -> i64 {
    match amount {
        None => 0,
        Some(IntOrString::Int(number)) => (*number).into(),
        Some(IntOrString::String(text)) => percent(text).unwrap_or_default(),
    }
}

fn shown(amount: Option<&IntOrString>) -> BadValue {
    match amount {
        None => BadValue::Number(0),
        Some(IntOrString::Int(number)) => (*number).into(),
        Some(IntOrString::String(text)) => text.as_str().into(),
    }
}

/// `IsNotMoreThan100Percent`.
fn at_most_all(amount: Option<&IntOrString>, path: &Path<'_>, errors: &mut Errors) {
    if let Some(IntOrString::String(text)) = amount
        && percent(text).is_some_and(|percent| percent > 100)
    {
        errors.invalid(path, text.as_str(), "must not be greater than 100%");
    }
}

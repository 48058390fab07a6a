//! The defaults of workloads (`pkg/apis/apps/v1/defaults.go`, `pkg/apis/batch/v1/defaults.go`).

use alloc::borrow::ToOwned;
use alloc::string::String;

use k8s_openapi::api::apps::v1 as apps;
use k8s_openapi::api::batch::v1 as batch;
use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{apply_to_template, text, volume};
use crate::version::{Change, FeatureGates};
use crate::workload::{OrDefault, Workload};

/// Fills in what a workload and its template leave out, as the apiserver does.
///
/// ```
/// # #[cfg(feature = "yaml")] {
/// use podinit::FeatureGates;
/// use podinit::admission::defaults;
/// use podinit::manifest::{Object, ReadOptions, Workload, read};
///
/// let text = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {template: {}}}";
/// let documents = read(text, &ReadOptions::strict()).unwrap();
/// let Object::Workload(workload) = &documents[0].object else { panic!("a workload") };
/// let mut workload = workload.clone();
/// defaults::apply_to_workload(&mut workload, FeatureGates::default());
/// let Workload::Deployment(deployment) = *workload else { panic!("a Deployment") };
/// assert_eq!(serde_json::to_value(deployment).unwrap()["spec"]["replicas"], 1);
/// # }
/// ```
pub fn apply_to_workload(workload: &mut Workload, gates: FeatureGates) {
    match workload {
        Workload::Deployment(object) => {
            let spec: &mut apps::DeploymentSpec = object.spec.or_default();
            spec.replicas.get_or_insert(1);
            let strategy = spec.strategy.get_or_insert_default();
            text(&mut strategy.type_, ROLLING);
            if strategy.type_.as_deref() == Some(ROLLING) {
                let rolling = strategy.rolling_update.get_or_insert_default();
                let quarter = || IntOrString::String("25%".to_owned());
                rolling.max_unavailable.get_or_insert_with(quarter);
                rolling.max_surge.get_or_insert_with(quarter);
            }
            spec.revision_history_limit.get_or_insert(10);
            spec.progress_deadline_seconds.get_or_insert(600);
        }
        Workload::StatefulSet(object) => stateful(object.spec.or_default(), gates),
        Workload::DaemonSet(object) => {
            let spec: &mut apps::DaemonSetSpec = object.spec.or_default();
            let strategy = spec.update_strategy.get_or_insert_default();
            text(&mut strategy.type_, ROLLING);
            if strategy.type_.as_deref() == Some(ROLLING) {
                let rolling = strategy.rolling_update.get_or_insert_default();
                rolling.max_unavailable.get_or_insert(IntOrString::Int(1));
                rolling.max_surge.get_or_insert(IntOrString::Int(0));
            }
            spec.revision_history_limit.get_or_insert(10);
        }
        Workload::ReplicaSet(object) => {
            let spec: &mut apps::ReplicaSetSpec = object.spec.or_default();
            spec.replicas.get_or_insert(1);
            spec.template.get_or_insert_default();
        }
        Workload::ReplicationController(object) => {
            let spec: &mut v1::ReplicationControllerSpec = object.spec.or_default();
            spec.replicas.get_or_insert(1);
            let meta = spec.template.as_ref().and_then(|template| template.metadata.as_ref());
            if let Some(labels) = meta.and_then(|meta| meta.labels.as_ref()) {
                for field in [&mut spec.selector, &mut object.metadata.labels] {
                    if field.as_ref().is_none_or(|own| own.is_empty()) {
                        *field = Some(labels.clone());
                    }
                }
            }
        }
        Workload::Job(object) => {
            let spec: &mut batch::JobSpec = object.spec.or_default();
            job(spec);
            let labels = spec.template.metadata.as_ref().and_then(|meta| meta.labels.as_ref());
            if object.metadata.labels.as_ref().is_none_or(|own| own.is_empty()) && labels.is_some()
            {
                object.metadata.labels = labels.cloned();
            }
        }
        Workload::CronJob(object) => {
            let spec: &mut batch::CronJobSpec = object.spec.or_default();
            text(&mut spec.concurrency_policy, "Allow");
            spec.suspend.get_or_insert(false);
            spec.successful_jobs_history_limit.get_or_insert(3);
            spec.failed_jobs_history_limit.get_or_insert(1);
            failure_policy(spec.job_template.spec.or_default());
        }
        Workload::PodTemplate(object) => {
            object.template.get_or_insert_default();
        }
    }
    if let Some(template) = workload.template_mut() {
        apply_to_template(template, gates);
    }
}

const ROLLING: &str = "RollingUpdate";

fn stateful(spec: &mut apps::StatefulSetSpec, gates: FeatureGates) {
    text(&mut spec.pod_management_policy, "OrderedReady");
    let strategy = spec.update_strategy.get_or_insert_default();
    if strategy.type_.as_ref().is_none_or(String::is_empty) {
        strategy.type_ = Some(ROLLING.to_owned());
        strategy.rolling_update.get_or_insert_default();
    }
    if strategy.type_.as_deref() == Some(ROLLING)
        && let Some(rolling) = &mut strategy.rolling_update
    {
        rolling.partition.get_or_insert(0);
        if gates.has(Change::StatefulSetMaxUnavailableIsFilledIn) {
            rolling.max_unavailable.get_or_insert(IntOrString::Int(1));
        }
    }
    let retention = spec.persistent_volume_claim_retention_policy.get_or_insert_default();
    text(&mut retention.when_deleted, "Retain");
    text(&mut retention.when_scaled, "Retain");
    spec.replicas.get_or_insert(1);
    spec.revision_history_limit.get_or_insert(10);
    for claim in spec.volume_claim_templates.iter_mut().flatten() {
        volume::apply_to_claim(claim.spec.or_default());
        let status: &mut v1::PersistentVolumeClaimStatus = claim.status.or_default();
        text(&mut status.phase, "Pending");
    }
}

fn job(spec: &mut batch::JobSpec) {
    if spec.completions.is_none() && spec.parallelism.is_none() {
        spec.completions = Some(1);
    }
    spec.parallelism.get_or_insert(1);
    let per_index = spec.backoff_limit_per_index.is_some();
    spec.backoff_limit.get_or_insert(if per_index { i32::MAX } else { 6 });
    spec.completion_mode.get_or_insert_with(|| "NonIndexed".to_owned());
    spec.suspend.get_or_insert(false);
    let failed = spec.pod_failure_policy.is_some();
    let replacement = if failed { "Failed" } else { "TerminatingOrFailed" };
    spec.pod_replacement_policy.get_or_insert_with(|| replacement.to_owned());
    spec.manual_selector.get_or_insert(false);
    failure_policy(spec);
}

#[allow(clippy::useless_conversion, reason = "API versions before 1.35 have a text here")]
fn failure_policy(spec: &mut batch::JobSpec) {
    let Some(policy) = &mut spec.pod_failure_policy else { return };
    let rules = policy.rules.iter_mut();
    for pattern in rules.flat_map(|rule| rule.on_pod_conditions.iter_mut().flatten()) {
        let status: Option<String> = core::mem::take(&mut pattern.status).into();
        let status = status.filter(|status| !status.is_empty());
        pattern.status = status.unwrap_or_else(|| "True".to_owned()).into();
    }
}

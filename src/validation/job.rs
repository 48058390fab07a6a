//! Jobs and CronJobs (`pkg/apis/batch/validation`).

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;

use k8s_openapi::api::batch::v1 as batch;

use super::field::{BadValue, Errors, Path};
use super::labels;
use super::names;
use super::workload::Pods;
use crate::version::FeatureGates;

/// The most rules of a failure policy.
const MAX_RULES: usize = 20;
/// The most exit codes of a rule.
const MAX_CODES: usize = 255;
/// The most conditions of a rule.
const MAX_CONDITIONS: usize = 20;
/// The most pods of an indexed Job at once, and the most indexes that may fail.
const MAX_INDEXED: i32 = 100_000;
/// A Job with more completions than this keeps to tighter limits.
const MANY_COMPLETIONS: i32 = 100_000;
const MANY_LIMIT: i32 = 10_000;
/// A CronJob's Jobs have eleven characters more.
const MAX_CRON_NAME: usize = 52;

/// `ValidateJob`.
pub(super) fn validate(job: &batch::Job, pods: &Pods<'_>, errors: &mut Errors) {
    let Some(spec) = Option::<&batch::JobSpec>::from(&job.spec) else { return };
    let path = Path::Root("spec");
    // Without a selector of its own, the apiserver gives the Job one that matches.
    let manual = spec.manual_selector == Some(true);
    if !manual && spec.selector.as_ref().is_some_and(|selector| !labels::is_empty(selector)) {
        errors.invalid(
            &path.child("selector"),
            labels::shown_selector(spec.selector.as_ref()),
            "`selector` not auto-generated",
        );
    }
    validate_spec(spec, pods, &path, errors);
    if manual && spec.selector.is_none() {
        errors.required(&path.child("selector"), "");
    }
    labels::validate_selector(spec.selector.as_ref(), &path.child("selector"), errors);
    let matches = labels::matches(spec.selector.as_ref(), pods.labels());
    if matches == Some(false) && (manual || spec.selector.is_some()) {
        pods.match_labels(errors);
    }
    let completions = spec.completions.unwrap_or_default();
    if is_indexed(spec) && completions > 0 {
        let name = job.metadata.name.as_deref().unwrap_or_default();
        let host = format!("{name}-{}", completions - 1);
        if !names::dns_label(&host).is_empty() {
            errors.invalid(
                &Path::Root("metadata.name"),
                name,
                format!("will not able to create pod with invalid DNS label: {host}"),
            );
        }
    }
}

fn is_indexed(spec: &batch::JobSpec) -> bool {
    spec.completion_mode.as_deref() == Some("Indexed")
}

/// `validateJobSpec`.
fn validate_spec(spec: &batch::JobSpec, pods: &Pods<'_>, path: &Path<'_>, errors: &mut Errors) {
    let numbers = [
        ("parallelism", spec.parallelism.map(i64::from)),
        ("completions", spec.completions.map(i64::from)),
        ("activeDeadlineSeconds", spec.active_deadline_seconds),
        ("backoffLimit", spec.backoff_limit.map(i64::from)),
        ("ttlSecondsAfterFinished", spec.ttl_seconds_after_finished.map(i64::from)),
        ("backoffLimitPerIndex", spec.backoff_limit_per_index.map(i64::from)),
        ("maxFailedIndexes", spec.max_failed_indexes.map(i64::from)),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            errors.not_negative(&path.child(name), number);
        }
    }
    if spec.max_failed_indexes.is_some() && spec.backoff_limit_per_index.is_none() {
        errors.required(&path.child("backoffLimitPerIndex"), "when maxFailedIndexes is specified");
    }
    match spec.completion_mode.as_deref() {
        None | Some("NonIndexed" | "Indexed") => {}
        Some(other) => {
            let modes = ["NonIndexed", "Indexed"];
            errors.not_supported(&path.child("completionMode"), other, &modes);
        }
    }
    if is_indexed(spec) {
        validate_indexed(spec, path, errors);
    } else if matches!(spec.completion_mode.as_deref(), None | Some("NonIndexed")) {
        let limits = [
            ("backoffLimitPerIndex", spec.backoff_limit_per_index),
            ("maxFailedIndexes", spec.max_failed_indexes),
        ];
        for (name, limit) in limits {
            if let Some(limit) = limit {
                errors.invalid(&path.child(name), limit, "requires indexed completion mode");
            }
        }
    }
    validate_failure_policy(spec, pods, &path.child("podFailurePolicy"), errors);
    let replacement = path.child("podReplacementPolicy");
    match spec.pod_replacement_policy.as_deref() {
        None | Some("Failed") => {}
        Some(other) if spec.pod_failure_policy.is_some() => {
            errors.not_supported(&replacement, other, &["Failed"]);
        }
        Some("TerminatingOrFailed") => {}
        Some(other) => {
            errors.not_supported(&replacement, other, &["Failed", "TerminatingOrFailed"]);
        }
    }
    pods.validate(errors);
    let policy = pods.template.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
    let spec_path = pods.path.child("spec");
    let at = spec_path.child("restartPolicy");
    match policy.unwrap_or_default() {
        "" | "Always" => errors.required(&at, "valid values: \"OnFailure\", \"Never\""),
        "OnFailure" if spec.pod_failure_policy.is_some() => errors.invalid(
            &at,
            "OnFailure",
            "only \"Never\" is supported when podFailurePolicy is specified",
        ),
        "OnFailure" | "Never" => {}
        other => errors.not_supported(&at, other, &["OnFailure", "Never"]),
    }
}

fn validate_indexed(spec: &batch::JobSpec, path: &Path<'_>, errors: &mut Errors) {
    let (parallelism, failed) = (path.child("parallelism"), path.child("maxFailedIndexes"));
    if spec.completions.is_none() {
        errors.required(&path.child("completions"), "when completion mode is Indexed");
    }
    if let Some(number) = spec.parallelism.filter(|number| *number > MAX_INDEXED) {
        let detail =
            format!("must be less than or equal to {MAX_INDEXED} when completion mode is Indexed");
        errors.invalid(&parallelism, number, detail);
    }
    if let Some(number) = spec.max_failed_indexes {
        if spec.completions.is_some_and(|completions| number > completions) {
            errors.invalid(&failed, number, "must be less than or equal to completions");
        }
        if number > MAX_INDEXED {
            let detail = format!("must be less than or equal to {MAX_INDEXED}");
            errors.invalid(&failed, number, detail);
        }
    }
    let many = spec.completions.is_some_and(|completions| completions > MANY_COMPLETIONS);
    if !many || spec.backoff_limit_per_index.is_none() {
        return;
    }
    if spec.max_failed_indexes.is_none() {
        let detail = format!("must be specified when completions is above {MANY_COMPLETIONS}");
        errors.required(&failed, detail);
    }
    for (path, number) in [(&parallelism, spec.parallelism), (&failed, spec.max_failed_indexes)] {
        if let Some(number) = number.filter(|number| *number > MANY_LIMIT) {
            errors.invalid(
                path,
                number,
                format!("must be less than or equal to {MANY_LIMIT} when completions are above {MANY_COMPLETIONS} and used with backoff limit per index"),
            );
        }
    }
}

/// `validatePodFailurePolicy`.
fn validate_failure_policy(
    spec: &batch::JobSpec,
    pods: &Pods<'_>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
    let Some(policy) = &spec.pod_failure_policy else { return };
    let list = path.child("rules");
    if policy.rules.len() > MAX_RULES {
        errors.too_many(&list, policy.rules.len(), MAX_RULES);
    }
    for (index, rule) in policy.rules.iter().enumerate() {
        let path = list.index(index);
        let action = path.child("action");
        match rule.action.as_str() {
            "" => errors.required(
                &action,
                "valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]",
            ),
            "FailIndex" if spec.backoff_limit_per_index.is_none() => {
                let detail = "requires the backoffLimitPerIndex to be set";
                errors.invalid(&action, "FailIndex", detail);
            }
            known if ACTIONS.contains(&known) => {}
            other => errors.not_supported(&action, other, &ACTIONS),
        }
        let conditions = rule.on_pod_conditions.as_deref().unwrap_or_default();
        if let Some(codes) = &rule.on_exit_codes {
            validate_codes(codes, pods, &path.child("onExitCodes"), errors);
        }
        validate_conditions(conditions, &path.child("onPodConditions"), errors);
        let detail = match (&rule.on_exit_codes, conditions.is_empty()) {
            (Some(_), false) => "specifying both OnExitCodes and OnPodConditions is not supported",
            (None, true) => "specifying one of OnExitCodes and OnPodConditions is required",
            _ => continue,
        };
        errors.invalid(&path, BadValue::None, detail);
    }
}

fn validate_codes(
    codes: &batch::PodFailurePolicyOnExitCodesRequirement,
    pods: &Pods<'_>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let operator = path.child("operator");
    match codes.operator.as_str() {
        "" => errors.required(&operator, "valid values: [\"In\" \"NotIn\"]"),
        "In" | "NotIn" => {}
        other => errors.not_supported(&operator, other, &["In", "NotIn"]),
    }
    if let Some(name) = &codes.container_name {
        let spec = pods.template.spec.as_ref();
        let containers = spec
            .into_iter()
            .flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()));
        if !containers.into_iter().any(|container| container.name == *name) {
            errors.invalid(
                &path.child("containerName"),
                name.as_str(),
                "must be one of the container or initContainer names in the pod template",
            );
        }
    }
    let list = path.child("values");
    let shown = || BadValue::Json(serde_json::to_string(&codes.values).unwrap_or_default());
    if codes.values.is_empty() {
        errors.invalid(&list, BadValue::Null, "at least one value is required");
    } else if codes.values.len() > MAX_CODES {
        errors.too_many(&list, codes.values.len(), MAX_CODES);
    }
    let mut seen = BTreeSet::new();
    for (index, code) in codes.values.iter().enumerate() {
        if codes.operator == "In" && *code == 0 {
            errors.invalid(&list.index(index), 0, "must not be 0 for the In operator");
        }
        if !seen.insert(*code) {
            errors.duplicate(&list.index(index), *code);
        }
    }
    if !codes.values.is_sorted() {
        errors.invalid(&list, shown(), "must be ordered");
    }
}

#[allow(clippy::useless_conversion, reason = "API versions before 1.35 have a text here")]
fn validate_conditions(
    conditions: &[batch::PodFailurePolicyOnPodConditionsPattern],
    list: &Path<'_>,
    errors: &mut Errors,
) {
    const STATES: [&str; 3] = ["False", "True", "Unknown"];
    if conditions.len() > MAX_CONDITIONS {
        errors.too_many(list, conditions.len(), MAX_CONDITIONS);
    }
    for (index, pattern) in conditions.iter().enumerate() {
        let path = list.index(index);
        let kind = pattern.type_.as_str();
        errors.breaches(&path.child("type"), kind, names::qualified_name(kind, errors.gates()));
        let status: Option<String> = pattern.status.clone().into();
        let status = status.unwrap_or_default();
        if !STATES.contains(&status.as_str()) {
            errors.not_supported(&path.child("status"), &status, &STATES);
        }
    }
}

/// `ValidateCronJobCreate`.
pub(super) fn validate_cron(cron: &batch::CronJob, gates: FeatureGates, errors: &mut Errors) {
    let Some(spec) = Option::<&batch::CronJobSpec>::from(&cron.spec) else { return };
    let path = Path::Root("spec");
    validate_schedule(&spec.schedule, &path.child("schedule"), errors);
    if let Some(seconds) = spec.starting_deadline_seconds {
        errors.not_negative(&path.child("startingDeadlineSeconds"), seconds);
    }
    const POLICIES: [&str; 3] = ["Allow", "Forbid", "Replace"];
    let policy = spec.concurrency_policy.as_deref().unwrap_or_default();
    if !POLICIES.contains(&policy) {
        errors.not_supported(&path.child("concurrencyPolicy"), policy, &POLICIES);
    }
    let template_path = path.child("jobTemplate");
    let path_of_job = template_path.child("spec");
    if let Some(job) = Option::<&batch::JobSpec>::from(&spec.job_template.spec) {
        let path = path_of_job.child("template");
        let pods = Pods { template: &job.template, path: &path, gates };
        validate_spec(job, &pods, &path_of_job, errors);
        if job.selector.is_some() {
            let shown = labels::shown_selector(job.selector.as_ref());
            let detail = "`selector` will be auto-generated";
            errors.invalid(&path_of_job.child("selector"), shown, detail);
        }
        if job.manual_selector == Some(true) {
            let at = path_of_job.child("manualSelector");
            errors.not_supported_value(&at, BadValue::Bool(true), &["nil", "false"]);
        }
    }
    let limits = [
        ("successfulJobsHistoryLimit", spec.successful_jobs_history_limit),
        ("failedJobsHistoryLimit", spec.failed_jobs_history_limit),
    ];
    for (name, limit) in limits {
        if let Some(limit) = limit {
            errors.not_negative(&path.child(name), limit);
        }
    }
    let name = cron.metadata.name.as_deref().unwrap_or_default();
    if name.len() > MAX_CRON_NAME {
        let detail = format!("must be no more than {MAX_CRON_NAME} characters");
        errors.invalid(&Path::Root("metadata.name"), name, detail);
    }
}

/// The form of a schedule: five fields, or a word that stands for them. What stands in a field is
/// not looked at.
fn validate_schedule(schedule: &str, path: &Path<'_>, errors: &mut Errors) {
    if schedule.is_empty() {
        errors.required(path, "");
        return;
    }
    let zone = schedule.contains("TZ");
    let fields = schedule.split_whitespace().count();
    if !zone && !schedule.starts_with('@') && fields != 5 {
        let shown = schedule.split_whitespace().collect::<alloc::vec::Vec<_>>().join(" ");
        let detail = format!("expected exactly 5 fields, found {fields}: [{shown}]");
        errors.invalid(path, schedule, detail);
    }
    if zone {
        let detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        errors.invalid(path, schedule, detail);
    }
}

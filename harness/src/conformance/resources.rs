//! Families `resources` and `podrequests`: what a pod needs as a whole.

use crate::with;
use k8s_openapi::api::core::v1::Pod;
use podinit::quantity::Quantity;
use podinit::resources::{
    CgroupSettings, PodResources, PodResourcesOptions, ResourceList, aggregate_container_limits,
    aggregate_container_requests, oom_score_adj, pod_cgroup, qos_class,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::case::{flat, gates};
use super::{Answer, BadCase};

const ADDED_IN_PLACE: &str = "what follows from a pod-level quantity to which Kubernetes itself \
    added the overhead while the case was recorded: it does so in place where it holds the \
    quantity in its slow form, such as 1.5Gi";

pub const LEFT_OUT: &[&str] =
    &["podCgroup: the limits of huge pages, where they were not recorded", ADDED_IN_PLACE];
pub const LEFT_OUT_CALLS: &[&str] = &[ADDED_IN_PLACE];

fn compile(case: &Value) -> Result<PodResources, BadCase> {
    let pod = Pod::deserialize(&case["pod"])?;
    Ok(PodResources::compile(&pod, gates(case)?)?)
}

fn list(json: &Value) -> Result<ResourceList, BadCase> {
    Ok(ResourceList::deserialize(json)?)
}

/// A list in which a resource with an amount of zero differs from one that is not there.
fn entries(list: &Value) -> Value {
    let entries = list.as_object().into_iter().flatten();
    entries.map(|(name, quantity)| format!("{name}={}", quantity.as_str().unwrap_or("?"))).collect()
}

/// The same for whole numbers.
fn amounts(list: &Value) -> Value {
    let entries = list.as_object().into_iter().flatten();
    entries.map(|(name, amount)| format!("{name}={amount}")).collect()
}

/// Does a recorded pod-level amount differ from ours by its overhead, added once or more often?
fn is_added_in_place(pod: &Value, level: &str, got: &Value, recorded: &Value) -> bool {
    let quantity = |json: &Value| json.as_str().and_then(|text| text.parse::<Quantity>().ok());
    let levels = pod["spec"]["resources"][level].as_object();
    levels.into_iter().flatten().any(|(name, _)| {
        let overhead = quantity(&pod["spec"]["overhead"][name]);
        let (Some(overhead), Some(mut sum), Some(got)) =
            (overhead, quantity(&recorded[name]), quantity(&got[name]))
        else {
            return false;
        };
        // No more than this many calls are made for a case.
        (0..4).any(|_| {
            sum = sum.saturating_add(overhead);
            sum == got && !overhead.is_zero()
        })
    })
}

/// A family of recorded pods with all their answers.
pub fn replay(case: &Value) -> Result<Answer, BadCase> {
    let asked_alone = case.get("answer").is_some();
    let case = &flat(case);
    let pod = compile(case)?;
    let options = PodResourcesOptions::default();
    let skip = with!(PodResourcesOptions { skip_pod_level_resources: true, ..options });
    let status = with!(PodResourcesOptions { use_status_resources: true, ..options });
    let no_overhead = with!(PodResourcesOptions { exclude_overhead: true, ..options });
    let non_missing = list(&json!({"cpu": "100m", "memory": "200Mi"}))?;
    let non_missing = with!(PodResourcesOptions {
        non_missing_container_requests: Some(&non_missing),
        ..options
    });
    let mut aggregate_requests = ResourceList::new();
    aggregate_container_requests(&pod, &options, &mut aggregate_requests);
    let mut aggregate_limits = ResourceList::new();
    aggregate_container_limits(&pod, &options, &mut aggregate_limits);
    let lists = [
        ("requests", pod.requests(&options)),
        ("requestsSkipPodLevel", pod.requests(&skip)),
        ("requestsUseStatus", pod.requests(&status)),
        ("requestsExcludeOverhead", pod.requests(&no_overhead)),
        ("requestsNonMissing", pod.requests(&non_missing)),
        ("limits", pod.limits(&options)),
        ("limitsSkipPodLevel", pod.limits(&skip)),
        ("limitsUseStatus", pod.limits(&status)),
        ("aggregateContainerRequests", aggregate_requests),
        ("aggregateContainerLimits", aggregate_limits),
    ];
    let cgroup = pod_cgroup(&pod, &CgroupSettings::default());
    let scores = pod
        .indexes()
        .map(|index| {
            let name = pod.container_name(index).to_owned();
            (name, oom_score_adj(&pod, index, 32 << 30).into())
        })
        .collect::<Map<_, Value>>();
    let mut got = json!({
        "qosClass": qos_class(&pod).as_str(),
        "oomScoreAdjust32GiNode": scores,
        "podCgroup": {
            "cpuShares": cgroup.cpu_shares,
            "cpuQuotaUs": cgroup.cpu_quota_us,
            "cpuPeriodUs": cgroup.cpu_period_us,
            "memoryLimitBytes": cgroup.memory_limit_bytes,
        },
    });
    let mut expected = case.clone();
    for key in ["pod", "kubernetes"] {
        expected[key] = Value::Null;
    }
    if let Some(recorded) = expected["podCgroup"].get("hugePageLimits").cloned() {
        let limits = cgroup.hugepage_limits_bytes.iter();
        got["podCgroup"]["hugePageLimits"] =
            limits.map(|(size, limit)| format!("{size}={limit}")).collect();
        expected["podCgroup"]["hugePageLimits"] = amounts(&recorded);
    }
    for (key, list) in lists {
        let list = serde_json::to_value(list)?;
        let level = if key.starts_with("requests") { "requests" } else { "limits" };
        if !asked_alone && is_added_in_place(&case["pod"], level, &list, &case[key]) {
            for key in [key, "podCgroup", "oomScoreAdjust32GiNode"] {
                got[key] = Value::Null;
                expected[key] = Value::Null;
            }
        } else {
            got[key] = entries(&list);
            expected[key] = entries(&case[key]);
        }
    }
    Ok(Answer { expected, got })
}

/// A family of single calls.
pub fn replay_call(case: &Value) -> Result<Answer, BadCase> {
    let asked_alone = case.get("answer").is_some();
    let case = &flat(case);
    let pod = compile(case)?;
    let flag = |name: &str| case["options"][name].as_bool().unwrap_or(false);
    let non_missing = match &case["options"]["nonMissingContainerRequests"] {
        Value::Null => None,
        json => Some(list(json)?),
    };
    if flag("useDRA") {
        return Err(BadCase("claims of dynamic resource allocation are not modelled".into()));
    }
    let options = with!(PodResourcesOptions {
        use_status_resources: flag("useStatusResources"),
        in_place_pod_level_resources: flag("inPlacePodLevelResources"),
        exclude_overhead: flag("excludeOverhead"),
        skip_pod_level_resources: flag("skipPodLevelResources"),
        skip_container_level_resources: flag("skipContainerLevelResources"),
        non_missing_container_requests: non_missing.as_ref(),
        ..PodResourcesOptions::default()
    });
    let (level, got) = match case["function"].as_str() {
        Some("PodRequests") => ("requests", pod.requests(&options)),
        Some("PodLimits") => ("limits", pod.limits(&options)),
        other => return Err(BadCase(format!("no such function: {other:?}"))),
    };
    let got = serde_json::to_value(got)?;
    if !asked_alone && is_added_in_place(&case["pod"], level, &got, &case["result"]) {
        return Ok(Answer::NOTHING);
    }
    Ok(Answer { expected: entries(&case["result"]), got: entries(&got) })
}

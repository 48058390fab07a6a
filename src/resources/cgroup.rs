//! What the kubelet writes into the cgroup of a pod.
//!
//! Source: `pkg/kubelet/cm/helpers_linux.go` (`ResourceConfigForPod`), and
//! `pkg/kubelet/cm/cgroup_manager_linux.go` for cgroup v2.

use alloc::vec::Vec;

use super::name::ResourceName;
use super::pod::{PodResources, Row};
use super::qos::{QosClass, qos_class};
use super::requests::PodResourcesOptions;
use super::requests::{pod_level_limit, walk_limits};
use crate::quantity::Quantity;
use crate::version::{Change, Feature, FeatureGates};

/// The smallest CPU shares (`MinShares`): what a pod without CPU requests has.
pub const MIN_SHARES: u64 = 2;
/// The largest CPU shares (`MaxShares`).
pub const MAX_SHARES: u64 = 262_144;
/// The period of the CPU quota in microseconds, if none is configured (`QuotaPeriod`).
pub const QUOTA_PERIOD_US: u64 = 100_000;
/// The smallest CPU quota in microseconds (`MinQuotaPeriod`).
const MIN_QUOTA_US: i128 = 1000;

/// CPU shares for a request in millicores (`MilliCPUToShares`): 1024 a core, at least
/// [`MIN_SHARES`], at most [`MAX_SHARES`].
pub fn milli_cpu_to_shares(milli_cpu: i64) -> u64 {
    let shares = i128::from(milli_cpu) * 1024 / 1000;
    u64::try_from(shares).unwrap_or(0).clamp(MIN_SHARES, MAX_SHARES)
}

/// The CPU time in microseconds that may be used in each period, for a limit in millicores
/// (`MilliCPUToQuota`); 0, which means no bound, for no limit, else at least 1000.
pub fn milli_cpu_to_quota(milli_cpu: i64, period_us: u64) -> i64 {
    if milli_cpu == 0 {
        return 0;
    }
    let quota = (i128::from(milli_cpu) * i128::from(period_us) / 1000).max(MIN_QUOTA_US);
    i64::try_from(quota).unwrap_or(i64::MAX)
}

/// The cgroup v2 weight that the kubelet itself writes, for pods and QoS classes
/// (`cpuSharesToCPUWeight`): on a line from 2 shares, weight 1, to 262144 shares, weight 10000.
/// 1024 shares, a core, weigh 39.
pub fn shares_to_weight(shares: u64) -> u64 {
    1 + (shares.clamp(MIN_SHARES, MAX_SHARES) - 2) * 9999 / 262_142
}

/// The cgroup v2 weight that newer container runtimes write for containers (runc and crun with
/// opencontainers/cgroups 0.0.6 or later): on a curve on which 1024 shares, a core, weigh 100.
///
/// It is ⌈10^((l² + 125·l)/612 − 7/34)⌉ with l = log₂(shares). Which of the two formulas holds for a
/// container depends on the version of its runtime, not of Kubernetes.
pub fn shares_to_weight_of_runtime(shares: u64) -> u64 {
    // Where the rounded-up curve steps is asked for with integers: the smallest weight w for which
    // 612·34·log₁₀(w) ≥ 34·(l² + 125·l) − 612·7.
    if shares <= MIN_SHARES {
        return 1;
    }
    let l = log2(shares.into());
    let exponent = (((l * l) >> FRACTION) + 125 * l) * 34 - ((612 * 7) << FRACTION);
    // 1024 shares are meant to be exactly 100; a hair below keeps them there.
    let (mut low, mut high) = (1, 10_000);
    while low < high {
        let middle = u64::midpoint(low, high);
        let reached = log2(middle.into()) * 612 * 34 + SLACK >= exponent * LOG2_10 / ONE;
        (low, high) = if reached { (low, middle) } else { (middle + 1, high) };
    }
    low
}

/// Fraction bits of the logarithms.
const FRACTION: u32 = 40;
const ONE: i128 = 1 << FRACTION;
/// log₂(10).
const LOG2_10: i128 = 3_652_498_566_965;
/// More than the logarithms can be wrong together.
const SLACK: i128 = 1 << 20;

/// log₂ with [`FRACTION`] fraction bits, one bit at a time: the square of a number has twice its
/// logarithm.
fn log2(value: u128) -> i128 {
    let whole = value.ilog2();
    let mut mantissa = (value << 62) >> whole;
    let mut log = i128::from(whole);
    for _ in 0..FRACTION {
        mantissa = (mantissa * mantissa) >> 62;
        log <<= 1;
        if mantissa >> 63 != 0 {
            mantissa >>= 1;
            log += 1;
        }
    }
    log
}

/// Settings of the kubelet that decide about the cgroup of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CgroupSettings {
    /// `cpuCFSQuota`: are CPU limits enforced?
    pub cpu_cfs_quota: bool,
    /// `cpuCFSQuotaPeriod` in microseconds. Counts with the gate `CustomCPUCFSQuotaPeriod`.
    pub cpu_cfs_quota_period_us: u64,
    /// `memoryReservationPolicy: TieredReservation`. Counts with the gate `MemoryQoS`.
    pub tiered_memory_reservation: bool,
}

impl Default for CgroupSettings {
    /// As the kubelet is without configuration.
    fn default() -> Self {
        Self {
            cpu_cfs_quota: true,
            cpu_cfs_quota_period_us: QUOTA_PERIOD_US,
            tiered_memory_reservation: false,
        }
    }
}

impl CgroupSettings {
    /// The period that holds with these gates.
    fn period(&self, gates: FeatureGates) -> u64 {
        if gates.enabled(Feature::CustomCPUCFSQuotaPeriod) {
            self.cpu_cfs_quota_period_us
        } else {
            QUOTA_PERIOD_US
        }
    }
}

/// The cgroup of a pod (`ResourceConfig`), in the terms of cgroup v1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PodCgroup {
    /// The pod's part of a busy CPU, against the shares of others.
    pub cpu_shares: u64,
    /// CPU time in microseconds that may be used in each period; -1 for no bound. None if not
    /// every container has a CPU limit.
    pub cpu_quota_us: Option<i64>,
    /// The period in microseconds, where there is a quota.
    pub cpu_period_us: Option<u64>,
    /// The most memory in bytes. None if not every container has a memory limit.
    pub memory_limit_bytes: Option<i64>,
    /// For each page size in bytes the most bytes of such pages: what is **requested**.
    pub hugepage_limits_bytes: Vec<(i64, i64)>,
    /// Memory in bytes that is never reclaimed (`memory.min`), with the gate `MemoryQoS`.
    pub memory_min_bytes: Option<i64>,
    /// Memory in bytes that is reclaimed only at need (`memory.low`), with the gate `MemoryQoS`.
    pub memory_low_bytes: Option<i64>,
}

impl PodCgroup {
    /// The cgroup v2 weight, see [`shares_to_weight`].
    pub fn cpu_weight(&self) -> u64 {
        shares_to_weight(self.cpu_shares)
    }
}

/// The cgroup of a pod (`ResourceConfigForPod`).
///
/// It goes by the spec and is written once: nothing changes in it when the initialization ends.
/// A bound is written only where each container has one. Up to 1.36, a regular init container
/// counts with the restartable ones before it in that question, so that it passes without a limit
/// of its own behind a restartable one that has a limit.
pub fn pod_cgroup(pod: &PodResources, settings: &CgroupSettings) -> PodCgroup {
    let gates = pod.gates();
    let options = PodResourcesOptions {
        skip_pod_level_resources: !gates.enabled(Feature::PodLevelResources),
        ..PodResourcesOptions::default()
    };
    let requests = pod.requests(&options);
    let limits = pod.limits(&options);
    let memory_request = requests.quantity(ResourceName::MEMORY).value();
    let class = qos_class(pod);
    let mut cgroup = PodCgroup {
        cpu_shares: milli_cpu_to_shares(requests.quantity(ResourceName::CPU).milli_value()),
        ..PodCgroup::default()
    };

    if class == QosClass::BestEffort {
        cgroup.cpu_shares = MIN_SHARES;
    }
    let bounded = |resource: &ResourceName| match class {
        QosClass::Guaranteed => true,
        QosClass::Burstable => is_limit_declared(pod, &options, resource),
        QosClass::BestEffort => false,
    };
    if bounded(&ResourceName::CPU) {
        let period = settings.period(gates);
        let milli_cpu = limits.quantity(ResourceName::CPU).milli_value();
        let quota = milli_cpu_to_quota(milli_cpu, period);
        cgroup.cpu_quota_us = Some(if settings.cpu_cfs_quota { quota } else { -1 });
        cgroup.cpu_period_us = Some(period);
    }
    if bounded(&ResourceName::MEMORY) {
        cgroup.memory_limit_bytes = Some(limits.quantity(ResourceName::MEMORY).value());
    }
    for (name, quantity) in &requests {
        let page_size = name.page_size().and_then(|size| size.parse::<Quantity>().ok());
        if let Some(page_size) = page_size {
            cgroup.hugepage_limits_bytes.push((page_size.value(), quantity.value()));
        }
    }
    if gates.enabled(Feature::MemoryQoS) && memory_request > 0 {
        let tiered = gates.has(Change::TieredMemoryProtection);
        match class {
            _ if !tiered => cgroup.memory_min_bytes = Some(memory_request),
            QosClass::Guaranteed if settings.tiered_memory_reservation => {
                cgroup.memory_min_bytes = Some(memory_request);
            }
            QosClass::Burstable if settings.tiered_memory_reservation => {
                cgroup.memory_low_bytes = Some(memory_request);
            }
            _ => {}
        }
    }
    cgroup
}

/// Has each container a limit of the resource, or the pod itself?
fn is_limit_declared(
    pod: &PodResources,
    options: &PodResourcesOptions<'_>,
    resource: &ResourceName,
) -> bool {
    let Some(name) = pod.name_index(resource) else {
        return false;
    };
    let is_amount = |limit: Option<Quantity>| limit.is_some_and(|limit| !limit.is_zero());
    let mut declared = true;
    if pod.gates().has(Change::EachContainerDeclaresItsLimit) {
        declared = (0..pod.containers()).all(|at| is_amount(pod.amount(Row::Limits(at), name)));
    } else {
        walk_limits(pod, options, name, |_, limit| declared &= is_amount(limit));
    }
    declared || is_amount(pod_level_limit(pod, options, name))
}

/// The `memory.high` of a container (gate `MemoryQoS`): at what use in bytes it is slowed down.
///
/// `request` and `limit` are the container's memory in bytes, `limit` being 0 for none;
/// `node_allocatable` then takes its place. 90 % of the way from the request to the limit, down
/// to a whole page. None if that would not be above the request.
pub fn memory_high(request: i64, limit: i64, node_allocatable: i64, page_size: i64) -> Option<i64> {
    let (request, page) = (i128::from(request), i128::from(page_size.max(1)));
    let limit = i128::from(if limit == 0 { node_allocatable } else { limit });
    let high = (10 * request + 9 * (limit - request)) / 10 / page * page;
    i64::try_from(high).ok().filter(|high| i128::from(*high) > request)
}

/// CPU in millicores for shares, rounded up (`sharesToMilliCPU`).
pub fn shares_to_milli_cpu(shares: u64) -> u64 {
    let milli = (u128::from(shares) * 1000).div_ceil(1024);
    u64::try_from(milli).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_quotas_have_floors_and_ceilings() {
        let shares = [0, -5, 1, 2, 1000, 1_000_000, i64::MAX].map(milli_cpu_to_shares);
        assert_eq!(shares, [2, 2, 2, 2, 1024, 262_144, 262_144]);
        let quota = [0, 1, 10, 1500, i64::MAX].map(|milli| milli_cpu_to_quota(milli, 100_000));
        assert_eq!(quota, [0, 1000, 1000, 150_000, i64::MAX]);
        assert_eq!([2, 102, 1024, u64::MAX].map(shares_to_milli_cpu)[..3], [2, 100, 1000]);
    }

    #[test]
    fn a_core_weighs_39_to_the_kubelet_and_100_to_newer_runtimes() {
        assert_eq!([0, 2, 1024, 262_144].map(shares_to_weight), [1, 1, 39, 10_000]);
        assert_eq!([0, 2, 1024, 262_144].map(shares_to_weight_of_runtime), [1, 1, 100, 10_000]);
        // Off the curve's fixed points: 10^x for these shares is 1.62, 28.67, 66.998 and 152.1.
        let curve = [4, 204, 614, 1740].map(shares_to_weight_of_runtime);
        assert_eq!(curve, [2, 29, 67, 153]);
    }

    #[test]
    fn the_runtimes_weight_never_falls_as_shares_rise() {
        let weights = (0..262_200).step_by(97).map(shares_to_weight_of_runtime);
        assert!(weights.collect::<Vec<_>>().is_sorted());
    }

    #[test]
    fn memory_high_is_nine_tenths_of_the_way_down_to_a_page() {
        assert_eq!(memory_high(1000, 2000, 9999, 100), Some(1900));
        assert_eq!(memory_high(1000, 2000, 9999, 512), Some(1536));
        assert_eq!(memory_high(0, 0, 10_000, 1000), Some(9000));
        assert_eq!(memory_high(2000, 2000, 9999, 4096), None);
    }
}

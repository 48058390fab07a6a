//! How good a node is for a pod.

use alloc::vec::Vec;

use super::MAX_NODE_SCORE;
use super::node::{NodeUsage, defaults, with_defaults};
use super::resource::Resource;
use crate::resources::{PodResources, PodResourcesOptions, ResourceName};
use crate::version::Change;

/// The most that a resource weighs in a score.
const MAX_WEIGHT: i64 = 100;
/// The best score of a [`UtilizationShapePoint`] (`MaxCustomPriorityScore`).
const MAX_SHAPE_SCORE: u8 = 10;

/// Ranks nodes for a pod as one of the scheduler's scoring plug-ins does, from 0 to
/// [`MAX_NODE_SCORE`]: the higher, the better.
///
/// As the scheduler is configured by default, CPU and memory count, with a weight of one each;
/// [`with_resources`](Self::with_resources) chooses others.
///
/// ```
/// use podinit::resources::PodResources;
/// use podinit::scheduler::{NodeUsage, Scorer};
/// use podinit::version::FeatureGates;
///
/// let node = NodeUsage::new(&serde_json::from_str(r#"{"cpu": "4", "memory": "8Gi", "pods": "110"}"#)?);
/// let pod = serde_json::from_str(
///     r#"{"spec": {"containers": [{"name": "app",
///         "resources": {"requests": {"cpu": "1", "memory": "4Gi"}}}]}}"#,
/// )?;
/// let pod = PodResources::compile(&pod, FeatureGates::default())?;
/// assert_eq!(Scorer::least_allocated().score(&node, &pod), (75 + 50) / 2);
/// assert_eq!(Scorer::most_allocated().score(&node, &pod), (25 + 50) / 2);
/// let cpu = Scorer::least_allocated().with_resources([("cpu", 1)])?;
/// assert_eq!(cpu.score(&node, &pod), 75);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: `resourceAllocationScorer` (`noderesources/resource_allocation.go`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scorer {
    strategy: Strategy,
    resources: Vec<(ResourceName, i64)>,
}

/// How the shares of the resources make a score.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Strategy {
    LeastAllocated,
    MostAllocated,
    RequestedToCapacityRatio(Vec<UtilizationShapePoint>),
    BalancedAllocation,
}

/// A corner of the line that turns the utilization of a resource into a score
/// (`config.UtilizationShapePoint`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "the two coordinates of a point, made by hand by every caller"
)]
pub struct UtilizationShapePoint {
    /// How much of the resource is requested, in percent: 0 to 100.
    pub utilization: u8,
    /// The score there: 0 to 10.
    pub score: u8,
}

/// A [`Scorer`] that the scheduler would refuse to be configured with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScorerError {
    /// There is no resource to score by.
    #[error("resources: at least one resource must be specified")]
    NoResources,
    /// The weight of a resource is out of range.
    #[error(
        "resources[{index}].weight: {weight}: resource weight of {name} not in valid range (0, 100]"
    )]
    Weight {
        /// Which of the resources.
        index: usize,
        /// Its name.
        name: ResourceName,
        /// The weight.
        weight: i64,
    },
    /// [`Scorer::balanced_allocation`] knows no weights.
    #[error("resources[{index}].weight: {weight}: must be 1")]
    WeightOfBalanced {
        /// Which of the resources.
        index: usize,
        /// The weight.
        weight: i64,
    },
    /// [`Scorer::balanced_allocation`] takes a resource once.
    #[error("resources[{index}].name: {name} is there twice")]
    Duplicate {
        /// Which of the resources.
        index: usize,
        /// Its name.
        name: ResourceName,
    },
    /// The shape has no point.
    #[error("shape: at least one point must be specified")]
    NoShape,
    /// The points of a shape are not in order.
    #[error("shape[{index}].utilization: {utilization}: values must be sorted in increasing order")]
    NotSorted {
        /// Which of the points.
        index: usize,
        /// Its utilization.
        utilization: u8,
    },
    /// The utilization of a point is above 100.
    #[error("shape[{index}].utilization: {utilization}: not in valid range [0, 100]")]
    Utilization {
        /// Which of the points.
        index: usize,
        /// Its utilization.
        utilization: u8,
    },
    /// The score of a point is above 10.
    #[error("shape[{index}].score: {score}: not in valid range [0, 10]")]
    ShapeScore {
        /// Which of the points.
        index: usize,
        /// Its score.
        score: u8,
    },
}

/// What a resource comes to on a node.
struct Share {
    /// What the node has; not zero.
    allocatable: i64,
    /// What its pods have.
    allocated: i64,
    /// What they and the pod that is to be placed have together.
    requested: i64,
    weight: i64,
}

impl Scorer {
    fn new(strategy: Strategy) -> Self {
        let resources = [ResourceName::CPU, ResourceName::MEMORY].map(|name| (name, 1)).into();
        Self { strategy, resources }
    }

    /// Prefers nodes of which the most would stay free (`LeastAllocated`, the scheduler's default).
    pub fn least_allocated() -> Self {
        Self::new(Strategy::LeastAllocated)
    }

    /// Prefers nodes of which the least would stay free, to pack pods tightly (`MostAllocated`).
    pub fn most_allocated() -> Self {
        Self::new(Strategy::MostAllocated)
    }

    /// Scores each resource by its utilization, on a line through the points of `shape`
    /// (`RequestedToCapacityRatio`).
    ///
    /// # Errors
    /// If the shape has no point, is not sorted by utilization, or leaves the ranges of
    /// [`UtilizationShapePoint`] (`validateFunctionShape`).
    pub fn requested_to_capacity_ratio(
        shape: impl IntoIterator<Item = UtilizationShapePoint>,
    ) -> Result<Self, ScorerError> {
        let shape: Vec<_> = shape.into_iter().collect();
        if shape.is_empty() {
            return Err(ScorerError::NoShape);
        }
        for (index, pair) in shape.windows(2).enumerate() {
            if pair[0].utilization >= pair[1].utilization {
                let utilization = pair[1].utilization;
                return Err(ScorerError::NotSorted { index: index + 1, utilization });
            }
        }
        for (index, UtilizationShapePoint { utilization, score }) in
            shape.iter().copied().enumerate()
        {
            if utilization > 100 {
                return Err(ScorerError::Utilization { index, utilization });
            }
            if score > MAX_SHAPE_SCORE {
                return Err(ScorerError::ShapeScore { index, score });
            }
        }
        Ok(Self::new(Strategy::RequestedToCapacityRatio(shape)))
    }

    /// Prefers nodes whose resources would be used in equal shares: the plug-in
    /// `NodeResourcesBalancedAllocation`, which the scheduler runs beside `NodeResourcesFit`.
    pub fn balanced_allocation() -> Self {
        Self::new(Strategy::BalancedAllocation)
    }

    /// Scores by these resources, each with its weight, instead of CPU and memory.
    ///
    /// # Errors
    /// If there are none, or a weight is not between 1 and 100; for
    /// [`balanced_allocation`](Self::balanced_allocation), if a weight is not 1 or a resource is there
    /// twice (`ValidateNodeResourcesFitArgs`, `ValidateNodeResourcesBalancedAllocationArgs`).
    pub fn with_resources<N: Into<ResourceName>>(
        self,
        resources: impl IntoIterator<Item = (N, i64)>,
    ) -> Result<Self, ScorerError> {
        let resources: Vec<(ResourceName, i64)> =
            resources.into_iter().map(|(name, weight)| (name.into(), weight)).collect();
        if resources.is_empty() {
            return Err(ScorerError::NoResources);
        }
        let balanced = self.strategy == Strategy::BalancedAllocation;
        for (index, (name, weight)) in resources.iter().enumerate() {
            let (name, weight) = (name.clone(), *weight);
            if balanced && resources[..index].iter().any(|(other, _)| *other == name) {
                return Err(ScorerError::Duplicate { index, name });
            }
            if balanced && weight != 1 {
                return Err(ScorerError::WeightOfBalanced { index, weight });
            }
            if !(1..=MAX_WEIGHT).contains(&weight) {
                return Err(ScorerError::Weight { index, name, weight });
            }
        }
        Ok(Self { resources, ..self })
    }

    /// The score of a node for a pod that is to be placed.
    ///
    /// Of that pod, the strategies of `NodeResourcesFit` count what its containers request by the
    /// spec, and neither pod-level requests nor its status: the plug-in tells its scorer of no gate.
    /// A container that requests no CPU or memory counts for [`DEFAULT_MILLI_CPU_REQUEST`] and
    /// [`DEFAULT_MEMORY_REQUEST`]. `BalancedAllocation` counts what was requested, at both levels,
    /// and gives 0 to a pod that requests nothing of what counts.
    ///
    /// [`DEFAULT_MILLI_CPU_REQUEST`]: super::DEFAULT_MILLI_CPU_REQUEST
    /// [`DEFAULT_MEMORY_REQUEST`]: super::DEFAULT_MEMORY_REQUEST
    pub fn score(&self, node: &NodeUsage, pod: &PodResources) -> i64 {
        let balanced = self.strategy == Strategy::BalancedAllocation;
        let wanted = if balanced {
            Resource::from(&pod.requests(&PodResourcesOptions::for_gates(pod.gates())))
        } else {
            wanted_with_defaults(pod)
        };
        if balanced && self.resources.iter().all(|(name, _)| wanted.get(name) == 0) {
            return 0;
        }
        let shares = self.resources.iter().filter_map(|(name, weight)| {
            let wanted = wanted.get(name);
            if wanted == 0 && name.is_scalar() {
                return None;
            }
            let is_defaulted = *name == ResourceName::CPU || *name == ResourceName::MEMORY;
            let used = if balanced || !is_defaulted {
                node.requested()
            } else {
                node.non_zero_requested()
            };
            let (allocatable, allocated) = (node.allocatable().get(name), used.get(name));
            let requested = allocated.saturating_add(wanted);
            (allocatable != 0).then_some(Share {
                allocatable,
                allocated,
                requested,
                weight: *weight,
            })
        });
        match &self.strategy {
            Strategy::LeastAllocated => weighted(shares, least_requested),
            Strategy::MostAllocated => weighted(shares, most_requested),
            Strategy::RequestedToCapacityRatio(shape) => requested_to_capacity(shares, shape),
            Strategy::BalancedAllocation => {
                let shares: Vec<_> = shares.collect();
                if pod.gates().has(Change::BalanceIsJudgedByItsChange) {
                    balance(&shares)
                } else {
                    evenness(&shares, |share| share.requested)
                }
            }
        }
    }
}

/// What a pod that is to be placed counts for in the scores of `NodeResourcesFit`
/// (`calculatePodResourceRequest`).
fn wanted_with_defaults(pod: &PodResources) -> Resource {
    let options =
        PodResourcesOptions { skip_pod_level_resources: true, ..PodResourcesOptions::default() };
    with_defaults(pod, &options, &defaults().into_iter().collect())
}

/// A part of a whole in [`MAX_NODE_SCORE`]ths, rounded down.
fn part(amount: i64, whole: i64) -> i64 {
    let score = i128::from(amount) * i128::from(MAX_NODE_SCORE) / i128::from(whole);
    i64::try_from(score).unwrap_or(MAX_NODE_SCORE)
}

/// `leastRequestedScore`
fn least_requested(share: &Share) -> i64 {
    let free = share.allocatable.saturating_sub(share.requested);
    if free < 0 { 0 } else { part(free, share.allocatable) }
}

/// `mostRequestedScore`
fn most_requested(share: &Share) -> i64 {
    part(share.requested.min(share.allocatable), share.allocatable)
}

/// The weighted mean, rounded down.
fn weighted(shares: impl Iterator<Item = Share>, score: impl Fn(&Share) -> i64) -> i64 {
    let (sum, weights) = shares.fold((0, 0), |(sum, weights), share| {
        (sum + score(&share) * share.weight, weights + share.weight)
    });
    if weights == 0 { 0 } else { sum / weights }
}

/// `buildRequestedToCapacityRatioScorerFunction`: resources that score nothing do not count, and the
/// mean is rounded to the nearest.
fn requested_to_capacity(
    shares: impl Iterator<Item = Share>,
    shape: &[UtilizationShapePoint],
) -> i64 {
    let (sum, weights) = shares.fold((0, 0), |(sum, weights), share| {
        let utilization = if share.requested > share.allocatable {
            100
        } else {
            part(share.requested, share.allocatable)
        };
        match on_line(shape, utilization) {
            ..=0 => (sum, weights),
            score => (sum + score * share.weight, weights + share.weight),
        }
    });
    if weights == 0 { 0 } else { (2 * sum + weights) / (2 * weights) }
}

/// The height of a broken line (`BuildBrokenLinearFunction`).
fn on_line(shape: &[UtilizationShapePoint], at: i64) -> i64 {
    let point = |point: &UtilizationShapePoint| {
        let step = MAX_NODE_SCORE / i64::from(MAX_SHAPE_SCORE);
        (i64::from(point.utilization), i64::from(point.score) * step)
    };
    let mut before = None;
    for (utilization, score) in shape.iter().map(point) {
        match before {
            None if at <= utilization => return score,
            Some((from, low)) if at <= utilization => {
                return low + (score - low) * (at - from) / (utilization - from);
            }
            _ => before = Some((utilization, score)),
        }
    }
    before.map_or(0, |(_, score)| score)
}

/// `balancedResourceScorer`: how much more even the pod makes the node.
fn balance(shares: &[Share]) -> i64 {
    let with_pod = evenness(shares, |share| share.requested);
    let without = evenness(shares, |share| share.allocated);
    MAX_NODE_SCORE / 2 + (MAX_NODE_SCORE / 2 + with_pod - without) / 2
}

/// `balancedResourceScore`: one less the standard deviation of the shares, in
/// [`MAX_NODE_SCORE`]ths.
#[allow(
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "the scheduler computes in 64-bit floats, and the last bit decides; the result is 50 to 100"
)]
fn evenness(shares: &[Share], amount: impl Fn(&Share) -> i64) -> i64 {
    let fractions: Vec<f64> = shares
        .iter()
        .map(|share| (amount(share) as f64 / share.allocatable as f64).min(1.0))
        .collect();
    let deviation = match fractions[..] {
        [] | [_] => 0.0,
        [one, other] => ((one - other) / 2.0).abs(),
        _ => {
            let count = fractions.len() as f64;
            let mean = fractions.iter().fold(0.0, |sum, fraction| sum + fraction) / count;
            let squares = fractions.iter().map(|fraction| (fraction - mean) * (fraction - mean));
            square_root(squares.fold(0.0, |sum, square| sum + square) / count)
        }
    };
    ((1.0 - deviation) * MAX_NODE_SCORE as f64) as i64
}

/// The square root of a number that is not negative, rounded to the nearest, as hardware gives it;
/// `core` has none.
#[allow(
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "exponents have 11 bits; the root has 62 bits or 63, of which the conversion keeps 53, rounded to the nearest"
)]
fn square_root(square: f64) -> f64 {
    const MANTISSA: u32 = f64::MANTISSA_DIGITS - 1;
    const BIAS: i64 = 1023;
    let bits = square.to_bits();
    let exponent = (bits >> MANTISSA) as i64;
    // Zero, and what is so small that its root is nothing beside one.
    if exponent == 0 {
        return 0.0;
    }
    let mantissa = u128::from(bits & ((1 << MANTISSA) - 1) | 1 << MANTISSA);
    let exponent = exponent - BIAS - i64::from(MANTISSA);
    // Wide enough for all bits of the root, by a shift that leaves the exponent even.
    let shift = 72 + exponent.rem_euclid(2);
    let wide = mantissa << shift;
    let root = wide.isqrt();
    // A last bit stands for all that follow: rounding needs to know no more of them.
    let rounded = (root as u64 | u64::from(root * root != wide)) as f64;
    rounded * f64::from_bits((((exponent - shift) / 2 + BIAS) as u64) << MANTISSA)
}

#[cfg(test)]
mod tests {
    use super::square_root;

    #[test]
    fn the_square_root_is_that_of_the_hardware() {
        let mut bits = 1_u64;
        for _ in 0..100_000 {
            bits = bits
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            // Between 2^-64 and 1.
            let square = f64::from_bits((bits >> 12) | ((959 + (bits & 63)) << 52));
            assert_eq!(square_root(square).to_bits(), square.sqrt().to_bits(), "{square:e}");
        }
        assert_eq!(square_root(0.0).to_bits(), 0);
        assert_eq!(square_root(0.25).to_bits(), 0.5_f64.to_bits());
    }
}

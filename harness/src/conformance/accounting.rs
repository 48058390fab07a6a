//! Family `accounting`: what pods take of a node, whether one more fits, and how good the node is
//! for it.

use k8s_openapi::api::core::v1::Pod;
use podinit::resources::{PodResources, ResourceList};
use podinit::scheduler::{
    Insufficient, NodeUsage, Resource, Scorer, ScorerError, Unschedulable, UtilizationShapePoint,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::case::{field, field_or_default, gates};
use super::{Answer, BadCase};

pub const LEFT_OUT: &[&str] = &["nonZeroRequested: what is not CPU or memory"];

pub fn replay(case: &Value) -> Result<Answer, BadCase> {
    let gates = gates(case)?;
    let compile = |pod: &Pod| PodResources::compile(pod, gates);
    let allocatable = ResourceList::deserialize(&case["node"]["allocatable"])?;
    let mut expected = case["answer"].clone();
    for other in ["ephemeralStorage", "scalarResources"] {
        expected["nonZeroRequested"][other] = Value::Null;
    }
    let pods = case["pods"].as_array().into_iter().flatten();
    if pods.chain([&case["pod"]]).any(adds_overhead_in_place) {
        return Ok(Answer { expected: Value::Null, got: Value::Null });
    }
    let mut node = NodeUsage::new(&allocatable);
    for pod in field_or_default::<Vec<Pod>>(case, "pods")? {
        if let Err(error) = node.add(&compile(&pod)?) {
            return Ok(Answer::none(error));
        }
    }
    let pod = compile(&field(case, "pod")?)?;
    let fits = match node.fits(&pod) {
        Ok(()) => Vec::new(),
        Err(Unschedulable::Insufficient(reasons)) => reasons.iter().map(shown).collect(),
        Err(error) => return Ok(Answer::none(error)),
    };
    let scoring: Scoring = field_or_default(case, "scoring")?;
    let mut scores = Map::new();
    for (name, scorer) in scoring.scorers() {
        match scorer {
            Ok(scorer) => scores.insert(name.to_owned(), scorer.score(&node, &pod).into()),
            Err(error) => return Ok(Answer::none(error)),
        };
    }
    let got = json!({
        "requested": amounts(node.requested()),
        "nonZeroRequested": amounts(node.non_zero_requested()),
        "podCount": node.pods(),
        "fits": fits,
        "scores": scores,
    });
    Ok(Answer { expected, got })
}

/// Is there an overhead for a resource of which the pod level requests a fraction?
fn adds_overhead_in_place(pod: &Value) -> bool {
    let requests = pod["spec"]["resources"]["requests"].as_object();
    requests.into_iter().flatten().any(|(name, amount)| {
        let is_fraction = amount.as_str().is_some_and(|text| text.contains('.'));
        is_fraction && pod["spec"]["overhead"].get(name).is_some()
    })
}

/// How the scheduler's plug-ins are configured.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scoring {
    #[serde(default)]
    resources: Vec<ResourceSpec>,
    #[serde(default)]
    shape: Vec<Point>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResourceSpec {
    name: String,
    weight: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Point {
    utilization: u8,
    score: u8,
}

impl Scoring {
    /// The plug-ins that are asked, by their names in the answer.
    fn scorers(&self) -> Vec<(&'static str, Result<Scorer, ScorerError>)> {
        let weighted = |scorer: Scorer| self.with_resources(scorer, |weight| weight);
        let mut scorers = vec![
            ("leastAllocated", weighted(Scorer::least_allocated())),
            ("mostAllocated", weighted(Scorer::most_allocated())),
            ("balancedAllocation", self.with_resources(Scorer::balanced_allocation(), |_| 1)),
        ];
        if !self.shape.is_empty() {
            let shape = self.shape.iter().map(|point| UtilizationShapePoint {
                utilization: point.utilization,
                score: point.score,
            });
            let scorer = Scorer::requested_to_capacity_ratio(shape).and_then(weighted);
            scorers.push(("requestedToCapacityRatio", scorer));
        }
        scorers
    }

    fn with_resources(
        &self,
        scorer: Scorer,
        weight: impl Fn(i64) -> i64,
    ) -> Result<Scorer, ScorerError> {
        if self.resources.is_empty() {
            return Ok(scorer);
        }
        let resources = self.resources.iter();
        scorer.with_resources(resources.map(|spec| (spec.name.as_str(), weight(spec.weight))))
    }
}

fn amounts(resource: &Resource) -> Value {
    let scalars = resource.scalar_resources.iter();
    json!({
        "milliCPU": resource.milli_cpu,
        "memory": resource.memory,
        "ephemeralStorage": resource.ephemeral_storage,
        "scalarResources": scalars
            .map(|(name, amount)| (name.to_string(), Value::from(*amount)))
            .collect::<Map<_, _>>(),
    })
}

fn shown(reason: &Insufficient) -> Value {
    json!({
        "resource": reason.resource.as_str(),
        "reason": reason.to_string(),
        "requested": reason.requested,
        "used": reason.used,
        "capacity": reason.capacity,
        "unresolvable": reason.unresolvable,
    })
}

//! Family `lives`: whole lives of pods, the kubelet's against the pod worker's.

use podinit::KubernetesVersion;
use serde_json::{Value, json};

use super::case::field;
use super::{Answer, BadCase};
use crate::lives::LifeCase;
use crate::lives::compare::compare;
use crate::lives::play::play_again;
use podinit::sim::node::Trace;

pub fn replay(case: &Value) -> Result<Answer, BadCase> {
    let version: KubernetesVersion = field::<String>(case, "kubernetes")?.parse()?;
    let life = LifeCase::from_value(json!({"pod": case["pod"], "scenario": case["scenario"]}))?;
    let oracle: Trace = field(case, "answer")?;
    let gates = life.gates(version)?;
    let podinit = match play_again(&life, &oracle, gates) {
        Ok(podinit) => podinit,
        Err(error) => return Ok(Answer::none(error)),
    };
    let found = compare(&life, &oracle, &podinit);
    if found.is_empty() {
        return Ok(Answer::NOTHING);
    }
    // The labels are the kinds of differences, so that they stand in the path.
    let (mut expected, mut got) = (json!({}), json!({}));
    for difference in found {
        let nothing = || "nothing more".to_owned();
        let at = |side: Option<String>| {
            format!("at {}: {}", difference.at, side.unwrap_or_else(nothing))
        };
        let label = format!("{}: {}", difference.aspect, difference.label);
        expected[&label] = at(difference.oracle).into();
        // Times may be all that differs.
        got[&label] = json!([at(difference.podinit)]);
    }
    Ok(Answer { expected, got })
}

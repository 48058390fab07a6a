//! Smaller cases that show the same.
//!
//! Proptest's own shrinking knows how a case was drawn; this one knows what a case is made of, and
//! needs a few dozen questions where each costs a life of the real kubelet.

use std::time::Duration;

use podinit::scenario::{GoDuration, Scenario};
use serde_json::Value;

use super::case::LifeCase;

/// How many rounds there are at the most.
const ROUNDS: usize = 40;

/// Makes a case smaller for as long as a smaller one shows the same. `shows` is asked about many
/// candidates at once, the most daring first, and gives the position of the first that shows it.
///
/// # Errors
/// Those of `shows`.
pub fn shrink<E>(
    case: &LifeCase,
    until: Duration,
    mut shows: impl FnMut(&[LifeCase]) -> Result<Option<usize>, E>,
) -> Result<LifeCase, E> {
    let mut smallest = case.clone();
    let mut tried: Vec<LifeCase> = Vec::new();
    for round in 0..ROUNDS {
        let mut candidates = if round == 0 { shorter(&smallest, until) } else { Vec::new() };
        candidates.extend(smaller(&smallest));
        candidates.retain(|candidate| !tried.contains(candidate));
        tried.extend(candidates.iter().cloned());
        match shows(&candidates)? {
            Some(position) if position < candidates.len() => {
                smallest = candidates.swap_remove(position);
            }
            _ => break,
        }
    }
    Ok(smallest)
}

/// Watched for no longer than needed.
fn shorter(case: &LifeCase, until: Duration) -> Vec<LifeCase> {
    let seconds = until.as_secs().saturating_add(2);
    let until = GoDuration(Duration::from_secs(seconds));
    if until >= case.scenario.until {
        return Vec::new();
    }
    let scenario = Scenario { until, ..case.scenario.clone() };
    vec![LifeCase { scenario, ..case.clone() }]
}

/// Cases with one thing less, the largest things first.
fn smaller(case: &LifeCase) -> Vec<LifeCase> {
    let mut found = Vec::new();
    for list in ["initContainers", "containers"] {
        let count = case.pod["spec"][list].as_array().map_or(0, Vec::len);
        let least = usize::from(list == "containers");
        for index in (0..count).rev().filter(|_| count > least) {
            found.extend(without_container(case, list, index));
        }
    }
    let tree = case.to_value();
    let mut places = Vec::new();
    for part in ["scenario", "pod"] {
        removable(&tree[part], &format!("/{part}"), &mut places);
    }
    // What holds more comes first.
    places.sort_by_key(|place| place.matches('/').count());
    for place in places {
        let mut tree = tree.clone();
        if remove(&mut tree, &place) {
            found.extend(LifeCase::from_value(tree).ok());
        }
    }
    found
}

/// Without a container, and without all that is said about it.
fn without_container(case: &LifeCase, list: &str, index: usize) -> Option<LifeCase> {
    let mut tree = case.to_value();
    let containers = tree["pod"]["spec"][list].as_array_mut()?;
    let name = containers.remove(index)["name"].as_str()?.to_owned();
    if containers.is_empty() {
        tree["pod"]["spec"].as_object_mut()?.remove(list);
    }
    let scenario = tree["scenario"].as_object_mut()?;
    if let Some(containers) = scenario.get_mut("containers").and_then(Value::as_object_mut) {
        containers.remove(&name);
    }
    for list in ["actions", "calls"] {
        if let Some(items) = scenario.get_mut(list).and_then(Value::as_array_mut) {
            items.retain(|item| !names(item, &name));
        }
    }
    LifeCase::from_value(tree).ok()
}

/// Whether a container of this name is named anywhere in a value.
fn names(value: &Value, name: &str) -> bool {
    match value {
        Value::Object(fields) => fields.iter().any(|(key, value)| {
            (matches!(key.as_str(), "container" | "name") && value == name) || names(value, name)
        }),
        Value::Array(items) => items.iter().any(|item| names(item, name)),
        _ => false,
    }
}

/// Fields without which a case is none.
const NEEDED: &[&str] = &[
    "spec",
    "containers",
    "name",
    "image",
    "restartPolicyRules",
    "exitCodes",
    "operator",
    "values",
    "action",
    "exec",
    "command",
    "httpGet",
    "tcpSocket",
    "grpc",
    "port",
    "at",
];

/// The places, as JSON pointers, of what can be left out.
fn removable(value: &Value, at: &str, places: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let place = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                let needed = NEEDED.contains(&name.as_str());
                let rules = name == "restartPolicyRules";
                let watched = place == "/scenario/until";
                if (!needed || rules) && !watched {
                    places.push(place.clone());
                }
                removable(value, &place, places);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                let place = format!("{at}/{index}");
                // Containers go with all that is said about them.
                if !at.ends_with("ontainers") && !at.ends_with("values") && !at.ends_with("command")
                {
                    places.push(place.clone());
                }
                removable(value, &place, places);
            }
        }
        _ => {}
    }
}

/// Takes out what is at a JSON pointer.
fn remove(tree: &mut Value, place: &str) -> bool {
    let Some((parent, last)) = place.rsplit_once('/') else { return false };
    match tree.pointer_mut(parent) {
        Some(Value::Object(fields)) => {
            fields.remove(&last.replace("~1", "/").replace("~0", "~")).is_some()
        }
        Some(Value::Array(items)) => match last.parse::<usize>() {
            Ok(index) if index < items.len() => {
                items.remove(index);
                true
            }
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use serde_json::json;

    use super::*;

    #[test]
    fn what_does_not_matter_is_left_out() {
        let case = LifeCase::from_value(json!({
            "pod": {"spec": {
                "restartPolicy": "Never",
                "initContainers": [{"name": "i", "image": "x"}],
                "containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "x"}],
            }},
            "scenario": {
                "containers": {
                    "a": {"instances": [{"runFor": "5s"}, {"exitCode": 3, "message": "no"}]},
                    "b": {"instances": [{"runFor": "5s"}]},
                },
                "actions": [
                    {"at": "3s", "killContainer": {"container": "b"}},
                    {"at": "4s", "delete": {}},
                ],
            },
        }))
        .unwrap();
        // What is looked for: an instance of `a` with the exit code 3.
        let shows = |candidates: &[LifeCase]| -> Result<_, Infallible> {
            Ok(candidates.iter().position(|candidate| {
                let instances = &candidate.scenario.container("a").instances;
                instances.iter().any(|instance| instance.exit_code == 3)
            }))
        };
        let smallest = shrink(&case, Duration::from_secs(20), shows).unwrap();
        assert_eq!(
            smallest.to_value(),
            json!({
                "pod": {"spec": {"containers": [{"name": "a", "image": "x"}]}},
                "scenario": {
                    "until": "22s",
                    "containers": {"a": {"instances": [{"exitCode": 3}]}},
                },
            })
        );
    }
}

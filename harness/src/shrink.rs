//! From a case that fails to a small one that fails in the same way.

use serde_json::{Map, Value};

/// So many cases are tried at a time.
const AT_ONCE: usize = 32;

/// The smallest case that is found by taking away one thing after the other.
///
/// `fails` is asked about several cases at once, and says of each whether it fails as the first one
/// did. At most `tries` cases are tried.
///
/// # Errors
/// The first error of `fails`.
pub fn shrink<E>(
    mut case: Value,
    mut tries: usize,
    mut fails: impl FnMut(&[Value]) -> Result<Vec<bool>, E>,
) -> Result<Value, E> {
    'smaller: loop {
        let candidates = smaller(&case);
        for some in candidates.chunks(AT_ONCE) {
            if tries == 0 {
                return Ok(case);
            }
            let some = &some[..some.len().min(tries)];
            tries -= some.len();
            if let Some(found) = fails(some)?.iter().position(|fails| *fails) {
                case = some[found].clone();
                continue 'smaller;
            }
        }
        return Ok(case);
    }
}

/// The cases that are smaller by one step, large steps first.
fn smaller(case: &Value) -> Vec<Value> {
    match case {
        Value::Null => Vec::new(),
        Value::Bool(value) => {
            if *value {
                vec![Value::Bool(false)]
            } else {
                Vec::new()
            }
        }
        Value::Number(number) => smaller_numbers(number),
        Value::String(text) => smaller_texts(text).into_iter().map(Value::String).collect(),
        Value::Array(items) => smaller_lists(items),
        Value::Object(fields) => smaller_objects(fields),
    }
}

fn smaller_numbers(number: &serde_json::Number) -> Vec<Value> {
    match number.as_i64() {
        Some(0) | None => Vec::new(),
        Some(number) => {
            let mut numbers = vec![0, number / 2, number - number.signum()];
            numbers.dedup();
            numbers.retain(|smaller| *smaller != number);
            numbers.into_iter().map(Value::from).collect()
        }
    }
}

/// Texts without some of their lines, or, if it is one line, of their characters.
fn smaller_texts(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    if lines.len() > 1 {
        return without_runs(&lines).into_iter().map(|lines| lines.concat()).collect();
    }
    if text.len() > 60 {
        // A long word is made shorter, but not letter by letter.
        let half = text.chars().count() / 2;
        return vec![
            String::new(),
            text.chars().take(half).collect(),
            text.chars().skip(half).collect(),
        ];
    }
    let letters: Vec<char> = text.chars().collect();
    without_runs(&letters).into_iter().map(String::from_iter).collect()
}

fn smaller_lists(items: &[Value]) -> Vec<Value> {
    let shorter = without_runs(items).into_iter().map(Value::Array);
    let inside = items.iter().enumerate().flat_map(|(index, item)| {
        smaller(item).into_iter().map(move |item| {
            let mut items = items.to_vec();
            items[index] = item;
            Value::Array(items)
        })
    });
    shorter.chain(inside).collect()
}

fn smaller_objects(fields: &Map<String, Value>) -> Vec<Value> {
    let both = ["old", "new"].map(|side| fields.get(side));
    let joint = if let [Some(old), Some(new)] = both { without_both(old, new) } else { Vec::new() };
    let joint = joint.into_iter().map(|(old, new)| {
        let mut fields = fields.clone();
        fields.insert("old".to_owned(), old);
        fields.insert("new".to_owned(), new);
        Value::Object(fields)
    });
    let fewer = fields.keys().map(|name| {
        let mut fields = fields.clone();
        fields.remove(name);
        Value::Object(fields)
    });
    let inside = fields.iter().flat_map(|(name, value)| {
        smaller(value).into_iter().map(move |value| {
            let mut fields = fields.clone();
            fields.insert(name.clone(), value);
            Value::Object(fields)
        })
    });
    joint.chain(fewer).chain(inside).collect()
}

/// What is the same before and after a change matters only as that: it is taken away on both sides.
fn without_both(old: &Value, new: &Value) -> Vec<(Value, Value)> {
    fn places(value: &Value, here: &str, found: &mut Vec<(String, String)>) {
        let children: Vec<(String, &Value)> = match value {
            Value::Object(fields) => {
                fields.iter().map(|(name, value)| (escaped(name), value)).collect()
            }
            Value::Array(items) => {
                items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect()
            }
            _ => Vec::new(),
        };
        for (step, child) in children {
            found.push((here.to_owned(), step.clone()));
            places(child, &format!("{here}/{step}"), found);
        }
    }
    fn escaped(name: &str) -> String {
        name.replace('~', "~0").replace('/', "~1")
    }
    fn without(value: &Value, (parent, step): &(String, String)) -> Option<Value> {
        let mut value = value.clone();
        match value.pointer_mut(parent)? {
            Value::Object(fields) => {
                let name = fields.keys().find(|name| escaped(name) == *step)?.clone();
                fields.remove(&name);
            }
            Value::Array(items) => {
                let index: usize = step.parse().ok()?;
                if index >= items.len() {
                    return None;
                }
                items.remove(index);
            }
            _ => return None,
        }
        Some(value)
    }
    let mut found = Vec::new();
    places(old, "", &mut found);
    // What holds much comes first.
    found.sort_by_key(|(parent, _)| parent.matches('/').count());
    found.iter().filter_map(|place| Some((without(old, place)?, without(new, place)?))).collect()
}

/// Lists without a run of their items: of half of them, of a quarter, ..., of each single one.
fn without_runs<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    let mut shorter = Vec::new();
    let mut length = items.len().div_ceil(2);
    while length > 0 {
        for begin in (0..items.len()).step_by(length) {
            let end = (begin + length).min(items.len());
            shorter.push([&items[..begin], &items[end..]].concat());
        }
        length /= 2;
    }
    shorter
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use serde_json::json;

    use super::*;

    fn shrunk(case: Value, tries: usize, fails: impl Fn(&Value) -> bool) -> Value {
        let fails = |cases: &[Value]| Ok::<_, Infallible>(cases.iter().map(&fails).collect());
        shrink(case, tries, fails).unwrap_or_else(|never| match never {})
    }

    #[test]
    fn what_does_not_matter_is_taken_away() {
        let case =
            json!({"name": "web", "items": [1, {"cpu": "250m", "memory": "1Gi"}, 3], "on": true});
        let found = shrunk(case, 1000, |case| {
            case["items"].as_array().into_iter().flatten().any(|item| !item["cpu"].is_null())
        });
        assert_eq!(found, json!({"items": [{"cpu": ""}]}));
    }

    #[test]
    fn both_sides_of_a_change_become_smaller_together() {
        let spec = json!({"image": "app", "tty": true, "ports": [80]});
        let case = json!({"old": {"spec": spec, "x": 1}, "new": {"spec": spec, "x": 2}});
        let found = shrunk(case, 1000, |case| {
            case["old"]["spec"] == case["new"]["spec"] && case["old"]["x"] != case["new"]["x"]
        });
        // Which of the two keeps its field is up to the order of the fields.
        let either = ["old", "new"].map(|side| json!({side: {"x": 0}}));
        assert!(either.contains(&found), "{found}");
    }

    #[test]
    fn a_text_loses_whole_lines() {
        let case = json!({"text": "a: 1\nb: 2\nc: 3\nd: 4\n"});
        let found =
            shrunk(case, 1000, |case| case["text"].as_str().is_some_and(|t| t.contains("c: 3")));
        assert_eq!(found, json!({"text": "c: 3"}));
    }

    #[test]
    fn it_ends_after_the_tries_that_are_left() {
        let case = json!([1, 2, 3]);
        assert_eq!(shrunk(case.clone(), 0, |_| true), case);
        assert_eq!(shrunk(case, 1, |_| true), json!([3]));
    }
}

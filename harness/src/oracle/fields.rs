//! Questions with fields and options that the Kubernetes version of an oracle does not know.

use serde_json::Value;

/// The question without the fields that its refusal calls unknown; none if it was refused for
/// something else.
///
/// A refusal reads `pods[0]: strict decoding error: unknown field "status.resources", unknown field
/// "spec.resources"`: the place of the object, and the places of the fields in it.
pub(super) fn without_unknown(question: &Value, refusal: &str) -> Option<Value> {
    let mut question = question.clone();
    if let Some(rest) = refusal.strip_suffix(": this version of Kubernetes has no such option") {
        let path = rest.rsplit(' ').next().unwrap_or_default();
        return remove(&mut question, path).then_some(question);
    }
    let (object, fields) = refusal.split_once(": strict decoding error: ")?;
    let object = object.rsplit(' ').next().unwrap_or_default();
    let mut removed = false;
    for field in fields.split("unknown field \"").skip(1) {
        let (path, _) = field.split_once('"')?;
        removed |= remove(&mut question, &format!("{object}.{path}"));
    }
    removed.then_some(question)
}

/// Takes a field away. Was it there?
fn remove(question: &mut Value, path: &str) -> bool {
    let steps: Vec<&str> = path.split(['.', '[', ']']).filter(|step| !step.is_empty()).collect();
    let Some((last, steps)) = steps.split_last() else { return false };
    let mut place = question;
    for step in steps {
        let inner = match place {
            Value::Array(items) => {
                step.parse::<usize>().ok().and_then(|index| items.get_mut(index))
            }
            other => other.get_mut(*step),
        };
        match inner {
            Some(inner) => place = inner,
            None => return false,
        }
    }
    place.as_object_mut().is_some_and(|fields| fields.remove(*last).is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_fields_are_taken_out_where_the_refusal_says_they_are() {
        let question = json!({"pods": [{"status": {"resources": {}, "phase": "Running"}}],
            "pod": {"spec": {"containers": [{"name": "a", "new": 1}]}}});
        let refusal = "pods[0]: strict decoding error: unknown field \"status.resources\"";
        let rest = without_unknown(&question, refusal).unwrap();
        assert_eq!(rest["pods"][0], json!({"status": {"phase": "Running"}}));
        let refusal = "pod: strict decoding error: unknown field \"spec.containers[0].new\", \
            unknown field \"spec.none\"";
        let rest = without_unknown(&rest, refusal).unwrap();
        assert_eq!(rest["pod"]["spec"]["containers"][0], json!({"name": "a"}));
        assert_eq!(without_unknown(&rest, refusal), None);
        let options = json!({"options": {"new": true}});
        let refusal = "invalid: options.new: this version of Kubernetes has no such option";
        assert_eq!(without_unknown(&options, refusal), Some(json!({"options": {}})));
        assert_eq!(without_unknown(&rest, "pod: spec.containers: Required value"), None);
    }
}

//! What a field that does not exist may have been meant to be.

use alloc::vec::Vec;

use super::error::ProblemKind;
use super::typed::FieldNames;

/// Fields that articles and other systems claim, with what does their work in a pod.
const ADVICE: &[(&str, &str)] = &[
    (
        "failurePolicy",
        "Kubernetes has no such field: a failed container is handled by its restartPolicy and \
         restartPolicyRules, and a failure that should not matter by a command that exits 0 \
         (sh -c '... || true')",
    ),
    (
        "dependsOn",
        "Kubernetes has no such field: init containers run in the order in which they are listed, \
         and one with restartPolicy: Always holds up the next one until its startupProbe succeeds",
    ),
    (
        "backoffLimit",
        "a Job has this field, a pod has not: a pod's containers are retried without end under \
         restartPolicy Always and OnFailure, and not at all under Never",
    ),
];

/// An unknown field about which nothing more is said.
pub(super) const NOTHING: ProblemKind =
    ProblemKind::UnknownField { suggestion: None, advice: None };

/// An unknown field, with what does its work or else with what it was meant to be.
pub(super) fn unknown_field(name: &str, known: FieldNames) -> ProblemKind {
    let advice = advice(name);
    let suggestion = if advice.is_none() { near_miss(name, known) } else { None };
    ProblemKind::UnknownField { suggestion, advice }
}

/// What does the work of a field that does not exist.
fn advice(unknown: &str) -> Option<&'static str> {
    ADVICE.iter().find(|(name, _)| *name == unknown).map(|(_, advice)| *advice)
}

/// The field that looks most alike, if one looks alike at all.
fn near_miss(unknown: &str, known: FieldNames) -> Option<&'static str> {
    // Nothing so long is a slip of the finger, and comparing takes quadratic time.
    if unknown.len() > 64 {
        return None;
    }
    let allowed = |name: &str| name.len().min(unknown.len()).div_ceil(4).min(3);
    known
        .iter()
        .map(|name| (distance(unknown, name), *name))
        .filter(|(distance, name)| *distance <= allowed(name))
        .min()
        .map(|(_, name)| name)
}

/// How many letters must be added, taken away, replaced or swapped with their neighbour, whatever
/// their case.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().flat_map(char::to_lowercase).collect();
    let b: Vec<char> = b.chars().flat_map(char::to_lowercase).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.iter().enumerate() {
        let mut row = Vec::from([i + 1]);
        for (j, other) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(letter != other);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *letter == b[j - 1] && a[i - 1] == *other {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = core::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_another_word_is_not() {
        let known = &["image", "imagePullPolicy", "name", "restartPolicy", "command"];
        for (unknown, meant) in [
            ("imgae", Some("image")),
            ("Image", Some("image")),
            ("restartpolicy", Some("restartPolicy")),
            ("restartPolicies", Some("restartPolicy")),
            ("commands", Some("command")),
            ("nmae", Some("name")),
            ("failurePolicy", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(near_miss(unknown, known), meant, "{unknown}");
        }
    }

    #[test]
    fn long_names_are_not_compared() {
        let long = "restartPolicy".repeat(100);
        assert_eq!(near_miss(&long, &["restartPolicy"]), None);
    }
}

//! What a field that does not exist may have been meant to be.

use super::error::ProblemKind;
use super::typed::FieldNames;
use crate::nearest::nearest;

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
    let suggestion = if advice.is_none() { nearest(name, known.iter().copied()) } else { None };
    ProblemKind::UnknownField { suggestion, advice }
}

/// What does the work of a field that does not exist.
fn advice(unknown: &str) -> Option<&'static str> {
    ADVICE.iter().find(|(name, _)| *name == unknown).map(|(_, advice)| *advice)
}

//! What a field that does not exist may have been meant to be.

use super::error::ProblemKind;
use super::typed::FieldNames;
use crate::nearest::nearest;

/// Fields that articles and other systems claim, with what does their work in a pod. The names are
/// those of Docker, of Compose and of other objects of Kubernetes.
const ADVICE: &[(&str, &str)] = &[
    ("cmd", "Docker's CMD is \"args\" here, and its ENTRYPOINT \"command\""),
    ("entrypoint", "Docker's ENTRYPOINT is \"command\" here, and its CMD \"args\""),
    ("environment", "it is \"env\" here: a list of {name: ..., value: ...}"),
    ("env_file", "it is \"envFrom\" here: a list with configMapRef and secretRef"),
    ("working_dir", "it is \"workingDir\" here"),
    ("privileged", "it is \"securityContext.privileged\" here"),
    ("user", "it is \"securityContext.runAsUser\" here, and a number"),
    ("runAsUser", "it belongs under \"securityContext\""),
    ("runAsNonRoot", "it belongs under \"securityContext\""),
    ("cap_add", "it is \"securityContext.capabilities.add\" here"),
    ("cap_drop", "it is \"securityContext.capabilities.drop\" here"),
    ("read_only", "it is \"securityContext.readOnlyRootFilesystem\" here"),
    ("network_mode", "\"host\" is \"hostNetwork: true\" of the pod's spec here"),
    ("healthcheck", "it is \"livenessProbe\", \"readinessProbe\" or \"startupProbe\" here"),
    ("expose", "it is \"ports\" here: a list with containerPort"),
    ("restart", "it is \"restartPolicy\" here"),
    ("deploy", "replicas belong to a Deployment, and limits under \"resources\" of the container"),
    ("replicas", "a Deployment or a StatefulSet has this field, a pod has not"),
    ("volumes", "the pod's spec has the volumes; a container mounts them with \"volumeMounts\""),
    (
        "depends_on",
        "Kubernetes has no such field: what must be done before goes into \"initContainers\", which \
         run in the order in which they are listed",
    ),
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

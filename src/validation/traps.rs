//! What the apiserver accepts and people come to regret.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use k8s_openapi::api::core::v1;
use smol_str::SmolStr;

use super::habits;
use super::restart::is_restartable;
use crate::admission::admit;
use crate::quantity::Quantity;
use crate::resources::{
    PodResources, PodResourcesOptions, QosClass, ResourceName, compute_qos_class,
    effective_init_requests,
};
use crate::version::FeatureGates;

/// A known trap, and the field that sets it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trap {
    /// The field's path, such as `spec.initContainers[0].command`.
    pub field: String,
    /// Which trap.
    pub kind: TrapKind,
}

/// A known trap.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrapKind {
    /// An init container waits in a loop that has no end: if what it waits for never comes, the pod
    /// is Pending for ever, and no restart or back-off shows that.
    WaitsForEver {
        /// The container.
        container: SmolStr,
    },
    /// The pod reserves for its whole life what an init container needs once.
    InitRequestDominates {
        /// The init container that needs the most.
        container: SmolStr,
        /// The resource.
        resource: ResourceName,
        /// What the initialization needs.
        init: Quantity,
    },
    /// An init container takes the pod out of a better QoS class, for the pod's whole life.
    QosClassLost {
        /// The class without init containers.
        without: QosClass,
        /// The class that the pod has.
        with: QosClass,
    },
    /// Containers after a restartable init container start as soon as it runs, whether it can serve
    /// them yet or not: readiness is not waited for, only a startup probe is.
    NotWaitedFor {
        /// The restartable init container.
        container: SmolStr,
    },
    /// A container that never ends by itself, as far as its name or image tells, is among those that
    /// a Job waits for.
    SidecarOfJob {
        /// The container.
        container: SmolStr,
    },
    /// An init container that does one thing and ends has `restartPolicy: Always`: it is started
    /// again whenever it ends, and the next one does not wait for its success.
    EndsAndIsRestarted {
        /// The container.
        container: SmolStr,
    },
    /// A startup probe gives up before it can have succeeded.
    StartupTooShort {
        /// The container.
        container: SmolStr,
        /// How long the probe tries, in seconds.
        seconds: i64,
        /// How long a hook or the readiness probe of the same container expects it to take.
        expected: i64,
    },
    /// Memory in thousandths of bytes: `m` is not `Mi`.
    FractionalBytes {
        /// The amount as it is written.
        amount: String,
    },
    /// What a template engine should have replaced.
    NotRendered {
        /// The text.
        text: String,
    },
    /// The deadline counts from the pod's start, initialization included, and ends the pod for
    /// good: nothing but a Job deals with that.
    DeadlineOutsideJob {
        /// `activeDeadlineSeconds`.
        seconds: i64,
    },
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.field)?;
        match &self.kind {
            TrapKind::WaitsForEver { container } => write!(
                f,
                "init container \"{container}\" waits without a timeout: if what it waits for \
                 never comes, the pod stays in Init for ever; let the loop give up (timeout 60 \
                 sh -c '...'), so that the failure shows and is retried"
            ),
            TrapKind::InitRequestDominates { container, resource, init } => write!(
                f,
                "the pod reserves {init} {resource} for its whole life because init container \
                 \"{container}\" requests it; what runs later requests less"
            ),
            TrapKind::QosClassLost { without, with } => write!(
                f,
                "the pod is {with} because of an init container; without init containers it \
                 would be {without}"
            ),
            TrapKind::NotWaitedFor { container } => write!(
                f,
                "the containers after \"{container}\" start as soon as it runs; give it a \
                 startupProbe if they need it to answer (its readinessProbe is not waited for)"
            ),
            TrapKind::SidecarOfJob { container } => write!(
                f,
                "container \"{container}\" does not end by itself, and the Job is not complete before \
                 it does; make it an init container with restartPolicy: Always \
                 (https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#jobs-with-sidecar-containers)"
            ),
            TrapKind::EndsAndIsRestarted { container } => write!(
                f,
                "init container \"{container}\" ends, and with restartPolicy: Always it is started \
                 again each time, and nobody waits for its success; leave restartPolicy out for one \
                 that runs once \
                 (https://kubernetes.io/docs/concepts/workloads/pods/init-containers/)"
            ),
            TrapKind::StartupTooShort { container, seconds, expected } => write!(
                f,
                "the startupProbe of \"{container}\" gives up after {seconds}s, but its other probes \
                 wait {expected}s before they ask: raise failureThreshold or periodSeconds \
                 (https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/#define-startup-probes)"
            ),
            TrapKind::FractionalBytes { amount } => write!(
                f,
                "\"{amount}\" is less than one byte or no whole number of them: m means thousandths; \
                 for mebibytes write Mi \
                 (https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#meaning-of-memory)"
            ),
            TrapKind::NotRendered { text } => write!(
                f,
                "{text:?} is for a template engine: render it first (helm template, or kustomize build)"
            ),
            TrapKind::DeadlineOutsideJob { seconds } => write!(
                f,
                "after {seconds}s, initialization included, the pod is Failed and stays so; only a \
                 Job replaces such a pod"
            ),
        }
    }
}

/// The known traps in a pod. An answer does not depend on whether the pod is valid.
///
/// These are heuristics: a loop in a shell script is recognised, one in a program is not.
///
/// ```
/// use k8s_openapi::api::core::v1;
/// use podinit::{FeatureGates, validation::traps};
///
/// let pod: v1::Pod = serde_json::from_str(
///     r#"{"spec": {
///         "initContainers": [{"name": "wait", "image": "busybox",
///             "command": ["sh", "-c", "until nslookup db; do sleep 2; done"]}],
///         "containers": [{"name": "web", "image": "web"}]
///     }}"#,
/// )?;
/// let found = traps(&pod, FeatureGates::default());
/// assert_eq!(found[0].field, "spec.initContainers[0].command");
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn traps(pod: &v1::Pod, gates: FeatureGates) -> Vec<Trap> {
    let owned_by_job =
        pod.metadata.owner_references.iter().flatten().any(|owner| owner.kind == "Job");
    let spec = admit(pod, &gates).into_pod().spec.unwrap_or_default();
    let mut traps = Vec::new();
    let mut add = |field: String, kind| traps.push(Trap { field, kind });
    let init_containers = spec.init_containers.as_deref().unwrap_or_default();
    for (index, container) in init_containers.iter().enumerate() {
        let path = format!("spec.initContainers[{index}]");
        let name = || SmolStr::from(container.name.as_str());
        if is_restartable(container) {
            if serves(container) && !is_waited_for(container) {
                add(path, TrapKind::NotWaitedFor { container: name() });
            }
        } else if spec.active_deadline_seconds.is_none()
            && let Some(field) = endless_loop(container)
        {
            add(format!("{path}.{field}"), TrapKind::WaitsForEver { container: name() });
        }
    }
    if let Some(seconds) = spec.active_deadline_seconds.filter(|_| !owned_by_job) {
        let field = "spec.activeDeadlineSeconds";
        add(field.into(), TrapKind::DeadlineOutsideJob { seconds });
    }
    resource_traps(&spec, gates, &mut traps);
    habits::traps(&spec, owned_by_job, &mut traps);
    traps
}

/// Does anybody talk to it?
fn serves(container: &v1::Container) -> bool {
    container.ports.as_ref().is_some_and(|ports| !ports.is_empty())
        || container.readiness_probe.is_some()
        || container.liveness_probe.is_some()
}

/// The next container waits for a startup probe and for the end of a postStart hook.
fn is_waited_for(container: &v1::Container) -> bool {
    let hooks = container.lifecycle.as_ref();
    container.startup_probe.is_some() || hooks.is_some_and(|hooks| hooks.post_start.is_some())
}

/// The field with a shell loop that sleeps and tries again, and that nothing ends.
fn endless_loop(container: &v1::Container) -> Option<&'static str> {
    let is_endless = |script: &String| {
        let words = || script.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-');
        let has = |word: &str| words().any(|other| other == word);
        // `break` and `exit` end a loop, `seq` and `timeout` bound it, `-lt` and its like count.
        let ended = ["timeout", "break", "exit", "seq", "-lt", "-le", "-gt", "-ge"];
        (has("until") || has("while")) && has("sleep") && !ended.into_iter().any(has)
    };
    let fields = [("command", &container.command), ("args", &container.args)];
    let found = fields.into_iter().find(|(_, words)| words.iter().flatten().any(is_endless));
    // A loop within `timeout 60 sh -c ...` ends.
    let mut all = fields.into_iter().flat_map(|(_, words)| words.iter().flatten());
    found.filter(|_| !all.any(|word| word == "timeout")).map(|(field, _)| field)
}

fn resource_traps(spec: &v1::PodSpec, gates: FeatureGates, traps: &mut Vec<Trap>) {
    // With requests of its own the pod reserves these, whatever its containers do. And what cannot
    // be read is told by validation.
    let own = spec.resources.is_some();
    let Ok(pod) = PodResources::compile_spec(spec, None, gates) else { return };
    if own {
        return;
    }
    for init in effective_init_requests(&pod, &PodResourcesOptions::default()) {
        if init.decides
            && (init.resource == ResourceName::CPU || init.resource == ResourceName::MEMORY)
        {
            traps.push(Trap {
                field: format!(
                    "spec.initContainers[{}].resources.requests[{}]",
                    init.container.slot(),
                    init.resource
                ),
                kind: TrapKind::InitRequestDominates {
                    container: pod.container_name(init.container).into(),
                    resource: init.resource,
                    init: init.quantity,
                },
            });
        }
    }
    let apps = v1::PodSpec { init_containers: None, ..spec.clone() };
    let Ok(apps) = PodResources::compile_spec(&apps, None, gates) else { return };
    let (with, without) = (compute_qos_class(&pod), compute_qos_class(&apps));
    if without == QosClass::Guaranteed && with != without {
        traps.push(Trap {
            field: "spec.initContainers".into(),
            kind: TrapKind::QosClassLost { without, with },
        });
    }
}

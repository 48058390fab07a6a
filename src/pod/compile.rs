//! An admitted `v1.Pod` → [`PodSpec`].

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use core::hash::Hasher;
use core::time::Duration;

use k8s_openapi::api::core::v1;
use smallvec::SmallVec;
use smol_str::{SmolStr, ToSmolStr};

use super::container::{Container, ImagePullPolicy, LifecycleHandler, Probe};
use super::error::SpecError;
use super::extensions::Extensions;
use super::restart::{
    ContainerRestartPolicy, ExitCodeOperator, RestartPolicy, RestartRule, RestartRuleAction,
};
use super::{PodIdentity, PodSpec};
use crate::admission::{Admitted, admit};
use crate::container::{ContainerIndex, ContainerKind};
use crate::fnv::Fnv1a;
use crate::quantity::Quantity;
use crate::version::{Change, Feature, FeatureGates};

/// How many containers of all kinds one pod may have here. Kubernetes itself sets no limit but the
/// size of the object (1.5 MiB), within which no more than some tens of thousands fit.
pub(crate) const MAX_CONTAINERS: usize = 10_000;

/// Where the kubelet got a pod from, if not from the apiserver (`ConfigSourceAnnotationKey`).
const CONFIG_SOURCE_ANNOTATION: &str = "kubernetes.io/config.source";

impl PodSpec {
    /// Compiles a pod that an apiserver would admit, after its defaults were filled in.
    ///
    /// ```
    /// use podinit::{FeatureGates, PodSpec};
    ///
    /// let pod = serde_json::from_value(serde_json::json!({
    ///     "metadata": {"name": "web"},
    ///     "spec": {
    ///         "initContainers": [{"name": "app", "image": "db-tools:1"}],
    ///         "containers": [{"name": "app", "image": "web:1"}],
    ///     },
    /// }))?;
    /// let error = PodSpec::compile(&pod, FeatureGates::default()).unwrap_err();
    /// assert_eq!(error.to_string(), "spec.initContainers[0].name: Duplicate value: \"app\"");
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`SpecError::Invalid`] with everything that is wrong with it, as
    /// [`validate`](crate::validation::validate) finds it.
    pub fn compile(pod: &v1::Pod, gates: FeatureGates) -> Result<Self, SpecError> {
        let admitted = admit(pod, &gates);
        admitted.validate()?;
        Self::from_admitted(&admitted)
    }

    /// Compiles a pod without validating it: only what cannot be represented is refused.
    ///
    /// For replaying odd pods that an apiserver would not admit. It goes through the same
    /// [`admit`] as any other.
    ///
    /// # Errors
    /// As [`PodSpec::from_admitted`].
    pub fn compile_unchecked(pod: &v1::Pod, gates: FeatureGates) -> Result<Self, SpecError> {
        Self::from_admitted(&admit(pod, &gates))
    }

    /// Compiles an admitted pod, valid or not: only what cannot be represented is refused.
    ///
    /// # Errors
    /// [`SpecError`] for a duplicate or missing container name, an enumeration's unknown value, or
    /// more than 10,000 containers.
    pub fn from_admitted(admitted: &Admitted) -> Result<Self, SpecError> {
        let (pod, gates) = (admitted.pod(), admitted.gates());
        let empty = v1::PodSpec::default();
        let spec = pod.spec.as_ref().unwrap_or(&empty);
        let identity = PodIdentity {
            name: pod.metadata.name.as_deref().unwrap_or_default().into(),
            namespace: pod.metadata.namespace.as_deref().unwrap_or("default").into(),
            uid: pod.metadata.uid.as_deref().unwrap_or_default().into(),
        };
        let containers = compile_containers(spec, gates)?;
        let init_containers = spec.init_containers.as_deref().unwrap_or_default().len() as u16;
        let app_containers = spec.containers.len() as u16;
        let mut sorted_apps: Box<[ContainerIndex]> = (init_containers
            ..init_containers + app_containers)
            .map(|slot| ContainerIndex::new(slot.into()))
            .collect();
        sorted_apps.sort_by_key(|index| &containers[index.slot()].name);
        let not_ephemeral = &containers[..usize::from(init_containers + app_containers)];
        Ok(Self {
            identity,
            gates,
            restart_policy: restart_policy(spec.restart_policy.as_deref(), "spec.restartPolicy")?
                .unwrap_or_default(),
            host_network: spec.host_network.unwrap_or(false),
            static_pod: pod
                .metadata
                .annotations
                .as_ref()
                .and_then(|annotations| annotations.get(CONFIG_SOURCE_ANNOTATION))
                .is_some_and(|source| source != "api"),
            termination_grace_period_seconds: spec
                .termination_grace_period_seconds
                .unwrap_or_default(),
            extensions: Extensions::default(),
            active_deadline: spec.active_deadline_seconds.map(active_deadline).transpose()?,
            readiness_gates: spec
                .readiness_gates
                .iter()
                .flatten()
                .map(|gate| gate.condition_type.as_str().into())
                .collect(),
            has_restartable_init_container: containers
                .iter()
                .any(Container::is_restartable_init_container),
            has_restart_all_containers_rule: gates
                .enabled(Feature::RestartAllContainersOnContainerExits)
                && not_ephemeral.iter().any(|container| {
                    container
                        .restart_policy_rules
                        .iter()
                        .any(|rule| rule.action == RestartRuleAction::RestartAllContainers)
                }),
            containers,
            init_containers,
            app_containers,
            sorted_apps,
            source: admitted.shared(),
        })
    }
}

fn active_deadline(seconds: i64) -> Result<Duration, SpecError> {
    u64::try_from(seconds).map(Duration::from_secs).map_err(|_| SpecError::OutOfRange {
        field: "spec.activeDeadlineSeconds".to_owned(),
        value: seconds,
        detail: "must be between 1 and 2147483647, inclusive",
    })
}

fn compile_containers(
    spec: &v1::PodSpec,
    gates: FeatureGates,
) -> Result<Box<[Container]>, SpecError> {
    let init = spec.init_containers.as_deref().unwrap_or_default();
    let ephemeral = spec.ephemeral_containers.as_deref().unwrap_or_default();
    let count = init.len() + spec.containers.len() + ephemeral.len();
    if count > MAX_CONTAINERS {
        return Err(SpecError::TooMany {
            field: "spec.containers".to_owned(),
            count,
            limit: MAX_CONTAINERS,
        });
    }
    let mut containers = Vec::with_capacity(count);
    for (index, container) in init.iter().enumerate() {
        let path = format!("spec.initContainers[{index}]");
        containers.push(compile_container(&container.into(), true, &path, gates)?);
    }
    for (index, container) in spec.containers.iter().enumerate() {
        let path = format!("spec.containers[{index}]");
        containers.push(compile_container(&container.into(), false, &path, gates)?);
    }
    for (index, container) in ephemeral.iter().enumerate() {
        let path = format!("spec.ephemeralContainers[{index}]");
        containers.push(Container {
            kind: ContainerKind::Ephemeral,
            ..compile_container(&container.into(), false, &path, gates)?
        });
    }
    refuse_duplicate_names(&containers, init.len(), spec.containers.len())?;
    Ok(containers.into())
}

fn refuse_duplicate_names(
    containers: &[Container],
    init: usize,
    app: usize,
) -> Result<(), SpecError> {
    let mut by_name: Vec<(&SmolStr, usize)> =
        containers.iter().map(|container| &container.name).zip(0..).collect();
    by_name.sort();
    let Some(pair) = by_name.windows(2).find(|pair| pair[0].0 == pair[1].0) else {
        return Ok(());
    };
    let (name, slot) = pair[1];
    let field = match slot {
        slot if slot < init => format!("spec.initContainers[{slot}].name"),
        slot if slot < init + app => format!("spec.containers[{}].name", slot - init),
        slot => format!("spec.ephemeralContainers[{}].name", slot - init - app),
    };
    Err(SpecError::DuplicateName { field, name: name.clone() })
}

/// What is read of a container, whichever API type it has.
struct Declared<'a> {
    name: &'a str,
    image: Option<&'a str>,
    image_pull_policy: Option<&'a str>,
    restart_policy: Option<&'a str>,
    restart_policy_rules: SmallVec<[DeclaredRule<'a>; 2]>,
    startup_probe: Option<&'a v1::Probe>,
    liveness_probe: Option<&'a v1::Probe>,
    readiness_probe: Option<&'a v1::Probe>,
    lifecycle: Option<&'a v1::Lifecycle>,
    resources: Option<&'a v1::ResourceRequirements>,
}

/// A rule as declared: action, operator, values. API versions before 1.34 have no type for it.
struct DeclaredRule<'a> {
    action: &'a str,
    operator: &'a str,
    values: &'a [i32],
}

macro_rules! declared_from {
    ($api:ty) => {
        impl<'a> From<&'a $api> for Declared<'a> {
            fn from(container: &'a $api) -> Self {
                #[allow(unused_mut, reason = "API versions before 1.34 have no rules")]
                let mut restart_policy_rules = SmallVec::new();
                k8s_openapi::k8s_if_ge_1_34! {
                    for rule in container.restart_policy_rules.iter().flatten() {
                        let exit_codes = rule.exit_codes.as_ref();
                        restart_policy_rules.push(DeclaredRule {
                            action: &rule.action,
                            operator: exit_codes.map_or("", |codes| &codes.operator),
                            values: exit_codes
                                .and_then(|codes| codes.values.as_deref())
                                .unwrap_or_default(),
                        });
                    }
                }
                Self {
                    name: &container.name,
                    image: container.image.as_deref(),
                    image_pull_policy: container.image_pull_policy.as_deref(),
                    restart_policy: container.restart_policy.as_deref(),
                    restart_policy_rules,
                    startup_probe: container.startup_probe.as_ref(),
                    liveness_probe: container.liveness_probe.as_ref(),
                    readiness_probe: container.readiness_probe.as_ref(),
                    lifecycle: container.lifecycle.as_ref(),
                    resources: container.resources.as_ref(),
                }
            }
        }
    };
}
declared_from!(v1::Container);
declared_from!(v1::EphemeralContainer);

fn compile_container(
    declared: &Declared<'_>,
    init: bool,
    path: &str,
    gates: FeatureGates,
) -> Result<Container, SpecError> {
    if declared.name.is_empty() {
        return Err(SpecError::Required { field: format!("{path}.name") });
    }
    let image = declared.image.unwrap_or_default();
    let policy = restart_policy(declared.restart_policy, &format!("{path}.restartPolicy"))?
        .map(ContainerRestartPolicy::from);
    let restartable = init
        && policy == Some(ContainerRestartPolicy::Always)
        && gates.enabled(Feature::SidecarContainers);
    let rules_enabled = gates.enabled(Feature::ContainerRestartRules);
    let rules = if rules_enabled {
        (0..)
            .zip(&declared.restart_policy_rules)
            .map(|(index, rule)| restart_rule(rule, &format!("{path}.restartPolicyRules[{index}]")))
            .collect::<Result<_, _>>()?
    } else {
        Box::default()
    };
    Ok(Container {
        name: declared.name.into(),
        image: image.into(),
        kind: match (init, restartable) {
            (true, true) => ContainerKind::RestartableInit,
            (true, false) => ContainerKind::Init,
            (false, _) => ContainerKind::App,
        },
        image_pull_policy: image_pull_policy(declared.image_pull_policy, path)?,
        restart_policy: policy.filter(|_| rules_enabled),
        restart_policy_rules: rules,
        startup_probe: declared.startup_probe.map(probe),
        liveness_probe: declared.liveness_probe.map(probe),
        readiness_probe: declared.readiness_probe.map(probe),
        post_start: declared.lifecycle.and_then(|hooks| hooks.post_start.as_ref()).map(handler),
        pre_stop: declared.lifecycle.and_then(|hooks| hooks.pre_stop.as_ref()).map(handler),
        definition_hash: super::container::definition_hash(declared.name, image),
        resources_hash: resources_hash(declared.resources, gates),
    })
}

fn restart_policy(value: Option<&str>, field: &str) -> Result<Option<RestartPolicy>, SpecError> {
    match value {
        None | Some("") => Ok(None),
        Some("Always") => Ok(Some(RestartPolicy::Always)),
        Some("OnFailure") => Ok(Some(RestartPolicy::OnFailure)),
        Some("Never") => Ok(Some(RestartPolicy::Never)),
        Some(other) => Err(SpecError::NotSupported {
            field: field.to_owned(),
            value: other.to_owned(),
            supported: r#""Always", "Never", "OnFailure""#,
        }),
    }
}

fn restart_rule(rule: &DeclaredRule<'_>, path: &str) -> Result<RestartRule, SpecError> {
    let not_supported = |field: &str, value: &str, supported| SpecError::NotSupported {
        field: format!("{path}.{field}"),
        value: value.to_owned(),
        supported,
    };
    Ok(RestartRule {
        action: match rule.action {
            "Restart" => RestartRuleAction::Restart,
            "RestartAllContainers" => RestartRuleAction::RestartAllContainers,
            other => {
                return Err(not_supported("action", other, r#""Restart", "RestartAllContainers""#));
            }
        },
        operator: match rule.operator {
            "In" => ExitCodeOperator::In,
            "NotIn" => ExitCodeOperator::NotIn,
            other => {
                return Err(not_supported("exitCodes.operator", other, r#""In", "NotIn""#));
            }
        },
        values: rule.values.into(),
    })
}

fn image_pull_policy(value: Option<&str>, path: &str) -> Result<ImagePullPolicy, SpecError> {
    match value.unwrap_or_default() {
        "Always" => Ok(ImagePullPolicy::Always),
        "IfNotPresent" => Ok(ImagePullPolicy::IfNotPresent),
        "Never" => Ok(ImagePullPolicy::Never),
        other => Err(SpecError::NotSupported {
            field: format!("{path}.imagePullPolicy"),
            value: other.to_owned(),
            supported: r#""Always", "IfNotPresent", "Never""#,
        }),
    }
}

fn probe(probe: &v1::Probe) -> Probe {
    Probe {
        initial_delay_seconds: probe.initial_delay_seconds.unwrap_or_default(),
        period_seconds: probe.period_seconds.unwrap_or_default(),
        timeout_seconds: probe.timeout_seconds.unwrap_or_default(),
        success_threshold: probe.success_threshold.unwrap_or_default(),
        failure_threshold: probe.failure_threshold.unwrap_or_default(),
        termination_grace_period_seconds: probe.termination_grace_period_seconds,
    }
}

fn handler(handler: &v1::LifecycleHandler) -> LifecycleHandler {
    match &handler.sleep {
        Some(sleep) => LifecycleHandler::Sleep { seconds: sleep.seconds },
        None => LifecycleHandler::Other,
    }
}

/// Since 1.34 a crash-loop series belongs to the resources too, in the canonical words that the
/// apiserver has for every quantity.
fn resources_hash(resources: Option<&v1::ResourceRequirements>, gates: FeatureGates) -> u64 {
    let mut hash = Fnv1a::default();
    if gates.has(Change::CrashLoopEndsWithNewResources) {
        let lists = [
            resources.and_then(|resources| resources.limits.as_ref()),
            resources.and_then(|resources| resources.requests.as_ref()),
        ];
        for (kind, list) in lists.into_iter().enumerate() {
            for (name, quantity) in list.into_iter().flatten() {
                hash.write_usize(kind);
                hash.text(name);
                match quantity.0.parse::<Quantity>() {
                    Ok(quantity) => hash.text(&quantity.to_smolstr()),
                    Err(_) => hash.text(&quantity.0),
                }
            }
        }
    }
    hash.finish()
}

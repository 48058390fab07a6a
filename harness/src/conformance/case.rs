//! What the cases of several families have in common.

use std::collections::HashMap;

use crate::with;
use podinit::observation::{ContainerInstance, Exit, InstanceState, ProbeResult, Sandbox};
use podinit::{FeatureGates, KubernetesVersion, Observation, PodSpec, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::BadCase;

/// One field of a case.
///
/// # Errors
/// If the case has there what it cannot have.
pub fn field<'a, T: Deserialize<'a>>(case: &'a Value, name: &str) -> Result<T, BadCase> {
    T::deserialize(case.get(name).unwrap_or(&Value::Null))
        .map_err(|error| BadCase(format!("{name}: {error}")))
}

/// As [`field`], with the default where it is absent.
///
/// # Errors
/// If the case has there what it cannot have.
pub fn field_or_default<'a, T: Deserialize<'a> + Default>(
    case: &'a Value,
    name: &str,
) -> Result<T, BadCase> {
    Ok(field::<Option<T>>(case, name)?.unwrap_or_default())
}

/// A case in which the fields of the `answer`, if it has one, stand beside those of the question.
pub fn flat(case: &Value) -> Value {
    let mut flat = case.clone();
    if let Some(fields) = flat.as_object_mut()
        && let Some(Value::Object(answer)) = fields.remove("answer")
    {
        fields.extend(answer);
    }
    flat
}

/// The gates of the case's version, with the features that it names.
///
/// # Errors
/// If the case has there what it cannot have.
pub fn gates(case: &Value) -> Result<FeatureGates, BadCase> {
    let version: Option<String> = field(case, "kubernetes")?;
    let version: KubernetesVersion =
        version.map_or(Ok(KubernetesVersion::default()), |v| v.parse())?;
    let mut gates = version.feature_gates();
    if let Some(features) = case.get("features").and_then(Value::as_object) {
        for (name, value) in features {
            // A recorded function was called with these gates, whatever they depend on.
            gates.set_unchecked(name.parse()?, value.as_bool().unwrap_or_default())?;
        }
    }
    Ok(gates)
}

/// The case's `pod`, compiled as it is.
///
/// # Errors
/// If the case has there what it cannot have.
pub fn pod(case: &Value) -> Result<PodSpec, BadCase> {
    Ok(PodSpec::compile_unchecked(&field(case, "pod")?, gates(case)?)?)
}

/// The case's `sandboxes` and `containers`.
///
/// # Errors
/// If the case has there what it cannot have.
pub fn observation(case: &Value, pod: &PodSpec) -> Result<Observation, BadCase> {
    observation_with_ids(case, pod, str::to_owned)
}

/// As [`observation`], the containers' ids being changed on the way.
///
/// # Errors
/// If the case has there what it cannot have.
pub fn observation_with_ids(
    case: &Value,
    pod: &PodSpec,
    id: impl Fn(&str) -> String,
) -> Result<Observation, BadCase> {
    let mut observation = Observation::new();
    for sandbox in field_or_default::<Vec<SandboxCase>>(case, "sandboxes")? {
        observation.push_sandbox(with!(Sandbox {
            id: sandbox.id.into(),
            ready: sandbox.ready,
            attempt: sandbox.attempt,
            has_ip: sandbox.has_ip,
            host_network: sandbox.host_network,
            ..Sandbox::default()
        }));
    }
    let readiness = readiness_probes(case)?;
    for container in field_or_default::<Vec<ContainerCase>>(case, "containers")? {
        let name = container.name.clone();
        let readiness = readiness.get(&container.id).map(String::as_str);
        let mut instance = container.instance(pod)?;
        instance.readiness_probe = probe_result(readiness)?;
        instance.id = id(&instance.id).into();
        observation.push_named(pod, &name, instance);
    }
    Ok(observation)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct SandboxCase {
    id: String,
    ready: bool,
    attempt: u32,
    #[serde(rename = "hasIP")]
    has_ip: bool,
    host_network: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ContainerCase {
    id: String,
    name: String,
    #[serde(rename = "sandboxID")]
    sandbox_id: String,
    state: String,
    exit_code: i32,
    reason: String,
    message: String,
    restart_count: u32,
    created_at: Option<Timestamp>,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    definition_changed: bool,
    startup_probe: Option<String>,
    liveness_probe: Option<String>,
}

/// The case's `readinessProbes`, by the id of the instance.
fn readiness_probes(case: &Value) -> Result<HashMap<String, String>, BadCase> {
    field_or_default(case, "readinessProbes")
}

impl ContainerCase {
    fn instance(self, pod: &PodSpec) -> Result<ContainerInstance, BadCase> {
        let state = match self.state.as_str() {
            "created" => InstanceState::Created,
            "running" => InstanceState::Running,
            "exited" => InstanceState::Exited(with!(Exit {
                exit_code: self.exit_code,
                reason: self.reason.into(),
                message: self.message.into(),
                finished_at: self.finished_at,
                ..Exit::default()
            })),
            "unknown" => InstanceState::Unknown,
            other => return Err(BadCase(format!("containers: unknown state {other:?}"))),
        };
        let hash = pod.find(&self.name).map_or(0, |index| pod.container(index).definition_hash());
        let mut instance = ContainerInstance::new(self.id, self.sandbox_id, state);
        instance.created_at = self.created_at;
        instance.started_at = self.started_at;
        instance.restart_count = self.restart_count;
        instance.definition_hash = Some(if self.definition_changed { !hash } else { hash });
        instance.startup_probe = probe_result(self.startup_probe.as_deref())?;
        instance.liveness_probe = probe_result(self.liveness_probe.as_deref())?;
        Ok(instance)
    }
}

/// A probe's last result as the cases spell it.
///
/// # Errors
/// If the case has there what it cannot have.
pub fn probe_result(text: Option<&str>) -> Result<Option<ProbeResult>, BadCase> {
    match text {
        None | Some("") => Ok(None),
        Some("Success") => Ok(Some(ProbeResult::Success)),
        Some("Failure") => Ok(Some(ProbeResult::Failure)),
        Some("UNKNOWN") => Ok(Some(ProbeResult::Unknown)),
        Some(other) => Err(BadCase(format!("unknown probe result {other:?}"))),
    }
}

//! A life as a question: a pod and what happens to it.

use k8s_openapi::api::core::v1;
use podinit::scenario::Scenario;
use podinit::{Feature, FeatureGates, KubernetesVersion, PodSpec};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A pod and what happens to it: what a scenario file has.
#[derive(Clone, Debug, PartialEq)]
pub struct LifeCase {
    /// The pod, as a manifest has it.
    pub pod: Value,
    /// What happens to it.
    pub scenario: Scenario,
}

/// A case that cannot be played.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CaseError(String);

impl CaseError {
    pub(crate) fn new(problem: impl ToString) -> Self {
        Self(problem.to_string())
    }
}

impl LifeCase {
    /// Reads a scenario file: an object with `pod` and `scenario`.
    ///
    /// # Errors
    /// If it is no YAML, has other fields, or the scenario cannot be read.
    pub fn from_yaml(text: &str) -> Result<Self, CaseError> {
        Self::from_value(serde_yaml::from_str(text).map_err(CaseError::new)?)
    }

    /// The same from a tree.
    ///
    /// # Errors
    /// If it has other fields, or the scenario cannot be read.
    pub fn from_value(value: Value) -> Result<Self, CaseError> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            pod: Value,
            #[serde(default)]
            scenario: Scenario,
        }
        let File { pod, scenario } = from_value(value)?;
        Ok(Self { pod, scenario })
    }

    /// The same life as a Kubernetes version can have it: restart rules, or actions of theirs, that its
    /// API refuses are left out.
    #[must_use]
    pub fn known_to(mut self, kubernetes: KubernetesVersion) -> Self {
        let gates = kubernetes.feature_gates();
        let rules = gates.enabled(Feature::ContainerRestartRules);
        let all = gates.enabled(Feature::RestartAllContainersOnContainerExits);
        for list in ["containers", "initContainers"] {
            for container in self.pod["spec"][list].as_array_mut().into_iter().flatten() {
                let Some(fields) = container.as_object_mut() else { continue };
                if !rules {
                    fields.remove("restartPolicyRules");
                    let is_sidecar = fields.get("restartPolicy").is_some_and(|it| it == "Always");
                    if list == "containers" || !is_sidecar {
                        fields.remove("restartPolicy");
                    }
                }
                let rules = fields.get_mut("restartPolicyRules").and_then(Value::as_array_mut);
                for rule in rules.into_iter().flatten().filter(|_| !all) {
                    rule["action"] = "Restart".into();
                }
            }
        }
        self
    }

    /// Written as a scenario file.
    pub fn to_yaml(&self) -> String {
        serde_yaml::to_string(&self.to_value()).unwrap_or_default()
    }

    /// Written as a tree.
    pub fn to_value(&self) -> Value {
        json!({"pod": self.pod, "scenario": self.scenario})
    }

    /// What the oracle is asked.
    pub fn request(&self) -> Value {
        self.to_value()
    }

    /// The pod under a name and a UID, in the namespace `default` unless it says another.
    ///
    /// # Errors
    /// If it is no pod.
    pub fn pod(&self, name: &str, uid: &str) -> Result<v1::Pod, CaseError> {
        let mut pod: v1::Pod = from_value(self.pod.clone())?;
        pod.metadata.name = Some(name.to_owned());
        pod.metadata.uid = Some(uid.to_owned());
        pod.metadata.namespace.get_or_insert_with(|| "default".to_owned());
        Ok(pod)
    }

    /// The same, as the rules of a version have it.
    ///
    /// # Errors
    /// If it is no pod, or the scenario sets a gate that there is not.
    pub fn compile(
        &self,
        name: &str,
        uid: &str,
        version: KubernetesVersion,
    ) -> Result<PodSpec, CaseError> {
        PodSpec::compile(&self.pod(name, uid)?, self.gates(version)?).map_err(CaseError::new)
    }

    /// The feature gates of its node.
    ///
    /// # Errors
    /// If podinit does not know one of those that the scenario sets.
    pub fn gates(&self, version: KubernetesVersion) -> Result<FeatureGates, CaseError> {
        let mut gates = FeatureGates::for_version(version);
        for (name, value) in &self.scenario.node.feature_gates {
            gates.set_by_name(name, *value).map_err(CaseError::new)?;
        }
        Ok(gates)
    }
}

fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, CaseError> {
    serde_json::from_value(value).map_err(CaseError::new)
}

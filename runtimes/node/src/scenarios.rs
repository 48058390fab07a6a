//! Scenarios for many pods, by selectors.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1;
use podinit::scenario::Scenario;
use serde::Deserialize;

/// The annotation of a pod that holds its scenario, in YAML or JSON.
pub const ANNOTATION: &str = "podinit.dev/scenario";

/// A file of scenarios: of those whose selector fits a pod, the first counts.
///
/// ```
/// let file: podinit_node::Scenarios = r#"
/// scenarios:
/// - selector: {namespace: shop, labels: {app: web}}
///   scenario: {containers: {app: {instances: [{runFor: 5s, exitCode: 1}]}}}
/// - selector: {ownerKind: Job, image: "report:"}
///   scenario: {containers: {report: {instances: [{runFor: 30s}]}}}
/// "#.parse()?;
/// # Ok::<(), podinit_node::ScenariosError>(())
/// ```
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenarios {
    scenarios: Vec<Entry>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(default)]
    selector: Selector,
    scenario: Scenario,
}

/// Which pods. What is not said fits all.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Selector {
    namespace: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    owner_kind: Option<String>,
    owner_name: Option<String>,
    /// The beginning of the image of any of its containers.
    image: Option<String>,
}

/// A file that holds no scenarios.
#[derive(Debug, thiserror::Error)]
#[error("scenarios: {0}")]
pub struct ScenariosError(#[from] serde_yaml::Error);

impl std::str::FromStr for Scenarios {
    type Err = ScenariosError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(serde_yaml::from_str(text)?)
    }
}

impl Scenarios {
    /// The scenario of a pod, if there is one.
    pub fn of(&self, pod: &v1::Pod) -> Option<&Scenario> {
        let found = self.scenarios.iter().find(|entry| entry.selector.fits(pod));
        found.map(|entry| &entry.scenario)
    }
}

impl Selector {
    fn fits(&self, pod: &v1::Pod) -> bool {
        let metadata = &pod.metadata;
        let label = |(key, value): (&String, &String)| {
            metadata.labels.as_ref().and_then(|labels| labels.get(key)) == Some(value)
        };
        let owner = |kind: Option<&String>, name: Option<&String>| {
            let mut owners = metadata.owner_references.iter().flatten();
            (kind.is_none() && name.is_none())
                || owners.any(|owner| {
                    kind.is_none_or(|kind| *kind == owner.kind)
                        && name.is_none_or(|name| *name == owner.name)
                })
        };
        let has_image = |image: &String| {
            let spec = pod.spec.as_ref();
            let mut containers = spec
                .into_iter()
                .flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers));
            containers.any(|container| {
                container.image.as_ref().is_some_and(|of| of.starts_with(image.as_str()))
            })
        };
        self.namespace
            .as_ref()
            .is_none_or(|namespace| metadata.namespace.as_ref() == Some(namespace))
            && self.labels.iter().all(label)
            && owner(self.owner_kind.as_ref(), self.owner_name.as_ref())
            && self.image.as_ref().is_none_or(has_image)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_selector_that_fits_counts() {
        let file: Scenarios = "
scenarios:
- selector: {ownerKind: Job, ownerName: nightly, image: 'report:'}
  scenario: {until: 1m}
- selector: {namespace: shop, labels: {app: web}}
  scenario: {until: 2m}
- scenario: {until: 3m}
"
        .parse()
        .unwrap();
        let until = |pod| {
            let pod = serde_json::from_value(pod).unwrap();
            file.of(&pod).unwrap().until.0.as_secs() / 60
        };
        let web = json!({"namespace": "shop", "labels": {"app": "web", "more": "x"}});
        assert_eq!(until(json!({"metadata": web})), 2);
        let owner = json!([{"apiVersion": "v1", "kind": "Job", "name": "nightly", "uid": "1"}]);
        let metadata = json!({"namespace": "shop", "ownerReferences": owner});
        let containers = json!([{"name": "a", "image": "report:2"}]);
        assert_eq!(until(json!({"metadata": metadata, "spec": {"containers": containers}})), 1);
        assert_eq!(until(json!({"metadata": metadata, "spec": {"containers": []}})), 3);
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let error = "scenarios: [{scenario: {containers: {a: {instances: [{runsFor: 1s}]}}}}]"
            .parse::<Scenarios>();
        let error = error.unwrap_err().to_string();
        assert!(error.contains("containers.a.instances[0]") && error.contains("runFor"), "{error}");
        assert!("scenario: {}".parse::<Scenarios>().is_err());
    }
}

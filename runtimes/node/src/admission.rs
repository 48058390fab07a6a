//! What a node has room for: pods that come by another way than the scheduler can be too much.
//!
//! Source: `pkg/kubelet/lifecycle/predicate.go`.

use std::collections::{BTreeMap, HashMap};

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use podinit::FeatureGates;
use podinit::resources::{PodResources, ResourceList, ResourceListError};
use podinit::scheduler::{NodeUsage, Unschedulable};

/// Why a node does not take a pod, in the kubelet's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: String,
    pub(crate) message: String,
}

/// The accounts of a node.
#[derive(Debug)]
pub(crate) struct Admission {
    has: BTreeMap<String, String>,
    usage: NodeUsage,
    /// The pods that count, by uid.
    counted: HashMap<String, PodResources>,
}

impl Admission {
    pub(crate) fn new(capacity: &BTreeMap<String, String>) -> Result<Self, ResourceListError> {
        let amounts =
            capacity.iter().map(|(name, amount)| (name.clone(), Quantity(amount.clone())));
        let amounts: BTreeMap<String, Quantity> = amounts.collect();
        let usage = NodeUsage::new(&ResourceList::try_from(&amounts)?);
        Ok(Self { has: capacity.clone(), usage, counted: HashMap::new() })
    }

    /// Counts a pod. One that is new is refused if there is no room for it; one that was here before
    /// the node started is not.
    pub(crate) fn admit(
        &mut self,
        uid: &str,
        pod: &v1::Pod,
        gates: FeatureGates,
        is_new: bool,
    ) -> Result<(), Refusal> {
        let Ok(resources) = PodResources::compile(pod, gates) else { return Ok(()) };
        if is_new && let Err(Unschedulable::Insufficient(lacks)) = self.usage.fits(&resources) {
            // Of a resource of others that the node does not know it cannot have too little.
            let known = |name: &str| !name.contains('/') || self.has.contains_key(name);
            if let Some(lack) = lacks.iter().find(|lack| known(lack.resource.as_str())) {
                return Err(Refusal {
                    reason: format!("OutOf{}", lack.resource),
                    message: format!(
                        "Node didn't have enough resource: {}, requested: {}, used: {}, capacity: {}",
                        lack.resource, lack.requested, lack.used, lack.capacity
                    ),
                });
            }
        }
        if self.usage.add(&resources).is_ok() {
            self.counted.insert(uid.to_owned(), resources);
        }
        Ok(())
    }

    /// The pod needs nothing any more.
    pub(crate) fn leave(&mut self, uid: &str) {
        if let Some(resources) = self.counted.remove(uid)
            && let Err(error) = self.usage.remove(&resources)
        {
            tracing::error!(uid, %error, "the accounts of a node are wrong");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_too_much_is_refused_in_the_kubelets_words() {
        let capacity = [("cpu", "1"), ("memory", "1Gi"), ("pods", "2")];
        let capacity = capacity.map(|(name, amount)| (name.to_owned(), amount.to_owned())).into();
        let mut node = Admission::new(&capacity).unwrap();
        let pod = |requests| {
            let container = json!({"name": "a", "resources": {"requests": requests}});
            serde_json::from_value(json!({"spec": {"containers": [container]}})).unwrap()
        };
        let gates = FeatureGates::default();
        let big = pod(json!({"cpu": "600m"}));
        assert_eq!(node.admit("1", &big, gates, true), Ok(()));
        let refusal = node.admit("2", &big, gates, true).unwrap_err();
        assert_eq!(refusal.reason, "OutOfcpu");
        assert_eq!(
            refusal.message,
            "Node didn't have enough resource: cpu, requested: 600, used: 600, capacity: 1000"
        );
        assert_eq!(node.admit("3", &pod(json!({"example.com/x": "1"})), gates, true), Ok(()));
        assert_eq!(node.admit("4", &pod(json!({})), gates, true).unwrap_err().reason, "OutOfpods");
        node.leave("1");
        node.leave("1");
        assert_eq!(node.admit("2", &big, gates, true), Ok(()));
        assert_eq!(node.admit("5", &big, gates, false), Ok(()), "it was here before");
        assert!(Admission::new(&[("cpu".to_owned(), "much".to_owned())].into()).is_err());
    }
}

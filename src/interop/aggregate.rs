//! What a pod's containers need together, straight from the API's types
//! (`AggregateContainerRequests`, `AggregateContainerLimits`).

use alloc::collections::BTreeMap;
use alloc::string::String;

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use crate::resources::Quantity;

type ResourceList = BTreeMap<String, ApiQuantity>;
type Sums<'a> = BTreeMap<&'a str, Quantity>;

/// The larger of what runs together in the end (apps and restartable init containers) and of what
/// runs at any time before it (an init container and the restartable ones declared before it).
///
/// `list` chooses requests or limits. What is no quantity is left out.
pub(crate) fn aggregate<'a>(
    spec: &'a v1::PodSpec,
    list: impl Fn(&'a v1::ResourceRequirements) -> Option<&'a ResourceList>,
) -> Sums<'a> {
    let own = |container: &'a v1::Container| -> Sums<'a> {
        let list = container.resources.as_ref().and_then(&list);
        list.into_iter()
            .flatten()
            .filter_map(|(name, text)| Some((name.as_str(), Quantity::try_from(text).ok()?)))
            .collect()
    };
    let mut running = Sums::new();
    for container in &spec.containers {
        add(&mut running, &own(container));
    }
    let mut restartable = Sums::new();
    let mut starting = Sums::new();
    for container in spec.init_containers.iter().flatten() {
        let mut at_once = own(container);
        if container.restart_policy.as_deref() == Some("Always") {
            add(&mut running, &at_once);
            add(&mut restartable, &at_once);
            at_once.clone_from(&restartable);
        } else {
            add(&mut at_once, &restartable);
        }
        raise(&mut starting, &at_once);
    }
    raise(&mut running, &starting);
    running
}

fn add<'a>(sums: &mut Sums<'a>, more: &Sums<'a>) {
    for (name, quantity) in more {
        let sum = sums.entry(name).or_default();
        *sum = sum.saturating_add(*quantity);
    }
}

fn raise<'a>(sums: &mut Sums<'a>, others: &Sums<'a>) {
    for (name, quantity) in others {
        let sum = sums.entry(name).or_insert(*quantity);
        *sum = (*sum).max(*quantity);
    }
}

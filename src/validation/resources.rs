//! Resources of containers and of the pod (`validateResourceRequirements`, `validatePodResources`).

use alloc::borrow::{Cow, ToOwned};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use super::field::{BadValue, Errors, Path};
use super::names;
use crate::quantity::Quantity;
use crate::resources::{
    PodResources, PodResourcesOptions, ResourceList as Sums, ResourceName, Texts,
    aggregate_container_limits, aggregate_container_requests, limits_of, requests_of,
};
use crate::version::FeatureGates;

/// `isNegativeErrorMsg`.
pub(super) const NOT_NEGATIVE: &str = "must be greater than or equal to 0";

type ResourceList = BTreeMap<String, ApiQuantity>;

/// Whose resources they are: which names are possible differs.
#[derive(Clone, Copy, PartialEq)]
enum Owner {
    Container,
    Pod,
}

/// Names without a prefix that a quota or a container may use (`standardResources`).
const STANDARD: [&str; 20] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "storage",
    "requests.storage",
    "services.nodeports",
    "services.loadbalancers",
];

/// Is it one of those by which pods are classed?
fn is_compute(name: &ResourceName) -> bool {
    [ResourceName::CPU, ResourceName::MEMORY].contains(name)
}

/// May the limit be more than the request?
fn is_overcommit_allowed(name: &ResourceName) -> bool {
    name.is_native() && !name.is_hugepages()
}

/// `ValidateContainerResourceRequirements`.
pub(super) fn validate_container(
    requirements: &v1::ResourceRequirements,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    validate_requirements(
        Owner::Container,
        requirements.limits.as_ref(),
        requirements.requests.as_ref(),
        path,
        errors,
    );
}

/// `validateOverhead`: like the limits of a container.
pub(super) fn validate_overhead(overhead: &ResourceList, path: &Path<'_>, errors: &mut Errors) {
    validate_requirements(Owner::Container, Some(overhead), None, path, errors);
}

/// `validatePodResources`: the pod's own resources, and that its containers fit into them.
pub(super) fn validate_pod(
    spec: &v1::PodSpec,
    path: &Path<'_>,
    gates: FeatureGates,
    errors: &mut Errors,
) {
    let Some(resources) = &spec.resources else { return };
    if resources.claims.is_some() {
        errors.forbidden(&path.child("claims"), "claims may not be set for Resources at pod-level");
    }
    let (limits, requests) = (resources.limits.as_ref(), resources.requests.as_ref());
    validate_requirements(Owner::Pod, limits, requests, path, errors);
    // Without all of its amounts a pod cannot be added up; what cannot be read has its error.
    if let Ok(containers) = PodResources::compile_spec(spec, None, gates) {
        validate_consistency(spec, &containers, path, errors);
    }
}

fn validate_requirements(
    owner: Owner,
    limits: Option<&ResourceList>,
    requests: Option<&ResourceList>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let limits_path = path.child("limits");
    let requests_path = path.child("requests");
    for (name, quantity) in limits.into_iter().flatten() {
        let path = limits_path.key(name);
        let name = ResourceName::from(name.as_str());
        validate_name(owner, &name, &path, errors);
        validate_quantity(&name, quantity, &path, errors);
    }
    for (key, quantity) in requests.into_iter().flatten() {
        let path = requests_path.key(key);
        let name = ResourceName::from(key.as_str());
        validate_name(owner, &name, &path, errors);
        validate_quantity(&name, quantity, &path, errors);
        let Some(limit) = limits.and_then(|limits| limits.get(key)) else {
            if !is_overcommit_allowed(&name) {
                errors.required(&limits_path, "Limit must be set for non overcommitable resources");
            }
            continue;
        };
        // What cannot be read has its error already.
        let (Ok(request), Ok(most)) = (Quantity::try_from(quantity), Quantity::try_from(limit))
        else {
            continue;
        };
        let relation = if request != most && !is_overcommit_allowed(&name) {
            "equal to"
        } else if request > most {
            "less than or equal to"
        } else {
            continue;
        };
        let detail = format!("must be {relation} {name} limit of {}", string_of(limit));
        errors.invalid(&requests_path, string_of(quantity), detail);
    }
    let names = || {
        let lists = limits.into_iter().chain(requests);
        lists.flat_map(BTreeMap::keys).map(|name| ResourceName::from(name.as_str()))
    };
    if names().any(|name| name.is_hugepages()) && !names().any(|name| is_compute(&name)) {
        errors.forbidden(path, "HugePages require cpu or memory");
    }
}

/// `validateContainerResourceName`, `validatePodResourceName`.
fn validate_name(owner: Owner, name: &ResourceName, path: &Path<'_>, errors: &mut Errors) {
    let text = name.as_str();
    let qualified = text.contains('/');
    let breaches = names::qualified_name(text, errors.gates());
    let well_formed = breaches.is_empty();
    let standard = qualified
        || STANDARD.contains(&text)
        || name.is_hugepages()
        || text.starts_with("requests.hugepages-");
    if well_formed && !standard {
        errors.invalid(
            path,
            BadValue::word(text),
            "must be a standard resource type or fully qualified",
        );
    }
    for breach in breaches {
        errors.invalid(path, BadValue::word(text), breach);
    }
    let possible = is_compute(name) || name.is_hugepages();
    match owner {
        Owner::Pod => {
            if well_formed && standard && !possible {
                errors.not_supported(path, text, &["cpu", "hugepages-", "memory"]);
            }
        }
        Owner::Container if qualified => {
            if !name.is_native() && !name.is_extended() {
                errors.invalid(
                    path,
                    BadValue::word(text),
                    "doesn't follow extended resource name standard",
                );
            }
        }
        Owner::Container => {
            if !possible && *name != ResourceName::EPHEMERAL_STORAGE {
                errors.invalid(
                    path,
                    BadValue::word(text),
                    "must be a standard resource for containers",
                );
            }
        }
    }
}

/// `ValidateResourceQuantityValue`, and what holds for huge pages.
fn validate_quantity(
    name: &ResourceName,
    quantity: &ApiQuantity,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let value = match Quantity::try_from(quantity) {
        Ok(value) => value,
        Err(error) => {
            errors.invalid(path, quantity.0.as_str(), error.to_string());
            return;
        }
    };
    if value < Quantity::ZERO {
        errors.invalid(path, string_of(quantity), NOT_NEGATIVE);
    }
    if name.is_extended() && value.milli_value() % 1000 != 0 {
        errors.invalid(path, string_of(quantity), "must be an integer");
    }
    if let Some(size) = name.page_size()
        && !is_multiple(value, size)
    {
        let detail = format!("{} is not positive integer multiple of {name}", string_of(quantity));
        errors.invalid(path, string_of(quantity), detail);
    }
}

/// As Kubernetes shows what it has read; what cannot be read as it is.
pub(super) fn string_of(quantity: &ApiQuantity) -> String {
    let text = quantity.0.as_str();
    Quantity::string_of(text).map_or_else(|_| text.to_owned(), Cow::into_owned)
}

/// Whole pages of this size?
fn is_multiple(value: Quantity, size: &str) -> bool {
    size.parse::<Quantity>().is_ok_and(|size| {
        size > Quantity::ZERO && size.milli_value() % 1000 == 0 && value.value() % size.value() == 0
    })
}

/// An amount, and as it was written.
fn quantity_of<'a>(
    list: Option<&'a ResourceList>,
    name: &str,
) -> Option<(Quantity, &'a ApiQuantity)> {
    let text = list.and_then(|list| list.get(name))?;
    Some((Quantity::try_from(text).ok()?, text))
}

/// `validatePodResourceConsistency`: the containers' requests fit into the pod's together, their
/// limits one by one. A resource that the pod does not name is not compared.
fn validate_consistency(
    spec: &v1::PodSpec,
    containers: &PodResources,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let own = spec.resources.as_ref();
    let limits = own.and_then(|resources| resources.limits.as_ref());
    let requests = own.and_then(|resources| resources.requests.as_ref());
    let init = spec.init_containers.as_deref().unwrap_or_default();
    let texts = Texts { init, apps: &spec.containers };
    let options = PodResourcesOptions::default();
    let mut together = Sums::new();
    aggregate_container_requests(containers, &options, &mut together);
    let requests_path = path.child("requests");
    for (name, sum) in together.iter() {
        let pod = quantity_of(requests, name.as_str()).filter(|(pod, _)| sum > pod);
        if let Some((_, pod)) = pod {
            let sum = string_of(&texts.of_sum(requests_of, name.as_str(), *sum));
            let detail =
                format!("must be greater than or equal to aggregate container requests of {sum}");
            errors.invalid(&requests_path.key(name.as_str()), string_of(pod), detail);
        }
    }
    aggregate_container_limits(containers, &options, &mut together);
    let limits_path = path.child("limits");
    for (name, sum) in together.iter().filter(|(name, _)| name.is_hugepages()) {
        let pod = quantity_of(limits, name.as_str()).filter(|(pod, _)| sum > pod);
        if let Some((_, pod)) = pod {
            let sum = string_of(&texts.of_sum(limits_of, name.as_str(), *sum));
            let detail =
                format!("must be greater than or equal to aggregate container limits of {sum}");
            errors.invalid(&limits_path.key(name.as_str()), string_of(pod), detail);
        }
    }
    // The apiserver reports these below the pod's resources, where there are no containers.
    let list = path.child("containers");
    for (index, container) in spec.containers.iter().enumerate() {
        let path = list.index(index);
        let own = container.resources.as_ref().and_then(|resources| resources.limits.as_ref());
        for (name, limit) in own.into_iter().flatten() {
            let Some((most, pod)) = quantity_of(limits, name) else { continue };
            if Quantity::try_from(limit).is_ok_and(|limit| limit > most) {
                let detail =
                    format!("must be less than or equal to pod limits of {}", string_of(pod));
                errors.invalid(&path.key(name).child("limits"), string_of(limit), detail);
            }
        }
    }
}

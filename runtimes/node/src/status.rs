//! A pod's status as it is written into the API.

use k8s_openapi::api::core::v1;
use podinit::status::{ContainerState, PodCondition, condition_type};
use podinit::{PodStatus, Timestamp};
use serde_json::{Value, json};

use crate::life::PodLife;

const OWNED: &[&str] = &[
    condition_type::POD_SCHEDULED,
    condition_type::READY,
    condition_type::INITIALIZED,
    condition_type::CONTAINERS_READY,
    condition_type::POD_READY_TO_START_CONTAINERS,
    condition_type::POD_RESIZE_PENDING,
    condition_type::POD_RESIZE_IN_PROGRESS,
    condition_type::ALL_CONTAINERS_RESTARTING,
];

/// Does the kubelet alone write conditions of this type?
pub(crate) fn is_kubelets_type(condition_type: &str) -> bool {
    OWNED.contains(&condition_type)
}

/// Is this condition one that the kubelet has written?
pub(crate) fn is_kubelets(condition: &PodCondition) -> bool {
    let by_kubelet = condition.reason == "TerminationByKubelet";
    is_kubelets_type(&condition.condition_type)
        || (condition.condition_type == condition_type::DISRUPTION_TARGET && by_kubelet)
}

/// What the kubelet writes into `status`, conditions of others left out. `real`: when something was, by
/// the clock of the cluster.
pub(crate) fn api_form(
    life: &PodLife,
    host_ip: &str,
    real: impl Fn(Timestamp) -> Timestamp,
) -> Value {
    let mut status = life.status().clone();
    status.conditions.retain(is_kubelets);
    set_times(&mut status, real);
    let generation = life.pod().metadata.generation;
    let mut api = v1::PodStatus::from(&status);
    api.observed_generation = generation;
    for condition in api.conditions.iter_mut().flatten() {
        condition.observed_generation = generation;
    }
    api.host_ip = Some(host_ip.to_owned());
    api.host_ips = Some(vec![v1::HostIP { ip: host_ip.to_owned() }]);
    if let Some(ip) = life.ip() {
        api.pod_ip = Some(ip.to_owned());
        api.pod_ips = Some(vec![v1::PodIP { ip: ip.to_owned() }]);
    }
    api.qos_class = life.pod().status.as_ref().and_then(|status| status.qos_class.clone());
    let lists = [
        &mut api.init_container_statuses,
        &mut api.container_statuses,
        &mut api.ephemeral_container_statuses,
    ];
    for status in lists.into_iter().flatten().flatten() {
        add_resources(status, life.pod());
    }
    json!(api)
}

/// What a container was given, as the kubelet tells it: all that it asked for.
fn add_resources(status: &mut v1::ContainerStatus, pod: &v1::Pod) {
    let spec = pod.spec.as_ref();
    let mut containers = spec
        .into_iter()
        .flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers));
    let found = containers.find(|container| container.name == status.name);
    let Some(resources) = found.and_then(|container| container.resources.clone()) else { return };
    status.allocated_resources = resources.requests.clone();
    let runs = status.state.as_ref().is_some_and(|state| state.running.is_some());
    status.resources = runs.then_some(v1::ResourceRequirements { claims: None, ..resources });
}

fn set_times(status: &mut PodStatus, real: impl Fn(Timestamp) -> Timestamp) {
    let set =
        |time: &mut Option<Timestamp>| *time = time.map(|time| real(time).truncate_to_second());
    set(&mut status.start_time);
    for condition in &mut status.conditions {
        set(&mut condition.last_transition_time);
    }
    let of_state = |state: &mut ContainerState| {
        if let Some(running) = &mut state.running {
            set(&mut running.started_at);
        }
        if let Some(terminated) = &mut state.terminated {
            set(&mut terminated.started_at);
            set(&mut terminated.finished_at);
        }
    };
    let lists = [
        &mut status.init_container_statuses,
        &mut status.container_statuses,
        &mut status.ephemeral_container_statuses,
    ];
    for container in lists.into_iter().flatten() {
        of_state(&mut container.state);
        of_state(&mut container.last_termination_state);
    }
}

/// The times of a status of the API by the node's own clock, as a life takes them up.
pub(crate) fn with_times(pod: &mut v1::Pod, own: impl Fn(Timestamp) -> Timestamp) {
    let Some(status) = &mut pod.status else { return };
    if let Ok(mut known) = PodStatus::try_from(&*status) {
        set_times(&mut known, own);
        let timed = v1::PodStatus::from(&known);
        status.start_time = timed.start_time;
        status.conditions = timed.conditions;
        status.init_container_statuses = timed.init_container_statuses;
        status.container_statuses = timed.container_statuses;
        status.ephemeral_container_statuses = timed.ephemeral_container_statuses;
    }
}

//! What the containers of a pod do: what its scenario says, else its commands, else the usual.

use std::time::Duration;

use k8s_openapi::api::core::v1;
use podinit::PodSpec;
use podinit::pod::ContainerKind;
use podinit::scenario::{ContainerScenario, Instance, Scenario, Stop};

use super::commands;

/// How long an init container runs, and the container of a job, of which nothing else is known.
const A_MOMENT: Duration = Duration::from_secs(1);

/// Adds to a scenario what it does not say of the pod's containers.
pub(super) fn complete(scenario: &mut Scenario, pod: &v1::Pod, spec: &PodSpec, commands: bool) {
    let owners = pod.metadata.owner_references.iter().flatten();
    let of_job = owners.into_iter().any(|owner| owner.kind == "Job");
    for container in spec.containers() {
        let name = container.name();
        if scenario.containers.contains_key(name) {
            continue;
        }
        let understood = declared(pod, name).filter(|_| commands).and_then(|declared| {
            let argv: Vec<String> =
                declared.command.iter().chain(&declared.args).flatten().cloned().collect();
            declared.command.as_ref().and_then(|_| commands::instance(&argv))
        });
        let ends = match container.kind() {
            ContainerKind::Init => true,
            ContainerKind::App => of_job,
            _ => false,
        };
        let instance = understood.unwrap_or_else(|| Instance {
            run_for: ends.then_some(A_MOMENT.into()),
            stop: Some(Stop { exit_code: Some(0), ..Stop::default() }),
            ..Instance::default()
        });
        let instances = vec![instance];
        scenario.containers.insert(name.clone(), ContainerScenario { instances });
    }
}

/// A container as the manifest has it.
pub(super) fn declared(pod: &v1::Pod, name: &str) -> Option<v1::Container> {
    let spec = pod.spec.as_ref()?;
    let mut containers = spec.init_containers.iter().flatten().chain(&spec.containers);
    if let Some(found) = containers.find(|container| container.name == name) {
        return Some(found.clone());
    }
    let mut added = spec.ephemeral_containers.iter().flatten();
    let found = added.find(|container| container.name == name)?;
    Some(v1::Container {
        name: found.name.clone(),
        command: found.command.clone(),
        args: found.args.clone(),
        image: found.image.clone(),
        ..v1::Container::default()
    })
}

//! Family `actions`: what `computePodActions` decides.

use crate::with;
use podinit::actions::ContainerToStart;
use podinit::{ActionContext, Observation, PodActions, PodSpec, compute_pod_actions};
use serde_json::{Value, json};

use super::case::{field_or_default, observation, pod};
use super::{Answer, BadCase, as_set};

pub fn replay(case: &Value) -> Result<Answer, BadCase> {
    let spec = pod(case)?;
    let observation = observation(case, &spec)?;
    let context = with!(ActionContext {
        deletion_requested: !case["pod"]["metadata"]["deletionTimestamp"].is_null(),
        restart_all_containers: field_or_default(case, "restartAllContainers")?,
        ..ActionContext::default()
    });
    let got = answer(&spec, &observation, &compute_pod_actions(&spec, &observation, context));
    let mut expected = case["actions"].clone();
    expected["containersToKill"] = as_set(expected["containersToKill"].take());
    Ok(Answer { expected, got })
}

fn answer(pod: &PodSpec, observation: &Observation, actions: &PodActions) -> Value {
    let positions = |starts: &[ContainerToStart]| -> Vec<usize> {
        starts.iter().map(|start| pod.position_in_list(start.container)).collect()
    };
    let kills = actions.containers_to_kill.iter().map(|kill| {
        let mut answer = json!({
            "id": observation.newest(kill.container).map(|instance| &instance.id),
            "name": pod.container(kill.container).name(),
            "message": kill.message(pod).to_string(),
        });
        if !kill.cause.reason().is_empty() {
            answer["reason"] = kill.cause.reason().into();
        }
        answer
    });
    let resets = actions.containers_to_reset.iter().map(|reset| {
        json!({
            "id": observation.instances(reset.container)[reset.instance].id,
            "name": pod.container(reset.container).name(),
            "kill": reset.kill,
        })
    });
    json!({
        "killPod": actions.kill_pod.is_some(),
        "createSandbox": actions.create_sandbox,
        "sandboxID": actions.sandbox_id,
        "attempt": actions.attempt,
        "initContainersToStart": positions(&actions.init_containers_to_start),
        "containersToStart": positions(&actions.containers_to_start),
        "containersToKill": as_set(kills.collect()),
        "containersToReset": resets.collect::<Vec<_>>(),
    })
}

//! The whole decision (`computePodActions`).

use super::cause::{KillCause, KillPodCause, StartCause};
use super::init::{self, InitAlgorithm, is_definition_changed};
use super::legacy::{self, Next};
use super::restart::should_container_be_restarted;
use super::restart::{RestartDecision, effective_policy, restarts_all_containers};
use super::sandbox::{SandboxChange, pod_sandbox_changed};
use super::{ActionContext, ContainerToReset, ContainerToStart, PodActions};
use crate::observation::{ContainerInstance, InstanceState, Observation, ProbeResult};
use crate::pod::{ContainerIndex, ContainerRestartPolicy, PodSpec, RestartPolicy};
use crate::version::{Change, Feature};

/// What the kubelet does next with this pod.
///
/// Total and deterministic: the same facts always give the same answer, and any facts give one.
///
/// Source: `computePodActions`, `pkg/kubelet/kuberuntime/kuberuntime_manager.go`, v1.36.2; other
/// versions by [`PodSpec::gates`].
///
/// ```
/// use k8s_openapi::api::core::v1::Pod;
/// use podinit::{ActionContext, FeatureGates, Observation, PodSpec, compute_pod_actions};
///
/// let pod: Pod = serde_json::from_value(serde_json::json!({
///     "metadata": {"name": "web"},
///     "spec": {
///         "initContainers": [{"name": "migrate", "image": "db-tools:1"}],
///         "containers": [{"name": "app", "image": "web:1"}],
///     },
/// }))?;
/// let pod = PodSpec::compile(&pod, FeatureGates::default())?;
///
/// // Nothing is there yet: a sandbox is made and the first init container started in it.
/// let actions = compute_pod_actions(&pod, &Observation::new(), ActionContext::default());
/// assert!(actions.create_sandbox);
/// let first = &actions.init_containers_to_start[0];
/// assert_eq!(pod.container(first.container).name(), "migrate");
/// assert!(actions.containers_to_start.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn compute_pod_actions(
    pod: &PodSpec,
    observation: &Observation,
    context: ActionContext,
) -> PodActions {
    let mut actions = PodActions::default();
    compute_pod_actions_into(pod, observation, context, &mut actions);
    actions
}

/// As [`compute_pod_actions`], into a buffer whose memory is used again.
pub fn compute_pod_actions_into(
    pod: &PodSpec,
    observation: &Observation,
    context: ActionContext,
    actions: &mut PodActions,
) {
    actions.clear();
    let sandbox = pod_sandbox_changed(pod, observation);
    actions.sandbox_id = sandbox.sandbox.map(|sandbox| sandbox.id.clone()).unwrap_or_default();
    actions.attempt = sandbox.attempt;
    actions.kill_pod = sandbox.change.map(KillPodCause::NewSandbox);
    actions.create_sandbox = sandbox.change.is_some();

    // Before all rules about the sandbox, which it leaves as they would decide.
    if context.restart_all_containers && pod.enabled(Feature::RestartAllContainersOnContainerExits)
    {
        reset_containers(pod, observation, actions);
        return;
    }
    if let Some(change) = sandbox.change {
        start_over(pod, observation, change, actions);
        return;
    }

    // Ephemeral containers may start before initialisation is complete.
    for container in pod.ephemeral_containers() {
        if observation.newest(container).is_none() {
            let start = ContainerToStart { container, cause: StartCause::Ephemeral };
            actions.ephemeral_containers_to_start.push(start);
        }
    }
    let initialized = match init::algorithm(pod) {
        InitAlgorithm::Current => {
            init::compute_init_container_actions(pod, observation, context, actions)
        }
        InitAlgorithm::Legacy => legacy::compute_init_container_actions(pod, observation, actions),
    };
    if initialized && actions.kill_pod.is_none() {
        compute_app_container_actions(pod, observation, context, actions);
    }
}

/// Removes every instance for a restart in place: those that did not ask for it before those that
/// did, app containers before init containers.
fn reset_containers(pod: &PodSpec, observation: &Observation, actions: &mut PodActions) {
    for sources in [false, true] {
        for container in pod.app_containers().chain(pod.init_containers()) {
            for (position, instance) in observation.instances(container).iter().enumerate() {
                let exit = instance.exit();
                let source = exit.is_some_and(|exit| {
                    restarts_all_containers(pod, pod.container(container), exit.exit_code)
                });
                if source == sources {
                    actions.containers_to_reset.push(ContainerToReset {
                        container,
                        instance: position,
                        kill: exit.is_none(),
                        source,
                    });
                }
            }
        }
    }
}

/// The pod needs a new sandbox: from its beginning, if it is to go on at all.
fn start_over(
    pod: &PodSpec,
    observation: &Observation,
    change: SandboxChange,
    actions: &mut PodActions,
) {
    if pod.restart_policy() == RestartPolicy::Never
        && actions.attempt != 0
        && observation.has_any_instance()
    {
        actions.create_sandbox = false;
        actions.kill_pod = Some(KillPodCause::NoSandboxUnderNever(change));
        return;
    }
    // What ended well under OnFailure has done its work and stays so.
    let has_done_its_work = |index: ContainerIndex| {
        effective_policy(pod, pod.container(index)) == ContainerRestartPolicy::OnFailure
            && observation.newest(index).is_some_and(|instance| succeeded(pod, instance))
    };
    if pod.app_containers().all(has_done_its_work) && has_run(pod, observation) {
        actions.create_sandbox = false;
        actions.kill_pod = Some(KillPodCause::NothingToStart(change));
        return;
    }
    let cause = StartCause::NewSandbox(change);
    match pod.init_containers().next() {
        Some(first) => match init::algorithm(pod) {
            InitAlgorithm::Current => actions.start_init(first, cause),
            InitAlgorithm::Legacy => actions.start_next_init(first, cause),
        },
        None => {
            for container in pod.app_containers().filter(|index| !has_done_its_work(*index)) {
                actions.start_app(container, cause);
            }
        }
    }
}

/// `containerSucceeded`: exited with code 0. Up to 1.31 whatever does not run and has exit code 0,
/// as one has that never ran.
fn succeeded(pod: &PodSpec, instance: &ContainerInstance) -> bool {
    match &instance.state {
        InstanceState::Running => false,
        InstanceState::Created | InstanceState::Unknown => {
            !pod.gates().has(Change::OnlyExitedCountsAsSucceeded)
        }
        InstanceState::Exited(exit) => exit.exit_code == 0,
    }
}

/// Has the pod ever come as far as its app containers?
fn has_run(pod: &PodSpec, observation: &Observation) -> bool {
    match init::algorithm(pod) {
        InitAlgorithm::Legacy => {
            matches!(legacy::find_next_init_container_to_run(pod, observation), Next::Done)
        }
        InitAlgorithm::Current => pod.app_containers().any(|index| {
            observation
                .newest(index)
                .is_some_and(|instance| instance.state != InstanceState::Unknown)
        }),
    }
}

/// The pod is initialised: its app containers are kept as they should be.
fn compute_app_container_actions(
    pod: &PodSpec,
    observation: &Observation,
    context: ActionContext,
    actions: &mut PodActions,
) {
    let mut keeps_any = false;
    for index in pod.app_containers() {
        let newest = observation.newest(index);
        match newest.filter(|instance| instance.is_running()) {
            Some(instance) => match kill_cause(pod, index, instance) {
                None => keeps_any = true,
                Some(cause) => {
                    let policy = effective_policy(pod, pod.container(index));
                    // Neither exit code nor rules are asked when the kubelet itself kills.
                    let restart = cause == KillCause::DefinitionChanged
                        || policy != ContainerRestartPolicy::Never;
                    actions.kill(index, cause, restart);
                    if restart {
                        actions.start_app(index, StartCause::Killed(cause));
                    }
                }
            },
            None => start_if_due(pod, index, newest, context, actions),
        }
    }
    if !keeps_any && actions.containers_to_start.is_empty() {
        actions.kill_pod = Some(KillPodCause::NothingToKeep);
        // Restartable init containers must not keep a pod alive that has done its work.
        if init::algorithm(pod) == InitAlgorithm::Current {
            actions.init_containers_to_start.clear();
        }
    }
}

fn start_if_due(
    pod: &PodSpec,
    index: ContainerIndex,
    newest: Option<&ContainerInstance>,
    context: ActionContext,
    actions: &mut PodActions,
) {
    let deletion = context.deletion_requested;
    let cause = match should_container_be_restarted(pod, index, newest, deletion) {
        RestartDecision::Stay(_) | RestartDecision::Running => return,
        RestartDecision::Restart(verdict) => StartCause::Exited {
            exit_code: newest.and_then(ContainerInstance::exit).map_or(0, |exit| exit.exit_code),
            verdict,
        },
        RestartDecision::Start => match newest.map(|instance| &instance.state) {
            None => StartCause::Initialized,
            Some(InstanceState::Unknown) => {
                actions.kill(index, KillCause::UnknownState, true);
                StartCause::Killed(KillCause::UnknownState)
            }
            Some(_) => StartCause::Created,
        },
    };
    actions.start_app(index, cause);
}

/// Why a running app container is killed, if it is.
fn kill_cause(
    pod: &PodSpec,
    index: ContainerIndex,
    instance: &ContainerInstance,
) -> Option<KillCause> {
    if is_definition_changed(pod, index, instance) {
        Some(KillCause::DefinitionChanged)
    } else if instance.liveness_probe == Some(ProbeResult::Failure) {
        Some(KillCause::LivenessProbeFailed)
    } else if instance.startup_probe == Some(ProbeResult::Failure) {
        Some(KillCause::StartupProbeFailed)
    } else {
        None
    }
}

//! A sync as a list of steps in the kubelet's order, carried out one operation at a time.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, ToSmolStr, format_smolstr};

use super::operation::{
    Failure, Notice, Operation, Outcome, OutcomeKind, RemoveContainer, RunPodSandbox,
    StopContainers, StopPodSandbox,
};
use super::result::{SyncAction, SyncError, SyncResult};
use super::start::StartStep;
use super::stop::StopPurpose;
use super::wake::NextSync;
use super::{PodWorker, WorkerError};
use crate::actions::PodActions;
use crate::event::Event;
use crate::observation::{ContainerInstance, InstanceState, Observation, StrayInstance};
use crate::pod::{ContainerIndex, ContainerKind, PodSpec};
use crate::status::{PodCondition, condition_type};
use crate::termination::{GraceRequest, TerminationPlan};
use crate::time::Timestamp;
use crate::version::Change;

/// What is still to be done in the sync under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Program {
    pub(super) steps: VecDeque<Step>,
    /// What the runtime was asked for and has not answered yet.
    pub(super) under_way: Option<UnderWay>,
    /// The runtime was asked for something.
    begun: bool,
    /// Why the last of the sandboxes that could not be stopped could not.
    pub(super) sandbox_failure: Option<Failure>,
    /// The sandbox in which containers are created.
    pub(super) sandbox_id: SmolStr,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct UnderWay {
    pub(super) operation: Operation,
    began: Timestamp,
    /// Its container has started, or its hook has failed, and that was told.
    pub(super) told: Option<Notice>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Step {
    /// Stop containers, for reasons that the events tell.
    StopContainers {
        plan: TerminationPlan,
        messages: Vec<SmolStr>,
        purpose: StopPurpose,
    },
    /// An instance runs whose name the pod does not have: the kubelet does not know how to stop it.
    StrayRuns {
        name: SmolStr,
        id: SmolStr,
    },
    StopSandbox {
        id: SmolStr,
    },
    /// Every sandbox was asked to stop.
    SandboxesStopped(StopPurpose),
    /// `report`: the removal is one of the sync's results.
    Remove {
        container: ContainerIndex,
        id: SmolStr,
        keep_log: bool,
        report: bool,
    },
    /// A restart in place has removed everything.
    AllRemoved,
    RunSandbox {
        attempt: u32,
    },
    Start(StartStep),
    /// A termination is complete.
    Stopped,
}

impl Program {
    pub(super) fn clear(&mut self) {
        self.steps.clear();
        self.under_way = None;
        self.begun = false;
        self.sandbox_failure = None;
        self.sandbox_id = SmolStr::default();
    }

    /// Containers or sandboxes are being stopped: the runtime was asked to, and has not answered.
    pub(super) fn is_stopping(&self) -> bool {
        let stops = |step: &Step| {
            matches!(
                step,
                Step::StopContainers { .. }
                    | Step::StrayRuns { .. }
                    | Step::StopSandbox { .. }
                    | Step::SandboxesStopped(_)
            )
        };
        self.begun && self.steps.front().is_some_and(stops)
    }

    /// Is there nothing left to do?
    pub(super) fn is_over(&self) -> bool {
        self.steps.is_empty()
    }

    /// Is every container that is still to be dealt with one of this pod?
    pub(super) fn fits(&self, pod: &PodSpec) -> bool {
        let containers = pod.containers().len();
        self.steps.iter().all(|step| match step {
            Step::StopContainers { plan, .. } => {
                plan.stops().iter().all(|stop| stop.container.slot() < containers)
            }
            Step::Remove { container, .. } => container.slot() < containers,
            Step::Start(start) => start.container().slot() < containers,
            _ => true,
        })
    }

    /// The steps of `SyncPod`: kills, removals, pruning, sandbox, ephemeral, init, app containers.
    pub(super) fn load(
        &mut self,
        pod: &PodSpec,
        observation: &Observation,
        actions: &PodActions,
        request: GraceRequest,
    ) {
        self.sandbox_id = actions.sandbox_id.clone();
        if actions.kill_pod.is_some() {
            self.load_kill_pod(pod, observation, request, StopPurpose::KillPod);
            if actions.create_sandbox {
                self.load_purge(pod, observation);
            }
        } else {
            self.load_kills(pod, observation, actions, request);
            self.load_resets(pod, observation, actions);
            if !actions.containers_to_reset.is_empty() {
                return;
            }
        }
        self.load_prune(pod, observation, actions);
        if actions.create_sandbox {
            self.steps.push_back(Step::RunSandbox { attempt: actions.attempt });
        }
        let starts = actions.ephemeral_containers_to_start.iter().copied();
        let starts = starts.chain(actions.init_starts());
        for start in starts.chain(actions.containers_to_start.iter().copied()) {
            self.steps.push_back(Step::Start(StartStep::new(start.container, observation)));
        }
    }

    /// The steps of `SyncTerminatingPod`.
    pub(super) fn load_termination(
        &mut self,
        pod: &PodSpec,
        observation: &Observation,
        request: GraceRequest,
    ) {
        self.load_kill_pod(pod, observation, request, StopPurpose::Terminate);
        self.steps.push_back(Step::Stopped);
    }

    /// `killPodWithSyncResult`: every container that runs, then every sandbox, whatever comes of the
    /// containers. Stray instances end with their sandbox; that they run is an error all the same.
    fn load_kill_pod(
        &mut self,
        pod: &PodSpec,
        observation: &Observation,
        request: GraceRequest,
        purpose: StopPurpose,
    ) {
        let plan = TerminationPlan::for_observed(pod, observation, request);
        if !plan.stops().is_empty() {
            let names = plan.stops().iter().map(|stop| pod.container(stop.container).name());
            let messages = names.map(|name| format_smolstr!("Stopping container {name}")).collect();
            self.steps.push_back(Step::StopContainers { plan, messages, purpose });
        }
        for StrayInstance { name, instance } in observation.strays() {
            if instance.is_running() {
                let (name, id) = (name.clone(), instance.id.clone());
                self.steps.push_back(Step::StrayRuns { name, id });
            }
        }
        for sandbox in observation.sandboxes() {
            self.steps.push_back(Step::StopSandbox { id: sandbox.id.clone() });
        }
        self.steps.push_back(Step::SandboxesStopped(purpose));
    }

    /// Single containers that are killed while the pod goes on, by name, restartable init
    /// containers last.
    fn load_kills(
        &mut self,
        pod: &PodSpec,
        observation: &Observation,
        actions: &PodActions,
        request: GraceRequest,
    ) {
        let mut kills = actions.containers_to_kill.clone();
        kills.sort_by_key(|kill| {
            let container = pod.container(kill.container);
            (container.is_restartable_init_container(), container.name())
        });
        for kill in kills {
            let Some(instance) = observation.newest(kill.container) else { continue };
            let id = instance.id.clone();
            self.steps.push_back(Step::StopContainers {
                plan: TerminationPlan::for_container(
                    pod,
                    kill.container,
                    id,
                    Some(kill.cause),
                    request,
                ),
                messages: Vec::from([kill.message(pod).to_smolstr()]),
                purpose: StopPurpose::KillContainer,
            });
        }
    }

    /// A restart in place: each instance is killed without grace if need be, and removed with its
    /// log kept.
    fn load_resets(&mut self, pod: &PodSpec, observation: &Observation, actions: &PodActions) {
        for reset in &actions.containers_to_reset {
            let Some(instance) = observation.instances(reset.container).get(reset.instance) else {
                continue;
            };
            if reset.kill {
                // No grace: no hook, and no more than the least time to stop.
                let request = GraceRequest { override_seconds: Some(0), ..GraceRequest::default() };
                let id = instance.id.clone();
                self.steps.push_back(Step::StopContainers {
                    plan: TerminationPlan::for_container(pod, reset.container, id, None, request),
                    messages: Vec::from([SmolStr::new_static("killing")]),
                    purpose: StopPurpose::Reset,
                });
            }
            self.steps.push_back(Step::Remove {
                container: reset.container,
                id: instance.id.clone(),
                keep_log: true,
                report: true,
            });
        }
        if !actions.containers_to_reset.is_empty() {
            self.steps.push_back(Step::AllRemoved);
        }
    }

    /// `purgeInitContainers`: every init instance goes before a new sandbox, with its log.
    fn load_purge(&mut self, pod: &PodSpec, observation: &Observation) {
        for index in init_containers_by_name(pod) {
            for instance in observation.instances(index) {
                self.remove(index, instance);
            }
        }
    }

    /// `pruneInitContainersBeforeStart`: of each init container only the newest instance that has
    /// ended (or is unknown) is kept.
    fn load_prune(&mut self, pod: &PodSpec, observation: &Observation, actions: &PodActions) {
        if actions.create_sandbox {
            // They have just been purged.
            return;
        }
        for index in init_containers_by_name(pod) {
            let ended = observation.instances(index).iter().filter(|instance| {
                matches!(instance.state, InstanceState::Exited(_) | InstanceState::Unknown)
            });
            for instance in ended.skip(1) {
                self.remove(index, instance);
            }
        }
    }

    fn remove(&mut self, container: ContainerIndex, instance: &ContainerInstance) {
        let id = instance.id.clone();
        self.steps.push_back(Step::Remove { container, id, keep_log: false, report: false });
    }
}

fn init_containers_by_name(pod: &PodSpec) -> Vec<ContainerIndex> {
    let mut init: Vec<ContainerIndex> = pod.init_containers().collect();
    init.sort_by_key(|index| pod.container(*index).name());
    init
}

impl PodWorker {
    /// Goes on until the runtime is needed, or the sync is over.
    pub(super) fn advance(&mut self, pod: &PodSpec, now: Timestamp) -> Option<Operation> {
        if let Some(under_way) = &self.program.under_way {
            return Some(under_way.operation.clone());
        }
        while let Some(step) = self.program.steps.front().cloned() {
            let operation = match step {
                Step::StopContainers { plan, messages, .. } => {
                    for (stop, message) in plan.stops().iter().zip(messages) {
                        self.event(Event::normal("Killing", message).about(stop.container));
                    }
                    Some(Operation::StopContainers(StopContainers { plan }))
                }
                Step::StopSandbox { id } => {
                    Some(Operation::StopPodSandbox(StopPodSandbox { sandbox_id: id }))
                }
                Step::StrayRuns { name, id } => {
                    let identity = pod.identity();
                    let message = format_smolstr!(
                        "failed to get containerSpec {name:?} (id={id:?}) in pod \"{identity}\" \
                         when killing container for reason \"\""
                    );
                    let error = SyncError::new("KillContainerError", message);
                    self.report(SyncAction::KillContainer, name, Some(error));
                    None
                }
                Step::SandboxesStopped(purpose) => {
                    if !self.sandboxes_stopped(pod, purpose) {
                        self.program.steps.clear();
                        break;
                    }
                    None
                }
                Step::Remove { container, id, keep_log, .. } => {
                    Some(Operation::RemoveContainer(RemoveContainer { container, id, keep_log }))
                }
                Step::AllRemoved => {
                    self.next_sync = NextSync::Now;
                    None
                }
                Step::RunSandbox { attempt } => {
                    Some(Operation::RunPodSandbox(RunPodSandbox { attempt }))
                }
                Step::Start(start) => match self.begin_start_step(pod, start, now) {
                    Some(operation) => Some(operation),
                    None => continue,
                },
                Step::Stopped => {
                    self.stopped = true;
                    self.next_sync = NextSync::Now;
                    None
                }
            };
            match operation {
                None => drop(self.program.steps.pop_front()),
                Some(operation) => {
                    self.program.begun = true;
                    self.program.under_way =
                        Some(UnderWay { operation: operation.clone(), began: now, told: None });
                    return Some(operation);
                }
            }
        }
        self.wake_after(pod, now);
        None
    }

    /// Takes the outcome of the operation under way.
    pub(super) fn take_outcome(
        &mut self,
        pod: &PodSpec,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<(), WorkerError> {
        let Some(under_way) = &self.program.under_way else {
            return Err(WorkerError::NoOperation(outcome));
        };
        if !fits(&under_way.operation, &outcome.0) {
            let operation = under_way.operation.clone();
            return Err(WorkerError::UnexpectedOutcome { operation, outcome });
        }
        let UnderWay { operation, began, told } = under_way.clone();
        self.program.under_way = None;
        let Some(step) = self.program.steps.front().cloned() else { return Ok(()) };
        let Outcome(outcome) = outcome;
        match step {
            Step::Start(start) => {
                self.end_start_step(pod, start, &operation, outcome, told, (began, now));
                return Ok(());
            }
            Step::StopContainers { plan, purpose, .. } => {
                self.containers_stopped(pod, plan.stops(), purpose, outcome);
            }
            Step::StopSandbox { .. } => {
                if let OutcomeKind::Failed(failure) = outcome {
                    self.program.sandbox_failure = Some(failure);
                }
            }
            Step::Remove { container, report, .. } => {
                self.container_removed(pod, container, report, outcome);
            }
            Step::RunSandbox { .. } => self.sandbox_run(pod, outcome, now),
            // These ask for nothing.
            Step::StrayRuns { .. }
            | Step::SandboxesStopped(_)
            | Step::AllRemoved
            | Step::Stopped => {}
        }
        self.program.steps.pop_front();
        Ok(())
    }

    fn container_removed(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
        report: bool,
        outcome: OutcomeKind,
    ) {
        // Pruning that fails is only logged; it is tried again at the next sync.
        if !report {
            return;
        }
        let name = pod.container(container).name().clone();
        match outcome {
            OutcomeKind::Failed(failure) => {
                self.fail(SyncAction::RemoveContainer, name, "RemoveContainerError", failure);
            }
            _ => self.report(SyncAction::RemoveContainer, name, None),
        }
    }

    fn sandbox_run(&mut self, pod: &PodSpec, outcome: OutcomeKind, now: Timestamp) {
        let target = pod.identity().to_smolstr();
        match outcome {
            OutcomeKind::Sandbox(id) => {
                self.program.sandbox_id = id;
                self.report(SyncAction::CreatePodSandbox, target, None);
                if pod.gates().has(Change::ReadyToStartWithSandbox) {
                    let ready =
                        PodCondition::new(condition_type::POD_READY_TO_START_CONTAINERS, true);
                    self.status.set_condition(ready, now);
                }
            }
            // The sandbox of a pod that is to go meanwhile often cannot be made, and need not be.
            OutcomeKind::Failed(_) if self.is_stopping() => {
                self.report(SyncAction::CreatePodSandbox, target, None);
                self.end_sync();
            }
            OutcomeKind::Failed(failure) => {
                let message = format_smolstr!("Failed to create pod sandbox: {failure}");
                self.event(Event::warning("FailedCreatePodSandBox", message));
                let message =
                    format_smolstr!("Failed to create sandbox for pod {target:?}: {failure}");
                let failure = Failure { message, ..failure };
                self.fail(SyncAction::CreatePodSandbox, target, "CreatePodSandboxError", failure);
            }
            _ => {}
        }
    }

    /// Announces that a sandbox is replaced (only if there was one that is known by id).
    pub(super) fn announce_sandbox_change(&mut self) {
        if self.actions.create_sandbox && !self.actions.sandbox_id.is_empty() {
            self.event(Event::normal(
                "SandboxChanged",
                "Pod sandbox changed, it will be killed and re-created.",
            ));
        }
    }

    pub(super) fn report(&mut self, action: SyncAction, target: SmolStr, error: Option<SyncError>) {
        self.results.push(SyncResult { action, target, error });
    }

    /// Something failed that ends the sync.
    fn fail(
        &mut self,
        action: SyncAction,
        target: SmolStr,
        reason: &'static str,
        failure: Failure,
    ) {
        self.report(action, target, Some(SyncError::new(reason, failure.message)));
        self.end_sync();
    }

    /// Drops what is left of the sync but the step under way.
    pub(super) fn end_sync(&mut self) {
        self.program.steps.truncate(1);
    }

    /// The step under way is over.
    pub(super) fn next_step(&mut self) {
        self.program.steps.pop_front();
    }

    /// The step under way goes on as another one.
    pub(super) fn replace_step(&mut self, start: StartStep) {
        if let Some(step) = self.program.steps.front_mut() {
            *step = Step::Start(start);
        }
    }

    /// A container could not be started: without a regular init container nothing goes on.
    pub(super) fn start_failed(&mut self, pod: &PodSpec, container: ContainerIndex) {
        if pod.container(container).kind() == ContainerKind::Init {
            self.end_sync();
        }
    }
}

/// Can the operation have this outcome?
fn fits(operation: &Operation, outcome: &OutcomeKind) -> bool {
    match outcome {
        OutcomeKind::Failed(_) => true,
        OutcomeKind::Stopped(each) => match operation {
            Operation::StopContainers(stop) => stop.plan.stops().len() == each.len(),
            _ => false,
        },
        OutcomeKind::Done => matches!(
            operation,
            Operation::StopContainers(_)
                | Operation::StopPodSandbox { .. }
                | Operation::RemoveContainer { .. }
                | Operation::StartContainer { .. }
        ),
        OutcomeKind::Sandbox(_) => matches!(operation, Operation::RunPodSandbox { .. }),
        OutcomeKind::ImagePresent(_) => matches!(operation, Operation::CheckImage { .. }),
        OutcomeKind::Pulled { .. } => matches!(operation, Operation::PullImage { .. }),
        OutcomeKind::Created(_) => matches!(operation, Operation::CreateContainer { .. }),
    }
}

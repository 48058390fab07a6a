//! What the pod worker asks of the runtime, carried out in virtual time.

use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::pod::{ContainerIndex, LifecycleHandler};
use crate::scenario::{Call, GoDuration, Instance, SandboxAttempt};
use crate::termination::{GraceRequest, TerminationPlan};
use crate::worker::{
    CheckImage, CreateContainer, Failure, FailureKind, Notice, Operation, OutcomeKind, PullImage,
    RemoveContainer, RunPodSandbox, StartContainer, StopContainers, StopPodSandbox,
};
use smol_str::{SmolStr, format_smolstr};

use super::asking::{Question, Verdict, Way};
use super::moment::Moment;
use super::prober::declared;
use super::stopping::StopTask;
use super::trace::{Entry, Kind};
use super::{Node, PlayError};

/// What the pod worker is in the midst of.
#[derive(Debug)]
pub(super) enum Task {
    /// A call of the runtime.
    Call { until: Moment, call: Underway },
    /// A `postStart` hook.
    PostStart { until: Moment, hook: Hook },
    /// Containers are being stopped.
    Stop(StopTask),
}

/// A call of the runtime, with what it needs to know at its end.
#[derive(Debug)]
pub(super) enum Underway {
    RunPodSandbox {
        attempt: u32,
        script: SandboxAttempt,
    },
    StopPodSandbox {
        id: SmolStr,
    },
    RemoveContainer {
        id: SmolStr,
    },
    CheckImage {
        image: SmolStr,
    },
    PullImage {
        image: SmolStr,
        attempt: u32,
    },
    CreateContainer {
        container: ContainerIndex,
        sandbox_id: SmolStr,
        attempt: u32,
        script: Arc<Instance>,
    },
    StartContainer {
        container: ContainerIndex,
        id: SmolStr,
    },
    /// It fails at its end.
    Failing {
        call: Call,
        container: SmolStr,
        failure: Failure,
        words: SmolStr,
    },
}

/// A hook that is being run.
#[derive(Debug)]
pub(super) struct Hook {
    pub(super) container: ContainerIndex,
    pub(super) id: SmolStr,
    /// A command ends with its container.
    pub(super) is_exec: bool,
    /// The words of its failure, if it fails.
    pub(super) failure: Option<SmolStr>,
    /// The words of its failure if its container ends before it.
    cut_off: SmolStr,
}

impl Node<'_> {
    /// When the task of the pod worker goes on by itself.
    pub(super) fn task_due(&self) -> Moment {
        match &self.kubelet.task {
            Some(Task::Call { until, .. } | Task::PostStart { until, .. }) => *until,
            Some(Task::Stop(stop)) => stop.due,
            None => Moment::NEVER,
        }
    }

    /// Takes the operations of the sync until one takes time, or the sync is over.
    pub(super) fn next_operation(&mut self) -> Result<(), PlayError> {
        loop {
            self.count_step()?;
            let now = self.now.timestamp();
            let operation = self.kubelet.worker.next_operation(&self.pod, now);
            self.tell_events();
            let Some(operation) = operation else {
                self.end_sync();
                return Ok(());
            };
            match self.begin(operation)? {
                Some(outcome) => self.record(outcome)?,
                None => return Ok(()),
            }
        }
    }

    fn record(&mut self, outcome: OutcomeKind) -> Result<(), PlayError> {
        self.kubelet.worker.record(&self.pod, outcome.into(), self.now.timestamp())?;
        self.tell_events();
        self.tell_status();
        Ok(())
    }

    pub(super) fn record_and_go_on(&mut self, outcome: OutcomeKind) -> Result<(), PlayError> {
        self.kubelet.task = None;
        self.record(outcome)?;
        self.next_operation()
    }

    /// Begins an operation; the outcome of one that takes no time.
    fn begin(&mut self, operation: Operation) -> Result<Option<OutcomeKind>, PlayError> {
        match operation {
            Operation::RunPodSandbox(RunPodSandbox { attempt }) => {
                let script = self.runtime.next_sandbox(self.scenario);
                self.tell_call(Call::RunPodSandbox, "", Some(attempt));
                let (takes, error) = (script.takes, script.error.clone());
                let call = Underway::RunPodSandbox { attempt, script };
                self.call(Call::RunPodSandbox, "", "", takes, error, call)
            }
            Operation::StopPodSandbox(StopPodSandbox { sandbox_id: id }) => {
                let Some(attempt) = self.runtime.now.sandbox(&id).map(|sandbox| sandbox.attempt)
                else {
                    return Ok(Some(OutcomeKind::Done));
                };
                self.tell_call(Call::StopPodSandbox, "", Some(attempt));
                let call = Underway::StopPodSandbox { id };
                self.call(Call::StopPodSandbox, "", "", None, None, call)
            }
            Operation::RemoveContainer(RemoveContainer { id, .. }) => {
                let Some(found) = self.runtime.now.container(&id) else {
                    return Ok(Some(OutcomeKind::Done));
                };
                let (name, attempt) = (found.name.clone(), found.attempt);
                self.tell_call(Call::RemoveContainer, &name, Some(attempt));
                let call = Underway::RemoveContainer { id };
                self.call(Call::RemoveContainer, &name, "", None, None, call)
            }
            Operation::CheckImage(CheckImage { container }) => {
                let image = self.pod.container(container).image().clone();
                let call = Underway::CheckImage { image: image.clone() };
                self.call(Call::ImageStatus, "", &image, None, None, call)
            }
            Operation::PullImage(PullImage { container }) => {
                let image = self.pod.container(container).image().clone();
                let (attempt, pull) = self.runtime.next_pull(self.scenario, &image);
                self.tell_pull(&image, attempt, "");
                let call = Underway::PullImage { image: image.clone(), attempt };
                self.call(Call::PullImage, "", &image, pull.takes, pull.error, call)
            }
            Operation::CreateContainer(CreateContainer {
                container,
                sandbox_id,
                restart_count,
            }) => {
                let name = self.pod.container(container).name().clone();
                let script = self.runtime.next_instance(self.scenario, &name);
                // There are no logs that could tell more: without a record it begins at 0.
                let attempt = restart_count.unwrap_or(0);
                self.tell_call(Call::CreateContainer, &name, Some(attempt));
                let (takes, error) = (script.create.takes, script.create.error.clone());
                let call = Underway::CreateContainer { container, sandbox_id, attempt, script };
                self.call(Call::CreateContainer, &name, "", takes, error, call)
            }
            Operation::StartContainer(StartContainer { container, id }) => {
                let Some(found) = self.runtime.now.container(&id) else {
                    return Ok(Some(OutcomeKind::Failed(Failure::new("not found"))));
                };
                let (name, attempt) = (found.name.clone(), found.attempt);
                let takes = found.script.start.takes;
                self.tell_call(Call::StartContainer, &name, Some(attempt));
                let call = Underway::StartContainer { container, id };
                self.call(Call::StartContainer, &name, "", takes, None, call)
            }
            Operation::StopContainers(StopContainers { plan }) => {
                self.kubelet.task = Some(Task::Stop(StopTask::new(plan, None, self.now)));
                self.poll_stop()?;
                Ok(None)
            }
        }
    }

    /// A call begins, and ends when its time is over: by the scenario's word, or the default.
    fn call(
        &mut self,
        call: Call,
        container: &str,
        image: &str,
        takes: Option<GoDuration>,
        error: Option<SmolStr>,
        underway: Underway,
    ) -> Result<Option<OutcomeKind>, PlayError> {
        let mut disturbance = self.disturbed(call, container, image);
        if disturbance.error.is_none()
            && let Some(takes) = takes
        {
            disturbance.takes = disturbance.takes - super::runtime::latency(call) + takes.0;
        }
        let own = error.filter(|error| !error.is_empty()).map(|error| {
            let told = format_smolstr!("rpc error: code = Unknown desc = {error}");
            (error, told)
        });
        let underway = match disturbance.error.or(own) {
            // The kubelet looks into the errors of these two, and says what is in them.
            Some((words, told)) => {
                let plain = matches!(call, Call::CreateContainer | Call::StartContainer);
                let failure = Failure::new(if plain { words.clone() } else { told });
                Underway::Failing { call, container: container.into(), failure, words }
            }
            None => underway,
        };
        if disturbance.takes == Duration::ZERO {
            return self.outcome(underway);
        }
        let until = self.now + disturbance.takes;
        self.kubelet.task = Some(Task::Call { until, call: underway });
        Ok(None)
    }

    /// The task of the pod worker is due.
    pub(super) fn end_task(&mut self) -> Result<(), PlayError> {
        match self.kubelet.task.take() {
            Some(Task::Call { call, .. }) => match self.outcome(call)? {
                Some(outcome) => self.record_and_go_on(outcome),
                // It goes on as another task.
                None => Ok(()),
            },
            Some(Task::PostStart { hook, .. }) => self.end_post_start(hook),
            Some(stop @ Task::Stop(_)) => {
                self.kubelet.task = Some(stop);
                self.poll_stop()
            }
            None => Ok(()),
        }
    }

    /// Something has happened that the task may have waited for.
    pub(super) fn task_disturbed(&mut self) -> Result<(), PlayError> {
        if matches!(self.kubelet.task, Some(Task::Stop(_))) {
            return self.poll_stop();
        }
        let runs = |node: &Self, id: &str| {
            node.runtime.now.container(id).is_some_and(super::runtime::Container::is_running)
        };
        match self.kubelet.task.take() {
            Some(Task::PostStart { hook, .. }) if hook.is_exec && !runs(self, &hook.id) => {
                let failure = Some(hook.cut_off.clone());
                self.end_post_start(Hook { failure, ..hook })
            }
            task => {
                self.kubelet.task = task;
                Ok(())
            }
        }
    }

    /// What a call comes to at its end; `None`: a hook follows.
    fn outcome(&mut self, call: Underway) -> Result<Option<OutcomeKind>, PlayError> {
        let now = self.now;
        Ok(Some(match call {
            Underway::Failing { call, container, failure, words } => {
                if call != Call::ImageStatus {
                    self.tell_failed(call, &container, &words);
                }
                OutcomeKind::Failed(failure)
            }
            Underway::RunPodSandbox { attempt, script } => {
                OutcomeKind::Sandbox(self.runtime.add_sandbox(attempt, &script, now))
            }
            Underway::StopPodSandbox { id } => {
                let ended = self.runtime.stop_sandbox_by_id(&id, now);
                self.tell_ended(ended);
                OutcomeKind::Done
            }
            Underway::RemoveContainer { id } => {
                self.runtime.remove_container(&id);
                OutcomeKind::Done
            }
            Underway::CheckImage { image } => {
                OutcomeKind::ImagePresent(self.runtime.has_image(self.scenario, &image))
            }
            Underway::PullImage { image, attempt } => {
                self.tell_pull(&image, attempt, "done");
                self.runtime.add_image(image);
                // The oracle's images all have this size.
                OutcomeKind::Pulled { size: 1000 }
            }
            Underway::CreateContainer { container, sandbox_id, attempt, script } => {
                let declared = self.pod.container(container);
                let created =
                    self.runtime.add_container(declared.name(), &sandbox_id, attempt, script, now);
                created.image = declared.image().clone();
                created.definition_hash = Some(declared.definition_hash());
                OutcomeKind::Created(created.id.clone())
            }
            Underway::StartContainer { container, id } => match self.runtime.start(&id, now) {
                Ok(()) => return self.begin_post_start(container, id),
                Err(words) => {
                    let name = self.pod.container(container).name().clone();
                    self.tell_failed(Call::StartContainer, &name, &words);
                    OutcomeKind::Failed(Failure::new(words))
                }
            },
        }))
    }

    /// Tells the worker at once what comes of the operation under way.
    pub(super) fn note(&mut self, notice: Notice) -> Result<(), PlayError> {
        self.kubelet.worker.note(&self.pod, notice)?;
        self.tell_events();
        Ok(())
    }

    fn tell_pull(&mut self, image: &SmolStr, attempt: u32, outcome: &str) {
        self.tell(Entry {
            kind: Kind::Call,
            op: Call::PullImage.as_str().into(),
            message: image.to_string(),
            attempt: Some(attempt),
            outcome: outcome.into(),
            ..Entry::default()
        });
    }

    /// The hook of a container that has just started; the outcome, if there is none.
    fn begin_post_start(
        &mut self,
        container: ContainerIndex,
        id: SmolStr,
    ) -> Result<Option<OutcomeKind>, PlayError> {
        let Some(handler) = self.pod.container(container).post_start() else {
            return Ok(Some(OutcomeKind::Done));
        };
        self.note(Notice::Started)?;
        let (takes, hook) = self.run_hook(container, id, handler, "postStart");
        let until = self.now + takes;
        self.kubelet.task = Some(Task::PostStart { until, hook });
        Ok(None)
    }

    /// Runs a hook; how long it takes.
    pub(super) fn run_hook(
        &mut self,
        container: ContainerIndex,
        id: SmolStr,
        handler: LifecycleHandler,
        field: &str,
    ) -> (Duration, Hook) {
        let name = self.pod.container(container).name().clone();
        let declared = declared(&self.api.object, &name);
        let question = Question::of(&declared["lifecycle"][field], declared);
        let mut hook =
            Hook { container, id, is_exec: false, failure: None, cut_off: SmolStr::default() };
        let (Some(question), LifecycleHandler::Other) = (question, handler) else {
            let seconds = match handler {
                LifecycleHandler::Sleep { seconds } => u64::try_from(seconds).unwrap_or(0),
                _ => 0,
            };
            return (Duration::from_secs(seconds), hook);
        };
        let Some(target) = self.runtime.now.container(&hook.id) else {
            return (Duration::ZERO, hook);
        };
        let (attempt, answer) = (target.attempt, target.answer(&question.line, self.now));
        let (mut takes, mut verdict) = question.judge_hook(&answer);
        let runs = target.is_running();
        if !runs {
            takes = Duration::ZERO;
            verdict = if question.way == Way::Exec { Verdict::Unanswered } else { Verdict::Bad };
        }
        let line = &question.line;
        let words = declared["lifecycle"][field]["exec"]["command"].as_array().map_or_else(
            || line.clone(),
            |words| words.iter().filter_map(|word| word.as_str()).collect::<Vec<_>>().join(" "),
        );
        let pod = self.pod.identity();
        let (pod_name, namespace, pod_uid) = (&pod.name, &pod.namespace, &pod.uid);
        let told = |error: &str, output: &str| {
            format_smolstr!(
                "Exec lifecycle hook ([{words}]) for Container \"{name}\" in Pod \
                 \"{pod_name}_{namespace}({pod_uid})\" failed - error: {error}, message: {output:?}"
            )
        };
        let output = answer.output.clone().unwrap_or_default();
        let exited = |exit_code| format!("command '{line}' exited with {exit_code}: ");
        hook.is_exec = question.way == Way::Exec;
        hook.cut_off = told(&exited(super::runtime::KILLED), "");
        hook.failure = match verdict {
            Verdict::Good => None,
            Verdict::Bad => Some(told(&exited(answer.exit_code), &output)),
            Verdict::Unanswered => {
                let error = answer.error.clone().unwrap_or_default();
                Some(told(&format!("rpc error: code = Unknown desc = {error}"), ""))
            }
        };
        let is_exec = hook.is_exec;
        self.tell(Entry {
            kind: if is_exec { Kind::Call } else { Kind::Probe },
            op: if is_exec { Call::ExecSync.as_str().into() } else { question.way.word().into() },
            container: name.to_string(),
            attempt: Some(attempt),
            message: question.line,
            exit_code: runs.then_some(answer.exit_code),
            ..Entry::default()
        });
        (takes, hook)
    }

    fn end_post_start(&mut self, hook: Hook) -> Result<(), PlayError> {
        let Some(message) = hook.failure else { return self.record_and_go_on(OutcomeKind::Done) };
        self.note(Notice::PostStartHookFailed)?;
        // The container is killed for it, as one container of a pod that goes on.
        let request = GraceRequest::default();
        let plan =
            TerminationPlan::for_container(&self.pod, hook.container, hook.id, None, request);
        let failure = Failure { kind: FailureKind::PostStartHook, message };
        self.kubelet.task = Some(Task::Stop(StopTask::new(plan, Some(failure), self.now)));
        self.poll_stop()
    }
}

//! What the worker asks of the runtime, while it is under way.

use std::sync::Arc;
use std::time::Duration;

use podinit::pod::LifecycleHandler;
use podinit::scenario::{Call, GoDuration, Instance, SandboxAttempt};
use podinit::termination::{GraceRequest, TerminationPlan};
use podinit::worker::{
    CreateContainer, Failure, FailureKind, Notice, RemoveContainer, StartContainer,
};
use podinit::{ContainerIndex, Operation, Outcome, Timestamp};
use smol_str::{SmolStr, format_smolstr};

use super::asking::{judge, line};
use super::behaviour::declared;
use super::stop::StopTask;
use super::{NodeShare, PodLife};

/// An operation under way.
#[derive(Debug)]
pub(super) enum Task {
    /// A call that ends then.
    Call {
        until: Timestamp,
        call: Underway,
    },
    /// The `postStart` hook of an instance that was just started.
    PostStart {
        until: Timestamp,
        container: ContainerIndex,
        id: SmolStr,
        failure: Option<SmolStr>,
    },
    Stop(StopTask),
}

/// What came of the operation under way.
#[derive(Debug)]
pub(super) enum Came {
    Done,
    ImagePresent(bool),
    /// A sandbox or an instance with this id.
    Made(SmolStr),
    Failed(Failure),
}

fn outcome_of(operation: &Operation, came: Came) -> Outcome {
    match (operation, came) {
        (operation, Came::Failed(failure)) => operation.failed(failure),
        (Operation::CheckImage(check), Came::ImagePresent(present)) => check.present(present),
        (Operation::PullImage(pull), _) => pull.pulled(IMAGE_SIZE),
        (operation, Came::Made(id)) => operation.succeeded(id),
        (operation, Came::Done | Came::ImagePresent(_)) => operation.succeeded(""),
    }
}

/// What a call does when it ends.
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
        container: ContainerIndex,
        id: SmolStr,
        keep_log: bool,
    },
    CheckImage {
        image: SmolStr,
    },
    PullImage {
        image: SmolStr,
    },
    CreateContainer {
        container: ContainerIndex,
        sandbox_id: SmolStr,
        restart_count: Option<u32>,
        script: Arc<Instance>,
    },
    StartContainer {
        container: ContainerIndex,
        id: SmolStr,
    },
    Failing(Failure),
}

/// How long a call takes of which nothing is said.
const fn usual(call: Call) -> Duration {
    Duration::from_millis(match call {
        Call::RunPodSandbox => 41,
        Call::StopPodSandbox => 11,
        Call::RemoveContainer => 5,
        Call::CreateContainer => 13,
        Call::StartContainer => 7,
        _ => 0,
    })
}

/// How long a pull takes of which nothing is said: the first of an image on its node, and later ones,
/// which find it there.
const FIRST_PULL: Duration = Duration::from_millis(800);
const LATER_PULL: Duration = Duration::from_millis(150);
/// What every image is said to weigh.
const IMAGE_SIZE: u64 = 8_000_000;

impl PodLife {
    pub(super) fn task_due(&self) -> Option<Timestamp> {
        match &self.task {
            Some(Task::Call { until, .. } | Task::PostStart { until, .. }) => Some(*until),
            Some(Task::Stop(stop)) => stop.due,
            None => None,
        }
    }

    /// Carries out what the sync asks for, up to what takes time.
    pub(super) fn go_on(&mut self, node: &mut NodeShare, now: Timestamp) {
        while self.task.is_none() {
            let operation = self.worker.next_operation(&self.spec, now);
            self.take_events(now);
            let Some(operation) = operation else { return self.end_sync(now) };
            if let Some(outcome) = self.begin(operation, node, now) {
                self.record(outcome, now);
            }
        }
    }

    pub(super) fn record(&mut self, came: Came, now: Timestamp) {
        let Some(operation) = self.worker.next_operation(&self.spec, now) else { return };
        let outcome = outcome_of(&operation, came);
        if let Err(error) = self.worker.record(&self.spec, outcome, now) {
            tracing::error!(pod = %self.spec.identity(), %error, "a fault of this program");
        }
        self.take_events(now);
    }

    fn note(&mut self, notice: Notice, now: Timestamp) {
        if let Err(error) = self.worker.note(&self.spec, notice) {
            tracing::error!(pod = %self.spec.identity(), %error, "a fault of this program");
        }
        self.take_events(now);
    }

    fn begin(
        &mut self,
        operation: Operation,
        node: &mut NodeShare,
        now: Timestamp,
    ) -> Option<Came> {
        match operation {
            Operation::RunPodSandbox(run) => {
                let attempt = run.attempt;
                let script = self.world.next_sandbox(&self.scenario);
                let (takes, error) = (script.takes, script.error.clone());
                let call = Underway::RunPodSandbox { attempt, script };
                self.call(Call::RunPodSandbox, ("", ""), (takes, error), call, node, now)
            }
            Operation::StopPodSandbox(stop) => {
                let call = Underway::StopPodSandbox { id: stop.sandbox_id };
                self.call(Call::StopPodSandbox, ("", ""), (None, None), call, node, now)
            }
            Operation::RemoveContainer(remove) => {
                let RemoveContainer { container, id, keep_log, .. } = remove;
                let name = self.spec.container(container).name().clone();
                let call = Underway::RemoveContainer { container, id, keep_log };
                self.call(Call::RemoveContainer, (&name, ""), (None, None), call, node, now)
            }
            Operation::CheckImage(check) => {
                let image = self.spec.container(check.container).image().clone();
                let call = Underway::CheckImage { image: image.clone() };
                self.call(Call::ImageStatus, ("", &image), (None, None), call, node, now)
            }
            Operation::PullImage(pull) => {
                let image = self.spec.container(pull.container).image().clone();
                let earlier = self.world.count_pull(&image);
                let pull = self.scenario.image(&image).pull(earlier);
                let usual = if node.images.contains(&image) { LATER_PULL } else { FIRST_PULL };
                let takes = pull.takes.unwrap_or(usual.into());
                let call = Underway::PullImage { image: image.clone() };
                self.call(Call::PullImage, ("", &image), (Some(takes), pull.error), call, node, now)
            }
            Operation::CreateContainer(create) => {
                let CreateContainer { container, sandbox_id, restart_count, .. } = create;
                let name = self.spec.container(container).name().clone();
                let script = self.world.next_instance(&self.scenario, &name);
                let create = script.create.clone();
                let call =
                    Underway::CreateContainer { container, sandbox_id, restart_count, script };
                self.call(
                    Call::CreateContainer,
                    (&name, ""),
                    (create.takes, create.error),
                    call,
                    node,
                    now,
                )
            }
            Operation::StartContainer(start) => {
                let StartContainer { container, id, .. } = start;
                let name = self.spec.container(container).name().clone();
                let takes = self.world.instance(&id).and_then(|found| found.script.start.takes);
                let call = Underway::StartContainer { container, id };
                self.call(Call::StartContainer, (&name, ""), (takes, None), call, node, now)
            }
            Operation::StopContainers(stop) => {
                self.task = Some(Task::Stop(StopTask::new(stop.plan, None, now)));
                self.poll_stop(now)
            }
            other => Some(Came::Failed(Failure::new(format_smolstr!("not possible: {other:?}")))),
        }
    }

    /// Begins a call; gives its outcome if it takes no time.
    fn call(
        &mut self,
        call: Call,
        (container, image): (&str, &str),
        (takes, own_error): (Option<GoDuration>, Option<SmolStr>),
        underway: Underway,
        node: &mut NodeShare,
        now: Timestamp,
    ) -> Option<Came> {
        let since = now.saturating_duration_since(self.arrived);
        let (longer, error) = self.world.disturb(&self.scenario, call, container, image, since);
        let own_error = own_error.filter(|error| !error.is_empty());
        let underway = match error.or(own_error) {
            Some(error) => Underway::Failing(Failure::new(error)),
            None => underway,
        };
        let takes = longer + takes.map_or(usual(call), |takes| takes.0);
        if takes == Duration::ZERO {
            return self.outcome(underway, node, now);
        }
        self.task = Some(Task::Call { until: now + takes, call: underway });
        None
    }

    /// The operation under way ends, or goes on.
    pub(super) fn end_task(&mut self, node: &mut NodeShare, now: Timestamp) {
        let outcome = match self.task.take() {
            Some(Task::Call { call, .. }) => self.outcome(call, node, now),
            Some(Task::PostStart { container, id, failure, .. }) => {
                self.end_post_start(container, id, failure, now)
            }
            Some(stop @ Task::Stop(_)) => {
                self.task = Some(stop);
                self.poll_stop(now)
            }
            None => None,
        };
        if let Some(outcome) = outcome {
            self.record(outcome, now);
        }
        self.go_on(node, now);
    }

    /// Something has ended, perhaps what the operation under way waits for.
    pub(super) fn task_disturbed(&mut self, node: &mut NodeShare, now: Timestamp) {
        let over = match &self.task {
            Some(Task::Stop(_)) => true,
            // A hook ends with its container.
            Some(Task::PostStart { id, .. }) => !self.world.runs(id),
            _ => false,
        };
        if over {
            self.end_task(node, now);
        }
    }

    fn outcome(&mut self, call: Underway, node: &mut NodeShare, now: Timestamp) -> Option<Came> {
        // What the kubelet syncs a pod for; not for what was created or removed.
        let changed =
            matches!(call, Underway::RunPodSandbox { .. } | Underway::StopPodSandbox { .. });
        let outcome = match call {
            Underway::Failing(failure) => Came::Failed(failure),
            Underway::RunPodSandbox { attempt, script } => {
                if let Some(ip) = &script.ip {
                    self.world.ip = Some(ip.clone());
                } else if self.world.ip.is_none() {
                    self.world.ip = node.address(&self.spec);
                }
                Came::Made(self.world.add_sandbox(&self.spec, attempt, &script, now))
            }
            Underway::StopPodSandbox { id } => {
                self.world.stop_sandbox(&id, false, now);
                Came::Done
            }
            Underway::RemoveContainer { container, id, keep_log } => {
                let name = self.spec.container(container).name();
                self.world.remove_instance(&id, Some(name).filter(|_| !keep_log));
                Came::Done
            }
            Underway::CheckImage { image } => {
                let said = self.scenario.images.get(&image).is_some_and(|image| image.present);
                Came::ImagePresent(said || node.images.contains(&image))
            }
            Underway::PullImage { image } => {
                node.images.insert(image);
                Came::Done
            }
            Underway::CreateContainer { container, sandbox_id, restart_count, script } => {
                let world = &mut self.world;
                Came::Made(world.add_instance(
                    &self.spec,
                    container,
                    &sandbox_id,
                    restart_count,
                    script,
                    now,
                ))
            }
            Underway::StartContainer { container, id } => {
                self.notice(now);
                return match self.world.start(&self.spec, &id, now) {
                    Ok(()) => self.begin_post_start(container, id, now),
                    Err(error) => Some(Came::Failed(Failure::new(error))),
                };
            }
        };
        if changed {
            self.notice(now);
        }
        Some(outcome)
    }

    fn begin_post_start(
        &mut self,
        container: ContainerIndex,
        id: SmolStr,
        now: Timestamp,
    ) -> Option<Came> {
        let Some(handler) = self.spec.container(container).post_start() else {
            return Some(Came::Done);
        };
        self.note(Notice::Started, now);
        let (takes, failure) = self.run_hook(container, &id, handler, true, now);
        let failure = failure.map(|error| format_smolstr!("PostStartHook failed: {error}"));
        self.task = Some(Task::PostStart { until: now + takes, container, id, failure });
        None
    }

    fn end_post_start(
        &mut self,
        container: ContainerIndex,
        id: SmolStr,
        failure: Option<SmolStr>,
        now: Timestamp,
    ) -> Option<Came> {
        let cut_off = || (!self.world.runs(&id)).then(|| "the container has ended".into());
        let Some(message) = failure.or_else(cut_off) else { return Some(Came::Done) };
        self.note(Notice::PostStartHookFailed, now);
        let plan = TerminationPlan::for_container(
            &self.spec,
            container,
            id,
            None,
            GraceRequest::default(),
        );
        let failure = Failure { kind: FailureKind::PostStartHook, message };
        self.task = Some(Task::Stop(StopTask::new(plan, Some(failure), now)));
        self.poll_stop(now)
    }

    /// Runs a hook: how long it takes, and why it fails.
    pub(super) fn run_hook(
        &self,
        container: ContainerIndex,
        id: &str,
        handler: LifecycleHandler,
        post_start: bool,
        now: Timestamp,
    ) -> (Duration, Option<String>) {
        if let LifecycleHandler::Sleep { seconds } = handler {
            return (Duration::from_secs(u64::try_from(seconds).unwrap_or(0)), None);
        }
        let name = self.spec.container(container).name();
        let Some(declared) = declared(&self.api, name) else { return (Duration::ZERO, None) };
        let lifecycle = declared.lifecycle.clone().unwrap_or_default();
        let hook = if post_start { lifecycle.post_start } else { lifecycle.pre_stop };
        let Some(asked) = hook.and_then(|hook| line(&hook, &declared)) else {
            return (Duration::ZERO, None);
        };
        let verdict = self.ask(id, &asked, None, now);
        (verdict.0, verdict.1)
    }

    /// What an instance answers: how long that takes, and what the kubelet complains of.
    pub(super) fn ask(
        &self,
        id: &str,
        asked: &str,
        limit: Option<Duration>,
        now: Timestamp,
    ) -> (Duration, Option<String>) {
        let host = self.world.ip.clone().unwrap_or_default();
        let Some(found) = self.world.instance(id) else {
            return (Duration::ZERO, Some("the container is gone".to_owned()));
        };
        let since = now.saturating_duration_since(found.told.started_at.unwrap_or(now));
        let verdict = judge(asked, found.script.answer(asked, since), &host, limit);
        (verdict.takes, verdict.complaint)
    }

    /// The same for the hooks of a stop.
    pub(super) fn note_failed_hook(&mut self, stop: usize, now: Timestamp) {
        self.note(Notice::PreStopHookFailed(stop), now);
    }
}

//! Containers that are being stopped: podinit's [`Termination`] carried out.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::time::Duration;

use crate::scenario::Call;
use crate::termination::{NextStep, StopOrder, Termination, TerminationPlan};
use crate::worker::{Failure, Notice, OutcomeKind};
use smol_str::SmolStr;

use super::moment::Moment;
use super::operations::Task;
use super::trace::{Entry, Kind};
use super::{Node, PlayError};

/// A stop under way.
#[derive(Debug)]
pub(super) struct StopTask {
    began: Moment,
    termination: Termination,
    hooks: Vec<PreStop>,
    asked: Vec<Asked>,
    /// What the runtime said where a stop failed, by its place in the plan.
    failures: Vec<Option<Failure>>,
    /// What is recorded at the end, if not whether the stop went well.
    then: Option<Failure>,
    /// When it goes on by itself.
    pub(super) due: Moment,
}

/// A `preStop` hook that is being run.
#[derive(Debug)]
struct PreStop {
    stop: usize,
    until: Moment,
    is_exec: bool,
    fails: bool,
}

/// A container that was asked to stop.
#[derive(Debug)]
struct Asked {
    stop: usize,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The scenario holds the call up, and perhaps lets it fail.
    Disturbed {
        until: Moment,
        grace: Duration,
        error: Option<(SmolStr, SmolStr)>,
    },
    /// It has its SIGTERM.
    Terminating {
        killed_at: Moment,
    },
    Over,
}

impl StopTask {
    pub(super) fn new(plan: TerminationPlan, then: Option<Failure>, now: Moment) -> Self {
        Self {
            began: now,
            termination: Termination::new(plan),
            hooks: Vec::new(),
            asked: Vec::new(),
            failures: Vec::new(),
            then,
            due: now,
        }
    }

    fn instance(&self, stop: usize) -> Option<&SmolStr> {
        self.termination.plan().stops().get(stop).map(|stop| &stop.instance_id)
    }
}

impl Node<'_> {
    /// Carries the stop on as far as it comes now.
    pub(super) fn poll_stop(&mut self) -> Result<(), PlayError> {
        let Some(Task::Stop(mut task)) = self.kubelet.task.take() else { return Ok(()) };
        loop {
            self.count_step()?;
            let now = self.now;
            self.advance_asked(&mut task);
            self.end_hooks(&mut task)?;
            let step = task.termination.step(now.since(task.began));
            for order in &step.orders {
                self.carry_out(&mut task, *order);
            }
            let waits = |asked: &Asked| !matches!(asked.stage, Stage::Over);
            if step.orders.is_empty() {
                if step.next == NextStep::Done && !task.asked.iter().any(waits) {
                    break;
                }
                task.due = due(&task, step.next);
                if task.due > now {
                    self.kubelet.task = Some(Task::Stop(task));
                    return Ok(());
                }
            }
        }
        let outcome = match task.then {
            Some(failure) => OutcomeKind::Failed(failure),
            None if task.failures.is_empty() => OutcomeKind::Done,
            None => {
                task.failures.resize(task.termination.plan().stops().len(), None);
                OutcomeKind::Stopped(task.failures)
            }
        };
        self.record_and_go_on(outcome)
    }

    fn runs(&self, id: Option<&SmolStr>) -> bool {
        let found = id.and_then(|id| self.runtime.now.container(id));
        found.is_some_and(super::runtime::Container::is_running)
    }

    fn end_hooks(&mut self, task: &mut StopTask) -> Result<(), PlayError> {
        let hooks = core::mem::take(&mut task.hooks);
        for hook in hooks {
            // A command ends with its container.
            let cut_off = hook.is_exec && !self.runs(task.instance(hook.stop));
            if hook.until <= self.now || cut_off {
                task.termination.pre_stop_ended(hook.stop);
                if hook.fails || cut_off {
                    self.note(Notice::PreStopHookFailed(hook.stop))?;
                }
            } else {
                task.hooks.push(hook);
            }
        }
        Ok(())
    }

    fn advance_asked(&mut self, task: &mut StopTask) {
        let now = self.now;
        for index in 0..task.asked.len() {
            let stop = task.asked[index].stop;
            let Some(id) = task.instance(stop).cloned() else { continue };
            if let Stage::Disturbed { until, grace, error } = &mut task.asked[index].stage
                && *until <= now
            {
                let killed_at = now + *grace;
                if let Some((words, told)) = error.take() {
                    let name = self.runtime.now.container(&id).map(|found| found.name.clone());
                    self.tell_failed(Call::StopContainer, &name.unwrap_or_default(), &words);
                    let place = task.failures.len().max(stop + 1);
                    task.failures.resize(place, None);
                    task.failures[stop] = Some(Failure::new(told));
                    task.termination.failed(stop);
                    task.asked[index].stage = Stage::Over;
                    continue;
                }
                self.runtime.terminate(&id, now);
                task.asked[index].stage = Stage::Terminating { killed_at };
            }
            if let Stage::Terminating { killed_at } = task.asked[index].stage {
                if killed_at <= now {
                    let ended = self.runtime.kill(&id, now);
                    self.tell_ended(ended);
                }
                // The kubelet notices an end only while it asks.
                if !self.runs(Some(&id)) {
                    task.termination.stopped(stop);
                    task.asked[index].stage = Stage::Over;
                }
            }
        }
    }

    fn carry_out(&mut self, task: &mut StopTask, order: StopOrder) {
        let now = self.now;
        match order {
            StopOrder::RunPreStop { stop, handler, .. } => {
                let Some(planned) = task.termination.plan().stops().get(stop) else { return };
                let (container, id) = (planned.container, planned.instance_id.clone());
                let (takes, hook) = self.run_hook(container, id, handler, "preStop");
                let fails = hook.failure.is_some();
                task.hooks.push(PreStop { stop, until: now + takes, is_exec: hook.is_exec, fails });
            }
            StopOrder::Stop { stop, grace_seconds } => {
                let Some(id) = task.instance(stop).cloned() else { return };
                let Some(found) = self.runtime.now.container(&id) else {
                    task.termination.stopped(stop);
                    return;
                };
                let (name, attempt) = (found.name.clone(), found.attempt);
                self.tell(Entry {
                    kind: Kind::Call,
                    op: Call::StopContainer.as_str().into(),
                    container: name.to_string(),
                    attempt: Some(attempt),
                    grace_period_seconds: Some(grace_seconds),
                    ..Entry::default()
                });
                let grace = Duration::from_secs(u64::try_from(grace_seconds).unwrap_or(0));
                let disturbance =
                    self.runtime.disturb(self.scenario, Call::StopContainer, &name, "", now);
                let (until, error) = (now + disturbance.takes, disturbance.error);
                let stage = Stage::Disturbed { until, grace, error };
                task.asked.push(Asked { stop, stage });
            }
            // The runtime does it by itself.
            _ => {}
        }
    }
}

/// When the stop goes on, if nothing happens before.
fn due(task: &StopTask, next: NextStep) -> Moment {
    let step = match next {
        NextStep::At(after) => task.began + after,
        NextStep::OnChange | NextStep::Done => Moment::NEVER,
    };
    let hooks = task.hooks.iter().map(|hook| hook.until);
    let asked = task.asked.iter().filter_map(|asked| match asked.stage {
        Stage::Disturbed { until, .. } => Some(until),
        Stage::Terminating { killed_at } => Some(killed_at),
        Stage::Over => None,
    });
    hooks.chain(asked).chain([step]).min().unwrap_or(Moment::NEVER)
}

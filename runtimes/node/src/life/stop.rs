//! Containers that are being stopped, in the order and with the grace of their plan.

use std::time::Duration;

use podinit::Timestamp;
use podinit::termination::{NextStep, StopOrder, Termination, TerminationPlan};
use podinit::worker::Failure;
use smol_str::SmolStr;

use super::PodLife;
use super::task::{Came, Task};

/// A stop under way.
#[derive(Debug)]
pub(super) struct StopTask {
    began: Timestamp,
    termination: Termination,
    hooks: Vec<Hook>,
    /// Stops whose container was told to end.
    asked: Vec<usize>,
    /// What the operation then comes to, if the stop is not what was asked for.
    then: Option<Failure>,
    /// When it goes on by itself.
    pub(super) due: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug)]
struct Hook {
    stop: usize,
    until: Timestamp,
    fails: bool,
}

impl StopTask {
    pub(super) fn new(plan: TerminationPlan, then: Option<Failure>, now: Timestamp) -> Self {
        let termination = Termination::new(plan);
        Self { began: now, termination, hooks: Vec::new(), asked: Vec::new(), then, due: Some(now) }
    }

    fn instance(&self, stop: usize) -> Option<SmolStr> {
        self.termination.plan().stops().get(stop).map(|stop| stop.instance_id.clone())
    }
}

impl PodLife {
    /// Takes the stop under way as far as it goes now; gives the outcome when it is over.
    pub(super) fn poll_stop(&mut self, now: Timestamp) -> Option<Came> {
        let Some(Task::Stop(mut task)) = self.task.take() else { return None };
        let elapsed = now.saturating_duration_since(task.began);
        loop {
            self.end_hooks(&mut task, now);
            task.asked.retain(|stop| {
                let id = task.termination.plan().stops().get(*stop).map(|stop| &stop.instance_id);
                let runs = id.is_some_and(|id| self.world.runs(id));
                if !runs {
                    task.termination.stopped(*stop);
                }
                runs
            });
            let step = task.termination.step(elapsed);
            for order in &step.orders {
                self.carry_out(&mut task, *order, now);
            }
            if !step.orders.is_empty() {
                continue;
            }
            task.due = match step.next {
                NextStep::Done => return Some(task.then.map_or(Came::Done, Came::Failed)),
                NextStep::At(after) => Some(task.began + after),
                NextStep::OnChange => None,
            };
            let hooks = task.hooks.iter().map(|hook| hook.until).min();
            task.due = [task.due, hooks].into_iter().flatten().min();
            self.task = Some(Task::Stop(task));
            return None;
        }
    }

    fn end_hooks(&mut self, task: &mut StopTask, now: Timestamp) {
        for hook in std::mem::take(&mut task.hooks) {
            let cut_off = !task.instance(hook.stop).is_some_and(|id| self.world.runs(&id));
            if hook.until > now && !cut_off {
                task.hooks.push(hook);
                continue;
            }
            task.termination.pre_stop_ended(hook.stop);
            if hook.fails || cut_off {
                self.note_failed_hook(hook.stop, now);
            }
        }
    }

    fn carry_out(&mut self, task: &mut StopTask, order: StopOrder, now: Timestamp) {
        match order {
            StopOrder::RunPreStop { stop, handler, .. } => {
                let Some(planned) = task.termination.plan().stops().get(stop) else { return };
                let (container, id) = (planned.container, planned.instance_id.clone());
                let (takes, failure) = self.run_hook(container, &id, handler, false, now);
                // An answer that takes no time is one all the same.
                let until = now + takes.max(Duration::from_nanos(1));
                task.hooks.push(Hook { stop, until, fails: failure.is_some() });
            }
            StopOrder::Stop { stop, .. } => {
                if let Some(id) = task.instance(stop) {
                    self.world.terminate(&id, now);
                }
                task.asked.push(stop);
            }
            StopOrder::Kill { stop } => {
                if let Some(id) = task.instance(stop) {
                    self.world.kill(&id, now);
                    self.notice(now);
                }
            }
            _ => {}
        }
    }
}

//! What is known of a pod at one point of its trace.

use alloc::vec::Vec;
use core::time::Duration;

use smol_str::SmolStr;

use super::trace::{Fact, StopScope, Trace, TraceEntry};
use crate::pod::{ContainerIndex, ContainerKind, PodSpec};
use crate::status::{PodPhase, PodStatus};
use crate::time::Timestamp;
use crate::version::Feature;

/// An instance that has been started and not been removed.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) id: SmolStr,
    pub(super) sandbox_id: SmolStr,
    pub(super) restart_count: u32,
    /// It was asked to stop, alone or with the pod.
    pub(super) stop: Option<StopScope>,
    /// `None`: it runs.
    pub(super) exit: Option<RecordedExit>,
}

/// How an instance ended.
#[derive(Clone, Debug)]
pub(super) struct RecordedExit {
    pub(super) code: i32,
    pub(super) reason: SmolStr,
    pub(super) finished_at: Timestamp,
}

impl RecordedExit {
    /// As an init container it has failed: killed for memory counts even with exit code 0.
    pub(super) fn failed(&self) -> bool {
        self.code != 0 || self.reason == "OOMKilled"
    }
}

/// What is known of one container.
#[derive(Clone, Debug, Default)]
pub(super) struct ContainerLife {
    /// Oldest first.
    pub(super) records: Vec<Record>,
    /// The sandbox in which it succeeded (a regular init container) or started (a restartable one)
    /// last.
    pub(super) done_in: Option<SmolStr>,
    /// The ids of all instances that were made and not removed, oldest first.
    present: Vec<SmolStr>,
    /// How many instances were made after the last one that ran.
    made: u32,
    /// The ids of all instances there ever were.
    pub(super) ids: Vec<SmolStr>,
    /// Restarts after ends of its own, since back-off was last forgotten: a lower bound.
    restarts: u32,
    /// The end after which it was restarted last.
    restarted_after: Option<Timestamp>,
}

impl ContainerLife {
    pub(super) fn running(&self) -> Option<&Record> {
        self.records.iter().find(|record| record.exit.is_none())
    }

    /// The newest instance, if it has ended by itself: the one that back-off counts from.
    pub(super) fn last_own_exit(&self) -> Option<&RecordedExit> {
        let newest = self.records.last().filter(|record| record.stop.is_none())?;
        newest.exit.as_ref()
    }
}

/// Everything known before an entry.
#[derive(Clone, Debug)]
pub(super) struct World<'a> {
    pub(super) trace: &'a Trace,
    pub(super) pod: &'a PodSpec,
    /// Those that are ready, oldest first.
    pub(super) sandboxes: Vec<SmolStr>,
    /// By [`ContainerIndex`].
    pub(super) containers: Vec<ContainerLife>,
    pub(super) deletion_requested: bool,
    pub(super) evicted: bool,
    /// The last one written.
    pub(super) status: Option<&'a PodStatus>,
    /// The pod has begun anew (a sandbox has ended, a newest instance was removed), and has not come
    /// to its app containers again, as far as the statuses tell.
    pub(super) started_over: bool,
    /// It has begun anew since the last status was written, whose sync may not have known.
    started_over_lately: bool,
    /// An app container has been started since then.
    app_started: bool,
    /// An app container has been started since the last restart in place.
    app_ran: bool,
}

impl<'a> World<'a> {
    pub(super) fn new(trace: &'a Trace) -> Self {
        let pod = trace.pod();
        let containers = pod.containers().iter().map(|_| ContainerLife::default()).collect();
        Self {
            trace,
            pod,
            sandboxes: Vec::new(),
            containers,
            deletion_requested: false,
            evicted: false,
            status: None,
            started_over: false,
            started_over_lately: false,
            app_started: false,
            app_ran: false,
        }
    }

    pub(super) fn life(&self, container: ContainerIndex) -> Option<&ContainerLife> {
        self.containers.get(container.slot())
    }

    fn life_mut(&mut self, container: ContainerIndex) -> Option<&mut ContainerLife> {
        self.containers.get_mut(container.slot())
    }

    pub(super) fn name(&self, container: ContainerIndex) -> &'a str {
        self.pod.containers().get(container.slot()).map_or("?", |declared| declared.name())
    }

    /// Has this init container succeeded, or started if it is restartable, in this sandbox?
    pub(super) fn is_done(&self, container: ContainerIndex, sandbox_id: &str) -> bool {
        self.life(container)
            .and_then(|life| life.done_in.as_ref())
            .is_some_and(|done_in| done_in == sandbox_id)
    }

    /// May the phase go back to Pending? The pod has begun anew, or will once no app container runs:
    /// the kubelet has no record of an init container any more.
    pub(super) fn may_begin_anew(&self) -> bool {
        let forgotten = |init: ContainerIndex| {
            self.life(init).is_some_and(|life| !life.ids.is_empty() && life.present.is_empty())
        };
        self.started_over || self.pod.init_containers().any(forgotten)
    }

    /// Has an app container an instance that was made and never ran? The kubelet takes it for a
    /// sign that the pod is initialised, of whatever sandbox it is: `computeInitContainerActions`
    /// finds it by the container's name, and sets `podHasInitialized` for one that is Created or
    /// Running. The instance that is being started now does not count.
    pub(super) fn seems_initialized(&self, starting: ContainerIndex) -> bool {
        let made = |app| self.life(app).is_some_and(|life| life.made > u32::from(app == starting));
        self.pod.app_containers().any(made)
    }

    /// The phase that has been written last, if no pod comes back from it.
    pub(super) fn terminal_phase(&self) -> Option<PodPhase> {
        self.status.map(|status| status.phase).filter(|phase| phase.is_terminal())
    }

    /// For at least how long a container is held back after an end of its own; `None`: not at all.
    ///
    /// A lower bound: attempts that failed before the container ran lengthen the real delay and
    /// are not seen here.
    pub(super) fn held_back(
        &self,
        container: ContainerIndex,
        finished_at: Timestamp,
    ) -> Option<Duration> {
        let settings = self.trace.back_off();
        let life = self.life(container)?;
        let since = finished_at.saturating_duration_since(life.restarted_after?);
        if life.restarts == 0 || since > settings.expires_after {
            return None;
        }
        let doubled = 1u32.checked_shl(life.restarts - 1).unwrap_or(u32::MAX);
        Some(settings.initial.saturating_mul(doubled).min(settings.max))
    }

    /// Lets an entry happen.
    pub(super) fn apply(&mut self, entry: &'a TraceEntry) {
        match &entry.fact {
            Fact::SandboxStarted { id } => self.sandboxes.push(id.clone()),
            Fact::SandboxEnded { id } => {
                self.sandboxes.retain(|ready| ready != id);
                self.start_over();
            }
            Fact::ContainerCreated { container, id } => self.make(*container, id),
            Fact::ContainerStarted { container, id, sandbox_id, restart_count } => {
                let record = Record {
                    id: id.clone(),
                    sandbox_id: sandbox_id.clone(),
                    restart_count: *restart_count,
                    stop: None,
                    exit: None,
                };
                self.start(*container, record);
            }
            Fact::StartupSucceeded { container, id } => self.startup_succeeded(*container, id),
            Fact::StopRequested { container, id, scope } => {
                if let Some(record) = self.record_mut(*container, id) {
                    record.stop = Some(*scope);
                }
            }
            Fact::ContainerExited { container, id, exit_code, reason, finished_at } => {
                let exit = RecordedExit {
                    code: *exit_code,
                    reason: reason.clone(),
                    finished_at: *finished_at,
                };
                self.exit(*container, id, exit);
            }
            Fact::ContainerRemoved { container, id } => self.remove(*container, id),
            Fact::DeletionRequested => self.deletion_requested = true,
            Fact::Evicted => self.evicted = true,
            Fact::MemoryLost => {
                // The API server does not know of it before the pod has stopped.
                self.evicted = false;
                for life in &mut self.containers {
                    life.restarts = 0;
                    life.restarted_after = None;
                }
            }
            Fact::StatusWritten(status) => {
                if status.phase == PodPhase::Running && self.app_started {
                    self.started_over = self.started_over_lately;
                }
                self.started_over_lately = false;
                self.status = Some(status);
            }
        }
    }

    fn record_mut(&mut self, container: ContainerIndex, id: &str) -> Option<&mut Record> {
        self.life_mut(container)?.records.iter_mut().find(|record| record.id == id)
    }

    fn make(&mut self, container: ContainerIndex, id: &SmolStr) {
        let is_init = self.pod.init_containers().any(|init| init == container);
        let Some(life) = self.life_mut(container) else { return };
        let again = is_init && life.present.is_empty() && !life.ids.is_empty();
        life.present.push(id.clone());
        life.made = life.made.saturating_add(1);
        // Of two instances that never ran, the older one hides how the last run ended: its state is
        // the last state (`convertToAPIContainerStatuses`).
        if life.made > 1 || again {
            self.start_over();
        }
    }

    fn start(&mut self, container: ContainerIndex, record: Record) {
        let settings = self.trace.back_off();
        let declared = self.pod.containers().get(container.slot());
        let starts_at_once = declared.is_some_and(|declared| {
            declared.is_restartable_init_container() && declared.startup_probe().is_none()
        });
        let is_app = self.pod.app_containers().any(|app| app == container);
        self.app_started |= is_app;
        self.app_ran |= is_app;
        let Some(life) = self.life_mut(container) else { return };
        if let Some(finished_at) = life.last_own_exit().map(|exit| exit.finished_at) {
            let expired = life.restarted_after.is_some_and(|before| {
                finished_at.saturating_duration_since(before) > settings.expires_after
            });
            life.restarts = if expired { 1 } else { life.restarts.saturating_add(1) };
            life.restarted_after = Some(finished_at);
        }
        if starts_at_once {
            life.done_in = Some(record.sandbox_id.clone());
        }
        life.made = 0;
        if !life.present.contains(&record.id) {
            life.present.push(record.id.clone());
        }
        life.ids.push(record.id.clone());
        life.records.push(record);
    }

    fn startup_succeeded(&mut self, container: ContainerIndex, id: &str) {
        let sandbox_id = self.record_mut(container, id).map(|record| record.sandbox_id.clone());
        if let Some(life) = self.life_mut(container) {
            life.done_in = sandbox_id;
        }
    }

    fn exit(&mut self, container: ContainerIndex, id: &str, exit: RecordedExit) {
        let regular = self
            .pod
            .containers()
            .get(container.slot())
            .is_some_and(|declared| declared.kind() == ContainerKind::Init);
        let succeeded = regular && !exit.failed();
        let Some(record) = self.record_mut(container, id) else { return };
        let sandbox_id = record.sandbox_id.clone();
        record.exit = Some(exit);
        if succeeded && let Some(life) = self.life_mut(container) {
            life.done_in = Some(sandbox_id);
        }
    }

    fn start_over(&mut self) {
        self.started_over = true;
        self.started_over_lately = true;
        self.app_started = false;
    }

    fn remove(&mut self, container: ContainerIndex, id: &str) {
        let declared = self.pod.containers().get(container.slot());
        let regular = declared.is_some_and(|declared| declared.kind() == ContainerKind::Init);
        // A regular init container runs again, if no app container runs. Of any other one the last
        // end is kept in its status (`convertToAPIContainerStatuses`): since 1.36 also once a new
        // instance is made.
        let mut forgotten =
            regular || !self.pod.enabled(Feature::RestartAllContainersOnContainerExits);
        let Some(life) = self.life_mut(container) else { return };
        let newest = life.present.last().is_some_and(|newest| newest == id);
        life.records.retain(|record| record.id != id);
        life.present.retain(|present| present != id);
        // An instance that never ran had hidden that end, and is now the newest one.
        forgotten |= life
            .present
            .last()
            .is_some_and(|left| life.records.iter().all(|record| record.id != *left));
        // While no app container has an instance, one restartable init container that has not
        // started is enough (`HasAnyActiveRegularContainerStarted`).
        let has_instance =
            |app| self.life(app).is_some_and(|life: &ContainerLife| !life.present.is_empty());
        forgotten |= self.pod.has_restartable_init_container()
            && !self.pod.app_containers().any(has_instance);
        if newest && forgotten {
            self.start_over();
        }
        // A restart in place leaves nothing: the pod begins anew in the same sandbox. One that has
        // not come to its app containers since the last time has merely lost something.
        let in_place = self.pod.can_restart_all_containers() && self.app_ran;
        if in_place && self.containers.iter().all(|life| life.present.is_empty()) {
            self.app_ran = false;
            self.start_over();
            self.containers.iter_mut().for_each(|life| life.done_in = None);
        }
    }
}

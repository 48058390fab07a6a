//! A runtime without what no decision depends on, and one that is moved from outside.

use alloc::vec::Vec;

use smol_str::format_smolstr;

use super::{Probe, SimRuntime};
use crate::observation::{Exit, InstanceState, ProbeResult};
use crate::pod::{ContainerIndex, PodSpec};
use crate::time::Timestamp;
use crate::worker::Renaming;

/// Attempts that are to fail, or that have failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::sim) struct Attempts {
    pub(in crate::sim) pull: bool,
    pub(in crate::sim) create: bool,
    pub(in crate::sim) start: bool,
}

/// Restart counts are kept up to here. Only differences count, and those of a container's records
/// and its status are never larger.
const KEPT_RESTARTS: u32 = 3;
/// Of a container's records that have ended, only the newest ones are ever looked at.
const KEPT_INSTANCES: usize = 2;

impl SimRuntime {
    /// Makes all times `at`, renumbers restarts, renames records and drops old ones.
    pub(in crate::sim) fn abstract_from(&mut self, pod: &PodSpec, at: Timestamp) -> Renaming {
        self.now = at;
        self.ids.clear();
        self.calls.clear();
        self.changes = 0;
        self.images.sort();
        let mut renaming = Renaming::default();
        for (position, sandbox) in self.sandboxes.iter_mut().enumerate() {
            let id = format_smolstr!("sandbox-{position}");
            renaming.ids.push((core::mem::replace(&mut sandbox.id, id.clone()), id));
        }
        for (index, container) in pod.containers().iter().zip(&mut self.containers) {
            container.starts = 0;
            container.pull_failures = 0;
            container.create_failures = 0;
            container.start_failures = 0;
            let mut seen_exit = false;
            let mut position = 0;
            container.instances.retain(|instance| {
                let first_exit = instance.instance.exit().is_some() && !seen_exit;
                seen_exit |= first_exit;
                position += 1;
                position <= KEPT_INSTANCES || first_exit || instance.instance.is_running()
            });
            let newest = container.instances.iter().map(|kept| kept.instance.restart_count).max();
            let newest = newest.max(container.logs.iter().copied().max()).unwrap_or(0);
            let fewer = newest.saturating_sub(KEPT_RESTARTS);
            renaming.fewer_restarts.push(fewer);
            container.logs.iter_mut().for_each(|log| *log = log.saturating_sub(fewer));
            container.logs.sort_unstable();
            container.logs.dedup();
            for (position, kept) in container.instances.iter_mut().enumerate() {
                let instance = &mut kept.instance;
                let id = format_smolstr!("{}-{position}", index.name());
                renaming.ids.push((core::mem::replace(&mut instance.id, id.clone()), id));
                let sandbox = renaming.ids.iter().find(|(old, _)| *old == instance.sandbox_id);
                if let Some((_, new)) = sandbox {
                    instance.sandbox_id = new.clone();
                }
                instance.restart_count = instance.restart_count.saturating_sub(fewer);
                instance.created_at = instance.created_at.map(|_| at);
                instance.started_at = instance.started_at.map(|_| at);
                if let InstanceState::Exited(exit) = &mut instance.state {
                    exit.finished_at = Some(at);
                }
            }
        }
        renaming
    }

    /// Moves the clock, and lets nothing happen.
    pub(in crate::sim) fn set_now(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// The running instance of a container ends.
    pub(in crate::sim) fn exit(&mut self, container: ContainerIndex, exit: Exit) {
        let instances = self.containers.get_mut(container.slot()).map(|c| &mut c.instances);
        let mut running = instances.into_iter().flatten().filter(|i| i.instance.is_running());
        if let Some(running) = running.next() {
            running.instance.state = InstanceState::Exited(exit);
        }
    }

    /// A probe of the running instance of a container says something.
    pub(in crate::sim) fn set_probe(
        &mut self,
        container: ContainerIndex,
        probe: Probe,
        result: ProbeResult,
    ) {
        let instances = self.containers.get_mut(container.slot()).map(|c| &mut c.instances);
        let mut running = instances.into_iter().flatten().filter(|i| i.instance.is_running());
        if let Some(running) = running.next() {
            running.instance.set_probe(probe, result);
        }
    }

    /// The next attempts of a container fail or do not.
    pub(in crate::sim) fn set_failing(&mut self, container: ContainerIndex, fail: Attempts) {
        if let Some(container) = self.containers.get_mut(container.slot()) {
            container.pull_failures = fail.pull.into();
            container.create_failures = fail.create.into();
            container.start_failures = fail.start.into();
        }
    }

    /// Which of the attempts that are to fail have not been made.
    pub(in crate::sim) fn failing(&self, container: ContainerIndex) -> Attempts {
        self.containers.get(container.slot()).map_or_else(Attempts::default, |container| Attempts {
            pull: container.pull_failures > 0,
            create: container.create_failures > 0,
            start: container.start_failures > 0,
        })
    }

    /// Has the container been started since the abstraction?
    pub(in crate::sim) fn has_started(&self, container: ContainerIndex) -> bool {
        self.containers.get(container.slot()).is_some_and(|container| container.starts > 0)
    }

    /// The ids of the instances of a container that run.
    pub(in crate::sim) fn running(&self, container: ContainerIndex) -> Vec<&str> {
        let instances = self.containers.get(container.slot()).map(|c| &c.instances);
        let running = instances.into_iter().flatten().filter(|i| i.instance.is_running());
        running.map(|running| running.instance.id.as_str()).collect()
    }

    /// The calls since the last time they were taken.
    pub(in crate::sim) fn calls(&self) -> &[super::RuntimeCall] {
        &self.calls
    }
}

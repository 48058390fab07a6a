//! A worker without what no decision depends on, so that workers that decide alike are equal.

use alloc::vec::Vec;

use smol_str::SmolStr;

use super::PodWorker;
use super::program::Program;
use super::start::ImagePulls;
use super::wake::NextSync;
use crate::actions::PodActions;
use crate::pod::{ContainerIndex, PodSpec};
use crate::status::{ContainerState, ContainerStatus, PodStatus};
use crate::time::Timestamp;

/// How a container's records are renamed and its restarts renumbered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Renaming {
    /// What becomes of ids. Those that are not listed belong to records that are gone.
    pub(crate) ids: Vec<(SmolStr, SmolStr)>,
    /// By container: what is taken from each of its restart counts.
    pub(crate) fewer_restarts: Vec<u32>,
}

/// The id of every record that is gone.
const GONE: SmolStr = SmolStr::new_static("gone");

impl Renaming {
    fn id(&self, id: &mut SmolStr) {
        if !id.is_empty() {
            let new = self.ids.iter().find(|(old, _)| old == id);
            *id = new.map_or(GONE, |(_, new)| new.clone());
        }
    }

    pub(crate) fn restarts(&self, container: ContainerIndex) -> u32 {
        self.fewer_restarts.get(container.slot()).copied().unwrap_or_default()
    }
}

impl PodWorker {
    /// Makes all times `at`, and drops texts, back-off and the memory of the last sync.
    ///
    /// Times count only in back-off and deadlines, which are told anew before each sync; texts and
    /// the numbers of restarts count nowhere, ids only where they are equal.
    pub(crate) fn abstract_from(&mut self, pod: &PodSpec, renaming: &Renaming, at: Timestamp) {
        abstract_status(&mut self.status.own, pod, renaming, at);
        abstract_status(&mut self.status.api, pod, renaming, at);
        self.forget_back_off();
        self.start_failures.clear_messages();
        self.actions = PodActions::default();
        self.program = Program::default();
        self.results.clear();
        self.events.clear();
        self.next_sync = NextSync::OnChange;
    }

    /// Nothing is held back.
    pub(crate) fn forget_back_off(&mut self) {
        self.crash_loop_back_off.clear();
        self.image_pulls = ImagePulls::new(self.settings.image_pull_back_off);
    }

    /// A container that ended at `at` is held back by its crash-loop back-off for some time.
    pub(crate) fn hold_back(&mut self, pod: &PodSpec, container: ContainerIndex, at: Timestamp) {
        self.crash_loop_back_off.advance(Self::crash_loop_key(pod, container), at, at);
    }

    /// The pull of a container's image is held back from `at` for some time.
    pub(crate) fn hold_pull_back(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
        at: Timestamp,
    ) {
        self.image_pulls.hold_back(pod, container, at);
    }

    /// Is a container that ended at `at` held back? Where nothing was, its series has gone on.
    pub(crate) fn is_held_back(
        &self,
        pod: &PodSpec,
        container: ContainerIndex,
        at: Timestamp,
    ) -> bool {
        let key = Self::crash_loop_key(pod, container);
        self.crash_loop_back_off.in_back_off_since(&key, at, at).is_some()
    }
}

fn abstract_status(status: &mut PodStatus, pod: &PodSpec, renaming: &Renaming, at: Timestamp) {
    status.message = SmolStr::default();
    status.start_time = status.start_time.map(|_| at);
    for condition in &mut status.conditions {
        condition.message = SmolStr::default();
        condition.last_transition_time = condition.last_transition_time.map(|_| at);
    }
    let lists = [
        &mut status.init_container_statuses,
        &mut status.container_statuses,
        &mut status.ephemeral_container_statuses,
    ];
    for status in lists.into_iter().flatten() {
        abstract_container(status, pod, renaming, at);
    }
}

fn abstract_container(
    status: &mut ContainerStatus,
    pod: &PodSpec,
    renaming: &Renaming,
    at: Timestamp,
) {
    let fewer = pod.find(&status.name).map_or(0, |container| renaming.restarts(container));
    let fewer = i32::try_from(fewer).unwrap_or(i32::MAX);
    status.restart_count = status.restart_count.saturating_sub(fewer).max(0);
    renaming.id(&mut status.container_id);
    for state in [&mut status.state, &mut status.last_termination_state] {
        let ContainerState { waiting, running, terminated } = state;
        if let Some(waiting) = waiting {
            waiting.message = SmolStr::default();
        }
        if let Some(running) = running {
            running.started_at = running.started_at.map(|_| at);
        }
        if let Some(terminated) = terminated {
            terminated.message = SmolStr::default();
            terminated.started_at = terminated.started_at.map(|_| at);
            terminated.finished_at = terminated.finished_at.map(|_| at);
            renaming.id(&mut terminated.container_id);
        }
    }
}

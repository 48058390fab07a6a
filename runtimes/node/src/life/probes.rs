//! The probes of the containers that run.

use std::sync::Arc;
use std::time::Duration;

use podinit::Timestamp;
use podinit::event::Event;
use podinit::probe::ProbeKind;
use podinit::worker::SyncKind;
use smol_str::SmolStr;

use super::PodLife;
use super::asking::line;
use super::behaviour::declared;

/// What a probe of a container asks, and how long it waits for the answer.
pub(super) type Question = (SmolStr, ProbeKind, Option<(Arc<str>, Duration)>);

/// A probe that waits for its answer.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    container: SmolStr,
    id: SmolStr,
    kind: ProbeKind,
    pub(super) until: Timestamp,
    complaint: Option<String>,
}

impl PodLife {
    /// When the next probe is due, or has its answer.
    pub(super) fn probe_due(&self) -> Option<Timestamp> {
        let answers = self.asked.iter().map(|asked| asked.until);
        let turns = self.probed().filter_map(|(name, _)| self.world.probes.get(name)?.next_due());
        answers.chain(turns).min()
    }

    /// The containers that are probed, with their instances: those of which the kubelet has seen that
    /// they run.
    fn probed(&self) -> impl Iterator<Item = (&SmolStr, &SmolStr)> {
        let status = self.worker.status();
        let lists = [&status.init_container_statuses, &status.container_statuses];
        let seen = lists.into_iter().flatten().filter(|of| of.state.running.is_some());
        seen.map(|of| (&of.name, &of.container_id)).filter(|(_, id)| self.world.runs(id))
    }

    /// What a probe asks, and how long it waits for the answer. Made out once: probes are many.
    fn question(&mut self, container: &SmolStr, kind: ProbeKind) -> Option<(Arc<str>, Duration)> {
        let known = self.questions.iter().find(|known| known.0 == *container && known.1 == kind);
        if let Some((.., question)) = known {
            return question.clone();
        }
        let declared = declared(&self.api, container);
        let question = declared.as_ref().and_then(|declared| {
            let probe = kind.declared_in(declared)?;
            let seconds = u64::try_from(probe.timeout_seconds.unwrap_or(1)).unwrap_or(1);
            Some((line(probe, declared)?.into(), Duration::from_secs(seconds.max(1))))
        });
        self.questions.push((container.clone(), kind, question.clone()));
        question
    }

    fn has_started(&self, id: &str) -> bool {
        let status = self.worker.status();
        let lists = [&status.init_container_statuses, &status.container_statuses];
        let mut all = lists.into_iter().flatten();
        all.any(|of| of.container_id == id && of.started == Some(true))
    }

    /// Runs the probes that are due, and takes the answers that have come.
    pub(super) fn probe(&mut self, now: Timestamp) {
        let (answered, waiting): (Vec<Asked>, Vec<Asked>) =
            std::mem::take(&mut self.asked).into_iter().partition(|asked| asked.until <= now);
        self.asked = waiting;
        for asked in answered {
            self.answered(asked, now);
        }
        let running: Vec<(SmolStr, SmolStr)> =
            self.probed().map(|(name, id)| (name.clone(), id.clone())).collect();
        for (container, id) in running {
            while let Some(kind) =
                self.world.probes.get_mut(&container).and_then(|probes| probes.take_due(now))
            {
                self.begin_probe(&container, &id, kind, now);
            }
        }
    }

    fn begin_probe(&mut self, container: &SmolStr, id: &SmolStr, kind: ProbeKind, now: Timestamp) {
        // Once the startup probes of a pod that is stopped have ended, what has not started never has.
        if kind != ProbeKind::Startup && !self.has_started(id) {
            return;
        }
        let (takes, complaint) = match self.question(container, kind) {
            Some((asked, limit)) => self.ask(id, &asked, Some(limit), now),
            None => (Duration::ZERO, None),
        };
        let until = now + takes.max(Duration::from_millis(1));
        self.asked.push(Asked {
            container: container.clone(),
            id: id.clone(),
            kind,
            until,
            complaint,
        });
    }

    fn answered(&mut self, asked: Asked, now: Timestamp) {
        let Asked { container, id, kind, complaint, .. } = asked;
        if !self.world.runs(&id) {
            return;
        }
        let Some(probes) = self.world.probes.get_mut(&container) else { return };
        let changed = probes.record(kind, complaint.is_none(), now);
        if let Some(complaint) = &complaint {
            let event = Event::unhealthy(kind, complaint);
            let index = self.spec.find(&container);
            let event = index.map_or(event.clone(), |index| event.about(index));
            self.events.push((now, event));
        }
        if !changed {
            return;
        }
        let good = complaint.is_none();
        match kind {
            ProbeKind::Readiness => self.worker.set_container_readiness(&self.spec, &id, good, now),
            ProbeKind::Startup => self.worker.set_container_startup(&self.spec, &id, good, now),
            ProbeKind::Liveness => {}
        }
        self.sync_no_later_than(now);
    }

    /// The pod is synced: probes that this concerns are told.
    pub(super) fn tell_probes(&mut self, now: Timestamp) {
        let stopping = self.worker.kind() != SyncKind::Pod;
        for probes in self.world.probes.values_mut() {
            if stopping {
                probes.stopping();
            } else {
                probes.synced(now);
            }
        }
    }
}

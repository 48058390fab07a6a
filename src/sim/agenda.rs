//! What happens next in a pod's life, and when.
//!
//! A single simulation, the pods of a fleet and a driven controller differ in what they do at an
//! instant. When the next instant is, how often a pod is synced at one instant, and where a life
//! ends are the same for all, and are decided here.

use core::time::Duration;

use super::scenario::{Limits, PodEvent, ScheduledEvent};
use crate::time::Timestamp;

/// The most syncs of one pod at one instant.
pub(crate) const MAX_SYNCS_AT_ONCE: usize = 12;

/// The instants at which something is due for one pod.
#[derive(Clone, Debug)]
pub(crate) struct Agenda {
    begins_at: Timestamp,
    ends_at: Timestamp,
    max_steps: usize,
    steps: usize,
    /// How many of the scheduled events have happened.
    events: usize,
    /// When the last sync asked for another one.
    asked_for: Option<Timestamp>,
    /// When a change that has happened already is noticed.
    noticed: Option<Timestamp>,
    /// How often the pod has been synced at the present instant.
    syncs_at_once: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Something is due at this instant.
    At(Timestamp),
    /// Nothing more will happen.
    Nothing,
    /// A limit was reached.
    Truncated,
}

/// A sync that is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Synced {
    /// When it began.
    pub(crate) began: Timestamp,
    /// When it was over.
    pub(crate) now: Timestamp,
    /// When it wants to be followed by another one.
    pub(crate) asked_for: Option<Timestamp>,
    /// When what it has started or ended is noticed, if it has.
    pub(crate) noticed: Option<Timestamp>,
    /// It wants to be followed by another one at once.
    pub(crate) again: bool,
}

impl Agenda {
    /// The agenda of a life that begins now; nothing happens after `ends_at`, nor after the first
    /// instant at whose end more than `max_steps` steps are recorded.
    pub(crate) fn new(begins_at: Timestamp, ends_at: Timestamp, max_steps: usize) -> Self {
        Self {
            begins_at,
            ends_at,
            max_steps,
            steps: 0,
            events: 0,
            asked_for: None,
            noticed: None,
            syncs_at_once: 0,
        }
    }

    /// The agenda of a scenario.
    pub(crate) fn limited(begins_at: Timestamp, limits: Limits) -> Self {
        Self::new(begins_at, begins_at + limits.time, limits.steps)
    }

    pub(crate) fn since_beginning(&self, now: Timestamp) -> Duration {
        now.saturating_duration_since(self.begins_at)
    }

    /// The next instant, at which an event happens, `change` is due, or a sync; `now`: when the
    /// last sync was over.
    pub(crate) fn next(
        &self,
        events: &[ScheduledEvent],
        change: Option<Timestamp>,
        now: Timestamp,
    ) -> Next {
        let event = events.get(self.events).map(|event| self.begins_at + event.at);
        let due = [self.asked_for, self.noticed, event, change].into_iter().flatten().min();
        match due.map(|due| due.max(now)) {
            None => Next::Nothing,
            Some(next) if next > self.ends_at || self.steps > self.max_steps => Next::Truncated,
            Some(next) => Next::At(next),
        }
    }

    /// The next event that is due, which happens now. `events` are in the order of time.
    pub(crate) fn take_event<'e>(
        &mut self,
        events: &'e [ScheduledEvent],
        now: Timestamp,
    ) -> Option<&'e PodEvent> {
        let due = events.get(self.events).filter(|event| event.at <= self.since_beginning(now))?;
        self.events += 1;
        Some(&due.event)
    }

    /// Something has changed that is noticed at `at`.
    pub(crate) fn notice(&mut self, at: Timestamp) {
        self.noticed = Some(self.noticed.map_or(at, |earlier| earlier.min(at)));
    }

    /// Returns `true` if a sync is due that was asked for, or for what is noticed by now.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> bool {
        let asked_for = self.asked_for.is_some_and(|at| at <= now);
        asked_for | self.noticed.take_if(|at| *at <= now).is_some()
    }

    /// The pod is looked at again at `at`, and not before unless something happens.
    pub(crate) fn postpone(&mut self, at: Option<Timestamp>) {
        self.asked_for = at;
        self.syncs_at_once = 0;
    }

    /// A step was recorded: a sync that called the runtime or changed a status.
    pub(crate) fn count_step(&mut self) {
        self.steps += 1;
    }

    /// Returns `true` if the pod is to be synced once more before time goes on.
    pub(crate) fn after_sync(&mut self, synced: Synced) -> bool {
        let Synced { began, now, asked_for, noticed, again } = synced;
        self.asked_for = asked_for;
        self.syncs_at_once += 1;
        let at_once = noticed.is_some_and(|at| at <= now);
        if let Some(at) = noticed.filter(|at| *at > now) {
            self.noticed = Some(at);
        }
        let again = again || at_once;
        if again && now > began {
            // What happened while the sync took its time happens first.
            self.asked_for = Some(now);
        } else if again && self.syncs_at_once < MAX_SYNCS_AT_ONCE {
            return true;
        } else if again {
            self.asked_for = self.asked_for.filter(|at| *at > now);
        }
        self.syncs_at_once = 0;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    fn agenda() -> Agenda {
        Agenda::new(at(100), at(200), 2)
    }

    fn synced(again: bool) -> Synced {
        Synced { began: at(100), now: at(100), asked_for: Some(at(100)), noticed: None, again }
    }

    #[test]
    fn the_earliest_instant_is_next_but_never_one_before_the_last_sync_was_over() {
        let mut agenda = agenda();
        agenda.notice(at(130));
        agenda.notice(at(120));
        assert_eq!(agenda.next(&[], Some(at(110)), at(100)), Next::At(at(110)));
        assert_eq!(agenda.next(&[], None, at(100)), Next::At(at(120)));
        assert_eq!(agenda.next(&[], Some(at(110)), at(125)), Next::At(at(125)));
    }

    #[test]
    fn a_life_ends_at_its_time_or_after_its_steps() {
        let mut agenda = agenda();
        assert_eq!(agenda.next(&[], None, at(100)), Next::Nothing);
        assert_eq!(agenda.next(&[], Some(at(200)), at(100)), Next::At(at(200)));
        assert_eq!(agenda.next(&[], Some(at(201)), at(100)), Next::Truncated);
        for _ in 0..3 {
            assert_ne!(agenda.next(&[], Some(at(150)), at(100)), Next::Truncated);
            agenda.count_step();
        }
        assert_eq!(agenda.next(&[], Some(at(150)), at(100)), Next::Truncated);
    }

    #[test]
    fn a_pod_that_always_asks_for_more_is_synced_twelve_times_at_one_instant() {
        let mut agenda = agenda();
        for _ in 1..MAX_SYNCS_AT_ONCE {
            assert!(agenda.after_sync(synced(true)));
        }
        assert!(!agenda.after_sync(synced(true)));
        assert_eq!(agenda.next(&[], None, at(100)), Next::Nothing);
    }

    #[test]
    fn what_happened_during_a_slow_sync_happens_before_the_next_one() {
        let mut agenda = agenda();
        let slow = Synced { now: at(105), asked_for: None, ..synced(true) };
        assert!(!agenda.after_sync(slow));
        assert_eq!(agenda.next(&[], Some(at(103)), at(105)), Next::At(at(105)));
        assert!(agenda.take_due(at(105)));
    }

    #[test]
    fn events_happen_once_and_in_their_order() {
        let events = [10, 20].map(|seconds| ScheduledEvent {
            at: Duration::from_secs(seconds),
            event: PodEvent::SandboxLost,
        });
        let mut agenda = agenda();
        assert_eq!(agenda.next(&events, None, at(100)), Next::At(at(110)));
        assert!(agenda.take_event(&events, at(109)).is_none());
        assert!(agenda.take_event(&events, at(110)).is_some());
        assert!(agenda.take_event(&events, at(110)).is_none());
        assert_eq!(agenda.next(&events, None, at(110)), Next::At(at(120)));
    }
}

//! The queue in which the pod worker asks to be called again (`util/queue/work_queue.go`).

use super::moment::Moment;

/// The queue, for one pod.
#[derive(Debug, Default)]
pub(super) struct WorkQueue {
    due: Option<Moment>,
}

impl WorkQueue {
    /// Asks to be called again; what was asked before is forgotten.
    pub(super) fn enqueue(&mut self, due: Moment) {
        self.due = Some(due);
    }

    pub(super) fn clear(&mut self) {
        self.due = None;
    }

    /// What is due by a tick of the sync loop.
    pub(super) fn take_due(&mut self, tick: Moment) -> bool {
        let due = self.due.is_some_and(|due| due < tick);
        if due {
            self.due = None;
        }
        due
    }
}

//! The lines of `kubectl get pod --watch`, as things happen.

use std::io::Write;

use podinit::kubectl::{HumanDuration, columns};
use podinit::{PodSpec, PodWorker, Timestamp};

/// Prints a line whenever a column changes.
#[derive(Debug)]
pub struct Watch {
    began: Timestamp,
    last: Option<[String; 3]>,
}

impl Watch {
    /// Begins with the heading; ages count from here.
    pub fn new(pod: &PodSpec, now: Timestamp) -> Self {
        line(pod, ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]);
        Self { began: now, last: None }
    }

    /// Shows the pod as the API server has it.
    pub fn show(&mut self, pod: &PodSpec, worker: &PodWorker, now: Timestamp) {
        let deletion = worker.deletion().map(|deletion| deletion.timestamp);
        let columns = columns(pod, worker.api_status(), deletion, now);
        let restarts = columns.restarts.to_string();
        let [ready, status] = [columns.ready.to_string(), columns.status.to_string()];
        // That a restart is longer ago is no change.
        let key = [ready, status, columns.restarts.count.to_string()];
        if self.last.as_ref() != Some(&key) {
            let age = HumanDuration::between(self.began, now).to_string();
            let [ready, status, _] = &key;
            line(pod, [&pod.identity().name, ready, status, &restarts, &age]);
            self.last = Some(key);
        }
    }
}

fn line(pod: &PodSpec, [name, ready, status, restarts, age]: [&str; 5]) {
    let width = pod.identity().name.len().max(4);
    let text = format!("{name:<width$}   {ready:<7} {status:<26} {restarts:<15} {age}\n");
    let mut out = std::io::stdout().lock();
    // Whoever reads the lines may have gone; the pod goes on.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

//! What nodes do when they are told to.

use std::time::Duration;

use podinit::Timestamp;
use podinit::worker::Eviction;
use tokio::sync::oneshot;

use super::Keeper;
use crate::control::{Command, Counts};
use crate::life::PodLife;

impl Keeper {
    pub(super) async fn carry_out(&mut self, command: Command) {
        match command {
            Command::Step { by, done } => {
                let result = if self.clock.is_stepped() {
                    self.step(by).await;
                    Ok(())
                } else {
                    Err("the clock of these nodes is not stepped".to_owned())
                };
                answer(done, result);
            }
            Command::Fail { namespace, pod, container, exit_code, done } => {
                let fail =
                    |life: &mut PodLife, now| life.fail_container(&container, exit_code, now);
                let result = match self.with_pod(&namespace, &pod, fail) {
                    Ok(false) => {
                        Err(format!("no container {container:?} of {namespace}/{pod} runs"))
                    }
                    result => result.map(drop),
                };
                answer(done, result);
            }
            Command::Evict { namespace, pod, message, done } => {
                let eviction = Eviction::evicted(message, Some(1));
                let result = self.with_pod(&namespace, &pod, |life, now| life.evict(eviction, now));
                answer(done, result);
            }
            Command::Counts { done } => answer(done, self.count()),
        }
    }

    fn count(&self) -> Counts {
        let mut counts = Counts { nodes: self.nodes.len(), ..self.counts.clone() };
        for pod in self.pods.values() {
            *counts.pods.entry(pod.life.status().phase.as_str()).or_default() += 1;
        }
        counts
    }

    /// Does something to a pod.
    fn with_pod<T>(
        &mut self,
        namespace: &str,
        name: &str,
        change: impl FnOnce(&mut PodLife, Timestamp) -> T,
    ) -> Result<T, String> {
        let is_meant = |life: &PodLife| {
            let identity = life.spec().identity();
            identity.namespace == namespace && identity.name == name
        };
        let found = self.pods.iter_mut().find(|(_, pod)| is_meant(&pod.life));
        let Some((uid, pod)) = found else {
            return Err(format!("these nodes have no pod {namespace}/{name}"));
        };
        let uid = uid.clone();
        let result = change(&mut pod.life, self.clock.now());
        self.settle(&uid);
        Ok(result)
    }

    /// Steps the clock on: each thing happens at its time, and is written before the next.
    async fn step(&mut self, by: Duration) {
        let target = self.clock.now() + by;
        loop {
            self.hear();
            self.advance(self.clock.now());
            while let Some(done) = self.writes.join_next().await {
                self.written(done.ok());
            }
            let next = self.queue.first().map(|(at, _)| *at).filter(|at| *at <= target);
            let Some(at) = next else { break };
            self.clock.step_to(at);
        }
        self.clock.step_to(target);
    }
}

/// Whoever asked may have gone.
fn answer<T>(done: oneshot::Sender<T>, result: T) {
    let _ = done.send(result);
}

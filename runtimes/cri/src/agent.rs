//! Runs one pod until it has ended: observes, syncs when something has changed or is due, saves.

use std::fs;
use std::io::Write;
use std::time::Duration;

use harness::manifest;
use harness::node::Watch;
use k8s_openapi::api::core::v1;
use podinit::worker::{Deletion, SyncKind};
use podinit::{
    AsyncContainerRuntime, FeatureGates, NextSync, Observation, PodPhase, PodSpec, PodWorker,
    kubectl, sync_pod_async,
};
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cri::Client;
use crate::runtime::{CriRuntime, now};
use crate::state::State;
use crate::{Options, Output};

/// How a run of the agent ended.
pub enum Ended {
    /// The pod has ended like this, and nothing of it is left.
    Pod(PodPhase),
    /// The agent was told to end; the pod runs on.
    Agent,
}

struct Agent {
    spec: PodSpec,
    runtime: CriRuntime,
    state: State,
    /// What was observed before the last sync.
    last: Option<Observation>,
    shown: Shown,
    /// The last failure to ask the runtime, told once.
    trouble: Option<String>,
}

/// Where the pod's status goes.
enum Shown {
    Watch(Watch),
    Json { last: Option<String> },
}

/// Runs a pod.
///
/// # Errors
/// If the pod cannot be begun with. A runtime that cannot be reached is no error: it is waited for.
pub async fn run(mut pod: v1::Pod, options: &Options) -> Result<Ended, String> {
    let name = pod.metadata.name.clone().unwrap_or_default();
    let namespace = pod.metadata.namespace.clone().unwrap_or_else(|| "default".to_owned());
    let folder = options.folder.join(format!("{namespace}_{name}"));
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let folder = fs::canonicalize(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let state = match State::load(&folder)? {
        Some(state) => state,
        None => State {
            uid: match pod.metadata.uid.take() {
                Some(uid) => uid,
                None => random_uid()?,
            },
            began: now(),
            worker: PodWorker::default(),
            probes: Default::default(),
        },
    };
    pod.metadata.uid = Some(state.uid.clone());
    let spec = manifest::compile(&pod, FeatureGates::default())?;
    state.save(&folder)?;

    let client = Client::new(options.socket.clone());
    let runtime = CriRuntime::new(client, pod, folder.clone(), state.probes.clone());
    let shown = match options.output {
        Output::Watch => Shown::Watch(Watch::new(&spec, state.began)),
        Output::Json => Shown::Json { last: None },
    };
    let mut agent = Agent { spec, runtime, state, last: None, shown, trouble: None };
    let handler = |kind| signal(kind).map_err(|error| error.to_string());
    let mut delete = handler(SignalKind::interrupt())?;
    let mut end = handler(SignalKind::terminate())?;
    while agent.state.worker.kind() != SyncKind::Finished {
        // A sync that is given up is taken up again by the next one.
        let told_to_end = tokio::select! {
            () = agent.sync_if_due() => false,
            _ = delete.recv() => { agent.delete(); false }
            _ = end.recv() => true,
        };
        agent.state.probes = agent.runtime.probes().clone();
        agent.state.save(&folder)?;
        agent.show();
        if told_to_end {
            return Ok(Ended::Agent);
        }
        let told_to_end = tokio::select! {
            () = agent.wait(options.relist) => false,
            _ = delete.recv() => { agent.delete(); false }
            _ = end.recv() => true,
        };
        if told_to_end {
            return Ok(Ended::Agent);
        }
    }
    agent.remove(options.relist, &mut end).await
}

/// A uid of the kernel's.
fn random_uid() -> Result<String, String> {
    let uid = fs::read_to_string("/proc/sys/kernel/random/uuid").map_err(|e| e.to_string())?;
    Ok(uid.trim().to_owned())
}

impl Agent {
    fn sync_is_due(&self) -> bool {
        match self.state.worker.next_sync() {
            NextSync::Now => true,
            NextSync::At(at, _) => at <= now(),
            _ => false,
        }
    }

    /// Looks at the pod, and syncs it if something has changed or the time has come.
    async fn sync_if_due(&mut self) {
        let mut observation = Observation::new();
        if let Err(error) = self.runtime.observe(&self.spec, &mut observation).await {
            return self.tell(Some(error.to_string()));
        }
        if self.last.as_ref() == Some(&observation) && !self.sync_is_due() {
            return self.tell(None);
        }
        let synced = sync_pod_async(&mut self.state.worker, &self.spec, &mut self.runtime).await;
        if synced.is_ok() {
            self.last = Some(observation);
        }
        self.tell(synced.err().map(|error| error.to_string()));
    }

    /// Waits until it is time to look again.
    async fn wait(&mut self, relist: Duration) {
        let until_due = match self.state.worker.next_sync() {
            // A runtime that could not be asked is not asked in a hurry.
            NextSync::Now if self.trouble.is_none() => Duration::ZERO,
            NextSync::At(at, _) => at.saturating_duration_since(now()),
            _ => relist,
        };
        tokio::select! {
            () = self.runtime.probe(&self.spec) => {}
            () = tokio::time::sleep(until_due.min(relist)) => {}
        }
    }

    /// Deletes the pod, with its grace; if that is asked for once more, with a second.
    fn delete(&mut self) {
        let seconds = match self.state.worker.deletion() {
            Some(_) => 1,
            None => self.spec.termination_grace_period_seconds(),
        };
        self.state.worker.delete(Deletion { timestamp: now(), grace_period_seconds: seconds });
        self.last = None;
    }

    /// Tells what keeps the pod from being synced, once.
    fn tell(&mut self, trouble: Option<String>) {
        if let Some(trouble) = trouble.as_ref().filter(|_| trouble != self.trouble) {
            eprintln!("podinit-cri: {trouble}");
        }
        self.trouble = trouble;
    }

    fn show(&mut self) {
        let Self { spec, state, shown, .. } = self;
        match shown {
            Shown::Watch(watch) => watch.show(spec, &state.worker, now()),
            Shown::Json { last } => {
                let status = state.worker.api_status();
                let deletion = state.worker.deletion().map(|deletion| deletion.timestamp);
                let columns = kubectl::columns(spec, status, deletion, now());
                let line = json!({
                    "ready": columns.ready.to_string(),
                    "status": columns.status.to_string(),
                    "restarts": columns.restarts.count,
                    "podStatus": v1::PodStatus::from(status),
                });
                let line = line.to_string();
                if last.as_ref() != Some(&line) {
                    // Whoever reads the lines may have gone; the pod goes on.
                    let _ = writeln!(std::io::stdout(), "{line}");
                    *last = Some(line);
                }
            }
        }
    }

    /// Removes what is left of the pod, however long the runtime cannot be asked.
    async fn remove(&mut self, retry: Duration, end: &mut Signal) -> Result<Ended, String> {
        while let Err(error) = self.runtime.remove_pod(&self.spec).await {
            self.tell(Some(error.to_string()));
            tokio::select! {
                () = tokio::time::sleep(retry) => {}
                _ = end.recv() => return Ok(Ended::Agent),
            }
        }
        self.show();
        Ok(Ended::Pod(self.state.worker.status().phase))
    }
}

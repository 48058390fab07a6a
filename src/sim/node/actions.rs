//! What is done to the pod from outside.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec;
use core::time::Duration;

use crate::backoff::CrashLoopBackOff;
use crate::pod::PodSpec;
use crate::scenario::{Action, Call, CallFault, Scenario, Verb};
use crate::status::PodFailure;
use crate::version::FeatureGates;
use crate::worker::{Deletion, Eviction, SyncKind, WorkerSettings};
use k8s_openapi::api::core::v1::Pod;
use serde::Deserialize;
use serde_json::Value;
use smol_str::{SmolStr, format_smolstr};

use super::kubelet::{Kubelet, News};
use super::moment::Moment;
use super::trace::{Entry, Kind};
use super::{Node, PlayError};

/// The least time for which a kill is waited for (`killPodNow`).
const MINIMUM_PATIENCE_SECONDS: i64 = 10;

/// Refuses what the node does not model, before anything happens.
pub(super) fn check(scenario: &Scenario) -> Result<(), PlayError> {
    let not_modelled = |what: SmolStr| Err(PlayError::NotModelled(what));
    for CallFault { call, takes, .. } in &scenario.calls {
        let lists = matches!(call, Call::ListPodSandbox | Call::ListContainers);
        let modelled = matches!(
            call,
            Call::RunPodSandbox
                | Call::StopPodSandbox
                | Call::CreateContainer
                | Call::StartContainer
                | Call::StopContainer
                | Call::RemoveContainer
                | Call::ImageStatus
                | Call::PullImage
        ) || (lists && takes.is_none());
        if !modelled {
            return not_modelled(format_smolstr!("faults of {call}"));
        }
    }
    for action in &scenario.actions {
        let modelled = matches!(
            action.verb,
            Verb::Delete(_)
                | Verb::Evict(_)
                | Verb::RestartKubelet(_)
                | Verb::RebootNode(_)
                | Verb::Resize(_)
                | Verb::AddEphemeralContainer(_)
                | Verb::SetImage(_)
                | Verb::KillContainer(_)
                | Verb::RemoveContainer(_)
                | Verb::StartContainer(_)
                | Verb::StopSandbox(_)
                | Verb::RemoveSandbox(_)
        );
        if !modelled {
            return not_modelled(format_smolstr!("the action {}", action.verb.name()));
        }
    }
    let node = &scenario.node;
    let pressure = !node.eviction_hard.is_empty() || !node.eviction_soft.is_empty();
    let managers = node.cpu_manager_policy.is_some() || node.memory_manager_policy.is_some();
    if pressure || managers || node.cpu.is_some() || node.memory.is_some() {
        return not_modelled("admission and eviction by what the node has".into());
    }
    Ok(())
}

/// The gates of the node: `gates`, and on top those that the scenario sets.
pub(super) fn gates(
    scenario: &Scenario,
    mut gates: FeatureGates,
) -> Result<FeatureGates, PlayError> {
    for (name, value) in &scenario.node.feature_gates {
        gates.set_by_name(name, *value)?;
    }
    Ok(gates)
}

/// The settings of the node's pod workers.
pub(super) fn worker_settings(
    scenario: &Scenario,
    gates: FeatureGates,
) -> Result<WorkerSettings, PlayError> {
    let period = scenario.node.max_container_restart_period;
    let back_off = CrashLoopBackOff { max_container_restart_period: period.map(|period| period.0) };
    let crash_loop_back_off = back_off.settings(gates)?;
    Ok(WorkerSettings { crash_loop_back_off, ..WorkerSettings::default() })
}

impl Node<'_> {
    pub(super) fn act(&mut self, action: &Action) -> Result<(), PlayError> {
        let now = self.now;
        let scenario = self.scenario;
        match &action.verb {
            Verb::Delete(delete) => self.delete(delete.grace_period_seconds),
            Verb::Evict(evict) => {
                let message = evict.message.clone();
                let message = message.unwrap_or("The node was low on resource: memory. ".into());
                let reason = evict.reason.clone().unwrap_or("Evicted".into());
                self.evict(reason, message, evict.grace_period_seconds.unwrap_or(1));
            }
            Verb::RestartKubelet(restart) => self.end_kubelet(now + restart.down_for.0),
            Verb::RebootNode(reboot) => {
                let back = now + reboot.down_for.0;
                let ended = self.runtime.reboot(back);
                self.end_kubelet(back);
                self.tell_ended(ended);
            }
            Verb::Resize(resize) => {
                if let Some(containers) = resize.patch["spec"]["containers"].as_array() {
                    self.change_object(|object| merge_containers(object, containers))?;
                }
            }
            Verb::AddEphemeralContainer(added) => self.change_object(|object| {
                let list = &mut object["spec"]["ephemeralContainers"];
                match list.as_array_mut() {
                    Some(list) => list.push(added.container.clone()),
                    None => *list = Value::Array(vec![added.container.clone()]),
                }
            })?,
            Verb::SetImage(set) => self.change_object(|object| {
                for list in ["initContainers", "containers"] {
                    for container in object["spec"][list].as_array_mut().into_iter().flatten() {
                        if container["name"] == set.container.as_str() {
                            container["image"] = set.image.as_str().into();
                        }
                    }
                }
            })?,
            Verb::KillContainer(kill) => {
                let (name, reason) = (&kill.container, kill.reason.clone());
                let exit_code = kill.exit_code.unwrap_or(super::runtime::KILLED);
                let ended = self.runtime.kill_newest(name, exit_code, reason, now);
                self.tell_ended(ended);
            }
            Verb::RemoveContainer(remove) => {
                let ended = self.runtime.remove_newest(&remove.container, now);
                self.tell_ended(ended);
            }
            Verb::StartContainer(start) => {
                self.runtime.start_stray(scenario, &start.container, now);
            }
            Verb::StopSandbox(stop) => {
                let ended = self.runtime.stop_newest_sandbox(stop.keeps_containers, now);
                self.tell_ended(ended);
            }
            Verb::RemoveSandbox(_) => {
                let ended = self.runtime.remove_newest_sandbox(now);
                self.tell_ended(ended);
            }
            // Refused before.
            _ => {}
        }
        Ok(())
    }

    /// A DELETE (`podStrategy.CheckGracefulDelete`, `rest.BeforeDelete`).
    fn delete(&mut self, asked: Option<i64>) {
        if self.api.removed {
            return;
        }
        let own = self.pod.termination_grace_period_seconds();
        let over = self.api.status.phase.is_terminal();
        let mut grace = if over { 0 } else { asked.unwrap_or(own) };
        if self.api.deletion.is_some_and(|earlier| grace >= earlier.grace_period_seconds) {
            return;
        }
        let forced = grace <= 0;
        if forced {
            self.api.removed = true;
            // A pod that is gone is stopped with its own grace.
            if !over {
                grace = own;
            }
        }
        let after = Duration::from_secs(u64::try_from(grace).unwrap_or(0));
        let timestamp = (self.now + after).timestamp().truncate_to_second();
        let deletion = Deletion { timestamp, grace_period_seconds: grace };
        self.api.is_deleting |= !forced;
        self.api.deletion = Some(deletion);
        self.tell(Entry {
            kind: Kind::Api,
            op: if forced { "removed".into() } else { "deleted".into() },
            grace_period_seconds: (!forced).then_some(grace),
            ..Entry::default()
        });
        if self.is_up() && !self.kubelet.finished {
            self.kubelet.update_with(News::Deletion(deletion), self.now);
        }
    }

    /// As the eviction manager does, with the event that it writes.
    fn evict(&mut self, reason: SmolStr, message: SmolStr, grace: i64) {
        // A kubelet that has just started does not know the pod yet.
        if !self.is_up() || self.kubelet.first_sync.is_some() || self.api.removed {
            return;
        }
        self.tell(Entry {
            kind: Kind::Event,
            event_type: "Warning".into(),
            reason: reason.to_string(),
            message: message.to_string(),
            ..Entry::default()
        });
        let patience = grace.saturating_add(grace / 2).max(MINIMUM_PATIENCE_SECONDS);
        let patience = Duration::from_secs(u64::try_from(patience).unwrap_or(0));
        let kubelet = &mut self.kubelet;
        // Of a pod that has just been stopped it is told at once that it is, of one that is not
        // there any more never.
        if kubelet.worker.kind() != SyncKind::Terminated {
            kubelet.kills.push(self.now + patience);
        }
        if kubelet.finished {
            return;
        }
        // A pod that is being stopped already is not evicted any more.
        let goes_on = kubelet.worker.kind() == SyncKind::Pod && !kubelet.worker.is_stopping();
        kubelet.evicted |= goes_on;
        kubelet.update_with(
            News::Eviction(Eviction {
                failure: PodFailure { reason, message: message.clone() },
                disruption_message: Some(message),
                grace_period_override_seconds: Some(grace),
                keeps_success: false,
            }),
            self.now,
        );
    }

    /// Whoever had the pod killed waits no longer.
    pub(super) fn end_patience(&mut self) {
        let now = self.now;
        self.kubelet.kills.retain(|until| *until > now);
        self.tell(Entry {
            kind: Kind::Event,
            event_type: "Warning".into(),
            reason: "ExceededGracePeriod".into(),
            message: "Container runtime did not kill the pod within specified grace period.".into(),
            ..Entry::default()
        });
    }

    fn change_object(&mut self, change: impl FnOnce(&mut Value)) -> Result<(), PlayError> {
        if self.api.removed {
            return Ok(());
        }
        change(&mut self.api.object);
        let pod = Box::new(self.compile_pod()?);
        if self.is_up() {
            self.kubelet.update_with(News::Pod(pod), self.now);
        }
        Ok(())
    }

    pub(super) fn compile_pod(&self) -> Result<PodSpec, PlayError> {
        let pod = Pod::deserialize(&self.api.object).map_err(PlayError::Change)?;
        Ok(PodSpec::compile_unchecked(&pod, self.gates)?)
    }

    fn end_kubelet(&mut self, back: Moment) {
        if let Some(until) = self.down_until {
            self.down_until = Some(until.max(back));
            return;
        }
        self.tell_world("kubeletKilled");
        self.down_until = Some(back);
        // Calls under way are given up; a SIGTERM that was sent stays sent.
        self.kubelet.task = None;
    }

    pub(super) fn start_kubelet(&mut self) -> Result<(), PlayError> {
        self.tell_world("kubeletStarted");
        self.down_until = None;
        let runs = |container: &super::runtime::Container| container.is_running();
        if self.api.removed && self.runtime.now.containers.iter().any(runs) {
            let what = "containers of a pod that is gone when the kubelet starts";
            return Err(PlayError::NotModelled(what.into()));
        }
        let started = Some(self.now.timestamp());
        let settings = WorkerSettings { kubelet_started_at: started, ..self.kubelet.settings };
        let number = self.kubelet.number + 1;
        self.kubelet = Kubelet::start(number, settings, self.api.status.clone(), self.now);
        self.kubelet.finished = self.api.removed;
        self.kubelet.new_pod = Some(Box::new(self.compile_pod()?));
        if let Some(deletion) = self.api.deletion {
            self.kubelet.worker.delete(deletion);
        }
        Ok(())
    }

    fn tell_world(&mut self, op: &str) {
        self.tell(Entry { kind: Kind::World, op: op.into(), ..Entry::default() });
    }
}

/// Merges containers by their names, as a strategic merge patch does.
fn merge_containers(object: &mut Value, patches: &[Value]) {
    for list in ["initContainers", "containers"] {
        for container in object["spec"][list].as_array_mut().into_iter().flatten() {
            let patch = patches.iter().find(|patch| patch["name"] == container["name"]);
            if let Some(patch) = patch {
                merge(container, patch);
            }
        }
    }
}

fn merge(value: &mut Value, patch: &Value) {
    match (value.as_object_mut(), patch.as_object()) {
        (Some(fields), Some(patches)) => {
            for (name, patch) in patches {
                merge(fields.entry(name.clone()).or_insert(Value::Null), patch);
            }
        }
        _ => *value = patch.clone(),
    }
}

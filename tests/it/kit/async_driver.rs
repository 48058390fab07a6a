//! The async driver does what the blocking one does, under any executor, and can be dropped at any
//! point.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use podinit::sim::{ContainerScript, Run, RuntimeCall, Scenario, SimError, SimRuntime};
use podinit::worker::{Deletion, SyncKind, SyncSummary};
use podinit::{
    AsyncContainerRuntime, FeatureGates, NextSync, PodPhase, PodSpec, PodStatus, PodWorker,
    SyncPodError, Timestamp, sync_pod, sync_pod_async,
};
use serde_json::json;
use smol_str::SmolStr;

use crate::support::waiting::Waiting;

fn pod() -> PodSpec {
    let pod = serde_json::from_value(json!({
        "metadata": {"name": "web", "uid": "u"},
        "spec": {
            "initContainers": [
                {"name": "migrate", "image": "tools:1"},
                {"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"},
                {"name": "seed", "image": "tools:1"},
            ],
            "containers": [{"name": "app", "image": "web:1"}, {"name": "log", "image": "log:1"}],
        },
    }))
    .unwrap();
    PodSpec::compile_unchecked(&pod, FeatureGates::default()).unwrap()
}

/// `migrate` fails twice, an image and a start fail once, an app container ends now and then.
fn scenario() -> Scenario {
    let seconds = Duration::from_secs;
    let failed = Run::ends(seconds(1), 3);
    let mut log = ContainerScript::runs([Run::ends(seconds(20), 1), Run::FOREVER]);
    log.start_failures = 1;
    let mut seed = ContainerScript::runs([Run::ends(seconds(2), 0)]);
    seed.create_failures = 1;
    let mut proxy = ContainerScript::FOREVER;
    proxy.image_pull_failures = 1;
    let migrate = ContainerScript::runs([failed.clone(), failed, Run::ends(seconds(1), 0)]);
    Scenario::default()
        .script("migrate", migrate)
        .script("proxy", proxy)
        .script("seed", seed)
        .script("log", log)
}

const DELETED_AFTER: Duration = Duration::from_secs(120);

/// A pod's life, as the one who syncs sees it.
struct Life {
    pod: PodSpec,
    begins_at: Timestamp,
    runtime: Waiting<SimRuntime>,
    worker: PodWorker,
    calls: Vec<RuntimeCall>,
    statuses: Vec<PodStatus>,
    changes: u64,
}

impl Life {
    fn new() -> Self {
        let (pod, scenario) = (pod(), scenario());
        let runtime = Waiting(SimRuntime::new(&pod, &scenario));
        let worker = PodWorker::new(scenario.settings);
        let begins_at = scenario.begins_at;
        let (calls, statuses) = (Vec::new(), Vec::new());
        Self { pod, begins_at, runtime, worker, calls, statuses, changes: 0 }
    }

    /// Looks at a sync that is over, and moves the clock to when the next one is due.
    /// Says whether there is one.
    fn go_on(&mut self) -> bool {
        self.calls.extend(self.runtime.0.take_calls());
        if self.statuses.last() != Some(self.worker.status()) {
            self.statuses.push(self.worker.status().clone());
        }
        let changed = std::mem::replace(&mut self.changes, self.runtime.0.changes())
            != self.runtime.0.changes();
        if self.worker.kind() == SyncKind::Finished {
            return false;
        }
        if changed || self.worker.next_sync() == NextSync::Now {
            return true;
        }
        let asked_for = match self.worker.next_sync() {
            NextSync::At(at, _) => Some(at),
            _ => None,
        };
        let deleted_at = self.begins_at + DELETED_AFTER;
        let deletion = self.worker.deletion().is_none().then_some(deleted_at);
        let next = [asked_for, self.runtime.0.next_change(), deletion].into_iter().flatten().min();
        let Some(next) = next else { return false };
        self.runtime.0.advance_to(next);
        if next >= deleted_at {
            self.worker.delete(Deletion { timestamp: next, grace_period_seconds: 5 });
        }
        true
    }

    fn run_blocking(mut self) -> Self {
        loop {
            sync_pod(&mut self.worker, &self.pod, &mut self.runtime.0).unwrap();
            if !self.go_on() {
                return self;
            }
        }
    }

    async fn run(mut self) -> Self {
        loop {
            self.sync().await.unwrap();
            if !self.go_on() {
                return self;
            }
        }
    }

    async fn sync(&mut self) -> Result<SyncSummary, SyncPodError<SimError>> {
        sync_pod_async(&mut self.worker, &self.pod, &mut self.runtime).await
    }
}

#[track_caller]
fn assert_same(async_life: &Life) {
    let blocking = Life::new().run_blocking();
    assert!(blocking.calls.len() > 20, "a life in which something happens");
    assert_eq!(async_life.calls, blocking.calls);
    assert_eq!(async_life.statuses, blocking.statuses);
    assert_eq!(async_life.worker, blocking.worker);
}

#[test]
fn a_life_under_tokio_is_the_blocking_one() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    // `spawn` takes only what is `Send`.
    assert_same(&tokio.block_on(tokio.spawn(Life::new().run())).unwrap());
}

#[test]
fn a_life_under_smol_is_the_blocking_one() {
    assert_same(&smol::block_on(smol::spawn(Life::new().run())));
}

#[test]
fn a_life_under_pollster_is_the_blocking_one() {
    assert_same(&pollster::block_on(Life::new().run()));
}

/// Holds for every runtime, not only for one that is known: this compiles.
#[test]
fn the_future_of_a_sync_is_send_for_every_runtime() {
    fn send<T: Send>(of: T) -> T {
        of
    }
    fn check<R: AsyncContainerRuntime>(worker: &mut PodWorker, pod: &PodSpec, runtime: &mut R) {
        drop(send(sync_pod_async(worker, pod, runtime)));
    }
    let (pod, mut worker) = (pod(), PodWorker::default());
    check(&mut worker, &pod, &mut Waiting(SimRuntime::new(&pod, &scenario())));
    assert_eq!(worker, PodWorker::default(), "a future that was never polled does nothing");
}

/// Polls a future so often, then drops it. Says how many polls were left when it was complete, or
/// `None` if it was dropped before.
fn drop_after(mut polls: usize, future: impl Future) -> Option<usize> {
    let mut context = Context::from_waker(Waker::noop());
    let mut future = pin!(future);
    while polls > 0 {
        polls -= 1;
        if future.as_mut().poll(&mut context).is_ready() {
            return Some(polls);
        }
    }
    None
}

#[test]
fn a_sync_that_is_dropped_asks_for_another_one_at_once() {
    let mut life = Life::new();
    pollster::block_on(life.sync()).unwrap();
    assert_eq!(life.worker.next_sync(), NextSync::OnChange);
    life.runtime.0.lose_sandbox();
    // Two polls observe; after the third an operation is under way.
    assert_eq!(drop_after(4, life.sync()), None);
    assert_eq!(life.worker.next_sync(), NextSync::Now);
    pollster::block_on(life.sync()).unwrap();
    assert_eq!(life.worker.next_sync(), NextSync::OnChange);
}

/// A life in which one sync is dropped after so many polls, counted over the whole life.
/// `None` if it was over before.
fn run_dropped_after(polls: usize) -> Option<Life> {
    let mut life = Life::new();
    let mut left = polls;
    while let Some(rest) = drop_after(left, life.sync()) {
        left = rest;
        if !life.go_on() {
            return None;
        }
    }
    Some(pollster::block_on(life.run()))
}

/// The containers that were called so, each once, in the order of their first calls.
fn called(life: &Life, name: &str) -> Vec<SmolStr> {
    let mut containers = Vec::new();
    for container in life.calls.iter().filter(|call| call.name == name).map(|call| &call.container)
    {
        let container = container.clone().unwrap_or_default();
        if !containers.contains(&container) {
            containers.push(container);
        }
    }
    containers
}

#[test]
fn wherever_a_sync_is_dropped_the_pod_gets_where_it_would_have_got() {
    let undisturbed = Life::new().run_blocking();
    let mut dropped = 0;
    while let Some(life) = run_dropped_after(dropped) {
        let context = format!("dropped after {dropped} polls");
        assert_eq!(life.worker.kind(), SyncKind::Finished, "{context}");
        assert_eq!(life.worker.status().phase, undisturbed.worker.status().phase, "{context}");
        for name in ["StartContainer", "StopContainer"] {
            assert_eq!(called(&life, name), called(&undisturbed, name), "{context}");
        }
        let sandboxes = life.calls.iter().filter(|call| call.name == "RunPodSandbox").count();
        assert_eq!(sandboxes, 1, "{context}: the sandbox that was made is found");
        let running = life.statuses.iter().find(|status| status.phase == PodPhase::Running);
        let running = running.expect("the pod ran before it was deleted");
        let mut init = running.init_container_statuses.iter().filter(|init| init.name != "proxy");
        assert!(init.all(|init| init.state.terminated.is_some()), "{context}");
        dropped += 1;
    }
    assert!(dropped > 100, "{dropped}");
}

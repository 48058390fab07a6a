//! Every life of every small pod, exhaustively: up to three init containers and two app containers
//! over the pod's policies, with time left out.
//!
//! The state is the runtime's world and the worker; a step is a sync, the end of a run, the success
//! of a startup probe, the loss of the sandbox, or a request for deletion. Back-off is zero, since
//! without time it would only hold things back for ever. A life has at most one failure, one loss of
//! the sandbox and one deletion before that, and containers that restart end once by themselves:
//! that keeps the worlds finite and few.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod world;

use std::time::Duration;

use harness::with;
use podinit::backoff::BackOffSettings;
use podinit::pod::ContainerKind;
use podinit::worker::{Deletion, SyncKind, WorkerSettings};
use podinit::{FeatureGates, PodPhase, PodSpec, PodWorker, sync_pod};
use serde_json::json;
use stateright::{Checker, Model, Property};
use std::hash::{Hash, Hasher};

use world::{Instance, NOW, World};

/// The pods of one policy.
struct Pods(Vec<PodSpec>);

/// The kinds of init containers: regular, restartable, restartable with a startup probe.
const INIT_KINDS: [&str; 3] = ["regular", "sidecar", "probed sidecar"];

impl Pods {
    fn with(policy: &str, max_init: usize, apps: &[usize]) -> Self {
        let mut shapes: Vec<Vec<&str>> = vec![vec![]];
        let mut longest = shapes.clone();
        for _ in 0..max_init {
            longest = longest
                .iter()
                .flat_map(|shape| INIT_KINDS.map(|kind| [shape.clone(), vec![kind]].concat()))
                .collect();
            shapes.extend(longest.iter().cloned());
        }
        let pods =
            shapes.iter().flat_map(|shape| apps.iter().map(|apps| pod(policy, shape, *apps)));
        Self(pods.collect())
    }
}

fn pod(policy: &str, init: &[&str], apps: usize) -> PodSpec {
    let init = init.iter().enumerate().map(|(nth, kind)| {
        let mut container = json!({"name": format!("init-{nth}"), "image": "i"});
        if *kind != "regular" {
            container["restartPolicy"] = "Always".into();
        }
        if *kind == "probed sidecar" {
            container["startupProbe"] = json!({"exec": {"command": ["true"]}});
        }
        container
    });
    let apps = (0..apps).map(|nth| json!({"name": format!("app-{nth}"), "image": "i"}));
    let pod = json!({"metadata": {"name": "pod"}, "spec": {
        "restartPolicy": policy,
        "initContainers": init.collect::<Vec<_>>(),
        "containers": apps.collect::<Vec<_>>(),
    }});
    let pod = serde_json::from_value(pod).unwrap();
    PodSpec::compile_unchecked(&pod, FeatureGates::default()).unwrap()
}

#[derive(Clone, Debug)]
struct State {
    pod: usize,
    world: World,
    worker: PodWorker,
    failures_left: u8,
    losses_left: u8,
    /// The terminal phase that it left, if it did.
    left_phase: Option<PodPhase>,
}

impl State {
    /// What matters for the future: not the events and results of the last sync.
    fn key(&self) -> impl PartialEq + Hash + '_ {
        (
            (self.pod, &self.world, self.failures_left, self.losses_left, self.left_phase),
            (self.worker.kind(), self.worker.deletion().is_some()),
            (self.worker.status(), self.worker.api_status()),
        )
    }

    fn phase(&self) -> PodPhase {
        self.worker.api_status().phase
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Action {
    Sync,
    Ends { slot: usize, exit_code: i32 },
    Starts { slot: usize },
    LosesSandbox,
    IsDeleted,
}

/// How often an app container or a restartable init container runs at most, losses aside.
const RUNS: u32 = 2;

impl Model for Pods {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let none = BackOffSettings {
            initial: Duration::ZERO,
            max: Duration::ZERO,
            ..BackOffSettings::IMAGE_PULL
        };
        let settings =
            with!(WorkerSettings { crash_loop_back_off: none, ..WorkerSettings::default() });
        (0..self.0.len())
            .map(|pod| State {
                pod,
                world: World::new(&self.0[pod]),
                worker: PodWorker::new(settings),
                failures_left: 1,
                losses_left: 1,
                left_phase: None,
            })
            .collect()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.worker.kind() == SyncKind::Finished {
            return;
        }
        actions.push(Action::Sync);
        for (slot, instances) in state.world.containers.iter().enumerate() {
            let Some(running) = instances.iter().find(|instance| instance.is_running()) else {
                continue;
            };
            let kind = self.0[state.pod].containers()[slot].kind();
            // A regular init container does not run again after its success.
            let may_end = kind == ContainerKind::Init || running.nth + 1 < RUNS;
            // A restartable init container ends only in failure: its exit code does not matter.
            if may_end && kind != ContainerKind::RestartableInit {
                actions.push(Action::Ends { slot, exit_code: 0 });
            }
            if may_end && state.failures_left > 0 {
                actions.push(Action::Ends { slot, exit_code: 1 });
            }
            if running.startup == Some(false) {
                actions.push(Action::Starts { slot });
            }
        }
        if state.losses_left > 0 && state.world.ready.is_some() {
            actions.push(Action::LosesSandbox);
        }
        if state.worker.deletion().is_none() && state.losses_left > 0 {
            actions.push(Action::IsDeleted);
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        let pod = &self.0[state.pod];
        match action {
            Action::Sync => {
                let phase = state.phase();
                state.world.ended = phase.is_terminal() || state.worker.deletion().is_some();
                sync_pod(&mut state.worker, pod, &mut state.world).ok()?;
                let left = phase.is_terminal() && state.phase() != phase;
                state.left_phase = state.left_phase.or(left.then_some(phase));
            }
            Action::Ends { slot, exit_code } => {
                state.failures_left -= u8::from(exit_code != 0);
                state.world.end(pod, slot, exit_code);
            }
            Action::Starts { slot } => state.world.starts(slot),
            Action::LosesSandbox => {
                state.losses_left -= 1;
                state.world.lose_sandbox();
            }
            Action::IsDeleted => {
                let deletion = Deletion { timestamp: NOW, grace_period_seconds: 30 };
                state.worker.delete(deletion);
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("the rules of start-up are kept", |_: &Self, state: &State| {
                state.world.broken.is_none()
            }),
            Property::always("a terminal phase is final", |_, state: &State| {
                state.left_phase.is_none()
            }),
            Property::always("nothing runs in a terminal phase", |_, state: &State| {
                let status = state.worker.api_status();
                let lists = [&status.init_container_statuses, &status.container_statuses];
                let mut all = lists.into_iter().flatten();
                !state.phase().is_terminal() || all.all(|shown| shown.state.running.is_none())
            }),
            Property::always("a pod that is finished has a terminal phase", |_, state: &State| {
                state.worker.kind() != SyncKind::Finished || state.phase().is_terminal()
            }),
            Property::sometimes("a pod runs", |_, state: &State| {
                state.phase() == PodPhase::Running
            }),
            Property::sometimes("a pod fails", |_, state: &State| {
                state.phase() == PodPhase::Failed
            }),
            Property::sometimes("a pod is deleted before it runs", |_, state: &State| {
                state.worker.kind() == SyncKind::Finished && state.worker.deletion().is_some()
            }),
            Property::sometimes("a sidecar runs again", |pods: &Self, state: &State| {
                again(pods, state, ContainerKind::RestartableInit)
            }),
        ];
        if self.0[0].restart_policy() == podinit::pod::RestartPolicy::Always {
            properties.push(Property::sometimes(
                "an app container runs again",
                |pods: &Self, state: &State| again(pods, state, ContainerKind::App),
            ));
        } else {
            properties.push(Property::sometimes("a pod succeeds", |_, state: &State| {
                state.phase() == PodPhase::Succeeded
            }));
        }
        if self.0[0].restart_policy() != podinit::pod::RestartPolicy::Never {
            properties.push(Property::sometimes(
                "an init container runs again",
                |pods: &Self, state: &State| again(pods, state, ContainerKind::Init),
            ));
        }
        properties
    }
}

/// Does a container of this kind run for the second time?
fn again(pods: &Pods, state: &State, kind: ContainerKind) -> bool {
    let containers = pods.0[state.pod].containers();
    containers.iter().zip(&state.world.containers).any(|(container, instances)| {
        let second = |instance: &Instance| instance.is_running() && instance.nth > 0;
        container.kind() == kind && instances.iter().any(second)
    })
}

/// Explores all lives, and gives the number of different states.
#[track_caller]
fn explore(pods: Pods) -> usize {
    let checker = pods.checker().spawn_bfs().join();
    checker.assert_properties();
    checker.unique_state_count()
}

#[test]
fn all_small_pods_under_always() {
    assert_eq!(explore(Pods::with("Always", 3, &[1, 2])), 211_234);
}

#[test]
fn all_small_pods_under_on_failure() {
    assert_eq!(explore(Pods::with("OnFailure", 3, &[1, 2])), 129_278);
}

#[test]
fn all_small_pods_under_never() {
    assert_eq!(explore(Pods::with("Never", 3, &[1, 2])), 67_672);
}

/// The model can find something: an app container that is started while the world believes that an
/// init container has not succeeded breaks a rule.
#[test]
fn a_start_out_of_order_is_found() {
    use podinit::ContainerRuntime;
    let pod = pod("Always", &["regular"], 1);
    let mut world = World::new(&pod);
    let sandbox = world.run_pod_sandbox(&pod, 0).unwrap();
    let app = pod.find("app-0").unwrap();
    let id = world.create_container(&pod, app, &sandbox, None).unwrap();
    world.start_container(&pod, app, &id).unwrap();
    assert_eq!(world.broken, Some("started before its init containers were done"));
}

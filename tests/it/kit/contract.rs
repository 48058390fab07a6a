//! The contract of runtimes holds for the simulated one, and each rule fires on a runtime that
//! breaks it.

use std::collections::BTreeSet;
use std::future::ready;
use std::time::Duration;

use podinit::observation::InstanceState;
use podinit::sim::{Scenario, SimError, SimRuntime};
use podinit::termination::TerminationPlan;
use podinit::testing::{
    ContractRule, Fault, FaultInjector, FaultPlan, Recorder, RuntimeContract, Trace,
};
use podinit::{
    AsyncContainerRuntime, ContainerIndex, ContainerRuntime, FeatureGates, Observation, PodSpec,
    Timestamp,
};
use serde_json::json;

use crate::support::waiting::{Waiting, wait_once};

type Id = smol_str::SmolStr;

fn pod() -> PodSpec {
    let pod = json!({"spec": {"containers": [{"name": "app", "image": "web:1"}]}});
    let pod = serde_json::from_value(pod).unwrap();
    PodSpec::compile_unchecked(&pod, FeatureGates::default()).unwrap()
}

fn sim() -> SimRuntime {
    SimRuntime::new(&pod(), &Scenario::default())
}

/// A runtime that breaks one rule.
struct Broken {
    sim: SimRuntime,
    rule: ContractRule,
    observed: u32,
    clock: i64,
    removed: BTreeSet<Id>,
}

impl Broken {
    fn new(rule: ContractRule) -> Self {
        Self { sim: sim(), rule, observed: 0, clock: 0, removed: BTreeSet::new() }
    }

    fn breaks(&self, rule: ContractRule) -> bool {
        self.rule == rule
    }
}

impl ContainerRuntime for Broken {
    type Error = SimError;

    fn now(&mut self) -> Timestamp {
        self.clock -= 1;
        let wrong = self.breaks(ContractRule::ClockGoesForward);
        if wrong { Timestamp::from_secs(self.clock) } else { self.sim.now() }
    }

    fn observe(&mut self, pod: &PodSpec, seen: &mut Observation) -> Result<(), SimError> {
        self.observed += 1;
        let mut real = Observation::new();
        self.sim.observe(pod, &mut real)?;
        let container = pod.find("app").unwrap();
        let mut sandboxes = real.sandboxes().to_vec();
        let mut instances = real.instances(container).to_vec();
        match self.rule {
            ContractRule::EmptyAtFirst if sandboxes.is_empty() => {
                sandboxes.push(Default::default());
            }
            ContractRule::SandboxIsReady => sandboxes.iter_mut().for_each(|s| s.has_ip = false),
            ContractRule::SandboxStops => sandboxes.iter_mut().for_each(|s| s.ready = true),
            ContractRule::NewestFirst => sandboxes.reverse(),
            ContractRule::CreatedInstance => {
                instances.iter_mut().for_each(|i| i.state = InstanceState::Running);
            }
            ContractRule::StartedInstance => instances.iter_mut().for_each(|i| i.started_at = None),
            ContractRule::StoppedInstance => {
                instances.iter_mut().for_each(|i| i.state = InstanceState::Unknown);
            }
            ContractRule::RemovedInstance => instances.retain(|_| self.removed.is_empty()),
            ContractRule::ObservingChangesNothing => instances.retain(|_| self.observed == 1),
            _ => {}
        }
        sandboxes.into_iter().for_each(|sandbox| seen.push_sandbox(sandbox));
        instances.into_iter().for_each(|instance| seen.push_instance(container, instance));
        Ok(())
    }

    fn run_pod_sandbox(&mut self, pod: &PodSpec, attempt: u32) -> Result<Id, SimError> {
        let id = self.sim.run_pod_sandbox(pod, attempt)?;
        Ok(if self.breaks(ContractRule::FreshIds) { "always".into() } else { id })
    }

    fn stop_pod_sandbox(&mut self, pod: &PodSpec, id: &str) -> Result<(), SimError> {
        self.sim.stop_pod_sandbox(pod, id)
    }

    fn stop_containers(&mut self, pod: &PodSpec, plan: &TerminationPlan) -> Result<(), SimError> {
        self.sim.stop_containers(pod, plan)
    }

    fn remove_container(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
        id: &str,
        keep_log: bool,
    ) -> Result<(), SimError> {
        self.removed.insert(id.into());
        let keeps_all = self.breaks(ContractRule::CountsFromLogs);
        self.sim.remove_container(pod, container, id, keep_log || keeps_all)
    }

    fn image_present(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
    ) -> Result<bool, SimError> {
        let lost = self.breaks(ContractRule::PulledImageIsPresent);
        Ok(!lost && self.sim.image_present(pod, container)?)
    }

    fn pull_image(&mut self, pod: &PodSpec, container: ContainerIndex) -> Result<u64, SimError> {
        self.sim.pull_image(pod, container)
    }

    fn create_container(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
        sandbox: &str,
        restart_count: Option<u32>,
    ) -> Result<Id, SimError> {
        self.sim.create_container(pod, container, sandbox, restart_count)
    }

    fn start_container(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
        id: &str,
    ) -> Result<(), SimError> {
        self.sim.start_container(pod, container, id)
    }
}

#[test]
fn the_simulated_runtime_keeps_the_contract() {
    let pod = pod();
    assert_eq!(RuntimeContract::new(&pod).check(sim), Ok(()));
}

#[test]
fn an_async_runtime_keeps_the_contract_under_any_executor() {
    let pod = pod();
    let contract = RuntimeContract::new(&pod);
    // It takes its time to be made, too.
    let connect = || async {
        wait_once().await;
        Waiting(sim())
    };
    assert_eq!(pollster::block_on(contract.check_async(connect)), Ok(()));
    assert_eq!(smol::block_on(contract.check_async(connect)), Ok(()));
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    // `spawn` takes only what is `Send`.
    let spawned =
        tokio.spawn(async move { RuntimeContract::new(&self::pod()).check_async(connect).await });
    assert_eq!(tokio.block_on(spawned).unwrap(), Ok(()));
}

/// Holds for every runtime, not only for one that is known: this compiles.
#[test]
fn the_futures_of_the_contract_are_send_for_every_runtime() {
    fn send<T: Send>(of: T) -> T {
        of
    }
    fn check<R: AsyncContainerRuntime>(pod: &PodSpec, make: fn() -> R) {
        let contract = RuntimeContract::new(pod);
        drop(send(contract.check_async(|| ready(make()))));
        drop(send(contract.check_rule_async(ContractRule::FreshIds, &mut make())));
    }
    check(&pod(), || Waiting(sim()));
}

#[test]
fn a_recorder_and_an_injector_without_faults_keep_the_contract() {
    let pod = pod();
    let wrapped =
        || FaultInjector::new(Recorder::new(sim(), Trace::new(self::pod())), FaultPlan::none());
    let contract = RuntimeContract::new(&pod);
    assert_eq!(contract.check(wrapped), Ok(()));
    let wrapped = || ready(FaultInjector::new(Waiting(sim()), FaultPlan::none()));
    assert_eq!(pollster::block_on(contract.check_async(wrapped)), Ok(()));
}

#[test]
fn every_rule_of_the_contract_fires_on_a_runtime_that_breaks_it() {
    let pod = pod();
    let contract = RuntimeContract::new(&pod);
    for rule in ContractRule::ALL {
        let found = contract.check_rule(*rule, &mut Broken::new(*rule)).expect_err(rule.name());
        assert_eq!(found.rule, *rule);
        let mut waiting = Waiting(Broken::new(*rule));
        let found_async = pollster::block_on(contract.check_rule_async(*rule, &mut waiting));
        assert_eq!(found_async, Err(found));
    }
}

#[test]
fn a_call_that_fails_breaks_the_contract_in_its_own_words() {
    let pod = pod();
    let contract = RuntimeContract::new(&pod);
    let faults = || FaultPlan::none().at(0, Fault::Fails);
    let found = contract.check(|| FaultInjector::new(sim(), faults())).unwrap_err();
    assert_eq!(found.to_string(), "empty-at-first: observe failed: injected: Fails");
    let faulty = || ready(FaultInjector::new(Waiting(sim()), faults()));
    assert_eq!(pollster::block_on(contract.check_async(faulty)), Err(found));
}

/// The async one does the same, call by call, as far as the blocking one gets.
#[test]
fn whichever_call_fails_the_blocking_and_the_async_suite_find_the_same() {
    let pod = pod();
    let contract = RuntimeContract::new(&pod);
    let mut found = BTreeSet::new();
    for rule in ContractRule::ALL {
        for (call, fault) in (0..30).flat_map(|call| {
            [Fault::Fails, Fault::AnswerLost, Fault::InstanceVanishes].map(|fault| (call, fault))
        }) {
            let faults = || FaultPlan::none().at(call, fault);
            let blocking = contract.check_rule(*rule, &mut FaultInjector::new(sim(), faults()));
            let mut waiting = FaultInjector::new(Waiting(sim()), faults());
            let waited = pollster::block_on(contract.check_rule_async(*rule, &mut waiting));
            assert_eq!(waited, blocking, "{rule}, call {call}: {fault:?}");
            found.extend(blocking.err().map(|found| (found.rule, format!("{fault:?}"))));
        }
    }
    let rules: BTreeSet<ContractRule> = found.iter().map(|(rule, _)| *rule).collect();
    assert_eq!(rules, ContractRule::ALL.iter().copied().collect());
    assert!(found.iter().any(|(_, fault)| fault == "InstanceVanishes"));
}

#[test]
fn a_lost_answer_has_done_its_work_and_a_failed_call_has_not() {
    let pod = pod();
    for (fault, sandboxes) in [(Fault::AnswerLost, 1), (Fault::Fails, 0)] {
        let faults = || FaultPlan::none().at(0, fault);
        let mut runtime = FaultInjector::new(sim(), faults());
        assert!(runtime.run_pod_sandbox(&pod, 0).is_err());
        let mut seen = Observation::new();
        runtime.observe(&pod, &mut seen).unwrap();
        assert_eq!(seen.sandboxes().len(), sandboxes);

        let mut runtime = FaultInjector::new(Waiting(sim()), faults());
        let seen = pollster::block_on(async {
            assert!(runtime.run_pod_sandbox(&pod, 0).await.is_err());
            let mut seen = Observation::new();
            runtime.observe(&pod, &mut seen).await.unwrap();
            seen
        });
        assert_eq!(seen.sandboxes().len(), sandboxes);
        assert_eq!(runtime.calls(), 2);
    }
}

#[test]
fn an_observation_that_fails_shows_nothing() {
    let pod = pod();
    for fault in [Fault::AnswerLost, Fault::Fails] {
        let faults = || FaultPlan::none().at(1, fault);
        let mut seen = Observation::new();
        let mut runtime = FaultInjector::new(sim(), faults());
        runtime.run_pod_sandbox(&pod, 0).unwrap();
        assert!(runtime.observe(&pod, &mut seen).is_err());
        let mut runtime = FaultInjector::new(Waiting(sim()), faults());
        pollster::block_on(async {
            runtime.run_pod_sandbox(&pod, 0).await.unwrap();
            assert!(runtime.observe(&pod, &mut seen).await.is_err());
        });
        assert_eq!(seen, Observation::new());
    }
}

fn slow_and_vanishing() -> FaultPlan {
    FaultPlan::none().at(0, Fault::Slow(Duration::from_secs(5))).at(3, Fault::InstanceVanishes)
}

fn pass(sim: &mut SimRuntime, takes: Duration) {
    let now = sim.now() + takes;
    sim.advance_to(now);
}

#[test]
fn a_slow_call_takes_time_and_a_vanished_instance_is_gone() {
    let pod = pod();
    let mut runtime = FaultInjector::new(sim(), slow_and_vanishing()).waiting(pass);
    let before = runtime.now();
    let app = pod.find("app").unwrap();
    let sandbox = runtime.run_pod_sandbox(&pod, 0).unwrap();
    assert_eq!(runtime.now(), before + Duration::from_secs(5));
    let id = runtime.create_container(&pod, app, &sandbox, None).unwrap();
    runtime.start_container(&pod, app, &id).unwrap();
    let mut seen = Observation::new();
    runtime.observe(&pod, &mut seen).unwrap();
    assert!(seen.instances(app).is_empty());
}

#[test]
fn a_slow_async_call_waits_without_blocking_and_a_vanished_instance_is_gone() {
    type Slow = FaultInjector<Waiting<SimRuntime>>;
    let pod = pod();
    let ways: [fn(Slow) -> Slow; 2] = [
        |runtime| runtime.waiting(|runtime, takes| pass(&mut runtime.0, takes)),
        |runtime| {
            runtime.waiting_async(|runtime, takes| {
                Box::pin(async move {
                    wait_once().await;
                    pass(&mut runtime.0, takes);
                })
            })
        },
    ];
    for way in ways {
        let mut runtime = way(FaultInjector::new(Waiting(sim()), slow_and_vanishing()));
        let before = runtime.now();
        let app = pod.find("app").unwrap();
        let seen = pollster::block_on(async {
            let sandbox = runtime.run_pod_sandbox(&pod, 0).await.unwrap();
            assert_eq!(runtime.now(), before + Duration::from_secs(5));
            let id = runtime.create_container(&pod, app, &sandbox, None).await.unwrap();
            runtime.start_container(&pod, app, &id).await.unwrap();
            let mut seen = Observation::new();
            runtime.observe(&pod, &mut seen).await.unwrap();
            seen
        });
        assert!(seen.instances(app).is_empty());
        assert_eq!(seen.sandboxes().len(), 1);
    }
}

use podinit::status::ContainerStatus;
use podinit::{PodPhase, kubectl};
use serde_json::{Value, json};

use super::*;

const BEGAN: Timestamp = Timestamp::from_secs(1_800_000_000);

fn at(seconds: u64) -> Timestamp {
    BEGAN + Duration::from_secs(seconds)
}

struct Node {
    share: NodeShare,
    life: PodLife,
    /// READY and STATUS, whenever they have changed.
    shown: Vec<String>,
}

fn pod(spec: Value) -> v1::Pod {
    let metadata = json!({"name": "web", "namespace": "default", "uid": "1", "generation": 1});
    serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
}

fn life(pod: v1::Pod, scenario: &str) -> Node {
    let gates = FeatureGates::default();
    let scenario = Some(read_scenario(scenario, &pod, gates).unwrap());
    let life = PodLife::new(pod, gates, &Habits::default(), scenario, BEGAN).unwrap();
    let share = NodeShare { addresses: "10.1.0.0/24".parse().unwrap(), ..NodeShare::default() };
    Node { share, life, shown: Vec::new() }
}

impl Node {
    fn until(&mut self, seconds: u64) -> &mut Self {
        while let Some(due) = self.life.next_due().filter(|due| *due <= at(seconds)) {
            self.life.advance(&mut self.share, due);
            let status = self.life.status();
            let deletion = self.life.worker.deletion().map(|deletion| deletion.timestamp);
            let columns = kubectl::columns(self.life.spec(), status, deletion, due);
            let shown = format!("{} {}", columns.ready, columns.status);
            if self.shown.last() != Some(&shown) {
                self.shown.push(shown);
            }
        }
        self
    }

    fn delete(&mut self, seconds: u64, grace: i64) {
        let mut pod = self.life.api.clone();
        pod.metadata.deletion_timestamp = Some(at(seconds).into());
        pod.metadata.deletion_grace_period_seconds = Some(grace);
        self.life.update(pod, at(seconds));
    }

    fn app(&self) -> &ContainerStatus {
        &self.life.status().container_statuses[0]
    }

    fn reasons(&mut self) -> Vec<String> {
        self.life.take_new_events().into_iter().map(|(_, event)| event.reason.to_string()).collect()
    }
}

fn web() -> v1::Pod {
    pod(json!({
        "initContainers": [{"name": "migrate", "image": "migrate:1"}],
        "containers": [{"name": "app", "image": "web:1"}],
    }))
}

#[test]
fn an_init_container_that_fails_twice_is_backed_off() {
    let scenario = "containers: {migrate: {instances: [
        {runFor: 2s, exitCode: 1}, {runFor: 2s, exitCode: 1}, {runFor: 2s}]}}";
    let mut node = life(web(), scenario);
    node.until(60);
    assert_eq!(
        node.shown,
        [
            "0/1 Init:0/1",
            "0/1 Init:Error",
            "0/1 Init:0/1",
            "0/1 Init:Error",
            "0/1 Init:CrashLoopBackOff",
            "0/1 Init:0/1",
            "0/1 PodInitializing",
            "1/1 Running",
        ]
    );
    assert_eq!(node.life.status().init_container_statuses[0].restart_count, 2);
    assert_eq!(node.life.ip(), Some("10.1.0.2"));
    let reasons = node.reasons();
    let count = |reason| reasons.iter().filter(|other| *other == reason).count();
    assert_eq!((count("Started"), count("BackOff"), count("Pulled")), (4, 1, 4));
}

#[test]
fn deletion_waits_for_the_containers_and_no_longer_than_its_grace() {
    for (command, exit_code, over) in [(json!(null), 0, 13), (json!(["sleep", "1h"]), 137, 15)] {
        let container = json!({"name": "app", "image": "web:1", "command": command});
        let mut node = life(pod(json!({"containers": [container]})), "{}");
        node.until(10);
        node.delete(10, 4);
        node.until(over - 2);
        let ended_early = node.life.is_over();
        node.until(over + 2);
        assert!(node.life.can_go(), "{command}");
        assert_eq!(ended_early, exit_code == 0);
        let ended = node.app().state.terminated.clone().unwrap();
        assert_eq!(ended.exit_code, exit_code, "{command}");
        assert!(node.life.status().phase.is_terminal());
    }
}

#[test]
fn after_a_restart_of_the_node_what_ran_still_runs() {
    let scenario = "containers: {app: {instances: [{runFor: 3s, exitCode: 1}, {runFor: 50s, exitCode: 2}, {}]}}";
    let mut node = life(web(), scenario);
    node.until(30);
    let before = node.life.status().clone();
    assert_eq!(before.container_statuses[0].restart_count, 1);

    let mut known = web();
    known.status = Some(v1::PodStatus { pod_ip: Some("10.1.0.9".into()), ..(&before).into() });
    let gates = FeatureGates::default();
    let read = Some(read_scenario(scenario, &known, gates).unwrap());
    let life = PodLife::new(known, gates, &Habits::default(), read, at(40)).unwrap();
    let mut node = Node { share: NodeShare::default(), life, shown: Vec::new() };
    node.until(50);
    assert_eq!(node.app().container_id, before.container_statuses[0].container_id);
    assert_eq!(node.app(), &before.container_statuses[0]);
    assert_eq!(node.life.status().init_container_statuses, before.init_container_statuses);
    assert_eq!(node.life.ip(), Some("10.1.0.9"));
    assert!(node.reasons().is_empty());
    // The instance that runs ends when it would have, and then the third one runs.
    node.until(120);
    assert_eq!(node.app().restart_count, 2);
    assert_eq!(node.shown, ["1/1 Running", "0/1 Error", "1/1 Running"]);
}

#[test]
fn back_off_goes_on_after_a_restart_with_the_worker_of_before() {
    let scenario = "containers: {app: {instances: [{runFor: 1s, exitCode: 1}]}}";
    let mut undisturbed = life(web(), scenario);
    undisturbed.until(22);
    let status = undisturbed.life.status().clone();
    let kept = serde_json::to_string(undisturbed.life.worker()).unwrap();
    assert!(undisturbed.app().state.running.is_none());
    let restarted = |kept: Option<&str>, status: &PodStatus| {
        let mut known = web();
        known.status = Some(status.into());
        let gates = FeatureGates::default();
        let read = Some(read_scenario(scenario, &known, gates).unwrap());
        let mut life = PodLife::new(known, gates, &Habits::default(), read, at(23)).unwrap();
        let taken = kept.map(|kept| life.take_up(serde_json::from_str(kept).unwrap(), at(23)));
        (taken, Node { share: NodeShare::default(), life, shown: Vec::new() })
    };
    let count = |node: &mut Node| {
        node.until(26);
        node.app().restart_count
    };
    let before = status.container_statuses[0].restart_count;
    assert_eq!(count(&mut restarted(None, &status).1), before + 1);
    let (taken, mut node) = restarted(Some(&kept), &status);
    assert_eq!((taken, count(&mut node)), (Some(true), before));
    node.until(60);
    undisturbed.until(60);
    assert_eq!(node.app().restart_count, undisturbed.app().restart_count);
    // What was kept before the last restart of the container is too old.
    let mut newer = status;
    newer.container_statuses[0].restart_count += 1;
    assert_eq!(restarted(Some(&kept), &newer).0, Some(false));
}

#[test]
fn a_pod_that_has_ended_before_a_restart_stays_so() {
    let mut spec = web();
    spec.spec.as_mut().unwrap().restart_policy = Some("Never".into());
    let mut node =
        life(spec.clone(), "containers: {app: {instances: [{runFor: 3s, exitCode: 3}]}}");
    node.until(30);
    let ended = node.life.status().clone();
    assert_eq!(ended.phase, PodPhase::Failed);
    spec.status = Some((&ended).into());
    let mut node = Node {
        life: PodLife::new(spec, FeatureGates::default(), &Habits::default(), None, at(40))
            .unwrap(),
        ..node
    };
    node.until(60);
    assert_eq!(node.life.status(), &ended);
    node.delete(70, 0);
    node.until(80);
    assert!(node.life.can_go());
}

#[test]
fn probes_are_answered_by_the_scenario_and_good_without_one() {
    let probe = json!({"httpGet": {"port": 80, "path": "/ready"}, "periodSeconds": 2});
    let container = json!({
        "name": "app", "image": "web:1", "readinessProbe": probe,
        "livenessProbe": {"exec": {"command": ["alive"]}, "periodSeconds": 1, "failureThreshold": 2},
    });
    let spec = pod(json!({"containers": [container]}));
    let mut node = life(spec.clone(), "{}");
    node.until(4);
    assert_eq!(node.shown, ["0/1 ContainerCreating", "0/1 Running", "1/1 Running"]);

    let scenario = "containers: {app: {instances: [{answers: [
        {command: 'http :80/ready', until: 7s, httpStatus: 503},
        {command: alive, from: 20s, exitCode: 1, output: no}]}, {}]}}";
    let mut node = life(spec, scenario);
    node.until(6);
    assert_eq!(node.shown.last().unwrap(), "0/1 Running");
    node.until(15);
    assert_eq!(node.shown.last().unwrap(), "1/1 Running");
    node.until(60);
    assert_eq!(node.app().restart_count, 1);
    let reasons = node.reasons();
    assert!(reasons.iter().any(|reason| reason == "Killing"));
    assert!(reasons.iter().filter(|reason| *reason == "Unhealthy").count() >= 4, "{reasons:?}");
}

#[test]
fn gates_of_others_are_waited_for_and_kept() {
    let spec = json!({
        "readinessGates": [{"conditionType": "example.com/open"}],
        "containers": [{"name": "app", "image": "web:1"}],
    });
    let mut node = life(pod(spec), "{}");
    node.until(10);
    assert!(!node.life.status().is_condition_true("Ready"));
    assert_eq!(node.shown.last().unwrap(), "1/1 Running");
    let mut patched = node.life.api.clone();
    let condition = json!({"type": "example.com/open", "status": "True"});
    patched.status = serde_json::from_value(json!({"conditions": [condition]})).unwrap();
    node.life.update(patched, at(11));
    node.until(12);
    assert!(node.life.status().is_condition_true("Ready"));
}

#[test]
fn hooks_take_their_time_and_a_post_start_hook_that_fails_kills() {
    let hooks =
        json!({"postStart": {"exec": {"command": ["warm"]}}, "preStop": {"sleep": {"seconds": 3}}});
    let spec = json!({"containers": [{"name": "app", "image": "web:1", "lifecycle": hooks}]});
    let mut node = life(pod(spec.clone()), "{}");
    node.until(5);
    node.delete(5, 30);
    node.until(7);
    assert!(node.app().state.running.is_some(), "the preStop hook sleeps");
    node.until(12);
    assert!(node.life.can_go());
    let fails = "containers: {app: {instances: [{answers: [{command: warm, exitCode: 1}]}]}}";
    let mut node = life(pod(spec), fails);
    node.until(9);
    assert!(node.reasons().iter().any(|reason| reason == "FailedPostStartHook"));
    assert!(node.app().state.running.is_none());
}

#[test]
fn what_is_done_from_outside_is_done_and_the_rest_is_told() {
    let scenario = "actions: [
        {at: 5s, killContainer: {container: app, exitCode: 9}},
        {at: 20s, setSandboxIP: {ip: 10.9.9.9}},
        {at: 30s, delete: {gracePeriodSeconds: 2}}]";
    let mut node = life(web(), scenario);
    node.until(25);
    assert_eq!(node.app().restart_count, 1);
    assert!(node.reasons().iter().any(|reason| reason == "ScenarioNotPlayed"));
    node.until(30);
    let requests = node.life.take_requests();
    assert_eq!(requests, [Request::Delete { grace_period_seconds: Some(2) }]);
    node.life.evict(Eviction::evicted("low on memory", Some(1)), at(31));
    node.until(40);
    assert!(node.life.status().is_condition_true("DisruptionTarget"));
    assert!(node.life.is_over() && !node.life.can_go());
}

#[test]
fn a_scenario_that_does_not_fit_is_told_with_its_field() {
    for (scenario, told) in [
        (
            "containers: {ap: {}}",
            "containers.ap: the pod has no container \"ap\": did you mean \"app\"?",
        ),
        (
            "containers: {app: {instances: [{runsFor: 1s}]}}",
            "containers.app.instances[0]: unknown field",
        ),
        ("- 1", "must be"),
        (": [", ""),
    ] {
        let error = read_scenario(scenario, &web(), FeatureGates::default()).unwrap_err();
        assert!(error.contains(told), "{error}");
    }
}

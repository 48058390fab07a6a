//! Random lives.
//!
//! Every span of time is an odd number of milliseconds, so that nothing happens at the moment of
//! something else, nor at a tick of the kubelet.

use std::time::Duration;

use podinit::scenario::{
    Action, AddEphemeralContainer, Answer, Attempt, Call, CallFault, ContainerScenario, Delete,
    Evict, GoDuration, ImageScenario, Instance, KillContainer, OfContainer, RebootNode, Resize,
    RestartKubelet, SandboxAttempt, Scenario, Stop, StopSandbox, Verb,
};
use proptest::prelude::{Just, Strategy};
use proptest::prop_oneof;
use proptest::test_runner::TestRng;
use serde_json::{Value, json};
use smol_str::{SmolStr, format_smolstr};

use super::case::LifeCase;
use super::class::Class;

/// Lives of a class.
pub fn lives(class: Class) -> impl Strategy<Value = LifeCase> {
    Just(class).prop_perturb(|class, rng| Draw::new(class, rng).life())
}

/// Lives of any class.
pub fn any_lives() -> impl Strategy<Value = LifeCase> {
    let classes: Vec<_> = Class::ALL.iter().map(|class| Just(*class).boxed()).collect();
    let class = proptest::strategy::Union::new(classes);
    prop_oneof![class].prop_perturb(|class, rng| Draw::new(class, rng).life())
}

/// What a container is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Init,
    Sidecar,
    App,
}

struct Draw {
    rng: TestRng,
    class: Class,
    /// The last port that was given out.
    ports: u16,
    /// The pod's grace, if it has one of its own.
    grace: Option<u64>,
}

impl Draw {
    fn new(class: Class, rng: TestRng) -> Self {
        Self { rng, class, ports: 8000, grace: None }
    }
}

/// So many milliseconds more than a tenth of a second.
const ODD: [u64; 23] =
    [3, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97];

impl Draw {
    fn below(&mut self, limit: u64) -> u64 {
        use proptest::prelude::Rng;
        self.rng.next_u64() % limit.max(1)
    }

    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low)
    }

    /// In so many of a hundred cases.
    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn one_of<T: Clone>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap_or(0)].clone()
    }

    /// A span of milliseconds.
    fn span(&mut self, low: u64, high: u64) -> GoDuration {
        let tenths = self.between(low, high) / 100 * 100;
        let odd = self.one_of(&ODD);
        GoDuration(Duration::from_millis(tenths + odd))
    }

    fn is(&self, classes: &[Class]) -> bool {
        classes.contains(&self.class)
    }

    /// Of what belongs to these classes: often there, and sometimes where everything happens.
    fn has(&mut self, classes: &[Class], percent: u64) -> bool {
        let within = self.is(classes) || self.class == Class::Everything;
        within && self.chance(percent)
    }

    fn life(mut self) -> LifeCase {
        let seconds = self.one_of(&[600, 600, 900, 1200]);
        let until = GoDuration(Duration::from_secs(seconds));
        let mut scenario = Scenario { until, ..Scenario::default() };
        let pod_policy = self.one_of(&["Always", "OnFailure", "Never"]);
        if self.chance(50) {
            let grace = self.one_of(&[0, 1, 3, 5, 10, 20, 30, 60]);
            // Without any grace stops are different: not in every class.
            let none_too = self.is(&[Class::Deletion, Class::Everything]);
            self.grace = Some(if none_too { grace } else { grace.max(1) });
        }
        let most = if self.is(&[Class::Plain, Class::Sidecars]) { (1, 4) } else { (0, 4) };
        let mut init = Vec::new();
        for index in 0..self.between(most.0, most.1) {
            let sidecar = self.class != Class::Plain && self.chance(45);
            let (role, letter) = if sidecar { (Role::Sidecar, 's') } else { (Role::Init, 'i') };
            let name = format_smolstr!("{letter}{index}");
            init.push(self.container(name, role, pod_policy, &mut scenario));
        }
        let mut apps = Vec::new();
        for index in 0..self.between(1, 3) {
            let name = format_smolstr!("a{index}");
            apps.push(self.container(name, Role::App, pod_policy, &mut scenario));
        }
        let mut spec = json!({"restartPolicy": pod_policy, "containers": apps});
        if !init.is_empty() {
            spec["initContainers"] = json!(init);
        }
        if let Some(grace) = self.grace {
            spec["terminationGracePeriodSeconds"] = json!(grace);
        }
        let rare = self.is(&[Class::Plain, Class::Sidecars]) && self.chance(10);
        if rare || self.has(&[Class::Eviction], 25) {
            spec["activeDeadlineSeconds"] = json!(self.one_of(&[15, 40, 90, 200]));
        }
        self.sandboxes(&mut scenario);
        self.calls(&mut scenario, &spec);
        self.actions(&mut scenario, &spec);
        let ignores = |instance: &Instance| instance.stop.as_ref().is_some_and(|stop| stop.ignore);
        let mut instances = scenario.containers.values().flat_map(|of| &of.instances);
        if instances.any(ignores) {
            // A grace is whole seconds: without this, kills would come at the moments of relists.
            let mut slow = CallFault::failing(Call::StopContainer, "");
            (slow.error, slow.takes) = (None, Some(self.span(0, 100)));
            scenario.calls.push(slow);
        }
        scenario.actions.sort_by_key(|action| action.at);
        LifeCase { pod: json!({"spec": spec}), scenario }
    }

    fn container(
        &mut self,
        name: SmolStr,
        role: Role,
        pod_policy: &str,
        scenario: &mut Scenario,
    ) -> Value {
        let shared = self.one_of(&["a", "b", "c"]);
        let image = if self.chance(30) { shared } else { name.as_str() };
        let image = format_smolstr!("img-{image}:1");
        let mut container = json!({"name": name, "image": image});
        let mut answers = Vec::new();
        if role != Role::Init {
            self.probes(&name, &mut container, &mut answers);
            self.hooks(&name, &mut container, &mut answers);
        }
        if self.class == Class::Resize {
            container["resources"] = json!({
                "requests": {"cpu": "100m", "memory": "100Mi"},
                "limits": {"cpu": "500m", "memory": "200Mi"},
            });
        }
        let instances = (0..self.between(1, 5)).map(|_| self.instance(role, &answers)).collect();
        scenario.containers.insert(name, ContainerScenario { instances });
        if self.has(&[Class::Images], 55) || self.has(&[Class::Failures], 20) {
            let error = self.one_of(&["manifest unknown", "rpc timeout", "unauthorized"]);
            let mut pulls = Vec::new();
            for _ in 0..self.below(4) {
                pulls
                    .push(Attempt { takes: Some(self.span(100, 5000)), error: Some(error.into()) });
            }
            pulls.push(Attempt { takes: Some(self.span(100, 9000)), error: None });
            scenario.images.insert(image, ImageScenario { present: self.chance(20), pulls });
            if self.chance(40) {
                let policy = self.one_of(&["Always", "Never", "IfNotPresent"]);
                container["imagePullPolicy"] = json!(policy);
            }
        }
        self.policy(role, pod_policy, &mut container);
        container
    }

    /// The container's own restart policy and rules.
    fn policy(&mut self, role: Role, pod_policy: &str, container: &mut Value) {
        if role == Role::Sidecar {
            container["restartPolicy"] = json!("Always");
            return;
        }
        let likely = if pod_policy == "Never" { 45 } else { 27 };
        if self.has(&[Class::Rules], likely) {
            let rules: Vec<Value> = (0..self.between(1, 3))
                .map(|_| {
                    let action = self.one_of(&["Restart", "RestartAllContainers"]);
                    let operator = self.one_of(&["In", "In", "NotIn"]);
                    let first = self.one_of(&[0, 1, 2, 42, 88, 137]);
                    let second = self.one_of(&[3, 4, 5]);
                    let values = if self.chance(50) { vec![first] } else { vec![first, second] };
                    json!({"action": action, "exitCodes": {"operator": operator, "values": values}})
                })
                .collect();
            let policies: &[&str] = if role == Role::Init {
                &["Never", "OnFailure"]
            } else {
                &["Never", "OnFailure", "Always"]
            };
            container["restartPolicy"] = json!(self.one_of(policies));
            container["restartPolicyRules"] = json!(rules);
        } else if self.has(&[Class::Rules], 15) {
            container["restartPolicy"] = json!(self.one_of(&["Never", "OnFailure"]));
        }
    }

    fn instance(&mut self, role: Role, answers: &[Answer]) -> Instance {
        let mut instance = Instance { answers: answers.to_vec(), ..Instance::default() };
        let (runs, longest, good) = match role {
            Role::Init => (100, 30_000, 75),
            Role::Sidecar => (40, 90_000, 30),
            Role::App => (75, 200_000, 55),
        };
        if self.chance(runs) {
            instance.run_for = Some(self.span(200, longest));
            if !self.chance(good) {
                instance.exit_code = self.one_of(&[1, 2, 42, 88]);
            }
            if self.chance(6) {
                instance.exit_code = 137;
                instance.reason = Some("OOMKilled".into());
            } else if self.chance(4) {
                instance.exit_code = 0;
                instance.signal = Some(11);
            }
        }
        if self.chance(10) {
            instance.message = Some("gave up".into());
        }
        if self.has(&[Class::Failures], 30) {
            match self.below(4) {
                0 => instance.create.error = Some("no space left on device".into()),
                1 => instance.start.error = Some("exec: not found".into()),
                2 => instance.create.takes = Some(self.span(100, 3000)),
                _ => instance.start.takes = Some(self.span(100, 3000)),
            }
        }
        let likely = if self.is(&[Class::Plain, Class::Sidecars]) { 20 } else { 50 };
        if self.chance(likely) {
            instance.stop = Some(if self.chance(75) {
                let exit_code = Some(self.one_of(&[0, 143, 1]));
                Stop { after: Some(self.span(0, 12_000)), exit_code, ignore: false }
            } else {
                Stop { after: None, exit_code: None, ignore: true }
            });
        }
        instance
    }

    /// A handler, and how its questions are named.
    fn handler(&mut self, name: &str, hook: bool) -> (Value, SmolStr) {
        self.ports += 1;
        let port = self.ports;
        match self.below(if hook { 1 } else { 10 }) {
            7 => (
                json!({"httpGet": {"port": port, "path": "/".to_owned() + name}}),
                format_smolstr!("http :{port}/{name}"),
            ),
            8 => (json!({"tcpSocket": {"port": port}}), format_smolstr!("tcp :{port}")),
            9 => (json!({"grpc": {"port": port}}), format_smolstr!("grpc :{port}")),
            _ => (json!({"exec": {"command": [name]}}), name.into()),
        }
    }

    fn probe(&mut self, kind: &str, name: &str) -> (Value, SmolStr) {
        let (mut probe, line) = self.handler(&format!("{kind}-{name}"), false);
        probe["periodSeconds"] = json!(self.one_of(&[1, 2, 3, 5, 7, 10]));
        if kind == "start" || self.chance(50) {
            let longest = if kind == "start" { 30 } else { 4 };
            let usual = self.one_of(&[1, 2, 3, 5, longest]);
            probe["failureThreshold"] =
                json!(if kind == "start" && self.chance(50) { 30 } else { usual });
        }
        if kind == "ready" && self.chance(25) {
            probe["successThreshold"] = json!(self.one_of(&[2, 3]));
        }
        if self.chance(30) {
            probe["initialDelaySeconds"] = json!(self.one_of(&[1, 2, 5, 10, 20]));
        }
        if kind != "ready" && self.chance(20) {
            probe["terminationGracePeriodSeconds"] = json!(self.one_of(&[1, 5, 20]));
        }
        (probe, line)
    }

    fn bad(command: &SmolStr, from: Option<GoDuration>, until: Option<GoDuration>) -> Answer {
        Answer {
            command: command.clone(),
            from: from.unwrap_or_default(),
            until,
            exit_code: 1,
            ..Answer::default()
        }
    }

    fn probes(&mut self, name: &str, container: &mut Value, answers: &mut Vec<Answer>) {
        let likely = if self.class == Class::Probes { 85 } else { 50 };
        if !self.has(&[Class::Probes, Class::Deletion, Class::Restarts], likely) {
            return;
        }
        if self.chance(50) {
            let (probe, line) = self.probe("start", name);
            container["startupProbe"] = probe;
            let until = self.span(500, 40_000);
            answers.push(Self::bad(&line, None, self.chance(85).then_some(until)));
        }
        if self.chance(50) {
            let (probe, line) = self.probe("ready", name);
            container["readinessProbe"] = probe;
            if self.chance(80) {
                let until = self.span(500, 30_000);
                answers.push(Self::bad(&line, None, Some(until)));
            }
            if self.chance(50) {
                let from = self.span(40_000, 200_000);
                let until = GoDuration(from.0 + self.span(3000, 60_000).0);
                answers.push(Self::bad(&line, Some(from), Some(until)));
            }
        }
        if self.chance(40) {
            let (probe, line) = self.probe("live", name);
            container["livenessProbe"] = probe;
            if self.chance(70) {
                let from = self.span(3000, 150_000);
                let until = GoDuration(from.0 + self.span(2000, 20_000).0);
                answers.push(Self::bad(&line, Some(from), self.chance(30).then_some(until)));
            }
        }
    }

    fn hooks(&mut self, name: &str, container: &mut Value, answers: &mut Vec<Answer>) {
        let likely = if self.class == Class::Hooks { 70 } else { 40 };
        if !self.has(&[Class::Hooks, Class::Deletion, Class::Eviction], likely) {
            return;
        }
        let mut lifecycle = json!({});
        if self.chance(60) {
            let (handler, line) = self.handler(&format!("post-{name}"), true);
            lifecycle["postStart"] = handler;
            let exit_code = i32::from(self.chance(25));
            let takes = Some(self.span(0, 4000));
            answers.push(Answer { command: line, takes, exit_code, ..Answer::default() });
        }
        if self.chance(60) {
            if self.chance(60) {
                let (handler, line) = self.handler(&format!("pre-{name}"), true);
                lifecycle["preStop"] = handler;
                let exit_code = i32::from(self.chance(10));
                let takes = Some(self.span(0, 8000));
                answers.push(Answer { command: line, takes, exit_code, ..Answer::default() });
            } else {
                // The API wants it to be shorter than the grace.
                let seconds =
                    self.one_of(&[1, 3, 5]).min(self.grace.unwrap_or(30).saturating_sub(1));
                lifecycle["preStop"] = json!({"sleep": {"seconds": seconds}});
            }
        }
        if lifecycle != json!({}) {
            container["lifecycle"] = lifecycle;
        }
    }

    fn sandboxes(&mut self, scenario: &mut Scenario) {
        if !self.has(&[Class::Failures], 40) {
            return;
        }
        match self.below(3) {
            0 => {
                for _ in 0..self.between(1, 3) {
                    let dies_after = Some(self.span(1000, 60_000));
                    let keeps_containers = self.chance(15);
                    scenario.sandboxes.push(SandboxAttempt {
                        dies_after,
                        keeps_containers,
                        ..SandboxAttempt::default()
                    });
                }
                scenario.sandboxes.push(SandboxAttempt::default());
            }
            1 => {
                for _ in 0..self.between(1, 4) {
                    let error = Some("failed to setup network for sandbox".into());
                    let takes = Some(self.span(100, 2000));
                    scenario.sandboxes.push(SandboxAttempt {
                        error,
                        takes,
                        ..SandboxAttempt::default()
                    });
                }
                scenario.sandboxes.push(SandboxAttempt::default());
            }
            _ => {
                let takes = Some(self.span(100, 3000));
                scenario.sandboxes.push(SandboxAttempt { takes, ..SandboxAttempt::default() });
            }
        }
    }

    fn calls(&mut self, scenario: &mut Scenario, spec: &Value) {
        if !self.has(&[Class::Failures], 30) {
            return;
        }
        let call = self.one_of(&[
            Call::RunPodSandbox,
            Call::StopPodSandbox,
            Call::CreateContainer,
            Call::StartContainer,
            Call::StopContainer,
            Call::ImageStatus,
            Call::PullImage,
        ]);
        let mut fault = CallFault::failing(call, "the runtime is busy");
        fault.times = Some(u32::try_from(self.between(1, 4)).unwrap_or(1));
        if self.chance(50) {
            fault.from = self.span(1000, 60_000);
        }
        if self.chance(40) {
            fault.takes = Some(self.span(100, 3000));
        }
        let of_container =
            matches!(call, Call::CreateContainer | Call::StartContainer | Call::StopContainer);
        if of_container && self.chance(50) {
            let names = names(spec);
            fault.container = self.one_of(&names);
        }
        scenario.calls.push(fault);
    }

    fn at(&mut self, low: u64, high: u64, verb: Verb) -> Action {
        Action::new(self.span(low, high), verb)
    }

    fn actions(&mut self, scenario: &mut Scenario, spec: &Value) {
        let likely = if self.class == Class::Deletion { 85 } else { 30 };
        if self.has(&[Class::Deletion, Class::Ephemeral], likely) {
            let early = self.chance(15);
            let grace = self.chance(30).then(|| self.one_of(&[1, 2, 5, 15, 40]));
            let delete = Verb::Delete(Delete { grace_period_seconds: grace });
            let delete = self.at(300, if early { 3000 } else { 150_000 }, delete);
            if self.chance(15) {
                let again = GoDuration(delete.at.0 + self.span(500, 9000).0);
                let grace = Some(self.one_of(&[1, 3]));
                let again =
                    Action::new(again, Verb::Delete(Delete { grace_period_seconds: grace }));
                scenario.actions.push(again);
            }
            scenario.actions.push(delete);
        }
        let likely = if self.class == Class::Eviction { 85 } else { 15 };
        if self.has(&[Class::Eviction], likely) {
            let evict = |draw: &mut Self| {
                let grace = Some(draw.one_of(&[0, 1, 3, 10, 30]));
                Verb::Evict(Evict { grace_period_seconds: grace, ..Evict::default() })
            };
            let verb = evict(self);
            let first = self.at(500, 120_000, verb);
            if self.chance(25) {
                let again = GoDuration(first.at.0 + self.span(200, 6000).0);
                let verb = evict(self);
                scenario.actions.push(Action::new(again, verb));
            }
            scenario.actions.push(first);
        }
        let likely = if self.class == Class::Restarts { 100 } else { 20 };
        if self.has(&[Class::Restarts], likely) {
            let times = if self.chance(80) { 1 } else { 2 };
            for time in 0..times {
                let down_for = self.span(200, 20_000);
                let verb = if self.chance(15) {
                    Verb::RebootNode(RebootNode { down_for })
                } else {
                    Verb::RestartKubelet(RestartKubelet { down_for })
                };
                let later = time * 180_000;
                scenario.actions.push(self.at(later + 300, later + 150_000, verb));
            }
        }
        if self.has(&[Class::Failures], 25) {
            let name = self.one_of(&names(spec));
            let verb = match self.below(4) {
                0 => Verb::StopSandbox(StopSandbox::default()),
                1 => {
                    let exit_code = Some(self.one_of(&[0, 1, 137]));
                    Verb::KillContainer(KillContainer { container: name, exit_code, reason: None })
                }
                2 => Verb::RemoveContainer(OfContainer { container: name }),
                _ => Verb::StartContainer(OfContainer { container: "stray".into() }),
            };
            scenario.actions.push(self.at(1000, 100_000, verb));
        }
        if self.has(&[Class::Ephemeral], 90) {
            for index in 0..self.between(1, 4) {
                let letter = self.one_of(&['z', 'b', 'y', 'k']);
                let name = format_smolstr!("{letter}{index}");
                let container = json!({"name": name, "image": format!("img-{name}:1")});
                let run_for = Some(self.span(500, 60_000));
                let exit_code = self.one_of(&[0, 1]);
                let instance = Instance { run_for, exit_code, ..Instance::default() };
                let instances = vec![instance];
                scenario.containers.insert(name, ContainerScenario { instances });
                let verb = Verb::AddEphemeralContainer(AddEphemeralContainer { container });
                scenario.actions.push(self.at(500, 90_000, verb));
            }
        }
        if self.class == Class::Resize {
            let apps: Vec<SmolStr> = list(spec, "containers");
            for _ in 0..self.between(1, 3) {
                let name = self.one_of(&apps);
                let cpu = self.one_of(&["150m", "200m", "300m"]);
                let memory = self.one_of(&["100Mi", "150Mi"]);
                let patch = json!({"spec": {"containers": [
                    {"name": name, "resources": {"requests": {"cpu": cpu, "memory": memory}}},
                ]}});
                scenario.actions.push(self.at(1000, 120_000, Verb::Resize(Resize { patch })));
            }
        }
    }
}

fn list(spec: &Value, list: &str) -> Vec<SmolStr> {
    let containers = spec[list].as_array().into_iter().flatten();
    containers.filter_map(|container| container["name"].as_str().map(SmolStr::new)).collect()
}

/// The names of the pod's containers.
fn names(spec: &Value) -> Vec<SmolStr> {
    list(spec, "initContainers").into_iter().chain(list(spec, "containers")).collect()
}

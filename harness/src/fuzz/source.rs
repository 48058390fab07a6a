//! Pods and observations from bytes.

use crate::with;
use podinit::observation::{ContainerInstance, Exit, InstanceState, ProbeResult, Sandbox};
use podinit::{KubernetesVersion, Observation, PodSpec, Timestamp};
use serde_json::{Value, json};

/// Reads choices from bytes; zeros follow their end.
pub struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub fn below(&mut self, count: u8) -> u8 {
        self.byte() % count
    }

    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.byte()) % choices.len()]
    }

    /// A pod of up to four init and three app containers.
    pub fn pod(&mut self) -> Option<PodSpec> {
        let version = self.pick(&KubernetesVersion::ALL);
        let policy = self.pick(&["Always", "OnFailure", "Never"]);
        let (init, apps) = (self.below(5), 1 + self.below(3));
        let init: Vec<Value> = (0..init).map(|nth| self.container(format!("init-{nth}"))).collect();
        let apps: Vec<Value> = (0..apps).map(|nth| self.container(format!("app-{nth}"))).collect();
        let deadline = self.flag().then(|| self.byte());
        let pod = json!({"metadata": {"name": "pod"}, "spec": {
            "restartPolicy": policy,
            "activeDeadlineSeconds": deadline,
            "initContainers": init,
            "containers": apps,
        }});
        let pod = serde_json::from_value(pod).ok()?;
        PodSpec::compile_unchecked(&pod, version.feature_gates()).ok()
    }

    fn container(&mut self, name: String) -> Value {
        let mut container = json!({"name": name, "image": "image"});
        match self.below(8) {
            0 | 1 => container["restartPolicy"] = "Always".into(),
            2 => container["restartPolicy"] = "Never".into(),
            3 => {
                container["restartPolicy"] = "OnFailure".into();
                let action = self.pick(&["Restart", "RestartAllContainers"]);
                let operator = self.pick(&["In", "NotIn"]);
                let codes = json!({"operator": operator, "values": [self.below(3)]});
                container["restartPolicyRules"] = json!([{"action": action, "exitCodes": codes}]);
            }
            4 => container["startupProbe"] = json!({"exec": {"command": ["true"]}}),
            5 => container["imagePullPolicy"] = "Never".into(),
            _ => {}
        }
        container
    }

    /// Anything that could be observed of a pod, possible or not.
    pub fn observation(&mut self, pod: &PodSpec) -> Observation {
        let mut observation = Observation::new();
        for _ in 0..self.below(3) {
            observation.push_sandbox(with!(Sandbox {
                id: self.pick(&["a", "b"]).into(),
                ready: self.flag(),
                attempt: self.below(3).into(),
                has_ip: self.flag(),
                host_network: self.below(8) == 7,
                ..Sandbox::default()
            }));
        }
        let names: Vec<_> = pod.containers().iter().map(|c| c.name().clone()).collect();
        for name in names.iter().map(|name| name.as_str()).chain(["stray"]) {
            for _ in 0..self.below(3) {
                let instance = self.instance();
                observation.push_named(pod, name, instance);
            }
        }
        observation
    }

    fn instance(&mut self) -> ContainerInstance {
        let state = match self.below(5) {
            0 => InstanceState::Created,
            1 | 2 => InstanceState::Running,
            3 => InstanceState::Unknown,
            _ => InstanceState::Exited(with!(Exit {
                exit_code: i32::from(self.below(4)) - 1,
                reason: self.pick(&["Completed", "Error", "OOMKilled"]).into(),
                message: "".into(),
                finished_at: self.time(),
                ..Exit::default()
            })),
        };
        let id = format!("fake://{}", self.below(4));
        let mut instance = ContainerInstance::new(id, self.pick(&["a", "b"]), state);
        instance.restart_count = self.pick(&[0, 1, 5, u32::MAX]);
        instance.started_at = self.time();
        instance.definition_hash = (self.below(8) == 7).then_some(1);
        instance.startup_probe = self.probe();
        instance.liveness_probe = self.probe();
        instance.readiness_probe = self.probe();
        instance
    }

    fn time(&mut self) -> Option<Timestamp> {
        let seconds = i64::from(self.byte()) * 4;
        match seconds {
            0 => None,
            4 => Some(Timestamp::MIN),
            8 => Some(Timestamp::MAX),
            seconds => Some(Timestamp::from_secs(seconds)),
        }
    }

    fn probe(&mut self) -> Option<ProbeResult> {
        use ProbeResult::{Failure, Success, Unknown};
        self.pick(&[None, Some(Success), Some(Failure), Some(Unknown)])
    }
}

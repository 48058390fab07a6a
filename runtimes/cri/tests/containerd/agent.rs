//! The agent as a process, and what it prints.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1;
use podinit::admission::defaults;
use podinit::sim::{Scenario, simulate};
use podinit::testing::{Fact, Invariant, Trace};
use podinit::{FeatureGates, PodSpec, PodStatus, Timestamp};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::node::{IMAGE, Node, lines};
use crate::{Checked, wait};

/// A line of the agent: the columns, and the status.
#[derive(Clone, Debug, Deserialize)]
pub struct Line {
    ready: String,
    status: String,
    restarts: i64,
    #[serde(rename = "podStatus")]
    pub pod_status: v1::PodStatus,
}

impl Line {
    pub fn columns(&self) -> String {
        format!("{} {} {}", self.ready, self.status, self.restarts)
    }

    pub fn has_status(&self, status: &str) -> bool {
        self.status == status
    }

    /// The status of a container.
    pub fn container(&self, name: &str) -> Option<&v1::ContainerStatus> {
        let lists = [&self.pod_status.init_container_statuses, &self.pod_status.container_statuses];
        lists.into_iter().flatten().flatten().find(|status| status.name == name)
    }
}

/// One pod, and the agent that runs it.
pub struct Agent<'a> {
    node: &'a Node,
    pod: v1::Pod,
    socket: PathBuf,
    child: Option<Child>,
    lines: Arc<Mutex<Vec<Line>>>,
}

impl<'a> Agent<'a> {
    /// Runs a pod of this name and spec.
    pub fn run(node: &'a Node, name: &str, spec: Value) -> Checked<Self> {
        Self::run_at(node, node.socket(), name, spec)
    }

    /// The same with another socket.
    pub fn run_at(node: &'a Node, socket: PathBuf, name: &str, spec: Value) -> Checked<Self> {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec,
        });
        fs::write(node.folder.join(format!("{name}.yaml")), pod.to_string())
            .map_err(|error| error.to_string())?;
        let pod = serde_json::from_value(pod).map_err(|error| error.to_string())?;
        let mut agent = Self { node, pod, socket, child: None, lines: Arc::default() };
        agent.start()?;
        Ok(agent)
    }

    fn name(&self) -> &str {
        self.pod.metadata.name.as_deref().unwrap_or_default()
    }

    /// Starts the agent, perhaps once more; the lines go on.
    pub fn start(&mut self) -> Checked<()> {
        let errors = self.node.folder.join(format!("{}.log", self.name()));
        let errors = fs::File::options().create(true).append(true).open(errors);
        let errors = errors.map_err(|error| error.to_string())?;
        let mut child = Command::new(env!("CARGO_BIN_EXE_podinit-cri"))
            .args(["run", "--output", "json", "--relist", "100", "--socket"])
            .arg(&self.socket)
            .arg("--folder")
            .arg(self.node.folder.join("pods"))
            .arg(self.node.folder.join(format!("{}.yaml", self.name())))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::from(errors))
            .spawn()
            .map_err(|error| format!("the agent: {error}"))?;
        let stdout = child.stdout.take().ok_or("the agent has no output")?;
        self.child = Some(child);
        let lines = Arc::clone(&self.lines);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Ok(line) = serde_json::from_str(&line) {
                    lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                }
            }
        });
        Ok(())
    }

    /// Everything that was printed.
    pub fn lines(&self) -> Vec<Line> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a line.
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&Line) -> bool) -> Checked<Line> {
        let found = || self.lines().into_iter().find(|line| wanted(line));
        wait(what, Duration::from_secs(60), found)
            .map_err(|why| format!("{why}; there were {:?}", self.series()))
    }

    /// Waits for a line that is printed from now on.
    pub fn wait_for_new(&self, what: &str, wanted: impl Fn(&Line) -> bool) -> Checked<Line> {
        let printed = self.lines().len();
        let found = || self.lines().into_iter().skip(printed).find(|line| wanted(line));
        wait(what, Duration::from_secs(60), found)
            .map_err(|why| format!("{why}; there were {:?}", self.series()))
    }

    pub fn signal(&self, signal: Signal) -> Checked<()> {
        let child = self.child.as_ref().ok_or("no agent runs")?;
        kill_process(Pid::from_child(child), signal).map_err(|error| error.to_string())
    }

    /// Waits for the agent's end, and gives its exit code (`None`: a signal).
    pub fn wait(&mut self) -> Checked<Option<i32>> {
        let mut child = self.child.take().ok_or("no agent runs")?;
        let ended =
            wait("the agent to end", Duration::from_secs(60), || child.try_wait().ok().flatten());
        if ended.is_err() {
            self.child = Some(child);
        }
        let ended = ended.map_err(|why| format!("{why}; there were {:?}", self.series()))?;
        // What it printed last is read by another thread.
        std::thread::sleep(Duration::from_millis(100));
        Ok(ended.code())
    }

    /// Deletes the pod, and waits until it is gone.
    pub fn delete(&mut self) -> Checked<()> {
        self.signal(Signal::INT)?;
        self.wait().map(drop)
    }

    /// The columns as they changed, without the ages.
    pub fn series(&self) -> Vec<String> {
        let mut series: Vec<String> = self.lines().iter().map(Line::columns).collect();
        series.dedup();
        series
    }

    fn compiled(&self) -> Checked<PodSpec> {
        let gates = FeatureGates::default();
        let mut pod = self.pod.clone();
        defaults::apply(&mut pod, gates);
        PodSpec::compile_unchecked(&pod, gates).map_err(|error| error.to_string())
    }

    /// What the simulation says of this pod's columns.
    pub fn simulated(&self, scenario: &Scenario) -> Checked<Vec<String>> {
        let spec = self.compiled()?;
        let columns = simulate(&spec, scenario).steps.into_iter().map(|step| {
            let columns = step.api_columns(&spec);
            format!("{} {} {}", columns.ready, columns.status, columns.restarts.count)
        });
        let mut series: Vec<String> = columns.collect();
        series.dedup();
        Ok(series)
    }

    /// The series of columns is the one that the simulation gives.
    pub fn same_as_simulated(&self, scenario: &Scenario) -> Checked<()> {
        let (real, simulated) = (self.series(), self.simulated(scenario)?);
        if real == simulated {
            return self.invariants();
        }
        Err(format!("columns differ\n  real:      {real:?}\n  simulated: {simulated:?}"))
    }

    /// What holds in every life of a pod, as far as statuses alone tell.
    pub fn invariants(&self) -> Checked<()> {
        let mut trace = Trace::new(self.compiled()?);
        for (position, line) in self.lines().iter().enumerate() {
            let status = PodStatus::try_from(&line.pod_status).map_err(|e| e.to_string())?;
            let at = Timestamp::UNIX_EPOCH + Duration::from_secs(position as u64);
            trace.push(at, Fact::StatusWritten(Box::new(status)));
        }
        let of_statuses = [
            Invariant::PhaseGoesForward,
            Invariant::PhaseFitsContainers,
            Invariant::ConditionsAgree,
            Invariant::RestartCountsGrow,
        ];
        let mut checked = of_statuses.iter().map(|invariant| invariant.check(&trace));
        checked.try_for_each(|checked| checked.map_err(|violation| violation.to_string()))
    }

    /// The lines of a file in an `emptyDir` volume.
    pub fn volume(&self, volume: &str, file: &str) -> Vec<String> {
        let folder = self.node.folder.join(format!("pods/default_{}/volumes", self.name()));
        lines(&folder.join(volume).join(file))
    }

    /// What a run of a container has printed.
    pub fn log(&self, container: &str, restart: u32) -> Vec<String> {
        let folder = self.node.folder.join(format!("pods/default_{}/logs", self.name()));
        let log = lines(&folder.join(container).join(format!("{restart}.log")));
        // 2026-01-01T00:00:00.000000000Z stdout F text
        log.iter().filter_map(|line| line.splitn(4, ' ').nth(3).map(str::to_owned)).collect()
    }
}

impl Drop for Agent<'_> {
    fn drop(&mut self) {
        if self.child.is_some() {
            // A scenario that failed leaves nothing behind for the others.
            let _ = self.signal(Signal::INT);
            std::thread::sleep(Duration::from_millis(300));
            let _ = self.signal(Signal::INT);
            if self.wait().is_err() {
                let _ = self.signal(Signal::KILL);
            }
        }
    }
}

/// A container that runs a script, with the volume `data` at `/data`.
pub fn container(name: &str, script: &str) -> Value {
    json!({
        "name": name, "image": IMAGE, "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", script],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    })
}

/// A container with further fields.
pub fn with(mut container: Value, fields: Value) -> Value {
    if let (Some(container), Value::Object(fields)) = (container.as_object_mut(), fields) {
        container.extend(fields);
    }
    container
}

/// A pod's spec. There is no network plug-in, so that it has the network of the host.
pub fn spec(restart_policy: &str, init: Vec<Value>, apps: Vec<Value>) -> Value {
    json!({
        "hostNetwork": true, "restartPolicy": restart_policy, "terminationGracePeriodSeconds": 5,
        "initContainers": init, "containers": apps,
        "volumes": [{"name": "data", "emptyDir": {}}],
    })
}

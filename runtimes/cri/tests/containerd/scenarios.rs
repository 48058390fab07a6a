//! What is tried with a real containerd. Each scenario has a pod, and an agent, of its own.

use std::fs;
use std::time::Duration;

use podinit::sim::{ContainerScript, PodEvent, ProbeScript, Run, Scenario};
use rustix::process::Signal;
use serde_json::json;

use crate::agent::{Agent, Line, container, spec, with};
use crate::node::Node;
use crate::{Checked, check};

/// A scenario, and its name.
pub type Named = (&'static str, fn(&Node) -> Checked<()>);

/// Those that run side by side.
pub const SIDE_BY_SIDE: &[Named] = &[
    ("init containers run in order and share a volume", in_order),
    ("an init container fails twice, backs off and succeeds", fails_twice),
    ("an init container fails and may not be restarted", never_restarted),
    ("a sidecar's startup probe holds the next init container back", sidecar),
    ("a pod is failed when its deadline has passed", deadline),
    ("a deleted pod stops in order and within its grace", deletion),
    ("a lost sandbox makes every init container run again", sandbox_lost),
    ("a container that is killed is restarted", container_killed),
    ("an agent that was killed goes on where it was", agent_killed),
    ("an agent that is told to end leaves the pod alone", agent_ended),
    ("a socket that is not there yet is waited for", socket_absent),
    ("an image that does not exist is backed off from", image_absent),
    ("a command that cannot be run is backed off from", command_absent),
    ("a sandbox that cannot be made is tried again", no_network),
];

/// Those that disturb all others.
pub const ALONE: &[Named] = &[("a restart of containerd changes nothing", containerd_restarted)];

const SECONDS: fn(u64) -> Duration = Duration::from_secs;

fn ends(after: u64, exit_code: i32) -> ContainerScript {
    ContainerScript::runs([Run::ends(SECONDS(after), exit_code)])
}

/// Stops when it is told to.
const OBEDIENT: &str = "trap 'exit 0' TERM; while :; do sleep 0.1; done";

fn in_order(node: &Node) -> Checked<()> {
    let init = vec![
        container("first", "sleep 2; echo first >> /data/order"),
        container("second", "sleep 2; echo second >> /data/order"),
    ];
    let apps = vec![container("app", "sleep 2; cat /data/order")];
    let mut agent = Agent::run(node, "in-order", spec("OnFailure", init, apps))?;
    check("exit code", agent.wait()?, Some(0))?;
    check("the log of the app", agent.log("app", 0), vec!["first".into(), "second".into()])?;
    let scenario = Scenario::default();
    let scenario = scenario.script("first", ends(2, 0)).script("second", ends(2, 0));
    agent.same_as_simulated(&scenario.script("app", ends(2, 0)))
}

/// Fails twice with 3, then succeeds; each run takes two seconds.
const FAILS_TWICE: &str = "sleep 2; echo run >> /data/runs; \
    test -e /data/2 && exit 0; test -e /data/1 && touch /data/2; touch /data/1; exit 3";

fn fails_twice_scenario() -> Scenario {
    let failed = Run::ends(SECONDS(2), 3);
    let setup = ContainerScript::runs([failed.clone(), failed, Run::ends(SECONDS(2), 0)]);
    Scenario::default().script("setup", setup).script("app", ends(2, 0))
}

fn fails_twice_spec() -> serde_json::Value {
    spec("OnFailure", vec![container("setup", FAILS_TWICE)], vec![container("app", "sleep 2")])
}

fn fails_twice(node: &Node) -> Checked<()> {
    let mut agent = Agent::run(node, "fails-twice", fails_twice_spec())?;
    check("exit code", agent.wait()?, Some(0))?;
    check("runs", agent.volume("data", "runs").len(), 3)?;
    backed_off(&agent, "setup")?;
    agent.same_as_simulated(&fails_twice_scenario())
}

/// The third run began ten seconds after the recorded end of the second one.
fn backed_off(agent: &Agent<'_>, name: &str) -> Checked<()> {
    let third = agent.wait_for("the third run", |line| {
        let container = line.container(name);
        container.is_some_and(|status| {
            status.restart_count == 2
                && status.state.as_ref().is_some_and(|state| state.running.is_some())
        })
    })?;
    let status = third.container(name).ok_or("no such container")?;
    let state = status.state.as_ref().and_then(|state| state.running.clone());
    let began = state.and_then(|running| running.started_at).ok_or("not running")?;
    let last = status.last_state.as_ref().and_then(|state| state.terminated.clone());
    let last = last.ok_or("no earlier run")?;
    check("exit code", last.exit_code, 3)?;
    let ended = last.finished_at.ok_or("no end")?;
    let waited = began.0.as_second() - ended.0.as_second();
    // Times are cut to seconds, and a machine can be slow.
    if (9..=15).contains(&waited) { Ok(()) } else { Err(format!("waited for {waited}s")) }
}

fn never_restarted(node: &Node) -> Checked<()> {
    let init = vec![container("setup", "sleep 2; exit 7")];
    let apps = vec![container("app", "sleep 2")];
    let mut agent = Agent::run(node, "never", spec("Never", init, apps))?;
    check("exit code", agent.wait()?, Some(1))?;
    let last = agent.lines().pop().ok_or("nothing was printed")?;
    check("phase", last.pod_status.phase.as_deref(), Some("Failed"))?;
    let state = last.container("setup").and_then(|setup| setup.state.clone()?.terminated);
    check("exit code of setup", state.map(|state| state.exit_code), Some(7))?;
    agent.same_as_simulated(&Scenario::default().script("setup", ends(2, 7)))
}

fn sidecar(node: &Node) -> Checked<()> {
    let proxy = "trap 'echo proxy >> /data/ended; exit 0' TERM; \
        sleep 2; touch /data/ready; while :; do sleep 0.1; done";
    let proxy = with(
        container("proxy", proxy),
        json!({
            "restartPolicy": "Always",
            "startupProbe": {"exec": {"command": ["test", "-e", "/data/ready"]}, "periodSeconds": 1,
                             "failureThreshold": 30},
        }),
    );
    let init = vec![proxy, container("setup", "test -e /data/ready || exit 9; sleep 2")];
    let apps = vec![container("app", "sleep 2; echo app >> /data/ended")];
    let mut agent = Agent::run(node, "sidecar", spec("OnFailure", init, apps))?;
    check("exit code", agent.wait()?, Some(0))?;
    check("order of ends", agent.volume("data", "ended"), vec!["app".into(), "proxy".into()])?;
    let mut script = ContainerScript::FOREVER;
    script.startup_probe = ProbeScript { succeeds_after: Some(SECONDS(2)), fails_after: None };
    let scenario = Scenario::default().script("proxy", script);
    agent.same_as_simulated(&scenario.script("setup", ends(2, 0)).script("app", ends(2, 0)))
}

fn deadline(node: &Node) -> Checked<()> {
    let stubborn = "trap '' TERM; while :; do sleep 0.1; done";
    let pod = spec("Always", vec![container("setup", "sleep 1")], vec![container("app", stubborn)]);
    let pod = with(pod, json!({"activeDeadlineSeconds": 5}));
    let mut agent = Agent::run(node, "deadline", pod)?;
    check("exit code", agent.wait()?, Some(1))?;
    let last = agent.lines().pop().ok_or("nothing was printed")?;
    check("reason", last.pod_status.reason.as_deref(), Some("DeadlineExceeded"))?;
    agent.same_as_simulated(&Scenario::default().script("setup", ends(1, 0)))
}

fn deletion(node: &Node) -> Checked<()> {
    let tells = |name: &str| {
        format!("trap 'echo {name} >> /data/ended; exit 0' TERM; while :; do sleep 0.1; done")
    };
    let always = json!({"restartPolicy": "Always"});
    let init = vec![
        with(container("log", &tells("log")), always.clone()),
        with(container("proxy", &tells("proxy")), always),
    ];
    // The sidecars wait for it, as long as there is grace.
    let slow = "trap 'sleep 1; echo app >> /data/ended; exit 3' TERM; while :; do sleep 0.1; done";
    let apps = vec![container("app", slow)];
    let mut agent = Agent::run(node, "deletion", spec("Always", init, apps))?;
    agent.wait_for("the pod to run", |line| line.has_status("Running"))?;
    std::thread::sleep(SECONDS(1));
    agent.delete()?;
    let order = vec!["app".into(), "proxy".into(), "log".into()];
    check("order of stops", agent.volume("data", "ended"), order)?;
    let last = agent.lines().pop().ok_or("nothing was printed")?;
    let code = |name| {
        let state = last.container(name)?.state.clone()?.terminated?;
        Some(state.exit_code)
    };
    check("exit code of app", code("app"), Some(3))?;
    check("exit code of log", code("log"), Some(0))?;
    agent.invariants()
}

fn sandbox_lost(node: &Node) -> Checked<()> {
    let init = vec![
        container("first", "sleep 1; echo first >> /data/order"),
        container("second", "sleep 1; echo second >> /data/order"),
    ];
    // It ends as the simulation has it.
    let apps = vec![container("app", "trap 'exit 137' TERM; while :; do sleep 0.1; done")];
    let mut agent = Agent::run(node, "sandbox-lost", spec("Always", init, apps))?;
    let running = agent.wait_for("the pod to run", |line| line.has_status("Running"))?;
    std::thread::sleep(SECONDS(1));
    let app = container_id(&running, "app")?;
    let info = node.ctr(&["containers", "info", &app])?;
    let info: serde_json::Value = serde_json::from_str(&info).map_err(|e| e.to_string())?;
    let sandbox = info.pointer("/Spec/annotations/io.kubernetes.cri.sandbox-id");
    let sandbox = sandbox.and_then(|id| id.as_str()).ok_or("the app has no sandbox")?;
    node.ctr(&["tasks", "kill", "--signal", "SIGKILL", sandbox])?;
    agent.wait_for_new("the pod to run again", |line| {
        line.has_status("Running")
            && line.container("app").is_some_and(|app| app.restart_count == 1)
    })?;
    let order = ["first", "second", "first", "second"].map(String::from);
    check("what ran", agent.volume("data", "order"), order.to_vec())?;
    let scenario = Scenario::default().script("first", ends(1, 0)).script("second", ends(1, 0));
    let scenario = scenario.event(SECONDS(5), PodEvent::SandboxLost);
    // The phase goes back, which statuses alone do not justify.
    check("columns", agent.series(), agent.simulated(&scenario)?)?;
    agent.delete()
}

/// The runtime's id of a container.
fn container_id(line: &Line, name: &str) -> Checked<String> {
    let id = line.container(name).and_then(|container| container.container_id.clone());
    let id = id.ok_or("no id")?;
    Ok(id.trim_start_matches("containerd://").to_owned())
}

fn container_killed(node: &Node) -> Checked<()> {
    let mut agent =
        Agent::run(node, "killed", spec("Always", vec![], vec![container("app", OBEDIENT)]))?;
    let running = agent.wait_for("the pod to run", |line| line.has_status("Running"))?;
    std::thread::sleep(SECONDS(1));
    node.ctr(&["tasks", "kill", "--signal", "SIGKILL", &container_id(&running, "app")?])?;
    let again = agent.wait_for_new("the restart", |line| {
        line.has_status("Running")
            && line.container("app").is_some_and(|app| app.restart_count == 1)
    })?;
    let last = again.container("app").and_then(|app| app.last_state.clone()?.terminated);
    check("exit code", last.map(|last| last.exit_code), Some(137))?;
    agent.delete()?;
    agent.invariants()
}

fn agent_killed(node: &Node) -> Checked<()> {
    let mut agent = Agent::run(node, "agent-killed", fails_twice_spec())?;
    for wanted in ["Init:0/1", "Init:CrashLoopBackOff"] {
        agent.wait_for(wanted, |line| line.has_status(wanted))?;
        agent.signal(Signal::KILL)?;
        check("exit code", agent.wait()?, None)?;
        agent.start()?;
    }
    check("exit code", agent.wait()?, Some(0))?;
    check("runs", agent.volume("data", "runs").len(), 3)?;
    backed_off(&agent, "setup")?;
    agent.same_as_simulated(&fails_twice_scenario())
}

fn agent_ended(node: &Node) -> Checked<()> {
    let app = "trap 'exit 0' TERM; echo begun >> /data/runs; while :; do sleep 0.1; done";
    let mut agent =
        Agent::run(node, "agent-ended", spec("Always", vec![], vec![container("app", app)]))?;
    let running = agent.wait_for("the pod to run", |line| line.has_status("Running"))?;
    agent.signal(Signal::TERM)?;
    check("exit code", agent.wait()?, Some(0))?;
    let task = node.ctr(&["tasks", "list"])?;
    let id = container_id(&running, "app")?;
    check("the app runs", task.lines().any(|l| l.contains(&id) && l.contains("RUNNING")), true)?;
    // What looks for leaks sees what runs.
    let found = node.leaks()?;
    let sees = |what: &str| found.iter().any(|leak| leak.starts_with(what));
    check("container found", sees("container "), true)?;
    check("shim found", sees("process /usr/bin/containerd-shim"), true)?;
    check("process found", sees("process sh -c trap 'exit 0' TERM; echo begun"), true)?;
    agent.start()?;
    agent.wait_for_new("the pod to run still", |line| line.has_status("Running"))?;
    check("runs", agent.volume("data", "runs").len(), 1)?;
    agent.delete()
}

fn socket_absent(node: &Node) -> Checked<()> {
    let socket = node.folder.join("later.sock");
    let pod = spec("Never", vec![], vec![container("app", "sleep 1")]);
    let mut agent = Agent::run_at(node, socket.clone(), "socket-absent", pod)?;
    std::thread::sleep(SECONDS(2));
    check("lines with a status", agent.lines().iter().any(|l| l.has_status("Running")), false)?;
    std::os::unix::fs::symlink(node.socket(), &socket).map_err(|error| error.to_string())?;
    check("exit code", agent.wait()?, Some(0))?;
    fs::remove_file(&socket).map_err(|error| error.to_string())
}

fn image_absent(node: &Node) -> Checked<()> {
    let absent = with(container("setup", "true"), json!({"image": "registry.invalid/none:1"}));
    let pod = spec("Always", vec![absent], vec![container("app", OBEDIENT)]);
    let mut agent = Agent::run(node, "image-absent", pod)?;
    for wanted in ["Init:ErrImagePull", "Init:ImagePullBackOff", "Init:ErrImagePull"] {
        agent.wait_for(wanted, |line| line.has_status(wanted))?;
    }
    agent.delete()
}

fn command_absent(node: &Node) -> Checked<()> {
    let absent = with(container("app", ""), json!({"command": ["/no/such/command"]}));
    let mut agent = Agent::run(node, "command-absent", spec("Always", vec![], vec![absent]))?;
    let failed =
        agent.wait_for("RunContainerError", |line| line.has_status("RunContainerError"))?;
    let waiting = failed.container("app").and_then(|app| app.state.clone()?.waiting);
    let message = waiting.and_then(|waiting| waiting.message).unwrap_or_default();
    check("the message names the command", message.contains("/no/such/command"), true)?;
    agent.wait_for("CrashLoopBackOff", |line| line.has_status("CrashLoopBackOff"))?;
    agent.delete()
}

fn no_network(node: &Node) -> Checked<()> {
    let pod = spec("Always", vec![], vec![container("app", OBEDIENT)]);
    let pod = with(pod, json!({"hostNetwork": false}));
    let mut agent = Agent::run(node, "no-network", pod)?;
    agent.wait_for("ContainerCreating", |line| line.has_status("ContainerCreating"))?;
    std::thread::sleep(SECONDS(2));
    check("columns", agent.series(), vec!["0/1 ContainerCreating 0".to_owned()])?;
    node.install_network_plugin()?;
    agent.wait_for("the pod to run", |line| line.has_status("Running"))?;
    agent.delete()
}

fn containerd_restarted(node: &Node) -> Checked<()> {
    let mut agent = Agent::run(node, "containerd-restarted", fails_twice_spec())?;
    agent.wait_for("back-off", |line| line.has_status("Init:CrashLoopBackOff"))?;
    node.stop_containerd()?;
    std::thread::sleep(SECONDS(2));
    node.start_containerd()?;
    check("exit code", agent.wait()?, Some(0))?;
    check("runs", agent.volume("data", "runs").len(), 3)?;
    agent.same_as_simulated(&fails_twice_scenario())
}

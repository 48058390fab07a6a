//! What happens to a pod, in short forms on the command line.

use std::time::Duration;

use podinit::pod::{Container, ContainerKind, Probe};
use podinit::scenario::{
    Action, Attempt, ContainerScenario, Delete, Evict, GoDuration, ImageScenario, Instance,
    RebootNode, RestartKubelet, Scenario, Verb,
};
use podinit::sim::{ContainerScript, Limits, PodEvent, ProbeScript, Run};
use podinit::worker::Eviction;
use podinit::{PodSpec, SmolStr, sim};

use crate::failure::Failure;

/// What happens, beside what a scenario file says. Without these an init container runs for 5s and
/// succeeds, a restartable one and an app container run on; probes succeed.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "What happens")]
pub struct Script {
    /// How long each run of a container lasts: 5s, 1m30s, 250ms.
    #[arg(long, value_name = "NAME=DURATION", value_parser = named::<GoDuration>)]
    run: Vec<Named<GoDuration>>,
    /// Its first N runs (1 if not said) exit with CODE.
    #[arg(long, value_name = "NAME=CODE[xN]", value_parser = named::<Failing>)]
    fail: Vec<Named<Failing>>,
    /// Its first N image pulls fail.
    #[arg(long, value_name = "NAME=N", value_parser = named::<Times>)]
    fail_pull: Vec<Named<Times>>,
    /// Its first N creations fail.
    #[arg(long, value_name = "NAME=N", value_parser = named::<Times>)]
    fail_create: Vec<Named<Times>>,
    /// Its first N starts fail.
    #[arg(long, value_name = "NAME=N", value_parser = named::<Times>)]
    fail_start: Vec<Named<Times>>,
    /// How long each pull of its image takes.
    #[arg(long, value_name = "NAME=DURATION", value_parser = named::<GoDuration>)]
    pull: Vec<Named<GoDuration>>,
    /// How long each start of it takes.
    #[arg(long, value_name = "NAME=DURATION", value_parser = named::<GoDuration>)]
    start: Vec<Named<GoDuration>>,
    /// Its liveness probe has failed so long after each start.
    #[arg(long, value_name = "NAME=DURATION", value_parser = named::<GoDuration>)]
    fail_liveness: Vec<Named<GoDuration>>,
    /// Its readiness probe succeeds so long after each start.
    #[arg(long, value_name = "NAME=DURATION", value_parser = named::<GoDuration>)]
    ready: Vec<Named<GoDuration>>,
    /// The pod is deleted at this time.
    #[arg(long, value_name = "DURATION")]
    delete: Vec<GoDuration>,
    /// The node restarts at this time: the sandbox is lost.
    #[arg(long, value_name = "DURATION")]
    reboot: Vec<GoDuration>,
    /// The kubelet restarts at this time, and is back after DOWN.
    #[arg(long, value_name = "AT[:DOWN]", value_parser = restart)]
    restart_kubelet: Vec<Restart>,
    /// The node runs low on memory at this time, and evicts the pod.
    #[arg(long, value_name = "DURATION")]
    evict: Vec<GoDuration>,
    /// A critical pod needs its place at this time.
    #[arg(long, value_name = "DURATION")]
    preempt: Vec<GoDuration>,
    /// The node shuts down at this time.
    #[arg(long, value_name = "DURATION")]
    shutdown: Vec<GoDuration>,
    /// Where to end at the latest: one hour, or with the kubelet's timing what the scenario says.
    #[arg(long, value_name = "DURATION")]
    until: Option<GoDuration>,
}

/// Something that is said of a container.
#[derive(Clone, Debug)]
pub struct Named<T> {
    /// The container's name.
    pub name: String,
    /// What is said of it.
    pub value: T,
}

/// `NAME=VALUE`.
pub fn named<T: std::str::FromStr>(text: &str) -> Result<Named<T>, String>
where
    T::Err: std::fmt::Display,
{
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    let value = value.parse().map_err(|error: T::Err| error.to_string())?;
    Ok(Named { name: name.to_owned(), value })
}

/// So many failures of one container are enough for any scenario.
const MOST_FAILURES: u32 = 10_000;

/// How often something fails.
#[derive(Clone, Copy, Debug)]
struct Times(u32);

impl std::str::FromStr for Times {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let times: u32 = text.parse().map_err(|_| format!("{text:?} is no number of failures"))?;
        if times > MOST_FAILURES {
            return Err(format!("{times} is more than {MOST_FAILURES} failures"));
        }
        Ok(Self(times))
    }
}

/// `1`, or `1x4`: an exit code, and how often.
#[derive(Clone, Copy, Debug)]
struct Failing {
    code: i32,
    times: u32,
}

impl std::str::FromStr for Failing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (code, times) = text.split_once('x').unwrap_or((text, "1"));
        let code: u8 = code
            .parse()
            .map_err(|_| format!("{text:?} is no exit code like 1, or 1x4 for four times"))?;
        let Times(times) = times.parse()?;
        Ok(Self { code: code.into(), times })
    }
}

/// When the kubelet restarts, and for how long there is none.
#[derive(Clone, Copy, Debug)]
struct Restart {
    at: GoDuration,
    down: GoDuration,
}

fn restart(text: &str) -> Result<Restart, String> {
    let (at, down) = text.split_once(':').unwrap_or((text, "0s"));
    let duration = |text: &str| text.parse().map_err(|error| format!("{error}"));
    Ok(Restart { at: duration(at)?, down: duration(down)? })
}

/// How long an init container runs, and any other that is told to fail.
pub const USUAL_RUN: Duration = Duration::from_secs(5);
/// No probe succeeds earlier, in the ideal timing.
const EARLIEST_PROBE: Duration = Duration::from_secs(1);
/// The grace of a node that shuts down.
const SHUTDOWN_GRACE: i64 = 30;

fn of<T: Copy>(said: &[Named<T>], name: &str) -> Option<T> {
    said.iter().rev().find(|named| named.name == name).map(|named| named.value)
}

impl Script {
    /// The containers that something is said of.
    fn named(&self) -> impl Iterator<Item = &str> {
        let durations = [&self.run, &self.pull, &self.start, &self.fail_liveness, &self.ready];
        let times = [&self.fail_pull, &self.fail_create, &self.fail_start];
        let durations = durations.into_iter().flatten().map(|named| named.name.as_str());
        let times = times.into_iter().flatten().map(|named| named.name.as_str());
        durations.chain(times).chain(self.fail.iter().map(|named| named.name.as_str()))
    }

    /// Refuses names that no container of the pod has.
    fn check(&self, pod: &PodSpec) -> Result<(), Failure> {
        match self.named().find(|name| pod.find(name).is_none()) {
            None => Ok(()),
            Some(name) => {
                let names: Vec<&str> =
                    pod.containers().iter().map(|container| container.name().as_str()).collect();
                let pod = &pod.identity().name;
                let names = names.join(", ");
                Err(Failure::Usage(format!("pod {pod} has no container {name:?}: it has {names}")))
            }
        }
    }

    /// The script of the ideal timing, in which nothing takes time but what is said.
    pub fn ideal(&self, pod: &PodSpec) -> Result<sim::Scenario, Failure> {
        self.check(pod)?;
        let mut scenario = sim::Scenario::default();
        let until = self.until.map_or(Duration::from_secs(3_600), |until| until.0);
        scenario.limits = Limits { time: until, ..scenario.limits };
        for container in pod.containers() {
            scenario = scenario.script(container.name().clone(), self.container_script(container));
        }
        let mut events: Vec<(GoDuration, PodEvent)> = Vec::new();
        let mut add = |times: &[GoDuration], event: &dyn Fn() -> PodEvent| {
            events.extend(times.iter().map(|at| (*at, event())));
        };
        add(&self.delete, &|| PodEvent::PodDeleted {
            grace_period_seconds: pod.termination_grace_period_seconds(),
        });
        add(&self.reboot, &|| PodEvent::SandboxLost);
        let low = "The node was low on resource: memory.";
        add(&self.evict, &|| PodEvent::Evicted(Eviction::evicted(low, Some(1))));
        add(&self.preempt, &|| PodEvent::Evicted(Eviction::preempted()));
        add(&self.shutdown, &|| PodEvent::Evicted(Eviction::node_shutdown(SHUTDOWN_GRACE)));
        for Restart { at, down } in &self.restart_kubelet {
            if !down.0.is_zero() {
                let why = "--restart-kubelet: a down time needs --timing kubelet";
                return Err(Failure::Usage(why.into()));
            }
            events.push((*at, PodEvent::KubeletRestarted));
        }
        Ok(events.into_iter().fold(scenario, |scenario, (at, event)| scenario.event(at.0, event)))
    }

    fn container_script(&self, container: &Container) -> ContainerScript {
        let name = container.name().as_str();
        let lasts = of(&self.run, name).map(|duration| duration.0);
        let mut runs = Vec::new();
        if let Some(Failing { code, times }) = of(&self.fail, name) {
            let failing = Run::ends(lasts.unwrap_or(USUAL_RUN), code);
            runs.extend((0..times).map(|_| failing.clone()));
        }
        runs.push(match lasts {
            None if container.kind() != ContainerKind::Init => Run::FOREVER,
            lasts => Run::ends(lasts.unwrap_or(USUAL_RUN), 0),
        });
        let takes = |said| of(said, name).map_or(Duration::ZERO, |GoDuration(takes)| takes);
        let failures = |said| of(said, name).map_or(0, |Times(times)| times);
        let readiness = match of(&self.ready, name) {
            Some(GoDuration(after)) => {
                ProbeScript { succeeds_after: Some(after), ..ProbeScript::default() }
            }
            None => succeeds(container.readiness_probe()),
        };
        ContainerScript {
            image_pull_failures: failures(&self.fail_pull),
            create_failures: failures(&self.fail_create),
            start_failures: failures(&self.fail_start),
            image_pull_lasts: takes(&self.pull),
            start_lasts: takes(&self.start),
            runs,
            startup_probe: succeeds(container.startup_probe()),
            readiness_probe: readiness,
            liveness_probe: ProbeScript {
                fails_after: of(&self.fail_liveness, name).map(|duration| duration.0),
                ..ProbeScript::default()
            },
        }
    }

    /// The same in the format of scenarios, on top of what a file says.
    pub fn scenario(&self, mut scenario: Scenario, pod: &PodSpec) -> Result<Scenario, Failure> {
        self.check(pod)?;
        if let Some(probe) = self.fail_liveness.first().or(self.ready.first()) {
            let name = &probe.name;
            return Err(Failure::Usage(format!(
                "container {name}: with --timing kubelet, a scenario file says what probes answer"
            )));
        }
        if let Some(until) = self.until {
            scenario.until = until;
        }
        for container in pod.containers() {
            let name = container.name();
            let is_said = self.named().any(|said| said == name.as_str());
            if !is_said && scenario.containers.contains_key(name) {
                continue;
            }
            scenario.containers.insert(name.clone(), self.instances(container));
            if let Some(image) = self.image(container) {
                scenario.images.insert(container.image().clone(), image);
            }
        }
        let actions = &mut scenario.actions;
        let mut act = |at: GoDuration, verb: Verb| actions.push(Action { at, verb });
        for at in &self.delete {
            act(*at, Verb::Delete(Delete { grace_period_seconds: None }));
        }
        for Restart { at, down } in &self.restart_kubelet {
            act(*at, Verb::RestartKubelet(RestartKubelet { down_for: *down }));
        }
        for at in &self.reboot {
            act(*at, Verb::RebootNode(RebootNode { down_for: Duration::from_secs(1).into() }));
        }
        for at in &self.evict {
            act(*at, Verb::Evict(Evict::default()));
        }
        if !self.preempt.is_empty() || !self.shutdown.is_empty() {
            let why = "--preempt and --shutdown need the ideal timing";
            return Err(Failure::Usage(why.into()));
        }
        actions.sort_by_key(|action| action.at);
        Ok(scenario)
    }

    fn instances(&self, container: &Container) -> ContainerScenario {
        let name = container.name().as_str();
        let lasts = of(&self.run, name).map(|duration| duration.0);
        let takes = |said| Attempt { takes: of(said, name), ..Attempt::default() };
        let usual = Instance { start: takes(&self.start), ..Instance::default() };
        let mut instances = Vec::new();
        let failing = |said, error: &str| {
            let Times(times) = of(said, name).unwrap_or(Times(0));
            (times, Attempt { error: Some(SmolStr::new(error)), ..Attempt::default() })
        };
        let (times, create) = failing(&self.fail_create, "no space left on device");
        let failed = Instance { create, ..usual.clone() };
        instances.extend((0..times).map(|_| failed.clone()));
        let (times, start) = failing(&self.fail_start, "exec: not found");
        let failed = Instance { start, ..usual.clone() };
        instances.extend((0..times).map(|_| failed.clone()));
        let ends = |exit_code| Instance {
            run_for: Some(lasts.unwrap_or(USUAL_RUN).into()),
            exit_code,
            ..usual.clone()
        };
        if let Some(Failing { code, times }) = of(&self.fail, name) {
            let failed = ends(code);
            instances.extend((0..times).map(|_| failed.clone()));
        }
        instances.push(match lasts {
            None if container.kind() != ContainerKind::Init => usual.clone(),
            _ => ends(0),
        });
        ContainerScenario { instances }
    }

    fn image(&self, container: &Container) -> Option<ImageScenario> {
        let name = container.name().as_str();
        let (takes, fails) = (of(&self.pull, name), of(&self.fail_pull, name));
        if takes.is_none() && fails.is_none() {
            return None;
        }
        let pull = Attempt { takes, ..Attempt::default() };
        let failed = Attempt { takes, error: Some("image not found".into()) };
        let Times(times) = fails.unwrap_or(Times(0));
        let mut pulls: Vec<Attempt> = (0..times).map(|_| failed.clone()).collect();
        pulls.push(pull);
        Some(ImageScenario { present: false, pulls })
    }
}

/// A probe that succeeds as soon as it may.
pub fn succeeds(probe: Option<&Probe>) -> ProbeScript {
    let after = probe.map(|probe| {
        let delay = u64::try_from(probe.initial_delay_seconds).unwrap_or_default();
        Duration::from_secs(delay).max(EARLIEST_PROBE)
    });
    ProbeScript { succeeds_after: after, fails_after: None }
}

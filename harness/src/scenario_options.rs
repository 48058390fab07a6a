//! Scenarios from command lines, for examples.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::jiff::SignedDuration;
use podinit::PodSpec;
use podinit::pod::{ContainerKind, Probe};
use podinit::sim::{ContainerScript, Limits, PodEvent, ProbeScript, Run, Scenario};
use podinit::worker::Eviction;

/// How the options of [`ScenarioOptions`] are told to a user.
pub const USAGE: &str = "\
  --run NAME=DURATION     how long each run of a container lasts: 5s, 1m30s, 250ms
  --fail NAME=CODE[xN]    its first N runs (1 if not said) exit with CODE
  --fail-pull NAME=N      its first N image pulls fail
  --fail-create NAME=N    its first N creations fail
  --fail-start NAME=N     its first N starts fail
  --pull NAME=DURATION    how long each pull of its image takes [default: none]
  --start NAME=DURATION   how long each start of it takes [default: none]
  --fail-liveness NAME=DURATION
                          its liveness probe has failed so long after each start
  --delete DURATION       the pod is deleted at this time
  --reboot DURATION       the node restarts at this time: the sandbox is lost
  --evict DURATION        the node runs low on memory at this time, and evicts the pod
  --preempt DURATION      a critical pod needs its place at this time
  --shutdown DURATION     the node shuts down at this time
  --until DURATION        where to end at the latest [default: 1h]";

/// What happens without options.
pub const DEFAULTS: &str = "\
Without options an init container runs for 5s and succeeds, a restartable one and an app container
run on. A startup or readiness probe succeeds after its initialDelaySeconds, but not before 1s;
a liveness probe succeeds.";

/// How long an init container runs, and any other that is told to fail.
const DEFAULT_RUN: Duration = Duration::from_secs(5);
const EARLIEST_PROBE: Duration = Duration::from_secs(1);

/// What a command line says of a scenario.
#[derive(Debug, PartialEq)]
pub struct ScenarioOptions {
    runs: BTreeMap<String, Duration>,
    failures: BTreeMap<String, (i32, usize)>,
    pull_failures: BTreeMap<String, u32>,
    create_failures: BTreeMap<String, u32>,
    start_failures: BTreeMap<String, u32>,
    liveness_failures: BTreeMap<String, Duration>,
    pulls: BTreeMap<String, Duration>,
    starts: BTreeMap<String, Duration>,
    events: Vec<(Duration, PodEvent)>,
    until: Duration,
}

impl Default for ScenarioOptions {
    fn default() -> Self {
        Self {
            runs: BTreeMap::new(),
            failures: BTreeMap::new(),
            pull_failures: BTreeMap::new(),
            create_failures: BTreeMap::new(),
            start_failures: BTreeMap::new(),
            liveness_failures: BTreeMap::new(),
            pulls: BTreeMap::new(),
            starts: BTreeMap::new(),
            events: Vec::new(),
            until: Duration::from_secs(3_600),
        }
    }
}

impl ScenarioOptions {
    /// Takes an option if it is one of a scenario's; `value` gives its value.
    ///
    /// # Errors
    /// What is wrong with the value.
    pub fn take(
        &mut self,
        option: &str,
        value: impl FnOnce() -> Result<String, String>,
    ) -> Result<bool, String> {
        match option {
            "--run" | "--pull" | "--start" | "--fail-liveness" => {
                let (name, text) = named(&value()?)?;
                let durations = match option {
                    "--run" => &mut self.runs,
                    "--pull" => &mut self.pulls,
                    "--start" => &mut self.starts,
                    _ => &mut self.liveness_failures,
                };
                durations.insert(name, duration(&text)?);
            }
            "--fail" => {
                let (name, text) = named(&value()?)?;
                self.failures.insert(name, failure(&text)?);
            }
            "--fail-pull" | "--fail-create" | "--fail-start" => {
                let (name, text) = named(&value()?)?;
                let failures = match option {
                    "--fail-pull" => &mut self.pull_failures,
                    "--fail-create" => &mut self.create_failures,
                    _ => &mut self.start_failures,
                };
                failures.insert(name, times(&text)?);
            }
            "--evict" => {
                let message = "The node was low on resource: memory.";
                self.evict(Eviction::evicted(message, Some(1)), &value()?)?;
            }
            "--preempt" => self.evict(Eviction::preempted(), &value()?)?,
            "--shutdown" => self.evict(Eviction::node_shutdown(30), &value()?)?,
            "--delete" => {
                let event = PodEvent::PodDeleted { grace_period_seconds: 30 };
                self.events.push((duration(&value()?)?, event));
            }
            "--reboot" => self.events.push((duration(&value()?)?, PodEvent::SandboxLost)),
            "--until" => self.until = duration(&value()?)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn evict(&mut self, eviction: Eviction, at: &str) -> Result<(), String> {
        self.events.push((duration(at)?, PodEvent::Evicted(eviction)));
        Ok(())
    }

    /// The scenario of a pod.
    ///
    /// # Errors
    /// If the pod has not a container that an option names.
    pub fn scenario(&self, pod: &PodSpec) -> Result<Scenario, String> {
        let attempts = [&self.pull_failures, &self.create_failures, &self.start_failures];
        let failing = attempts.into_iter().flat_map(BTreeMap::keys);
        let durations = [&self.runs, &self.pulls, &self.starts, &self.liveness_failures];
        let timed = durations.into_iter().flat_map(BTreeMap::keys);
        for name in self.failures.keys().chain(failing).chain(timed) {
            if pod.find(name).is_none() {
                let names: Vec<&str> = pod.containers().iter().map(|c| c.name().as_str()).collect();
                return Err(format!(
                    "pod {} has no container {name:?}: it has {}",
                    pod.identity().name,
                    names.join(", ")
                ));
            }
        }
        let mut scenario = Scenario::default();
        scenario.limits = Limits { time: self.until, ..scenario.limits };
        for container in pod.containers() {
            let name = container.name().as_str();
            let runs_on = container.kind() != ContainerKind::Init;
            let lasts = self.runs.get(name).copied();
            let mut runs = Vec::new();
            if let Some((code, times)) = self.failures.get(name) {
                runs.resize(*times, Run::ends(lasts.unwrap_or(DEFAULT_RUN), *code));
            }
            runs.push(match lasts {
                None if runs_on => Run::FOREVER,
                lasts => Run::ends(lasts.unwrap_or(DEFAULT_RUN), 0),
            });
            let takes = |of: &BTreeMap<String, Duration>| of.get(name).copied().unwrap_or_default();
            let failures = |of: &BTreeMap<String, u32>| of.get(name).copied().unwrap_or(0);
            let script = ContainerScript {
                image_pull_failures: failures(&self.pull_failures),
                create_failures: failures(&self.create_failures),
                start_failures: failures(&self.start_failures),
                image_pull_lasts: takes(&self.pulls),
                start_lasts: takes(&self.starts),
                runs,
                startup_probe: probe(container.startup_probe()),
                readiness_probe: probe(container.readiness_probe()),
                liveness_probe: ProbeScript {
                    fails_after: self.liveness_failures.get(name).copied(),
                    ..ProbeScript::default()
                },
            };
            scenario = scenario.script(name, script);
        }
        for (at, event) in &self.events {
            scenario = scenario.event(*at, event.clone());
        }
        Ok(scenario)
    }
}

fn named(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once('=').ok_or_else(|| format!("expected NAME=VALUE, not {text:?}"))?;
    Ok((name.to_owned(), value.to_owned()))
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed: SignedDuration =
        text.parse().map_err(|_| format!("{text:?} is no duration like 5s, 1m30s or 250ms"))?;
    parsed.try_into().map_err(|_| format!("{text:?} is a negative duration"))
}

/// So many failures of one container are enough for any scenario.
const MAX_FAILURES: usize = 10_000;

/// How often something fails.
fn times(text: &str) -> Result<u32, String> {
    let times: u32 = text.parse().map_err(|_| format!("{text:?} is no number of failures"))?;
    if usize::try_from(times).is_ok_and(|times| times <= MAX_FAILURES) {
        Ok(times)
    } else {
        Err(format!("{text:?}: no more than {MAX_FAILURES} failures"))
    }
}

/// `1`, or `1x4`.
fn failure(text: &str) -> Result<(i32, usize), String> {
    let wrong = || format!("{text:?} is no exit code like 1, or 1x4 for four times");
    let (code, times) = text.split_once('x').unwrap_or((text, "1"));
    let code: u8 = code.parse().map_err(|_| wrong())?;
    let times: usize = times.parse().map_err(|_| wrong())?;
    if times > MAX_FAILURES {
        return Err(format!("{text:?}: no more than {MAX_FAILURES} failures"));
    }
    Ok((i32::from(code), times))
}

fn probe(probe: Option<&Probe>) -> ProbeScript {
    let delay = probe.map(|probe| {
        let delay = u64::try_from(probe.initial_delay_seconds).unwrap_or_default();
        Duration::from_secs(delay).max(EARLIEST_PROBE)
    });
    ProbeScript { succeeds_after: delay, fails_after: None }
}

//! Runs the start-up of the pods of a manifest on a virtual clock, and prints it as a timeline.
//!
//! ```text
//! cargo run --release --example simulate -- FILE.yaml [OPTIONS]
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use k8s_openapi::api::core::v1;
use k8s_openapi::jiff::SignedDuration;
use podinit::sim::{
    ContainerScript, Limits, PodEvent, ProbeScript, Run, Scenario, Timeline, View, simulate,
};
use podinit::{ContainerKind, EventLog, KubernetesVersion, PodSpec, Probe, Timestamp, kubectl};

#[path = "support/manifest.rs"]
mod manifest;

const USAGE: &str = "\
usage: simulate FILE.yaml [OPTIONS]

  --run NAME=DURATION     how long each run of a container lasts: 5s, 1m30s, 250ms
  --fail NAME=CODE[xN]    its first N runs (1 if not said) exit with CODE
  --delete DURATION       the pod is deleted at this time
  --reboot DURATION       the node restarts at this time: the sandbox is lost
  --until DURATION        where to end at the latest [default: 1h]
  --kubernetes VERSION    whose rules hold: 1.28 to 1.37 [default: 1.36]
  --kubelet               show the kubelet's own record, not the API server's copy
  --watch                 print the lines of `kubectl get pod --watch`
  --json                  print JSON
  --describe              print the init containers and events of `kubectl describe` at the end
  --status                print the API status as YAML at the end

Without options an init container runs for 5s and succeeds, a restartable one and an app container
run on, and a probe succeeds after its initialDelaySeconds, but not before 1s.";

/// How long an init container runs, and any other that is told to fail.
const DEFAULT_RUN: Duration = Duration::from_secs(5);
const EARLIEST_PROBE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, PartialEq)]
enum Output {
    Timeline,
    Watch,
    Json,
}

struct Options {
    file: PathBuf,
    runs: BTreeMap<String, Duration>,
    failures: BTreeMap<String, (i32, usize)>,
    events: Vec<(Duration, PodEvent)>,
    until: Duration,
    version: KubernetesVersion,
    view: View,
    output: Output,
    describe: bool,
    status: bool,
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        file: PathBuf::new(),
        runs: BTreeMap::new(),
        failures: BTreeMap::new(),
        events: Vec::new(),
        until: Duration::from_secs(3_600),
        version: KubernetesVersion::default(),
        view: View::Api,
        output: Output::Timeline,
        describe: false,
        status: false,
    };
    let mut file = None;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--run" => {
                let (name, text) = named(&value()?)?;
                options.runs.insert(name, duration(&text)?);
            }
            "--fail" => {
                let (name, text) = named(&value()?)?;
                options.failures.insert(name, failure(&text)?);
            }
            "--delete" => {
                let event = PodEvent::PodDeleted { grace_period_seconds: 30 };
                options.events.push((duration(&value()?)?, event));
            }
            "--reboot" => options.events.push((duration(&value()?)?, PodEvent::SandboxLost)),
            "--until" => options.until = duration(&value()?)?,
            "--kubernetes" => {
                options.version = value()?.parse().map_err(|e| format!("--kubernetes: {e}"))?;
            }
            "--kubelet" => options.view = View::Kubelet,
            "--watch" => options.output = Output::Watch,
            "--json" => options.output = Output::Json,
            "--describe" => options.describe = true,
            "--status" => options.status = true,
            flag if flag.starts_with('-') => return Err(format!("unknown option {flag}")),
            path if file.is_none() => file = Some(PathBuf::from(path)),
            extra => return Err(format!("one file at a time: {extra}")),
        }
    }
    options.file = file.ok_or("no file given")?;
    Ok(options)
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

/// `1`, or `1x4`.
fn failure(text: &str) -> Result<(i32, usize), String> {
    let wrong = || format!("{text:?} is no exit code like 1, or 1x4 for four times");
    let (code, times) = text.split_once('x').unwrap_or((text, "1"));
    let code: u8 = code.parse().map_err(|_| wrong())?;
    Ok((i32::from(code), times.parse().map_err(|_| wrong())?))
}

fn scenario(pod: &PodSpec, options: &Options) -> Result<Scenario, String> {
    for name in options.runs.keys().chain(options.failures.keys()) {
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
    scenario.limits = Limits { time: options.until, ..scenario.limits };
    for container in pod.containers() {
        let name = container.name().as_str();
        let runs_on = container.kind() != ContainerKind::Init;
        let lasts = options.runs.get(name).copied();
        let mut runs = Vec::new();
        if let Some((code, times)) = options.failures.get(name) {
            runs.resize(*times, Run::ends(lasts.unwrap_or(DEFAULT_RUN), *code));
        }
        runs.push(match lasts {
            None if runs_on => Run::FOREVER,
            lasts => Run::ends(lasts.unwrap_or(DEFAULT_RUN), 0),
        });
        let mut script = ContainerScript::runs(runs);
        script.startup_probe = probe(container.startup_probe());
        script.readiness_probe = probe(container.readiness_probe());
        scenario = scenario.script(name, script);
    }
    for (at, event) in &options.events {
        scenario = scenario.event(*at, *event);
    }
    Ok(scenario)
}

fn probe(probe: Option<&Probe>) -> ProbeScript {
    let delay = probe.map(|probe| {
        let delay = u64::try_from(probe.initial_delay_seconds).unwrap_or_default();
        Duration::from_secs(delay).max(EARLIEST_PROBE)
    });
    ProbeScript { succeeds_after: delay, fails_after: None }
}

/// ANSI codes around a word of the STATUS column, on a terminal.
fn style(status: &str) -> (&'static str, &'static str) {
    const RESET: &str = "\x1b[0m";
    match status {
        "Running" | "Completed" => ("\x1b[32m", RESET),
        _ if status.contains("Error")
            || status.contains("BackOff")
            || status.contains("Killed") =>
        {
            ("\x1b[31m", RESET)
        }
        _ => ("\x1b[33m", RESET),
    }
}

/// The lines of `kubectl get pod --watch`: one whenever a column changes.
fn watch(pod: &PodSpec, timeline: &Timeline, view: View) {
    let name = &pod.identity().name;
    let width = name.len().max("NAME".len());
    println!("{:<width$}   {:<7} {:<26} {:<15} AGE", "NAME", "READY", "STATUS", "RESTARTS");
    let mut last = None;
    for step in &timeline.steps {
        let columns = view.columns(pod, step);
        let shown =
            (columns.ready.to_string(), columns.status.to_string(), columns.restarts.to_string());
        if last.as_ref() != Some(&shown) {
            let (ready, status, restarts) = &shown;
            let age = kubectl::HumanDuration::between(step.now - step.at, step.now);
            println!("{name:<width$}   {ready:<7} {status:<26} {restarts:<15} {age}");
        }
        last = Some(shown);
    }
}

fn run(pod: &v1::Pod, options: &Options) -> Result<(), String> {
    let gates = options.version.feature_gates();
    let spec = manifest::compile(pod, gates)?;
    let scenario = scenario(&spec, options)?;
    let timeline = simulate(&spec, &scenario);
    let end = timeline.steps.last();
    match options.output {
        Output::Timeline => {
            print!(
                "{}",
                timeline.table(&spec, options.view).styled(manifest::terminal_style(style))
            );
            println!("{}", ending(&spec, &timeline));
        }
        Output::Watch => watch(&spec, &timeline, options.view),
        Output::Json => println!("{:#}", timeline.to_json(&spec, options.view)),
    }
    let Some(end) = end else { return Ok(()) };
    let status = v1::PodStatus::from(options.view.status(end));
    if options.status {
        let yaml = serde_yaml::to_string(&status).map_err(|error| error.to_string())?;
        print!("\n{yaml}");
    }
    if options.describe {
        let mut log = EventLog::default();
        for step in &timeline.steps {
            step.events.iter().for_each(|event| log.record(event.clone(), step.now));
        }
        let described = v1::Pod { status: Some(status), ..pod.clone() };
        let now: Timestamp = end.now;
        print!("\n{}", kubectl::describe(&described, Some(log.records()), now));
    }
    Ok(())
}

/// How the timeline ended, in a line.
fn ending(pod: &PodSpec, timeline: &Timeline) -> String {
    use podinit::sim::End;
    let name = &pod.identity().name;
    match timeline.end {
        End::Steady => format!("{name}: nothing more happens."),
        End::Terminal => format!("{name}: the pod has ended."),
        End::Deleted => format!("{name}: the pod is deleted."),
        _ => format!("{name}: it goes on like this; see --until."),
    }
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(why) => {
            eprintln!("simulate: {why}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let pods = match manifest::read_pods(&options.file) {
        Ok(pods) => pods,
        Err(why) => {
            eprintln!("simulate: {why}");
            return ExitCode::FAILURE;
        }
    };
    for (position, pod) in pods.iter().enumerate() {
        if position > 0 {
            println!();
        }
        if let Err(why) = run(pod, &options) {
            eprintln!("simulate: {}: {why}", options.file.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

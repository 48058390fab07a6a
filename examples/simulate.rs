//! Runs the start-up of the pods of a manifest on a virtual clock, and prints it as a timeline.
//!
//! ```text
//! cargo run --release --example simulate -- FILE.yaml [OPTIONS]
//! ```

use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;

use harness::manifest;
use harness::scenario_options::{self, ScenarioOptions};
use k8s_openapi::api::core::v1;
use podinit::scenario::Scenario;
use podinit::sim::{Timeline, View, node, simulate};
use podinit::{KubernetesVersion, PodSpec, Timestamp, kubectl};

fn usage() -> String {
    format!(
        "\
usage: simulate FILE.yaml [OPTIONS]

{}
  --timing WHOSE          ideal: nothing takes time but what is said here [default];
                          kubelet: the kubelet's own pace, and each call, status and event
  --scenario FILE         what happens, in YAML or JSON; needs --timing kubelet
  --kubernetes VERSION    whose rules hold: 1.28 to 1.37 [default: 1.36]
  --kubelet               show the kubelet's own record, not the API server's copy
  --watch                 print the lines of `kubectl get pod --watch`
  --json                  print JSON
  --describe              print what `kubectl describe pod` says at the end
  --status                print the API status as YAML at the end

{}",
        scenario_options::USAGE,
        scenario_options::DEFAULTS
    )
}

#[derive(Clone, Copy, PartialEq)]
enum Output {
    Timeline,
    Watch,
    Json,
}

#[derive(Clone, Copy, PartialEq)]
enum Timing {
    Ideal,
    Kubelet,
}

struct Options {
    file: PathBuf,
    timing: Timing,
    scenario_file: Option<PathBuf>,
    scenario: ScenarioOptions,
    version: KubernetesVersion,
    view: View,
    output: Output,
    describe: bool,
    status: bool,
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        file: PathBuf::new(),
        timing: Timing::Ideal,
        scenario_file: None,
        scenario: ScenarioOptions::default(),
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
        if options.scenario.take(&arg, &mut value)? {
            continue;
        }
        match arg.as_str() {
            "--kubernetes" => {
                options.version = value()?.parse().map_err(|e| format!("--kubernetes: {e}"))?;
            }
            "--timing" => {
                options.timing = match value()?.as_str() {
                    "ideal" => Timing::Ideal,
                    "kubelet" => Timing::Kubelet,
                    other => return Err(format!("--timing: {other:?} is not ideal or kubelet")),
                };
            }
            "--scenario" => options.scenario_file = Some(value()?.into()),
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
    match options.timing {
        Timing::Ideal if options.scenario_file.is_some() => {
            Err("--scenario needs --timing kubelet".into())
        }
        Timing::Kubelet if options.scenario != ScenarioOptions::default() => {
            Err("with --timing kubelet, --scenario FILE says what happens".into())
        }
        _ => Ok(options),
    }
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

/// The life at the kubelet's own pace.
fn play(pod: &v1::Pod, options: &Options) -> Result<(), String> {
    let scenario = match &options.scenario_file {
        None => Scenario::default(),
        Some(path) => {
            let in_file = |error: &dyn Display| format!("{}: {error}", path.display());
            let text = std::fs::read_to_string(path).map_err(|error| in_file(&error))?;
            // YAML has JSON in it.
            let read: Result<Scenario, _> = serde_yaml::from_str(&text);
            read.map_err(|error| in_file(&error))?
        }
    };
    let how = node::Options::new(options.version.feature_gates());
    let trace =
        node::play(pod, &scenario, &how, &node::Usual).map_err(|error| error.to_string())?;
    match options.output {
        Output::Json => {
            println!("{}", serde_json::to_string(&trace).map_err(|error| error.to_string())?);
        }
        _ => print!("{trace}"),
    }
    Ok(())
}

fn run(pod: &v1::Pod, options: &Options) -> Result<(), String> {
    if options.timing == Timing::Kubelet {
        return play(pod, options);
    }
    let gates = options.version.feature_gates();
    let spec = manifest::compile(pod, gates)?;
    let scenario = options.scenario.scenario(&spec)?;
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
        let described = v1::Pod { status: Some(status), ..pod.clone() };
        let now: Timestamp = end.now;
        print!("\n{}", kubectl::describe(&described, Some(timeline.events.records()), now));
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
            eprintln!("simulate: {why}\n\n{}", usage());
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

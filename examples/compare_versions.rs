//! Runs one manifest and scenario under two versions of Kubernetes, side by side.
//!
//! ```text
//! cargo run --release --example compare_versions -- FILE.yaml OLD NEW [OPTIONS]
//! ```

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use harness::manifest;
use harness::scenario_options::{self, ScenarioOptions};
use k8s_openapi::api::core::v1;
use k8s_openapi::jiff::SignedDuration;
use podinit::sim::{Timeline, View, simulate};
use podinit::version::{ChangeTopic, changes_between};
use podinit::{KubernetesVersion, PodSpec};

fn usage() -> String {
    format!(
        "usage: compare_versions FILE.yaml OLD NEW [OPTIONS]\n\n{}\n\n{}",
        scenario_options::USAGE,
        scenario_options::DEFAULTS
    )
}

struct Options {
    file: PathBuf,
    versions: [KubernetesVersion; 2],
    scenario: ScenarioOptions,
}

fn options() -> Result<Options, String> {
    let mut scenario = ScenarioOptions::default();
    let mut words = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        if scenario.take(&arg, value)? {
            continue;
        }
        if arg.starts_with('-') {
            return Err(format!("unknown option {arg}"));
        }
        words.push(arg);
    }
    let [file, old, new] = words.as_slice() else {
        return Err("expected a file and two versions".to_owned());
    };
    let version = |text: &String| text.parse().map_err(|error| format!("{error}"));
    Ok(Options { file: file.into(), versions: [version(old)?, version(new)?], scenario })
}

/// The pod under one version.
struct Run {
    spec: PodSpec,
    timeline: Timeline,
}

fn run(pod: &v1::Pod, version: KubernetesVersion, options: &Options) -> Result<Run, String> {
    let spec = manifest::compile(pod, version.feature_gates())?;
    let timeline = simulate(&spec, &options.scenario.scenario(&spec)?);
    Ok(Run { spec, timeline })
}

/// What users see.
const VIEW: View = View::Api;

/// One line of the comparison: what each version shows at one time (phase, READY, STATUS, RESTARTS).
struct Line {
    at: Duration,
    sides: [Option<[String; 4]>; 2],
}

impl Line {
    fn differs(&self) -> bool {
        self.sides[0] != self.sides[1]
    }
}

/// The columns of both at each time, those of one instant in their order.
fn lines(runs: &[Run; 2]) -> Vec<Line> {
    let columns = runs.each_ref().map(|run| {
        let mut shown: Vec<(Duration, [String; 4])> = Vec::new();
        for step in &run.timeline.steps {
            let columns = VIEW.columns(&run.spec, step);
            let phase = VIEW.status(step).phase.to_string();
            let columns = [
                format!("{phase:<9}"),
                columns.ready.to_string(),
                columns.status.to_string(),
                columns.restarts.to_string(),
            ];
            if shown.last().is_none_or(|(_, last)| *last != columns) {
                shown.push((step.at, columns));
            }
        }
        shown
    });
    let mut instants: Vec<Duration> = columns.iter().flatten().map(|(at, _)| *at).collect();
    instants.sort();
    instants.dedup();
    let mut lines = Vec::new();
    for at in instants {
        let [old, new] = columns.each_ref().map(|shown| {
            shown
                .iter()
                .filter(|(when, _)| *when == at)
                .map(|(_, columns)| columns.clone())
                .collect::<Vec<_>>()
        });
        for position in 0..old.len().max(new.len()) {
            let sides = [old.get(position).cloned(), new.get(position).cloned()];
            lines.push(Line { at, sides });
        }
    }
    lines
}

/// Which changes can explain what differs.
fn topics(lines: &[Line], runs: &[Run; 2]) -> Vec<ChangeTopic> {
    let mut topics = Vec::new();
    if lines.iter().any(Line::differs) {
        let instants = |side: usize| -> Vec<Duration> {
            lines.iter().filter(|line| line.sides[side].is_some()).map(|line| line.at).collect()
        };
        topics.extend([ChangeTopic::Actions, ChangeTopic::Phase, ChangeTopic::Status]);
        topics.push(ChangeTopic::Printer);
        if instants(0) != instants(1) {
            topics.push(ChangeTopic::Timing);
        }
    }
    let events = runs.each_ref().map(|run| {
        run.timeline.steps.iter().flat_map(|step| step.events.clone()).collect::<Vec<_>>()
    });
    if events[0] != events[1] {
        topics.push(ChangeTopic::Events);
    }
    topics
}

fn compare(pod: &v1::Pod, options: &Options) -> Result<(), String> {
    let [old, new] = options.versions;
    let runs = [run(pod, old, options)?, run(pod, new, options)?];
    let lines = lines(&runs);
    let side = |side: &Option<[String; 4]>| match side {
        Some(columns) => columns.join("  "),
        None => String::new(),
    };
    let time =
        |at: Duration| SignedDuration::try_from(at).map(|at| format!("{at:#}")).unwrap_or_default();
    let width = lines.iter().map(|line| side(&line.sides[0]).len()).max().unwrap_or(0).max(12);
    println!("{}:", runs[0].spec.identity().name);
    println!("    {:<10} {:<width$}   {}", "TIME", old.to_string(), new);
    for line in &lines {
        let mark = if line.differs() { "!" } else { " " };
        let text = format!(
            "  {mark} {:<10} {:<width$}   {}",
            time(line.at),
            side(&line.sides[0]),
            side(&line.sides[1])
        );
        println!("{}", text.trim_end());
    }
    let topics = topics(&lines, &runs);
    let differing = lines.iter().filter(|line| line.differs()).count();
    println!("{differing} of {} lines differ.", lines.len());
    if topics.is_empty() {
        return Ok(());
    }
    println!("What changed in between, of what can explain a difference here:");
    for change in changes_between(old, new).filter(|change| topics.contains(&change.topic())) {
        println!("  {}  {:?}: {}", change.since(), change.topic(), change.text());
    }
    Ok(())
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(why) => {
            eprintln!("compare_versions: {why}\n\n{}", usage());
            return ExitCode::from(2);
        }
    };
    let compared = manifest::read_pods(&options.file).and_then(|pods| {
        let file = options.file.display();
        let compared = pods.iter().try_for_each(|pod| compare(pod, &options));
        compared.map_err(|why| format!("{file}: {why}"))
    });
    match compared {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("compare_versions: {why}");
            ExitCode::FAILURE
        }
    }
}

//! `podinit fleet`.

use std::io::{IsTerminal, stderr};
use std::num::{NonZeroU32, NonZeroU64};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use podinit::pod::{Container, ContainerKind};
use podinit::scenario::GoDuration;
use podinit::sim::fleet::{
    Distribution, Durations, Fleet, FleetSummary, Nodes, PodScript, Random, Workload,
};
use podinit::sim::{ProbeScript, Run};
use podinit::{PodSpec, resources::PodResources};
use serde::Serialize;

use crate::Verdict;
use crate::failure::Failure;
use crate::input::{Files, Subject};
use crate::output::Out;
use crate::picture;
use crate::rules::Rules;
use crate::script::{Named, USUAL_RUN, named, succeeds};

#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    files: Files,
    /// How many pods; those of the files take turns.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pods: u64,
    /// All pods start at once on so many nodes, and wait there for each other; without it no pod
    /// waits.
    #[arg(long, value_name = "N")]
    nodes: Option<NonZeroU64>,
    /// So many images are pulled at once on a node.
    #[arg(long, value_name = "N", default_value = "1")]
    pulls: NonZeroU32,
    /// So many containers are started at once on a node.
    #[arg(long, value_name = "N", default_value = "10")]
    starts: NonZeroU32,
    /// The seed of the random numbers: the same seed, the same answer.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How long each pod is watched.
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    until: GoDuration,
    /// What is printed.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "table")]
    output: Format,
    #[command(flatten)]
    rules: Rules,
    #[command(flatten)]
    chances: Chances,
}

/// What happens, by chance. DURATIONS are quantiles at equal distances, from the least to the
/// greatest: 1s,2s,30s is 1s to 2s for half of all. Without these an init container runs for 5s and
/// succeeds, a restartable one and an app container run on; probes succeed.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "What happens")]
struct Chances {
    /// How long the runs of a container last.
    #[arg(long, value_name = "NAME=DURATIONS", value_parser = named::<Quantiles>)]
    run: Vec<Named<Quantiles>>,
    /// So many of its runs fail, with exit code 1, until one does not: 5%, 0.25%.
    #[arg(long, value_name = "NAME=PERCENT", value_parser = named::<Percent>)]
    fail: Vec<Named<Percent>>,
    /// How long the pulls of its image take.
    #[arg(long, value_name = "NAME=DURATIONS", value_parser = named::<Quantiles>)]
    pull: Vec<Named<Quantiles>>,
    /// How long its starts take.
    #[arg(long, value_name = "NAME=DURATIONS", value_parser = named::<Quantiles>)]
    start: Vec<Named<Quantiles>>,
    /// How long after a start its startup probe succeeds, or its readiness probe if it has no other.
    #[arg(long, value_name = "NAME=DURATIONS", value_parser = named::<Quantiles>)]
    ready: Vec<Named<Quantiles>>,
}

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A table and a histogram.
    Table,
    /// One JSON value.
    Json,
    /// The same in YAML.
    Yaml,
    /// The tables as comma-separated values, with a first column that says which table.
    Csv,
    /// The distributions as a picture.
    Svg,
}

/// `1s,2s,30s`.
#[derive(Clone, Debug)]
struct Quantiles(Durations);

impl FromStr for Quantiles {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Vec::new();
        for part in text.split(',') {
            let GoDuration(duration) =
                part.parse::<GoDuration>().map_err(|error| error.to_string())?;
            if all.last().is_some_and(|last| *last > duration) {
                return Err(format!("{text:?}: quantiles go from the least to the greatest"));
            }
            all.push(duration);
        }
        Ok(Self(Durations::quantiles(all)))
    }
}

/// 100%, in millionths.
const CERTAIN: u32 = 1_000_000;

/// `5%`, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Percent(u32);

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text:?} is no percentage from 0% to 100%, such as 5% or 0.25%");
        let number = text.strip_suffix('%').ok_or_else(wrong)?;
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(part) || part.len() > 4 {
            return Err(wrong());
        }
        let whole: u32 = whole.parse().map_err(|_| wrong())?;
        let part: u32 = format!("{part:0<4}").parse().map_err(|_| wrong())?;
        let millionths = whole.checked_mul(10_000).and_then(|whole| whole.checked_add(part));
        millionths.filter(|millionths| *millionths <= CERTAIN).map(Self).ok_or_else(wrong)
    }
}

/// What is known of a container.
struct Habits {
    runs_on: bool,
    run: Durations,
    fail: u32,
    pull: Option<Durations>,
    start: Option<Durations>,
    ready: Option<Durations>,
    startup_probe: ProbeScript,
    readiness_probe: ProbeScript,
    has_startup_probe: bool,
}

fn of<'a, T>(said: &'a [Named<T>], name: &str) -> Option<&'a T> {
    said.iter().rev().find(|named| named.name == name).map(|named| &named.value)
}

impl Chances {
    fn habits(&self, container: &Container) -> Habits {
        let name = container.name().as_str();
        let durations = |said| of(said, name).map(|Quantiles(durations)| durations.clone());
        let (run, fail) = (durations(&self.run), of(&self.fail, name));
        Habits {
            runs_on: run.is_none() && container.kind() != ContainerKind::Init,
            run: run.unwrap_or_else(|| Durations::always(USUAL_RUN)),
            fail: fail.map_or(0, |Percent(millionths)| *millionths),
            pull: durations(&self.pull),
            start: durations(&self.start),
            ready: durations(&self.ready),
            startup_probe: succeeds(container.startup_probe()),
            readiness_probe: succeeds(container.readiness_probe()),
            has_startup_probe: container.startup_probe().is_some(),
        }
    }

    /// Refuses names that no container has.
    fn check(&self, specs: &[PodSpec]) -> Result<(), Failure> {
        let durations = [&self.run, &self.pull, &self.start, &self.ready];
        let durations = durations.into_iter().flatten().map(|named| &named.name);
        for name in durations.chain(self.fail.iter().map(|named| &named.name)) {
            if specs.iter().all(|spec| spec.find(name).is_none()) {
                let all = specs.iter().flat_map(PodSpec::containers);
                let mut names: Vec<&str> = all.map(|c| c.name().as_str()).collect();
                names.dedup();
                let names = names.join(", ");
                return Err(Failure::Usage(format!(
                    "no pod has a container {name:?}: they have {names}"
                )));
            }
        }
        Ok(())
    }
}

/// What the pods do.
struct Crowd {
    seed: u64,
    /// More runs than this cannot fail while a pod is watched.
    most_failures: usize,
    /// Of the containers of each spec.
    habits: Vec<Vec<Habits>>,
}

impl Workload for Crowd {
    fn script(&self, pod: u64, script: &mut PodScript) {
        let mut random = Random::of_pod(self.seed, pod);
        let kinds = u64::try_from(self.habits.len()).unwrap_or(1).max(1);
        script.spec = usize::try_from(pod % kinds).unwrap_or(0);
        let Some(habits) = self.habits.get(script.spec) else { return };
        for (at, habits) in habits.iter().enumerate() {
            let script = script.container_at(at);
            if habits.fail == CERTAIN {
                // The last run repeats.
                script.runs.push(Run::ends(habits.run.draw(&mut random), 1));
            } else {
                while script.runs.len() < self.most_failures && random.chance(habits.fail) {
                    script.runs.push(Run::ends(habits.run.draw(&mut random), 1));
                }
                script.runs.push(if habits.runs_on {
                    Run::FOREVER
                } else {
                    Run::ends(habits.run.draw(&mut random), 0)
                });
            }
            let mut draw = |of: &Option<Durations>| of.as_ref().map(|of| of.draw(&mut random));
            script.image_pull_lasts = draw(&habits.pull).unwrap_or_default();
            script.start_lasts = draw(&habits.start).unwrap_or_default();
            script.startup_probe = habits.startup_probe;
            script.readiness_probe = habits.readiness_probe;
            if let Some(after) = draw(&habits.ready) {
                let probe = if habits.has_startup_probe {
                    &mut script.startup_probe
                } else {
                    &mut script.readiness_probe
                };
                probe.succeeds_after = Some(after);
            }
        }
    }
}

pub fn run(options: &Options, out: &mut Out) -> Result<Verdict, Failure> {
    let gates = options.rules.gates()?;
    let subjects = options.files.pods()?;
    let mut specs = Vec::new();
    let mut resources = Vec::new();
    for subject in &subjects {
        specs.push(subject.compile(gates)?);
        resources.push(reserved(subject, gates)?);
    }
    options.chances.check(&specs)?;
    let summary = options.play(&specs, &resources)?;
    match options.output {
        Format::Table => out.text(&summary)?,
        Format::Json => out.json(&Answer::of(&summary))?,
        Format::Yaml => out.yaml(&Answer::of(&summary))?,
        Format::Csv => out.text(csv(&Answer::of(&summary))?)?,
        Format::Svg => out.line(picture::fleet(&summary))?,
    }
    // An answer that was interrupted is none to what was asked.
    Ok(if summary.pods < options.pods { Verdict::Findings } else { Verdict::Fine })
}

/// What a pod reserves.
fn reserved(subject: &Subject, gates: podinit::FeatureGates) -> Result<PodResources, Failure> {
    PodResources::compile(&subject.pod, gates).map_err(|error| subject.failure(error))
}

/// So many pods, at the least, between two looks at the keyboard.
const BATCH: u64 = 20_000;

impl Options {
    fn play(&self, specs: &[PodSpec], resources: &[PodResources]) -> Result<FleetSummary, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        ctrlc::set_handler(move || stopped.store(true, Ordering::Relaxed))
            .map_err(|error| Failure::Output(std::io::Error::other(error)))?;
        let bar = self.bar();
        let habits = specs.iter().map(|spec| {
            spec.containers().iter().map(|container| self.chances.habits(container)).collect()
        });
        // No back-off but the first is shorter than a second.
        let most_failures = usize::try_from(self.until.0.as_secs()).unwrap_or(usize::MAX);
        let crowd = Crowd {
            seed: self.seed,
            most_failures: most_failures.saturating_add(2),
            habits: habits.collect(),
        };
        let mut fleet = Fleet::new(specs, crowd).horizon(self.until.0).resources(resources);
        let mut batch = BATCH;
        if let Some(nodes) = self.nodes {
            let size = NonZeroU64::new(self.pods.div_ceil(nodes.get())).unwrap_or(NonZeroU64::MIN);
            batch = BATCH.checked_next_multiple_of(size.get()).unwrap_or(u64::MAX);
            fleet = fleet.nodes(
                Nodes::new(size)
                    .max_parallel_image_pulls(Some(self.pulls))
                    .max_parallel_container_starts(Some(self.starts)),
            );
        }
        let mut summary = FleetSummary::default();
        while summary.pods < self.pods && !stop.load(Ordering::Relaxed) {
            let end = self.pods.min(summary.pods.saturating_add(batch));
            summary.merge(&fleet.run_parallel(summary.pods..end));
            bar.set_position(summary.pods);
        }
        bar.finish_and_clear();
        if summary.pods < self.pods {
            let (came, of) = (summary.pods, self.pods);
            anstream::eprintln!("podinit: interrupted after {came} of {of} pods");
        }
        Ok(summary)
    }

    /// Shows how far it is, where somebody sits at a terminal.
    fn bar(&self) -> ProgressBar {
        let style = "{bar:40} {human_pos}/{human_len} pods, {per_sec}, {eta} left";
        match ProgressStyle::with_template(style) {
            Ok(style) if stderr().is_terminal() => ProgressBar::new(self.pods).with_style(style),
            _ => ProgressBar::hidden(),
        }
    }
}

const PER_MILLE: [u32; 6] = [0, 500, 900, 990, 999, 1_000];

/// What came of it, for machines. Times are in milliseconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    pods: u64,
    terminal: u64,
    deleted: u64,
    steady: u64,
    truncated: u64,
    restarts: u64,
    pods_restarted: u64,
    simulated_plainly: u64,
    ready_after: Times,
    initialized_after: Times,
    image_pull_waits: Times,
    container_start_waits: Times,
    statuses: Vec<StatusTime>,
    resources: Vec<Sample>,
}

#[derive(Debug, Serialize)]
struct Times {
    count: u64,
    quantiles: Vec<Quantile>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Quantile {
    per_mille: u32,
    ms: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusTime {
    status: String,
    entered: u64,
    last: u64,
    mean_ms: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Sample {
    resource: String,
    after_ms: u64,
    reserved: String,
    used: String,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Times {
    fn of(times: &Distribution) -> Self {
        let quantile = |per_mille: u32| {
            times.quantile(per_mille).map(|time| Quantile { per_mille, ms: millis(time) })
        };
        let quantiles = PER_MILLE.into_iter().filter_map(quantile).collect();
        Self { count: times.count(), quantiles }
    }
}

impl Answer {
    fn of(summary: &FleetSummary) -> Self {
        let statuses = summary.statuses.iter().map(|(word, tally)| StatusTime {
            status: word.to_string(),
            entered: tally.entered,
            last: tally.last,
            mean_ms: millis(tally.mean()),
        });
        let usage = &summary.resources;
        let samples = usage.names().iter().flat_map(|name| {
            usage.samples(name).map(|sample| Sample {
                resource: name.as_str().to_owned(),
                after_ms: millis(sample.at),
                reserved: sample.reserved.to_string(),
                used: sample.used.to_string(),
            })
        });
        Self {
            pods: summary.pods,
            terminal: summary.ends.terminal,
            deleted: summary.ends.deleted,
            steady: summary.ends.steady,
            truncated: summary.ends.truncated,
            restarts: summary.restarts,
            pods_restarted: summary.pods_restarted,
            simulated_plainly: summary.simulated_plainly,
            ready_after: Times::of(&summary.ready_after),
            initialized_after: Times::of(&summary.initialized_after),
            image_pull_waits: Times::of(&summary.image_pull_waits),
            container_start_waits: Times::of(&summary.container_start_waits),
            statuses: statuses.collect(),
            resources: samples.collect(),
        }
    }
}

/// One table for all, so that whatever reads CSV can filter it: what a line tells, of what, where on
/// its axis, and two values.
fn csv(answer: &Answer) -> Result<String, Failure> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let failed = |error: csv::Error| Failure::Output(std::io::Error::other(error));
    let mut line = |fields: [&str; 5]| writer.write_record(fields).map_err(failed);
    line(["table", "of", "at", "value", "other"])?;
    for (name, times) in [
        ("ready-after-ms", &answer.ready_after),
        ("initialized-after-ms", &answer.initialized_after),
    ] {
        for Quantile { per_mille, ms } in &times.quantiles {
            line(["per-mille", name, &per_mille.to_string(), &ms.to_string(), ""])?;
        }
    }
    for StatusTime { status, entered, mean_ms, .. } in &answer.statuses {
        line(["status-mean-ms-entered", status, "", &mean_ms.to_string(), &entered.to_string()])?;
    }
    for Sample { resource, after_ms, reserved, used } in &answer.resources {
        line(["reserved-used", resource, &after_ms.to_string(), reserved, used])?;
    }
    let bytes =
        writer.into_inner().map_err(|error| Failure::Output(std::io::Error::other(error)))?;
    String::from_utf8(bytes).map_err(|error| Failure::Output(std::io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_exact() {
        for (text, millionths) in [("5%", 50_000), ("0.25%", 2_500), ("100%", 1_000_000), ("0%", 0)]
        {
            assert_eq!(text.parse(), Ok(Percent(millionths)));
        }
        for text in ["5", "101%", "-1%", "%", ".%", "1.00001%", "99999999999%", "100.1%"] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
    }
}

//! Starts very many pods, and tells how long that takes them.
//!
//! ```text
//! cargo run --release --features rayon --example fleet -- --pods 1000000 --seed 42
//! cargo run --release --features rayon --example fleet -- --pods 1000000 --nodes 10000
//! ```

use std::io::{IsTerminal, stderr};
use std::num::{NonZeroU32, NonZeroU64};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use podinit::resources::PodResources;
use podinit::sim::fleet::{
    Distribution, Durations, Fleet, FleetSummary, Nodes, PodScript, Random, ResourceSample,
    Workload,
};
use podinit::sim::{ProbeScript, Run};
use podinit::{FeatureGates, PodSpec};
use serde_json::{Value, json};

const USAGE: &str = "\
usage: fleet [OPTIONS]

  --pods N      how many pods [default: 1000000]
  --nodes N     all pods start at once on so many nodes, and wait there for each other; without
                it no pod waits
  --pulls N     so many images are pulled at once on a node [default: 1, as the kubelet's]
  --starts N    so many containers are started at once on a node [default: 10]
  --seed S      of their random numbers [default: 1]
  --fail PPM    so many of a million runs of an init container fail [default: 50000]
  --csv         the answer as comma-separated values
  --json        the answer as JSON

Two kinds of pods take turns: a web server that waits for its database and migrates it, with a proxy
beside it, and a job that fetches its input. Ctrl-C ends early with the answer so far. What the pods
reserve and use is counted for all of them together.";

enum Format {
    Table,
    Csv,
    Json,
}

struct Options {
    pods: u64,
    nodes: Option<NonZeroU64>,
    pulls: NonZeroU32,
    starts: NonZeroU32,
    seed: u64,
    failures_per_million: u32,
    format: Format,
}

/// `N` of an option that needs one from 1 on.
fn at_least_one<T: TryFrom<NonZeroU64>>(option: &str, number: u64) -> Result<T, String> {
    let number = NonZeroU64::new(number).ok_or_else(|| format!("{option} must be at least 1"))?;
    T::try_from(number).map_err(|_| format!("{option} {number} is too large"))
}

fn options() -> Result<Option<Options>, String> {
    let mut options = Options {
        pods: 1_000_000,
        nodes: None,
        pulls: NonZeroU32::MIN,
        starts: NonZeroU32::MIN.saturating_add(9),
        seed: 1,
        failures_per_million: 50_000,
        format: Format::Table,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || {
            let text = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
            text.replace('_', "").parse::<u64>().map_err(|_| format!("{text:?} is no number"))
        };
        match arg.as_str() {
            "--pods" => options.pods = number()?,
            "--nodes" => options.nodes = Some(at_least_one(&arg, number()?)?),
            "--pulls" => options.pulls = at_least_one(&arg, number()?)?,
            "--starts" => options.starts = at_least_one(&arg, number()?)?,
            "--seed" => options.seed = number()?,
            "--fail" => options.failures_per_million = number()?.min(1_000_000) as u32,
            "--csv" => options.format = Format::Csv,
            "--json" => options.format = Format::Json,
            "--help" | "-h" => return Ok(None),
            _ => return Err(format!("unknown option {arg}")),
        }
    }
    Ok(Some(options))
}

/// The specs and their resources, in the order in which [`Storm`] counts their containers.
fn specs() -> Result<([PodSpec; 2], [PodResources; 2]), String> {
    let requests = |cpu: &str, memory: &str| json!({"requests": {"cpu": cpu, "memory": memory}});
    let probe = json!({"httpGet": {"path": "/", "port": 80}});
    let web = json!({
        "metadata": {"name": "web", "uid": "1"},
        "spec": {
            "initContainers": [
                {"name": "proxy", "image": "proxy:1", "restartPolicy": "Always", "startupProbe": probe,
                 "resources": requests("50m", "64Mi")},
                {"name": "wait", "image": "tools:1", "resources": requests("10m", "16Mi")},
                {"name": "migrate", "image": "tools:1", "resources": requests("500m", "512Mi")},
            ],
            "containers": [{"name": "app", "image": "web:1", "readinessProbe": probe,
                            "resources": requests("250m", "256Mi")}],
        },
    });
    let job = json!({
        "metadata": {"name": "job", "uid": "2"},
        "spec": {
            "restartPolicy": "OnFailure",
            "initContainers": [{"name": "fetch", "image": "tools:1", "resources": requests("100m", "1Gi")}],
            "containers": [{"name": "work", "image": "job:1", "resources": requests("1", "512Mi")}],
        },
    });
    let compile = |pod: Value| -> Result<_, String> {
        let pod = serde_json::from_value(pod).map_err(|error| error.to_string())?;
        let gates = FeatureGates::default();
        let spec = PodSpec::compile_unchecked(&pod, gates).map_err(|error| error.to_string())?;
        let resources = PodResources::compile(&pod, gates).map_err(|error| error.to_string())?;
        Ok((spec, resources))
    };
    let ((web, web_resources), (job, job_resources)) = (compile(web)?, compile(job)?);
    Ok(([web, job], [web_resources, job_resources]))
}

/// How many containers the pods of each spec have.
const CONTAINERS: [usize; 2] = [4, 2];
/// How long a container takes to start where pods share nodes.
const START: Duration = Duration::from_millis(300);

/// What the pods do.
struct Storm {
    seed: u64,
    failures_per_million: u32,
    /// Of an init container.
    setup: Durations,
    /// Until a probe succeeds.
    warm_up: Durations,
    work: Durations,
    /// Of an image, where pods share nodes.
    pull: Option<Durations>,
}

impl Storm {
    fn new(options: &Options) -> Self {
        let Options { seed, failures_per_million, nodes, .. } = *options;
        let durations = |millis: &[u64]| {
            Durations::quantiles(millis.iter().map(|millis| Duration::from_millis(*millis)))
        };
        Self {
            seed,
            failures_per_million,
            setup: durations(&[100, 400, 900, 2_000, 5_000, 40_000]),
            warm_up: durations(&[500, 1_000, 1_500, 3_000, 10_000]),
            work: durations(&[10_000, 60_000, 600_000]),
            pull: nodes.map(|_| durations(&[1_000, 3_000, 6_000, 30_000])),
        }
    }

    fn setup(&self, script: &mut PodScript, container: usize, random: &mut Random) {
        let runs = &mut script.container_at(container).runs;
        while runs.len() < 8 && random.chance(self.failures_per_million) {
            runs.push(Run::ends(self.setup.draw(random), 1));
        }
        runs.push(Run::ends(self.setup.draw(random), 0));
    }
}

impl Workload for Storm {
    fn script(&self, pod: u64, script: &mut PodScript) {
        let mut random = Random::of_pod(self.seed, pod);
        let mut ready = || {
            let after = self.warm_up.draw(&mut random);
            ProbeScript { succeeds_after: Some(after), fails_after: None }
        };
        script.spec = (pod % 2) as usize;
        if script.spec == 0 {
            script.container_at(0).startup_probe = ready();
            script.container_at(3).readiness_probe = ready();
            self.setup(script, 1, &mut random);
            self.setup(script, 2, &mut random);
        } else {
            self.setup(script, 0, &mut random);
            let work = Run::ends(self.work.draw(&mut random), 0);
            script.container_at(1).runs.push(work);
        }
        if let Some(pull) = &self.pull {
            for container in 0..CONTAINERS[script.spec] {
                let script = script.container_at(container);
                script.image_pull_lasts = pull.draw(&mut random);
                script.start_lasts = START;
            }
        }
    }
}

/// So many pods, at the least, between two looks at the keyboard.
const BATCH: u64 = 100_000;

fn run(options: &Options) -> Result<FleetSummary, String> {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    ctrlc::set_handler(move || stopped.store(true, Ordering::Relaxed))
        .map_err(|error| error.to_string())?;
    let bar = if stderr().is_terminal() {
        let style = "{bar:40} {human_pos}/{human_len} pods, {per_sec}, {eta} left";
        let style = ProgressStyle::with_template(style).map_err(|error| error.to_string())?;
        ProgressBar::new(options.pods).with_style(style)
    } else {
        ProgressBar::hidden()
    };
    let (specs, resources) = specs()?;
    let mut fleet = Fleet::new(&specs, Storm::new(options)).resources(&resources);
    let mut batch = BATCH;
    if let Some(nodes) = options.nodes {
        let size = NonZeroU64::new(options.pods.div_ceil(nodes.get())).unwrap_or(NonZeroU64::MIN);
        batch = BATCH.next_multiple_of(size.get());
        fleet = fleet.nodes(
            Nodes::new(size)
                .max_parallel_image_pulls(Some(options.pulls))
                .max_parallel_container_starts(Some(options.starts)),
        );
    }
    let mut summary = FleetSummary::default();
    while summary.pods < options.pods && !stop.load(Ordering::Relaxed) {
        let end = options.pods.min(summary.pods.saturating_add(batch));
        summary.merge(&fleet.run_parallel(summary.pods..end));
        bar.set_position(summary.pods);
    }
    bar.finish_and_clear();
    if summary.pods < options.pods {
        eprintln!("interrupted after {} of {} pods", summary.pods, options.pods);
    }
    Ok(summary)
}

const PER_MILLE: [u32; 6] = [0, 500, 900, 990, 999, 1_000];

fn as_json(summary: &FleetSummary) -> Value {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let quantiles = PER_MILLE.iter().map(|per_mille| {
        json!({
            "perMille": per_mille,
            "readyAfterMs": summary.ready_after.quantile(*per_mille).map(millis),
            "initializedAfterMs": summary.initialized_after.quantile(*per_mille).map(millis),
        })
    });
    let statuses = summary.statuses.iter().map(|(word, tally)| {
        json!({
            "status": word.to_string(),
            "entered": tally.entered,
            "last": tally.last,
            "meanMs": millis(tally.mean()),
        })
    });
    let usage = &summary.resources;
    let resources = usage.names().iter().map(|name| {
        let samples = usage.samples(name).map(|sample| {
            json!({
                "afterMs": millis(sample.at),
                "reserved": sample.reserved.to_string(),
                "used": sample.used.to_string(),
            })
        });
        json!({"resource": name.as_str(), "samples": samples.collect::<Vec<_>>()})
    });
    let waits = |waits: &Distribution| {
        let quantiles = PER_MILLE.iter().map(|per_mille| waits.quantile(*per_mille).map(millis));
        json!({"count": waits.count(), "quantilesMs": quantiles.collect::<Vec<_>>()})
    };
    json!({
        "imagePullWaits": waits(&summary.image_pull_waits),
        "containerStartWaits": waits(&summary.container_start_waits),
        "resources": resources.collect::<Vec<_>>(),
        "pods": summary.pods,
        "simulatedPlainly": summary.simulated_plainly,
        "terminal": summary.ends.terminal,
        "steady": summary.ends.steady,
        "truncated": summary.ends.truncated,
        "restarts": summary.restarts,
        "podsRestarted": summary.pods_restarted,
        "startUp": quantiles.collect::<Vec<_>>(),
        "statuses": statuses.collect::<Vec<_>>(),
    })
}

fn print_csv(summary: &FleetSummary) {
    println!("status,entered,last,mean_ms");
    for (word, tally) in &summary.statuses {
        println!("{word},{},{},{}", tally.entered, tally.last, tally.mean().as_millis());
    }
    println!("\nper_mille,ready_after_ms");
    for per_mille in PER_MILLE {
        if let Some(quantile) = summary.ready_after.quantile(per_mille) {
            println!("{per_mille},{}", quantile.as_millis());
        }
    }
    println!("\nresource,after_ms,reserved,used");
    for name in summary.resources.names() {
        for ResourceSample { at, reserved, used, .. } in summary.resources.samples(name) {
            println!("{},{},{reserved},{used}", name.as_str(), at.as_millis());
        }
    }
}

fn main() -> ExitCode {
    let answer = options().and_then(|options| {
        let Some(options) = options else {
            println!("{USAGE}");
            return Ok(());
        };
        let summary = run(&options)?;
        match options.format {
            Format::Table => print!("{summary}"),
            Format::Csv => print_csv(&summary),
            Format::Json => println!("{:#}", as_json(&summary)),
        }
        Ok(())
    });
    match answer {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}\n\n{USAGE}");
            ExitCode::FAILURE
        }
    }
}

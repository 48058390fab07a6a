//! `podinit simulate`.

use std::path::PathBuf;

use k8s_openapi::api::core::v1;
use podinit::scenario::{GoDuration, Scenario};
use podinit::sim::node::{self, Trace};
use podinit::sim::{End, Timeline, View, simulate};
use podinit::status::{PodStatus, condition_type};
use podinit::{PodPhase, PodSpec, kubectl};
use serde_json::Value;

use crate::Verdict;
use crate::failure::Failure;
use crate::input::{Files, Subject, source};
use crate::output::{Out, status_style, table};
use crate::picture::{self, Chart};
use crate::rules::Rules;
use crate::script::Script;

#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    files: Files,
    /// What happens, in YAML or JSON (`podinit::scenario`); with the kubelet's timing.
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Whose timing: ideal, in which nothing takes time but what is said, or the kubelet's own pace
    /// [default: ideal; kubelet with --scenario].
    #[arg(long, value_enum, value_name = "WHOSE")]
    timing: Option<Timing>,
    /// What is printed.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "table")]
    output: Format,
    /// Show the kubelet's own record of the status, not the API server's copy.
    #[arg(long)]
    kubelet: bool,
    /// Print only when the pod is initialized, each container started and ready, the pod ready, and
    /// over.
    #[arg(long)]
    ready_at: bool,
    /// Print what `kubectl describe pod` says at the end.
    #[arg(long)]
    describe: bool,
    /// Print the status in the API at the end, as YAML.
    #[arg(long)]
    status: bool,
    #[command(flatten)]
    rules: Rules,
    #[command(flatten)]
    script: Script,
}

/// Whose timing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Timing {
    /// Nothing takes time but what is said.
    Ideal,
    /// The kubelet's own pace: relists, the work queue, calls that take time.
    Kubelet,
}

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// What is done when, and why.
    Table,
    /// The lines of `kubectl get pod --watch`.
    Watch,
    /// One JSON value.
    Json,
    /// The same in YAML.
    Yaml,
    /// A Chrome trace, for Perfetto and speedscope.
    ChromeTrace,
    /// A Gantt chart as a picture.
    Svg,
    /// The chart with its table and the manifest, in one page.
    Html,
    /// A Gantt chart as Mermaid text.
    Mermaid,
    /// The intervals of the containers' states.
    Csv,
    /// Spans as OTLP/JSON.
    Otlp,
}

/// A life that was simulated.
enum Life {
    Ideal(Timeline),
    Kubelet(Trace),
}

pub fn run(options: &Options, out: &mut Out) -> Result<Verdict, Failure> {
    let gates = options.rules.gates()?;
    let subjects = options.files.pods()?;
    let mut values = Vec::new();
    let mut charts = Vec::new();
    for (position, subject) in subjects.iter().enumerate() {
        let spec = subject.compile(gates)?;
        let life = options.play(subject, &spec)?;
        let chart = Chart::new(&spec, life.statuses(options.view()));
        match options.output {
            _ if options.ready_at => {
                if position > 0 {
                    out.line("")?;
                }
                out.text(ready_at(&spec, &life))?;
            }
            Format::Json | Format::Yaml => values.push(life.to_json(&spec, options.view())?),
            Format::Table | Format::Watch => {
                if position > 0 {
                    out.line("")?;
                }
                options.show(&spec, &life, &chart, out)?;
            }
            _ => charts.push((subject, spec.clone(), chart, life.table(&spec, options.view()))),
        }
        options.show_end(subject, &life, out)?;
    }
    if !values.is_empty() {
        let one = values.len() == 1;
        let value = if one { values.swap_remove(0) } else { Value::Array(values) };
        match options.output {
            Format::Yaml => out.yaml(&value)?,
            _ => out.json(&value)?,
        }
    }
    if !charts.is_empty() {
        draw(options.output, &charts, out)?;
    }
    Ok(Verdict::Fine)
}

type Drawn<'a> = (&'a Subject, PodSpec, Chart, String);

fn draw(format: Format, drawn: &[Drawn<'_>], out: &mut Out) -> Result<(), Failure> {
    let charts: Vec<&Chart> = drawn.iter().map(|(_, _, chart, _)| chart).collect();
    match format {
        Format::ChromeTrace => out.json(&picture::trace(&charts)),
        Format::Otlp => out.json(&picture::otlp(&charts)),
        Format::Mermaid => out.text(picture::mermaid(&charts)),
        Format::Csv => out.text(picture::csv(&charts)?),
        Format::Svg => out.line(picture::svg(&charts)),
        _ => {
            let mut sections = Vec::new();
            for (subject, _, chart, table) in drawn {
                let manifest =
                    serde_yaml::to_string(&subject.pod).map_err(|error| subject.failure(error))?;
                sections.push(picture::Section { chart, table, manifest });
            }
            out.line(picture::html(&sections))
        }
    }
}

impl Options {
    fn view(&self) -> View {
        if self.kubelet { View::Kubelet } else { View::Api }
    }

    fn play(&self, subject: &Subject, spec: &PodSpec) -> Result<Life, Failure> {
        let timing = match (self.timing, &self.scenario) {
            (Some(Timing::Ideal), Some(_)) => {
                return Err(Failure::Usage("--scenario needs --timing kubelet".into()));
            }
            (Some(timing), _) => timing,
            (None, Some(_)) => Timing::Kubelet,
            (None, None) => Timing::Ideal,
        };
        if timing == Timing::Ideal {
            return Ok(Life::Ideal(simulate(spec, &self.script.ideal(spec)?)));
        }
        let said = match &self.scenario {
            None => Scenario::default(),
            Some(path) => {
                let source = source(path)?;
                // YAML has JSON in it.
                serde_yaml::from_str(&source.text)
                    .map_err(|error| Failure::Input(format!("{}: {error}", source.name)))?
            }
        };
        let scenario = self.script.scenario(said, spec)?;
        let how = node::Options::new(self.rules.gates()?);
        node::play(&subject.pod, &scenario, &how, &node::Usual)
            .map(Life::Kubelet)
            .map_err(|error| subject.failure(error))
    }

    fn show(
        &self,
        spec: &PodSpec,
        life: &Life,
        chart: &Chart,
        out: &mut Out,
    ) -> Result<(), Failure> {
        if self.output == Format::Watch {
            return out.text(watch(spec, chart));
        }
        match life {
            Life::Kubelet(trace) => out.text(trace),
            Life::Ideal(timeline) => {
                let table = timeline.table(spec, self.view()).styled(out.style(status_style));
                out.text(table)?;
                out.line(ending(spec, timeline))
            }
        }
    }

    fn show_end(&self, subject: &Subject, life: &Life, out: &mut Out) -> Result<(), Failure> {
        let Some(status) = life.last_status(self.view()) else { return Ok(()) };
        let status = v1::PodStatus::from(status);
        if self.status {
            out.line("")?;
            out.yaml(&status)?;
        }
        if let (true, Life::Ideal(timeline)) = (self.describe, life)
            && let Some(end) = timeline.steps.last()
        {
            let described = v1::Pod { status: Some(status), ..subject.pod.clone() };
            let events = Some(timeline.events.records());
            out.text(format_args!("\n{}", kubectl::describe(&described, events, end.now)))?;
        }
        Ok(())
    }
}

impl Life {
    /// The statuses that were seen, each with its time and the STATUS column.
    fn statuses(&self, view: View) -> Vec<picture::Seen<'_>> {
        match self {
            Self::Ideal(timeline) => timeline
                .steps
                .iter()
                .map(|step| picture::Seen {
                    at: step.at,
                    status: view.status(step),
                    deletion: step.deletion.map(|deletion| deletion.timestamp),
                    now: step.now,
                })
                .collect(),
            Self::Kubelet(trace) => picture::seen(trace),
        }
    }

    fn last_status(&self, view: View) -> Option<&PodStatus> {
        self.statuses(view).last().map(|seen| seen.status)
    }

    fn table(&self, spec: &PodSpec, view: View) -> String {
        match self {
            Self::Ideal(timeline) => timeline.table(spec, view).to_string(),
            Self::Kubelet(trace) => trace.to_string(),
        }
    }

    fn to_json(&self, spec: &PodSpec, view: View) -> Result<Value, Failure> {
        match self {
            Self::Ideal(timeline) => Ok(timeline.to_json(spec, view)),
            Self::Kubelet(trace) => serde_json::to_value(trace)
                .map_err(|error| Failure::Output(std::io::Error::other(error))),
        }
    }
}

/// How a timeline ended, in a line.
fn ending(pod: &PodSpec, timeline: &Timeline) -> String {
    let name = &pod.identity().name;
    match timeline.end {
        End::Steady => format!("{name}: nothing more happens."),
        End::Terminal => format!("{name}: the pod has ended."),
        End::Deleted => format!("{name}: the pod is deleted."),
        _ => format!("{name}: it goes on like this; see --until."),
    }
}

/// The lines of `kubectl get pod --watch`: one whenever a column changes.
fn watch(pod: &PodSpec, chart: &Chart) -> String {
    let name = &pod.identity().name;
    let mut rows = vec![["NAME", "READY", "STATUS", "RESTARTS", "AGE"].map(String::from).to_vec()];
    for columns in &chart.columns {
        let age = kubectl::HumanDuration::between(
            podinit::Timestamp::UNIX_EPOCH,
            podinit::Timestamp::UNIX_EPOCH + columns.at,
        );
        let [ready, status, restarts] = columns.cells.clone();
        rows.push(vec![name.to_string(), ready, status, restarts, age.to_string()]);
    }
    table(&rows)
}

/// When the pod came so far: the times that people ask for.
fn ready_at(pod: &PodSpec, life: &Life) -> String {
    let seen = life.statuses(View::Api);
    let first = |holds: &dyn Fn(&PodStatus) -> bool| {
        let found = seen.iter().find(|seen| holds(seen.status));
        found.map_or_else(|| "never".to_owned(), |seen| GoDuration(seen.at).to_string())
    };
    let name = pod.identity().name.to_string();
    let mut rows = vec![vec![name, "TIME".to_owned()]];
    let mut add = |what: String, when: String| rows.push(vec![what, when]);
    let holds =
        |condition: &'static str| move |status: &PodStatus| status.is_condition_true(condition);
    add("pod initialized".into(), first(&holds(condition_type::INITIALIZED)));
    for container in pod.containers() {
        let name = container.name();
        let of = |status: &PodStatus, which: &dyn Fn(&podinit::status::ContainerStatus) -> bool| {
            let lists = [&status.init_container_statuses, &status.container_statuses];
            lists.into_iter().flatten().any(|status| status.name == *name && which(status))
        };
        let started = |status: &PodStatus| {
            of(status, &|c| c.state.running.is_some() || c.state.terminated.is_some())
        };
        add(format!("{name} started"), first(&started));
        add(format!("{name} ready"), first(&|status| of(status, &|c| c.ready)));
    }
    add("pod ready".into(), first(&holds(condition_type::READY)));
    let is_over =
        |status: &PodStatus| matches!(status.phase, PodPhase::Succeeded | PodPhase::Failed);
    add("pod ended".into(), first(&is_over));
    table(&rows)
}

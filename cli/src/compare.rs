//! `podinit compare`.

use std::path::PathBuf;
use std::time::Duration;

use podinit::scenario::GoDuration;
use podinit::sim::{Timeline, View, simulate};
use podinit::version::{ChangeTopic, changes_between};
use podinit::{FeatureGates, KubernetesVersion, PodSpec};

use crate::Verdict;
use crate::failure::Failure;
use crate::input::{Files, Subject};
use crate::output::Out;
use crate::rules::{Rules, Switches};
use crate::script::Script;

#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The manifest, in YAML or JSON; `-` is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Another manifest to compare it with, instead of other rules.
    #[arg(value_name = "OTHER")]
    other: Option<PathBuf>,
    /// The version of the other side.
    #[arg(long, value_name = "VERSION")]
    with: Option<KubernetesVersion>,
    /// A feature gate of the other side alone.
    #[arg(long, value_name = "NAME=on|off")]
    with_gate: Vec<String>,
    /// A known bug of the other side alone.
    #[arg(long, value_name = "NAME=on|off")]
    with_bug: Vec<String>,
    #[command(flatten)]
    rules: Rules,
    #[command(flatten)]
    script: Script,
}

/// A pod under some rules.
struct Side {
    name: String,
    spec: PodSpec,
    timeline: Timeline,
}

impl Side {
    fn run(
        name: String,
        subject: &Subject,
        gates: FeatureGates,
        script: &Script,
    ) -> Result<Self, Failure> {
        let spec = subject.compile(gates)?;
        let timeline = simulate(&spec, &script.ideal(&spec)?);
        Ok(Self { name, spec, timeline })
    }
}

pub fn run(options: &Options, out: &mut Out) -> Result<Verdict, Failure> {
    let read = |file: &PathBuf| Files { files: vec![file.clone()], recursive: false }.pods();
    let ours = read(&options.file)?;
    let other = options.other_rules()?;
    let same_rules =
        options.with.is_none() && options.with_gate.is_empty() && options.with_bug.is_empty();
    let theirs = match &options.other {
        Some(other) => Some(read(other)?),
        None if same_rules => {
            let why =
                "nothing to compare with: give another FILE, or --with, --with-gate, --with-bug";
            return Err(Failure::Usage(why.into()));
        }
        None => None,
    };
    let theirs = theirs.as_ref().unwrap_or(&ours);
    if ours.len() != theirs.len() {
        let (ours, theirs) = (ours.len(), theirs.len());
        return Err(Failure::Input(format!("{ours} pods on one side and {theirs} on the other")));
    }
    let versions = [options.rules.kubernetes, options.with.unwrap_or(options.rules.kubernetes)];
    let mut verdict = Verdict::Fine;
    for (ours, theirs) in ours.iter().zip(theirs) {
        let name = |subject: &Subject, version: KubernetesVersion| {
            if options.other.is_some() { subject.source.clone() } else { version.to_string() }
        };
        let sides = [
            Side::run(name(ours, versions[0]), ours, options.rules.gates()?, &options.script)?,
            Side::run(name(theirs, versions[1]), theirs, other, &options.script)?,
        ];
        if show(&sides, versions, out)? {
            verdict = Verdict::Findings;
        }
    }
    Ok(verdict)
}

impl Options {
    /// The gates of the other side.
    fn other_rules(&self) -> Result<FeatureGates, Failure> {
        let version = self.with.unwrap_or(self.rules.kubernetes);
        let switches = Switches::parse(&self.with_gate, &self.with_bug)?;
        let gates = self.rules.switches.applied_to(version.feature_gates())?;
        switches.applied_to(gates)
    }
}

/// What users see.
const VIEW: View = View::Api;

/// What each side shows at one time: phase, READY, STATUS, RESTARTS.
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
fn lines(sides: &[Side; 2]) -> Vec<Line> {
    let columns = sides.each_ref().map(|side| {
        let mut shown: Vec<(Duration, [String; 4])> = Vec::new();
        for step in &side.timeline.steps {
            let columns = VIEW.columns(&side.spec, step);
            let columns = [
                format!("{:<9}", VIEW.status(step).phase.to_string()),
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
        let [ours, theirs] = columns.each_ref().map(|shown| {
            let then = shown.iter().filter(|(when, _)| *when == at);
            then.map(|(_, columns)| columns.clone()).collect::<Vec<_>>()
        });
        for position in 0..ours.len().max(theirs.len()) {
            let sides = [ours.get(position).cloned(), theirs.get(position).cloned()];
            lines.push(Line { at, sides });
        }
    }
    lines
}

/// Which changes can explain what differs.
fn topics(lines: &[Line], sides: &[Side; 2]) -> Vec<ChangeTopic> {
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
    let events = sides.each_ref().map(|side| {
        side.timeline.steps.iter().flat_map(|step| step.events.clone()).collect::<Vec<_>>()
    });
    if events[0] != events[1] {
        topics.push(ChangeTopic::Events);
    }
    topics
}

/// Shows both sides; do they differ?
fn show(
    sides: &[Side; 2],
    versions: [KubernetesVersion; 2],
    out: &mut Out,
) -> Result<bool, Failure> {
    let lines = lines(sides);
    let side = |side: &Option<[String; 4]>| match side {
        Some(columns) => columns.join("  "),
        None => String::new(),
    };
    let widths = lines.iter().map(|line| side(&line.sides[0]).len());
    let width = widths.max().unwrap_or(0).max(12);
    out.line(format_args!("{}:", sides[0].spec.identity().name))?;
    out.line(format_args!("    {:<10} {:<width$}   {}", "TIME", sides[0].name, sides[1].name))?;
    for line in &lines {
        let mark = if line.differs() { "!" } else { " " };
        let [ours, theirs] = line.sides.each_ref().map(side);
        let at = GoDuration(line.at).to_string();
        let text = format!("  {mark} {at:<10} {ours:<width$}   {theirs}");
        out.line(text.trim_end())?;
    }
    let topics = topics(&lines, sides);
    let differing = lines.iter().filter(|line| line.differs()).count();
    out.line(format_args!("{differing} of {} lines differ.", lines.len()))?;
    let [from, to] = versions;
    let explains: Vec<_> =
        changes_between(from, to).filter(|change| topics.contains(&change.topic())).collect();
    if !explains.is_empty() {
        out.line("What changed in between, of what can explain a difference here:")?;
    }
    for change in explains {
        let (since, topic, text) = (change.since(), change.topic(), change.text());
        out.line(format_args!("  {since}  {topic:?}: {text}"))?;
    }
    Ok(!topics.is_empty())
}

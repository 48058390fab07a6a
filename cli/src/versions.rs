//! `podinit versions`.

use podinit::version::{Change, DecidedBy, KnownBug, changes_between};
use podinit::{Feature, KubernetesVersion};
use serde_json::{Value, json};

use crate::Verdict;
use crate::failure::Failure;
use crate::output::{Out, table};

#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The earlier version.
    from: KubernetesVersion,
    /// The later one.
    to: KubernetesVersion,
    /// What is printed.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "table")]
    output: Format,
}

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Tables.
    Table,
    /// JSON.
    Json,
}

pub fn run(options: &Options, out: &mut Out) -> Result<Verdict, Failure> {
    let Options { from, to, output } = *options;
    match output {
        Format::Json => out.json(&as_json(from, to))?,
        Format::Table => out.text(as_tables(from, to))?,
    }
    Ok(Verdict::Fine)
}

/// What decides about a change, in a word or two.
fn decided_by(change: Change) -> String {
    match change.decided_by() {
        DecidedBy::Gate(feature, on) => format!("gate {feature}={}", on_off(on)),
        DecidedBy::Bug(bug, on) => format!("bug {bug}={}", on_off(on)),
        DecidedBy::Change(change) => format!("{change:?}"),
        _ => "version".to_owned(),
    }
}

fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// The gates whose default differs, with both defaults.
fn gates(from: KubernetesVersion, to: KubernetesVersion) -> Vec<(Feature, bool, bool)> {
    let default = |version: KubernetesVersion, feature| version.feature_gates().enabled(feature);
    let both = Feature::ALL.iter().map(|&gate| (gate, default(from, gate), default(to, gate)));
    both.filter(|(_, before, after)| before != after).collect()
}

/// The known bugs that only one of both has.
fn bugs(from: KubernetesVersion, to: KubernetesVersion) -> Vec<(KnownBug, bool)> {
    let differs = |bug: &KnownBug| bug.is_in(from) != bug.is_in(to);
    KnownBug::ALL.iter().copied().filter(differs).map(|bug| (bug, bug.is_in(to))).collect()
}

fn numbers(change: Change) -> String {
    change.references().iter().map(|number| format!("#{number}")).collect::<Vec<_>>().join(" ")
}

fn as_tables(from: KubernetesVersion, to: KubernetesVersion) -> String {
    let heading = |cells: &[&str]| cells.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut changes = vec![heading(&["SINCE", "TOPIC", "DECIDED BY", "NUMBERS", "WHAT CHANGED"])];
    changes.extend(changes_between(from, to).map(|change| {
        let topic = format!("{:?}", change.topic());
        let since = change.since().to_string();
        vec![since, topic, decided_by(change), numbers(change), change.text().to_owned()]
    }));
    let mut text = table(&changes);
    let differing = gates(from, to);
    if !differing.is_empty() {
        let mut rows = vec![vec!["GATE".into(), from.to_string(), to.to_string()]];
        rows.extend(differing.into_iter().map(|(gate, before, after)| {
            vec![gate.to_string(), on_off(before).into(), on_off(after).into()]
        }));
        text.push('\n');
        text.push_str(&table(&rows));
    }
    let differing = bugs(from, to);
    if !differing.is_empty() {
        let mut rows = vec![heading(&["KNOWN BUG", "WHAT BECAME OF IT"])];
        rows.extend(differing.into_iter().map(|(bug, is_new)| {
            let became = if is_new { "came" } else { "was fixed" };
            vec![bug.to_string(), format!("{became} up to {to}")]
        }));
        text.push('\n');
        text.push_str(&table(&rows));
    }
    text
}

fn as_json(from: KubernetesVersion, to: KubernetesVersion) -> Value {
    let changes = changes_between(from, to).map(|change| {
        json!({
            "name": format!("{change:?}"),
            "since": change.since().to_string(),
            "topic": format!("{:?}", change.topic()),
            "decidedBy": decided_by(change),
            "numbers": change.references(),
            "text": change.text(),
        })
    });
    let gates = gates(from, to)
        .into_iter()
        .map(|(gate, before, after)| json!({"name": gate.name(), "from": before, "to": after}));
    let bugs = bugs(from, to)
        .into_iter()
        .map(|(bug, is_new)| json!({"name": bug.name(), "from": !is_new, "to": is_new}));
    json!({
        "from": from.to_string(),
        "to": to.to_string(),
        "changes": changes.collect::<Vec<_>>(),
        "gates": gates.collect::<Vec<_>>(),
        "knownBugs": bugs.collect::<Vec<_>>(),
    })
}

//! The family `lives`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::case::LifeCase;
use super::class::Class;
use super::compare::{Difference, compare};
use super::play::play_again;
use super::{print, shrink, strategy};
use crate::draw::draw;
use crate::family::{DiffError, Family, Run, Score};
use crate::oracle::{OracleError, RefusalKind};
use podinit::sim::node::Trace;

/// Which part of podinit plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Through {
    /// [`podinit::PodWorker`] in a node.
    Worker,
    /// [`podinit::sim`], whose [node](podinit::sim::node) it is.
    Sim,
}

impl Through {
    /// The word on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Sim => "sim",
        }
    }
}

/// What is played, and by whom.
#[derive(Clone, Debug, Default)]
pub struct LivesOptions {
    /// The classes; none: cases of any class, in one line.
    pub classes: Vec<Class>,
    /// Who plays; none: both.
    pub through: Vec<Through>,
    /// Scenario files that are played instead of random lives; folders are searched.
    pub files: Vec<PathBuf>,
    /// A list of cases that are known to differ, each with its reason.
    pub expected: Option<PathBuf>,
    /// Failing cases are shown as they are.
    pub no_shrinking: bool,
}

/// Lives of pods: the whole kubelet against podinit.
#[derive(Clone, Debug, Default)]
pub struct Lives(pub LivesOptions);

/// So many candidates of shrinking are asked for at once.
const CHUNK: usize = 6;

/// A life that differs is played so many times more.
const RUNS: usize = 4;

/// A case with its name.
struct Named {
    name: String,
    case: LifeCase,
}

/// What came of one case.
enum Verdict {
    Equal,
    Differs {
        differences: Vec<Difference>,
        oracle: Trace,
        podinit: Trace,
    },
    /// One side did not answer.
    Unplayed(String),
}

impl Verdict {
    fn label(&self) -> Option<&str> {
        match self {
            Self::Equal => None,
            Self::Differs { differences, .. } => {
                differences.first().map(|difference| difference.label.as_str())
            }
            Self::Unplayed(why) => Some(why),
        }
    }
}

impl Family for Lives {
    fn name(&self) -> &'static str {
        "lives"
    }

    fn compare(&self, run: &mut Run<'_>) -> Result<Vec<Score>, DiffError> {
        let mut scores = Vec::new();
        let through = match self.0.through.as_slice() {
            [] => &[Through::Worker, Through::Sim][..],
            some => some,
        };
        let expected = match &self.0.expected {
            Some(path) => read_expected(path)?,
            None => BTreeMap::new(),
        };
        for (suffix, cases) in self.groups(run)? {
            let oracle = self.ask(run, &format!("lives{suffix}"), &cases)?;
            for through in through {
                let name = format!("lives {}{suffix}", through.name());
                let asked = cases.iter().zip(&oracle);
                scores.push(self.score(run, name, *through, asked, &expected)?);
            }
        }
        Ok(scores)
    }
}

impl Lives {
    /// The cases, by what stands behind their names.
    fn groups(&self, run: &Run<'_>) -> Result<Vec<(String, Vec<Named>)>, DiffError> {
        let options = run.options;
        if !self.0.files.is_empty() {
            let mut cases = Vec::new();
            for path in &self.0.files {
                read_files(path, &mut cases)?;
            }
            return Ok(vec![(String::new(), cases)]);
        }
        let named = |class: Option<Class>, number: usize| {
            let word = class.map_or("any", Class::name);
            let case = match class {
                Some(class) => draw(&strategy::lives(class), options.seed, word, number),
                None => draw(&strategy::any_lives(), options.seed, word, number),
            };
            let case = case?.known_to(options.kubernetes);
            Some(Named { name: format!("{word} {number}"), case })
        };
        let of = |class| (0..options.cases).filter_map(|number| named(class, number)).collect();
        Ok(match self.0.classes.as_slice() {
            [] => vec![(String::new(), of(None))],
            classes => {
                classes.iter().map(|class| (format!(" {class}"), of(Some(*class)))).collect()
            }
        })
    }

    fn ask(
        &self,
        run: &mut Run<'_>,
        what: &str,
        cases: &[Named],
    ) -> Result<Vec<Result<Trace, String>>, DiffError> {
        let requests: Vec<_> = cases.iter().map(|named| named.case.request()).collect();
        run.progress.begin(what, requests.len());
        let answers = run.oracle.ask_all("lives", &requests, &mut || run.progress.step())?;
        answers.into_iter().map(read_trace).collect()
    }

    fn score<'a>(
        &self,
        run: &mut Run<'_>,
        name: String,
        through: Through,
        asked: impl Iterator<Item = (&'a Named, &'a Result<Trace, String>)>,
        expected: &BTreeMap<String, String>,
    ) -> Result<Score, DiffError> {
        let mut score = Score { name, equal: 0, asked: 0, notes: Vec::new() };
        let mut labels: BTreeMap<String, (usize, String)> = BTreeMap::new();
        for (named, oracle) in asked {
            score.asked += 1;
            let verdict = judge(run, &named.case, oracle);
            let known = expected.get(&named.name);
            let Some(label) = verdict.label() else {
                score.equal += 1;
                if let Some(reason) = known {
                    let note = format!("{} is equal, and not expected to be: {reason}", named.name);
                    score.notes.push(note);
                }
                continue;
            };
            if let Some(reason) = known {
                score.notes.push(format!("expected to differ: {}: {reason}", named.name));
                continue;
            }
            if matches!(verdict, Verdict::Differs { .. }) && is_equal_in_another_run(run, named)? {
                score.equal += 1;
                score.notes.push(format!("{}: the kubelet's own runs differ: {label}", named.name));
                continue;
            }
            let seen = labels.len();
            let entry = labels.entry(label.to_owned());
            let counted = entry.or_insert_with(|| (0, named.name.clone()));
            counted.0 += 1;
            // One of each kind.
            if counted.0 == 1 && seen < run.options.show {
                self.show(run, through, named, verdict)?;
            }
        }
        let mut labels: Vec<_> = labels.into_iter().collect();
        labels.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        for (label, (count, first)) in labels {
            score.notes.push(format!("{count} x {label} (first: {first})"));
        }
        Ok(score)
    }

    /// Shows a case that differs, as small as it gets.
    fn show(
        &self,
        run: &mut Run<'_>,
        through: Through,
        named: &Named,
        verdict: Verdict,
    ) -> Result<(), DiffError> {
        let mut text = format!("\n=== lives {}: {} ===\n", through.name(), named.name);
        let mut case = named.case.clone();
        let mut shown = verdict;
        if let Verdict::Differs { differences, .. } = &shown
            && let Some(first) = differences.first()
            && !self.0.no_shrinking
        {
            let (label, aspect) = (first.label.clone(), first.aspect);
            let until = first.at.since(podinit::sim::node::Moment::ARRIVAL);
            run.progress.begin("shrinking", 0);
            let mut last = None;
            let smallest = shrink::shrink(&case, until, |candidates| {
                for (from, some) in candidates.chunks(CHUNK).enumerate() {
                    let requests: Vec<_> = some.iter().map(LifeCase::request).collect();
                    let step = &mut || run.progress.step();
                    let answers = run.oracle.ask_all("lives", &requests, step)?;
                    for (position, (candidate, answer)) in some.iter().zip(answers).enumerate() {
                        let oracle = read_trace(answer)?;
                        let found = judge(run, candidate, &oracle);
                        let same = match &found {
                            Verdict::Differs { differences, .. } => {
                                differences.first().is_some_and(|first| {
                                    first.label == label && first.aspect == aspect
                                })
                            }
                            _ => false,
                        };
                        if same {
                            last = Some(found);
                            return Ok(Some(from * CHUNK + position));
                        }
                    }
                }
                Ok::<_, DiffError>(None)
            })?;
            case = smallest;
            shown = last.unwrap_or(shown);
        }
        text.push_str(&case.to_yaml());
        match &shown {
            Verdict::Differs { differences, oracle, podinit } => {
                for difference in differences {
                    let _ = writeln!(text, "--- {difference}");
                }
                text.push_str(&print::side_by_side(oracle, podinit, differences.first()));
            }
            Verdict::Unplayed(why) => {
                let _ = writeln!(text, "--- {why}");
            }
            Verdict::Equal => {}
        }
        run.progress.print(text.trim_end())?;
        Ok(())
    }
}

/// Asks for a life that differs a few times more: what differs between runs of the kubelet is up to
/// its goroutines, and no fault if any of them is as podinit says.
fn is_equal_in_another_run(run: &mut Run<'_>, named: &Named) -> Result<bool, DiffError> {
    let requests = vec![named.case.request(); RUNS];
    for answer in run.oracle.ask_all("lives", &requests, &mut || {})? {
        if matches!(judge(run, &named.case, &read_trace(answer)?), Verdict::Equal) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The oracle's answer as a trace, or why there is none. Only an oracle that cannot be started ends
/// the comparison.
fn read_trace(
    answer: Result<serde_json::Value, OracleError>,
) -> Result<Result<Trace, String>, DiffError> {
    match answer {
        Ok(answer) => Ok(serde_json::from_value(answer)
            .map_err(|error| format!("the oracle's trace cannot be read: {error}"))),
        Err(OracleError::Refused(refusal)) => Ok(Err(match refusal.kind {
            RefusalKind::Refused => format!("the API refuses the pod: {}", refusal.message),
            _ => format!("the oracle: {refusal}"),
        })),
        Err(error @ (OracleError::Crashed { .. } | OracleError::Silent { .. })) => {
            Ok(Err(error.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

fn judge(run: &Run<'_>, case: &LifeCase, oracle: &Result<Trace, String>) -> Verdict {
    let oracle = match oracle {
        Ok(oracle) => oracle,
        Err(why) => return Verdict::Unplayed(why.clone()),
    };
    let gates = match case.gates(run.options.kubernetes) {
        Ok(gates) => gates,
        Err(error) => return Verdict::Unplayed(error.to_string()),
    };
    let podinit = match play_again(case, oracle, gates) {
        Ok(podinit) => podinit,
        Err(why) => return Verdict::Unplayed(why.to_string()),
    };
    let differences = compare(case, oracle, &podinit);
    if differences.is_empty() {
        return Verdict::Equal;
    }
    Verdict::Differs { differences, oracle: oracle.clone(), podinit }
}

fn file_error(path: &Path, problem: impl ToString) -> DiffError {
    DiffError::File { path: path.display().to_string(), problem: problem.to_string() }
}

/// Reads a scenario file, or those of a folder.
fn read_files(path: &Path, cases: &mut Vec<Named>) -> Result<(), DiffError> {
    let failed = |problem| file_error(path, problem);
    if path.is_dir() {
        let mut entries: Vec<PathBuf> = fs::read_dir(path)
            .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
            .map_err(|error| failed(error.to_string()))?;
        entries.sort();
        for entry in entries {
            if entry.is_dir() || entry.extension().is_some_and(|end| end == "yaml") {
                read_files(&entry, cases)?;
            }
        }
        return Ok(());
    }
    let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let case = LifeCase::from_yaml(&text).map_err(|error| failed(error.to_string()))?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    cases.push(Named { name, case });
    Ok(())
}

/// Reads a list of what is expected to differ: a name, a colon and the reason in each line.
///
/// # Errors
/// If it cannot be read, or a line has no reason.
pub fn read_expected(path: &Path) -> Result<BTreeMap<String, String>, DiffError> {
    let text = fs::read_to_string(path).map_err(|error| file_error(path, error))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|line| match line.split_once(": ") {
            Some((name, reason)) => Ok((name.trim().to_owned(), reason.trim().to_owned())),
            None => Err(file_error(path, format!("{line:?} has no reason"))),
        })
        .collect()
}

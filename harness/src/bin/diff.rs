//! Compares podinit with Kubernetes' own code on random cases, and shows where they differ.
//!
//! Exits with 0 if all answers are equal, with 1 if one is not, with 2 if it cannot be compared.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use harness::family::{DiffError, Family, Options, Progress, Run};
use harness::functions::functions;
use harness::lives::{Class, Lives, LivesOptions, Through, read_expected};
use harness::oracle::Oracle;
use podinit::KubernetesVersion;

/// Asks Kubernetes (by way of the oracle) and podinit the same questions, and shows where the
/// answers differ.
#[derive(Debug, Parser)]
#[command(name = "diff")]
struct Arguments {
    /// Whose rules. `oracle/build VERSION` must have built that oracle.
    #[arg(long, default_value = "1.36")]
    kubernetes: KubernetesVersion,
    /// What the cases are drawn from: the same seed gives the same cases.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many cases of each family; of lives with classes, of each class.
    #[arg(long, default_value_t = 100)]
    cases: usize,
    /// How many different kinds of differences are shown in full.
    #[arg(long, default_value_t = 3)]
    show: usize,
    /// Lives of these classes, a line for each; `all` for all of them.
    #[arg(long, value_delimiter = ',')]
    class: Vec<String>,
    /// Who plays lives; both if nothing is said.
    #[arg(long, value_enum)]
    through: Vec<By>,
    /// Lives from scenario files, or folders of them, instead of random ones.
    #[arg(long)]
    files: Vec<PathBuf>,
    /// A file of lives that are expected to differ: `NAME: REASON` in each line.
    #[arg(long)]
    expected: Option<PathBuf>,
    /// A file of families and classes that are known to differ: `NAME: REASON` in each line, the
    /// name as it is printed. They are compared and printed like the others, and fail nothing.
    #[arg(long)]
    known: Option<PathBuf>,
    /// What is known to differ must differ: the list can only shrink.
    #[arg(long, requires = "known")]
    exact: bool,
    /// Differences are shown as they were found.
    #[arg(long)]
    no_shrinking: bool,
    /// How many processes play the oracle's lives.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// How many lives share a kubelet of the oracle: faster, and less exact.
    #[arg(long, default_value_t = 1)]
    batch: usize,
    /// How many seconds the oracle may be silent.
    #[arg(long, default_value_t = 120)]
    patience: u64,
    /// The families; `all` for all of them.
    #[arg(required = true)]
    families: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum By {
    /// `PodWorker`.
    Worker,
    /// `sim`.
    Sim,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Something is wrong with the command line, or with the comparison.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("there is no family {0:?}; there are {1}, and all")]
    UnknownFamily(String, String),
    #[error("{0}; there are {1}, and all")]
    UnknownClass(harness::lives::UnknownClass, String),
    #[error(transparent)]
    Diff(#[from] DiffError),
}

fn run(arguments: &Arguments) -> Result<bool, Error> {
    let families = families(arguments)?;
    let mut oracle = Oracle::find(arguments.kubernetes)
        .map_err(DiffError::from)?
        .with_jobs(arguments.jobs)
        .with_batch(arguments.batch)
        .with_patience(Duration::from_secs(arguments.patience));
    let options = Options {
        kubernetes: arguments.kubernetes,
        seed: arguments.seed,
        cases: arguments.cases,
        show: arguments.show,
    };
    let progress = Progress::new();
    let known = match &arguments.known {
        Some(path) => read_expected(path)?,
        None => BTreeMap::new(),
    };
    let mut as_known = true;
    for family in families {
        let mut run = Run { oracle: &mut oracle, options: &options, progress: &progress };
        for mut score in family.compare(&mut run)? {
            match known.get(&score.name) {
                None => as_known &= score.is_perfect(),
                Some(reason) if score.is_perfect() => {
                    score.notes.push(format!("equal, and no longer known to differ: {reason}"));
                    as_known &= !arguments.exact;
                }
                Some(reason) => score.notes.push(format!("known to differ: {reason}")),
            }
            progress.print(&score.to_string()).map_err(DiffError::from)?;
        }
    }
    progress.end();
    Ok(as_known)
}

fn families(arguments: &Arguments) -> Result<Vec<Box<dyn Family>>, Error> {
    let all = |names: &[String]| names.iter().any(|name| name == "all");
    let classes = if all(&arguments.class) {
        Class::ALL.to_vec()
    } else {
        let parsed: Result<_, _> = arguments.class.iter().map(|name| name.parse()).collect();
        let names = Class::ALL.iter().map(|class| class.name()).collect::<Vec<_>>().join(", ");
        parsed.map_err(|error| Error::UnknownClass(error, names))?
    };
    let through = arguments.through.iter().map(|by| match by {
        By::Worker => Through::Worker,
        By::Sim => Through::Sim,
    });
    let mut known: Vec<Box<dyn Family>> = Vec::new();
    known.extend(functions().map(|function| -> Box<dyn Family> { Box::new(function) }));
    known.push(Box::new(Lives(LivesOptions {
        classes,
        through: through.collect(),
        files: arguments.files.clone(),
        expected: arguments.expected.clone(),
        no_shrinking: arguments.no_shrinking,
    })));
    if all(&arguments.families) {
        return Ok(known);
    }
    let names = known.iter().map(|family| family.name()).collect::<Vec<_>>().join(", ");
    let asked = |name: &String| known.iter().any(|family| family.name() == name);
    if let Some(unknown) = arguments.families.iter().find(|name| !asked(name)) {
        return Err(Error::UnknownFamily(unknown.clone(), names));
    }
    let mut wanted = known;
    wanted.retain(|family| arguments.families.iter().any(|name| name == family.name()));
    Ok(wanted)
}

//! What is compared: families of questions that both sides answer.

use std::fmt;
use std::io::{self, Write};

use indicatif::{ProgressBar, ProgressStyle};
use podinit::KubernetesVersion;

use crate::oracle::{Oracle, OracleError};

/// A family of questions.
pub trait Family {
    /// Its name, on the command line and in the oracle's protocol.
    fn name(&self) -> &'static str;

    /// Draws cases, asks both sides, and prints where they differ.
    ///
    /// The same options give the same cases. A case that one side does not answer is not equal.
    ///
    /// # Errors
    /// If it could not be compared at all, such as without an oracle.
    fn compare(&self, run: &mut Run<'_>) -> Result<Vec<Score>, DiffError>;
}

/// What is asked of a family.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whose rules.
    pub kubernetes: KubernetesVersion,
    /// What the cases are drawn from.
    pub seed: u64,
    /// How many cases; of families with classes, of each class.
    pub cases: usize,
    /// How many differences are shown in full.
    pub show: usize,
}

/// One comparison under way.
#[derive(Debug)]
pub struct Run<'a> {
    /// The judge.
    pub oracle: &'a mut Oracle,
    /// What is asked.
    pub options: &'a Options,
    /// How far it is.
    pub progress: &'a Progress,
}

/// How many answers were equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Score {
    /// Of what: `quantity`, `lives worker`, `lives worker restarts`.
    pub name: String,
    /// So many answers were equal.
    pub equal: usize,
    /// Of so many.
    pub asked: usize,
    /// What there is to say beside, a line each.
    pub notes: Vec<String>,
}

impl Score {
    /// All answers were equal, and there were some.
    pub fn is_perfect(&self) -> bool {
        self.equal == self.asked && self.asked > 0
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}/{}", self.name, self.equal, self.asked)?;
        self.notes.iter().try_for_each(|note| write!(f, "\n  {note}"))
    }
}

/// The comparison itself did not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiffError {
    /// The oracle cannot be asked.
    #[error(transparent)]
    Oracle(#[from] OracleError),
    /// A file cannot be read.
    #[error("{path}: {problem}")]
    File {
        /// Which file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The output cannot be written.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
    /// A case that was drawn is none: a fault of this program.
    #[error("the case {case} cannot be played: {problem}")]
    Case {
        /// Which case.
        case: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// A bar on a terminal, nothing elsewhere; what is printed goes above it.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar on the terminal of standard error, if that is one.
    pub fn new() -> Self {
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} {eta}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// Nothing is shown.
    pub fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    /// Something of so many steps begins.
    pub fn begin(&self, what: &str, steps: usize) {
        self.0.reset();
        self.0.set_message(what.to_owned());
        self.0.set_length(u64::try_from(steps).unwrap_or(u64::MAX));
    }

    /// A step was taken.
    pub fn step(&self) {
        self.0.inc(1);
    }

    /// Prints a text to standard output.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub fn print(&self, text: &str) -> io::Result<()> {
        self.0.suspend(|| writeln!(io::stdout().lock(), "{text}"))
    }

    /// The bar goes away.
    pub fn end(&self) {
        self.0.finish_and_clear();
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

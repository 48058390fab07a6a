//! What can be wrong between us and the oracle.

use std::io;
use std::path::PathBuf;

use serde::Deserialize;

use super::OracleVersion;

/// A question that has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OracleError {
    /// There is no such program.
    #[error("{} is not there; `oracle/build {version}` builds it (it needs Go)", program.display())]
    NotBuilt {
        /// Where it was looked for.
        program: PathBuf,
        /// The Kubernetes version that was wanted.
        version: String,
    },
    /// It answers for another Kubernetes, or in another protocol.
    #[error(
        "{} is Kubernetes {} with protocol {}; wanted is Kubernetes {wanted}",
        program.display(), found.kubernetes, found.protocol
    )]
    WrongVersion {
        /// The program.
        program: PathBuf,
        /// What it says that it is.
        found: OracleVersion,
        /// The version that was wanted.
        wanted: String,
    },
    /// The program does not run.
    #[error("{} does not run: {source}", program.display())]
    NotStarted {
        /// The program.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It answered that it does not answer this.
    #[error(transparent)]
    Refused(Refusal),
    /// The process ended over this request.
    #[error("the oracle ended over {case}{}{said}", if said.is_empty() { "" } else { ":\n" })]
    Crashed {
        /// The request, as a line.
        case: String,
        /// The last that it wrote to its standard error.
        said: String,
    },
    /// It gave no answer in time.
    #[error("the oracle gave no answer within {seconds} s to {case}")]
    Silent {
        /// The request, as a line.
        case: String,
        /// How long was waited.
        seconds: u64,
    },
    /// It wrote a line that is no answer to what was asked.
    #[error("the oracle wrote what is no answer: {line}")]
    NotUnderstood {
        /// The line.
        line: String,
    },
}

/// An error that the oracle answers with.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct Refusal {
    /// Of which kind.
    pub kind: RefusalKind,
    /// What is wrong, in the oracle's or Kubernetes' words.
    pub message: String,
}

/// The kinds of errors that the oracle answers with.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(from = "String")]
#[non_exhaustive]
pub enum RefusalKind {
    /// The line is no JSON.
    NotJson,
    /// It has no such family.
    UnknownFamily,
    /// The request has a field that the family does not have.
    UnknownField,
    /// A value that cannot be.
    Invalid,
    /// The API refuses the pod.
    Refused,
    /// The life does not end.
    Endless,
    /// Kubernetes' code panicked.
    Crash,
    /// Kubernetes' code waits for ever.
    Hang,
    /// One that is not known here.
    Other(String),
}

impl From<String> for RefusalKind {
    fn from(kind: String) -> Self {
        match kind.as_str() {
            "not-json" => Self::NotJson,
            "unknown-family" => Self::UnknownFamily,
            "unknown-field" => Self::UnknownField,
            "invalid" => Self::Invalid,
            "refused" => Self::Refused,
            "endless" => Self::Endless,
            "crash" => Self::Crash,
            "hang" => Self::Hang,
            _ => Self::Other(kind),
        }
    }
}

impl std::fmt::Display for RefusalKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotJson => "not-json",
            Self::UnknownFamily => "unknown-family",
            Self::UnknownField => "unknown-field",
            Self::Invalid => "invalid",
            Self::Refused => "refused",
            Self::Endless => "endless",
            Self::Crash => "crash",
            Self::Hang => "hang",
            Self::Other(kind) => kind,
        })
    }
}

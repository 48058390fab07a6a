//! Why a manifest cannot be read, and what is wrong in one that can.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// A limit that reading ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Depth,
    Aliases,
}

/// A place in a text, counted from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_structs, reason = "a line and a column")]
pub struct Location {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// What is wrong with a field of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProblemKind {
    /// The API has no such field. Kubernetes refuses it where it validates strictly, as `kubectl`
    /// asks it to, and else drops it.
    UnknownField {
        /// A field that the API has there and that looks alike.
        suggestion: Option<&'static str>,
        /// What does what the field was meant for, if that is known.
        advice: Option<&'static str>,
    },
    /// The field is given twice; the last one counts. Kubernetes takes it.
    DuplicateField,
    /// The value has another type than the field.
    WrongType {
        /// What was found, and what is expected.
        detail: String,
    },
    /// A field that tells what the object is, is missing.
    Missing,
    /// The version of the API is not the one that this kind has.
    ApiVersion {
        /// The version found.
        found: String,
        /// The kind.
        kind: &'static str,
        /// The version that it has.
        expected: &'static str,
    },
    /// The API has no such kind.
    UnknownKind {
        /// The kind found.
        kind: String,
        /// The version of the API.
        version: String,
        /// A kind that there is and that looks alike.
        suggestion: Option<&'static str>,
    },
    /// A list is longer than is taken here.
    TooMany {
        /// How many items it has.
        count: usize,
        /// How many it may have.
        limit: usize,
    },
}

/// Something wrong with one field of a manifest, worded like `kubectl`'s strict decoding.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Which document of the text, counted from zero, empty ones included.
    pub document: usize,
    /// The field's path within the document, such as `spec.initContainers[0].failurePolicy`.
    pub field: String,
    /// What is wrong.
    pub kind: ProblemKind,
}

impl Problem {
    /// Is it refused only where reading is strict?
    pub fn is_strictness(&self) -> bool {
        matches!(self.kind, ProblemKind::UnknownField { .. } | ProblemKind::DuplicateField)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = &self.field;
        match &self.kind {
            ProblemKind::UnknownField { suggestion, advice } => {
                write!(f, "unknown field \"{field}\"")?;
                if let Some(suggestion) = suggestion {
                    write!(f, ": did you mean \"{suggestion}\"?")?;
                }
                if let Some(advice) = advice {
                    write!(f, ": {advice}")?;
                }
                Ok(())
            }
            ProblemKind::DuplicateField => write!(f, "duplicate field \"{field}\""),
            ProblemKind::WrongType { detail } => write!(f, "{field}: {detail}"),
            ProblemKind::Missing => write!(f, "{field}: Required value: every object names it"),
            ProblemKind::ApiVersion { found, kind, expected } => write!(
                f,
                "{field}: Invalid value: \"{found}\": a {kind} is of version \"{expected}\""
            ),
            ProblemKind::UnknownKind { kind, version, suggestion } => {
                write!(f, "{field}: no matches for kind \"{kind}\" in version \"{version}\"")?;
                match suggestion {
                    Some(suggestion) => write!(f, ": did you mean \"{suggestion}\"?"),
                    None => Ok(()),
                }
            }
            ProblemKind::TooMany { count, limit } => {
                write!(f, "{field}: Too many: {count}: must have at most {limit} items")
            }
        }
    }
}

/// A manifest cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The text is longer than is taken.
    #[error("the manifest has {bytes} bytes: must have at most {limit}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// There is no object in the text.
    #[error("the manifest is empty: it holds no object")]
    Empty,
    /// The text is neither YAML nor JSON.
    #[error("not {format}{}: {detail}", at(*location))]
    Syntax {
        /// What the text was read as.
        format: Format,
        /// What the parser says.
        detail: String,
        /// Where.
        location: Option<Location>,
    },
    /// Values lie deeper in each other than is taken.
    #[error("the manifest is nested too deeply: at most {limit} levels are taken")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// Aliases multiply the text far beyond its length.
    #[error("the manifest's aliases expand to too many values")]
    Aliases,
    /// Two anchors of a document have the same name, and there are aliases: YAML allows that, but
    /// the parser would take the wrong one.
    #[error("line {line}: the anchor &{name} is given a second time: give it another name")]
    AnchorGivenTwice {
        /// The anchor.
        name: String,
        /// The line of the second one.
        line: usize,
    },
    /// A document is a bare value.
    #[error("document {} is no Kubernetes object: it is {found}", document + 1)]
    NotAnObject {
        /// Which document of the text, counted from zero.
        document: usize,
        /// What it is instead.
        found: &'static str,
    },
    /// Fields are wrong.
    #[error("{}{}", Joined(problems), more(*omitted))]
    Fields {
        /// What is wrong, in the order of the text; the first hundred.
        problems: Vec<Problem>,
        /// How many more there are.
        omitted: usize,
    },
}

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// YAML, of which JSON is nearly a part.
    Yaml,
    /// JSON.
    Json,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Yaml => "YAML",
            Self::Json => "JSON",
        })
    }
}

fn at(location: Option<Location>) -> Cow<'static, str> {
    location.map_or(Cow::Borrowed(""), |place| alloc::format!(" at {place}").into())
}

fn more(omitted: usize) -> Cow<'static, str> {
    if omitted == 0 { Cow::Borrowed("") } else { alloc::format!("; and {omitted} more").into() }
}

struct Joined<'a>(&'a [Problem]);

impl fmt::Display for Joined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index > 0 { "; " } else { "" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

//! Replays recorded answers of Kubernetes, case by case.
//!
//! Shared by the integration tests, the benchmarks and `examples/conformance.rs`. A file holds one case a line
//! as JSON, plain or gzipped. A family knows how to ask this crate what the case asks, and gives
//! back both answers; comparing and showing them is done here, for every family alike.

mod accounting;
mod actions;
mod backoff;
pub mod case;
mod fields;
mod kubectl;
mod lives;
mod objects;
mod phase;
mod print;
mod quantity;
mod resources;
mod status;
mod termination;
mod traces;
mod update;
mod validation;

pub(crate) use objects::written;

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// What was recorded and what this crate answers.
#[derive(Debug)]
pub struct Answer {
    /// What Kubernetes answered, as far as it is compared.
    pub expected: Value,
    /// What this crate answers.
    pub got: Value,
}

impl Answer {
    /// There is nothing that could be compared.
    pub const NOTHING: Self = Self { expected: Value::Null, got: Value::Null };

    /// This crate has no answer, for a reason. It agrees with none.
    pub fn none(reason: impl fmt::Display) -> Self {
        let got = serde_json::json!({ NO_ANSWER: reason.to_string() });
        Self { expected: Value::Null, got }
    }
}

/// The field in which the reason for an answer that is missing stands.
pub const NO_ANSWER: &str = "no answer here";

/// A line that is no case of its family.
#[derive(Debug)]
pub struct BadCase(pub String);

impl<E: fmt::Display> From<E> for BadCase {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// One kind of recorded case.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// The last word of the name of its files.
    pub name: &'static str,
    /// Asks this crate what a case asks.
    pub replay: fn(&Value) -> Result<Answer, BadCase>,
    /// Fields of the recorded answer that are not compared, with the reason.
    pub left_out: &'static [&'static str],
}

/// Every family that is modelled, in the order in which they build on each other.
pub const FAMILIES: &[Family] = &[
    Family {
        name: "actions",
        replay: actions::replay,
        left_out: &["NextInitContainerToStart of 1.32 and before, which the cases do not record"],
    },
    Family { name: "backoff", replay: backoff::replay, left_out: &[] },
    Family { name: "phase", replay: phase::replay, left_out: &[] },
    Family { name: "print", replay: print::replay, left_out: &[] },
    Family { name: "status", replay: status::replay, left_out: &[] },
    Family { name: "traces", replay: traces::replay, left_out: &[] },
    Family { name: "quantity", replay: quantity::replay, left_out: quantity::LEFT_OUT },
    Family { name: "resources", replay: resources::replay, left_out: resources::LEFT_OUT },
    Family {
        name: "podrequests",
        replay: resources::replay_call,
        left_out: resources::LEFT_OUT_CALLS,
    },
    Family { name: "validation", replay: validation::replay, left_out: &[] },
    Family { name: "update", replay: update::replay, left_out: update::LEFT_OUT },
    Family { name: "termination", replay: termination::replay, left_out: &[] },
    Family { name: "accounting", replay: accounting::replay, left_out: accounting::LEFT_OUT },
    Family { name: "get", replay: kubectl::get, left_out: &[] },
    Family { name: "describe", replay: kubectl::describe, left_out: &[] },
    Family { name: "events", replay: kubectl::events, left_out: &[] },
    Family {
        name: "durations",
        replay: kubectl::durations,
        left_out: kubectl::LEFT_OUT_OF_DURATIONS,
    },
    Family {
        name: "defaults",
        replay: objects::defaulted,
        left_out: objects::LEFT_OUT_OF_DEFAULTS,
    },
    Family { name: "created", replay: objects::created, left_out: objects::LEFT_OUT_OF_CREATED },
    Family { name: "read", replay: objects::manifest, left_out: objects::LEFT_OUT_OF_READ },
    Family { name: "fields", replay: fields::replay, left_out: fields::LEFT_OUT },
    Family { name: "lives", replay: lives::replay, left_out: &[] },
];

/// The family of this name.
pub fn family(name: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|family| family.name == name)
}

/// The name of a file of cases, without what tells its form.
pub fn file_name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()?.split('.').next()
}

/// The name of a file's family: the part before the first dot and after the last `_`.
pub fn family_name(path: &Path) -> Option<&str> {
    file_name(path)?.rsplit('_').next()
}

/// The cases of a file could not be read.
#[derive(Debug)]
pub struct ReadError {
    /// The file.
    pub path: PathBuf,
    /// The line, if it is one that is wrong.
    pub line: Option<usize>,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.why)
    }
}

impl std::error::Error for ReadError {}

/// A case that was answered otherwise than recorded.
#[derive(Debug)]
pub struct Mismatch {
    /// The file.
    pub path: PathBuf,
    /// The case's line.
    pub line: usize,
    /// Where the answers differ.
    pub differences: Vec<Difference>,
}

/// What came of a file.
#[derive(Debug, Default)]
pub struct Tally {
    /// How many cases there were.
    pub cases: usize,
    /// Those that differ.
    pub mismatches: Vec<Mismatch>,
}

/// Opens a file of cases, gzipped or not.
fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let file = std::fs::File::open(path)?;
    let reader: Box<dyn Read> = if path.extension().is_some_and(|extension| extension == "gz") {
        Box::new(flate2::read::MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };
    Ok(Box::new(BufReader::new(reader)))
}

/// Hands every case of a file to `each`, with its line number.
///
/// A first line with an `origin` is no case; the Kubernetes version that it tells holds for all.
///
/// # Errors
/// If the file or a line cannot be read, or `each` calls a line no case.
pub fn for_each_case(
    path: &Path,
    mut each: impl FnMut(usize, Value) -> Result<(), BadCase>,
) -> Result<usize, ReadError> {
    let error = |line, why: String| ReadError { path: path.to_owned(), line, why };
    let reader = open(path).map_err(|e| error(None, e.to_string()))?;
    let mut cases = 0;
    let mut kubernetes = None;
    for (index, line) in reader.lines().enumerate() {
        let number = index + 1;
        let line = line.map_err(|e| error(Some(number), e.to_string()))?;
        if line.trim().is_empty() {
            continue;
        }
        let mut case: Value =
            serde_json::from_str(&line).map_err(|e| error(Some(number), e.to_string()))?;
        if let Some(origin) = case.get("origin").filter(|_| index == 0) {
            kubernetes = origin.get("kubernetes").cloned();
            continue;
        }
        if let (Some(version), Some(fields)) = (&kubernetes, case.as_object_mut()) {
            fields.insert("kubernetes".to_owned(), version.clone());
        }
        each(number, case).map_err(|BadCase(why)| error(Some(number), why))?;
        cases += 1;
    }
    Ok(cases)
}

/// Recorded answers that the running kubelet contradicts, with what it answers. The files that hold
/// them stay as they were recorded.
const CORRECTIONS: &str = include_str!("../../../tests/conformance/corrections.json");

/// Answers of one file that are wrong for one reason.
#[derive(serde::Deserialize)]
struct Corrections {
    file: String,
    answers: Vec<Correction>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Correction {
    line: usize,
    /// A JSON pointer into the recorded answer.
    path: String,
    is: Value,
}

/// What is known to be wrong in the answers of a file.
fn corrections_of(path: &Path) -> Result<Vec<Correction>, serde_json::Error> {
    let all: Vec<Corrections> = serde_json::from_str(CORRECTIONS)?;
    let of_file = all.into_iter().filter(|of| path.ends_with(&of.file));
    Ok(of_file.flat_map(|of| of.answers).collect())
}

impl Correction {
    /// Puts the answer right; one that was right all along is an error.
    fn apply(self, expected: &mut Value) -> Result<(), BadCase> {
        let Self { path, is, .. } = self;
        let recorded = expected.pointer_mut(&path);
        let recorded = recorded.ok_or_else(|| BadCase(format!("corrections.json: no {path}")))?;
        if *recorded == is {
            return Err(BadCase(format!("corrections.json: {path} is as recorded")));
        }
        *recorded = is;
        Ok(())
    }
}

/// Replays every case of a file.
///
/// # Errors
/// If the file or a line cannot be read, or a line is no case of the family.
pub fn replay_file(family: &Family, path: &Path) -> Result<Tally, ReadError> {
    let mut corrections = corrections_of(path).map_err(|error| ReadError {
        path: PathBuf::from("corrections.json"),
        line: Some(error.line()),
        why: error.to_string(),
    })?;
    let mut mismatches = Vec::new();
    let cases = for_each_case(path, |line, case| {
        let Answer { mut expected, got } = (family.replay)(&case)?;
        for correction in corrections.extract_if(.., |correction| correction.line == line) {
            correction.apply(&mut expected)?;
        }
        let differences = differences(&expected, &got);
        if !differences.is_empty() {
            mismatches.push(Mismatch { path: path.to_owned(), line, differences });
        }
        Ok(())
    })?;
    if let Some(Correction { line, .. }) = corrections.first() {
        let why = "corrections.json: there is no such case".to_owned();
        return Err(ReadError { path: path.to_owned(), line: Some(*line), why });
    }
    Ok(Tally { cases, mismatches })
}

/// One place in which two answers differ. An absent side is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The place, such as `status.conditions[0].type`.
    pub path: String,
    /// What Kubernetes has there.
    pub expected: Option<Value>,
    /// What this crate has there.
    pub got: Option<Value>,
}

/// Where two answers differ; a field that is absent is false, zero or empty.
pub fn differences(expected: &Value, got: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", Some(expected), Some(got), &mut found);
    found
}

/// `None` for everything that stands for "not set".
fn set(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => fields.values().any(|field| set(Some(field)).is_some()),
        Value::Bool(true) => true,
    })
}

fn compare(path: &str, expected: Option<&Value>, got: Option<&Value>, found: &mut Vec<Difference>) {
    match (set(expected), set(got)) {
        (None, None) => {}
        (Some(Value::Object(expected)), Some(Value::Object(got))) => {
            let dot = if path.is_empty() { "" } else { "." };
            let missing = got.keys().filter(|key| !expected.contains_key(*key));
            for key in expected.keys().chain(missing) {
                compare(&format!("{path}{dot}{key}"), expected.get(key), got.get(key), found);
            }
        }
        (Some(Value::Array(expected)), Some(Value::Array(got))) => {
            // An element that is not set still counts as an element.
            if expected.len() != got.len() {
                found.push(Difference {
                    path: path.to_owned(),
                    expected: Some(Value::Array(expected.clone())),
                    got: Some(Value::Array(got.clone())),
                });
                return;
            }
            for (index, (expected, got)) in expected.iter().zip(got).enumerate() {
                compare(&format!("{path}[{index}]"), Some(expected), Some(got), found);
            }
        }
        (expected, got) if expected == got => {}
        (expected, got) => found.push(Difference {
            path: path.to_owned(),
            expected: expected.cloned(),
            got: got.cloned(),
        }),
    }
}

/// The items of an array in a fixed order, for what Kubernetes gives in no order.
pub fn as_set(mut array: Value) -> Value {
    if let Some(items) = array.as_array_mut() {
        items.sort_by_cached_key(Value::to_string);
    }
    array
}

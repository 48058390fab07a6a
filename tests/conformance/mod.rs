//! Replays recorded answers of Kubernetes, case by case.
//!
//! Shared by the integration tests and by `examples/conformance.rs`. A file holds one case a line
//! as JSON, plain or gzipped. A family knows how to ask this crate what the case asks, and gives
//! back both answers; comparing and showing them is done here, for every family alike.

mod actions;
mod backoff;
pub mod case;
mod phase;
mod print;
mod quantity;
mod resources;
mod status;
mod termination;
mod traces;
mod update;
mod validation;

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// What was recorded and what this crate answers.
pub struct Answer {
    pub expected: Value,
    pub got: Value,
}

/// A line that is no case of its family.
#[derive(Debug)]
pub struct BadCase(pub String);

impl<E: fmt::Display> From<E> for BadCase {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// One kind of recorded case.
pub struct Family {
    pub name: &'static str,
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
    Family { name: "update", replay: update::replay, left_out: &[] },
    Family { name: "termination", replay: termination::replay, left_out: &[] },
];

/// The name of a file's family: the part before the first dot and after the last `_`.
pub fn family_name(path: &Path) -> Option<&str> {
    let stem = path.file_name()?.to_str()?.split('.').next()?;
    stem.rsplit('_').next()
}

/// The cases of a file could not be read.
#[derive(Debug)]
pub struct ReadError {
    pub path: PathBuf,
    pub line: Option<usize>,
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

/// A case that was answered otherwise than recorded.
pub struct Mismatch {
    pub path: PathBuf,
    pub line: usize,
    pub differences: Vec<Difference>,
}

/// What came of a file.
#[derive(Default)]
pub struct Tally {
    pub cases: usize,
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
pub fn for_each_case(
    path: &Path,
    mut each: impl FnMut(usize, Value) -> Result<(), BadCase>,
) -> Result<usize, ReadError> {
    let error = |line, why: String| ReadError { path: path.to_owned(), line, why };
    let reader = open(path).map_err(|e| error(None, e.to_string()))?;
    let mut cases = 0;
    for (index, line) in reader.lines().enumerate() {
        let number = index + 1;
        let line = line.map_err(|e| error(Some(number), e.to_string()))?;
        if line.trim().is_empty() {
            continue;
        }
        let case = serde_json::from_str(&line).map_err(|e| error(Some(number), e.to_string()))?;
        each(number, case).map_err(|BadCase(why)| error(Some(number), why))?;
        cases += 1;
    }
    Ok(cases)
}

/// Replays every case of a file.
pub fn replay_file(family: &Family, path: &Path) -> Result<Tally, ReadError> {
    let mut mismatches = Vec::new();
    let cases = for_each_case(path, |line, case| {
        let Answer { expected, got } = (family.replay)(&case)?;
        let differences = differences(&expected, &got);
        if !differences.is_empty() {
            mismatches.push(Mismatch { path: path.to_owned(), line, differences });
        }
        Ok(())
    })?;
    Ok(Tally { cases, mismatches })
}

/// One place in which two answers differ. An absent side is `None`.
#[derive(Debug, PartialEq)]
pub struct Difference {
    pub path: String,
    pub expected: Option<Value>,
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

//! Vectors: answers of the oracle in files, which the tests replay without it.
//!
//! A file holds JSON lines, gzipped. The first line tells the origin; each other one is a question
//! with the oracle's `answer`. Beside the files of a version stands a list of the vectors on which
//! this crate is known to differ, with the reasons.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::conformance::{ReadError, family, family_name, file_name, replay_file};
use crate::functions::kind;

/// Where a file of vectors comes from.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// Whose rules hold: `1.36`.
    pub kubernetes: String,
    /// The version of the Go module that answered: `k8s.io/kubernetes v1.36.3`.
    pub module: String,
    /// The Go that it was built with.
    pub go: String,
    /// The command that writes the same file again.
    pub command: String,
    /// The day on which it was written.
    pub date: String,
    /// What the questions were drawn from.
    pub seed: u64,
}

/// The folder of all vectors.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/conformance/data")
}

/// The folder of a version's vectors below that one.
pub fn folder_of(data: &Path, kubernetes: &str) -> PathBuf {
    data.join(format!("oracle-{kubernetes}"))
}

/// The files of vectors in a folder, by name.
///
/// # Errors
/// If the folder cannot be read.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let error =
        |e: io::Error| ReadError { path: folder.to_owned(), line: None, why: e.to_string() };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(error)? {
        let path = entry.map_err(error)?.path();
        if path.extension().is_some_and(|extension| extension == "gz") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The name of the list of vectors that are known to differ.
pub const EXPECTED_TO_DIFFER: &str = "expected-to-differ.txt";

/// Writes a file of vectors.
///
/// # Errors
/// If the file cannot be written.
pub fn write(path: &Path, origin: &Origin, cases: &[Value]) -> io::Result<()> {
    let mut file = GzEncoder::new(File::create(path)?, Compression::best());
    writeln!(file, "{}", json!({ "origin": origin }))?;
    for case in cases {
        writeln!(file, "{case}")?;
    }
    file.finish()?.sync_all()
}

/// The vectors that are known to differ: their lines by file and reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    reasons: BTreeMap<(String, String), BTreeSet<usize>>,
}

impl Expected {
    /// Reads a list: a line each reason, `FILE: LINES: REASON`. A list that is not there is empty.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        let error =
            |line, why: &str| ReadError { path: path.to_owned(), line, why: why.to_owned() };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => String::new(),
            Err(other) => return Err(error(None, &other.to_string())),
        };
        let mut expected = Self::default();
        for (index, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |why| error(Some(index + 1), why);
            let mut parts = line.splitn(3, ": ");
            let (Some(file), Some(lines), Some(reason)) =
                (parts.next(), parts.next(), parts.next())
            else {
                return Err(wrong("expected is FILE: LINES: REASON"));
            };
            for number in lines.split(' ') {
                let number = number.parse().map_err(|_| wrong("a line is a number"))?;
                expected.add(file, reason, number);
            }
        }
        Ok(expected)
    }

    /// One more.
    pub fn add(&mut self, file: &str, reason: &str, line: usize) {
        self.reasons.entry((file.to_owned(), reason.to_owned())).or_default().insert(line);
    }

    /// One less.
    pub fn remove(&mut self, file: &str, line: usize) {
        for ((name, _), lines) in &mut self.reasons {
            if name == file {
                lines.remove(&line);
            }
        }
        self.reasons.retain(|_, lines| !lines.is_empty());
    }

    /// The lines of a file.
    pub fn lines(&self, file: &str) -> BTreeSet<usize> {
        let of_file = self.reasons.iter().filter(|((name, _), _)| name == file);
        of_file.flat_map(|(_, lines)| lines).copied().collect()
    }

    /// Writes the list.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut text = String::from(
            "# Vectors on which podinit differs from Kubernetes, each with where: FILE: LINES: REASON.\n\
             # This list may only become shorter. What agrees has to be taken off:\n\
             # cargo run -p harness --bin record -- --kubernetes VERSION --shorten\n",
        );
        for ((file, reason), lines) in &self.reasons {
            let lines: Vec<String> = lines.iter().map(usize::to_string).collect();
            text.push_str(&format!("{file}: {}: {reason}\n", lines.join(" ")));
        }
        std::fs::write(path, text)
    }
}

/// What came of replaying a version's vectors of one family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// How many vectors there are.
    pub cases: usize,
    /// Those that differ and are not on the list, with what differs.
    pub unexpected: Vec<(usize, String)>,
    /// Those on the list that do not differ.
    pub agreeing: Vec<usize>,
}

/// Replays a file of vectors against the list of those that are known to differ.
///
/// # Errors
/// If a file cannot be read, or is of no family that is known.
pub fn replay(path: &Path, expected: &Expected) -> Result<Replayed, ReadError> {
    let name = family_name(path).unwrap_or_default();
    let family = family(name).ok_or_else(|| ReadError {
        path: path.to_owned(),
        line: None,
        why: format!("there is no family {name:?}"),
    })?;
    let tally = replay_file(family, path)?;
    let mut listed = expected.lines(file_name(path).unwrap_or_default());
    let mut replayed = Replayed { cases: tally.cases, ..Replayed::default() };
    for mismatch in tally.mismatches {
        if !listed.remove(&mismatch.line) {
            let text = format!("{}: {:#?}", kind(&mismatch.differences), mismatch.differences);
            replayed.unexpected.push((mismatch.line, text));
        }
    }
    replayed.agreeing = listed.into_iter().collect();
    Ok(replayed)
}

/// The list of all vectors of a folder that differ today.
///
/// # Errors
/// If a file cannot be read, or is of no family that is known.
pub fn differing(files: &[PathBuf]) -> Result<Expected, ReadError> {
    let mut found = Expected::default();
    for path in files {
        let name = family_name(path).unwrap_or_default();
        let family = family(name).ok_or_else(|| ReadError {
            path: path.clone(),
            line: None,
            why: format!("there is no family {name:?}"),
        })?;
        for mismatch in replay_file(family, path)?.mismatches {
            let file = file_name(path).unwrap_or_default();
            found.add(file, &kind(&mismatch.differences), mismatch.line);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that goes away with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("podinit-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn origin() -> Origin {
        Origin {
            kubernetes: "1.36".to_owned(),
            module: "k8s.io/kubernetes v1.36.3".to_owned(),
            go: "1.26.8".to_owned(),
            command: "record".to_owned(),
            date: "2026-01-01".to_owned(),
            seed: 1,
        }
    }

    #[test]
    fn a_difference_that_is_not_listed_and_one_that_is_no_more_are_both_told() {
        let folder = Folder::new("vectors");
        let path = folder.0.join("durations.jsonl.gz");
        let vector = |human: &str| json!({"milliseconds": 5000, "answer": {"human": human}});
        write(&path, &origin(), &[vector("5s"), vector("six seconds")]).unwrap();

        let none = replay(&path, &Expected::default()).unwrap();
        assert_eq!((none.cases, none.agreeing), (2, vec![]));
        assert_eq!(none.unexpected.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [3]);

        let mut all = differing(std::slice::from_ref(&path)).unwrap();
        assert_eq!(all.lines("durations"), BTreeSet::from([3]));
        all.add("durations", "it differed once", 2);
        let replayed = replay(&path, &all).unwrap();
        assert_eq!((replayed.unexpected, replayed.agreeing), (vec![], vec![2]));
    }

    #[test]
    fn a_list_is_read_as_it_was_written_and_a_wrong_line_is_named() {
        let folder = Folder::new("list");
        let path = folder.0.join(EXPECTED_TO_DIFFER);
        assert_eq!(Expected::read(&path).unwrap(), Expected::default());
        let mut list = Expected::default();
        list.add("read", "warnings: not given", 4);
        list.add("read", "warnings: not given", 17);
        list.write(&path).unwrap();
        assert_eq!(Expected::read(&path).unwrap(), list);
        list.remove("read", 4);
        assert_eq!(list.lines("read"), BTreeSet::from([17]));
        std::fs::write(&path, "read: four: warnings\n").unwrap();
        assert!(Expected::read(&path).unwrap_err().to_string().contains(":1: a line is a number"));
    }
}

//! Lints manifests: what `kubectl apply` would refuse, and what it accepts and people regret.
//!
//! ```text
//! cargo run --release --example validate -- [OPTIONS] FILE.yaml...
//! ```
//!
//! One line for each finding: file, line, severity, field, rule. Exit status: 0 without errors,
//! 1 with errors, 2 if a file cannot be read or an option is wrong.

use std::io::{Read, Write};
use std::process::ExitCode;

use k8s_openapi::api::core::v1;
use podinit::manifest::{
    Document, Location, ManifestError, Object, Problem, ReadOptions, locate, read,
};
use podinit::validation::{traps, validate};
use podinit::{FeatureGates, KubernetesVersion};

const USAGE: &str = "\
usage: validate [OPTIONS] FILE.yaml...

  -                       reads standard input
  --lenient               unknown fields and fields given twice are warnings
  --kubernetes VERSION    whose rules hold: 1.28 to 1.37 [default: 1.36]
  --feature-gates NAME=true|false[,...]
  --no-traps              no warnings about known traps";

/// Looking for a line reads the file again. So many bytes are read for that; then only the field
/// of a finding is told.
const REREAD: usize = 32 << 20;

struct Options {
    files: Vec<String>,
    lenient: bool,
    traps: bool,
    gates: FeatureGates,
}

fn options() -> Result<Options, String> {
    let mut options =
        Options { files: Vec::new(), lenient: false, traps: true, gates: FeatureGates::default() };
    let mut single_gates = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--lenient" => options.lenient = true,
            "--no-traps" => options.traps = false,
            "--kubernetes" => {
                let version: KubernetesVersion =
                    value()?.parse().map_err(|error| format!("--kubernetes: {error}"))?;
                options.gates = version.feature_gates();
            }
            "--feature-gates" => single_gates.push(value()?),
            flag if flag.starts_with('-') && flag != "-" => {
                return Err(format!("unknown option {flag}"));
            }
            _ => options.files.push(arg),
        }
    }
    // The version gives the defaults, wherever it stands.
    let mut gates = Vec::new();
    for gate in single_gates.iter().flat_map(|list| list.split(',')) {
        let (name, value) = gate.split_once('=').ok_or(format!("{gate}: expected NAME=VALUE"))?;
        gates.push((name, value.parse().map_err(|_| format!("{gate}: expected true or false"))?));
    }
    options.gates.set_from_map(gates).map_err(|error| error.to_string())?;
    if options.files.is_empty() { Err("no file given".to_owned()) } else { Ok(options) }
}

/// What is found in one file.
struct Linter<'a> {
    text: &'a str,
    options: &'a Options,
    errors: usize,
    findings: Vec<(Option<Location>, String)>,
}

impl Linter<'_> {
    fn add(&mut self, place: Option<Location>, severity: &str, message: &str) {
        self.errors += usize::from(severity == "error");
        self.findings.push((place, format!("{severity}: {message}")));
    }

    /// A finding at a field of a document.
    fn at(&mut self, document: usize, field: &str, severity: &str, message: &str) {
        let near = self.findings.len().saturating_mul(self.text.len()) < REREAD;
        let place = if near { locate(self.text, document, field) } else { None };
        self.add(place, severity, message);
    }

    fn run(&mut self) {
        let strict =
            if self.options.lenient { ReadOptions::lenient() } else { ReadOptions::strict() };
        let documents = match read(self.text, &strict) {
            Ok(documents) => documents,
            Err(ManifestError::Fields { problems, omitted }) => {
                self.problems(&problems, "error");
                if omitted > 0 {
                    self.add(None, "error", &format!("and {omitted} more fields are wrong"));
                }
                // The rest of the file may have errors of its own.
                read(self.text, &ReadOptions::lenient())
                    .map(|documents| documents.into_iter().map(without_warnings).collect())
                    .unwrap_or_default()
            }
            Err(ManifestError::Syntax { format, detail, location }) => {
                return self.add(location, "error", &format!("not {format}: {detail}"));
            }
            Err(error) => return self.add(None, "error", &error.to_string()),
        };
        for document in &documents {
            self.problems(&document.warnings, "warning");
            match &document.object {
                Object::Pod(pod) => self.pod(document, pod),
                Object::Other { kind, name, .. } => {
                    let name = name.as_deref().unwrap_or_default();
                    let message = format!("{kind:?} {name:?} is no pod and is not looked into");
                    self.at(document.position, &document.path, "note", &message);
                }
                _ => {}
            }
        }
    }

    fn problems(&mut self, problems: &[Problem], severity: &str) {
        for problem in problems {
            self.at(problem.document, &problem.field, severity, &problem.to_string());
        }
    }

    fn pod(&mut self, document: &Document, pod: &v1::Pod) {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let within = |field: &str| match document.path.as_str() {
            "" => field.to_owned(),
            path => format!("{path}.{field}"),
        };
        let errors = validate(pod, self.options.gates).err();
        for error in errors.iter().flatten() {
            let message = format!("pod {name:?}: {error}");
            self.at(document.position, &within(&error.field), "error", &message);
        }
        let found = if self.options.traps { traps(pod, self.options.gates) } else { Vec::new() };
        for trap in found {
            let message = format!("pod {name:?}: {trap}");
            self.at(document.position, &within(&trap.field), "warning", &message);
        }
    }
}

/// One line for each finding, in the order of the file.
fn report(file: &str, mut findings: Vec<(Option<Location>, String)>) -> String {
    findings.sort_by_key(|(place, _)| *place);
    let line = |(place, message): &(Option<Location>, String)| match place {
        Some(at) => format!("{file}:{}:{}: {message}\n", at.line, at.column),
        None => format!("{file}: {message}\n"),
    };
    findings.iter().map(line).collect()
}

fn without_warnings(mut document: Document) -> Document {
    document.warnings = Vec::new();
    document
}

fn read_file(file: &str) -> Result<String, String> {
    let bytes = if file == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(file)
    };
    let bytes = bytes.map_err(|error| format!("{file}: {error}"))?;
    String::from_utf8(bytes).map_err(|_| format!("{file}: not UTF-8 text"))
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(why) => {
            eprintln!("validate: {why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let (mut errors, mut unreadable) = (0, false);
    for file in &options.files {
        match read_file(file) {
            Ok(text) => {
                let mut linter =
                    Linter { text: &text, options: &options, errors: 0, findings: Vec::new() };
                linter.run();
                errors += linter.errors;
                // Whoever closes the pipe has read enough.
                let lines = report(file, linter.findings);
                let _ = std::io::stdout().write_all(lines.as_bytes());
            }
            Err(why) => {
                eprintln!("validate: {why}");
                unreadable = true;
            }
        }
    }
    match (unreadable, errors) {
        (true, _) => ExitCode::from(2),
        (false, 0) => ExitCode::SUCCESS,
        (false, _) => ExitCode::FAILURE,
    }
}

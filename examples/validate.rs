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
    Document, Location, ManifestError, Object, Problem, ProblemKind, ReadOptions, Workload, locate,
    read_each,
};
use podinit::validation::{
    ValidationErrors, Warning, traps, validate, validate_workload, warnings, workload_warnings,
};
use podinit::{FeatureGates, KubernetesVersion};

const USAGE: &str = "\
usage: validate [OPTIONS] FILE.yaml...

  -                       reads standard input
  --lenient               unknown fields are warnings
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
        let documents = match read_each(self.text, &ReadOptions::lenient()) {
            Ok(reading) => {
                self.problems(&reading.problems);
                if reading.omitted > 0 {
                    let message = format!("and {} more fields are wrong", reading.omitted);
                    self.add(None, "error", &message);
                }
                if reading.documents.is_empty() && reading.problems.is_empty() {
                    return self.add(None, "error", &ManifestError::Empty.to_string());
                }
                reading.documents
            }
            Err(ManifestError::Syntax { format, detail, location }) => {
                return self.add(location, "error", &format!("not {format}: {detail}"));
            }
            Err(error) => return self.add(None, "error", &error.to_string()),
        };
        for document in &documents {
            self.problems(&document.warnings);
            match &document.object {
                Object::Pod(pod) => self.pod(document, pod),
                Object::Workload(workload) => self.workload(document, workload),
                Object::Other { kind, name, .. } => {
                    let name = name.as_deref().unwrap_or_default();
                    let message = format!("{kind:?} {name:?} is no pod and is not looked into");
                    self.at(document.position, &document.path, "note", &message);
                }
                _ => {}
            }
        }
    }

    fn problems(&mut self, problems: &[Problem]) {
        for problem in problems {
            // Kubernetes takes fields that are given twice, and those it does not know only if asked to.
            let severity = match problem.kind {
                ProblemKind::DuplicateField => "warning",
                ProblemKind::UnknownField { .. } if self.options.lenient => "warning",
                _ => "error",
            };
            self.at(problem.document, &problem.field, severity, &problem.to_string());
        }
    }

    fn pod(&mut self, document: &Document, pod: &v1::Pod) {
        let whose = format!("pod {:?}", pod.metadata.name.as_deref().unwrap_or_default());
        let gates = self.options.gates;
        let errors = validate(pod, gates).err();
        self.said(document, &whose, errors, || warnings(pod, gates));
        self.traps(document, &whose, "", pod);
    }

    fn workload(&mut self, document: &Document, workload: &Workload) {
        let name = workload.metadata().name.as_deref().unwrap_or_default();
        let whose = format!("{} {name:?}", workload.kind());
        let errors = validate_workload(workload, self.options.gates).err();
        self.said(document, &whose, errors, || workload_warnings(workload));
        for (template, pod) in workload.templates().zip(workload.pods()) {
            self.traps(document, &whose, template.path, &pod);
        }
    }

    /// What the apiserver says to an object: what it refuses comes with no warnings.
    fn said(
        &mut self,
        document: &Document,
        whose: &str,
        errors: Option<ValidationErrors>,
        warnings: impl FnOnce() -> Vec<Warning>,
    ) {
        let warnings = if errors.is_some() { Vec::new() } else { warnings() };
        for error in errors.iter().flatten() {
            let field = within(&document.path, &error.field);
            self.at(document.position, &field, "error", &format!("{whose}: {error}"));
        }
        for warning in warnings {
            let field = within(&document.path, &warning.field);
            self.at(document.position, &field, "warning", &format!("{whose}: {warning}"));
        }
    }

    fn traps(&mut self, document: &Document, whose: &str, path: &str, pod: &v1::Pod) {
        let found = if self.options.traps { traps(pod, self.options.gates) } else { Vec::new() };
        for trap in found {
            let field = within(path, &trap.field);
            let text = trap.to_string();
            let text = text.strip_prefix(&*trap.field).unwrap_or(&text);
            let message = format!("{whose}: {field}{text}");
            let field = within(&document.path, &field);
            self.at(document.position, &field, "warning", &message);
        }
    }
}

fn within(path: &str, field: &str) -> String {
    match (path, field) {
        ("", field) => field.to_owned(),
        (path, "") => path.to_owned(),
        (path, field) => format!("{path}.{field}"),
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

//! `podinit validate`.

use std::path::PathBuf;

use k8s_openapi::api::core::v1;
use podinit::FeatureGates;
use podinit::manifest::{
    Document, Location, ManifestError, Object, Problem, ProblemKind, ReadOptions, Workload, locate,
    read_each,
};
use podinit::validation::{
    ValidationErrors, Warning, traps, validate, validate_workload, warnings, workload_warnings,
};
use serde_json::{Value, json};

use crate::Verdict;
use crate::failure::Failure;
use crate::input::{Files, Source};
use crate::output::Out;
use crate::rules::Rules;

/// Looking for a line reads the file again. So many bytes are read for that; then only the field
/// of a finding is told.
const REREAD: usize = 32 << 20;

#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    files: Files,
    /// Unknown fields are warnings.
    #[arg(long)]
    lenient: bool,
    /// No warnings about known traps.
    #[arg(long)]
    no_traps: bool,
    /// Warnings count as findings, too.
    #[arg(long)]
    strict: bool,
    /// It is fine if there was nothing to check.
    #[arg(long)]
    allow_empty: bool,
    /// What is printed.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "text")]
    output: Format,
    #[command(flatten)]
    rules: Rules,
}

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A line for each finding.
    Text,
    /// JSON.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// Workflow commands, which GitHub shows beside the lines.
    Github,
}

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Severity {
    Note,
    Warning,
    Error,
}

impl Severity {
    const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Something that was found.
#[derive(Clone, Debug)]
struct Finding {
    file: String,
    place: Option<Location>,
    field: String,
    severity: Severity,
    rule: &'static str,
    message: String,
}

pub fn run(options: &Options, out: &mut Out) -> Result<Verdict, Failure> {
    let gates = options.rules.gates()?;
    let (mut findings, mut checked) = (Vec::new(), 0);
    for source in options.files.sources()? {
        let mut linter = Linter { source: &source, options, gates, checked: 0, found: Vec::new() };
        linter.run();
        checked += linter.checked;
        linter.found.sort_by_key(|finding| finding.place);
        findings.append(&mut linter.found);
    }
    match options.output {
        Format::Text => text(&findings, checked, out)?,
        Format::Json => out.json(&as_json(&findings, checked))?,
        Format::Sarif => out.json(&sarif(&findings))?,
        Format::Github => github(&findings, out)?,
    }
    let least = if options.strict { Severity::Warning } else { Severity::Error };
    let is_bad = findings.iter().any(|finding| finding.severity >= least);
    let is_empty = checked == 0 && !options.allow_empty;
    if is_empty && !is_bad {
        anstream::eprintln!("podinit: nothing was checked: no pod and no workload in these files");
    }
    Ok(if is_bad || is_empty { Verdict::Findings } else { Verdict::Fine })
}

/// Looks into one file.
struct Linter<'a> {
    source: &'a Source,
    options: &'a Options,
    gates: FeatureGates,
    checked: usize,
    found: Vec<Finding>,
}

impl Linter<'_> {
    fn add(
        &mut self,
        place: Option<Location>,
        field: &str,
        severity: Severity,
        rule: &'static str,
        message: String,
    ) {
        let (file, field) = (self.source.name.clone(), field.to_owned());
        self.found.push(Finding { file, place, field, severity, rule, message });
    }

    /// A finding at a field of a document.
    fn at(
        &mut self,
        document: usize,
        field: &str,
        severity: Severity,
        rule: &'static str,
        message: String,
    ) {
        let text = &self.source.text;
        let near = self.found.len().saturating_mul(text.len()) < REREAD;
        let place = if near { locate(text, document, field) } else { None };
        self.add(place, field, severity, rule, message);
    }

    fn run(&mut self) {
        // What is unknown is told, and the rest of the object may have errors of its own.
        let documents = match read_each(&self.source.text, &ReadOptions::lenient()) {
            Ok(reading) => {
                self.problems(&reading.problems);
                if reading.omitted > 0 {
                    let message = format!("and {} more fields are wrong", reading.omitted);
                    self.add(None, "", Severity::Error, "fields", message);
                }
                if reading.documents.is_empty() && reading.problems.is_empty() {
                    let message = ManifestError::Empty.to_string();
                    return self.add(None, "", Severity::Error, "file", message);
                }
                reading.documents
            }
            Err(ManifestError::Syntax { format, detail, location }) => {
                let message = format!("not {format}: {detail}");
                return self.add(location, "", Severity::Error, "syntax", message);
            }
            Err(error) => return self.add(None, "", Severity::Error, "file", error.to_string()),
        };
        for document in &documents {
            self.problems(&document.warnings);
            match &document.object {
                Object::Pod(pod) => self.pod(document, pod),
                Object::Workload(workload) => self.workload(document, workload),
                Object::Other { kind, name, .. } => {
                    let name = name.as_deref().unwrap_or_default();
                    let message = format!("{kind:?} {name:?} makes no pods and is not looked into");
                    self.at(document.position, &document.path, Severity::Note, "kind", message);
                }
                _ => {}
            }
        }
    }

    fn problems(&mut self, problems: &[Problem]) {
        for problem in problems {
            // Kubernetes takes fields that are given twice, and those it does not know only if asked to.
            let severity = match problem.kind {
                ProblemKind::DuplicateField => Severity::Warning,
                ProblemKind::UnknownField { .. } if self.options.lenient => Severity::Warning,
                _ => Severity::Error,
            };
            self.at(problem.document, &problem.field, severity, "fields", problem.to_string());
        }
    }

    /// What the apiserver says to an object.
    fn said(
        &mut self,
        document: &Document,
        whose: &str,
        errors: Option<ValidationErrors>,
        warnings: impl FnOnce() -> Vec<Warning>,
    ) {
        self.checked += 1;
        let refused = errors.is_some();
        for error in errors.iter().flatten() {
            let field = within(&document.path, &error.field);
            let message = format!("{whose}: {error}");
            self.at(document.position, &field, Severity::Error, "validation", message);
        }
        // What is refused comes with no warnings.
        for warning in if refused { Vec::new() } else { warnings() } {
            let field = within(&document.path, &warning.field);
            let message = format!("{whose}: {warning}");
            self.at(document.position, &field, Severity::Warning, "warning", message);
        }
    }

    fn workload(&mut self, document: &Document, workload: &Workload) {
        let name = workload.metadata().name.as_deref().unwrap_or_default();
        let whose = format!("{} {name:?}", workload.kind());
        let errors = validate_workload(workload, self.gates).err();
        self.said(document, &whose, errors, || workload_warnings(workload));
        for (template, pod) in workload.templates().zip(workload.pods()) {
            self.traps(document, &whose, template.path, &pod);
        }
    }

    fn pod(&mut self, document: &Document, pod: &v1::Pod) {
        let whose = format!("pod {:?}", pod.metadata.name.as_deref().unwrap_or_default());
        let errors = validate(pod, self.gates).err();
        let gates = self.gates;
        self.said(document, &whose, errors, || warnings(pod, gates));
        self.traps(document, &whose, "", pod);
    }

    fn traps(&mut self, document: &Document, whose: &str, path: &str, pod: &v1::Pod) {
        if self.options.no_traps {
            return;
        }
        for trap in traps(pod, self.gates) {
            let field = within(path, &trap.field);
            let text = trap.to_string();
            let text = text.strip_prefix(&*trap.field).unwrap_or(&text);
            let message = format!("{whose}: {field}{text}");
            let field = within(&document.path, &field);
            self.at(document.position, &field, Severity::Warning, "trap", message);
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

fn text(findings: &[Finding], checked: usize, out: &mut Out) -> Result<(), Failure> {
    for Finding { file, place, severity, message, .. } in findings {
        let severity = severity.name();
        match place {
            Some(at) => {
                let (line, column) = (at.line, at.column);
                out.line(format_args!("{file}:{line}:{column}: {severity}: {message}"))?;
            }
            None => out.line(format_args!("{file}: {severity}: {message}"))?,
        }
    }
    let count = |severity| findings.iter().filter(|f| f.severity == severity).count();
    let counted = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    };
    out.line(format_args!(
        "{} checked: {}, {}",
        counted(checked, "pod"),
        counted(count(Severity::Error), "error"),
        counted(count(Severity::Warning), "warning")
    ))
}

fn as_json(findings: &[Finding], checked: usize) -> Value {
    let findings = findings.iter().map(|finding| {
        json!({
            "file": finding.file,
            "line": finding.place.map(|at| at.line),
            "column": finding.place.map(|at| at.column),
            "field": finding.field,
            "severity": finding.severity.name(),
            "rule": finding.rule,
            "message": finding.message,
        })
    });
    json!({"podsChecked": checked, "findings": findings.collect::<Vec<_>>()})
}

/// The rules that findings name, with what they are about.
const RULES: [(&str, &str); 7] = [
    ("file", "A file can be read as a manifest"),
    ("syntax", "A manifest is YAML or JSON"),
    ("kind", "Only what makes pods is looked into"),
    ("fields", "Fields exist, and have values of their type"),
    ("validation", "The API server accepts the object"),
    ("warning", "The API server has nothing to say to an object that it accepts"),
    ("trap", "Nothing that the API server accepts and people regret"),
];

fn sarif(findings: &[Finding]) -> Value {
    let rules = RULES.map(|(id, text)| json!({"id": id, "shortDescription": {"text": text}}));
    let results = findings.iter().map(|finding| {
        let uri = PathBuf::from(&finding.file);
        let mut physical = json!({"artifactLocation": {"uri": uri}});
        if let Some(at) = finding.place {
            physical["region"] = json!({"startLine": at.line, "startColumn": at.column});
        }
        let mut location = json!({"physicalLocation": physical});
        if !finding.field.is_empty() {
            location["logicalLocations"] = json!([{"fullyQualifiedName": finding.field}]);
        }
        json!({
            "ruleId": finding.rule,
            "level": finding.severity.name(),
            "message": {"text": finding.message},
            "locations": [location],
        })
    });
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "podinit",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "results": results.collect::<Vec<_>>(),
        }],
    })
}

fn github(findings: &[Finding], out: &mut Out) -> Result<(), Failure> {
    // As the toolkit of GitHub's actions escapes messages and properties.
    let message = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| message(text).replace(':', "%3A").replace(',', "%2C");
    for finding in findings {
        let command = match finding.severity {
            Severity::Note => "notice",
            severity => severity.name(),
        };
        let place = finding
            .place
            .map_or_else(String::new, |at| format!(",line={},col={}", at.line, at.column));
        let (file, text) = (property(&finding.file), message(&finding.message));
        out.line(format_args!("::{command} file={file}{place}::{text}"))?;
    }
    Ok(())
}

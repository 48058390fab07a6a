//! Manifests: YAML of several documents, or JSON, to pods.
//!
//! [`read`] is strict by default, as `kubectl` is: a field that the API does not have is an error
//! that names its path. [`ReadOptions::lenient`] makes a warning of it. A field that is given twice
//! is a warning, and the last one counts, as `kubectl` has it.
//!
//! YAML is read as `sigs.k8s.io/yaml` reads it: `yes`, `on` and `010` without quotes are no texts,
//! and null is the zero value.
//!
//! Pods and the workloads that make them are read, documents of other kinds are named and left alone. The items of a `List` or `PodList` count as
//! documents. What is read has no defaults, see [`defaults::apply`](crate::admission::defaults::apply).
//!
//! The size of what is read is bounded, see [`Limits`], and so is the work: aliases cannot make a
//! text cost more than a few times its length.
//!
//! Without the feature `yaml` only JSON is read.

#[cfg(feature = "yaml")]
mod anchors;
mod error;
mod locate;
mod node;
mod path;
mod reader;
mod scalar;
mod suggest;
mod typed;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use k8s_openapi::api::core::v1;
use serde::de::DeserializeSeed;

pub use error::{Format, Location, ManifestError, Problem, ProblemKind};
pub use locate::locate;

pub use crate::workload::{Template, Workload};

use error::Stop;
use node::{Budget, Node, Seed};
use path::Path;
use reader::Reader;

/// Deeper the parsers themselves do not go.
const MAX_DEPTH: usize = 100;

/// How much is read. Each limit has its own error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Limits {
    /// Length of the text; 3 MiB, what the apiserver takes in one request.
    pub bytes: usize,
    /// How deep values may lie in each other; 64, and never more than 100. A pod needs less than 20.
    pub depth: usize,
    /// Containers in each list of one pod; 10,000.
    pub containers: usize,
    /// `restartPolicyRules` of one container; 1,000. The apiserver takes 20.
    pub restart_rules: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 3 << 20, depth: 64, containers: 10_000, restart_rules: 1_000 }
    }
}

/// How a manifest is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ReadOptions {
    /// Fields that are unknown are warnings, as with `kubectl --validate=warn`.
    pub lenient: bool,
    /// How much is read.
    pub limits: Limits,
}

impl ReadOptions {
    /// Strict, with the default limits.
    pub fn strict() -> Self {
        Self::default()
    }

    /// Lenient, with the default limits.
    pub fn lenient() -> Self {
        Self { lenient: true, ..Self::default() }
    }
}

/// One object of a manifest.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Document {
    /// Which document of the text, counted from zero, empty ones included.
    pub position: usize,
    /// Where in its document it stands: empty, or `items[2]` for an item of a list.
    pub path: String,
    /// The object.
    pub object: Object,
    /// Fields that are given twice, and what else was overlooked if reading is lenient; the first
    /// hundred.
    pub warnings: Vec<Problem>,
}

/// What a document holds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Object {
    /// A pod.
    Pod(Box<v1::Pod>),
    /// An object that makes pods from a template.
    Workload(Box<Workload>),
    /// Anything else, which is not looked into.
    Other {
        /// Its `apiVersion`.
        api_version: String,
        /// Its `kind`.
        kind: String,
        /// Its `metadata.name`, if it has one.
        name: Option<String>,
    },
}

/// Reads a manifest.
///
/// Text that begins with `{` is read as JSON, one value or several in a row, and if it is none, as
/// YAML.
///
/// # Errors
/// [`ManifestError`]: the text cannot be read or goes beyond a limit, or fields are wrong; of
/// these all are told at once, except that a pod is not read on after a value of a wrong type.
///
/// ```
/// use podinit::manifest::{Object, ReadOptions, read};
///
/// let documents = read(
///     r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
///         "spec": {"containers": [{"name": "web", "image": "web:1", "ports": null}]}}"#,
///     &ReadOptions::strict(),
/// )?;
/// let Object::Pod(pod) = &documents[0].object else { panic!("a pod") };
/// assert_eq!(pod.metadata.name.as_deref(), Some("web"));
///
/// let error = read(
///     r#"{"apiVersion": "v1", "kind": "Pod",
///         "spec": {"initContainers": [{"nmae": "setup"}]}}"#,
///     &ReadOptions::strict(),
/// ).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "unknown field \"spec.initContainers[0].nmae\": did you mean \"name\"?"
/// );
/// # Ok::<(), podinit::manifest::ManifestError>(())
/// ```
pub fn read(text: &str, options: &ReadOptions) -> Result<Vec<Document>, ManifestError> {
    let Reading { documents, problems, omitted } = read_each(text, options)?;
    if !problems.is_empty() {
        return Err(ManifestError::Fields { problems, omitted });
    }
    if documents.is_empty() {
        return Err(ManifestError::Empty);
    }
    Ok(documents)
}

/// What a manifest holds, and what of it cannot be read.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Reading {
    /// The objects that can be read.
    pub documents: Vec<Document>,
    /// Why the others cannot, in the order of the text; the first hundred.
    pub problems: Vec<Problem>,
    /// How many problems more there are.
    pub omitted: usize,
}

/// Reads a manifest object by object: one that cannot be read takes nothing from the others.
///
/// # Errors
/// [`ManifestError`] if the text itself cannot be read or goes beyond a limit.
///
/// ```
/// use podinit::manifest::{ReadOptions, read_each};
///
/// let text = r#"{"apiVersion": "v1", "kind": "Pod", "spec": {"hostNetwork": "yes"}}
///     {"apiVersion": "v1", "kind": "Pod"}"#;
/// let reading = read_each(text, &ReadOptions::strict())?;
/// assert_eq!(reading.documents.len(), 1);
/// assert_eq!(
///     reading.problems[0].to_string(),
///     "spec.hostNetwork: cannot unmarshal string into Go struct field \
///      PodSpec.spec.hostNetwork of type bool"
/// );
/// # Ok::<(), podinit::manifest::ManifestError>(())
/// ```
pub fn read_each(text: &str, options: &ReadOptions) -> Result<Reading, ManifestError> {
    let limits = options.limits;
    if text.len() > limits.bytes {
        return Err(ManifestError::TooLong { bytes: text.len(), limit: limits.bytes });
    }
    let trees = parse(text, limits)?;
    let mut reader = Reader::new(options);
    for (position, tree) in trees.iter().enumerate() {
        match tree {
            Node::Null => {}
            Node::Map(_) => reader.object(position, tree, &Path::Document, None),
            _ => {
                let found = describe(tree);
                return Err(ManifestError::NotAnObject { document: position, found });
            }
        }
    }
    Ok(reader.finish())
}

fn describe(node: &Node) -> &'static str {
    match node {
        Node::Null => "empty",
        Node::Bool(_) => "true or false",
        Node::Int(_) | Node::UInt(_) | Node::Float(_) => "a number",
        Node::Text(_) => "text",
        Node::List(_) => "a list",
        Node::Map(_) => "an object",
    }
}

fn parse(text: &str, limits: Limits) -> Result<Vec<Node>, ManifestError> {
    type Parse = fn(&str, &Budget<'_>) -> Result<Vec<Node>, ManifestError>;
    let (depth, text) = (limits.depth.min(MAX_DEPTH), &*without_marks(text));
    let within = |parse: Parse, budget: Budget<'_>| {
        parse(text, &budget).map_err(|error| match budget.stop() {
            Some(Stop::Depth) => ManifestError::TooDeep { limit: depth },
            Some(Stop::Aliases) => ManifestError::Aliases,
            None => error,
        })
    };
    #[cfg(feature = "yaml")]
    let yaml = || Budget::of_yaml(text, depth);
    #[cfg(not(feature = "yaml"))]
    let yaml = || Budget::new(text.len(), depth);
    if text.trim_start().starts_with('{') {
        let json = within(parse_json, Budget::new(text.len(), depth));
        return match json {
            // A flow mapping of YAML begins the same way. If it is none either, JSON's error is the
            // one that helps: the text looks like JSON.
            Err(ManifestError::Syntax { .. }) => within(parse_yaml, yaml()).or(json),
            json => json,
        };
    }
    within(parse_yaml, yaml())
}

/// Some editors begin a file with a byte order mark, and joined files have one in each document.
fn without_marks(text: &str) -> Cow<'_, str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.contains("\n\u{feff}") {
        return text.replace("\n\u{feff}", "\n").into();
    }
    text.into()
}

fn parse_json(text: &str, budget: &Budget<'_>) -> Result<Vec<Node>, ManifestError> {
    let mut parser = serde_json::Deserializer::from_str(text);
    let mut trees = Vec::new();
    while parser.end().is_err() {
        let tree = Seed::new(budget).deserialize(&mut parser).map_err(|error| {
            let place = Location { line: error.line(), column: error.column() };
            ManifestError::Syntax {
                format: Format::Json,
                detail: without_place(&error.to_string()),
                location: (place.line > 0).then_some(place),
            }
        })?;
        trees.push(tree);
    }
    Ok(trees)
}

/// A parser's message on one line, without the place, which it writes first in
/// ` at line 1 column 2`.
fn without_place(message: &str) -> String {
    let digits = |c: char| c.is_ascii_digit();
    let (before, after) = message.split_once(" at line ").unwrap_or((message, ""));
    let after = after.trim_start_matches(digits);
    let after = after.strip_prefix(" column ").unwrap_or(after).trim_start_matches(digits);
    let chars = before.chars().chain(after.chars());
    chars.map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// How many brackets may be open at once in the text of a YAML manifest. The parser's work grows with
/// the square of that number before it reports any depth.
#[cfg(feature = "yaml")]
const MAX_OPEN_BRACKETS: usize = 1_000;

/// Are more brackets open somewhere than any manifest needs? Those in texts and comments count too.
#[cfg(feature = "yaml")]
fn too_many_open_brackets(text: &str) -> bool {
    let mut open = 0_usize;
    text.bytes().any(|byte| {
        match byte {
            b'{' | b'[' => open += 1,
            b'}' | b']' => open = open.saturating_sub(1),
            _ => {}
        }
        open > MAX_OPEN_BRACKETS
    })
}

#[cfg(feature = "yaml")]
fn parse_yaml(text: &str, budget: &Budget<'_>) -> Result<Vec<Node>, ManifestError> {
    if too_many_open_brackets(text) {
        return Err(ManifestError::TooDeep { limit: budget.depth() });
    }
    if let Some((name, line)) = anchors::given_twice(text) {
        return Err(ManifestError::AnchorGivenTwice { name: name.into(), line });
    }
    let mut trees = Vec::new();
    for parser in serde_yaml::Deserializer::from_str(text) {
        let tree = Seed::new(budget).deserialize(parser).map_err(|error| {
            let location =
                error.location().map(|at| Location { line: at.line(), column: at.column() });
            let detail = without_place(&error.to_string());
            ManifestError::Syntax { format: Format::Yaml, detail, location }
        })?;
        trees.push(tree);
    }
    Ok(trees)
}

#[cfg(not(feature = "yaml"))]
fn parse_yaml(text: &str, budget: &Budget<'_>) -> Result<Vec<Node>, ManifestError> {
    parse_json(text, budget)
}

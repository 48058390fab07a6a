//! Manifests: YAML of several documents, or JSON, to pods.
//!
//! [`read`] is strict by default, as `kubectl` is: a field that the API does not have is an error
//! that names its path, and so is a field that is given twice. [`ReadOptions::lenient`] makes
//! warnings of these.
//!
//! Documents of other kinds are named and left alone. The items of a `List` or `PodList` count as
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
mod suggest;
mod typed;

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;

use k8s_openapi::api::core::v1;
use serde::de::DeserializeSeed;

pub use error::{Format, Location, ManifestError, Problem, ProblemKind};
pub use locate::locate;

use error::Stop;
use node::{Budget, Node, Seed};
use path::Path;
use typed::WrongType;

/// Deeper the parsers themselves do not go.
const MAX_DEPTH: usize = 100;
/// How many problems are reported one by one; further ones are only counted.
const MAX_PROBLEMS: usize = 100;

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
    /// Fields that are unknown or given twice are warnings, as with `kubectl --validate=warn`.
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
    /// What was overlooked, if reading is lenient; the first hundred.
    pub warnings: Vec<Problem>,
}

/// What a document holds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Object {
    /// A pod.
    Pod(Box<v1::Pod>),
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
    reader.finish()
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
    type Parse = fn(&str, &Budget) -> Result<Vec<Node>, ManifestError>;
    let within = |parse: Parse| {
        let budget = Budget::new(text.len(), limits.depth.min(MAX_DEPTH));
        parse(text, &budget).map_err(|error| match budget.stop() {
            Some(Stop::Depth) => ManifestError::TooDeep { limit: limits.depth.min(MAX_DEPTH) },
            Some(Stop::Aliases) => ManifestError::Aliases,
            None => error,
        })
    };
    if looks_like_json(text) {
        let json = within(parse_json);
        return match json {
            // A flow mapping of YAML begins the same way. If it is none either, JSON's error is the
            // one that helps: the text looks like JSON.
            Err(ManifestError::Syntax { .. }) => within(parse_yaml).or(json),
            json => json,
        };
    }
    within(parse_yaml)
}

fn looks_like_json(text: &str) -> bool {
    without_mark(text).trim_start().starts_with('{')
}

/// Some editors begin a file with a byte order mark.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn parse_json(text: &str, budget: &Budget) -> Result<Vec<Node>, ManifestError> {
    let mut parser = serde_json::Deserializer::from_str(without_mark(text));
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
fn parse_yaml(text: &str, budget: &Budget) -> Result<Vec<Node>, ManifestError> {
    if too_many_open_brackets(text) {
        return Err(ManifestError::TooDeep { limit: budget.depth() });
    }
    if let Some((name, line)) = anchors::given_twice(text) {
        return Err(ManifestError::AnchorGivenTwice { name: name.to_owned(), line });
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
fn parse_yaml(text: &str, budget: &Budget) -> Result<Vec<Node>, ManifestError> {
    parse_json(text, budget)
}

struct Reader<'a> {
    options: &'a ReadOptions,
    documents: Vec<Document>,
    problems: Vec<Problem>,
    omitted: usize,
}

impl<'a> Reader<'a> {
    const fn new(options: &'a ReadOptions) -> Self {
        Self { options, documents: Vec::new(), problems: Vec::new(), omitted: 0 }
    }

    fn finish(mut self) -> Result<Vec<Document>, ManifestError> {
        if self.options.lenient {
            // What is left belongs to no object that was read: a list's own fields.
            self.problems.retain(|problem| !problem.is_strictness());
        }
        if !self.problems.is_empty() {
            return Err(ManifestError::Fields { problems: self.problems, omitted: self.omitted });
        }
        if self.documents.is_empty() {
            return Err(ManifestError::Empty);
        }
        Ok(self.documents)
    }

    fn problem(&mut self, document: usize, field: &dyn ToString, kind: ProblemKind) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Problem { document, field: field.to_string(), kind });
        } else {
            self.omitted += 1;
        }
    }

    /// One object: a pod, a list of objects, or something else. `kind` is what it is if it does not
    /// say so itself.
    fn object(&mut self, document: usize, node: &Node, path: &Path<'_>, kind: Option<&str>) {
        let first_problem = self.problems.len();
        let text = |field: &str| node.get(field).and_then(Node::as_text);
        let Some(kind) = text("kind").or(kind) else {
            self.problem(document, &path.field("kind"), ProblemKind::Missing);
            return;
        };
        // An item of a list has the list's version if it names none.
        let inherited = if let Path::Document = path { None } else { Some("v1") };
        let Some(api_version) = text("apiVersion").or(inherited) else {
            self.problem(document, &path.field("apiVersion"), ProblemKind::Missing);
            return;
        };
        if matches!(kind, "List" | "PodList") && api_version == "v1" {
            let item_kind = (kind == "PodList").then_some("Pod");
            self.list(document, node, path, item_kind);
            return;
        }
        self.duplicates(document, node, path);
        let object = match kind {
            "Pod" if api_version != "v1" => {
                let kind = ProblemKind::ApiVersion { found: api_version.to_owned() };
                self.problem(document, &path.field("apiVersion"), kind);
                return;
            }
            "Pod" => match self.pod(document, node, path) {
                Some(pod) => Object::Pod(Box::new(pod)),
                None => return,
            },
            _ => {
                let name = node.get("metadata").and_then(|metadata| metadata.get("name"));
                Object::Other {
                    api_version: api_version.to_owned(),
                    kind: kind.to_owned(),
                    name: name.and_then(Node::as_text).map(ToOwned::to_owned),
                }
            }
        };
        let mut warnings = Vec::new();
        if self.options.lenient {
            // None of these is an error: the object was read.
            warnings = self.problems.split_off(first_problem.min(self.problems.len()));
        }
        self.documents.push(Document {
            position: document,
            path: path.to_string(),
            object,
            warnings,
        });
    }

    /// The items of a list, each of which counts as a document.
    fn list(&mut self, document: usize, node: &Node, path: &Path<'_>, kind: Option<&str>) {
        self.duplicate_keys(document, node, path);
        let items_path = path.field("items");
        for (index, item) in node.get("items").map_or(&[][..], Node::as_list).iter().enumerate() {
            let path = items_path.index(index);
            if let Node::Map(_) = item {
                self.object(document, item, &path, kind);
            } else {
                let detail = format!("it is {}, expected an object", describe(item));
                self.problem(document, &path, ProblemKind::WrongType { detail });
            }
        }
    }

    /// Keys that come twice, anywhere in an object.
    fn duplicates(&mut self, document: usize, node: &Node, path: &Path<'_>) {
        match node {
            Node::Map(entries) => {
                self.duplicate_keys(document, node, path);
                for (key, value) in entries {
                    self.duplicates(document, value, &path.field(key));
                }
            }
            Node::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.duplicates(document, item, &path.index(index));
                }
            }
            _ => {}
        }
    }

    fn duplicate_keys(&mut self, document: usize, node: &Node, path: &Path<'_>) {
        let Node::Map(entries) = node else { return };
        let mut seen = BTreeSet::new();
        for (key, _) in entries {
            if !seen.insert(key.as_str()) {
                self.problem(document, &path.field(key), ProblemKind::DuplicateField);
            }
        }
    }

    fn pod(&mut self, document: usize, node: &Node, path: &Path<'_>) -> Option<v1::Pod> {
        if !self.is_within_limits(document, node, path) {
            return None;
        }
        let problems = RefCell::new(&mut *self);
        let unknown = |path: &Path<'_>, name: &str, known| {
            let mut reader = problems.borrow_mut();
            // Of many, most are not told one by one: what they were meant to be does not matter.
            let told = reader.problems.len() < MAX_PROBLEMS;
            let kind = if told { suggest::unknown_field(name, known) } else { suggest::NOTHING };
            reader.problem(document, path, kind);
        };
        match typed::read(node, path, &unknown) {
            Ok(pod) => Some(pod),
            Err(WrongType { field, detail }) => {
                let field = field.unwrap_or_default();
                self.problem(document, &field, ProblemKind::WrongType { detail });
                None
            }
        }
    }

    fn is_within_limits(&mut self, document: usize, node: &Node, path: &Path<'_>) -> bool {
        let limits = self.options.limits;
        let mut within = true;
        let mut check = |path: &Path<'_>, list: &[Node], limit: usize| {
            let count = list.len();
            if count > limit {
                self.problem(document, path, ProblemKind::TooMany { count, limit });
                within = false;
            }
        };
        let spec_path = path.field("spec");
        let spec = node.get("spec");
        for name in ["containers", "initContainers", "ephemeralContainers"] {
            let path = spec_path.field(name);
            let list = spec.and_then(|spec| spec.get(name)).map_or(&[][..], Node::as_list);
            check(&path, list, limits.containers);
            for (index, container) in list.iter().enumerate() {
                let rules = container.get("restartPolicyRules").map_or(&[][..], Node::as_list);
                let item = path.index(index);
                check(&item.field("restartPolicyRules"), rules, limits.restart_rules);
            }
        }
        within
    }
}

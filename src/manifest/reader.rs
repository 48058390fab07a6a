//! From trees to objects, and what is wrong with them.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::cell::RefCell;

use serde::de::DeserializeOwned;

use super::error::{Problem, ProblemKind};
use super::node::Node;
use super::path::Path;
use super::typed::{self, WrongType};
use super::{Document, Object, ReadOptions, Reading, describe, suggest};
use crate::nearest::nearest;
use crate::workload::{KINDS, Workload};

/// The kinds of the versions in which pods and workloads are.
const SERVED: [(&str, &[&str]); 3] = [
    (
        "v1",
        &[
            "Pod",
            "Binding",
            "ComponentStatus",
            "ConfigMap",
            "Endpoints",
            "Event",
            "LimitRange",
            "Namespace",
            "Node",
            "PersistentVolume",
            "PersistentVolumeClaim",
            "PodTemplate",
            "ReplicationController",
            "ResourceQuota",
            "Secret",
            "Service",
            "ServiceAccount",
        ],
    ),
    ("apps/v1", &["ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"]),
    ("batch/v1", &["CronJob", "Job"]),
];
/// How many problems are reported one by one; further ones are only counted.
const MAX_PROBLEMS: usize = 100;

/// Takes objects from trees.
pub(super) struct Reader<'a> {
    options: &'a ReadOptions,
    documents: Vec<Document>,
    problems: Vec<Problem>,
    omitted: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(options: &'a ReadOptions) -> Self {
        Self { options, documents: Vec::new(), problems: Vec::new(), omitted: 0 }
    }

    pub(super) fn finish(mut self) -> Reading {
        // What is left belongs to no object that was read: a list's own fields.
        let lenient = self.options.lenient;
        self.problems.retain(|problem| match problem.kind {
            ProblemKind::DuplicateField => false,
            _ => !lenient || !problem.is_strictness(),
        });
        let Self { documents, problems, omitted, .. } = self;
        Reading { documents, problems, omitted }
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
    pub(super) fn object(
        &mut self,
        document: usize,
        node: &Node,
        path: &Path<'_>,
        kind: Option<&str>,
    ) {
        let first_problem = self.problems.len();
        let text = |field: &str| node.get(field).and_then(Node::as_text);
        let filled = |text: &&str| !text.is_empty();
        let Some(kind) = text("kind").filter(filled).or(kind) else {
            self.problem(document, &path.field("kind"), ProblemKind::Missing);
            return;
        };
        // An item of a list has the list's version if it names none.
        let inherited = if let Path::Document = path { None } else { Some("v1") };
        let Some(api_version) = text("apiVersion").filter(filled).or(inherited) else {
            self.problem(document, &path.field("apiVersion"), ProblemKind::Missing);
            return;
        };
        let item_kind = kind.strip_suffix("List");
        let of_kind =
            |item: &str| item.is_empty() || item == "Pod" || KINDS.contains(&(api_version, item));
        if item_kind.is_some_and(of_kind) {
            let item_kind = item_kind.filter(|item| !item.is_empty());
            self.list(document, node, path, item_kind);
            return;
        }
        self.duplicates(document, node, path);
        let deduplicated;
        let mut node = node;
        if self.problems.len() > first_problem {
            deduplicated = node.with_last_entries();
            node = &deduplicated;
        }
        if !self.is_known(document, api_version, kind, path) {
            return;
        }
        let object = match self.typed(document, node, path, api_version, kind) {
            Some(object) => object,
            None => return,
        };
        // None of these is an error: the object was read.
        let of_object = self.problems.split_off(first_problem.min(self.problems.len()));
        let lenient = self.options.lenient;
        let (warnings, problems) = of_object
            .into_iter()
            .partition(|problem| lenient || problem.kind == ProblemKind::DuplicateField);
        let refused: Vec<Problem> = problems;
        if !refused.is_empty() {
            self.problems.extend(refused);
            return;
        }
        self.documents.push(Document {
            position: document,
            path: path.to_string(),
            object,
            warnings,
        });
    }

    /// Does the API have such a kind, in this version? Of groups that are not Kubernetes' own nothing
    /// is known.
    fn is_known(&mut self, document: usize, version: &str, kind: &str, path: &Path<'_>) -> bool {
        let group = version.rsplit_once('/').map_or("", |(group, _)| group);
        let known = KINDS.iter().chain(&[("v1", "Pod")]);
        let right = known.filter(|(_, known)| *known == kind).find(|(right, _)| {
            let own = right.rsplit_once('/').map_or("", |(group, _)| group);
            own == group || group == "extensions"
        });
        if let Some((right, kind)) = right {
            if *right != version {
                let found = version.to_owned();
                let kind = ProblemKind::ApiVersion { found, kind, expected: right };
                self.problem(document, &path.field("apiVersion"), kind);
            }
            return *right == version;
        }
        let Some((_, kinds)) = SERVED.iter().find(|(served, _)| *served == version) else {
            return true;
        };
        if kinds.contains(&kind) {
            return true;
        }
        let suggestion = nearest(kind, kinds.iter().copied());
        let (kind, version) = (kind.to_owned(), version.to_owned());
        let kind = ProblemKind::UnknownKind { kind, version, suggestion };
        self.problem(document, &path.field("kind"), kind);
        false
    }

    /// The object as the type of its kind.
    fn typed(
        &mut self,
        document: usize,
        node: &Node,
        path: &Path<'_>,
        api_version: &str,
        kind: &str,
    ) -> Option<Object> {
        let (spec, template) = match (api_version, kind) {
            ("v1", "Pod") => ("spec", &[][..]),
            ("v1", "PodTemplate") => ("template", &["spec"][..]),
            ("batch/v1", "CronJob") => ("spec", &["jobTemplate", "spec", "template", "spec"][..]),
            _ => ("spec", &["template", "spec"][..]),
        };
        let is_ours = kind == "Pod" || KINDS.contains(&(api_version, kind));
        if is_ours {
            let mut place = node.get(spec);
            let mut field = path.field(spec).to_string();
            for name in template {
                place = place.and_then(|node| node.get(name));
                field = format!("{field}.{name}");
            }
            let spec_path = Path::Field(&Path::Document, &field);
            if place.is_some_and(|spec| !self.is_within_limits(document, spec, &spec_path)) {
                return None;
            }
        }
        let workload = match (api_version, kind) {
            ("v1", "Pod") => return self.object_of(document, node, path).map(Object::Pod),
            ("apps/v1", "Deployment") => {
                self.object_of(document, node, path).map(Workload::Deployment)
            }
            ("apps/v1", "StatefulSet") => {
                self.object_of(document, node, path).map(Workload::StatefulSet)
            }
            ("apps/v1", "DaemonSet") => {
                self.object_of(document, node, path).map(Workload::DaemonSet)
            }
            ("apps/v1", "ReplicaSet") => {
                self.object_of(document, node, path).map(Workload::ReplicaSet)
            }
            ("v1", "ReplicationController") => {
                self.object_of(document, node, path).map(Workload::ReplicationController)
            }
            ("batch/v1", "Job") => self.object_of(document, node, path).map(Workload::Job),
            ("batch/v1", "CronJob") => self.object_of(document, node, path).map(Workload::CronJob),
            ("v1", "PodTemplate") => {
                self.object_of(document, node, path).map(Workload::PodTemplate)
            }
            _ => {
                let name = node.get("metadata").and_then(|metadata| metadata.get("name"));
                return Some(Object::Other {
                    api_version: api_version.to_owned(),
                    kind: kind.to_owned(),
                    name: name.and_then(Node::as_text).map(ToOwned::to_owned),
                });
            }
        };
        workload.map(|mut workload| {
            // The types do not tell an empty selector from none: this one is there.
            let selector = node.get("spec").and_then(|spec| spec.get("selector"));
            if let (Some(Node::Map(_)), Some(read)) = (selector, workload.selector_mut()) {
                read.match_labels.get_or_insert_default();
            }
            Object::Workload(Box::new(workload))
        })
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

    fn object_of<T: DeserializeOwned>(
        &mut self,
        document: usize,
        node: &Node,
        path: &Path<'_>,
    ) -> Option<Box<T>> {
        let problems = RefCell::new(&mut *self);
        let unknown = |path: &Path<'_>, name: &str, known| {
            let mut reader = problems.borrow_mut();
            // Of many, most are not told one by one: what they were meant to be does not matter.
            let told = reader.problems.len() < MAX_PROBLEMS;
            let kind = if told { suggest::unknown_field(name, known) } else { suggest::NOTHING };
            reader.problem(document, path, kind);
        };
        match typed::read(node, path, &unknown) {
            Ok(object) => Some(Box::new(object)),
            Err(WrongType { field, detail }) => {
                let field = field.unwrap_or_default();
                self.problem(document, &field, ProblemKind::WrongType { detail });
                None
            }
        }
    }

    fn is_within_limits(&mut self, document: usize, spec: &Node, spec_path: &Path<'_>) -> bool {
        let limits = self.options.limits;
        let mut within = true;
        let mut check = |path: &Path<'_>, list: &[Node], limit: usize| {
            let count = list.len();
            if count > limit {
                self.problem(document, path, ProblemKind::TooMany { count, limit });
                within = false;
            }
        };
        for name in ["containers", "initContainers", "ephemeralContainers"] {
            let path = spec_path.field(name);
            let list = spec.get(name).map_or(&[][..], Node::as_list);
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

//! The modules of the library lie in layers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use podinit::version::{Change, DecidedBy};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

type Tokens = std::iter::Peekable<proc_macro2::token_stream::IntoIter>;

/// A path that starts at the crate's root, as far as its first name.
#[derive(Debug)]
struct Reference {
    /// The top-level module that the file belongs to.
    from: String,
    /// The name after `crate::`.
    to: String,
    /// The file, from `src`.
    file: String,
}

/// The source files of the library, without `lib.rs`, by their path from `src`.
fn sources() -> BTreeMap<String, TokenStream> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![src.clone()];
    let mut sources = BTreeMap::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
                let text = fs::read_to_string(&path).unwrap();
                sources.insert(name, text.parse().unwrap());
            }
        }
    }
    sources.remove("lib.rs").unwrap();
    sources
}

fn top_level_module(file: &str) -> &str {
    let first = file.split('/').next().unwrap();
    first.strip_suffix(".rs").unwrap_or(first)
}

fn is_punct(tree: Option<&TokenTree>, wanted: char) -> bool {
    matches!(tree, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

/// The names that stand first in a use tree: `a` of `a::b`, `a` and `c` of `{a::b, c}`.
fn first_names(tokens: &mut Tokens, found: &mut Vec<String>) {
    match tokens.next() {
        Some(TokenTree::Ident(name)) => found.push(name.to_string()),
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
            let mut starts = true;
            let mut inner = group.stream().into_iter().peekable();
            while inner.peek().is_some() {
                if starts {
                    first_names(&mut inner, found);
                    starts = false;
                } else {
                    starts = is_punct(inner.next().as_ref(), ',');
                }
            }
        }
        _ => {}
    }
}

/// The inside of the attribute of what is compiled for tests only.
fn is_cfg_test(group: &Group) -> bool {
    group.stream().to_string() == "cfg (test)"
}

/// Passes over the item that an attribute stands at: it ends with its body or a semicolon.
fn skip_item(tokens: &mut Tokens) {
    for tree in tokens {
        match tree {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => break,
            TokenTree::Punct(punct) if punct.as_char() == ';' => break,
            _ => {}
        }
    }
}

/// Every name after `crate::`, but those in code that is compiled for tests only.
fn names_after_crate(tokens: TokenStream, found: &mut Vec<String>) {
    let mut tokens: Tokens = tokens.into_iter().peekable();
    while let Some(tree) = tokens.next() {
        match tree {
            TokenTree::Ident(name) if name == "crate" && is_punct(tokens.peek(), ':') => {
                tokens.by_ref().nth(1);
                first_names(&mut tokens, found);
            }
            TokenTree::Group(group) if is_cfg_test(&group) => skip_item(&mut tokens),
            TokenTree::Group(group) => names_after_crate(group.stream(), found),
            _ => {}
        }
    }
}

fn references(sources: &BTreeMap<String, TokenStream>) -> Vec<Reference> {
    let mut references = Vec::new();
    for (file, tokens) in sources {
        let mut names = Vec::new();
        names_after_crate(tokens.clone(), &mut names);
        let from = top_level_module(file);
        references.extend(names.into_iter().map(|to| Reference {
            from: from.to_owned(),
            to,
            file: file.clone(),
        }));
    }
    references
}

/// A way from a module back to itself.
fn cycle(graph: &BTreeMap<&str, BTreeSet<&str>>) -> Option<Vec<String>> {
    fn visit<'a>(
        module: &'a str,
        graph: &BTreeMap<&str, BTreeSet<&'a str>>,
        way: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
    ) -> Option<Vec<String>> {
        if let Some(start) = way.iter().position(|earlier| *earlier == module) {
            return Some(way[start..].iter().copied().chain([module]).map(str::to_owned).collect());
        }
        if !done.insert(module) {
            return None;
        }
        way.push(module);
        let found = graph
            .get(module)
            .and_then(|uses| uses.iter().find_map(|&next| visit(next, graph, way, done)));
        way.pop();
        found
    }
    let mut done = BTreeSet::new();
    graph.keys().find_map(|module| visit(module, graph, &mut Vec::new(), &mut done))
}

fn graph(references: &[Reference]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut graph: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for reference in references {
        let uses = graph.entry(&reference.from).or_default();
        if reference.to != reference.from {
            uses.insert(&reference.to);
        }
    }
    graph
}

#[test]
fn no_two_top_level_modules_use_each_other() {
    let references = references(&sources());
    let graph = graph(&references);
    assert!(graph["worker"].contains("actions"), "the graph is read from the sources: {graph:?}");
    if let Some(cycle) = cycle(&graph) {
        let arrow = |from: &str, to: &str| {
            references
                .iter()
                .find(|reference| reference.from == from && reference.to == to)
                .map_or_else(String::new, |reference| format!("{to} by src/{}", reference.file))
        };
        let steps: Vec<String> = cycle.windows(2).map(|pair| arrow(&pair[0], &pair[1])).collect();
        panic!("{} uses {}", cycle[0], steps.join(", which uses "));
    }
}

#[test]
fn files_import_from_the_module_that_defines_and_not_from_the_root() {
    let sources = sources();
    let modules: BTreeSet<&str> = sources.keys().map(|file| top_level_module(file)).collect();
    let through_the_root: Vec<Reference> = references(&sources)
        .into_iter()
        .filter(|reference| !modules.contains(reference.to.as_str()))
        .collect();
    assert!(through_the_root.is_empty(), "{through_the_root:#?}");
}

/// The names of versions, `.version()` beside an operator and `minor()` in code that is not a test.
fn bare_versions(tokens: TokenStream, found: &mut Vec<String>) {
    const OPERATORS: [char; 4] = ['<', '>', '=', '!'];
    let mut tokens: Tokens = tokens.into_iter().peekable();
    while let Some(tree) = tokens.next() {
        match tree {
            TokenTree::Ident(name) if is_a_version(&name.to_string()) => {
                found.push(name.to_string());
            }
            TokenTree::Ident(name)
                if name == "minor"
                    && tokens.peek().is_some_and(|next| next.to_string() == "()") =>
            {
                found.push("minor()".to_owned());
            }
            TokenTree::Ident(name) if name == "version" => {
                let called = tokens.next_if(|next| next.to_string() == "()").is_some();
                if called && OPERATORS.iter().any(|operator| is_punct(tokens.peek(), *operator)) {
                    found.push("version()".to_owned());
                }
            }
            TokenTree::Group(group) if is_cfg_test(&group) => skip_item(&mut tokens),
            TokenTree::Group(group) => bare_versions(group.stream(), found),
            _ => {}
        }
    }
}

/// `V1_36` and its like.
fn is_a_version(name: &str) -> bool {
    name.strip_prefix("V1_").is_some_and(|minor| minor.parse::<u8>().is_ok())
}

#[test]
fn versions_are_compared_in_the_version_module_alone() {
    for (file, tokens) in sources() {
        let mut found = Vec::new();
        bare_versions(tokens, &mut found);
        assert!(
            top_level_module(&file) == "version" || found.is_empty(),
            "src/{file} looks at {found:?}: ask FeatureGates::has for a named change"
        );
    }
}

#[test]
fn a_comparison_with_a_version_is_found() {
    for code in ["a.version() >= b", "match v { V1_31 => {} }", "a.version().minor() < 31"] {
        let mut found = Vec::new();
        bare_versions(code.parse().unwrap(), &mut found);
        assert!(!found.is_empty(), "{code}");
    }
    let mut found = Vec::new();
    let fine = "f(a.version()); #[cfg(test)] mod tests { fn f() { a.version() >= V1_31 } }";
    bare_versions(fine.parse().unwrap(), &mut found);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn each_change_that_a_version_alone_decides_is_asked_for() {
    fn has_ident(tokens: TokenStream, wanted: &str) -> bool {
        tokens.into_iter().any(|tree| match tree {
            TokenTree::Ident(name) => name == wanted,
            TokenTree::Group(group) => has_ident(group.stream(), wanted),
            _ => false,
        })
    }
    let sources = sources();
    let by_version = |change: &&Change| change.decided_by() == DecidedBy::Version;
    for change in Change::ALL.iter().filter(by_version) {
        let name = format!("{change:?}");
        let asked = sources.iter().any(|(file, tokens)| {
            top_level_module(file) != "version" && has_ident(tokens.clone(), &name)
        });
        assert!(asked, "no code asks for Change::{name}");
    }
}

#[test]
fn a_cycle_is_found_and_its_path_told() {
    let graph_of = |edges: &[(&'static str, &'static [&'static str])]| {
        edges.iter().map(|(from, to)| (*from, to.iter().copied().collect())).collect()
    };
    let closed = graph_of(&[("a", &["b"]), ("b", &["c"]), ("c", &["d", "b"]), ("d", &[])]);
    assert_eq!(cycle(&closed), Some(["b", "c", "b"].map(str::to_owned).into()));
    let open = graph_of(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])]);
    assert_eq!(cycle(&open), None);
}

#[test]
fn references_are_read_from_use_trees_and_paths_and_not_from_tests_and_comments() {
    let tokens: TokenStream = r#"
        //! [`crate::comment`]
        use crate::{one::A, two::{self, B}, three};
        use crate::four::*;
        fn f() -> crate::five::C { g!("crate::text", crate::six::D) }
        #[cfg(test)]
        use crate::seven::E;
        #[cfg(test)]
        mod tests { use crate::eight::F; }
        pub(crate) fn g() {}
    "#
    .parse()
    .unwrap();
    let mut names = Vec::new();
    names_after_crate(tokens, &mut names);
    assert_eq!(names, ["one", "two", "three", "four", "five", "six"]);
}

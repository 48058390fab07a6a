//! Every recorded case gives the recorded answer, and the comparison itself can fail.

use std::path::{Path, PathBuf};

use harness::conformance::{FAMILIES, differences, family_name, replay_file};
use harness::vectors::{self, EXPECTED_TO_DIFFER, Expected};
use serde_json::json;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/data")
}

/// Replays the files of one family in `tests/conformance/data`.
fn replay(name: &str) {
    let family = FAMILIES.iter().find(|family| family.name == name).expect("a modelled family");
    let folder = data();
    let mut cases = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if family_name(&path) != Some(name) {
            continue;
        }
        let tally = replay_file(family, &path).unwrap_or_else(|error| panic!("{error}"));
        cases += tally.cases;
        if let Some(first) = tally.mismatches.first() {
            panic!(
                "{} of {} cases differ; the first, {}:{}: {:#?}",
                tally.mismatches.len(),
                tally.cases,
                first.path.display(),
                first.line,
                first.differences
            );
        }
    }
    assert!(cases > 0, "no cases of family {name}");
}

/// One test a family, so that they run side by side and fail by name.
macro_rules! replays {
    ($($test:ident: $family:literal;)*) => {
        $(#[test]
        fn $test() {
            replay($family);
        })*

        /// The families that were recorded from Kubernetes v1.36.2.
        const REPLAYED: &[&str] = &[$($family),*];
    };
}

replays! {
    actions: "actions";
    backoff: "backoff";
    phase: "phase";
    print: "print";
    status: "status";
    traces: "traces";
    quantities: "quantity";
    resources: "resources";
    pod_requests_and_limits: "podrequests";
    validation: "validation";
    update: "update";
    termination: "termination";
}

/// Replays the oracle's answers of one version. Those on which this crate is known to differ are
/// listed beside them; the list may only become shorter.
fn replay_oracle(kubernetes: &str) {
    let folder = vectors::folder_of(&data(), kubernetes);
    let expected = Expected::read(&folder.join(EXPECTED_TO_DIFFER)).unwrap();
    for path in vectors::files(&folder).unwrap() {
        let replayed = vectors::replay(&path, &expected).unwrap_or_else(|error| panic!("{error}"));
        let name = path.display();
        assert!(replayed.cases > 0, "no cases in {name}");
        assert!(
            replayed.agreeing.is_empty(),
            "{name}: no longer differ: {:?}; take them off with \
             `cargo run -p harness --bin record -- --kubernetes {kubernetes} --shorten`",
            replayed.agreeing
        );
        if let Some((line, differences)) = replayed.unexpected.first() {
            let count = replayed.unexpected.len();
            panic!("{count} cases of {name} differ and are not listed; line {line}: {differences}");
        }
    }
}

#[test]
fn answers_of_the_oracle_for_1_34() {
    replay_oracle("1.34");
}

#[test]
fn answers_of_the_oracle_for_1_35() {
    replay_oracle("1.35");
}

#[test]
fn answers_of_the_oracle_for_1_36() {
    replay_oracle("1.36");
}

#[test]
fn answers_of_the_oracle_for_1_37() {
    replay_oracle("1.37");
}

#[test]
fn every_modelled_family_is_replayed() {
    let oracle = vectors::files(&vectors::folder_of(&data(), "1.36")).unwrap();
    let oracle: Vec<&str> = oracle.iter().filter_map(|path| family_name(path)).collect();
    for family in FAMILIES {
        let name = family.name;
        assert!(REPLAYED.contains(&name) || oracle.contains(&name), "{name} is not replayed");
    }
}

#[test]
fn every_folder_of_answers_is_replayed() {
    let folders = std::fs::read_dir(data()).unwrap().map(|entry| entry.unwrap());
    let folders = folders.filter(|entry| entry.path().is_dir());
    let mut names: Vec<_> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["oracle-1.34", "oracle-1.35", "oracle-1.36", "oracle-1.37"]);
}

#[test]
fn a_family_is_named_by_the_last_word_of_the_file_name() {
    assert_eq!(family_name(Path::new("x/upstream_actions.jsonl.gz")), Some("actions"));
    assert_eq!(family_name(Path::new("actions.jsonl")), Some("actions"));
}

#[test]
fn absent_false_zero_and_empty_are_the_same_answer() {
    let set = json!({"a": false, "b": 0, "c": "", "d": [], "e": {"f": null}});
    assert_eq!(differences(&set, &json!({})), []);
}

#[test]
fn a_difference_names_its_path_and_both_sides() {
    let found = differences(&json!({"a": [{"b": 1}]}), &json!({"a": [{"b": 2}]}));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].path, "a[0].b");
    assert_eq!((&found[0].expected, &found[0].got), (&Some(json!(1)), &Some(json!(2))));
    assert_eq!(differences(&json!({"a": [0]}), &json!({"a": [0, 0]})).len(), 1);
}

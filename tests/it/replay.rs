//! Every recorded case gives the recorded answer, and the comparison itself can fail.

use std::path::Path;

use serde_json::json;

use crate::conformance::{FAMILIES, differences, family_name, replay_file};

/// Replays the files of one family below `tests/conformance/data`.
fn replay(name: &str) {
    let family = FAMILIES.iter().find(|family| family.name == name).expect("a modelled family");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/data");
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

        #[test]
        fn every_modelled_family_is_replayed() {
            let replayed: &[&str] = &[$($family),*];
            for family in FAMILIES {
                assert!(replayed.contains(&family.name), "{} is not replayed", family.name);
            }
        }
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

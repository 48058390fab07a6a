//! Lives without an oracle: random ones, and some that it has played once.

use std::error::Error;
use std::fs;
use std::path::Path;

use harness::draw::draw;
use harness::lives::compare::compare;
use harness::lives::play::play_again;
use harness::lives::{Class, LifeCase, strategy};
use podinit::KubernetesVersion;
use podinit::sim::node::{Options, Trace, Usual, play};
use serde_json::{Value, json};

/// A life as it was recorded: the question, and the oracle's answer.
fn recorded(path: &Path) -> Result<(LifeCase, Trace), Box<dyn Error>> {
    let mut life: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
    let answer = serde_json::from_value(life["answer"].take())?;
    let case = json!({"pod": life["pod"].take(), "scenario": life["scenario"].take()});
    Ok((LifeCase::from_value(case)?, answer))
}

#[test]
fn recorded_lives_are_played_to_the_millisecond() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded");
    let mut played = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "json") {
            continue;
        }
        let (case, oracle) = recorded(&path).unwrap();
        let gates = case.gates(KubernetesVersion::V1_36).unwrap();
        let podinit = play_again(&case, &oracle, gates).unwrap();
        let differences = compare(&case, &oracle, &podinit);
        assert!(differences.is_empty(), "{}: {}", path.display(), differences[0]);
        played += 1;
    }
    assert!(played >= 5, "{played} lives");
}

#[test]
fn every_random_life_is_one_that_podinit_takes_and_survives_being_written() {
    for class in Class::ALL {
        for number in 0..40 {
            let case = draw(&strategy::lives(*class), 3, class.name(), number).unwrap();
            let pod = case.compile("p1", "1", KubernetesVersion::V1_36).unwrap();
            case.scenario.check(&pod).unwrap();
            let written = case.to_yaml();
            assert_eq!(LifeCase::from_yaml(&written).unwrap(), case, "{written}");
            let json = serde_json::to_string(&case.to_value()).unwrap();
            let read = LifeCase::from_value(serde_json::from_str(&json).unwrap()).unwrap();
            assert_eq!(read, case, "{json}");
        }
    }
}

#[test]
fn every_random_life_of_a_class_that_is_modelled_is_played_to_its_end() {
    for class in Class::ALL.iter().filter(|class| **class != Class::Resize) {
        for number in 0..40 {
            let case = draw(&strategy::lives(*class), 5, class.name(), number).unwrap();
            let gates = case.gates(KubernetesVersion::V1_36).unwrap();
            let pod = case.pod("p1", "1").unwrap();
            let trace = play(&pod, &case.scenario, &Options::new(gates), &Usual).unwrap();
            assert!(!trace.entries.is_empty());
            let again = play(&pod, &case.scenario, &Options::new(gates), &Usual).unwrap();
            assert_eq!(again, trace, "{}", case.to_yaml());
        }
    }
}

#[test]
fn a_seed_gives_the_same_life_again() {
    let life = |seed| draw(&strategy::lives(Class::Everything), seed, "everything", 5).unwrap();
    assert_eq!(life(7), life(7));
    assert_ne!(life(7), life(8));
}

#[test]
fn the_cases_in_files_can_be_played() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut read = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let case = LifeCase::from_yaml(&fs::read_to_string(&path).unwrap()).unwrap();
        let gates = case.gates(KubernetesVersion::V1_36).unwrap();
        let pod = case.pod("p1", "1").unwrap();
        let played = play(&pod, &case.scenario, &Options::new(gates), &Usual);
        assert!(played.is_ok(), "{}: {:?}", path.display(), played.err());
        read += 1;
    }
    assert!(read > 0, "no case was read");
}

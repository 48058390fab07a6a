//! The oracle itself, where it is built.

use harness::lives::LifeCase;
use harness::oracle::{Oracle, OracleError, RefusalKind};
use podinit::KubernetesVersion;
use podinit::sim::node::{Kind, Trace};
use serde_json::json;

/// The oracle, or a word that there is none: nothing else can be tested then.
fn oracle() -> Option<Oracle> {
    match Oracle::find(KubernetesVersion::V1_36) {
        Ok(oracle) => Some(oracle),
        Err(error) => {
            println!("SKIPPED: {error}");
            None
        }
    }
}

#[test]
fn a_life_is_played_and_errors_are_told_line_by_line() {
    let Some(mut oracle) = oracle() else { return };
    let life = |scenario| {
        json!({
            "pod": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "x"}]}},
            "scenario": scenario,
        })
    };
    let ends =
        life(json!({"until": "20s", "containers": {"a": {"instances": [{"runFor": "3s"}]}}}));
    let questions = [
        ends.clone(),
        life(json!({"untill": "20s"})),
        json!({"pod": {"spec": {}}}),
        life(json!({"containers": {"b": {}}})),
        ends,
    ];
    let mut answered = 0;
    let answers = oracle.ask_all("lives", &questions, &mut || answered += 1).unwrap();
    assert_eq!((answers.len(), answered), (questions.len(), questions.len()));
    let kind = |index: usize| match &answers[index] {
        Err(OracleError::Refused(refusal)) => refusal.kind.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(kind(1), RefusalKind::UnknownField);
    assert_eq!(kind(2), RefusalKind::Refused);
    assert_eq!(kind(3), RefusalKind::Invalid);
    let trace: Trace = serde_json::from_value(answers[0].as_ref().unwrap().clone()).unwrap();
    let mut phases = trace.entries.iter().filter_map(|entry| entry.status.as_ref());
    assert_eq!(phases.next_back().unwrap().known.phase, podinit::PodPhase::Succeeded);
    assert!(
        trace.entries.iter().any(|entry| entry.kind == Kind::Call && entry.op == "StartContainer")
    );
    assert_eq!(answers[0].as_ref().unwrap(), answers[4].as_ref().unwrap());
}

#[test]
fn scenarios_are_read_alike_on_both_sides() {
    let Some(mut oracle) = oracle() else { return };
    for text in [
        "{until: 5s, sandboxes: [{takes: 41ms, ip: 10.0.0.9}]}",
        "{until: 5s, calls: [{call: StopContainer, times: 2, error: busy, code: Unavailable}]}",
        "{until: 5s, node: {featureGates: {NodeSwap: true}, cpu: 4, memory: 8Gi}}",
        "{until: 721h}",
        "{until: 5}",
        "{until: -5s}",
        "{actions: [{at: 1s}]}",
        "{actions: [{at: 1s, patch: {subresource: scale, patch: {}}}]}",
        "{calls: [{call: Nonsense, error: x}]}",
        "{calls: [{call: StopContainer}]}",
        "{containers: {a: {instances: [{exitCode: 256}]}}}",
        "{containers: {a: {instances: [{answers: [{httpStatus: 99}]}]}}}",
        "{containers: {a: {instances: [{signal: 9, exitCode: 1}]}}}",
    ] {
        let text =
            format!("{{pod: {{spec: {{containers: [{{name: a, image: x}}]}}}}, scenario: {text}}}");
        let ours = LifeCase::from_yaml(&text);
        let question: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        let theirs = oracle.ask("lives", &question);
        assert_eq!(ours.is_ok(), theirs.is_ok(), "{text}\n{ours:?}\n{theirs:?}");
    }
}

#[test]
fn a_program_that_is_no_oracle_is_told_from_one() {
    let error = Oracle::at("/bin/echo").version().unwrap_err();
    assert!(matches!(error, OracleError::NotUnderstood { .. }), "{error}");
    let mut ends_at_once = Oracle::at("/bin/true");
    let error = ends_at_once.ask("lives", &json!({"n": 1})).unwrap_err();
    assert!(matches!(error, OracleError::Crashed { .. }), "{error}");
    let error = Oracle::at("/nowhere").ask("lives", &json!({})).unwrap_err();
    assert!(matches!(error, OracleError::NotStarted { .. }), "{error}");
}

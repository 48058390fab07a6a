//! Tests of reading, writing and checking.

use alloc::string::{String, ToString};

use serde_json::{Value, json};

use super::*;
use crate::pod::PodSpec;
use crate::version::FeatureGates;

fn read(value: Value) -> Result<Scenario, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

#[test]
fn errors_name_the_path_and_the_value() {
    for (value, message) in [
        (json!([]), "must be an object, not []"),
        (json!({"untill": "5s"}), "unknown field \"untill\": did you mean \"until\"?"),
        (json!({"until": 5}), "until: must be a duration such as 1m30s, not 5"),
        (
            json!({"until": "721h"}),
            "until: Invalid value: \"721h\": a pod can be watched for 720h0m0s at the most",
        ),
        (
            json!({"containers": {"a": {"instances": [{}, {"exitCode": 1, "signal": 9}]}}}),
            "containers.a.instances[1].signal: Invalid value: 9: an instance ends with an exit code \
             or by a signal",
        ),
        (
            json!({"containers": {"a": {"instances": [{"exitCode": 1.5}]}}}),
            "containers.a.instances[0].exitCode: Invalid value: 1.5: must be a whole number from \
             -2147483648 to 2147483647",
        ),
        (
            json!({"actions": [{"at": "1s"}]}),
            "actions[0]: Invalid value: {\"at\":\"1s\"}: an action has exactly one verb",
        ),
        (
            json!({"actions": [{"delete": {}, "preempt": {}}]}),
            "actions[0]: Invalid value: {\"delete\":{},\"preempt\":{}}: an action has exactly one \
             verb",
        ),
        (
            json!({"actions": [{"at": "1s", "delete": {"gracePeriodSeconds": -1}}]}),
            "actions[0].delete.gracePeriodSeconds: Invalid value: -1: must not be negative",
        ),
        (
            json!({"actions": [{"preempt": null}]}),
            "actions[0].preempt: must be an object, not null",
        ),
        (json!({"calls": [{}]}), "calls[0]: call must be given"),
        (
            json!({"calls": [{"call": "PullImage"}]}),
            "calls[0]: Invalid value: {\"call\":\"PullImage\"}: must have an error",
        ),
        (
            json!({"containers": {"a": {"instances": [{"stop": {"exitCode": 256}}]}}}),
            "containers.a.instances[0].stop.exitCode: Invalid value: 256: exit codes are 0 to 255",
        ),
        (json!({"node": {"memory": "lots"}}), "node.memory: Invalid value: \"lots\": "),
    ] {
        let error = read(value.clone()).unwrap_err();
        assert!(error.starts_with(message), "{value}:\n{error}\n{message}");
    }
}

#[test]
fn a_key_that_comes_twice_is_refused() {
    let error = serde_json::from_str::<Scenario>(r#"{"until":"1s","until":"2s"}"#).unwrap_err();
    assert!(error.to_string().starts_with("until: Duplicate value"), "{error}");
    // Also where any value is taken.
    let patch = r#"{"actions":[{"patch":{"patch":{"a":1,"a":2}}}]}"#;
    assert!(serde_json::from_str::<Scenario>(patch).is_err());
}

#[test]
fn what_is_as_by_default_is_not_written() {
    let scenario = read(json!({
        "until": "600s",
        "containers": {"a": {"instances": [{"runFor": "90s", "exitCode": 0, "stop": {}}]}},
        "sandboxes": [{"keepsContainers": false}],
        "calls": [{"call": "StopContainer", "error": "x", "code": "Unknown", "times": 2}],
        "actions": [{"at": "0", "nodeShutdown": {}}],
        "node": {"cpu": 2, "exactCPUShares": false},
    }));
    let written = serde_json::to_value(scenario.unwrap()).unwrap();
    let expected = json!({
        "containers": {"a": {"instances": [{"runFor": "1m30s", "stop": {}}]}},
        "sandboxes": [{}],
        "calls": [{"call": "StopContainer", "times": 2, "error": "x"}],
        "actions": [{"at": "0s", "nodeShutdown": {}}],
        "node": {"cpu": "2"},
    });
    assert_eq!(written, expected);
}

#[test]
fn a_container_that_the_pod_does_not_have_is_refused_unless_an_action_adds_it() {
    let pod = serde_json::from_value(json!({"spec": {"containers": [{"name": "app"}]}})).unwrap();
    let pod = PodSpec::compile_unchecked(&pod, FeatureGates::default()).unwrap();
    let check = |scenario| read(scenario).unwrap().check(&pod).map_err(|error| error.to_string());
    assert_eq!(check(json!({"containers": {"app": {}}})), Ok(()));
    assert_eq!(
        check(json!({"containers": {"apq": {}}})).unwrap_err(),
        "containers.apq: the pod has no container \"apq\": did you mean \"app\"?"
    );
    assert_eq!(
        check(json!({"actions": [{"killContainer": {"container": "db"}}]})).unwrap_err(),
        "actions[0].killContainer.container: the pod has no container \"db\""
    );
    assert_eq!(
        check(json!({
            "containers": {"debug": {}},
            "actions": [{"at": "3s", "addEphemeralContainer": {"container": {"name": "debug"}}}],
        })),
        Ok(())
    );
}

#[test]
fn the_first_answer_that_fits_counts_and_the_last_instance_repeats() {
    let instance = read(json!({"containers": {"a": {"instances": [{"answers": [
        {"command": "http :80/", "from": "2s", "until": "4s", "exitCode": 1},
        {"command": "http", "exitCode": 2},
    ]}]}}}))
    .unwrap()
    .container("a")
    .instance(7);
    let answer = |command: &str, secs| {
        instance.answer(command, Duration::from_secs(secs)).map(|answer| answer.exit_code)
    };
    assert_eq!(answer("http :80/ready", 1), Some(2));
    assert_eq!(answer("http :80/ready", 2), Some(1));
    assert_eq!(answer("http :80/ready", 4), Some(2));
    assert_eq!(answer("tcp :80", 4), None);
}

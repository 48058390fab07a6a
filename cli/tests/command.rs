//! The command as users have it: what it prints, what it says of bad input, how it exits.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};

use assert_cmd::Command;

fn podinit(args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("podinit").unwrap();
    command.args(args).env("NO_COLOR", "1").env_remove("CLICOLOR_FORCE");
    command
}

fn manifest(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/manifests").join(name);
    path.to_str().unwrap().to_owned()
}

/// What it printed; it did as asked.
#[track_caller]
fn printed(args: &[&str]) -> String {
    let output = podinit(args).assert().code(0).get_output().stdout.clone();
    String::from_utf8(output).unwrap()
}

/// It was used wrongly, and said why in one line.
#[track_caller]
fn refused(args: &[&str]) -> String {
    let output = podinit(args).assert().code(2).get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(output.stdout.is_empty());
    said
}

/// A folder with one file in it.
fn file(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      initContainers:
      - {name: migrate, image: 'migrate:1'}
      containers:
      - {name: app, image: 'app:1'}
";

#[test]
fn simulate_shows_what_is_done_and_why() {
    let web = manifest("wait-for-services.yaml");
    let table = printed(&["simulate", &web, "--fail", "init-mydb=1x2"]);
    assert!(table.contains("Init:CrashLoopBackOff"), "{table}");
    assert!(table.ends_with("nothing more happens.\n"), "{table}");
}

#[test]
fn simulate_takes_the_template_of_a_workload() {
    let (_folder, path) = file("web.yaml", DEPLOYMENT);
    let times = printed(&["simulate", path.to_str().unwrap(), "--ready-at"]);
    insta::assert_snapshot!(times, @r"
    web               TIME
    pod initialized   5s
    migrate started   0s
    migrate ready     5s
    app started       5s
    app ready         5s
    pod ready         5s
    pod ended         never
    ");
}

#[test]
fn simulate_keeps_the_kubelets_pace_where_it_is_asked_to() {
    let (_folder, path) = file("web.yaml", DEPLOYMENT);
    let path = path.to_str().unwrap();
    let short = ["simulate", path, "--timing", "kubelet", "--fail", "migrate=1", "--until", "1m"];
    let trace = printed(&short);
    assert!(trace.contains("StartContainer migrate #1"), "{trace}");
    let scenario =
        "containers: {migrate: {instances: [{runFor: 5s, exitCode: 1}, {runFor: 5s}]}}\n";
    let (_other, scenario) = file("scenario.yaml", &format!("until: 1m\n{scenario}"));
    let said = printed(&["simulate", path, "--scenario", scenario.to_str().unwrap()]);
    assert_eq!(said, trace, "the short forms say the same as a file");
}

#[test]
fn every_picture_shows_every_container() {
    let web = manifest("wait-for-services.yaml");
    let formats =
        ["chrome-trace", "svg", "html", "mermaid", "csv", "otlp", "json", "yaml", "watch", "table"];
    for format in formats {
        let picture = printed(&["simulate", &web, "-o", format]);
        if format != "watch" {
            for container in ["init-myservice", "init-mydb", "myapp-container"] {
                assert!(picture.contains(container), "{format}: {container} is missing");
            }
        }
        if ["chrome-trace", "otlp", "json"].contains(&format) {
            let json: Result<serde_json::Value, _> = serde_json::from_str(&picture);
            assert!(json.is_ok(), "{format}: {json:?}");
        }
    }
}

#[test]
fn slices_of_a_chrome_trace_follow_each_other_on_each_track() {
    let web = manifest("wait-for-services.yaml");
    let trace = printed(&["simulate", &web, "--fail", "init-mydb=1x3", "-o", "chrome-trace"]);
    let trace: serde_json::Value = serde_json::from_str(&trace).unwrap();
    let mut ends = std::collections::BTreeMap::new();
    for event in trace["traceEvents"].as_array().unwrap() {
        if event["ph"] != "X" {
            continue;
        }
        let (begin, length) = (event["ts"].as_u64().unwrap(), event["dur"].as_u64().unwrap());
        let end = ends.entry(event["tid"].as_u64().unwrap()).or_insert(0);
        assert!(begin >= *end && length > 0, "{event}");
        *end = begin + length;
    }
    // The phase, the STATUS, and three containers.
    assert_eq!(ends.len(), 5);
}

#[test]
fn compare_marks_what_differs_and_names_the_changes() {
    let web = manifest("wait-for-services.yaml");
    let args =
        ["compare", &web, "--kubernetes", "v1.34", "--with", "1.36", "--fail", "init-mydb=1x4"];
    let output = podinit(&args).assert().code(1).get_output().stdout.clone();
    let text = String::from_utf8(output).unwrap();
    assert!(text.contains("1.35  Timing: a pod that waits for a back-off"), "{text}");
    let same = printed(&["compare", &web, &web]);
    assert!(same.contains("\n0 of "), "{same}");
    assert!(refused(&["compare", &web]).contains("nothing to compare with"));
}

#[test]
fn validate_says_how_many_pods_it_checked_and_fails_if_none() {
    let (_folder, path) = file("web.yaml", DEPLOYMENT);
    let text = printed(&["validate", path.to_str().unwrap()]);
    assert_eq!(text, "1 pod checked: 0 errors, 0 warnings\n");
    let (_folder, path) =
        file("map.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n");
    let map = path.to_str().unwrap();
    podinit(&["validate", map]).assert().code(1);
    podinit(&["validate", map, "--allow-empty"]).assert().code(0);
}

#[test]
fn validate_names_the_field_of_a_template_in_each_format() {
    let wrong = DEPLOYMENT.replace("name: app, image: 'app:1'", "name: App, image: 'app:1'");
    let (_folder, path) = file("web.yaml", &wrong);
    let path = path.to_str().unwrap();
    for (format, expected) in [
        (
            "text",
            "web.yaml:13:10: error: Deployment \"web\": spec.template.spec.containers[0].name: Invalid",
        ),
        ("json", "spec.template.spec.containers[0].name"),
        ("sarif", "\"level\": \"error\""),
        ("github", "::error file="),
    ] {
        let output = podinit(&["validate", path, "-o", format]).assert().code(1);
        let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
        assert!(text.contains(expected), "{format}: {text}");
    }
}

#[test]
fn diagnose_says_what_a_pod_waits_for_and_until_when() {
    let pod = "
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: default, uid: 1}
spec:
  nodeName: node
  initContainers: [{name: migrate, image: 'migrate:1'}]
  containers: [{name: app, image: 'app:1'}]
status:
  phase: Pending
  startTime: '2026-11-26T08:00:00Z'
  conditions:
  - {type: PodReadyToStartContainers, status: 'True'}
  - {type: Initialized, status: 'False', reason: ContainersNotInitialized, message: 'containers with incomplete status: [migrate]'}
  - {type: Ready, status: 'False', reason: ContainersNotReady, message: 'containers with unready status: [app]'}
  - {type: ContainersReady, status: 'False', reason: ContainersNotReady, message: 'containers with unready status: [app]'}
  - {type: PodScheduled, status: 'True'}
  initContainerStatuses:
  - name: migrate
    image: migrate:1
    imageID: migrate
    ready: false
    started: false
    restartCount: 3
    state: {waiting: {reason: CrashLoopBackOff, message: back-off 40s restarting failed container=migrate pod=web_default(1)}}
    lastState: {terminated: {exitCode: 1, reason: Error, startedAt: '2026-11-26T08:01:00Z', finishedAt: '2026-11-26T08:01:10Z', containerID: 'c://1'}}
  containerStatuses:
  - {name: app, image: 'app:1', imageID: '', ready: false, started: false, restartCount: 0, state: {waiting: {reason: PodInitializing}}}
";
    let (_folder, path) = file("web.yaml", &pod.replace("uid: 1", "uid: '1'"));
    let args = ["diagnose", path.to_str().unwrap(), "--now", "2026-11-26T08:01:20Z"];
    let output = podinit(&args).assert().code(1).get_output().stdout.clone();
    let text = String::from_utf8(output).unwrap();
    for expected in
        ["Init:CrashLoopBackOff", "tried again in 30s", "unblocked by: a run that does not fail"]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let (_folder, path) = file(
        "web.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: a}]}\n",
    );
    assert!(refused(&["diagnose", path.to_str().unwrap()]).contains("pod a has no status"));
}

#[test]
fn versions_lists_changes_gates_and_bugs() {
    let text = printed(&["versions", "1.36", "1.37"]);
    for expected in ["#138514", "MemoryQoS", "PodLevelResourcesFixKubeletQOSClass"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&printed(&["versions", "v1.31", "1.33", "-o", "json"])).unwrap();
    assert!(json["knownBugs"].as_array().is_some_and(|bugs| bugs.len() == 2), "{json}");
}

#[test]
fn explain_tells_requests_class_cgroup_and_scores() {
    let text = printed(&["explain", &manifest("migrate.yaml")]);
    for expected in ["reserved", "QoS class", "CPU weight", "OOM score"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn a_mistake_is_one_line_with_a_suggestion() {
    let web = manifest("wait-for-services.yaml");
    let unknown = refused(&["simulate", &web, "--untill", "5s"]);
    assert!(unknown.contains("'--until'"), "{unknown}");
    let unknown = refused(&["simulate", &web, "--fail", "init-mydatabase=1"]);
    assert!(unknown.contains("it has init-myservice, init-mydb"), "{unknown}");
    let unknown = refused(&["simulate", &web, "--bug", "BackOffExpiryIgnore=on"]);
    assert!(unknown.contains("did you mean BackOffExpiryIgnored?"), "{unknown}");
    let unknown = refused(&["simulate", &web, "--run", "init-mydb=5"]);
    assert!(unknown.contains("missing unit"), "{unknown}");
    assert!(refused(&["simulate", "no-such.yaml"]).contains("no-such.yaml"));
    let folder = tempfile::tempdir().unwrap();
    let empty = refused(&["simulate", folder.path().to_str().unwrap()]);
    assert!(empty.contains("no .yaml, .yml or .json here"), "{empty}");
}

#[test]
fn standard_input_is_read_where_a_dash_stands() {
    let text = podinit(&["simulate", "-", "--ready-at"]).write_stdin(DEPLOYMENT).assert().code(0);
    assert!(String::from_utf8_lossy(&text.get_output().stdout).contains("pod ready"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_and_a_closed_pipe_is_not() {
    let binary = Command::cargo_bin("podinit").unwrap().get_program().to_owned();
    let binary = binary.to_str().unwrap();
    let web = manifest("wait-for-services.yaml");
    let full = Command::new("sh")
        .args(["-c", &format!("{binary} simulate {web} > /dev/full")])
        .assert()
        .code(2);
    let said = String::from_utf8_lossy(&full.get_output().stderr).into_owned();
    assert!(said.contains("No space left on device"), "{said}");
    let closed = Command::new("bash")
        .args(["-c", &format!("set -o pipefail; {binary} simulate {web} | head -1")])
        .assert()
        .code(0);
    assert!(closed.get_output().stderr.is_empty());
}

#[test]
fn completions_and_man_pages_are_made_from_the_options() {
    assert!(printed(&["completions", "bash"]).contains("--restart-kubelet"));
    assert!(printed(&["man", "simulate"]).contains("restart\\-kubelet"));
}

#[test]
fn fleet_tells_the_same_of_the_same_seed_in_each_format() {
    let web = manifest("wait-for-services.yaml");
    let of = |format: &str| {
        let run = "init-mydb=1s,2s,30s";
        printed(&[
            "fleet",
            &web,
            "--pods",
            "500",
            "--fail",
            "init-mydb=20%",
            "--run",
            run,
            "-o",
            format,
        ])
    };
    let json: serde_json::Value = serde_json::from_str(&of("json")).unwrap();
    assert_eq!(json["pods"], 500);
    assert_eq!(json["readyAfter"]["count"], 500);
    // A fifth of the runs fail: of 625 runs in 500 pods, 125.
    let restarts = json["restarts"].as_u64().unwrap();
    assert!((90..160).contains(&restarts), "{restarts}");
    let svg = of("svg");
    for expected in ["Start-up time of 500 of 500 pods", "Init:CrashLoopBackOff", "p99.9"] {
        assert!(svg.contains(expected), "{expected}: {svg}");
    }
    // All pods run on to the end.
    assert!(!svg.contains("Running"), "{svg}");
    for format in ["table", "json", "yaml", "csv", "svg"] {
        assert_eq!(of(format), of(format), "{format}");
    }
}

#[test]
fn fleet_lets_as_many_runs_fail_as_was_said() {
    let web = manifest("wait-for-services.yaml");
    let of = |fail: &str| -> serde_json::Value {
        let fail = format!("init-mydb={fail}");
        let said = printed(&["fleet", &web, "--pods", "500", "--fail", &fail, "-o", "json"]);
        serde_json::from_str(&said).unwrap()
    };
    // Nine in ten: nine failures before each success, 4,500 in 500 pods.
    let most = of("90%");
    let restarts = most["restarts"].as_u64().unwrap();
    assert!((3_900..5_100).contains(&restarts), "{restarts}");
    assert_eq!(most["readyAfter"]["count"], 500);
    let all = of("100%");
    assert_eq!(all["readyAfter"]["count"], 0);
    assert_eq!(all["initializedAfter"]["count"], 0);
}

#[test]
fn fleet_refuses_what_is_no_chance_and_whom_there_is_not() {
    let web = manifest("wait-for-services.yaml");
    for (option, value, told) in [
        ("--fail", "init-mydb=5", "is no percentage"),
        ("--run", "init-mydb=2s,1s", "from the least to the greatest"),
        ("--run", "init-mydb=1", "missing unit"),
        ("--pull", "mydb=1s", "no pod has a container \"mydb\""),
        ("--nodes", "0", "--nodes"),
    ] {
        let said = refused(&["fleet", &web, option, value]);
        assert!(said.contains(told), "{said}");
    }
}

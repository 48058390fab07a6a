//! The examples as programs: what they print, what they say of bad input, how they exit.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The folder of the examples that `cargo test` has built beside this test.
fn examples() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    // target/debug/deps/it-… → target/debug/examples
    test.parent().and_then(Path::parent).unwrap().join("examples")
}

fn example(name: &str) -> PathBuf {
    let path = examples().join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        path.is_file(),
        "{} is not there: run `cargo test`, or `cargo build --examples` first",
        path.display()
    );
    path
}

/// What a program did.
struct Ran {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

fn run<S: AsRef<std::ffi::OsStr>>(name: &str, args: &[S]) -> Ran {
    let Output { status, stdout, stderr } =
        Command::new(example(name)).args(args).env("NO_COLOR", "1").output().unwrap();
    let ran = Ran {
        status: status.code(),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    };
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    ran
}

impl Ran {
    /// It failed with this status, printed nothing else, and said why in one line.
    #[track_caller]
    fn refused(&self, status: i32) -> &str {
        assert_eq!(self.status, Some(status), "{}{}", self.stdout, self.stderr);
        let lines: Vec<&str> = self.stderr.lines().collect();
        assert_eq!(lines.len(), 1, "more than a line: {}", self.stderr);
        lines[0]
    }

    #[track_caller]
    fn succeeded(&self) -> &str {
        assert_eq!(self.status, Some(0), "{}{}", self.stdout, self.stderr);
        &self.stdout
    }
}

/// A folder of its own for one test, gone when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("podinit-{}-{test}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn manifest(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/manifests").join(name)
}

const POD: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  initContainers: [{name: migrate, image: 'db-tools:1'}]
  containers: [{name: app, image: 'web:1'}]
";

/// Files that hold no pod that can be read, by name.
fn bad_files(folder: &Folder) -> Vec<PathBuf> {
    vec![
        folder.0.join("absent.yaml"),
        folder.file("empty.yaml", ""),
        folder.file("comment.yaml", "# nothing\n---\n"),
        folder.file("no-yaml.yaml", "a: [1, 2\nb: }"),
        folder.file("text.yaml", "just some words"),
        folder.file("number.yaml", "42"),
        folder.file("no-kind.yaml", "metadata: {name: web}"),
        folder.file("service.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: web}"),
        folder.file("wrong-type.yaml", POD.replace("name: app", "name: [app]")),
        folder.file("unknown-field.yaml", POD.replace("image: 'web:1'", "imgae: 'web:1'")),
        folder.file("no-spec.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: web}"),
        folder.file("too-deep.yaml", format!("{}{}", "[".repeat(10_000), "]".repeat(10_000))),
        folder.file("too-deep.json", "{\"a\":".repeat(100_000)),
        folder.file("no-utf-8.yaml", [b"kind: ".as_slice(), &[0xff, 0xfe, 0x80]].concat()),
        folder.file("zeros.yaml", vec![0; 4_096]),
        folder.0.clone(),
    ]
}

/// What a program says of a bad file: one line that names it, and nothing else is printed.
#[track_caller]
fn told_of(name: &str, path: &Path, ran: &Ran) -> String {
    assert_eq!(ran.stdout, "", "{name} {}", path.display());
    // What is skipped is told in a line of its own before.
    let told: Vec<&str> = ran.stderr.lines().filter(|line| !line.contains("skipping")).collect();
    assert_eq!((ran.status, told.len()), (Some(1), 1), "{name} {}: {}", path.display(), ran.stderr);
    assert!(told[0].starts_with(&format!("{name}: ")), "{}", told[0]);
    assert!(told[0].contains(&path.display().to_string()), "{}", told[0]);
    assert!(told[0].len() < 400 + path.as_os_str().len(), "{}", told[0]);
    told[0].to_owned()
}

#[test]
fn simulate_says_in_one_line_what_is_wrong_with_a_file() {
    let folder = Folder::new("simulate-bad");
    for path in bad_files(&folder) {
        told_of("simulate", &path, &run("simulate", &[&path]));
    }
}

#[test]
fn simulate_plays_a_scenario_at_the_kubelets_pace_and_says_what_is_wrong_with_one() {
    let folder = Folder::new("kubelet-pace");
    let pod = manifest("wait-for-services.yaml");
    let play = |scenario: &str| {
        let file = folder.file("scenario.yaml", scenario);
        let args =
            [pod.as_os_str(), "--timing".as_ref(), "kubelet".as_ref(), "--scenario".as_ref()];
        run("simulate", &[&args[..], &[file.as_os_str()]].concat())
    };
    let ran =
        play("until: 5s\ncontainers: {init-myservice: {instances: [{runFor: 2s, exitCode: 1}]}}\n");
    let shown = ran.succeeded();
    for line in [
        "     0.000 RunPodSandbox #0\n",
        "     2.061   ~ exited init-myservice #0 -> 1 Error\n",
        "     2.860 CreateContainer init-myservice #1\n",
    ] {
        assert!(shown.contains(line), "{line:?} is not in\n{shown}");
    }
    let unknown = play("containers: {init-myservise: {}}\n");
    assert!(unknown.refused(1).contains("init-myservise"), "{}", unknown.stderr);
    let action = play("actions: [{at: 1s, preempt: {}}]\n");
    assert!(action.stderr.contains("preempt"), "{}", action.stderr);
    let ideal = run("simulate", &[pod.as_os_str(), "--scenario".as_ref(), "x.yaml".as_ref()]);
    assert_eq!(ideal.status, Some(2));
    assert!(ideal.stderr.starts_with("simulate: --scenario needs --timing kubelet"));
}

#[test]
fn compare_versions_says_in_one_line_what_is_wrong_with_a_file() {
    let folder = Folder::new("compare-bad");
    for path in bad_files(&folder) {
        let args = [path.as_os_str(), "1.31".as_ref(), "1.36".as_ref()];
        told_of("compare_versions", &path, &run("compare_versions", &args));
    }
}

#[test]
fn the_scheduler_says_in_one_line_what_is_wrong_with_a_file() {
    let folder = Folder::new("scheduler-bad");
    let nodes = manifest("scheduler/nodes.yaml");
    for path in bad_files(&folder) {
        // A field that nobody knows does not keep a pod from its place.
        let harmless = path.ends_with("unknown-field.yaml") || path.ends_with("no-spec.yaml");
        if !harmless {
            told_of("scheduler", &path, &run("scheduler", &[&nodes, &path]));
        }
        told_of("scheduler", &path, &run("scheduler", &[&path, &path]));
    }
}

#[test]
fn the_scheduler_places_its_own_pods() {
    let ran = run("scheduler", &[""; 0]);
    assert!(ran.succeeded().starts_with("POD "), "{}", ran.stdout);
    assert_eq!(ran.stderr, "");
}

#[test]
fn compare_versions_shows_both_side_by_side() {
    let file = manifest("wait-for-services.yaml");
    let ran = run("compare_versions", &[file.as_os_str(), "1.31".as_ref(), "1.36".as_ref()]);
    let stdout = ran.succeeded();
    assert!(stdout.contains("1.31") && stdout.contains("1.36"), "{stdout}");
}

#[test]
fn compare_versions_shows_its_usage_with_a_wrong_option() {
    let file = manifest("migrate.yaml");
    let file = file.to_str().unwrap();
    for args in [vec![], vec![file], vec![file, "1.31", "1.12"], vec![file, "1.31", "1.36", "--x"]]
    {
        let ran = run("compare_versions", &args);
        assert_eq!(ran.status, Some(2), "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.starts_with("compare_versions: "), "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("\nusage: compare_versions "), "{}", ran.stderr);
    }
}

/// Files that `validate` cannot even read, against those in which it finds errors.
#[test]
fn validate_tells_what_cannot_be_read_from_what_is_wrong() {
    let folder = Folder::new("validate-bad");
    for path in bad_files(&folder) {
        let ran = run("validate", &[&path]);
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !path.is_file() || name == "no-utf-8.yaml" {
            let told = ran.refused(2);
            assert!(told.starts_with(&format!("validate: {}: ", path.display())), "{told}");
        } else if name == "service.yaml" {
            assert!(ran.succeeded().contains("is no pod"), "{}", ran.stdout);
        } else {
            assert_eq!((ran.status, ran.stderr.as_str()), (Some(1), ""), "{name}: {}", ran.stdout);
            let all = ran.stdout.lines().all(|line| line.starts_with(path.to_str().unwrap()));
            assert!(all && ran.stdout.contains(": error: "), "{name}: {}", ran.stdout);
        }
    }
}

#[test]
fn validate_finds_no_error_in_any_manifest() {
    for name in [
        "two-in-order.yaml",
        "wait-for-services.yaml",
        "wait-short.yaml",
        "migrate.yaml",
        "clone.yaml",
    ] {
        let ran = run("validate", &[&manifest(name)]);
        assert!(!ran.succeeded().contains(": error: "), "{name}: {}", ran.stdout);
    }
}

#[test]
fn validate_exits_with_1_and_tells_every_error_with_its_line() {
    let folder = Folder::new("validate-wrong");
    let wrong = POD.replace("name: migrate", "name: app").replace("'web:1'", "''");
    let path = folder.file("wrong.yaml", wrong);
    let ran = run("validate", &[&path]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(1), ""), "{}", ran.stdout);
    let errors: Vec<&str> = ran.stdout.lines().filter(|line| line.contains(": error: ")).collect();
    assert_eq!(errors.len(), 2, "{}", ran.stdout);
    assert!(errors.iter().any(|line| line.contains(":5:") && line.contains("Duplicate value")));
    assert!(errors.iter().any(|line| line.contains(":6:") && line.contains("Required value")));
}

#[test]
fn simulate_names_what_it_skips_and_goes_on_with_the_pods() {
    let folder = Folder::new("simulate-skips");
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: db}\n";
    let path = folder.file("both.yaml", format!("{service}---\n{POD}"));
    let ran = run("simulate", &[&path]);
    assert!(ran.succeeded().ends_with("web: nothing more happens.\n"), "{}", ran.stdout);
    assert!(ran.stderr.contains("skipping Service db"), "{}", ran.stderr);
}

#[test]
fn simulate_shows_each_pod_of_a_file() {
    let folder = Folder::new("simulate-two");
    let other = POD.replace("name: web}", "name: other}");
    let path = folder.file("two.yaml", format!("{POD}---\n{other}"));
    let ran = run("simulate", &[&path]);
    let stdout = ran.succeeded();
    assert_eq!(stdout.matches("TIME ").count(), 2, "{stdout}");
    assert!(stdout.contains("web: nothing more happens.\n\nTIME "), "{stdout}");
}

#[test]
fn simulate_runs_every_manifest() {
    for (name, last) in [
        ("two-in-order.yaml", "1/1     Running"),
        ("wait-for-services.yaml", "1/1     Running"),
        ("wait-short.yaml", "1/1     Running"),
        ("migrate.yaml", "1/1     Running"),
        ("clone.yaml", "1/1     Running"),
    ] {
        let ran = run("simulate", &[&manifest(name)]);
        assert!(ran.succeeded().contains(last), "{name}: {}", ran.stdout);
        assert_eq!(ran.stderr, "", "{name}");
    }
}

#[test]
fn simulate_watches_as_kubectl_does() {
    let file = manifest("wait-for-services.yaml");
    let ran = run("simulate", &[file.as_os_str(), "--watch".as_ref()]);
    insta::assert_snapshot!(ran.succeeded(), @r"
    NAME        READY   STATUS                     RESTARTS        AGE
    myapp-pod   0/1     Init:0/2                   0               0s
    myapp-pod   0/1     Init:1/2                   0               5s
    myapp-pod   0/1     PodInitializing            0               10s
    myapp-pod   1/1     Running                    0               10s
    ");
}

#[test]
fn simulate_shows_failures_as_json_with_causes() {
    let file = manifest("migrate.yaml");
    let args = ["--fail", "init-migrate=3x2", "--json"].map(std::ffi::OsStr::new);
    let args: Vec<_> = [file.as_os_str()].into_iter().chain(args).collect();
    let ran = run("simulate", &args);
    let json: serde_json::Value = serde_json::from_str(ran.succeeded()).unwrap();
    let steps = json["steps"].as_array().unwrap();
    let restarted = steps
        .iter()
        .flat_map(|step| step["causes"].as_array().unwrap())
        .filter(|cause| cause["cause"].as_str().unwrap().starts_with("it exited with 3"))
        .count();
    assert!(restarted >= 2, "{json:#}");
    assert_eq!(steps.last().unwrap()["phase"], "Running");
}

#[test]
fn simulate_shows_starts_that_fail_and_an_eviction() {
    let file = manifest("migrate.yaml");
    let args = "--fail-pull init-migrate=1 --fail-create init-migrate=1 --fail-start init-migrate=1 \
                --evict 2m";
    let args = args.split(' ').map(std::ffi::OsStr::new);
    let args: Vec<_> = [file.as_os_str()].into_iter().chain(args).collect();
    let ran = run("simulate", &args);
    let stdout = ran.succeeded();
    let words = ["Init:ErrImagePull", "Init:CreateContainerError", "Init:RunContainerError"];
    let mut rest = stdout;
    for word in words.into_iter().chain(["Running", "Evicted"]) {
        rest = rest.split_once(word).unwrap_or_else(|| panic!("{word}: {stdout}")).1;
    }
    assert!(rest.ends_with(": the pod has ended.\n"), "{stdout}");
}

#[test]
fn simulate_ends_with_the_phase_that_the_api_server_has() {
    let folder = Folder::new("simulate-status");
    let path = folder.file("never.yaml", format!("{POD}  restartPolicy: Never\n"));
    let args = ["--fail", "migrate=1", "--status", "--describe"].map(std::ffi::OsStr::new);
    let args: Vec<_> = [path.as_os_str()].into_iter().chain(args).collect();
    let ran = run("simulate", &args);
    let stdout = ran.succeeded();
    assert!(stdout.contains("\nphase: Failed\n"), "{stdout}");
    let describes = |line: &str| line.starts_with("Status:") && line.ends_with(" Failed");
    assert!(stdout.lines().any(describes), "{stdout}");
}

#[test]
fn simulate_shows_its_usage_with_a_wrong_option() {
    let file = manifest("migrate.yaml");
    let file = file.to_str().unwrap();
    for (args, told) in [
        (vec![], "simulate: no file given"),
        (vec![file, "--fast"], "simulate: unknown option --fast"),
        (vec![file, file], "simulate: one file at a time: "),
        (vec![file, "--run"], "simulate: --run needs a value"),
        (vec![file, "--run", "x"], "simulate: expected NAME=VALUE, not \"x\""),
        (vec![file, "--run", "x=soon"], "simulate: \"soon\" is no duration"),
        (vec![file, "--run", "x=-5s"], "simulate: \"-5s\" is a negative duration"),
        (vec![file, "--fail", "x=oops"], "simulate: \"oops\" is no exit code"),
        (vec![file, "--fail", "x=1x-2"], "simulate: \"1x-2\" is no exit code"),
        (vec![file, "--fail-pull", "x=often"], "simulate: \"often\" is no number of failures"),
        (vec![file, "--fail-start", "x=10001"], "simulate: \"10001\": no more than 10000"),
        (vec![file, "--fail-liveness", "x=2"], "simulate: \"2\" is no duration"),
        (vec![file, "--evict", "never"], "simulate: \"never\" is no duration"),
        (vec![file, "--kubernetes", "1.12"], "simulate: --kubernetes: \"1.12\" is not a supported"),
    ] {
        let ran = run("simulate", &args);
        assert_eq!(ran.status, Some(2), "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.starts_with(told), "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("\nusage: simulate FILE.yaml [OPTIONS]\n"), "{}", ran.stderr);
    }
}

#[test]
fn simulate_names_the_containers_that_there_are() {
    let file = manifest("migrate.yaml");
    let file = file.to_str().unwrap();
    for option in ["--fail-create", "--fail-liveness"] {
        let value = if option == "--fail-create" { "migrate=1" } else { "migrate=1s" };
        let ran = run("simulate", &[file, option, value]);
        assert!(ran.refused(1).contains("has no container \"migrate\""), "{}", ran.stderr);
    }
    let ran = run("simulate", &[file, "--fail", "migrate=1"]);
    let told = ran.refused(1);
    assert!(
        told.ends_with(
            "pod myapp-pod has no container \"migrate\": it has init-migrate, myapp-container"
        ),
        "{told}"
    );
}

const CASE: &str = r#"{"input":"1500m","canonical":"1500m","value":"2","milliValue":"1500","sign":1,"format":"DecimalSI"}"#;

#[test]
fn conformance_exits_with_0_if_every_case_agrees() {
    let folder = Folder::new("conformance-good");
    let path = folder.file("own_quantity.jsonl", format!("{CASE}\n\n{CASE}\n"));
    let ran = run("conformance", &[&path]);
    assert!(ran.succeeded().contains("quantity: 2/2\n"), "{}", ran.stdout);
    // A folder is the files in it that hold cases.
    folder.file("readme.txt", "not a case");
    let ran = run("conformance", &[&folder.0]);
    assert!(ran.succeeded().contains("quantity: 2/2\n"), "{}", ran.stdout);
}

#[test]
fn conformance_exits_with_1_and_shows_a_planted_wrong_answer() {
    let folder = Folder::new("conformance-wrong");
    let wrong = CASE.replace("\"value\":\"2\"", "\"value\":\"1\"");
    let path = folder.file("own_quantity.jsonl", format!("{CASE}\n{wrong}\n"));
    let ran = run("conformance", &[&path]);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert!(ran.stdout.contains("quantity: 1/2\n"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains(":2\n    value\n      expected \"1\"\n      got      \"2\"\n"),
        "{}",
        ran.stdout
    );
}

#[test]
fn conformance_exits_with_1_for_a_family_that_is_not_modelled() {
    let folder = Folder::new("conformance-unknown");
    let path = folder.file("weather.jsonl", "{\"sun\":true}\n");
    let ran = run("conformance", &[&path]);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert_eq!(ran.stdout, "weather: 0/1 (not modelled)\n");
}

#[test]
fn conformance_exits_with_2_and_names_the_line_that_cannot_be_read() {
    let folder = Folder::new("conformance-unreadable");
    let no_json = folder.file("a_quantity.jsonl", format!("{CASE}\n{{\"input\":\n"));
    let no_case = folder.file("b_actions.jsonl", "{\"pod\":42}\n");
    let no_gzip = folder.file("c_quantity.jsonl.gz", "plain text");
    let no_utf_8 = folder.file("d_quantity.jsonl", [0xff, 0xfe]);
    let absent = folder.0.join("e_quantity.jsonl");
    let too_deep = folder.file("f_quantity.jsonl", "[".repeat(100_000));
    for (path, place) in [
        (no_json, ":2: "),
        (no_case, ":1: "),
        (no_gzip, ":1: invalid gzip header"),
        (no_utf_8, ":1: "),
        (absent, ": "),
        (too_deep, ":1: "),
    ] {
        let ran = run("conformance", &[&path]);
        let told = ran.refused(2);
        let named = format!("conformance: {}{place}", path.display());
        assert!(told.starts_with(&named), "{told}");
    }
}

#[test]
fn conformance_shows_its_usage_with_a_wrong_option() {
    for (args, told) in [
        (vec![], "conformance: no path given"),
        (vec!["--fast"], "conformance: unknown option --fast"),
        (vec!["--show", "many"], "conformance: --show needs a number, not \"many\""),
        (vec!["--only"], "conformance: --only needs a family"),
    ] {
        let ran = run("conformance", &args);
        assert_eq!(ran.status, Some(2), "{args:?}: {}", ran.stderr);
        let lines: Vec<&str> = ran.stderr.lines().collect();
        assert_eq!(lines.len(), 2, "{}", ran.stderr);
        assert_eq!(lines[0], told);
        assert!(lines[1].starts_with("usage: conformance "), "{}", lines[1]);
    }
}

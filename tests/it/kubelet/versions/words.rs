//! Texts of events, and what is printed.

use podinit::Feature;
use podinit::KubernetesVersion::{self, *};
use podinit::sim::Scenario;
use serde_json::{Value, json};

use super::{ALL, gates_with, sidecar_and_app};
use crate::support::{Before, Node, columns, ends, exited, observed, running, status, web, web_in};

fn one_and_app() -> Value {
    json!({
        "initContainers": [{"name": "i1", "image": "i:1"}],
        "containers": [{"name": "a", "image": "i:1"}],
    })
}

/// The first texts of the events with these reasons.
fn texts(version: KubernetesVersion, reasons: [&str; 2]) -> [String; 2] {
    let pod = web_in(version, &one_and_app());
    let mut node = Node::new(&pod, &Scenario::default().script("i1", ends(1, 0)));
    node.sync(&pod, 0).sync(&pod, 1);
    reasons.map(|reason| node.events(reason)[0].to_owned())
}

#[test]
fn created_and_started_have_had_three_wordings() {
    for version in ALL {
        let expected = match version {
            V1_28 | V1_29 | V1_30 => ["Created container i1", "Started container i1"],
            V1_31 | V1_32 | V1_33 | V1_34 => ["Created container: i1", "Started container i1"],
            _ => ["Container created", "Container started"],
        };
        assert_eq!(texts(version, ["Created", "Started"]), expected, "{version}");
    }
}

#[test]
fn pulled_tells_the_size_since_1_30() {
    let pulled = "Successfully pulled image \"i:1\" in 0s (0s including waiting)";
    let with_size = format!("{pulled}. Image size: 0 bytes.");
    for version in ALL {
        let expected = if version >= V1_30 { with_size.as_str() } else { pulled };
        assert_eq!(texts(version, ["Pulling", "Pulled"])[1], expected, "{version}");
    }
}

#[test]
fn an_image_that_is_present_can_be_accessed_by_the_pod_since_1_35() {
    for version in ALL {
        let pod = web_in(version, &one_and_app());
        let mut node = Node::new(&pod, &Scenario::default().script("i1", ends(1, 0)));
        node.sync(&pod, 0).sync(&pod, 1);
        let expected = if version >= V1_35 {
            "Container image \"i:1\" already present on machine and can be accessed by the pod"
        } else {
            "Container image \"i:1\" already present on machine"
        };
        assert_eq!(node.events("Pulled")[1], expected, "{version}");
    }
}

#[test]
fn a_sidecar_counts_among_the_ready_ones_with_its_gate_only() {
    for version in ALL {
        let pod = web_in(version, &sidecar_and_app("Always"));
        let instances = [("s", running()), ("i2", exited(0)), ("a", running())];
        let status = status(&pod, &observed(&pod, &instances), &Before::default());
        let expected = if version >= V1_29 { "2/2 Running 0" } else { "1/1 Init:0/2 0" };
        assert_eq!(columns(&pod, &status), expected, "{version}");
    }
    let gates = gates_with(V1_28, &[(Feature::SidecarContainers, true)]);
    let pod = web(gates, &sidecar_and_app("Always"));
    let instances = [("s", running()), ("i2", exited(0)), ("a", running())];
    let status = status(&pod, &observed(&pod, &instances), &Before::default());
    assert_eq!(columns(&pod, &status), "2/2 Running 0");
}

#[test]
fn a_failed_app_behind_a_completed_one_shows_its_reason_since_1_35() {
    let spec = json!({
        "restartPolicy": "Never",
        "containers": [{"name": "a", "image": "i:1"}, {"name": "b", "image": "i:1"}],
    });
    for version in ALL {
        let pod = web_in(version, &spec);
        let observation = observed(&pod, &[("a", exited(0)), ("b", exited(1))]);
        let status = status(&pod, &observation, &Before::default());
        let expected = if version >= V1_35 { "0/2 Error 0" } else { "0/2 Completed 0" };
        assert_eq!(columns(&pod, &status), expected, "{version}");
    }
}

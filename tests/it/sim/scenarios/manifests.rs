//! The five manifests of `examples/manifests`.

use std::path::Path;

use insta::assert_snapshot;
use k8s_openapi::api::core::v1;
use podinit::manifest::{Object, ReadOptions, read};
use podinit::sim::Scenario;

use super::{Life, ends, fails, life, until};

/// The only pod of a file, with a uid, which manifests have none of.
fn manifest(name: &str) -> v1::Pod {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/manifests").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let mut documents = read(&text, &ReadOptions::strict()).unwrap().into_iter();
    let Some(Object::Pod(mut pod)) = documents.next().map(|document| document.object) else {
        panic!("no pod in {name}")
    };
    assert!(documents.next().is_none(), "more than one object in {name}");
    pod.metadata.uid = Some("1".to_owned());
    *pod
}

fn lives(name: &str, scenario: &Scenario) -> Life {
    life(manifest(name), scenario)
}

#[test]
fn two_init_containers_run_one_after_the_other() {
    let scenario = Scenario::default()
        .script("init-container-1", ends(5, 0))
        .script("init-container-2", ends(5, 0))
        .script("main-container", ends(10, 0));
    assert_snapshot!(lives("two-in-order.yaml", &until(scenario, 60)));
}

#[test]
fn a_pod_waits_for_its_services_and_runs() {
    let scenario = Scenario::default()
        .script("init-myservice", ends(62, 0))
        .script("init-mydb", ends(3, 0))
        .script("myapp-container", ends(3_600, 0));
    let life = lives("wait-for-services.yaml", &until(scenario, 3_600));
    assert_snapshot!(life);
    assert_snapshot!("events_of_a_pod_that_waits_for_its_services", life.event_table());
}

#[test]
fn a_pod_whose_services_never_come_stays_at_init_0_of_2() {
    // The script of the manifest loops until the service is there: it never ends.
    let scenario = Scenario::default()
        .script("init-myservice", podinit::sim::ContainerScript::FOREVER)
        .script("init-mydb", ends(3, 0));
    assert_snapshot!(lives("wait-short.yaml", &until(scenario, 3_600)));
}

#[test]
fn a_migration_that_succeeds_lets_the_app_start() {
    let scenario = Scenario::default().script("init-migrate", ends(5, 0));
    assert_snapshot!(lives("migrate.yaml", &scenario));
}

#[test]
fn a_clone_of_a_placeholder_crash_loops() {
    // `sh` cannot parse `git clone <some-…> ;` and ends at once with 2.
    let scenario = Scenario::default().script("init-myservice", ends(0, 2));
    assert_snapshot!(lives("clone.yaml", &until(scenario, 700)));
}

#[test]
fn a_clone_that_works_the_second_time_lets_the_app_start() {
    let scenario = Scenario::default().script("init-myservice", fails(1, 2, 128));
    assert_snapshot!(lives("clone.yaml", &scenario));
}

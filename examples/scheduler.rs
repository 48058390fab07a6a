//! A small scheduler: places the pods of one YAML file on the nodes of another.
//!
//! ```text
//! cargo run --example scheduler -- [NODES PODS]
//! ```
//!
//! Prints the placement, explains every refusal, and shows what goes wrong in a scheduler that
//! sums up app containers only. Without arguments it takes the manifests beside it.

use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;

use k8s_openapi::api::core::v1::{Node, Pod, PodSpec};
use podinit::FeatureGates;
use podinit::manifest::{self, ReadOptions};
use podinit::resources::{
    PodResources, PodResourcesOptions, Profile, ResourceList, ResourceName, default_requests,
};
use podinit::scheduler::{FitError, Insufficient, NodeUsage, Unschedulable};
use serde::de::DeserializeOwned;
use serde_yaml::Value;

const MANIFESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/manifests/scheduler");

/// A pod to place, as it is and as a scheduler sees it that ignores init containers.
struct Candidate {
    name: String,
    pod: PodResources,
    app_containers_only: PodResources,
}

type Nodes = BTreeMap<String, NodeUsage>;
type Refusals = BTreeMap<String, Unschedulable>;

/// Kubernetes takes `cpu: 1` for `cpu: "1"`.
fn numbers_to_text(value: &mut Value) {
    let Value::Mapping(fields) = value else {
        if let Value::Sequence(items) = value {
            items.iter_mut().for_each(numbers_to_text);
        }
        return;
    };
    for (key, field) in fields.iter_mut() {
        let is_list = ["requests", "limits", "overhead", "allocatable", "capacity"]
            .iter()
            .any(|list| key.as_str() == Some(list));
        match field {
            Value::Mapping(list) if is_list => {
                for (_, quantity) in list.iter_mut() {
                    if let Value::Number(number) = quantity {
                        *quantity = Value::String(number.to_string());
                    }
                }
            }
            field => numbers_to_text(field),
        }
    }
}

/// The documents of a YAML file.
fn read<T: DeserializeOwned>(path: &str) -> Result<Vec<T>, Box<dyn Error>> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    // A YAML parser has no limits of its own; those of manifests hold for nodes too.
    manifest::read(&text, &ReadOptions::lenient()).map_err(|error| format!("{path}: {error}"))?;
    let mut objects = Vec::new();
    for document in serde_yaml::Deserializer::from_str(&text) {
        let mut value = <Value as serde::Deserialize>::deserialize(document)
            .map_err(|error| format!("{path}: {error}"))?;
        if value.is_null() {
            continue;
        }
        numbers_to_text(&mut value);
        objects.push(serde_yaml::from_value(value).map_err(|error| format!("{path}: {error}"))?);
    }
    Ok(objects)
}

fn candidate(pod: Pod, gates: FeatureGates) -> Result<Candidate, Box<dyn Error>> {
    let name = pod.metadata.name.unwrap_or_default();
    let mut spec = pod.spec.unwrap_or_default();
    // What the apiserver does when the pod is created.
    default_requests(&mut spec, gates)?;
    let compiled = PodResources::compile_spec(&spec, None, gates)?;
    if let Some(error) = compiled.check().into_iter().next() {
        return Err(format!("pod {name}: {error}").into());
    }
    let app_containers_only =
        PodResources::compile_spec(&PodSpec { init_containers: None, ..spec }, None, gates)?;
    Ok(Candidate { name, pod: compiled, app_containers_only })
}

/// The node that a pod fits on best, or why it fits on none.
fn choose<'a>(nodes: &'a Nodes, pod: &PodResources) -> Result<&'a str, Refusals> {
    let mut refusals = Refusals::new();
    let mut best: Option<(i64, &str)> = None;
    for (name, node) in nodes {
        match node.fits(pod) {
            Err(refusal) => {
                refusals.insert(name.clone(), refusal);
            }
            Ok(()) => {
                let score = node.least_allocated_score(pod);
                if best.is_none_or(|(most, _)| score > most) {
                    best = Some((score, name));
                }
            }
        }
    }
    best.map(|(_, name)| name).ok_or(refusals)
}

/// Places pods one after the other, each as `view` shows it.
fn place(
    mut nodes: Nodes,
    pods: &[Candidate],
    view: impl Fn(&Candidate) -> &PodResources,
) -> Result<Vec<Result<String, Refusals>>, Box<dyn Error>> {
    let mut placements = Vec::new();
    for candidate in pods {
        let placement = choose(&nodes, view(candidate)).map(str::to_owned);
        if let Some(node) = placement.as_ref().ok().and_then(|name| nodes.get_mut(name)) {
            node.add(view(candidate))?;
        }
        placements.push(placement);
    }
    Ok(placements)
}

/// The scheduler's message for a pod that fits nowhere.
fn unschedulable(refusals: &Refusals) -> FitError {
    let mut error = FitError::new(refusals.len());
    for refusal in refusals.values() {
        error.reject(refusal);
    }
    error
}

/// What the pod wants and the node lacks, and which init container is to blame.
fn explain(pod: &PodResources, reason: &Insufficient) -> String {
    let Insufficient { resource, requested, used, capacity, .. } = reason;
    let unit = if *resource == ResourceName::CPU { "m" } else { "" };
    let free = i128::from(*capacity) - i128::from(*used);
    let mut text =
        format!("{reason}: wants {requested}{unit}, {free}{unit} of {capacity}{unit} free");
    let profile = Profile::of(pod, &PodResourcesOptions::for_gates(pod.gates()));
    if let Some(waste) = profile.init_waste.iter().find(|waste| waste.resource == *resource) {
        text += &format!(" ({} of it for init container {} only)", waste.quantity, waste.name);
    }
    text
}

fn requests(pod: &PodResources) -> ResourceList {
    pod.requests(&PodResourcesOptions::for_gates(pod.gates()))
}

fn print_placement(pods: &[Candidate], placements: &[Result<String, Refusals>]) {
    println!("{:<16}{:<8}REQUESTS", "POD", "NODE");
    for (candidate, placement) in pods.iter().zip(placements) {
        let node = placement.as_deref().unwrap_or("-");
        println!("{:<16}{node:<8}{}", candidate.name, requests(&candidate.pod));
    }
    for (candidate, placement) in pods.iter().zip(placements) {
        let Err(refusals) = placement else { continue };
        println!("\n{}: {}", candidate.name, unschedulable(refusals));
        for (node, refusal) in refusals {
            match refusal {
                Unschedulable::Insufficient(reasons) => {
                    for reason in reasons {
                        println!("  {node}: {}", explain(&candidate.pod, reason));
                    }
                }
                other => println!("  {node}: {other}"),
            }
        }
    }
}

/// Shows where pods end up if only app containers are summed up, and what does not fit there.
fn print_mistakes(
    mut nodes: Nodes,
    pods: &[Candidate],
    right: &[Result<String, Refusals>],
) -> Result<(), Box<dyn Error>> {
    println!("\nBy summing up app containers only:");
    let placements = place(nodes.clone(), pods, |candidate| &candidate.app_containers_only)?;
    for ((candidate, placement), right) in pods.iter().zip(placements).zip(right) {
        let Ok(name) = placement else { continue };
        let Some(node) = nodes.get_mut(&name) else { continue };
        match node.fits(&candidate.pod) {
            Ok(()) => node.add(&candidate.pod)?,
            Err(refusal) => {
                let instead = match right {
                    Ok(node) => format!("belongs on {node}"),
                    Err(_) => "fits nowhere".to_owned(),
                };
                println!(
                    "  {} would be sent to {name} and be rejected there ({refusal}); it {instead}",
                    candidate.name
                );
            }
        }
    }
    for candidate in pods {
        let (right, wrong) = (requests(&candidate.pod), requests(&candidate.app_containers_only));
        if right != wrong {
            println!("  {} counts for [{wrong}], and needs [{right}]", candidate.name);
        }
    }
    Ok(())
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let nodes_path = args.next().unwrap_or_else(|| format!("{MANIFESTS}/nodes.yaml"));
    let pods_path = args.next().unwrap_or_else(|| format!("{MANIFESTS}/pods.yaml"));

    let mut nodes = Nodes::new();
    for node in read::<Node>(&nodes_path)? {
        let status = node.status.unwrap_or_default();
        let allocatable = ResourceList::try_from(&status.allocatable.unwrap_or_default())?;
        nodes.insert(node.metadata.name.unwrap_or_default(), NodeUsage::new(&allocatable));
    }
    let pods = read::<Pod>(&pods_path)?;
    let gates = FeatureGates::default();
    let pods: Vec<_> =
        pods.into_iter().map(|pod| candidate(pod, gates)).collect::<Result<_, _>>()?;

    let placements = place(nodes.clone(), &pods, |candidate| &candidate.pod)?;
    print_placement(&pods, &placements);
    print_mistakes(nodes, &pods, &placements)
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scheduler: {error}");
            ExitCode::FAILURE
        }
    }
}

//! Says whether a kubelet could have written the statuses of a pod that were watched.
//!
//! ```text
//! kubectl get pod NAME -w -o json > watched.json
//! cargo run --features testing --example check_trace -- watched.json [--kubernetes VERSION]
//! ```
//!
//! Exits with 1 where a status is not plausible, and with 2 where the input cannot be read.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::ExitCode;

use k8s_openapi::api::core::v1;
use podinit::testing::{check_statuses, read_watch};
use podinit::{KubernetesVersion, PodSpec};

const USAGE: &str = "usage: check_trace FILE.json|- [--kubernetes VERSION]";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("check_trace: {why}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<bool, String> {
    let mut file = None;
    let mut version = KubernetesVersion::default();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--kubernetes" => {
                let text = args.next().ok_or("--kubernetes needs a value")?;
                version = text.parse().map_err(|error| format!("--kubernetes: {error}"))?;
            }
            path if file.is_none() => file = Some(path.to_owned()),
            extra => return Err(format!("one file at a time: {extra}")),
        }
    }
    let text = match file.as_deref() {
        None => return Err("no file given".into()),
        Some("-") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(|error| error.to_string())?;
            text
        }
        Some(path) => std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?,
    };
    let mut by_name: BTreeMap<String, Vec<v1::Pod>> = BTreeMap::new();
    for pod in read_watch(&text).map_err(|error| error.to_string())? {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
        let name = format!("{namespace}/{}", pod.metadata.name.as_deref().unwrap_or_default());
        by_name.entry(name).or_default().push(pod);
    }
    let mut plausible = true;
    for (name, series) in &by_name {
        let Some(pod) = series.first() else { continue };
        let gates = version.feature_gates();
        let spec = PodSpec::compile_unchecked(pod, gates).map_err(|error| error.to_string())?;
        match check_statuses(&spec, series) {
            Ok(()) => println!(
                "{name}: a kubelet of {version} could have written these {} statuses",
                series.len()
            ),
            Err(found) => {
                plausible = false;
                println!("{name}: no kubelet of {version} wrote this\n  {found}");
            }
        }
    }
    Ok(plausible)
}

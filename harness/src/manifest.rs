//! Reading the pods of a manifest, for examples.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::IsTerminal;
use std::path::Path;

use k8s_openapi::api::core::v1;
use podinit::manifest::{Object, ReadOptions, read};
use podinit::{FeatureGates, PodSpec};

/// The pods of a file; objects of other kinds are named on standard error and skipped.
///
/// # Errors
/// One line that says what is wrong with the file.
pub fn read_pods(path: &Path) -> Result<Vec<v1::Pod>, String> {
    let file = path.display();
    let text = std::fs::read(path).map_err(|error| format!("{file}: {error}"))?;
    let text = String::from_utf8(text).map_err(|_| format!("{file}: not UTF-8 text"))?;
    let documents =
        read(&text, &ReadOptions::strict()).map_err(|error| format!("{file}: {error}"))?;
    let mut pods = Vec::new();
    for document in documents {
        match document.object {
            Object::Pod(pod) => pods.push(*pod),
            Object::Workload(workload) => pods.extend(workload.pods()),
            Object::Other { kind, name, .. } => {
                let name = name.unwrap_or_default();
                eprintln!("{file}: skipping {kind} {name}: not a pod");
            }
            _ => {}
        }
    }
    if pods.is_empty() { Err(format!("{file}: no pod in this file")) } else { Ok(pods) }
}

/// Compiles a pod, with a uid if it has none.
///
/// # Errors
/// What is wrong with the pod, a line each.
pub fn compile(pod: &v1::Pod, gates: FeatureGates) -> Result<PodSpec, String> {
    let mut pod = pod.clone();
    let name = pod.metadata.name.get_or_insert_with(|| "pod".to_owned()).clone();
    pod.metadata.uid.get_or_insert_with(|| uid(&name));
    PodSpec::compile(&pod, gates).map_err(|error| error.to_string())
}

/// A uid as an apiserver would give one, the same for the same name.
fn uid(name: &str) -> String {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    let hash = hasher.finish();
    format!("{:08x}-{:04x}-4000-8000-{:012x}", hash >> 32, hash >> 16 & 0xffff, hash >> 16)
}

/// A style, if standard output is a terminal whose user wants colours.
pub fn terminal_style<T>(style: T) -> Option<T> {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    (wanted && std::io::stdout().is_terminal()).then_some(style)
}

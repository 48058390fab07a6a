//! `podinit check-trace`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use k8s_openapi::api::core::v1;
use podinit::PodSpec;
use podinit::testing::{check_statuses, read_watch};

use crate::Verdict;
use crate::failure::Failure;
use crate::input::source;
use crate::output::Out;
use crate::rules::Rules;

#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// What `kubectl get pod NAME -w -o json` printed; `-` is standard input.
    file: PathBuf,
    #[command(flatten)]
    rules: Rules,
}

pub fn run(options: &Options, out: &mut Out) -> Result<Verdict, Failure> {
    let source = source(&options.file)?;
    let in_file = |why: &dyn std::fmt::Display| Failure::Input(format!("{}: {why}", source.name));
    let mut by_name: BTreeMap<String, Vec<v1::Pod>> = BTreeMap::new();
    for pod in read_watch(&source.text).map_err(|error| in_file(&error))? {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
        let name = format!("{namespace}/{}", pod.metadata.name.as_deref().unwrap_or_default());
        by_name.entry(name).or_default().push(pod);
    }
    if by_name.is_empty() {
        return Err(in_file(&"no pod in it"));
    }
    let (gates, version) = (options.rules.gates()?, options.rules.kubernetes);
    let mut verdict = Verdict::Fine;
    for (name, series) in &by_name {
        let Some(pod) = series.first() else { continue };
        let spec = PodSpec::compile_unchecked(pod, gates).map_err(|error| in_file(&error))?;
        match check_statuses(&spec, series) {
            Ok(()) => {
                let count = series.len();
                out.line(format_args!(
                    "{name}: a kubelet of {version} could have written these {count} statuses"
                ))?;
            }
            Err(found) => {
                verdict = Verdict::Findings;
                out.line(format_args!("{name}: no kubelet of {version} wrote this\n  {found}"))?;
            }
        }
    }
    Ok(verdict)
}

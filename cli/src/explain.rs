//! `podinit explain`.

use podinit::resources::{
    CgroupSettings, PodResources, PodResourcesOptions, Profile, explain_qos, oom_score_adj,
    pod_cgroup,
};

use crate::Verdict;
use crate::failure::Failure;
use crate::input::Files;
use crate::output::{Out, table};
use crate::rules::Rules;

/// The memory of a node for which OOM scores are told, in bytes.
const NODE_MEMORY: i64 = 16 << 30;

#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    rules: Rules,
    /// The node's memory in bytes, which OOM scores are told for.
    #[arg(long, value_name = "BYTES", default_value_t = NODE_MEMORY)]
    node_memory: i64,
}

pub fn run(options: &Options, out: &mut Out) -> Result<Verdict, Failure> {
    let gates = options.rules.gates()?;
    for (position, subject) in options.files.pods()?.iter().enumerate() {
        if position > 0 {
            out.line("")?;
        }
        let mut pod = subject.pod.clone();
        let failed = |error: &dyn std::fmt::Display| subject.failure(error);
        if let Some(spec) = &mut pod.spec {
            podinit::resources::default_requests(spec, gates).map_err(|error| failed(&error))?;
        }
        let resources = PodResources::compile(&pod, gates).map_err(|error| failed(&error))?;
        let name = pod.metadata.name.as_deref().unwrap_or("pod");
        out.line(format_args!("{name}: requests while it starts and runs"))?;
        let profile = Profile::of(&resources, &PodResourcesOptions::default());
        out.line(profile)?;
        let qos = explain_qos(&resources);
        out.line(format_args!("\nQoS class {}", qos.class))?;
        for reason in &qos.reasons {
            out.line(format_args!("  {reason}"))?;
        }
        let cgroup = pod_cgroup(&resources, &CgroupSettings::default());
        let bound = |amount: Option<i64>, unit: &str| {
            amount.map_or_else(|| "none".to_owned(), |amount| format!("{amount} {unit}"))
        };
        let rows = [
            ("CPU weight", cgroup.cpu_weight().to_string()),
            ("CPU quota", bound(cgroup.cpu_quota_us, "µs each period")),
            ("memory limit", bound(cgroup.memory_limit_bytes, "bytes")),
        ];
        out.line("\ncgroup of the pod")?;
        let rows = rows.map(|(what, value)| vec![format!("  {what}"), value]);
        out.text(table(&rows))?;
        out.line("\nOOM score adjustment, from -997 (killed last) to 1000 (killed first)")?;
        let scores = resources.indexes().map(|index| {
            let score = oom_score_adj(&resources, index, options.node_memory);
            vec![format!("  {}", resources.container_name(index)), score.to_string()]
        });
        out.text(table(&scores.collect::<Vec<_>>()))?;
    }
    Ok(Verdict::Fine)
}

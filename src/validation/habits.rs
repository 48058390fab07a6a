//! Traps that are habits from elsewhere: of Docker, of Helm, of pods without sidecars.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use k8s_openapi::api::core::v1;

use super::restart::is_restartable;
use super::traps::{Trap, TrapKind};

/// Programs that serve others for ever, by the last part of their image's name.
const SIDECARS: [&str; 12] = [
    "cloud-sql-proxy",
    "cloudsql-docker",
    "gce-proxy",
    "envoy",
    "proxyv2",
    "istio-proxy",
    "linkerd-proxy",
    "fluent-bit",
    "fluentd",
    "vault-agent",
    "pgbouncer",
    "oauth2-proxy",
];

/// The traps of a pod's spec; of a Job's pods there is one more.
pub(super) fn traps(spec: &v1::PodSpec, of_job: bool, found: &mut Vec<Trap>) {
    let several = spec.containers.len() > 1;
    for (index, container) in spec.containers.iter().enumerate() {
        let path = format!("spec.containers[{index}]");
        if of_job && several && is_sidecar(container) {
            let kind = TrapKind::SidecarOfJob { container: container.name.as_str().into() };
            found.push(Trap { field: path.clone(), kind });
        }
        of_container(container, &path, found);
    }
    for (index, container) in spec.init_containers.iter().flatten().enumerate() {
        let path = format!("spec.initContainers[{index}]");
        if is_restartable(container) && ends(container) {
            let kind = TrapKind::EndsAndIsRestarted { container: container.name.as_str().into() };
            found.push(Trap { field: format!("{path}.restartPolicy"), kind });
        }
        of_container(container, &path, found);
    }
}

fn is_sidecar(container: &v1::Container) -> bool {
    let image = container.image.as_deref().unwrap_or_default();
    let name = image.rsplit('/').next().unwrap_or_default();
    let name = name.split([':', '@']).next().unwrap_or_default();
    SIDECARS.contains(&name) || SIDECARS.contains(&container.name.as_str())
}

/// Does it run a command that is known to end, and serve nobody?
fn ends(container: &v1::Container) -> bool {
    let serves = container.ports.as_ref().is_some_and(|ports| !ports.is_empty())
        || container.readiness_probe.is_some()
        || container.startup_probe.is_some()
        || container.liveness_probe.is_some();
    let named = ["migrate", "migration", "setup", "chown", "copy", "wait-for"];
    !serves
        && named.iter().any(|word| {
            container.name == *word
                || container.name.starts_with(&format!("{word}-"))
                || container.name.ends_with(&format!("-{word}"))
        })
}

fn of_container(container: &v1::Container, path: &str, found: &mut Vec<Trap>) {
    if let Some(startup) = &container.startup_probe {
        let period = i64::from(startup.period_seconds.unwrap_or(10));
        let failures = i64::from(startup.failure_threshold.unwrap_or(3));
        let delay = i64::from(startup.initial_delay_seconds.unwrap_or_default());
        let seconds = delay.saturating_add(period.saturating_mul(failures));
        let others = [&container.readiness_probe, &container.liveness_probe];
        let expected = others.into_iter().flatten().filter_map(|probe| probe.initial_delay_seconds);
        let expected = i64::from(expected.max().unwrap_or_default());
        if expected > seconds {
            let container = container.name.as_str().into();
            let kind = TrapKind::StartupTooShort { container, seconds, expected };
            found.push(Trap { field: format!("{path}.startupProbe"), kind });
        }
    }
    let resources = container.resources.as_ref();
    let lists = [
        ("limits", resources.and_then(|resources| resources.limits.as_ref())),
        ("requests", resources.and_then(|resources| resources.requests.as_ref())),
    ];
    for (name, list) in lists {
        let amount = list.and_then(|list| list.get("memory")).map(|amount| amount.0.as_str());
        if let Some(amount) = amount.filter(|amount| amount.ends_with('m')) {
            let kind = TrapKind::FractionalBytes { amount: amount.to_string() };
            found.push(Trap { field: format!("{path}.resources.{name}[memory]"), kind });
        }
    }
    let mut texts: Vec<(String, &str)> = Vec::new();
    texts.extend(container.image.as_deref().map(|image| (format!("{path}.image"), image)));
    for (name, words) in [("command", &container.command), ("args", &container.args)] {
        let words = words.iter().flatten().enumerate();
        texts.extend(words.map(|(index, word)| (format!("{path}.{name}[{index}]"), word.as_str())));
    }
    for (index, variable) in container.env.iter().flatten().enumerate() {
        let value = variable.value.as_deref().unwrap_or_default();
        texts.push((format!("{path}.env[{index}].value"), value));
    }
    for (field, text) in texts {
        if text.contains("{{ .") || text.contains("{{.") || text.contains("{{- ") {
            found.push(Trap { field, kind: TrapKind::NotRendered { text: text.to_string() } });
        }
    }
}

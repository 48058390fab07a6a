//! One container: what is declared, and how it is.

use alloc::vec::Vec;
use core::fmt;

use k8s_openapi::api::core::v1;

use super::probe::DescribedProbe;
use super::{Rfc1123, Sections, env};
use crate::go_quoted::Quoted;

/// The containers of one list with their statuses (`describeContainers`).
pub(super) fn describe_containers(
    out: &mut Sections,
    pod: &v1::Pod,
    containers: &[v1::Container],
    statuses: &[v1::ContainerStatus],
) {
    for container in containers {
        // Of two statuses with one name, the last counts.
        let status = statuses.iter().rev().find(|status| status.name == container.name);
        basic_info(out, container, status);
        command(out, "Command", container.command.as_deref());
        command(out, "Args", container.args.as_deref());
        if let Some(status) = status {
            container_state(out, status);
        }
        if let Some(resources) = &container.resources {
            out.resources(2, resources);
        }
        let probes = [
            ("Liveness", &container.liveness_probe),
            ("Readiness", &container.readiness_probe),
            ("Startup", &container.startup_probe),
        ];
        for (title, probe) in probes {
            if let Some(probe) = probe {
                let version = out.version;
                out.line(2, format_args!("{title}:\t{}", DescribedProbe { probe, version }));
            }
        }
        env::environment_from(out, container);
        env::environment(out, pod, container);
        mounts(out, container);
    }
}

/// An ephemeral container has the fields of any other one, and a type of its own.
pub(super) fn from_ephemeral(container: &v1::EphemeralContainer) -> v1::Container {
    v1::Container {
        name: container.name.clone(),
        image: container.image.clone(),
        ports: container.ports.clone(),
        security_context: container.security_context.clone(),
        command: container.command.clone(),
        args: container.args.clone(),
        resources: container.resources.clone(),
        liveness_probe: container.liveness_probe.clone(),
        readiness_probe: container.readiness_probe.clone(),
        startup_probe: container.startup_probe.clone(),
        env_from: container.env_from.clone(),
        env: container.env.clone(),
        volume_mounts: container.volume_mounts.clone(),
        volume_devices: container.volume_devices.clone(),
        ..v1::Container::default()
    }
}

fn basic_info(out: &mut Sections, container: &v1::Container, status: Option<&v1::ContainerStatus>) {
    out.line(1, format_args!("{}:", container.name));
    if let Some(status) = status {
        let id = status.container_id.as_deref().unwrap_or_default();
        out.line(2, format_args!("Container ID:\t{id}"));
    }
    out.line(2, format_args!("Image:\t{}", container.image.as_deref().unwrap_or_default()));
    if let Some(status) = status {
        out.line(2, format_args!("Image ID:\t{}", status.image_id));
    }
    let declared = container.ports.as_deref().unwrap_or_default();
    let container_port = |port: &v1::ContainerPort| port.container_port;
    let host_port = |port: &v1::ContainerPort| port.host_port.unwrap_or(0);
    ports(out, "Port", Ports { declared, number: container_port });
    ports(out, "Host Port", Ports { declared, number: host_port });
    let context = container.security_context.as_ref();
    out.seccomp_profile(2, 3, context.and_then(|context| context.seccomp_profile.as_ref()));
}

fn ports<F: Fn(&v1::ContainerPort) -> i32>(out: &mut Sections, title: &str, ports: Ports<'_, F>) {
    let plural = if ports.declared.len() > 1 { "s" } else { "" };
    out.line(2, format_args!("{title}{plural}:\t{ports}"));
}

/// `80/TCP (http), 53/UDP`.
struct Ports<'a, F> {
    declared: &'a [v1::ContainerPort],
    number: F,
}

impl<F: Fn(&v1::ContainerPort) -> i32> fmt::Display for Ports<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.declared.is_empty() {
            return f.write_str("<none>");
        }
        for (position, port) in self.declared.iter().enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            let protocol = port.protocol.as_deref().unwrap_or_default();
            write!(f, "{separator}{}/{protocol}", (self.number)(port))?;
            if let Some(name) = port.name.as_deref().filter(|name| !name.is_empty()) {
                write!(f, " ({name})")?;
            }
        }
        Ok(())
    }
}

fn command(out: &mut Sections, title: &str, words: Option<&[alloc::string::String]>) {
    let Some(words) = words.filter(|words| !words.is_empty()) else { return };
    out.line(2, format_args!("{title}:"));
    for line in words.iter().flat_map(|word| word.split('\n')) {
        out.line(3, format_args!("{line}"));
    }
}

fn container_state(out: &mut Sections, status: &v1::ContainerStatus) {
    state(out, "State", status.state.as_ref());
    let last = status.last_state.as_ref().filter(|last| last.terminated.is_some());
    if last.is_some() {
        state(out, "Last State", last);
    }
    out.line(2, format_args!("Ready:\t{}", if status.ready { "True" } else { "False" }));
    out.line(2, format_args!("Restart Count:\t{}", status.restart_count));
}

/// Running comes before Waiting and that before Terminated, where more than one is set; none of
/// them is Waiting.
fn state(out: &mut Sections, title: &str, state: Option<&v1::ContainerState>) {
    let word = |out: &mut Sections, word: &str| out.line(2, format_args!("{title}:\t{word}"));
    let text = |out: &mut Sections, name: &str, text: &Option<alloc::string::String>| {
        if let Some(text) = text.as_deref().filter(|text| !text.is_empty()) {
            out.line(3, format_args!("{name}:\t{text}"));
        }
    };
    match state {
        Some(v1::ContainerState { running: Some(running), .. }) => {
            word(out, "Running");
            out.line(3, format_args!("Started:\t{}", Rfc1123(running.started_at.as_ref())));
        }
        Some(v1::ContainerState { waiting: Some(waiting), .. }) => {
            word(out, "Waiting");
            text(out, "Reason", &waiting.reason);
        }
        Some(v1::ContainerState { terminated: Some(terminated), .. }) => {
            word(out, "Terminated");
            text(out, "Reason", &terminated.reason);
            text(out, "Message", &terminated.message);
            out.line(3, format_args!("Exit Code:\t{}", terminated.exit_code));
            if let Some(signal) = terminated.signal.filter(|signal| *signal > 0) {
                out.line(3, format_args!("Signal:\t{signal}"));
            }
            out.line(3, format_args!("Started:\t{}", Rfc1123(terminated.started_at.as_ref())));
            out.line(3, format_args!("Finished:\t{}", Rfc1123(terminated.finished_at.as_ref())));
        }
        _ => word(out, "Waiting"),
    }
}

fn mounts(out: &mut Sections, container: &v1::Container) {
    let mut mounts: Vec<_> = container.volume_mounts.iter().flatten().collect();
    mounts.sort_by_key(|mount| &mount.mount_path);
    out.line(2, format_args!("Mounts:{}", if mounts.is_empty() { "\t<none>" } else { "" }));
    for mount in &mounts {
        let (path, name) = (&mount.mount_path, &mount.name);
        let access = if mount.read_only == Some(true) { "ro" } else { "rw" };
        match mount.sub_path.as_deref().unwrap_or_default() {
            "" => out.line(3, format_args!("{path} from {name} ({access})")),
            sub => {
                let sub = Quoted(sub);
                out.line(3, format_args!("{path} from {name} ({access},path={sub})"));
            }
        }
    }
    let mut devices: Vec<_> = container.volume_devices.iter().flatten().collect();
    devices.sort_by_key(|device| &device.device_path);
    if !devices.is_empty() {
        // kubectl takes over the `<none>` of a container without mounts.
        out.line(2, format_args!("Devices:{}", if mounts.is_empty() { "\t<none>" } else { "" }));
    }
    for device in devices {
        out.line(3, format_args!("{} from {}", device.device_path, device.name));
    }
}

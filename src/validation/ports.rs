//! Ports of containers (`validateContainerPorts`, `checkHostPortConflicts`,
//! `validatePodHostNetworkDeps`).

use alloc::collections::BTreeSet;
use alloc::format;

use k8s_openapi::api::core::v1;

use super::field::{Errors, Path};
use super::names::{self, PORT_RANGE, is_port};

pub(super) fn validate(container: &v1::Container, path: &Path<'_>, errors: &mut Errors) {
    let list = path.child("ports");
    let mut names = BTreeSet::new();
    for (index, port) in container.ports.iter().flatten().enumerate() {
        let path = list.index(index);
        if let Some(name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            let breaches = names::port_name(name);
            if breaches.is_empty() && !names.insert(name) {
                errors.duplicate(&path.child("name"), name);
            }
            for breach in breaches {
                errors.invalid(&path.child("name"), name, breach);
            }
        }
        if port.container_port == 0 {
            errors.required(&path.child("containerPort"), "");
        } else if !is_port(port.container_port) {
            errors.invalid(&path.child("containerPort"), port.container_port, PORT_RANGE);
        }
        if let Some(host_port) = port.host_port.filter(|port| *port != 0 && !is_port(*port)) {
            errors.invalid(&path.child("hostPort"), host_port, PORT_RANGE);
        }
        match port.protocol.as_deref().unwrap_or_default() {
            "TCP" | "UDP" | "SCTP" => {}
            "" => errors.required(&path.child("protocol"), ""),
            other => {
                errors.not_supported(&path.child("protocol"), other, &["SCTP", "TCP", "UDP"]);
            }
        }
    }
}

/// Host ports that are already taken, of containers that may run at the same time.
#[derive(Default)]
pub(super) struct HostPorts<'a>(BTreeSet<(&'a str, &'a str, i32)>);

impl<'a> HostPorts<'a> {
    /// `path` is that of the container.
    pub(super) fn claim(
        &mut self,
        container: &'a v1::Container,
        path: &Path<'_>,
        errors: &mut Errors,
    ) {
        let list = path.child("ports");
        for (index, port) in container.ports.iter().flatten().enumerate() {
            let Some(number) = port.host_port.filter(|number| *number != 0) else { continue };
            let protocol = port.protocol.as_deref().unwrap_or_default();
            let ip = port.host_ip.as_deref().unwrap_or_default();
            if !self.0.insert((protocol, ip, number)) {
                let item = list.index(index);
                errors.duplicate(&item.child("hostPort"), format!("{protocol}/{ip}/{number}"));
            }
        }
    }
}

/// With `hostNetwork` a container's port is the node's: it cannot be mapped to another one.
/// Init containers are not looked at, and in a template the node's port may be left open.
pub(super) fn validate_host_network(
    spec: &v1::PodSpec,
    is_pod: bool,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    if spec.host_network != Some(true) {
        return;
    }
    let list = path.child("containers");
    for (index, container) in spec.containers.iter().enumerate() {
        let item = list.index(index);
        let ports = item.child("ports");
        for (index, port) in container.ports.iter().flatten().enumerate() {
            let host_port = port.host_port.unwrap_or(0);
            if (is_pod || host_port != 0) && host_port != port.container_port {
                errors.invalid(
                    &ports.index(index).child("hostPort"),
                    host_port,
                    "must match `containerPort` when `hostNetwork` is true",
                );
            }
        }
    }
}

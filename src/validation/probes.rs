//! Probes and lifecycle hooks (`validateProbe`, `validateHandler`, `validateLifecycle`).

use alloc::format;

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::field::{BadValue, Errors, Path};
use super::names::{self, PORT_RANGE, is_port};
use super::resources::NOT_NEGATIVE;
use crate::version::{Feature, FeatureGates};

/// What a handler is checked against.
#[derive(Clone, Copy)]
pub(super) struct Context {
    /// `spec.terminationGracePeriodSeconds`, which bounds a `sleep` hook.
    pub(super) grace_period: i64,
    pub(super) gates: FeatureGates,
}

/// A probe's or a hook's way to act. Exactly one must be set.
struct Handler<'a> {
    exec: Option<&'a v1::ExecAction>,
    http_get: Option<&'a v1::HTTPGetAction>,
    tcp_socket: Option<&'a v1::TCPSocketAction>,
    grpc: Option<&'a v1::GRPCAction>,
    sleep: Option<&'a v1::SleepAction>,
}

impl<'a> From<&'a v1::Probe> for Handler<'a> {
    fn from(probe: &'a v1::Probe) -> Self {
        Self {
            exec: probe.exec.as_ref(),
            http_get: probe.http_get.as_ref(),
            tcp_socket: probe.tcp_socket.as_ref(),
            grpc: probe.grpc.as_ref(),
            sleep: None,
        }
    }
}

impl<'a> From<&'a v1::LifecycleHandler> for Handler<'a> {
    fn from(hook: &'a v1::LifecycleHandler) -> Self {
        Self {
            exec: hook.exec.as_ref(),
            http_get: hook.http_get.as_ref(),
            tcp_socket: hook.tcp_socket.as_ref(),
            grpc: None,
            sleep: hook.sleep.as_ref(),
        }
    }
}

/// The three probes and the hooks of a container that may have them.
pub(super) fn validate_all(
    container: &v1::Container,
    path: &Path<'_>,
    context: Context,
    errors: &mut Errors,
) {
    if let Some(lifecycle) = &container.lifecycle {
        let path = path.child("lifecycle");
        let hooks = [("postStart", &lifecycle.post_start), ("preStop", &lifecycle.pre_stop)];
        for (name, hook) in hooks {
            if let Some(hook) = hook {
                validate_handler(&hook.into(), &path.child(name), context, errors);
            }
        }
    }
    let once = |probe: &v1::Probe, path: &Path<'_>, errors: &mut Errors| {
        let threshold = probe.success_threshold.unwrap_or(0);
        if threshold != 1 {
            errors.invalid(&path.child("successThreshold"), threshold, "must be 1");
        }
    };
    if let Some(probe) = &container.liveness_probe {
        let path = path.child("livenessProbe");
        validate_probe(probe, &path, context, errors);
        once(probe, &path, errors);
    }
    if let Some(probe) = &container.readiness_probe {
        let path = path.child("readinessProbe");
        validate_probe(probe, &path, context, errors);
        if let Some(grace) = probe.termination_grace_period_seconds {
            errors.invalid(
                &path.child("terminationGracePeriodSeconds"),
                grace,
                "must not be set for readinessProbes",
            );
        }
    }
    if let Some(probe) = &container.startup_probe {
        let path = path.child("startupProbe");
        validate_probe(probe, &path, context, errors);
        once(probe, &path, errors);
    }
}

/// Init containers that run to their end have neither probes nor hooks.
pub(super) fn forbid_all(container: &v1::Container, path: &Path<'_>, errors: &mut Errors) {
    let fields = [
        ("lifecycle", container.lifecycle.is_some()),
        ("livenessProbe", container.liveness_probe.is_some()),
        ("readinessProbe", container.readiness_probe.is_some()),
        ("startupProbe", container.startup_probe.is_some()),
    ];
    for (name, set) in fields {
        if set {
            errors.forbidden(
                &path.child(name),
                "may not be set for init containers without restartPolicy=Always",
            );
        }
    }
}

fn validate_probe(probe: &v1::Probe, path: &Path<'_>, context: Context, errors: &mut Errors) {
    validate_handler(&probe.into(), path, context, errors);
    let numbers = [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ];
    for (name, number) in numbers {
        if let Some(number) = number.filter(|number| *number < 0) {
            errors.invalid(&path.child(name), number, NOT_NEGATIVE);
        }
    }
    if let Some(grace) = probe.termination_grace_period_seconds.filter(|grace| *grace <= 0) {
        let path = path.child("terminationGracePeriodSeconds");
        errors.invalid(&path, grace, "must be greater than 0");
    }
}

fn validate_handler(handler: &Handler<'_>, path: &Path<'_>, context: Context, errors: &mut Errors) {
    let kinds = [
        ("exec", handler.exec.is_some()),
        ("httpGet", handler.http_get.is_some()),
        ("tcpSocket", handler.tcp_socket.is_some()),
        ("grpc", handler.grpc.is_some()),
        ("sleep", handler.sleep.is_some()),
    ];
    let mut set = kinds.iter().filter(|(_, set)| *set).map(|(name, _)| *name);
    let Some(first) = set.next() else {
        errors.required(path, "must specify a handler type");
        return;
    };
    for other in set {
        errors.forbidden(&path.child(other), "may not specify more than 1 handler type");
    }
    // Only the first one is looked into.
    let path = path.child(first);
    if let Some(exec) = handler.exec {
        if exec.command.as_ref().is_none_or(|command| command.is_empty()) {
            errors.required(&path.child("command"), "");
        }
    } else if let Some(http) = handler.http_get {
        validate_http_get(http, &path, errors);
    } else if let Some(tcp) = handler.tcp_socket {
        validate_port(&tcp.port, &path.child("port"), errors);
    } else if let Some(grpc) = handler.grpc {
        validate_port(&IntOrString::Int(grpc.port), &path.child("port"), errors);
    } else if let Some(sleep) = handler.sleep {
        validate_sleep(sleep.seconds, &path, context, errors);
    }
}

fn validate_http_get(http: &v1::HTTPGetAction, path: &Path<'_>, errors: &mut Errors) {
    if http.path.as_deref().unwrap_or_default().is_empty() {
        errors.required(&path.child("path"), "");
    }
    validate_port(&http.port, &path.child("port"), errors);
    let scheme = http.scheme.as_deref().unwrap_or_default();
    if !matches!(scheme, "HTTP" | "HTTPS") {
        errors.not_supported(&path.child("scheme"), scheme, &["HTTP", "HTTPS"]);
    }
    for header in http.http_headers.iter().flatten() {
        let path = path.child("httpHeaders");
        errors.breaches(&path, &header.name, names::http_header(&header.name));
    }
}

/// `ValidatePortNumOrName`.
fn validate_port(port: &IntOrString, path: &Path<'_>, errors: &mut Errors) {
    match port {
        IntOrString::Int(number) if is_port(*number) => {}
        IntOrString::Int(number) => errors.invalid(path, *number, PORT_RANGE),
        IntOrString::String(name) => {
            for breach in names::port_name(name) {
                errors.invalid(path, name.as_str(), breach);
            }
        }
    }
}

fn validate_sleep(seconds: i64, path: &Path<'_>, context: Context, errors: &mut Errors) {
    let grace = context.grace_period;
    let zero = context.gates.enabled(Feature::PodLifecycleSleepActionAllowZero);
    let shortest = if zero { 0 } else { 1 };
    if (shortest..=grace).contains(&seconds) {
        return;
    }
    let detail = if zero {
        format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})")
    } else {
        format!(
            "must be greater than 0 and less than terminationGracePeriodSeconds ({grace}). Enable AllowPodLifecycleSleepActionZeroValue feature gate for zero sleep."
        )
    };
    errors.invalid(path, BadValue::Number(seconds), detail);
}

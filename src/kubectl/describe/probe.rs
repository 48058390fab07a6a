//! A probe in one line.

use core::fmt;

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::version::{Change, KubernetesVersion};

/// `http-get http://:8080/ready delay=0s timeout=1s period=10s #success=1 #failure=3`
/// (`DescribeProbe`).
pub(super) struct DescribedProbe<'a> {
    pub(super) probe: &'a v1::Probe,
    /// That of kubectl: from 1.37 it names the thresholds as the API does.
    pub(super) version: KubernetesVersion,
}

impl fmt::Display for DescribedProbe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { probe, version } = *self;
        if let Some(exec) = &probe.exec {
            f.write_str("exec [")?;
            for (position, word) in exec.command.iter().flatten().enumerate() {
                let separator = if position == 0 { "" } else { " " };
                write!(f, "{separator}{word}")?;
            }
            f.write_str("]")?;
        } else if let Some(get) = &probe.http_get {
            http_get(f, get)?;
        } else if let Some(socket) = &probe.tcp_socket {
            let host = socket.host.as_deref().unwrap_or_default();
            write!(f, "tcp-socket {host}:{}", Port(&socket.port))?;
        } else if let Some(grpc) = &probe.grpc {
            write!(f, "grpc <pod>:{} {}", grpc.port, grpc.service.as_deref().unwrap_or_default())?;
        } else {
            f.write_str("unknown")?;
        }
        let (success, failure) =
            match version.feature_gates().has(Change::ProbeThresholdsHaveTheirNames) {
                true => ("successThreshold", "failureThreshold"),
                false => ("#success", "#failure"),
            };
        write!(
            f,
            " delay={}s timeout={}s period={}s {success}={} {failure}={}",
            probe.initial_delay_seconds.unwrap_or(0),
            probe.timeout_seconds.unwrap_or(0),
            probe.period_seconds.unwrap_or(0),
            probe.success_threshold.unwrap_or(0),
            probe.failure_threshold.unwrap_or(0),
        )
    }
}

/// The URL, put together as `url.URL.String` does.
fn http_get(f: &mut fmt::Formatter<'_>, get: &v1::HTTPGetAction) -> fmt::Result {
    f.write_str("http-get ")?;
    let scheme = get.scheme.as_deref().unwrap_or_default();
    for c in scheme.chars() {
        write!(f, "{}", c.to_ascii_lowercase())?;
    }
    if !scheme.is_empty() {
        f.write_str(":")?;
    }
    let host = get.host.as_deref().unwrap_or_default();
    match host.contains(':') {
        true => write!(f, "//[{host}]:{}", Port(&get.port))?,
        false => write!(f, "//{host}:{}", Port(&get.port))?,
    }
    let path = get.path.as_deref().unwrap_or_default();
    if !path.is_empty() && !path.starts_with('/') {
        f.write_str("/")?;
    }
    // It stands for the server as a whole.
    if path == "*" {
        return f.write_str("*");
    }
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => write!(f, "{}", char::from(byte))?,
            _ if b"-_.~$&+,/:;=@".contains(&byte) => write!(f, "{}", char::from(byte))?,
            _ => write!(f, "%{byte:02X}")?,
        }
    }
    Ok(())
}

/// A port by number or by name.
struct Port<'a>(&'a IntOrString);

impl fmt::Display for Port<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IntOrString::Int(number) => number.fmt(f),
            IntOrString::String(name) => f.write_str(name),
        }
    }
}

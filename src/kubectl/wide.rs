//! The columns that `kubectl get pods --output wide` adds.

use core::fmt;

use k8s_openapi::api::core::v1;

use super::columns::Ready;

/// IP, NODE, NOMINATED NODE and READINESS GATES; prints `<none>` for what is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct WideColumns<'a> {
    /// The pod's address: `podIP`, else the first of `podIPs`.
    pub ip: Option<&'a str>,
    /// The node that the pod is bound to.
    pub node: Option<&'a str>,
    /// The node that the scheduler makes room on for the pod.
    pub nominated_node: Option<&'a str>,
    /// How many of the readiness gates are True, if the pod has gates.
    pub readiness_gates: Option<Ready>,
}

/// The additional columns of a pod with its status (`printPod` with `options.Wide`).
pub fn wide_columns(pod: &v1::Pod) -> WideColumns<'_> {
    let spec = pod.spec.as_ref();
    let status = pod.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let is_true = |gate: &&v1::PodReadinessGate| {
        let condition = conditions.iter().find(|own| own.type_ == gate.condition_type);
        condition.is_some_and(|condition| condition.status == "True")
    };
    let gates = spec.and_then(|spec| spec.readiness_gates.as_deref()).unwrap_or_default();
    // Where the two differ, the single one counts: older kubelets write no other.
    let single = status.and_then(|status| set(status.pod_ip.as_ref()));
    let first = status.and_then(|status| status.pod_ips.as_deref()?.first());
    WideColumns {
        ip: single.or_else(|| set(first.map(|ip| &ip.ip))),
        node: set(spec.and_then(|spec| spec.node_name.as_ref())),
        nominated_node: set(status.and_then(|status| status.nominated_node_name.as_ref())),
        readiness_gates: (!gates.is_empty())
            .then(|| Ready { ready: gates.iter().filter(is_true).count(), total: gates.len() }),
    }
}

fn set(text: Option<&alloc::string::String>) -> Option<&str> {
    text.map(|text| text.as_str()).filter(|text| !text.is_empty())
}

impl fmt::Display for WideColumns<'_> {
    /// The four columns with a space between.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for text in [self.ip, self.node, self.nominated_node] {
            write!(f, "{} ", text.unwrap_or("<none>"))?;
        }
        match self.readiness_gates {
            Some(gates) => gates.fmt(f),
            None => f.write_str("<none>"),
        }
    }
}

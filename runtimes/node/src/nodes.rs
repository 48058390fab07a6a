//! Node objects: registered, told to be well, and kept by a lease.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use podinit::KubernetesVersion;
use serde_json::{Value, json};

use crate::clock::cluster_time;

/// What the nodes of a process are like.
#[derive(Clone, Debug)]
pub struct NodeSettings {
    /// Their objects are made by this program. If not, somebody else makes them.
    pub register: bool,
    /// `status.capacity`: what pods can request.
    pub capacity: BTreeMap<String, String>,
    /// More labels.
    pub labels: BTreeMap<String, String>,
    /// Taints, as Kubernetes has them in JSON.
    pub taints: Vec<v1::Taint>,
    /// The nodes' address. The apiserver asks no kubelet at a loopback address, so that `kubectl logs`
    /// ends with a clear refusal.
    pub ip: String,
    /// The addresses of pods on nodes that have no `podCIDR`.
    pub pod_cidr: String,
}

impl Default for NodeSettings {
    fn default() -> Self {
        let capacity =
            [("cpu", "32"), ("memory", "256Gi"), ("ephemeral-storage", "1Ti"), ("pods", "110")];
        Self {
            register: true,
            capacity: capacity.map(|(name, amount)| (name.to_owned(), amount.to_owned())).into(),
            labels: BTreeMap::new(),
            taints: Vec::new(),
            ip: "127.0.0.1".into(),
            pod_cidr: "10.88.0.0/16".into(),
        }
    }
}

/// How long a lease lasts, how often it is renewed, and how often a node says that it is well: as
/// kubelets have it.
const LEASE_SECONDS: u32 = 40;
const RENEWAL: Duration = Duration::from_secs(10);
const HEARTBEAT: Duration = Duration::from_secs(300);
/// How many nodes are spoken of at once.
const AT_ONCE: usize = 16;
/// How long nodes are waited for that somebody else registers, or gives addresses to.
const PATIENCE: Duration = Duration::from_secs(10);

/// The nodes of this process.
#[derive(Clone)]
pub(crate) struct Nodes {
    pub(crate) client: Client,
    pub(crate) names: Vec<String>,
    pub(crate) settings: NodeSettings,
    pub(crate) version: KubernetesVersion,
}

impl Nodes {
    fn api(&self) -> Api<v1::Node> {
        Api::all(self.client.clone())
    }

    /// Registers all nodes, and gives the `podCIDR` of each that has one.
    pub(crate) async fn start(&self) -> Result<BTreeMap<String, String>, kube::Error> {
        stream::iter(self.names.clone())
            .map(|name| async move {
                if self.settings.register {
                    self.register(&name).await?;
                }
                self.renew_lease(&name).await
            })
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        let began = tokio::time::Instant::now();
        loop {
            let known = self.pod_ranges().await?;
            if known.len() == self.names.len() || began.elapsed() > PATIENCE {
                return Ok(known);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn pod_ranges(&self) -> Result<BTreeMap<String, String>, kube::Error> {
        let mut ranges = BTreeMap::new();
        let mut take = |node: v1::Node| {
            let range = node.spec.and_then(|spec| spec.pod_cidr);
            ranges.extend(node.metadata.name.zip(range));
        };
        if let [name] = &self.names[..] {
            // A kubelet's rights do not go further.
            self.api().get_opt(name).await?.into_iter().for_each(&mut take);
        } else {
            self.api().list(&ListParams::default()).await?.into_iter().for_each(&mut take);
            ranges.retain(|name, _| self.names.contains(name));
        }
        Ok(ranges)
    }

    async fn register(&self, name: &str) -> Result<(), kube::Error> {
        let mut labels: BTreeMap<&str, &str> = [
            ("kubernetes.io/hostname", name),
            ("kubernetes.io/os", "linux"),
            ("kubernetes.io/arch", "amd64"),
        ]
        .into();
        labels
            .extend(self.settings.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let node = json!({
            "metadata": {"name": name, "labels": labels},
            "spec": {"taints": self.settings.taints},
        });
        let node = serde_json::from_value(node).map_err(kube::Error::SerdeError)?;
        match self.api().create(&PostParams::default(), &node).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            other => drop(other?),
        }
        self.tell_well(name, true).await
    }

    /// Says that a node is well; `anew`: since now.
    async fn tell_well(&self, name: &str, anew: bool) -> Result<(), kube::Error> {
        let body = json!({"status": self.status(name, anew)});
        let patch = Patch::Strategic(&body);
        self.api().patch_status(name, &PatchParams::default(), &patch).await.map(drop)
    }

    fn status(&self, name: &str, anew: bool) -> Value {
        let now = Time::from(cluster_time().truncate_to_second());
        let condition = |condition: &str, status: &str, reason: &str, message: &str| {
            let mut told = json!({
                "type": condition, "status": status, "reason": reason, "message": message,
                "lastHeartbeatTime": now,
            });
            if anew {
                told["lastTransitionTime"] = json!(now);
            }
            told
        };
        let version = format!("v1.{}.0", self.version.minor());
        json!({
            "capacity": self.settings.capacity,
            "allocatable": self.settings.capacity,
            "addresses": [
                {"type": "InternalIP", "address": self.settings.ip},
                {"type": "Hostname", "address": name},
            ],
            // Nobody listens there; at the usual port it could be the kubelet of this machine.
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 1}},
            "nodeInfo": {
                "kubeletVersion": version, "kubeProxyVersion": "",
                "containerRuntimeVersion": concat!("podinit://", env!("CARGO_PKG_VERSION")),
                "osImage": "no containers here", "kernelVersion": "none", "operatingSystem": "linux",
                "architecture": "amd64", "machineID": name, "bootID": name, "systemUUID": name,
            },
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
                condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
            ],
        })
    }

    /// Renews a node's lease, whoever held it.
    async fn renew_lease(&self, name: &str) -> Result<(), kube::Error> {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), "kube-node-lease");
        let spec = json!({
            "holderIdentity": name, "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": MicroTime(cluster_time().into()),
        });
        let renewed = json!({"spec": spec});
        match leases.patch(name, &PatchParams::default(), &Patch::Merge(&renewed)).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            other => return other.map(drop),
        }
        let lease = json!({"metadata": {"name": name}, "spec": spec});
        let lease = serde_json::from_value(lease).map_err(kube::Error::SerdeError)?;
        leases.create(&PostParams::default(), &lease).await.map(drop)
    }

    /// Renews all leases for ever, one after the other in the time between two renewals, and says now
    /// and then that the nodes are well.
    pub(crate) async fn keep(self) {
        let count = u32::try_from(self.names.len()).unwrap_or(u32::MAX).max(1);
        let mut ticks = tokio::time::interval(RENEWAL / count);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let rounds = u32::try_from(HEARTBEAT.as_secs() / RENEWAL.as_secs()).unwrap_or(30);
        for round in 1_u32.. {
            for name in &self.names {
                ticks.tick().await;
                let (nodes, name) = (self.clone(), name.clone());
                tokio::spawn(async move {
                    let mut kept = nodes.renew_lease(&name).await;
                    if kept.is_ok() && nodes.settings.register && round % rounds == 0 {
                        kept = nodes.heartbeat(&name).await;
                    }
                    if let Err(error) = kept {
                        tracing::warn!(node = name, %error, "the node is not kept");
                    }
                });
            }
        }
    }

    async fn heartbeat(&self, name: &str) -> Result<(), kube::Error> {
        match self.tell_well(name, false).await {
            // It was deleted under us.
            Err(kube::Error::Api(status)) if status.code == 404 => self.register(name).await,
            other => other,
        }
    }
}

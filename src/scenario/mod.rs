//! What happens to a pod, as data: the one format of scenarios.
//!
//! A [`Scenario`] says what the world does to one pod while it is watched: how long each instance
//! of a container runs and how it ends, what probes and hooks say, how pulls and sandboxes go, which
//! calls of the runtime fail, and what is done from outside. It says nothing about what the kubelet
//! makes of it. Whatever plays scenarios takes this format: the oracle (the real kubelet in virtual
//! time) and what is compared with it.
//!
//! Every field has a default, and a pod without a scenario runs until it is watched no more. Unknown
//! fields are refused, with the path and what may have been meant ([`ScenarioError`]). Durations are
//! texts as Go writes them ([`GoDuration`]); times count from the pod's arrival unless said
//! otherwise. What is as it is by default is not written.
//!
//! ```
//! use core::time::Duration;
//! use podinit::scenario::{Scenario, Verb};
//!
//! let scenario: Scenario = serde_json::from_value(serde_json::json!({
//!     "until": "2m",
//!     "containers": {"migrate": {"instances": [
//!         {"runFor": "5s", "exitCode": 1},
//!         {"runFor": "7s"}, // the last one repeats
//!     ]}},
//!     "actions": [{"at": "30s", "delete": {"gracePeriodSeconds": 5}}],
//! }))?;
//! let migrate = scenario.container("migrate");
//! assert_eq!(migrate.instance(0).exit_code(), 1);
//! assert_eq!(migrate.instance(9).run_for.unwrap().0, Duration::from_secs(7));
//! assert!(matches!(scenario.actions[0].verb, Verb::Delete(_)));
//! assert_eq!(scenario.image("web:1").present, true);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod action;
mod call;
mod check;
mod error;
mod instance;
mod node;
mod read;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use serde_json::Value;
use smol_str::SmolStr;

pub use crate::go_duration::{GoDuration, GoDurationError};
pub use action::{
    Action, AddEphemeralContainer, Delete, Evict, KillContainer, Nothing, OfContainer, Patch,
    RebootNode, Resize, RestartKubelet, SetAvailableMemory, SetImage, SetSandboxIp, StopSandbox,
    Verb,
};
pub use call::{Call, CallFault, StatusCode};
pub use error::{ScenarioError, ScenarioProblem};
pub use instance::{Answer, Attempt, ContainerScenario, Instance, Stop};
pub use node::{CpuManagerPolicy, MemoryManagerPolicy, NodeSettings};
use read::{Path, object};

/// What happens to one pod.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "a scenario is written out, field by field")]
pub struct Scenario {
    /// How long the pod is watched, since its arrival: ten minutes if nothing is said, 720 hours at
    /// the most.
    pub until: GoDuration,
    /// What the containers do, by name.
    pub containers: BTreeMap<SmolStr, ContainerScenario>,
    /// How images are pulled, by name. An image without an entry is present.
    pub images: BTreeMap<SmolStr, ImageScenario>,
    /// The attempts to run a sandbox, in their order; the last one repeats.
    pub sandboxes: Vec<SandboxAttempt>,
    /// Calls of the runtime that fail or take long.
    pub calls: Vec<CallFault>,
    /// What is done from outside.
    pub actions: Vec<Action>,
    /// What the node is like.
    pub node: NodeSettings,
}

impl Scenario {
    /// How long a pod is watched if nothing is said.
    pub const DEFAULT_UNTIL: Duration = Duration::from_secs(600);
    /// The longest that a pod can be watched.
    pub const MAX_UNTIL: Duration = Duration::from_secs(720 * 3600);

    /// What a container does; one without an entry runs until it is stopped.
    pub fn container(&self, name: &str) -> &ContainerScenario {
        const NOTHING: &ContainerScenario = &ContainerScenario { instances: Vec::new() };
        self.containers.get(name).unwrap_or(NOTHING)
    }

    /// How an image is pulled; one without an entry is present.
    pub fn image(&self, name: &str) -> ImageScenario {
        let present = || ImageScenario { present: true, pulls: Vec::new() };
        self.images.get(name).cloned().unwrap_or_else(present)
    }

    /// How the attempt to run a sandbox goes that comes after `earlier` others.
    pub fn sandbox(&self, earlier: usize) -> SandboxAttempt {
        nth(&self.sandboxes, earlier).cloned().unwrap_or_default()
    }
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            until: GoDuration(Self::DEFAULT_UNTIL),
            containers: BTreeMap::new(),
            images: BTreeMap::new(),
            sandboxes: Vec::new(),
            calls: Vec::new(),
            actions: Vec::new(),
            node: NodeSettings::default(),
        }
    }
}

/// The item at a position of a list whose last item repeats.
fn nth<T>(list: &[T], position: usize) -> Option<&T> {
    list.get(position).or(list.last())
}

impl read::Part for Scenario {
    fn read(value: &Value, path: &Path<'_>) -> Result<Self, ScenarioError> {
        const FIELDS: &[&str] =
            &["until", "containers", "images", "sandboxes", "calls", "actions", "node"];
        let object = read::Object::open(value, path, FIELDS)?;
        let until = object.optional("until")?.unwrap_or(GoDuration(Self::DEFAULT_UNTIL));
        if until.0 > Self::MAX_UNTIL {
            let detail = "a pod can be watched for 720h0m0s at the most";
            return Err(Path::Field(path, "until").invalid(&value["until"], detail));
        }
        Ok(Self {
            until,
            containers: object.field("containers")?,
            images: object.field("images")?,
            sandboxes: object.field("sandboxes")?,
            calls: object.field("calls")?,
            actions: object.field("actions")?,
            node: object.field("node")?,
        })
    }
}

impl serde::Serialize for Scenario {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let default = Self::default();
        let mut map = serializer.serialize_map(None)?;
        macro_rules! entries {
            ($($field:ident),*) => {$(
                if self.$field != default.$field {
                    map.serialize_entry(stringify!($field), &self.$field)?;
                }
            )*};
        }
        entries!(until, containers, images, sandboxes, calls, actions, node);
        map.end()
    }
}

read::deserialize!(Scenario);

/// How an image is pulled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a scenario is written out, field by field")]
pub struct ImageScenario {
    /// It is on the node from the start.
    pub present: bool,
    /// The pulls, in their order; the last one repeats. Without any, a pull succeeds.
    pub pulls: Vec<Attempt>,
}

object!(ImageScenario { present: "present", pulls: "pulls" });

impl ImageScenario {
    /// How the pull goes that comes after `earlier` others.
    pub fn pull(&self, earlier: usize) -> Attempt {
        nth(&self.pulls, earlier).cloned().unwrap_or_default()
    }
}

/// One attempt to run a sandbox, and what becomes of the sandbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a scenario is written out, field by field")]
pub struct SandboxAttempt {
    /// How long the call takes; 41 ms if nothing is said.
    pub takes: Option<GoDuration>,
    /// What the runtime says if it fails.
    pub error: Option<SmolStr>,
    /// How long after it was made the sandbox stops being ready.
    pub dies_after: Option<GoDuration>,
    /// Its containers outlive it.
    pub keeps_containers: bool,
    /// Its address, if it is to have a certain one.
    pub ip: Option<SmolStr>,
}

object!(SandboxAttempt {
    takes: "takes",
    error: "error",
    dies_after: "diesAfter",
    keeps_containers: "keepsContainers",
    ip: "ip",
});

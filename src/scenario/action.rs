//! What is done to a pod from outside.

use alloc::vec::Vec;

use serde_json::Value;
use smol_str::SmolStr;

use super::error::{ScenarioError, ScenarioProblem};
use super::instance::exit_code;
use super::read::{Object, Part, Path, deserialize, object};
use crate::go_duration::GoDuration;
use crate::quantity::Quantity;

/// Something done from outside: when, and what.
///
/// Written with the verb as a field: `{at: 30s, delete: {gracePeriodSeconds: 5}}`.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "a scenario is written out, field by field")]
pub struct Action {
    /// When, since the pod's arrival.
    pub at: GoDuration,
    /// What is done.
    pub verb: Verb,
}

macro_rules! verbs {
    ($($(#[$doc:meta])* $variant:ident($type:ty) = $name:literal,)*) => {
        /// What is done from outside.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum Verb { $($(#[$doc])* $variant($type),)* }

        impl Verb {
            /// The names of all verbs.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            /// The verb's name in a scenario.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name),* }
            }

            fn read(object: &Object<'_>, name: &str) -> Result<Option<Self>, ScenarioError> {
                match name {
                    $($name => object.optional(name).map(|read| read.map(Self::$variant)),)*
                    _ => Ok(None),
                }
            }
        }

        impl serde::Serialize for Action {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap as _;
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("at", &self.at)?;
                match &self.verb {
                    $(Verb::$variant(what) => map.serialize_entry($name, what)?,)*
                }
                map.end()
            }
        }

        impl Part for Action {
            fn read(value: &Value, path: &Path<'_>) -> Result<Self, ScenarioError> {
                let object = Object::open(value, path, &["at", $($name),*])?;
                let at = object.field("at")?;
                let named: Vec<_> =
                    Verb::NAMES.iter().copied().filter(|name| object.has(name)).collect();
                let verb = match named[..] {
                    [name] => Verb::read(&object, name)?,
                    _ => None,
                };
                match verb {
                    Some(verb) => Ok(Self { at, verb }),
                    None => Err(path.invalid(value, "an action has exactly one verb")),
                }
            }
        }
    };
}

verbs! {
    /// A user deletes the pod through the API.
    Delete(Delete) = "delete",
    /// The kubelet is told to kill the pod, as its eviction manager does.
    Evict(Evict) = "evict",
    /// A critical pod arrives that does not fit beside this one.
    Preempt(Nothing) = "preempt",
    /// logind announces that the node shuts down.
    NodeShutdown(Nothing) = "nodeShutdown",
    /// The shutdown of the node is called off.
    CancelNodeShutdown(Nothing) = "cancelNodeShutdown",
    /// The kubelet ends and is started again.
    RestartKubelet(RestartKubelet) = "restartKubelet",
    /// The node goes down, with all containers and sandboxes, and comes up again.
    RebootNode(RebootNode) = "rebootNode",
    /// Somebody else changes the pod in the API.
    Patch(Patch) = "patch",
    /// The pod's resources are changed through the API's `resize`.
    Resize(Resize) = "resize",
    /// An ephemeral container is added.
    AddEphemeralContainer(AddEphemeralContainer) = "addEphemeralContainer",
    /// The image of a container is changed in the API.
    SetImage(SetImage) = "setImage",
    /// A running instance ends, behind the kubelet's back.
    KillContainer(KillContainer) = "killContainer",
    /// The newest instance is removed from the runtime, behind the kubelet's back.
    RemoveContainer(OfContainer) = "removeContainer",
    /// An instance of this name appears in the pod's sandbox that the kubelet did not make.
    StartContainer(OfContainer) = "startContainer",
    /// The newest sandbox stops being ready.
    StopSandbox(StopSandbox) = "stopSandbox",
    /// The newest sandbox is removed from the runtime, behind the kubelet's back.
    RemoveSandbox(Nothing) = "removeSandbox",
    /// The newest sandbox gets another address.
    SetSandboxIp(SetSandboxIp) = "setSandboxIP",
    /// The memory that the node has left.
    SetAvailableMemory(SetAvailableMemory) = "setAvailableMemory",
    /// The manifest of a static pod is taken away.
    RemoveStaticPod(Nothing) = "removeStaticPod",
}

deserialize!(Action);

impl Action {
    /// An action at a time since the pod's arrival.
    pub fn new(at: impl Into<GoDuration>, verb: Verb) -> Self {
        Self { at: at.into(), verb }
    }
}

/// A verb that needs no more words; written `{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Nothing {}

object!(Nothing {});

/// [`Verb::Delete`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a scenario is written out, field by field")]
pub struct Delete {
    /// The grace that is asked for. `None`: the pod's own; 0: the pod leaves the API at once.
    pub grace_period_seconds: Option<i64>,
}

object!(Delete { grace_period_seconds: "gracePeriodSeconds" } check Delete::check);

impl Delete {
    fn check(&self, value: &Value, path: &Path<'_>) -> Result<(), ScenarioError> {
        not_negative(self.grace_period_seconds, value, path)
    }
}

fn not_negative(seconds: Option<i64>, value: &Value, path: &Path<'_>) -> Result<(), ScenarioError> {
    if seconds.is_some_and(|seconds| seconds < 0) {
        let path = Path::Field(path, "gracePeriodSeconds");
        return Err(path.invalid(&value["gracePeriodSeconds"], "must not be negative"));
    }
    Ok(())
}

/// [`Verb::Evict`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a scenario is written out, field by field")]
pub struct Evict {
    /// The grace that the kubelet gives. `None`: one second, as of a hard threshold.
    pub grace_period_seconds: Option<i64>,
    /// What the pod's status says. `None`: Evicted.
    pub reason: Option<SmolStr>,
    /// The same in words. `None`: that the node was low on memory.
    pub message: Option<SmolStr>,
}

object!(Evict {
    grace_period_seconds: "gracePeriodSeconds",
    reason: "reason",
    message: "message",
} check Evict::check);

impl Evict {
    fn check(&self, value: &Value, path: &Path<'_>) -> Result<(), ScenarioError> {
        not_negative(self.grace_period_seconds, value, path)
    }
}

/// [`Verb::RestartKubelet`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a scenario is written out, field by field")]
pub struct RestartKubelet {
    /// How long there is none.
    pub down_for: GoDuration,
}

object!(RestartKubelet { down_for: "downFor" });

/// [`Verb::RebootNode`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a scenario is written out, field by field")]
pub struct RebootNode {
    /// How long the node is down.
    pub down_for: GoDuration,
}

object!(RebootNode { down_for: "downFor" });

/// [`Verb::Patch`]: a strategic merge patch.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "a scenario is written out, field by field")]
pub struct Patch {
    /// Of the pod itself if empty, or its `status`.
    pub subresource: SmolStr,
    /// The patch.
    pub patch: Value,
}

object!(Patch { subresource: "subresource", patch: "patch" } check Patch::check);

impl Patch {
    fn check(&self, value: &Value, path: &Path<'_>) -> Result<(), ScenarioError> {
        if !matches!(self.subresource.as_str(), "" | "status") {
            let path = Path::Field(path, "subresource");
            return Err(path.invalid(&value["subresource"], "must be empty or \"status\""));
        }
        an_object(&self.patch, "patch", path)
    }
}

fn an_object(value: &Value, name: &'static str, path: &Path<'_>) -> Result<(), ScenarioError> {
    match value {
        Value::Object(_) => Ok(()),
        Value::Null => Err(path.error(ScenarioProblem::Missing { name })),
        _ => Err(Path::Field(path, name).invalid(value, "must be an object")),
    }
}

/// [`Verb::Resize`]: a strategic merge patch.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "a scenario is written out, field by field")]
pub struct Resize {
    /// The patch.
    pub patch: Value,
}

object!(Resize { patch: "patch" } check Resize::check);

impl Resize {
    fn check(&self, _: &Value, path: &Path<'_>) -> Result<(), ScenarioError> {
        an_object(&self.patch, "patch", path)
    }
}

/// [`Verb::AddEphemeralContainer`].
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "a scenario is written out, field by field")]
pub struct AddEphemeralContainer {
    /// The container, as in `spec.ephemeralContainers`.
    pub container: Value,
}

object!(AddEphemeralContainer { container: "container" } check AddEphemeralContainer::check);

impl AddEphemeralContainer {
    fn check(&self, _: &Value, path: &Path<'_>) -> Result<(), ScenarioError> {
        an_object(&self.container, "container", path)?;
        match self.name() {
            "" => {
                Err(Path::Field(path, "container").error(ScenarioProblem::Missing { name: "name" }))
            }
            _ => Ok(()),
        }
    }

    /// The container's name.
    pub fn name(&self) -> &str {
        self.container["name"].as_str().unwrap_or_default()
    }
}

/// A check that a container is named.
fn named(container: &str, path: &Path<'_>) -> Result<(), ScenarioError> {
    if container.is_empty() {
        return Err(path.error(ScenarioProblem::Missing { name: "container" }));
    }
    Ok(())
}

/// [`Verb::SetImage`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a scenario is written out, field by field")]
pub struct SetImage {
    /// The container.
    pub container: SmolStr,
    /// Its new image.
    pub image: SmolStr,
}

object!(SetImage { container: "container", image: "image" } check SetImage::check);

impl SetImage {
    fn check(&self, _: &Value, path: &Path<'_>) -> Result<(), ScenarioError> {
        if self.image.is_empty() {
            return Err(path.error(ScenarioProblem::Missing { name: "image" }));
        }
        named(&self.container, path)
    }
}

/// [`Verb::KillContainer`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a scenario is written out, field by field")]
pub struct KillContainer {
    /// The container.
    pub container: SmolStr,
    /// The exit code with which it ends. `None`: 137.
    pub exit_code: Option<i32>,
    /// Why, in one word. `None`: Completed or Error, by the exit code.
    pub reason: Option<SmolStr>,
}

object!(KillContainer {
    container: "container",
    exit_code: "exitCode",
    reason: "reason",
} check KillContainer::check);

impl KillContainer {
    fn check(&self, value: &Value, path: &Path<'_>) -> Result<(), ScenarioError> {
        exit_code(self.exit_code, value, path)?;
        named(&self.container, path)
    }
}

/// [`Verb::RemoveContainer`] and [`Verb::StartContainer`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a scenario is written out, field by field")]
pub struct OfContainer {
    /// The container's name; what is started need not be in the pod.
    pub container: SmolStr,
}

object!(OfContainer { container: "container" } check OfContainer::check);

impl OfContainer {
    fn check(&self, _: &Value, path: &Path<'_>) -> Result<(), ScenarioError> {
        named(&self.container, path)
    }
}

/// [`Verb::StopSandbox`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a scenario is written out, field by field")]
pub struct StopSandbox {
    /// Its containers outlive it.
    pub keeps_containers: bool,
}

object!(StopSandbox { keeps_containers: "keepsContainers" });

/// [`Verb::SetSandboxIp`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a scenario is written out, field by field")]
pub struct SetSandboxIp {
    /// The address.
    pub ip: SmolStr,
}

object!(SetSandboxIp { ip: "ip" } check SetSandboxIp::check);

impl SetSandboxIp {
    fn check(&self, _: &Value, path: &Path<'_>) -> Result<(), ScenarioError> {
        match self.ip.as_str() {
            "" => Err(path.error(ScenarioProblem::Missing { name: "ip" })),
            _ => Ok(()),
        }
    }
}

/// [`Verb::SetAvailableMemory`].
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "a scenario is written out, field by field")]
pub struct SetAvailableMemory {
    /// So much.
    pub available: Option<Quantity>,
    /// Or what the containers leave of the node's memory.
    pub auto: bool,
}

object!(SetAvailableMemory { available: "available", auto: "auto" } check SetAvailableMemory::check);

impl SetAvailableMemory {
    fn check(&self, value: &Value, path: &Path<'_>) -> Result<(), ScenarioError> {
        if self.available.is_some() == self.auto {
            return Err(path.invalid(value, "must have either available or auto: true"));
        }
        Ok(())
    }
}

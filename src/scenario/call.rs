//! Calls of the runtime that do not go as they should.

use alloc::format;

use serde_json::Value;
use smol_str::SmolStr;

use super::error::ScenarioError;
use super::read::{Object, Part, Path, deserialize, words};
use crate::go_duration::GoDuration;

words! {
    /// A call of the runtime interface (CRI), by its name there.
    Call {
        /// Asks for the runtime's version.
        Version = "Version",
        /// Asks whether the runtime is well.
        Status = "Status",
        /// Makes and starts a sandbox.
        RunPodSandbox = "RunPodSandbox",
        /// Stops a sandbox and all that runs in it.
        StopPodSandbox = "StopPodSandbox",
        /// Removes a sandbox.
        RemovePodSandbox = "RemovePodSandbox",
        /// Asks for one sandbox.
        PodSandboxStatus = "PodSandboxStatus",
        /// Asks for all sandboxes.
        ListPodSandbox = "ListPodSandbox",
        /// Creates a container instance.
        CreateContainer = "CreateContainer",
        /// Starts a container instance.
        StartContainer = "StartContainer",
        /// Stops a container instance.
        StopContainer = "StopContainer",
        /// Removes a container instance.
        RemoveContainer = "RemoveContainer",
        /// Asks for all container instances.
        ListContainers = "ListContainers",
        /// Asks for one container instance.
        ContainerStatus = "ContainerStatus",
        /// Changes the resources of a running instance.
        UpdateContainerResources = "UpdateContainerResources",
        /// Tells the resources of a sandbox.
        UpdatePodSandboxResources = "UpdatePodSandboxResources",
        /// Runs a command in an instance.
        ExecSync = "ExecSync",
        /// Asks for what an instance uses.
        ContainerStats = "ContainerStats",
        /// Asks for what all instances use.
        ListContainerStats = "ListContainerStats",
        /// Asks for what a sandbox uses.
        PodSandboxStats = "PodSandboxStats",
        /// Asks for what all sandboxes use.
        ListPodSandboxStats = "ListPodSandboxStats",
        /// Asks for one image.
        ImageStatus = "ImageStatus",
        /// Asks for all images.
        ListImages = "ListImages",
        /// Pulls an image.
        PullImage = "PullImage",
        /// Removes an image.
        RemoveImage = "RemoveImage",
        /// Asks for what the images use.
        ImageFsInfo = "ImageFsInfo",
    }
}

words! {
    /// A code of gRPC, by its name in Go.
    StatusCode {
        /// 1
        Canceled = "Canceled",
        /// 2
        Unknown = "Unknown",
        /// 3
        InvalidArgument = "InvalidArgument",
        /// 4
        DeadlineExceeded = "DeadlineExceeded",
        /// 5
        NotFound = "NotFound",
        /// 6
        AlreadyExists = "AlreadyExists",
        /// 7
        PermissionDenied = "PermissionDenied",
        /// 8
        ResourceExhausted = "ResourceExhausted",
        /// 9
        FailedPrecondition = "FailedPrecondition",
        /// 10
        Aborted = "Aborted",
        /// 11
        OutOfRange = "OutOfRange",
        /// 12
        Unimplemented = "Unimplemented",
        /// 13
        Internal = "Internal",
        /// 14
        Unavailable = "Unavailable",
        /// 15
        DataLoss = "DataLoss",
        /// 16
        Unauthenticated = "Unauthenticated",
    }
}

/// Calls of the runtime that fail, or take longer than they should.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a scenario is written out, field by field")]
pub struct CallFault {
    /// Which call.
    pub call: Call,
    /// Only where it is about this container. Empty: about any.
    pub container: SmolStr,
    /// Only where it is about this image. Empty: about any.
    pub image: SmolStr,
    /// Only from this time on.
    pub from: GoDuration,
    /// And until this time. `None`: for good.
    pub until: Option<GoDuration>,
    /// At most this many times. `None`: always.
    pub times: Option<u32>,
    /// How long the call takes longer, or until it fails.
    pub takes: Option<GoDuration>,
    /// What the runtime says. `None`: it does not fail, it only takes time.
    pub error: Option<SmolStr>,
    /// The code of the error.
    pub code: StatusCode,
}

impl CallFault {
    /// Every such call fails in these words.
    pub fn failing(call: Call, error: impl Into<SmolStr>) -> Self {
        Self {
            call,
            container: SmolStr::default(),
            image: SmolStr::default(),
            from: GoDuration::default(),
            until: None,
            times: None,
            takes: None,
            error: Some(error.into()),
            code: StatusCode::Unknown,
        }
    }
}

impl Part for CallFault {
    fn read(value: &Value, path: &Path<'_>) -> Result<Self, ScenarioError> {
        const FIELDS: &[&str] =
            &["call", "container", "image", "from", "until", "times", "takes", "error", "code"];
        let object = Object::open(value, path, FIELDS)?;
        let fault = Self {
            call: object.required("call")?,
            container: object.field("container")?,
            image: object.field("image")?,
            from: object.field("from")?,
            until: object.optional("until")?,
            times: object.optional("times")?,
            takes: object.optional("takes")?,
            error: object.optional("error")?,
            code: object.optional("code")?.unwrap_or(StatusCode::Unknown),
        };
        if fault.error.is_none() && fault.takes.is_none() {
            return Err(path.invalid(value, "must have an error, or say how long the call takes"));
        }
        if fault.times == Some(0) {
            return Err(Path::Field(path, "times").invalid(&value["times"], "must be 1 at least"));
        }
        if fault.until.is_some_and(|until| until <= fault.from) {
            let detail = format!("must be later than from, which is {}", fault.from);
            return Err(Path::Field(path, "until").invalid(&value["until"], detail));
        }
        Ok(fault)
    }
}

impl serde::Serialize for CallFault {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let default = Self { error: None, ..Self::failing(self.call, "") };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("call", &self.call)?;
        macro_rules! entries {
            ($($field:ident),*) => {$(
                if self.$field != default.$field {
                    map.serialize_entry(stringify!($field), &self.$field)?;
                }
            )*};
        }
        entries!(container, image, from, until, times, takes, error, code);
        map.end()
    }
}

deserialize!(CallFault);

//! Starting one container: back-off, image, creation, start (`startContainer`, `EnsureImageExists`).

use alloc::vec::Vec;
use core::hash::Hasher;
use core::time::Duration;

use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, format_smolstr};

use super::PodWorker;
use super::operation::{
    CheckImage, CreateContainer, Failure, FailureKind, Notice, Operation, OutcomeKind, PullImage,
    StartContainer,
};
use super::result::{SyncAction, SyncError};
use crate::backoff::{BackOff, BackOffKey, BackOffSettings};
use crate::event::Event;
use crate::fnv::Fnv1a;
use crate::go_duration::GoDuration;
use crate::observation::{ContainerInstance, Observation};
use crate::pod::{ContainerIndex, ImagePullPolicy, PodSpec};
use crate::status::StartFailure;
use crate::time::Timestamp;
use crate::version::{Change, Feature};

/// How far the start of a container has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum StartStage {
    BackOff,
    Image,
    Pull,
    Create,
    Start(SmolStr),
}

/// The start of one container.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct StartStep {
    container: ContainerIndex,
    /// The end of its newest instance that has exited: what back-off counts from.
    last_exit: Option<Timestamp>,
    /// `None`: the runtime has no record of it.
    restart_count: Option<u32>,
    stage: StartStage,
}

impl StartStep {
    /// By the observation at the beginning of the sync, as all decisions of one sync are: a
    /// container that this sync has killed has no end yet.
    pub(super) fn new(container: ContainerIndex, observation: &Observation) -> Self {
        let instances = observation.instances(container);
        let last_exit = instances.iter().find_map(ContainerInstance::exit);
        Self {
            container,
            last_exit: last_exit.map(|exit| exit.finished_at.unwrap_or(Timestamp::UNIX_EPOCH)),
            restart_count: instances.first().map(|newest| newest.restart_count.saturating_add(1)),
            stage: StartStage::BackOff,
        }
    }

    pub(super) fn container(&self) -> ContainerIndex {
        self.container
    }

    fn at(&self, stage: StartStage) -> Self {
        Self { stage, ..self.clone() }
    }
}

/// The images of one pod: the back-off of their pulls, and how the last pulls failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct ImagePulls {
    back_off: BackOff<BackOffKey>,
    last_errors: Vec<(BackOffKey, SmolStr)>,
}

impl ImagePulls {
    pub(super) fn new(settings: BackOffSettings) -> Self {
        Self { back_off: BackOff::new(settings), last_errors: Vec::new() }
    }

    /// The image's next pull is held back from `at`.
    #[cfg(feature = "fleet")]
    pub(super) fn hold_back(&mut self, pod: &PodSpec, container: ContainerIndex, at: Timestamp) {
        self.back_off.advance(Self::key(pod, container), at, at);
    }

    /// The containers of a pod that have the same image share a series.
    fn key(pod: &PodSpec, container: ContainerIndex) -> BackOffKey {
        let mut hash = Fnv1a::default();
        hash.text(&pod.identity().uid);
        hash.text(pod.container(container).image());
        BackOffKey(hash.finish())
    }

    fn last_error(&self, key: BackOffKey) -> Option<&SmolStr> {
        self.last_errors.iter().find(|(of, _)| *of == key).map(|(_, error)| error)
    }

    fn failed(&mut self, key: BackOffKey, error: SmolStr, now: Timestamp) {
        self.back_off.advance(key, now, now);
        self.last_errors.retain(|(of, _)| *of != key);
        self.last_errors.push((key, error));
    }

    fn pulled(&mut self, key: BackOffKey, now: Timestamp) {
        self.back_off.collect_garbage(now);
        self.last_errors.retain(|(of, _)| *of != key);
    }
}

impl PodWorker {
    /// Begins the next stage of a start; `None` if the runtime is not needed for it.
    pub(super) fn begin_start_step(
        &mut self,
        pod: &PodSpec,
        start: StartStep,
        now: Timestamp,
    ) -> Option<Operation> {
        let container = start.container;
        match &start.stage {
            StartStage::BackOff => {
                match self.do_back_off(pod, &start, now) {
                    Ok(()) => self.replace_step(start.at(StartStage::Image)),
                    Err(error) => self.container_start_failed(pod, container, error),
                }
                None
            }
            StartStage::Image => Some(Operation::CheckImage(CheckImage { container })),
            StartStage::Pull => {
                if let Err(error) = self.may_pull(pod, container, now) {
                    self.image_failed(pod, container, error);
                    return None;
                }
                let image = pod.container(container).image();
                self.event(
                    Event::normal("Pulling", format_smolstr!("Pulling image \"{image}\""))
                        .about(container),
                );
                Some(Operation::PullImage(PullImage { container }))
            }
            StartStage::Create => Some(Operation::CreateContainer(CreateContainer {
                container,
                sandbox_id: self.program.sandbox_id.clone(),
                restart_count: start.restart_count,
            })),
            StartStage::Start(id) => {
                Some(Operation::StartContainer(StartContainer { container, id: id.clone() }))
            }
        }
    }

    /// Takes the outcome of a stage; `told`: what was told of it before; `times`: when it began and
    /// when it ended.
    pub(super) fn end_start_step(
        &mut self,
        pod: &PodSpec,
        start: StartStep,
        operation: &Operation,
        outcome: OutcomeKind,
        told: Option<Notice>,
        (began, now): (Timestamp, Timestamp),
    ) {
        let container = start.container;
        match (operation, outcome) {
            (_, OutcomeKind::Failed(failure)) if failure.kind == FailureKind::PostStartHook => {
                self.tell_start(pod, container, told, Notice::PostStartHookFailed);
                let reason = failure_reason(operation, failure.kind);
                self.container_start_failed(
                    pod,
                    container,
                    SyncError::new(reason, failure.message),
                );
            }
            // Who pulls in any case need not know whether the image is there.
            (Operation::CheckImage { .. }, OutcomeKind::Failed(failure))
                if failure.kind != FailureKind::InvalidImageName
                    && pod.container(container).image_pull_policy() == ImagePullPolicy::Always =>
            {
                self.replace_step(start.at(StartStage::Pull));
            }
            (_, OutcomeKind::Failed(failure)) => {
                self.start_stage_failed(pod, container, operation, failure, now);
            }
            (_, OutcomeKind::ImagePresent(present)) => self.image_checked(pod, &start, present),
            (_, OutcomeKind::Pulled { size }) => {
                self.image_pulled(pod, container, size, now.saturating_duration_since(began), now);
                self.replace_step(start.at(StartStage::Create));
            }
            (_, OutcomeKind::Created(id)) => {
                self.event(
                    Event::normal("Created", created_text(pod, container, "Created"))
                        .about(container),
                );
                self.replace_step(start.at(StartStage::Start(id)));
            }
            (_, OutcomeKind::Done | OutcomeKind::Sandbox(_) | OutcomeKind::Stopped(_)) => {
                self.tell_start(pod, container, told, Notice::Started);
                self.start_failures.remove(container);
                let name = pod.container(container).name().clone();
                self.report(SyncAction::StartContainer, name, None);
                self.next_step();
            }
        }
    }

    /// `doBackOff`: a container that has ended before is held back, or the series goes on.
    fn do_back_off(
        &mut self,
        pod: &PodSpec,
        start: &StartStep,
        now: Timestamp,
    ) -> Result<(), SyncError> {
        let Some(finished_at) = start.last_exit else { return Ok(()) };
        let key = Self::crash_loop_key(pod, start.container);
        let Some(delay) = self.crash_loop_back_off.in_back_off_since(&key, finished_at, now) else {
            self.crash_loop_back_off.advance(key, finished_at, now);
            return Ok(());
        };
        let name = pod.container(start.container).name();
        let identity = pod.identity();
        let message =
            format_smolstr!("Back-off restarting failed container {name} in pod {identity}");
        self.event(Event::warning("BackOff", message).about(start.container));
        Err(SyncError {
            reason: SmolStr::new_static("CrashLoopBackOff"),
            message: format_smolstr!(
                "back-off {} restarting failed container={name} pod={identity}",
                GoDuration(delay)
            ),
            back_off_expires: Some(finished_at + delay),
        })
    }

    fn image_checked(&mut self, pod: &PodSpec, start: &StartStep, present: bool) {
        let container = start.container;
        let image = pod.container(container).image();
        match (pod.container(container).image_pull_policy(), present) {
            (ImagePullPolicy::IfNotPresent | ImagePullPolicy::Never, true) => {
                let checked = if pod.enabled(Feature::KubeletEnsureSecretPulledImages) {
                    " and can be accessed by the pod"
                } else {
                    ""
                };
                let message = format_smolstr!(
                    "Container image \"{image}\" already present on machine{checked}"
                );
                self.event(Event::normal("Pulled", message).about(container));
                self.replace_step(start.at(StartStage::Create));
            }
            (ImagePullPolicy::Never, false) => {
                let message = format_smolstr!(
                    "Container image \"{image}\" is not present with pull policy of Never"
                );
                self.event(Event::warning("ErrImageNeverPull", message.clone()).about(container));
                self.image_failed(pod, container, SyncError::new("ErrImageNeverPull", message));
            }
            (ImagePullPolicy::Always, _) | (ImagePullPolicy::IfNotPresent, false) => {
                self.replace_step(start.at(StartStage::Pull));
            }
        }
    }

    /// Is the image not held back because its last pull failed?
    fn may_pull(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
        now: Timestamp,
    ) -> Result<(), SyncError> {
        let key = ImagePulls::key(pod, container);
        if self.image_pulls.back_off.in_back_off_since_update(&key, now).is_none() {
            return Ok(());
        }
        let text =
            format_smolstr!("Back-off pulling image \"{}\"", pod.container(container).image());
        let message = match self.image_pulls.last_error(key) {
            Some(last) => format_smolstr!("{text}: {last}"),
            None => text.clone(),
        };
        self.event(Event::normal("BackOff", text).about(container));
        Err(SyncError::new("ImagePullBackOff", message))
    }

    fn image_pulled(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
        size: u64,
        took: Duration,
        now: Timestamp,
    ) {
        let image = pod.container(container).image();
        let took =
            GoDuration(Duration::from_millis(u64::try_from(took.as_millis()).unwrap_or(u64::MAX)));
        let mut message = format_smolstr!(
            "Successfully pulled image \"{image}\" in {took} ({took} including waiting)"
        );
        if pod.gates().has(Change::PulledTellsImageSize) {
            message = format_smolstr!("{message}. Image size: {size} bytes.");
        }
        self.event(Event::normal("Pulled", message).about(container));
        self.image_pulls.pulled(ImagePulls::key(pod, container), now);
    }

    fn start_stage_failed(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
        operation: &Operation,
        failure: Failure,
        now: Timestamp,
    ) {
        let reason = failure_reason(operation, failure.kind);
        let image = pod.container(container).image();
        match operation {
            Operation::CheckImage { .. } => {
                let message = match failure.kind {
                    FailureKind::InvalidImageName => {
                        format_smolstr!("Failed to apply default image tag \"{image}\": {failure}")
                    }
                    // The reference that is printed is the empty one.
                    _ => format_smolstr!("Failed to inspect image \"\": {failure}"),
                };
                self.event(Event::warning("InspectFailed", message.clone()).about(container));
                self.image_failed(pod, container, SyncError::new(reason, message));
            }
            Operation::PullImage { .. } => {
                // The event has the runtime's own words.
                let (said, message) = pull_failure(image, failure);
                let event = format_smolstr!("Failed to pull image \"{image}\": {said}");
                self.event(Event::warning("Failed", event).about(container));
                let key = ImagePulls::key(pod, container);
                self.image_pulls.failed(key, format_smolstr!("{reason}: {message}"), now);
                self.image_failed(pod, container, SyncError::new(reason, message));
            }
            _ => {
                let event = match failure.kind {
                    FailureKind::PreCreateHook => Event::warning(
                        "Failed",
                        format_smolstr!("Internal PreCreateContainer hook failed: {failure}"),
                    ),
                    FailureKind::PreStartHook => Event::warning(
                        "Failed",
                        format_smolstr!("Internal PreStartContainer hook failed: {failure}"),
                    ),
                    _ => Event::warning("Failed", format_smolstr!("Error: {failure}")),
                };
                let mut event = event.about(container);
                if let Operation::StartContainer(StartContainer { id, .. }) = operation {
                    // Ids are taken out, so that equal events are counted (`recordContainerEvent`).
                    let id = id.rsplit("://").next().unwrap_or(id);
                    if !id.is_empty() {
                        let name = pod.container(container).name();
                        event.message = event.message.replace(id, name).into();
                    }
                }
                self.event(event);
                self.container_start_failed(
                    pod,
                    container,
                    SyncError::new(reason, failure.message),
                );
            }
        }
    }

    /// Tells that a container has started, and that its hook has failed, as far as that was not told
    /// before.
    pub(super) fn tell_start(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
        told: Option<Notice>,
        notice: Notice,
    ) {
        if told.is_none() {
            let text = created_text(pod, container, "Started");
            self.event(Event::normal("Started", text).about(container));
        }
        if notice == Notice::PostStartHookFailed && told != Some(Notice::PostStartHookFailed) {
            let failed = Event::warning("FailedPostStartHook", "PostStartHook failed");
            self.event(failed.about(container));
            self.event(Event::normal("Killing", "FailedPostStartHook").about(container));
        }
    }

    /// The image cannot be had.
    fn image_failed(&mut self, pod: &PodSpec, container: ContainerIndex, error: SyncError) {
        let event = format_smolstr!("Error: {}", error.reason);
        self.event(Event::warning("Failed", event).about(container));
        self.container_start_failed(pod, container, error);
    }

    fn container_start_failed(
        &mut self,
        pod: &PodSpec,
        container: ContainerIndex,
        error: SyncError,
    ) {
        let failure = StartFailure { reason: error.reason.clone(), message: error.message.clone() };
        self.start_failures.insert(container, failure);
        let name = pod.container(container).name().clone();
        self.report(SyncAction::StartContainer, name, Some(error));
        self.start_failed(pod, container);
        self.next_step();
    }
}

/// What the runtime said of a pull that failed, and what the container waits for
/// (`evalCRIPullErr`). The name of the error may stand before the runtime's words or not.
fn pull_failure(image: &str, failure: Failure) -> (SmolStr, SmolStr) {
    let (name, why) = match failure.kind {
        FailureKind::RegistryUnavailable => ("RegistryUnavailable", "the registry is unavailable"),
        FailureKind::SignatureValidationFailed => {
            ("SignatureValidationFailed", "the signature validation failed")
        }
        _ => return (failure.message.clone(), failure.message),
    };
    let words = failure.message.strip_prefix(name).unwrap_or(&failure.message);
    (
        format_smolstr!("{name}{words}"),
        format_smolstr!("image pull failed for {image} because {why}{words}"),
    )
}

/// The error's word, by what was tried and how it failed.
fn failure_reason(operation: &Operation, kind: FailureKind) -> &'static str {
    match (kind, operation) {
        (FailureKind::InvalidImageName, _) => "InvalidImageName",
        (FailureKind::RegistryUnavailable, _) => "RegistryUnavailable",
        (FailureKind::SignatureValidationFailed, _) => "SignatureValidationFailed",
        (FailureKind::CreateContainerConfig, _) => "CreateContainerConfigError",
        (FailureKind::PreCreateHook, _) => "PreCreateHookError",
        (FailureKind::PreStartHook, _) => "PreStartHookError",
        (FailureKind::PostStartHook, _) => "PostStartHookError",
        (FailureKind::Plain, Operation::CheckImage { .. }) => "ImageInspectError",
        (FailureKind::Plain, Operation::PullImage { .. }) => "ErrImagePull",
        (FailureKind::Plain, Operation::CreateContainer { .. }) => "CreateContainerError",
        (FailureKind::Plain, _) => "RunContainerError",
    }
}

/// The texts of `Created` and `Started`, which have changed twice.
fn created_text(pod: &PodSpec, container: ContainerIndex, verb: &str) -> SmolStr {
    let name = pod.container(container).name();
    let gates = pod.gates();
    if gates.has(Change::EventsDoNotNameTheContainer) {
        let verb = if verb == "Created" { "created" } else { "started" };
        format_smolstr!("Container {verb}")
    } else if gates.has(Change::CreatedHasColon) && verb == "Created" {
        format_smolstr!("{verb} container: {name}")
    } else {
        format_smolstr!("{verb} container {name}")
    }
}

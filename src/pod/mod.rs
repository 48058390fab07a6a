//! What is declared: a pod compiled once from `v1.Pod`, then asked many times.
//!
//! [`PodSpec::compile`] takes a pod that an apiserver would admit;
//! [`PodSpec::compile_unchecked`] takes odd ones too. Both go through
//! [`admit`](crate::admission::admit), which can be called first where the pod is also needed for
//! its validation or its resources. [`Container`]s are found by name at the edges
//! ([`PodSpec::find`]) and by [`ContainerIndex`] inside.

mod compile;
mod container;
mod error;
mod extensions;
mod restart;
mod source;

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::time::Duration;

use k8s_openapi::api::core::v1;
use smol_str::SmolStr;

pub use crate::container::{ContainerIndex, ContainerKind};
pub use container::{Container, ImagePullPolicy, LifecycleHandler, Probe};
pub use error::SpecError;
pub use extensions::Extensions;
pub use restart::{
    ContainerRestartPolicy, ExitCodeOperator, RestartPolicy, RestartRule, RestartRuleAction,
};

use crate::resources::{PodResources, ResourcesError};
use crate::version::{Feature, FeatureGates};

/// A pod's identity: what names it in keys, events and messages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "name, namespace and UID are all that names a pod")]
pub struct PodIdentity {
    /// `metadata.name`.
    pub name: SmolStr,
    /// `metadata.namespace`; `default` where the manifest gives none.
    pub namespace: SmolStr,
    /// `metadata.uid`.
    pub uid: SmolStr,
}

impl core::fmt::Display for PodIdentity {
    /// `name_namespace(uid)`, as the kubelet writes pods in events (`format.Pod`).
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}_{}({})", self.name, self.namespace, self.uid)
    }
}

/// A pod compiled once: names interned, policies and rules parsed, API defaults and feature gates
/// applied.
///
/// # Containers
///
/// Containers of all lists share one index space, [`ContainerIndex`]: init containers first, then
/// app containers, then ephemeral ones, each in the order of the manifest.
///
/// # Updates
///
/// The spec does not change while it is used. A pod that was updated is compiled anew; container
/// instances that were made from another definition are told by their
/// [`definition_hash`](crate::observation::ContainerInstance::definition_hash).
///
/// # Serialised form
///
/// It is the pod as it was admitted with its gates and extensions; it is compiled anew, but
/// not validated, when it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct PodSpec {
    identity: PodIdentity,
    gates: FeatureGates,
    extensions: Extensions,
    restart_policy: RestartPolicy,
    host_network: bool,
    static_pod: bool,
    termination_grace_period_seconds: i64,
    active_deadline: Option<Duration>,
    readiness_gates: Box<[SmolStr]>,
    containers: Box<[Container]>,
    init_containers: u16,
    app_containers: u16,
    /// App containers as the API lists their statuses: sorted by name.
    sorted_apps: Box<[ContainerIndex]>,
    has_restartable_init_container: bool,
    has_restart_all_containers_rule: bool,
    /// As it was admitted.
    source: Arc<v1::Pod>,
}

impl PodSpec {
    /// The same pod with extensions that Kubernetes does not have.
    #[must_use]
    pub fn with_extensions(self, extensions: Extensions) -> Self {
        Self { extensions, ..self }
    }

    /// The extensions in force; none by default.
    pub fn extensions(&self) -> Extensions {
        self.extensions
    }

    /// Does an init container that ended with this exit code count as done?
    pub(crate) fn is_init_success(&self, exit_code: i32) -> bool {
        exit_code == 0 || self.extensions.ignore_init_failure
    }

    /// The same pod after an update that gave a container another image, the one thing of a
    /// container that can change in a live pod. Its pull policy stays.
    ///
    /// What the update does: a running app or restartable init container is restarted with the new
    /// image, whatever the policies; a regular init container uses it when it next starts, and
    /// restarts for it never.
    #[must_use]
    pub fn with_image(&self, container: ContainerIndex, image: impl Into<SmolStr>) -> Self {
        let mut pod = self.clone();
        if let Some(compiled) = pod.containers.get_mut(container.slot()) {
            let image = image.into();
            compiled.set_image(image.clone());
            source::set_image(Arc::make_mut(&mut pod.source), container, &image);
        }
        pod
    }

    /// The requests and limits of the pod, those of the status that it was compiled with included.
    ///
    /// # Errors
    /// For text that is no quantity, and for amounts that cannot be added up in 128 bits.
    pub fn resources(&self) -> Result<PodResources, ResourcesError> {
        PodResources::compile(&self.source, self.gates)
    }

    /// The pod that this was compiled from, with the defaults of the API and without the fields of
    /// features that are off.
    pub fn source(&self) -> &v1::Pod {
        &self.source
    }

    /// Who this pod is.
    pub fn identity(&self) -> &PodIdentity {
        &self.identity
    }

    /// The feature gates and the version whose rules hold for this pod.
    pub fn gates(&self) -> FeatureGates {
        self.gates
    }

    /// Is a gate on?
    pub fn enabled(&self, feature: Feature) -> bool {
        self.gates.enabled(feature)
    }

    /// `spec.restartPolicy`.
    pub fn restart_policy(&self) -> RestartPolicy {
        self.restart_policy
    }

    /// `spec.hostNetwork`.
    pub fn host_network(&self) -> bool {
        self.host_network
    }

    /// A static pod, read from a file or URL by the kubelet itself: it never gets a terminal phase.
    pub fn is_static(&self) -> bool {
        self.static_pod
    }

    /// `spec.terminationGracePeriodSeconds`, 30 where the manifest gives none.
    pub fn termination_grace_period_seconds(&self) -> i64 {
        self.termination_grace_period_seconds
    }

    /// `spec.activeDeadlineSeconds`.
    pub fn active_deadline(&self) -> Option<Duration> {
        self.active_deadline
    }

    /// The condition types of `spec.readinessGates`.
    pub fn readiness_gates(&self) -> &[SmolStr] {
        &self.readiness_gates
    }

    /// All containers: init, app, ephemeral.
    pub fn containers(&self) -> &[Container] {
        &self.containers
    }

    /// The container at an index; `None` if the index belongs to another pod that has more
    /// containers.
    pub fn get(&self, index: ContainerIndex) -> Option<&Container> {
        self.containers.get(index.slot())
    }

    /// The container at an index of this pod. For an index from elsewhere there is
    /// [`PodSpec::get`].
    ///
    /// # Panics
    /// If the index belongs to another pod that has more containers.
    pub fn container(&self, index: ContainerIndex) -> &Container {
        &self.containers[index.slot()]
    }

    /// The container of this name.
    pub fn find(&self, name: &str) -> Option<ContainerIndex> {
        let slot = self.containers.iter().position(|container| container.name() == name)?;
        Some(ContainerIndex::new(slot))
    }

    /// `spec.initContainers`, regular and restartable, in their order.
    pub fn init_containers(
        &self,
    ) -> impl DoubleEndedIterator<Item = ContainerIndex> + ExactSizeIterator + use<> {
        (0..self.init_containers).map(|slot| ContainerIndex::new(slot.into()))
    }

    /// The init container after this one.
    pub(crate) fn next_init_container(&self, index: ContainerIndex) -> Option<ContainerIndex> {
        let next = index.slot() + 1;
        (next < usize::from(self.init_containers)).then(|| ContainerIndex::new(next))
    }

    /// `spec.containers` in their order.
    pub fn app_containers(
        &self,
    ) -> impl DoubleEndedIterator<Item = ContainerIndex> + ExactSizeIterator + use<> {
        let first = self.init_containers;
        (first..first + self.app_containers).map(|slot| ContainerIndex::new(slot.into()))
    }

    /// `spec.ephemeralContainers` in their order.
    pub fn ephemeral_containers(
        &self,
    ) -> impl DoubleEndedIterator<Item = ContainerIndex> + ExactSizeIterator + use<> {
        (self.init_containers + self.app_containers..self.containers.len() as u16)
            .map(|slot| ContainerIndex::new(slot.into()))
    }

    /// App containers sorted by name, the order of `status.containerStatuses`.
    pub fn app_containers_by_name(&self) -> &[ContainerIndex] {
        &self.sorted_apps
    }

    /// The position of a container in its own list (`spec.initContainers`, `spec.containers` or
    /// `spec.ephemeralContainers`).
    pub fn position_in_list(&self, index: ContainerIndex) -> usize {
        let before = match self.container(index).kind() {
            ContainerKind::Init | ContainerKind::RestartableInit => 0,
            ContainerKind::App => self.init_containers,
            ContainerKind::Ephemeral => self.init_containers + self.app_containers,
        };
        index.slot() - usize::from(before)
    }

    /// Has the pod a restartable init container?
    #[doc(alias = "sidecar")]
    pub fn has_restartable_init_container(&self) -> bool {
        self.has_restartable_init_container
    }

    /// Has an init or app container a rule with the action `RestartAllContainers`, and is the gate
    /// for it on? Such a pod can be restarted in place.
    pub fn can_restart_all_containers(&self) -> bool {
        self.has_restart_all_containers_rule
    }
}

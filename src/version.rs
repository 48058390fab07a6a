//! Kubernetes versions and feature gates: which rules hold.
//!
//! Behaviour that differs between minor versions is data. A [`KubernetesVersion`] gives the
//! default [`FeatureGates`]; a caller may then set single gates as `--feature-gates` would.
//! Source: `pkg/features/kube_features.go` of each version.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// A minor version of Kubernetes whose rules can be applied.
///
/// The default is [`KubernetesVersion::V1_36`], whose code produced the recorded vectors.
/// 1.37 is known from documentation and merged pull requests only.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(into = "SmolStr", try_from = "SmolStr")]
#[allow(missing_docs, reason = "each variant is the version that it names")]
#[non_exhaustive]
pub enum KubernetesVersion {
    V1_28,
    V1_29,
    V1_30,
    V1_31,
    V1_32,
    V1_33,
    V1_34,
    V1_35,
    #[default]
    V1_36,
    V1_37,
}

impl KubernetesVersion {
    /// Every version that can be chosen, oldest first.
    pub const ALL: [Self; 10] = [
        Self::V1_28,
        Self::V1_29,
        Self::V1_30,
        Self::V1_31,
        Self::V1_32,
        Self::V1_33,
        Self::V1_34,
        Self::V1_35,
        Self::V1_36,
        Self::V1_37,
    ];

    /// The minor number: 36 for 1.36.
    pub const fn minor(self) -> u8 {
        28 + self as u8
    }

    /// The feature gates of this version with their defaults.
    pub fn feature_gates(self) -> FeatureGates {
        FeatureGates::for_version(self)
    }
}

impl fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.minor())
    }
}

/// Text that names no supported Kubernetes version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a supported Kubernetes version: expected 1.28 to 1.37, such as \"1.36\" or \"v1.36.2\""
)]
pub struct UnsupportedVersion(pub SmolStr);

impl FromStr for KubernetesVersion {
    type Err = UnsupportedVersion;

    /// Reads `1.36`, `v1.36` or `v1.36.2`; the patch level is ignored.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.strip_prefix('v').unwrap_or(text).splitn(3, '.');
        let minor = (parts.next() == Some("1")).then(|| parts.next()).flatten();
        let patch =
            parts.next().is_none_or(|patch| patch.starts_with(|c: char| c.is_ascii_digit()));
        minor
            .filter(|_| patch)
            .and_then(|minor| minor.parse().ok())
            .and_then(|minor: u8| Self::ALL.into_iter().find(|version| version.minor() == minor))
            .ok_or_else(|| UnsupportedVersion(text.into()))
    }
}

impl From<KubernetesVersion> for SmolStr {
    fn from(version: KubernetesVersion) -> Self {
        smol_str::format_smolstr!("{version}")
    }
}

impl TryFrom<SmolStr> for KubernetesVersion {
    type Error = UnsupportedVersion;
    fn try_from(text: SmolStr) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// What a version makes of a feature gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The gate does not exist; its behaviour is the given one.
    Absent(bool),
    /// The gate has this default and can be set.
    Default(bool),
    /// The gate exists and cannot be set to anything else.
    Locked(bool),
}

impl Stage {
    const fn value(self) -> bool {
        match self {
            Self::Absent(value) | Self::Default(value) | Self::Locked(value) => value,
        }
    }
}

/// Not there, behaviour off.
const NO: Stage = Stage::Absent(false);
/// Not there, behaviour always on.
const ON: Stage = Stage::Absent(true);
/// Off by default.
const F: Stage = Stage::Default(false);
/// On by default.
const T: Stage = Stage::Default(true);
/// Locked to on.
const L: Stage = Stage::Locked(true);
/// Locked to off.
const LF: Stage = Stage::Locked(false);

macro_rules! features {
    ($($(#[$doc:meta])* $name:ident: $($stage:ident)+;)+) => {
        /// A feature gate of the kubelet, the apiserver or the scheduler that changes a rule
        /// modelled here. Spelled as Kubernetes spells it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Feature { $($(#[$doc])* $name,)+ }

        impl Feature {
            /// Every feature gate that is modelled.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The name of the gate, as in `--feature-gates`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// One entry for each of [`KubernetesVersion::ALL`].
            const fn stages(self) -> [Stage; 10] {
                match self { $(Self::$name => [$($stage,)+],)+ }
            }
        }
    };
}

// One column a version:                          1.28 … 1.37
features! {
    /// Restartable init containers.
    SidecarContainers:                            F T T T T L L L L ON;
    /// The init algorithm of 1.32 and before for pods without restartable init containers.
    LegacySidecarContainers:                      NO NO NO NO NO F NO NO NO NO;
    /// `restartPolicy` and `restartPolicyRules` of single containers.
    ContainerRestartRules:                        NO NO NO NO NO NO F T T T;
    /// The rule action `RestartAllContainers`.
    RestartAllContainersOnContainerExits:         NO NO NO NO NO NO NO F T T;
    /// `spec.resources` of the pod.
    PodLevelResources:                            NO NO NO NO F F T T T T;
    /// Changing resources of a running pod.
    InPlacePodVerticalScaling:                    F F F F F T T L L L;
    /// Changing resources of a regular init container in place.
    InPlacePodVerticalScalingInitContainers:      NO NO NO NO NO NO NO NO T T;
    /// Changing `spec.resources` in place.
    InPlacePodLevelResourcesVerticalScaling:      NO NO NO NO NO NO NO F T T;
    /// Crash-loop back-off from 1 s to 60 s.
    ReduceDefaultCrashLoopBackOffDecay:           NO NO NO NO NO F F F F F;
    /// The node's own maximum for the crash-loop back-off.
    KubeletCrashLoopBackOffMax:                   NO NO NO NO F F F T T T;
    /// The condition `PodReadyToStartContainers`.
    PodReadyToStartContainersCondition:           F T T T T T T T T L;
    /// `started` and `ready` are forgotten when the kubelet restarts.
    ChangeContainerStatusOnKubeletRestart:        ON ON ON ON ON ON ON F F F;
    /// `observedGeneration` in status and conditions.
    PodObservedGenerationTracking:                NO NO NO NO NO F T L L L;
    /// `lifecycle.stopSignal`.
    ContainerStopSignals:                         NO NO NO NO NO F F F F F;
    /// The `sleep` hook.
    PodLifecycleSleepAction:                      NO F T T T T L L L L;
    /// The `sleep` hook with zero seconds.
    PodLifecycleSleepActionAllowZero:             NO NO NO NO F T L L L L;
    /// The condition `DisruptionTarget`.
    PodDisruptionConditions:                      T T T L L L ON ON ON ON;
    /// A negative `terminationGracePeriodSeconds` may be overwritten at deletion.
    AllowOverwriteTerminationGracePeriodSeconds:  ON ON ON ON F F F LF LF LF;
    /// Private images that are present are pulled again when the pod's credentials differ.
    KubeletEnsureSecretPulledImages:              NO NO NO NO NO F F T T T;
    /// Memory protection and throttling in cgroup v2.
    MemoryQoS:                                    F F F F F F F F F T;
    /// A CFS period other than 100 ms.
    CustomCPUCFSQuotaPeriod:                      F F F F F F F F T T;
}

macro_rules! known_bugs {
    ($($(#[$doc:meta])* $name:ident: $minors:expr;)+) => {
        /// A bug of Kubernetes that changes a rule modelled here.
        ///
        /// Each is there by default in the versions that have it, and can be switched off to see
        /// the fixed behaviour, or on to see it elsewhere: [`FeatureGates::set_bug`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum KnownBug { $($(#[$doc])* $name,)+ }

        impl KnownBug {
            /// Every bug that is modelled.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Has this version the bug?
            pub fn is_in(self, version: KubernetesVersion) -> bool {
                match self { $(Self::$name => ($minors).contains(&version.minor()),)+ }
            }
        }
    };
}

known_bugs! {
    /// Before 1.20: once the record of a finished init container is removed, init containers run
    /// again although app containers run. Pods with restartable init containers, which did not
    /// exist, are not affected.
    InitRunsAgainOnceRecordsAreRemoved: 0..20;
    /// Up to 1.31: a pod that had run once stays Running while its init containers run again after
    /// a restart of the node (kubernetes issue 126650).
    RunningWhileInitializingAgain: 28..32;
    /// Up to 1.32: whether a pod has initialised is told by app containers of earlier sandboxes too
    /// (kubernetes pull request 128516).
    EarlierSandboxCountsAsInitialized: 28..33;
    /// Up to 1.34: a pod that waits for a back-off is looked at again 10 s later, whenever the
    /// back-off ends (kubernetes issue 123602).
    BackOffExpiryIgnored: 28..35;
    /// Since 1.35: `started` of a container's earlier instance is carried over to a new one until
    /// its startup probe has a result. A fix is known (kubernetes pull request 137146), but not in
    /// which releases it is; the code of 1.36.2 has the bug.
    StartedKeptForNewInstance: 35..38;
    /// All versions: under `restartPolicy: OnFailure`, no status is written while an init container
    /// that had succeeded runs again in a new sandbox.
    StatusDroppedWhileInitRunsAgain: 28..38;
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A feature gate could not be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FeatureGateError {
    /// No gate of this name is modelled.
    #[error("unrecognized feature gate: {name}")]
    Unknown {
        /// The name as given.
        name: SmolStr,
    },
    /// The gate does not exist in this version.
    #[error("feature gate {feature} does not exist in Kubernetes {version}")]
    Absent {
        /// The gate.
        feature: Feature,
        /// The version whose gates these are.
        version: KubernetesVersion,
    },
    /// The gate is locked to its default in this version.
    #[error("cannot set feature gate {feature} to {value} in Kubernetes {version}: locked to {}", !value)]
    Locked {
        /// The gate.
        feature: Feature,
        /// The version whose gates these are.
        version: KubernetesVersion,
        /// The value that was refused.
        value: bool,
    },
}

/// The feature gates in force, with the version whose rules hold.
///
/// ```
/// use podinit::{Feature, FeatureGates, KubernetesVersion};
///
/// let mut gates = KubernetesVersion::V1_34.feature_gates();
/// assert!(!gates.enabled(Feature::ContainerRestartRules));
/// gates.set(Feature::ContainerRestartRules, true)?;
/// assert!(gates.enabled(Feature::ContainerRestartRules));
/// // Sidecars are generally available and locked since 1.33.
/// assert!(gates.set(Feature::SidecarContainers, false).is_err());
/// assert_eq!(FeatureGates::default().version(), KubernetesVersion::V1_36);
/// # Ok::<(), podinit::FeatureGateError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FeatureGates {
    version: KubernetesVersion,
    enabled: u32,
    bugs: u8,
}

impl FeatureGates {
    /// The default gates of `version`.
    pub fn for_version(version: KubernetesVersion) -> Self {
        let mut gates = Self { version, enabled: 0, bugs: 0 };
        for &feature in Feature::ALL {
            gates.store(feature, gates.stage(feature).value());
        }
        for &bug in KnownBug::ALL {
            gates.set_bug(bug, bug.is_in(version));
        }
        gates
    }

    /// The version whose rules hold where no gate decides.
    pub const fn version(self) -> KubernetesVersion {
        self.version
    }

    /// Is the gate on?
    pub const fn enabled(self, feature: Feature) -> bool {
        self.enabled & (1 << feature as u32) != 0
    }

    /// Sets a gate, as `--feature-gates NAME=VALUE` does.
    ///
    /// # Errors
    /// If the version has no such gate or has it locked to the other value. Setting a gate to the
    /// value that it is locked to, or that an absent gate's behaviour has, is accepted.
    pub fn set(&mut self, feature: Feature, value: bool) -> Result<(), FeatureGateError> {
        match self.stage(feature) {
            Stage::Absent(fixed) if fixed != value => {
                Err(FeatureGateError::Absent { feature, version: self.version })
            }
            Stage::Locked(fixed) if fixed != value => {
                Err(FeatureGateError::Locked { feature, version: self.version, value })
            }
            _ => {
                self.store(feature, value);
                Ok(())
            }
        }
    }

    /// Sets a gate by its name, see [`FeatureGates::set`].
    ///
    /// # Errors
    /// As [`FeatureGates::set`], and for a name that is not modelled.
    pub fn set_by_name(&mut self, name: &str, value: bool) -> Result<(), FeatureGateError> {
        let feature = Feature::ALL
            .iter()
            .find(|feature| feature.name() == name)
            .ok_or_else(|| FeatureGateError::Unknown { name: name.into() })?;
        self.set(*feature, value)
    }

    /// Is the bug there?
    pub const fn has_bug(self, bug: KnownBug) -> bool {
        self.bugs & (1 << bug as u8) != 0
    }

    /// Puts a bug in, or takes it out.
    pub fn set_bug(&mut self, bug: KnownBug, there: bool) {
        let bit = 1 << bug as u8;
        self.bugs = if there { self.bugs | bit } else { self.bugs & !bit };
    }

    fn store(&mut self, feature: Feature, value: bool) {
        let bit = 1 << feature as u32;
        self.enabled = if value { self.enabled | bit } else { self.enabled & !bit };
    }

    fn stage(self, feature: Feature) -> Stage {
        feature.stages()[self.version as usize]
    }
}

impl Default for FeatureGates {
    fn default() -> Self {
        KubernetesVersion::default().feature_gates()
    }
}

impl fmt::Debug for FeatureGates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut set = f.debug_map();
        set.entry(&"version", &self.version);
        for &feature in Feature::ALL {
            if self.stage(feature).value() != self.enabled(feature) {
                set.entry(&feature.name(), &self.enabled(feature));
            }
        }
        for &bug in KnownBug::ALL {
            if bug.is_in(self.version) != self.has_bug(bug) {
                set.entry(&bug, &self.has_bug(bug));
            }
        }
        set.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_with_and_without_patch_level() {
        assert_eq!("1.28".parse(), Ok(KubernetesVersion::V1_28));
        assert_eq!("v1.36.2".parse(), Ok(KubernetesVersion::V1_36));
        for wrong in ["", "1", "1.", "2.30", "1.27", "1.38", "1.36.", "v1.36-2"] {
            assert_eq!(
                wrong.parse::<KubernetesVersion>(),
                Err(UnsupportedVersion(wrong.into())),
                "{wrong}"
            );
        }
    }

    #[test]
    fn an_absent_or_locked_gate_is_not_set_and_the_gates_stay_as_they_were() {
        let before = KubernetesVersion::V1_33.feature_gates();
        let mut gates = before;
        assert!(matches!(
            gates.set(Feature::ContainerRestartRules, true),
            Err(FeatureGateError::Absent { .. })
        ));
        assert!(matches!(
            gates.set(Feature::SidecarContainers, false),
            Err(FeatureGateError::Locked { .. })
        ));
        assert!(matches!(
            gates.set_by_name("Sidecars", true),
            Err(FeatureGateError::Unknown { .. })
        ));
        assert_eq!(gates, before);
    }
}

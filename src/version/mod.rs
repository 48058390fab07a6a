//! Kubernetes versions and feature gates: which rules hold.
//!
//! Behaviour that differs between minor versions is data, in three tables: the gates with their
//! stages ([`Feature`]), the bugs that only some versions have ([`KnownBug`]), and every change of
//! behaviour that this crate models ([`Change`]). A [`KubernetesVersion`] gives the default
//! [`FeatureGates`]; a caller may then set single gates as `--feature-gates` would. Code asks
//! [`FeatureGates::has`], [`enabled`](FeatureGates::enabled) or
//! [`has_bug`](FeatureGates::has_bug), and never compares versions.
//!
//! Source: `pkg/features/kube_features.go` of each version.

mod bugs;
mod changes;
mod features;
mod saved;

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

pub use bugs::{KnownBug, UnknownBug};
pub use changes::{Change, ChangeTopic, DecidedBy, changes_between};
pub use features::Feature;
use features::Stage;

/// A minor version of Kubernetes whose rules can be applied.
///
/// The default is [`KubernetesVersion::V1_36`]. 1.34 to 1.37 are compared with the kubelet itself,
/// as it runs in `oracle/`; older ones are known from recorded decisions and from their sources.
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
#[allow(clippy::exhaustive_structs, reason = "the text, and no more")]
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
    /// A gate that is on depends on one that is off.
    #[error(
        "{feature} is enabled, but depends on {needs}, which is disabled in Kubernetes {version}"
    )]
    Dependency {
        /// The gate that is on, or was to be switched on.
        feature: Feature,
        /// The gate that it depends on, which is off or was to be switched off.
        needs: Feature,
        /// The version whose gates these are.
        version: KubernetesVersion,
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
/// # Ok::<(), podinit::version::FeatureGateError>(())
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
    /// Gates that depend on each other can be set together: [`FeatureGates::set_from_map`].
    ///
    /// # Errors
    /// If the version has no such gate or has it locked to the other value, or if a gate would be
    /// on that depends on one that is off ([`Feature::dependencies`]). The gates then stay as they
    /// were. Setting a gate to the value that it is locked to, or that an absent gate's behaviour
    /// has, is accepted.
    pub fn set(&mut self, feature: Feature, value: bool) -> Result<(), FeatureGateError> {
        let mut gates = *self;
        gates.set_unchecked(feature, value)?;
        gates.check_dependencies()?;
        *self = gates;
        Ok(())
    }

    /// Sets a gate by its name, see [`FeatureGates::set`].
    ///
    /// # Errors
    /// As [`FeatureGates::set`], and for a name that is not modelled.
    pub fn set_by_name(&mut self, name: &str, value: bool) -> Result<(), FeatureGateError> {
        self.set(name.parse()?, value)
    }

    /// Sets several gates by their names, as `--feature-gates A=true,B=false` does: what depends on
    /// what is checked when all are set (`SetFromMap` and `Validate` of `featuregate`).
    ///
    /// ```
    /// use podinit::{Feature, KubernetesVersion};
    /// use podinit::version::FeatureGateError;
    ///
    /// let mut gates = KubernetesVersion::V1_35.feature_gates();
    /// let rule = "RestartAllContainersOnContainerExits";
    /// let refused = gates.set_from_map([(rule, true)]).unwrap_err();
    /// assert_eq!(
    ///     refused.to_string(),
    ///     "RestartAllContainersOnContainerExits is enabled, but depends on NodeDeclaredFeatures, \
    ///      which is disabled in Kubernetes 1.35"
    /// );
    /// gates.set_from_map([(rule, true), ("NodeDeclaredFeatures", true)])?;
    /// assert!(gates.enabled(Feature::RestartAllContainersOnContainerExits));
    /// # Ok::<(), FeatureGateError>(())
    /// ```
    ///
    /// # Errors
    /// As [`FeatureGates::set_by_name`]. The gates then stay as they were.
    pub fn set_from_map<'a>(
        &mut self,
        values: impl IntoIterator<Item = (&'a str, bool)>,
    ) -> Result<(), FeatureGateError> {
        let mut gates = *self;
        for (name, value) in values {
            gates.set_unchecked(name.parse()?, value)?;
        }
        gates.check_dependencies()?;
        *self = gates;
        Ok(())
    }

    /// Sets a gate whatever it depends on, as Kubernetes' own tests do.
    ///
    /// No component starts with such gates. For replaying what was recorded from a single function.
    ///
    /// # Errors
    /// If the version has no such gate or has it locked to the other value.
    pub fn set_unchecked(&mut self, feature: Feature, value: bool) -> Result<(), FeatureGateError> {
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

    fn check_dependencies(self) -> Result<(), FeatureGateError> {
        for &feature in Feature::ALL.iter().filter(|feature| self.enabled(**feature)) {
            for &needs in feature.dependencies() {
                if !self.enabled(needs) {
                    let version = self.version;
                    return Err(FeatureGateError::Dependency { feature, needs, version });
                }
            }
        }
        Ok(())
    }

    /// Returns `true` if pods are handled as they are since this change.
    ///
    /// Where a gate or a known bug decides, that is asked, so that what was set by hand counts.
    pub const fn has(self, change: Change) -> bool {
        match change.decided_by() {
            DecidedBy::Version => self.version as u8 >= change.since() as u8,
            DecidedBy::Gate(feature, value) => self.enabled(feature) == value,
            DecidedBy::Bug(bug, there) => self.has_bug(bug) == there,
            DecidedBy::Change(other) => self.has(other),
        }
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
        assert!(matches!(
            gates.set_from_map([("ContainerStopSignals", true), ("SidecarContainers", false)]),
            Err(FeatureGateError::Locked { .. })
        ));
        assert_eq!(gates, before);
    }

    #[test]
    fn the_defaults_of_each_version_have_the_gates_that_others_depend_on() {
        for version in KubernetesVersion::ALL {
            assert_eq!(version.feature_gates().check_dependencies(), Ok(()), "{version}");
        }
    }

    #[test]
    fn a_gate_that_others_depend_on_is_not_switched_off_alone() {
        let mut gates = KubernetesVersion::V1_36.feature_gates();
        let before = gates;
        let refused = gates.set(Feature::ContainerRestartRules, false);
        let feature = Feature::RestartAllContainersOnContainerExits;
        let needs = Feature::ContainerRestartRules;
        let version = KubernetesVersion::V1_36;
        assert_eq!(refused, Err(FeatureGateError::Dependency { feature, needs, version }));
        assert_eq!(gates, before);
        gates.set(feature, false).unwrap();
        gates.set(needs, false).unwrap();
        assert!(!gates.enabled(feature) && !gates.enabled(needs));
    }

    #[test]
    fn what_was_set_by_hand_decides_before_the_version() {
        let mut gates = KubernetesVersion::V1_34.feature_gates();
        assert!(!gates.has(Change::ContainersHaveRestartRules));
        assert!(!gates.has(Change::FailingSidecarShowsCrashLoop));
        gates.set(Feature::ContainerRestartRules, true).unwrap();
        assert!(gates.has(Change::ContainersHaveRestartRules));
        assert!(gates.has(Change::FailingSidecarShowsCrashLoop));
        assert!(gates.has(Change::CurrentSandboxDecidesInitialized));
        gates.set_bug(KnownBug::EarlierSandboxCountsAsInitialized, true);
        assert!(!gates.has(Change::CurrentSandboxDecidesInitialized));
    }
}

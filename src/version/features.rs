//! The feature gates, and what each version makes of them.

use core::fmt;
use core::str::FromStr;

use super::FeatureGateError;

/// What a version makes of a feature gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The gate does not exist; its behaviour is the given one.
    Absent(bool),
    /// The gate has this default and can be set.
    Default(bool),
    /// The gate exists and cannot be set to anything else.
    Locked(bool),
}

impl Stage {
    pub(super) const fn value(self) -> bool {
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
            pub(super) const fn stages(self) -> [Stage; 10] {
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
    /// Variables from files in a volume.
    EnvFiles:                                     NO NO NO NO NO NO F T T T;
    /// IP addresses are read strictly.
    StrictIPCIDRValidation:                       NO NO NO NO NO F F F T T;
    /// `nominatedNodeName` is empty once the pod is bound.
    ClearingNominatedNodeNameAfterBinding:        NO NO NO NO NO NO F T T T;
    /// The rule action `RestartAllContainers`.
    RestartAllContainersOnContainerExits:         NO NO NO NO NO NO NO F T T;
    /// `spec.resources` of the pod.
    PodLevelResources:                            NO NO NO NO F F T T T T;
    /// Changing resources of a running pod.
    InPlacePodVerticalScaling:                    F F F F F T T L L L;
    /// Changing resources of a regular init container in place.
    InPlacePodVerticalScalingInitContainers:      NO NO NO NO NO NO NO NO T L;
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
    PodLifecycleSleepAction:                      NO F T T T T L L L ON;
    /// The `sleep` hook with zero seconds.
    PodLifecycleSleepActionAllowZero:             NO NO NO NO F T L L L ON;
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
    /// The node tells which features it has. Other gates depend on it.
    NodeDeclaredFeatures:                         NO NO NO NO NO NO NO F T L;
    /// A pod that was synced is looked at again at once, and not at the next relist.
    PLEGOnDemandRelist:                           NO NO NO NO NO NO NO NO T L;
    /// Pod-level resources that name nothing do not decide about the QoS class.
    PodLevelResourcesFixKubeletQOSClass:          NO NO NO NO NO NO NO NO NO T;
    /// Pod-level resources are completed when a pod is created, limits included.
    PodLevelResourcesFixDefaulting:               NO NO NO NO NO NO NO NO NO T;
}

impl Feature {
    /// The gates that must be on for this one to be on, since 1.35
    /// (`defaultKubernetesFeatureGateDependencies`).
    pub const fn dependencies(self) -> &'static [Self] {
        match self {
            Self::RestartAllContainersOnContainerExits => {
                &[Self::ContainerRestartRules, Self::NodeDeclaredFeatures]
            }
            Self::InPlacePodVerticalScalingInitContainers => {
                &[Self::InPlacePodVerticalScaling, Self::NodeDeclaredFeatures]
            }
            Self::InPlacePodLevelResourcesVerticalScaling => &[
                Self::InPlacePodVerticalScaling,
                Self::PodLevelResources,
                Self::NodeDeclaredFeatures,
            ],
            Self::PodLevelResourcesFixKubeletQOSClass | Self::PodLevelResourcesFixDefaulting => {
                &[Self::PodLevelResources]
            }
            _ => &[],
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Feature {
    type Err = FeatureGateError;

    /// Reads the name of a gate, as in `--feature-gates`.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|feature| feature.name() == name)
            .ok_or_else(|| FeatureGateError::Unknown { name: name.into() })
    }
}

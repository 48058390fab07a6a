//! What changed from version to version.

use super::KubernetesVersion as V;
use super::bugs::KnownBug;
use super::features::Feature;

/// What a change is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChangeTopic {
    /// What is started, killed, restarted.
    Actions,
    /// When a pod is looked at again.
    Timing,
    /// The phase.
    Phase,
    /// Conditions and container statuses.
    Status,
    /// What kubectl prints.
    Printer,
    /// Texts of events.
    Events,
    /// Requests and limits.
    Resources,
    /// What the apiserver accepts.
    Validation,
    /// Where the scheduler places pods.
    Scheduling,
}

/// What decides whether a pod is handled in the new way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DecidedBy {
    /// The version alone.
    Version,
    /// A gate: the new way is that of this value.
    Gate(Feature, bool),
    /// A known bug: the new way is with the bug (`true`) or without it.
    Bug(KnownBug, bool),
    /// Another change, of which this is a consequence.
    Change(Change),
}

macro_rules! changes {
    ($($since:ident $topic:ident $name:ident [$($number:literal),*] $by:ident $(($($with:tt)+))?:
        $text:literal;)+) => {
        /// A change of behaviour from one version of Kubernetes to the next that this crate models.
        ///
        /// [`FeatureGates::has`](super::FeatureGates::has) tells whether a change is in force.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Change {
            $(#[doc = concat!("Since ", stringify!($since), ": ", $text, ".")] $name,)+
        }

        impl Change {
            /// Every change, oldest first.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The first version that behaves in the new way, by its default gates.
            pub const fn since(self) -> V {
                match self { $(Self::$name => V::$since,)+ }
            }

            /// What it is about.
            pub const fn topic(self) -> ChangeTopic {
                match self { $(Self::$name => ChangeTopic::$topic,)+ }
            }

            /// What changed, in words.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// The numbers of the pull requests and issues of `kubernetes/kubernetes` behind it, as
            /// far as they are known.
            pub const fn references(self) -> &'static [u32] {
                match self { $(Self::$name => &[$($number),*],)+ }
            }

            /// What decides whether it is in force.
            pub const fn decided_by(self) -> DecidedBy {
                match self { $(Self::$name => DecidedBy::$by $(($($with)+))?,)+ }
            }
        }
    };
}

// Since, topic, name, pull requests and issues, what decides.
changes! {
    V1_29 Actions SidecarsOnByDefault [] Gate(Feature::SidecarContainers, true):
        "restartable init containers (sidecars) are on by default, and all pods use the new scan of init containers";
    V1_29 Actions ExitedAppNoLongerShowsInitialized [120269] Version:
        "an app container that has exited no longer shows that the pod was initialised";
    V1_29 Actions SidecarsStopAfterApps [120620] Version:
        "sidecars are stopped after the app containers, in reverse order";
    V1_29 Status PodReadyToStartContainersByDefault [] Gate(Feature::PodReadyToStartContainersCondition, true):
        "the condition PodReadyToStartContainers is there by default";
    V1_30 Actions OldScanWithoutSidecars [] Version:
        "pods without sidecars are back to the old scan: a failed init container anywhere is looked for first";
    V1_30 Actions CreatedInitContainerIsStarted [] Version:
        "in pods with sidecars, an init container that was created and not started is started again";
    V1_30 Actions StoppingSidecarWaitsForRunningOnes [125935] Version:
        "a sidecar that is stopped waits only for later sidecars that run";
    V1_30 Actions SleepHookByDefault [] Gate(Feature::PodLifecycleSleepAction, true):
        "the sleep hook is on by default";
    V1_30 Events PulledTellsImageSize [] Version:
        "Pulled tells the size of the image";
    V1_31 Events CreatedHasColon [] Version:
        "Created has a colon before the container's name";
    V1_31 Printer TerminatingUntilPhaseIsTerminal [120207, 122038] Version:
        "a pod that is being deleted is Terminating only until its phase is terminal";
    V1_31 Actions ZeroGraceIsMeant [115819] Version:
        "a hard eviction gives one second of grace";
    V1_32 Phase PendingWhileInitializingAgain [126650, 126653] Bug(KnownBug::RunningWhileInitializingAgain, false):
        "a pod whose init containers run again after a restart of its node goes back from Running to Pending";
    V1_32 Actions SidecarRestartsForNewImage [] Version:
        "a sidecar whose image changes is restarted";
    V1_32 Actions OnlyExitedCountsAsSucceeded [] Version:
        "under OnFailure, only a container that has exited with 0 counts as done when a sandbox is replaced";
    V1_32 Actions NegativeGraceIsKept [] Gate(Feature::AllowOverwriteTerminationGracePeriodSeconds, false):
        "a negative terminationGracePeriodSeconds can no longer be overwritten at deletion";
    V1_32 Resources SidecarOomScoreOfLeastApp [] Version:
        "a sidecar's oom_score_adj is at most that of the app container with the smallest memory request";
    V1_32 Resources ActuatedResourcesCount [] Version:
        "while a pod is resized, the resources in the status of its app containers count, and not the allocated ones";
    V1_33 Actions NewScanForAllPods [] Version:
        "all pods use the new scan of init containers: only the last one that has a record decides";
    V1_33 Actions CreatedAppShowsInitialized [] Change(Change::NewScanForAllPods):
        "an app container that was created counts as a sign that the pod was initialised, in all pods";
    V1_33 Phase CurrentSandboxDecidesInitialized [128516] Bug(KnownBug::EarlierSandboxCountsAsInitialized, false):
        "whether a pod has initialised is told by the current sandbox alone";
    V1_33 Actions SleepHookOfZeroSecondsByDefault [] Gate(Feature::PodLifecycleSleepActionAllowZero, true):
        "the sleep hook may sleep for zero seconds";
    V1_33 Resources ResizeInPlaceByDefault [] Gate(Feature::InPlacePodVerticalScaling, true):
        "containers can be resized in place by default";
    V1_33 Resources AllocatedAndActuatedResourcesCount [] Version:
        "while a pod is resized, allocated resources and those in the status both count, for sidecars too";
    V1_33 Resources HugepagesAtPodLevel [] Version:
        "huge pages can be asked for by the pod as a whole, and are completed from its containers";
    V1_33 Validation InitContainersHaveResizePolicies [] Version:
        "an init container may have a resizePolicy";
    V1_34 Validation RestartPoliciesAreDropped [] Version:
        "without restart rules, the restart policies of app containers are dropped and not refused";
    V1_34 Actions CrashLoopEndsWithNewResources [] Version:
        "the crash-loop series begins anew when resources change";
    V1_34 Scheduling TooSmallNodesAreUnresolvable [131310] Version:
        "the scheduler does not try to make room on a node that would be too small even if it were empty";
    V1_34 Resources PodLevelResourcesByDefault [132999] Gate(Feature::PodLevelResources, true):
        "requests and limits of the pod as a whole are on by default";
    V1_34 Status ObservedGenerationByDefault [132912] Gate(Feature::PodObservedGenerationTracking, true):
        "the status tells the generation of the pod that it belongs to";
    V1_35 Actions ContainersHaveRestartRules [134631] Gate(Feature::ContainerRestartRules, true):
        "containers have restart policies and rules of their own";
    V1_35 Timing BackOffExpiryIsAwaited [123602, 133066] Bug(KnownBug::BackOffExpiryIgnored, false):
        "a pod that waits for a back-off is looked at when the back-off ends, and not every 10 s";
    V1_35 Timing NodeSetsCrashLoopMaximum [135044] Gate(Feature::KubeletCrashLoopBackOffMax, true):
        "a node may set the maximum of the crash-loop back-off";
    V1_35 Status StatusSurvivesKubeletRestart [134746] Gate(Feature::ChangeContainerStatusOnKubeletRestart, false):
        "started and ready are kept when the kubelet restarts";
    V1_35 Status StartedCarriesOverToNewInstance [] Bug(KnownBug::StartedKeptForNewInstance, true):
        "started is carried over to a new instance of the container";
    V1_35 Status VanishedInitContainerCountsAsExited [131317] Version:
        "an init container whose record is gone counts as exited normally once the pod has come to its app containers";
    V1_35 Status FailingSidecarShowsCrashLoop [] Change(Change::ContainersHaveRestartRules):
        "a restartable init container that fails in a Never pod shows CrashLoopBackOff";
    V1_35 Events EventsDoNotNameTheContainer [134043] Version:
        "Created and Started no longer name the container";
    V1_35 Events PulledSaysImageCanBeAccessed [] Gate(Feature::KubeletEnsureSecretPulledImages, true):
        "Pulled says that the image can be accessed";
    V1_35 Printer DescribeTellsFieldOfEvents [] Version:
        "kubectl describe tells in front of an event which container it is about";
    V1_35 Printer FailedShowsBehindCompleted [] Version:
        "a container that has failed shows behind one that has completed";
    V1_35 Validation EnvFilesByDefault [] Gate(Feature::EnvFiles, true):
        "variables come from files";
    V1_35 Validation NominationEndsAtBinding [] Gate(Feature::ClearingNominatedNodeNameAfterBinding, true):
        "a pod that has a node is not nominated for one";
    V1_35 Validation PodLevelResourcesMayBeResized [] Version:
        "pods with pod-level resources may be resized, with a gate; a list that a container had none of is no longer overlooked";
    V1_35 Validation LabelLengthsAreToldInBytes [] Version:
        "the longest label is told in bytes, and a name with too many slashes is no valid label key";
    V1_35 Validation RestartRulesNeedPolicy [] Version:
        "an init container with restart rules needs a restartPolicy";
    V1_36 Scheduling BalanceIsJudgedByItsChange [] Version:
        "BalancedAllocation scores how much more even a pod makes a node, and no longer how even the node is with it";
    V1_36 Actions RestartAllContainersByDefault [136681] Gate(Feature::RestartAllContainersOnContainerExits, true):
        "a rule RestartAllContainers restarts the pod in place by default";
    V1_36 Status InitializedStaysTrue [] Change(Change::RestartAllContainersByDefault):
        "Initialized stays True once it was, and restart counts no longer go back";
    V1_36 Status ReadyToStartWithSandbox [134660] Version:
        "PodReadyToStartContainers is True as soon as the sandbox is made";
    V1_36 Timing RelistOnDemand [] Gate(Feature::PLEGOnDemandRelist, true):
        "a pod is looked at again at once after a sync that did something";
    V1_36 Status NodesDeclareFeatures [] Gate(Feature::NodeDeclaredFeatures, true):
        "nodes declare their features by default";
    V1_36 Resources TieredMemoryProtection [137584, 137719] Version:
        "with MemoryQoS, memory is protected as the node's policy says: memory.min of Guaranteed pods, memory.low of Burstable ones";
    V1_36 Resources CfsPeriodCanBeSet [] Gate(Feature::CustomCPUCFSQuotaPeriod, true):
        "a node may set the CFS period";
    V1_36 Resources InitContainersResizeInPlace [137352] Gate(Feature::InPlacePodVerticalScalingInitContainers, true):
        "regular init containers can be resized in place";
    V1_36 Resources PodLevelResizeByDefault [137684] Gate(Feature::InPlacePodLevelResourcesVerticalScaling, true):
        "requests and limits of the pod as a whole can be resized in place";
    V1_36 Validation NoRestartForResizeOfInitContainers [137458] Version:
        "the resizePolicy of a regular init container must not be RestartContainer";
    V1_36 Validation ClaimStatusesNameTheirField [] Version:
        "a bad name in the status of a resource claim is told of its own field";
    V1_36 Validation AddressesAreReadStrictly [] Gate(Feature::StrictIPCIDRValidation, true):
        "addresses have no leading zeros and are not mapped into IPv6";
    V1_37 Actions InitScanInCurrentSandbox [138514, 137710, 140309] Version:
        "whether a pod was initialised, and how far it has come, is told by the records of the current sandbox";
    V1_37 Status SandboxNotReadyHasAReason [135300] Version:
        "the condition PodReadyToStartContainers tells why the pod waits for a sandbox";
    V1_37 Resources LargestSumCountsDuringResize [140047, 140646] Version:
        "while a pod is resized, the largest of the sums of wanted, granted and actual resources counts, regular init containers included";
    V1_37 Resources EmptyPodLevelResourcesSayNothing [137150] Gate(Feature::PodLevelResourcesFixKubeletQOSClass, true):
        "pod-level resources that name no resource leave the QoS class to the containers";
    V1_37 Resources PodLevelLimitsAreFilledIn [] Gate(Feature::PodLevelResourcesFixDefaulting, true):
        "pod-level resources are completed when a pod is created, from requests alone too, and their limits where each container has one";
    V1_37 Resources EachContainerDeclaresItsLimit [] Version:
        "the cgroup of a Burstable pod is bounded only if each container has a limit of its own";
    V1_37 Resources NothingLeftCountsAsZero [] Version:
        "what containers request beyond the pod-level memory request no longer raises their oom_score_adj";
    V1_37 Validation ServiceAccountIsFilledIn [] Version:
        "the deprecated serviceAccount and serviceAccountName fill in each other as defaults";
    V1_37 Validation StatefulSetMaxUnavailableIsFilledIn [] Version:
        "maxUnavailable of a StatefulSet that is rolled out is 1 by default";
    V1_37 Validation UpdateErrorsAreToldOnce [] Version:
        "what is wrong with an update twice over is told once";
    V1_37 Validation ReportedUsersAreUnsigned [] Version:
        "the user of a container may be reported up to 4294967295";
    V1_37 Validation OwnerReferencesHaveIndexes [] Version:
        "the errors of owner references tell which one it is";
    V1_37 Printer ProbeThresholdsHaveTheirNames [] Version:
        "kubectl describe names the thresholds of a probe as the API does";
    V1_37 Resources MemoryQosByDefault [140007] Gate(Feature::MemoryQoS, true):
        "memory of containers is protected and throttled in cgroup v2 by default";
}

/// The changes that lie between two versions, in either order: what the later one does otherwise.
pub fn changes_between(one: V, other: V) -> impl Iterator<Item = Change> {
    let (earlier, later) = if one <= other { (one, other) } else { (other, one) };
    Change::ALL
        .iter()
        .copied()
        .filter(move |change| earlier < change.since() && change.since() <= later)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn changes_stand_in_the_order_of_their_versions() {
        assert!(Change::ALL.is_sorted_by_key(|change| change.since()));
    }

    #[test]
    fn between_two_versions_are_those_of_the_later_and_not_of_the_earlier() {
        let changes = || changes_between(V::V1_33, V::V1_34);
        assert!(changes().count() > 0 && changes().all(|change| change.since() == V::V1_34));
        assert_eq!(changes_between(V::V1_34, V::V1_34).count(), 0);
        assert_eq!(changes_between(V::V1_34, V::V1_33).count(), changes().count());
    }

    #[test]
    fn a_change_is_in_force_from_its_version_on_and_not_before() {
        for &change in Change::ALL {
            for version in V::ALL {
                let expected = version >= change.since();
                assert_eq!(
                    version.feature_gates().has(change),
                    expected,
                    "{change:?} in {version}"
                );
            }
        }
    }

    #[test]
    fn each_gate_whose_default_changes_and_each_bug_that_comes_or_goes_is_listed() {
        let mut expected = Vec::new();
        for (before, after) in V::ALL.into_iter().zip(V::ALL.into_iter().skip(1)) {
            for &feature in Feature::ALL {
                let value = after.feature_gates().enabled(feature);
                if before.feature_gates().enabled(feature) != value {
                    expected.push((after, DecidedBy::Gate(feature, value)));
                }
            }
            for &bug in KnownBug::ALL {
                if bug.is_in(before) != bug.is_in(after) {
                    expected.push((after, DecidedBy::Bug(bug, bug.is_in(after))));
                }
            }
        }
        for (since, by) in expected {
            let found = Change::ALL.iter().filter(|c| c.since() == since && c.decided_by() == by);
            assert_eq!(found.count(), 1, "{by:?} in {since}");
        }
    }
}

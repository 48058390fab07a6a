//! Feature gates and their defaults.

use podinit::Feature;
use podinit::KubernetesVersion::*;
use podinit::version::FeatureGateError;

/// One row a gate, one column a version from 1.28 to 1.37, in the words of `kube_features.go`: A, B
/// and G are alpha, beta and generally available, D is deprecated; t and f are the default, L is
/// locked. Where there is no gate, `+` says that its behaviour is always on and `-` that it is off.
const DEFAULTS: &str = "
    SidecarContainers                            Af Bt Bt Bt Bt GtL GtL GtL GtL +
    LegacySidecarContainers                      -  -  -  -  -  Df  -   -   -   -
    ContainerRestartRules                        -  -  -  -  -  -   Af  Bt  Bt  Bt
    EnvFiles                                     -  -  -  -  -  -  Af  Bt  Bt  Bt
    StrictIPCIDRValidation                       -  -  -  -  -  Af Af  Af  Bt  Bt
    ClearingNominatedNodeNameAfterBinding        -  -  -  -  -  -  Af  Bt  Bt  Bt
    RestartAllContainersOnContainerExits         -  -  -  -  -  -   -   Af  Bt  Bt
    PodLevelResources                            -  -  -  -  Af Af  Bt  Bt  Bt  Bt
    InPlacePodVerticalScaling                    Af Af Af Af Af Bt  Bt  GtL GtL GtL
    InPlacePodVerticalScalingInitContainers      -  -  -  -  -  -   -   -   Bt  GtL
    InPlacePodLevelResourcesVerticalScaling      -  -  -  -  -  -   -   Af  Bt  Bt
    ReduceDefaultCrashLoopBackOffDecay           -  -  -  -  -  Af  Af  Af  Af  Af
    KubeletCrashLoopBackOffMax                   -  -  -  -  Af Af  Af  Bt  Bt  Bt
    PodReadyToStartContainersCondition           Af Bt Bt Bt Bt Bt  Bt  Bt  Bt  GtL
    ChangeContainerStatusOnKubeletRestart        +  +  +  +  +  +   +   Df  Df  Df
    PodObservedGenerationTracking                -  -  -  -  -  Af  Bt  GtL GtL GtL
    ContainerStopSignals                         -  -  -  -  -  Af  Af  Af  Af  Af
    PodLifecycleSleepAction                      -  Af Bt Bt Bt Bt  GtL GtL GtL +
    PodLifecycleSleepActionAllowZero             -  -  -  -  Af Bt  GtL GtL GtL +
    PodDisruptionConditions                      Bt Bt Bt GtL GtL GtL + +   +   +
    AllowOverwriteTerminationGracePeriodSeconds  +  +  +  +  Df Df  Df  DfL DfL DfL
    KubeletEnsureSecretPulledImages              -  -  -  -  -  Af  Af  Bt  Bt  Bt
    MemoryQoS                                    Af Af Af Af Af Af  Af  Af  Af  Bt
    CustomCPUCFSQuotaPeriod                      Af Af Af Af Af Af  Af  Af  Gt  Gt
    NodeDeclaredFeatures                         -  -  -  -  -  -   -   Af  Bt  GtL
    PLEGOnDemandRelist                           -  -  -  -  -  -   -   -   Bt  GtL
    PodLevelResourcesFixKubeletQOSClass          -  -  -  -  -  -   -   -   -   Bt
    PodLevelResourcesFixDefaulting               -  -  -  -  -  -   -   -   -   Bt
";

#[test]
fn every_gate_has_the_default_of_each_version_and_can_be_set_where_it_is_not_locked() {
    let mut compared = Vec::new();
    for line in DEFAULTS.lines().filter(|line| !line.trim().is_empty()) {
        let mut cells = line.split_whitespace();
        let name = cells.next().unwrap();
        let feature = *Feature::ALL.iter().find(|feature| feature.name() == name).unwrap();
        let cells: Vec<&str> = cells.collect();
        assert_eq!(cells.len(), super::ALL.len(), "{name}");
        for (cell, version) in cells.into_iter().zip(super::ALL) {
            let gates = version.feature_gates();
            let default = cell == "+" || cell.contains('t');
            assert_eq!(gates.enabled(feature), default, "{name} in {version}");
            let set = { gates }.set_unchecked(feature, !default);
            let as_expected = match cell {
                "+" | "-" => matches!(set, Err(FeatureGateError::Absent { .. })),
                cell if cell.ends_with('L') => matches!(set, Err(FeatureGateError::Locked { .. })),
                _ => set.is_ok(),
            };
            assert!(as_expected, "{name} in {version}: {set:?}");
        }
        compared.push(feature);
    }
    compared.sort();
    assert_eq!(compared, Feature::ALL, "a gate has no row");
}

#[test]
fn a_gate_of_another_version_is_refused_by_name_with_the_version() {
    let refused = V1_32.feature_gates().set_by_name("ContainerRestartRules", true).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "feature gate ContainerRestartRules does not exist in Kubernetes 1.32"
    );
    let refused = V1_33.feature_gates().set_by_name("SidecarContainers", false);
    assert_eq!(
        refused.unwrap_err().to_string(),
        "cannot set feature gate SidecarContainers to false in Kubernetes 1.33: locked to true"
    );
}

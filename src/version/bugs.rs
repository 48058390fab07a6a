//! Bugs of Kubernetes, and the versions that have them.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use super::KubernetesVersion;
use crate::nearest::nearest;

macro_rules! known_bugs {
    ($($(#[$doc:meta])* $name:ident: $minors:expr;)+) => {
        /// A bug of Kubernetes that changes a rule modelled here.
        ///
        /// Each is there by default in the versions that have it, and can be switched off to see
        /// the fixed behaviour, or on to see it elsewhere: [`FeatureGates::set_bug`](super::FeatureGates::set_bug).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum KnownBug { $($(#[$doc])* $name,)+ }

        impl KnownBug {
            /// Every bug that is modelled.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its name, as it is spelled here; Kubernetes has none.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

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
    /// All versions: where a probe is declared and its probe worker is not there, it counts as
    /// passed: in the first status after a restart of the kubelet, and once the phase is terminal
    /// (kubernetes issue 142303).
    PassedWithoutProbeWorker: 28..38;
}

/// A name that no known bug has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct UnknownBug {
    /// The name.
    pub name: String,
    /// The bug that may have been meant.
    pub meant: Option<KnownBug>,
}

impl fmt::Display for UnknownBug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no known bug {:?}", self.name)?;
        match self.meant {
            Some(bug) => write!(f, "; did you mean {bug}?"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for KnownBug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for KnownBug {
    type Err = UnknownBug;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let find = |name: &str| Self::ALL.iter().copied().find(|bug| bug.name() == name);
        find(name).ok_or_else(|| UnknownBug {
            name: name.into(),
            meant: nearest(name, Self::ALL.iter().map(|bug| bug.name())).and_then(find),
        })
    }
}

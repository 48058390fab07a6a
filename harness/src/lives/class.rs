//! The classes of lives: what a random case is about.

use std::fmt;
use std::str::FromStr;

macro_rules! classes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What a random life is about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Class { $($(#[$doc])* $variant,)* }

        impl Class {
            /// All classes.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name on the command line.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

classes! {
    /// Init containers and apps that run and end.
    Plain = "plain",
    /// Restartable init containers among them.
    Sidecars = "sidecars",
    /// Startup, readiness and liveness probes.
    Probes = "probes",
    /// `postStart` and `preStop` hooks.
    Hooks = "hooks",
    /// Restart rules, and the restart of all containers.
    Rules = "rules",
    /// Images that are pulled, late or in vain.
    Images = "images",
    /// Containers that cannot be created or started, sandboxes that fail or die, calls that fail.
    Failures = "failures",
    /// Deletions, early, late and twice.
    Deletion = "deletion",
    /// Evictions, also repeated, and deadlines.
    Eviction = "eviction",
    /// Restarts of the kubelet and of the node.
    Restarts = "restarts",
    /// Changes of resources.
    Resize = "resize",
    /// Ephemeral containers.
    Ephemeral = "ephemeral",
    /// All of it.
    Everything = "everything",
}

/// A class that there is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no class {0:?} of lives")]
pub struct UnknownClass(String);

impl FromStr for Class {
    type Err = UnknownClass;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().find(|class| class.name() == name);
        found.copied().ok_or_else(|| UnknownClass(name.to_owned()))
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

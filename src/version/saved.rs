//! Gates as they are written: a version, and what differs from its defaults, by name.

use alloc::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;

use super::bugs::KnownBug;
use super::features::Feature;
use super::{FeatureGates, KubernetesVersion};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    version: KubernetesVersion,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    gates: BTreeMap<SmolStr, bool>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    bugs: BTreeMap<SmolStr, bool>,
}

impl Serialize for FeatureGates {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let version = self.version();
        let defaults = version.feature_gates();
        let gates = Feature::ALL
            .iter()
            .filter(|feature| self.enabled(**feature) != defaults.enabled(**feature))
            .map(|feature| (feature.name().into(), self.enabled(*feature)));
        let bugs = KnownBug::ALL
            .iter()
            .filter(|bug| self.has_bug(**bug) != defaults.has_bug(**bug))
            .map(|bug| (bug.name().into(), self.has_bug(*bug)));
        Saved { version, gates: gates.collect(), bugs: bugs.collect() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for FeatureGates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let saved = Saved::deserialize(deserializer)?;
        let mut read = saved.version.feature_gates();
        for (name, value) in &saved.gates {
            // What depends on what is not asked: gates that were set unchecked are read again too.
            let feature = name.parse().map_err(serde::de::Error::custom)?;
            read.set_unchecked(feature, *value).map_err(serde::de::Error::custom)?;
        }
        for (name, there) in &saved.bugs {
            read.set_bug(name.parse().map_err(serde::de::Error::custom)?, *there);
        }
        Ok(read)
    }
}

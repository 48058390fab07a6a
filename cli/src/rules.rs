//! Whose rules hold: the version, its gates and its known bugs.

use podinit::version::KnownBug;
use podinit::{Feature, FeatureGates, KubernetesVersion};

use crate::failure::Failure;

/// Whose rules hold.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Rules")]
pub struct Rules {
    /// The version of Kubernetes: 1.28 to 1.37, with or without a v.
    #[arg(long, value_name = "VERSION", default_value_t = KubernetesVersion::default())]
    pub kubernetes: KubernetesVersion,
    #[command(flatten)]
    pub switches: Switches,
}

/// Gates and bugs that are not as the version has them.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Switches {
    /// Set a feature gate, against the version's default.
    #[arg(long = "gate", value_name = "NAME=on|off", value_parser = switch::<Feature>)]
    pub gates: Vec<Switch<Feature>>,
    /// Set a known bug of Kubernetes, against what the version has.
    #[arg(long = "bug", value_name = "NAME=on|off", value_parser = switch::<KnownBug>)]
    pub bugs: Vec<Switch<KnownBug>>,
}

/// Something that is switched on or off.
#[derive(Clone, Copy, Debug)]
pub struct Switch<T> {
    what: T,
    on: bool,
}

fn switch<T: std::str::FromStr>(text: &str) -> Result<Switch<T>, String>
where
    T::Err: std::fmt::Display,
{
    let (name, value) = text.split_once('=').ok_or("expected NAME=on or NAME=off")?;
    let on = match value {
        "on" | "true" => true,
        "off" | "false" => false,
        _ => return Err(format!("{value:?} is not on or off")),
    };
    let what = name.parse().map_err(|error: T::Err| error.to_string())?;
    Ok(Switch { what, on })
}

impl Rules {
    /// The gates.
    pub fn gates(&self) -> Result<FeatureGates, Failure> {
        self.switches.applied_to(self.kubernetes.feature_gates())
    }
}

impl Switches {
    /// Reads what is switched.
    pub fn parse(gates: &[String], bugs: &[String]) -> Result<Self, Failure> {
        Ok(Self { gates: all(gates)?, bugs: all(bugs)? })
    }

    /// These gates with what is switched.
    pub fn applied_to(&self, mut gates: FeatureGates) -> Result<FeatureGates, Failure> {
        let named = self.gates.iter().map(|gate| (gate.what.name(), gate.on));
        gates.set_from_map(named).map_err(|error| Failure::Usage(format!("--gate: {error}")))?;
        for bug in &self.bugs {
            gates.set_bug(bug.what, bug.on);
        }
        Ok(gates)
    }
}

fn all<T: std::str::FromStr>(texts: &[String]) -> Result<Vec<Switch<T>>, Failure>
where
    T::Err: std::fmt::Display,
{
    let read =
        |text: &String| switch(text).map_err(|why| Failure::Usage(format!("{text:?}: {why}")));
    texts.iter().map(read).collect()
}

//! Does a scenario fit its pod?

use alloc::borrow::ToOwned;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;

use super::Scenario;
use super::action::Verb;
use super::error::{ScenarioError, ScenarioProblem};
use crate::nearest::nearest;
use crate::pod::PodSpec;

impl Scenario {
    /// Checks that every container named here is one of the pod's, or one that an action adds.
    ///
    /// # Errors
    /// The first field that names another container.
    pub fn check(&self, pod: &PodSpec) -> Result<(), ScenarioError> {
        let own = pod.containers().iter().map(|container| container.name().as_str());
        let added = self.actions.iter().filter_map(|action| match &action.verb {
            Verb::AddEphemeralContainer(added) => Some(added.name()),
            Verb::StartContainer(started) => Some(started.container.as_str()),
            _ => None,
        });
        let known: BTreeSet<&str> = own.chain(added).collect();
        let check = |path: &dyn Fn() -> String, name: &str| {
            if known.contains(name) {
                return Ok(());
            }
            let suggestion = nearest(name, known.iter().copied()).map(ToOwned::to_owned);
            let problem = ScenarioProblem::NoSuchContainer { name: name.to_owned(), suggestion };
            Err(ScenarioError { path: path(), problem })
        };
        for name in self.containers.keys() {
            check(&|| format!("containers.{name}"), name)?;
        }
        for (index, fault) in self.calls.iter().enumerate() {
            if !fault.container.is_empty() {
                check(&|| format!("calls[{index}].container"), &fault.container)?;
            }
        }
        for (index, action) in self.actions.iter().enumerate() {
            let name = match &action.verb {
                Verb::SetImage(set) => &set.container,
                Verb::KillContainer(kill) => &kill.container,
                Verb::RemoveContainer(remove) => &remove.container,
                _ => continue,
            };
            check(&|| format!("actions[{index}].{}.container", action.verb.name()), name)?;
        }
        Ok(())
    }
}

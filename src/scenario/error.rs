//! What can be wrong with a scenario.

use alloc::string::String;
use core::fmt;

/// A scenario that cannot be read, or that does not fit its pod: where, and what is wrong.
///
/// ```
/// use podinit::scenario::Scenario;
///
/// let text = r#"{"containers": {"app": {"instances": [{"runsFor": "5s"}]}}}"#;
/// let error = serde_json::from_str::<Scenario>(text).unwrap_err();
/// assert!(error.to_string().starts_with(
///     "containers.app.instances[0]: unknown field \"runsFor\": did you mean \"runFor\"?"
/// ));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct ScenarioError {
    /// The field's path, such as `actions[0].at`; empty for the scenario as a whole.
    pub path: String,
    /// What is wrong with it.
    pub problem: ScenarioProblem,
}

/// What is wrong with a field of a scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioProblem {
    /// A field that scenarios do not have.
    #[error("unknown field {name:?}{}", DidYouMean(*suggestion))]
    UnknownField {
        /// The field's name.
        name: String,
        /// What may have been meant.
        suggestion: Option<&'static str>,
    },
    /// A field that must be there is not.
    #[error("{name} must be given")]
    Missing {
        /// The field's name.
        name: &'static str,
    },
    /// A value of the wrong type.
    #[error("must be {expected}, not {found}")]
    WrongType {
        /// What is expected.
        expected: &'static str,
        /// What was found, as JSON.
        found: String,
    },
    /// A value that cannot be.
    #[error("Invalid value: {value}: {detail}")]
    Invalid {
        /// The value, as JSON.
        value: String,
        /// Why it cannot be.
        detail: String,
    },
    /// A container that the pod does not have, and that no action adds.
    #[error("the pod has no container {name:?}{}", DidYouMeanText(suggestion.as_deref()))]
    NoSuchContainer {
        /// The container's name.
        name: String,
        /// What may have been meant.
        suggestion: Option<String>,
    },
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        self.problem.fmt(f)
    }
}

struct DidYouMean(Option<&'static str>);

impl fmt::Display for DidYouMean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        DidYouMeanText(self.0).fmt(f)
    }
}

struct DidYouMeanText<'a>(Option<&'a str>);

impl fmt::Display for DidYouMeanText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => write!(f, ": did you mean {name:?}?"),
            None => Ok(()),
        }
    }
}

//! What makes a pod impossible to compile.

use alloc::string::String;

use smol_str::SmolStr;

use crate::validation::ValidationErrors;

/// The pod is wrong: its author must act.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// The apiserver would not admit the pod.
    #[error(transparent)]
    Invalid(#[from] ValidationErrors),
    /// A field that must be set is not.
    #[error("{field}: Required value")]
    Required {
        /// The field's path, such as `spec.initContainers[0].name`.
        field: String,
    },
    /// A field has a value that Kubernetes does not know.
    #[error("{field}: Unsupported value: {value:?}: supported values: {supported}")]
    NotSupported {
        /// The field's path.
        field: String,
        /// The value found.
        value: String,
        /// The values that are possible, quoted and sorted.
        supported: &'static str,
    },
    /// Two containers of the pod have the same name.
    #[error("{field}: Duplicate value: {name:?}")]
    DuplicateName {
        /// The path of the second one's name.
        field: String,
        /// The name.
        name: SmolStr,
    },
    /// A number is outside of its range.
    #[error("{field}: Invalid value: {value}: {detail}")]
    OutOfRange {
        /// The field's path.
        field: String,
        /// The number found.
        value: i64,
        /// The range in words.
        detail: &'static str,
    },
    /// More of something than this crate takes in one pod.
    #[error("{field}: Too many: {count}: must have at most {limit} items")]
    TooMany {
        /// The list's path.
        field: String,
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
}

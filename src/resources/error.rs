//! What can be wrong with the resources of a pod.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use smol_str::SmolStr;

use super::name::ResourceName;
use crate::quantity::{Quantity, QuantityError};

/// The resources of a pod are wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResourcesError {
    /// The path of the field that is wrong, as the apiserver names it:
    /// `spec.containers[0].resources.requests[cpu]`.
    pub field: String,
    /// The name of the container whose resources these are; none for the pod's own.
    pub container: Option<SmolStr>,
    /// What is wrong.
    pub problem: Box<ResourcesProblem>,
}

/// What is wrong with an amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResourcesProblem {
    /// Text that is no quantity.
    #[error("Invalid value: {value:?}: {source}")]
    Quantity {
        /// The text.
        value: SmolStr,
        /// Why it is no quantity.
        source: QuantityError,
    },
    /// Less than nothing.
    #[error("Invalid value: \"{value}\": must be greater than or equal to 0")]
    Negative {
        /// The amount.
        value: Quantity,
    },
    /// A request above its limit.
    #[error(
        "Invalid value: \"{value}\": must be less than or equal to {resource} limit of {limit}"
    )]
    RequestAboveLimit {
        /// The resource.
        resource: ResourceName,
        /// The request.
        value: Quantity,
        /// The limit.
        limit: Quantity,
    },
    /// All amounts of one resource in the pod, added up, are beyond 128 bits.
    #[error("Invalid value: \"{value}\": the pod's {resource} adds up beyond 128 bits")]
    SumTooLarge {
        /// The resource.
        resource: ResourceName,
        /// The amount that was too much.
        value: Quantity,
    },
    /// More different resources than a pod can have here. The field is the first one too many.
    #[error("Too many: must have at most {limit} different resources")]
    TooManyResources {
        /// How many there may be.
        limit: usize,
    },
}

impl fmt::Display for ResourcesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)?;
        self.container.as_ref().map_or(Ok(()), |name| write!(f, " (container {name:?})"))
    }
}

impl core::error::Error for ResourcesError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        self.problem.source()
    }
}

//! Resources.

mod quantity;

pub use quantity::{Format, Quantity, QuantityError, QuantityOverflow, Scale};

//! The test kit, recorded answers, the programs, and the house itself.

mod async_driver;
mod cli;
#[cfg(feature = "proptest")]
mod contract;
mod fuzz;
#[cfg(feature = "proptest")]
mod invariants;
#[cfg(feature = "proptest")]
mod lives;
mod modules;
#[cfg(feature = "proptest")]
mod plausible;
#[cfg(feature = "proptest")]
mod refusals;
mod replay;

//! Whole lives on a virtual clock, of one pod and of fleets.

#[cfg(feature = "fleet")]
mod fleet;
#[cfg(feature = "fleet")]
mod fleet_nodes;
mod init_reserve;
mod scenarios;
mod upsets;

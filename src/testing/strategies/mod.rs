//! Random pods, lives and observations.
//!
//! All shrink towards one container to which nothing happens.

mod events;
mod lives;
mod observations;
mod pods;

pub use events::{WorkerEvent, apply_worker_events, worker_events};
pub use lives::{LifeShape, lives, lives_of};
pub use observations::{observations, reachable_observations};
pub use pods::{PodShape, pods};

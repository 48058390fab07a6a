//! Lives of pods: random ones through the real kubelet and through podinit, and where they differ.

pub mod case;
pub mod class;
pub mod compare;
pub mod draws;
mod family;
pub mod play;
pub mod print;
pub mod shrink;
pub mod strategy;

pub use case::LifeCase;
pub use class::{Class, UnknownClass};
pub use family::{Lives, LivesOptions, Through, read_expected};

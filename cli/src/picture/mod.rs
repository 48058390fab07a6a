//! Pictures of lives: what the containers were doing when, in several formats.

mod chart;
mod fleet;
mod page;
mod svg;
mod texts;
mod trace;

pub use chart::{Chart, Seen, seen};
pub use fleet::fleet;
pub use page::{Section, html};
pub use svg::svg;
pub use texts::{csv, mermaid};
pub use trace::{otlp, trace};

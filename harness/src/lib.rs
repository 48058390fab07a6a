//! What the tests, examples and benchmarks of podinit share, and what compares it with Kubernetes.
//!
//! The judge is the oracle (the Go program in `oracle/`): the unmodified kubelet in virtual time,
//! and the functions behind kubectl, the API server and the scheduler. The program `diff` draws
//! cases, asks both sides and shows where they differ:
//!
//! ```text
//! cargo run -p harness --bin diff -- --kubernetes 1.36 --seed 7 --cases 500 lives
//! ```
//!
//! The program `record` writes the oracle's answers into files ([`vectors`]), which the tests
//! replay without it ([`conformance`]).

pub mod conformance;
pub mod draw;
pub mod family;
pub mod functions;
pub mod fuzz;
pub mod lives;
pub mod manifest;
pub mod node;
pub mod oracle;
pub mod scenario_options;
pub mod shrink;
pub mod vectors;

/// A value of a type that may grow, some fields set and the others as in a base, as a struct literal
/// would be: `with!(Sandbox { ready: true, ..Sandbox::default() })`.
#[macro_export]
macro_rules! with {
    ($type:ident { $($field:ident $(: $value:expr)?,)* ..$base:expr }) => {{
        #[allow(elided_lifetimes_in_paths, reason = "some of the types have one, some not")]
        let mut value: $type = $base;
        $(value.$field = $crate::with!(@ $field $($value)?);)*
        value
    }};
    (@ $field:ident) => { $field };
    (@ $field:ident $value:expr) => { $value };
}

//! A life in podinit's simulated node, under the name, the address and with the luck that it had in
//! the oracle.

use std::net::Ipv4Addr;

use podinit::FeatureGates;
use podinit::sim::node::{Options, Ties, Trace, play};

use super::case::{CaseError, LifeCase};
use super::compare::compare;
use super::draws::Drawn;

/// Plays a life that the oracle has played. Who is first where several things happen at one moment is
/// chance there: of all orders, the first that agrees is taken, or else the usual one.
///
/// # Errors
/// If it cannot be played.
pub fn play_again(
    case: &LifeCase,
    oracle: &Trace,
    gates: FeatureGates,
) -> Result<Trace, CaseError> {
    let drawn = Drawn::of(oracle);
    let pod = case.pod(&oracle.pod_name, &oracle.uid)?;
    let with = |ties: Ties| {
        let mut options = Options::new(gates);
        options.ties = ties;
        options.pod_ip = address(&oracle.pod_name).into();
        play(&pod, &case.scenario, &options, &drawn).map_err(CaseError::new)
    };
    let agrees = |trace: &Trace| compare(case, oracle, trace).is_empty();
    let [first, others @ ..] = Ties::ALL;
    let usual = with(first)?;
    if agrees(&usual) {
        return Ok(usual);
    }
    let mut others = others.into_iter().filter_map(|ties| with(ties).ok());
    Ok(others.find(agrees).unwrap_or(usual))
}

/// The address that the oracle gives to the pod of this name, as `p12`.
fn address(pod_name: &str) -> Ipv4Addr {
    let number = pod_name.trim_start_matches('p').parse().unwrap_or(1_u32);
    let [_, a, b, c] = number.to_be_bytes();
    Ipv4Addr::new(10, a, b, c)
}

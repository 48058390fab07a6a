//! Back-off at its edges.

use std::time::Duration;

use podinit::KubernetesVersion;
use podinit::backoff::{BackOff, BackOffSettings, CrashLoopBackOff, CrashLoopBackOffError};

use crate::support::{S, at};

#[test]
fn a_node_may_set_the_maximum_to_one_second_up_to_five_minutes() {
    let gates = KubernetesVersion::V1_36.feature_gates();
    let max = |period| {
        let config = CrashLoopBackOff { max_container_restart_period: Some(period) };
        config.settings(gates).map(|settings| (settings.initial, settings.max))
    };
    let nano = Duration::from_nanos(1);
    assert_eq!(max(S(1)), Ok((S(1), S(1))));
    assert_eq!(max(S(300)), Ok((S(10), S(300))));
    for period in [S(0), S(1) - nano, S(300) + nano] {
        assert_eq!(max(period), Err(CrashLoopBackOffError::OutOfRange(period)));
    }
}

/// The delay in force at the second, for an event at another, after one advance at second 100.
fn in_force(delay: Duration, event: u64, now: u64) -> [Option<Duration>; 2] {
    let settings = BackOffSettings { initial: delay, max: delay, expires_after: S(600) };
    let mut back_off = BackOff::new(settings);
    back_off.advance("i1", at(100), at(100));
    [
        back_off.in_back_off_since(&"i1", at(event), at(now)),
        back_off.in_back_off_since_update(&"i1", at(event)),
    ]
}

#[test]
fn a_delay_holds_until_it_is_over_and_not_at_its_end() {
    assert_eq!(in_force(S(10), 100, 109), [Some(S(10)), Some(S(10))]);
    assert_eq!(in_force(S(10), 100, 110), [None, Some(S(10))]);
    assert_eq!(in_force(S(10), 110, 119), [Some(S(10)), None]);
}

#[test]
fn no_delay_holds_nothing_back_but_what_is_before_its_beginning() {
    assert_eq!(in_force(S(0), 100, 100), [None, None]);
    assert_eq!(in_force(S(0), 99, 100), [None, Some(S(0))]);
    assert_eq!(in_force(S(0), 101, 100), [Some(S(0)), None]);
}

//! Quantities, durations and back-offs.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::functions::json::{Json, just, list, mixed, number, object, one_of, truth};

/// Numbers at which arithmetic changes its form.
const EDGES: &[&str] = &[
    "0",
    "1",
    "999",
    "1000",
    "1001",
    "1023",
    "1024",
    "1025",
    "999999999",
    "1000000000",
    "2147483647",
    "2147483648",
    "4294967295",
    "9007199254740993",
    "999999999999999999",
    "1000000000000000000",
    "9223372036854775",
    "9223372036854776",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "170141183460469231731",
    "170141183460469231731687303715884105727",
    "000",
    "007",
    "0000000001",
];

const SUFFIXES: &[&str] =
    &["", "", "", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// What is no suffix, or only nearly one.
const WRONG_SUFFIXES: &[&str] = &[
    "K", "ki", "mi", "Ni", "i", "g", "Mb", "MiB", " Mi", "Mi ", "e", "E+", "e3.5", "EE", "µ", "%",
];

fn digits() -> BoxedStrategy<String> {
    prop_oneof![
        4 => "[0-9]{1,4}",
        3 => "[0-9]{1,3}\\.[0-9]{0,4}",
        1 => "\\.[0-9]{1,10}",
        1 => "[0-9]{5,20}",
        1 => "[0-9]{1,3}\\.[0-9]{8,12}",
        2 => select(EDGES).prop_map(str::to_owned),
        1 => select(EDGES).prop_map(|edge| format!("{edge}.5")),
    ]
    .boxed()
}

fn suffix() -> BoxedStrategy<String> {
    prop_oneof![
        6 => select(SUFFIXES).prop_map(str::to_owned),
        // Not beyond: Kubernetes' work grows with the exponent itself.
        2 => (select(&["e", "E"][..]), -25..25i32).prop_map(|(e, exponent)| format!("{e}{exponent}")),
        1 => (0..12u32).prop_map(|exponent| format!("e+{exponent:03}")),
    ]
    .boxed()
}

/// A text that is a quantity.
fn quantity() -> BoxedStrategy<String> {
    let sign = select(&["", "", "", "", "", "-", "-", "+"][..]);
    let whole = (sign, digits(), suffix());
    whole.prop_map(|(sign, digits, suffix)| format!("{sign}{digits}{suffix}")).boxed()
}

/// A text that is a quantity, or close to one.
fn text() -> BoxedStrategy<String> {
    prop_oneof![
        16 => quantity(),
        1 => (digits(), select(WRONG_SUFFIXES)).prop_map(|(digits, suffix)| format!("{digits}{suffix}")),
        1 => "[-+0-9.eEinumkKMGTP ]{0,8}",
        1 => select(&["", ".", "-", "+", "--1", "1.2.3", "1e", "1 ", " 1", "1\n", "١", "0x10", "1_000", "NaN", "inf", "1,5", "1e1e1", "+-1", "1.e3", "e3", "-.5Gi"][..])
            .prop_map(str::to_owned),
    ]
    .boxed()
}

/// Family `quantity`.
pub(in crate::functions) fn quantities() -> Json {
    (text(), proptest::option::of(quantity()))
        .prop_map(|(input, other)| {
            let mut case = json!({ "input": input });
            if let Some(other) = other {
                case["other"] = other.into();
            }
            case
        })
        .boxed()
}

/// Family `durations`: around each border of the printed forms, and anywhere.
pub(in crate::functions) fn duration() -> Json {
    const SECOND: i64 = 1000;
    const HOUR: i64 = 3600 * SECOND;
    const DAY: i64 = 24 * HOUR;
    let borders: Vec<i64> = [
        0,
        60 * SECOND,
        120 * SECOND,
        600 * SECOND,
        HOUR,
        3 * HOUR,
        8 * HOUR,
        DAY,
        2 * DAY,
        8 * DAY,
        365 * DAY,
        730 * DAY,
        8 * 365 * DAY,
    ]
    .into();
    let near = (select(borders), -3 * SECOND..3 * SECOND).prop_map(|(border, off)| border + off);
    let powers = (0..43u32, 0..1000i64).prop_map(|(power, off)| (1i64 << power) + off);
    let days = (0..3000i64, -HOUR..HOUR).prop_map(|(days, off)| days * DAY + off);
    prop_oneof![4 => near, 3 => powers, 3 => days, 1 => -100_000_000..0i64]
        .prop_map(|milliseconds| json!({ "milliseconds": milliseconds }))
        .boxed()
}

/// Family `backoff`: attempts at growing times, with delays around every border.
pub(in crate::functions) fn back_off() -> Json {
    let step = object(vec![
        (
            "wait",
            100,
            mixed(vec![
                (4, number(0..20_000)),
                (3, one_of(&[1, 999, 1000, 1001, 10_000, 300_000, 599_999, 600_000, 600_001])),
                (1, number(0..2_000_000)),
            ]),
        ),
        ("finished", 100, one_of(&["now", "before", "same", "later", "never"])),
        ("gcAfter", 20, truth()),
    ]);
    let settings = (
        one_of(&[1, 100, 1000, 10_000, 7_777]),
        one_of(&[1, 1000, 60_000, 300_000, 77_777, 3_600_000]),
    );
    (settings, list(step, 1..25))
        .prop_map(|((initial, max), steps)| {
            let (mut now, mut finished) = (1, 0);
            let steps: Vec<Value> = steps
                .as_array()
                .into_iter()
                .flatten()
                .map(|step| {
                    now += step["wait"].as_i64().unwrap_or_default();
                    finished = match step["finished"].as_str() {
                        Some("now") => now,
                        Some("before") => (now - 7).max(0),
                        Some("later") => now + 3,
                        Some("never") => 0,
                        _ => finished,
                    };
                    let gc = step["gcAfter"].as_bool().unwrap_or_default();
                    json!({"nowMs": now, "finishedAtMs": finished, "gcAfter": gc})
                })
                .collect();
            json!({"initialMs": initial, "maxMs": max, "steps": steps})
        })
        .boxed()
}

/// An amount as manifests have it, and now and then an odd one.
pub(super) fn amount(amounts: &[&'static str]) -> Json {
    let odd = one_of(&["0", "100u", "1.1Ki", "1500m", "129e6", "0.0005", "1e3", "3n"]);
    mixed(vec![(9, one_of(amounts)), (1, odd)])
}

/// An amount of a resource by its name.
pub(super) fn amount_of(resource: &str) -> Json {
    match resource {
        "cpu" => amount(&["1m", "50m", "100m", "250m", "0.5", "1", "1.5", "2", "3300m", "4", "16"]),
        "memory" => amount(&[
            "1",
            "64Mi",
            "100M",
            "128974848",
            "200Mi",
            "256Mi",
            "500M",
            "1Gi",
            "1.5Gi",
            "3Gi",
            "8Gi",
        ]),
        "ephemeral-storage" => amount(&["10Mi", "1Gi", "2.5Gi", "1G"]),
        "hugepages-2Mi" => amount(&["2Mi", "4Mi", "64Mi"]),
        "pods" => one_of(&["0", "1", "3", "110"]),
        _ => mixed(vec![(5, one_of(&["0", "1", "2", "4"])), (1, just("1500m"))]),
    }
}

//! Laws of quantities, and what can be asked of lists of them.

use std::hash::{DefaultHasher, Hash, Hasher};

use podinit::quantity::{Format, Quantity, Scale};
use podinit::resources::{ResourceList, ResourceName};
use proptest::prelude::*;
use proptest::sample::select;

/// Text of a quantity in any form, of up to 20 digits before and after the point.
fn text() -> impl Strategy<Value = String> {
    let suffixes = "n,u,m,,k,M,G,T,P,E,Ki,Mi,Gi,Ti,Pi,Ei,e3,E-2,e+6,e-12,e18";
    let suffix = select(suffixes.split(',').collect::<Vec<_>>());
    ("[+-]?[0-9]{1,20}(\\.[0-9]{0,20})?", suffix).prop_map(|(number, suffix)| number + suffix)
}

fn quantity() -> impl Strategy<Value = Quantity> {
    text().prop_map(|text| text.parse().unwrap())
}

/// A billionth multiple that surely fits 128 bits, with its quantity.
fn nanos() -> impl Strategy<Value = (i128, Quantity)> {
    (-(1_i128 << 100)..(1_i128 << 100)).prop_map(|nanos| {
        let (whole, rest) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
        let fraction: Quantity = format!("{rest}n").parse().unwrap();
        (nanos, Quantity::new(whole, Format::DecimalSI).checked_add(fraction).unwrap())
    })
}

proptest! {
    #[test]
    fn text_that_was_printed_is_printed_alike_in_the_same_format(quantity in quantity()) {
        // Without a suffix, a binary quantity such as 812.5Ki is read again as a decimal one.
        let canonical = quantity.to_string();
        let again = canonical.parse::<Quantity>().unwrap();
        prop_assert_eq!(again.with_format(quantity.format()).to_string(), canonical);
    }

    #[test]
    fn printing_keeps_the_value_as_long_as_there_is_a_suffix(quantity in quantity()) {
        let limit = 10_i128.pow(20);
        if (-limit..limit).contains(&quantity.wide_value()) {
            prop_assert_eq!(quantity.to_string().parse(), Ok(quantity));
        }
    }

    #[test]
    fn addition_is_commutative_and_associative(a in quantity(), b in quantity(), c in quantity()) {
        prop_assert_eq!(a.checked_add(b), b.checked_add(a));
        let left = a.checked_add(b).and_then(|sum| sum.checked_add(c));
        let right = b.checked_add(c).and_then(|sum| a.checked_add(sum));
        // One order may pass through a sum that does not fit.
        if let (Ok(left), Ok(right)) = (left, right) {
            prop_assert_eq!(left, right);
        }
    }

    #[test]
    fn subtraction_undoes_addition_and_its_sign_is_the_order(a in quantity(), b in quantity()) {
        if let Ok(sum) = a.checked_add(b) {
            prop_assert_eq!(sum.checked_sub(b), Ok(a));
        }
        if let Ok(difference) = a.checked_sub(b) {
            prop_assert_eq!(difference.sign(), a.cmp(&b) as i8);
        }
    }

    #[test]
    fn arithmetic_is_that_of_billionths((a, qa) in nanos(), (b, qb) in nanos()) {
        prop_assert_eq!(qa.cmp(&qb), a.cmp(&b));
        let unit = 1_000_000_000;
        let away = |n: i128| n.signum() * (n.abs() / unit + i128::from(n.abs() % unit != 0));
        prop_assert_eq!(qa.wide_value(), away(a));
        prop_assert_eq!(qa.checked_add(qb).unwrap().wide_value(), away(a + b));
        prop_assert_eq!(qa.checked_sub(qb).unwrap().wide_value(), away(a - b));
    }

    #[test]
    fn rounding_gives_the_next_multiple_away_from_zero(quantity in quantity(), scale in select(vec![
        Scale::Nano, Scale::Micro, Scale::Milli, Scale::Unit, Scale::Kilo, Scale::Exa,
    ])) {
        let Ok(rounded) = quantity.round_up(scale) else { return Ok(()) };
        prop_assert_eq!(rounded.scaled_value(scale), quantity.scaled_value(scale));
        prop_assert_eq!(rounded.round_up(scale), Ok(rounded));
        prop_assert!(rounded.checked_abs().unwrap() >= quantity.checked_abs().unwrap());
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[-+.0-9eEinumkKMGTPx ]{0,30}") {
        if let Ok(quantity) = text.parse::<Quantity>() {
            prop_assert!(quantity.to_string().parse::<Quantity>().is_ok());
        }
    }
}

fn parse(text: &str) -> Quantity {
    text.parse().unwrap()
}

#[test]
fn a_sum_beyond_128_bits_stops_at_the_end_where_it_leaves_the_range() {
    let (most, least) = (Quantity::MAX, Quantity::MIN);
    assert_eq!(most.saturating_add(parse("1")), most);
    assert_eq!(parse("1").saturating_add(most), most);
    // A fraction alone is enough.
    assert_eq!(parse("500m").saturating_add(most), most);
    assert_eq!(least.saturating_add(parse("-1")), least);
    assert_eq!(parse("-1").saturating_add(least), least);
    assert_eq!(parse("1Gi").saturating_add(parse("-1Gi")), Quantity::ZERO);
    // The largest quantity is a billionth below the first that does not fit.
    let whole = Quantity::new(i128::MAX, Format::DecimalSI);
    assert_eq!(most.checked_sub(whole), Ok(parse("999999999n")));
    assert!(most.checked_add(parse("1n")).is_err());
}

#[test]
fn a_binary_suffix_is_not_kept_below_one() {
    for (text, format) in [
        ("0.5Ki", Format::BinarySI),
        ("0.0001Ki", Format::DecimalSI),
        ("-0.0001Ki", Format::DecimalSI),
        ("0Ki", Format::BinarySI),
    ] {
        assert_eq!(parse(text).format(), format, "{text}");
    }
    // So what is added to it is written in decimals too.
    let sum = parse("0.0001Ki").checked_add(parse("1Gi")).unwrap();
    assert_eq!(sum.to_string(), "1073741824102400u");
}

#[test]
fn a_suffix_alone_is_zero_as_far_as_kubernetes_reads_it_quickly() {
    for (text, is_zero) in [("Ki", true), ("Ti", true), ("Pi", false), ("Ei", false)] {
        assert_eq!(text.parse::<Quantity>().is_ok_and(Quantity::is_zero), is_zero, "{text}");
        assert_eq!(text.parse::<Quantity>().is_ok(), is_zero, "{text}");
        assert!(parse(&format!("0{text}")).is_zero(), "{text}");
    }
}

#[test]
fn equal_quantities_hash_alike_and_others_do_not() {
    let hash = |text: &str| {
        let mut state = DefaultHasher::new();
        parse(text).hash(&mut state);
        state.finish()
    };
    assert_eq!(hash("1"), hash("1000m"));
    assert_ne!(hash("1"), hash("2"));
    assert_ne!(hash("1"), hash("1001m"));
}

#[test]
fn debug_text_shows_the_amounts() {
    let list: ResourceList =
        [(ResourceName::CPU, parse("0.5")), ("memory".into(), parse("1Gi"))].into_iter().collect();
    assert_eq!(format!("{list:?}"), r#"{"cpu": Quantity(500m), "memory": Quantity(1Gi)}"#);
    assert_eq!(format!("{:?}", ResourceList::new()), "{}");
}

#[test]
fn what_is_no_quantity_is_refused_with_what_was_expected() {
    let error = serde_json::from_str::<Quantity>("true").unwrap_err().to_string();
    let expected = r#"invalid type: boolean `true`, expected a quantity such as "100m" or "1Gi""#;
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn a_list_counts_its_names_and_can_be_emptied() {
    let mut list = ResourceList::new();
    assert_eq!((list.len(), list.is_empty()), (0, true));
    for name in ["cpu", "memory", "cpu"] {
        list.insert(name.into(), parse("1"));
    }
    assert_eq!((list.len(), list.is_empty()), (2, false));
    list.clear();
    assert_eq!((list.len(), list.is_empty(), list.get("cpu")), (0, true, None));
}

#[test]
fn an_extended_resource_has_a_domain_that_fits_behind_requests() {
    // "requests." and the domain may have 253 characters together; labels have no bound.
    let of_length = |length: usize| format!("{}/gpu", "d".repeat(length));
    for (name, extended) in [
        ("example-1.com/gpu", true),
        ("1.2/gpu", true),
        ("example_1.com/gpu", false),
        ("-example.com/gpu", false),
        ("example-.com/gpu", false),
        ("example..com/gpu", false),
        (&of_length(244), true),
        (&of_length(245), false),
    ] {
        assert_eq!(ResourceName::from(name).is_extended(), extended, "{name}");
    }
}

#[test]
fn a_quantity_of_thousandths_has_the_format_it_is_given() {
    for (milli, text) in [(0, "0"), (1, "1m"), (1500, "1500m"), (-1, "-1m"), (-2000, "-2")] {
        let quantity = Quantity::from_milli(milli, Format::DecimalSI);
        assert_eq!((quantity.to_string().as_str(), quantity.milli_value()), (text, milli));
    }
    assert_eq!(Quantity::from_milli(1 << 20, Format::BinarySI).format(), Format::BinarySI);
    assert_eq!(Quantity::from_milli(2_048_000, Format::BinarySI).to_string(), "2Ki");
}

#[test]
fn another_format_writes_the_same_amount() {
    let amount = parse("1Gi").with_format(Format::DecimalSI);
    assert_eq!((amount.to_string().as_str(), amount), ("1073741824", parse("1Gi")));
    assert_eq!(parse("3k").with_format(Format::DecimalExponent).to_string(), "3e3");
    let formats = [Format::DecimalSI, Format::BinarySI, Format::DecimalExponent];
    assert_eq!(formats.map(Format::as_str), ["DecimalSI", "BinarySI", "DecimalExponent"]);
}

#[test]
fn the_sign_is_that_of_the_whole_amount() {
    for (text, sign) in [("0", 0), ("1n", 1), ("-1n", -1), ("1", 1), ("-1", -1), ("-1.5", -1)] {
        assert_eq!(parse(text).sign(), sign, "{text}");
    }
}

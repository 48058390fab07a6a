//! Laws of quantities.

use podinit::resources::{Format, Quantity, Scale};
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
    fn printing_what_was_read_from_canonical_text_gives_that_text(quantity in quantity()) {
        let canonical = quantity.to_string();
        prop_assert_eq!(canonical.parse::<Quantity>().unwrap().to_string(), canonical);
    }

    #[test]
    fn printing_keeps_the_value_as_long_as_there_is_a_suffix(quantity in quantity()) {
        let limit = 10_i128.pow(20);
        prop_assume!((-limit..limit).contains(&quantity.wide_value()));
        prop_assert_eq!(quantity.to_string().parse(), Ok(quantity));
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

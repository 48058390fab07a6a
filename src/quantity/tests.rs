use alloc::string::ToString;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use super::*;

fn quantity(text: &str) -> Quantity {
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

#[test]
fn text_that_is_no_quantity_is_told_apart_as_kubernetes_does() {
    for (text, error) in [
        ("", QuantityError::Format),
        (" 1", QuantityError::Format),
        ("1.2.3", QuantityError::Format),
        ("1x", QuantityError::Format),
        ("1½", QuantityError::Format),
        ("1K", QuantityError::Suffix),
        ("1mi", QuantityError::Suffix),
        ("1e", QuantityError::Suffix),
        ("--1", QuantityError::Suffix),
        ("1e99999999999999999999", QuantityError::Suffix),
        ("Ei", QuantityError::Numeric),
        ("e-10", QuantityError::Numeric),
        ("170141183460469231731687303715884105728", QuantityError::TooLarge),
        ("1e9223372036854775807", QuantityError::TooLarge),
    ] {
        assert_eq!(text.parse::<Quantity>(), Err(error), "{text:?}");
    }
}

#[test]
fn missing_digits_are_zero_where_kubernetes_reads_the_quick_way() {
    for text in ["+", "-", ".", "k", "Ti", "n", "0Ei", "0e-10", "0e999999999"] {
        assert!(quantity(text).is_zero(), "{text:?}");
    }
}

#[test]
fn what_is_finer_than_a_billionth_is_rounded_away_from_zero() {
    assert_eq!(quantity("1e-9223372036854775808"), quantity("1n"));
    assert_eq!(quantity("0.0000000001"), quantity("1n"));
    assert_eq!(quantity("-1.0000000001"), quantity("-1000000001n"));
    assert_eq!(quantity("0.99999999999999999999"), quantity("1"));
    assert_eq!(quantity("0.00000000000000000000000000000000000000000001Ei"), quantity("1n"));
}

#[test]
fn binary_quantities_are_capped_and_decimal_ones_are_not() {
    assert_eq!(quantity("8Ei"), quantity("9223372036854775807"));
    assert_eq!(quantity("-99999999999999999999Ki"), quantity("-9223372036854775807"));
    assert_eq!(quantity("10E").wide_value(), 10_i128.pow(19));
    assert_eq!(quantity("10E").value(), i64::MAX);
    assert_eq!(quantity("-10E").milli_value(), i64::MIN);
}

#[test]
fn both_ends_can_be_read_and_printed_back() {
    let largest = quantity("170141183460469231731687303715884105727.999999999");
    assert_eq!(largest, Quantity::MAX);
    assert_eq!(largest.to_string().parse(), Ok(Quantity::MAX));
    assert_eq!(
        Quantity::MAX.with_format(Format::DecimalExponent).to_string().parse(),
        Ok(Quantity::MAX)
    );
    assert_eq!(Quantity::MIN.to_string(), "-170141183460469231731687303715884105728");
    assert_eq!(Quantity::MAX.round_up(Scale::Unit), Err(QuantityOverflow));
    assert_eq!(Quantity::MAX.checked_add(quantity("1n")), Err(QuantityOverflow));
    assert_eq!(Quantity::MIN.checked_sub(quantity("1n")), Err(QuantityOverflow));
    assert_eq!(Quantity::MIN.wide_value(), -i128::MAX);
}

#[test]
fn a_suffix_that_does_not_exist_is_left_out_as_kubernetes_does() {
    assert_eq!(quantity("1000E").to_string(), "1");
    assert_eq!(quantity("1000e18").to_string(), "1e21");
    let exbibyte = Quantity::new(1 << 60, Format::BinarySI);
    assert_eq!(exbibyte.to_string(), "1Ei");
    assert_eq!(Quantity::new(1 << 70, Format::BinarySI).to_string(), "1");
}

#[test]
fn rounding_is_away_from_zero_at_every_scale() {
    for (text, scale, rounded) in [
        ("1.1", Scale::Unit, "2"),
        ("-1.1", Scale::Unit, "-2"),
        ("1.0001", Scale::Milli, "1001m"),
        ("999.9999", Scale::Milli, "1k"),
        ("5", Scale::Nano, "5"),
        ("1001", Scale::Kilo, "2k"),
        ("1n", Scale::Exa, "1E"),
    ] {
        assert_eq!(quantity(text).round_up(scale).unwrap().to_string(), rounded, "{text}");
    }
    for (text, milli) in [("-1.0001", -1001), ("-0.1", -100), ("1n", 1), ("-1n", -1)] {
        assert_eq!(quantity(text).milli_value(), milli, "{text}");
        assert_eq!(quantity(text).scaled_value(Scale::Milli), milli, "{text}");
    }
}

#[test]
fn signs_and_constructors_agree_with_text() {
    for (text, sign) in [("-0.5", -1), ("-2", -1), ("0", 0), ("0.5", 1), ("2", 1)] {
        assert_eq!(quantity(text).sign(), sign, "{text}");
    }
    assert_eq!(Quantity::from_milli(-1500, Format::DecimalSI), quantity("-1.5"));
    assert_eq!(Quantity::from(7), quantity("7"));
}

#[test]
fn nothing_takes_the_format_of_what_is_added_to_it() {
    let sum = |a: &str, b: &str| quantity(a).checked_add(quantity(b)).unwrap().to_string();
    assert_eq!(sum("0", "1Gi"), "1Gi");
    assert_eq!(sum("1Gi", "1G"), "2073741824");
    assert_eq!(sum("1G", "1Gi"), "2073741824");
    assert_eq!(sum("1e9", "1G"), "2e9");
}

#[test]
fn json_may_hold_text_or_numbers_and_the_text_is_canonical() {
    let read = |json: &str| serde_json::from_str::<Quantity>(json).map(|q| q.to_string());
    assert_eq!(read("\" 1.5Gi \"").unwrap(), "1536Mi");
    assert_eq!(read("2").unwrap(), "2");
    assert_eq!(read("-2").unwrap(), "-2");
    assert_eq!(read("0.1").unwrap(), "100m");
    assert!(read("\"1.5mi\"").unwrap_err().to_string().contains("suffix"));
    assert!(read("true").is_err());
    assert_eq!(serde_json::to_string(&quantity("0.5")).unwrap(), "\"500m\"");
    assert_eq!(ApiQuantity::from(quantity("2048Mi")), ApiQuantity("2Gi".into()));
    assert_eq!(Quantity::try_from(&ApiQuantity(" 1 ".into())), Ok(quantity("1")));
}

#[test]
fn a_text_is_kept_where_kubernetes_takes_it_for_canonical() {
    // As Kubernetes 1.36 answers.
    for (text, kept) in [
        ("010", "010"),
        ("+10", "+10"),
        ("-010", "-010"),
        ("1.500", "1.500"),
        ("1.5", "1500m"),
        ("1e3", "1e3"),
        ("1E3", "1E3"),
        ("1.500e3", "1.500e3"),
        ("0.5", "500m"),
        ("00.5", "500m"),
        ("01Gi", "01Gi"),
        ("+7Gi", "+7Gi"),
        ("+8Gi", "8Gi"),
        ("010Ki", "010Ki"),
        ("9.5Gi", "9728Mi"),
        ("1000m", "1"),
        ("1500m", "1500m"),
        ("007m", "007m"),
        ("00", "0"),
        ("+0", "0"),
        ("0.000", "0"),
        (" 7 ", "7"),
    ] {
        assert_eq!(Quantity::string_of(text).unwrap(), kept, "{text}");
    }
    assert_eq!(Quantity::string_of("1Km"), Err(QuantityError::Suffix));
}

#[test]
fn an_amount_times_seconds_is_exact_to_a_billionth_and_stops_at_both_ends() {
    let times = |text: &str, time| quantity(text).saturating_mul_seconds(time).to_string();
    assert_eq!(times("750m", Duration::from_secs(30)), "22500m");
    assert_eq!(times("1536Mi", Duration::from_secs(3_560)), "5340Gi");
    assert_eq!(times("1", Duration::from_nanos(1_500_000_001)), "1500000001n");
    assert_eq!(times("-1500m", Duration::from_millis(2_500)), "-3750m");
    assert_eq!(times("1Gi", Duration::ZERO), "0");
    // 3n for 0.5 s are 1.5n.
    assert_eq!(times("3n", Duration::from_millis(500)), "2n");
    assert_eq!(times("-3n", Duration::from_millis(500)), "-2n");
    // 3.999999996000000001
    assert_eq!(times("1999999999n", Duration::new(1, 999_999_999)), "3999999997n");
    assert_eq!(times("1e30", Duration::from_nanos(1)), "1e21");
    let product = |quantity: Quantity, time| quantity.saturating_mul_seconds(time);
    assert_eq!(product(Quantity::MAX, Duration::from_secs(1)), Quantity::MAX);
    assert_eq!(product(Quantity::MAX, Duration::MAX), Quantity::MAX);
    assert_eq!(product(Quantity::MIN, Duration::MAX), Quantity::MIN);
}

//! Family `quantity`: reading, rounding, comparing and adding quantities.

use std::cmp::Ordering;

use podinit::quantity::{Format, Quantity, QuantityError, QuantityOverflow, Scale};
use serde_json::{Value, json};

use super::case::flat;
use super::{Answer, BadCase};

pub const LEFT_OUT: &[&str] = &[
    "value and milliValue beyond 64 bits: Kubernetes wraps around, here they stop at the end",
    "value and milliValue of negative fractions in Kubernetes' slow form, which it rounds up by one",
    "quantities, sums and differences of 2¹²⁷ or more, which are refused here",
];

pub fn replay(case: &Value) -> Result<Answer, BadCase> {
    let mut case = flat(case);
    if case["error"].is_null() {
        case["error"] = case["parseError"].take();
    }
    let mut expected = case.clone();
    for key in ["input", "other", "kubernetes"] {
        expected[key] = Value::Null;
    }
    let text = |key: &str| case[key].as_str();
    let input = text("input").ok_or(BadCase("no input".into()))?;
    let accepted = case["error"].is_null();
    let quantity = match input.parse::<Quantity>() {
        Err(QuantityError::TooLarge) if accepted => return Ok(Answer::NOTHING),
        Err(error) => return Ok(Answer { expected, got: json!({"error": error.to_string()}) }),
        Ok(quantity) => quantity,
    };
    let mut got = json!({
        "canonical": quantity.to_string(),
        "sign": quantity.sign(),
        "format": quantity.format().as_str(),
    });
    for (key, scale) in [("value", Scale::Unit), ("milliValue", Scale::Milli)] {
        let Some(recorded) = text(key) else { continue };
        if known_defect(quantity, scale, recorded.parse()?) {
            expected[key] = Value::Null;
        } else {
            got[key] = quantity.scaled_value(scale).to_string().into();
        }
    }
    let Some(other) = text("other") else { return Ok(Answer { expected, got }) };
    match other.parse::<Quantity>() {
        Ok(other) => {
            got["cmp"] = match quantity.cmp(&other) {
                Ordering::Less => -1,
                Ordering::Equal => 0,
                Ordering::Greater => 1,
            }
            .into();
            let results =
                [("sum", quantity.checked_add(other)), ("difference", quantity.checked_sub(other))];
            for (key, result) in results {
                match result {
                    Ok(result) => got[key] = result.to_string().into(),
                    Err(QuantityOverflow) => expected[key] = Value::Null,
                }
            }
        }
        Err(QuantityError::TooLarge) => {
            for key in ["cmp", "sum", "difference"] {
                expected[key] = Value::Null;
            }
        }
        Err(error) => got["other"] = error.to_string().into(),
    }
    Ok(Answer { expected, got })
}

/// Is `recorded` another value than ours, and what Go's 64-bit arithmetic makes of this quantity?
fn known_defect(quantity: Quantity, scale: Scale, recorded: i64) -> bool {
    let ours = quantity.scaled_value(scale);
    let whole = quantity.wide_value();
    let fraction = quantity.checked_sub(Quantity::new(whole, Format::DecimalSI));
    let fraction = fraction.map_or(0, |fraction| fraction.scaled_value(Scale::Nano));
    let units: i64 = if scale == Scale::Milli { 1000 } else { 1 };
    let nanos_a_unit = 1_000_000_000 / units;
    // Beyond 64 bits: nothing, or the low bits of the whole number, rounded up or cut.
    let rest = -(-fraction).div_euclid(nanos_a_unit);
    let exact = whole.saturating_mul(units.into()).saturating_add(rest.into());
    let overflow = i64::try_from(exact).is_err();
    let low_bits = |units: i64| (whole as i64).wrapping_mul(units);
    let wrapped = [0, low_bits(units), low_bits(units).wrapping_add(rest)];
    // Below zero: the low bits of the billionths, divided, and one added to any remainder.
    let nanos = low_bits(1_000_000_000).wrapping_add(fraction);
    let rounded_up = nanos / nanos_a_unit + i64::from(nanos % nanos_a_unit != 0);
    recorded != ours
        && (overflow && wrapped.contains(&recorded)
            || quantity.sign() < 0 && recorded == rounded_up)
}

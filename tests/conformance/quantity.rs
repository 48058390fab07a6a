//! Family `quantity`: reading, rounding, comparing and adding quantities.

use std::cmp::Ordering;

use podinit::resources::{Format, Quantity, Scale};
use serde_json::{Value, json};

use super::{Answer, BadCase};

pub const LEFT_OUT: &[&str] = &[
    "value and milliValue beyond 64 bits: Kubernetes wraps around, here they stop at the end",
    "value and milliValue of negative fractions in Kubernetes' slow form, which it rounds up by one",
];

pub fn replay(case: &Value) -> Result<Answer, BadCase> {
    let mut expected = case.clone();
    for key in ["input", "other"] {
        expected[key] = Value::Null;
    }
    let text = |key: &str| case[key].as_str();
    let input = text("input").ok_or(BadCase("no input".into()))?;
    let quantity = match input.parse::<Quantity>() {
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
    if let Some(other) = text("other") {
        let other: Quantity = other.parse()?;
        got["cmp"] = match quantity.cmp(&other) {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        }
        .into();
        got["sum"] = quantity.checked_add(other)?.to_string().into();
        got["difference"] = quantity.checked_sub(other)?.to_string().into();
    }
    Ok(Answer { expected, got })
}

/// Is `recorded` another value than ours, and what Go's 64-bit arithmetic makes of this quantity?
fn known_defect(quantity: Quantity, scale: Scale, recorded: i64) -> bool {
    let ours = quantity.scaled_value(scale);
    let whole = quantity.wide_value();
    let fraction = quantity.checked_sub(Quantity::new(whole, Format::DecimalSI));
    let fraction = fraction.map_or(0, |fraction| fraction.scaled_value(Scale::Nano));
    let low_bits = |units: i64| (whole as i64).wrapping_mul(units);
    // Beyond 64 bits: nothing, or the low bits of a whole number.
    let units = if scale == Scale::Milli { 1000 } else { 1 };
    let overflow = i64::try_from(whole.saturating_mul(units.into())).is_err();
    // Below zero: the low bits of the billionths, divided, and one added to any remainder.
    let nanos = low_bits(1_000_000_000).wrapping_add(fraction);
    let unit = 1_000_000_000 / units;
    let rounded_up = nanos / unit + i64::from(nanos % unit != 0);
    recorded != ours
        && (overflow && (recorded == 0 || recorded == low_bits(units))
            || quantity.sign() < 0 && recorded == rounded_up)
}

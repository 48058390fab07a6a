//! Text to quantity (`ParseQuantity`).

use alloc::borrow::Cow;
use alloc::string::ToString;
use core::str::FromStr;

use super::{Format, NANOS, Quantity};

/// Text that is no quantity. The first three say what Kubernetes says, word for word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuantityError {
    /// Not a number followed by a suffix.
    #[error(
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )]
    Format,
    /// There is a suffix, but no number.
    #[error("unable to parse numeric part of quantity")]
    Numeric,
    /// The suffix is none of `n u m k M G T P E`, `Ki Mi Gi Ti Pi Ei` or `e` with a number.
    #[error("unable to parse quantity's suffix")]
    Suffix,
    /// 2¹²⁷ or more. Kubernetes reads such numbers; no resource comes near them.
    #[error("quantity is beyond 128 bits")]
    TooLarge,
}

impl FromStr for Quantity {
    type Err = QuantityError;

    /// Reads a quantity as Kubernetes does, its leniency included: `+.5`, `4.`, `k` and `-` are
    /// quantities, the last two being zero.
    ///
    /// # Errors
    /// See [`QuantityError`].
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let number = Number::scan(text.as_bytes())?;
        let suffix = Suffix::interpret(number.suffix).ok_or(QuantityError::Suffix)?;
        if number.integer.is_empty() && number.fraction.is_empty() {
            return number.without_digits(suffix);
        }
        let format = suffix.format;
        let (whole, nanos) = match suffix.unit {
            Unit::Ten(exponent) => number.times_power_of_ten(exponent),
            Unit::Two(exponent) => Some(number.times_power_of_two(exponent)),
        }
        .ok_or(QuantityError::TooLarge)?;
        // A fraction of one has no binary suffix to be written with.
        let below_one = whole == 0 && nanos != 0;
        let format = match format {
            Format::BinarySI if below_one => Format::DecimalSI,
            format => format,
        };
        Self::from_magnitude(number.negative, whole, nanos, format).ok_or(QuantityError::TooLarge)
    }
}

impl Quantity {
    /// What Kubernetes writes for a quantity that it has read from this text, without white space
    /// around it, and has not changed since (`Quantity.String`): the text as it is, where the quick
    /// way of reading takes it for canonical, and the canonical form otherwise. So `010`, `+1Gi` and
    /// `1.500` stay, while `1.5` becomes `1500m` and `1000m` becomes `1`.
    ///
    /// # Errors
    /// See [`QuantityError`].
    ///
    /// ```
    /// use podinit::quantity::Quantity;
    ///
    /// assert_eq!(Quantity::string_of("010")?, "010");
    /// assert_eq!(Quantity::string_of("1.5")?, "1500m");
    /// # Ok::<(), podinit::quantity::QuantityError>(())
    /// ```
    pub fn string_of(text: &str) -> Result<Cow<'_, str>, QuantityError> {
        let text = text.trim();
        let quantity: Self = text.parse()?;
        let number = Number::scan(text.as_bytes())?;
        let suffix = Suffix::interpret(number.suffix).ok_or(QuantityError::Suffix)?;
        let kept = number.is_taken_for_canonical(suffix);
        Ok(if kept { Cow::Borrowed(text) } else { Cow::Owned(quantity.to_string()) })
    }
}

/// A quantity's text, taken apart (`parseQuantityString`).
struct Number<'a> {
    negative: bool,
    /// The digits before the point, without leading zeros.
    integer: &'a [u8],
    /// Their value, if they are at most 18.
    integer_value: u64,
    /// Whether there were leading zeros.
    zeros: bool,
    /// The digits after the point.
    fraction: &'a [u8],
    /// The value of all digits as one number, if they are at most 18.
    value: u64,
    suffix: &'a [u8],
}

/// Splits where `belongs` first says no.
#[inline]
fn split(text: &[u8], belongs: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let end = text.iter().position(|&byte| !belongs(byte)).unwrap_or(text.len());
    text.split_at(end)
}

/// Splits off the digits, and appends them to `value`.
#[inline]
fn split_digits(text: &[u8], mut value: u64) -> (&[u8], u64, &[u8]) {
    let mut end = 0;
    while let Some(byte) = text.get(end) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value.wrapping_mul(10).wrapping_add(digit.into());
        end += 1;
    }
    let (digits, rest) = text.split_at(end);
    (digits, value, rest)
}

impl<'a> Number<'a> {
    #[inline]
    fn scan(text: &'a [u8]) -> Result<Self, QuantityError> {
        let (negative, rest) = match text {
            [] => return Err(QuantityError::Format),
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let (zeros, rest) = split(rest, |byte| byte == b'0');
        let (integer, integer_value, rest) = split_digits(rest, 0);
        let (fraction, value, suffix) = match rest {
            [b'.', rest @ ..] => split_digits(rest, integer_value),
            rest => (&rest[..0], integer_value, rest),
        };
        if !suffix.is_empty() {
            let (_, rest) = split(suffix, |byte| b"eEinumkKMGTP".contains(&byte));
            let exponent = match rest {
                [b'-' | b'+', rest @ ..] => rest,
                rest => rest,
            };
            if !exponent.iter().all(u8::is_ascii_digit) {
                return Err(QuantityError::Format);
            }
        }
        let zeros = !zeros.is_empty();
        Ok(Self { negative, integer, integer_value, zeros, fraction, value, suffix })
    }

    fn digits(&self) -> impl DoubleEndedIterator<Item = u8> {
        self.integer.iter().chain(self.fraction).map(|digit| digit - b'0')
    }

    /// Zero. But where the value would not fit Kubernetes' quick way of reading, which takes
    /// digits that are not there for a zero, it misses them.
    fn without_digits(&self, suffix: Suffix) -> Result<Quantity, QuantityError> {
        let quick = match suffix.unit {
            Unit::Ten(exponent) => exponent >= -9,
            Unit::Two(exponent) => exponent < 50,
        };
        if self.zeros || quick {
            Ok(Quantity::new(0, suffix.format))
        } else {
            Err(QuantityError::Numeric)
        }
    }

    /// Whether the quick way of `ParseQuantity` keeps the text. It looks at the digits without the
    /// zeros before them, and not at the sign.
    fn is_taken_for_canonical(&self, suffix: Suffix) -> bool {
        // The most digits that a product of 64 bits surely has.
        const MOST: usize = 18;
        let digits = self.integer.len() + self.fraction.len();
        match suffix.unit {
            Unit::Ten(exponent) => {
                let scale = exponent.saturating_sub_unsigned(self.fraction.len() as u64);
                let has_leading_zero = self.integer.is_empty();
                let ends_in_thousand = digits >= 3 && self.digits().rev().take(3).all(|d| d == 0);
                digits <= MOST
                    && scale >= -9
                    && scale % 3 == 0
                    && !ends_in_thousand
                    && !has_leading_zero
            }
            Unit::Two(exponent) => {
                let most = 14_usize.saturating_sub(exponent as usize * 3 / 10);
                self.fraction.is_empty()
                    && self.integer.len() <= most
                    && !self.integer_value.is_multiple_of(8)
            }
        }
    }

    /// The magnitude in units and billionths, or `None` if it is beyond 128 bits.
    #[inline]
    fn times_power_of_ten(&self, exponent: i64) -> Option<(u128, u32)> {
        let scale = exponent.saturating_sub_unsigned(self.fraction.len() as u64);
        let fits = self.integer.len() + self.fraction.len() <= 18;
        match (fits.then_some(self.value), scale) {
            (Some(mantissa), 0) => Some((mantissa.into(), 0)),
            (Some(mantissa), -3) => {
                Some(((mantissa / 1000).into(), (mantissa % 1000) as u32 * 1_000_000))
            }
            // 18 digits and 20 zeros are less than 2¹²⁷.
            (Some(mantissa), 1..=20) => {
                Some((u128::from(mantissa) * 10_u128.pow(scale.unsigned_abs() as u32), 0))
            }
            (Some(mantissa), -9..=-1) => {
                let places = scale.unsigned_abs() as u32;
                let unit = 10_u64.pow(places);
                let nanos = (mantissa % unit) as u32 * 10_u32.pow(9 - places);
                Some(((mantissa / unit).into(), nanos))
            }
            _ => self.by_position(exponent),
        }
    }

    /// As [`Number::times_power_of_ten`], for any number of digits and any exponent.
    #[cold]
    fn by_position(&self, exponent: i64) -> Option<(u128, u32)> {
        if self.digits().all(|digit| digit == 0) {
            return Some((0, 0));
        }
        // The decimal point stands before this digit; digits that are not there are zeros.
        let point = exponent.saturating_add_unsigned(self.integer.len() as u64);
        let mut digits = self.digits();
        let mut whole = 0_u128;
        let mut position = 0;
        while position < point {
            let digit = digits.next().unwrap_or(0);
            whole = whole.checked_mul(10)?.checked_add(digit.into())?;
            position += 1;
        }
        let mut nanos = 0;
        for place in point..point.saturating_add(9) {
            nanos = nanos * 10 + if place < 0 { 0 } else { u32::from(digits.next().unwrap_or(0)) };
        }
        // Whoever asks for something gets something: the rest is rounded away from zero.
        nanos += u32::from(digits.any(|digit| digit != 0));
        if nanos == NANOS { Some((whole.checked_add(1)?, 0)) } else { Some((whole, nanos)) }
    }

    /// The magnitude in units and billionths, capped at 2⁶³−1.
    #[inline]
    fn times_power_of_two(&self, exponent: u32) -> (u128, u32) {
        const CAP: u128 = i64::MAX as u128;
        let whole = match self.integer.len() {
            0..=18 => u128::from(self.integer_value) << exponent,
            _ => return (CAP, 0),
        };
        // From the last digit to the first, keeping the value of what follows the current digit
        // in billionths, rounded down, and whether anything was cut off.
        let unit = u128::from(NANOS) << exponent;
        let (mut nanos, mut cut) = (0_u128, false);
        for digit in self.fraction.iter().rev() {
            let tenths = nanos + u128::from(digit - b'0') * unit;
            nanos = tenths / 10;
            cut |= !tenths.is_multiple_of(10);
        }
        nanos += u128::from(cut);
        let whole = whole + nanos / u128::from(NANOS);
        let nanos = (nanos % u128::from(NANOS)) as u32;
        if whole >= CAP { (CAP, 0) } else { (whole, nanos) }
    }
}

/// What a suffix multiplies with.
#[derive(Clone, Copy)]
enum Unit {
    Ten(i64),
    Two(u32),
}

#[derive(Clone, Copy)]
struct Suffix {
    unit: Unit,
    format: Format,
}

impl Suffix {
    /// What a suffix means (`suffixHandler.interpret`).
    #[inline]
    fn interpret(suffix: &[u8]) -> Option<Self> {
        let ten = |exponent| Self { unit: Unit::Ten(exponent), format: Format::DecimalSI };
        let two = |exponent| Self { unit: Unit::Two(exponent), format: Format::BinarySI };
        Some(match suffix {
            b"" => ten(0),
            b"m" => ten(-3),
            b"Ki" => two(10),
            b"Mi" => two(20),
            b"Gi" => two(30),
            b"Ti" => two(40),
            b"Pi" => two(50),
            b"Ei" => two(60),
            b"n" => ten(-9),
            b"u" => ten(-6),
            b"k" => ten(3),
            b"M" => ten(6),
            b"G" => ten(9),
            b"T" => ten(12),
            b"P" => ten(15),
            b"E" => ten(18),
            [b'e' | b'E', exponent @ ..] => {
                // An exponent beyond 64 bits is no exponent to Kubernetes either.
                let exponent = core::str::from_utf8(exponent).ok()?.parse().ok()?;
                Self { unit: Unit::Ten(exponent), format: Format::DecimalExponent }
            }
            _ => return None,
        })
    }
}

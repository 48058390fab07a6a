//! [`Quantity`]: how much of a resource, exactly as apimachinery's `resource.Quantity` counts.
//!
//! Source: `staging/src/k8s.io/apimachinery/pkg/api/resource` (`quantity.go`, `amount.go`,
//! `suffix.go`, `math.go`).

mod format;
mod interop;
mod parse;

use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::time::Duration;

/// Nanounits in one unit: no quantity is finer than this.
const NANOS: u32 = 1_000_000_000;

/// How a quantity is written: the suffix that it was read with, kept when it is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
#[non_exhaustive]
pub enum Format {
    /// Powers of ten as letters: `100m`, `5`, `2k`, `1G`.
    #[default]
    DecimalSI,
    /// Powers of 1024 as letters: `128Mi`, `4Gi`.
    BinarySI,
    /// Powers of ten as exponents: `129e6`.
    DecimalExponent,
}

impl Format {
    /// The name of Kubernetes' constant.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DecimalSI => "DecimalSI",
            Self::BinarySI => "BinarySI",
            Self::DecimalExponent => "DecimalExponent",
        }
    }
}

/// A power of ten to which a quantity can be rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Scale {
    /// 10⁻⁹, the finest there is.
    Nano,
    /// 10⁻⁶
    Micro,
    /// 10⁻³: how CPU is counted.
    Milli,
    /// 1: how bytes and devices are counted.
    Unit,
    /// 10³
    Kilo,
    /// 10⁶
    Mega,
    /// 10⁹
    Giga,
    /// 10¹²
    Tera,
    /// 10¹⁵
    Peta,
    /// 10¹⁸
    Exa,
}

impl Scale {
    /// The exponent of ten, -9 to 18.
    pub const fn exponent(self) -> i8 {
        (self as i8) * 3 - 9
    }
}

/// An exact amount: a whole number and billionths, with the [`Format`] it is written in.
///
/// Reads, compares, adds and prints as Kubernetes' quantities do. Text finer than a billionth is
/// rounded away from zero when it is read, and text with a binary suffix is capped at 2⁶³−1;
/// nothing else is ever rounded or capped. Whole numbers up to 2¹²⁷−1 can be held, whatever the
/// fraction; what would be more is an error. No operation allocates or uses floating point.
///
/// Two quantities are equal if their values are, however they are written.
///
/// ```
/// use podinit::quantity::Quantity;
///
/// let request: Quantity = "1.5Gi".parse()?;
/// assert_eq!(request.to_string(), "1536Mi");
/// assert_eq!(request.checked_add("512Mi".parse()?)?.to_string(), "2Gi");
/// assert_eq!("0.1".parse::<Quantity>()?, "100m".parse()?);
/// assert_eq!("1.0001".parse::<Quantity>()?.milli_value(), 1001);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Where Kubernetes' text differs
/// - What needs a decimal suffix above `E` or a binary one above `Ei` is printed **without its
///   suffix**, as Kubernetes does: `1000E` prints `1`. Compare quantities, not their text.
/// - Kubernetes prints a quantity that nothing was added to as it was written where a quick look
///   takes that for canonical (`+1`, `1.500`). Here the canonical form is always printed.
#[derive(Clone, Copy, Default)]
pub struct Quantity {
    // The value is whole + nanos / 10⁹ with nanos < 10⁹, so that -0.1 is (-1, 900_000_000):
    // comparing the fields in order compares the values.
    whole: Whole,
    nanos: u32,
    format: Format,
}

/// An `i128` that is aligned like an `i64`: without padding, a quantity is 24 bytes and not 32,
/// and lists of them are copied and walked faster.
#[derive(Clone, Copy, Default)]
#[repr(Rust, packed(8))]
struct Whole(i128);

/// A sum or difference that needs more than 128 bits before its decimal point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the result is beyond 128 bits")]
#[allow(clippy::exhaustive_structs, reason = "there is nothing to add")]
pub struct QuantityOverflow;

pub use parse::QuantityError;

impl Quantity {
    /// Nothing, in decimal notation.
    pub const ZERO: Self = Self::new(0, Format::DecimalSI);
    /// The largest quantity.
    pub const MAX: Self = Self::of_parts(i128::MAX, NANOS - 1, Format::DecimalSI);
    /// The smallest quantity, far below zero.
    pub const MIN: Self = Self::new(i128::MIN, Format::DecimalSI);

    /// `value` units.
    pub const fn new(value: i128, format: Format) -> Self {
        Self::of_parts(value, 0, format)
    }

    const fn of_parts(whole: i128, nanos: u32, format: Format) -> Self {
        Self { whole: Whole(whole), nanos, format }
    }

    const fn whole(self) -> i128 {
        self.whole.0
    }

    /// `milli` thousandths: millicores, for CPU.
    pub const fn from_milli(milli: i64, format: Format) -> Self {
        let nanos = milli.rem_euclid(1000) as u32 * 1_000_000;
        Self::of_parts(milli.div_euclid(1000) as i128, nanos, format)
    }

    /// From a sign and a magnitude, or `None` if that is too large.
    fn from_magnitude(negative: bool, whole: u128, nanos: u32, format: Format) -> Option<Self> {
        let whole = i128::try_from(whole).ok()?;
        Some(match (negative, nanos) {
            (false, nanos) => Self::of_parts(whole, nanos, format),
            (true, 0) => Self::of_parts(-whole, 0, format),
            (true, nanos) => Self::of_parts(-whole - 1, NANOS - nanos, format),
        })
    }

    /// The magnitude: whole units and billionths.
    fn magnitude(self) -> (u128, u32) {
        match (self.whole() < 0, self.nanos) {
            (false, nanos) => (self.whole().unsigned_abs(), nanos),
            (true, 0) => (self.whole().unsigned_abs(), 0),
            (true, nanos) => (self.whole().unsigned_abs() - 1, NANOS - nanos),
        }
    }

    /// How it is written.
    pub const fn format(self) -> Format {
        self.format
    }

    /// The same amount, written otherwise.
    #[must_use]
    pub const fn with_format(self, format: Format) -> Self {
        Self { format, ..self }
    }

    /// Is it nothing at all?
    pub const fn is_zero(self) -> bool {
        self.whole() == 0 && self.nanos == 0
    }

    /// -1 below zero, 0 at zero, 1 above.
    pub const fn sign(self) -> i8 {
        if self.is_zero() {
            0
        } else if self.whole() < 0 {
            -1
        } else {
            1
        }
    }

    /// Whole units, rounded away from zero (`Value`): bytes, devices.
    ///
    /// Stops at the ends of `i64`, where Kubernetes up to 1.36 gives 0 or the low 64 bits.
    pub fn value(self) -> i64 {
        self.scaled_value(Scale::Unit)
    }

    /// Thousandths, rounded away from zero (`MilliValue`): millicores.
    ///
    /// Stops at the ends of `i64`, where Kubernetes up to 1.36 gives 0 or the low 64 bits.
    pub fn milli_value(self) -> i64 {
        // CPU requests are asked for this all the time, and nearly all fit.
        if let Some(milli) =
            i64::try_from(self.whole()).ok().and_then(|whole| whole.checked_mul(1000))
        {
            let (down, rest) = (self.nanos / 1_000_000, self.nanos % 1_000_000);
            let up = milli >= 0 && rest > 0;
            return milli.saturating_add(i64::from(down) + i64::from(up));
        }
        self.scaled_value(Scale::Milli)
    }

    /// The value in units of 10^`scale`, rounded away from zero (`ScaledValue`).
    ///
    /// Stops at the ends of `i64`.
    pub fn scaled_value(self, scale: Scale) -> i64 {
        let wide = self.wide_scaled_value(scale);
        i64::try_from(wide).unwrap_or(if wide < 0 { i64::MIN } else { i64::MAX })
    }

    /// Whole units, rounded away from zero, in full width.
    pub fn wide_value(self) -> i128 {
        self.wide_scaled_value(Scale::Unit)
    }

    /// As [`Quantity::scaled_value`]; stops at the ends of `i128`.
    fn wide_scaled_value(self, scale: Scale) -> i128 {
        let (whole, nanos) = self.magnitude();
        let exponent = i32::from(scale.exponent());
        let scaled = if exponent < 0 {
            let fraction = nanos.div_ceil(10_u32.pow((9 + exponent).unsigned_abs()));
            whole
                .saturating_mul(10_u128.pow(exponent.unsigned_abs()))
                .saturating_add(u128::from(fraction))
        } else {
            let unit = 10_u128.pow(exponent.unsigned_abs());
            whole / unit + u128::from(whole % unit != 0 || nanos != 0)
        };
        let scaled = i128::try_from(scaled).unwrap_or(i128::MAX);
        if self.whole() < 0 { -scaled } else { scaled }
    }

    /// Rounded away from zero to a multiple of 10^`scale` (`RoundUp`).
    ///
    /// # Errors
    /// If the rounded value is beyond 128 bits.
    pub fn round_up(self, scale: Scale) -> Result<Self, QuantityOverflow> {
        let (mut whole, mut nanos) = self.magnitude();
        let exponent = i32::from(scale.exponent());
        if exponent < 0 {
            let unit = 10_u32.pow((9 + exponent).unsigned_abs());
            nanos = nanos.div_ceil(unit) * unit;
        } else {
            let unit = 10_u128.pow(exponent.unsigned_abs());
            let down = whole - whole % unit;
            whole = if down == whole && nanos == 0 { whole } else { down.saturating_add(unit) };
            nanos = 0;
        }
        if nanos == NANOS {
            (whole, nanos) = (whole.saturating_add(1), 0);
        }
        Self::from_magnitude(self.whole() < 0, whole, nanos, self.format).ok_or(QuantityOverflow)
    }

    /// The sum. Nothing takes the format of what is added to it; else the format stays (`Add`).
    ///
    /// # Errors
    /// If the sum is beyond 128 bits.
    #[inline]
    pub fn checked_add(self, other: Self) -> Result<Self, QuantityOverflow> {
        let nanos = self.nanos + other.nanos;
        let carry = nanos >= NANOS;
        let whole =
            self.whole().checked_add(other.whole()).and_then(|w| w.checked_add(carry.into()));
        let nanos = if carry { nanos - NANOS } else { nanos };
        let format = if self.is_zero() { other.format } else { self.format };
        Ok(Self::of_parts(whole.ok_or(QuantityOverflow)?, nanos, format))
    }

    /// The difference. Nothing takes the format of what is taken from it (`Sub`).
    ///
    /// # Errors
    /// If the difference is beyond 128 bits.
    pub fn checked_sub(self, other: Self) -> Result<Self, QuantityOverflow> {
        let borrow = self.nanos < other.nanos;
        let whole =
            self.whole().checked_sub(other.whole()).and_then(|w| w.checked_sub(borrow.into()));
        let nanos = if borrow { self.nanos + NANOS } else { self.nanos } - other.nanos;
        let format = if self.is_zero() { other.format } else { self.format };
        Ok(Self::of_parts(whole.ok_or(QuantityOverflow)?, nanos, format))
    }

    /// The magnitude.
    ///
    /// # Errors
    /// For [`Quantity::MIN`], whose magnitude is beyond 128 bits.
    pub fn checked_abs(self) -> Result<Self, QuantityOverflow> {
        let zero = Self::new(0, self.format);
        if self.whole() < 0 { zero.checked_sub(self) } else { Ok(self) }
    }

    /// The sum, or [`Quantity::MAX`] or [`Quantity::MIN`] if that is beyond 128 bits.
    #[must_use]
    #[inline]
    pub fn saturating_add(self, other: Self) -> Self {
        self.checked_add(other).unwrap_or(if self.whole() < 0 { Self::MIN } else { Self::MAX })
    }

    /// The difference, or [`Quantity::MAX`] or [`Quantity::MIN`] if that is beyond 128 bits.
    #[must_use]
    pub(crate) fn saturating_sub(self, other: Self) -> Self {
        self.checked_sub(other).unwrap_or(if other.whole() < 0 { Self::MAX } else { Self::MIN })
    }

    /// So much for so many seconds: core-seconds for cores. Rounded away from zero to a billionth;
    /// [`Quantity::MAX`] or [`Quantity::MIN`] if that is beyond 128 bits.
    #[must_use]
    pub(crate) fn saturating_mul_seconds(self, time: Duration) -> Self {
        let negative = self.whole() < 0;
        let product = self.magnitude_for(time);
        product
            .and_then(|(whole, nanos)| Self::from_magnitude(negative, whole, nanos, self.format))
            .unwrap_or(if negative { Self::MIN } else { Self::MAX })
    }

    /// The magnitude times seconds; `None` if that is beyond 128 bits.
    fn magnitude_for(self, time: Duration) -> Option<(u128, u32)> {
        const UNIT: u128 = NANOS as u128;
        let (whole, nanos) = self.magnitude();
        let (seconds, subsecond) = (u128::from(time.as_secs()), u128::from(time.subsec_nanos()));
        let nanos = u128::from(nanos);
        // Each partial product but the first is below 2¹²⁸: its factors are below 2⁹⁸ and 2³⁰, or
        // 2³⁰ and 2⁶⁴.
        let billionths =
            (whole % UNIT) * subsecond + nanos * seconds + (nanos * subsecond).div_ceil(UNIT);
        let whole = whole
            .checked_mul(seconds)?
            .checked_add(whole / UNIT * subsecond)?
            .checked_add(billionths / UNIT)?;
        Some((whole, (billionths % UNIT) as u32))
    }
}

impl fmt::Debug for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Quantity({self})")
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        (self.whole(), self.nanos) == (other.whole(), other.nanos)
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.whole(), self.nanos).cmp(&(other.whole(), other.nanos))
    }
}

impl Hash for Quantity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.whole(), self.nanos).hash(state);
    }
}

#[cfg(test)]
mod tests;

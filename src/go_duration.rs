//! Durations as Go prints and reads them (`time.Duration.String`, `time.ParseDuration`).

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration as Go writes it: `1h0m0s`, `1m20s`, `1.5s`, `250ms`, `0s`.
///
/// Reads what `time.ParseDuration` does, but for negative ones; `90s` is read and printed as
/// `1m30s`. Serialises as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_structs, reason = "a duration, and no more")]
pub struct GoDuration(pub Duration);

impl From<Duration> for GoDuration {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl From<GoDuration> for Duration {
    fn from(duration: GoDuration) -> Self {
        duration.0
    }
}

/// A text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GoDurationError {
    /// Not numbers with units.
    #[error("{0:?} is no duration: write it as in 1h30m, 5s or 250ms")]
    Invalid(String),
    /// A number without a unit.
    #[error("missing unit in duration {0:?}: write it as in 1h30m, 5s or 250ms")]
    MissingUnit(String),
    /// A unit that Go does not know.
    #[error("unknown unit {unit:?} in duration {text:?}: there are ns, us, ms, s, m and h")]
    UnknownUnit {
        /// The unit.
        unit: String,
        /// The whole text.
        text: String,
    },
    /// It has a sign.
    #[error("duration {0:?} is negative")]
    Negative(String),
    /// Longer than Go can tell, which is some 292 years.
    #[error("duration {0:?} is too long")]
    TooLong(String),
}

impl FromStr for GoDuration {
    type Err = GoDurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let own = || text.to_owned();
        let mut rest = text.strip_prefix('+').unwrap_or(text);
        if rest == "0" || rest == "-0" {
            return Ok(Self::default());
        }
        if rest.starts_with('-') {
            return Err(GoDurationError::Negative(own()));
        }
        if rest.is_empty() {
            return Err(GoDurationError::Invalid(own()));
        }
        let mut nanos: u64 = 0;
        while !rest.is_empty() {
            let (whole, after) = split_digits(rest);
            let (fraction, after) = match after.strip_prefix('.') {
                Some(after) => split_digits(after),
                None => ("", after),
            };
            if whole.is_empty() && fraction.is_empty() {
                return Err(GoDurationError::Invalid(own()));
            }
            let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
            let (unit, after) = after.split_at(end);
            let unit = match unit {
                "" => return Err(GoDurationError::MissingUnit(own())),
                "ns" => 1,
                "us" | "µs" | "μs" => 1_000,
                "ms" => 1_000_000,
                "s" => 1_000_000_000,
                "m" => 60_000_000_000,
                "h" => 3_600_000_000_000,
                _ => {
                    return Err(GoDurationError::UnknownUnit {
                        unit: unit.to_owned(),
                        text: own(),
                    });
                }
            };
            nanos = number(whole)
                .and_then(|whole| whole.checked_mul(unit))
                .and_then(|whole| whole.checked_add(part_of(fraction, unit)))
                .and_then(|span| nanos.checked_add(span))
                .filter(|nanos| i64::try_from(*nanos).is_ok())
                .ok_or_else(|| GoDurationError::TooLong(own()))?;
            rest = after;
        }
        Ok(Self(Duration::from_nanos(nanos)))
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn number(digits: &str) -> Option<u64> {
    digits.bytes().try_fold(0_u64, |number, digit| {
        number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })
}

/// The nanoseconds that the digits behind the point stand for; a fraction of one is cut off.
fn part_of(digits: &str, unit: u64) -> u64 {
    // No unit has more than 13 digits, so that later ones are less than a nanosecond.
    let (fraction, divisor) =
        digits.bytes().take(18).fold((0_u128, 1_u128), |(sum, divisor), digit| {
            (sum * 10 + u128::from(digit - b'0'), divisor * 10)
        });
    u64::try_from(fraction * u128::from(unit) / divisor).unwrap_or(unit)
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = alloc::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let (unit, name) = match nanos {
            0 => return f.write_str("0s"),
            1..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "µs"),
            1_000_000..1_000_000_000 => (1_000_000, "ms"),
            _ => (1_000_000_000, "s"),
        };
        let seconds = self.0.as_secs();
        let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if seconds >= 60 {
            write!(f, "{minutes}m")?;
        }
        let rest = if unit == 1_000_000_000 { nanos % (60 * unit) } else { nanos };
        write!(f, "{}", rest / unit)?;
        let (mut fraction, mut digits) = (rest % unit, unit);
        if fraction > 0 {
            f.write_str(".")?;
            while fraction > 0 {
                digits /= 10;
                write!(f, "{}", fraction / digits)?;
                fraction %= digits;
            }
        }
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn durations_print_as_in_go() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (3_300_000_000, "3.3s"),
            (10_000_000_000, "10s"),
            (80_000_000_000, "1m20s"),
            (300_000_000_000, "5m0s"),
            (245_000_000_001, "4m5.000000001s"),
            (3_600_000_000_000, "1h0m0s"),
            (5_415_001_000_000, "1h30m15.001s"),
        ] {
            assert_eq!(GoDuration(Duration::from_nanos(nanos)).to_string(), text);
        }
    }

    #[test]
    fn what_go_reads_is_read() {
        for (text, printed) in [
            ("0", "0s"),
            ("+5s", "5s"),
            ("90s", "1m30s"),
            ("1h15m30.918s", "1h15m30.918s"),
            (".5s", "500ms"),
            ("1.s", "1s"),
            ("1.0000000009s", "1s"),
            ("3us", "3µs"),
            ("2h2h", "4h0m0s"),
            ("9223372036854775807ns", "2562047h47m16.854775807s"),
        ] {
            let read: GoDuration = text.parse().unwrap();
            assert_eq!(read.to_string(), printed, "{text}");
            assert_eq!(read.to_string().parse(), Ok(read), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        let read = |text: &str| text.parse::<GoDuration>().unwrap_err().to_string();
        assert_eq!(read("5"), "missing unit in duration \"5\": write it as in 1h30m, 5s or 250ms");
        assert_eq!(
            read("5 s"),
            "unknown unit \" s\" in duration \"5 s\": there are ns, us, ms, s, m and h"
        );
        assert_eq!(read("-5s"), "duration \"-5s\" is negative");
        assert_eq!(read("9223372036854775808ns"), "duration \"9223372036854775808ns\" is too long");
        for text in ["", "+", ".", "s", ".s", "soon", "1d", "１s"] {
            assert!(text.parse::<GoDuration>().is_err(), "{text}");
        }
    }
}

//! Time as traces tell it.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use core::ops::{Add, AddAssign};
use core::str::FromStr;
use core::time::Duration;

use crate::time::Timestamp;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Number;

/// A moment of a life: whole microseconds since the pod's arrival; before it, negative.
///
/// Serialises as milliseconds with three decimals at the most, as in traces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i64);

/// When pods arrive on the oracle's clock: 10.37 s after the beginning of the year 2000, when the
/// kubelet started.
const ARRIVAL: Timestamp = Timestamp::from_millis(946_684_800_000 + 10_370);

impl Moment {
    /// The pod's arrival.
    pub const ARRIVAL: Self = Self(0);
    /// Later than anything that happens.
    pub const NEVER: Self = Self(i64::MAX);

    /// This many microseconds after the arrival.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// This many milliseconds after the arrival.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1000))
    }

    /// Microseconds since the arrival.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// The time that passed since `earlier`; zero if that is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// How far apart two moments are.
    pub fn distance(self, other: Self) -> Duration {
        Duration::from_micros(self.0.abs_diff(other.0))
    }

    /// The time of day, on the clock of the oracle's world.
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_nanos(ARRIVAL.as_nanos().saturating_add(self.0.saturating_mul(1000)))
    }

    /// The moment of a time of day.
    pub fn of(time: Timestamp) -> Self {
        Self((time.as_nanos().saturating_sub(ARRIVAL.as_nanos())) / 1000)
    }

    /// The first of the moments `every` apart after this one, where one of them is `phase`.
    #[must_use]
    pub fn next(self, every: Duration, phase: Self) -> Self {
        let every = micros(every).max(1);
        let past = self.0.saturating_sub(phase.0).rem_euclid(every);
        Self(self.0.saturating_add(every - past))
    }
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Moment {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(micros(span)))
    }
}

impl AddAssign<Duration> for Moment {
    fn add_assign(&mut self, span: Duration) {
        *self = *self + span;
    }
}

/// In seconds: `12.345`, and with microseconds only where there are some.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0.unsigned_abs() / 1_000_000, self.0.unsigned_abs() % 1_000_000);
        let sign = if self.0 < 0 { "-" } else { "" };
        let text = match part % 1000 {
            0 => format!("{sign}{whole}.{:03}", part / 1000),
            _ => format!("{sign}{whole}.{part:06}"),
        };
        f.pad(&text)
    }
}

/// A number of milliseconds that is none.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no number of milliseconds with three decimals at the most")]
pub struct MomentError(String);

impl FromStr for Moment {
    type Err = MomentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || MomentError(text.to_owned());
        let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        if part.len() > 3 {
            return Err(error());
        }
        let whole: i64 = whole.parse().map_err(|_| error())?;
        let part: i64 = format!("{part:0<3}").parse().map_err(|_| error())?;
        let micros = whole.checked_mul(1000).and_then(|whole| whole.checked_add(part));
        micros.map(|micros| Self(sign * micros)).ok_or_else(error)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (whole, part) = (self.0.unsigned_abs() / 1000, self.0.unsigned_abs() % 1000);
        let sign = if self.0 < 0 { "-" } else { "" };
        let text =
            if part == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part:03}") };
        let number: Number = text.parse().map_err(serde::ser::Error::custom)?;
        number.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Number::deserialize(deserializer)?.to_string().parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_and_written_as_milliseconds() {
        for (text, micros) in [("0", 0), ("5061", 5_061_000), ("0.25", 250), ("-140.5", -140_500)] {
            let read: Moment = serde_json::from_str(text).unwrap();
            assert_eq!(read.as_micros(), micros);
            assert_eq!(
                serde_json::from_str::<Moment>(&serde_json::to_string(&read).unwrap()).unwrap(),
                read
            );
        }
        assert!(serde_json::from_str::<Moment>("0.0001").is_err());
    }

    #[test]
    fn the_next_of_regular_moments_is_never_this_one() {
        let second = Duration::from_secs(1);
        let next = |at| Moment::from_millis(at).next(second, Moment::from_millis(860)).as_micros();
        assert_eq!(next(0), 860_000);
        assert_eq!(next(859), 860_000);
        assert_eq!(next(860), 1_860_000);
        assert_eq!(next(-200), -140_000);
    }

    #[test]
    fn moments_are_told_in_seconds() {
        assert_eq!(Moment::from_micros(12_345_000).to_string(), "12.345");
        assert_eq!(Moment::from_micros(-500).to_string(), "-0.000500");
    }
}

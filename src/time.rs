//! Wall-clock time as integers. The crate never reads a clock: every `now` is an argument.

use core::fmt;
use core::ops::{Add, AddAssign, Sub, SubAssign};
use core::str::FromStr;
use core::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::{SmolStr, ToSmolStr};

/// An instant of wall-clock time: nanoseconds since the Unix epoch.
///
/// Wall clock and not a monotonic one, because the kubelet measures back-off from a container's
/// `finishedAt`, which the runtime reports and which outlives the kubelet. Covers the years 1677
/// to 2262; arithmetic saturates at these ends.
///
/// Written, read and serialised as RFC 3339 text, like `metav1.Time` but with its sub-second part.
///
/// ```
/// use std::time::Duration;
/// use podinit::Timestamp;
///
/// let finished: Timestamp = "2026-01-01T00:00:00Z".parse()?;
/// let now = finished + Duration::from_secs(90);
/// assert_eq!(now - finished, Duration::from_secs(90));
/// assert_eq!(now.to_string(), "2026-01-01T00:01:30Z");
/// # Ok::<(), podinit::time::ParseTimestampError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self(0);
    /// The earliest instant that can be told, in the year 1677.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest instant that can be told, in the year 2262.
    pub const MAX: Self = Self(i64::MAX);

    /// The instant `nanos` nanoseconds after the Unix epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// The instant `millis` milliseconds after the Unix epoch, saturating.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// The instant `secs` seconds after the Unix epoch, saturating.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// The time that passed since `earlier`; zero if `earlier` is later than `self`.
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        if self.0 <= earlier.0 {
            Duration::ZERO
        } else {
            Duration::from_nanos(self.0.abs_diff(earlier.0))
        }
    }

    /// Cut to whole seconds (towards the past), as the API stores times (`metav1.Time`).
    #[must_use]
    pub const fn truncate_to_second(self) -> Self {
        Self(self.0.saturating_sub(self.0.rem_euclid(1_000_000_000)))
    }
}

fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos(span)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(span)))
    }
}

impl AddAssign<Duration> for Timestamp {
    fn add_assign(&mut self, span: Duration) {
        *self = *self + span;
    }
}

impl SubAssign<Duration> for Timestamp {
    fn sub_assign(&mut self, span: Duration) {
        *self = *self - span;
    }
}

/// The time from the second to the first; zero if the second is later.
impl Sub for Timestamp {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

/// Saturates at the years 1677 and 2262.
#[cfg(feature = "std")]
impl From<std::time::SystemTime> for Timestamp {
    fn from(time: std::time::SystemTime) -> Self {
        match time.duration_since(std::time::SystemTime::UNIX_EPOCH) {
            Ok(after) => Self::UNIX_EPOCH + after,
            Err(before) => Self::UNIX_EPOCH - before.duration(),
        }
    }
}

#[cfg(feature = "std")]
impl From<Timestamp> for std::time::SystemTime {
    fn from(time: Timestamp) -> Self {
        let span = Duration::from_nanos(time.0.unsigned_abs());
        let shifted = if time.0 < 0 {
            Self::UNIX_EPOCH.checked_sub(span)
        } else {
            Self::UNIX_EPOCH.checked_add(span)
        };
        // A platform whose clock cannot go so far keeps the epoch.
        shifted.unwrap_or(Self::UNIX_EPOCH)
    }
}

/// Text that is no [`Timestamp`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseTimestampError {
    /// It is not RFC 3339.
    #[error("{text:?} is no RFC 3339 time: {problem}")]
    Syntax {
        /// The text.
        text: SmolStr,
        /// What is wrong with it.
        problem: SmolStr,
    },
    /// It is outside of what can be told.
    #[error(transparent)]
    Range(#[from] TimestampRangeError),
}

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    /// Reads RFC 3339 text, such as `2026-01-01T00:00:00.25Z`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time: jiff::Timestamp = text.parse().map_err(|error: jiff::Error| {
            ParseTimestampError::Syntax { text: text.into(), problem: error.to_smolstr() }
        })?;
        Ok(time.try_into()?)
    }
}

/// A time outside of what [`Timestamp`] can tell (the years 1677 to 2262).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("time {0} is outside of the years 1677 to 2262")]
#[allow(clippy::exhaustive_structs, reason = "the value, and no more")]
pub struct TimestampRangeError(pub jiff::Timestamp);

impl TryFrom<jiff::Timestamp> for Timestamp {
    type Error = TimestampRangeError;
    fn try_from(time: jiff::Timestamp) -> Result<Self, Self::Error> {
        i64::try_from(time.as_nanosecond()).map(Self).map_err(|_| TimestampRangeError(time))
    }
}

impl Timestamp {
    /// A time of the API; one outside of the range is the nearest end of it, as Go's spans of time end
    /// where theirs do.
    pub(crate) fn clamped(time: jiff::Timestamp) -> Self {
        let nanos = time.as_nanosecond();
        Self(i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX }))
    }
}

impl TryFrom<&Time> for Timestamp {
    type Error = TimestampRangeError;
    fn try_from(time: &Time) -> Result<Self, Self::Error> {
        time.0.try_into()
    }
}

impl From<Timestamp> for jiff::Timestamp {
    fn from(time: Timestamp) -> Self {
        // jiff's range (years -9999 to 9999) contains every i64 of nanoseconds.
        Self::from_nanosecond(i128::from(time.0)).unwrap_or_default()
    }
}

impl From<Timestamp> for Time {
    fn from(time: Timestamp) -> Self {
        Self(time.into())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        jiff::Timestamp::from(*self).fmt(f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        jiff::Timestamp::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(Timestamp::MAX + Duration::from_secs(1), Timestamp::MAX);
        assert_eq!(Timestamp::MIN - Duration::MAX, Timestamp::MIN);
        assert_eq!(Timestamp::MIN.truncate_to_second(), Timestamp::MIN);
        assert_eq!(
            Timestamp::MAX.saturating_duration_since(Timestamp::MIN),
            Duration::from_nanos(u64::MAX)
        );
    }

    #[test]
    fn truncation_goes_towards_the_past_before_the_epoch_too() {
        assert_eq!(Timestamp::from_millis(1_999).truncate_to_second(), Timestamp::from_secs(1));
        assert_eq!(Timestamp::from_millis(-1).truncate_to_second(), Timestamp::from_secs(-1));
    }

    #[test]
    fn text_that_is_no_time_is_refused_with_the_text() {
        let wrong = "soon".parse::<Timestamp>().unwrap_err();
        assert!(wrong.to_string().starts_with("\"soon\" is no RFC 3339 time: "), "{wrong}");
        let late = "9000-01-01T00:00:00Z".parse::<Timestamp>().unwrap_err();
        assert!(matches!(late, ParseTimestampError::Range(_)), "{late}");
    }

    #[test]
    fn a_difference_is_never_negative_and_assignment_saturates() {
        let (early, late) = (Timestamp::from_secs(1), Timestamp::from_secs(4));
        assert_eq!(late - early, Duration::from_secs(3));
        assert_eq!(early - late, Duration::ZERO);
        let mut time = Timestamp::MAX;
        time += Duration::from_secs(1);
        assert_eq!(time, Timestamp::MAX);
        time -= Duration::MAX;
        assert_eq!(time, Timestamp::UNIX_EPOCH);
    }

    #[cfg(feature = "std")]
    #[test]
    fn system_times_before_and_after_the_epoch_round_trip() {
        for nanos in [-1_500_000_000, 0, 1_767_225_600_250_000_000] {
            let time = Timestamp::from_nanos(nanos);
            assert_eq!(Timestamp::from(std::time::SystemTime::from(time)), time);
        }
        let late = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
        assert_eq!(Timestamp::from(late), Timestamp::MAX);
    }

    #[test]
    fn text_round_trips_and_times_out_of_range_are_refused() {
        let time: Timestamp = serde_json::from_str("\"2026-01-01T00:00:00.25Z\"").unwrap();
        assert_eq!(time.as_nanos(), 1_767_225_600_250_000_000);
        assert_eq!(serde_json::to_string(&time).unwrap(), "\"2026-01-01T00:00:00.25Z\"");
        let err = serde_json::from_str::<Timestamp>("\"9000-01-01T00:00:00Z\"").unwrap_err();
        assert!(err.to_string().contains("outside of the years 1677 to 2262"), "{err}");
    }
}

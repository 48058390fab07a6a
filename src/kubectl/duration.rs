//! Durations as people read them: `5m30s`, `3h2m`, `2y`.

use core::fmt;
use core::time::Duration;

use crate::time::Timestamp;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// Go's `time.Duration` ends here, in seconds; a longer span prints as this one.
const LONGEST: i64 = i64::MAX / 1_000_000_000;

/// A span of time, printed with one or two units (`duration.HumanDuration` of apimachinery).
///
/// A span that is negative by less than two seconds prints `0s`, since clocks differ a little
/// between machines; one that is more negative prints `<invalid>`.
///
/// ```
/// use core::time::Duration;
/// use podinit::kubectl::HumanDuration;
///
/// assert_eq!(HumanDuration::from(Duration::from_secs(119)).to_string(), "119s");
/// assert_eq!(HumanDuration::from(Duration::from_secs(330)).to_string(), "5m30s");
/// assert_eq!(HumanDuration::from(Duration::from_secs(3 * 3600)).to_string(), "3h");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HumanDuration {
    /// Whole seconds, cut towards zero.
    seconds: i64,
}

impl HumanDuration {
    /// The time from `then` to `now`; negative if `then` is the later one.
    pub const fn between(then: Timestamp, now: Timestamp) -> Self {
        let nanos = now.as_nanos().saturating_sub(then.as_nanos());
        Self { seconds: nanos / 1_000_000_000 }
    }

    /// Whole seconds, cut towards zero.
    pub const fn as_secs(self) -> i64 {
        self.seconds
    }
}

impl From<Duration> for HumanDuration {
    fn from(span: Duration) -> Self {
        Self { seconds: i64::try_from(span.as_secs()).unwrap_or(LONGEST).min(LONGEST) }
    }
}

/// How a span is printed: spans below `below` seconds show their whole `major` units and, if
/// `minor` is not zero, the rest in `minor` units where there is a rest.
struct Band {
    below: i64,
    major: (i64, char),
    minor: (i64, char),
}

/// No second unit.
const NONE: (i64, char) = (0, ' ');

#[rustfmt::skip]
const BANDS: [Band; 9] = [
    Band { below: 2 * MINUTE,  major: (1, 's'),      minor: NONE },
    Band { below: 10 * MINUTE, major: (MINUTE, 'm'), minor: (1, 's') },
    Band { below: 3 * HOUR,    major: (MINUTE, 'm'), minor: NONE },
    Band { below: 8 * HOUR,    major: (HOUR, 'h'),   minor: (MINUTE, 'm') },
    Band { below: 2 * DAY,     major: (HOUR, 'h'),   minor: NONE },
    Band { below: 8 * DAY,     major: (DAY, 'd'),    minor: (HOUR, 'h') },
    Band { below: 2 * YEAR,    major: (DAY, 'd'),    minor: NONE },
    Band { below: 8 * YEAR,    major: (YEAR, 'y'),   minor: (DAY, 'd') },
    Band { below: i64::MAX,    major: (YEAR, 'y'),   minor: NONE },
];

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = match self.seconds {
            ..=-2 => return f.write_str("<invalid>"),
            seconds => seconds.max(0),
        };
        let Some(Band { major, minor, .. }) = BANDS.iter().find(|band| seconds < band.below) else {
            return Ok(());
        };
        write!(f, "{}{}", seconds / major.0, major.1)?;
        match (seconds % major.0).checked_div(minor.0) {
            None | Some(0) => Ok(()),
            Some(rest) => write!(f, "{rest}{}", minor.1),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn each_band_begins_where_kubernetes_begins_it() {
        #[rustfmt::skip]
        let table = [
            (0, "0s"), (119, "119s"), (120, "2m"), (121, "2m1s"), (599, "9m59s"), (600, "10m"),
            (659, "10m"), (3 * HOUR - 1, "179m"), (3 * HOUR, "3h"), (3 * HOUR + 59, "3h"),
            (3 * HOUR + 60, "3h1m"), (8 * HOUR - 1, "7h59m"), (8 * HOUR, "8h"),
            (2 * DAY - 1, "47h"), (2 * DAY, "2d"), (2 * DAY + HOUR, "2d1h"), (8 * DAY - 1, "7d23h"),
            (8 * DAY, "8d"), (2 * YEAR - 1, "729d"), (2 * YEAR, "2y"), (2 * YEAR + DAY, "2y1d"),
            (8 * YEAR - 1, "7y364d"), (8 * YEAR, "8y"), (LONGEST, "292y"),
        ];
        for (seconds, text) in table {
            let span = HumanDuration { seconds };
            assert_eq!(span.to_string(), text, "{seconds} s");
        }
        assert_eq!(HumanDuration::from(Duration::MAX).to_string(), "292y");
    }

    #[test]
    fn a_span_is_invalid_from_two_seconds_before_now() {
        let now = Timestamp::from_secs(100);
        let at = |millis| HumanDuration::between(Timestamp::from_millis(millis), now).to_string();
        assert_eq!(at(101_999), "0s");
        assert_eq!(at(102_000), "<invalid>");
        let longest = HumanDuration::between(Timestamp::MIN, Timestamp::MAX);
        assert_eq!(longest.to_string(), "292y");
    }
}

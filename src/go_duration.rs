//! Durations as Go prints them (`time.Duration.String`).

use core::fmt;
use core::time::Duration;

/// Prints `1h0m0s`, `1m20s`, `1.5s`, `250ms`, `0s`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GoDuration(pub(crate) Duration);

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
}

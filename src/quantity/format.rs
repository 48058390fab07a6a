//! Quantity to text (`CanonicalizeBytes`).

use core::fmt::{self, Write};

use super::{Format, NANOS, Quantity};

/// The decimal suffixes, from 10⁻⁹ up.
const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
/// The binary suffixes, from 1024⁰ up.
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// The longest magnitude: 39 digits before the point, 9 after it.
const MAX_DIGITS: usize = 48;

impl fmt::Display for Quantity {
    /// The canonical form: no fraction, and the largest suffix that allows that.
    ///
    /// A binary quantity below 1024, or one that is not whole, is written with a decimal suffix.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, nanos) = self.magnitude();
        let mut text = Text { bytes: [0; 60], len: 0 };
        if self.format == Format::BinarySI && whole >= 1024 && nanos == 0 {
            text.binary(whole)?;
        } else {
            text.decimal(whole, nanos, self.format)?;
        }
        let text = core::str::from_utf8(&text.bytes[..text.len]).map_err(|_| fmt::Error)?;
        f.pad_integral(self.whole() >= 0, "", text)
    }
}

/// Text on the stack.
struct Text {
    bytes: [u8; 60],
    len: usize,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

impl Text {
    fn binary(&mut self, mut whole: u128) -> fmt::Result {
        let mut power = 0;
        while whole.is_multiple_of(1024) {
            (whole, power) = (whole / 1024, power + 1);
        }
        // Kubernetes writes no suffix where it has none.
        write!(self, "{whole}{}", BINARY.get(power).unwrap_or(&""))
    }

    fn decimal(&mut self, whole: u128, nanos: u32, format: Format) -> fmt::Result {
        if whole == 0 && nanos == 0 {
            return self.write_str("0");
        }
        let mut exponent = if nanos == 0 { 0 } else { -9 };
        if whole == 0 {
            write!(self, "{nanos}")?;
        } else if nanos == 0 {
            write!(self, "{whole}")?;
        } else {
            write!(self, "{whole}{nanos:09}")?;
        }
        while self.bytes[..self.len].ends_with(b"0") {
            self.len -= 1;
            exponent += 1;
        }
        while exponent % 3 != 0 {
            self.write_str("0")?;
            exponent -= 1;
        }
        match format {
            Format::DecimalExponent if exponent == 0 => Ok(()),
            Format::DecimalExponent => write!(self, "e{exponent}"),
            // Kubernetes writes no suffix where it has none.
            _ => self.write_str(DECIMAL.get((exponent / 3 + 3) as usize).unwrap_or(&"")),
        }
    }
}

// Two more zeros and the longest exponent ("e-9", "e36") fit behind the digits.
const _: () = assert!(MAX_DIGITS + 2 + 3 <= 60 && NANOS == 1_000_000_000);

//! Values as Go's `fmt` prints them.

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::fmt;

use k8s_openapi::api::core::v1;

/// `[a b]`: a slice of strings with `%v`.
pub(super) struct List<'a>(pub(super) &'a [String]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.0.join(" "))
    }
}

/// `map[a:1 b:2]`: a map of strings with `%v`, sorted by key.
pub(super) struct Map<'a>(pub(super) Option<&'a BTreeMap<String, String>>);

impl fmt::Display for Map<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("map[")?;
        for (position, (key, value)) in self.0.into_iter().flatten().enumerate() {
            let separator = if position == 0 { "" } else { " " };
            write!(f, "{separator}{key}:{value}")?;
        }
        f.write_str("]")
    }
}

/// A reference to a secret with `%v`, as its generated `String` writes it.
pub(super) struct Reference<'a>(pub(super) Option<&'a v1::LocalObjectReference>);

impl fmt::Display for Reference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(reference) => write!(f, "&LocalObjectReference{{Name:{},}}", reference.name),
            None => f.write_str("nil"),
        }
    }
}

/// Text with `%q`.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\u{7}' => f.write_str("\\a")?,
                '\u{8}' => f.write_str("\\b")?,
                '\u{c}' => f.write_str("\\f")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                '\u{b}' => f.write_str("\\v")?,
                c if c.is_ascii_control() => write!(f, "\\x{:02x}", u32::from(c))?,
                c if is_printable(c) => write!(f, "{c}")?,
                c if u32::from(c) <= 0xffff => write!(f, "\\u{:04x}", u32::from(c))?,
                c => write!(f, "\\U{:08x}", u32::from(c))?,
            }
        }
        f.write_str("\"")
    }
}

/// `strconv.IsPrint`, but for code points that no Unicode version has assigned: spaces other than the
/// usual one, controls and marks of format are escaped.
fn is_printable(c: char) -> bool {
    let format = matches!(
        c,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{e000}'..='\u{f8ff}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0001}' | '\u{e0020}'..='\u{e007f}' | '\u{f0000}'..='\u{10ffff}'
    );
    !c.is_control() && !format && (c == ' ' || !c.is_whitespace())
}

/// The first `limit` bytes of a text, and three dots if there were more. A character that is cut counts
/// for bytes that are no text.
pub(super) fn shortened(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.into();
    }
    let mut short = String::from_utf8_lossy(&text.as_bytes()[..limit]).into_owned();
    short.push_str("...");
    short
}

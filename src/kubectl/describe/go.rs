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

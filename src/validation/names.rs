//! Forms of names, with the apiserver's words for each breach
//! (`k8s.io/apimachinery/pkg/util/validation`).

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const QUALIFIED: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const QUALIFIED_PARTS: &str = "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";

/// The longest DNS label (`DNS1123LabelMaxLength`).
const MAX_LABEL: usize = 63;
/// The longest DNS subdomain (`DNS1123SubdomainMaxLength`).
const MAX_SUBDOMAIN: usize = 253;
/// The longest name part of a qualified name (`qualifiedNameMaxLength`).
const MAX_QUALIFIED_NAME: usize = 63;
/// The longest port name.
const MAX_PORT_NAME: usize = 15;

/// Breaches of one name, in words.
pub(super) type Breaches = Vec<Cow<'static, str>>;

fn too_long(limit: usize) -> Cow<'static, str> {
    format!("must be no more than {limit} characters").into()
}

const fn is_lower_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// Not empty, made of `inner` bytes, with `end` bytes at both ends.
fn is_made_of(text: &str, inner: fn(u8) -> bool, end: fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    let ends = bytes.first().zip(bytes.last());
    ends.is_some_and(|(first, last)| end(*first) && end(*last)) && bytes.iter().all(|b| inner(*b))
}

fn is_label(text: &str) -> bool {
    is_made_of(text, |b| is_lower_alphanumeric(b) || b == b'-', is_lower_alphanumeric)
}

/// `IsDNS1123Label`.
pub(super) fn dns_label(text: &str) -> Breaches {
    let mut breaches = Breaches::new();
    if text.len() > MAX_LABEL {
        breaches.push(too_long(MAX_LABEL));
    }
    if !is_label(text) {
        // A name that only has dots too many is told so.
        let form = if text.split('.').all(is_label) { "must not contain dots" } else { LABEL };
        breaches.push(form.into());
    }
    breaches
}

/// `IsDNS1123Subdomain`.
pub(super) fn dns_subdomain(text: &str) -> Breaches {
    let mut breaches = Breaches::new();
    if text.len() > MAX_SUBDOMAIN {
        breaches.push(too_long(MAX_SUBDOMAIN));
    }
    if !text.split('.').all(is_label) {
        breaches.push(SUBDOMAIN.into());
    }
    breaches
}

/// `IsQualifiedName`: a name with an optional DNS prefix, such as `example.com/gpu`.
pub(super) fn qualified_name(text: &str) -> Breaches {
    let mut breaches = Breaches::new();
    let name = match text.split_once('/') {
        None => text,
        Some((prefix, name)) if !name.contains('/') => {
            if prefix.is_empty() {
                breaches.push("prefix part must be non-empty".into());
            } else {
                let prefixes = dns_subdomain(prefix).into_iter();
                breaches.extend(prefixes.map(|breach| format!("prefix part {breach}").into()));
            }
            name
        }
        Some(_) => {
            breaches.push(QUALIFIED_PARTS.into());
            return breaches;
        }
    };
    if name.is_empty() {
        breaches.push("name part must be non-empty".into());
    } else if name.len() > MAX_QUALIFIED_NAME {
        breaches
            .push(format!("name part must be no more than {MAX_QUALIFIED_NAME} characters").into());
    }
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if !is_made_of(name, inner, |b| b.is_ascii_alphanumeric()) {
        breaches.push(format!("name part {QUALIFIED}").into());
    }
    breaches
}

/// `IsValidPortName`.
pub(super) fn port_name(text: &str) -> Breaches {
    let mut breaches = Breaches::new();
    if text.len() > MAX_PORT_NAME {
        breaches.push(too_long(MAX_PORT_NAME));
    }
    if text.is_empty() || !text.bytes().all(|b| is_lower_alphanumeric(b) || b == b'-') {
        breaches
            .push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".into());
    }
    if !text.bytes().any(|b| b.is_ascii_lowercase()) {
        breaches.push("must contain at least one letter (a-z)".into());
    }
    if text.contains("--") {
        breaches.push("must not contain consecutive hyphens".into());
    }
    if text.starts_with('-') || text.ends_with('-') {
        breaches.push("must not begin or end with a hyphen".into());
    }
    breaches
}

/// `IsValidPortNum`.
pub(super) const PORT_RANGE: &str = "must be between 1 and 65535, inclusive";

/// Is this a port that can be used?
pub(super) fn is_port(number: i32) -> bool {
    (1..=65_535).contains(&number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_with_dots_is_told_about_the_dots_only() {
        assert_eq!(dns_label("a.b"), ["must not contain dots"]);
        assert_eq!(dns_label("a..b"), [LABEL]);
        assert_eq!(dns_label("my-name-1"), [] as [&str; 0]);
        assert_eq!(dns_label(""), [LABEL]);
    }

    #[test]
    fn each_part_of_a_qualified_name_has_its_own_breach() {
        assert_eq!(qualified_name("example.com/gpu"), [] as [&str; 0]);
        assert_eq!(qualified_name("a/b/c"), [QUALIFIED_PARTS]);
        assert_eq!(qualified_name("/b"), ["prefix part must be non-empty"]);
        assert_eq!(qualified_name("UP/b"), [format!("prefix part {SUBDOMAIN}")]);
        assert_eq!(
            qualified_name("a/"),
            ["name part must be non-empty".into(), format!("name part {QUALIFIED}")]
        );
    }

    #[test]
    fn a_port_name_can_break_every_rule_at_once() {
        assert_eq!(port_name("http-1"), [] as [&str; 0]);
        assert_eq!(port_name("-0--------------_").len(), 5);
        assert_eq!(port_name("12").len(), 1);
    }
}

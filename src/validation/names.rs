//! Forms of names, with the apiserver's words for each breach
//! (`k8s.io/apimachinery/pkg/util/validation`).

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::version::{Change, Feature, FeatureGates};

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const QUALIFIED: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const SEARCH: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const VARIABLE: &str = "a valid environment variable name must consist only of printable ASCII characters other than '='";
const HTTP_HEADER: &str = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";

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
    longer_than(limit, "characters").into()
}

fn longer_than(limit: usize, unit: &str) -> String {
    format!("must be no more than {limit} {unit}")
}

/// What the lengths of labels, and of names like theirs, are told in.
fn label_unit(gates: FeatureGates) -> &'static str {
    if gates.has(Change::LabelLengthsAreToldInBytes) { "bytes" } else { "characters" }
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

const fn is_qualified(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
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
    dns_subdomain_in(text, "characters")
}

fn dns_subdomain_in(text: &str, unit: &str) -> Breaches {
    let mut breaches = Breaches::new();
    if text.len() > MAX_SUBDOMAIN {
        breaches.push(longer_than(MAX_SUBDOMAIN, unit).into());
    }
    if !text.split('.').all(is_label) {
        breaches.push(SUBDOMAIN.into());
    }
    breaches
}

/// `IsQualifiedName`: a name with an optional DNS prefix, such as `example.com/gpu`. Since 1.35 it is
/// `IsLabelKey`.
pub(super) fn qualified_name(text: &str, gates: FeatureGates) -> Breaches {
    let mut breaches = Breaches::new();
    let unit = label_unit(gates);
    let name = match text.split_once('/') {
        None => text,
        Some((prefix, name)) if !name.contains('/') => {
            if prefix.is_empty() {
                breaches.push("prefix part must be non-empty".into());
            } else {
                let prefixes = dns_subdomain_in(prefix, unit).into_iter();
                breaches.extend(prefixes.map(|breach| format!("prefix part {breach}").into()));
            }
            name
        }
        Some(_) => {
            let what = if gates.has(Change::LabelLengthsAreToldInBytes) {
                "a valid label key"
            } else {
                "a qualified name"
            };
            let parts = format!(
                "{what} {QUALIFIED} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            );
            breaches.push(parts.into());
            return breaches;
        }
    };
    if name.is_empty() {
        breaches.push("name part must be non-empty".into());
    } else if name.len() > MAX_QUALIFIED_NAME {
        breaches.push(format!("name part {}", longer_than(MAX_QUALIFIED_NAME, unit)).into());
    }
    if !is_made_of(name, is_qualified, |b| b.is_ascii_alphanumeric()) {
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

/// `NameIsDNSSubdomain` of a name that goes on: where it ends with a hyphen, something follows.
pub(super) fn dns_subdomain_prefix(text: &str) -> Breaches {
    match text.strip_suffix('-') {
        Some(rest) if rest.len() > 1 => dns_subdomain(&format!("{}a", &rest[..rest.len() - 1])),
        _ => dns_subdomain(text),
    }
}

/// `IsDNS1123SubdomainWithUnderscore`.
pub(super) fn dns_search(text: &str) -> Breaches {
    let mut breaches = Breaches::new();
    if text.len() > MAX_SUBDOMAIN {
        breaches.push(too_long(MAX_SUBDOMAIN));
    }
    let inner = |b: u8| is_lower_alphanumeric(b) || matches!(b, b'-' | b'_');
    let is_part = |part: &str| {
        is_made_of(part.strip_prefix('_').unwrap_or(part), inner, is_lower_alphanumeric)
    };
    if !text.split('.').all(is_part) {
        breaches.push(SEARCH.into());
    }
    breaches
}

/// `IsValidLabelValue`. Since 1.35 it is `IsLabelValue`.
pub(super) fn label_value(text: &str, gates: FeatureGates) -> Breaches {
    let mut breaches = Breaches::new();
    if text.len() > MAX_LABEL {
        breaches.push(longer_than(MAX_LABEL, label_unit(gates)).into());
    }
    if !text.is_empty() && !is_made_of(text, is_qualified, |b| b.is_ascii_alphanumeric()) {
        breaches.push(LABEL_VALUE.into());
    }
    breaches
}

/// `IsConfigMapKey`.
pub(super) fn config_key(text: &str) -> Breaches {
    let mut breaches = Breaches::new();
    if text.len() > MAX_SUBDOMAIN {
        breaches.push(too_long(MAX_SUBDOMAIN));
    }
    if text.is_empty() || !text.bytes().all(is_qualified) {
        breaches.push(CONFIG_KEY.into());
    }
    match text {
        "." => breaches.push("must not be '.'".into()),
        ".." => breaches.push("must not be '..'".into()),
        _ if text.starts_with("..") => breaches.push("must not start with '..'".into()),
        _ => {}
    }
    breaches
}

/// `IsRelaxedEnvVarName`.
pub(super) fn variable(text: &str) -> Breaches {
    let mut breaches = Breaches::new();
    if text.is_empty() {
        breaches.push("environment variable name must be non-empty".into());
    }
    if !text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'=') {
        breaches.push(VARIABLE.into());
    }
    breaches
}

/// `IsHTTPHeaderName`.
pub(super) fn http_header(text: &str) -> Breaches {
    let is_name = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if is_name { Breaches::new() } else { Breaches::from([HTTP_HEADER.into()]) }
}

/// What may stand in the path of a request (`IsValidPathSegmentName`).
pub(super) fn path_segment(text: &str) -> Breaches {
    if matches!(text, "." | "..") {
        return Breaches::from([format!("may not be '{text}'").into()]);
    }
    let characters = ["/", "%"].into_iter().filter(|character| text.contains(character));
    characters.map(|character| format!("may not contain '{character}'").into()).collect()
}

/// An address, be it with leading zeros, which Kubernetes has always taken (`ParseIPSloppy`).
pub(super) fn parse_ip_sloppily(text: &str) -> Option<IpAddr> {
    let without_zeros = || {
        let parts = text.split('.').map(|part| match part.trim_start_matches('0') {
            "" if !part.is_empty() => "0",
            part => part,
        });
        parts.collect::<Vec<_>>().join(".")
    };
    // One that is mapped into IPv6 is an IPv4 address to Go.
    let canonical = |ip: IpAddr| ip.to_canonical();
    text.parse().ok().or_else(|| without_zeros().parse().map(IpAddr::V4).ok()).map(canonical)
}

/// `IsValidIPForLegacyField`.
pub(super) fn ip_address(text: &str, gates: FeatureGates) -> Breaches {
    let strict = gates.enabled(Feature::StrictIPCIDRValidation);
    let breach = match text.parse::<IpAddr>() {
        _ if !strict && parse_ip_sloppily(text).is_some() => return Breaches::new(),
        Ok(IpAddr::V6(address)) if address.to_ipv4_mapped().is_some() => {
            "must not be an IPv4-mapped IPv6 address"
        }
        Ok(_) => return Breaches::new(),
        Err(_) if parse_ip_sloppily(text).is_some() => "must not have leading 0s",
        Err(_) => "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
    };
    Breaches::from([breach.into()])
}

/// `IsValidUserID` and `IsValidGroupID`.
pub(super) fn id(number: i64) -> Breaches {
    let is_id = (0..=i64::from(i32::MAX)).contains(&number);
    if is_id {
        Breaches::new()
    } else {
        Breaches::from(["must be between 0 and 2147483647, inclusive".into()])
    }
}

/// `IsValidSysctlName`.
pub(super) fn is_sysctl(text: &str) -> bool {
    let inner = |b: u8| is_lower_alphanumeric(b) || matches!(b, b'-' | b'_');
    text.len() <= MAX_SUBDOMAIN
        && text.split(['.', '/']).all(|part| is_made_of(part, inner, is_lower_alphanumeric))
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
    use crate::version::KubernetesVersion;

    #[test]
    fn a_label_with_dots_is_told_about_the_dots_only() {
        assert_eq!(dns_label("a.b"), ["must not contain dots"]);
        assert_eq!(dns_label("a..b"), [LABEL]);
        assert_eq!(dns_label("my-name-1"), [] as [&str; 0]);
        assert_eq!(dns_label(""), [LABEL]);
    }

    #[test]
    fn each_part_of_a_qualified_name_has_its_own_breach() {
        let qualified_name = |text| qualified_name(text, FeatureGates::default());
        assert_eq!(qualified_name("example.com/gpu"), [] as [&str; 0]);
        assert!(qualified_name("a/b/c")[0].starts_with("a valid label key must consist of"));
        assert_eq!(qualified_name("/b"), ["prefix part must be non-empty"]);
        assert_eq!(qualified_name("UP/b"), [format!("prefix part {SUBDOMAIN}")]);
        assert_eq!(
            qualified_name("a/"),
            ["name part must be non-empty".into(), format!("name part {QUALIFIED}")]
        );
    }

    #[test]
    fn the_words_about_labels_are_others_since_1_35() {
        let long = "a".repeat(64);
        let prefixed = format!("{}/{long}", "a".repeat(254));
        for (version, unit, what) in [
            (KubernetesVersion::V1_34, "characters", "a qualified name "),
            (KubernetesVersion::V1_35, "bytes", "a valid label key "),
        ] {
            let gates = version.feature_gates();
            assert_eq!(label_value(&long, gates), [format!("must be no more than 63 {unit}")]);
            assert_eq!(
                qualified_name(&prefixed, gates),
                [
                    format!("prefix part must be no more than 253 {unit}"),
                    format!("name part must be no more than 63 {unit}")
                ]
            );
            assert!(qualified_name("a/b/c", gates)[0].starts_with(what));
        }
    }

    #[test]
    fn a_port_name_can_break_every_rule_at_once() {
        assert_eq!(port_name("http-1"), [] as [&str; 0]);
        assert_eq!(port_name("-0--------------_").len(), 5);
        assert_eq!(port_name("12").len(), 1);
    }
}

//! Plain scalars as YAML 1.1 reads them: `sigs.k8s.io/yaml`, and so `kubectl`, knows more words for
//! truth and more forms of numbers than the parser here.

use alloc::string::String;

use super::node::Node;

/// Does this part of the source stand there without quotes, and without a tag that makes it text?
pub(super) fn is_plain(text: &str, source: &str) -> bool {
    let start = (text.as_ptr() as usize).checked_sub(source.as_ptr() as usize);
    let Some(start) = start.filter(|start| start.saturating_add(text.len()) <= source.len()) else {
        return false;
    };
    let before = source.as_bytes()[..start].last();
    let quoted =
        matches!(before, Some(b'"' | b'\'')) && source.as_bytes().get(start + text.len()) == before;
    // A tag stands on the same line, as far as anybody writes it.
    let line = source.get(..start).and_then(|before| before.rsplit('\n').next()).unwrap_or("");
    !quoted && !line.trim_end().ends_with("!!str")
}

/// What a plain scalar means that the parser took for text. None: it is text.
pub(super) fn resolve(text: &str) -> Option<Node> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Some(Node::Bool(true)),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Some(Node::Bool(false)),
        _ => {}
    }
    let first = text.bytes().next()?;
    if !(first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.')) || text.len() > 400 {
        return None;
    }
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    if let Some(number) = integer(&digits) {
        return Some(number);
    }
    if !is_float(&digits) {
        return None;
    }
    digits.parse::<f64>().ok().filter(|number| number.is_finite()).map(Node::Float)
}

/// A whole number of 64 bits with the prefixes of Go: `0x`, `0o`, `0b`, and `0` for octal ones.
fn integer(text: &str) -> Option<Node> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let prefixed = |prefixes: [&str; 2]| prefixes.iter().find_map(|p| digits.strip_prefix(p));
    let (digits, radix) = if let Some(rest) = prefixed(["0x", "0X"]) {
        (rest, 16)
    } else if let Some(rest) = prefixed(["0b", "0B"]) {
        (rest, 2)
    } else if let Some(rest) = prefixed(["0o", "0O"]) {
        (rest, 8)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (&digits[1..], 8)
    } else {
        (digits, 10)
    };
    if !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let number = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        return 0_i64.checked_sub_unsigned(number).map(Node::Int);
    }
    Some(i64::try_from(number).map_or(Node::UInt(number), Node::Int))
}

/// `yamlStyleFloat`: digits with a point or an exponent.
fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (number, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, Some(exponent)),
        None => (unsigned, None),
    };
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let exponent = exponent.is_none_or(|e| is_digits(e.strip_prefix(['-', '+']).unwrap_or(e)));
    exponent
        && match number.split_once('.') {
            Some(("", fraction)) => is_digits(fraction),
            Some((whole, fraction)) => {
                is_digits(whole) && (fraction.is_empty() || is_digits(fraction))
            }
            None => is_digits(number),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_forms_of_yaml_1_1() {
        for (text, expected) in [
            ("010", Some(Node::Int(8))),
            ("-010", Some(Node::Int(-8))),
            ("08", Some(Node::Float(8.0))),
            ("1_000", Some(Node::Int(1000))),
            ("0x_1f", Some(Node::Int(31))),
            ("0o17", Some(Node::Int(15))),
            ("1_", Some(Node::Int(1))),
            ("1:30", None),
            ("2024-01-01", None),
            ("1.2.3", None),
            ("+", None),
            ("on", Some(Node::Bool(true))),
            ("Off", Some(Node::Bool(false))),
            ("yEs", None),
        ] {
            assert_eq!(resolve(text), expected, "{text}");
        }
    }

    #[test]
    fn quotes_and_a_tag_make_text() {
        let source = "a: yes\nb: 'yes'\nc: \"yes\"\nd: !!str yes\n";
        let found: alloc::vec::Vec<_> = source
            .match_indices("yes")
            .map(|(at, word)| is_plain(&source[at..at + word.len()], source))
            .collect();
        assert_eq!(found, [true, false, false, false]);
    }
}

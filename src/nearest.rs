//! What a name that does not exist may have been meant to be.

use alloc::vec::Vec;

/// The name that looks most alike, if one looks alike at all.
pub(crate) fn nearest<'a>(
    unknown: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // Nothing so long is a slip of the finger, and comparing takes quadratic time.
    if unknown.len() > 64 {
        return None;
    }
    let allowed = |name: &str| name.len().min(unknown.len()).div_ceil(4).min(3);
    known
        .into_iter()
        .map(|name| (distance(unknown, name), name))
        .filter(|(distance, name)| *distance <= allowed(name))
        .min()
        .map(|(_, name)| name)
}

/// How many letters must be added, taken away, replaced or swapped with their neighbour, whatever
/// their case.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().flat_map(char::to_lowercase).collect();
    let b: Vec<char> = b.chars().flat_map(char::to_lowercase).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.iter().enumerate() {
        let mut row = Vec::from([i + 1]);
        for (j, other) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(letter != other);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *letter == b[j - 1] && a[i - 1] == *other {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = core::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_another_word_is_not() {
        let known = ["image", "imagePullPolicy", "name", "restartPolicy", "command"];
        for (unknown, meant) in [
            ("imgae", Some("image")),
            ("Image", Some("image")),
            ("restartpolicy", Some("restartPolicy")),
            ("restartPolicies", Some("restartPolicy")),
            ("commands", Some("command")),
            ("nmae", Some("name")),
            ("failurePolicy", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(unknown, known.iter().copied()), meant, "{unknown}");
        }
    }

    #[test]
    fn long_names_are_not_compared() {
        let long = "restartPolicy".repeat(100);
        assert_eq!(nearest(&long, ["restartPolicy"]), None);
    }
}

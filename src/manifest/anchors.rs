//! Anchors that are given twice in one document.
//!
//! YAML lets a later anchor take over a name. The parser mixes such anchors up without a word, so
//! that a document with them is refused. The scan looks for anchors where a value can begin; in a
//! text that it misjudges it would rather find none.

use alloc::collections::BTreeSet;

/// The name and the line, counted from one, of an anchor that an earlier one of the same document
/// has already, if the text has any alias.
pub(super) fn given_twice(text: &str) -> Option<(&str, usize)> {
    let mut scan = Scan::default();
    for (index, line) in text.lines().enumerate() {
        scan.line(line, index + 1);
    }
    scan.twice.filter(|_| scan.aliases)
}

#[derive(Default)]
struct Scan<'a> {
    names: BTreeSet<&'a str>,
    twice: Option<(&'a str, usize)>,
    aliases: bool,
    /// The quote that is open.
    quote: Option<char>,
    /// How many brackets are open.
    flow: usize,
    /// Lines that are indented more than this are text of a block scalar.
    block: Option<usize>,
}

impl<'a> Scan<'a> {
    fn line(&mut self, line: &'a str, number: usize) {
        let indent = line.len() - line.trim_start_matches(' ').len();
        if let Some(block) = self.block {
            if line.trim().is_empty() || indent > block {
                return;
            }
            self.block = None;
        }
        if self.quote.is_none() && self.flow == 0 && (line == "---" || line.starts_with("--- ")) {
            self.names.clear();
        }
        // Where the innermost key or list item of this line begins.
        let mut parent = indent;
        let last_key = if line.ends_with(':') { Some(line.len()) } else { line.rfind(": ") };
        // May a value begin here?
        let mut start = self.quote.is_none();
        let mut rest = line.char_indices().skip(indent).peekable();
        let mut before = ' ';
        while let Some((at, c)) = rest.next() {
            let next = rest.peek().map_or(' ', |(_, next)| *next);
            if let Some(quote) = self.quote {
                if (quote == '"' && c == '\\') || (quote == '\'' && c == quote && next == quote) {
                    rest.next();
                } else if c == quote {
                    self.quote = None;
                }
                before = c;
                continue;
            }
            let name = || {
                let name = &line[at + 1..];
                let end = |c: char| c.is_whitespace() || (",[]{}").contains(c);
                &name[..name.find(end).unwrap_or(name.len())]
            };
            match c {
                '#' if before.is_whitespace() => return,
                '"' | '\'' if start => {
                    self.quote = Some(c);
                    start = false;
                }
                '[' | '{' if start => self.flow += 1,
                ']' | '}' if self.flow > 0 => {
                    self.flow -= 1;
                    start = false;
                }
                ',' if self.flow > 0 => start = true,
                ':' if next.is_whitespace() => start = true,
                '-' | '?' if start && self.flow == 0 && next.is_whitespace() => parent = at,
                '|' | '>' if start && self.flow == 0 => {
                    self.block = Some(parent);
                    return;
                }
                '*' if start => {
                    self.aliases = true;
                    start = false;
                }
                '&' if start => {
                    let name = name();
                    if !self.names.insert(name) {
                        self.twice.get_or_insert((name, number));
                    }
                    (0..name.chars().count()).for_each(|_| {
                        rest.next();
                    });
                }
                '!' if start => (0..name().chars().count()).for_each(|_| {
                    rest.next();
                }),
                c if c.is_whitespace() => {}
                _ => {
                    // A key begins, if it is one: what is indented more belongs to it.
                    if start && self.flow == 0 && last_key.is_some_and(|colon| at < colon) {
                        parent = parent.max(at);
                    }
                    start = false;
                }
            }
            before = c;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anchor_that_comes_twice_is_found() {
        for (text, found) in [
            ("a: &x 1\nb: &x 2\nc: *x\n", Some(("x", 2))),
            ("a: [&x 1, {b: &x 2}, *x]\n", Some(("x", 1))),
            ("- &x\n  a: 1\n- &x\n  a: 2\n- *x\n", Some(("x", 3))),
            ("a: &x 1\nb: &y 2\nc: *x\n", None),
            ("a: &x 1\nb: &x 2\n", None),
            ("a: &x 1\nb: *x\n---\na: &x 1\nb: *x\n", None),
        ] {
            assert_eq!(given_twice(text), found, "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_an_anchor_is_none() {
        for text in [
            "a: run &x\nb: run &x\nc: *x\n",
            "a: '&x 1'\nb: \"\\\" &x\"\nc: &x 1\nd: *x\n",
            "a: |\n  &x 1\n  b: &x\nc: &x 1\nd: *x\n",
            "- a: |\n    &x\n    &x\n  b: *x\n",
            "- |\n  &x\n  &x\n- *x\n",
            "# &x\na: &x 1 # b: &x\nc: *x\n",
            "a: \"one\n  b: &x\n  c: &x\"\nd: *x\n",
        ] {
            assert_eq!(given_twice(text), None, "{text}");
        }
    }
}

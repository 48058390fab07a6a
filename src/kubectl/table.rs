//! Text in aligned columns, as Go's `text/tabwriter` aligns it.

use alloc::string::String;
use alloc::vec::Vec;

use super::columns::Columns;
use super::duration::HumanDuration;

/// One pod of [`pod_table`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "what a row is made of")]
pub struct PodRow<'a> {
    /// The pod's name.
    pub name: &'a str,
    /// READY, STATUS and RESTARTS.
    pub columns: &'a Columns,
    /// How long ago the pod was created.
    pub age: HumanDuration,
}

/// The table that `kubectl get pods` prints.
///
/// ```
/// use podinit::kubectl::{self, Columns, PodRow, Ready, Restarts, StatusColumn};
///
/// let columns = Columns {
///     ready: Ready { ready: 1, total: 2 },
///     status: StatusColumn::Word("Running".into()),
///     restarts: Restarts::default(),
/// };
/// let row = PodRow { name: "web", columns: &columns, age: Default::default() };
/// assert_eq!(kubectl::pod_table([row]), "\
/// NAME   READY   STATUS    RESTARTS   AGE
/// web    1/2     Running   0          0s
/// ");
/// ```
pub fn pod_table<'a>(pods: impl IntoIterator<Item = PodRow<'a>>) -> String {
    let mut text = String::from("NAME\tREADY\tSTATUS\tRESTARTS\tAGE\n");
    for PodRow { name, columns, age } in pods {
        let Columns { ready, status, restarts } = columns;
        let line = alloc::format!("{name}\t{ready}\t{status}\t{restarts}\t{age}\n");
        push_escaped(&mut text, &line);
    }
    Layout::TABLE.align(&text)
}

/// How a table is set.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    /// No column is narrower, its padding included.
    min_width: usize,
    /// Spaces between columns.
    padding: usize,
    /// A column is at least as wide as it was further above (`RememberWidths`).
    remembers: bool,
}

impl Layout {
    /// Tables of `kubectl get` and `kubectl events`.
    pub(super) const TABLE: Self = Self { min_width: 6, padding: 3, remembers: true };
    /// The sections of `kubectl describe`.
    pub(super) const DESCRIBE: Self = Self { min_width: 0, padding: 2, remembers: false };

    /// Aligns text whose cells end in a tab and whose lines end in a newline.
    ///
    /// What stands behind the last tab of a line belongs to no column. A column reaches over those
    /// neighbouring lines that all have it; its width is that of its widest cell.
    pub(super) fn align(self, text: &str) -> String {
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
        // Of the lines above: the widths of their columns, as far as these go on in this line.
        let mut widths: Vec<usize> = Vec::new();
        // The widest that each column was so far.
        let mut widest: Vec<usize> = Vec::new();
        let mut aligned = String::with_capacity(text.len() * 2);
        for (index, row) in rows.iter().enumerate() {
            let columns = row.len() - 1;
            widths.truncate(columns);
            for column in widths.len()..columns {
                let mut width = self.column_width(&rows[index..], column);
                match widest.get_mut(column) {
                    Some(widest) if self.remembers => {
                        *widest = width.max(*widest);
                        width = *widest;
                    }
                    Some(_) => {}
                    None => widest.push(width),
                }
                widths.push(width);
            }
            for (column, cell) in row.iter().enumerate() {
                aligned.push_str(cell);
                let width = widths.get(column).copied().unwrap_or(0);
                for _ in cell.chars().count()..width {
                    aligned.push(' ');
                }
            }
            aligned.push('\n');
        }
        aligned
    }

    /// The width of a column that begins in the first of these rows.
    fn column_width(self, rows: &[Vec<&str>], column: usize) -> usize {
        rows.iter()
            .map_while(|row| row.split_last()?.1.get(column))
            .map(|cell| cell.chars().count() + self.padding)
            .fold(self.min_width, usize::max)
    }
}

/// Replaces what would steer a terminal (`printers.WriteEscaped`).
pub(super) fn push_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\u{1b}' => out.push_str("^["),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_ends_where_a_line_does_not_have_it() {
        let text = "a\tlong cell\tx\nlonger\ty\nplain\nb\tc\n";
        assert_eq!(Layout::DESCRIBE.align(text), "a       long cell  x\nlonger  y\nplain\nb  c\n");
    }

    #[test]
    fn a_column_of_a_table_keeps_its_width_below_a_line_that_does_not_have_it() {
        let text = "a\tlong cell\tx\nplain\nb\tc\td\n";
        assert_eq!(Layout::TABLE.align(text), "a     long cell   x\nplain\nb     c           d\n");
        assert_eq!(Layout::DESCRIBE.align(text), "a  long cell  x\nplain\nb  c  d\n");
    }

    #[test]
    fn width_is_counted_in_characters_and_has_a_minimum() {
        assert_eq!(Layout::TABLE.align("é\tx\nab\ty\n"), "é     x\nab    y\n");
        assert_eq!(Layout::TABLE.align("éééé\tx\nab\ty\n"), "éééé   x\nab     y\n");
    }

    #[test]
    fn a_terminal_is_not_steered() {
        let mut out = String::new();
        push_escaped(&mut out, "\u{1b}[31mred\r\n");
        assert_eq!(out, "^[[31mred\\r\n");
    }
}

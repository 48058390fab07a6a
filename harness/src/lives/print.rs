//! Two traces side by side.

use std::fmt::Write as _;

use console::style;
use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::compare::Difference;
use podinit::sim::node::Moment;
use podinit::sim::node::{Entry, Kind, Trace};

/// The width of a column.
const WIDTH: usize = 78;
/// So many rows are shown before the first difference, and behind it.
const BEFORE: usize = 60;
const BEHIND: usize = 15;

/// Both traces, the oracle's on the left; the rows in which they differ are marked, and the first
/// difference most of all. Colours are for terminals alone.
pub fn side_by_side(oracle: &Trace, podinit: &Trace, first: Option<&Difference>) -> String {
    let (left, right) = (lines(oracle), lines(podinit));
    let keys = |lines: &[Line]| lines.iter().map(|line| line.text.clone()).collect::<Vec<_>>();
    let (left_keys, right_keys) = (keys(&left), keys(&right));
    let mut text = String::new();
    let head = format!("   {:<WIDTH$} | {}", "oracle", "podinit");
    let _ = writeln!(text, "{}", style(head).bold());
    let mut marked = first.is_none();
    let mut rows_shown: Vec<String> = Vec::new();
    let mut first_row = None;
    for operation in capture_diff_slices(Algorithm::Myers, &left_keys, &right_keys) {
        let rows: Vec<(Option<&Line>, Option<&Line>, bool)> = match operation {
            DiffOp::Equal { old_index, new_index, len } => (0..len)
                .map(|step| (left.get(old_index + step), right.get(new_index + step), true))
                .collect(),
            DiffOp::Delete { old_index, old_len, .. } => {
                (0..old_len).map(|step| (left.get(old_index + step), None, false)).collect()
            }
            DiffOp::Insert { new_index, new_len, .. } => {
                (0..new_len).map(|step| (None, right.get(new_index + step), false)).collect()
            }
            DiffOp::Replace { old_index, old_len, new_index, new_len } => (0..old_len.max(new_len))
                .map(|step| {
                    let old = (step < old_len).then(|| left.get(old_index + step)).flatten();
                    let new = (step < new_len).then(|| right.get(new_index + step)).flatten();
                    (old, new, false)
                })
                .collect(),
        };
        for (old, new, equal) in rows {
            let here = old.into_iter().chain(new).map(|line| line.at).max();
            let is_first = !marked && here >= first.map(|difference| difference.at);
            marked |= is_first;
            let mark = match (is_first, equal) {
                (true, _) => ">>",
                (false, true) => "  ",
                (false, false) => " !",
            };
            let cell = |line: Option<&Line>| {
                line.map(|line| format!("{:>10} {}", line.at, line.text)).unwrap_or_default()
            };
            let row = format!("{mark} {:<WIDTH$} | {}", cut(&cell(old)), cut(&cell(new)));
            let row = row.trim_end();
            if is_first {
                first_row = Some(rows_shown.len());
            }
            rows_shown.push(match (is_first, equal) {
                (true, _) => style(row).red().bold().to_string(),
                (false, true) => row.to_owned(),
                (false, false) => style(row).yellow().to_string(),
            });
        }
    }
    let (from, to) = match first_row {
        Some(row) => (row.saturating_sub(BEFORE), (row + BEHIND).min(rows_shown.len())),
        None => (0, rows_shown.len()),
    };
    let left_out = |count: usize| format!("   … {count} rows\n");
    if from > 0 {
        text.push_str(&left_out(from));
    }
    for row in &rows_shown[from..to] {
        let _ = writeln!(text, "{row}");
    }
    if to < rows_shown.len() {
        text.push_str(&left_out(rows_shown.len() - to));
    }
    text
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(WIDTH) {
        Some(_) => text.chars().take(WIDTH - 1).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

struct Line {
    at: Moment,
    text: String,
}

fn lines(trace: &Trace) -> Vec<Line> {
    let shown = |entry: &&Entry| !matches!(entry.kind, Kind::Queue | Kind::Cgroup);
    let mut entries: Vec<&Entry> = trace.entries.iter().filter(shown).collect();
    // What happens at one moment has no order between goroutines.
    let rank = |kind| match kind {
        Kind::World | Kind::Api => 0,
        Kind::Status => 2,
        _ => 1,
    };
    entries.sort_by_key(|entry| (entry.t, rank(entry.kind)));
    entries.into_iter().map(|entry| Line { at: entry.t, text: entry.to_string() }).collect()
}

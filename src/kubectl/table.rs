//! Text in aligned columns, as Go's `text/tabwriter` aligns it.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use k8s_openapi::api::core::v1;

use super::columns::{Columns, columns_of};
use super::duration::HumanDuration;
use super::events::first_line;
use super::wide::wide_columns;
use crate::time::Timestamp;
use crate::version::FeatureGates;

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

/// The table that `kubectl get pods --output wide` prints: one line for each pod, whatever
/// the API holds of it.
///
/// ```
/// use podinit::{FeatureGates, Timestamp, kubectl};
///
/// let pod = serde_json::from_value(serde_json::json!({
///     "metadata": {"name": "web", "creationTimestamp": "1970-01-01T00:00:00Z"},
///     "spec": {"containers": [{"name": "a"}], "nodeName": "n1"},
///     "status": {"phase": "Running", "podIP": "10.0.0.1"},
/// }))?;
/// let table = kubectl::wide_pod_table([&pod], FeatureGates::default(), Timestamp::from_secs(5));
/// assert_eq!(table, "\
/// NAME   READY   STATUS    RESTARTS   AGE   IP         NODE   NOMINATED NODE   READINESS GATES
/// web    0/1     Running   0          5s    10.0.0.1   n1     <none>           <none>
/// ");
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn wide_pod_table<'a>(
    pods: impl IntoIterator<Item = &'a v1::Pod>,
    gates: FeatureGates,
    now: Timestamp,
) -> String {
    let mut text = String::from(
        "NAME\tREADY\tSTATUS\tRESTARTS\tAGE\tIP\tNODE\tNOMINATED NODE\tREADINESS GATES\n",
    );
    for pod in pods {
        let Columns { ready, status, restarts } = columns_of(pod, gates, now);
        let age = age_of(pod, now).map_or_else(|| "<unknown>".to_owned(), |age| age.to_string());
        let wide = wide_columns(pod);
        let none = |text: Option<&str>| text.unwrap_or("<none>").to_owned();
        let cells = [
            pod.metadata.name.clone().unwrap_or_default(),
            ready.to_string(),
            status.to_string(),
            restarts.to_string(),
            age,
            none(wide.ip),
            none(wide.node),
            none(wide.nominated_node),
            wide.readiness_gates.map_or_else(|| none(None), |gates| gates.to_string()),
        ];
        let cells: Vec<String> = cells.iter().map(|cell| first_line(cell)).collect();
        push_escaped(&mut text, &cells.join("\t"));
        text.push('\n');
    }
    Layout::TABLE.align(&text)
}

/// The column AGE of a pod; `None`: `<unknown>`, for the pod has no creation time.
pub fn age_of(pod: &v1::Pod, now: Timestamp) -> Option<HumanDuration> {
    let created = pod.metadata.creation_timestamp.as_ref()?;
    Some(HumanDuration::between(Timestamp::clamped(created.0), now))
}

/// The column LABELS of `kubectl get pods --show-labels` (`labels.FormatLabels`).
pub fn labels_column(pod: &v1::Pod) -> String {
    let labels = pod.metadata.labels.iter().flatten();
    let labels: Vec<String> =
        labels.map(|(name, value)| alloc::format!("{name}={value}")).collect();
    if labels.is_empty() { "<none>".to_owned() } else { labels.join(",") }
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

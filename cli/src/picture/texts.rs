//! Charts as text: Mermaid and comma-separated values.

use super::chart::{Chart, Class};
use crate::failure::Failure;

/// A Gantt chart for Mermaid, in milliseconds.
pub fn mermaid(charts: &[&Chart]) -> String {
    let mut text = String::new();
    for chart in charts {
        text.push_str("gantt\n");
        text.push_str(&format!("    title {}\n", plain(&chart.pod)));
        text.push_str("    dateFormat x\n    axisFormat %M:%S\n");
        for row in &chart.rows {
            text.push_str(&format!("    section {} {}\n", row.kind, plain(&row.name)));
            for slice in &row.slices {
                let tag = match slice.class {
                    Class::Waiting => "done, ",
                    Class::BackOff | Class::Failed => "crit, ",
                    Class::Running | Class::Ready => "active, ",
                    Class::Succeeded => "",
                };
                let (from, to) = (slice.from.as_millis(), slice.to.as_millis());
                text.push_str(&format!("    {} :{tag}{from}, {to}\n", plain(&slice.label)));
            }
        }
    }
    text
}

/// Mermaid takes some letters for its own.
fn plain(text: &str) -> String {
    text.replace([':', ';', '#', ','], " ")
}

/// The intervals of the containers' states, a line each.
pub fn csv(charts: &[&Chart]) -> Result<String, Failure> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let failed = |error: csv::Error| Failure::Output(std::io::Error::other(error));
    let heading = ["pod", "kind", "container", "from_ms", "to_ms", "state", "class"];
    writer.write_record(heading).map_err(failed)?;
    for chart in charts {
        for row in &chart.rows {
            for slice in &row.slices {
                let times = [slice.from, slice.to].map(|at| at.as_millis().to_string());
                let [from, to] = &times;
                let class = slice.class.name();
                let record = [&*chart.pod, row.kind, &row.name, from, to, &slice.label, class];
                writer.write_record(record).map_err(failed)?;
            }
        }
    }
    let bytes =
        writer.into_inner().map_err(|error| Failure::Output(std::io::Error::other(error)))?;
    String::from_utf8(bytes).map_err(|error| Failure::Output(std::io::Error::other(error)))
}

//! Charts as pictures.

use std::time::Duration;

use podinit::scenario::GoDuration;
use svg::Document;
use svg::node::element::{Group, Line, Rectangle, Style, Text, Title};

use super::chart::{Chart, Slice};

/// Widths and heights in pixels.
pub(super) const WIDTH: u64 = 800;
pub(super) const MARGIN: u64 = 12;
pub(super) const ROW: u64 = 26;
pub(super) const BAR: u64 = 18;
/// A letter of the font below, at the most.
const LETTER: u64 = 7;
const MOST_NAME: usize = 28;

/// Readable in light and dark, by what the reader's system wants.
pub(super) const STYLE: &str = "
text { font: 12px system-ui, sans-serif; fill: #1f2328; }
.title { font-weight: 600; font-size: 14px; }
.kind, .tick { fill: #656d76; font-size: 11px; }
.grid { stroke: #d0d7de; stroke-width: 1; }
.paper { fill: #ffffff; }
.inside { fill: #ffffff; font-size: 11px; }
.waiting { fill: #afb8c1; } .waiting + text, .running + text { fill: #1f2328; }
.back-off { fill: #d4762c; } .running { fill: #a5d6ff; } .ready { fill: #2da44e; }
.succeeded { fill: #0969da; } .failed { fill: #cf222e; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .kind, .tick { fill: #8d96a0; } .grid { stroke: #30363d; }
  .paper { fill: #0d1117; } .waiting { fill: #6e7681; }
  .waiting + text, .inside { fill: #ffffff; } .running + text { fill: #1f2328; }
}";

/// A Gantt chart of each pod, one below the other, self-contained.
pub fn svg(charts: &[&Chart]) -> Document {
    let mut top = 0;
    let mut document = Document::new();
    let mut groups = Vec::new();
    for chart in charts {
        let (group, height) = draw(chart, top);
        groups.push(group);
        top += height;
    }
    document = document
        .set("viewBox", (0, 0, WIDTH, top))
        .set("width", "100%")
        .set("role", "img")
        .add(Style::new(STYLE))
        .add(Rectangle::new().set("class", "paper").set("width", WIDTH).set("height", top));
    groups.into_iter().fold(document, Document::add)
}

/// Where the bars stand, and how long a second is.
struct Scale {
    left: u64,
    end: Duration,
}

impl Scale {
    fn x(&self, at: Duration) -> u64 {
        let width = u128::from(WIDTH - MARGIN - self.left);
        let end = self.end.as_millis().max(1);
        let x = width * at.as_millis().min(end) / end;
        self.left + u64::try_from(x).unwrap_or(0)
    }

    /// A round step of the axis: some six to twelve of them.
    fn step(&self) -> Duration {
        const STEPS: [u64; 12] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600];
        let wanted = self.end.as_secs() / 10;
        let step = STEPS.into_iter().find(|step| *step >= wanted);
        Duration::from_secs(step.unwrap_or_else(|| wanted.next_multiple_of(3_600)))
    }
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…")
}

pub(super) fn text(x: u64, y: u64, class: &str, content: impl Into<String>) -> Text {
    Text::new(content.into()).set("x", x).set("y", y).set("class", class)
}

/// The chart of a pod from `top` on, and its height.
fn draw(chart: &Chart, top: u64) -> (Group, u64) {
    let names = chart.rows.iter().map(|row| row.name.chars().count().min(MOST_NAME));
    let longest = names.max().unwrap_or(0).max("STATUS".len());
    let kinds = "sidecar ".len();
    let left = MARGIN + LETTER * u64::try_from(longest + kinds).unwrap_or(0) + 8;
    let scale = Scale { left, end: chart.end };
    let bands = [("phase", &chart.phase), ("STATUS", &chart.status)];
    let lines = u64::try_from(bands.len() + chart.rows.len()).unwrap_or(0);
    let first = top + 34;
    let bottom = first + lines * ROW;
    let mut group = Group::new().add(text(MARGIN, top + 20, "title", &*chart.pod));
    let step = scale.step();
    let mut at = Duration::ZERO;
    while at <= chart.end {
        let x = scale.x(at);
        group = group
            .add(
                Line::new()
                    .set("class", "grid")
                    .set("x1", x)
                    .set("x2", x)
                    .set("y1", first)
                    .set("y2", bottom),
            )
            .add(
                text(x, bottom + 14, "tick", GoDuration(at).to_string())
                    .set("text-anchor", if x + 30 > WIDTH { "end" } else { "middle" }),
            );
        at += step;
    }
    let bands = bands.into_iter().map(|(name, slices)| ("", name, slices));
    let rows = chart.rows.iter().map(|row| (row.kind, row.name.as_str(), &row.slices));
    for (line, (kind, name, slices)) in (0..).zip(bands.chain(rows)) {
        let y = first + line * ROW;
        let label = MARGIN + LETTER * u64::try_from(kinds).unwrap_or(0);
        group = group.add(text(MARGIN, y + 15, "kind", kind)).add(text(
            label,
            y + 15,
            "name",
            shortened(name, MOST_NAME),
        ));
        for slice in slices {
            group = group.add(bar(slice, &scale, y));
        }
    }
    (group, bottom + 24 - top)
}

/// A bar with its words: inside if there is room, and in any case where the mouse stands.
fn bar(slice: &Slice, scale: &Scale, y: u64) -> Group {
    let (from, to) = (scale.x(slice.from), scale.x(slice.to));
    let width = (to - from).max(2);
    let times = [slice.from, slice.to].map(GoDuration);
    let title = format!("{}: {} to {}", slice.label, times[0], times[1]);
    let mut group = Group::new().add(Title::new(title)).add(
        Rectangle::new()
            .set("class", slice.class.name())
            .set("x", from)
            .set("y", y + 2)
            .set("width", width)
            .set("height", BAR)
            .set("rx", 2),
    );
    let room = usize::try_from(width.saturating_sub(8) / LETTER).unwrap_or(0);
    if room >= 3 {
        group = group.add(text(from + 4, y + 15, "inside", shortened(&slice.label, room)));
    }
    group
}

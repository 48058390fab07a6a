//! What came of very many pods, as a picture.

use std::time::Duration;

use podinit::quantity::Quantity;
use podinit::scenario::GoDuration;
use podinit::sim::fleet::{FleetSummary, ResourceSample};
use svg::Document;
use svg::node::element::{Group, Line, Path, Rectangle, Style, Title};

use super::chart::Class;
use super::svg::{BAR, MARGIN, ROW, STYLE, WIDTH, text};

/// Where the bars begin, and how much room is behind them for a number.
const LEFT: u64 = 200;
const NUMBER: u64 = 110;
/// The height of a curve.
const HEIGHT: u64 = 130;

const CURVES: &str = "
.reserved { fill: #a5d6ff; opacity: 0.6; } .used { fill: none; stroke: #0969da; stroke-width: 2; }
@media (prefers-color-scheme: dark) { .reserved { fill: #1f6feb; } .used { stroke: #79c0ff; } }";

/// How long start-ups take, how long each STATUS lasts, and what is reserved and used meanwhile.
pub fn fleet(summary: &FleetSummary) -> Document {
    let mut top = 0;
    let mut groups = Vec::new();
    let mut add = |(group, height): (Group, u64)| {
        groups.push(group.set("transform", format!("translate(0 {top})")));
        top += height;
    };
    let percentiles =
        [("min", 0), ("p50", 500), ("p90", 900), ("p99", 990), ("p99.9", 999), ("max", 1_000)];
    let times = percentiles.into_iter().filter_map(|(name, per_mille)| {
        let time = summary.ready_after.quantile(per_mille)?;
        Some((name.to_owned(), time, Class::Ready))
    });
    let ready = summary.ready_after.count();
    let heading = format!("Start-up time of {ready} of {} pods", summary.pods);
    add(bars(&heading, &times.collect::<Vec<_>>()));
    // The others last as long as somebody looks, and dwarf these.
    let left = summary.statuses.iter().filter(|(_, tally)| tally.last < tally.entered);
    let statuses = left.map(|(word, tally)| {
        let word = word.to_string();
        let class = Class::of_word(&word);
        (word, tally.mean(), class)
    });
    add(bars("Mean time in each STATUS that pods leave", &statuses.collect::<Vec<_>>()));
    let usage = &summary.resources;
    for name in usage.names() {
        add(curve(name.as_str(), &usage.samples(name).collect::<Vec<_>>()));
    }
    let document = Document::new()
        .set("viewBox", (0, 0, WIDTH, top))
        .set("width", "100%")
        .set("role", "img")
        .add(Style::new(format!("{STYLE}{CURVES}")))
        .add(Rectangle::new().set("class", "paper").set("width", WIDTH).set("height", top));
    groups.into_iter().fold(document, Document::add)
}

/// The part of `length` that `part` is of `whole`.
fn share(part: u128, whole: u128, length: u64) -> u64 {
    let length = part.min(whole).saturating_mul(length.into()) / whole.max(1);
    u64::try_from(length).unwrap_or(0)
}

/// A duration to the millisecond.
fn time(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    GoDuration(Duration::from_millis(millis)).to_string()
}

fn bars(heading: &str, values: &[(String, Duration, Class)]) -> (Group, u64) {
    let longest = values.iter().map(|(_, time, _)| time.as_nanos()).max().unwrap_or(0);
    let mut group = Group::new().add(text(MARGIN, 20, "title", heading));
    let mut y = 34;
    for (name, value, class) in values {
        let width = share(value.as_nanos(), longest, WIDTH - LEFT - NUMBER).max(1);
        group = group.add(text(MARGIN, y + 15, "name", name.as_str())).add(
            Rectangle::new()
                .set("class", class.name())
                .set("x", LEFT)
                .set("y", y + 2)
                .set("width", width)
                .set("height", BAR)
                .set("rx", 2),
        );
        group = group.add(text(LEFT + width + 6, y + 15, "number", time(*value)));
        y += ROW;
    }
    (group, y + MARGIN)
}

/// What is reserved as an area, what is used as a line above it. The time axis ends where nothing
/// changes any more.
fn curve(name: &str, samples: &[ResourceSample]) -> (Group, u64) {
    // Thousandths, unless there are too many of them for 64 bits.
    let is_vast = |value: &Quantity| value.milli_value() == i64::MAX;
    let vast = samples.iter().any(|sample| is_vast(&sample.reserved) || is_vast(&sample.used));
    let amount = |value: &Quantity| {
        let amount = if vast { value.wide_value() } else { value.milli_value().into() };
        u128::try_from(amount).unwrap_or(0)
    };
    let highest = samples
        .iter()
        .map(|sample| amount(&sample.reserved).max(amount(&sample.used)))
        .max()
        .unwrap_or(0);
    let end = samples.last().map_or(Duration::ZERO, |sample| sample.at);
    let (base, width) = (34 + HEIGHT, WIDTH - LEFT - MARGIN);
    let steps = |of: &dyn Fn(&ResourceSample) -> u64| {
        let mut path = String::new();
        for sample in samples {
            let x = LEFT + share(sample.at.as_nanos(), end.as_nanos(), width);
            let y = base - of(sample);
            path.push_str(&if path.is_empty() { format!("M{x} {y}") } else { format!("H{x}V{y}") });
        }
        path
    };
    let height = |value: &Quantity| share(amount(value), highest, HEIGHT);
    let reserved = steps(&|sample| height(&sample.reserved));
    let used = steps(&|sample| height(&sample.used));
    let heading = format!("{name}: reserved (area) and used (line)");
    let mut group = Group::new().add(text(MARGIN, 20, "title", heading)).add(
        Path::new()
            .set("class", "reserved")
            .set("d", format!("{reserved}V{base}H{LEFT}Z"))
            .add(Title::new("reserved")),
    );
    group = group.add(Path::new().set("class", "used").set("d", used).add(Title::new("used"))).add(
        Line::new()
            .set("class", "grid")
            .set("x1", LEFT)
            .set("x2", WIDTH - MARGIN)
            .set("y1", base)
            .set("y2", base),
    );
    let peak = samples.iter().map(|sample| &sample.reserved).max();
    if let Some(peak) = peak {
        group = group.add(text(MARGIN, 49, "name", format!("at most {peak} reserved")));
    }
    let peak = samples.iter().map(|sample| &sample.used).max();
    if let Some(peak) = peak {
        group = group.add(text(MARGIN, 67, "name", format!("at most {peak} used")));
    }
    group = group
        .add(text(LEFT, base + 14, "tick", "0s"))
        .add(text(WIDTH - MARGIN, base + 14, "tick", time(end)).set("text-anchor", "end"));
    (group, base + 30)
}

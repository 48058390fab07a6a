//! Charts for trace viewers: Chrome's trace format, and OTLP.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use serde_json::{Value, json};

use super::chart::{Chart, Slice};

/// A Chrome trace: a process for each pod, a thread for each container, counters for what is ready.
/// Perfetto and speedscope open it.
pub fn trace(charts: &[&Chart]) -> Value {
    let mut events = Vec::new();
    for (pid, chart) in (1..).zip(charts) {
        let name = |what: &str, tid: usize, name: &str| json!({"ph": "M", "name": what, "pid": pid, "tid": tid, "args": {"name": name}});
        events.push(name("process_name", 0, &chart.pod));
        let pod = [("phase", &chart.phase), ("STATUS", &chart.status)];
        let containers = chart.rows.iter().map(|row| (row.name.as_str(), &row.slices));
        for (tid, (track, slices)) in (1..).zip(pod.into_iter().chain(containers)) {
            events.push(name("thread_name", tid, track));
            events.push(json!({"ph": "M", "name": "thread_sort_index", "pid": pid, "tid": tid,
                "args": {"sort_index": tid}}));
            events.extend(slices.iter().map(|slice| {
                json!({"ph": "X", "pid": pid, "tid": tid, "name": slice.label,
                    "cat": slice.class.name(), "ts": micros(slice.from),
                    "dur": micros(slice.to.saturating_sub(slice.from))})
            }));
        }
        events.extend(chart.columns.iter().filter_map(|at| {
            let ready: u64 = at.cells[0].split('/').next()?.parse().ok()?;
            Some(json!({"ph": "C", "pid": pid, "name": "containers ready", "ts": micros(at.at),
                "args": {"ready": ready}}))
        }));
    }
    json!({"displayTimeUnit": "ms", "traceEvents": events})
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Spans as OTLP/JSON: one for the pod, one for each interval of a container. Times count from the
/// Unix epoch.
pub fn otlp(charts: &[&Chart]) -> Value {
    let resources = charts.iter().map(|chart| {
        let trace_id = format!("{:016x}{:016x}", id(&[&chart.pod]), id(&["trace", &chart.pod]));
        let root = format!("{:016x}", id(&["root", &chart.pod]));
        let span = |parent: &str, id: &str, name: &str, from: Duration, to: Duration| {
            json!({"traceId": trace_id, "spanId": id, "parentSpanId": parent, "name": name,
                "kind": 1, "startTimeUnixNano": from.as_nanos().to_string(),
                "endTimeUnixNano": to.as_nanos().to_string()})
        };
        let mut spans = vec![span("", &root, &chart.pod, Duration::ZERO, chart.end)];
        for row in &chart.rows {
            for (at, slice) in row.slices.iter().enumerate() {
                let Slice { from, to, label, class } = slice;
                let own = format!("{:016x}", id(&[&chart.pod, &row.name, &at.to_string()]));
                let mut span = span(&root, &own, &format!("{} {label}", row.name), *from, *to);
                let text =
                    |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
                span["attributes"] = json!([
                    text("k8s.container.name", &row.name),
                    text("podinit.state", class.name())
                ]);
                spans.push(span);
            }
        }
        json!({
            "resource": {"attributes":
                [{"key": "k8s.pod.name", "value": {"stringValue": chart.pod}}]},
            "scopeSpans": [{"scope": {"name": "podinit"}, "spans": spans}],
        })
    });
    json!({"resourceSpans": resources.collect::<Vec<_>>()})
}

/// An identifier, the same for the same parts.
fn id(parts: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish().max(1)
}

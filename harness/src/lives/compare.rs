//! Where two traces of one life differ.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use podinit::PodStatus;
use podinit::scenario::GoDuration;
use podinit::status::ContainerStatus;
use serde_json::Value;

use super::case::LifeCase;
use podinit::sim::node::Moment;
use podinit::sim::node::{Kind, Trace};

/// What happens in several goroutines within this time has no order: of the statuses the last
/// counts, and stops and removals are sorted.
pub const SAME_INSTANT: Duration = Duration::from_millis(2);
/// The sync and the container deletor both remove containers, and the deletor works for all pods of
/// a node, one after the other.
pub const REMOVAL: Duration = Duration::from_millis(300);
/// How far apart the times of calls, statuses and events may lie.
pub const PRECISION: Duration = Duration::from_millis(1);

/// What was compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aspect {
    /// The calls and their order.
    Calls,
    /// When they were made.
    CallTimes,
    /// The containers that were removed.
    Removals,
    /// The statuses and their order.
    Statuses,
    /// When they came.
    StatusTimes,
    /// The events and their order.
    Events,
    /// When they came.
    EventTimes,
}

impl fmt::Display for Aspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Calls => "calls",
            Self::CallTimes => "call times",
            Self::Removals => "removals",
            Self::Statuses => "statuses",
            Self::StatusTimes => "status times",
            Self::Events => "events",
            Self::EventTimes => "event times",
        })
    }
}

/// The first difference of one aspect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Of what.
    pub aspect: Aspect,
    /// Where it shows.
    pub at: Moment,
    /// What the oracle has there.
    pub oracle: Option<String>,
    /// What podinit has there.
    pub podinit: Option<String>,
    /// What kind of difference it is, without names and times: differences of one kind have one
    /// cause, as a rule.
    pub label: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nothing = "nothing more";
        writeln!(f, "{} differ at {}: {}", self.aspect, self.at, self.label)?;
        writeln!(f, "  oracle:  {}", self.oracle.as_deref().unwrap_or(nothing))?;
        write!(f, "  podinit: {}", self.podinit.as_deref().unwrap_or(nothing))
    }
}

/// The first difference of each aspect, the earliest first.
pub fn compare(case: &LifeCase, oracle: &Trace, podinit: &Trace) -> Vec<Difference> {
    // At the very end it is chance what is still seen.
    let end = Moment::ARRIVAL + case.scenario.until.0;
    let (oracle, podinit) = (&before(oracle, end), &before(podinit, end));
    let mut found = Vec::new();
    let hooks = hook_lines(&case.pod);
    let (a, b) = (calls(oracle, &hooks), calls(podinit, &hooks));
    lane(&a, &b, Aspect::Calls, Aspect::CallTimes, PRECISION, &mut found);
    found.extend(removals(&removed(oracle), &removed(podinit)));
    let (a, b) = (statuses(oracle), statuses(podinit));
    lane(&a, &b, Aspect::Statuses, Aspect::StatusTimes, PRECISION, &mut found);
    // Probes and preStop hooks are goroutines of their own: what they tell has no order among the
    // rest.
    for of_probes in [false, true] {
        let (a, b) = (events(oracle, of_probes), events(podinit, of_probes));
        lane(&a, &b, Aspect::Events, Aspect::EventTimes, PRECISION, &mut found);
    }
    found.sort_by_key(|difference| (difference.at, difference.aspect));
    found
}

fn before(trace: &Trace, end: Moment) -> Trace {
    let mut trace = trace.clone();
    trace.entries.retain(|entry| entry.t < end);
    trace
}

/// One thing of a lane.
#[derive(Clone, Debug)]
struct Item {
    at: Moment,
    /// What is compared.
    text: String,
    /// The same by its parts, for the label.
    parts: BTreeMap<String, String>,
    /// The word for the label.
    word: String,
    /// The spans of time that it tells, which are not part of the text.
    spans: Vec<Duration>,
}

fn lane(
    oracle: &[Item],
    podinit: &[Item],
    order: Aspect,
    times: Aspect,
    tolerance: Duration,
    found: &mut Vec<Difference>,
) {
    let length = oracle.len().max(podinit.len());
    let pairs = (0..length).map(|index| (oracle.get(index), podinit.get(index)));
    let mut off = None;
    for (a, b) in pairs {
        match (a, b) {
            (Some(a), Some(b)) if a.text == b.text => {
                let same = a.spans.iter().zip(&b.spans).all(|(a, b)| a.abs_diff(*b) <= tolerance);
                if off.is_none() && (a.at.distance(b.at) > tolerance || !same) {
                    off = Some((a, b));
                }
            }
            (a, b) => {
                let at = a.into_iter().chain(b).map(|item| item.at).min();
                found.push(Difference {
                    aspect: order,
                    at: at.unwrap_or(Moment::NEVER),
                    oracle: a.map(|a| show_beside(a, b)),
                    podinit: b.map(|b| show_beside(b, a)),
                    label: label(a, b),
                });
                break;
            }
        }
    }
    if let Some((a, b)) = off {
        found.push(Difference {
            aspect: times,
            at: a.at.min(b.at),
            oracle: Some(show(a)),
            podinit: Some(show(b)),
            label: format!("time of {}", a.word),
        });
    }
}

fn show(item: &Item) -> String {
    format!("{} {}", item.at, item.text)
}

/// An item with what it has otherwise than the other one, where both are of a kind.
fn show_beside(item: &Item, other: Option<&Item>) -> String {
    let Some(other) = other.filter(|other| other.word == item.word && item.word == "status") else {
        return show(item);
    };
    let own = item.parts.iter().filter(|(name, value)| other.parts.get(*name) != Some(value));
    let own: Vec<String> = own.map(|(name, value)| format!("{name}={value}")).collect();
    let lacks = other.parts.keys().filter(|name| !item.parts.contains_key(*name));
    let lacks: Vec<String> = lacks.map(|name| format!("no {name}")).collect();
    format!(
        "{} {} {}",
        item.at,
        item.word,
        own.into_iter().chain(lacks).collect::<Vec<_>>().join(" ")
    )
}

fn label(oracle: Option<&Item>, podinit: Option<&Item>) -> String {
    match (oracle, podinit) {
        (Some(a), Some(b)) if a.word == b.word => {
            let names = a.parts.keys().chain(b.parts.keys());
            let mut differ: Vec<&String> =
                names.filter(|name| a.parts.get(*name) != b.parts.get(*name)).collect();
            differ.sort();
            differ.dedup();
            let mut differ: Vec<String> = differ.into_iter().map(|name| nameless(name)).collect();
            differ.dedup();
            let more = differ.split_off(differ.len().min(LABELLED)).len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("{}: {}{more}", a.word, differ.join(", "))
        }
        (Some(a), Some(b)) => format!("{} and not {}", a.word, b.word),
        (Some(a), None) => format!("{} is missing", a.word),
        (None, Some(b)) => format!("{} is too much", b.word),
        (None, None) => String::new(),
    }
}

/// So many fields are named in a label.
const LABELLED: usize = 4;

/// A field's path without the container's name; the type of a condition stays.
fn nameless(path: &str) -> String {
    match (path.find("Statuses[").map(|at| at + 8), path.find(']')) {
        (Some(from), Some(to)) if from < to => format!("{}{}", &path[..from], &path[to + 1..]),
        _ => path.to_owned(),
    }
}

/// The commands and requests of the pod's hooks: these calls are decided by the pod worker, those
/// of probes are not.
fn hook_lines(pod: &Value) -> Vec<String> {
    let containers = ["initContainers", "containers"]
        .into_iter()
        .flat_map(|list| pod["spec"][list].as_array().into_iter().flatten());
    containers
        .flat_map(|container| {
            ["postStart", "preStop"]
                .map(|hook| podinit::sim::node::question(&container["lifecycle"][hook], container))
        })
        .flatten()
        .collect()
}

fn item(at: Moment, word: &str, parts: Vec<(&str, String)>) -> Item {
    let parts: BTreeMap<String, String> = parts
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(name, text)| (name.to_owned(), text))
        .collect();
    let told: Vec<&str> = parts.values().map(String::as_str).collect();
    let text = format!("{word} {}", told.join(" "));
    Item { at, text, word: word.to_owned(), parts, spans: Vec::new() }
}

fn calls(trace: &Trace, hooks: &[String]) -> Vec<Item> {
    let mut found = Vec::new();
    for entry in &trace.entries {
        let asked = entry.op == "ExecSync" || entry.kind == Kind::Probe;
        let is_hook = asked && hooks.contains(&entry.message);
        let counts = entry.kind == Kind::Call || is_hook;
        let left_out = entry.op == "RemoveContainer";
        if !counts || entry.is_outcome() || (asked && !is_hook) || left_out {
            continue;
        }
        let number = |number: Option<String>| number.unwrap_or_default();
        let attempt = (entry.op != "PullImage").then_some(entry.attempt).flatten();
        found.push(item(
            entry.t,
            &entry.op,
            vec![
                ("container", entry.container.clone()),
                ("message", entry.message.clone()),
                ("attempt", number(attempt.map(|attempt| format!("#{attempt}")))),
                (
                    "grace",
                    number(entry.grace_period_seconds.map(|grace| format!("grace {grace}s"))),
                ),
            ],
        ));
    }
    // Stops, and the hooks before them, are goroutines of their own.
    sort_ties(&mut found, |item| {
        let words = ["StopContainer", "StopPodSandbox", "ExecSync", "http", "tcp", "grpc"];
        words.contains(&item.word.as_str())
    });
    found
}

/// Sorts what belongs together and happens at one instant.
fn sort_ties(items: &mut [Item], sorted: impl Fn(&Item) -> bool) {
    let mut from = 0;
    while from < items.len() {
        let begin = items[from].at;
        let together = |item: &Item| sorted(item) && item.at.since(begin) < SAME_INSTANT;
        let length = items[from..].iter().take_while(|item| together(item)).count();
        items[from..from + length].sort_by(|a, b| a.text.cmp(&b.text));
        from += length.max(1);
    }
}

/// Which instances were removed, and when first.
fn removed(trace: &Trace) -> BTreeMap<(String, u32), Moment> {
    let mut removed = BTreeMap::new();
    for entry in &trace.entries {
        if entry.op == "RemoveContainer" && !entry.is_outcome() {
            let key = (entry.container.clone(), entry.attempt.unwrap_or(0));
            removed.entry(key).or_insert(entry.t);
        }
    }
    removed
}

fn removals(
    oracle: &BTreeMap<(String, u32), Moment>,
    podinit: &BTreeMap<(String, u32), Moment>,
) -> Option<Difference> {
    let keys = oracle.keys().chain(podinit.keys());
    let differ = keys.filter(|key| match (oracle.get(*key), podinit.get(*key)) {
        (Some(a), Some(b)) => a.distance(*b) > REMOVAL,
        _ => true,
    });
    let when = |key: &&(String, u32)| oracle.get(*key).into_iter().chain(podinit.get(*key)).min();
    let key = differ.min_by_key(when)?;
    let told = |at: &Moment| format!("{at} RemoveContainer {} #{}", key.0, key.1);
    let (a, b) = (oracle.get(key), podinit.get(key));
    let label = match (a, b) {
        (Some(_), Some(_)) => "time of RemoveContainer",
        (Some(_), None) => "RemoveContainer is missing",
        _ => "RemoveContainer is too much",
    };
    Some(Difference {
        aspect: Aspect::Removals,
        at: *a.into_iter().chain(b).min()?,
        oracle: a.map(told),
        podinit: b.map(told),
        label: label.to_owned(),
    })
}

fn events(trace: &Trace, of_probes: bool) -> Vec<Item> {
    let mut found: Vec<Item> = trace
        .entries
        .iter()
        // Events of the node have no pod.
        .filter(|entry| entry.kind == Kind::Event && entry.field_path != "node")
        .filter(|entry| {
            let own = ["Unhealthy", "ProbeWarning", "FailedPreStopHook"];
            own.contains(&entry.reason.as_str()) == of_probes
        })
        .map(|entry| {
            let (text, spans) = without_spans(&entry.message);
            let mut item = item(
                entry.t,
                &entry.reason,
                vec![
                    ("path", entry.field_path.clone()),
                    ("text", text),
                    ("type", entry.event_type.clone()),
                ],
            );
            item.word = format!("event {}", entry.reason);
            item.spans = spans;
            item
        })
        .collect();
    sort_ties(&mut found, |item| item.word == "event Killing");
    found
}

/// The text of a pull that went well, and how long it says that it took: the oracle lets calls that
/// begin on one tick end some nanoseconds apart, and the kubelet cuts to milliseconds.
fn without_spans(text: &str) -> (String, Vec<Duration>) {
    let mut spans = Vec::new();
    if let Some((before, behind)) = text.split_once("(id=")
        && let Some((_, behind)) = behind.split_once(')')
    {
        // Ids are the runtime's own.
        return (format!("{before}(id=…){behind}"), spans);
    }
    if !text.starts_with("Successfully pulled image ") {
        return (text.to_owned(), spans);
    }
    let words =
        text.split(' ').map(|word| match word.trim_start_matches('(').parse::<GoDuration>() {
            Ok(span) => {
                spans.push(span.0);
                "…"
            }
            Err(_) => word,
        });
    (words.collect::<Vec<_>>().join(" "), spans)
}

/// The statuses that were sent: of several at one instant the last, and none twice.
fn statuses(trace: &Trace) -> Vec<Item> {
    let mut ids = Vec::new();
    let mut found: Vec<Item> = Vec::new();
    for entry in &trace.entries {
        let Some(status) = &entry.status else { continue };
        let parts = parts(&status.known, &mut ids);
        let told: Vec<String> =
            parts.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let (text, word) = (told.join(" "), "status".to_owned());
        let item = Item { at: entry.t, text, parts, word, spans: Vec::new() };
        match found.last_mut() {
            Some(last) if item.at.since(last.at) < SAME_INSTANT => *last = item,
            _ => found.push(item),
        }
    }
    found.dedup_by(|later, earlier| later.text == earlier.text);
    found
}

/// A status by its fields. Ids are told by the order in which they came up.
fn parts(status: &PodStatus, ids: &mut Vec<String>) -> BTreeMap<String, String> {
    let mut parts = BTreeMap::new();
    let mut put = |name: String, value: String| {
        if !value.is_empty() {
            parts.insert(name, value);
        }
    };
    put("phase".into(), status.phase.to_string());
    put("reason".into(), status.reason.to_string());
    put("message".into(), status.message.to_string());
    put("startTime".into(), status.start_time.map(|at| at.to_string()).unwrap_or_default());
    for condition in &status.conditions {
        let name = |field: &str| format!("conditions[{}].{field}", condition.condition_type);
        put(name("status"), condition.status.as_str().into());
        put(name("reason"), condition.reason.to_string());
        put(name("message"), condition.message.to_string());
        let at = condition.last_transition_time.map(|at| at.to_string());
        put(name("lastTransitionTime"), at.unwrap_or_default());
    }
    for (list, statuses) in [
        ("initContainerStatuses", &status.init_container_statuses),
        ("containerStatuses", &status.container_statuses),
        ("ephemeralContainerStatuses", &status.ephemeral_container_statuses),
    ] {
        let names: Vec<&str> = statuses.iter().map(|status| status.name.as_str()).collect();
        put(format!("order of {list}"), names.join(","));
        for status in statuses {
            container_parts(list, status, ids, &mut put);
        }
    }
    parts
}

fn container_parts(
    list: &str,
    status: &ContainerStatus,
    ids: &mut Vec<String>,
    put: &mut impl FnMut(String, String),
) {
    let mut id = |id: &str| {
        if id.is_empty() {
            return String::new();
        }
        let position = ids.iter().position(|known| known == id).unwrap_or_else(|| {
            ids.push(id.to_owned());
            ids.len() - 1
        });
        format!("id{position}")
    };
    let name = |field: &str| format!("{list}[{}].{field}", status.name);
    put(name("ready"), status.ready.to_string());
    put(name("started"), status.started.map(|started| started.to_string()).unwrap_or_default());
    put(name("restartCount"), status.restart_count.to_string());
    put(name("image"), status.image.trim_end_matches(":latest").to_owned());
    put(name("containerID"), id(&status.container_id));
    for (field, state) in [("state", &status.state), ("lastState", &status.last_termination_state)]
    {
        let name = |of: &str| format!("{list}[{}].{field}.{of}", status.name);
        if let Some(waiting) = &state.waiting {
            put(name("waiting"), "yes".into());
            put(name("waiting.reason"), waiting.reason.to_string());
            put(name("waiting.message"), waiting.message.to_string());
        }
        let time = |at: Option<podinit::Timestamp>| {
            at.map(|at| at.truncate_to_second().to_string()).unwrap_or_default()
        };
        if let Some(running) = &state.running {
            put(name("running"), "yes".into());
            put(name("running.startedAt"), time(running.started_at));
        }
        if let Some(ended) = &state.terminated {
            put(name("terminated"), "yes".into());
            put(name("terminated.exitCode"), ended.exit_code.to_string());
            put(name("terminated.reason"), ended.reason.to_string());
            put(name("terminated.message"), ended.message.to_string());
            put(name("terminated.startedAt"), time(ended.started_at));
            put(name("terminated.finishedAt"), time(ended.finished_at));
            put(name("terminated.containerID"), id(&ended.container_id));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::with;
    use podinit::sim::node::Entry;

    fn case() -> LifeCase {
        let pod = json!({"spec": {"containers": [{"name": "a", "image": "x"}]}});
        LifeCase::from_value(json!({"pod": pod, "scenario": {}})).unwrap()
    }

    fn trace(entries: Value) -> Trace {
        with!(Trace { entries: serde_json::from_value(entries).unwrap(), ..Trace::default() })
    }

    fn found(oracle: Value, podinit: Value) -> Vec<(Aspect, String)> {
        let (oracle, podinit) = (trace(oracle), trace(podinit));
        compare(&case(), &oracle, &podinit)
            .into_iter()
            .map(|difference| (difference.aspect, difference.label))
            .collect()
    }

    fn stop(t: i64, container: &str, grace: i64) -> Value {
        json!({
            "t": t, "kind": "call", "op": "StopContainer", "container": container,
            "gracePeriodSeconds": grace,
        })
    }

    fn status(t: i64, phase: &str) -> Value {
        json!({"t": t, "kind": "status", "status": {"phase": phase}})
    }

    #[test]
    fn a_millisecond_is_no_difference_and_two_are() {
        let at = |t| json!([stop(t, "a", 30)]);
        assert_eq!(found(at(1000), at(1001)), []);
        let late = found(at(1000), at(1002));
        assert_eq!(late, [(Aspect::CallTimes, "time of StopContainer".to_owned())]);
    }

    #[test]
    fn a_difference_is_named_by_what_differs() {
        let calls = found(json!([stop(1, "a", 30)]), json!([stop(1, "a", 2)]));
        assert_eq!(calls, [(Aspect::Calls, "StopContainer: grace".to_owned())]);
        let statuses = found(json!([status(1, "Running")]), json!([status(1, "Failed")]));
        assert_eq!(statuses, [(Aspect::Statuses, "status: phase".to_owned())]);
        let missing = found(json!([{"t": 1, "kind": "event", "reason": "BackOff"}]), json!([]));
        assert_eq!(missing, [(Aspect::Events, "event BackOff is missing".to_owned())]);
    }

    #[test]
    fn stops_at_one_instant_have_no_order_and_later_ones_have() {
        let of = |first: Value, second: Value| json!([first, second]);
        let together =
            found(of(stop(10, "a", 2), stop(10, "b", 2)), of(stop(10, "b", 2), stop(10, "a", 2)));
        assert_eq!(together, []);
        let apart =
            found(of(stop(10, "a", 2), stop(13, "b", 2)), of(stop(10, "b", 2), stop(13, "a", 2)));
        assert_eq!(apart.first().map(|first| first.0), Some(Aspect::Calls));
    }

    #[test]
    fn pulls_may_tell_a_millisecond_more_or_less() {
        let pulled = |took: &str| {
            let message = format!(
                "Successfully pulled image \"x\" in {took} ({took} including waiting). Image size: 1 \
                 bytes."
            );
            json!([{"t": 1, "kind": "event", "reason": "Pulled", "message": message}])
        };
        assert_eq!(found(pulled("5.742s"), pulled("5.743s")), []);
        let late = found(pulled("5.742s"), pulled("5.75s"));
        assert_eq!(late, [(Aspect::EventTimes, "time of event Pulled".to_owned())]);
    }

    #[test]
    fn of_statuses_at_one_instant_the_last_counts() {
        let two = json!([status(10, "Pending"), status(11, "Running")]);
        assert_eq!(found(two.clone(), json!([status(11, "Running")])), []);
        assert_ne!(found(two, json!([status(11, "Pending")])), []);
    }

    #[test]
    fn what_happens_at_the_very_end_is_not_compared() {
        let end = 600_000;
        assert_eq!(found(json!([stop(end, "a", 1)]), json!([])), []);
        assert_ne!(found(json!([stop(end - 1, "a", 1)]), json!([])), []);
    }

    #[test]
    fn calls_of_probes_are_not_compared_and_those_of_hooks_are() {
        let mut case = case();
        case.pod["spec"]["containers"][0]["lifecycle"] =
            json!({"preStop": {"exec": {"command": ["bye", "now"]}}});
        let asked = |message: &str| {
            let entry =
                with!(Entry { op: "ExecSync".into(), message: message.into(), ..Entry::default() });
            with!(Trace { entries: vec![entry], ..Trace::default() })
        };
        let none = Trace::default();
        assert_eq!(compare(&case, &asked("ready"), &none), []);
        assert_eq!(compare(&case, &asked("bye now"), &none).len(), 1);
    }
}

//! What the commands do that everybody writes into test pods.
//!
//! Understood are `true`, `false`, `:`, `echo`, `sleep N`, `exit N` and `exec` of these, alone or in
//! `sh -c`, behind each other with `;`, `&&`, `||` and new lines. Anything else is not, and the
//! container does what it does by default.

use std::time::Duration;

use podinit::scenario::{Instance, Stop};

/// How long a command takes that does nothing.
const A_MOMENT: Duration = Duration::from_millis(10);

/// What a container does that runs this command; `None` if the command is not understood.
pub(super) fn instance(argv: &[String]) -> Option<Instance> {
    let (first, rest) = argv.split_first()?;
    let run = match base_name(first) {
        "sh" | "bash" | "ash" | "dash" => {
            let (flags, script) = rest.split_first()?;
            let script = if flags == "-c" || flags == "-ec" || flags == "-ce" {
                script.first()?
            } else {
                return None;
            };
            shell(script, flags.contains('e'))?
        }
        _ => simple(&argv.iter().map(String::as_str).collect::<Vec<_>>())?,
    };
    let ends = run.lasts.map(|lasts| (lasts + A_MOMENT).into());
    // The first process of a container is not ended by a signal that it does not handle.
    let stop = Some(Stop { ignore: true, ..Stop::default() });
    Some(Instance { run_for: ends, exit_code: run.code, stop, ..Instance::default() })
}

/// One command: how long it lasts (`None`: for ever), and its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    lasts: Option<Duration>,
    code: i32,
    exits: bool,
}

impl Run {
    const fn ends(code: i32) -> Self {
        Self { lasts: Some(Duration::ZERO), code, exits: false }
    }
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn simple(argv: &[&str]) -> Option<Run> {
    let (first, rest) = argv.split_first()?;
    match (base_name(first), rest) {
        ("true" | ":", _) | ("echo", _) => Some(Run::ends(0)),
        ("false", _) => Some(Run::ends(1)),
        ("sleep", [length]) => Some(Run { lasts: sleep(length)?, ..Run::ends(0) }),
        ("exit", []) => Some(Run { exits: true, ..Run::ends(0) }),
        ("exit", [code]) => {
            let code = code.parse::<u8>().ok()?;
            Some(Run { exits: true, ..Run::ends(code.into()) })
        }
        ("exec", [_, ..]) => simple(rest).map(|run| Run { exits: true, ..run }),
        _ => None,
    }
}

/// `5`, `0.5`, `2m`, `inf`: `Some(None)` is for ever.
fn sleep(length: &str) -> Option<Option<Duration>> {
    if length == "inf" || length == "infinity" {
        return Some(None);
    }
    let (number, unit) = match length.strip_suffix(['s', 'm', 'h', 'd']) {
        Some(number) => (number, length.as_bytes().last().copied().unwrap_or(b's')),
        None => (length, b's'),
    };
    let seconds = match unit {
        b'm' => 60,
        b'h' => 3600,
        b'd' => 86_400,
        _ => 1,
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if number.is_empty() || number == "." || !is_number(whole) || !is_number(part) {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let nanos: u64 = format!("{part:0<9}").get(..9)?.parse().ok()?;
    let nanos = nanos.checked_mul(seconds)?;
    Some(Some(Duration::from_secs(whole.checked_mul(seconds)?) + Duration::from_nanos(nanos)))
}

/// A script: its commands one after the other.
fn shell(script: &str, mut ends_at_errors: bool) -> Option<Run> {
    if script.contains(['"', '\'', '$', '`', '|', '&', '>', '<', '(', ')', '{', '}', '\\', '#'])
        && !is_plain(script)
    {
        return None;
    }
    let mut whole = Run::ends(0);
    // What has to be so for the next command to run.
    let mut wanted: Option<bool> = None;
    for (command, separator) in split(script) {
        let argv: Vec<&str> = command.split_whitespace().collect();
        if argv.is_empty() {
            continue;
        }
        if argv == ["set", "-e"] {
            ends_at_errors = true;
        } else if wanted.is_none_or(|wanted| wanted == (whole.code == 0)) {
            let run = simple(&argv)?;
            whole.code = run.code;
            whole.lasts = match (whole.lasts, run.lasts) {
                (Some(before), Some(more)) => Some(before.saturating_add(more)),
                _ => None,
            };
            let fails = ends_at_errors && run.code != 0 && separator == Separator::Then;
            if run.exits || run.lasts.is_none() || fails {
                return Some(whole);
            }
        }
        wanted = match separator {
            Separator::Then => None,
            Separator::And => Some(true),
            Separator::Or => Some(false),
        };
    }
    Some(whole)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Separator {
    Then,
    And,
    Or,
}

/// The script has nothing that a shell would look at but separators and what `echo` says.
fn is_plain(script: &str) -> bool {
    let rest = script.replace("&&", ";").replace("||", ";");
    rest.split([';', '\n']).all(|command| {
        let echo = command.split_whitespace().next() == Some("echo");
        let special: &[char] = if echo {
            &['$', '`', '|', '&', '>', '<', '(', '\\']
        } else {
            &['"', '\'', '$', '`', '|', '&', '>', '<', '(', ')', '{', '}', '\\', '#']
        };
        !command.contains(special)
    })
}

fn split(script: &str) -> Vec<(&str, Separator)> {
    let mut parts = Vec::new();
    let mut rest = script;
    loop {
        let found = [
            ("&&", Separator::And),
            ("||", Separator::Or),
            (";", Separator::Then),
            ("\n", Separator::Then),
        ]
        .into_iter()
        .filter_map(|(text, separator)| Some((rest.find(text)?, text.len(), separator)))
        .min_by_key(|(position, ..)| *position);
        let Some((position, length, separator)) = found else { break };
        parts.push((&rest[..position], separator));
        rest = &rest[position + length..];
    }
    parts.push((rest, Separator::Then));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(argv: &[&str]) -> Option<(Option<u64>, i32)> {
        let argv: Vec<String> = argv.iter().map(ToString::to_string).collect();
        let instance = instance(&argv)?;
        let millis = |lasts: Duration| u64::try_from(lasts.as_millis()).unwrap();
        Some((instance.run_for.map(|lasts| millis(lasts.0)), instance.exit_code))
    }

    #[test]
    fn plain_commands() {
        assert_eq!(of(&["true"]), Some((Some(10), 0)));
        assert_eq!(of(&["/bin/false"]), Some((Some(10), 1)));
        assert_eq!(of(&["sleep", "5"]), Some((Some(5010), 0)));
        assert_eq!(of(&["sleep", "0.25"]), Some((Some(260), 0)));
        assert_eq!(of(&["sleep", "1.5m"]), Some((Some(90_010), 0)));
        assert_eq!(of(&["sleep", "infinity"]), Some((None, 0)));
        for unknown in [&["nginx"][..], &["sleep", "-1"], &["sleep", "."], &["sleep", "x"], &[]] {
            assert_eq!(of(unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn scripts() {
        let script = |script| of(&["sh", "-c", script]);
        assert_eq!(script("exit 42"), Some((Some(10), 42)));
        assert_eq!(script("sleep 3; exit 1"), Some((Some(3010), 1)));
        assert_eq!(script("sleep 1 && sleep 2 || exit 9"), Some((Some(3010), 0)));
        assert_eq!(script("false && sleep 60; exit 3"), Some((Some(10), 3)));
        assert_eq!(script("echo \"it's on\"\nsleep 1\nexec sleep inf"), Some((None, 0)));
        assert_eq!(script("false; true"), Some((Some(10), 0)));
        assert_eq!(script("set -e; false; true"), Some((Some(10), 1)));
        assert_eq!(of(&["/bin/bash", "-ec", "false; true"]), Some((Some(10), 1)));
        for unknown in ["while true; do sleep 1; done", "sleep $N", "exit 300", "sleep 1 & wait"] {
            assert_eq!(script(unknown), None, "{unknown}");
        }
    }
}

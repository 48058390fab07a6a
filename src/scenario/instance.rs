//! What the instances of a container do.

use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;

use serde_json::Value;
use smol_str::SmolStr;

use super::error::ScenarioError;
use super::read::{Path, object};
use crate::go_duration::GoDuration;
use crate::quantity::Quantity;

/// What a container does.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "a scenario is written out, field by field")]
pub struct ContainerScenario {
    /// The instances, in the order in which the runtime is asked to create them, also where that
    /// fails; the last one repeats. Without any, each runs until it is stopped.
    pub instances: Vec<Instance>,
}

object!(ContainerScenario { instances: "instances" });

impl ContainerScenario {
    /// What the instance does that comes after `earlier` others.
    pub fn instance(&self, earlier: usize) -> Instance {
        super::nth(&self.instances, earlier).cloned().unwrap_or_default()
    }
}

/// One instance of a container.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "a scenario is written out, field by field")]
pub struct Instance {
    /// How its creation goes; it takes 13 ms if nothing is said.
    pub create: Attempt,
    /// How its start goes; it takes 7 ms if nothing is said.
    pub start: Attempt,
    /// How long after its start it ends by itself. `None`: it runs until it is stopped.
    pub run_for: Option<GoDuration>,
    /// The exit code with which it ends by itself.
    pub exit_code: i32,
    /// Or the signal by which it ends: the exit code is 128 and the signal's number.
    pub signal: Option<i32>,
    /// Why it ended, in one word. `None`: Completed or Error, by the exit code.
    pub reason: Option<SmolStr>,
    /// What it leaves as its termination message.
    pub message: Option<SmolStr>,
    /// What it makes of SIGTERM. `None`: it ends after 3 ms, with exit code 143.
    pub stop: Option<Stop>,
    /// What it answers to exec commands, hooks and probes: the first that fits. Without one, the
    /// answer is good: exit code 0, HTTP status 200, SERVING.
    pub answers: Vec<Answer>,
    /// The memory in use, as the runtime's statistics tell it.
    pub memory: Option<Quantity>,
}

object!(Instance {
    create: "create",
    start: "start",
    run_for: "runFor",
    exit_code: "exitCode",
    signal: "signal",
    reason: "reason",
    message: "message",
    stop: "stop",
    answers: "answers",
    memory: "memory",
} check Instance::check);

impl Instance {
    fn check(&self, value: &Value, path: &Path<'_>) -> Result<(), ScenarioError> {
        exit_code(Some(self.exit_code), value, path)?;
        let Some(signal) = self.signal else { return Ok(()) };
        let path = Path::Field(path, "signal");
        if !value["exitCode"].is_null() {
            return Err(
                path.invalid(&value["signal"], "an instance ends with an exit code or by a signal")
            );
        }
        if !(1..=64).contains(&signal) {
            return Err(path.invalid(&value["signal"], "signals have the numbers 1 to 64"));
        }
        Ok(())
    }

    /// The exit code with which it ends by itself.
    pub fn exit_code(&self) -> i32 {
        self.signal.map_or(self.exit_code, |signal| signal.saturating_add(128))
    }

    /// What it answers to a command (or a request over the network, written `http :8080/path`,
    /// `tcp :8080` or `grpc :8080 service`) this long after its start.
    pub fn answer(&self, command: &str, since_start: Duration) -> Option<&Answer> {
        self.answers.iter().find(|answer| {
            command.starts_with(answer.command.as_str())
                && since_start >= answer.from.0
                && answer.until.is_none_or(|until| since_start < until.0)
        })
    }
}

/// Checks that a process can end with it.
pub(super) fn exit_code(
    code: Option<i32>,
    value: &Value,
    path: &Path<'_>,
) -> Result<(), ScenarioError> {
    if code.is_some_and(|code| !(0..=255).contains(&code)) {
        let path = Path::Field(path, "exitCode");
        return Err(path.invalid(&value["exitCode"], "exit codes are 0 to 255"));
    }
    Ok(())
}

/// One attempt at something: how long it takes, and whether it fails.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a scenario is written out, field by field")]
pub struct Attempt {
    /// How long it takes. `None`: as long as such a call takes by default.
    pub takes: Option<GoDuration>,
    /// What the runtime says if it fails.
    pub error: Option<SmolStr>,
}

object!(Attempt { takes: "takes", error: "error" });

/// What an instance makes of SIGTERM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a scenario is written out, field by field")]
pub struct Stop {
    /// How long after the signal it ends. `None`: 3 ms.
    pub after: Option<GoDuration>,
    /// The exit code with which it ends. `None`: 143.
    pub exit_code: Option<i32>,
    /// It does not end: only SIGKILL stops it.
    pub ignore: bool,
}

object!(Stop {
    after: "after",
    exit_code: "exitCode",
    ignore: "ignore",
} check Stop::check);

impl Stop {
    fn check(&self, value: &Value, path: &Path<'_>) -> Result<(), ScenarioError> {
        exit_code(self.exit_code, value, path)
    }
}

/// What an instance answers to a command, a hook or a probe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a scenario is written out, field by field")]
pub struct Answer {
    /// The beginning of the command, its words joined by spaces; of the network, the beginning of
    /// `http :8080/path`, `tcp :8080` or `grpc :8080 service`. Empty: any.
    pub command: SmolStr,
    /// It answers so from this time on, since the instance's start.
    pub from: GoDuration,
    /// And until this time. `None`: for good.
    pub until: Option<GoDuration>,
    /// The exit code. Over the network anything but 0 is a refusal, a status 500 or NOT_SERVING.
    pub exit_code: i32,
    /// The status over HTTP. `None`: 200 or 500, by the exit code.
    pub http_status: Option<u16>,
    /// How long it takes. `None`: 5 ms, over the network 2 ms.
    pub takes: Option<GoDuration>,
    /// What it prints.
    pub output: Option<SmolStr>,
    /// The call itself fails, with these words.
    pub error: Option<SmolStr>,
}

object!(Answer {
    command: "command",
    from: "from",
    until: "until",
    exit_code: "exitCode",
    http_status: "httpStatus",
    takes: "takes",
    output: "output",
    error: "error",
} check Answer::check);

impl Answer {
    fn check(&self, value: &Value, path: &Path<'_>) -> Result<(), ScenarioError> {
        exit_code(Some(self.exit_code), value, path)?;
        if self.http_status.is_some_and(|status| !(100..=999).contains(&status)) {
            let path = Path::Field(path, "httpStatus");
            return Err(path.invalid(&value["httpStatus"], "statuses are 100 to 999"));
        }
        if self.until.is_some_and(|until| until <= self.from) {
            let detail = format!("must be later than from, which is {}", self.from);
            return Err(Path::Field(path, "until").invalid(&value["until"], detail));
        }
        Ok(())
    }
}

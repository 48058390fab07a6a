//! What probes and hooks ask, and what an answer comes to.
//!
//! Source: `pkg/probe` and `prober.go` of the kubelet.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use crate::scenario::Answer;
use serde_json::Value;

/// How it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Exec,
    Http,
    Tcp,
    Grpc,
}

impl Way {
    /// The word of traces.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Exec => "exec",
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Grpc => "grpc",
        }
    }
}

/// A command, or a request over the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) way: Way,
    /// As scenarios name it: the joined command, `http :8080/path`, `tcp :8080`, `grpc :8080 name`.
    pub(super) line: String,
}

/// What an answer comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    Bad,
    /// It could not be asked: a probe is asked anew.
    Unanswered,
}

impl Question {
    /// What the handler of a probe or a hook asks; `None`: nothing, as a `sleep`.
    pub(super) fn of(handler: &Value, container: &Value) -> Option<Self> {
        let port = |port: &Value| match port {
            Value::String(name) => container["ports"]
                .as_array()
                .into_iter()
                .flatten()
                .find(|port| port["name"] == name.as_str())
                .map_or_else(|| "0".to_owned(), |port| port["containerPort"].to_string()),
            number => number.to_string(),
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (way, line) = if let Some(command) = handler["exec"]["command"].as_array() {
            (Way::Exec, command.iter().map(text).collect::<Vec<_>>().join(" "))
        } else if let Some(get) = handler["httpGet"].as_object() {
            let path = get.get("path").map(text).unwrap_or_default();
            let path = path.trim_start_matches('/');
            (Way::Http, format!("http :{}/{path}", port(get.get("port").unwrap_or(&Value::Null))))
        } else if let Some(socket) = handler["tcpSocket"].as_object() {
            (Way::Tcp, format!("tcp :{}", port(socket.get("port").unwrap_or(&Value::Null))))
        } else if let Some(grpc) = handler["grpc"].as_object() {
            let service = grpc.get("service").map(text).unwrap_or_default();
            (
                Way::Grpc,
                format!("grpc :{} {service}", port(grpc.get("port").unwrap_or(&Value::Null))),
            )
        } else {
            return None;
        };
        Some(Self { way, line })
    }

    /// How long the answer takes, and what it comes to. Without a limit it is waited for.
    pub(super) fn judge(&self, answer: &Answer, limit: Option<Duration>) -> (Duration, Verdict) {
        let usual = if self.way == Way::Exec { 5 } else { 2 };
        let takes = answer.takes.map_or(Duration::from_millis(usual), |takes| takes.0);
        if let Some(limit) = limit.filter(|limit| takes > *limit) {
            return (limit, Verdict::Bad);
        }
        let good = match self.way {
            Way::Exec if answer.error.is_some() => return (takes, Verdict::Unanswered),
            Way::Http => (200..400).contains(&http_status(answer)) && answer.error.is_none(),
            _ => answer.exit_code == 0 && answer.error.is_none(),
        };
        (takes, if good { Verdict::Good } else { Verdict::Bad })
    }

    /// What the kubelet says of an answer that is not good. `None`: nobody answered.
    pub(super) fn complaint(&self, answer: Option<&Answer>, host: &str) -> String {
        let port = self.line.split([':', '/', ' ']).nth(2).unwrap_or_default();
        let refused = || format!("dial tcp {host}:{port}: connect: connection refused");
        let output = answer.and_then(|answer| answer.output.as_deref()).unwrap_or_default();
        let error = answer.and_then(|answer| answer.error.clone());
        let path = self.line.split_once('/').map(|(_, path)| path).unwrap_or_default();
        let got = |error: &str| format!("Get \"http://{host}:{port}/{path}\": {error}");
        match (self.way, answer) {
            (Way::Exec, _) => output.to_owned(),
            (Way::Http, Some(answer)) if is_heard(answer) => {
                format!("HTTP probe failed with statuscode: {}", http_status(answer))
            }
            (Way::Http, _) => got(&error.map_or_else(refused, |error| error.to_string())),
            (Way::Tcp, _) => error.map_or_else(refused, |error| error.to_string()),
            (Way::Grpc, Some(_)) => error.map_or_else(
                || "service unhealthy (responded with \"NOT_SERVING\")".to_owned(),
                |error| error.to_string(),
            ),
            (Way::Grpc, None) => format!(
                "timeout: failed to connect service \"{host}:{port}\" within 1s: context deadline \
                 exceeded"
            ),
        }
    }

    /// The same for a hook, which is waited for without a limit. Over the network any answer will
    /// do.
    pub(super) fn judge_hook(&self, answer: &Answer) -> (Duration, Verdict) {
        match self.judge(answer, None) {
            (takes, _) if self.way == Way::Http && is_heard(answer) => (takes, Verdict::Good),
            judged => judged,
        }
    }
}

/// Whether an answer comes over HTTP at all, and not a refusal.
fn is_heard(answer: &Answer) -> bool {
    let says_something = answer.http_status.is_some() || answer.output.is_some();
    answer.error.is_none() && (answer.exit_code == 0 || says_something)
}

fn http_status(answer: &Answer) -> u16 {
    answer.http_status.unwrap_or(if answer.exit_code == 0 { 200 } else { 500 })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn handlers_are_named_as_scenarios_name_them() {
        let container = json!({"ports": [{"name": "web", "containerPort": 8080}]});
        let line = |handler| Question::of(&handler, &container).map(|question| question.line);
        for (handler, named) in [
            (json!({"exec": {"command": ["sh", "-c", "true"]}}), "sh -c true"),
            (json!({"httpGet": {"port": "web", "path": "/ready"}}), "http :8080/ready"),
            (json!({"httpGet": {"port": 80}}), "http :80/"),
            (json!({"tcpSocket": {"port": 80}}), "tcp :80"),
            (json!({"grpc": {"port": 80, "service": "x"}}), "grpc :80 x"),
        ] {
            assert_eq!(line(handler), Some(named.to_owned()));
        }
        assert_eq!(line(json!({"sleep": {"seconds": 3}})), None);
    }

    #[test]
    fn an_answer_that_takes_too_long_is_none() {
        let question = Question { way: Way::Exec, line: "true".into() };
        let slow = Answer { takes: Some(Duration::from_secs(3).into()), ..Answer::default() };
        let limit = Duration::from_secs(1);
        assert_eq!(question.judge(&slow, Some(limit)), (limit, Verdict::Bad));
        assert_eq!(question.judge(&slow, None), (Duration::from_secs(3), Verdict::Good));
    }

    #[test]
    fn complaints_are_the_kubelets() {
        let of = |line: &str, way| Question { way, line: line.into() };
        let bad = Answer { exit_code: 1, ..Answer::default() };
        let http = of("http :8001/x", Way::Http);
        assert_eq!(
            http.complaint(Some(&bad), "10.0.0.1"),
            "Get \"http://10.0.0.1:8001/x\": dial tcp 10.0.0.1:8001: connect: connection refused"
        );
        let status = Answer { http_status: Some(503), ..bad.clone() };
        let told = http.complaint(Some(&status), "10.0.0.1");
        assert_eq!(told, "HTTP probe failed with statuscode: 503");
        assert_eq!(
            of("tcp :8002", Way::Tcp).complaint(Some(&bad), "10.0.0.1"),
            "dial tcp 10.0.0.1:8002: connect: connection refused"
        );
        let grpc = of("grpc :8003 ", Way::Grpc);
        assert!(grpc.complaint(Some(&bad), "h").contains("NOT_SERVING"));
        assert!(grpc.complaint(None, "h").contains("\"h:8003\""));
    }
}

//! What probes and hooks ask of a container, and what its answers come to.

use std::time::Duration;

use k8s_openapi::api::core::v1;
use podinit::scenario::Answer;
use podinit::sim::node::question;
use serde::Serialize;

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// How long the answer took.
    pub(super) takes: Duration,
    /// What the kubelet complains of; `None`: the answer is good.
    pub(super) complaint: Option<String>,
}

/// A probe or a hook of a container that asks it something; `None`: it does not, as a `sleep`.
pub(super) fn line(handler: &impl Serialize, container: &v1::Container) -> Option<String> {
    let handler = serde_json::to_value(handler).ok()?;
    let container = serde_json::to_value(container).ok()?;
    question(&handler, &container)
}

/// Judges an answer (without one, it is good) as the kubelet does. `host`: the pod's address;
/// `limit`: how long the answer is waited for.
pub(super) fn judge(
    line: &str,
    answer: Option<&Answer>,
    host: &str,
    limit: Option<Duration>,
) -> Verdict {
    let usual = Answer::default();
    let answer = answer.unwrap_or(&usual);
    let (way, rest) = ["http", "tcp", "grpc"]
        .iter()
        .find_map(|way| Some((*way, line.strip_prefix(way)?.strip_prefix(" :")?)))
        .unwrap_or(("exec", line));
    let takes = answer
        .takes
        .map_or(Duration::from_millis(if way == "exec" { 5 } else { 2 }), |takes| takes.0);
    let (port, path) = rest.split_once(['/', ' ']).unwrap_or((rest, ""));
    let url = format!("http://{host}:{port}/{path}");
    if let Some(limit) = limit.filter(|limit| takes > *limit) {
        let complaint = match way {
            "exec" => format!("command timed out: {line:?} timed out after {}s", limit.as_secs()),
            "http" => format!(
                "Get \"{url}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
            ),
            "tcp" => format!("dial tcp {host}:{port}: i/o timeout"),
            _ => format!("timeout: health rpc did not complete within {}s", limit.as_secs()),
        };
        return Verdict { takes: limit, complaint: Some(complaint) };
    }
    let output = answer.output.as_deref().unwrap_or_default();
    let refused = format!("dial tcp {host}:{port}: connect: connection refused");
    let complaint = match (way, &answer.error) {
        ("exec", Some(error)) => Some(error.to_string()),
        ("http", Some(error)) => Some(format!("Get \"{url}\": {error}")),
        (_, Some(error)) => Some(error.to_string()),
        ("http", None) => {
            let status =
                answer.http_status.unwrap_or(if answer.exit_code == 0 { 200 } else { 500 });
            let heard = answer.http_status.is_some() || answer.exit_code == 0 || !output.is_empty();
            match status {
                _ if !heard => Some(format!("Get \"{url}\": {refused}")),
                200..400 => None,
                _ => Some(format!("HTTP probe failed with statuscode: {status}")),
            }
        }
        _ if answer.exit_code == 0 => None,
        ("exec", None) => Some(output.to_owned()),
        ("tcp", None) => Some(refused),
        _ => Some("service unhealthy (responded with \"NOT_SERVING\")".to_owned()),
    };
    Verdict { takes, complaint }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_judged_as_by_the_kubelet() {
        let bad = Answer { exit_code: 1, ..Answer::default() };
        let complaint =
            |line, answer: &Answer| judge(line, Some(answer), "10.0.0.1", None).complaint;
        assert_eq!(judge("http :80/x", None, "h", None).complaint, None);
        assert_eq!(
            complaint("http :80/x", &bad).unwrap(),
            "Get \"http://10.0.0.1:80/x\": dial tcp 10.0.0.1:80: connect: connection refused"
        );
        let unavailable = Answer { http_status: Some(503), ..bad.clone() };
        assert_eq!(
            complaint("http :80/x", &unavailable).unwrap(),
            "HTTP probe failed with statuscode: 503"
        );
        assert_eq!(
            complaint("tcp :81", &bad).unwrap(),
            "dial tcp 10.0.0.1:81: connect: connection refused"
        );
        assert!(complaint("grpc :82 web", &bad).unwrap().contains("NOT_SERVING"));
        let told = Answer { output: Some("no file".into()), ..bad };
        assert_eq!(complaint("cat /tmp/ready", &told).unwrap(), "no file");
    }

    #[test]
    fn an_answer_that_takes_too_long_is_not_good() {
        let slow = Answer { takes: Some(Duration::from_secs(3).into()), ..Answer::default() };
        let limit = Duration::from_secs(1);
        let verdict = judge("tcp :80", Some(&slow), "h", Some(limit));
        assert_eq!(verdict.takes, limit);
        assert_eq!(verdict.complaint.as_deref(), Some("dial tcp h:80: i/o timeout"));
        assert_eq!(judge("tcp :80", Some(&slow), "h", None).complaint, None);
    }
}

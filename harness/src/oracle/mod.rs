//! The oracle as a process that is asked.

mod error;
mod fields;
mod process;

use std::collections::VecDeque;
use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use podinit::KubernetesVersion;
use serde::Deserialize;
use serde_json::{Value, json};

pub use error::{OracleError, Refusal, RefusalKind};
use process::{Process, Silence};

/// The variable that names the oracle's program.
pub const PROGRAM_VARIABLE: &str = "PODINIT_ORACLE";

/// The real Kubernetes, asked over a line protocol.
///
/// The process is started when something is asked, and again after it has crashed or has gone
/// silent; only the request that was its end is lost then. It ends with this value.
#[derive(Debug)]
pub struct Oracle {
    program: PathBuf,
    jobs: usize,
    batch: usize,
    patience: Duration,
    process: Option<Process>,
}

/// What `oracle version` tells.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[non_exhaustive]
pub struct OracleVersion {
    /// Of the Kubernetes that answers, such as `v1.36.3`.
    pub kubernetes: String,
    /// Of the Go that it was built with.
    pub go: String,
    /// Of the protocol.
    pub protocol: u32,
}

/// The version of the protocol that is spoken here.
const PROTOCOL: u32 = 1;

impl Oracle {
    /// The oracle of a version: the program that [`PROGRAM_VARIABLE`] names, or the one that
    /// `oracle/build` makes.
    ///
    /// # Errors
    /// If it is not built, or is one of another version.
    pub fn find(kubernetes: KubernetesVersion) -> Result<Self, OracleError> {
        let minor = kubernetes.to_string();
        let program = match env::var_os(PROGRAM_VARIABLE) {
            Some(program) => PathBuf::from(program),
            None => {
                Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../oracle/bin/oracle-{minor}"))
            }
        };
        if !program.exists() {
            return Err(OracleError::NotBuilt { program, version: minor });
        }
        let oracle = Self::at(program);
        let found = oracle.version()?;
        if found.protocol != PROTOCOL
            || !found.kubernetes.trim_start_matches('v').starts_with(&format!("{minor}."))
        {
            return Err(OracleError::WrongVersion {
                program: oracle.program,
                found,
                wanted: minor,
            });
        }
        Ok(oracle)
    }

    /// The oracle that this program is.
    pub fn at(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            jobs: 1,
            batch: 1,
            patience: Duration::from_secs(120),
            process: None,
        }
    }

    /// So many child processes do the work.
    #[must_use]
    pub fn with_jobs(mut self, jobs: usize) -> Self {
        self.jobs = jobs.max(1);
        self
    }

    /// So many lives share one kubelet: faster, and less certain, for pods on one node disturb each
    /// other in small ways.
    #[must_use]
    pub fn with_batch(mut self, batch: usize) -> Self {
        self.batch = batch.max(1);
        self
    }

    /// How long it may be silent.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Which Kubernetes answers.
    ///
    /// # Errors
    /// If the program does not run, or tells something else.
    pub fn version(&self) -> Result<OracleVersion, OracleError> {
        let text = process::output(&self.program, &["version"])?;
        serde_json::from_str(&text).map_err(|_| OracleError::NotUnderstood { line: text })
    }

    /// The families that it answers.
    ///
    /// # Errors
    /// If the program does not run.
    pub fn families(&self) -> Result<Vec<String>, OracleError> {
        let text = process::output(&self.program, &["families"])?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Asks one question: an object with the fields of the family.
    ///
    /// # Errors
    /// If it is refused, or the process ends or goes silent over it.
    pub fn ask(&mut self, family: &str, request: &Value) -> Result<Value, OracleError> {
        let mut answers = self.ask_all(family, core::slice::from_ref(request), &mut || ())?;
        answers.pop().unwrap_or_else(|| Err(OracleError::NotUnderstood { line: String::new() }))
    }

    /// Asks many questions. The answers come in their order; each fails on its own. `answered` is
    /// called after each.
    ///
    /// # Errors
    /// If the process cannot be started.
    pub fn ask_all(
        &mut self,
        family: &str,
        requests: &[Value],
        answered: &mut dyn FnMut(),
    ) -> Result<Vec<Result<Value, OracleError>>, OracleError> {
        let lines = requests.iter().enumerate().map(|(id, request)| line(family, id, request));
        let mut waiting: VecDeque<String> = lines.collect();
        let mut answers = Vec::with_capacity(requests.len());
        while !waiting.is_empty() {
            let mut process = match self.process.take() {
                Some(process) => process,
                None => Process::start(&self.program, self.jobs, self.batch)?,
            };
            let silence = process.exchange(&mut waiting, self.patience, &mut |reply| {
                let answer = read(reply, answers.len());
                let understood = !matches!(answer, Err(OracleError::NotUnderstood { .. }));
                if understood {
                    answered();
                    answers.push(answer);
                }
                understood
            });
            let Some(silence) = silence else {
                self.process = Some(process);
                continue;
            };
            // Whoever was first in the queue was the end of it; the others are asked once more.
            let said = process.end();
            let Some(case) = waiting.pop_front() else { continue };
            answered();
            answers.push(Err(match silence {
                Silence::Ended => OracleError::Crashed { case, said },
                Silence::TimedOut => OracleError::Silent { case, seconds: self.patience.as_secs() },
                Silence::Nonsense(line) => OracleError::NotUnderstood { line },
            }));
        }
        Ok(answers)
    }

    /// The same, of questions that another Kubernetes version may have been meant for: fields that
    /// this one does not know are taken out of `requests`, and these are asked again.
    ///
    /// # Errors
    /// If the process cannot be started.
    pub fn ask_known(
        &mut self,
        family: &str,
        requests: &mut [Value],
        answered: &mut dyn FnMut(),
    ) -> Result<Vec<Result<Value, OracleError>>, OracleError> {
        let mut answers = self.ask_all(family, requests, answered)?;
        loop {
            let mut again = Vec::new();
            for (index, answer) in answers.iter().enumerate() {
                let Err(error @ OracleError::Refused(_)) = answer else { continue };
                if let Some(rest) = fields::without_unknown(&requests[index], &error.to_string()) {
                    requests[index] = rest;
                    again.push(index);
                }
            }
            if again.is_empty() {
                return Ok(answers);
            }
            let questions: Vec<Value> =
                again.iter().map(|index| requests[*index].clone()).collect();
            let second = self.ask_all(family, &questions, &mut || ())?;
            for (index, answer) in again.into_iter().zip(second) {
                answers[index] = answer;
            }
        }
    }
}

/// A request as a line.
fn line(family: &str, id: usize, request: &Value) -> String {
    let mut object = request.as_object().cloned().unwrap_or_default();
    object.insert("id".to_owned(), json!(id));
    object.insert("family".to_owned(), json!(family));
    Value::Object(object).to_string()
}

/// The answer in a reply, if it is the one to this request.
fn read(reply: &str, id: usize) -> Result<Value, OracleError> {
    #[derive(Deserialize)]
    struct Reply {
        id: usize,
        answer: Option<Value>,
        error: Option<Refusal>,
    }
    match serde_json::from_str(reply) {
        Ok(Reply { id: of, answer: Some(answer), error: None }) if of == id => Ok(answer),
        Ok(Reply { id: of, answer: None, error: Some(refusal) }) if of == id => {
            Err(OracleError::Refused(refusal))
        }
        _ => Err(OracleError::NotUnderstood { line: reply.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read_and_those_to_other_requests_are_not_understood() {
        assert_eq!(read(r#"{"id":3,"answer":{"sign":1}}"#, 3).unwrap(), json!({"sign": 1}));
        let refused = read(r#"{"id":3,"line":4,"error":{"kind":"refused","message":"no"}}"#, 3);
        assert_eq!(refused.unwrap_err().to_string(), "refused: no");
        for line in [r#"{"id":2,"answer":{}}"#, r#"{"id":3}"#, "crash", ""] {
            let error = read(line, 3).unwrap_err();
            assert!(matches!(error, OracleError::NotUnderstood { .. }), "{line}");
        }
    }

    #[test]
    fn an_oracle_that_is_not_there_says_how_to_build_it() {
        let error =
            OracleError::NotBuilt { program: "bin/oracle-1.36".into(), version: "1.36".into() };
        assert!(error.to_string().contains("oracle/build 1.36"), "{error}");
    }
}

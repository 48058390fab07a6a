//! The families of single functions: quantities, resources, accounts of nodes, what kubectl prints,
//! defaults, manifests, updates.
//!
//! A family draws questions from a seed; the oracle answers them, and so does this crate
//! ([`conformance`](crate::conformance)). A question on which the two differ is cut down with the
//! oracle as the judge.

mod cases;
mod json;

use std::collections::BTreeSet;
use std::fmt::Write;

use podinit::KubernetesVersion;
use serde_json::{Value, json};

use crate::conformance::{self, Answer, BadCase, Difference, NO_ANSWER, differences};
use crate::draw;
use crate::family::{DiffError, Family, Run, Score};
use crate::oracle::OracleError;
use crate::shrink::shrink;
use json::Json;

/// So many cases are tried to make one smaller.
const TRIES: usize = 3000;

/// What a family's questions are drawn from.
type Strategy = fn() -> Json;

/// A family of single functions.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// How both answers are compared.
    family: &'static conformance::Family,
    strategy: Strategy,
    /// There are few questions, so that each is asked once.
    few: bool,
}

/// All of them, in the order in which they build on each other.
pub fn functions() -> impl Iterator<Item = Function> {
    let all: [(&str, Strategy); 14] = [
        ("quantity", cases::quantities),
        ("resources", cases::resources),
        ("podrequests", cases::pod_requests),
        ("accounting", cases::accounted),
        ("get", cases::printed),
        ("describe", cases::described),
        ("events", cases::event_table),
        ("durations", cases::duration),
        ("backoff", cases::back_off),
        ("defaults", cases::defaulted),
        ("created", cases::created),
        ("read", cases::manifest),
        ("update", cases::updated),
        ("fields", cases::typed_kinds),
    ];
    all.into_iter().filter_map(|(name, strategy)| {
        Some(Function { family: conformance::family(name)?, strategy, few: name == "fields" })
    })
}

/// What came of one question.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Both answers are equal.
    Equal,
    /// They differ here.
    Different(Vec<Difference>),
    /// The oracle has no answer: Kubernetes itself panics or never comes back.
    NoAnswer(String),
}

impl Verdict {
    /// In which way the answers differ, see [`kind`].
    pub fn kind(&self) -> Option<String> {
        match self {
            Self::Different(differences) => Some(kind(differences)),
            _ => None,
        }
    }
}

/// In which way two answers differ: the place of the first difference, without numbers, or why there
/// is no answer here.
pub fn kind(differences: &[Difference]) -> String {
    let Some(first) = differences.first() else { return String::new() };
    if let Some(why) = first.got.as_ref().and_then(|got| got.get(NO_ANSWER)) {
        return format!("no answer here: {}", why.as_str().unwrap_or_default());
    }
    match &*first.path {
        "" => "all".to_owned(),
        path => path.chars().filter(|c| !c.is_ascii_digit()).collect(),
    }
}

impl Function {
    /// The family of this name.
    pub fn named(name: &str) -> Option<Self> {
        functions().find(|function| function.family.name == name)
    }

    /// So many questions, always the same ones of a seed.
    pub fn questions(&self, seed: u64, count: usize) -> Vec<Value> {
        let strategy = (self.strategy)();
        let question = |number| draw::draw(&strategy, seed, self.family.name, number);
        let mut questions: Vec<Value> = (0..count).filter_map(question).collect();
        if self.few {
            let mut asked = BTreeSet::new();
            questions.retain(|question| asked.insert(question.to_string()));
        }
        questions
    }

    /// Compares the oracle's answer to a question with this crate's.
    pub fn verdict(
        &self,
        question: &Value,
        answer: Result<Value, OracleError>,
        kubernetes: KubernetesVersion,
    ) -> Verdict {
        match answer {
            Ok(answer) => match (self.family.replay)(&case(question, answer, kubernetes)) {
                Ok(Answer { expected, got }) => match differences(&expected, &got) {
                    none if none.is_empty() => Verdict::Equal,
                    some => Verdict::Different(some),
                },
                Err(BadCase(why)) => Verdict::Different(vec![Difference {
                    path: String::new(),
                    expected: None,
                    got: Some(json!({ NO_ANSWER: why })),
                }]),
            },
            Err(error) => Verdict::NoAnswer(error.to_string()),
        }
    }

    /// A smaller question on which the answers differ in the same way.
    fn smallest(&self, question: Value, kind: &str, run: &mut Run<'_>) -> Result<Value, DiffError> {
        let kubernetes = run.options.kubernetes;
        shrink(question, TRIES, |questions| {
            let answers = run.oracle.ask_all(self.family.name, questions, &mut || ())?;
            let verdicts = questions
                .iter()
                .zip(answers)
                .map(|(question, answer)| self.verdict(question, answer, kubernetes));
            Ok(verdicts.map(|verdict| verdict.kind().as_deref() == Some(kind)).collect())
        })
    }

    /// What is printed of a question on which the answers differ.
    fn shown(
        &self,
        number: usize,
        question: Value,
        verdict: Verdict,
        run: &mut Run<'_>,
    ) -> Result<String, DiffError> {
        let mut text = format!("{} {number}:", self.family.name);
        let (question, verdict) = match verdict.kind() {
            Some(kind) => {
                let smallest = self.smallest(question, &kind, run)?;
                let answer = run.oracle.ask(self.family.name, &smallest);
                let verdict = self.verdict(&smallest, answer, run.options.kubernetes);
                (smallest, verdict)
            }
            None => (question, verdict),
        };
        // Writing to a String cannot fail.
        let _ = match question.get("text").and_then(Value::as_str) {
            Some(manifest) => write!(text, "\n{}", indented(manifest)),
            None => write!(text, " {question}"),
        };
        match verdict {
            Verdict::Equal => {}
            Verdict::NoAnswer(why) => drop(write!(text, "\n  Kubernetes has no answer: {why}")),
            Verdict::Different(differences) => {
                let side = |value: &Option<Value>| {
                    value.as_ref().map_or_else(|| "(absent)".to_owned(), ToString::to_string)
                };
                for difference in differences.iter().take(5) {
                    let _ = write!(
                        text,
                        "\n  {}\n    Kubernetes {}\n    podinit    {}",
                        difference.path,
                        side(&difference.expected),
                        side(&difference.got)
                    );
                }
            }
        }
        Ok(text)
    }
}

/// A question with its answer, as [`conformance`] replays it.
pub fn case(question: &Value, answer: Value, kubernetes: KubernetesVersion) -> Value {
    let mut case = question.clone();
    case["answer"] = answer;
    case["kubernetes"] = kubernetes.to_string().into();
    case
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    | {line}")).collect::<Vec<_>>().join("\n")
}

impl Family for Function {
    fn name(&self) -> &'static str {
        self.family.name
    }

    fn compare(&self, run: &mut Run<'_>) -> Result<Vec<Score>, DiffError> {
        let kubernetes = run.options.kubernetes;
        let mut questions = self.questions(run.options.seed, run.options.cases);
        run.progress.begin(self.family.name, questions.len());
        let answers =
            run.oracle.ask_known(self.family.name, &mut questions, &mut || run.progress.step())?;
        let mut kinds: Vec<(String, usize)> = Vec::new();
        let mut equal = 0;
        let mut shown = 0;
        for (index, (question, answer)) in questions.iter().zip(answers).enumerate() {
            let verdict = self.verdict(question, answer, kubernetes);
            if verdict == Verdict::Equal {
                equal += 1;
                continue;
            }
            let kind = verdict.kind().unwrap_or_else(|| "no answer from Kubernetes".to_owned());
            let known = kinds.iter().position(|(known, _)| *known == kind);
            match known {
                Some(known) => kinds[known].1 += 1,
                None => kinds.push((kind, 1)),
            }
            // One of each kind.
            if known.is_none() && shown < run.options.show {
                shown += 1;
                let text = self.shown(index + 1, question.clone(), verdict, run)?;
                run.progress.print(&text)?;
            }
        }
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let different = kinds.iter().map(|(kind, count)| format!("differs in {kind}: {count}"));
        let left_out = self.family.left_out.iter().map(|field| format!("left out: {field}"));
        let notes = different.chain(left_out).collect();
        let asked = questions.len();
        Ok(vec![Score { name: self.family.name.to_owned(), equal, asked, notes }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_questions_each_time_and_another_one_others() {
        for function in functions() {
            let questions = function.questions(7, 10);
            assert_eq!(questions, function.questions(7, 10), "{}", function.name());
            assert_ne!(questions, function.questions(8, 10), "{}", function.name());
        }
    }

    #[test]
    fn an_equal_answer_is_equal_and_a_wrong_one_is_shown_with_its_place() {
        let quantity = Function::named("quantity").unwrap();
        let question = json!({"input": "1500m"});
        let answer = json!({"canonical": "1500m", "value": "2", "milliValue": "1500", "sign": 1,
            "format": "DecimalSI"});
        let version = KubernetesVersion::default();
        assert_eq!(quantity.verdict(&question, Ok(answer.clone()), version), Verdict::Equal);
        let mut wrong = answer;
        wrong["value"] = "1".into();
        let verdict = quantity.verdict(&question, Ok(wrong), version);
        assert_eq!(verdict.kind().as_deref(), Some("value"));
    }
}

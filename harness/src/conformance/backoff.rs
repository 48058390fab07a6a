//! Family `backoff`: client-go's back-off with the expiry of the kubelet.

use std::time::Duration;

use podinit::Timestamp;
use podinit::backoff::{BackOff, BackOffSettings};
use serde::Deserialize;
use serde_json::{Value, json};

use super::case::{field, flat};
use super::{Answer, BadCase};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    #[serde(default)]
    now_ms: i64,
    #[serde(default)]
    finished_at_ms: i64,
    #[serde(default)]
    gc_after: bool,
}

pub fn replay(case: &Value) -> Result<Answer, BadCase> {
    let case = &flat(case);
    let mut back_off = BackOff::new(BackOffSettings {
        initial: Duration::from_millis(field(case, "initialMs")?),
        max: Duration::from_millis(field(case, "maxMs")?),
        expires_after: Duration::from_secs(600),
    });
    let mut got = Vec::new();
    for step in case["steps"].as_array().into_iter().flatten() {
        let Step { now_ms, finished_at_ms, gc_after } = Step::deserialize(step)?;
        let now = Timestamp::from_millis(now_ms);
        let finished_at = Timestamp::from_millis(finished_at_ms);
        let mut answer =
            json!({"nowMs": now_ms, "finishedAtMs": finished_at_ms, "gcAfter": gc_after});
        match back_off.in_back_off_since(&(), finished_at, now) {
            Some(delay) => {
                answer["inBackOff"] = true.into();
                answer["delayMs"] = millis(delay);
            }
            None => answer["nextDelayMs"] = millis(back_off.advance((), finished_at, now)),
        }
        if gc_after {
            back_off.collect_garbage(now);
        }
        got.push(answer);
    }
    Ok(Answer { expected: case["steps"].clone(), got: got.into() })
}

fn millis(delay: Duration) -> Value {
    u64::try_from(delay.as_millis()).unwrap_or(u64::MAX).into()
}

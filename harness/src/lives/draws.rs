//! What the kubelet left to chance, as the oracle drew it.

use std::time::Duration;

use podinit::sim::node::Moment;
use podinit::sim::node::{Draws, Kind, Trace, Usual};

/// The random numbers of a life, read from the oracle's trace, so that the other side draws the
/// same: the jitter of the work queue, and the moments in the period at which probes begin.
#[derive(Clone, Debug, Default)]
pub struct Drawn {
    /// When the work queue was asked, and for how long.
    again: Vec<(Moment, Duration)>,
    /// The probes that were run.
    probes: Vec<Probed>,
    /// When pods were begun to be stopped.
    stops: Vec<Moment>,
    /// Moments between milliseconds: only a random number brings them about.
    odd: Vec<(Moment, u32)>,
}

/// A probe that was run.
#[derive(Clone, Debug)]
struct Probed {
    at: Moment,
    container: String,
    attempt: Option<u32>,
    command: String,
    kubelet: u32,
}

/// So soon after a probe things come of it.
const EXPLAINED: Duration = Duration::from_millis(50);
/// How far a draw may lie from the moment at which it is asked for.
const NEAR: Duration = Duration::from_micros(1500);

impl Drawn {
    /// The draws of a life.
    pub fn of(trace: &Trace) -> Self {
        let mut draws = Self::default();
        for entry in &trace.entries {
            if entry.t.as_micros() % 1000 != 0 {
                draws.odd.push((entry.t, entry.kubelet.unwrap_or(1)));
            }
            match (entry.kind, entry.op.as_str()) {
                (Kind::Queue, _) => draws.again.extend(entry.after().map(|after| (entry.t, after))),
                (Kind::Call, "ExecSync") | (Kind::Probe, _) if !entry.is_outcome() => {
                    draws.probes.push(Probed {
                        at: entry.t,
                        container: entry.container.clone(),
                        attempt: entry.attempt,
                        command: entry.message.clone(),
                        kubelet: entry.kubelet.unwrap_or(1),
                    });
                }
                (Kind::Call, "StopContainer" | "StopPodSandbox") => draws.stops.push(entry.t),
                _ => {}
            }
        }
        draws
    }

    /// When a probe was first run by a kubelet.
    fn first_probe(&self, container: &str, command: &str, kubelet: u32) -> Option<Moment> {
        let same = |probe: &&Probed| {
            probe.container == container && probe.command == command && probe.kubelet == kubelet
        };
        self.probes.iter().find(same).map(|probe| probe.at)
    }

    /// When a probe worker had its first turn that asked nobody, as far as it shows: something came
    /// of it that no other probe explains.
    fn silent_turn(&self, after: Moment, until: Moment, kubelet: u32) -> Option<Moment> {
        let explained = |at: Moment| {
            let mut probes = self.probes.iter().filter(|probe| probe.kubelet == kubelet);
            probes.any(|probe| probe.at <= at && at.since(probe.at) < EXPLAINED)
        };
        let turn = |(at, of): &&(Moment, u32)| {
            *of == kubelet && *at > after && *at <= until && !explained(*at)
        };
        self.odd.iter().find(turn).map(|(at, _)| *at)
    }
}

impl Draws for Drawn {
    fn jittered(&self, delay: Duration, now: Moment) -> Duration {
        let longest = delay + delay / 2 + NEAR;
        let fits = |(at, after): &&(Moment, Duration)| {
            at.distance(now) <= NEAR && *after + NEAR >= delay && *after <= longest
        };
        let drawn = self.again.iter().find(fits).map(|(_, after)| *after);
        drawn.unwrap_or_else(|| Usual.jittered(delay, now))
    }

    fn first_turn(
        &self,
        container: &str,
        question: &str,
        kubelet: u32,
        now: Moment,
        period: Duration,
    ) -> Option<Moment> {
        let asked = self.first_probe(container, question, kubelet);
        asked.or_else(|| self.silent_turn(now, now + period, kubelet))
    }

    fn probes_first(&self, container: &str, attempt: u32, question: &str, now: Moment) -> bool {
        self.probes.iter().any(|probe| {
            let same = probe.container == container && probe.attempt == Some(attempt);
            same && probe.at == now && probe.command == question
        })
    }

    fn stops_at_once(&self, now: Moment) -> bool {
        self.stops.contains(&now)
    }
}

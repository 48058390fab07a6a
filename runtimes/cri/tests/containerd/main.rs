//! Runs pods on a containerd that this program starts, and compares what they show with what the
//! simulation says. Needs root, containerd, runc and a static busybox; `runtimes/ci` gets them.
#![allow(clippy::disallowed_methods, reason = "real containers take real time")]

mod agent;
mod node;
mod scenarios;

use std::fmt::Debug;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use node::Node;
use scenarios::Named;

/// What was looked for, or why it is otherwise.
type Checked<T> = Result<T, String>;

/// So many pods run at a time.
const SIDE_BY_SIDE: usize = 7;

fn check<T: PartialEq + Debug>(what: &str, found: T, wanted: T) -> Checked<()> {
    if found == wanted { Ok(()) } else { Err(format!("{what}: {found:?}, not {wanted:?}")) }
}

fn wait<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> Checked<T> {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if began.elapsed() > limit {
            return Err(format!("waited {limit:?} for {what}"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs scenarios, so many at a time, and counts those that fail.
fn run(node: &Node, scenarios: &[&Named], at_a_time: usize) -> usize {
    let (next, failed, print) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(()));
    std::thread::scope(|scope| {
        for _ in 0..at_a_time {
            scope.spawn(|| {
                while let Some((name, scenario)) =
                    scenarios.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let began = Instant::now();
                    let ended = scenario(node);
                    let _print = print.lock();
                    let took = began.elapsed().as_secs();
                    match ended {
                        Ok(()) => println!("ok      {name} ({took}s)"),
                        Err(why) => {
                            println!("FAILED  {name} ({took}s): {why}");
                            failed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    failed.into_inner()
}

fn main() -> ExitCode {
    let filter = std::env::args().nth(1).unwrap_or_default();
    let node = match Node::start() {
        Ok(node) => node,
        Err(why) => {
            println!("FAILED  no containerd: {why}");
            return ExitCode::FAILURE;
        }
    };
    let chosen = |scenarios: &'static [Named]| -> Vec<&'static Named> {
        scenarios.iter().filter(|(name, _)| name.contains(&filter)).collect()
    };
    let mut failed = run(&node, &chosen(scenarios::SIDE_BY_SIDE), SIDE_BY_SIDE);
    failed += run(&node, &chosen(scenarios::ALONE), 1);
    match node.leaks() {
        Ok(leaks) if leaks.is_empty() => println!("ok      nothing is left behind"),
        Ok(leaks) => {
            println!("FAILED  left behind: {leaks:#?}");
            failed += 1;
        }
        Err(why) => {
            println!("FAILED  to look at what is left behind: {why}");
            failed += 1;
        }
    }
    drop(node);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

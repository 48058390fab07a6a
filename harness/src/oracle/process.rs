//! The process behind the oracle.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::OracleError;

/// Why no more answers come.
pub(super) enum Silence {
    /// The process ended.
    Ended,
    /// It took too long.
    TimedOut,
    /// It wrote a line that was not understood.
    Nonsense(String),
}

/// A running `oracle serve`.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    replies: Receiver<String>,
    errors: Option<JoinHandle<String>>,
}

/// So much is kept of what it writes to standard error.
const KEPT: usize = 4096;

impl Process {
    pub(super) fn start(program: &Path, jobs: usize, batch: usize) -> Result<Self, OracleError> {
        let jobs = jobs.to_string();
        let batch = batch.to_string();
        let failed = |source| OracleError::NotStarted { program: program.to_owned(), source };
        let mut child = Command::new(program)
            .args(["serve", "--batch", &batch, "--jobs", &jobs])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (Some(input), Some(output), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(failed(io::Error::other("it has no standard streams")));
        };
        let (sender, replies) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let Ok(line) = line else { break };
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let errors = thread::spawn(move || last_words(errors));
        Ok(Self { child, input: Some(input), replies, errors: Some(errors) })
    }

    /// Writes all that waits, and takes each reply; `take` says whether it was understood. What was
    /// answered no longer waits.
    pub(super) fn exchange(
        &mut self,
        waiting: &mut VecDeque<String>,
        patience: Duration,
        take: &mut dyn FnMut(&str) -> bool,
    ) -> Option<Silence> {
        let mut text = String::new();
        for line in waiting.iter() {
            text.push_str(line);
            text.push('\n');
        }
        // A blank line: a batch that is not full begins, too.
        text.push('\n');
        let Some(input) = &mut self.input else { return Some(Silence::Ended) };
        let (replies, child) = (&self.replies, &mut self.child);
        thread::scope(|scope| {
            // Written on the side: a process whose replies nobody reads would not read on. One that
            // is gone makes the writing fail, which shows as missing replies.
            scope.spawn(move || input.write_all(text.as_bytes()).and_then(|()| input.flush()));
            while !waiting.is_empty() {
                let silence = match replies.recv_timeout(patience) {
                    Ok(reply) if take(&reply) => {
                        waiting.pop_front();
                        continue;
                    }
                    Ok(reply) => Silence::Nonsense(reply),
                    Err(RecvTimeoutError::Timeout) => Silence::TimedOut,
                    Err(RecvTimeoutError::Disconnected) => Silence::Ended,
                };
                // Frees the writer, if it is stuck.
                let _ = child.kill();
                return Some(silence);
            }
            None
        })
    }

    /// Ends the process; tells the last that it wrote to standard error.
    pub(super) fn end(mut self) -> String {
        self.stop();
        let said = self.errors.take().and_then(|errors| errors.join().ok());
        said.unwrap_or_default().trim().to_owned()
    }

    fn stop(&mut self) {
        self.input = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

fn last_words(mut errors: impl Read) -> String {
    let mut kept = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = errors.read(&mut buffer) {
        kept.extend_from_slice(&buffer[..read]);
        let cut = kept.len().saturating_sub(KEPT);
        kept.drain(..cut);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// What the program prints for these arguments.
pub(super) fn output(program: &Path, arguments: &[&str]) -> Result<String, OracleError> {
    let failed = |source| OracleError::NotStarted { program: PathBuf::from(program), source };
    let output = Command::new(program).args(arguments).output().map_err(failed)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(failed(io::Error::other(format!("{}: {said}", output.status))));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

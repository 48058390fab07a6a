//! The command `podinit`: simulates, compares, diagnoses and validates the start-up of pods.
//!
//! Every subcommand reads manifests as `kubectl` does, takes `-` for standard input, and exits with 0
//! if it did as asked, 1 if it found something, and 2 if it was used wrongly or could not read or write.

#![forbid(unsafe_code)]

mod check_trace;
mod compare;
mod diagnose;
mod explain;
mod failure;
mod fleet;
mod input;
mod output;
mod picture;
mod rules;
mod script;
mod simulate;
mod validate;
mod versions;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use failure::Failure;
use output::Out;

/// What a command came to, where nothing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing was found.
    Fine,
    /// Something was found: exit status 1.
    Findings,
}

/// Simulates, compares, diagnoses and validates the start-up of Kubernetes pods, exactly as the
/// kubelet does it.
#[derive(Debug, Parser)]
#[command(name = "podinit", version, propagate_version = true, disable_help_subcommand = true)]
struct Cli {
    /// Whether to colour the output.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: clap::ColorChoice,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the pods of a manifest on a virtual clock, and show what happens and why.
    Simulate(Box<simulate::Options>),
    /// Show two versions, two sets of gates or two manifests side by side.
    Compare(Box<compare::Options>),
    /// Say what a live pod waits for, until when, and what the kubelet does next.
    Diagnose(diagnose::Options),
    /// Say what the API server would refuse, and what people regret.
    Validate(validate::Options),
    /// Run very many pods, and show how long their start-ups take and what they reserve.
    Fleet(Box<fleet::Options>),
    /// Say what a pod reserves, its QoS class, its cgroup and its OOM scores, and why.
    Explain(explain::Options),
    /// Say whether a kubelet could have written the statuses of a pod that were watched.
    CheckTrace(check_trace::Options),
    /// List what changed between two versions of Kubernetes, with gates and known bugs.
    Versions(versions::Options),
    /// Print completions for a shell.
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
    /// Print the man page, or that of a subcommand.
    Man {
        /// Of which subcommand.
        subcommand: Option<String>,
    },
}

/// Runs the command that the arguments of the process ask for.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return failure::usage(&error),
    };
    let mut out = Out::new(cli.color);
    let ran = run(cli.command, &mut out).and_then(|verdict| {
        out.finish()?;
        Ok(verdict)
    });
    match ran {
        Ok(Verdict::Fine) => ExitCode::SUCCESS,
        Ok(Verdict::Findings) => ExitCode::FAILURE,
        Err(failure) => failure.report(),
    }
}

fn run(command: Command, out: &mut Out) -> Result<Verdict, Failure> {
    match command {
        Command::Simulate(options) => simulate::run(&options, out),
        Command::Compare(options) => compare::run(&options, out),
        Command::Diagnose(options) => diagnose::run(&options, out),
        Command::Validate(options) => validate::run(&options, out),
        Command::Fleet(options) => fleet::run(&options, out),
        Command::Explain(options) => explain::run(&options, out),
        Command::CheckTrace(options) => check_trace::run(&options, out),
        Command::Versions(options) => versions::run(&options, out),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "podinit", &mut script);
            out.bytes(&script)?;
            Ok(Verdict::Fine)
        }
        Command::Man { subcommand } => {
            out.bytes(&man(subcommand.as_deref())?)?;
            Ok(Verdict::Fine)
        }
    }
}

/// The man page of the command, or of one of its subcommands.
fn man(subcommand: Option<&str>) -> Result<Vec<u8>, Failure> {
    let mut command = Cli::command();
    command.build();
    let command = match subcommand {
        None => command,
        Some(name) => {
            let found = command.find_subcommand(name).cloned();
            found.ok_or_else(|| Failure::Usage(format!("there is no subcommand {name:?}")))?
        }
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).map_err(Failure::Output)?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_subcommand_has_a_man_page() {
        for subcommand in Cli::command().get_subcommands() {
            assert!(!man(Some(subcommand.get_name())).unwrap().is_empty());
        }
        assert!(matches!(man(Some("simulat")), Err(Failure::Usage(_))));
    }
}

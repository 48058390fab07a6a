//! Why a command could not do what it was asked for.

use std::io;
use std::process::ExitCode;

/// Why a command ended early. Each is one line on standard error and exit status 2.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The arguments do not go together, or name what there is not.
    #[error("{0}")]
    Usage(String),
    /// Something could not be read, or is not what it should be. The text names the file.
    #[error("{0}")]
    Input(String),
    /// The output could not be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// Says it, and gives the exit status.
    pub fn report(&self) -> ExitCode {
        if let Self::Output(error) = self
            && error.kind() == io::ErrorKind::BrokenPipe
        {
            // Whoever closed the pipe has read enough.
            return ExitCode::SUCCESS;
        }
        anstream::eprintln!("podinit: {self}");
        ExitCode::from(2)
    }
}

/// What clap has to say: help and versions as they are, a mistake in one line with its suggestion.
pub fn usage(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind;
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        return match error.print() {
            Ok(()) if error.use_stderr() => ExitCode::from(2),
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => Failure::Output(error).report(),
        };
    }
    let text = error.to_string();
    let parts: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .filter(|line| !line.is_empty())
        .map(|line| line.trim_start_matches("error: ").trim_start_matches("tip: "))
        .collect();
    anstream::eprintln!("podinit: {}", parts.join("; "));
    ExitCode::from(2)
}

//! Standard output: buffered, coloured on a terminal, and quiet about a closed pipe.

use std::fmt::Display;
use std::io::{self, BufWriter, Write};

use anstream::{AutoStream, ColorChoice};
use serde::Serialize;

use crate::failure::Failure;

/// Standard output.
#[derive(Debug)]
pub struct Out {
    stream: BufWriter<AutoStream<io::Stdout>>,
    coloured: bool,
}

impl Out {
    /// With colours as they are wanted: `NO_COLOR`, `CLICOLOR_FORCE` and `TERM=dumb` count.
    pub fn new(color: clap::ColorChoice) -> Self {
        let choice = match color {
            clap::ColorChoice::Auto => AutoStream::choice(&io::stdout()),
            clap::ColorChoice::Always => ColorChoice::Always,
            clap::ColorChoice::Never => ColorChoice::Never,
        };
        let coloured = choice != ColorChoice::Never;
        Self { stream: BufWriter::new(AutoStream::new(io::stdout(), choice)), coloured }
    }

    /// A style for tables, if colours are wanted.
    pub fn style<T>(&self, style: T) -> Option<T> {
        self.coloured.then_some(style)
    }

    /// Writes text as it is.
    pub fn text(&mut self, text: impl Display) -> Result<(), Failure> {
        write!(self.stream, "{text}").map_err(Failure::Output)
    }

    /// Writes a line.
    pub fn line(&mut self, text: impl Display) -> Result<(), Failure> {
        writeln!(self.stream, "{text}").map_err(Failure::Output)
    }

    /// Writes bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.stream.write_all(bytes).map_err(Failure::Output)
    }

    /// Writes a value as JSON.
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| Failure::Output(io::Error::other(error)))?;
        self.line(text)
    }

    /// Writes a value as YAML.
    pub fn yaml(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_yaml::to_string(value)
            .map_err(|error| Failure::Output(io::Error::other(error)))?;
        self.text(text)
    }

    /// Writes what is still in the buffer.
    pub fn finish(&mut self) -> Result<(), Failure> {
        self.stream.flush().map_err(Failure::Output)
    }
}

/// Lines of cells in columns that are as wide as their widest cell.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|at| {
            let cells = rows.iter().filter_map(|row| row.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let padding = width.saturating_sub(cell.chars().count()) + 3;
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', padding));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The colour of a word of the STATUS column.
pub fn status_style(status: &str) -> (&'static str, &'static str) {
    const RESET: &str = "\x1b[0m";
    let is_bad = ["Error", "BackOff", "Killed", "Evicted", "Failed"];
    match status {
        "Running" | "Completed" | "Succeeded" => ("\x1b[32m", RESET),
        _ if is_bad.iter().any(|word| status.contains(word)) => ("\x1b[31m", RESET),
        _ => ("\x1b[33m", RESET),
    }
}

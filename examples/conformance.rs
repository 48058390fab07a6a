//! Replays recorded answers of Kubernetes against this crate.
//!
//! ```text
//! cargo run --release --example conformance -- [--only FAMILY] [--show N] PATH...
//! ```
//!
//! A path is a folder, or a file of cases: JSON lines, plain (`.jsonl`) or gzipped (`.jsonl.gz`).
//! Exit status: 0 if every case agrees, 1 on a mismatch, 2 if something cannot be read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use harness::conformance::{
    FAMILIES, Mismatch, ReadError, family_name, for_each_case, replay_file,
};

const USAGE: &str = "usage: conformance [--only FAMILY] [--show N] PATH...";

struct Options {
    only: Option<String>,
    show: usize,
    paths: Vec<PathBuf>,
}

fn options() -> Result<Options, String> {
    let mut options = Options { only: None, show: 3, paths: Vec::new() };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--only" => options.only = Some(args.next().ok_or("--only needs a family")?),
            "--show" => {
                let count = args.next().ok_or("--show needs a number")?;
                options.show =
                    count.parse().map_err(|_| format!("--show needs a number, not {count:?}"))?;
            }
            flag if flag.starts_with('-') => return Err(format!("unknown option {flag}")),
            path => options.paths.push(path.into()),
        }
    }
    if options.paths.is_empty() { Err("no path given".to_owned()) } else { Ok(options) }
}

/// The files of cases at `path`, in order of their names.
fn files(path: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let error =
        |e: std::io::Error| ReadError { path: path.to_owned(), line: None, why: e.to_string() };
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(error)? {
        let file = entry.map_err(error)?.path();
        let name = file.to_string_lossy();
        if name.ends_with(".jsonl") || name.ends_with(".jsonl.gz") {
            found.push(file);
        }
    }
    found.sort();
    Ok(found)
}

fn show(mismatch: &Mismatch) {
    println!("  {}:{}", mismatch.path.display(), mismatch.line);
    for difference in &mismatch.differences {
        let side = |value: &Option<serde_json::Value>| {
            value.as_ref().map_or_else(|| "(absent)".to_owned(), ToString::to_string)
        };
        println!("    {}", difference.path);
        println!("      expected {}", side(&difference.expected));
        println!("      got      {}", side(&difference.got));
    }
}

fn run(options: &Options) -> Result<bool, Vec<ReadError>> {
    let mut by_family: BTreeMap<(usize, String), Vec<PathBuf>> = BTreeMap::new();
    let mut errors = Vec::new();
    for path in &options.paths {
        match files(path) {
            Ok(found) => {
                for file in found {
                    let name = family_name(&file).unwrap_or_default().to_owned();
                    let order = FAMILIES
                        .iter()
                        .position(|family| family.name == name)
                        .unwrap_or(FAMILIES.len());
                    by_family.entry((order, name)).or_default().push(file);
                }
            }
            Err(error) => errors.push(error),
        }
    }
    let mut agree = true;
    for ((order, name), paths) in &by_family {
        if options.only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        let mut cases = 0;
        let mut mismatches = Vec::new();
        let mut not_modelled = 0;
        for path in paths {
            match FAMILIES.get(*order) {
                Some(family) => match replay_file(family, path) {
                    Ok(tally) => {
                        cases += tally.cases;
                        mismatches.extend(tally.mismatches);
                    }
                    Err(error) => errors.push(error),
                },
                None => match for_each_case(path, |_, _| Ok(())) {
                    Ok(count) => not_modelled += count,
                    Err(error) => errors.push(error),
                },
            }
        }
        let read = cases + not_modelled > 0;
        match FAMILIES.get(*order) {
            // Nothing could be read; the error says why.
            _ if !read => {}
            Some(family) => {
                println!("{name}: {}/{cases}", cases - mismatches.len());
                for field in family.left_out {
                    println!("  left out: {field}");
                }
            }
            None => println!("{name}: 0/{not_modelled} (not modelled)"),
        }
        mismatches.iter().take(options.show).for_each(show);
        agree &= mismatches.is_empty() && not_modelled == 0;
    }
    if errors.is_empty() { Ok(agree) } else { Err(errors) }
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(why) => {
            eprintln!("conformance: {why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(errors) => {
            for error in errors {
                eprintln!("conformance: {error}");
            }
            ExitCode::from(2)
        }
    }
}

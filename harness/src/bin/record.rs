//! Records what the oracle answers, for the tests to replay without it.
//!
//! ```text
//! cargo run -p harness --bin record -- --kubernetes 1.36 --date $(date +%F)
//! ```
//!
//! Writes a file a family, and one a class of lives, into `tests/conformance/data/oracle-1.36`, and the list of those vectors
//! on which podinit differs. With `--shorten`, those that no longer differ are taken off the list, and
//! nothing is asked. Exit status: 0, or 2 if something cannot be asked or written.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use harness::conformance::file_name;
use harness::draw::draw;
use harness::family::Family;
use harness::functions::functions;
use harness::lives::Class;
use harness::lives::strategy::lives;
use harness::oracle::Oracle;
use harness::vectors::{self, EXPECTED_TO_DIFFER, Expected, Origin};
use podinit::KubernetesVersion;
use serde_json::Value;

/// Records what the oracle answers, for the tests to replay without it.
#[derive(Debug, Parser)]
struct Options {
    /// Whose answers, such as 1.36.
    #[arg(long)]
    kubernetes: KubernetesVersion,
    /// What the questions are drawn from.
    #[arg(long, default_value_t = 20_261_126)]
    seed: u64,
    /// The day on which it is recorded, which the files tell.
    #[arg(long, value_name = "YYYY-MM-DD", required_unless_present = "shorten")]
    date: Option<String>,
    /// Asks nobody: takes those off the list that no longer differ.
    #[arg(long)]
    shorten: bool,
    /// The folder above that of the version.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Only these files, such as `quantity` or `probes_lives`; the list of vectors that differ is
    /// made for all files that are there.
    files: Vec<String>,
}

/// How many questions are recorded of each family: their answers differ much in length.
fn count(family: &str) -> usize {
    match family {
        "quantity" => 600,
        "durations" => 300,
        "created" | "get" | "read" => 150,
        "podrequests" | "update" => 120,
        // Of each class.
        "lives" => 12,
        _ => 60,
    }
}

/// A failure, in words.
type Problem = Box<dyn std::error::Error>;

/// Takes those off the list that agree.
fn shorten(folder: &Path) -> Result<(), Problem> {
    let list = folder.join(EXPECTED_TO_DIFFER);
    let mut expected = Expected::read(&list)?;
    let mut unexpected = 0;
    for path in vectors::files(folder)? {
        let file = file_name(&path).unwrap_or_default();
        let replayed = vectors::replay(&path, &expected)?;
        for line in replayed.agreeing {
            println!("{file}: {line} agrees");
            expected.remove(file, line);
        }
        for (line, differences) in &replayed.unexpected {
            eprintln!("{file}: {line} differs and is not listed: {differences}");
        }
        unexpected += replayed.unexpected.len();
    }
    expected.write(&list)?;
    match unexpected {
        0 => Ok(()),
        count => Err(format!("{count} vectors differ that are not listed").into()),
    }
}

/// One file of vectors.
struct File {
    name: String,
    family: &'static str,
    questions: Vec<Value>,
}

/// What is recorded: a file each family, and of lives each class.
fn files(options: &Options) -> Result<Vec<File>, Problem> {
    let single = functions().map(|function| {
        let family = function.name();
        let questions = function.questions(options.seed, count(family));
        File { name: family.to_owned(), family, questions }
    });
    let lives = Class::ALL.iter().map(|class| {
        let life = |number| draw(&lives(*class), options.seed, class.name(), number);
        let questions = (0..count("lives")).filter_map(life);
        let questions = questions.map(|life| life.known_to(options.kubernetes).request()).collect();
        File { name: format!("{class}_lives"), family: "lives", questions }
    });
    let mut files: Vec<File> = single.chain(lives).collect();
    for name in &options.files {
        if !files.iter().any(|file| file.name == *name) {
            let names: Vec<_> = files.into_iter().map(|file| file.name).collect();
            return Err(format!("there is no file {name:?}; there are {}", names.join(", ")).into());
        }
    }
    files.retain(|file| options.files.is_empty() || options.files.contains(&file.name));
    Ok(files)
}

fn run(options: &Options) -> Result<(), Problem> {
    let kubernetes = options.kubernetes.to_string();
    let data = options.data.clone().unwrap_or_else(vectors::folder);
    let folder = vectors::folder_of(&data, &kubernetes);
    if options.shorten {
        return shorten(&folder);
    }
    // Without the other option, it is required.
    let date = options.date.clone().unwrap_or_default();
    let files = files(options)?;
    let mut oracle = Oracle::find(options.kubernetes)?;
    let version = oracle.version()?;
    std::fs::create_dir_all(&folder)?;
    for File { name, family, mut questions } in files {
        let answers = oracle.ask_known(family, &mut questions, &mut || ())?;
        let mut cases = Vec::new();
        let mut unanswered = 0;
        for (question, answer) in questions.into_iter().zip(answers) {
            match (question, answer) {
                (Value::Object(mut fields), Ok(answer)) => {
                    fields.insert("answer".to_owned(), answer);
                    cases.push(Value::Object(fields));
                }
                _ => unanswered += 1,
            }
        }
        let command = format!(
            "cargo run -p harness --bin record -- --kubernetes {kubernetes} --date {date} --seed {} {name}",
            options.seed
        );
        let origin = Origin {
            kubernetes: kubernetes.clone(),
            module: format!("k8s.io/kubernetes {}", version.kubernetes),
            go: version.go.clone(),
            command,
            date: date.clone(),
            seed: options.seed,
        };
        let path = folder.join(format!("{name}.jsonl.gz"));
        vectors::write(&path, &origin, &cases)?;
        let bytes = std::fs::metadata(&path)?.len();
        println!("{name}: {} vectors, {bytes} bytes, {unanswered} not answered", cases.len());
    }
    let differing = vectors::differing(&vectors::files(&folder)?)?;
    differing.write(&folder.join(EXPECTED_TO_DIFFER))?;
    Ok(())
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("record: {error}");
            ExitCode::from(2)
        }
    }
}

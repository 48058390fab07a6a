//! A small node agent: runs a pod on a container runtime through CRI, with the crate deciding.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use harness::manifest;
use podinit::PodPhase;

mod agent;
mod cri;
mod runtime;
mod state;

use agent::Ended;

const USAGE: &str = "usage: podinit-cri run [OPTIONS] POD.yaml

  --socket PATH       where the runtime listens [default: /run/containerd/containerd.sock]
  --folder FOLDER     where state, logs and emptyDir volumes go [default: /var/lib/podinit]
  --relist DURATION   how often the runtime is asked, in milliseconds [default: 1000]
  --output json       a line of JSON for each status, instead of those of kubectl get --watch

Ctrl-C deletes the pod with its grace, and is waited for; a second one leaves it one second.
SIGTERM ends the agent alone: the pod runs on, and the next run takes it up.";

/// How statuses are shown.
#[derive(Clone, Copy)]
enum Output {
    Watch,
    Json,
}

/// What the command line says.
struct Options {
    file: PathBuf,
    socket: PathBuf,
    folder: PathBuf,
    relist: Duration,
    output: Output,
}

fn options() -> Result<Options, String> {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() != Some("run") {
        return Err("expected the command run".to_owned());
    }
    let mut options = Options {
        file: PathBuf::new(),
        socket: PathBuf::from("/run/containerd/containerd.sock"),
        folder: PathBuf::from("/var/lib/podinit"),
        relist: Duration::from_secs(1),
        output: Output::Watch,
    };
    let mut file = None;
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--socket" => options.socket = value()?.into(),
            "--folder" => options.folder = value()?.into(),
            "--relist" => {
                let millis = value()?.parse().map_err(|error| format!("--relist: {error}"))?;
                options.relist = Duration::from_millis(millis);
            }
            "--output" => match value()?.as_str() {
                "json" => options.output = Output::Json,
                other => return Err(format!("--output: json, not {other}")),
            },
            flag if flag.starts_with('-') => return Err(format!("unknown option {flag}")),
            path if file.is_none() => file = Some(PathBuf::from(path)),
            extra => return Err(format!("one file at a time: {extra}")),
        }
    }
    options.file = file.ok_or("no file given")?;
    Ok(options)
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(why) => {
            eprintln!("podinit-cri: {why}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let pod = manifest::read_pods(&options.file).and_then(|pods| {
        let [pod] = <[_; 1]>::try_from(pods)
            .map_err(|pods| format!("one pod at a time; the file has {}", pods.len()))?;
        Ok(pod)
    });
    let ended = match pod {
        Ok(pod) => agent::run(pod, &options).await,
        Err(why) => Err(why),
    };
    match ended {
        Ok(Ended::Pod(PodPhase::Failed)) => ExitCode::FAILURE,
        Ok(_) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("podinit-cri: {why}");
            ExitCode::FAILURE
        }
    }
}

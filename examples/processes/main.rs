//! Runs a pod's containers as processes of this machine, with the crate deciding.
//!
//! ```text
//! cargo run --example processes -- examples/manifests/processes.yaml
//! ```
//!
//! It behaves like `kubectl apply` followed by `kubectl get pod --watch`, until the pod has ended.
//! Ctrl-C deletes the pod with its grace; a second one leaves it one second.
//!
//! What a container is here:
//! - Its image is not looked at: `command` and `args` run as they are, with the machine's `PATH`
//!   and the pod's folder as working directory, unless `workingDir` says otherwise.
//! - An `emptyDir` volume is a folder. Its path is given as `VOLUME_<NAME>` (`work-dir` is
//!   `VOLUME_WORK_DIR`) to every container that mounts it; `$(VOLUME_WORK_DIR)` stands for it in
//!   `command`, `args` and `env`. There are no other volumes.
//! - Its output goes to `logs/<container>/<restart>.log` in the pod's folder, which is kept.
//! - Probes and hooks run: `exec` as a process, `httpGet` (without TLS) and `tcpSocket` against
//!   this machine.
//! - It is stopped with SIGTERM and, after its grace, SIGKILL, together with all that it has
//!   started. An end by signal N is exit code 128 + N.
//!
//! Should this program itself be killed with SIGKILL, the processes stay.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use harness::manifest;
use harness::node::Watch;
use k8s_openapi::api::core::v1;
use podinit::event::EventLog;
use podinit::worker::{Deletion, SyncKind};
use podinit::{FeatureGates, NextSync, PodPhase, PodWorker, Timestamp, sync_pod};

mod runtime;

use runtime::ProcessRuntime;

const USAGE: &str = "usage: processes [--folder FOLDER] [--events] POD.yaml

  --folder FOLDER   where logs and volumes go [default: a new folder for temporary files]
  --events          print the pod's events at the end";

/// How often it is looked whether something has ended.
const TICK: Duration = Duration::from_millis(20);

/// The time now.
fn now() -> Timestamp {
    #[allow(clippy::disallowed_methods, reason = "here the clock is read, and passed in")]
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp::UNIX_EPOCH + since_epoch.unwrap_or_default()
}

/// Waits a moment.
fn tick() {
    #[allow(clippy::disallowed_methods, reason = "here time passes for real")]
    std::thread::sleep(TICK);
}

struct Options {
    file: PathBuf,
    folder: Option<PathBuf>,
    events: bool,
}

fn options() -> Result<Options, String> {
    let (mut file, mut folder, mut events) = (None, None, false);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--folder" => {
                folder = Some(args.next().ok_or("--folder needs a value")?.into());
            }
            "--events" => events = true,
            flag if flag.starts_with('-') => return Err(format!("unknown option {flag}")),
            path if file.is_none() => file = Some(PathBuf::from(path)),
            extra => return Err(format!("one file at a time: {extra}")),
        }
    }
    Ok(Options { file: file.ok_or("no file given")?, folder, events })
}

/// How often Ctrl-C was pressed, or SIGTERM came.
fn interruptions() -> Result<Arc<AtomicUsize>, std::io::Error> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let count = Arc::new(AtomicUsize::new(0));
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    let counter = Arc::clone(&count);
    std::thread::spawn(move || {
        for _ in signals.forever() {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    Ok(count)
}

fn run(pod: v1::Pod, options: &Options) -> Result<PodPhase, String> {
    let spec = manifest::compile(&pod, FeatureGates::default())?;
    let folder = options.folder.clone().unwrap_or_else(|| {
        let name = format!("podinit-{}-{}", spec.identity().name, std::process::id());
        std::env::temp_dir().join(name)
    });
    let interruptions = interruptions().map_err(|error| error.to_string())?;
    let mut runtime = ProcessRuntime::new(pod, folder.clone()).map_err(|e| e.to_string())?;
    let mut worker = PodWorker::default();
    let mut events = EventLog::default();
    eprintln!("logs and volumes: {}", folder.display());
    let mut watch = Watch::new(&spec, now());
    let mut interrupted = 0;
    loop {
        let pressed = interruptions.load(Ordering::Relaxed);
        let deleted = pressed != interrupted;
        if deleted {
            let seconds = if pressed > 1 { 1 } else { spec.termination_grace_period_seconds() };
            let deletion = Deletion { timestamp: now(), grace_period_seconds: seconds };
            worker.delete(deletion);
            interrupted = pressed;
            watch.show(&spec, &worker, now());
        }
        let due = match worker.next_sync() {
            NextSync::Now => true,
            NextSync::At(at, _) => at <= now(),
            _ => false,
        };
        let changed = runtime.look(&spec);
        if due || changed || deleted {
            sync_pod(&mut worker, &spec, &mut runtime).map_err(|error| error.to_string())?;
            worker.events().iter().for_each(|event| events.record(event.clone(), now()));
            watch.show(&spec, &worker, now());
        } else {
            tick();
        }
        if worker.kind() == SyncKind::Finished {
            break;
        }
    }
    if options.events {
        println!();
        for record in events.records() {
            let event = &record.event;
            let container = event.field_path(&spec).map(|path| path.to_string());
            let times =
                if record.count > 1 { format!(" (x{})", record.count) } else { String::new() };
            println!(
                "{:<8} {:<22} {:<26} {}{times}",
                event.kind,
                event.reason,
                container.unwrap_or_default(),
                event.message
            );
        }
    }
    Ok(worker.status().phase)
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(why) => {
            eprintln!("processes: {why}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let ended =
        manifest::read_pods(&options.file).and_then(|pods| match <[_; 1]>::try_from(pods) {
            Ok([pod]) => run(pod, &options),
            Err(pods) => Err(format!("one pod at a time; the file has {}", pods.len())),
        });
    match ended {
        Ok(PodPhase::Failed) => ExitCode::FAILURE,
        Ok(_) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("processes: {why}");
            ExitCode::FAILURE
        }
    }
}

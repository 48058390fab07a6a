//! The program `podinit-node`.

#![forbid(unsafe_code)]

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use kube::{Client, Config, config::KubeConfigOptions, config::Kubeconfig};
use podinit::KubernetesVersion;
use podinit::scenario::GoDuration;
use podinit_node::http::Server;
use podinit_node::life::Habits;
use podinit_node::{NodeSettings, Options, Pace, Scenarios};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Kubernetes nodes without containers, on which pods live as on a kubelet.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    /// The name of a node; can be given many times
    #[arg(long, value_name = "NAME")]
    node: Vec<String>,
    /// This many nodes, podinit-0 and so on, if none is named
    #[arg(long, value_name = "N", default_value_t = 1)]
    nodes: u32,
    /// How to reach the cluster; if absent, $KUBECONFIG, ~/.kube/config or that of a pod
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The nodes' objects are made by somebody else
    #[arg(long)]
    no_register: bool,
    /// What pods can request, such as cpu=8,memory=32Gi,pods=250
    #[arg(long, value_name = "RESOURCE=AMOUNT", value_delimiter = ',', value_parser = pair)]
    capacity: Vec<(String, String)>,
    /// More labels of the nodes
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',', value_parser = pair)]
    label: Vec<(String, String)>,
    /// The nodes have the taint podinit.dev/node:NoSchedule, so that only pods come that tolerate it
    #[arg(long)]
    taint: bool,
    /// The nodes' address
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    node_ip: std::net::Ipv4Addr,
    /// Addresses of pods on nodes that have no podCIDR
    #[arg(long, value_name = "RANGE", default_value = "10.88.0.0/16")]
    pod_cidr: String,
    /// Containers live so many times as fast
    #[arg(long, value_name = "TIMES", default_value = "1")]
    speed: NonZeroU32,
    /// How often the kubelet looks for containers that have started or ended
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    relist: GoDuration,
    /// Time stands for containers, but for what `POST /step` steps it on
    #[arg(long, requires = "control", conflicts_with = "speed")]
    stepped: bool,
    /// Listen here for what the README says of `--control`
    #[arg(long, value_name = "ADDRESS:PORT")]
    control: Option<std::net::SocketAddr>,
    /// What happens to pods without the annotation podinit.dev/scenario
    #[arg(long, value_name = "FILE")]
    scenarios: Option<PathBuf>,
    /// Commands such as `sleep 5` and `sh -c "exit 1"` mean nothing
    #[arg(long)]
    no_commands: bool,
    /// Keep back-off here over a new start of this program; without, its start is one of the kubelets
    #[arg(long, value_name = "FILE", conflicts_with_all = ["speed", "stepped"])]
    state: Option<PathBuf>,
    /// The version whose rules count; if absent, the apiserver's or the nearest to it
    #[arg(long, value_name = "VERSION")]
    kubernetes: Option<KubernetesVersion>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("must be KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,kube_client=off,tower=off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("podinit-node: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), String> {
    let client = client(arguments.kubeconfig.as_ref()).await?;
    let listener = match arguments.control {
        Some(address) => {
            let listener = TcpListener::bind(address).await;
            Some(listener.map_err(|error| format!("--control {address}: {error}"))?)
        }
        None => None,
    };
    let options = options(arguments)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let server = tokio::select! {
        server = Server::start(client, options) => server.map_err(|error| error.to_string())?,
        _ = interrupt.recv() => return Ok(()),
        _ = terminate.recv() => return Ok(()),
    };
    let serve = async {
        match listener {
            Some(listener) => server.serve(listener).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        served = serve => served.map_err(|error| format!("--control: {error}"))?,
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("ending; what runs runs on, and is taken up again at the next start");
    Ok(())
}

async fn client(kubeconfig: Option<&PathBuf>) -> Result<Client, String> {
    let config = match kubeconfig {
        Some(path) => {
            let told = |error| format!("{}: {error}", path.display());
            let kubeconfig = Kubeconfig::read_from(path).map_err(told)?;
            let config =
                Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
            config.map_err(told)?
        }
        None => Config::infer().await.map_err(|error| error.to_string())?,
    };
    Client::try_from(config).map_err(|error| error.to_string())
}

fn options(arguments: Arguments) -> Result<Options, String> {
    let names = if arguments.node.is_empty() {
        (0..arguments.nodes).map(|number| format!("podinit-{number}")).collect()
    } else {
        arguments.node
    };
    let mut options = Options::new(names);
    let settings: &mut NodeSettings = &mut options.settings;
    settings.register = !arguments.no_register;
    settings.capacity.extend(arguments.capacity);
    settings.labels.extend(arguments.label);
    if arguments.taint {
        settings.taints.push(k8s_openapi::api::core::v1::Taint {
            key: "podinit.dev/node".into(),
            effect: "NoSchedule".into(),
            ..Default::default()
        });
    }
    settings.ip = arguments.node_ip.to_string();
    settings.pod_cidr = arguments.pod_cidr;
    options.pace = if arguments.stepped { Pace::Stepped } else { Pace::Times(arguments.speed) };
    let relist = arguments.relist.0;
    if relist > Duration::from_secs(60) {
        return Err("--relist: a minute at the most".to_owned());
    }
    options.habits = Habits { relist, commands: !arguments.no_commands, ..Habits::default() };
    options.version = arguments.kubernetes;
    options.state = arguments.state;
    if let Some(path) = arguments.scenarios {
        let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = std::fs::read_to_string(&path).map_err(|error| told(&error))?;
        options.scenarios = text.parse::<Scenarios>().map_err(|error| told(&error))?;
    }
    Ok(options)
}

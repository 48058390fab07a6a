//! What [`Control`] can do, over HTTP: for tests that are not written in Rust.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use kube::Client;
use podinit::scenario::GoDuration;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use crate::{Agent, Control, Options, StartError};

/// Nodes that can be told over HTTP what to do.
#[derive(Clone)]
pub struct Server {
    client: Client,
    options: Options,
    agent: Arc<Mutex<Option<Agent>>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Whom a request is about.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    #[serde(default = "default_namespace")]
    namespace: String,
    pod: String,
    container: Option<String>,
    exit_code: Option<i32>,
    message: Option<String>,
}

fn default_namespace() -> String {
    "default".to_owned()
}

#[derive(Debug, Deserialize)]
struct Step {
    by: String,
}

type Answer = Result<String, (StatusCode, String)>;

fn refused(error: impl std::fmt::Display) -> (StatusCode, String) {
    (StatusCode::CONFLICT, format!("{error}\n"))
}

fn bad(error: impl std::fmt::Display) -> (StatusCode, String) {
    (StatusCode::BAD_REQUEST, format!("{error}\n"))
}

impl Server {
    /// Starts the nodes.
    ///
    /// # Errors
    /// See [`Agent::start`].
    pub async fn start(client: Client, options: Options) -> Result<Self, StartError> {
        let agent = Agent::start(client.clone(), options.clone()).await?;
        Ok(Self { client, options, agent: Arc::new(Mutex::new(Some(agent))) })
    }

    /// Answers requests until it is dropped.
    ///
    /// # Errors
    /// If the listener fails.
    pub async fn serve(self, listener: TcpListener) -> std::io::Result<()> {
        let routes = Router::new()
            .route("/healthz", get(async || "ok\n"))
            .route("/pods", get(pods))
            .route("/metrics", get(metrics))
            .route("/step", post(step))
            .route("/fail", post(fail))
            .route("/evict", post(evict))
            .route("/restart", post(restart))
            .with_state(self);
        axum::serve(listener, routes).await
    }

    async fn control(&self) -> Result<Control, (StatusCode, String)> {
        let agent = self.agent.lock().await;
        let control = agent.as_ref().map(|agent| agent.control().clone());
        control.ok_or_else(|| refused(crate::ControlError::Down))
    }
}

async fn pods(State(server): State<Server>) -> Answer {
    let pods = server.control().await?.pods().await.map_err(refused)?;
    Ok(format!("{pods}\n"))
}

async fn metrics(State(server): State<Server>) -> Answer {
    let counts = server.control().await?.counts().await.map_err(refused)?;
    Ok(counts.to_string())
}

async fn step(State(server): State<Server>, Query(step): Query<Step>) -> Answer {
    let by: GoDuration = step.by.parse().map_err(|error| bad(format!("by: {error}")))?;
    server.control().await?.step(by.0).await.map_err(refused)?;
    Ok(String::new())
}

async fn fail(State(server): State<Server>, Query(target): Query<Target>) -> Answer {
    let container = target.container.ok_or_else(|| bad("container: must be given"))?;
    let exit_code = target.exit_code.unwrap_or(1);
    if !(0..=255).contains(&exit_code) {
        return Err(bad("exitCode: exit codes are 0 to 255"));
    }
    let control = server.control().await?;
    control.fail(&target.namespace, &target.pod, &container, exit_code).await.map_err(refused)?;
    Ok(String::new())
}

async fn evict(State(server): State<Server>, Query(target): Query<Target>) -> Answer {
    let message =
        target.message.unwrap_or_else(|| "The node was low on resource: memory.".to_owned());
    server
        .control()
        .await?
        .evict(&target.namespace, &target.pod, &message)
        .await
        .map_err(refused)?;
    Ok(String::new())
}

/// The kubelets end and start again, with what the API holds as their only memory.
async fn restart(State(server): State<Server>) -> Answer {
    let mut agent = server.agent.lock().await;
    drop(agent.take());
    let started =
        Agent::start_with(server.client.clone(), server.options.clone(), HashMap::new()).await;
    *agent = Some(started.map_err(refused)?);
    Ok(String::new())
}

//! What probes and hooks do, and the part of it that needs no container: HTTP and TCP.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// What a probe or a hook does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handler {
    /// Runs a command in the container.
    Exec(Vec<String>),
    /// Asks over HTTP.
    Http {
        /// Where.
        host: String,
        /// At which port.
        port: u16,
        /// For what.
        path: String,
        /// With these headers.
        headers: Vec<(String, String)>,
    },
    /// Connects.
    Tcp {
        /// Where.
        host: String,
        /// At which port.
        port: u16,
    },
    /// Waits.
    Sleep(Duration),
    /// Cannot be done here, and counts as failed.
    Unsupported(&'static str),
}

impl Handler {
    /// What a probe does.
    pub fn of_probe(container: &v1::Container, probe: &v1::Probe) -> Self {
        match (&probe.exec, &probe.http_get, &probe.tcp_socket) {
            (Some(exec), ..) => Self::exec(exec),
            (_, Some(get), _) => Self::http(container, get),
            (.., Some(tcp)) => Self::tcp(container, tcp),
            _ => Self::Unsupported("gRPC probes are not run here"),
        }
    }

    /// What a hook does.
    pub fn of_hook(container: &v1::Container, hook: &v1::LifecycleHandler) -> Self {
        match (&hook.exec, &hook.http_get, &hook.tcp_socket, &hook.sleep) {
            (Some(exec), ..) => Self::exec(exec),
            (_, Some(get), ..) => Self::http(container, get),
            (_, _, Some(tcp), _) => Self::tcp(container, tcp),
            (.., Some(sleep)) => {
                Self::Sleep(Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or(0)))
            }
            _ => Self::Unsupported("the hook does nothing"),
        }
    }

    fn exec(exec: &v1::ExecAction) -> Self {
        Self::Exec(exec.command.clone().unwrap_or_default())
    }

    fn http(container: &v1::Container, get: &v1::HTTPGetAction) -> Self {
        if get.scheme.as_deref().is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")) {
            return Self::Unsupported("HTTPS is not spoken here");
        }
        let Some(port) = port(container, &get.port) else {
            return Self::Unsupported("no such port");
        };
        let headers = get.http_headers.iter().flatten();
        Self::Http {
            host: host(get.host.as_ref()),
            port,
            path: get.path.clone().unwrap_or_default(),
            headers: headers.map(|header| (header.name.clone(), header.value.clone())).collect(),
        }
    }

    fn tcp(container: &v1::Container, tcp: &v1::TCPSocketAction) -> Self {
        match port(container, &tcp.port) {
            Some(port) => Self::Tcp { host: host(tcp.host.as_ref()), port },
            None => Self::Unsupported("no such port"),
        }
    }

    /// Does what needs no container, within `timeout`.
    ///
    /// # Errors
    /// Why it did not succeed.
    pub fn run_outside(&self, timeout: Duration) -> Result<(), String> {
        match self {
            Self::Http { host, port, path, headers } => {
                http_get(host, *port, path, headers, timeout)
            }
            Self::Tcp { host, port } => connect(host, *port, timeout).map(drop),
            Self::Sleep(time) => {
                #[allow(clippy::disallowed_methods, reason = "a hook that waits, for real")]
                std::thread::sleep(*time);
                Ok(())
            }
            Self::Exec(_) => Err("a command runs in its container".to_owned()),
            Self::Unsupported(why) => Err((*why).to_owned()),
        }
    }
}

/// Containers have the network of the host here.
fn host(host: Option<&String>) -> String {
    host.filter(|host| !host.is_empty()).map_or("127.0.0.1", String::as_str).to_owned()
}

/// A port by number, or by its name among the container's ports.
fn port(container: &v1::Container, port: &IntOrString) -> Option<u16> {
    let number = match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let named = |port: &&v1::ContainerPort| port.name.as_ref() == Some(name);
            container.ports.iter().flatten().find(named)?.container_port
        }
    };
    u16::try_from(number).ok()
}

fn connect(host: &str, port: u16, timeout: Duration) -> Result<TcpStream, String> {
    let address = (host, port).to_socket_addrs().map_err(|error| error.to_string())?.next();
    let address = address.ok_or_else(|| format!("{host} has no address"))?;
    TcpStream::connect_timeout(&address, timeout).map_err(|error| error.to_string())
}

/// 200 to 399 is a success, as for the kubelet. Redirections are not followed.
fn http_get(
    host: &str,
    port: u16,
    path: &str,
    headers: &[(String, String)],
    timeout: Duration,
) -> Result<(), String> {
    let io = |error: std::io::Error| error.to_string();
    let mut stream = connect(host, port, timeout)?;
    stream.set_read_timeout(Some(timeout)).map_err(io)?;
    stream.set_write_timeout(Some(timeout)).map_err(io)?;
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let mut request = format!("GET {path} HTTP/1.1\r\nConnection: close\r\nAccept: */*\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request += &format!("Host: {host}:{port}\r\n");
    }
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    stream.write_all((request + "\r\n").as_bytes()).map_err(io)?;
    let mut status = String::new();
    BufReader::new(stream).read_line(&mut status).map_err(io)?;
    match status.split(' ').nth(1).and_then(|code| code.parse().ok()) {
        Some(200..=399) => Ok(()),
        Some(code @ 0..=u16::MAX) => Err(format!("HTTP probe failed with statuscode: {code}")),
        None => Err("no HTTP".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(5);

    fn answered(status: &'static str) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let length = stream.read(&mut request).unwrap();
            stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let answer = http_get("127.0.0.1", port, "ready", &[], TIMEOUT);
        assert!(server.join().unwrap().starts_with("GET /ready HTTP/1.1\r\n"));
        answer
    }

    #[test]
    fn http_succeeds_from_200_to_399() {
        assert_eq!(answered("200 OK"), Ok(()));
        assert_eq!(answered("302 Found"), Ok(()));
        let failed = "HTTP probe failed with statuscode: 503".to_owned();
        assert_eq!(answered("503 Service Unavailable"), Err(failed));
    }

    #[test]
    fn a_port_that_nobody_listens_at_fails() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let tcp = Handler::Tcp { host: "127.0.0.1".to_owned(), port: free };
        assert!(tcp.run_outside(TIMEOUT).is_err());
    }

    #[test]
    fn a_port_can_be_named() {
        let container = serde_json::from_value(serde_json::json!({
            "name": "a", "ports": [{"name": "web", "containerPort": 8080}],
        }))
        .unwrap();
        assert_eq!(port(&container, &IntOrString::String("web".to_owned())), Some(8080));
        assert_eq!(port(&container, &IntOrString::String("db".to_owned())), None);
        assert_eq!(port(&container, &IntOrString::Int(70_000)), None);
    }
}

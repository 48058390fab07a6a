//! A containerd of our own: socket, state and image in a temporary folder.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::{Checked, wait};

/// The image that all scenarios use.
pub const IMAGE: &str = "localhost/podinit/busybox:test";
const TOOLS: [&str; 10] =
    ["sh", "sleep", "cat", "echo", "test", "true", "false", "touch", "date", "expr"];

/// A running containerd.
pub struct Node {
    /// Everything is below it.
    pub folder: PathBuf,
    containerd: Mutex<Option<Child>>,
    /// Those that there were before.
    network_namespaces: BTreeSet<PathBuf>,
}

/// containerd makes them here, whatever its own folders.
fn network_namespaces() -> BTreeSet<PathBuf> {
    let entries = fs::read_dir("/var/run/netns").into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

impl Node {
    /// Starts a containerd and imports the image.
    pub fn start() -> Checked<Self> {
        let folder = std::env::temp_dir().join(format!("podinit-cri-{}", std::process::id()));
        for part in ["cni/bin", "cni/conf"] {
            fs::create_dir_all(folder.join(part))
                .map_err(|e| format!("{}: {e}", folder.display()))?;
        }
        let node =
            Self { folder, containerd: Mutex::new(None), network_namespaces: network_namespaces() };
        node.write("containerd.toml", &node.config())?;
        node.start_containerd()?;
        node.import_image()?;
        Ok(node)
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.join("containerd.sock")
    }

    fn config(&self) -> String {
        let folder = self.folder.display();
        format!(
            r#"version = 2
root = "{folder}/root"
state = "{folder}/state"
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{IMAGE}"
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{folder}/cni/bin"
    conf_dir = "{folder}/cni/conf"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/opt"
"#
        )
    }

    pub fn start_containerd(&self) -> Checked<()> {
        let mut log = fs::OpenOptions::new();
        let log = log.create(true).append(true).open(self.folder.join("containerd.log"));
        let log = log.map_err(|error| error.to_string())?;
        let child = Command::new("containerd")
            .arg("--config")
            .arg(self.folder.join("containerd.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("containerd: {error}"))?;
        *self.containerd.lock().map_err(|e| e.to_string())? = Some(child);
        wait("containerd to answer", Duration::from_secs(30), || {
            self.ctr(&["version"]).ok().map(drop)
        })
    }

    /// Stops containerd alone: containers run on.
    pub fn stop_containerd(&self) -> Checked<()> {
        let Some(mut child) = self.containerd.lock().map_err(|e| e.to_string())?.take() else {
            return Ok(());
        };
        kill_process(Pid::from_child(&child), Signal::TERM).map_err(|e| e.to_string())?;
        child.wait().map(drop).map_err(|error| error.to_string())
    }

    /// Asks containerd with its own tool.
    pub fn ctr(&self, args: &[&str]) -> Checked<String> {
        let socket = self.socket();
        let mut command = Command::new("ctr");
        command.arg("--address").arg(socket).args(["--namespace", "k8s.io"]).args(args);
        run(&mut command)
    }

    fn write(&self, name: &str, text: &str) -> Checked<PathBuf> {
        let path = self.folder.join(name);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }

    /// A docker archive with busybox in one layer.
    fn import_image(&self) -> Checked<()> {
        let image = self.folder.join("image");
        let bin = image.join("rootfs/bin");
        let make = || -> std::io::Result<()> {
            fs::create_dir_all(&bin)?;
            fs::create_dir_all(image.join("rootfs/tmp"))?;
            fs::copy("/bin/busybox", bin.join("busybox"))?;
            for tool in TOOLS {
                std::os::unix::fs::symlink("busybox", bin.join(tool))?;
            }
            Ok(())
        };
        make().map_err(|error| format!("the image: {error}"))?;
        let tar = |args: &[&str]| run(Command::new("tar").current_dir(&image).args(args));
        tar(&["-C", "rootfs", "-cf", "layer.tar", "."])?;
        let sum = run(Command::new("sha256sum").arg(image.join("layer.tar")))?;
        let sum = sum.split_whitespace().next().unwrap_or_default();
        let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        let config = serde_json::json!({
            "architecture": architecture, "os": "linux",
            "config": {"Env": ["PATH=/bin"], "Cmd": ["sleep", "2147483647"]},
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{sum}")]},
        });
        let manifest = serde_json::json!([
            {"Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]},
        ]);
        self.write("image/config.json", &config.to_string())?;
        self.write("image/manifest.json", &manifest.to_string())?;
        tar(&["-cf", "image.tar", "config.json", "manifest.json", "layer.tar"])?;
        let archive = image.join("image.tar");
        self.ctr(&["images", "import", &archive.display().to_string()]).map(drop)
    }

    /// A network plug-in that gives every sandbox the same address and connects nothing: what
    /// containerd asks for, and no more.
    pub fn install_network_plugin(&self) -> Checked<()> {
        let plugin = "#!/bin/sh\ncat > /dev/null\ncase $CNI_COMMAND in\n\
            ADD) echo '{\"cniVersion\": \"0.3.1\", \"ips\": [{\"version\": \"4\", \
            \"address\": \"10.88.0.5/16\", \"interface\": 0}], \
            \"interfaces\": [{\"name\": \"eth0\", \"sandbox\": \"'$CNI_NETNS'\"}]}';;\n\
            VERSION) echo '{\"cniVersion\": \"0.3.1\", \"supportedVersions\": [\"0.3.1\"]}';;\n\
            esac\n";
        for name in ["loopback", "none"] {
            let path = self.write(&format!("cni/bin/{name}"), plugin)?;
            let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(path, executable).map_err(|error| error.to_string())?;
        }
        let list = serde_json::json!({
            "cniVersion": "0.3.1", "name": "none", "plugins": [{"type": "none"}],
        });
        self.write("cni/conf/10-none.conflist", &list.to_string()).map(drop)
    }

    /// What the scenarios have left behind: containers, processes, mounts.
    pub fn leaks(&self) -> Checked<Vec<String>> {
        let mut leaks = Vec::new();
        let containers = self.ctr(&["containers", "list", "-q"])?;
        leaks.extend(containers.lines().map(|id| format!("container {id}")));
        let folder = self.folder.display().to_string();
        let mounts = fs::read_to_string("/proc/mounts").map_err(|error| error.to_string())?;
        let mounts = mounts.lines().filter(|line| line.contains(&folder));
        leaks.extend(mounts.map(|mount| format!("mount {mount}")));
        for namespace in network_namespaces().difference(&self.network_namespaces) {
            leaks.push(format!("network namespace {}", namespace.display()));
        }
        let own = fs::read_link("/proc/self/ns/mnt").map_err(|error| error.to_string())?;
        for process in fs::read_dir("/proc").map_err(|error| error.to_string())?.flatten() {
            // What has ended meanwhile reads as empty.
            let read = |file| fs::read(process.path().join(file)).unwrap_or_default();
            let text = |file| String::from_utf8_lossy(&read(file)).replace('\0', " ");
            let command = text("cmdline");
            let shim = command.contains("containerd-shim") && command.contains(&folder);
            // The root of a container is a folder below ours, mounted where only it sees it.
            let apart = fs::read_link(process.path().join("ns/mnt")).is_ok_and(|ns| ns != own);
            if shim || (apart && text("mountinfo").contains(&folder)) {
                leaks.push(format!("process {command}"));
            }
        }
        Ok(leaks)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Err(why) = self.stop_containerd() {
            eprintln!("containerd: {why}");
        }
        // Kept if something is mounted below it: that is a leak, and was told.
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("{}: {error}", self.folder.display());
        }
    }
}

/// Runs a command to its end, and gives what it printed.
fn run(command: &mut Command) -> Checked<String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?}: {}: {}", output.status, said.trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The lines of a file; none if there is no such file.
pub fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

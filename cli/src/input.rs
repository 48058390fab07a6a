//! What is read: files, folders, standard input; pods, and the pod templates of workloads.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1;
use podinit::manifest::{Object, ReadOptions, read};
use podinit::{FeatureGates, PodSpec};

use crate::failure::Failure;

/// Which files are read.
#[derive(Clone, Debug, clap::Args)]
pub struct Files {
    /// Manifests, in YAML or JSON; `-` is standard input, a folder stands for the files in it.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Also read what is in the folders of a folder.
    #[arg(short = 'R', long)]
    pub recursive: bool,
}

/// A text that was read, and where it came from.
#[derive(Debug)]
pub struct Source {
    /// The file's name, or `-`.
    pub name: String,
    /// What it says.
    pub text: String,
}

impl Files {
    /// Reads all of them.
    pub fn sources(&self) -> Result<Vec<Source>, Failure> {
        let mut sources = Vec::new();
        for path in &self.files {
            if path.is_dir() {
                self.folder(path, &mut sources)?;
            } else {
                sources.push(source(path)?);
            }
        }
        Ok(sources)
    }

    fn folder(&self, folder: &Path, sources: &mut Vec<Source>) -> Result<(), Failure> {
        let depth = if self.recursive { usize::MAX } else { 1 };
        let before = sources.len();
        for entry in walkdir::WalkDir::new(folder).max_depth(depth).sort_by_file_name() {
            let entry = entry.map_err(|error| Failure::Input(error.to_string()))?;
            let is_manifest = entry
                .path()
                .extension()
                .is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|e| extension == *e));
            if entry.file_type().is_file() && is_manifest {
                sources.push(source(entry.path())?);
            }
        }
        if sources.len() == before {
            let hint = if self.recursive { "" } else { "; -R looks into its folders, too" };
            let folder = folder.display();
            return Err(Failure::Input(format!("{folder}: no .yaml, .yml or .json here{hint}")));
        }
        Ok(())
    }

    /// The pods of all of them; what is neither a pod nor has a template is named on standard error.
    pub fn pods(&self) -> Result<Vec<Subject>, Failure> {
        let mut subjects = Vec::new();
        for source in self.sources()? {
            subjects.extend(pods(&source)?);
        }
        Ok(subjects)
    }
}

/// Reads a file, or standard input.
pub fn source(path: &Path) -> Result<Source, Failure> {
    let name = path.display().to_string();
    let bytes = if name == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    let bytes = bytes.map_err(|error| Failure::Input(format!("{name}: {error}")))?;
    let text =
        String::from_utf8(bytes).map_err(|_| Failure::Input(format!("{name}: not UTF-8 text")))?;
    Ok(Source { name, text })
}

/// A pod, or the pod that a workload would make.
#[derive(Debug)]
pub struct Subject {
    /// The file that it is in.
    pub source: String,
    /// The workload, such as `Deployment web`, if it is a template.
    pub workload: Option<String>,
    /// The pod.
    pub pod: v1::Pod,
}

impl Subject {
    /// The rules' view of it, with a name and a UID where it has none.
    pub fn compile(&self, gates: FeatureGates) -> Result<PodSpec, Failure> {
        let mut pod = self.pod.clone();
        let name = pod.metadata.name.get_or_insert_with(|| "pod".to_owned()).clone();
        pod.metadata.uid.get_or_insert_with(|| uid(&name));
        PodSpec::compile(&pod, gates).map_err(|error| self.failure(error))
    }

    /// A failure that names the file and the workload.
    pub fn failure(&self, why: impl std::fmt::Display) -> Failure {
        match &self.workload {
            None => Failure::Input(format!("{}: {why}", self.source)),
            Some(workload) => Failure::Input(format!("{}: {workload}: {why}", self.source)),
        }
    }
}

/// A UID as an API server would give one, the same for the same name.
fn uid(name: &str) -> String {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    let hash = hasher.finish();
    format!("{:08x}-{:04x}-4000-8000-{:012x}", hash >> 32, hash >> 16 & 0xffff, hash >> 16)
}

/// The pods of a text.
fn pods(source: &Source) -> Result<Vec<Subject>, Failure> {
    let in_file = |why: &dyn std::fmt::Display| Failure::Input(format!("{}: {why}", source.name));
    let documents = read(&source.text, &ReadOptions::strict()).map_err(|error| in_file(&error))?;
    let mut subjects = Vec::new();
    for document in documents {
        match &document.object {
            Object::Pod(pod) => subjects.push(Subject {
                source: source.name.clone(),
                workload: None,
                pod: (**pod).clone(),
            }),
            Object::Workload(workload) => {
                let name = workload.metadata().name.as_deref().unwrap_or_default();
                let named = format!("{} {name}", workload.kind());
                subjects.extend(workload.pods().into_iter().map(|pod| Subject {
                    source: source.name.clone(),
                    workload: Some(named.clone()),
                    pod,
                }));
            }
            Object::Other { kind, name, .. } => {
                let name = name.as_deref().unwrap_or_default();
                anstream::eprintln!(
                    "{}: skipping {kind} {name}: neither a pod nor a workload",
                    source.name
                );
            }
            _ => {}
        }
    }
    if subjects.is_empty() {
        return Err(in_file(&"no pod, and no workload that makes pods"));
    }
    Ok(subjects)
}

//! What the agent remembers of a pod beyond its own life.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use podinit::probe::ContainerProbes;
use podinit::{PodWorker, Timestamp};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Everything else is asked of the runtime.
#[derive(Debug, Serialize, Deserialize)]
pub struct State {
    /// The pod's uid: what its containers are found by.
    pub uid: String,
    /// When the pod was first run.
    pub began: Timestamp,
    /// Back-off, status, deletion.
    pub worker: PodWorker,
    /// What probes have said of the containers that run.
    pub probes: BTreeMap<SmolStr, ContainerProbes>,
}

const FILE: &str = "state.json";

impl State {
    /// What was saved in this folder; `None` if nothing was.
    ///
    /// # Errors
    /// If there is something and it cannot be read. Nothing is begun anew then: containers may run.
    pub fn load(folder: &Path) -> Result<Option<Self>, String> {
        let path = folder.join(FILE);
        let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| told(&error)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(told(&error)),
        }
    }

    /// Saves it: either all of it or, if this fails or is interrupted, nothing.
    ///
    /// # Errors
    /// If it could not be saved.
    pub fn save(&self, folder: &Path) -> Result<(), String> {
        let path = folder.join(FILE);
        let text = serde_json::to_vec(self).map_err(|error| error.to_string())?;
        let new = folder.join("state.json.new");
        let written = fs::write(&new, text).and_then(|()| fs::rename(&new, &path));
        written.map_err(|error| format!("{}: {error}", path.display()))
    }
}

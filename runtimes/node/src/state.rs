//! What a program remembers of its pods from one start to the next: their workers, and so their back-off.

use std::collections::HashMap;
use std::io::{ErrorKind, Write};
use std::path::Path;

use podinit::PodWorker;
use tempfile::NamedTempFile;

/// A state file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It does not hold the state of nodes, or that of another version.
    #[error("it does not hold the state of nodes: {0}")]
    Content(#[from] serde_json::Error),
}

/// The workers of pods by uid; none if there is no such file yet.
pub(crate) fn read(path: &Path) -> Result<HashMap<String, PodWorker>, StateError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(HashMap::new()),
        Err(error) => Err(error.into()),
    }
}

/// Writes all or nothing: who is killed meanwhile leaves the file of before.
pub(crate) fn write(path: &Path, pods: &HashMap<&str, &PodWorker>) -> Result<(), StateError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(&serde_json::to_vec(pods)?)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        assert!(read(&path).unwrap().is_empty());
        let worker = PodWorker::default();
        write(&path, &HashMap::from([("uid", &worker)])).unwrap();
        assert_eq!(read(&path).unwrap(), HashMap::from([("uid".to_owned(), worker)]));
        std::fs::write(&path, "{\"uid\": {").unwrap();
        assert!(matches!(read(&path), Err(StateError::Content(_))));
        assert!(matches!(read(folder.path()), Err(StateError::Io(_))));
    }
}

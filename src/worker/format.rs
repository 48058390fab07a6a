//! The version of a worker's serialised form.

use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The version that this crate writes, and the only one that it reads. It changes whenever a worker that
/// was written before could be misread.
const FORMAT: u64 = 1;

/// Stands for the version among the fields of a [`PodWorker`](crate::PodWorker): of another one, nothing
/// is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Format;

/// Of a worker that was written by another version of this crate.
struct UnknownFormat(u64);

impl fmt::Display for UnknownFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(found) = self;
        write!(
            f,
            "a pod worker in format {found} cannot be read: this version reads format {FORMAT}"
        )
    }
}

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(FORMAT)
    }
}

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            FORMAT => Ok(Self),
            found => Err(serde::de::Error::custom(UnknownFormat(found))),
        }
    }
}

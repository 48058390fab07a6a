//! [`ResourceName`]: what there is to ask for.

use core::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// The name of a resource, such as `cpu` or `example.com/gpu`. Ordered by its text.
///
/// Names of up to 23 bytes are held inline; cloning a name never allocates.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "SmolStr", into = "SmolStr")]
pub struct ResourceName(Repr);

/// The everyday names are compared without looking at their text.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    Cpu,
    EphemeralStorage,
    Memory,
    /// Any other name; never one of those above.
    Other(SmolStr),
}

/// The names starting so are pages of one size: `hugepages-2Mi`.
const HUGEPAGES_PREFIX: &str = "hugepages-";

impl ResourceName {
    /// `cpu`, in cores.
    pub const CPU: Self = Self(Repr::Cpu);
    /// `memory`, in bytes.
    pub const MEMORY: Self = Self(Repr::Memory);
    /// `ephemeral-storage`: local disk, in bytes.
    pub const EPHEMERAL_STORAGE: Self = Self(Repr::EphemeralStorage);

    /// The name as text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Cpu => "cpu",
            Repr::EphemeralStorage => "ephemeral-storage",
            Repr::Memory => "memory",
            Repr::Other(name) => name,
        }
    }

    /// Is it `hugepages-` with a page size (`IsHugePageResourceName`)?
    pub fn is_hugepages(&self) -> bool {
        self.page_size().is_some()
    }

    /// The page size in the name of huge pages, as text: `2Mi`.
    pub fn page_size(&self) -> Option<&str> {
        self.as_str().strip_prefix(HUGEPAGES_PREFIX)
    }

    /// Does Kubernetes itself define it (`IsNativeResource`)?
    pub fn is_native(&self) -> bool {
        let name = self.as_str();
        !name.contains('/') || name.contains("kubernetes.io/")
    }

    /// Is it one that a device plugin or an administrator defines (`IsExtendedResourceName`)?
    pub fn is_extended(&self) -> bool {
        // That is also asked for in quotas, as "requests." and the name, which must be a name too.
        !self.is_native()
            && !self.as_str().starts_with("requests.")
            && self.as_str().split_once('/').is_some_and(|(prefix, name)| {
                is_dns_subdomain("requests.".len() + prefix.len(), prefix) && is_name_part(name)
            })
    }

    /// Does the scheduler count it by name (`IsScalarResourceName`)? It ignores any other name
    /// but CPU, memory and ephemeral storage.
    pub fn is_scalar(&self) -> bool {
        self.is_extended()
            || self.is_hugepages()
            || self.as_str().contains("kubernetes.io/")
            || self.as_str().starts_with("attachable-volumes-")
    }
}

/// Is `text` a DNS subdomain, its length being counted as `len`?
fn is_dns_subdomain(len: usize, text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    len <= 253
        && text.split('.').all(|label| {
            !label.is_empty()
                && label.bytes().all(inner)
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

/// Is `text` the part of a qualified name after its slash?
fn is_name_part(text: &str) -> bool {
    let alphanumeric = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    (1..=63).contains(&bytes.len())
        && alphanumeric(bytes.first())
        && alphanumeric(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

impl From<&str> for ResourceName {
    fn from(name: &str) -> Self {
        Self(match name {
            "cpu" => Repr::Cpu,
            "ephemeral-storage" => Repr::EphemeralStorage,
            "memory" => Repr::Memory,
            name => Repr::Other(name.into()),
        })
    }
}

impl From<SmolStr> for ResourceName {
    fn from(name: SmolStr) -> Self {
        name.as_str().into()
    }
}

impl From<ResourceName> for SmolStr {
    fn from(name: ResourceName) -> Self {
        match name.0 {
            Repr::Cpu | Repr::EphemeralStorage | Repr::Memory => Self::new(name.as_str()),
            Repr::Other(name) => name,
        }
    }
}

impl AsRef<str> for ResourceName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl PartialOrd for ResourceName {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ResourceName {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_into_kinds_as_kubernetes_does() {
        for (name, extended, scalar) in [
            ("cpu", false, false),
            ("storage", false, false),
            ("example.com/gpu", true, true),
            ("requests.example.com/gpu", false, false),
            ("example.com/", false, false),
            ("Example.com/gpu", false, false),
            ("example.com/a/b", false, false),
            ("kubernetes.io/thing", false, true),
            ("hugepages-2Mi", false, true),
            ("attachable-volumes-aws", false, true),
        ] {
            let resource = ResourceName::from(name);
            assert_eq!(resource.is_extended(), extended, "{name}");
            assert_eq!(resource.is_scalar(), scalar, "{name}");
        }
    }

    #[test]
    fn everyday_names_are_the_same_however_they_are_made() {
        for name in [ResourceName::CPU, ResourceName::MEMORY, ResourceName::EPHEMERAL_STORAGE] {
            assert_eq!(ResourceName::from(SmolStr::from(name.clone())), name);
        }
        assert!(ResourceName::EPHEMERAL_STORAGE < "example.com/gpu".into());
    }
}

//! Amounts as the scheduler counts them.

use alloc::vec::Vec;

use crate::resources::{ResourceList, ResourceName};

/// Amounts as the scheduler counts them (`framework.Resource`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resource {
    /// CPU in millicores.
    pub milli_cpu: i64,
    /// Memory in bytes.
    pub memory: i64,
    /// Ephemeral storage in bytes.
    pub ephemeral_storage: i64,
    /// Huge pages in bytes and extended resources in pieces, sorted by name.
    pub scalar_resources: Vec<(ResourceName, i64)>,
}

impl From<&ResourceList> for Resource {
    /// Rounds up each amount, and leaves out the names that the scheduler does not count.
    fn from(list: &ResourceList) -> Self {
        let mut resource = Self::default();
        for (name, quantity) in list {
            if *name == ResourceName::CPU {
                resource.milli_cpu = quantity.milli_value();
            } else if *name == ResourceName::MEMORY {
                resource.memory = quantity.value();
            } else if *name == ResourceName::EPHEMERAL_STORAGE {
                resource.ephemeral_storage = quantity.value();
            } else if name.is_scalar() {
                resource.scalar_resources.push((name.clone(), quantity.value()));
            }
        }
        resource
    }
}

impl Resource {
    /// The amount of a resource, zero if it is not there or not counted.
    pub fn get(&self, name: &ResourceName) -> i64 {
        if *name == ResourceName::CPU {
            self.milli_cpu
        } else if *name == ResourceName::MEMORY {
            self.memory
        } else if *name == ResourceName::EPHEMERAL_STORAGE {
            self.ephemeral_storage
        } else {
            self.scalar(name)
        }
    }

    /// The amount of a scalar resource, zero if it is not there.
    pub fn scalar(&self, name: &ResourceName) -> i64 {
        let entry = self.scalar_resources.iter().find(|(other, _)| other == name);
        entry.map_or(0, |(_, amount)| *amount)
    }

    /// The first amount that is less than nothing.
    pub(super) fn negative(&self) -> Option<(ResourceName, i64)> {
        let fixed = [ResourceName::CPU, ResourceName::MEMORY, ResourceName::EPHEMERAL_STORAGE];
        let fixed = fixed.into_iter().map(|name| (self.get(&name), name));
        let scalars = self.scalar_resources.iter().map(|(name, amount)| (*amount, name.clone()));
        fixed.chain(scalars).find(|(amount, _)| *amount < 0).map(|(amount, name)| (name, amount))
    }

    /// Applies `op` to each amount and the one of `other`; None if one of them refuses.
    pub(super) fn zip(&self, other: &Self, op: impl Fn(i64, i64) -> Option<i64>) -> Option<Self> {
        let mut result = Self {
            milli_cpu: op(self.milli_cpu, other.milli_cpu)?,
            memory: op(self.memory, other.memory)?,
            ephemeral_storage: op(self.ephemeral_storage, other.ephemeral_storage)?,
            scalar_resources: self.scalar_resources.clone(),
        };
        for (name, amount) in &other.scalar_resources {
            let place = result.scalar_resources.binary_search_by(|(other, _)| other.cmp(name));
            match place {
                Ok(index) => {
                    let entry = &mut result.scalar_resources[index].1;
                    *entry = op(*entry, *amount)?;
                }
                Err(index) => {
                    let entry = (name.clone(), op(0, *amount)?);
                    result.scalar_resources.insert(index, entry);
                }
            }
        }
        result.scalar_resources.retain(|(_, amount)| *amount != 0);
        Some(result)
    }
}

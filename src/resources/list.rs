//! [`ResourceList`]: amounts by name.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use core::fmt;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::SmallVec;

use super::name::ResourceName;
use crate::quantity::{Quantity, QuantityError, QuantityOverflow};

/// Amounts of resources by name (`v1.ResourceList`), in the order of their names.
///
/// A resource that is not in the list differs from one of which there is zero. Up to four
/// resources are held inline; a list that is cleared and filled again allocates nothing.
///
/// ```
/// use podinit::quantity::Quantity;
/// use podinit::resources::{ResourceList, ResourceName};
///
/// let mut list = ResourceList::new();
/// list.insert(ResourceName::MEMORY, "1Gi".parse()?);
/// list.insert(ResourceName::CPU, "500m".parse()?);
/// assert_eq!(list.to_string(), "cpu: 500m, memory: 1Gi");
/// assert_eq!(list.get("memory"), Some(&"1Gi".parse()?));
/// assert_eq!(list.quantity("example.com/gpu"), Quantity::ZERO);
/// # Ok::<(), podinit::quantity::QuantityError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct ResourceList {
    /// Sorted by name, each name once.
    entries: SmallVec<[(ResourceName, Quantity); 4]>,
}

impl ResourceList {
    /// An empty list.
    pub fn new() -> Self {
        Self { entries: SmallVec::new() }
    }

    /// The number of resources in the list.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Is nothing in the list?
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Empties the list, keeping its memory.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|(other, _)| other.as_str().cmp(name))
    }

    /// The amount of a resource, if it is in the list.
    pub fn get(&self, name: impl AsRef<str>) -> Option<&Quantity> {
        self.find(name.as_ref()).ok().map(|index| &self.entries[index].1)
    }

    /// The amount of a resource, zero if it is not in the list.
    pub fn quantity(&self, name: impl AsRef<str>) -> Quantity {
        self.get(name).copied().unwrap_or(Quantity::ZERO)
    }

    /// Sets the amount of a resource and gives back the one that was there.
    pub fn insert(&mut self, name: ResourceName, quantity: Quantity) -> Option<Quantity> {
        match self.find(name.as_str()) {
            Ok(index) => Some(core::mem::replace(&mut self.entries[index].1, quantity)),
            Err(index) => {
                self.entries.insert(index, (name, quantity));
                None
            }
        }
    }

    /// Replaces the content, entry by entry in the order of the names.
    ///
    /// A name that is at its place already stays there: to copy one takes longer than all else.
    #[inline]
    pub(super) fn refill(&mut self, fill: impl FnOnce(&mut Refill<'_>)) {
        let mut refill = Refill { list: self, len: 0 };
        fill(&mut refill);
        let len = refill.len;
        self.entries.truncate(len);
    }

    /// Adds each amount of another list.
    ///
    /// # Errors
    /// If a sum is beyond 128 bits; the list is then as it was.
    pub fn checked_add(&mut self, other: &Self) -> Result<(), QuantityOverflow> {
        let mut sums = self.clone();
        for (name, quantity) in other {
            let sum = match sums.get(name) {
                Some(before) => before.checked_add(*quantity)?,
                None => *quantity,
            };
            sums.insert(name.clone(), sum);
        }
        *self = sums;
        Ok(())
    }

    /// The resources with their amounts, in the order of their names.
    pub fn iter(&self) -> ResourceListIter<'_> {
        self.into_iter()
    }
}

/// A [`ResourceList`] whose content is being replaced.
pub(super) struct Refill<'a> {
    list: &'a mut ResourceList,
    /// How many entries are new.
    len: usize,
}

impl Refill<'_> {
    /// Adds a resource whose name is behind all that were added.
    #[inline]
    pub(super) fn push(&mut self, name: &ResourceName, quantity: Quantity) {
        match self.list.entries.get_mut(self.len) {
            Some(entry) => {
                if entry.0 != *name {
                    entry.0 = name.clone();
                }
                entry.1 = quantity;
            }
            None => self.list.entries.push((name.clone(), quantity)),
        }
        self.len += 1;
    }
}

/// The entries of a [`ResourceList`].
pub type ResourceListIter<'a> = core::iter::Map<
    core::slice::Iter<'a, (ResourceName, Quantity)>,
    fn(&'a (ResourceName, Quantity)) -> (&'a ResourceName, &'a Quantity),
>;

impl<'a> IntoIterator for &'a ResourceList {
    type Item = (&'a ResourceName, &'a Quantity);
    type IntoIter = ResourceListIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter().map(|(name, quantity)| (name, quantity))
    }
}

impl FromIterator<(ResourceName, Quantity)> for ResourceList {
    /// Of several amounts for one name the last one counts.
    fn from_iter<I: IntoIterator<Item = (ResourceName, Quantity)>>(entries: I) -> Self {
        let mut list = Self::new();
        for (name, quantity) in entries {
            list.insert(name, quantity);
        }
        list
    }
}

impl fmt::Display for ResourceList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, quantity)) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{name}: {quantity}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ResourceList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

/// An entry of a map of quantities is no quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("[{resource}]: Invalid value: {value:?}: {source}")]
#[non_exhaustive]
pub struct ResourceListError {
    /// The resource.
    pub resource: ResourceName,
    /// The text.
    pub value: String,
    /// Why it is no quantity.
    pub source: QuantityError,
}

impl TryFrom<&BTreeMap<String, ApiQuantity>> for ResourceList {
    type Error = ResourceListError;

    fn try_from(map: &BTreeMap<String, ApiQuantity>) -> Result<Self, ResourceListError> {
        let entry = |(name, quantity): (&String, &ApiQuantity)| {
            let resource = ResourceName::from(name.as_str());
            match quantity.try_into() {
                Ok(quantity) => Ok((resource, quantity)),
                Err(source) => {
                    Err(ResourceListError { resource, value: quantity.0.clone(), source })
                }
            }
        };
        map.iter().map(entry).collect()
    }
}

impl From<&ResourceList> for BTreeMap<String, ApiQuantity> {
    fn from(list: &ResourceList) -> Self {
        list.iter().map(|(name, quantity)| (name.to_string(), (*quantity).into())).collect()
    }
}

impl Serialize for ResourceList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (name, quantity) in self {
            map.serialize_entry(name.as_str(), quantity)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for ResourceList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(BTreeMap::<ResourceName, Quantity>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(json: &str) -> ResourceList {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_refused_sum_leaves_the_list_as_it_was() {
        let before = list(r#"{"cpu":"1","memory":"1Gi"}"#);
        let mut sum = before.clone();
        let most = [(ResourceName::CPU, 1.into()), (ResourceName::MEMORY, Quantity::MAX)];
        assert_eq!(sum.checked_add(&most.into_iter().collect()), Err(QuantityOverflow));
        assert_eq!(sum, before);
        sum.checked_add(&list(r#"{"cpu":"500m","example.com/gpu":1}"#)).unwrap();
        assert_eq!(sum.to_string(), "cpu: 1500m, example.com/gpu: 1, memory: 1Gi");
    }

    #[test]
    fn json_and_the_api_type_round_trip_and_errors_name_the_resource() {
        let resources = list(r#"{"memory":"1Gi","cpu":"0.5"}"#);
        let json = serde_json::to_string(&resources).unwrap();
        assert_eq!(json, r#"{"cpu":"500m","memory":"1Gi"}"#);
        let mut map = BTreeMap::from(&resources);
        assert_eq!(ResourceList::try_from(&map), Ok(resources));
        map.insert("cpu".into(), ApiQuantity("many".into()));
        let error = ResourceList::try_from(&map).unwrap_err();
        assert_eq!(error.resource, ResourceName::CPU);
        assert!(error.to_string().starts_with("[cpu]: Invalid value: \"many\": "), "{error}");
    }
}

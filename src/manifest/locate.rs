//! Where a field stands in the text.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::error::Location;

/// Finds the line and column of a field in a text that [`read`](super::read) has read.
///
/// `document` counts the documents of the text from zero; `field` is a path such as
/// `spec.initContainers[0].name` or `spec.overhead[cpu]`. Of a field that is not there, such as a
/// missing one, the innermost object around it is found. A field that a merge or an alias brings in
/// is found where it was written.
///
/// Costs about as much as reading the text: meant for the few fields that have an error.
///
/// ```
/// # #[cfg(feature = "yaml")] {
/// use podinit::manifest::{Location, locate};
///
/// let text = "kind: Pod\nspec:\n  containers:\n  - name: web\n    image: web:1\n";
/// let found = locate(text, 0, "spec.containers[0].image");
/// assert_eq!(found, Some(Location { line: 5, column: 5 }));
/// # }
/// ```
pub fn locate(text: &str, document: usize, field: &str) -> Option<Location> {
    let steps = steps(field);
    let finder = Finder { steps: &steps };
    let json = || {
        let mut parser = serde_json::Deserializer::from_str(text);
        for _ in 0..document {
            de::Deserialize::deserialize(&mut parser).map(|_: IgnoredAny| ()).ok()?;
        }
        let error = finder.deserialize(&mut parser).err()?;
        // The parser tells where it stopped; anything but a find is a text that is no JSON.
        let found = error.is_data() && error.line() > 0;
        found.then(|| Location { line: error.line(), column: error.column() })
    };
    #[cfg(feature = "yaml")]
    let yaml = || {
        let parser = serde_yaml::Deserializer::from_str(text).nth(document)?;
        let at = finder.deserialize(parser).err()?.location()?;
        Some(Location { line: at.line(), column: at.column() })
    };
    #[cfg(not(feature = "yaml"))]
    let yaml = || None;
    if text.trim_start().starts_with('{') { json().or_else(yaml) } else { yaml() }
}

/// The names, indexes and keys of a path.
fn steps(field: &str) -> Vec<String> {
    let mut steps = Vec::new();
    let mut rest = field;
    while !rest.is_empty() {
        let step = if let Some(bracketed) = rest.strip_prefix('[') {
            let (step, after) = bracketed.split_once(']').unwrap_or((bracketed, ""));
            rest = after;
            step
        } else {
            let name = rest.strip_prefix('.').unwrap_or(rest);
            let end = name.find(['.', '[']).unwrap_or(name.len());
            rest = &name[end..];
            &name[..end]
        };
        steps.push(step.to_owned());
    }
    steps
}

/// Walks along a path and stops with an error where it ends: an error is all that tells its place.
#[derive(Clone, Copy)]
struct Finder<'a> {
    steps: &'a [String],
}

/// A key, found if it is the last step.
struct Key<'a> {
    finder: Finder<'a>,
}

fn found<E: de::Error>() -> E {
    E::custom("found")
}

impl<'de> DeserializeSeed<'de> for Finder<'_> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<bool, E> {
        match self.finder.steps {
            [last] if last == key => Err(found()),
            [step, ..] => Ok(step == key),
            [] => Ok(false),
        }
    }

    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }
}

impl<'de> Visitor<'de> for Finder<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("found")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        if self.steps.is_empty() {
            return Err(found());
        }
        while let Some(on_the_way) = fields.next_key_seed(Key { finder: self })? {
            if on_the_way {
                return fields.next_value_seed(Finder { steps: &self.steps[1..] });
            }
            fields.next_value::<IgnoredAny>()?;
        }
        Err(found())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let index = self.steps.first().and_then(|step| step.parse::<usize>().ok());
        if let Some(index) = index {
            for _ in 0..index {
                if items.next_element::<IgnoredAny>()?.is_none() {
                    return Err(found());
                }
            }
            items.next_element_seed(Finder { steps: &self.steps[1..] })?;
        }
        Err(found())
    }
}

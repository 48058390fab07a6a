//! A document as a tree, before anything is known of its kind.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;

use serde::de::{
    self, DeserializeSeed, EnumAccess, IgnoredAny, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::error::Stop;
use super::scalar;

/// A value of a document. Entries of a map keep their order, and those that come twice.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

impl Node {
    /// The value of a field; of one that comes twice, the last.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Map(entries) => entries.iter().rev().find(|(key, _)| key == name).map(|e| &e.1),
            _ => None,
        }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn as_list(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }
}

impl Node {
    /// The same with only the last one of the entries that come twice, as a map in Go has it.
    pub(super) fn with_last_entries(&self) -> Self {
        match self {
            Self::List(items) => Self::List(items.iter().map(Self::with_last_entries).collect()),
            Self::Map(entries) => {
                let mut seen = BTreeSet::new();
                let last = entries.iter().rev().filter(|(key, _)| seen.insert(key.as_str()));
                let mut last: Vec<_> =
                    last.map(|(key, value)| (key.clone(), value.with_last_entries())).collect();
                last.reverse();
                Self::Map(last)
            }
            value => value.clone(),
        }
    }
}

/// What a value costs, beside the length of its text.
const VALUE: usize = 2;

/// What one read may still use. Aliases make a tree larger than its text; no tree without them can
/// use up what is granted here.
#[derive(Debug)]
pub(super) struct Budget<'a> {
    /// The text that is read, if it is YAML: there it matters how a scalar is written.
    yaml: Option<&'a str>,
    left: Cell<usize>,
    depth: usize,
    stop: Cell<Option<Stop>>,
}

impl<'a> Budget<'a> {
    /// For a text of this many bytes.
    pub(super) fn new(bytes: usize, depth: usize) -> Self {
        // Without aliases a value takes two bytes or more (`a,`), and an escape of two bytes stands
        // for three at most, so that a tree costs at most one and a half times its text. The rest
        // is for aliases, of which a short text may use relatively more.
        let granted = bytes.saturating_mul(2).saturating_add(1 << 16);
        Self { yaml: None, left: Cell::new(granted), depth, stop: Cell::new(None) }
    }

    /// The same for a text in YAML.
    #[cfg(feature = "yaml")]
    pub(super) fn of_yaml(text: &'a str, depth: usize) -> Self {
        Self { yaml: Some(text), ..Self::new(text.len(), depth) }
    }

    /// How deep values may lie in each other.
    #[cfg(feature = "yaml")]
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Why reading was stopped, if a limit was reached.
    pub(super) fn stop(&self) -> Option<Stop> {
        self.stop.get()
    }

    fn stop_with<E: de::Error>(&self, stop: Stop) -> E {
        self.stop.set(Some(stop));
        E::custom("limit reached")
    }

    fn spend<E: de::Error>(&self, cost: usize) -> Result<(), E> {
        match self.left.get().checked_sub(cost) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(self.stop_with(Stop::Aliases)),
        }
    }
}

/// Reads one value, so deep in the tree.
#[derive(Clone, Copy)]
pub(super) struct Seed<'a> {
    budget: &'a Budget<'a>,
    depth: usize,
}

impl<'a> Seed<'a> {
    pub(super) const fn new(budget: &'a Budget<'a>) -> Self {
        Self { budget, depth: 0 }
    }

    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth >= self.budget.depth {
            return Err(self.budget.stop_with(Stop::Depth));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        self.budget.spend(VALUE)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value without a tag")
    }

    /// A document without a value.
    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(i64::try_from(value).map_or(Node::UInt(value), Node::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<Node, E> {
        float(&value.to_string())
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Node, E> {
        float(&value.to_string())
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Node, E> {
        match self.budget.yaml.filter(|source| scalar::is_plain(text, source)) {
            Some(_) => match scalar::resolve(text) {
                Some(node) => Ok(node),
                None => self.visit_str(text),
            },
            None => self.visit_str(text),
        }
    }

    /// A value with a tag that YAML does not know: the tag means nothing.
    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Node, A::Error> {
        let (_, value) = tagged.variant::<IgnoredAny>()?;
        value.newtype_variant_seed(self.deeper()?)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Node, E> {
        self.budget.spend(text.len())?;
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let seed = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(seed)? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Node, A::Error> {
        let seed = self.deeper()?;
        let mut map = Vec::new();
        let mut merges = Vec::new();
        while let Some(key) = fields.next_key_seed(seed)? {
            let key = key_text(key)?;
            let value = fields.next_value_seed(seed)?;
            if key == "<<" {
                merges.push(value);
            } else {
                map.push((key, value));
            }
        }
        merge_into(&mut map, merges)?;
        Ok(Node::Map(map))
    }
}

/// A whole number beyond 64 bits is one with an exponent.
fn float<E: de::Error>(digits: &str) -> Result<Node, E> {
    digits.parse().map(Node::Float).map_err(E::custom)
}

/// Keys that are not text are written as JSON would write them.
fn key_text<E: de::Error>(key: Node) -> Result<String, E> {
    match key {
        Node::Text(text) => Ok(text),
        Node::Bool(value) => Ok(value.to_string()),
        Node::Int(value) => Ok(value.to_string()),
        Node::UInt(value) => Ok(value.to_string()),
        Node::Float(value) => Ok(value.to_string()),
        Node::Null | Node::List(_) | Node::Map(_) => {
            Err(E::custom("a key must be text, not null, a list or a map"))
        }
    }
}

/// YAML's merge key `<<`: entries of one map, or of a list of maps, for keys that are not given.
fn merge_into<E: de::Error>(map: &mut Vec<(String, Node)>, merges: Vec<Node>) -> Result<(), E> {
    if merges.is_empty() {
        return Ok(());
    }
    let mut given: BTreeSet<String> = map.iter().map(|(key, _)| key.clone()).collect();
    let sources = merges.into_iter().flat_map(|merge| match merge {
        Node::List(sources) => sources,
        source => Vec::from([source]),
    });
    for source in sources {
        let Node::Map(entries) = source else {
            return Err(E::custom("a map, or a list of maps, can be merged with <<"));
        };
        for (key, value) in entries {
            if given.insert(key.clone()) {
                map.push((key, value));
            }
        }
    }
    Ok(())
}

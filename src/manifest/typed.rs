//! From the tree to a type of the API, remembering where one is and which fields there are.
//!
//! k8s-openapi's types drop fields that they do not know without a word. But each names its fields
//! when it asks for a struct, so that what is unknown, and what was meant, is seen here.

use alloc::string::{String, ToString};
use core::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::node::Node;
use super::path::Path;

/// The names of the fields that an object of the API has.
pub(super) type FieldNames = &'static [&'static str];

/// A value of type `T`, if the types fit. `unknown` is told of each field that the API does not
/// have: its path, its name, and the names that there are.
pub(super) fn read<T: DeserializeOwned>(
    node: &Node,
    path: &Path<'_>,
    unknown: &dyn Fn(&Path<'_>, &str, FieldNames),
) -> Result<T, WrongType> {
    T::deserialize(Place { node, path, unknown }).map_err(|error| error.at(path))
}

/// A value of the wrong type, and where.
#[derive(Debug)]
pub(super) struct WrongType {
    pub(super) field: Option<String>,
    pub(super) detail: String,
}

impl WrongType {
    /// The innermost place that knows itself is the one to name.
    fn at(mut self, path: &Path<'_>) -> Self {
        self.field.get_or_insert_with(|| path.to_string());
        self
    }
}

impl fmt::Display for WrongType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl core::error::Error for WrongType {}

impl de::Error for WrongType {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { field: None, detail: message.to_string() }
    }
}

/// A node and where it is.
#[derive(Clone, Copy)]
struct Place<'a> {
    node: &'a Node,
    path: &'a Path<'a>,
    unknown: &'a dyn Fn(&Path<'_>, &str, FieldNames),
}

impl<'a> Place<'a> {
    fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WrongType> {
        match self.node {
            Node::Null => visitor.visit_unit(),
            Node::Bool(value) => visitor.visit_bool(*value),
            Node::Int(value) => visitor.visit_i64(*value),
            Node::UInt(value) => visitor.visit_u64(*value),
            Node::Float(value) => visitor.visit_f64(*value),
            Node::Text(text) => visitor.visit_str(text),
            Node::List(items) => {
                visitor.visit_seq(Items { place: self, items: items.iter(), next: 0 })
            }
            Node::Map(entries) => visitor.visit_map(Entries::new(self, entries, false)),
        }
        .map_err(|error: WrongType| error.at(self.path))
    }

    /// YAML 1.1, which Kubernetes reads, has more words for truth than YAML 1.2.
    fn as_yaml_1_1_bool(self) -> Option<bool> {
        match self.node.as_text()? {
            "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
            "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
            _ => None,
        }
    }

    /// YAML 1.1 writes octal numbers, such as file modes, with a leading zero.
    fn as_yaml_1_1_octal(self) -> Option<i64> {
        let digits = self.node.as_text()?.strip_prefix('0')?;
        i64::from_str_radix(digits, 8).ok().filter(|_| !digits.starts_with(['+', '-']))
    }

    fn number<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WrongType> {
        match self.as_yaml_1_1_octal() {
            Some(number) => {
                visitor.visit_i64(number).map_err(|error: WrongType| error.at(self.path))
            }
            None => self.visit(visitor),
        }
    }
}

impl<'de> de::Deserializer<'de> for Place<'_> {
    type Error = WrongType;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WrongType> {
        self.visit(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WrongType> {
        match self.as_yaml_1_1_bool() {
            Some(value) => visitor.visit_bool(value),
            None => self.visit(visitor),
        }
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WrongType> {
        self.number(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WrongType> {
        self.number(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WrongType> {
        match self.node {
            Node::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, WrongType> {
        visitor.visit_newtype_struct(self).map_err(|error: WrongType| error.at(self.path))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: FieldNames,
        visitor: V,
    ) -> Result<V::Value, WrongType> {
        let Node::Map(entries) = self.node else { return self.visit(visitor) };
        for (name, _) in entries {
            if !fields.contains(&name.as_str()) {
                (self.unknown)(&self.path.field(name), name, fields);
            }
        }
        visitor
            .visit_map(Entries::new(self, entries, true))
            .map_err(|error: WrongType| error.at(self.path))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WrongType> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map enum identifier
    }
}

struct Items<'a> {
    place: Place<'a>,
    items: core::slice::Iter<'a, Node>,
    next: usize,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = WrongType;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, WrongType> {
        let Some(node) = self.items.next() else { return Ok(None) };
        let path = self.place.path.index(self.next);
        self.next += 1;
        let place = Place { node, path: &path, unknown: self.place.unknown };
        seed.deserialize(place).map(Some).map_err(|error| error.at(&path))
    }
}

struct Entries<'a> {
    place: Place<'a>,
    entries: core::slice::Iter<'a, (String, Node)>,
    value: Option<&'a (String, Node)>,
    /// Fields of an object, not entries of a map.
    fields: bool,
}

impl<'a> Entries<'a> {
    fn new(place: Place<'a>, entries: &'a [(String, Node)], fields: bool) -> Self {
        Self { place, entries: entries.iter(), value: None, fields }
    }
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = WrongType;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, WrongType> {
        self.value = self.entries.next();
        let Some((key, _)) = self.value else { return Ok(None) };
        let key: StrDeserializer<'_, WrongType> = key.as_str().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, WrongType> {
        let Some((key, node)) = self.value.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        let parent = self.place.path;
        let path = if self.fields { parent.field(key) } else { parent.key(key) };
        let place = Place { node, path: &path, unknown: self.place.unknown };
        seed.deserialize(place).map_err(|error| error.at(&path))
    }
}

//! From the tree to a type of the API, remembering where one is and which fields there are.
//!
//! k8s-openapi's types drop fields that they do not know without a word. But each names its fields
//! when it asks for a struct, so that what is unknown, and what was meant, is seen here.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::node::Node;
use super::path::Path;
use crate::quantity::{Quantity, QuantityError};

/// The names of the fields that an object of the API has.
pub(super) type FieldNames = &'static [&'static str];

/// A value of type `T`, if the types fit. `unknown` is told of each field that the API does not
/// have: its path, its name, and the names that there are.
pub(super) fn read<T: DeserializeOwned>(
    node: &Node,
    path: &Path<'_>,
    unknown: &dyn Fn(&Path<'_>, &str, FieldNames),
) -> Result<T, WrongType> {
    T::deserialize(Place { node, path, owner: "", any: false, unknown })
        .map_err(|error| error.at(path))
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
    /// The type of the object that it is a field of.
    owner: &'static str,
    /// Any JSON will do.
    any: bool,
    unknown: &'a dyn Fn(&Path<'_>, &str, FieldNames),
}

/// What cannot be a quantity.
const NO_QUANTITY: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

impl<'a> Place<'a> {
    /// Whatever stands there.
    fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WrongType> {
        match self.node {
            Node::Null => visitor.visit_unit(),
            Node::Bool(value) => visitor.visit_bool(*value),
            Node::Int(value) => visitor.visit_i64(*value),
            Node::UInt(value) => visitor.visit_u64(*value),
            Node::Float(value) => visitor.visit_f64(*value),
            Node::Text(text) => visitor.visit_str(text),
            Node::List(items) => self.items(items, visitor),
            Node::Map(entries) => visitor.visit_map(Entries::new(self, entries, false)),
        }
        .map_err(|error: WrongType| error.at(self.path))
    }

    fn items<'de, V: Visitor<'de>>(
        self,
        items: &'a [Node],
        visitor: V,
    ) -> Result<V::Value, WrongType> {
        visitor.visit_seq(Items { place: self, items: items.iter(), next: 0 })
    }

    /// A value of another type than `wanted`, which is Go's name of it.
    fn refuse<T>(self, wanted: &str) -> Result<T, WrongType> {
        let found = match self.node {
            Node::Null => "null",
            Node::Bool(_) => "bool",
            Node::Text(_) => "string",
            Node::List(_) => "array",
            Node::Map(_) => "object",
            Node::Int(_) | Node::UInt(_) | Node::Float(_) => "number",
        };
        let quote = match self.node {
            Node::Bool(_) | Node::Int(_) | Node::UInt(_) | Node::Float(_) if wanted == "string" => {
                " (put it in quotes)"
            }
            _ => "",
        };
        let (owner, path) = (self.owner, self.path.without_indexes());
        let detail = format!(
            "cannot unmarshal {found} into Go struct field {owner}.{path} of type {wanted}{quote}"
        );
        Err(WrongType { field: Some(self.path.to_string()), detail })
    }

    /// A whole number, which YAML may write with a point or an exponent.
    fn integer(self, wanted: &str) -> Result<i64, WrongType> {
        match self.node {
            Node::Null => Ok(0),
            Node::Int(value) => Ok(*value),
            Node::Float(value) => match whole(*value) {
                Some(value) => Ok(value),
                None => self.refuse(wanted),
            },
            _ => self.refuse(wanted),
        }
    }

    /// A quantity as the apiserver sees it: numbers too.
    fn quantity(self) -> Result<String, WrongType> {
        let text = match self.node {
            Node::Null => "0".to_owned(),
            Node::Int(value) => value.to_string(),
            Node::UInt(value) => value.to_string(),
            Node::Float(value) => shown(*value),
            Node::Text(text) => text.trim_matches(' ').to_owned(),
            Node::Bool(_) | Node::List(_) | Node::Map(_) => return self.refuse("Quantity"),
        };
        let is_one = !text.chars().any(|c| c.is_control() || c.is_whitespace())
            && matches!(text.parse::<Quantity>(), Ok(_) | Err(QuantityError::TooLarge));
        if is_one {
            return Ok(text);
        }
        Err(WrongType { field: Some(self.path.to_string()), detail: NO_QUANTITY.to_owned() })
    }
}

/// A number as JSON's writer in Go prints it.
fn shown(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{number:e}");
        return match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => {
                format!("{digits}e+{exponent}")
            }
            _ => text,
        };
    }
    number.to_string()
}

/// The whole number that this one is, if JSON shows it without a point or an exponent.
fn whole(number: f64) -> Option<i64> {
    shown(number).parse().ok()
}

impl<'de> de::Deserializer<'de> for Place<'_> {
    type Error = WrongType;

    /// An integer or a text, or any JSON.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WrongType> {
        match self.node {
            _ if self.any => self.visit(visitor),
            Node::Text(_) => self.visit(visitor),
            Node::Null | Node::Int(_) | Node::Float(_) => {
                let number = self.integer("int32")?;
                match i32::try_from(number) {
                    Ok(_) => visitor.visit_i64(number),
                    Err(_) => self.refuse("int32"),
                }
            }
            _ => self.refuse("int32"),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WrongType> {
        match self.node {
            Node::Null => visitor.visit_bool(false),
            Node::Bool(value) => visitor.visit_bool(*value),
            _ => self.refuse("bool"),
        }
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WrongType> {
        match i32::try_from(self.integer("int32")?) {
            Ok(number) => visitor.visit_i32(number),
            Err(_) => self.refuse("int32"),
        }
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WrongType> {
        visitor.visit_i64(self.integer("int64")?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WrongType> {
        match self.node {
            Node::Null | Node::Int(_) | Node::UInt(_) | Node::Float(_) => self.visit(visitor),
            _ => self.refuse("float64"),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WrongType> {
        match self.node {
            Node::Null => visitor.visit_str(""),
            Node::Text(text) => visitor.visit_str(text),
            _ => return self.refuse("string"),
        }
        .map_err(|error: WrongType| error.at(self.path))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WrongType> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WrongType> {
        match self.node {
            Node::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, WrongType> {
        let visited = match name {
            "Quantity" => {
                let text = self.quantity()?;
                let text: StrDeserializer<'_, WrongType> = text.as_str().into_deserializer();
                visitor.visit_newtype_struct(text)
            }
            "Time" | "MicroTime" => visitor.visit_newtype_struct(self),
            _ => visitor.visit_newtype_struct(Place { any: true, ..self }),
        };
        visited.map_err(|error: WrongType| error.at(self.path))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WrongType> {
        match self.node {
            Node::Null => self.items(&[], visitor),
            Node::List(items) => self.items(items, visitor),
            _ => return self.refuse("[]"),
        }
        .map_err(|error: WrongType| error.at(self.path))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WrongType> {
        match self.node {
            Node::Null => visitor.visit_map(Entries::new(self, &[], false)),
            Node::Map(entries) => visitor.visit_map(Entries::new(self, entries, false)),
            _ => return self.refuse("map"),
        }
        .map_err(|error: WrongType| error.at(self.path))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: FieldNames,
        visitor: V,
    ) -> Result<V::Value, WrongType> {
        let entries = match self.node {
            Node::Null => &[],
            Node::Map(entries) => entries.as_slice(),
            _ => return self.refuse(name),
        };
        for (field, _) in entries {
            if !fields.contains(&field.as_str()) {
                (self.unknown)(&self.path.field(field), field, fields);
            }
        }
        visitor
            .visit_map(Entries::new(Place { owner: name, ..self }, entries, true))
            .map_err(|error: WrongType| error.at(self.path))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WrongType> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u8 u16 u32 u64 u128 f32 char bytes byte_buf unit unit_struct
        tuple tuple_struct enum identifier
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
        let place = Place { node, path: &path, ..self.place };
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
        let place = Place { node, path: &path, ..self.place };
        seed.deserialize(place).map_err(|error| error.at(&path))
    }
}

//! How a scenario is read and written: one table of names for each type, used both ways.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use smol_str::SmolStr;

use super::error::{ScenarioError, ScenarioProblem};
use crate::go_duration::GoDuration;
use crate::nearest::nearest;
use crate::quantity::Quantity;

/// Where a value stands, as a chain towards the root: written out only where something is wrong.
#[derive(Clone, Copy, Debug)]
pub(super) enum Path<'a> {
    /// The scenario itself.
    Root,
    /// A field of an object, or an entry of a map.
    Field(&'a Self, &'a str),
    /// An item of a list.
    Index(&'a Self, usize),
}

impl Path<'_> {
    pub(super) fn error(&self, problem: ScenarioProblem) -> ScenarioError {
        ScenarioError { path: self.to_string(), problem }
    }

    pub(super) fn invalid(&self, value: &Value, detail: impl Into<String>) -> ScenarioError {
        let value = shown(value);
        self.error(ScenarioProblem::Invalid { value, detail: detail.into() })
    }

    fn wrong_type(&self, expected: &'static str, value: &Value) -> ScenarioError {
        self.error(ScenarioProblem::WrongType { expected, found: shown(value) })
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// A value for a message: long ones are cut.
fn shown(value: &Value) -> String {
    const SHOWN: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Something that a scenario is made of.
pub(super) trait Part: Sized {
    fn read(value: &Value, path: &Path<'_>) -> Result<Self, ScenarioError>;
}

/// An object that is being read: its fields are asked for by name, and no others may be there.
pub(super) struct Object<'a> {
    fields: &'a Map<String, Value>,
    path: &'a Path<'a>,
}

impl<'a> Object<'a> {
    pub(super) fn open(
        value: &'a Value,
        path: &'a Path<'a>,
        known: &'static [&'static str],
    ) -> Result<Self, ScenarioError> {
        let fields = value.as_object().ok_or_else(|| path.wrong_type("an object", value))?;
        match fields.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => {
                let suggestion = nearest(name, known.iter().copied());
                Err(path.error(ScenarioProblem::UnknownField { name: name.clone(), suggestion }))
            }
            None => Ok(Self { fields, path }),
        }
    }

    /// A field; one that is absent has its default.
    pub(super) fn field<T: Part + Default>(&self, name: &str) -> Result<T, ScenarioError> {
        self.optional(name).map(Option::unwrap_or_default)
    }

    pub(super) fn optional<T: Part>(&self, name: &str) -> Result<Option<T>, ScenarioError> {
        let Some(value) = self.fields.get(name) else { return Ok(None) };
        T::read(value, &Path::Field(self.path, name)).map(Some)
    }

    pub(super) fn required<T: Part>(&self, name: &'static str) -> Result<T, ScenarioError> {
        self.optional(name)?.ok_or_else(|| self.path.error(ScenarioProblem::Missing { name }))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }
}

/// Reading and writing of a struct whose fields all have defaults. What is as it is by default is
/// not written.
macro_rules! object {
    ($type:ident { $($field:ident: $name:literal),* $(,)? } $(check $check:path)?) => {
        impl $crate::scenario::read::Part for $type {
            fn read(
                value: &serde_json::Value,
                path: &$crate::scenario::read::Path<'_>,
            ) -> Result<Self, $crate::scenario::ScenarioError> {
                #[allow(unused_variables, reason = "some objects have no fields")]
                let object = $crate::scenario::read::Object::open(value, path, &[$($name),*])?;
                let read = Self { $($field: object.field($name)?),* };
                $($check(&read, value, path)?;)?
                Ok(read)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                #[allow(unused_imports, reason = "some objects have no fields")]
                use serde::ser::SerializeMap as _;
                #[allow(unused_variables, reason = "some objects have no fields")]
                let default = Self::default();
                #[allow(unused_mut, reason = "some objects have no fields")]
                let mut map = serializer.serialize_map(None)?;
                $(if self.$field != default.$field {
                    map.serialize_entry($name, &self.$field)?;
                })*
                map.end()
            }
        }

        $crate::scenario::read::deserialize!($type);
    };
}
pub(super) use object;

/// `Deserialize` by way of [`Part`].
macro_rules! deserialize {
    ($type:ident) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let tree = <$crate::scenario::read::Tree as serde::Deserialize>::deserialize(
                    deserializer,
                )?;
                <Self as $crate::scenario::read::Part>::read(
                    &tree.0,
                    &$crate::scenario::read::Path::Root,
                )
                .map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(super) use deserialize;

/// An enum of words.
macro_rules! words {
    ($(#[$doc:meta])* $type:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $type { $($(#[$variant_doc])* $variant,)* }

        impl $type {
            /// Every word, in the order of the declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word as it is written.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl core::fmt::Display for $type {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl $crate::scenario::read::Part for $type {
            fn read(
                value: &serde_json::Value,
                path: &$crate::scenario::read::Path<'_>,
            ) -> Result<Self, $crate::scenario::ScenarioError> {
                $crate::scenario::read::word(value, path, &[$($word),*])
                    .map(|position| Self::ALL[position])
            }
        }
    };
}
pub(super) use words;

/// The position of a word among those that there are.
pub(super) fn word(
    value: &Value,
    path: &Path<'_>,
    words: &'static [&'static str],
) -> Result<usize, ScenarioError> {
    let text = value.as_str().ok_or_else(|| path.wrong_type("a text", value))?;
    words
        .iter()
        .position(|word| *word == text)
        .ok_or_else(|| path.invalid(value, format!("must be one of {}", words.join(", "))))
}

impl Part for bool {
    fn read(value: &Value, path: &Path<'_>) -> Result<Self, ScenarioError> {
        value.as_bool().ok_or_else(|| path.wrong_type("true or false", value))
    }
}

impl Part for SmolStr {
    fn read(value: &Value, path: &Path<'_>) -> Result<Self, ScenarioError> {
        value.as_str().map(Self::new).ok_or_else(|| path.wrong_type("a text", value))
    }
}

macro_rules! integers {
    ($($type:ident),*) => {$(
        impl Part for $type {
            fn read(value: &Value, path: &Path<'_>) -> Result<Self, ScenarioError> {
                if !value.is_number() {
                    return Err(path.wrong_type("a whole number", value));
                }
                let number = value.as_i64().and_then(|number| Self::try_from(number).ok());
                number.ok_or_else(|| {
                    let range = format!("must be a whole number from {} to {}", Self::MIN, Self::MAX);
                    path.invalid(value, range)
                })
            }
        }
    )*};
}
integers!(i32, i64, u16, u32);

impl Part for GoDuration {
    fn read(value: &Value, path: &Path<'_>) -> Result<Self, ScenarioError> {
        let text =
            value.as_str().ok_or_else(|| path.wrong_type("a duration such as 1m30s", value))?;
        text.parse().map_err(|error: crate::go_duration::GoDurationError| {
            path.invalid(value, error.to_string())
        })
    }
}

impl Part for Quantity {
    fn read(value: &Value, path: &Path<'_>) -> Result<Self, ScenarioError> {
        // As the API does, which takes `2` for `"2"`.
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return Err(path.wrong_type("a quantity such as 100Mi", value)),
        };
        Self::from_str(&text).map_err(|error| path.invalid(value, error.to_string()))
    }
}

/// Read by others: a patch, a container.
impl Part for Value {
    fn read(value: &Value, _: &Path<'_>) -> Result<Self, ScenarioError> {
        Ok(value.clone())
    }
}

impl<T: Part> Part for Option<T> {
    fn read(value: &Value, path: &Path<'_>) -> Result<Self, ScenarioError> {
        T::read(value, path).map(Some)
    }
}

impl<T: Part> Part for Vec<T> {
    fn read(value: &Value, path: &Path<'_>) -> Result<Self, ScenarioError> {
        let items = value.as_array().ok_or_else(|| path.wrong_type("a list", value))?;
        (0..).zip(items).map(|(index, item)| T::read(item, &Path::Index(path, index))).collect()
    }
}

impl<T: Part> Part for BTreeMap<SmolStr, T> {
    fn read(value: &Value, path: &Path<'_>) -> Result<Self, ScenarioError> {
        let entries = value.as_object().ok_or_else(|| path.wrong_type("an object", value))?;
        entries
            .iter()
            .map(|(key, value)| Ok((key.into(), T::read(value, &Path::Field(path, key))?)))
            .collect()
    }
}

/// Any value, without a key that comes twice in one object.
pub(super) struct Tree(pub(super) Value);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor).map(Self)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| {
            E::invalid_value(de::Unexpected::Float(value), &"a number that JSON has")
        })
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Tree(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let Tree(value) = entries.next_value()?;
            if map.contains_key(&key) {
                return Err(de::Error::custom(format!(
                    "{key}: Duplicate value: the key comes twice"
                )));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

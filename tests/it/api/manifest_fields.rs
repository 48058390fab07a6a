//! No field that the API has is called unknown.

use std::fmt;

use k8s_openapi::api::core::v1;
use podinit::manifest::{Object, ReadOptions, read};
use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

/// Gives every type what it asks for: each field of a struct, one item of a list.
#[derive(Clone, Copy)]
struct Everything {
    /// The field or key whose value is asked for.
    name: &'static str,
}

#[derive(Debug)]
struct Failed(String);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failed {}

impl de::Error for Failed {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl<'de> de::Deserializer<'de> for Everything {
    type Error = Failed;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failed> {
        visitor.visit_i64(1)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failed> {
        visitor.visit_bool(true)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failed> {
        visitor.visit_str(match self.name {
            "apiVersion" => "v1",
            "kind" => "Pod",
            _ => "2026-01-01T00:00:00Z",
        })
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failed> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failed> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failed> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failed> {
        visitor.visit_seq(de::value::SeqDeserializer::new([self].into_iter()))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failed> {
        visitor.visit_map(Fields { left: &["key"], name: "" })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failed> {
        visitor.visit_map(Fields { left: fields, name: "" })
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        tuple tuple_struct enum identifier ignored_any
    }
}

impl IntoDeserializer<'_, Failed> for Everything {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

struct Fields {
    left: &'static [&'static str],
    name: &'static str,
}

impl<'de> de::MapAccess<'de> for Fields {
    type Error = Failed;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Failed> {
        let Some((name, left)) = self.left.split_first() else { return Ok(None) };
        (self.name, self.left) = (name, left);
        seed.deserialize((*name).into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failed> {
        seed.deserialize(Everything { name: self.name })
    }
}

#[test]
fn a_pod_with_every_field_of_the_api_is_read_without_an_unknown_one() {
    let everything = v1::Pod::deserialize(Everything { name: "" }).unwrap();
    let json = serde_json::to_string(&everything).unwrap();
    // Enough to know that nothing was left out: the deepest corners of the spec are there.
    for field in [
        "restartPolicyRules",
        "matchLabelKeys",
        "clusterTrustBundle",
        "windowsOptions",
        "gmsaCredentialSpec",
    ] {
        assert!(json.contains(&format!("\"{field}\":")), "{field}");
    }
    assert!(json.len() > 20_000, "{}", json.len());
    let documents = read(&json, &ReadOptions::strict()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(documents[0].object, Object::Pod(Box::new(everything)));
}

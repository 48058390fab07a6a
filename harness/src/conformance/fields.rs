//! Family `fields`: which fields the types have, and of which type each is.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::api::apps::v1 as apps;
use k8s_openapi::api::batch::v1 as batch;
use k8s_openapi::api::core::v1;
use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::Value;

use super::{Answer, BadCase};

pub const LEFT_OUT: &[&str] = &[
    "times: those in whole seconds and those in microseconds are one type",
    "fields that hold any JSON, and what is below them",
];

/// The fields of a kind.
pub fn replay(case: &Value) -> Result<Answer, BadCase> {
    let mut expected = case["answer"]["fields"].clone();
    for (_, kind) in expected.as_object_mut().into_iter().flatten() {
        if kind == "any" {
            *kind = Value::Null;
        }
    }
    let found = RefCell::new(BTreeMap::new());
    let asked =
        Asked { path: "", object: &case["kind"], version: &case["apiVersion"], found: &found };
    match case["kind"].as_str().unwrap_or_default() {
        "Pod" => drop(v1::Pod::deserialize(asked)?),
        "PodTemplate" => drop(v1::PodTemplate::deserialize(asked)?),
        "ReplicationController" => drop(v1::ReplicationController::deserialize(asked)?),
        "Deployment" => drop(apps::Deployment::deserialize(asked)?),
        "StatefulSet" => drop(apps::StatefulSet::deserialize(asked)?),
        "DaemonSet" => drop(apps::DaemonSet::deserialize(asked)?),
        "ReplicaSet" => drop(apps::ReplicaSet::deserialize(asked)?),
        "Job" => drop(batch::Job::deserialize(asked)?),
        "CronJob" => drop(batch::CronJob::deserialize(asked)?),
        _ => return Ok(Answer::none("of neither a pod nor a workload")),
    }
    let mut got = serde_json::to_value(found.into_inner())?;
    // What the object says that it is stands in no type of k8s-openapi.
    for words in ["kind", "apiVersion"] {
        got[words] = "string".into();
    }
    Ok(Answer { expected, got })
}

/// Takes note of the type that each field asks for, and gives it a value of that type.
#[derive(Clone, Copy)]
struct Asked<'a> {
    path: &'a str,
    /// What the object says that it is.
    object: &'a Value,
    version: &'a Value,
    found: &'a RefCell<BTreeMap<String, &'static str>>,
}

impl<'a> Asked<'a> {
    fn note(self, kind: &'static str) {
        self.found.borrow_mut().insert(self.path.to_owned(), kind);
    }
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

/// What is valid as any text that the types ask for.
const TEXT: &str = "2026-01-01T00:00:00Z";

impl<'de> de::Deserializer<'de> for Asked<'_> {
    type Error = Failed;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failed> {
        // One type alone takes several.
        self.note("integer or string");
        visitor.visit_str(TEXT)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failed> {
        self.note("boolean");
        visitor.visit_bool(true)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failed> {
        self.note("integer");
        visitor.visit_i32(1)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failed> {
        self.note("integer");
        visitor.visit_i64(1)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failed> {
        self.note("number");
        visitor.visit_f64(1.0)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failed> {
        self.note("string");
        visitor.visit_str(match self.path {
            "apiVersion" => self.version.as_str().unwrap_or_default(),
            "kind" => self.object.as_str().unwrap_or_default(),
            path if path.ends_with("volumeClaimTemplates[].apiVersion") => "v1",
            path if path.ends_with("volumeClaimTemplates[].kind") => "PersistentVolumeClaim",
            _ => TEXT,
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
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failed> {
        match name {
            "Time" | "MicroTime" => self.note("time"),
            "Quantity" => self.note("quantity"),
            // Any JSON.
            _ => {
                let nothing = serde_json::json!({});
                return visitor.visit_newtype_struct(nothing).map_err(de::Error::custom);
            }
        }
        visitor.visit_newtype_struct(StrDeserializer::new(TEXT))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failed> {
        let path = format!("{}[]", self.path);
        let item = Asked { path: &path, ..self };
        visitor.visit_seq(de::value::SeqDeserializer::new([item].into_iter()))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failed> {
        let path = format!("{}{{}}", self.path);
        let value = Asked { path: &path, ..self };
        visitor.visit_map(de::value::MapDeserializer::new([("key", value)].into_iter()))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failed> {
        if fields.is_empty() {
            self.note("object");
        }
        visitor.visit_map(Fields { of: self, left: fields, name: "" })
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u8 u16 u32 u64 u128 f32 char bytes byte_buf unit unit_struct
        tuple tuple_struct enum identifier ignored_any
    }
}

impl<'a> IntoDeserializer<'_, Failed> for Asked<'a> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

struct Fields<'a> {
    of: Asked<'a>,
    left: &'static [&'static str],
    name: &'static str,
}

impl<'de> de::MapAccess<'de> for Fields<'_> {
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
        let dot = if self.of.path.is_empty() { "" } else { "." };
        let path = format!("{}{dot}{}", self.of.path, self.name);
        seed.deserialize(Asked { path: &path, ..self.of })
    }
}

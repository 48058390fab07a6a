//! Quantities in JSON and YAML, and k8s-openapi's.

use alloc::string::ToString;
use core::fmt;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::parse::QuantityError;
use super::{Format, Quantity};

impl From<Quantity> for ApiQuantity {
    fn from(quantity: Quantity) -> Self {
        Self(quantity.to_string())
    }
}

impl TryFrom<&ApiQuantity> for Quantity {
    type Error = QuantityError;

    /// Reads the text, without white space around it, as Kubernetes does when it reads JSON.
    fn try_from(quantity: &ApiQuantity) -> Result<Self, QuantityError> {
        quantity.0.trim().parse()
    }
}

impl From<i64> for Quantity {
    fn from(value: i64) -> Self {
        Self::new(value.into(), Format::DecimalSI)
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    /// From text or, as Kubernetes allows, from a bare number.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor)
    }
}

struct Visitor;

impl de::Visitor<'_> for Visitor {
    type Value = Quantity;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a quantity such as \"100m\" or \"1Gi\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Quantity, E> {
        text.trim().parse().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Quantity, E> {
        Ok(value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Quantity, E> {
        Ok(Quantity::new(value.into(), Format::DecimalSI))
    }

    /// By way of the number's shortest text, so that 0.1 is a tenth.
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Quantity, E> {
        self.visit_str(&value.to_string())
    }
}

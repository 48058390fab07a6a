//! The words in which random cases are described: strategies of JSON values.

use proptest::collection::SizeRange;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value};

/// A strategy of JSON values.
pub(crate) type Json = BoxedStrategy<Value>;

/// Always this value.
pub(crate) fn just(value: impl Into<Value>) -> Json {
    Just(value.into()).boxed()
}

/// One of these, each as often as the others.
pub(crate) fn one_of<T: Into<Value> + Clone + std::fmt::Debug + 'static>(values: &[T]) -> Json {
    select(values.to_vec()).prop_map(Into::into).boxed()
}

/// One of these strategies, as often as its number says.
pub(crate) fn mixed(parts: Vec<(u32, Json)>) -> Json {
    proptest::strategy::Union::new_weighted(parts).boxed()
}

/// A whole number.
pub(crate) fn number(range: std::ops::Range<i64>) -> Json {
    range.prop_map(Value::from).boxed()
}

/// True or false.
pub(crate) fn truth() -> Json {
    any::<bool>().prop_map(Value::from).boxed()
}

/// A list.
pub(crate) fn list(item: Json, size: impl Into<SizeRange>) -> Json {
    proptest::collection::vec(item, size).prop_map(Value::from).boxed()
}

/// An object. Each field is there with the probability given, in percent.
pub(crate) fn object(fields: Vec<(&'static str, u32, Json)>) -> Json {
    let names: Vec<&'static str> = fields.iter().map(|(name, ..)| *name).collect();
    let values: Vec<BoxedStrategy<Option<Value>>> =
        fields.into_iter().map(|(_, percent, value)| sometimes(percent, value)).collect();
    values
        .prop_map(move |values| {
            let fields = names.iter().zip(values);
            let set = fields.filter_map(|(name, value)| Some(((*name).to_owned(), value?)));
            Value::Object(set.collect())
        })
        .boxed()
}

/// The value, with a probability in percent.
pub(crate) fn sometimes(percent: u32, value: Json) -> BoxedStrategy<Option<Value>> {
    match percent {
        100.. => value.prop_map(Some).boxed(),
        0 => Just(None).boxed(),
        _ => prop_oneof![percent => value.prop_map(Some), 100 - percent => Just(None)].boxed(),
    }
}

/// A map of some of these keys.
pub(crate) fn map(keys: &[&'static str], percent: u32, value: &Json) -> Json {
    object(keys.iter().map(|key| (*key, percent, value.clone())).collect())
}

/// The objects of a list under names of their own: `app-1`, `app-2`, ...
pub(crate) fn named(list: Json, prefix: &'static str) -> Json {
    list.prop_map(move |mut list| {
        for (number, item) in (1..).zip(list.as_array_mut().into_iter().flatten()) {
            item["name"] = format!("{prefix}-{number}").into();
        }
        list
    })
    .boxed()
}

/// The fields of both objects; of the second where both have one.
pub(crate) fn with(first: Json, second: Json) -> Json {
    (first, second)
        .prop_map(|(first, second)| {
            let mut fields = match first {
                Value::Object(fields) => fields,
                _ => Map::new(),
            };
            if let Value::Object(more) = second {
                fields.extend(more);
            }
            Value::Object(fields)
        })
        .boxed()
}
